//! Is this code good? A document remembered or looked up by one index, and a pure
//! judgement.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use gavah_domain::agreement::AgreementPurpose;
use gavah_domain::disclosure::{AskingPurpose, Told, disclosed};
use gavah_domain::institution::InstitutionState;
use gavah_domain::matching::{Claims, Compared, Facts, MatchResult, compare};
use gavah_domain::verdict::{StoredDocument, Verdict, guessed_wrong, verdict_at};
use gavah_domain::{CodeScheme, MalformedCode, ValidityCode};
use gavah_store::{StoreError, StoredCertificate, StoredCode};
use jiff::Timestamp;

use super::mandate::{Mandate, mandate};
use super::quotas::Counted;
use super::{App, owns};
use crate::call::Acting;
use crate::convert::verdict::ValidateInput;
use crate::error::AppError;

/// Codes looked up in one statement.
const LOOKUP: usize = 500;

/// A document found by its code.
#[derive(Debug)]
pub enum Found {
    /// A validity code.
    Code(Box<StoredCode>),
    /// An enrollment certificate.
    Certificate(Box<StoredCertificate>),
}

impl Found {
    /// What it says; nothing until it is signed.
    fn facts(&self) -> Option<Facts<'_>> {
        match self {
            Self::Code(code) => Some(Facts {
                subject: &code.content.subject,
                program: &code.content.program,
                document: Some(&code.content.document),
            }),
            Self::Certificate(certificate) => {
                certificate.signed_document.as_ref()?;
                Some(Facts {
                    subject: &certificate.content.subject,
                    program: &certificate.content.program,
                    document: None,
                })
            }
        }
    }
}

/// A verdict with what may be told of the document.
#[derive(Debug)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// The document; unset when it is unknown.
    pub found: Option<Arc<Found>>,
    /// What the asker is told of it.
    pub told: Told,
    /// The instant of the judgement.
    pub as_of: Timestamp,
    /// Whether the question was a wrong guess.
    guessed_wrong: bool,
}

/// Validates one code.
///
/// # Errors
///
/// As [`mandate`]; NEGATIVE_LOOKUPS when the caller's budget is used up; [`AppError::Store`] when the
/// store does not answer. A negative verdict is an answer.
pub async fn validate_code(
    app: &App,
    call: &Acting,
    question: &ValidateInput,
) -> Result<Answer, AppError> {
    let (answer, _) = validate_for(app, call, question, AgreementPurpose::Validate).await?;
    Ok(answer)
}

async fn validate_for<'a>(
    app: &App,
    call: &'a Acting,
    question: &ValidateInput,
    purpose: AgreementPurpose,
) -> Result<(Answer, Mandate<'a>), AppError> {
    let now = app.clock.now();
    let mandate = mandate(app, call, purpose, Counted::Call(1), now)?;
    app.budgets.check(call, now)?;
    let Ok(code) = &question.code else {
        let answer = Answer::without_document(Verdict::malformed(), now);
        return Ok((answer, mandate));
    };
    let found = find(app, call, code).await?;
    let answer = judge(call, mandate, code, found, question, now);
    let lookup = (answer.guessed_wrong, question.claim.as_ref());
    app.budgets.spend(app, call, iter::once(lookup), now);
    Ok((answer, mandate))
}

/// Validates a code for the person that the claims name, and compares the claims. A claim that is wrong is a wrong guess:
/// otherwise what is told to nobody, as a date of birth, could be tried until it matches. What the agreements do not disclose
/// is not compared either.
///
/// # Errors
///
/// As [`validate_code`].
pub async fn match_code(
    app: &App,
    call: &Acting,
    code: &Result<ValidityCode, MalformedCode>,
    claims: &Claims,
) -> Result<(Answer, Compared), AppError> {
    let question = ValidateInput {
        code: *code,
        claim: Some(claims.person.clone()),
        // Of the document nothing is told beside what came of the claims.
        purpose: AskingPurpose::StatusCheck,
    };
    let (answer, mandate) = validate_for(app, call, &question, AgreementPurpose::Match).await?;
    let facts = answer.found.as_deref().and_then(Found::facts);
    let claims = claims.clone().within(|field| mandate.discloses(field));
    let compared = compare(&claims, facts);
    // The person is compared by the verdict; of another nothing else is.
    let mut others = compared.iter().filter(|(name, _)| *name != "person_id");
    if others.any(|(_, result)| *result == MatchResult::NoMatch) {
        app.budgets.guessed_wrong(app, call, 1, answer.as_of);
    }
    Ok((answer, compared))
}

