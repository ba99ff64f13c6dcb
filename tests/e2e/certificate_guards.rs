//! What stands between an application and an enrollment certificate. Every refusal leaves nothing behind.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CERTIFICATE_CALL, CallerKind, Engine, INELIGIBLE, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::certificates::applied;
use crate::harness::{run_on, soon};
use crate::messages::{apply, instant, record, subject, upsert};
use crate::peer::{Peer, refused};
use crate::raw::Raw;

cases! {
    the_record_decides_whether_a_certificate_is_issued,
}

cases_of_any_engine! {
    without_a_record_there_is_no_certificate,
    a_record_goes_stale,
    the_person_and_the_name_must_be_those_on_record,
    names_are_compared_as_people_write_them,
    an_institution_of_an_ineligible_type_gets_no_certificate,
    the_window_needs_an_open_call_and_an_agreement,
}

async fn store(world: &World, row: &pb::EnrollmentRecord) {
    let university = Peer::of(world, CallerKind::University).await;
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
}

/// The refusal, with and without validate_only, and that it left nothing behind.
async fn refused_without_trace(
    world: &World,
    request: pb::CreateEnrollmentCertificateApplicationRequest,
    code: Code,
    reason: &str,
) -> Box<gavah_client::Failure> {
    let window = Peer::of(world, CallerKind::Window).await;
    let mut raw = Raw::to(world).await;
    let before = raw.everything().await;
    let trial = pb::CreateEnrollmentCertificateApplicationRequest {
        validate_only: true,
        ..request.clone()
    };
    let answer = window
        .create_enrollment_certificate_application(trial)
        .await;
    refused(answer, code, reason);
    let answer = window
        .create_enrollment_certificate_application(request)
        .await;
    let failure = refused(answer, code, reason);
    assert_eq!(raw.everything().await, before);
    failure
}

async fn the_record_decides_whether_a_certificate_is_issued(world: &mut World) {
    type Spoil = fn(&mut pb::EnrollmentRecord);
    let spoiled: [(&str, &str, Spoil); 5] = [
        ("not studying", "ENROLLMENT_NOT_ACTIVE", |row| {
            row.status = pb::EnrollmentStatus::OnLeave.into();
        }),
        ("graduated", "ENROLLMENT_NOT_ACTIVE", |row| {
            row.status = pb::EnrollmentStatus::Graduated.into();
        }),
        ("another term", "ENROLLMENT_NOT_ACTIVE", |row| {
            row.current_term.as_mut().unwrap().academic_year -= 1;
        }),
        ("no units", "ENROLLMENT_NOT_ACTIVE", |row| {
            row.registered_units = 0;
        }),
        ("a block", "RELEASE_BLOCKED", |row| {
            row.blocks = vec![pb::BlockKind::Financial.into()];
        }),
    ];
    for (what, reason, spoil) in spoiled {
        let mut row = record(world, UNIVERSITY);
        spoil(&mut row);
        store(world, &row).await;
        let failure =
            refused_without_trace(world, apply(&row), Code::FailedPrecondition, reason).await;
        assert!(failure.violations.is_empty(), "{what}");
    }
    applied(world, &record(world, UNIVERSITY)).await;
}

async fn without_a_record_there_is_no_certificate(world: &mut World) {
    let row = record(world, UNIVERSITY);
    let reason = "ENROLLMENT_RECORD_NOT_FOUND";
    refused_without_trace(world, apply(&row), Code::FailedPrecondition, reason).await;
    store(world, &row).await;
    let mut another_student = apply(&row);
    another_student.student_number = "40411111111".to_owned();
    refused_without_trace(world, another_student, Code::FailedPrecondition, reason).await;
}

async fn a_record_goes_stale(world: &mut World) {
    let hours_ago = |hours: i64| world.now() - SignedDuration::from_hours(hours);
    let old = pb::EnrollmentRecord {
        as_of_time: Some(instant(hours_ago(25))),
        ..record(world, UNIVERSITY)
    };
    let fresh = pb::EnrollmentRecord {
        as_of_time: Some(instant(hours_ago(23))),
        ..record(world, UNIVERSITY)
    };
    store(world, &old).await;
    store(world, &fresh).await;
    let reason = "ENROLLMENT_RECORD_STALE";
    refused_without_trace(world, apply(&old), Code::FailedPrecondition, reason).await;
    let window = Peer::of(world, CallerKind::Window).await;
    window
        .create_enrollment_certificate_application(apply(&fresh))
        .await
        .unwrap();
    world.clock().advance(SignedDuration::from_hours(2));
    refused_without_trace(world, apply(&fresh), Code::FailedPrecondition, reason).await;
}

