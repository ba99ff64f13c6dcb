//! Disputes, their messages and rulings.

use gavah_api::v1 as pb;
use gavah_domain::caller::CallerClass;
use gavah_domain::dispute::{DisputeState, OrderedAct};
use gavah_domain::{PersonId, Reason, Violations};
use gavah_store::{
    DisputeStep, NewAction, NewRuling, Ordered, PageKey, Stance, StoredAction, StoredDispute,
    StoredMessage, StoredRuling,
};
use uuid::Uuid;

use super::agreement::agreement_id;
use super::enums::{from_pb, to_pb};
use super::head::{Head, WriteRequest, open};
use super::identity::subject_claim;
use super::names::{self, Collection};
use super::page::{Page, take_page};
use super::time::{self, instant_to_pb};
use super::{check_rules, optional_text, settle, silent_debug, text, too_many};
use crate::error::AppError;

/// Greatest length of a statement, a message, terms and a decision, in characters.
const TEXT_MAX_CHARS: usize = 4_000;
/// Greatest length of a legal basis and a note, in characters.
const NOTE_MAX_CHARS: usize = 500;

/// What a dispute is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An agreement, by its id.
    Agreement(String),
    /// An application for a validity code.
    CodeApplication(Uuid),
    /// An application for a certificate.
    CertificateApplication(Uuid),
    /// A validity code.
    Code(Uuid),
    /// A certificate.
    Certificate(Uuid),
}

impl Subject {
    fn parse(name: &str) -> Result<Self, Reason> {
        match name.split_once('/') {
            Some(("agreements", _)) => agreement_id(name).map(Self::Agreement),
            Some(("validityCodeApplications", _)) => Collection::ValidityCodeApplications
                .parse(name)
                .map(Self::CodeApplication),
            Some(("enrollmentCertificateApplications", _)) => {
                Collection::EnrollmentCertificateApplications
                    .parse(name)
                    .map(Self::CertificateApplication)
            }
            Some(("validityCodes", _)) => Collection::ValidityCodes.parse(name).map(Self::Code),
            Some(("enrollmentCertificates", _)) => Collection::EnrollmentCertificates
                .parse(name)
                .map(Self::Certificate),
            _ => Err(Reason::FieldFormat),
        }
    }

    /// Its resource name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Agreement(id) => gavah_store::agreement_name(id),
            Self::CodeApplication(id) => Collection::ValidityCodeApplications.name(*id),
            Self::CertificateApplication(id) => {
                Collection::EnrollmentCertificateApplications.name(*id)
            }
            Self::Code(id) => Collection::ValidityCodes.name(*id),
            Self::Certificate(id) => Collection::EnrollmentCertificates.name(*id),
        }
    }
}

/// To what an action is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A validity code.
    Code(Uuid),
    /// A certificate.
    Certificate(Uuid),
    /// A payment.
    Payment(Uuid),
}

impl Target {
    fn parse(act: OrderedAct, name: &str) -> Result<Self, Reason> {
        match (act, name.split_once('/')) {
            (OrderedAct::Refund, Some(("payments", id))) => names::uuid(id).map(Self::Payment),
            (OrderedAct::Refund, _) => Err(Reason::FieldFormat),
            (_, Some(("validityCodes", id))) => names::uuid(id).map(Self::Code),
            (_, Some(("enrollmentCertificates", id))) => names::uuid(id).map(Self::Certificate),
            _ => Err(Reason::FieldFormat),
        }
    }

    /// Its resource name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Code(id) => Collection::ValidityCodes.name(id),
            Self::Certificate(id) => Collection::EnrollmentCertificates.name(id),
            Self::Payment(id) => Collection::Payments.name(id),
        }
    }
}

/// A dispute to open.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenInput {
    /// Retry key and digest.
    pub head: Head,
    /// What it is about.
    pub subject: Subject,
    /// Whom the subject is about, as the single window says.
    pub claim: Option<PersonId>,
    /// The statement.
    pub statement: String,
}

/// A message to post.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageInput {
    /// Retry key and digest.
    pub head: Head,
    /// The dispute.
    pub id: Uuid,
    /// The message.
    pub text: String,
}

/// A party's step.
#[derive(Clone, PartialEq, Eq)]
pub struct StepInput {
    /// Retry key and digest.
    pub head: Head,
    /// The dispute.
    pub id: Uuid,
    /// What is done.
    pub step: DisputeStep,
    /// To what is ordered, in the order of the ruling's actions.
    pub targets: Vec<Target>,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
}

/// An action to close.
#[derive(Clone, PartialEq, Eq)]
pub struct CloseInput {
    /// Retry key and digest.
    pub head: Head,
    /// The action.
    pub action: Ordered,
    /// Why it can no longer be done.
    pub reason: String,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
}

/// Which messages are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMessagesInput {
    /// The dispute.
    pub id: Uuid,
    /// The page; its place is the number of the last message, in decimals.
    pub page: Page<String>,
}

/// Which disputes are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListInput {
    /// The page.
    pub page: Page<PageKey>,
    /// Only in this state.
    pub state: Option<DisputeState>,
    /// Only on this subject.
    pub subject: Option<Subject>,
}

