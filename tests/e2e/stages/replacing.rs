//! Certificates that replace others: extended, duplicated, corrected; and papers that are confirmed.

use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_evidence::{CertificatePayload, FileSigner, verify};
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use super::*;
use crate::certificates::applied;
use crate::harness::together;
use crate::messages::{question, term_of};
use crate::peer::{Answer, refused};
use crate::verdicts::verdict;

cases! {
    a_duplicate_supersedes_the_certificate_and_keeps_its_end,
    an_extension_has_a_later_end_and_supersedes_the_certificate,
    a_corrected_certificate_supersedes_the_wrong_one,
    a_certificate_is_corrected_once_however_many_do_it_at_once,
    a_confirmed_paper_stands_in_the_signed_certificate,
}

cases_of_any_engine! {
    only_an_active_certificate_of_the_same_student_is_replaced,
}

fn replacing(
    row: &pb::EnrollmentRecord,
    kind: pb::ApplicationType,
    certificate: &pb::EnrollmentCertificate,
) -> pb::CreateEnrollmentCertificateApplicationRequest {
    pb::CreateEnrollmentCertificateApplicationRequest {
        r#type: kind.into(),
        replaces: certificate.name.clone(),
        ..apply(row)
    }
}

async fn issue(
    world: &World,
    request: pb::CreateEnrollmentCertificateApplicationRequest,
) -> Answer<pb::EnrollmentCertificate> {
    let window = Peer::of(world, CallerKind::Window).await;
    let answer = window
        .create_enrollment_certificate_application(request)
        .await?;
    Ok(answer.enrollment_certificate.unwrap())
}

async fn certificate(world: &World, name: &str) -> pb::EnrollmentCertificate {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let request = pb::GetEnrollmentCertificateRequest {
        name: name.to_owned(),
        subject_claim: None,
    };
    let read = organization.get_enrollment_certificate(request).await;
    read.unwrap().enrollment_certificate.unwrap()
}

/// The old one is superseded by the new one, and both validate accordingly.
async fn assert_replaced(
    world: &World,
    old: &pb::EnrollmentCertificate,
    new: &pb::EnrollmentCertificate,
) {
    let stored = certificate(world, &old.name).await;
    assert_eq!(stored.state(), pb::DocumentState::Superseded);
    assert_eq!(stored.superseded_by, new.name);
    assert_eq!(new.supersedes, old.name);
    assert_ne!(new.serial, old.serial);
    let hub = Peer::of(world, CallerKind::Hub).await;
    let told = verdict(&hub, question(&old.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Superseded);
    let told = verdict(&hub, question(&new.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);
    let payload = payload(world, new);
    let id = old.name.rsplit('/').next().map(str::to_owned);
    assert_eq!(payload.replaces, id);
}

fn payload(world: &World, certificate: &pb::EnrollmentCertificate) -> CertificatePayload {
    let key = FileSigner::load(&world.dir().join("signing.key")).unwrap();
    let payload = verify(&certificate.signed_document, key.public_key_spki_der()).unwrap();
    CertificatePayload::decode(&payload).unwrap()
}

async fn a_duplicate_supersedes_the_certificate_and_keeps_its_end(world: &mut World) {
    let row = record(world, UNIVERSITY);
    let old = applied(world, &row).await.enrollment_certificate.unwrap();
    let request = replacing(&row, pb::ApplicationType::Duplicate, &old);
    let new = issue(world, request.clone()).await.unwrap();
    assert_eq!(new.valid_until_date, old.valid_until_date);
    assert_replaced(world, &old, &new).await;
    // The same request gives the same certificate; another finds the old one superseded.
    assert_eq!(issue(world, request.clone()).await.unwrap(), new);
    let again = pb::CreateEnrollmentCertificateApplicationRequest {
        request_id: request_id(),
        ..request
    };
    let failure = refused(
        issue(world, again).await,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], "SUPERSEDED");
}

async fn an_extension_has_a_later_end_and_supersedes_the_certificate(world: &mut World) {
    let row = record(world, UNIVERSITY);
    let old = applied(world, &row).await.enrollment_certificate.unwrap();
    let early = replacing(&row, pb::ApplicationType::Extend, &old);
    refused(
        issue(world, early).await,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    // In the next term there is something to extend.
    let today = world.today();
    let next = (1..400).find(|days| term_of(today.plus_days(*days)) != term_of(today));
    let days = next.unwrap() + 1;
    world.clock().advance(SignedDuration::from_hours(24 * days));
    let now = pb::EnrollmentRecord {
        subject: row.subject.clone(),
        program: row.program.clone(),
        ..record(world, UNIVERSITY)
    };
    put_on_record(world, &now).await;
    let extend = replacing(&now, pb::ApplicationType::Extend, &old);
    let new = issue(world, extend).await.unwrap();
    let day = |date: &Option<pb::JalaliDate>| {
        let date = date.unwrap();
        JalaliDate::new(
            date.year,
            date.month.try_into().unwrap(),
            date.day.try_into().unwrap(),
        )
        .unwrap()
    };
    assert!(day(&new.valid_until_date) > day(&old.valid_until_date));
    assert_replaced(world, &old, &new).await;
}

fn correct(wrong: &pb::EnrollmentCertificate) -> pb::CorrectEnrollmentCertificateRequest {
    pb::CorrectEnrollmentCertificateRequest {
        dispute_action: String::new(),
        request_id: request_id(),
        validate_only: false,
        name: wrong.name.clone(),
        etag: wrong.etag.clone(),
        addressee: Some(pb::Addressee {
            name_fa: "سفارت درست".to_owned(),
            name_en: String::new(),
        }),
        purpose: pb::Purpose::Translation.into(),
    }
}

async fn a_corrected_certificate_supersedes_the_wrong_one(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let mut row = record(world, UNIVERSITY);
    let old = applied(world, &row).await.enrollment_certificate.unwrap();
    let stale = pb::CorrectEnrollmentCertificateRequest {
        etag: "9".to_owned(),
        ..correct(&old)
    };
    let answer = organization.correct_enrollment_certificate(stale).await;
    refused(answer, Code::Aborted, "ETAG_MISMATCH");
    // The institution has mended the record, the name included.
    let name = row.subject.as_mut().unwrap().name.as_mut().unwrap();
    name.given_name_fa = "درست‌نام".to_owned();
    put_on_record(world, &row).await;
    let request = correct(&old);
    let answer = organization
        .correct_enrollment_certificate(request.clone())
        .await;
    let answer = answer.unwrap();
    let new = answer.enrollment_certificate.unwrap();
    assert_eq!(answer.application.unwrap().replaces, old.name);
    assert_eq!(new.subject, row.subject);
    assert_eq!(new.purpose(), pb::Purpose::Translation);
    assert_eq!(new.addressee.as_ref().unwrap().name_fa, "سفارت درست");
    assert_eq!(new.valid_until_date, old.valid_until_date);
    assert_replaced(world, &old, &new).await;
    let replayed = organization.correct_enrollment_certificate(request).await;
    assert_eq!(replayed.unwrap().enrollment_certificate, Some(new));
    let again = pb::CorrectEnrollmentCertificateRequest {
        etag: String::new(),
        ..correct(&old)
    };
    let answer = organization.correct_enrollment_certificate(again).await;
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], "SUPERSEDED");
}