async fn the_person_and_the_name_must_be_those_on_record(world: &mut World) {
    let row = record(world, UNIVERSITY);
    store(world, &row).await;
    let mut somebody = apply(&row);
    somebody.subject = Some(subject());
    // Nobody learns whose student number it is.
    let reason = "ENROLLMENT_RECORD_NOT_FOUND";
    refused_without_trace(world, somebody, Code::FailedPrecondition, reason).await;
    let mut misnamed = apply(&row);
    let name = misnamed.subject.as_mut().unwrap().name.as_mut().unwrap();
    name.family_name_fa = "دیگری".to_owned();
    refused_without_trace(
        world,
        misnamed,
        Code::FailedPrecondition,
        "SUBJECT_MISMATCH",
    )
    .await;
}

async fn names_are_compared_as_people_write_them(world: &mut World) {
    let mut row = record(world, UNIVERSITY);
    let name = row.subject.as_mut().unwrap().name.as_mut().unwrap();
    name.given_name_fa = "علی‌رضا".to_owned();
    store(world, &row).await;
    let mut request = apply(&row);
    let name = request.subject.as_mut().unwrap().name.as_mut().unwrap();
    name.given_name_fa = "علي رضا".to_owned();
    let window = Peer::of(world, CallerKind::Window).await;
    let issued = window
        .create_enrollment_certificate_application(request)
        .await
        .unwrap();
    // The name on record is the one that is certified.
    let certified = issued.enrollment_certificate.unwrap().subject.unwrap();
    assert_eq!(certified.name.unwrap().given_name_fa, "علی‌رضا");
}

async fn an_institution_of_an_ineligible_type_gets_no_certificate(world: &mut World) {
    let row = record(world, INELIGIBLE);
    let peer = Peer::of(world, CallerKind::IneligibleUniversity).await;
    peer.upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let reason = "INSTITUTION_TYPE_NOT_ELIGIBLE";
    let failure = refused_without_trace(world, apply(&row), Code::FailedPrecondition, reason).await;
    assert_eq!(failure.metadata["institution_type"], "AZAD");
}

async fn the_window_needs_an_open_call_and_an_agreement(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    store(world, &row).await;
    let trial = || pb::CreateEnrollmentCertificateApplicationRequest {
        validate_only: true,
        ..apply(&row)
    };
    for (reason, call, agreement) in [
        ("AGREEMENT_NOT_ACTIVE", "OPEN", "REQUESTED"),
        ("CALL_NOT_OPEN", "CLOSED", "ACTIVE"),
    ] {
        world
            .reseed(|seed| {
                for of_certificates in &mut seed.call {
                    if of_certificates.id == CERTIFICATE_CALL {
                        of_certificates.state = call.to_owned();
                    }
                }
                for with_window in &mut seed.agreement {
                    if with_window.call == CERTIFICATE_CALL {
                        with_window.state = agreement.to_owned();
                    }
                }
            })
            .await;
        soon(reason, async || {
            let answer = window
                .create_enrollment_certificate_application(trial())
                .await;
            answer
                .err()
                .filter(|failure| failure.reason.as_deref() == Some(reason))
        })
        .await;
        refused_without_trace(world, apply(&row), Code::FailedPrecondition, reason).await;
    }
}

#[test]
fn without_the_terms_of_today_there_is_no_certificate() {
    let world = World::builder(Engine::Sqlite).seed(|seed| seed.term.clear());
    run_on(world, async |world: &mut World| {
        let row = record(world, UNIVERSITY);
        store(world, &row).await;
        let reason = "TERM_NOT_LOADED";
        refused_without_trace(world, apply(&row), Code::FailedPrecondition, reason).await;
    });
}
