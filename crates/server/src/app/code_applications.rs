//! Applications for validity codes: handed in, confirmed by an expert, reviewed, issued.

use gavah_domain::caller::CallerClass;
use gavah_domain::code_application::{CodeApplicationAction as Action, CodeApplicationState};
use gavah_domain::institution::{Institution, InstitutionState};
use gavah_domain::program::DegreeLevel;
use gavah_domain::service::{ServiceCall, ServiceKind, WorkflowVersion};
use gavah_domain::tariff::{ISSUE, Quote};
use gavah_domain::{PersonId, Reason};
use gavah_store::{
    ActContext, Attestation, CertificateFilter, CodeApplicationChange, CodeApplicationContent,
    CodeApplicationOutcome, CodeContent, IssueCode, NewStep, PriorGround, PriorProof, StoredCode,
    StoredCodeApplication,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::agreements::in_flight;
use super::attachments::{complete, may_attach};
use super::certificates::stages::paying;
use super::codes::{
    self, DRAWS, Row, already_issued, chain, draw, enabled, may_claim, proven, proves, ready,
};
use super::disputes::reissue_ordered;
use super::payments::settle::{Step, may_wait};
use super::service_levels::due_time;
use super::{
    App, PAY_WITHIN, context, earlier, lot, may_read, not_paused, owned, owns, scope, terms,
};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::application::Actor;
use crate::convert::code::{CodeFacts, Proof};
use crate::convert::code_application::{
    CancelInput, CodeDecisionInput, HandInInput, ListInput, ResubmitInput,
};
use crate::convert::names::{self, Collection};
use crate::error::{AppError, Refusal};

/// How often a change is tried anew when the application moved under it.
const TRIES: usize = 4;

/// Applications whose time to pay is over that are settled at a time.
const BATCH: u64 = 100;

const APPLICATIONS: Collection = Collection::ValidityCodeApplications;

/// An application, and its code once issued.
#[derive(Debug)]
pub struct Decided {
    /// The application.
    pub application: StoredCodeApplication,
    /// The code; unset unless it is issued.
    pub code: Option<StoredCode>,
}

/// The part somebody has in an application; nobody has two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Submitter,
    Expert,
    Officer,
}

impl Part {
    /// Whose step it was.
    fn of(state: CodeApplicationState, decider: &str) -> Self {
        match state {
            CodeApplicationState::Submitted => Self::Submitter,
            _ if decider.starts_with("officers/") => Self::Officer,
            _ => Self::Expert,
        }
    }
}

/// A change with what it ends in.
struct Planned {
    change: CodeApplicationChange,
    issue: Option<IssueCode>,
}

/// Where an application goes by the rules alone.
#[derive(Default)]
struct Onward {
    steps: Vec<NewStep<CodeApplicationState>>,
    pay_until: Option<Timestamp>,
    issue: Option<IssueCode>,
}

/// Hands an application in; `None` when only checking.
///
/// # Errors
///
/// Refusals by the guards; nothing is created then. [`AppError::Store`].
pub async fn create(
    app: &App,
    call: &Acting,
    input: HandInInput,
) -> Result<Option<Decided>, AppError> {
    let now = app.clock.now();
    let context = context(call, &input.head, None, now);
    let planned = async {
        let id = app.new_id(now)?;
        hand_in(app, call, &input, None, id, now).await
    };
    settle(app, call, &context, input.head, planned.await)
        .await?
        .map_or_else(
            || Err(AppError::Internal("a new application has moved")),
            |settled| Ok(settled.done()),
        )
}

