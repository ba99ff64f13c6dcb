//! What a ruling ordered and can no longer be done holds up nothing, or is closed.

use gavah_api::v1 as pb;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, World};
use tonic::Code;

use crate::disputes::{code, order, read};
use crate::disputes_ordered::{heard, issued_anew, ordered, revoke};
use crate::harness::together;
use crate::messages::request_id;
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use pb::OrderedActionState as S;

cases! {
    what_was_ended_by_other_ways_holds_up_nothing,
    an_action_that_can_no_longer_be_done_is_closed,
    of_closing_and_doing_at_once_one_happens,
}

cases_of_any_engine! {
    what_cannot_be_closed_is_refused,
}

async fn parties(world: &World) -> (Peer, Peer) {
    (
        Peer::of(world, CallerKind::University).await,
        Peer::of(world, CallerKind::Organization).await,
    )
}

pub(crate) fn close(action: &str) -> pb::CloseDisputeActionRequest {
    pb::CloseDisputeActionRequest {
        request_id: request_id(),
        name: action.to_owned(),
        reason: "دلیل محرمانه".to_owned(),
        ..Default::default()
    }
}

async fn what_cannot_be_closed_is_refused(world: &mut World) {
    let (university, organization) = parties(world).await;
    let code = code(world, &university).await;
    let orders = vec![order(pb::OrderedAct::Revoke, &code.name)];
    let (dispute, actions) = ordered(world, &code.name, orders).await;
    let wrong = pb::CloseDisputeActionRequest {
        request_id: String::new(),
        name: dispute.name.clone(),
        reason: String::new(),
        ..Default::default()
    };
    let refusal = organization.close_dispute_action(wrong).await.unwrap_err();
    let mut told: Vec<_> = refusal
        .violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.reason.as_str()))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("name", "FIELD_FORMAT"),
            ("reason", "FIELD_REQUIRED"),
            ("request_id", "FIELD_REQUIRED"),
        ]
    );
    let answer = university.close_dispute_action(close(&actions[0])).await;
    refused(
        answer,
        Code::PermissionDenied,
        "METHOD_NOT_ALLOWED_FOR_CLASS",
    );
    let asked = async |request: pb::CloseDisputeActionRequest, validate_only: bool| {
        let request = pb::CloseDisputeActionRequest {
            validate_only,
            ..request
        };
        organization.close_dispute_action(request).await
    };
    for validate_only in [true, false] {
        for nothing in [
            format!("{}/actions/2", dispute.name),
            format!("disputes/{}/actions/1", fixtures::id()),
        ] {
            let answer = asked(close(&nothing), validate_only).await;
            refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        }
        let old = pb::CloseDisputeActionRequest {
            etag: "1".to_owned(),
            ..close(&actions[0])
        };
        let answer = asked(old, validate_only).await;
        refused(answer, Code::Aborted, "ETAG_MISMATCH");
    }
    let revocation = revoke(&code.name, &actions[0]);
    organization.revoke_validity_code(revocation).await.unwrap();
    for validate_only in [true, false] {
        let answer = asked(close(&actions[0]), validate_only).await;
        let (code, reason) = (Code::FailedPrecondition, "STATE_TRANSITION_NOT_ALLOWED");
        assert_eq!(refused(answer, code, reason).metadata["state"], "DONE");
    }
}

