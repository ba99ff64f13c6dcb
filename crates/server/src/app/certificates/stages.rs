//! Applications that go through stages: handed in, reviewed, returned, decided.

use std::sync::Arc;

use gavah_domain::application::{ApplicationAction, decides_for};
use gavah_domain::certificate::{ApplicationState, RequestType};
use gavah_domain::institution::InstitutionState;
use gavah_domain::service::{ServiceKind, WorkflowVersion};
use gavah_domain::{JalaliDate, PersonId, Reason, Violations};
use gavah_store::{
    ActContext, ApplicationChange, ApplicationContent, ApplicationOutcome, NewStep,
    StoredApplication, StoredCertificate,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::issue::{For, Issued, issue, open_exists, stands_for};
use super::prepare::{Ground, Prepared, Voucher, may_be_reviewed, open_key, prepare, source};
use super::{rules, to_the_end};
use crate::app::agreements::in_flight;
use crate::app::attachments::{complete, may_attach};
use crate::app::payments::settle::{Step, may_wait};
use crate::app::service_levels::due_time;
use crate::app::{App, PAY_WITHIN, context, earlier, lot, may_read, not_paused};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::application::{ActInput, Actor, DecisionInput, UpdateInput};
use crate::convert::names::Collection;
use crate::error::{AppError, Refusal};

/// How often a change is tried anew when the application moved under it.
const TRIES: usize = 4;

const APPLICATIONS: Collection = Collection::EnrollmentCertificateApplications;

/// Applications whose time to pay is over that are settled at a time.
const BATCH: u64 = 100;

/// Where an application goes by the rules alone.
#[derive(Default)]
pub(super) struct Onward {
    pub(super) steps: Vec<NewStep>,
    pub(super) pay_until: Option<Timestamp>,
    /// What to issue, when it ends in ISSUING.
    pub(super) issue: Option<Prepared>,
}

/// A change with what it ends in.
pub(super) struct Staged {
    pub(super) change: ApplicationChange,
    pub(super) issue: Option<Prepared>,
}

impl Staged {
    /// Makes the change; `None` when the application has moved since it was read.
    pub(super) async fn carry_out(
        self,
        app: &App,
        call: &Acting,
        context: &ActContext,
    ) -> Result<Option<Issued>, AppError> {
        if let Some(prepared) = &self.issue {
            return issue(app, call, context, &For::Staged(&self.change), prepared).await;
        }
        let store = app.store_for(call);
        Ok(
            match store.change_application(context, &self.change).await? {
                ApplicationOutcome::Done(application) => Some(Issued {
                    application: *application,
                    certificate: None,
                }),
                ApplicationOutcome::Replayed(id) => {
                    Some(stands_for(app, call, context, &APPLICATIONS.name(id)).await?)
                }
                ApplicationOutcome::RequestIdReused => return Err(Reason::RequestIdReused.into()),
                ApplicationOutcome::OpenExists(id) => return Err(open_exists(id)),
                ApplicationOutcome::Moved => None,
                ApplicationOutcome::AttachmentMissing => {
                    return Err(Reason::ResourceNotFound.into());
                }
            },
        )
    }
}

/// Where an application goes that has just been handed in: a fresh record confirms it,
/// or else the institution reviews it.
///
/// # Errors
///
/// The record's reason when nobody reviews; other refusals of [`prepare`].
pub(super) async fn handed_in(
    app: &App,
    call: &Acting,
    asked: &ApplicationContent,
    workflow: &WorkflowVersion,
    source: Option<&StoredCertificate>,
    now: Timestamp,
) -> Result<Onward, AppError> {
    let by_record = workflow.auto_confirm && asked.request_type.record_confirms();
    let confirmed = if by_record {
        let ground = ground(asked, workflow, source)?;
        prepare(app, call, &ground, Voucher::Record, now).await
    } else {
        Err(Reason::ReviewNotOffered.into())
    };
    match confirmed {
        Ok(prepared) => {
            let step = NewStep::by_service(ApplicationState::UniversityConfirmed, "AUTO_CONFIRM");
            let reviewed = drawn(app, workflow, asked, now);
            confirmed_by(reviewed, prepared, vec![step], now)
        }
        Err(AppError::Refused(refusal))
            if workflow.university_review && may_be_reviewed(refusal.reason) =>
        {
            let mut step = NewStep::by_service(ApplicationState::UniversityReview, ROUTE);
            if by_record {
                refusal.reason.as_str().clone_into(&mut step.reason);
            }
            Ok(Onward {
                steps: vec![step],
                ..Onward::default()
            })
        }
        Err(error) => Err(error),
    }
}

/// The action by which the service hands an application over to a reviewer.
const ROUTE: &str = "ROUTE";

fn ground<'a>(
    asked: &'a ApplicationContent,
    workflow: &'a WorkflowVersion,
    source: Option<&'a StoredCertificate>,
) -> Result<Ground<'a>, AppError> {
    let quote = asked.quote.as_ref();
    Ok(Ground {
        asked,
        workflow,
        quote: quote.ok_or(AppError::Internal("what was handed in has no quote"))?,
        source,
        keeps_end: asked.request_type.keeps_end(),
    })
}

