//! Certificates that were recorded and never signed: a crash between the two
//! transactions. Any node takes them over once their lease has passed.

use gavah_domain::Reason;
use gavah_domain::institution::InstitutionState;
use gavah_domain::record::obstacles;
use gavah_store::{ActContext, StoredCertificate};

use super::App;
use super::certificates::{LEASE, sign_and_finish};
use crate::error::AppError;

/// Intents taken over at a time.
const BATCH: u64 = 50;

/// Takes over expired intents: repeats the guards on the record, then signs the
/// stored bytes, or cancels the application with the reason. Returns how many
/// were settled.
///
/// # Errors
///
/// [`AppError::Store`] when none could be taken; one intent's failure is logged
/// and left for the next round.
pub async fn recover(app: &App) -> Result<usize, AppError> {
    let now = app.clock.now();
    let lease_until = now
        .checked_add(LEASE)
        .map_err(|_| AppError::Internal("the clock is past the calendar"))?;
    let taken = app
        .store
        .take_expired_intents(app.run, now, lease_until, BATCH)
        .await?;
    let mut settled = 0;
    for certificate in taken {
        let context = ActContext {
            actor: "service/recovery".to_owned(),
            now: app.clock.now(),
            trace_id: String::new(),
            claim: None,
        };
        match resume(app, &context, &certificate).await {
            Ok(()) => settled += 1,
            Err(error) => {
                let cause = error.cause();
                tracing::error!(certificate = %certificate.id, cause, "an intent could not be recovered");
            }
        }
    }
    Ok(settled)
}

/// Goes on with a recorded certificate that was not signed: cancels its
/// application when the guards no longer hold, signs the stored bytes otherwise.
/// Nothing is done twice when several do it at once.
///
/// # Errors
///
/// [`AppError`].
pub(super) async fn resume(
    app: &App,
    context: &ActContext,
    certificate: &StoredCertificate,
) -> Result<(), AppError> {
    let hash = app.subject_hash(&certificate.content.subject.person_id);
    if let Err(reason) = guards(app, certificate).await? {
        app.store
            .cancel_intent(context, certificate.id, reason.as_str(), &hash)
            .await?;
        return Ok(());
    }
    if let Some(recorded) = app.store.intent(certificate.id, hash.clone()).await? {
        sign_and_finish(app, context, recorded, &hash).await?;
    }
    Ok(())
}

/// What must still hold before a recorded certificate is signed late: enrollment
/// in its term, no block, the same name. How fresh the record was is settled by
/// then.
async fn guards(
    app: &App,
    certificate: &StoredCertificate,
) -> Result<Result<(), Reason>, AppError> {
    use crate::layers::CallerDirectory;
    let program = &certificate.content.program;
    let snapshot = app.registry.current()?;
    let open = snapshot
        .institution(program.institution.as_str())
        .is_some_and(|stored| stored.institution.state == InstitutionState::Active);
    if !open {
        return Ok(Err(Reason::InstitutionNotActive));
    }
    let record = app
        .store
        .find_record(
            program.institution.as_str(),
            program.student_number.as_str(),
        )
        .await?
        .map(|stored| stored.record)
        .filter(|record| record.subject.person_id == certificate.content.subject.person_id);
    let name = &certificate.content.subject.name;
    Ok(match record {
        None => Err(Reason::EnrollmentRecordNotFound),
        Some(record) => {
            let found = obstacles(&record, name, certificate.content.term);
            found.first().map_or(Ok(()), |reason| Err(*reason))
        }
    })
}
