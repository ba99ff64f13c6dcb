//! Service calls and agreements.

use gavah_domain::Reason;
use gavah_domain::agreement::{Agreement, AgreementEnd, AgreementPurpose, AgreementState};
use gavah_domain::caller::CallerClass;
use gavah_domain::service::{ServiceCall, ServiceCallState, ServiceKind};
use gavah_domain::{TextEnum, Violations};
use gavah_store::{
    ActContext, AgreementFilter, AgreementText, RegistryChange, StoredAgreement, StoredCall,
};
use jiff::Timestamp;

use super::registry::settle;
use super::{App, actor, context, earlier};
use crate::call::Acting;
use crate::convert::agreement::{CreateCallInput, MoveCallInput, RequestAgreementInput, StepInput};
use crate::error::{AppError, Refusal};
use crate::layers::CallerDirectory;

/// A version of a text.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND.
pub fn text(
    call: &Acting,
    (service, version): (ServiceKind, i32),
) -> Result<&AgreementText, AppError> {
    let mut texts = call.snapshot.texts.iter();
    let text = texts.find(|text| text.service == service && text.version == version);
    text.ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Prepares a call; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_ALREADY_EXISTS, RESOURCE_NOT_FOUND for an unknown workflow version, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn create_call(
    app: &App,
    call: &Acting,
    input: CreateCallInput,
) -> Result<Option<StoredCall>, AppError> {
    let new = &input.call;
    if input.head.validate_only {
        if call.snapshot.call(&new.id).is_some() {
            return Err(Reason::ResourceAlreadyExists.into());
        }
        let workflow = call.snapshot.workflows.get(&new.workflow_version);
        if workflow.is_none_or(|workflow| workflow.service != new.service) {
            return Err(Reason::ResourceNotFound.into());
        }
        return Ok(None);
    }
    let context = context(call, &input.head, None, app.clock.now());
    let change = app
        .store_for(call)
        .create_service_call(&context, new)
        .await?;
    settle(app, change).await?;
    service_call(app, call, &new.id).await.map(Some)
}

/// Opens or closes a call; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn move_call(
    app: &App,
    call: &Acting,
    input: MoveCallInput,
) -> Result<Option<StoredCall>, AppError> {
    let MoveCallInput { head, id, to, etag } = &input;
    if head.validate_only {
        let stored = service_call(app, call, id).await?;
        if etag.is_some_and(|etag| etag != stored.version) {
            return Err(Reason::EtagMismatch.into());
        }
        let state = stored.call.state;
        return match state.next().contains(to) {
            true => Ok(None),
            false => Err(not_allowed(state, state.next())),
        };
    }
    let context = context(call, head, None, app.clock.now());
    let store = app.store_for(call);
    match store.move_service_call(&context, id, *to, *etag).await? {
        RegistryChange::NotAllowed(state) => {
            let state: ServiceCallState = known(&state)?;
            return Err(not_allowed(state, state.next()));
        }
        change => settle(app, change).await?,
    }
    service_call(app, call, id).await.map(Some)
}

/// Reads a call.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND; [`AppError::Store`].
pub async fn service_call(app: &App, call: &Acting, id: &str) -> Result<StoredCall, AppError> {
    let stored = app.store_for(call).find_service_call(id).await?;
    stored.ok_or_else(|| Reason::ResourceNotFound.into())
}

/// All calls, by id.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn service_calls(app: &App, call: &Acting) -> Result<Vec<StoredCall>, AppError> {
    Ok(app.store_for(call).list_service_calls().await?)
}

/// Asks for an agreement; `None` when only checking.
///
/// # Errors
///
/// FIELD_NOT_DISCLOSABLE with the field, every violation of what only the registry knows, RESOURCE_NOT_FOUND,
/// CALL_NOT_OPEN, RESOURCE_ALREADY_EXISTS, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn request(
    app: &App,
    call: &Acting,
    input: RequestAgreementInput,
) -> Result<Option<StoredAgreement>, AppError> {
    let now = app.clock.now();
    let context = context(call, &input.head, None, now);
    let store = app.store_for(call);
    let new = match wanted(app, call, &input) {
        Ok(new) => new,
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => return replayed(app, call, &context, refused).await,
    };
    if input.head.validate_only {
        let filter = AgreementFilter {
            of: Some((vec![new.consumer.clone()], String::new())),
            call_id: Some(new.call_id.clone()),
            state: None,
        };
        let held = store.list_agreements(&filter).await?;
        let ended = AgreementState::Terminated;
        let held = held.iter().map(|held| &held.agreement);
        let mut own = held.filter(|held| held.through == new.through);
        return match own.any(|held| held.state != ended) {
            true => Err(Reason::ResourceAlreadyExists.into()),
            false => Ok(None),
        };
    }
    let (_, version) = input.text;
    let change = store.request_agreement(&context, &new, version).await?;
    settle(app, change).await?;
    // An earlier call with this request_id asked for another one than `new`.
    let unclaimed = AppError::Internal("an agreement was asked for without a claim");
    replayed(app, call, &context, unclaimed).await
}

