//! The retry key: one id, one act, one answer, whatever happened since.

use std::collections::BTreeSet;

use gavah_api::v1 as pb;
use gavah_testkit::world::{
    CERTIFICATE_CALL, CODE_CALL, CallerKind, EXPERT, OTHER_UNIVERSITY, UNIVERSITY, World,
};
use tonic::Code;

use crate::certificates::applied;
use crate::harness::{soon, together};
use crate::messages::{apply, issue, record, request_id, upsert};
use crate::peer::{Peer, refused};
use crate::raw::Raw;

cases! {
    fifty_calls_with_one_request_id_at_once_issue_one_code,
    fifty_calls_for_one_student_at_once_issue_one_code,
    ten_applications_with_one_request_id_at_once_issue_one_certificate,
    a_replay_gets_the_first_answer_although_the_guards_refuse_by_now,
    a_refused_request_id_works_once_the_reason_is_gone,
}

cases_of_any_engine! {
    callers_do_not_share_their_request_ids,
    a_replay_shows_the_document_as_it_is_by_now,
}

async fn fifty_calls_with_one_request_id_at_once_issue_one_code(world: &mut World) {
    let peer = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let answers = together(50, |_| {
        let (peer, request) = (peer.clone(), request.clone());
        async move { peer.issue_validity_code(request).await }
    })
    .await;
    let codes: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().validity_code.unwrap())
        .collect();
    assert!(codes.iter().all(|code| code == &codes[0]));
    let mut raw = Raw::to(world).await;
    assert_eq!(raw.number("SELECT count(*) FROM validity_code").await, 1);
}

async fn fifty_calls_for_one_student_at_once_issue_one_code(world: &mut World) {
    let peer = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let answers = together(50, |_| {
        let (peer, mut request) = (peer.clone(), request.clone());
        request.request_id = request_id();
        async move { peer.issue_validity_code(request).await }
    })
    .await;
    let (issued, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(issued.len(), 1);
    let code = issued
        .into_iter()
        .next()
        .unwrap()
        .unwrap()
        .validity_code
        .unwrap();
    for other in others {
        let failure = refused(other, Code::AlreadyExists, "CODE_ALREADY_ISSUED");
        assert_eq!(failure.metadata["resource"], code.name);
    }
}

async fn ten_applications_with_one_request_id_at_once_issue_one_certificate(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let request = apply(&row);
    let answers = together(10, |_| {
        let (window, request) = (window.clone(), request.clone());
        async move {
            window
                .create_enrollment_certificate_application(request)
                .await
        }
    })
    .await;
    let names: BTreeSet<_> = answers
        .into_iter()
        .map(|answer| {
            let certificate = answer.unwrap().enrollment_certificate.unwrap();
            assert!(!certificate.signed_document.is_empty());
            (
                certificate.name,
                certificate.code,
                certificate.signed_document,
            )
        })
        .collect();
    assert_eq!(names.len(), 1);
    let mut raw = Raw::to(world).await;
    let count = raw
        .number("SELECT count(*) FROM enrollment_certificate")
        .await;
    assert_eq!(count, 1);
}

/// The active expert of the university in another state.
pub(crate) async fn set_expert(world: &World, state: pb::ExpertState) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let expert = pb::Expert {
        institution_code: UNIVERSITY.to_owned(),
        expert_code: EXPERT.to_owned(),
        display_name_fa: "کارشناس آزمایشی".to_owned(),
        state: state.into(),
        ..Default::default()
    };
    organization
        .update_expert(pb::UpdateExpertRequest {
            request_id: request_id(),
            validate_only: false,
            expert: Some(expert),
        })
        .await
        .unwrap();
}

