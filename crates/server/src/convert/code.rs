//! Validity codes.

use gavah_api::v1 as pb;
use gavah_domain::attachment::FileDigest;
use gavah_domain::caller::ExpertCode;
use gavah_domain::document::DocumentState;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::program::{DegreeLevel, Program};
use gavah_domain::record::{Subject, check_as_of, parse_external_ref};
use gavah_domain::validity::{DocumentFacts, DocumentInput, DocumentKind};
use gavah_domain::{JalaliDate, Reason, ValidityCode, Violations};
use gavah_store::{PageKey, StoredCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::enums::{from_pb, to_pb};
use super::head::{Head, WriteRequest, digest_of, open};
use super::names::{self, Collection};
use super::page::{Page, take_page};
use super::program::{
    Named, document_to_pb, institution_filter, program, program_to_pb, quote_to_pb,
    revocation_to_pb,
};
use super::time::{self, instant, instant_to_pb, jalali, jalali_of};
use super::{Known, check_rules, identity, required, settle, silent_debug, text, too_many};
use crate::error::AppError;

/// Greatest length of a statement's version, in characters.
pub(super) const STATEMENT_VERSION_MAX_CHARS: usize = 32;

/// A request for a validity code.
#[derive(Clone, PartialEq, Eq)]
pub struct IssueCodeInput {
    /// Retry key and digest.
    pub head: Head,
    /// The row's number in a run.
    pub row: Option<u32>,
    /// What the code is asked for.
    pub facts: CodeFacts,
    /// The expert who attests.
    pub expert: ExpertName,
    /// Version of the statement.
    pub statement_version: String,
    /// When it was made, at most five minutes ahead of the service's clock.
    pub attest_time: Timestamp,
}

/// What a code is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeFacts {
    /// The student.
    pub subject: Subject,
    /// The programme, with its institution's registered code.
    pub program: Program,
    /// The document.
    pub document: DocumentFacts,
    /// Previous levels claimed to be proven.
    pub priors: Vec<PriorClaim>,
    /// Whether a second major was declared.
    pub double_major_declared: bool,
    /// The caller's own reference; may be empty.
    pub external_ref: String,
}

/// A previous level with what is said to prove it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PriorClaim {
    /// The level.
    pub level: DegreeLevel,
    /// What proves it.
    pub proof: Proof,
}

/// What is said to prove a level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The code of that level's document.
    Code(ValidityCode),
    /// A file that somebody looks at.
    File(FileDigest),
}

/// An expert as named in a call. That the expert is of the institution of the
/// programme is not checked here.
#[derive(Clone, PartialEq, Eq)]
pub struct ExpertName {
    /// Registered code of the institution, or the code as given when there is
    /// no such institution.
    pub institution: InstitutionCode,
    /// The institution's code for the expert.
    pub code: ExpertCode,
}

/// Which page of which validity codes.
#[derive(Clone, PartialEq, Eq)]
pub struct ListCodesInput {
    /// The page.
    pub page: Page<PageKey>,
    /// Only this institution, by its registered code.
    pub institution: Option<InstitutionCode>,
    /// Only this state.
    pub state: Option<DocumentState>,
    /// Only this kind of document.
    pub document_kind: Option<DocumentKind>,
    /// Only this reference of the caller's.
    pub external_ref: Option<String>,
    /// Only issued at or after.
    pub issued_from: Option<Timestamp>,
    /// Only issued before.
    pub issued_before: Option<Timestamp>,
}

silent_debug!(
    IssueCodeInput,
    CorrectCodeInput,
    CodeFacts,
    PriorClaim,
    Proof,
    ExpertName,
    ListCodesInput
);

/// Reads a request for a validity code.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has
/// registered the institution.
pub fn issue_code(
    mut request: pb::IssueValidityCodeRequest,
    known: &Known<'_>,
) -> Result<IssueCodeInput, AppError> {
    let (annotated, head) = open(&mut request);
    issue(annotated, head, &request, known)
}

/// A correction of a code.
#[derive(Clone, PartialEq, Eq)]
pub struct CorrectCodeInput {
    /// Resource id of the wrong code.
    pub id: Uuid,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// The right code.
    pub right: IssueCodeInput,
}