/// Whether the Organization reviews what is confirmed now: all, or some drawn by lot. Who withdraws an application and
/// comes again in the same month, whatever for, draws the same.
fn drawn(
    app: &App,
    workflow: &WorkflowVersion,
    asked: &ApplicationContent,
    now: Timestamp,
) -> bool {
    let person = asked.subject.person_id.key();
    let month = JalaliDate::of(now).as_i32() / 100;
    let key = format!("{person}/{}/{month}", asked.institution.as_str());
    workflow.is_reviewed(lot(app, &key))
}

/// After the confirmation the Organization reviews, where it does, or nothing but the fee stands before issuing.
fn confirmed_by(
    reviewed: bool,
    prepared: Prepared,
    mut steps: Vec<NewStep>,
    now: Timestamp,
) -> Result<Onward, AppError> {
    if reviewed {
        steps.push(NewStep::by_service(
            ApplicationState::OrganizationReview,
            ROUTE,
        ));
        return Ok(Onward {
            steps,
            ..Onward::default()
        });
    }
    let approve = ApplicationAction::Approve.as_str();
    steps.push(NewStep::by_service(ApplicationState::Approved, approve));
    approved(prepared, steps, now)
}

/// After the approval nothing but the fee stands before issuing.
fn approved(
    prepared: Prepared,
    mut steps: Vec<NewStep>,
    now: Timestamp,
) -> Result<Onward, AppError> {
    if prepared.content.quote.require_free().is_ok() {
        steps.push(NewStep::by_service(ApplicationState::Issuing, "ISSUE"));
        return Ok(Onward {
            steps,
            pay_until: None,
            issue: Some(prepared),
        });
    }
    steps.push(NewStep::by_service(
        ApplicationState::AwaitingPayment,
        "AWAIT_PAYMENT",
    ));
    let pay_until = now.checked_add(PAY_WITHIN);
    Ok(Onward {
        steps,
        pay_until: Some(
            pay_until.map_err(|_| AppError::Internal("the clock is past the calendar"))?,
        ),
        issue: None,
    })
}

/// What somebody does to an application.
struct Deed<'a> {
    head: Head,
    etag: Option<i64>,
    action: ApplicationAction,
    /// What the first of its steps says beside the state.
    step: NewStep,
    /// What the application says from then on.
    update: Option<&'a UpdateInput>,
}

/// Changes what a draft or a returned application says; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED,
/// OPEN_APPLICATION_EXISTS, REQUEST_ID_REUSED; violations; [`AppError::Store`].
pub async fn update(
    app: &App,
    call: &Acting,
    input: UpdateInput,
) -> Result<Option<Issued>, AppError> {
    let person = &input.subject.person_id;
    let deed = Deed {
        head: input.head,
        etag: input.etag,
        action: ApplicationAction::Update,
        step: NewStep::by_caller(ApplicationState::Draft, ""),
        update: Some(&input),
    };
    act(app, call, input.id, &deed, |stored| {
        of_subject(stored, person)
    })
    .await
}

/// Hands an application in, or takes it back; `None` when only checking. Handing in goes
/// on to its end when the caller goes away.
///
/// # Errors
///
/// As [`update`], and those of applying.
pub async fn by_window(
    app: &Arc<App>,
    call: &Acting,
    action: ApplicationAction,
    input: ActInput,
) -> Result<Option<Issued>, AppError> {
    let (of, call) = (Arc::clone(app), call.clone());
    to_the_end(app, async move {
        let deed = Deed {
            head: input.head,
            etag: input.etag,
            action,
            step: NewStep {
                reason: input.reason.clone(),
                ..NewStep::by_caller(ApplicationState::Submitted, action.as_str())
            },
            update: None,
        };
        let claim = &input.claim;
        act(&of, &call, input.id, &deed, |stored| {
            of_subject(stored, claim)
        })
        .await
    })
    .await
}

