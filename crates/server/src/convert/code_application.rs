//! Applications for validity codes.

use gavah_api::v1 as pb;
use gavah_domain::attachment::{Attachment, AttachmentKind};
use gavah_domain::caller::ExpertCode;
use gavah_domain::code_application::{CodeApplicationAction, CodeApplicationState};
use gavah_domain::institution::InstitutionCode;
use gavah_domain::{PersonId, Reason, Violations};
use gavah_store::{PageKey, PriorGround, StoredCodeApplication, StoredStep};
use uuid::Uuid;

use super::application::{
    Actor, Decision, DecisionInput, REASON_MAX_CHARS, decider, decision, remark_to_pb,
};
use super::attachment::{attachments, attachments_to_pb};
use super::code::{CodeFacts, Proof, STATEMENT_VERSION_MAX_CHARS, Said};
use super::enums::{from_pb, to_pb};
use super::head::{Head, open};
use super::identity::subject_to_pb;
use super::names::{self, Collection};
use super::page::{Page, take_page};
use super::program::{Named, document_to_pb, institution_filter, program_to_pb, quote_to_pb};
use super::time::{self, instant_to_pb};
use super::{Known, check_rules, optional_text, required, settle, silent_debug};
use crate::error::AppError;

const APPLICATIONS: Collection = Collection::ValidityCodeApplications;

/// What an application says, and who hands it in.
#[derive(Clone, PartialEq, Eq)]
pub struct HandInInput {
    /// Retry key and digest.
    pub head: Head,
    /// What the code is asked for.
    pub facts: CodeFacts,
    /// The files that come with it, those that prove a level among them.
    pub attachments: Vec<Attachment>,
    /// The staff member's own code.
    pub submitter: ExpertCode,
    /// Who that is.
    pub person: PersonId,
}

/// An application handed in again.
#[derive(Clone, PartialEq, Eq)]
pub struct ResubmitInput {
    /// Resource id.
    pub id: Uuid,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// What it says from now on.
    pub hand_in: HandInInput,
}

/// An application taken back.
#[derive(Clone, PartialEq, Eq)]
pub struct CancelInput {
    /// Retry key and digest.
    pub head: Head,
    /// Resource id.
    pub id: Uuid,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// Why; may be empty.
    pub reason: String,
}

/// A decision; the statement's version where an expert confirms.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeDecisionInput {
    /// The decision.
    pub decision: DecisionInput<CodeApplicationAction>,
    /// Version of the statement the expert agreed to; empty unless one confirms.
    pub statement_version: String,
}

/// Which page of which applications.
#[derive(Clone, PartialEq, Eq)]
pub struct ListInput {
    /// The page.
    pub page: Page<PageKey>,
    /// Only this institution, by its registered code.
    pub institution: Option<InstitutionCode>,
    /// Only this state.
    pub state: Option<CodeApplicationState>,
}

silent_debug!(
    HandInInput,
    ResubmitInput,
    CancelInput,
    CodeDecisionInput,
    ListInput
);

/// Reads an application.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has registered
/// the institution.
pub fn create(
    mut request: pb::CreateValidityCodeApplicationRequest,
    known: &Known<'_>,
) -> Result<HandInInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let read = read(
        head,
        request.code.as_ref(),
        request.submitter.as_ref(),
        known,
        &mut found,
    );
    Ok(settle(annotated, found, read)?.registered()?)
}

/// Reads an application that is handed in again.
///
/// # Errors
///
/// As [`create`]; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn resubmit(
    mut request: pb::ResubmitValidityCodeApplicationRequest,
    known: &Known<'_>,
) -> Result<ResubmitInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", APPLICATIONS.parse(&request.name));
    let read = read(
        head,
        request.code.as_ref(),
        request.submitter.as_ref(),
        known,
        &mut found,
    );
    let (id, hand_in) = settle(annotated, found, id.zip(read))?;
    Ok(ResubmitInput {
        id,
        etag: time::etag(&request.etag)?,
        hand_in: hand_in.registered()?,
    })
}

