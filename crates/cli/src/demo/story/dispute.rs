//! A dispute that negotiation does not end.

use gavah_api::v1 as pb;
use miette::{Result, miette};
use serde_json::json;

use super::issue::issue_request;
use super::{Called, Callers, Tell, fields, must_grant, must_refuse, request_id};
use crate::demo::people::Person;
use crate::demo::step::Asked;
use crate::world::{ORGANIZATION, UNIVERSITY};

/// The university disputes the revocation of a code; a month of sandbox time later the provider's opinion decides, and its
/// order is carried out by the ordinary call.
pub(super) async fn disputed(
    callers: &Callers,
    student: &Person,
    revoked: &str,
    tell: Tell<'_>,
) -> Result<()> {
    let (university, organization) = (&callers.university, &callers.organization);
    let asked = Asked {
        title: "the university disputes that its code was revoked: a month of negotiation begins",
        caller: UNIVERSITY,
        rpc: "DisputeService/OpenDispute",
    };
    let request = pb::OpenDisputeRequest {
        request_id: request_id()?,
        subject: revoked.to_owned(),
        statement: "ابطال این کد صحت با آیین‌نامه سازگار نیست (نمایشی)".to_owned(),
        ..Default::default()
    };
    let called = university
        .call(request, |channel, request| async move {
            channel.disputes().open_dispute(request).await
        })
        .await;
    let dispute = shown(asked, called, |answer| answer.dispute.clone(), tell)?;

    let rule = |actions: Vec<pb::OrderedAction>| -> Result<pb::RuleDisputeRequest> {
        Ok(pb::RuleDisputeRequest {
            request_id: request_id()?,
            name: dispute.name.clone(),
            etag: dispute.etag.clone(),
            outcome: pb::RulingOutcome::Upheld.into(),
            text: "کد ابطال‌شده باطل می‌ماند و کد تازه‌ای صادر می‌شود (نمایشی)".to_owned(),
            legal_basis: "بند ۹ توافق‌نامهٔ سطح خدمت".to_owned(),
            actions,
            ..Default::default()
        })
    };
    let asked = Asked {
        title: "the provider rules at once, without the parties' consent: too early",
        caller: ORGANIZATION,
        rpc: "DisputeService/RuleDispute",
    };
    let called = organization
        .call(rule(Vec::new())?, |channel, request| async move {
            channel.disputes().rule_dispute(request).await
        })
        .await;
    tell(&must_refuse(asked, called, "NEGOTIATION_PERIOD_NOT_OVER")?)?;

    let asked = Asked {
        title: "a month of sandbox time passes",
        caller: ORGANIZATION,
        rpc: "SandboxService/MoveClock",
    };
    let request = pb::MoveClockRequest {
        request_id: request_id()?,
        advance_months: 1,
        ..Default::default()
    };
    let called = organization
        .call(request, |channel, request| async move {
            channel.sandbox().move_clock(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let ahead = reply.message().ahead_seconds / 86_400;
    tell(&asked.answered(&reply, fields(json!({ "days_ahead": ahead }))))?;

    let asked = Asked {
        title: "now the provider's opinion decides: it orders that the code be issued anew",
        caller: ORGANIZATION,
        rpc: "DisputeService/RuleDispute",
    };
    let order = pb::OrderedAction {
        act: pb::OrderedAct::Reissue.into(),
        target: revoked.to_owned(),
        ..Default::default()
    };
    let called = organization
        .call(rule(vec![order])?, |channel, request| async move {
            channel.disputes().rule_dispute(request).await
        })
        .await;
    let ruled = shown(asked, called, |answer| answer.dispute.clone(), tell)?;
    let actions = ruled.ruling.map(|ruling| ruling.actions);
    let action = actions.and_then(|actions| actions.into_iter().next());
    let action = action.ok_or_else(|| miette!("the ruling orders nothing"))?;

    let asked = Asked {
        title: "and the university does what was ordered, by the call that always does it",
        caller: UNIVERSITY,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let level = pb::DegreeLevel::BachelorContinuous;
    let request = pb::IssueValidityCodeRequest {
        dispute_action: action.name.clone(),
        ..issue_request(student, "90001", level)?
    };
    let called = university
        .call(request, |channel, request| async move {
            channel.validity_codes().issue_validity_code(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let code = reply.message().validity_code.clone().unwrap_or_default();
    tell(&asked.answered(
        &reply,
        fields(json!({ "name": code.name, "ordered_by": action.name })),
    ))
}

/// Tells an answer by its dispute.
fn shown<T>(
    asked: Asked,
    called: Called<T>,
    dispute: impl FnOnce(&T) -> Option<pb::Dispute>,
    tell: Tell<'_>,
) -> Result<pb::Dispute> {
    let reply = must_grant(asked, called)?;
    let dispute = dispute(reply.message()).ok_or_else(|| miette!("no dispute came back"))?;
    let state = dispute.state().as_str_name();
    let told = json!({
        "name": dispute.name,
        "subject": dispute.subject,
        "state": state.trim_start_matches("DISPUTE_STATE_"),
    });
    tell(&asked.answered(&reply, fields(told)))?;
    Ok(dispute)
}
