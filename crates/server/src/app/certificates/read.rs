//! Reading, listing and changing certificates and their applications.

use gavah_domain::caller::CallerClass;
use gavah_domain::certificate::ApplicationState;
use gavah_domain::dispute::OrderedAct;
use gavah_domain::document::DocumentState;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::{PersonId, Reason};
use gavah_store::{CertificateFilter, Scope, StoredApplication, StoredCertificate};

use crate::app::disputes::ordered;
use crate::app::documents::{change_of, check_change, settle};
use crate::app::{App, actor, context, may_read, scope};
use crate::call::Acting;
use crate::convert::certificate::{GetInput, ListInput};
use crate::convert::change::ChangeInput;
use crate::convert::names::Collection;
use crate::error::AppError;

/// Whether the caller may see a document of this person and institution: the
/// window only with the subject it asks for.
fn visible(
    call: &Acting,
    claim: Option<&PersonId>,
    person: &PersonId,
    institution: &InstitutionCode,
) -> bool {
    match call.caller.class {
        CallerClass::SingleWindow => claim == Some(person),
        _ => may_read(call, institution) && claim.is_none_or(|claim| claim == person),
    }
}

/// Reads an application the caller may read.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none or it is a stranger's.
pub async fn get_application(
    app: &App,
    call: &Acting,
    input: &GetInput,
) -> Result<StoredApplication, AppError> {
    let stored = app.store_for(call).application(input.id).await?;
    stored
        .filter(|stored| {
            let content = &stored.content;
            let person = &content.subject.person_id;
            visible(call, input.claim.as_ref(), person, &content.institution)
        })
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Reads an issued certificate the caller may read.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none, it is not issued yet, or it is a
/// stranger's.
pub async fn get_certificate(
    app: &App,
    call: &Acting,
    input: &GetInput,
) -> Result<StoredCertificate, AppError> {
    let stored = app.store_for(call).certificate(input.id).await?;
    stored
        .filter(|stored| stored.signed_document.is_some())
        .filter(|stored| {
            let content = &stored.content;
            let person = &content.subject.person_id;
            visible(
                call,
                input.claim.as_ref(),
                person,
                &content.program.institution,
            )
        })
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// The rows of a list: of the subject asked for, and for all but the window only
/// those the caller may read anyway.
pub(in crate::app) fn list_scope(
    call: &Acting,
    institution: Option<&InstitutionCode>,
    claim: Option<&PersonId>,
) -> Result<Scope, AppError> {
    let window = call.caller.class == CallerClass::SingleWindow;
    let readable = match (window, institution) {
        (false, institution) => scope(call, institution)?,
        (true, Some(code)) => Scope::Institutions(vec![code.as_str().to_owned()]),
        (true, None) => Scope::All,
    };
    let Some(person) = claim.map(PersonId::key) else {
        return if window {
            Err(AppError::Internal(
                "a window's list without a subject was not refused",
            ))
        } else {
            Ok(readable)
        };
    };
    Ok(match readable {
        Scope::Institutions(institutions) => Scope::PersonAt {
            person,
            institutions,
        },
        Scope::All | Scope::Person(_) | Scope::PersonAt { .. } => Scope::Person(person),
    })
}

/// Lists applications, newest first.
///
/// # Errors
///
/// INSTITUTION_NOT_OWNED; FIELD_REQUIRED for a window without a subject.
pub async fn list_applications(
    app: &App,
    call: &Acting,
    input: &ListInput<ApplicationState>,
) -> Result<Vec<StoredApplication>, AppError> {
    let filter = CertificateFilter {
        scope: list_scope(call, input.institution.as_ref(), input.claim.as_ref())?,
        state: input.state.map(|state| state.as_str()),
    };
    Ok(app
        .store_for(call)
        .list_applications(&filter, input.page.after, input.page.probe())
        .await?)
}

/// Lists issued certificates, newest first.
///
/// # Errors
///
/// As [`list_applications`].
pub async fn list_certificates(
    app: &App,
    call: &Acting,
    input: &ListInput<DocumentState>,
) -> Result<Vec<StoredCertificate>, AppError> {
    let filter = CertificateFilter {
        scope: list_scope(call, input.institution.as_ref(), input.claim.as_ref())?,
        state: input.state.map(|state| state.as_str()),
    };
    Ok(app
        .store_for(call)
        .list_certificates(&filter, input.page.after, input.page.probe())
        .await?)
}

/// Suspends, reinstates or revokes a certificate; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED,
/// REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn change(
    app: &App,
    call: &Acting,
    input: ChangeInput,
) -> Result<Option<StoredCertificate>, AppError> {
    let now = app.clock.now();
    let stored = get_certificate(
        app,
        call,
        &GetInput {
            id: input.id,
            claim: None,
        },
    )
    .await?;
    let name = Collection::EnrollmentCertificates.name(input.id);
    ordered(app, call, &input.head, OrderedAct::Revoke, &name).await?;
    if input.head.validate_only {
        check_change(&input, stored.state, stored.version)?;
        return Ok(None);
    }
    let hash = app.subject_hash(&stored.content.subject.person_id);
    let change = change_of(&input, hash, &actor(call), now);
    let context = context(call, &input.head, None, now);
    let changed = app
        .store_for(call)
        .change_certificate(&context, input.id, &change)
        .await?;
    settle(changed, input.action, stored.state).map(Some)
}
