//! What a validity code costs: free only on a recorded ground.

use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_store::{TariffRowSeed, sha256};
use gavah_testkit::world::{CallerKind, Engine, INELIGIBLE, OTHER_UNIVERSITY, UNIVERSITY, World};
use tonic::Code;

use crate::code_guards::{issued, refused_after, refused_without_trace, university};
use crate::harness::{run_on, soon};
use crate::messages::{correct, issue};
use crate::peer::{Peer, refused};

cases_of_any_engine! {
    what_has_no_row_in_the_tariff_is_free_and_says_so,
    a_row_of_the_tariff_that_costs_something_is_not_paid_by_silence,
    a_row_of_the_tariff_that_costs_nothing_is_free,
    a_quote_says_what_decided_it_and_its_digest_can_be_recomputed,
    what_was_issued_keeps_its_quote_when_the_table_is_corrected,
    a_year_that_goes_over_to_the_new_rial_is_quoted_in_the_unit_of_the_day,
    every_version_of_a_table_stays_readable,
    what_has_its_quote_needs_no_table_of_the_new_year,
    a_quote_is_refused_for_what_can_have_none,
    every_field_of_a_question_about_fees_is_checked,
}

async fn what_has_no_row_in_the_tariff_is_free_and_says_so(world: &mut World) {
    let answer = university(world)
        .await
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    let quote = issued(answer).quote.unwrap();
    let year = world.today().year();
    assert_eq!(quote.basis(), pb::QuoteBasis::FreeNoTariffRow);
    assert_eq!(quote.budget_year, year);
    assert_eq!(quote.fee, None);
    assert!(
        quote.evidence.contains(&year.to_string()),
        "{}",
        quote.evidence
    );
}

fn row(amount: i64) -> TariffRowSeed {
    gavah_testkit::fixtures::tariff_row("VALIDITY_CODE", amount)
}

async fn a_row_of_the_tariff_that_costs_something_is_not_paid_by_silence(world: &mut World) {
    let failure = refused_after(world, "PAYMENT_REQUIRED", |seed| {
        seed.tariff[0].row.push(row(500_000));
    })
    .await;
    assert_eq!(
        failure.metadata["budget_year"],
        world.today().year().to_string()
    );
    assert!(failure.metadata["legal_reference"].contains("synthetic law, row 1"));
}

async fn a_row_of_the_tariff_that_costs_nothing_is_free(world: &mut World) {
    let peer = university(world).await;
    world.reseed(|seed| seed.tariff[0].row.push(row(0))).await;
    soon("the new table", async || {
        let answer = peer.issue_validity_code(issue(world, UNIVERSITY)).await;
        let quote = issued(answer).quote.unwrap();
        (quote.basis() == pb::QuoteBasis::ZeroRow).then_some(())
    })
    .await;
}

#[test]
fn without_a_tariff_table_of_the_year_nothing_is_free() {
    let world = World::builder(Engine::Sqlite).seed(|seed| seed.tariff[0].year -= 1);
    run_on(world, async |world: &mut World| {
        let failure = refused_without_trace(
            world,
            &university(world).await,
            issue(world, UNIVERSITY),
            Code::FailedPrecondition,
            "TARIFF_YEAR_NOT_LOADED",
        )
        .await;
        assert_eq!(
            failure.metadata["budget_year"],
            world.today().year().to_string()
        );
    });
}

fn code_fee(institution: &str) -> pb::QuoteFeeRequest {
    pb::QuoteFeeRequest {
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: institution.to_owned(),
        ..Default::default()
    }
}

fn certificate_fee(kind: pb::ApplicationType) -> pb::QuoteFeeRequest {
    pb::QuoteFeeRequest {
        service: pb::ServiceKind::EnrollmentCertificate.into(),
        application_type: kind.into(),
        ..code_fee(UNIVERSITY)
    }
}

fn on(date: JalaliDate) -> Option<pb::JalaliDate> {
    Some(pb::JalaliDate {
        year: date.year(),
        month: date.month().into(),
        day: date.day().into(),
    })
}

async fn quoted(peer: &Peer, request: pb::QuoteFeeRequest) -> pb::Quote {
    peer.quote_fee(request).await.unwrap().quote.unwrap()
}

/// Waits until the newest table of this year is this version.
async fn version(world: &World, peer: &Peer, version: i32) {
    let budget_year = world.today().year();
    soon("the corrected table", async || {
        let request = pb::ListTariffRowsRequest {
            budget_year,
            version: 0,
        };
        let table = peer.list_tariff_rows(request).await.unwrap();
        (table.version == version).then_some(())
    })
    .await;
}

