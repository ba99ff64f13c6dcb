//! Codes that were issued before this service.

use gavah_api::v1 as pb;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::messages::{instant, issue, question, request_id};
use crate::peer::{Peer, refused};
use crate::verdicts::verdict;

cases! {
    an_imported_code_validates_whatever_its_check_digits,
    a_row_that_cannot_be_imported_fails_alone,
}

/// A fresh student's code from before, whose check digits are wrong.
pub(crate) fn code(world: &World) -> pb::LegacyCode {
    let request = issue(world, UNIVERSITY);
    let years = SignedDuration::from_hours(24 * 365 * 3);
    let digits = (0..100).map(|end| format!("7{:017}{end:02}", fixtures::number()));
    let wrong = digits.filter(|digits| {
        let code = gavah_domain::ValidityCode::parse(digits).unwrap();
        !code.check_digits_ok()
    });
    let mut document = request.document.unwrap();
    document.issue_date = None;
    pb::LegacyCode {
        code: wrong.into_iter().next().unwrap(),
        subject: request.subject,
        program: request.program,
        document_kind: request.document_kind,
        document: Some(document),
        double_major_declared: false,
        external_ref: request.external_ref,
        issue_time: Some(instant(world.now() - years)),
    }
}

fn import(codes: Vec<pb::LegacyCode>) -> pb::BatchImportLegacyCodesRequest {
    pb::BatchImportLegacyCodesRequest {
        request_id: request_id(),
        validate_only: false,
        codes,
    }
}

async fn an_imported_code_validates_whatever_its_check_digits(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let (legacy, unknown) = (code(world), code(world));
    let request = import(vec![legacy.clone()]);
    let answer = organization
        .batch_import_legacy_codes(request.clone())
        .await
        .unwrap();
    let name = answer.rows[0].name.clone();
    let told = verdict(&hub, question(&legacy.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);
    let told = verdict(&hub, question(&unknown.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::CheckDigit);
    let read = university
        .get_validity_code(pb::GetValidityCodeRequest { name: name.clone() })
        .await;
    let read = read.unwrap().validity_code.unwrap();
    assert!(read.legacy);
    assert_eq!(
        (read.code, read.attested_by),
        (legacy.code.clone(), String::new())
    );
    assert_eq!(read.issue_time, legacy.issue_time);
    assert_eq!(read.quote.unwrap().basis(), pb::QuoteBasis::Exempt);
    let again = organization.batch_import_legacy_codes(request).await;
    assert_eq!(again.unwrap(), answer);
    // It holds its key like any other, and gives it up like any other.
    let anew = pb::IssueValidityCodeRequest {
        subject: legacy.subject.clone(),
        program: legacy.program.clone(),
        ..issue(world, UNIVERSITY)
    };
    let answer = university.issue_validity_code(anew.clone()).await;
    let failure = refused(answer, Code::AlreadyExists, "CODE_ALREADY_ISSUED");
    assert_eq!(failure.metadata["resource"], name);
    let revoke = pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name,
        reason: pb::RevocationReason::DataError.into(),
        ..Default::default()
    };
    university.revoke_validity_code(revoke).await.unwrap();
    let told = verdict(&hub, question(&legacy.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Revoked);
    university.issue_validity_code(anew).await.unwrap();
}

async fn a_row_that_cannot_be_imported_fails_alone(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let good = code(world);
    let taken = pb::LegacyCode {
        code: good.code.clone(),
        ..code(world)
    };
    let same_document = pb::LegacyCode {
        code: code(world).code,
        ..good.clone()
    };
    let wrong = pb::LegacyCode {
        code: "12".to_owned(),
        issue_time: Some(instant(world.now() + SignedDuration::from_mins(1))),
        subject: None,
        ..code(world)
    };
    let unknown = pb::LegacyCode {
        program: Some(crate::messages::program("9999")),
        ..code(world)
    };
    let last = code(world);
    let first = organization
        .batch_import_legacy_codes(import(vec![good]))
        .await;
    assert_ne!(first.unwrap().rows[0].name, "");
    let rows = vec![taken, same_document, wrong, unknown, last];
    let answer = organization.batch_import_legacy_codes(import(rows)).await;
    let rows = answer.unwrap().rows;
    let codes: Vec<_> = rows
        .iter()
        .map(|row| Code::from_i32(row.status.as_ref().unwrap().code))
        .collect();
    assert_eq!(
        codes,
        [
            Code::AlreadyExists,
            Code::AlreadyExists,
            Code::InvalidArgument,
            Code::PermissionDenied,
            Code::Ok,
        ]
    );
    let named: Vec<_> = rows.iter().map(|row| !row.name.is_empty()).collect();
    assert_eq!(named, [false, false, false, false, true]);
}
