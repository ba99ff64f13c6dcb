//! What is done to an application: changed, handed in, taken back, decided on; and the
//! correction of a certificate.

use gavah_api::v1 as pb;
use gavah_domain::application::{ApplicationAction, Remark, parse_field_path};
use gavah_domain::application::{REMARK_MAX_CHARS, REMARKS_MAX};
use gavah_domain::attachment::Attachment;
use gavah_domain::caller::ExpertCode;
use gavah_domain::certificate::Purpose;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::record::Subject;
use gavah_domain::{DisplayText, PersonId, Reason, Violations};
use gavah_store::Paper;
use uuid::Uuid;

use super::attachment::attachments;
use super::certificate::{addressee, paper};
use super::enums::from_pb;
use super::head::{Head, open};
use super::identity::{person_id, subject};
use super::names::{self, Collection};
use super::{Known, optional_text, required, settle, silent_debug, time, too_many};
use crate::error::AppError;

/// Greatest length of a reason, in characters.
pub(super) const REASON_MAX_CHARS: usize = 200;

/// What an application says from now on.
#[derive(Clone, PartialEq, Eq)]
pub struct UpdateInput {
    /// Retry key and digest.
    pub head: Head,
    /// Resource id.
    pub id: Uuid,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// The student as the window knows them.
    pub subject: Subject,
    /// Purpose.
    pub purpose: Purpose,
    /// Addressee in Persian.
    pub addressee_fa: String,
    /// Addressee in English.
    pub addressee_en: Option<String>,
    /// The paper to confirm.
    pub paper: Option<Paper>,
    /// The files that come with it.
    pub attachments: Vec<Attachment>,
}

/// What the window does for its subject.
#[derive(Clone, PartialEq, Eq)]
pub struct ActInput {
    /// Retry key and digest.
    pub head: Head,
    /// Resource id.
    pub id: Uuid,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// The subject for whom it acts.
    pub claim: PersonId,
    /// Why; may be empty.
    pub reason: String,
}

/// Who decides, as named.
#[derive(Clone, PartialEq, Eq)]
pub enum Actor {
    /// An expert of an institution.
    Expert(InstitutionCode, ExpertCode),
    /// An officer of the Organization.
    Officer(ExpertCode),
}

impl Actor {
    /// The name by which the history and the audit know them.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Expert(institution, code) => names::expert(institution, code.as_str()),
            Self::Officer(code) => format!("officers/{}", code.as_str()),
        }
    }
}

/// A decision.
#[derive(Clone, PartialEq, Eq)]
pub struct DecisionInput<A = ApplicationAction> {
    /// Retry key and digest.
    pub head: Head,
    /// Resource id.
    pub id: Uuid,
    /// The version the decider saw.
    pub etag: i64,
    /// What is decided.
    pub action: A,
    /// Who decides.
    pub actor: Actor,
    /// Who that is.
    pub person: PersonId,
    /// What is to be mended.
    pub remarks: Vec<Remark>,
    /// Why; may be empty.
    pub reason: String,
}

/// A correction of a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct CorrectInput {
    /// Retry key and digest.
    pub head: Head,
    /// Resource id of the wrong certificate.
    pub id: Uuid,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// The right addressee, in Persian and in English.
    pub addressee: Option<(String, Option<String>)>,
    /// The right purpose.
    pub purpose: Option<Purpose>,
}

silent_debug!(UpdateInput, ActInput, Actor, CorrectInput);

/// Prints nothing: it is about a student, and about who decides.
impl<A> std::fmt::Debug for DecisionInput<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DecisionInput(…)")
    }
}