async fn a_quote_says_what_decided_it_and_its_digest_can_be_recomputed(world: &mut World) {
    let year = world.today().year();
    let mut digests = Vec::new();
    for kind in [
        CallerKind::Window,
        CallerKind::University,
        CallerKind::Hub,
        CallerKind::Organization,
        CallerKind::Auditor,
    ] {
        let peer = Peer::of(world, kind).await;
        let answer = peer.quote_fee(code_fee(UNIVERSITY)).await.unwrap();
        let quote = answer.quote.unwrap();
        assert_eq!(quote.basis(), pb::QuoteBasis::FreeNoTariffRow);
        assert_eq!((quote.fee, quote.budget_year), (None, year));
        assert_eq!(quote.evidence, format!("no row in table of year {year}"));
        assert_eq!(quote.tariff_version, 1);
        assert_eq!(quote.digest, sha256(&answer.digest_text));
        let request = pb::ListTariffRowsRequest {
            budget_year: year,
            version: 1,
        };
        let table = peer.list_tariff_rows(request).await.unwrap();
        let said = format!("tariff_digest 64:{}\n", table.digest);
        assert!(answer.digest_text.contains(&said), "the table is bound");
        digests.push(quote.digest);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "the same for whoever asks");

    let university = university(world).await;
    let request = certificate_fee(pb::ApplicationType::Duplicate);
    let other = quoted(&university, request).await;
    assert_ne!(other.digest, digests[0], "another request has another");
    // What is issued carries the very quote that was told.
    let code = issued(
        university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await,
    );
    assert_eq!(code.quote.unwrap().digest, digests[0]);
}

async fn what_was_issued_keeps_its_quote_when_the_table_is_corrected(world: &mut World) {
    let peer = university(world).await;
    let before = issued(peer.issue_validity_code(issue(world, UNIVERSITY)).await);
    world.reseed(|seed| seed.tariff[0].row.push(row(0))).await;
    version(world, &peer, 2).await;
    let after = issued(peer.issue_validity_code(issue(world, UNIVERSITY)).await);
    let now = after.quote.unwrap();
    assert_eq!(now.basis(), pb::QuoteBasis::ZeroRow);
    assert_eq!(now.tariff_version, 2);
    assert_eq!(now, quoted(&peer, code_fee(UNIVERSITY)).await);

    let name = before.name.clone();
    let request = pb::GetValidityCodeRequest { name };
    let kept = peer.get_validity_code(request).await.unwrap();
    let kept = kept.validity_code.unwrap().quote.unwrap();
    assert_eq!(Some(&kept), before.quote.as_ref());
    assert_eq!(kept.tariff_version, 1);
    assert_ne!(kept.digest, now.digest);
}

async fn a_year_that_goes_over_to_the_new_rial_is_quoted_in_the_unit_of_the_day(world: &mut World) {
    let today = world.today();
    let last = JalaliDate::new(today.year(), 12, 29).unwrap();
    let over = JalaliDate::new(today.year(), 7, 1).unwrap();
    world
        .reseed(|seed| {
            seed.tariff[0].row.push(row(500_000));
            seed.tariff[0].row.push(TariffRowSeed {
                from_date: Some(over.to_string()),
                unit: "IRR_NEW".to_owned(),
                ..row(50)
            });
        })
        .await;
    let peer = university(world).await;
    version(world, &peer, 2).await;
    let fee = async |date: JalaliDate| {
        let request = pb::QuoteFeeRequest {
            date: on(date),
            ..code_fee(UNIVERSITY)
        };
        let fee = quoted(&peer, request).await.fee.unwrap();
        (fee.amount, fee.unit())
    };
    let current = (500_000, pb::MoneyUnit::IrrCurrent);
    let new = (50, pb::MoneyUnit::IrrNew);
    assert_eq!(fee(over.plus_days(-1)).await, current);
    assert_eq!(fee(over).await, new);
    assert_eq!(fee(last).await, new);
    let expected = if today < over { current } else { new };
    let fee = quoted(&peer, code_fee(UNIVERSITY)).await.fee.unwrap();
    assert_eq!((fee.amount, fee.unit()), expected);
}