async fn a_certificate_is_corrected_once_however_many_do_it_at_once(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let row = record(world, UNIVERSITY);
    let old = applied(world, &row).await.enrollment_certificate.unwrap();
    let answers = together(8, |_| {
        let (organization, request) = (organization.clone(), correct(&old));
        async move { organization.correct_enrollment_certificate(request).await }
    })
    .await;
    let mut replaced = Vec::new();
    for answer in answers {
        match answer {
            Ok(answer) => replaced.extend(answer.enrollment_certificate),
            Err(failure) => {
                let reason = failure.reason.as_deref();
                let late = [
                    "OPEN_APPLICATION_EXISTS",
                    "ETAG_MISMATCH",
                    "STATE_TRANSITION_NOT_ALLOWED",
                ];
                assert!(late.contains(&reason.unwrap()), "{failure}");
            }
        }
    }
    assert_eq!(replaced.len(), 1);
    assert_replaced(world, &old, &replaced[0]).await;
}

async fn only_an_active_certificate_of_the_same_student_is_replaced(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let (row, other) = (record(world, UNIVERSITY), record(world, UNIVERSITY));
    let own = applied(world, &row).await.enrollment_certificate.unwrap();
    let strange = applied(world, &other).await.enrollment_certificate.unwrap();
    let request = replacing(&row, pb::ApplicationType::Duplicate, &strange);
    refused(
        issue(world, request).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
    );
    organization
        .suspend_enrollment_certificate(pb::SuspendEnrollmentCertificateRequest {
            request_id: request_id(),
            name: own.name.clone(),
            ..Default::default()
        })
        .await
        .unwrap();
    let request = replacing(&row, pb::ApplicationType::Duplicate, &own);
    let failure = refused(
        issue(world, request).await,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], "SUSPENDED");
    let answer = organization
        .correct_enrollment_certificate(pb::CorrectEnrollmentCertificateRequest {
            etag: String::new(),
            ..correct(&own)
        })
        .await;
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], "SUSPENDED");
}

async fn a_confirmed_paper_stands_in_the_signed_certificate(world: &mut World) {
    reviewed_by(world, true, false).await;
    let university = Peer::of(world, CallerKind::University).await;
    let row = record(world, UNIVERSITY);
    put_on_record(world, &row).await;
    let paper = pb::ExistingDocument {
        number: "P-17".to_owned(),
        issue_date: Some(pb::JalaliDate {
            year: 1404,
            month: 8,
            day: 12,
        }),
    };
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        r#type: pb::ApplicationType::ConfirmExisting.into(),
        existing_document: Some(paper.clone()),
        ..apply(&row)
    };
    // However fresh the record is, somebody looks at the paper.
    let waiting = made(world, request).await;
    assert_eq!(waiting.state(), pb::ApplicationState::UniversityReview);
    assert_eq!(waiting.existing_document.as_ref(), Some(&paper));
    let decision = university_decision(&waiting, pb::UniversityDecision::Confirm);
    let issued = university.record_university_decision(decision).await;
    let issued = issued.unwrap().application.unwrap();
    let certificate = certificate(world, &issued.enrollment_certificate).await;
    assert_eq!(certificate.existing_document, Some(paper));
    let payload = payload(world, &certificate);
    assert_eq!(payload.confirmed_number.as_deref(), Some("P-17"));
    assert_eq!(payload.confirmed_date.as_deref(), Some("1404/08/12"));
}
