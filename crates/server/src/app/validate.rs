//! Is this code good? One indexed lookup and a pure judgement.

use std::collections::HashMap;

use gavah_domain::institution::InstitutionState;
use gavah_domain::verdict::{Audience, StoredDocument, Verdict, audience, verdict_at};
use gavah_domain::{CodeScheme, PersonId, ValidityCode};
use gavah_store::{Store, StoreError, StoredCertificate, StoredCode};
use jiff::Timestamp;

use super::{App, owns};
use crate::call::Call;
use crate::convert::verdict::ValidateInput;
use crate::error::AppError;

/// Codes looked up in one statement.
const LOOKUP: usize = 500;

/// A document found by its code.
#[derive(Debug, Clone)]
pub enum Found {
    /// A validity code.
    Code(Box<StoredCode>),
    /// An enrollment certificate.
    Certificate(Box<StoredCertificate>),
}

/// A verdict with what may be told of the document.
#[derive(Debug)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// The document; unset when it is unknown.
    pub found: Option<Found>,
    /// Who asks.
    pub audience: Audience,
    /// The instant of the judgement.
    pub as_of: Timestamp,
}

/// Validates one code.
///
/// # Errors
///
/// [`AppError::Store`] when the store does not answer; a negative verdict is an
/// answer.
pub async fn validate_code(
    app: &App,
    call: &Call,
    question: &ValidateInput,
) -> Result<Answer, AppError> {
    let now = app.clock.now();
    let Ok(code) = &question.code else {
        return Ok(Answer::without_document(Verdict::malformed(), now));
    };
    let found = find(&app.store_for(call), code).await?;
    Ok(judge(call, code, found, question.claim.as_ref(), now))
}

/// Validates many codes, answers in the order of the questions. Rows whose lookup
/// failed are undetermined.
pub async fn batch_validate_codes(
    app: &App,
    call: &Call,
    questions: &[ValidateInput],
) -> Vec<Answer> {
    let now = app.clock.now();
    let store = app.store_for(call);
    let mut answers = Vec::with_capacity(questions.len());
    for chunk in questions.chunks(LOOKUP) {
        let codes: Vec<_> = chunk
            .iter()
            .filter_map(|q| q.code.as_ref().ok())
            .copied()
            .collect();
        let found = find_many(&store, &codes).await;
        answers.extend(chunk.iter().map(|question| match (&question.code, &found) {
            (Err(_), _) => Answer::without_document(Verdict::malformed(), now),
            (Ok(_), Err(_)) => Answer::without_document(Verdict::undetermined(), now),
            (Ok(code), Ok(found)) => judge(
                call,
                code,
                found.get(code).cloned(),
                question.claim.as_ref(),
                now,
            ),
        }));
    }
    answers
}

/// Looks the code up. Legacy codes may begin with any digit, so a code of the
/// certificates' scheme that no certificate has may still be a validity code.
async fn find(store: &Store, code: &ValidityCode) -> Result<Option<Found>, StoreError> {
    if code.scheme() == Some(CodeScheme::EnrollmentCertificate) {
        let certificate = store.find_certificate(code).await?;
        if let Some(certificate) = certificate {
            return Ok(Some(Found::Certificate(Box::new(certificate))));
        }
    }
    Ok(store
        .find_code(code)
        .await?
        .map(|code| Found::Code(Box::new(code))))
}

async fn find_many(
    store: &Store,
    codes: &[ValidityCode],
) -> Result<HashMap<ValidityCode, Found>, StoreError> {
    let mut found: HashMap<_, _> = store
        .find_codes(codes)
        .await?
        .into_iter()
        .map(|stored| (stored.code, Found::Code(Box::new(stored))))
        .collect();
    let certificates: Vec<_> = codes
        .iter()
        .filter(|code| code.scheme() == Some(CodeScheme::EnrollmentCertificate))
        .copied()
        .collect();
    if !certificates.is_empty() {
        for stored in store.find_certificates(&certificates).await? {
            found.insert(stored.code, Found::Certificate(Box::new(stored)));
        }
    }
    Ok(found)
}

fn judge(
    call: &Call,
    code: &ValidityCode,
    found: Option<Found>,
    claim: Option<&PersonId>,
    now: Timestamp,
) -> Answer {
    let Some(found) = found else {
        return Answer::without_document(verdict_at(code, None, claim, now), now);
    };
    let (document, institution) = match &found {
        Found::Code(stored) => (
            document_of_code(call, stored),
            &stored.content.program.institution,
        ),
        Found::Certificate(stored) => (
            document_of_certificate(call, stored),
            &stored.content.program.institution,
        ),
    };
    let verdict = verdict_at(code, Some(&document), claim, now);
    let audience = audience(call.caller.class, owns(call, institution));
    Answer {
        verdict,
        found: Some(found),
        audience,
        as_of: now,
    }
}

impl Answer {
    fn without_document(verdict: Verdict, now: Timestamp) -> Self {
        Self {
            verdict,
            found: None,
            audience: Audience::Other,
            as_of: now,
        }
    }
}

/// A validity code as the judgement sees it.
pub(super) fn document_of_code<'a>(call: &Call, stored: &'a StoredCode) -> StoredDocument<'a> {
    StoredDocument {
        state: stored.state,
        valid_from: stored.issue_time,
        expire_time: stored.expire_time,
        person: &stored.content.subject.person_id,
        legacy: false,
        issuing: false,
        issuer_active: issuer_active(call, stored.content.program.institution.as_str()),
    }
}

fn document_of_certificate<'a>(call: &Call, stored: &'a StoredCertificate) -> StoredDocument<'a> {
    StoredDocument {
        state: stored.state,
        valid_from: stored.issue_time,
        expire_time: Some(stored.expire_time),
        person: &stored.content.subject.person_id,
        legacy: false,
        issuing: stored.signed_document.is_none(),
        issuer_active: issuer_active(call, stored.content.program.institution.as_str()),
    }
}

fn issuer_active(call: &Call, institution: &str) -> bool {
    call.snapshot
        .institution(institution)
        .is_some_and(|stored| stored.institution.state == InstitutionState::Active)
}