/// Reads a correction of a code.
///
/// # Errors
///
/// As [`issue_code`]; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn correct_code(
    mut request: pb::CorrectValidityCodeRequest,
    known: &Known<'_>,
) -> Result<CorrectCodeInput, AppError> {
    let (mut annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", Collection::ValidityCodes.parse(&request.name));
    for violation in found {
        if annotated.iter().all(|known| known.field != violation.field) {
            annotated.push(violation.field, violation.reason);
        }
    }
    let etag = request.etag;
    let right = pb::IssueValidityCodeRequest {
        request_id: String::new(),
        validate_only: false,
        subject: request.subject,
        program: request.program,
        document_kind: request.document_kind,
        document: request.document,
        prior_qualifications: request.prior_qualifications,
        double_major_declared: request.double_major_declared,
        external_ref: request.external_ref,
        attestation: request.attestation,
        // It is in the head.
        dispute_action: String::new(),
    };
    let right = issue(annotated, head, &right, known)?;
    Ok(CorrectCodeInput {
        id: id.ok_or(AppError::Internal("a name was refused without a violation"))?,
        etag: time::etag(&etag)?,
        right,
    })
}

/// Reads the start of a run: the retry key of its rows.
///
/// # Errors
///
/// The violation of `request_id`.
pub fn start_run(mut start: pb::StreamIssueValidityCodesStart) -> Result<Uuid, AppError> {
    let (annotated, head) = open(&mut start);
    let request_id = head.map(|head| head.request_id);
    settle(annotated.nest("start"), Violations::default(), request_id)
}

/// Reads a row of the run `request_id`, whose sequence is good: as the request of a
/// call of its own, which has the same digest.
///
/// # Errors
///
/// As [`issue_code`]; paths begin with `row.`.
pub fn run_row(
    request_id: Uuid,
    row: pb::StreamIssueValidityCodesRow,
    known: &Known<'_>,
) -> Result<IssueCodeInput, AppError> {
    let annotated = check_rules(&row);
    let number = u32::try_from(row.sequence).ok();
    let request = pb::IssueValidityCodeRequest {
        request_id: String::new(),
        validate_only: false,
        subject: row.subject,
        program: row.program,
        document_kind: row.document_kind,
        document: row.document,
        prior_qualifications: row.prior_qualifications,
        double_major_declared: row.double_major_declared,
        external_ref: row.external_ref,
        attestation: row.attestation,
        dispute_action: String::new(),
    };
    let head = Head {
        request_id,
        validate_only: false,
        digest: digest_of(pb::IssueValidityCodeRequest::NAME, &request),
        ordered: None,
    };
    match issue(annotated, Some(head), &request, known) {
        Ok(input) => Ok(IssueCodeInput {
            // Without a number the claim would be that of another call.
            row: Some(number.ok_or(AppError::Internal("a row without a number"))?),
            ..input
        }),
        Err(AppError::Invalid(violations)) => Err(violations.nest("row").into()),
        Err(other) => Err(other),
    }
}

fn issue(
    annotated: Violations,
    head: Option<Head>,
    request: &pb::IssueValidityCodeRequest,
    known: &Known<'_>,
) -> Result<IssueCodeInput, AppError> {
    let mut found = Violations::default();
    let said = Said {
        subject: request.subject.as_ref(),
        program: request.program.as_ref(),
        document_kind: request.document_kind,
        document: request.document.as_ref(),
        priors: &request.prior_qualifications,
        double_major_declared: request.double_major_declared,
        external_ref: &request.external_ref,
        files_prove: false,
    };
    let facts = said.read(known, &annotated, &mut found);
    let attestation = request
        .attestation
        .as_ref()
        .map(|given| attestation(given, known));
    let attestation = required(&mut found, "attestation", attestation);
    let input = (|| {
        let (expert, statement_version, attest_time) = attestation?;
        let Named {
            value: facts,
            registered,
        } = facts?;
        let input = IssueCodeInput {
            head: head?,
            row: None,
            facts,
            expert,
            statement_version,
            attest_time,
        };
        Some(Named {
            value: input,
            registered,
        })
    })();
    Ok(settle(annotated, found, input)?.registered()?)
}

/// What a message says of the code asked for.
pub(super) struct Said<'a> {
    pub(super) subject: Option<&'a pb::Subject>,
    pub(super) program: Option<&'a pb::Program>,
    pub(super) document_kind: i32,
    pub(super) document: Option<&'a pb::Document>,
    pub(super) priors: &'a [pb::PriorQualification],
    pub(super) double_major_declared: bool,
    pub(super) external_ref: &'a str,
    /// Whether a previous level may be proven by a file.
    pub(super) files_prove: bool,
}