/// Has the code of a row, which an expert attests and which has a fee, wait for its payment.
///
/// # Errors
///
/// OPEN_APPLICATION_EXISTS, REQUEST_ID_REUSED; [`AppError::Store`].
pub(super) async fn unpaid(
    app: &App,
    call: &Acting,
    context: &ActContext,
    code: IssueCode,
) -> Result<Row, AppError> {
    use CodeApplicationOutcome as Outcome;
    let content = code.content;
    let confirmed = NewStep {
        decider: format!(
            "{}/experts/{}",
            names::institution(&content.program.institution),
            content.attestation.expert_code
        ),
        ..NewStep::by_caller(
            CodeApplicationState::ExpertConfirmed,
            Action::Confirm.as_str(),
        )
    };
    let change = CodeApplicationChange {
        id: app.new_id(code.issue_time)?,
        before: None,
        written: true,
        open_key: code.live_key,
        subject_hash: code.subject_hash,
        steps: vec![
            NewStep::by_caller(CodeApplicationState::Submitted, "CREATE"),
            NewStep::by_service(CodeApplicationState::Validated, "VALIDATE"),
            confirmed,
            NewStep::by_service(CodeApplicationState::Approved, Action::Approve.as_str()),
            NewStep::by_service(CodeApplicationState::AwaitingPayment, AWAIT_PAYMENT),
        ],
        pay_until: Some(pay_until(code.issue_time)?),
        content: CodeApplicationContent {
            subject: content.subject,
            program: content.program,
            document: content.document,
            priors: content
                .priors
                .iter()
                .map(|prior| (prior.level, PriorGround::Code(prior.code_id)))
                .collect(),
            double_major_declared: content.double_major_declared,
            external_ref: content.external_ref,
            attachments: Vec::new(),
            quote: content.quote,
            workflow_version: content.workflow_version,
            documents: content.documents,
            agreement: code.agreement.unwrap_or_default(),
            // The expert has decided already.
            due_time: None,
            attestation: Some(content.attestation),
        },
    };
    let store = app.store_for(call);
    match store
        .change_code_application(context, &change, None)
        .await?
    {
        Outcome::Done(application, _) => Ok(Row::Unpaid(application)),
        Outcome::Replayed(id) => row(app, call, id).await,
        Outcome::ReplayedCode(id) => Ok(Row::Issued(Box::new(codes::get(app, call, id).await?))),
        Outcome::RequestIdReused => Err(Reason::RequestIdReused.into()),
        Outcome::OpenExists(id) => Err(open_exists(id)),
        Outcome::Moved
        | Outcome::AttachmentMissing
        | Outcome::AlreadyIssued(_)
        | Outcome::ExpertNotActive
        | Outcome::CodeTaken => Err(AppError::Internal("a new application has moved")),
    }
}

/// What an application that a row of a run made has come to by now.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND; [`AppError::Store`].
pub(super) async fn row(app: &App, call: &Acting, id: Uuid) -> Result<Row, AppError> {
    let application = get(app, call, id).await?;
    Ok(match application.code_id {
        Some(code) => Row::Issued(Box::new(codes::get(app, call, code).await?)),
        None => Row::Unpaid(Box::new(application)),
    })
}

/// What is done to an application.
enum Deed {
    Resubmit(Box<ResubmitInput>),
    Cancel(CancelInput),
    Decide(CodeDecisionInput),
}

/// Hands a returned application in again; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, and those of [`create`].
pub async fn resubmit(
    app: &App,
    call: &Acting,
    input: ResubmitInput,
) -> Result<Option<Decided>, AppError> {
    let (id, head) = (input.id, input.hand_in.head);
    act(app, call, id, head, &Deed::Resubmit(Box::new(input))).await
}

/// Takes an application back; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, REQUEST_ID_REUSED;
/// [`AppError::Store`].
pub async fn cancel(
    app: &App,
    call: &Acting,
    input: CancelInput,
) -> Result<Option<Decided>, AppError> {
    let (id, head) = (input.id, input.head);
    act(app, call, id, head, &Deed::Cancel(input)).await
}

/// Records a decision of an expert or of the Organization; `None` when only checking.
///
/// # Errors
///
/// As [`cancel`]; EXPERT_NOT_ACTIVE, SAME_PERSON_CANNOT_DECIDE, and on confirming and
/// approving ISSUANCE_PAUSED, INSTITUTION_NOT_ACTIVE, PRIOR_QUALIFICATION_MISSING,
/// CODE_ALREADY_ISSUED.
pub async fn decide(
    app: &App,
    call: &Acting,
    input: CodeDecisionInput,
) -> Result<Option<Decided>, AppError> {
    let (id, head) = (input.decision.id, input.decision.head);
    act(app, call, id, head, &Deed::Decide(input)).await
}

