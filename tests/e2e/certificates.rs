//! The life of an enrollment certificate, from the record to the revocation.

use std::collections::BTreeSet;

use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_evidence::{CertificatePayload, FileSigner, verify};
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use tonic::Code;

use crate::messages::{apply, date, instant, question, record, request_id, term_of, upsert};
use crate::peer::{Answer, Peer, refused};
use crate::verdicts::verdict;

cases! {
    a_fresh_record_becomes_a_signed_certificate_in_one_call,
    a_certificate_lives_from_issue_to_revocation_and_validates_accordingly,
    serials_are_handed_out_in_order,
    an_older_record_never_replaces_a_newer_one,
    an_event_changes_the_record_unless_the_record_is_newer,
    the_end_of_the_enrollment_ends_the_certificates_that_do_not_outlive_it,
    a_thousand_records_are_stored_each_with_its_own_outcome,
}

/// Has the record stored and applies for its student.
pub(crate) async fn applied(
    world: &World,
    row: &pb::EnrollmentRecord,
) -> pb::CreateEnrollmentCertificateApplicationResponse {
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    window
        .create_enrollment_certificate_application(apply(row))
        .await
        .unwrap()
}

async fn a_fresh_record_becomes_a_signed_certificate_in_one_call(world: &mut World) {
    let row = record(world, UNIVERSITY);
    let answer = applied(world, &row).await;
    let application = answer.application.unwrap();
    let certificate = answer.enrollment_certificate.unwrap();
    assert_eq!(application.state(), pb::ApplicationState::Issued);
    assert_eq!(application.enrollment_certificate, certificate.name);
    assert_eq!(certificate.application, application.name);
    let history: Vec<_> = application
        .history
        .iter()
        .map(pb::StateChange::state)
        .collect();
    assert_eq!(
        history,
        [pb::ApplicationState::Issuing, pb::ApplicationState::Issued]
    );
    assert!(
        application
            .history
            .iter()
            .all(|step| step.actor == "callers/window")
    );
    let quote = application.quote.unwrap();
    assert_eq!(quote.basis(), pb::QuoteBasis::FreeNoTariffRow);
    assert_eq!(quote.budget_year, world.today().year());

    assert_eq!(certificate.state(), pb::DocumentState::Active);
    assert!(certificate.code.starts_with('2') && certificate.code.len() == 20);
    assert_eq!(certificate.subject, row.subject);
    assert_eq!(certificate.program, row.program);
    assert_eq!(certificate.term, Some(term_of(world.today())));
    assert_eq!(
        certificate.issue_date,
        Some(date(JalaliDate::of(world.now())))
    );
    assert!(certificate.valid_until_date.is_some());

    let key = FileSigner::load(&world.dir().join("signing.key")).unwrap();
    let payload = verify(&certificate.signed_document, key.public_key_spki_der()).unwrap();
    let payload = CertificatePayload::decode(&payload).unwrap();
    assert_eq!(payload.code, certificate.code);
    assert_eq!(payload.serial, certificate.serial);
    assert_eq!(payload.name_fa, "آزمایشی ساختگی");
    assert_eq!(payload.addressee_fa, "سفارت آزمایشی");

    let window = Peer::of(world, CallerKind::Window).await;
    let claim = row.subject.unwrap().person_id;
    let read = window
        .get_enrollment_certificate(pb::GetEnrollmentCertificateRequest {
            name: certificate.name.clone(),
            subject_claim: claim.clone(),
        })
        .await
        .unwrap();
    assert_eq!(read.enrollment_certificate.unwrap(), certificate);
    let read = window
        .get_enrollment_certificate_application(pb::GetEnrollmentCertificateApplicationRequest {
            name: application.name.clone(),
            subject_claim: claim.clone(),
        })
        .await
        .unwrap();
    assert_eq!(read.application.unwrap().name, application.name);
    let listed = window
        .list_enrollment_certificate_applications(
            pb::ListEnrollmentCertificateApplicationsRequest {
                subject_claim: claim,
                state: pb::ApplicationState::Issued.into(),
                ..Default::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(listed.applications.len(), 1);

    let hub = Peer::of(world, CallerKind::Hub).await;
    let last_day = certificate.valid_until_date.unwrap();
    let last_day = JalaliDate::new(
        last_day.year,
        last_day.month.try_into().unwrap(),
        last_day.day.try_into().unwrap(),
    );
    let minute = jiff::SignedDuration::from_mins(1);
    let end = last_day.unwrap().end_exclusive();
    for (at, reason) in [
        (end - minute, pb::VerdictReason::Ok),
        (end, pb::VerdictReason::Expired),
    ] {
        world
            .clock()
            .advance(at.duration_since(world.now()) + minute / 2);
        let told = verdict(&hub, question(&certificate.code)).await;
        assert_eq!(told.reason(), reason);
    }
}

#[track_caller]
fn refused_in<T>(answer: Answer<T>, state: &str) {
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], state);
}

