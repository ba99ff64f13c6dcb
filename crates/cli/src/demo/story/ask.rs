//! Codes are validated and revoked, and what is not allowed is asked for.

use gavah_api::v1 as pb;
use gavah_client::Client;
use gavah_domain::{CodeScheme, SystemEntropy, ValidityCode};
use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;

use super::issue::{Code, issue, issue_request};
use super::{Callers, Tell, fields, must_grant, must_refuse, request_id};
use crate::demo::people::Person;
use crate::demo::step::Asked;
use crate::world::{HUB, INELIGIBLE, ORGANIZATION, UNIVERSITY};

pub(super) async fn validate(
    hub: &Client,
    title: &'static str,
    code: &str,
    reason: &str,
    tell: Tell<'_>,
) -> Result<()> {
    let asked = Asked {
        title,
        caller: HUB,
        rpc: "ValidationService/ValidateCode",
    };
    let request = pb::ValidateCodeRequest {
        purpose: 0,
        code: code.to_owned(),
        subject_claim: None,
    };
    let called = hub
        .call(request, |channel, request| async move {
            channel.validation().validate_code(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let verdict = reply
        .message()
        .verdict
        .clone()
        .ok_or_else(|| miette!("no verdict came back"))?;
    let got = verdict
        .reason()
        .as_str_name()
        .trim_start_matches("VERDICT_REASON_")
        .to_owned();
    if got != reason {
        return Err(miette!("{title}: expected {reason}, got {got}"));
    }
    let document = verdict.document.clone().unwrap_or_default();
    let mut step = asked.answered(
        &reply,
        fields(json!({
            "explanation_en": verdict.explanation_en,
            "explanation_fa": verdict.explanation_fa,
            "institution": document.institution_name_fa,
            "subject": document.subject_name_fa,
        })),
    );
    step.outcome = verdict
        .outcome()
        .as_str_name()
        .trim_start_matches("OUTCOME_")
        .to_owned();
    step.reason = got;
    tell(&step)
}

pub(super) async fn doubtful_codes(hub: &Client, good: &str, tell: Tell<'_>) -> Result<()> {
    // The fifth digit, one further: what a slip of the finger does.
    let typo: String = good
        .char_indices()
        .map(|(index, digit)| match (index, digit) {
            (4, '9') => '0',
            (4, digit) => char::from_u32(u32::from(digit) + 1).unwrap_or('0'),
            (_, digit) => digit,
        })
        .collect();
    validate(
        hub,
        "a typing error is told apart",
        &typo,
        "CHECK_DIGIT",
        tell,
    )
    .await?;
    let unknown = ValidityCode::draw(CodeScheme::ValidityCode, &SystemEntropy).into_diagnostic()?;
    validate(
        hub,
        "a well-formed code that nobody issued",
        unknown.as_str(),
        "NOT_FOUND",
        tell,
    )
    .await
}

pub(super) async fn revoke(callers: &Callers, code: &Code, tell: Tell<'_>) -> Result<()> {
    let asked = Asked {
        title: "the Organization revokes a code that was issued in error",
        caller: ORGANIZATION,
        rpc: "ValidityCodeService/RevokeValidityCode",
    };
    let request = pb::RevokeValidityCodeRequest {
        request_id: request_id()?,
        validate_only: false,
        name: code.name.clone(),
        reason: pb::RevocationReason::IssuedInError.into(),
        legal_basis: String::new(),
        etag: String::new(),
        dispute_action: String::new(),
    };
    let called = callers
        .organization
        .call(request, |channel, request| async move {
            channel.validity_codes().revoke_validity_code(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    tell(&asked.answered(
        &reply,
        fields(json!({"name": code.name, "state": "REVOKED"})),
    ))?;
    validate(
        &callers.hub,
        "and it stops validating at once",
        &code.code,
        "REVOKED",
        tell,
    )
    .await
}

pub(super) async fn refusals(callers: &Callers, students: &[Person], tell: Tell<'_>) -> Result<()> {
    let [.., third] = students else {
        return Err(miette!("too few students"));
    };
    let asked = Asked {
        title: "a known university of a type the service is not open to",
        caller: INELIGIBLE,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let request = issue_request(third, "90006", pb::DegreeLevel::BachelorContinuous)?;
    let called = issue(&callers.ineligible, request).await;
    tell(&must_refuse(
        asked,
        called,
        "INSTITUTION_TYPE_NOT_ELIGIBLE",
    )?)?;

    let asked = Asked {
        title: "a doctorate whose previous level is not proven",
        caller: UNIVERSITY,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let request = issue_request(third, "90001", pb::DegreeLevel::Phd)?;
    let called = issue(&callers.university, request).await;
    tell(&must_refuse(asked, called, "PRIOR_QUALIFICATION_MISSING")?)?;

    let asked = Asked {
        title: "the hub may validate, not issue",
        caller: HUB,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let request = issue_request(third, "90001", pb::DegreeLevel::BachelorContinuous)?;
    let called = issue(&callers.hub, request).await;
    tell(&must_refuse(asked, called, "METHOD_NOT_ALLOWED_FOR_CLASS")?)?;

    let asked = Asked {
        title: "a message full of mistakes: all of them at once",
        caller: UNIVERSITY,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let mut request = issue_request(third, "90001", pb::DegreeLevel::Unspecified)?;
    request.subject = Some(pb::Subject {
        person_id: Some(pb::PersonId {
            id: Some(pb::person_id::Id::NationalCode("1111111111".to_owned())),
        }),
        ..third.subject()
    });
    match issue(&callers.university, request).await {
        Err(failure) if failure.violations.len() >= 2 => {
            let mut step = asked.refused(&failure);
            for violation in &failure.violations {
                step.fields
                    .insert(violation.field.clone(), violation.reason.as_str().into());
            }
            tell(&step)
        }
        Err(failure) => Err(miette!("{}: {failure}", asked.title)),
        Ok(_) => Err(miette!("{}: was granted", asked.title)),
    }
}