/// What the deed makes of the application as it is.
async fn plan(
    app: &App,
    call: &Acting,
    deed: &Deed,
    stored: StoredCodeApplication,
    now: Timestamp,
) -> Result<Planned, AppError> {
    match deed {
        Deed::Resubmit(input) => {
            current(&stored, input.etag)?;
            enters(Action::Resubmit, &stored)?;
            let institution = &input.hand_in.facts.program.institution;
            if *institution != stored.content.program.institution {
                return Err(Reason::InstitutionNotOwned.into());
            }
            let id = stored.id;
            hand_in(app, call, &input.hand_in, Some(stored), id, now).await
        }
        Deed::Cancel(input) => {
            current(&stored, input.etag)?;
            let cancelled = enters(Action::Cancel, &stored)?;
            let step = NewStep {
                reason: input.reason.clone(),
                ..NewStep::by_caller(cancelled, Action::Cancel.as_str())
            };
            let content = stored.content.clone();
            Ok(Planned {
                change: change(app, call, stored, content, vec![step], None)?,
                issue: None,
            })
        }
        Deed::Decide(input) => decided(app, call, input, stored, now).await,
    }
}

async fn decided(
    app: &App,
    call: &Acting,
    input: &CodeDecisionInput,
    stored: StoredCodeApplication,
    now: Timestamp,
) -> Result<Planned, AppError> {
    let decision = &input.decision;
    may_decide(app, call, input, &stored).await?;
    current(&stored, Some(decision.etag))?;
    let step = NewStep {
        decider: decision.actor.name(),
        decider_hash: app.subject_hash(&decision.person),
        reason: decision.reason.clone(),
        remarks: decision.remarks.clone(),
        ..NewStep::by_caller(enters(decision.action, &stored)?, decision.action.as_str())
    };
    let mut content = stored.content.clone();
    let mut onward = Onward::default();
    if matches!(decision.action, Action::Confirm | Action::Approve) {
        if let Actor::Expert(_, code) = &decision.actor {
            content.attestation = Some(Attestation {
                expert_code: code.as_str().to_owned(),
                statement_version: input.statement_version.clone(),
                attest_micros: now.as_microsecond(),
            });
        }
        onward = granted(app, call, decision.action, &stored, &content, now).await?;
    }
    let steps = std::iter::once(step).chain(onward.steps).collect();
    Ok(Planned {
        change: change(app, call, stored, content, steps, onward.pay_until)?,
        issue: onward.issue,
    })
}

/// What an application is handed in under.
struct Ruled<'a> {
    call: &'a ServiceCall,
    agreement: String,
    workflow: &'a WorkflowVersion,
    quote: Quote,
}

/// What an application is handed in under: one that was returned goes on by what it was handed in under at first.
async fn ruled<'a>(
    app: &App,
    call: &'a Acting,
    institution: &Institution,
    begun: Option<&CodeApplicationContent>,
    now: Timestamp,
) -> Result<Ruled<'a>, AppError> {
    let service = ServiceKind::ValidityCode;
    let (under, workflow) = match begun {
        Some(begun) => {
            if institution.state != InstitutionState::Active {
                return Err(Reason::InstitutionNotActive.into());
            }
            not_paused(call, service, institution)?;
            let under = in_flight(app, call, &begun.agreement, now).await?;
            (under, Some(pinned(call, begun)?))
        }
        None => (None, None),
    };
    if let (Some(begun), Some(under), Some(workflow)) = (begun, under, workflow) {
        return Ok(Ruled {
            call: under,
            agreement: begun.agreement.clone(),
            workflow,
            quote: begun.quote.clone(),
        });
    }
    let terms = terms(app, call, service, ISSUE, institution, now)?;
    Ok(Ruled {
        call: terms.call,
        agreement: terms.agreement.id.clone(),
        workflow: workflow.unwrap_or(terms.workflow),
        quote: match begun {
            Some(begun) => begun.quote.clone(),
            None => terms.quote(call)?,
        },
    })
}