async fn every_version_of_a_table_stays_readable(world: &mut World) {
    let peer = Peer::of(world, CallerKind::Auditor).await;
    let year = world.today().year();
    world
        .reseed(|seed| {
            let row = TariffRowSeed {
                request_type: Some("EXTEND".to_owned()),
                institution_type: Some("STATE".to_owned()),
                from_date: Some(format!("{year}/02/01")),
                ..gavah_testkit::fixtures::tariff_row("ENROLLMENT_CERTIFICATE", 9)
            };
            seed.tariff[0].row.push(row);
        })
        .await;
    version(world, &peer, 2).await;
    let list = async |version| {
        let request = pb::ListTariffRowsRequest {
            budget_year: year,
            version,
        };
        peer.list_tariff_rows(request).await
    };
    let newest = list(0).await.unwrap();
    assert_eq!(newest, list(2).await.unwrap());
    assert_eq!(newest.name, format!("tariffs/{year}/versions/2"));
    assert_eq!((newest.budget_year, newest.newest_version), (year, 2));
    assert_eq!(newest.legal_reference, "synthetic law");
    assert!(newest.publish_time.is_some() && newest.digest.len() == 64);
    let row = &newest.rows[0];
    assert_eq!(row.service(), pb::ServiceKind::EnrollmentCertificate);
    assert_eq!(row.application_type(), pb::ApplicationType::Extend);
    assert_eq!(row.institution_type(), pb::InstitutionType::State);
    assert_eq!(row.from_date, on(JalaliDate::new(year, 2, 1).unwrap()));
    assert_eq!(row.fee.map(|fee| fee.amount), Some(9));

    let first = list(1).await.unwrap();
    assert_eq!((first.version, first.newest_version), (1, 2));
    assert!(first.rows.is_empty() && first.digest != newest.digest);
    refused(list(3).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    let request = pb::ListTariffRowsRequest {
        budget_year: year - 1,
        version: 0,
    };
    let failure = refused(
        peer.list_tariff_rows(request).await,
        Code::FailedPrecondition,
        "TARIFF_YEAR_NOT_LOADED",
    );
    assert_eq!(failure.metadata["budget_year"], (year - 1).to_string());
}

async fn what_has_its_quote_needs_no_table_of_the_new_year(world: &mut World) {
    let peer = university(world).await;
    let before = issued(peer.issue_validity_code(issue(world, UNIVERSITY)).await);
    let new_year = JalaliDate::new(world.today().year() + 1, 1, 3).unwrap();
    let ahead = new_year.start_of_day().duration_since(world.now());
    world.clock().advance(ahead);
    let answer = peer.issue_validity_code(issue(world, UNIVERSITY)).await;
    refused(answer, Code::FailedPrecondition, "TARIFF_YEAR_NOT_LOADED");
    let mut right = issue(world, UNIVERSITY);
    right.subject.clone_from(&before.subject);
    let answer = peer.correct_validity_code(correct(&before, right)).await;
    let corrected = answer.unwrap().validity_code.unwrap();
    assert_eq!(corrected.quote, before.quote);
}

async fn a_quote_is_refused_for_what_can_have_none(world: &mut World) {
    let university = university(world).await;
    let answer = university.quote_fee(code_fee(OTHER_UNIVERSITY)).await;
    refused(answer, Code::PermissionDenied, "INSTITUTION_NOT_OWNED");
    let answer = university.quote_fee(code_fee("nobody")).await;
    refused(answer, Code::PermissionDenied, "INSTITUTION_NOT_OWNED");
    let window = Peer::of(world, CallerKind::Window).await;
    let answer = window.quote_fee(code_fee("nobody")).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let answer = window.quote_fee(code_fee(INELIGIBLE)).await;
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "INSTITUTION_TYPE_NOT_ELIGIBLE",
    );
    assert_eq!(failure.metadata["institution_type"], "AZAD");
    let past = pb::QuoteFeeRequest {
        date: on(world.today().plus_days(-400)),
        ..code_fee(UNIVERSITY)
    };
    let answer = window.quote_fee(past).await;
    refused(answer, Code::FailedPrecondition, "TARIFF_YEAR_NOT_LOADED");
}

async fn every_field_of_a_question_about_fees_is_checked(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let wrong = pb::QuoteFeeRequest {
        service: 0,
        application_type: 77,
        institution_code: String::new(),
        date: Some(pb::JalaliDate {
            year: 1405,
            month: 7,
            day: 31,
        }),
    };
    let failure = window.quote_fee(wrong).await.unwrap_err();
    let mut fields: Vec<_> = failure
        .violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.reason.as_str()))
        .collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            ("application_type", "FIELD_FORMAT"),
            ("date", "JALALI_DATE_INVALID"),
            ("institution_code", "FIELD_REQUIRED"),
            ("service", "FIELD_REQUIRED"),
        ]
    );
    for (request, reason) in [
        (
            certificate_fee(pb::ApplicationType::Unspecified),
            "FIELD_REQUIRED",
        ),
        (
            pb::QuoteFeeRequest {
                application_type: pb::ApplicationType::Extend.into(),
                ..code_fee(UNIVERSITY)
            },
            "FIELD_FORMAT",
        ),
    ] {
        let failure = window.quote_fee(request).await.unwrap_err();
        let violation = &failure.violations[0];
        assert_eq!(
            (violation.field.as_str(), violation.reason.as_str()),
            ("application_type", reason)
        );
    }
    let wrong = pb::ListTariffRowsRequest {
        budget_year: 0,
        version: -1,
    };
    let failure = window.list_tariff_rows(wrong).await.unwrap_err();
    let fields = failure.violations.iter().map(|found| found.field.as_str());
    assert!(fields.eq(["budget_year", "version"]), "{failure:?}");
}
