//! Validation: questions, verdicts and what a verdict tells of the document.

use gavah_api::v1 as pb;
use gavah_domain::disclosure::{AskingPurpose, Extent, Told};
use gavah_domain::identity::NAME_MAX_CHARS;
use gavah_domain::institution::Institution;
use gavah_domain::matching::{Claims, Compared};
use gavah_domain::program::{Program, StudentNumber, parse_field_code};
use gavah_domain::record::Subject;
use gavah_domain::text::ascii_digits;
use gavah_domain::verdict::{Verdict, VerdictReason};
use gavah_domain::{DisplayText, MalformedCode, PersonId, Reason, ValidityCode, Violations};
use gavah_store::{StoredCertificate, StoredCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::enums::{from_pb, option_to_pb, to_pb};
use super::identity::person_id;
use super::names::Collection;
use super::program::institution;
use super::time::{instant_to_pb, jalali, jalali_of};
use super::{Known, check_rules, settle, silent_debug, too_many};
use crate::error::AppError;

/// A question: is this code good, and about this person?
#[derive(Clone, PartialEq, Eq)]
pub struct ValidateInput {
    /// The code; a malformed one is answered, not refused.
    pub code: Result<ValidityCode, MalformedCode>,
    /// The person it is claimed to be about.
    pub claim: Option<PersonId>,
    /// For what the caller asks.
    pub purpose: AskingPurpose,
}

silent_debug!(ValidateInput, MatchInput, Found<'_>, Disclosure<'_>);

/// Reads one question.
///
/// # Errors
///
/// Every violation at once; a malformed code is none.
pub fn validate_code(request: &pb::ValidateCodeRequest) -> Result<ValidateInput, AppError> {
    let mut found = Violations::default();
    let claim = request.subject_claim.as_ref();
    let input = question(&request.code, claim, request.purpose, "", &mut found);
    settle(check_rules(request), found, Some(input))
}

/// Reads one question of a stream.
///
/// # Errors
///
/// Every violation at once; a malformed code is none.
pub fn stream_validate_codes(
    request: &pb::StreamValidateCodesRequest,
) -> Result<ValidateInput, AppError> {
    let mut found = Violations::default();
    let claim = request.subject_claim.as_ref();
    let input = question(&request.code, claim, request.purpose, "", &mut found);
    settle(check_rules(request), found, Some(input))
}

/// A question with what is claimed of the document.
#[derive(Clone, PartialEq, Eq)]
pub struct MatchInput {
    /// The code; a malformed one is answered, not refused.
    pub code: Result<ValidityCode, MalformedCode>,
    /// What is claimed.
    pub claims: Claims,
}

/// Reads a question with claims.
///
/// # Errors
///
/// Every violation at once; a malformed code is none.
pub fn match_code(
    request: &pb::MatchCodeRequest,
    known: &Known<'_>,
) -> Result<MatchInput, AppError> {
    let mut found = Violations::default();
    let claims = request
        .claims
        .as_ref()
        .and_then(|given| found.take_nested("claims", claims(given, known)));
    let input = claims.map(|claims| MatchInput {
        code: ValidityCode::parse(&request.code),
        claims,
    });
    settle(check_rules(request), found, input)
}

fn claims(given: &pb::DocumentClaims, known: &Known<'_>) -> Result<Claims, Violations> {
    let mut found = Violations::default();
    let person = given
        .person_id
        .as_ref()
        .and_then(|given| found.take_nested("person_id", person_id(given)));
    let mut name = |field, text| {
        found
            .take(
                field,
                claimed(text, |text| DisplayText::parse(text, NAME_MAX_CHARS)),
            )
            .flatten()
    };
    let given_name_fa = name("given_name_fa", &given.given_name_fa);
    let family_name_fa = name("family_name_fa", &given.family_name_fa);
    let given_name_en = name("given_name_en", &given.given_name_en);
    let family_name_en = name("family_name_en", &given.family_name_en);
    let father_name_fa = name("father_name_fa", &given.father_name_fa);
    let mut date = |field, given: &Option<pb::JalaliDate>| {
        found
            .take(field, given.as_ref().map(jalali).transpose())
            .flatten()
    };
    let birth_date = date("birth_date", &given.birth_date);
    let document_issue_date = date("document_issue_date", &given.document_issue_date);
    let named = claimed(&given.institution_code, |code| institution(code, known));
    let institution = found.take("institution_code", named).flatten();
    let student_number = claimed(&given.student_number, StudentNumber::parse);
    let student_number = found.take("student_number", student_number).flatten();
    let field_code = claimed(&given.field_code, parse_field_code);
    let field_code = found.take("field_code", field_code).flatten();
    let document_number = ascii_digits(&given.document_number).trim().to_owned();
    let claims = person.map(|person| Claims {
        person,
        given_name_fa,
        family_name_fa,
        given_name_en,
        family_name_en,
        father_name_fa,
        birth_date,
        // Of an institution that nobody has registered there is no document.
        institution: institution.map(|named| named.value),
        student_number,
        degree_level: from_pb(given.degree_level),
        field_code,
        document_kind: from_pb(given.document_kind),
        document_number: Some(document_number).filter(|number| !number.is_empty()),
        document_issue_date,
    });
    found.finish(claims)
}

/// What is empty is not claimed.
fn claimed<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, Reason>,
) -> Result<Option<T>, Reason> {
    match text.trim().is_empty() {
        true => Ok(None),
        false => parse(text).map(Some),
    }
}