/// Everything that is checked when an application is handed in.
async fn hand_in(
    app: &App,
    call: &Acting,
    input: &HandInInput,
    before: Option<StoredCodeApplication>,
    id: Uuid,
    now: Timestamp,
) -> Result<Planned, AppError> {
    let facts = &input.facts;
    let institution = owned(call, &facts.program.institution)?;
    may_claim(app, call, facts, now)?;
    let person = &facts.subject.person_id;
    reissue_ordered(app, call, &input.head, Collection::ValidityCodes, person).await?;
    let begun = before.as_ref().map(|before| &before.content);
    let Ruled {
        call: open,
        agreement,
        workflow,
        quote,
    } = ruled(app, call, institution, begun, now).await?;
    enabled(open, facts.document.kind)?;
    if !workflow.university_review {
        return Err(Reason::ReviewNotOffered.into());
    }
    let hash = app.subject_hash(&input.person);
    only_part(
        before.as_ref(),
        person,
        &input.person,
        &hash,
        Part::Submitter,
    )?;
    let attached = begun.map_or(&[][..], |begun| &begun.attachments);
    may_attach(app, call, &input.attachments, attached).await?;
    complete(workflow, facts.document.kind.as_str(), &input.attachments)?;
    let priors = grounds(app, call, facts, &input.head, now).await?;
    let levels: Vec<_> = priors.iter().map(|(level, _)| *level).collect();
    chain(workflow, facts.program.level, &levels)?;
    let mut content = CodeApplicationContent {
        subject: facts.subject.clone(),
        program: facts.program.clone(),
        document: facts.document.clone(),
        priors,
        double_major_declared: facts.double_major_declared,
        external_ref: facts.external_ref.clone(),
        attachments: input.attachments.clone(),
        quote,
        workflow_version: workflow.id.clone(),
        documents: match begun {
            Some(begun) => begun.documents,
            None => call.documents(ServiceKind::ValidityCode),
        },
        agreement,
        due_time: begun.and_then(|begun| begun.due_time),
        attestation: None,
    };
    let key = key(workflow, &content);
    free(app, call, &key, now).await?;
    if let Some(other) = app.store_for(call).open_code_application(&key).await?
        && other != id
    {
        return Err(open_exists(other));
    }
    let staff = format!(
        "{}/staff/{}",
        names::institution(&institution.code),
        input.submitter.as_str()
    );
    let action = match before {
        None => "CREATE",
        Some(_) => Action::Resubmit.as_str(),
    };
    let submitted = NewStep {
        decider: staff,
        decider_hash: hash,
        ..NewStep::by_caller(CodeApplicationState::Submitted, action)
    };
    let validated = NewStep::by_service(CodeApplicationState::Validated, "VALIDATE");
    let steps = vec![submitted, validated];
    if before.is_none() {
        content.due_time = due_time(call, open, ISSUE, &steps, now)?;
    }
    Ok(Planned {
        change: CodeApplicationChange {
            id,
            before,
            subject_hash: app.subject_hash(&content.subject.person_id),
            content,
            written: true,
            open_key: key,
            steps,
            pay_until: None,
        },
        issue: None,
    })
}

/// How the claimed levels are proven: by codes that validate now, and by files.
async fn grounds(
    app: &App,
    call: &Acting,
    facts: &CodeFacts,
    head: &Head,
    now: Timestamp,
) -> Result<Vec<(DegreeLevel, PriorGround)>, AppError> {
    let context = context(call, head, None, now);
    let by_code = proven(app, call, facts, head, &context).await?;
    let by_code = by_code
        .iter()
        .map(|prior| (prior.level, PriorGround::Code(prior.code_id)));
    let by_file = facts.priors.iter().filter_map(|prior| match prior.proof {
        Proof::File(file) => Some((prior.level, PriorGround::File(file))),
        Proof::Code(_) => None,
    });
    Ok(by_code.chain(by_file).collect())
}