async fn replayed(
    app: &App,
    call: &Acting,
    context: &ActContext,
    refused: AppError,
) -> Result<Option<StoredAgreement>, AppError> {
    let resource = earlier(app, call, context, refused).await?;
    find(app, call, id_of(&resource)?).await.map(Some)
}

fn id_of(resource: &str) -> Result<&str, AppError> {
    let id = resource.strip_prefix("agreements/");
    id.ok_or(AppError::Internal("a claim names no agreement"))
}

/// The agreement that is asked for, if it may be.
fn wanted(app: &App, call: &Acting, input: &RequestAgreementInput) -> Result<Agreement, AppError> {
    let class = call.caller.class;
    if let Some(field) = input
        .fields
        .iter()
        .find(|field| !field.disclosable_to(class))
    {
        return Err(Refusal::new(Reason::FieldNotDisclosable)
            .with("field", field.as_str())
            .into());
    }
    let under = call.snapshot.call(&input.call_id);
    let under = under.ok_or(Reason::ResourceNotFound)?;
    if under.state == ServiceCallState::Closed {
        return Err(Reason::CallNotOpen.into());
    }
    let mut found = Violations::default();
    let in_force = call.snapshot.text(under.service);
    let accepted = in_force.is_some_and(|text| (text.service, text.version) == input.text);
    if !accepted {
        found.push("agreement_text", Reason::FieldFormat);
    }
    if input.agency.is_some() && class != CallerClass::NationalHub {
        found.push("agency", Reason::FieldFormat);
    }
    if !found.is_empty() {
        return Err(found.into());
    }
    let (consumer, through) = match (&input.agency, &call.caller.institution) {
        (Some(agency), _) => (
            format!("agencies/{}", agency.as_str()),
            Some(call.caller.id.as_str().to_owned()),
        ),
        (None, Some(own)) => (format!("institutions/{}", own.as_str()), None),
        (None, None) => (actor(call), None),
    };
    Ok(Agreement {
        id: app.new_id(app.clock.now())?.to_string(),
        consumer,
        through,
        call_id: input.call_id.clone(),
        state: AgreementState::Requested,
        end: None,
        purposes: input.purposes.clone(),
        fields: input.fields.clone(),
        daily_calls: input.daily_calls,
        burst: input.burst,
    })
}

/// Changes the state of an agreement that the caller may see; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn change(
    app: &App,
    call: &Acting,
    input: StepInput,
) -> Result<Option<StoredAgreement>, AppError> {
    let step = &input.step;
    let stored = find(app, call, &step.id).await?;
    if input.head.validate_only {
        if step.etag.is_some_and(|etag| etag != stored.version) {
            return Err(Reason::EtagMismatch.into());
        }
        let state = stored.agreement.state;
        return match state.next().contains(&step.to) {
            true => Ok(None),
            false => Err(not_allowed(state, state.next())),
        };
    }
    let context = context(call, &input.head, None, app.clock.now());
    match app.store_for(call).change_agreement(&context, step).await? {
        RegistryChange::NotAllowed(state) => {
            let state: AgreementState = known(&state)?;
            return Err(not_allowed(state, state.next()));
        }
        change => settle(app, change).await?,
    }
    find(app, call, &step.id).await.map(Some)
}

/// The side of the agreement on which the caller stands.
#[must_use]
pub fn side(call: &Acting) -> AgreementEnd {
    match call.caller.class {
        CallerClass::Organization => AgreementEnd::ByProvider,
        _ => AgreementEnd::ByConsumer,
    }
}