/// Reads a change of what an application says. Whether it must have a paper is known
/// only with the application.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn update(
    mut request: pb::UpdateEnrollmentCertificateApplicationRequest,
    known: &Known<'_>,
) -> Result<UpdateInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", APPLICATIONS.parse(&request.name));
    let person = request.subject.as_ref();
    let person = person.map(|given| subject(given, known.today()));
    let person = required(&mut found, "subject", person);
    let purpose = from_pb(request.purpose).ok_or(Reason::FieldRequired);
    let purpose = found.take("purpose", purpose);
    let to = request.addressee.as_ref().map(addressee);
    let to = required(&mut found, "addressee", to);
    let given = request.existing_document.as_ref().map(paper).transpose();
    let given = found.take_nested("existing_document", given);
    let attachments = attachments(&request.attachments, &annotated, &mut found);
    let input = (|| {
        let (addressee_fa, addressee_en) = to?;
        Some(UpdateInput {
            head: head?,
            id: id?,
            etag: None,
            subject: person?,
            purpose: purpose?,
            addressee_fa,
            addressee_en,
            paper: given?,
            attachments: attachments?,
        })
    })();
    let input = settle(annotated, found, input)?;
    Ok(UpdateInput {
        etag: time::etag(&request.etag)?,
        ..input
    })
}

const APPLICATIONS: Collection = Collection::EnrollmentCertificateApplications;

/// Reads that an application is handed in.
///
/// # Errors
///
/// As [`update`].
pub fn submit(
    mut request: pb::SubmitEnrollmentCertificateApplicationRequest,
) -> Result<ActInput, AppError> {
    let head = open(&mut request);
    let claim = request.subject_claim.as_ref();
    act(head, &request.name, claim, &request.etag, "")
}

/// Reads that an application is taken back.
///
/// # Errors
///
/// As [`update`].
pub fn cancel(
    mut request: pb::CancelEnrollmentCertificateApplicationRequest,
) -> Result<ActInput, AppError> {
    let head = open(&mut request);
    let claim = request.subject_claim.as_ref();
    act(head, &request.name, claim, &request.etag, &request.reason)
}

fn act(
    (annotated, head): (Violations, Option<Head>),
    name: &str,
    claim: Option<&pb::PersonId>,
    etag: &str,
    reason: &str,
) -> Result<ActInput, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", APPLICATIONS.parse(name));
    let claim = required(&mut found, "subject_claim", claim.map(person_id));
    let reason = found.take("reason", optional_text(reason, REASON_MAX_CHARS));
    let input = (|| {
        Some(ActInput {
            head: head?,
            id: id?,
            etag: None,
            claim: claim?,
            reason: reason?.unwrap_or_default(),
        })
    })();
    let input = settle(annotated, found, input)?;
    Ok(ActInput {
        etag: time::etag(etag)?,
        ..input
    })
}

/// Reads an institution's decision.
///
/// # Errors
///
/// As [`update`].
pub fn university_decision(
    mut request: pb::RecordUniversityDecisionRequest,
    known: &Known<'_>,
) -> Result<DecisionInput, AppError> {
    use pb::UniversityDecision as D;
    let head = open(&mut request);
    let action = match request.decision() {
        D::Confirm => Some(ApplicationAction::Confirm),
        D::Return => Some(ApplicationAction::Return),
        D::Reject => Some(ApplicationAction::UniversityReject),
        D::Unspecified => None,
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
        needs_remarks: action.is_some_and(ApplicationAction::needs_remarks),
        needs_reason: action.is_some_and(ApplicationAction::needs_reason),
        decider: request.decider.as_ref(),
        remarks: &request.remarks,
        reason: &request.reason,
    };
    decision(head, &given, actor)
}

/// Reads a decision of the Organization.
///
/// # Errors
///
/// As [`update`].
pub fn organization_decision(
    mut request: pb::RecordOrganizationDecisionRequest,
) -> Result<DecisionInput, AppError> {
    use pb::OrganizationDecision as D;
    let head = open(&mut request);
    let action = match request.decision() {
        D::Approve => Some(ApplicationAction::Approve),
        D::ReturnToUniversity => Some(ApplicationAction::ReturnToUniversity),
        D::Reject => Some(ApplicationAction::OrganizationReject),
        D::Unspecified => None,
    };
    let given = Decision {
        collection: APPLICATIONS,
        name: &request.name,
        etag: &request.etag,
        action,
        needs_remarks: action.is_some_and(ApplicationAction::needs_remarks),
        needs_reason: action.is_some_and(ApplicationAction::needs_reason),
        decider: request.decider.as_ref(),
        remarks: &request.remarks,
        reason: &request.reason,
    };
    decision(head, &given, |code| {
        ExpertCode::parse(code).map(Actor::Officer)
    })
}