impl Said<'_> {
    pub(super) fn read(
        &self,
        known: &Known<'_>,
        annotated: &Violations,
        found: &mut Violations,
    ) -> Option<Named<CodeFacts>> {
        let today = known.today();
        let subject = self.subject.map(|given| identity::subject(given, today));
        let subject = required(found, "subject", subject);
        let program = self.program.map(|given| program(given, known));
        let program = required(found, "program", program);
        let kind = from_pb(self.document_kind);
        let kind = found.take("document_kind", kind.ok_or(Reason::FieldRequired));
        let facts = document(self.document, kind, today);
        let facts = found.take_nested("document", facts);
        let priors = if too_many(annotated, "prior_qualifications") {
            Vec::new()
        } else {
            priors(self.priors, self.files_prove, found)
        };
        let external_ref = found.take("external_ref", parse_external_ref(self.external_ref));
        let program = program?;
        Some(Named {
            registered: program.registered,
            value: CodeFacts {
                subject: subject?,
                program: program.value,
                // Without a kind there is a violation, and no input.
                document: kind.and(facts)?,
                priors,
                double_major_declared: self.double_major_declared,
                external_ref: external_ref?,
            },
        })
    }
}

/// The document is judged whatever its kind, so that everything is told at once.
pub(super) fn document(
    given: Option<&pb::Document>,
    kind: Option<DocumentKind>,
    today: JalaliDate,
) -> Result<DocumentFacts, Violations> {
    let date = |date: fn(&pb::Document) -> Option<pb::JalaliDate>| {
        given.and_then(date).as_ref().map(jalali)
    };
    let input = DocumentInput {
        kind: kind.unwrap_or(DocumentKind::Degree),
        number: given.map_or("", |given| &given.number),
        issue_date: date(|given| given.issue_date),
        start_date: date(|given| given.start_date),
        end_date: date(|given| given.end_date),
        gpa_hundredths: given.and_then(|given| given.gpa_hundredths),
    };
    DocumentFacts::parse(input, today)
}

fn priors(
    given: &[pb::PriorQualification],
    files_prove: bool,
    found: &mut Violations,
) -> Vec<PriorClaim> {
    let mut priors = Vec::new();
    for (index, prior) in given.iter().enumerate() {
        let path = format!("prior_qualifications[{index}]");
        let level = from_pb(prior.degree_level).ok_or(Reason::FieldRequired);
        let level = found.take(&format!("{path}.degree_level"), level);
        let proof = if prior.attachment.is_empty() {
            let code = match prior.validity_code.as_str() {
                "" => Err(Reason::FieldRequired),
                code => ValidityCode::parse(code).or(Err(Reason::FieldFormat)),
            };
            let code = found.take(&format!("{path}.validity_code"), code);
            code.map(Proof::Code)
        } else {
            // One of the two, and a file only where somebody looks at it.
            let file = match files_prove && prior.validity_code.is_empty() {
                true => names::parse_attachment(&prior.attachment),
                false => Err(Reason::FieldFormat),
            };
            let file = found.take(&format!("{path}.attachment"), file);
            file.map(Proof::File)
        };
        let claim = level.zip(proof);
        priors.extend(claim.map(|(level, proof)| PriorClaim { level, proof }));
    }
    priors
}