/// Where an application goes that was confirmed or approved: everything is checked once
/// more, as it is now.
async fn granted(
    app: &App,
    call: &Acting,
    action: Action,
    stored: &StoredCodeApplication,
    content: &CodeApplicationContent,
    now: Timestamp,
) -> Result<Onward, AppError> {
    let Checked {
        workflow,
        codes,
        by_file,
    } = checked(app, call, content, now).await?;
    let mut steps = Vec::new();
    if action == Action::Confirm {
        let mut history = stored.history.iter();
        let given_back = history.any(|step| {
            step.state == CodeApplicationState::Returned && step.decider.starts_with("officers/")
        });
        // What somebody must look at, two look at.
        let must = given_back || by_file;
        if workflow.organization_review
            && (must || workflow.is_reviewed(lot(app, &key(workflow, content))))
        {
            steps.push(NewStep::by_service(
                CodeApplicationState::OrganizationReview,
                "ROUTE",
            ));
            return Ok(Onward {
                steps,
                ..Onward::default()
            });
        }
        let approve = Action::Approve.as_str();
        steps.push(NewStep::by_service(CodeApplicationState::Approved, approve));
    }
    if content.quote.require_free().is_err() {
        steps.push(NewStep::by_service(
            CodeApplicationState::AwaitingPayment,
            AWAIT_PAYMENT,
        ));
        return Ok(Onward {
            steps,
            pay_until: Some(pay_until(now)?),
            issue: None,
        });
    }
    steps.push(NewStep::by_service(CodeApplicationState::Issued, "ISSUE"));
    Ok(Onward {
        steps,
        pay_until: None,
        issue: Some(issue_of(app, workflow, content, codes, now)?),
    })
}

/// The action by which the service has an application wait.
const AWAIT_PAYMENT: &str = "AWAIT_PAYMENT";

/// Until when what waits from now on can be paid.
fn pay_until(now: Timestamp) -> Result<Timestamp, AppError> {
    let until = now.checked_add(PAY_WITHIN);
    until.map_err(|_| AppError::Internal("the clock is past the calendar"))
}

/// What was found when everything was checked once more.
struct Checked<'a> {
    workflow: &'a WorkflowVersion,
    /// The codes that prove previous levels.
    codes: Vec<PriorProof>,
    /// Whether a level is proven by a file.
    by_file: bool,
}

/// Whether a code could be issued now: everything is checked as it is now.
async fn checked<'a>(
    app: &App,
    call: &'a Acting,
    content: &CodeApplicationContent,
    now: Timestamp,
) -> Result<Checked<'a>, AppError> {
    let institution = institution(call, content)?;
    if institution.state != InstitutionState::Active {
        return Err(Reason::InstitutionNotActive.into());
    }
    not_paused(call, ServiceKind::ValidityCode, institution)?;
    in_flight(app, call, &content.agreement, now).await?;
    let workflow = pinned(call, content)?;
    let codes = still_proven(app, call, content, now).await?;
    let by_file = |(level, ground): &(_, PriorGround)| match ground {
        PriorGround::File(_) => Some(*level),
        PriorGround::Code(_) => None,
    };
    let by_file: Vec<_> = content.priors.iter().filter_map(by_file).collect();
    let mut levels: Vec<_> = codes.iter().map(|prior| prior.level).collect();
    levels.extend(&by_file);
    chain(workflow, content.program.level, &levels)?;
    free(app, call, &key(workflow, content), now).await?;
    Ok(Checked {
        workflow,
        codes,
        by_file: !by_file.is_empty(),
    })
}

/// The code of an application that is granted.
fn issue_of(
    app: &App,
    workflow: &WorkflowVersion,
    content: &CodeApplicationContent,
    codes: Vec<PriorProof>,
    now: Timestamp,
) -> Result<IssueCode, AppError> {
    let attestation = content.attestation.clone();
    let issued = CodeContent {
        subject: content.subject.clone(),
        program: content.program.clone(),
        document: content.document.clone(),
        double_major_declared: content.double_major_declared,
        external_ref: content.external_ref.clone(),
        attestation: attestation.ok_or(AppError::Internal("nobody attested what is issued"))?,
        priors: codes,
        quote: content.quote.clone(),
        workflow_version: content.workflow_version.clone(),
        documents: content.documents,
    };
    ready(app, workflow, issued, now)
}