/// Records a decision of an institution or of the Organization; `None` when only
/// checking. It goes on to its end when the caller goes away.
///
/// # Errors
///
/// As [`update`]; INSTITUTION_NOT_OWNED when others decide on the institution's
/// applications, EXPERT_NOT_ACTIVE, SAME_PERSON_CANNOT_DECIDE, ISSUANCE_PAUSED, and the
/// record's reasons when confirming or approving.
pub async fn decide(
    app: &Arc<App>,
    call: &Acting,
    input: DecisionInput,
) -> Result<Option<Issued>, AppError> {
    let (of, call) = (Arc::clone(app), call.clone());
    to_the_end(app, async move {
        let (app, call) = (&*of, &call);
        let deed = Deed {
            head: input.head,
            etag: Some(input.etag),
            action: input.action,
            step: NewStep {
                decider: input.actor.name(),
                decider_hash: app.subject_hash(&input.person),
                reason: input.reason.clone(),
                remarks: input.remarks.clone(),
                ..NewStep::by_caller(ApplicationState::Submitted, input.action.as_str())
            },
            update: None,
        };
        let active = match &input.actor {
            Actor::Officer(_) => true,
            Actor::Expert(institution, code) => {
                let store = app.store_for(call);
                call.caller.institution.as_ref() == Some(institution)
                    && store
                        .expert_active(institution.as_str(), code.as_str())
                        .await?
            }
        };
        act(app, call, input.id, &deed, |stored| {
            may_decide(app, call, &input, active, stored)
        })
        .await
    })
    .await
}

/// The window acts for the subject it names, and sees nobody else's applications.
fn of_subject(stored: &StoredApplication, person: &PersonId) -> Result<(), AppError> {
    if stored.content.subject.person_id == *person {
        Ok(())
    } else {
        Err(Reason::ResourceNotFound.into())
    }
}

/// Whether the caller decides on such applications, and the decider, who is `active`, on
/// this one.
fn may_decide(
    app: &App,
    call: &Acting,
    input: &DecisionInput,
    active: bool,
    stored: &StoredApplication,
) -> Result<(), AppError> {
    let code = &stored.content.institution;
    if !may_read(call, code) {
        return Err(Reason::ResourceNotFound.into());
    }
    if matches!(input.actor, Actor::Expert(..)) {
        let institution = call.snapshot.institution(code.as_str());
        let routed =
            institution.is_some_and(|stored| decides_for(&call.caller, &stored.institution));
        if !routed {
            return Err(Reason::InstitutionNotOwned.into());
        }
    }
    if !active {
        return Err(Reason::ExpertNotActive.into());
    }
    let hash = app.subject_hash(&input.person);
    let of_officer = |decider: &str| decider.starts_with("officers/");
    let decided_for_the_other = stored.history.iter().any(|step| {
        step.decider_hash == hash
            && of_officer(&step.decider) != matches!(input.actor, Actor::Officer(_))
    });
    if input.person == stored.content.subject.person_id || decided_for_the_other {
        return Err(Reason::SamePersonCannotDecide.into());
    }
    Ok(())
}

/// Does the deed, anew when the application moved under it.
async fn act(
    app: &App,
    call: &Acting,
    id: uuid::Uuid,
    deed: &Deed<'_>,
    allowed: impl Fn(&StoredApplication) -> Result<(), AppError>,
) -> Result<Option<Issued>, AppError> {
    for _ in 0..TRIES {
        let now = app.clock.now();
        let context = context(call, &deed.head, None, now);
        let stored = app.store_for(call).application(id).await?;
        let stored = stored.ok_or(Reason::ResourceNotFound)?;
        let planned = match allowed(&stored) {
            Ok(()) => plan(app, call, deed, &stored, now).await,
            Err(refused) => Err(refused),
        };
        let staged = match planned {
            Ok(staged) => staged,
            Err(refused) if deed.head.validate_only => return Err(refused),
            Err(refused) => {
                let resource = earlier(app, call, &context, refused).await?;
                return stands_for(app, call, &context, &resource).await.map(Some);
            }
        };
        if deed.head.validate_only {
            return Ok(None);
        }
        if let Some(done) = staged.carry_out(app, call, &context).await? {
            return Ok(Some(done));
        }
    }
    Err(Reason::ConcurrentUpdate.into())
}