/// The contract's form of compared claims.
#[must_use]
pub fn compared_to_pb(compared: &Compared) -> Vec<pb::FieldMatch> {
    let fields = compared.iter().map(|(field, result)| pb::FieldMatch {
        field: (*field).to_owned(),
        result: to_pb(*result),
    });
    fields.collect()
}

/// Reads many questions, in the order of the request.
///
/// # Errors
///
/// Every violation of every question at once; a malformed code is none.
pub fn batch_validate_codes(
    request: &pb::BatchValidateCodesRequest,
) -> Result<Vec<ValidateInput>, AppError> {
    let annotated = check_rules(request);
    let mut found = Violations::default();
    if too_many(&annotated, "requests") {
        return settle(annotated, found, None);
    }
    let questions = request.requests.iter().enumerate().map(|(index, given)| {
        let path = format!("requests[{index}].");
        let claim = given.subject_claim.as_ref();
        question(&given.code, claim, given.purpose, &path, &mut found)
    });
    let questions = questions.collect();
    settle(annotated, found, Some(questions))
}

fn question(
    code: &str,
    claim: Option<&pb::PersonId>,
    purpose: i32,
    path: &str,
    found: &mut Violations,
) -> ValidateInput {
    ValidateInput {
        code: ValidityCode::parse(code),
        purpose: from_pb(purpose).unwrap_or(AskingPurpose::DocumentCheck),
        claim: claim
            .and_then(|claim| found.take_nested(&format!("{path}subject_claim"), person_id(claim))),
    }
}

/// A document found under a code.
#[derive(Clone, Copy)]
pub enum Found<'a> {
    /// A validity code.
    Code(&'a StoredCode),
    /// An enrollment certificate.
    Certificate(&'a StoredCertificate),
}

impl<'a> Found<'a> {
    /// The student.
    #[must_use]
    pub fn subject(&self) -> &'a Subject {
        match self {
            Self::Code(code) => &code.content.subject,
            Self::Certificate(certificate) => &certificate.content.subject,
        }
    }

    /// The programme.
    #[must_use]
    pub fn program(&self) -> &'a Program {
        match self {
            Self::Code(code) => &code.content.program,
            Self::Certificate(certificate) => &certificate.content.program,
        }
    }

    /// When it was issued.
    #[must_use]
    pub fn issue_time(&self) -> Timestamp {
        match self {
            Self::Code(code) => code.issue_time,
            Self::Certificate(certificate) => certificate.issue_time,
        }
    }

    /// When it expires; `None` means never.
    #[must_use]
    pub fn expire_time(&self) -> Option<Timestamp> {
        match self {
            Self::Code(code) => code.expire_time,
            Self::Certificate(certificate) => Some(certificate.expire_time),
        }
    }

    fn collection(&self) -> Collection {
        match self {
            Self::Code(_) => Collection::ValidityCodes,
            Self::Certificate(_) => Collection::EnrollmentCertificates,
        }
    }

    fn id(&self) -> Uuid {
        match self {
            Self::Code(code) => code.id,
            Self::Certificate(certificate) => certificate.id,
        }
    }

    fn superseded_by(&self) -> Option<Uuid> {
        match self {
            Self::Code(code) => code.superseded_by,
            Self::Certificate(certificate) => certificate.superseded_by,
        }
    }
}

/// What a verdict is told with: the document, and to whom.
#[derive(Clone, Copy)]
pub struct Disclosure<'a> {
    /// The document.
    pub found: Found<'a>,
    /// Its institution.
    pub institution: Option<&'a Institution>,
    /// What the asker is told.
    pub told: Told,
    /// The person it was claimed to be about.
    pub claim: Option<&'a PersonId>,
}

