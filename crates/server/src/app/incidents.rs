//! What the organization does when something has gone wrong.

use gavah_domain::Reason;
use gavah_store::{Paused, StoredPause};

use super::registry::settle;
use super::{App, context};
use crate::call::Acting;
use crate::convert::incident::{PauseInput, ResumeInput};
use crate::error::AppError;

/// Pauses the issuing of documents; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_ALREADY_EXISTS when it is paused already, RESOURCE_NOT_FOUND for an
/// unknown institution, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn pause(
    app: &App,
    call: &Acting,
    input: PauseInput,
) -> Result<Option<StoredPause>, AppError> {
    let paused = &input.paused;
    if input.head.validate_only {
        let known = |code: &str| call.snapshot.institution(code).is_some();
        let institution = paused.institution.as_ref();
        if institution.is_some_and(|code| !known(code.as_str())) {
            return Err(Reason::ResourceNotFound.into());
        }
        return match in_force(&call.snapshot.pauses, paused) {
            Some(_) => Err(Reason::ResourceAlreadyExists.into()),
            None => Ok(None),
        };
    }
    let context = context(call, &input.head, None, app.clock.now());
    let store = app.store_for(call);
    let change = store
        .pause_issuance(&context, paused, &input.reason)
        .await?;
    settle(app, change).await?;
    as_it_is(app, call, paused).await.map(Some)
}

/// Ends a pause; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn resume(
    app: &App,
    call: &Acting,
    input: ResumeInput,
) -> Result<Option<StoredPause>, AppError> {
    let paused = &input.paused;
    if input.head.validate_only {
        return match in_force(&call.snapshot.pauses, paused) {
            Some(_) => Ok(None),
            None => Err(Reason::ResourceNotFound.into()),
        };
    }
    let context = context(call, &input.head, None, app.clock.now());
    let change = app
        .store_for(call)
        .resume_issuance(&context, paused)
        .await?;
    settle(app, change).await?;
    as_it_is(app, call, paused).await.map(Some)
}

async fn as_it_is(app: &App, call: &Acting, paused: &Paused) -> Result<StoredPause, AppError> {
    let pause = app.store_for(call).issuance_pause(paused).await?;
    pause.ok_or(AppError::Internal("a pause is missing"))
}

fn in_force<'a>(pauses: &'a [StoredPause], paused: &Paused) -> Option<&'a StoredPause> {
    pauses.iter().find(|pause| pause.paused == *paused)
}
