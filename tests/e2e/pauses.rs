//! Pausing the issuing of documents: at once, everywhere, and nothing but issuing.

use gavah_api::v1 as pb;
use gavah_testkit::world::{
    CENTRAL_BODY, CallerKind, Engine, OTHER_UNIVERSITY, UNIT, UNIVERSITY, UNIVERSITY_ALIAS, World,
};
use tonic::Code;

use crate::feed::settled;
use crate::harness::{run_on, soon, together};
use crate::messages::{apply, issue, question, record, request_id, upsert};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::verdicts::verdict;

cases! {
    a_paused_service_issues_nothing_and_validates_everything,
    a_pause_of_one_institution_concerns_no_other,
    a_pause_and_its_end_are_acts_of_their_own,
    of_many_who_pause_at_once_one_does,
}

cases_of_any_engine! {
    only_the_organization_pauses,
    everything_that_is_wrong_with_a_pause_is_told_at_once,
    what_is_checked_only_changes_nothing,
    a_certificate_is_not_issued_while_they_are_paused,
    a_stream_under_way_is_paused_too,
    the_units_of_a_central_body_pause_with_it,
}

fn everywhere(service: pb::ServiceKind) -> pb::PauseIssuanceRequest {
    pb::PauseIssuanceRequest {
        request_id: request_id(),
        validate_only: false,
        service: service.into(),
        institution_code: String::new(),
        reason: "synthetic incident".to_owned(),
    }
}

fn codes_of(institution: &str) -> pb::PauseIssuanceRequest {
    pb::PauseIssuanceRequest {
        institution_code: institution.to_owned(),
        ..everywhere(pb::ServiceKind::ValidityCode)
    }
}

fn end_of(pause: &pb::PauseIssuanceRequest) -> pb::ResumeIssuanceRequest {
    pb::ResumeIssuanceRequest {
        request_id: request_id(),
        validate_only: false,
        service: pause.service,
        institution_code: pause.institution_code.clone(),
    }
}

async fn paused(world: &World, peer: &Peer, institution: &str) {
    let answer = peer.issue_validity_code(issue(world, institution)).await;
    refused(answer, Code::FailedPrecondition, "ISSUANCE_PAUSED");
}

async fn not_paused(world: &World, peer: &Peer, institution: &str) {
    let answer = peer.issue_validity_code(issue(world, institution)).await;
    answer.unwrap();
}

async fn only_the_organization_pauses(world: &mut World) {
    let pause = everywhere(pb::ServiceKind::ValidityCode);
    for kind in CallerKind::ONE_OF_EACH_CLASS {
        if kind == CallerKind::Organization {
            continue;
        }
        let peer = Peer::of(world, kind).await;
        let (code, reason) = (Code::PermissionDenied, "METHOD_NOT_ALLOWED_FOR_CLASS");
        refused(peer.pause_issuance(pause.clone()).await, code, reason);
        refused(peer.resume_issuance(end_of(&pause)).await, code, reason);
    }
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let list = auditor.list_issuance_pauses(pb::ListIssuancePausesRequest {});
    assert_eq!(list.await.unwrap().pauses, []);
}

