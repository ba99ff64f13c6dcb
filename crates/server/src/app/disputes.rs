//! Disputes between consumers and the provider.

use gavah_domain::caller::CallerClass;
use gavah_domain::dispute::{DisputeState, OrderedAct, Party};
use gavah_domain::{JalaliDate, PersonId, Reason};
use gavah_store::{
    DisputeFilter, DisputeOutcome, DisputeParties, NewDispute, Ordered, StoredAction,
    StoredDispute, StoredMessage,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::certificates::read::{get_application, get_certificate};
use super::{App, actor, agreements, code_applications, codes, context, earlier, owns};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::certificate::GetInput;
use crate::convert::dispute::{
    CloseInput, ListInput, ListMessagesInput, MessageInput, OpenInput, StepInput, Subject, Target,
};
use crate::convert::names::{self, Collection};
use crate::error::{AppError, Refusal, not_ordered};

/// Opens a dispute; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND without such a subject, RESOURCE_ALREADY_EXISTS with the open dispute, REQUEST_ID_REUSED;
/// [`AppError::Store`].
pub async fn open(
    app: &App,
    call: &Acting,
    input: OpenInput,
) -> Result<Option<StoredDispute>, AppError> {
    let now = app.clock.now();
    let context = context(call, &input.head, None, now);
    let store = app.store_for(call);
    let (consumer, through) = match consumer(app, call, &input).await {
        Ok(consumer) => consumer,
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            let id = Collection::Disputes.parse(&resource);
            let id = id.map_err(|_| AppError::Internal("a claim names no dispute"))?;
            return find(app, call, id).await.map(Some);
        }
    };
    let new = NewDispute {
        id: app.new_id(now)?,
        subject: input.subject.name(),
        consumer,
        through,
        opened_by: party(call),
        statement: input.statement,
    };
    if input.head.validate_only {
        let open = store.dispute_open_on(&new.subject, &new.consumer, &new.through);
        return match open.await? {
            Some(id) => Err(refusal(DisputeOutcome::<StoredDispute>::Exists(id))),
            None => Ok(None),
        };
    }
    settle(store.open_dispute(&context, &new).await?)
}

/// The consumer on whose side a dispute on the subject is, and the caller through which an agency speaks. What the
/// provider opens on a document is between it and the institution.
async fn consumer(
    app: &App,
    call: &Acting,
    input: &OpenInput,
) -> Result<(String, String), AppError> {
    let of_window = call.caller.class == CallerClass::SingleWindow;
    let asked = |id: Uuid| GetInput {
        id,
        claim: input.claim.clone(),
    };
    let institution = match &input.subject {
        Subject::Agreement(id) => {
            let agreement = agreements::find(app, call, id).await?.agreement;
            return Ok((agreement.consumer, agreement.through.unwrap_or_default()));
        }
        Subject::CodeApplication(id) => {
            let stored = code_applications::get(app, call, *id).await?;
            stored.content.program.institution
        }
        Subject::Code(id) => {
            codes::get(app, call, *id)
                .await?
                .content
                .program
                .institution
        }
        Subject::CertificateApplication(id) => {
            let stored = get_application(app, call, &asked(*id)).await?;
            stored.content.institution
        }
        Subject::Certificate(id) => {
            let stored = get_certificate(app, call, &asked(*id)).await?;
            stored.content.program.institution
        }
    };
    let consumer = match of_window {
        true => actor(call),
        false => names::institution(&institution),
    };
    Ok((consumer, String::new()))
}

/// Posts a message; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, STATE_TRANSITION_NOT_ALLOWED, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn post_message(
    app: &App,
    call: &Acting,
    input: MessageInput,
) -> Result<Option<StoredMessage>, AppError> {
    let stored = find(app, call, input.id).await?;
    if input.head.validate_only {
        return match stored.state.is_open() {
            true => Ok(None),
            false => Err(not_allowed(stored.state)),
        };
    }
    let context = context(call, &input.head, None, app.clock.now());
    let store = app.store_for(call);
    let posted = store.post_dispute_message(&context, input.id, party(call), &input.text);
    settle(posted.await?)
}

/// Agrees, consents, withdraws or rules; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, also, with the target, for an action on what is not there; ETAG_MISMATCH,
/// STATE_TRANSITION_NOT_ALLOWED, NOT_THE_OPENER, NEGOTIATION_PERIOD_NOT_OVER, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn step(
    app: &App,
    call: &Acting,
    input: StepInput,
) -> Result<Option<StoredDispute>, AppError> {
    let now = app.clock.now();
    let stored = find(app, call, input.id).await?;
    for target in &input.targets {
        there(app, call, *target).await?;
    }
    if input.head.validate_only {
        return match stored.after(&input.step, party(call), input.etag, now) {
            Ok(_) => Ok(None),
            Err(refused) => Err(refusal(refused)),
        };
    }
    let context = context(call, &input.head, None, now);
    let store = app.store_for(call);
    let stepped = store.step_dispute(&context, input.id, party(call), input.etag, &input.step);
    settle(stepped.await?)
}