async fn a_replay_gets_the_first_answer_although_the_guards_refuse_by_now(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let request = issue(world, UNIVERSITY);
    let first = university
        .issue_validity_code(request.clone())
        .await
        .unwrap();
    let row = record(world, UNIVERSITY);
    let certificate = applied(world, &row).await.enrollment_certificate.unwrap();
    let application = apply(&row);
    let applied = window
        .create_enrollment_certificate_application(application.clone())
        .await
        .unwrap();
    assert_ne!(
        applied.enrollment_certificate.as_ref().unwrap().name,
        certificate.name
    );

    set_expert(world, pb::ExpertState::Inactive).await;
    let answer = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    refused(answer, Code::FailedPrecondition, "EXPERT_NOT_ACTIVE");
    let again = university
        .issue_validity_code(request.clone())
        .await
        .unwrap();
    assert_eq!(again, first);

    let blocked = pb::EnrollmentRecord {
        blocks: vec![pb::BlockKind::Legal.into()],
        as_of_time: Some(crate::messages::instant(world.now())),
        ..row.clone()
    };
    university
        .upsert_enrollment_record(upsert(blocked))
        .await
        .unwrap();
    let answer = window
        .create_enrollment_certificate_application(apply(&row))
        .await;
    refused(answer, Code::FailedPrecondition, "RELEASE_BLOCKED");
    let again = window
        .create_enrollment_certificate_application(application.clone())
        .await
        .unwrap();
    assert_eq!(again, applied);

    world
        .reseed(|seed| {
            for call in &mut seed.call {
                assert!([CODE_CALL, CERTIFICATE_CALL].contains(&call.id.as_str()));
                call.state = "CLOSED".to_owned();
            }
        })
        .await;
    soon("the closed call", async || {
        let answer = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        let failure = answer.err()?;
        (failure.reason.as_deref() == Some("CALL_NOT_OPEN")).then_some(())
    })
    .await;
    let again = university
        .issue_validity_code(request.clone())
        .await
        .unwrap();
    assert_eq!(again, first);
    let again = window
        .create_enrollment_certificate_application(application)
        .await
        .unwrap();
    assert_eq!(again, applied);
    let other_body = pb::IssueValidityCodeRequest {
        external_ref: "another".to_owned(),
        ..request
    };
    let answer = university.issue_validity_code(other_body).await;
    refused(answer, Code::AlreadyExists, "REQUEST_ID_REUSED");
}

async fn a_refused_request_id_works_once_the_reason_is_gone(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    set_expert(world, pb::ExpertState::Inactive).await;
    let request = issue(world, UNIVERSITY);
    let answer = university.issue_validity_code(request.clone()).await;
    refused(answer, Code::FailedPrecondition, "EXPERT_NOT_ACTIVE");
    set_expert(world, pb::ExpertState::Active).await;
    university.issue_validity_code(request).await.unwrap();

    let row = record(world, UNIVERSITY);
    let application = apply(&row);
    let answer = window
        .create_enrollment_certificate_application(application.clone())
        .await;
    refused(
        answer,
        Code::FailedPrecondition,
        "ENROLLMENT_RECORD_NOT_FOUND",
    );
    university
        .upsert_enrollment_record(upsert(row))
        .await
        .unwrap();
    let answer = window
        .create_enrollment_certificate_application(application)
        .await;
    assert!(answer.unwrap().enrollment_certificate.is_some());
}

async fn callers_do_not_share_their_request_ids(world: &mut World) {
    let id = request_id();
    let mut codes = BTreeSet::new();
    for (kind, institution) in [
        (CallerKind::University, UNIVERSITY),
        (CallerKind::OtherUniversity, OTHER_UNIVERSITY),
    ] {
        let peer = Peer::of(world, kind).await;
        let request = pb::IssueValidityCodeRequest {
            request_id: id.clone(),
            ..issue(world, institution)
        };
        let issued = peer.issue_validity_code(request).await.unwrap();
        codes.insert(issued.validity_code.unwrap().code);
        // Nor do methods.
        let answer = peer
            .upsert_enrollment_record(pb::UpsertEnrollmentRecordRequest {
                request_id: id.clone(),
                ..upsert(record(world, institution))
            })
            .await;
        answer.unwrap();
    }
    assert_eq!(codes.len(), 2);
}

async fn a_replay_shows_the_document_as_it_is_by_now(world: &mut World) {
    let peer = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let issued = peer.issue_validity_code(request.clone()).await.unwrap();
    let code = issued.validity_code.unwrap();
    let revoke = pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: code.name.clone(),
        reason: pb::RevocationReason::IssuedInError.into(),
        ..Default::default()
    };
    peer.revoke_validity_code(revoke).await.unwrap();
    let again = peer
        .issue_validity_code(request)
        .await
        .unwrap()
        .validity_code
        .unwrap();
    assert_eq!((&again.name, &again.code), (&code.name, &code.code));
    assert_eq!(again.state(), pb::DocumentState::Revoked);
}
