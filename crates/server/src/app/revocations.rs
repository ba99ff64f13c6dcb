//! Revocations of many documents: proposed by one officer, approved by another, carried out
//! by any node.

use gavah_domain::incident::Selection;
use gavah_domain::{PersonId, Reason};
use gavah_store::{ActContext, IncidentOutcome, NewIncident, StoredIncident};
use jiff::SignedDuration;
use uuid::Uuid;

use super::{App, context, earlier};
use crate::call::Acting;
use crate::convert::names::Collection;
use crate::convert::revocation::{DecideInput, ProposeInput};
use crate::error::{AppError, Refusal};

/// Documents that a preview names.
const NAMED: u64 = 1000;

/// Incidents of a list.
const LISTED: u64 = 1000;

/// How long a node that works on an incident has it for itself.
const LEASE: SignedDuration = SignedDuration::from_secs(15);

/// How many live documents a selection finds, and the names of the oldest.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn preview(
    app: &App,
    call: &Acting,
    selection: &Selection,
) -> Result<(i64, Vec<String>), AppError> {
    Ok(app.store_for(call).preview(selection, NAMED).await?)
}

/// Proposes a revocation; `None` when only checking.
///
/// # Errors
///
/// REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn propose(
    app: &App,
    call: &Acting,
    input: ProposeInput,
) -> Result<Option<StoredIncident>, AppError> {
    if input.head.validate_only {
        return Ok(None);
    }
    let now = app.clock.now();
    let new = NewIncident {
        id: app.new_id(now)?,
        selection: input.selection,
        reason: input.reason,
        legal_basis: input.legal_basis,
        proposer_hash: app.subject_hash(&input.officer.person),
        proposer: input.officer.name,
    };
    let context = context(call, &input.head, None, now);
    match app.store_for(call).propose_incident(&context, &new).await? {
        IncidentOutcome::Done(stored) => Ok(Some(*stored)),
        IncidentOutcome::RequestIdReused => Err(Reason::RequestIdReused.into()),
        IncidentOutcome::Moved => Err(AppError::Internal("a new incident has moved")),
    }
}

/// Approves a proposal or takes it back; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED,
/// SAME_PERSON_CANNOT_DECIDE, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn decide(
    app: &App,
    call: &Acting,
    input: DecideInput,
) -> Result<Option<StoredIncident>, AppError> {
    let context = context(call, &input.head, None, app.clock.now());
    let store = app.store_for(call);
    let stored = get(app, call, input.id).await?;
    let to = match check(app, &input, &stored) {
        Ok(to) => to,
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            let id = Collection::Incidents.parse(&resource);
            let id = id.map_err(|_| AppError::Internal("a claim names no incident"))?;
            return get(app, call, id).await.map(Some);
        }
    };
    if input.head.validate_only {
        return Ok(None);
    }
    let officer = &input.officer.name;
    let decided = store.decide_incident(&context, input.id, input.etag, to, officer);
    match decided.await? {
        IncidentOutcome::Done(stored) => Ok(Some(*stored)),
        IncidentOutcome::RequestIdReused => Err(Reason::RequestIdReused.into()),
        IncidentOutcome::Moved => Err(Reason::EtagMismatch.into()),
    }
}

/// The state after what is done, if it may be.
fn check(
    app: &App,
    input: &DecideInput,
    stored: &StoredIncident,
) -> Result<gavah_domain::incident::IncidentState, AppError> {
    use gavah_domain::incident::IncidentAction;
    let same = |person: &PersonId| app.subject_hash(person) == stored.proposer_hash;
    if input.action == IncidentAction::Approve && same(&input.officer.person) {
        return Err(Reason::SamePersonCannotDecide.into());
    }
    if input.etag != stored.version {
        return Err(Reason::EtagMismatch.into());
    }
    input.action.apply(stored.state).map_err(|reason| {
        Refusal::new(reason)
            .with("state", stored.state.as_str())
            .with("allowed", "")
            .into()
    })
}

/// Reads an incident.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND; [`AppError::Store`].
pub async fn get(app: &App, call: &Acting, id: Uuid) -> Result<StoredIncident, AppError> {
    let stored = app.store_for(call).incident(id).await?;
    stored.ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Lists incidents, newest first.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn list(app: &App, call: &Acting) -> Result<Vec<StoredIncident>, AppError> {
    Ok(app.store_for(call).incidents(LISTED).await?)
}

/// Carries approved incidents out, one after the other, for as long as there are any that no
/// node works on; returns how many were done.
///
/// # Errors
///
/// [`AppError::Store`]; an incident goes on where it was when its lease has passed.
pub async fn carry_out(app: &App) -> Result<usize, AppError> {
    let mut done = 0;
    let lease = || {
        let until = app.clock.now().checked_add(LEASE);
        until.map_err(|_| AppError::Internal("the clock is past the calendar"))
    };
    while let Some(incident) = app.store.take_incident(app.clock.now(), lease()?).await? {
        let hash = |person_key: &str| app.hasher.hash(person_key);
        loop {
            let context = ActContext {
                actor: "service/incidents".to_owned(),
                now: app.clock.now(),
                trace_id: String::new(),
                claim: None,
            };
            let some = app.store.revoke_some(&context, &incident, lease()?, &hash);
            if some.await? {
                done += 1;
                break;
            }
        }
    }
    Ok(done)
}