fn attestation(
    given: &pb::Attestation,
    known: &Known<'_>,
) -> Result<(ExpertName, String, Timestamp), Violations> {
    let mut found = Violations::default();
    let expert = given.expert.as_ref().map(|actor| {
        let mut found = Violations::default();
        let name = found.take("expert", names::parse_expert(&actor.expert));
        let name = name.map(|(institution, code)| ExpertName {
            institution: known.registered_or_given(institution),
            code,
        });
        found.finish(name)
    });
    let expert = required(&mut found, "expert", expert);
    let version = text(&given.statement_version, STATEMENT_VERSION_MAX_CHARS);
    let version = found.take("statement_version", version);
    let time = check_as_of(given.attest_time.as_ref().map(instant), known.now);
    let time = found.take("attest_time", time);
    found.finish((|| Some((expert?, version?, time?)))())
}

/// Reads a request for one validity code: its resource id.
///
/// # Errors
///
/// The violation of `name`.
pub fn get_code(request: &pb::GetValidityCodeRequest) -> Result<Uuid, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", Collection::ValidityCodes.parse(&request.name));
    settle(check_rules(request), found, id)
}

/// Reads a request for a list of validity codes.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has
/// registered the institution.
pub fn list_codes(
    mut request: pb::ListValidityCodesRequest,
    known: &Known<'_>,
) -> Result<ListCodesInput, AppError> {
    let annotated = check_rules(&request);
    let mut found = Violations::default();
    let page = take_page(&mut request, &mut found);
    let institution = institution_filter(&request.institution_code, known);
    let institution = found.take("institution_code", institution);
    let external_ref = found.take("external_ref", parse_external_ref(&request.external_ref));
    let from = found.take(
        "issued_from",
        request.issued_from.as_ref().map(instant).transpose(),
    );
    let before = request.issued_before.as_ref().map(instant).transpose();
    let before = found.take("issued_before", before);
    let input = (|| {
        let input = ListCodesInput {
            page: page?,
            institution: None,
            state: from_pb(request.state),
            document_kind: from_pb(request.document_kind),
            external_ref: external_ref.filter(|own| !own.is_empty()),
            issued_from: from?,
            issued_before: before?,
        };
        Some((input, institution?))
    })();
    let (input, institution) = settle(annotated, found, input)?;
    let institution = institution.map(Named::registered).transpose()?;
    Ok(ListCodesInput {
        institution,
        ..input
    })
}

/// A validity code with all its owner knows of it.
#[must_use]
pub fn code_to_pb(stored: &StoredCode) -> pb::ValidityCode {
    let content = &stored.content;
    pb::ValidityCode {
        name: Collection::ValidityCodes.name(stored.id),
        code: stored.code.as_str().to_owned(),
        state: to_pb(stored.state),
        subject: Some(identity::subject_to_pb(&content.subject)),
        program: Some(program_to_pb(&content.program)),
        document_kind: to_pb(content.document.kind),
        document: Some(document_to_pb(&content.document)),
        double_major_declared: content.double_major_declared,
        external_ref: content.external_ref.clone(),
        attested_by: if stored.legacy {
            String::new()
        } else {
            names::expert(
                &content.program.institution,
                &content.attestation.expert_code,
            )
        },
        legacy: stored.legacy,
        issue_time: Some(instant_to_pb(stored.issue_time)),
        issue_date: Some(jalali_of(stored.issue_time)),
        expire_time: stored.expire_time.map(instant_to_pb),
        expire_date: stored.expire_time.map(jalali_of),
        revocation: stored.revocation.as_ref().map(revocation_to_pb),
        quote: Some(quote_to_pb(&content.quote)),
        workflow_version: content.workflow_version.clone(),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
        superseded_by: stored
            .superseded_by
            .map(|id| Collection::ValidityCodes.name(id))
            .unwrap_or_default(),
        documents_publication: content.documents,
    }
}

/// Where a page of validity codes that ends with this one goes on.
#[must_use]
pub fn code_place(stored: &StoredCode) -> PageKey {
    PageKey {
        micros: stored.issue_time.as_microsecond(),
        id: stored.id,
    }
}

#[cfg(test)]
#[path = "code_tests.rs"]
mod tests;