silent_debug!(OpenInput, MessageInput, StepInput, CloseInput);

/// Reads a dispute to open.
///
/// # Errors
///
/// Every violation at once.
pub fn open_dispute(
    mut request: pb::OpenDisputeRequest,
    class: CallerClass,
) -> Result<OpenInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let subject = found.take("subject", Subject::parse(&request.subject));
    let statement = found.take("statement", text(&request.statement, TEXT_MAX_CHARS));
    let claim = match subject {
        Some(Subject::CertificateApplication(_) | Subject::Certificate(_)) => {
            subject_claim(request.subject_claim.as_ref(), class, &mut found)
        }
        _ => None,
    };
    let input = (|| {
        Some(OpenInput {
            head: head?,
            subject: subject?,
            claim,
            statement: statement?,
        })
    })();
    settle(annotated, found, input)
}

/// Reads a message to post.
///
/// # Errors
///
/// Every violation at once.
pub fn post_message(mut request: pb::PostDisputeMessageRequest) -> Result<MessageInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", Collection::Disputes.parse(&request.name));
    let text = found.take("text", text(&request.text, TEXT_MAX_CHARS));
    let input = (|| {
        Some(MessageInput {
            head: head?,
            id: id?,
            text: text?,
        })
    })();
    settle(annotated, found, input)
}

/// Reads the terms that a party agrees to.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn agree(mut request: pb::AgreeDisputeRequest) -> Result<StepInput, AppError> {
    let (name, etag) = (request.name.clone(), request.etag.clone());
    let terms = text(&request.terms, TEXT_MAX_CHARS);
    step(&mut request, &name, &etag, |found| {
        let terms = found.take("terms", terms)?;
        Some((DisputeStep::Agree(terms), Vec::new()))
    })
}

/// Reads a consent to a ruling.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn consent(mut request: pb::ConsentToRulingRequest) -> Result<StepInput, AppError> {
    let (name, etag) = (request.name.clone(), request.etag.clone());
    step(&mut request, &name, &etag, |_| {
        Some((DisputeStep::Consent, Vec::new()))
    })
}

/// Reads which dispute is taken back.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn withdraw(mut request: pb::WithdrawDisputeRequest) -> Result<StepInput, AppError> {
    let (name, etag) = (request.name.clone(), request.etag.clone());
    step(&mut request, &name, &etag, |_| {
        Some((DisputeStep::Withdraw, Vec::new()))
    })
}

/// Reads a ruling.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn rule(mut request: pb::RuleDisputeRequest) -> Result<StepInput, AppError> {
    let (name, etag) = (request.name.clone(), request.etag.clone());
    // What is more than allowed is not read at all.
    let given = match too_many(&check_rules(&request), "actions") {
        true => Vec::new(),
        false => request.actions.clone(),
    };
    let outcome = from_pb(request.outcome).ok_or(Reason::FieldRequired);
    let decision = text(&request.text, TEXT_MAX_CHARS);
    let basis = text(&request.legal_basis, NOTE_MAX_CHARS);
    step(&mut request, &name, &etag, |found| {
        let outcome = found.take("outcome", outcome);
        let decision = found.take("text", decision);
        let legal_basis = found.take("legal_basis", basis);
        let mut actions = Vec::new();
        let mut targets = Vec::new();
        for (index, ordered) in given.iter().enumerate() {
            let at = |field: &str| format!("actions[{index}].{field}");
            let act = found.take(
                &at("act"),
                from_pb::<OrderedAct>(ordered.act).ok_or(Reason::FieldRequired),
            );
            let target = act.map(|act| Target::parse(act, &ordered.target));
            let target = target.and_then(|target| found.take(&at("target"), target));
            let note = found.take(&at("note"), optional_text(&ordered.note, NOTE_MAX_CHARS));
            if let (Some(act), Some(target), Some(note)) = (act, target, note) {
                targets.push(target);
                actions.push(NewAction {
                    act,
                    target: target.name(),
                    note: note.unwrap_or_default(),
                });
            }
        }
        let ruling = NewRuling {
            outcome: outcome?,
            text: decision?,
            legal_basis: legal_basis?,
            actions,
        };
        Some((DisputeStep::Rule(Box::new(ruling)), targets))
    })
}

fn step(
    request: &mut impl WriteRequest,
    name: &str,
    etag: &str,
    what: impl FnOnce(&mut Violations) -> Option<(DisputeStep, Vec<Target>)>,
) -> Result<StepInput, AppError> {
    let (annotated, head) = open(request);
    let mut found = Violations::default();
    let id = found.take("name", Collection::Disputes.parse(name));
    let what = what(&mut found);
    let input = (|| {
        let (step, targets) = what?;
        Some(StepInput {
            head: head?,
            id: id?,
            step,
            targets,
            etag: None,
        })
    })();
    let input = settle(annotated, found, input)?;
    Ok(StepInput {
        etag: time::etag(etag)?,
        ..input
    })
}