async fn a_certificate_lives_from_issue_to_revocation_and_validates_accordingly(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let certificate = applied(world, &record(world, UNIVERSITY)).await;
    let certificate = certificate.enrollment_certificate.unwrap();
    let told = verdict(&hub, question(&certificate.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);

    let suspend = || pb::SuspendEnrollmentCertificateRequest {
        request_id: request_id(),
        name: certificate.name.clone(),
        ..Default::default()
    };
    let reinstate = || pb::ReinstateEnrollmentCertificateRequest {
        request_id: request_id(),
        name: certificate.name.clone(),
        ..Default::default()
    };
    let revoke = || pb::RevokeEnrollmentCertificateRequest {
        request_id: request_id(),
        name: certificate.name.clone(),
        reason: pb::RevocationReason::Fraud.into(),
        ..Default::default()
    };
    let suspended = organization
        .suspend_enrollment_certificate(suspend())
        .await
        .unwrap();
    let suspended = suspended.enrollment_certificate.unwrap();
    assert_eq!(suspended.state(), pb::DocumentState::Suspended);
    let told = verdict(&hub, question(&certificate.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Suspended);
    refused_in(
        organization.suspend_enrollment_certificate(suspend()).await,
        "SUSPENDED",
    );

    let reinstated = organization
        .reinstate_enrollment_certificate(reinstate())
        .await
        .unwrap();
    let reinstated = reinstated.enrollment_certificate.unwrap();
    assert_eq!(reinstated.state(), pb::DocumentState::Active);
    assert_eq!(reinstated.signed_document, certificate.signed_document);
    let told = verdict(&hub, question(&certificate.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);

    let stale = pb::RevokeEnrollmentCertificateRequest {
        etag: certificate.etag.clone(),
        ..revoke()
    };
    let answer = organization.revoke_enrollment_certificate(stale).await;
    refused(answer, Code::Aborted, "ETAG_MISMATCH");
    let revoked = organization
        .revoke_enrollment_certificate(revoke())
        .await
        .unwrap();
    let revoked = revoked.enrollment_certificate.unwrap();
    assert_eq!(revoked.state(), pb::DocumentState::Revoked);
    assert_eq!(
        revoked.revocation.unwrap().revoked_by,
        "callers/organization"
    );
    let told = verdict(&hub, question(&certificate.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Revoked);
    refused_in(
        organization
            .reinstate_enrollment_certificate(reinstate())
            .await,
        "REVOKED",
    );
}

async fn serials_are_handed_out_in_order(world: &mut World) {
    let year = world.today().year();
    for number in 1..=3 {
        let answer = applied(world, &record(world, UNIVERSITY)).await;
        let serial = answer.enrollment_certificate.unwrap().serial;
        assert_eq!(serial, format!("{year}-{number:08}"));
    }
}

async fn an_older_record_never_replaces_a_newer_one(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let row = record(world, UNIVERSITY);
    let minutes_ago =
        |minutes: i64| instant(world.now() - jiff::SignedDuration::from_mins(minutes));
    for (age, units, outcome, stored) in [
        (30, 12, pb::UpsertOutcome::Created, 12),
        (60, 13, pb::UpsertOutcome::KeptNewer, 12),
        (30, 14, pb::UpsertOutcome::Replaced, 14),
        (5, 15, pb::UpsertOutcome::Replaced, 15),
    ] {
        let row = pb::EnrollmentRecord {
            registered_units: units,
            as_of_time: Some(minutes_ago(age)),
            ..row.clone()
        };
        let answer = university
            .upsert_enrollment_record(upsert(row))
            .await
            .unwrap();
        assert_eq!(answer.outcome(), outcome, "{age} minutes old");
        assert_eq!(answer.record.unwrap().registered_units, stored);
    }
}

async fn an_event_changes_the_record_unless_the_record_is_newer(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let row = record(world, UNIVERSITY);
    let event = |as_of| pb::ReportEnrollmentEventRequest {
        request_id: request_id(),
        validate_only: false,
        institution_code: UNIVERSITY.to_owned(),
        student_number: row.program.as_ref().unwrap().student_number.clone(),
        kind: pb::EnrollmentEventKind::Withdrawn.into(),
        effective_date: Some(date(world.today())),
        as_of_time: Some(instant(as_of)),
    };
    let now = world.now();
    let answer = university.report_enrollment_event(event(now)).await;
    refused(
        answer,
        Code::FailedPrecondition,
        "ENROLLMENT_RECORD_NOT_FOUND",
    );
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let hour = jiff::SignedDuration::from_hours(1);
    let old = university
        .report_enrollment_event(event(now - hour))
        .await
        .unwrap();
    assert!(!old.applied);
    assert_eq!(old.record.unwrap().status(), pb::EnrollmentStatus::Studying);
    let new = university
        .report_enrollment_event(event(world.now()))
        .await
        .unwrap();
    assert!(new.applied);
    assert_eq!(
        new.record.unwrap().status(),
        pb::EnrollmentStatus::Withdrawn
    );
    let window = Peer::of(world, CallerKind::Window).await;
    let answer = window
        .create_enrollment_certificate_application(apply(&row))
        .await;
    refused(answer, Code::FailedPrecondition, "ENROLLMENT_NOT_ACTIVE");
}

async fn the_end_of_the_enrollment_ends_the_certificates_that_do_not_outlive_it(world: &mut World) {
    let id = "certificate-outliving";
    world
        .reseed(|seed| {
            let mut workflow = seed.workflow[1].clone();
            id.clone_into(&mut workflow.id);
            workflow.rules.outlives_enrollment = vec!["COURT".to_owned()];
            seed.workflow.push(workflow);
        })
        .await;
    crate::stages::under(world, id).await;
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    type Kind = pb::EnrollmentEventKind;
    let cases = [
        (Some(Kind::Withdrawn), true),
        (Some(Kind::Excluded), true),
        (Some(Kind::Graduated), true),
        (Some(Kind::Deceased), true),
        (Some(Kind::OnLeave), false),
        (Some(Kind::Transferred), false),
        // Told by a record instead of an event.
        (None, true),
    ];
    for (kind, ends) in cases {
        let row = record(world, UNIVERSITY);
        let embassy = applied(world, &row).await.enrollment_certificate.unwrap();
        let court = pb::CreateEnrollmentCertificateApplicationRequest {
            purpose: pb::Purpose::Court.into(),
            addressee: Some(pb::Addressee {
                name_fa: "دادگاه آزمایشی".to_owned(),
                name_en: String::new(),
            }),
            ..apply(&row)
        };
        let court = window
            .create_enrollment_certificate_application(court)
            .await
            .unwrap();
        let court = court.enrollment_certificate.unwrap();
        let suspended = applied(world, &record_of_another_program(world, &row)).await;
        let other_program = suspended.enrollment_certificate.unwrap();
        organization
            .suspend_enrollment_certificate(pb::SuspendEnrollmentCertificateRequest {
                request_id: request_id(),
                name: embassy.name.clone(),
                ..Default::default()
            })
            .await
            .unwrap();
        match kind {
            Some(kind) => {
                let event = pb::ReportEnrollmentEventRequest {
                    request_id: request_id(),
                    institution_code: UNIVERSITY.to_owned(),
                    student_number: row.program.as_ref().unwrap().student_number.clone(),
                    kind: kind.into(),
                    effective_date: Some(date(world.today())),
                    as_of_time: Some(instant(world.now())),
                    ..Default::default()
                };
                let told = university.report_enrollment_event(event).await;
                assert!(told.unwrap().applied);
            }
            None => {
                let graduated = pb::EnrollmentRecord {
                    status: pb::EnrollmentStatus::Graduated.into(),
                    as_of_time: Some(instant(world.now())),
                    ..row.clone()
                };
                let told = university.upsert_enrollment_record(upsert(graduated)).await;
                assert_eq!(told.unwrap().outcome(), pb::UpsertOutcome::Replaced);
            }
        }
        let reason = async |certificate: &pb::EnrollmentCertificate| {
            verdict(&hub, question(&certificate.code)).await.reason()
        };
        let expected = if ends {
            pb::VerdictReason::Revoked
        } else {
            pb::VerdictReason::Suspended
        };
        assert_eq!(reason(&embassy).await, expected, "{kind:?}");
        assert_eq!(reason(&court).await, pb::VerdictReason::Ok, "{kind:?}");
        assert_eq!(
            reason(&other_program).await,
            pb::VerdictReason::Ok,
            "{kind:?}"
        );
        let read = organization
            .get_enrollment_certificate(pb::GetEnrollmentCertificateRequest {
                name: embassy.name.clone(),
                subject_claim: None,
            })
            .await;
        let revocation = read.unwrap().enrollment_certificate.unwrap().revocation;
        assert_eq!(
            revocation.map(|it| (it.reason(), it.revoked_by)),
            ends.then(|| {
                let by = "callers/university".to_owned();
                (pb::RevocationReason::EnrollmentEnded, by)
            }),
            "{kind:?}"
        );
    }
}

/// The same student in another programme of the institution.
fn record_of_another_program(world: &World, row: &pb::EnrollmentRecord) -> pb::EnrollmentRecord {
    pb::EnrollmentRecord {
        subject: row.subject.clone(),
        ..record(world, UNIVERSITY)
    }
}

async fn a_thousand_records_are_stored_each_with_its_own_outcome(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut records: Vec<_> = (0..1000).map(|_| record(world, UNIVERSITY)).collect();
    records[3].registered_units = 31;
    records[500].subject = None;
    records[998].program = records[997].program.clone();
    let answer = university
        .batch_upsert_enrollment_records(pb::BatchUpsertEnrollmentRecordsRequest {
            request_id: request_id(),
            validate_only: false,
            records,
        })
        .await
        .unwrap();
    assert_eq!(answer.rows.len(), 1000);
    let names: BTreeSet<_> = answer.rows.iter().map(|row| &row.name).collect();
    // Two failed and have none; two are of one student.
    assert_eq!(names.len(), 998);
    for (index, row) in answer.rows.iter().enumerate() {
        let status = row.status.as_ref().unwrap();
        let expected = match index {
            3 | 500 => (Code::InvalidArgument, pb::UpsertOutcome::Unspecified),
            998 => (Code::Ok, pb::UpsertOutcome::Replaced),
            _ => (Code::Ok, pb::UpsertOutcome::Created),
        };
        assert_eq!(
            (Code::from_i32(status.code), row.outcome()),
            expected,
            "{index}"
        );
    }
}
