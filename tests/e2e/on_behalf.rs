//! Calls of the national hub on behalf of agencies: under an agreement that names the agency, or not at all.

use gavah_api::v1 as pb;
use gavah_client::Failure;
use gavah_testkit::world::{
    AGENCY, AGENCY_AGREEMENT, CallerKind, HUB_AGREEMENT, UNIVERSITY, World, agency_agreement,
};
use prost::Message;
use tonic::Code;

use crate::harness::soon;
use crate::messages::{issue, question};
use crate::peer::{Peer, refused};
use crate::wire::Wire;

cases! {
    the_hub_asks_on_behalf_of_an_agency_with_an_agreement,
    effective_rights_are_what_both_agreements_allow,
}

cases_of_any_engine! {
    forged_absent_repeated_and_malformed_values_are_refused,
    an_agreement_that_does_not_name_the_agency_or_the_hub_is_none,
    the_agencys_agreement_ends_with_its_own_state,
}

const VALIDATE: &str = "/gavah.v1.ValidationService/ValidateCode";
const OF: &str = "gavah-on-behalf-of";
const FOR: &str = "gavah-purpose";
const UNDER: &str = "gavah-agreement";

async fn code(world: &World) -> String {
    let university = Peer::of(world, CallerKind::University).await;
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    issued.unwrap().validity_code.unwrap().code
}

