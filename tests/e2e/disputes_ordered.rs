//! What a ruling orders is done by the ordinary calls, each once and in its order, and linked both ways.

use gavah_api::v1 as pb;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, OTHER_UNIVERSITY, UNIVERSITY, World};
use tonic::Code;

use crate::certificates::applied;
use crate::code_stages::{cancel, code_of, create, offered};
use crate::disputes::{code, order, read, ready, ruling};
use crate::feed::everything;
use crate::harness::together;
use crate::messages::{apply, correct, issue, record, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;

cases! {
    a_revocation_and_a_reissue_are_done_in_their_order,
    a_correction_is_done_once_and_linked_both_ways,
    of_many_who_do_an_ordered_act_at_once_one_does,
    certificates_are_corrected_revoked_and_issued_anew_as_ordered,
    the_window_issues_anew_what_is_ordered_in_a_dispute_of_the_institution,
    an_institution_does_what_is_ordered_in_a_dispute_of_the_hub,
    a_code_that_goes_through_stages_is_applied_for_as_ordered,
}

cases_of_any_engine! {
    what_is_not_ordered_is_not_done_under_a_ruling,
}

async fn parties(world: &World) -> (Peer, Peer) {
    (
        Peer::of(world, CallerKind::University).await,
        Peer::of(world, CallerKind::Organization).await,
    )
}

/// A ruling on the subject that orders these; the names of the actions.
pub(crate) async fn ordered(
    world: &World,
    subject: &str,
    actions: Vec<pb::OrderedAction>,
) -> (pb::Dispute, Vec<String>) {
    let (university, organization) = parties(world).await;
    let dispute = ready(&university, &organization, subject).await;
    let ruled = organization.rule_dispute(ruling(&dispute, actions)).await;
    let ruled = ruled.unwrap().dispute.unwrap();
    let actions = ruled.ruling.clone().unwrap().actions;
    let names = actions.into_iter().map(|action| action.name);
    (ruled, names.collect())
}

/// What a caller hears was done to a resource.
pub(crate) async fn heard(world: &World, peer: &Peer, resource: &str) -> Vec<String> {
    let changes = everything(world, peer).await.into_iter();
    let of = changes.filter(|change| change.resource == resource);
    of.map(|change| change.action).collect()
}

pub(crate) fn revoke(name: &str, dispute_action: &str) -> pb::RevokeValidityCodeRequest {
    pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: name.to_owned(),
        reason: pb::RevocationReason::IssuedInError.into(),
        dispute_action: dispute_action.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn issued_anew(
    world: &World,
    code: &pb::ValidityCode,
    dispute_action: &str,
) -> pb::IssueValidityCodeRequest {
    pb::IssueValidityCodeRequest {
        subject: code.subject.clone(),
        program: code.program.clone(),
        dispute_action: dispute_action.to_owned(),
        ..issue(world, UNIVERSITY)
    }
}

async fn links(peer: &Peer, name: &str) -> Vec<String> {
    let name = name.to_owned();
    let read = peer.get_validity_code(pb::GetValidityCodeRequest { name });
    read.await.unwrap().dispute_actions
}

async fn a_revocation_and_a_reissue_are_done_in_their_order(world: &mut World) {
    let (university, organization) = parties(world).await;
    let old = code(world, &university).await;
    let orders = vec![
        order(pb::OrderedAct::Revoke, &old.name),
        order(pb::OrderedAct::Reissue, &old.name),
    ];
    let (dispute, actions) = ordered(world, &old.name, orders).await;
    for validate_only in [true, false] {
        let request = pb::IssueValidityCodeRequest {
            validate_only,
            // Of another kind, so that only the order stands in the way.
            document_kind: pb::DocumentKind::Transcript.into(),
            ..issued_anew(world, &old, &actions[1])
        };
        let answer = university.issue_validity_code(request).await;
        let refusal = refused(answer, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
        assert_eq!(refusal.metadata["why"], "EARLIER_NOT_DONE");
    }
    let revocation = revoke(&old.name, &actions[0]);
    let revoked = organization.revoke_validity_code(revocation.clone()).await;
    assert_eq!(
        revoked.unwrap().validity_code.unwrap().state(),
        pb::DocumentState::Revoked
    );
    // A repetition does it once.
    organization.revoke_validity_code(revocation).await.unwrap();
    let new = university
        .issue_validity_code(issued_anew(world, &old, &actions[1]))
        .await;
    let new = new.unwrap().validity_code.unwrap();

    let after = read(&university, &dispute.name).await;
    assert_ne!(after.etag, dispute.etag);
    let done = after.ruling.unwrap().actions;
    let told: Vec<_> = done
        .iter()
        .map(|action| (action.result.as_str(), action.done_by.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (old.name.as_str(), "callers/organization"),
            (new.name.as_str(), "callers/university"),
        ]
    );
    assert!(done.iter().all(|action| action.done_time.is_some()));
    assert_eq!(links(&university, &old.name).await, actions);
    assert_eq!(links(&organization, &new.name).await, actions[1..]);
    let mut raw = Raw::to(world).await;
    for (action, result) in actions.iter().zip([&old.name, &new.name]) {
        let acts = format!(
            "SELECT count(*) FROM audit_entry WHERE resource = '{}' \
             AND action = 'FULFIL' AND reason = '{action}; {result}'",
            dispute.name
        );
        assert_eq!(raw.number(&acts).await, 1);
    }
}

async fn a_correction_is_done_once_and_linked_both_ways(world: &mut World) {
    let (university, _) = parties(world).await;
    let wrong = code(world, &university).await;
    let orders = vec![order(pb::OrderedAct::Correct, &wrong.name)];
    let (_, actions) = ordered(world, &wrong.name, orders).await;
    let request = pb::CorrectValidityCodeRequest {
        dispute_action: actions[0].clone(),
        ..correct(&wrong, issued_anew(world, &wrong, ""))
    };
    let right = university.correct_validity_code(request).await;
    let right = right.unwrap().validity_code.unwrap();
    assert_eq!(links(&university, &wrong.name).await, actions);
    assert_eq!(links(&university, &right.name).await, actions);
    // It is done: what was ordered for the wrong one is not for the right one, nor twice.
    let again = pb::CorrectValidityCodeRequest {
        dispute_action: actions[0].clone(),
        ..correct(&right, issued_anew(world, &right, ""))
    };
    let answer = university.correct_validity_code(again).await;
    let refusal = refused(answer, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
    assert_eq!(refusal.metadata["why"], "OTHER_TARGET");
}

async fn of_many_who_do_an_ordered_act_at_once_one_does(world: &mut World) {
    let (university, _) = parties(world).await;
    let old = code(world, &university).await;
    let orders = vec![order(pb::OrderedAct::Reissue, &old.name)];
    let (_, actions) = ordered(world, &old.name, orders).await;
    // Each a code of another programme, so that only the order stands in the way.
    let requests: Vec<_> = (0..6)
        .map(|_| pb::IssueValidityCodeRequest {
            subject: old.subject.clone(),
            dispute_action: actions[0].clone(),
            document_kind: pb::DocumentKind::Transcript.into(),
            program: Some(pb::Program {
                field_code: fixtures::number().to_string(),
                ..old.program.clone().unwrap()
            }),
            double_major_declared: true,
            ..issue(world, UNIVERSITY)
        })
        .collect();
    let answers = together(6, |index| {
        let (university, request) = (university.clone(), requests[index].clone());
        async move { university.issue_validity_code(request).await }
    })
    .await;
    let (done, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1, "{others:?}");
    for other in others {
        let refusal = refused(other, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
        assert_eq!(refusal.metadata["why"], "DONE");
    }
}

async fn certificates_are_corrected_revoked_and_issued_anew_as_ordered(world: &mut World) {
    let (_, organization) = parties(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    let old = applied(world, &row).await.enrollment_certificate.unwrap();
    let orders = vec![
        order(pb::OrderedAct::Correct, &old.name),
        order(pb::OrderedAct::Revoke, &old.name),
    ];
    let (dispute, actions) = ordered(world, &old.name, orders).await;
    let correction = pb::CorrectEnrollmentCertificateRequest {
        request_id: request_id(),
        name: old.name.clone(),
        purpose: pb::Purpose::Dormitory.into(),
        dispute_action: actions[0].clone(),
        ..Default::default()
    };
    let corrected = organization.correct_enrollment_certificate(correction);
    let corrected = corrected.await.unwrap().application.unwrap();
    let done = read(&organization, &dispute.name).await;
    let done = done.ruling.unwrap().actions;
    assert_eq!(done[0].result, corrected.name);
    let get = pb::GetEnrollmentCertificateApplicationRequest {
        name: corrected.name,
        subject_claim: None,
    };
    let told = organization.get_enrollment_certificate_application(get);
    assert_eq!(told.await.unwrap().dispute_actions, actions[..1]);
    // The window is no party: of the dispute it learns nothing.
    let get = pb::GetEnrollmentCertificateRequest {
        name: old.name.clone(),
        subject_claim: row.subject.clone().and_then(|subject| subject.person_id),
    };
    let told = window.get_enrollment_certificate(get).await.unwrap();
    assert_eq!(told.dispute_actions, Vec::<String>::new());

    let row = record(world, UNIVERSITY);
    let own = applied(world, &row).await.enrollment_certificate.unwrap();
    let open = pb::OpenDisputeRequest {
        subject_claim: row.subject.clone().and_then(|subject| subject.person_id),
        ..crate::disputes::open(&own.name)
    };
    let dispute = window.open_dispute(open).await.unwrap().dispute.unwrap();
    for peer in [&window, &organization] {
        let consent = crate::disputes::consent(&dispute);
        peer.consent_to_ruling(consent).await.unwrap();
    }
    let dispute = read(&organization, &dispute.name).await;
    let orders = vec![
        order(pb::OrderedAct::Revoke, &own.name),
        order(pb::OrderedAct::Reissue, &own.name),
    ];
    let ruled = organization.rule_dispute(ruling(&dispute, orders)).await;
    let actions = ruled.unwrap().dispute.unwrap().ruling.unwrap().actions;
    let revocation = pb::RevokeEnrollmentCertificateRequest {
        request_id: request_id(),
        name: own.name.clone(),
        reason: pb::RevocationReason::DataError.into(),
        dispute_action: actions[0].name.clone(),
        ..Default::default()
    };
    organization
        .revoke_enrollment_certificate(revocation)
        .await
        .unwrap();
    let draft = pb::CreateEnrollmentCertificateApplicationRequest {
        draft: true,
        dispute_action: actions[1].name.clone(),
        ..apply(&row)
    };
    let answer = window
        .create_enrollment_certificate_application(draft)
        .await;
    assert_eq!(answer.unwrap_err().violations[0].field, "dispute_action");
    let anew = pb::CreateEnrollmentCertificateApplicationRequest {
        dispute_action: actions[1].name.clone(),
        ..apply(&row)
    };
    let anew = window.create_enrollment_certificate_application(anew).await;
    let anew = anew.unwrap().application.unwrap();
    let done = read(&window, &dispute.name).await.ruling.unwrap().actions;
    assert_eq!(done[1].result, anew.name);
    // Of its own dispute the window hears in the feed, also what was done under it.
    let heard = heard(world, &window, &dispute.name).await;
    let told = ["OPEN", "CONSENT", "CONSENT", "RULE", "FULFIL", "FULFIL"];
    assert_eq!(heard, told);
}

async fn the_window_issues_anew_what_is_ordered_in_a_dispute_of_the_institution(world: &mut World) {
    let (university, organization) = parties(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let (row, other) = (record(world, UNIVERSITY), record(world, UNIVERSITY));
    let old = applied(world, &row).await.enrollment_certificate.unwrap();
    applied(world, &other).await;
    let orders = vec![
        order(pb::OrderedAct::Revoke, &old.name),
        order(pb::OrderedAct::Reissue, &old.name),
    ];
    let (dispute, actions) = ordered(world, &old.name, orders).await;
    let anew = |row: &pb::EnrollmentRecord, action: &str| {
        pb::CreateEnrollmentCertificateApplicationRequest {
            dispute_action: action.to_owned(),
            ..apply(row)
        }
    };
    let asked = async |request: pb::CreateEnrollmentCertificateApplicationRequest| {
        let trial = pb::CreateEnrollmentCertificateApplicationRequest {
            validate_only: true,
            ..request.clone()
        };
        let trial = window.create_enrollment_certificate_application(trial);
        let trial = trial.await;
        let answer = window.create_enrollment_certificate_application(request);
        [trial, answer.await]
    };
    // Another act and another person's are as if there were no dispute.
    let nothing = format!("disputes/{}/actions/2", fixtures::id());
    for request in [
        anew(&row, &actions[0]),
        anew(&other, &actions[1]),
        anew(&row, &nothing),
    ] {
        for answer in asked(request).await {
            refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        }
    }
    for answer in asked(anew(&row, &actions[1])).await {
        let refusal = refused(answer, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
        assert_eq!(refusal.metadata["why"], "EARLIER_NOT_DONE");
    }
    let revocation = pb::RevokeEnrollmentCertificateRequest {
        request_id: request_id(),
        name: old.name.clone(),
        reason: pb::RevocationReason::DataError.into(),
        dispute_action: actions[0].clone(),
        ..Default::default()
    };
    let revoked = organization.revoke_enrollment_certificate(revocation);
    revoked.await.unwrap();
    let [trial, done] = asked(anew(&row, &actions[1])).await;
    assert_eq!(trial.unwrap().application, None);
    let made = done.unwrap().application.unwrap();
    let told = read(&university, &dispute.name).await;
    let action = told.ruling.unwrap().actions.remove(1);
    assert_eq!(
        (action.result, action.done_by.as_str()),
        (made.name, "callers/window")
    );
    assert_eq!(heard(world, &window, &dispute.name).await, [""; 0]);
    let name = dispute.name;
    let read = window.get_dispute(pb::GetDisputeRequest { name }).await;
    refused(read, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn an_institution_does_what_is_ordered_in_a_dispute_of_the_hub(world: &mut World) {
    let (university, organization) = parties(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let stranger = Peer::of(world, CallerKind::OtherUniversity).await;
    let (wrong, old) = (
        code(world, &university).await,
        code(world, &university).await,
    );
    let dispute = ready(&hub, &organization, "agreements/hub/callers/hub").await;
    let orders = vec![
        order(pb::OrderedAct::Correct, &wrong.name),
        order(pb::OrderedAct::Revoke, &old.name),
        order(pb::OrderedAct::Reissue, &old.name),
    ];
    let ruled = organization.rule_dispute(ruling(&dispute, orders)).await;
    let actions = ruled.unwrap().dispute.unwrap().ruling.unwrap().actions;
    let correction = |code: &pb::ValidityCode| pb::CorrectValidityCodeRequest {
        dispute_action: actions[0].name.clone(),
        ..correct(code, issued_anew(world, code, ""))
    };

    let own = stranger
        .issue_validity_code(issue(world, OTHER_UNIVERSITY))
        .await;
    let own = own.unwrap().validity_code.unwrap();
    let foreign = pb::CorrectValidityCodeRequest {
        dispute_action: actions[0].name.clone(),
        ..correct(&own, issue(world, OTHER_UNIVERSITY))
    };
    let answer = stranger.correct_validity_code(foreign).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    // Who may issue, but not in place of this code.
    let foreign = pb::IssueValidityCodeRequest {
        subject: old.subject.clone(),
        dispute_action: actions[2].name.clone(),
        ..issue(world, OTHER_UNIVERSITY)
    };
    let answer = stranger.issue_validity_code(foreign).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let answer = university.correct_validity_code(correction(&old)).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");

    let right = university.correct_validity_code(correction(&wrong)).await;
    let right = right.unwrap().validity_code.unwrap();
    university
        .revoke_validity_code(revoke(&old.name, &actions[1].name))
        .await
        .unwrap();
    let new = university
        .issue_validity_code(issued_anew(world, &old, &actions[2].name))
        .await;
    let new = new.unwrap().validity_code.unwrap();
    let done = read(&hub, &dispute.name).await.ruling.unwrap().actions;
    let told: Vec<_> = done.iter().map(|action| action.result.as_str()).collect();
    assert_eq!(told, [&right.name, &old.name, &new.name]);
    // It did them without learning of the dispute.
    assert_eq!(links(&university, &right.name).await, [""; 0]);
}

async fn a_code_that_goes_through_stages_is_applied_for_as_ordered(world: &mut World) {
    let (university, organization) = parties(world).await;
    let (old, other) = (
        code(world, &university).await,
        code(world, &university).await,
    );
    let orders = vec![
        order(pb::OrderedAct::Revoke, &old.name),
        order(pb::OrderedAct::Reissue, &old.name),
    ];
    let (dispute, actions) = ordered(world, &old.name, orders).await;
    offered(world, Some(100)).await;
    let asked = async |code: &pb::ValidityCode, action: &str, validate_only: bool| {
        let request = pb::CreateValidityCodeApplicationRequest {
            validate_only,
            code: Some(code_of(issued_anew(world, code, ""))),
            dispute_action: action.to_owned(),
            ..create(world)
        };
        university.create_validity_code_application(request).await
    };
    let answer = asked(&old, "disputes/1/actions/1", false).await;
    assert_eq!(answer.unwrap_err().violations[0].field, "dispute_action");
    let why = async |code: &pb::ValidityCode, action: &str, validate_only: bool| {
        let answer = asked(code, action, validate_only).await;
        let refusal = refused(answer, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
        refusal.metadata["why"].clone()
    };
    for validate_only in [true, false] {
        assert_eq!(why(&old, &actions[0], validate_only).await, "OTHER_ACT");
        assert_eq!(
            why(&other, &actions[1], validate_only).await,
            "OTHER_TARGET"
        );
    }
    assert_eq!(why(&old, &actions[1], true).await, "EARLIER_NOT_DONE");
    let revocation = revoke(&old.name, &actions[0]);
    organization.revoke_validity_code(revocation).await.unwrap();
    let at_once = issued_anew(world, &old, &actions[1]);
    let answer = university.issue_validity_code(at_once).await;
    refused(answer, Code::FailedPrecondition, "REVIEW_REQUIRED");
    assert_eq!(
        asked(&old, &actions[1], true).await.unwrap().application,
        None
    );
    let made = asked(&old, &actions[1], false).await.unwrap();
    let made = made.application.unwrap();
    let done = read(&university, &dispute.name).await.ruling.unwrap();
    assert_eq!(done.actions[1].result, made.name);
    let name = made.name.clone();
    let get = pb::GetValidityCodeApplicationRequest { name };
    let told = university.get_validity_code_application(get).await.unwrap();
    assert_eq!(told.dispute_actions, actions[1..]);
    university
        .cancel_validity_code_application(cancel(&made))
        .await
        .unwrap();
    for validate_only in [true, false] {
        assert_eq!(why(&old, &actions[1], validate_only).await, "DONE");
    }
}

async fn what_is_not_ordered_is_not_done_under_a_ruling(world: &mut World) {
    let (university, organization) = parties(world).await;
    let (old, other) = (
        code(world, &university).await,
        code(world, &university).await,
    );
    let orders = vec![order(pb::OrderedAct::Correct, &old.name)];
    let (dispute, actions) = ordered(world, &old.name, orders).await;
    let why = async |name: &str, action: &str| {
        let answer = organization
            .revoke_validity_code(revoke(name, action))
            .await;
        let refusal = refused(answer, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
        refusal.metadata["why"].clone()
    };
    assert_eq!(why(&old.name, &actions[0]).await, "OTHER_ACT");
    let request = pb::CorrectValidityCodeRequest {
        dispute_action: actions[0].clone(),
        ..correct(&other, issued_anew(world, &other, ""))
    };
    let answer = university.correct_validity_code(request).await;
    let refusal = refused(answer, Code::FailedPrecondition, "ACTION_NOT_ORDERED");
    assert_eq!(refusal.metadata["why"], "OTHER_TARGET");
    for nothing in [
        format!("{}/actions/2", dispute.name),
        format!("disputes/{}/actions/1", fixtures::id()),
    ] {
        let answer = organization.revoke_validity_code(revoke(&old.name, &nothing));
        refused(answer.await, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
    for strange in ["disputes", "disputes/1/actions/1", "validityCodes/x"] {
        let answer = organization.revoke_validity_code(revoke(&old.name, strange));
        let refusal = refused(answer.await, Code::InvalidArgument, "FIELD_FORMAT");
        assert_eq!(refusal.violations[0].field, "dispute_action");
    }
}
