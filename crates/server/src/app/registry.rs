//! Institutions, experts, callers and their client certificates.

use gavah_domain::Reason;
use gavah_domain::caller::{CallerClass, CallerId, CallerState};
use gavah_domain::institution::{InstitutionCode, InstitutionType};
use gavah_store::{RegistryChange, StoredCaller, StoredExpert, StoredInstitution};

use super::{App, context, may_read};
use crate::call::Acting;
use crate::convert::page::Page;
use crate::convert::registry::{
    CallerInput, ClientCertificateInput, ExpertInput, InstitutionInput, ListExpertsInput,
    ListInstitutionsInput,
};
use crate::error::{AppError, Refusal};
use crate::layers::CallerDirectory;

/// Registers an institution; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_ALREADY_EXISTS, RESOURCE_NOT_FOUND for an unknown parent or
/// successor, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn create_institution(
    app: &App,
    call: &Acting,
    input: InstitutionInput,
) -> Result<Option<StoredInstitution>, AppError> {
    let new = &input.institution;
    if input.head.validate_only {
        let codes =
            std::iter::once(new.code.as_str()).chain(new.aliases.iter().map(String::as_str));
        if codes
            .into_iter()
            .any(|code| call.snapshot.institution(code).is_some())
        {
            return Err(Reason::ResourceAlreadyExists.into());
        }
        known_references(call, &input)?;
        return Ok(None);
    }
    let context = context(call, &input.head, None, app.clock.now());
    let change = app
        .store_for(call)
        .create_institution(&context, new)
        .await?;
    settle(app, change).await?;
    institution(app, &new.code).map(Some)
}

/// Replaces the mutable fields of an institution; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, RESOURCE_ALREADY_EXISTS for a taken alias,
/// REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn update_institution(
    app: &App,
    call: &Acting,
    input: InstitutionInput,
) -> Result<Option<StoredInstitution>, AppError> {
    let new = &input.institution;
    if input.head.validate_only {
        let stored = call.snapshot.institutions.get(new.code.as_str());
        let stored = stored.ok_or(Reason::ResourceNotFound)?;
        check_etag(input.etag, stored.version)?;
        let taken = |alias: &String| {
            let holder = call.snapshot.institution(alias);
            holder.is_some_and(|holder| holder.institution.code != new.code)
        };
        if new.aliases.iter().any(taken) {
            return Err(Reason::ResourceAlreadyExists.into());
        }
        known_references(call, &input)?;
        return Ok(None);
    }
    let context = context(call, &input.head, None, app.clock.now());
    let change = app
        .store_for(call)
        .update_institution(&context, new, input.etag)
        .await?;
    settle(app, change).await?;
    institution(app, &new.code).map(Some)
}

fn known_references(call: &Acting, input: &InstitutionInput) -> Result<(), AppError> {
    let named = [&input.institution.parent, &input.institution.successor];
    let unknown = |code: &&InstitutionCode| call.snapshot.institution(code.as_str()).is_none();
    if named.into_iter().flatten().any(|code| unknown(&code)) {
        return Err(Reason::ResourceNotFound.into());
    }
    Ok(())
}

fn institution(app: &App, code: &InstitutionCode) -> Result<StoredInstitution, AppError> {
    let snapshot = app.registry.current()?;
    let stored = snapshot.institutions.get(code.as_str()).cloned();
    stored.ok_or(AppError::Internal(
        "a stored institution is missing from the registry",
    ))
}

/// Reads an institution the caller may read.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none or it is a stranger's.
pub fn get_institution(
    call: &Acting,
    code: &InstitutionCode,
) -> Result<StoredInstitution, AppError> {
    call.snapshot
        .institution(code.as_str())
        .filter(|stored| may_read(call, &stored.institution.code))
        .cloned()
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Lists institutions by code; one row more than the page has when there is
/// another page.
#[must_use]
pub fn list_institutions(call: &Acting, input: &ListInstitutionsInput) -> Vec<StoredInstitution> {
    let fits = |kind: InstitutionType| input.kind.is_none_or(|only| only == kind);
    let mut rows: Vec<_> = call
        .snapshot
        .institutions
        .values()
        .filter(|s| fits(s.institution.kind))
        .collect();
    rows.sort_by(|a, b| a.institution.code.as_str().cmp(b.institution.code.as_str()));
    page(rows, &input.page, |stored| stored.institution.code.as_str())
}

/// Registers an expert; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND for an unknown institution, RESOURCE_ALREADY_EXISTS,
/// REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn create_expert(
    app: &App,
    call: &Acting,
    input: ExpertInput,
) -> Result<Option<StoredExpert>, AppError> {
    let new = &input.expert;
    if !call
        .snapshot
        .institutions
        .contains_key(&new.institution_code)
    {
        return Err(Reason::ResourceNotFound.into());
    }
    let store = app.store_for(call);
    if input.head.validate_only {
        return match store
            .expert(&new.institution_code, &new.expert_code)
            .await?
        {
            Some(_) => Err(Reason::ResourceAlreadyExists.into()),
            None => Ok(None),
        };
    }
    let context = context(call, &input.head, None, app.clock.now());
    let change = store.create_expert(&context, new).await?;
    settle(app, change).await?;
    expert(app, call, new).await.map(Some)
}