fn read(
    head: Option<Head>,
    code: Option<&pb::CodeRequest>,
    submitter: Option<&pb::Decider>,
    known: &Known<'_>,
    found: &mut Violations,
) -> Option<Named<HandInInput>> {
    let code = code.map(|code| facts(code, known));
    let code = required(found, "code", code);
    let submitter = submitter.map(|given| decider(given, ExpertCode::parse));
    let submitter = required(found, "submitter", submitter);
    let (
        Named {
            value: (facts, attachments),
            registered,
        },
        (submitter, person),
    ) = code.zip(submitter)?;
    Some(Named {
        registered,
        value: HandInInput {
            head: head?,
            facts,
            attachments,
            submitter,
            person,
        },
    })
}

/// What the code is asked for, and the files: those that prove a level are attached by
/// being named.
fn facts(
    code: &pb::CodeRequest,
    known: &Known<'_>,
) -> Result<Named<(CodeFacts, Vec<Attachment>)>, Violations> {
    let annotated = check_rules(code);
    let mut found = Violations::default();
    let said = Said {
        subject: code.subject.as_ref(),
        program: code.program.as_ref(),
        document_kind: code.document_kind,
        document: code.document.as_ref(),
        priors: &code.prior_qualifications,
        double_major_declared: code.double_major_declared,
        external_ref: &code.external_ref,
        files_prove: true,
    };
    let facts = said.read(known, &annotated, &mut found);
    let attachments = attachments(&code.attachments, &annotated, &mut found);
    let facts = facts.zip(attachments).map(|(facts, mut attachments)| {
        let files = facts
            .value
            .priors
            .iter()
            .filter_map(|prior| match prior.proof {
                Proof::File(file) => Some(file),
                Proof::Code(_) => None,
            });
        for file in files {
            if attachments.iter().all(|attached| attached.file != file) {
                attachments.push(Attachment {
                    kind: AttachmentKind::PriorQualification,
                    file,
                });
            }
        }
        Named {
            registered: facts.registered,
            value: (facts.value, attachments),
        }
    });
    found.finish(facts)
}

/// Reads that an application is taken back.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn cancel(
    mut request: pb::CancelValidityCodeApplicationRequest,
) -> Result<CancelInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", APPLICATIONS.parse(&request.name));
    let reason = found.take("reason", optional_text(&request.reason, REASON_MAX_CHARS));
    let input = (|| Some((head?, id?, reason?.unwrap_or_default())))();
    let (head, id, reason) = settle(annotated, found, input)?;
    Ok(CancelInput {
        head,
        id,
        etag: time::etag(&request.etag)?,
        reason,
    })
}

/// Reads an expert's decision.
///
/// # Errors
///
/// As [`cancel`].
pub fn expert_decision(
    mut request: pb::RecordExpertDecisionRequest,
    known: &Known<'_>,
) -> Result<CodeDecisionInput, AppError> {
    use pb::ExpertDecision as D;
    let (mut annotated, head) = open(&mut request);
    let action = match request.decision() {
        D::Confirm => Some(CodeApplicationAction::Confirm),
        D::Return => Some(CodeApplicationAction::Return),
        D::Reject => Some(CodeApplicationAction::Reject),
        D::Unspecified => None,
    };
    let field = "statement_version";
    let version = optional_text(&request.statement_version, STATEMENT_VERSION_MAX_CHARS);
    let version = match (version, action) {
        (Ok(None), Some(CodeApplicationAction::Confirm)) => Err(Reason::FieldRequired),
        (Ok(Some(_)), Some(action)) if action != CodeApplicationAction::Confirm => {
            Err(Reason::FieldFormat)
        }
        (version, _) => version,
    };
    let statement_version = match version {
        Ok(version) => version.unwrap_or_default(),
        Err(reason) => {
            if annotated.iter().all(|known| known.field != field) {
                annotated.push(field, reason);
            }
            String::new()
        }
    };
    let actor = |name: &str| {
        let (institution, code) = names::parse_expert(name)?;
        Ok(Actor::Expert(known.registered_or_given(institution), code))
    };
    let given = Decision {
        collection: APPLICATIONS,
        name: &request.name,
        etag: &request.etag,
        action,
        needs_remarks: action.is_some_and(CodeApplicationAction::needs_remarks),
        needs_reason: action.is_some_and(CodeApplicationAction::needs_reason),
        decider: request.decider.as_ref(),
        remarks: &request.remarks,
        reason: &request.reason,
    };
    Ok(CodeDecisionInput {
        decision: decision((annotated, head), &given, actor)?,
        statement_version,
    })
}