/// Reads which action is closed, and why.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn close_action(mut request: pb::CloseDisputeActionRequest) -> Result<CloseInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let action = found.take("name", names::parse_action(&request.name));
    let reason = found.take("reason", text(&request.reason, NOTE_MAX_CHARS));
    let input = (|| {
        Some(CloseInput {
            head: head?,
            action: action?,
            reason: reason?,
            etag: None,
        })
    })();
    let input = settle(annotated, found, input)?;
    Ok(CloseInput {
        etag: time::etag(&request.etag)?,
        ..input
    })
}

/// Reads which dispute is asked for.
///
/// # Errors
///
/// The violation of the name.
pub fn get(request: &pb::GetDisputeRequest) -> Result<Uuid, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", Collection::Disputes.parse(&request.name));
    settle(check_rules(request), found, id)
}

/// Reads which messages are asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn list_messages(
    mut request: pb::ListDisputeMessagesRequest,
) -> Result<ListMessagesInput, AppError> {
    let annotated = check_rules(&request);
    let mut found = Violations::default();
    let id = found.take("name", Collection::Disputes.parse(&request.name));
    let page: Option<Page<String>> = take_page(&mut request, &mut found);
    // The place in a token is a number, as it was given out.
    let numbered = |page: &Page<String>| {
        let mut after = page.after.iter();
        after.all(|after| after.parse::<i32>().is_ok())
    };
    if page.as_ref().is_some_and(|page| !numbered(page)) {
        found.push("page_token", Reason::PageTokenInvalid);
    }
    let input = id.zip(page);
    let input = input.map(|(id, page)| ListMessagesInput { id, page });
    settle(annotated, found, input)
}

/// Reads which disputes are asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn list(mut request: pb::ListDisputesRequest) -> Result<ListInput, AppError> {
    let annotated = check_rules(&request);
    let mut found = Violations::default();
    let state = from_pb(request.state);
    let subject = match request.subject.as_str() {
        "" => Some(None),
        name => found.take("subject", Subject::parse(name)).map(Some),
    };
    let page = take_page(&mut request, &mut found);
    let input = (|| {
        Some(ListInput {
            page: page?,
            state,
            subject: subject?,
        })
    })();
    settle(annotated, found, input)
}

/// The place of a dispute in its list.
#[must_use]
pub fn place(stored: &StoredDispute) -> PageKey {
    PageKey {
        micros: stored.create_time.as_microsecond(),
        id: stored.id,
    }
}

/// The contract's form of a dispute.
#[must_use]
pub fn dispute_to_pb(stored: &StoredDispute) -> pb::Dispute {
    let through = match stored.through.as_str() {
        "" => String::new(),
        caller => format!("callers/{caller}"),
    };
    pb::Dispute {
        name: Collection::Disputes.name(stored.id),
        subject: stored.subject.clone(),
        consumer: stored.consumer.clone(),
        through,
        state: to_pb(stored.state),
        opened_by: to_pb(stored.opened_by),
        statement: stored.statement.clone(),
        deadline: Some(instant_to_pb(stored.deadline)),
        consumer_stance: Some(stance_to_pb(&stored.consumer_stance)),
        provider_stance: Some(stance_to_pb(&stored.provider_stance)),
        message_count: stored.messages,
        ruling: stored
            .ruling
            .as_ref()
            .map(|ruling| ruling_to_pb(stored.id, ruling)),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        etag: stored.version.to_string(),
    }
}

fn stance_to_pb(stance: &Stance) -> pb::PartyStance {
    pb::PartyStance {
        terms: stance.terms.clone(),
        terms_by: stance.terms_by.clone(),
        terms_time: stance.terms_time.map(instant_to_pb),
        consent_by: stance.consent_by.clone(),
        consent_time: stance.consent_time.map(instant_to_pb),
    }
}

fn ruling_to_pb(id: Uuid, ruling: &StoredRuling) -> pb::Ruling {
    let action = |action: &StoredAction| pb::OrderedAction {
        name: Ordered {
            dispute: id,
            number: action.number,
        }
        .name(),
        act: to_pb(action.act),
        target: action.target.clone(),
        note: action.note.clone(),
        result: action.result.clone(),
        done_by: action.done_by.clone(),
        done_time: action.done_time.map(instant_to_pb),
        state: to_pb(action.state()),
        close_reason: action.close_reason.clone(),
    };
    pb::Ruling {
        outcome: to_pb(ruling.outcome),
        text: ruling.text.clone(),
        legal_basis: ruling.legal_basis.clone(),
        actions: ruling.actions.iter().map(action).collect(),
        ruled_by: ruling.ruled_by.clone(),
        rule_time: Some(instant_to_pb(ruling.rule_time)),
    }
}

/// The contract's form of a message.
#[must_use]
pub fn message_to_pb(stored: &StoredMessage) -> pb::DisputeMessage {
    let dispute = Collection::Disputes.name(stored.dispute_id);
    pb::DisputeMessage {
        name: format!("{dispute}/messages/{}", stored.number),
        party: to_pb(stored.party),
        author: stored.author.clone(),
        text: stored.text.clone(),
        create_time: Some(instant_to_pb(stored.create_time)),
    }
}

#[cfg(test)]
#[path = "dispute_tests.rs"]
mod tests;