async fn everything_that_is_wrong_with_a_pause_is_told_at_once(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let wrong = pb::PauseIssuanceRequest {
        request_id: "7".to_owned(),
        service: 0,
        institution_code: "no/code".to_owned(),
        reason: String::new(),
        validate_only: false,
    };
    let failure = organization.pause_issuance(wrong).await.unwrap_err();
    let mut found: Vec<_> = failure
        .violations
        .iter()
        .map(|it| (it.field.as_str(), it.reason.as_str()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("institution_code", "FIELD_FORMAT"),
            ("reason", "FIELD_REQUIRED"),
            ("request_id", "FIELD_FORMAT"),
            ("service", "FIELD_REQUIRED"),
        ]
    );
    let unknown = organization.pause_issuance(codes_of("9999")).await;
    refused(unknown, Code::NotFound, "RESOURCE_NOT_FOUND");
    let none = end_of(&everywhere(pb::ServiceKind::ValidityCode));
    let none = organization.resume_issuance(none).await;
    refused(none, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn what_is_checked_only_changes_nothing(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let check = |pause: &pb::PauseIssuanceRequest| pb::PauseIssuanceRequest {
        validate_only: true,
        ..pause.clone()
    };
    let pause = codes_of(UNIVERSITY);
    let answer = organization.pause_issuance(check(&pause)).await.unwrap();
    assert_eq!(answer.pause, None);
    not_paused(world, &university, UNIVERSITY).await;
    let unknown = organization.pause_issuance(check(&codes_of("9999"))).await;
    refused(unknown, Code::NotFound, "RESOURCE_NOT_FOUND");
    let end = pb::ResumeIssuanceRequest {
        validate_only: true,
        ..end_of(&pause)
    };
    let none = organization.resume_issuance(end.clone()).await;
    refused(none, Code::NotFound, "RESOURCE_NOT_FOUND");
    organization.pause_issuance(pause.clone()).await.unwrap();
    let again = organization.pause_issuance(check(&pause)).await;
    refused(again, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
    organization.resume_issuance(end).await.unwrap();
    paused(world, &university, UNIVERSITY).await;
}

async fn a_paused_service_issues_nothing_and_validates_everything(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let request = issue(world, UNIVERSITY);
    let before = university.issue_validity_code(request.clone()).await;
    let before = before.unwrap().validity_code.unwrap();
    let pause = everywhere(pb::ServiceKind::ValidityCode);
    organization.pause_issuance(pause.clone()).await.unwrap();
    paused(world, &university, UNIVERSITY).await;
    paused(world, &other, OTHER_UNIVERSITY).await;
    // What was granted is answered as before, and is as good as before.
    let replay = university.issue_validity_code(request).await.unwrap();
    assert_eq!(replay.validity_code.as_ref(), Some(&before));
    let told = verdict(&hub, question(&before.code)).await;
    assert_eq!(told.outcome(), pb::Outcome::Valid);
    // A check says what an act would come to.
    let check = pb::IssueValidityCodeRequest {
        validate_only: true,
        ..issue(world, UNIVERSITY)
    };
    let check = university.issue_validity_code(check).await;
    refused(check, Code::FailedPrecondition, "ISSUANCE_PAUSED");
    organization.resume_issuance(end_of(&pause)).await.unwrap();
    not_paused(world, &university, UNIVERSITY).await;
}

async fn a_pause_of_one_institution_concerns_no_other(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let pause = codes_of(UNIVERSITY_ALIAS);
    let answer = organization.pause_issuance(pause.clone()).await.unwrap();
    let told = answer.pause.unwrap();
    assert_eq!(told.institution_code, UNIVERSITY);
    assert_eq!(told.reason, pause.reason);
    assert_eq!(told.service(), pb::ServiceKind::ValidityCode);
    let by = format!("callers/{}", CallerKind::Organization.id());
    assert_eq!(told.paused_by, by);
    let list = organization.list_issuance_pauses(pb::ListIssuancePausesRequest {});
    assert_eq!(list.await.unwrap().pauses, [told]);
    paused(world, &university, UNIVERSITY).await;
    not_paused(world, &other, OTHER_UNIVERSITY).await;
    organization.resume_issuance(end_of(&pause)).await.unwrap();
    not_paused(world, &university, UNIVERSITY).await;
}

async fn a_pause_and_its_end_are_acts_of_their_own(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let pause = codes_of(UNIVERSITY);
    let first = organization.pause_issuance(pause.clone()).await.unwrap();
    let replay = organization.pause_issuance(pause.clone()).await.unwrap();
    assert_eq!(first, replay);
    let again = organization.pause_issuance(codes_of(UNIVERSITY)).await;
    refused(again, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
    let other = pb::PauseIssuanceRequest {
        reason: "another".to_owned(),
        ..pause.clone()
    };
    let reused = organization.pause_issuance(other).await;
    refused(reused, Code::AlreadyExists, "REQUEST_ID_REUSED");
    let end = end_of(&pause);
    let ended = organization.resume_issuance(end.clone()).await.unwrap();
    let told = ended.pause.clone().unwrap();
    assert!(!told.in_force);
    assert_eq!(organization.resume_issuance(end).await.unwrap(), ended);
    // The first request again tells of the pause as it is by now.
    let replay = organization.pause_issuance(pause.clone()).await.unwrap();
    assert_eq!(replay.pause, Some(told));
    organization
        .pause_issuance(codes_of(UNIVERSITY))
        .await
        .unwrap();
    settled(world).await;
    let entries = auditor.list_audit_entries(pb::ListAuditEntriesRequest {
        resource: first.pause.unwrap().name,
        page_size: 100,
        ..Default::default()
    });
    let entries = entries.await.unwrap().entries;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let states = (entry.from_state.as_str(), entry.to_state.as_str());
            (
                entry.action.as_str(),
                states,
                entry.institution_code.as_str(),
            )
        })
        .collect();
    let paused = ("PAUSE", ("", "PAUSED"), UNIVERSITY);
    let resumed = ("RESUME", ("PAUSED", ""), UNIVERSITY);
    assert_eq!(told, [paused, resumed, paused]);
}

async fn of_many_who_pause_at_once_one_does(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    for _ in 0..2 {
        let answers = together(8, |_| {
            let peer = organization.clone();
            async move { peer.pause_issuance(codes_of(UNIVERSITY)).await }
        })
        .await;
        let (done, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for other in others {
            refused(other, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
        }
        let end = end_of(&codes_of(UNIVERSITY));
        organization.resume_issuance(end).await.unwrap();
    }
    let mut raw = Raw::to(world).await;
    let acts = "SELECT count(*) FROM audit_entry WHERE resource LIKE 'issuancePauses/%'";
    assert_eq!(raw.number(acts).await, 4);
}

async fn a_certificate_is_not_issued_while_they_are_paused(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let pause = everywhere(pb::ServiceKind::EnrollmentCertificate);
    organization.pause_issuance(pause.clone()).await.unwrap();
    let answer = window
        .create_enrollment_certificate_application(apply(&row))
        .await;
    refused(answer, Code::FailedPrecondition, "ISSUANCE_PAUSED");
    // The other service goes on.
    not_paused(world, &university, UNIVERSITY).await;
    organization.resume_issuance(end_of(&pause)).await.unwrap();
    let answer = window
        .create_enrollment_certificate_application(apply(&row))
        .await;
    answer.unwrap();
}

async fn a_stream_under_way_is_paused_too(world: &mut World) {
    use crate::streams::{issued, row, row_refused, start};
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let mut talk = start(&university, &request_id()).await;
    talk.say(row(0, &issue(world, UNIVERSITY))).await;
    issued(&talk.answer().await.unwrap().unwrap());
    let pause = codes_of(UNIVERSITY);
    organization.pause_issuance(pause.clone()).await.unwrap();
    talk.say(row(1, &issue(world, UNIVERSITY))).await;
    let answer = talk.answer().await.unwrap().unwrap();
    row_refused(&answer, Code::FailedPrecondition, "ISSUANCE_PAUSED");
    organization.resume_issuance(end_of(&pause)).await.unwrap();
    talk.say(row(2, &issue(world, UNIVERSITY))).await;
    issued(&talk.answer().await.unwrap().unwrap());
}

async fn the_units_of_a_central_body_pause_with_it(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let central = Peer::of(world, CallerKind::CentralBody).await;
    let university = Peer::of(world, CallerKind::University).await;
    organization
        .pause_issuance(codes_of(CENTRAL_BODY))
        .await
        .unwrap();
    paused(world, &central, UNIT).await;
    not_paused(world, &university, UNIVERSITY).await;
}

#[test]
fn a_pause_reaches_every_node_and_survives_a_new_start() {
    run_on(
        World::builder(Engine::Postgres),
        async |world: &mut World| {
            let second = world.add_node().await;
            let here = Peer::of(world, CallerKind::Organization).await;
            let there = Peer::new(world.client_of(second, CallerKind::University).await);
            here.pause_issuance(codes_of(UNIVERSITY)).await.unwrap();
            let failure = soon("the pause on the other node", async || {
                there
                    .issue_validity_code(issue(world, UNIVERSITY))
                    .await
                    .err()
            })
            .await;
            refused::<()>(Err(failure), Code::FailedPrecondition, "ISSUANCE_PAUSED");
            world.node_mut(second).stop().await;
            let third = world.add_node().await;
            let there = Peer::new(world.client_of(third, CallerKind::University).await);
            paused(world, &there, UNIVERSITY).await;
        },
    );
}