/// What the deed makes of the application as it is.
async fn plan(
    app: &App,
    call: &Acting,
    deed: &Deed<'_>,
    stored: &StoredApplication,
    now: Timestamp,
) -> Result<Staged, AppError> {
    if deed.etag.is_some_and(|etag| etag != stored.version) {
        return Err(Reason::EtagMismatch.into());
    }
    let enters = deed.action.enters(stored.state);
    let enters = enters.map_err(|_| not_allowed(stored.state))?;
    let mut content = stored.content.clone();
    if let Some(update) = deed.update {
        may_attach(app, call, &update.attachments, &content.attachments).await?;
        change_content(&mut content, update)?;
    }
    let mut onward = Onward::default();
    let mut steps: Vec<_> = enters
        .iter()
        .map(|state| NewStep {
            state: *state,
            ..NewStep::by_caller(*state, deed.action.as_str())
        })
        .collect();
    if let Some(last) = steps.last_mut() {
        *last = NewStep {
            state: last.state,
            ..deed.step.clone()
        };
    }
    match deed.action {
        ApplicationAction::Submit => {
            let first = content.quote.is_none();
            // What was handed in before goes on by what it was handed in under.
            let terms = match first || !goes_on(app, call, &content, now).await? {
                true => Some(rules(app, call, &content, now)?),
                false => None,
            };
            if let Some(terms) = &terms {
                terms.agreement.id.clone_into(&mut content.agreement);
                if first {
                    content.quote = Some(terms.quote(call)?);
                }
            }
            let source = source(app, call, &content, now).await?;
            let workflow = pinned(call, &content)?;
            complete(
                workflow,
                content.request_type.as_str(),
                &content.attachments,
            )?;
            onward = handed_in(app, call, &content, workflow, source.as_ref(), now).await?;
            if let Some(terms) = terms.filter(|_| first) {
                let kind = content.request_type.as_str();
                content.due_time = due_time(call, terms.call, kind, &onward.steps, now)?;
            }
        }
        ApplicationAction::Confirm | ApplicationAction::Approve => {
            let prepared = ready(app, call, &content, now).await?;
            let workflow = pinned(call, &content)?;
            onward = if deed.action == ApplicationAction::Confirm {
                let mut history = stored.history.iter();
                let given_back =
                    history.any(|step| step.state == ApplicationState::ReturnedToUniversity);
                let reviewed = given_back || drawn(app, workflow, &content, now);
                confirmed_by(reviewed, prepared, Vec::new(), now)?
            } else {
                approved(prepared, Vec::new(), now)?
            };
        }
        _ => {}
    }
    steps.append(&mut onward.steps);
    Ok(Staged {
        change: ApplicationChange {
            id: stored.id,
            certificate_id: stored.certificate_id,
            before: Some((stored.state, stored.version)),
            open_key: open_key(&content),
            subject_hash: app.subject_hash(&content.subject.person_id),
            content,
            steps,
            pay_until: onward.pay_until,
        },
        issue: onward.issue,
    })
}

/// Whether what was handed in may go on; `false` where an early version noted no agreement to go by.
///
/// # Errors
///
/// INSTITUTION_NOT_ACTIVE, ISSUANCE_PAUSED, AGREEMENT_NOT_ACTIVE, CALL_NOT_OPEN; [`AppError::Store`].
async fn goes_on(
    app: &App,
    call: &Acting,
    content: &ApplicationContent,
    now: Timestamp,
) -> Result<bool, AppError> {
    let institution = call.snapshot.institution(content.institution.as_str());
    let institution = institution.ok_or(Reason::InstitutionNotActive)?;
    let service = ServiceKind::EnrollmentCertificate;
    if institution.institution.state != InstitutionState::Active {
        return Err(Reason::InstitutionNotActive.into());
    }
    not_paused(call, service, &institution.institution)?;
    let under = in_flight(app, call, &content.agreement, now).await?;
    Ok(under.is_some())
}

/// What would be issued now for an application that somebody decided in favour of: everything is checked as it is now.
async fn ready(
    app: &App,
    call: &Acting,
    content: &ApplicationContent,
    now: Timestamp,
) -> Result<Prepared, AppError> {
    goes_on(app, call, content, now).await?;
    let source = source(app, call, content, now).await?;
    let ground = ground(content, pinned(call, content)?, source.as_ref())?;
    prepare(app, call, &ground, Voucher::Decision, now).await
}