/// Reads a decision of the Organization.
///
/// # Errors
///
/// As [`cancel`].
pub fn review(mut request: pb::RecordCodeReviewRequest) -> Result<CodeDecisionInput, AppError> {
    use pb::CodeReview as D;
    let head = open(&mut request);
    let action = match request.decision() {
        D::Approve => Some(CodeApplicationAction::Approve),
        D::Return => Some(CodeApplicationAction::OrganizationReturn),
        D::Reject => Some(CodeApplicationAction::OrganizationReject),
        D::Unspecified => None,
    };
    let given = Decision {
        collection: APPLICATIONS,
        name: &request.name,
        etag: &request.etag,
        action,
        needs_remarks: action.is_some_and(CodeApplicationAction::needs_remarks),
        needs_reason: action.is_some_and(CodeApplicationAction::needs_reason),
        decider: request.decider.as_ref(),
        remarks: &request.remarks,
        reason: &request.reason,
    };
    let officer = |code: &str| ExpertCode::parse(code).map(Actor::Officer);
    Ok(CodeDecisionInput {
        decision: decision(head, &given, officer)?,
        statement_version: String::new(),
    })
}

/// Reads a request for one application: its resource id.
///
/// # Errors
///
/// The violation of `name`.
pub fn get(request: &pb::GetValidityCodeApplicationRequest) -> Result<Uuid, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", APPLICATIONS.parse(&request.name));
    settle(check_rules(request), found, id)
}

/// Reads a request for a list of applications.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has registered
/// the institution.
pub fn list(
    mut request: pb::ListValidityCodeApplicationsRequest,
    known: &Known<'_>,
) -> Result<ListInput, AppError> {
    let annotated = check_rules(&request);
    let mut found = Violations::default();
    let page = take_page(&mut request, &mut found);
    let institution = institution_filter(&request.institution_code, known);
    let institution = found.take("institution_code", institution);
    let (page, institution) = settle(annotated, found, page.zip(institution))?;
    Ok(ListInput {
        page,
        institution: institution.map(Named::registered).transpose()?,
        state: from_pb(request.state),
    })
}

/// The contract's form of an application.
#[must_use]
pub fn application_to_pb(stored: &StoredCodeApplication) -> pb::ValidityCodeApplication {
    let content = &stored.content;
    let prior = |(level, ground): &(_, PriorGround)| pb::ClaimedPrior {
        degree_level: to_pb(*level),
        validity_code: match ground {
            PriorGround::Code(id) => Collection::ValidityCodes.name(*id),
            PriorGround::File(_) => String::new(),
        },
        attachment: match ground {
            PriorGround::Code(_) => String::new(),
            PriorGround::File(file) => names::attachment(*file),
        },
    };
    let code = stored.code_id;
    pb::ValidityCodeApplication {
        name: APPLICATIONS.name(stored.id),
        state: to_pb(stored.state),
        subject: Some(subject_to_pb(&content.subject)),
        program: Some(program_to_pb(&content.program)),
        document_kind: to_pb(content.document.kind),
        document: Some(document_to_pb(&content.document)),
        priors: content.priors.iter().map(prior).collect(),
        double_major_declared: content.double_major_declared,
        external_ref: content.external_ref.clone(),
        attachments: attachments_to_pb(&content.attachments),
        validity_code: code
            .map(|id| Collection::ValidityCodes.name(id))
            .unwrap_or_default(),
        quote: Some(quote_to_pb(&content.quote)),
        workflow_version: content.workflow_version.clone(),
        pay_until_time: stored.pay_until.map(instant_to_pb),
        due_time: content.due_time.map(instant_to_pb),
        history: stored.history.iter().map(step_to_pb).collect(),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
        documents_publication: content.documents,
    }
}

fn step_to_pb(step: &StoredStep<CodeApplicationState>) -> pb::CodeApplicationStep {
    pb::CodeApplicationStep {
        state: to_pb(step.state),
        change_time: Some(instant_to_pb(step.change_time)),
        actor: step.caller().to_owned(),
        decider: step.decider.clone(),
        reason: step.reason.clone(),
        remarks: step.remarks.iter().map(remark_to_pb).collect(),
    }
}

/// Where a page of applications that ends with this one goes on.
#[must_use]
pub fn application_place(stored: &StoredCodeApplication) -> PageKey {
    PageKey {
        micros: stored.create_time.as_microsecond(),
        id: stored.id,
    }
}
