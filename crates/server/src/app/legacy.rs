//! Codes that were issued before this service.

use futures_util::future::join_all;
use gavah_domain::service::ServiceKind;
use gavah_domain::tariff::{Quote, QuoteBasis};
use gavah_domain::validity::CodeRules;
use gavah_domain::{JalaliDate, Reason};
use gavah_store::{Attestation, CodeContent, Issue, IssueCode, StoredCode};

use jiff::Timestamp;

use super::codes::already_issued;
use super::{App, context};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::legacy::{ImportInput, LegacyInput};
use crate::error::AppError;

/// Imports many codes; each row has its own outcome, `None` when only checking.
pub async fn import(
    app: &App,
    call: &Acting,
    input: ImportInput,
) -> Vec<Result<Option<StoredCode>, AppError>> {
    let rows = (0..).zip(input.rows).map(|(index, row)| {
        let head = Head {
            request_id: input.request_id,
            validate_only: input.validate_only,
            digest: row.digest,
            ordered: None,
        };
        async move {
            let code = row.code?;
            if head.validate_only {
                return Ok(None);
            }
            one(app, call, &head, index, &code).await.map(Some)
        }
    });
    join_all(rows).await
}

async fn one(
    app: &App,
    call: &Acting,
    head: &Head,
    index: u32,
    row: &LegacyInput,
) -> Result<StoredCode, AppError> {
    let now = app.clock.now();
    let rules = rules(call, now);
    let issue = IssueCode {
        id: app.new_id(now)?,
        code: row.code,
        live_key: rules.live_key(
            &row.subject.person_id,
            &row.program,
            row.document.kind,
            row.double_major_declared,
        ),
        content: CodeContent {
            subject: row.subject.clone(),
            program: row.program.clone(),
            document: row.document.clone(),
            double_major_declared: row.double_major_declared,
            external_ref: row.external_ref.clone(),
            attestation: Attestation {
                expert_code: String::new(),
                statement_version: String::new(),
                attest_micros: row.issue_time.as_microsecond(),
            },
            priors: Vec::new(),
            quote: Quote {
                basis: QuoteBasis::Exempt,
                fee: None,
                year: JalaliDate::of(row.issue_time).year(),
                evidence: "issued before this service".to_owned(),
                ground: None,
            },
            workflow_version: String::new(),
            documents: 0,
        },
        legacy: true,
        issue_time: row.issue_time,
        expire_time: rules.expiry(row.document.kind, row.issue_time),
        subject_hash: app.subject_hash(&row.subject.person_id),
        agreement: None,
    };
    let context = context(call, head, Some(index), now);
    match app.store_for(call).issue_code(&context, &issue).await? {
        Issue::Issued(stored) | Issue::Replayed(stored) => Ok(stored),
        Issue::RequestIdReused => Err(Reason::RequestIdReused.into()),
        Issue::AlreadyIssued { id } => Err(already_issued(id)),
        Issue::CodeTaken => Err(Reason::ResourceAlreadyExists.into()),
        Issue::Applied(_) => Err(AppError::Internal("a legacy code made an application")),
        Issue::ExpertNotActive => Err(AppError::Internal("nobody attests a legacy code")),
    }
}

/// The rules by which codes are issued now: an old code stands in the way of a new one for the same document.
fn rules(call: &Acting, now: Timestamp) -> CodeRules {
    let snapshot = &call.snapshot;
    let mut calls = snapshot.calls.iter();
    let open = calls.find(|call| call.service == ServiceKind::ValidityCode && call.is_open(now));
    let workflow = open.and_then(|open| snapshot.workflows.get(&open.workflow_version));
    workflow
        .map(|workflow| workflow.codes.clone())
        .unwrap_or_default()
}