/// Closes an action that can no longer be done; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn close_action(
    app: &App,
    call: &Acting,
    input: CloseInput,
) -> Result<Option<StoredDispute>, AppError> {
    let stored = find(app, call, input.action.dispute).await?;
    if input.head.validate_only {
        return match stored.may_close(input.action.number, input.etag) {
            Ok(()) => Ok(None),
            Err(refused) => Err(refusal(refused)),
        };
    }
    let context = context(call, &input.head, None, app.clock.now());
    let store = app.store_for(call);
    let closed = store.close_dispute_action(&context, input.action, input.etag, &input.reason);
    settle(closed.await?)
}

/// Whether what an action is ordered on is there.
async fn there(app: &App, call: &Acting, target: Target) -> Result<(), AppError> {
    let store = app.store_for(call);
    let there = match target {
        Target::Code(id) => store.code(id).await?.is_some(),
        Target::Certificate(id) => {
            let stored = store.certificate(id).await?;
            stored.is_some_and(|stored| stored.signed_document.is_some())
        }
        Target::Payment(id) => store.payment(id).await?.is_some(),
    };
    match there {
        true => Ok(()),
        false => Err(Refusal::new(Reason::ResourceNotFound)
            .with("target", target.name())
            .into()),
    }
}

/// Reads a dispute that the caller may see: its own, or any for the Organization and auditors.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND; [`AppError::Store`].
pub async fn find(app: &App, call: &Acting, id: Uuid) -> Result<StoredDispute, AppError> {
    let stored = app.store_for(call).dispute(id).await?;
    let seen = stored.filter(|stored| parties(call).include(stored));
    seen.ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Lists disputes that the caller may see; one row more than the page has when there is another page.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn list(
    app: &App,
    call: &Acting,
    input: &ListInput,
) -> Result<Vec<StoredDispute>, AppError> {
    let filter = DisputeFilter {
        parties: parties(call),
        state: input.state,
        subject: input.subject.as_ref().map(Subject::name),
    };
    let store = app.store_for(call);
    let listed = store.list_disputes(&filter, input.page.after, input.page.probe());
    Ok(listed.await?)
}

/// Lists the messages of a dispute that the caller may see; one more than the page has when there is another page.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND; [`AppError::Store`].
pub async fn messages(
    app: &App,
    call: &Acting,
    input: &ListMessagesInput,
) -> Result<Vec<StoredMessage>, AppError> {
    find(app, call, input.id).await?;
    let after = input.page.after.as_ref();
    let after = after.and_then(|after| after.parse().ok()).unwrap_or(0);
    let store = app.store_for(call);
    let listed = store.dispute_messages(input.id, after, input.page.probe());
    Ok(listed.await?)
}

/// What a call names as ordered, with who names it.
struct Named {
    action: StoredAction,
    party: bool,
}

impl Named {
    /// Why it is not what is ordered. Who is no party to the dispute learns nothing of it, not even that it is there.
    fn other(&self, why: &'static str) -> AppError {
        match self.party {
            true => not_ordered(why),
            false => Reason::ResourceNotFound.into(),
        }
    }
}

/// What the call names, when it is ordered to be done by `act`. What a ruling orders never changes: only whether it may be
/// done now is for the transaction to see.
async fn named(
    app: &App,
    call: &Acting,
    head: &Head,
    act: OrderedAct,
) -> Result<Option<Named>, AppError> {
    let Some(ordered) = head.ordered else {
        return Ok(None);
    };
    let dispute = app.store_for(call).dispute(ordered.dispute).await?;
    let dispute = dispute.ok_or(Reason::ResourceNotFound)?;
    let action = dispute.action(ordered.number);
    let named = Named {
        action: action.cloned().ok_or(Reason::ResourceNotFound)?,
        party: parties(call).include(&dispute),
    };
    match named.action.act == act {
        true => Ok(Some(named)),
        false => Err(named.other("OTHER_ACT")),
    }
}

/// Whether what the call names may be done now, for calls that only check.
async fn not_held_up(app: &App, call: &Acting, head: &Head) -> Result<(), AppError> {
    let Some(ordered) = head.ordered.filter(|_| head.validate_only) else {
        return Ok(());
    };
    match app.store_for(call).action_held_up(ordered).await? {
        Some(why) => Err(not_ordered(why)),
        None => Ok(()),
    }
}

/// Whether what the call names is ordered to be done by `act` to `target`, which the caller has been found to be allowed to
/// do without an order: so it need not be a party.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ACTION_NOT_ORDERED; [`AppError::Store`].
pub(super) async fn ordered(
    app: &App,
    call: &Acting,
    head: &Head,
    act: OrderedAct,
    target: &str,
) -> Result<(), AppError> {
    let Some(named) = named(app, call, head, act).await? else {
        return Ok(());
    };
    if named.action.target != target {
        return Err(named.other("OTHER_TARGET"));
    }
    not_held_up(app, call, head).await
}

/// Whether what is to be issued anew is of the person whom the document is about in place of which it is ordered. Who is no
/// party to the dispute must be allowed to issue what it is ordered in place of: a code of its own institution, or, as the
/// single window, any certificate.
///
/// # Errors
///
/// As [`ordered`].
pub(super) async fn reissue_ordered(
    app: &App,
    call: &Acting,
    head: &Head,
    collection: Collection,
    person: &PersonId,
) -> Result<(), AppError> {
    let Some(named) = named(app, call, head, OrderedAct::Reissue).await? else {
        return Ok(());
    };
    let id = collection.parse(&named.action.target);
    let id = id.map_err(|_| named.other("OTHER_TARGET"))?;
    let store = app.store_for(call);
    let own = match collection {
        Collection::ValidityCodes => store.code(id).await?.is_some_and(|it| {
            let issues = named.party || owns(call, &it.content.program.institution);
            issues && it.content.subject.person_id == *person
        }),
        _ => {
            let stored = store.certificate(id).await?;
            stored.is_some_and(|it| it.content.subject.person_id == *person)
        }
    };
    match own {
        true => not_held_up(app, call, head).await,
        false => Err(named.other("OTHER_TARGET")),
    }
}

/// Names of what rulings ordered on a resource, or what it came of, as far as the caller may see them.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn touching(app: &App, call: &Acting, resource: &str) -> Result<Vec<String>, AppError> {
    let store = app.store_for(call);
    let found = store.actions_on(&parties(call), resource).await?;
    Ok(found.into_iter().map(Ordered::name).collect())
}