async fn ask(wire: &Wire, headers: &[(&'static str, &str)]) -> Result<pb::Verdict, Box<Failure>> {
    let body = question("12345678901234567888").encode_to_vec();
    let answer = wire.send_with(VALIDATE, body, headers).await?;
    let answer = pb::ValidateCodeResponse::decode(&answer[..]).unwrap();
    Ok(answer.verdict.unwrap())
}

async fn the_hub_asks_on_behalf_of_an_agency_with_an_agreement(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let answer = hub.validate_code(question(&code(world).await)).await;
    let verdict = answer.unwrap().verdict.unwrap();
    assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
    assert_eq!(verdict.document.unwrap().subject_name_fa, "آ*** س***");
    // What needs no agreement needs no agency either.
    let bare = Wire::of(world, CallerKind::Hub).await;
    let who = bare.send("/gavah.v1.RegistryService/WhoAmI", &pb::WhoAmIRequest {});
    who.await.unwrap();
}

async fn effective_rights_are_what_both_agreements_allow(world: &mut World) {
    let code = code(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    // Each allows something that the other does not.
    world
        .reseed(|seed| {
            for agreement in &mut seed.agreement {
                let (purposes, fields) = match agreement.id.as_str() {
                    HUB_AGREEMENT => (["VALIDATE", "INQUIRE"], ["DOCUMENT", "NAME"]),
                    AGENCY_AGREEMENT => (["VALIDATE", "MATCH"], ["DOCUMENT", "PROGRAM"]),
                    _ => continue,
                };
                agreement.purposes = purposes.map(str::to_owned).to_vec();
                agreement.fields = fields.map(str::to_owned).to_vec();
            }
        })
        .await;
    let document = soon("the new agreements", async || {
        let answer = hub.validate_code(question(&code)).await.unwrap();
        let document = answer.verdict.unwrap().document.unwrap();
        document.subject_name_fa.is_empty().then_some(document)
    })
    .await;
    assert_eq!(document.document_kind(), pb::DocumentKind::Degree);
    assert_eq!(document.degree_level(), pb::DegreeLevel::Unspecified);
    assert_eq!(document.institution_name_fa, "");
    assert_eq!(document.field_title_fa, "");
    let claims = pb::MatchCodeRequest {
        code,
        claims: Some(pb::DocumentClaims {
            person_id: Some(crate::messages::person(&crate::messages::national_code())),
            ..Default::default()
        }),
    };
    let answer = hub.match_code(claims.clone()).await;
    let refusal = refused(answer, Code::PermissionDenied, "PURPOSE_NOT_IN_AGREEMENT");
    assert_eq!(refusal.metadata["purpose"], "MATCH");
    let inquiry = pb::InquireEnrollmentRequest {
        person_id: claims.claims.unwrap().person_id,
    };
    let answer = hub.inquire_enrollment(inquiry).await;
    let refusal = refused(answer, Code::PermissionDenied, "PURPOSE_NOT_IN_AGREEMENT");
    assert_eq!(refusal.metadata["purpose"], "INQUIRE");
}

async fn forged_absent_repeated_and_malformed_values_are_refused(world: &mut World) {
    let agreement = agency_agreement();
    let good = [(OF, AGENCY), (FOR, "VALIDATE"), (UNDER, &agreement[..])];
    let hub = Wire::of(world, CallerKind::Hub).await;
    ask(&hub, &good).await.unwrap();

    // Forged: nobody but the hub may say anything of the kind, not even one of it.
    for kind in CallerKind::ONE_OF_EACH_CLASS {
        if matches!(kind, CallerKind::Hub | CallerKind::Monitor) {
            continue;
        }
        let wire = Wire::of(world, kind).await;
        for headers in [&good[..], &good[..1], &good[1..2], &good[2..]] {
            let answer = ask(&wire, headers).await;
            refused(answer, Code::PermissionDenied, "ON_BEHALF_NOT_ALLOWED");
        }
    }

    // Absent: all of it, or one of it.
    let failure = refused(
        ask(&hub, &[]).await,
        Code::InvalidArgument,
        "FIELD_REQUIRED",
    );
    assert_eq!(failure.violations.len(), 3);
    for left in 0..good.len() {
        let mut headers = good.to_vec();
        let (name, _) = headers.remove(left);
        let answer = ask(&hub, &headers).await;
        let failure = refused(answer, Code::InvalidArgument, "FIELD_REQUIRED");
        assert_eq!(failure.violations[0].field, format!("metadata.{name}"));
        assert_eq!(failure.violations.len(), 1);
    }

    // Repeated: the same value, or another one.
    for (name, value) in good {
        for second in [value, "14099999986"] {
            let headers = [&good[..], &[(name, second)]].concat();
            let answer = ask(&hub, &headers).await;
            let failure = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
            assert_eq!(failure.violations[0].field, format!("metadata.{name}"));
        }
    }

    // Malformed.
    for (at, value, reason) in [
        (0, "14099999991", "NATIONAL_ID_CHECKSUM"),
        (0, "1409999999", "FIELD_FORMAT"),
        (0, "hub", "FIELD_FORMAT"),
        (1, "validate", "FIELD_FORMAT"),
        (1, "EVERYTHING", "FIELD_FORMAT"),
        (2, "agency", "FIELD_FORMAT"),
        (2, "agreements/", "FIELD_FORMAT"),
    ] {
        let mut headers = good;
        headers[at].1 = value;
        let answer = ask(&hub, &headers).await;
        let failure = refused(answer, Code::InvalidArgument, reason);
        let field = format!("metadata.{}", headers[at].0);
        assert_eq!(failure.violations[0].field, field, "{value}");
    }

    // For another purpose than the method's.
    let mut headers = good;
    headers[1].1 = "MATCH";
    let answer = ask(&hub, &headers).await;
    refused(answer, Code::PermissionDenied, "PURPOSE_NOT_IN_AGREEMENT");
}

async fn an_agreement_that_does_not_name_the_agency_or_the_hub_is_none(world: &mut World) {
    let agreement = agency_agreement();
    let hub = Wire::of(world, CallerKind::Hub).await;
    let own = format!("agreements/{HUB_AGREEMENT}/callers/hub");
    let of_a_university = format!("agreements/universities/institutions/{UNIVERSITY}");
    for (agency, under) in [
        // Another agency under the agency's agreement.
        ("14099999986", &agreement[..]),
        // The agency under an agreement that is not its own.
        (AGENCY, &own),
        (AGENCY, &of_a_university),
        (AGENCY, "agreements/nothing"),
    ] {
        let answer = ask(&hub, &[(OF, agency), (FOR, "VALIDATE"), (UNDER, under)]).await;
        refused(answer, Code::FailedPrecondition, "AGREEMENT_NOT_ACTIVE");
    }
    // An agency that calls through another hub.
    world
        .reseed(|seed| {
            for agreement in &mut seed.agreement {
                if agreement.id == AGENCY_AGREEMENT {
                    agreement.through = Some("another-hub".to_owned());
                    // What it lacks is not told either.
                    agreement.purposes = vec!["MATCH".to_owned()];
                }
            }
        })
        .await;
    soon("the other hub", async || {
        let headers = [(OF, AGENCY), (FOR, "VALIDATE"), (UNDER, &agreement[..])];
        let refusal = ask(&hub, &headers).await.err()?;
        (refusal.reason.as_deref() == Some("AGREEMENT_NOT_ACTIVE")).then_some(())
    })
    .await;
}

async fn the_agencys_agreement_ends_with_its_own_state(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let read = pb::GetAgreementRequest {
        name: agency_agreement(),
    };
    // The hub sees the agreements of the agencies that call through it.
    let agreement = hub.get_agreement(read).await.unwrap().agreement.unwrap();
    assert_eq!(agreement.consumer, format!("agencies/{AGENCY}"));
    assert_eq!(agreement.through, "callers/hub");
    hub.validate_code(question("1")).await.unwrap();
    let suspend = pb::SuspendAgreementRequest {
        request_id: crate::messages::request_id(),
        name: agreement.name,
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    organization.suspend_agreement(suspend).await.unwrap();
    let answer = hub.validate_code(question("1")).await;
    refused(answer, Code::FailedPrecondition, "AGREEMENT_NOT_ACTIVE");
}