impl Disclosure<'_> {
    /// Whether anything of the document may be told with this verdict: not of
    /// one that is unknown to the asker, and not to somebody who takes it for
    /// another person's, whatever the verdict's first reason is.
    fn allowed(&self, reason: VerdictReason) -> bool {
        let known = match reason {
            VerdictReason::Ok
            | VerdictReason::Revoked
            | VerdictReason::Suspended
            | VerdictReason::Superseded
            | VerdictReason::Expired
            | VerdictReason::NotYetValid => true,
            VerdictReason::Malformed
            | VerdictReason::CheckDigit
            | VerdictReason::NotFound
            | VerdictReason::SubjectMismatch
            | VerdictReason::NotCovered
            | VerdictReason::StatusUnavailable => false,
        };
        known
            && self
                .claim
                .is_none_or(|claim| *claim == self.found.subject().person_id)
    }

    /// What may be told of the document, whatever the verdict.
    #[must_use]
    pub(super) fn document(&self) -> Option<pb::DisclosedDocument> {
        let whole = |extent: Extent| extent == Extent::Whole;
        let told = &self.told;
        if !whole(told.document) {
            return None;
        }
        let (document_type, document_kind) = match self.found {
            Found::Code(code) => (
                pb::DocumentType::ValidityCode,
                to_pb(code.content.document.kind),
            ),
            Found::Certificate(_) => (pb::DocumentType::EnrollmentCertificate, 0),
        };
        let name = &self.found.subject().name;
        let institution = self.institution.filter(|_| whole(told.institution));
        let program = Some(self.found.program()).filter(|_| whole(told.program));
        let issue_time = self.found.issue_time();
        let expire_time = self.found.expire_time();
        Some(pb::DisclosedDocument {
            document_type: document_type.into(),
            document_kind,
            institution_name_fa: institution
                .map(|own| own.name_fa.clone())
                .unwrap_or_default(),
            institution_name_en: institution
                .map(|own| own.name_en.clone())
                .unwrap_or_default(),
            degree_level: option_to_pb(program.map(|program| program.level)),
            field_title_fa: program
                .map(|program| program.field_title_fa.as_str().to_owned())
                .unwrap_or_default(),
            subject_name_fa: match told.name {
                Extent::Whole => name.full_fa(),
                Extent::Masked => name.masked_fa(),
                Extent::Hidden => String::new(),
            },
            subject_name_masked: told.name == Extent::Masked,
            issue_time: Some(instant_to_pb(issue_time)),
            issue_date: Some(jalali_of(issue_time)),
            expire_time: expire_time.map(instant_to_pb),
            expire_date: expire_time.map(jalali_of),
            name: match told.resource {
                Extent::Whole => self.found.collection().name(self.found.id()),
                Extent::Masked | Extent::Hidden => String::new(),
            },
        })
    }

    fn superseded_by(&self) -> Option<String> {
        let newer = self.found.superseded_by();
        let newer = newer.filter(|_| self.told.superseded_by == Extent::Whole);
        newer.map(|id| self.found.collection().name(id))
    }
}

/// The contract's form of a verdict reached at the instant `now`, with what it
/// may tell of the document; without a receipt, which is the call's. Neither the father's name nor any identity number
/// is ever among it.
#[must_use]
pub fn verdict_to_pb(
    verdict: &Verdict,
    disclosure: Option<&Disclosure<'_>>,
    now: Timestamp,
) -> pb::Verdict {
    let told = disclosure.filter(|disclosure| disclosure.allowed(verdict.reason));
    // What could not be read was not read at any instant.
    let read = verdict.reason != VerdictReason::StatusUnavailable;
    pb::Verdict {
        outcome: to_pb(verdict.outcome),
        reason: to_pb(verdict.reason),
        integrity: to_pb(verdict.integrity),
        status: to_pb(verdict.status),
        issuer: to_pb(verdict.issuer),
        explanation_fa: verdict.reason.explanation_fa().to_owned(),
        explanation_en: verdict.reason.explanation_en().to_owned(),
        document: told.and_then(Disclosure::document),
        superseded_by: told.and_then(Disclosure::superseded_by).unwrap_or_default(),
        status_as_of: read.then(|| instant_to_pb(now)),
        integrity_code: verdict.integrity_code().to_owned(),
        status_code: verdict.status_code().to_owned(),
        issuer_code: verdict.issuer_code().to_owned(),
        receipt: String::new(),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