pub(super) struct Decision<'a, A> {
    pub(super) collection: Collection,
    pub(super) name: &'a str,
    pub(super) etag: &'a str,
    pub(super) action: Option<A>,
    pub(super) needs_remarks: bool,
    pub(super) needs_reason: bool,
    pub(super) decider: Option<&'a pb::Decider>,
    pub(super) remarks: &'a [pb::Remark],
    pub(super) reason: &'a str,
}

pub(super) fn decision<A: Copy>(
    (annotated, head): (Violations, Option<Head>),
    given: &Decision<'_, A>,
    actor: impl Fn(&str) -> Result<Actor, Reason>,
) -> Result<DecisionInput<A>, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", given.collection.parse(given.name));
    if given.etag.is_empty() {
        found.push("etag", Reason::FieldRequired);
    }
    let action = found.take("decision", given.action.ok_or(Reason::FieldRequired));
    let decider = given.decider.map(|given| decider(given, actor));
    let decider = required(&mut found, "decider", decider);
    let remarks = if too_many(&annotated, "remarks") {
        None
    } else {
        let needed = action.map(|_| given.needs_remarks);
        remarks(given.remarks, needed, &mut found)
    };
    let reason = found.take("reason", optional_text(given.reason, REASON_MAX_CHARS));
    if reason == Some(None) && given.needs_reason {
        found.push("reason", Reason::FieldRequired);
    }
    let input = (|| {
        let (actor, person) = decider?;
        Some(DecisionInput {
            head: head?,
            id: id?,
            etag: 0,
            action: action?,
            actor,
            person,
            remarks: remarks?,
            reason: reason?.unwrap_or_default(),
        })
    })();
    let input = settle(annotated, found, input)?;
    let etag = time::etag(given.etag)?.ok_or(Reason::EtagMismatch)?;
    Ok(DecisionInput { etag, ..input })
}

/// Who decides or hands in, by a name that `actor` reads.
pub(super) fn decider<T>(
    given: &pb::Decider,
    actor: impl Fn(&str) -> Result<T, Reason>,
) -> Result<(T, PersonId), Violations> {
    let mut found = Violations::default();
    let actor = found.take("actor", actor(&given.actor));
    let person = given.person_id.as_ref().map(person_id);
    let person = required(&mut found, "person_id", person);
    found.finish(actor.zip(person))
}

/// Remarks come with what is given back, and with nothing else.
fn remarks(
    given: &[pb::Remark],
    needed: Option<bool>,
    found: &mut Violations,
) -> Option<Vec<Remark>> {
    match (needed, given.is_empty()) {
        (Some(true), true) => found.push("remarks", Reason::FieldRequired),
        (Some(false), false) => found.push("remarks", Reason::FieldFormat),
        _ => {}
    }
    let remarks = given.iter().take(REMARKS_MAX).enumerate();
    let remarks = remarks.map(|(index, remark)| {
        let field = parse_field_path(&remark.field);
        let field = found.take(&format!("remarks[{index}].field"), field);
        let text = DisplayText::parse(&remark.text, REMARK_MAX_CHARS);
        let text = found.take(&format!("remarks[{index}].text"), text);
        Some(Remark {
            field: field?,
            text: text?,
        })
    });
    // All of them, so that every violation is found.
    remarks.collect::<Vec<_>>().into_iter().collect()
}

/// The contract's form of a remark.
pub(super) fn remark_to_pb(remark: &Remark) -> pb::Remark {
    pb::Remark {
        field: remark.field.clone(),
        text: remark.text.as_str().to_owned(),
    }
}

/// Reads a correction of a certificate.
///
/// # Errors
///
/// As [`update`].
pub fn correct(
    mut request: pb::CorrectEnrollmentCertificateRequest,
) -> Result<CorrectInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take(
        "name",
        Collection::EnrollmentCertificates.parse(&request.name),
    );
    let to = request.addressee.as_ref().map(addressee).transpose();
    let to = found.take_nested("addressee", to);
    let input = (|| {
        Some(CorrectInput {
            head: head?,
            id: id?,
            etag: None,
            addressee: to?,
            purpose: from_pb(request.purpose),
        })
    })();
    let input = settle(annotated, found, input)?;
    Ok(CorrectInput {
        etag: time::etag(&request.etag)?,
        ..input
    })
}