/// The side on which the caller stands.
fn party(call: &Acting) -> Party {
    match call.caller.class {
        CallerClass::Organization => Party::Provider,
        _ => Party::Consumer,
    }
}

/// Whose disputes the caller sees: those of the consumers that it is or acts for.
fn parties(call: &Acting) -> DisputeParties {
    if matches!(
        call.caller.class,
        CallerClass::Organization | CallerClass::Auditor
    ) {
        return DisputeParties::All;
    }
    let known = call.snapshot.institutions.values();
    let own = known.filter(|stored| call.caller.may_act_for(&stored.institution));
    let own = own.map(|stored| names::institution(&stored.institution.code));
    DisputeParties::Of {
        consumers: own.chain([actor(call)]).collect(),
        through: call.caller.id.as_str().to_owned(),
    }
}

fn settle<T>(outcome: DisputeOutcome<T>) -> Result<Option<T>, AppError> {
    match outcome {
        DisputeOutcome::Done(stored) => Ok(Some(*stored)),
        refused => Err(refusal(refused)),
    }
}

fn refusal<T>(outcome: DisputeOutcome<T>) -> AppError {
    match outcome {
        DisputeOutcome::Done(_) => AppError::Internal("what was done is no refusal"),
        DisputeOutcome::RequestIdReused => Reason::RequestIdReused.into(),
        DisputeOutcome::NotFound => Reason::ResourceNotFound.into(),
        DisputeOutcome::EtagMismatch => Reason::EtagMismatch.into(),
        DisputeOutcome::NotAllowed(state) => not_allowed(state),
        DisputeOutcome::Exists(id) => Refusal::new(Reason::ResourceAlreadyExists)
            .with("resource", Collection::Disputes.name(id))
            .into(),
        DisputeOutcome::NotOver(deadline) => not_over(deadline),
        DisputeOutcome::NotTheOpener => Reason::NotTheOpener.into(),
        DisputeOutcome::ActionOver(state) => Refusal::new(Reason::StateTransitionNotAllowed)
            .with("state", state.as_str())
            .with("allowed", "")
            .into(),
    }
}

fn not_over(deadline: Timestamp) -> AppError {
    Refusal::new(Reason::NegotiationPeriodNotOver)
        .with("deadline", deadline.to_string())
        .with("deadline_date", JalaliDate::of(deadline).to_string())
        .into()
}

fn not_allowed(state: DisputeState) -> AppError {
    let allowed: Vec<_> = state.next().iter().map(|state| state.as_str()).collect();
    Refusal::new(Reason::StateTransitionNotAllowed)
        .with("state", state.as_str())
        .with("allowed", allowed.join(","))
        .into()
}