/// Has an application go on that was paid for: its code is issued, or, where none can be any more, it is cancelled, and the
/// money is to be paid back. `first` while the money has not reached it yet.
///
/// # Errors
///
/// What may pass: [`AppError::Store`], [`AppError::Internal`].
pub(super) async fn paid(
    app: &App,
    call: &Acting,
    id: Uuid,
    first: bool,
) -> Result<Step, AppError> {
    for _ in 0..TRIES {
        let now = app.clock.now();
        let context = paying(now, call.trace_id.to_string());
        let stored = app.store_for(call).code_application(id).await?;
        let stored = stored.ok_or(AppError::Internal(
            "an application that was paid is missing",
        ))?;
        let steps = match (stored.state, first) {
            (CodeApplicationState::AwaitingPayment, true) => {
                vec![NewStep::by_service(CodeApplicationState::Paid, "PAY")]
            }
            (CodeApplicationState::Paid, false) => Vec::new(),
            _ => return Ok(Step::Gone),
        };
        let content = stored.content.clone();
        let issue = async {
            let Checked {
                workflow, codes, ..
            } = checked(app, call, &content, now).await?;
            let issue = issue_of(app, workflow, &content, codes, now)?;
            let mut steps = steps.clone();
            steps.push(NewStep::by_service(CodeApplicationState::Issued, "ISSUE"));
            let change = change(app, call, stored.clone(), content.clone(), steps, None)?;
            let planned = Planned {
                change,
                issue: Some(issue),
            };
            settle(app, call, &context, BY_SERVICE, Ok(planned)).await
        };
        let steps = match issue.await {
            Ok(Some(_)) => return Ok(Step::Moved),
            Ok(None) => continue,
            Err(AppError::Refused(refusal))
                if !may_wait(app, call, refusal.reason, &content.agreement).await? =>
            {
                let given_up = NewStep {
                    reason: refusal.reason.as_str().to_owned(),
                    ..NewStep::by_service(CodeApplicationState::Cancelled, "GIVE_UP")
                };
                steps.into_iter().chain([given_up]).collect()
            }
            // The money has arrived all the same.
            Err(_) if first => steps,
            Err(AppError::Refused(_)) => return Ok(Step::Waits),
            Err(error) => return Err(error),
        };
        let planned = Planned {
            change: change(app, call, stored, content, steps, None)?,
            issue: None,
        };
        if settle(app, call, &context, BY_SERVICE, Ok(planned))
            .await?
            .is_some()
        {
            return Ok(Step::Moved);
        }
    }
    Ok(Step::Waits)
}

/// What the service does by itself has no retry key.
const BY_SERVICE: Head = Head {
    request_id: Uuid::nil(),
    validate_only: false,
    digest: [0; 32],
    ordered: None,
};

/// The codes that proved a level when the application was handed in, and still do.
async fn still_proven(
    app: &App,
    call: &Acting,
    content: &CodeApplicationContent,
    now: Timestamp,
) -> Result<Vec<PriorProof>, AppError> {
    let mut proofs = Vec::new();
    for (level, ground) in &content.priors {
        let PriorGround::Code(code_id) = *ground else {
            continue;
        };
        let stored = app.store_for(call).code(code_id).await?;
        let person = &content.subject.person_id;
        if stored.is_some_and(|stored| proves(call, &stored, person, *level, now)) {
            proofs.push(PriorProof {
                level: *level,
                code_id,
            });
        }
    }
    Ok(proofs)
}

/// Whether the document has no live code yet.
async fn free(app: &App, call: &Acting, key: &str, now: Timestamp) -> Result<(), AppError> {
    match app.store_for(call).live_code(key, now).await? {
        Some(id) => Err(already_issued(id)),
        None => Ok(()),
    }
}

fn open_exists(id: Uuid) -> AppError {
    Refusal::new(Reason::OpenApplicationExists)
        .with("resource", APPLICATIONS.name(id))
        .into()
}

/// Of two open applications for the same document one is too many.
fn key(workflow: &WorkflowVersion, content: &CodeApplicationContent) -> String {
    workflow.codes.live_key(
        &content.subject.person_id,
        &content.program,
        content.document.kind,
        content.double_major_declared,
    )
}

fn institution<'a>(
    call: &'a Acting,
    content: &CodeApplicationContent,
) -> Result<&'a Institution, AppError> {
    let found = call
        .snapshot
        .institution(content.program.institution.as_str());
    found
        .map(|stored| &stored.institution)
        .ok_or_else(|| Reason::InstitutionNotActive.into())
}

/// The workflow version that the application began under.
fn pinned<'a>(
    call: &'a Acting,
    content: &CodeApplicationContent,
) -> Result<&'a WorkflowVersion, AppError> {
    let workflow = call.snapshot.workflows.get(&content.workflow_version);
    workflow.ok_or(AppError::Internal(
        "an application names an unknown workflow version",
    ))
}