/// Has an application go on that was paid for: it is issued, or, where nothing can be issued any more, cancelled, and the
/// money is to be paid back. `first` while the money has not reached it yet.
///
/// # Errors
///
/// What may pass: [`AppError::Store`], [`AppError::Internal`].
pub(in crate::app) async fn paid(
    app: &App,
    call: &Acting,
    id: Uuid,
    first: bool,
) -> Result<Step, AppError> {
    for _ in 0..TRIES {
        let now = app.clock.now();
        let context = paying(now, call.trace_id.to_string());
        let stored = app.store_for(call).application(id).await?;
        let stored = stored.ok_or(AppError::Internal(
            "an application that was paid is missing",
        ))?;
        let mut steps = match (stored.state, first) {
            (ApplicationState::AwaitingPayment, true) => {
                vec![NewStep::by_service(ApplicationState::Paid, "PAY")]
            }
            (ApplicationState::Paid, false) => Vec::new(),
            // It is being signed: the store follows.
            (ApplicationState::Issuing, false) => return Ok(Step::Waits),
            _ => return Ok(Step::Gone),
        };
        let issue = match ready(app, call, &stored.content, now).await {
            Ok(prepared) => {
                steps.push(NewStep::by_service(ApplicationState::Issuing, "ISSUE"));
                Some(prepared)
            }
            Err(AppError::Refused(refusal))
                if !may_wait(app, call, refusal.reason, &stored.content.agreement).await? =>
            {
                steps.push(NewStep {
                    reason: refusal.reason.as_str().to_owned(),
                    ..NewStep::by_service(ApplicationState::Cancelled, "GIVE_UP")
                });
                None
            }
            // The money has arrived all the same.
            Err(_) if first => None,
            Err(AppError::Refused(_)) => return Ok(Step::Waits),
            Err(error) => return Err(error),
        };
        let staged = Staged {
            change: ApplicationChange {
                id: stored.id,
                certificate_id: stored.certificate_id,
                before: Some((stored.state, stored.version)),
                open_key: open_key(&stored.content),
                subject_hash: app.subject_hash(&stored.content.subject.person_id),
                content: stored.content,
                steps,
                pay_until: None,
            },
            issue,
        };
        if staged.carry_out(app, call, &context).await?.is_some() {
            return Ok(Step::Moved);
        }
    }
    Ok(Step::Waits)
}

/// The context of what payments do.
pub(in crate::app) fn paying(now: Timestamp, trace_id: String) -> ActContext {
    ActContext {
        actor: "service/payments".to_owned(),
        now,
        trace_id,
        claim: None,
    }
}

/// The workflow version that the application began under.
fn pinned<'a>(
    call: &'a Acting,
    content: &ApplicationContent,
) -> Result<&'a WorkflowVersion, AppError> {
    let workflow = call.snapshot.workflows.get(&content.workflow_version);
    workflow.ok_or(AppError::Internal(
        "an application names an unknown workflow version",
    ))
}

fn change_content(content: &mut ApplicationContent, update: &UpdateInput) -> Result<(), AppError> {
    let confirms = content.request_type == RequestType::ConfirmExisting;
    if confirms != update.paper.is_some() {
        let mut found = Violations::default();
        let reason = if confirms {
            Reason::FieldRequired
        } else {
            Reason::FieldFormat
        };
        found.push("existing_document", reason);
        return Err(found.into());
    }
    content.subject = update.subject.clone();
    content.purpose = update.purpose;
    content.addressee_fa.clone_from(&update.addressee_fa);
    content.addressee_en.clone_from(&update.addressee_en);
    content.paper.clone_from(&update.paper);
    content.attachments.clone_from(&update.attachments);
    Ok(())
}

fn not_allowed(state: ApplicationState) -> AppError {
    let allowed = ApplicationAction::allowed(state);
    let allowed: Vec<_> = allowed.iter().map(|action| action.as_str()).collect();
    Refusal::new(Reason::StateTransitionNotAllowed)
        .with("state", state.as_str())
        .with("allowed", allowed.join(","))
        .into()
}

/// Ends applications whose time to pay is over; returns how many.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn expire_unpaid(app: &App) -> Result<usize, AppError> {
    let now = app.clock.now();
    let unpaid = app.store.unpaid_applications(now, BATCH).await?;
    let names = unpaid.iter().map(|stored| APPLICATIONS.name(stored.id));
    // Those end with their payment, about which the gateway is asked first.
    let being_paid = app.store.being_paid(names.collect()).await?;
    let mut expired = 0;
    for stored in unpaid {
        if being_paid.contains(&APPLICATIONS.name(stored.id)) {
            continue;
        }
        let context = paying(now, String::new());
        let step = NewStep::by_service(ApplicationState::PaymentExpired, "EXPIRE");
        let change = ApplicationChange {
            id: stored.id,
            certificate_id: stored.certificate_id,
            before: Some((stored.state, stored.version)),
            open_key: String::new(),
            subject_hash: app.subject_hash(&stored.content.subject.person_id),
            content: stored.content,
            steps: vec![step],
            pay_until: None,
        };
        let outcome = app.store.change_application(&context, &change).await?;
        // Otherwise another node, or a payment, was quicker.
        expired += usize::from(matches!(outcome, ApplicationOutcome::Done(_)));
    }
    Ok(expired)
}