/// Reads an agreement that the caller may see: its own, or any for the Organization and auditors.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND; [`AppError::Store`].
pub async fn find(app: &App, call: &Acting, id: &str) -> Result<StoredAgreement, AppError> {
    let stored = app.store_for(call).find_agreement(id).await?;
    let seen = stored.filter(|stored| match own(call) {
        None => true,
        Some((consumers, through)) => {
            consumers.contains(&stored.agreement.consumer)
                || stored.agreement.through == Some(through)
        }
    });
    seen.ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Lists agreements that the caller may see.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn list(
    app: &App,
    call: &Acting,
    filter: AgreementFilter,
) -> Result<Vec<StoredAgreement>, AppError> {
    let filter = AgreementFilter {
        of: own(call),
        ..filter
    };
    Ok(app.store_for(call).list_agreements(&filter).await?)
}

/// The consumers that the caller is, and the caller through which agencies call; `None` for who sees all.
fn own(call: &Acting) -> Option<(Vec<String>, String)> {
    if matches!(
        call.caller.class,
        CallerClass::Organization | CallerClass::Auditor
    ) {
        return None;
    }
    let mut consumers = vec![actor(call)];
    if let Some(own) = &call.caller.institution {
        consumers.push(format!("institutions/{}", own.as_str()));
    }
    Some((consumers, call.caller.id.as_str().to_owned()))
}

/// The service of the call an agreement belongs to. A call that has just come is in the store before it is in memory.
///
/// # Errors
///
/// [`AppError::Internal`] when the call is unknown; [`AppError::Store`].
pub async fn service_of(
    app: &App,
    call: &Acting,
    stored: &StoredAgreement,
) -> Result<ServiceKind, AppError> {
    let id = stored.agreement.call_id.as_str();
    if let Some(under) = call.snapshot.call(id) {
        return Ok(under.service);
    }
    let under = app.store_for(call).find_service_call(id).await?;
    under
        .map(|under| under.call.service)
        .ok_or(AppError::Internal("an agreement names an unknown call"))
}

/// Whether what was handed in under an agreement may still be decided: its call; `None` where an early version noted no
/// agreement.
///
/// # Errors
///
/// AGREEMENT_NOT_ACTIVE, CALL_NOT_OPEN; [`AppError::Store`].
pub(super) async fn in_flight<'a>(
    app: &App,
    call: &'a Acting,
    id: &str,
    now: Timestamp,
) -> Result<Option<&'a ServiceCall>, AppError> {
    if id.is_empty() {
        return Ok(None);
    }
    let missing = AppError::Internal("an application names an unknown agreement");
    let stored = app.store_for(call).find_agreement(id).await?;
    let agreement = stored.ok_or_else(|| missing.clone())?.agreement;
    let under = call.snapshot.call(&agreement.call_id).ok_or(missing)?;
    // One that has ended may have been followed by another of the same consumer.
    let followed = call
        .snapshot
        .agreements_of(&agreement.consumer)
        .any(|next| {
            next.call_id == agreement.call_id && next.permits(AgreementPurpose::Issue).is_ok()
        });
    if agreement.state == AgreementState::Terminated && followed && under.runs_off(now) {
        return Ok(Some(under));
    }
    agreement.runs_off(under, now)?;
    Ok(Some(under))
}

/// Whether the agreement under which an application was handed in is suspended, and so may be in force again.
///
/// # Errors
///
/// [`AppError::Store`].
pub(super) async fn is_suspended(app: &App, call: &Acting, id: &str) -> Result<bool, AppError> {
    let stored = app.store_for(call).find_agreement(id).await?;
    Ok(stored.is_some_and(|stored| stored.agreement.state == AgreementState::Suspended))
}

/// Closes the calls whose time is over; returns how many.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn close_due(app: &App) -> Result<usize, AppError> {
    let now = app.clock.now();
    let due = |call: &ServiceCall| {
        call.state == ServiceCallState::Open && call.close_time.is_some_and(|close| close <= now)
    };
    // The registry in memory says whether there is anything to do.
    if !app.registry.current()?.calls.iter().any(due) {
        return Ok(0);
    }
    let context = ActContext {
        actor: "service/calls".to_owned(),
        now,
        trace_id: String::new(),
        claim: None,
    };
    Ok(app.store.close_calls_due(&context).await?)
}

fn known<T: std::str::FromStr>(state: &str) -> Result<T, AppError> {
    let state = state.parse();
    state.map_err(|_| AppError::Internal("a stored state is unknown"))
}

fn not_allowed<S: TextEnum>(state: S, next: &[S]) -> AppError {
    let allowed: Vec<_> = next.iter().map(|state| state.as_str()).collect();
    Refusal::new(Reason::StateTransitionNotAllowed)
        .with("state", state.as_str())
        .with("allowed", allowed.join(","))
        .into()
}