/// Validates many codes, answers in the order of the questions. Rows whose lookup
/// failed are undetermined.
///
/// # Errors
///
/// As [`mandate`]; NEGATIVE_LOOKUPS when the caller's budget was used up before.
pub async fn batch_validate_codes(
    app: &App,
    call: &Acting,
    questions: &[ValidateInput],
    counted: Counted,
) -> Result<Vec<Answer>, AppError> {
    let now = app.clock.now();
    let mandate = mandate(app, call, AgreementPurpose::Validate, counted, now)?;
    app.budgets.check(call, now)?;
    let mut answers = Vec::with_capacity(questions.len());
    for chunk in questions.chunks(LOOKUP) {
        let codes: Vec<_> = chunk
            .iter()
            .filter_map(|q| q.code.as_ref().ok())
            .copied()
            .collect();
        let found = find_many(app, call, &codes).await;
        answers.extend(chunk.iter().map(|question| match (&question.code, &found) {
            (Err(_), _) => Answer::without_document(Verdict::malformed(), now),
            (Ok(_), Err(_)) => Answer::without_document(Verdict::undetermined(), now),
            (Ok(code), Ok(found)) => {
                judge(call, mandate, code, found.get(code).cloned(), question, now)
            }
        }));
    }
    let lookups = answers.iter().zip(questions);
    let lookups = lookups.map(|(answer, question)| (answer.guessed_wrong, question.claim.as_ref()));
    app.budgets.spend(app, call, lookups, now);
    Ok(answers)
}

/// The document as remembered, or else from the store.
async fn find(
    app: &App,
    call: &Acting,
    code: &ValidityCode,
) -> Result<Option<Arc<Found>>, StoreError> {
    match app.remembered.get(code, app.store.changes()) {
        Some(found) => Ok(Some(found)),
        // On the heap: who finds the document in memory need not carry the room that
        // asking the store takes.
        None => Box::pin(look_up(app, call, code)).await,
    }
}

/// Looks the code up in the store. Legacy codes may begin with any digit, so a code
/// of the certificates' scheme that no certificate has may still be a validity code.
async fn look_up(
    app: &App,
    call: &Acting,
    code: &ValidityCode,
) -> Result<Option<Arc<Found>>, StoreError> {
    let store = app.store_for(call);
    let mark = store.changes().mark();
    let mut found = None;
    if code.scheme() == Some(CodeScheme::EnrollmentCertificate) {
        let certificate = store.find_certificate(code).await?;
        found = certificate.map(|certificate| Found::Certificate(Box::new(certificate)));
    }
    if found.is_none() {
        let stored = store.find_code(code).await?;
        found = stored.map(|stored| Found::Code(Box::new(stored)));
    }
    let found = found.map(Arc::new);
    if let Some(found) = &found {
        app.remembered.put(*code, found, mark);
    }
    Ok(found)
}

async fn find_many(
    app: &App,
    call: &Acting,
    codes: &[ValidityCode],
) -> Result<HashMap<ValidityCode, Arc<Found>>, StoreError> {
    let store = app.store_for(call);
    let mark = store.changes().mark();
    let mut found = HashMap::with_capacity(codes.len());
    let mut others = Vec::new();
    for code in codes {
        match app.remembered.get(code, store.changes()) {
            Some(remembered) => {
                found.insert(*code, remembered);
            }
            None => others.push(*code),
        }
    }
    let mut add = |code, document| {
        let document = Arc::new(document);
        app.remembered.put(code, &document, mark);
        found.insert(code, document);
    };
    if !others.is_empty() {
        for stored in store.find_codes(&others).await? {
            add(stored.code, Found::Code(Box::new(stored)));
        }
    }
    others.retain(|code| code.scheme() == Some(CodeScheme::EnrollmentCertificate));
    if !others.is_empty() {
        for stored in store.find_certificates(&others).await? {
            add(stored.code, Found::Certificate(Box::new(stored)));
        }
    }
    Ok(found)
}

fn judge(
    call: &Acting,
    mandate: Mandate<'_>,
    code: &ValidityCode,
    found: Option<Arc<Found>>,
    question: &ValidateInput,
    now: Timestamp,
) -> Answer {
    let claim = question.claim.as_ref();
    let Some(found) = found else {
        let verdict = verdict_at(code, None, claim, now);
        return Answer::without_document(verdict, now);
    };
    let (document, institution) = match &*found {
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
    let told = disclosed(call.caller.class, owns(call, institution), question.purpose);
    Answer {
        verdict,
        guessed_wrong: guessed_wrong(&verdict, Some(&document), claim),
        told: mandate.narrow(told),
        as_of: now,
        found: Some(found),
    }
}

impl Answer {
    fn without_document(verdict: Verdict, now: Timestamp) -> Self {
        Self {
            verdict,
            found: None,
            told: Told::NOTHING,
            as_of: now,
            guessed_wrong: guessed_wrong(&verdict, None, None),
        }
    }
}

/// A validity code as the judgement sees it.
pub(super) fn document_of_code<'a>(call: &Acting, stored: &'a StoredCode) -> StoredDocument<'a> {
    StoredDocument {
        state: stored.state,
        valid_from: stored.issue_time,
        expire_time: stored.expire_time,
        person: &stored.content.subject.person_id,
        legacy: stored.legacy,
        issuing: false,
        issuer_active: issuer_active(call, stored.content.program.institution.as_str()),
    }
}

fn document_of_certificate<'a>(call: &Acting, stored: &'a StoredCertificate) -> StoredDocument<'a> {
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

fn issuer_active(call: &Acting, institution: &str) -> bool {
    call.snapshot
        .institution(institution)
        .is_some_and(|stored| stored.institution.state == InstitutionState::Active)
}