/// Replaces the mutable fields of an expert; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn update_expert(
    app: &App,
    call: &Acting,
    input: ExpertInput,
) -> Result<Option<StoredExpert>, AppError> {
    let new = &input.expert;
    let store = app.store_for(call);
    if input.head.validate_only {
        let stored = store
            .expert(&new.institution_code, &new.expert_code)
            .await?;
        let stored = stored.ok_or(Reason::ResourceNotFound)?;
        check_etag(input.etag, stored.version)?;
        return Ok(None);
    }
    let context = context(call, &input.head, None, app.clock.now());
    let change = store.update_expert(&context, new, input.etag).await?;
    settle(app, change).await?;
    expert(app, call, new).await.map(Some)
}

async fn expert(app: &App, call: &Acting, named: &StoredExpert) -> Result<StoredExpert, AppError> {
    let store = app.store_for(call);
    let stored = store
        .expert(&named.institution_code, &named.expert_code)
        .await?;
    stored.ok_or(AppError::Internal("a stored expert is missing"))
}

/// Lists the experts of an institution the caller may read, by code; one row
/// more than the page has when there is another page.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is no such institution or it is a stranger's.
pub async fn list_experts(
    app: &App,
    call: &Acting,
    input: &ListExpertsInput,
) -> Result<Vec<StoredExpert>, AppError> {
    let institution = get_institution(call, &input.institution)?;
    let code = institution.institution.code.as_str().to_owned();
    let after = input.page.after.as_deref();
    Ok(app
        .store_for(call)
        .list_experts(&code, after, input.page.probe())
        .await?)
}

/// Registers a caller; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_ALREADY_EXISTS for a taken id or fingerprint, RESOURCE_NOT_FOUND for
/// an unknown institution, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn create_caller(
    app: &App,
    call: &Acting,
    input: CallerInput,
) -> Result<Option<StoredCaller>, AppError> {
    let new = &input.caller;
    if input.head.validate_only {
        let fingerprints = call
            .snapshot
            .callers
            .values()
            .flat_map(|known| &known.certificates);
        let taken = fingerprints
            .into_iter()
            .any(|known| known.fingerprint == new.fingerprint);
        if taken || call.snapshot.caller(&new.caller.id).is_some() {
            return Err(Reason::ResourceAlreadyExists.into());
        }
        let own = new.caller.institution.as_ref();
        if own.is_some_and(|code| call.snapshot.institution(code.as_str()).is_none()) {
            return Err(Reason::ResourceNotFound.into());
        }
        return Ok(None);
    }
    let context = context(call, &input.head, None, app.clock.now());
    let change = app.store_for(call).create_caller(&context, new).await?;
    settle(app, change).await?;
    caller(app, &new.caller.id).map(Some)
}

/// Changes a caller; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn update_caller(
    app: &App,
    call: &Acting,
    input: CallerInput,
) -> Result<Option<StoredCaller>, AppError> {
    let new = &input.caller;
    let id = &new.caller.id;
    if input.head.validate_only {
        let stored = call.snapshot.caller(id).ok_or(Reason::ResourceNotFound)?;
        check_etag(input.etag, stored.version)?;
        if stored.state == CallerState::Retired && new.state != CallerState::Retired {
            return Err(Reason::StateTransitionNotAllowed.into());
        }
        return Ok(None);
    }
    let context = context(call, &input.head, None, app.clock.now());
    let store = app.store_for(call);
    let change = store
        .update_caller(&context, id, &new.display_name, new.state, input.etag)
        .await?;
    settle(app, change).await?;
    caller(app, id).map(Some)
}