async fn what_was_ended_by_other_ways_holds_up_nothing(world: &mut World) {
    let (university, organization) = parties(world).await;
    let old = code(world, &university).await;
    let orders = vec![
        order(pb::OrderedAct::Correct, &old.name),
        order(pb::OrderedAct::Revoke, &old.name),
        order(pb::OrderedAct::Reissue, &old.name),
    ];
    let (dispute, actions) = ordered(world, &old.name, orders).await;
    // What the act itself ends was not ended before it.
    for validate_only in [true, false] {
        let request = pb::RevokeValidityCodeRequest {
            validate_only,
            ..revoke(&old.name, &actions[1])
        };
        let answer = organization.revoke_validity_code(request).await;
        let refusal = refused(answer, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
        assert_eq!(refusal.metadata["why"], "EARLIER_NOT_DONE");
    }
    organization
        .revoke_validity_code(revoke(&old.name, ""))
        .await
        .unwrap();
    for validate_only in [true, false] {
        let request = pb::IssueValidityCodeRequest {
            validate_only,
            ..issued_anew(world, &old, &actions[2])
        };
        university.issue_validity_code(request).await.unwrap();
    }
    let told = read(&university, &dispute.name).await.ruling.unwrap();
    let states: Vec<_> = told.actions.iter().map(|action| action.state()).collect();
    assert_eq!(states, [S::Open, S::Open, S::Done]);
}

async fn an_action_that_can_no_longer_be_done_is_closed(world: &mut World) {
    let (university, organization) = parties(world).await;
    let (old, other) = (
        code(world, &university).await,
        code(world, &university).await,
    );
    let orders = vec![
        order(pb::OrderedAct::Reissue, &old.name),
        order(pb::OrderedAct::Revoke, &other.name),
    ];
    let (dispute, actions) = ordered(world, &old.name, orders).await;
    let answer = organization.revoke_validity_code(revoke(&other.name, &actions[1]));
    let refusal = refused(answer.await, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
    assert_eq!(refusal.metadata["why"], "EARLIER_NOT_DONE");

    let request = pb::CloseDisputeActionRequest {
        etag: dispute.etag.clone(),
        ..close(&actions[0])
    };
    let trial = pb::CloseDisputeActionRequest {
        validate_only: true,
        ..request.clone()
    };
    let trial = organization.close_dispute_action(trial).await.unwrap();
    assert_eq!(trial.dispute, None);
    let closed = organization.close_dispute_action(request.clone()).await;
    let closed = closed.unwrap();
    let repeated = organization.close_dispute_action(request).await.unwrap();
    assert_eq!(repeated, closed);
    let told = read(&university, &dispute.name).await;
    assert_eq!(Some(&told), closed.dispute.as_ref());
    assert_ne!(told.etag, dispute.etag);
    let action = &told.ruling.unwrap().actions[0];
    assert_eq!(action.state(), S::Closed);
    assert_eq!(
        [&action.close_reason, &action.done_by, &action.result],
        ["دلیل محرمانه", "callers/organization", ""]
    );
    assert!(action.done_time.is_some());

    for validate_only in [true, false] {
        let request = pb::IssueValidityCodeRequest {
            validate_only,
            // Of another kind, so that only the ruling stands in the way.
            document_kind: pb::DocumentKind::Transcript.into(),
            ..issued_anew(world, &old, &actions[0])
        };
        let answer = university.issue_validity_code(request).await;
        let refusal = refused(answer, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
        assert_eq!(refusal.metadata["why"], "CLOSED");
        let again = pb::CloseDisputeActionRequest {
            validate_only,
            ..close(&actions[0])
        };
        let answer = organization.close_dispute_action(again).await;
        let (code, reason) = (Code::FailedPrecondition, "STATE_TRANSITION_NOT_ALLOWED");
        assert_eq!(refused(answer, code, reason).metadata["state"], "CLOSED");
    }
    organization
        .revoke_validity_code(revoke(&other.name, &actions[1]))
        .await
        .unwrap();

    let heard = heard(world, &university, &dispute.name).await;
    let told = [
        "OPEN",
        "CONSENT",
        "CONSENT",
        "RULE",
        "CLOSE_ACTION",
        "FULFIL",
    ];
    assert_eq!(heard, told);
    let mut raw = Raw::to(world).await;
    let entries = format!(
        "SELECT count(*) FROM audit_entry WHERE resource = '{}' AND action = 'CLOSE_ACTION' \
         AND reason LIKE '{}; sha256 %'",
        dispute.name, actions[0]
    );
    assert_eq!(raw.number(&entries).await, 1);
}

async fn of_closing_and_doing_at_once_one_happens(world: &mut World) {
    let (university, organization) = parties(world).await;
    for _ in 0..4 {
        let code = code(world, &university).await;
        let orders = vec![order(pb::OrderedAct::Revoke, &code.name)];
        let (dispute, actions) = ordered(world, &code.name, orders).await;
        let answers = together(2, |index| {
            let organization = organization.clone();
            let (close, revoke) = (close(&actions[0]), revoke(&code.name, &actions[0]));
            async move {
                match index {
                    0 => organization.close_dispute_action(close).await.map(drop),
                    _ => organization.revoke_validity_code(revoke).await.map(drop),
                }
            }
        })
        .await;
        let action = read(&university, &dispute.name).await.ruling.unwrap();
        match (&answers[..], action.actions[0].state()) {
            ([Ok(()), Err(late)], S::Closed) => {
                assert_eq!(late.reason.as_deref(), Some("ACTION_NOT_ORDERED"));
            }
            ([Err(late), Ok(())], S::Done) => {
                let reason = late.reason.as_deref();
                assert_eq!(reason, Some("STATE_TRANSITION_NOT_ALLOWED"));
            }
            other => panic!("not exactly one happened: {other:?}"),
        }
    }
}