/// Whether the decider may decide at all, and on this application.
async fn may_decide(
    app: &App,
    call: &Acting,
    input: &CodeDecisionInput,
    stored: &StoredCodeApplication,
) -> Result<(), AppError> {
    let decision = &input.decision;
    let part = match &decision.actor {
        Actor::Officer(_) => Part::Officer,
        Actor::Expert(institution, code) => {
            let own = *institution == stored.content.program.institution;
            let store = app.store_for(call);
            if !own
                || !store
                    .expert_active(institution.as_str(), code.as_str())
                    .await?
            {
                return Err(Reason::ExpertNotActive.into());
            }
            Part::Expert
        }
    };
    let hash = app.subject_hash(&decision.person);
    let subject = &stored.content.subject.person_id;
    only_part(Some(stored), subject, &decision.person, &hash, part)
}

/// Nobody hands in, confirms or reviews what is about themselves, nor has two parts in one
/// application.
fn only_part(
    before: Option<&StoredCodeApplication>,
    subject: &PersonId,
    person: &PersonId,
    hash: &str,
    part: Part,
) -> Result<(), AppError> {
    let mut history = before.iter().flat_map(|before| &before.history);
    let another = history
        .any(|step| step.decider_hash == hash && Part::of(step.state, &step.decider) != part);
    if person == subject || another {
        return Err(Reason::SamePersonCannotDecide.into());
    }
    Ok(())
}

fn current(stored: &StoredCodeApplication, etag: Option<i64>) -> Result<(), AppError> {
    match etag {
        Some(etag) if etag != stored.version => Err(Reason::EtagMismatch.into()),
        _ => Ok(()),
    }
}

/// The state that the action enters.
fn enters(
    action: Action,
    stored: &StoredCodeApplication,
) -> Result<CodeApplicationState, AppError> {
    action.enters(stored.state).map_err(|reason| {
        let allowed = Action::allowed(stored.state);
        let allowed: Vec<_> = allowed.iter().map(|action| action.as_str()).collect();
        Refusal::new(reason)
            .with("state", stored.state.as_str())
            .with("allowed", allowed.join(","))
            .into()
    })
}

/// A change by which an application goes on.
fn change(
    app: &App,
    call: &Acting,
    before: StoredCodeApplication,
    content: CodeApplicationContent,
    steps: Vec<NewStep<CodeApplicationState>>,
    pay_until: Option<Timestamp>,
) -> Result<CodeApplicationChange, AppError> {
    Ok(CodeApplicationChange {
        id: before.id,
        open_key: key(pinned(call, &content)?, &content),
        subject_hash: app.subject_hash(&content.subject.person_id),
        before: Some(before),
        content,
        written: false,
        steps,
        pay_until,
    })
}

/// What came of a planned change.
enum Settled {
    Checked,
    Done(Box<Decided>),
}

impl Settled {
    fn done(self) -> Option<Decided> {
        match self {
            Self::Checked => None,
            Self::Done(decided) => Some(*decided),
        }
    }
}

/// Does what is planned of an application the caller may act on, anew when it moved.
async fn act(
    app: &App,
    call: &Acting,
    id: Uuid,
    head: Head,
    deed: &Deed,
) -> Result<Option<Decided>, AppError> {
    for _ in 0..TRIES {
        let now = app.clock.now();
        let context = context(call, &head, None, now);
        let stored = get(app, call, id).await?;
        let institution = &stored.content.program.institution;
        let officer = call.caller.class == CallerClass::Organization;
        if !officer && !owns(call, institution) {
            return Err(Reason::ResourceNotFound.into());
        }
        let version = stored.version;
        let planned = plan(app, call, deed, stored, now).await;
        if planned.is_err() && get(app, call, id).await?.version != version {
            // Refused for what it was before another act.
            continue;
        }
        if let Some(settled) = settle(app, call, &context, head, planned).await? {
            return Ok(settled.done());
        }
    }
    Err(Reason::ConcurrentUpdate.into())
}