/// Registers a further client certificate; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, RESOURCE_ALREADY_EXISTS, TOO_MANY_ACTIVE_CERTIFICATES,
/// REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn add_certificate(
    app: &App,
    call: &Acting,
    input: ClientCertificateInput,
) -> Result<Option<StoredCaller>, AppError> {
    if input.head.validate_only {
        let stored = call
            .snapshot
            .caller(&input.caller)
            .ok_or(Reason::ResourceNotFound)?;
        if stored
            .certificates
            .iter()
            .filter(|known| known.retire_time.is_none())
            .count()
            >= 2
        {
            return Err(Reason::TooManyActiveCertificates.into());
        }
        let fingerprints = call
            .snapshot
            .callers
            .values()
            .flat_map(|known| &known.certificates);
        if fingerprints
            .into_iter()
            .any(|known| known.fingerprint == input.fingerprint)
        {
            return Err(Reason::ResourceAlreadyExists.into());
        }
        return Ok(None);
    }
    let context = context(call, &input.head, None, app.clock.now());
    let store = app.store_for(call);
    let change = store
        .add_certificate(&context, &input.caller, &input.fingerprint)
        .await?;
    settle(app, change).await?;
    caller(app, &input.caller).map(Some)
}

/// Retires a client certificate; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn retire_certificate(
    app: &App,
    call: &Acting,
    input: ClientCertificateInput,
) -> Result<Option<StoredCaller>, AppError> {
    if input.head.validate_only {
        let stored = call
            .snapshot
            .caller(&input.caller)
            .ok_or(Reason::ResourceNotFound)?;
        let active = stored
            .certificates
            .iter()
            .any(|known| known.fingerprint == input.fingerprint && known.retire_time.is_none());
        return if active {
            Ok(None)
        } else {
            Err(Reason::ResourceNotFound.into())
        };
    }
    let context = context(call, &input.head, None, app.clock.now());
    let store = app.store_for(call);
    let change = store
        .retire_certificate(&context, &input.caller, &input.fingerprint)
        .await?;
    settle(app, change).await?;
    caller(app, &input.caller).map(Some)
}

fn caller(app: &App, id: &CallerId) -> Result<StoredCaller, AppError> {
    let snapshot = app.registry.current()?;
    let stored = snapshot.caller(id).cloned();
    stored.ok_or(AppError::Internal(
        "a stored caller is missing from the registry",
    ))
}

/// Reads a caller: itself, or any for the Organization and auditors.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none or it is somebody else.
pub fn get_caller(call: &Acting, id: &CallerId) -> Result<StoredCaller, AppError> {
    let sees_all = matches!(
        call.caller.class,
        CallerClass::Organization | CallerClass::Auditor
    );
    call.snapshot
        .caller(id)
        .filter(|_| sees_all || *id == call.caller.id)
        .cloned()
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Lists callers by id; one row more than the page has when there is another
/// page.
#[must_use]
pub fn list_callers(call: &Acting, wanted: &Page<String>) -> Vec<StoredCaller> {
    let mut rows: Vec<_> = call.snapshot.callers.values().collect();
    rows.sort_by(|a, b| a.caller.id.as_str().cmp(b.caller.id.as_str()));
    page(rows, wanted, |stored| stored.caller.id.as_str())
}

/// The rows of a page out of all rows in order, and one more.
fn page<T: Clone>(rows: Vec<&T>, page: &Page<String>, key: impl Fn(&T) -> &str) -> Vec<T> {
    let size = usize::try_from(page.probe()).unwrap_or(usize::MAX);
    let after = page.after.as_deref().unwrap_or_default();
    rows.into_iter()
        .filter(|row| key(row) > after)
        .take(size)
        .cloned()
        .collect()
}

fn check_etag(etag: Option<i64>, version: i64) -> Result<(), AppError> {
    if etag.is_some_and(|etag| etag != version) {
        return Err(Reason::EtagMismatch.into());
    }
    Ok(())
}

/// Turns the store's answer into a refusal, or makes the change known to this
/// node at once.
pub(super) async fn settle(app: &App, change: RegistryChange) -> Result<(), AppError> {
    match change {
        RegistryChange::Done => Ok(app.registry.refresh().await?),
        RegistryChange::RequestIdReused => Err(Reason::RequestIdReused.into()),
        RegistryChange::Exists => Err(Reason::ResourceAlreadyExists.into()),
        RegistryChange::NotFound | RegistryChange::UnknownInstitution => {
            Err(Reason::ResourceNotFound.into())
        }
        RegistryChange::EtagMismatch => Err(Reason::EtagMismatch.into()),
        RegistryChange::Retired | RegistryChange::Outdated => {
            Err(Reason::StateTransitionNotAllowed.into())
        }
        RegistryChange::NotAllowed(state) => Err(Refusal::new(Reason::StateTransitionNotAllowed)
            .with("state", state)
            .into()),
        RegistryChange::TooMany => Err(Reason::TooManyActiveCertificates.into()),
    }
}