/// Carries a plan out; `None` when the application has moved since it was read.
async fn settle(
    app: &App,
    call: &Acting,
    context: &ActContext,
    head: Head,
    planned: Result<Planned, AppError>,
) -> Result<Option<Settled>, AppError> {
    use CodeApplicationOutcome as Outcome;
    let Planned { change, mut issue } = match planned {
        Ok(planned) => planned,
        Err(refused) if head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, context, refused).await?;
            let id = APPLICATIONS.parse(&resource);
            let id = id.map_err(|_| AppError::Internal("a claim names no application"))?;
            return stands_for(app, call, id).await.map(Some);
        }
    };
    if head.validate_only {
        return Ok(Some(Settled::Checked));
    }
    let store = app.store_for(call);
    for _ in 0..DRAWS {
        match store
            .change_code_application(context, &change, issue.as_ref())
            .await?
        {
            Outcome::Done(application, code) => {
                return Ok(Some(Settled::Done(Box::new(Decided {
                    application: *application,
                    code: code.map(|code| *code),
                }))));
            }
            Outcome::Replayed(id) => return stands_for(app, call, id).await.map(Some),
            Outcome::ReplayedCode(_) => {
                return Err(AppError::Internal("a claim names no application"));
            }
            Outcome::RequestIdReused => return Err(Reason::RequestIdReused.into()),
            Outcome::OpenExists(id) => return Err(open_exists(id)),
            Outcome::Moved => return Ok(None),
            Outcome::AttachmentMissing => return Err(Reason::ResourceNotFound.into()),
            Outcome::ExpertNotActive => return Err(Reason::ExpertNotActive.into()),
            Outcome::AlreadyIssued(id) => return Err(already_issued(id)),
            Outcome::CodeTaken => {
                if let Some(issue) = &mut issue {
                    issue.code = draw(app)?;
                }
            }
        }
    }
    Err(AppError::Internal("every drawn code was taken"))
}

/// What an earlier call with this request_id came to, as it is now.
async fn stands_for(app: &App, call: &Acting, id: Uuid) -> Result<Settled, AppError> {
    let application = get(app, call, id).await?;
    let code = match application.code_id {
        Some(id) => Some(codes::get(app, call, id).await?),
        None => None,
    };
    Ok(Settled::Done(Box::new(Decided { application, code })))
}

/// Reads an application the caller may read.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none or it is a stranger's.
pub async fn get(app: &App, call: &Acting, id: Uuid) -> Result<StoredCodeApplication, AppError> {
    let stored = app.store_for(call).code_application(id).await?;
    stored
        .filter(|stored| may_read(call, &stored.content.program.institution))
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Lists applications the caller may read, newest first; one row more than the page has
/// when there is another page.
///
/// # Errors
///
/// INSTITUTION_NOT_OWNED; [`AppError::Store`].
pub async fn list(
    app: &App,
    call: &Acting,
    input: &ListInput,
) -> Result<Vec<StoredCodeApplication>, AppError> {
    let filter = CertificateFilter {
        scope: scope(call, input.institution.as_ref())?,
        state: input.state.map(|state| state.as_str()),
    };
    let store = app.store_for(call);
    Ok(store
        .list_code_applications(&filter, input.page.after, input.page.probe())
        .await?)
}

/// Ends applications whose time to pay is over; returns how many.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn expire_unpaid(app: &App) -> Result<usize, AppError> {
    let now = app.clock.now();
    let mut expired = 0;
    let unpaid = app.store.unpaid_code_applications(now, BATCH).await?;
    let names = unpaid.iter().map(|stored| APPLICATIONS.name(stored.id));
    // Those end with their payment, about which the gateway is asked first.
    let being_paid = app.store.being_paid(names.collect()).await?;
    for stored in unpaid {
        if being_paid.contains(&APPLICATIONS.name(stored.id)) {
            continue;
        }
        let context = paying(now, String::new());
        let state = CodeApplicationState::PaymentExpired;
        let change = CodeApplicationChange {
            id: stored.id,
            subject_hash: app.subject_hash(&stored.content.subject.person_id),
            content: stored.content.clone(),
            written: false,
            open_key: String::new(),
            steps: vec![NewStep::by_service(state, "EXPIRE")],
            pay_until: None,
            before: Some(stored),
        };
        let outcome = app
            .store
            .change_code_application(&context, &change, None)
            .await?;
        // Otherwise another node, or a payment, was quicker.
        expired += usize::from(matches!(outcome, CodeApplicationOutcome::Done(..)));
    }
    Ok(expired)
}
