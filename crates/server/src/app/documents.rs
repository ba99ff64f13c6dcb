//! What validity codes and certificates share: suspending, reinstating, revoking.

use gavah_domain::Reason;
use gavah_domain::document::{DocumentAction, DocumentState};
use gavah_store::{Changed, DocumentChange, StoredRevocation};
use jiff::Timestamp;

use crate::convert::change::ChangeInput;
use crate::error::{AppError, Refusal};

/// The change as the store takes it.
pub(super) fn change_of(
    input: &ChangeInput,
    subject_hash: String,
    actor: &str,
    now: Timestamp,
) -> DocumentChange {
    DocumentChange {
        action: input.action,
        revocation: input.reason.map(|reason| StoredRevocation {
            reason,
            legal_basis: input.legal_basis.clone(),
            revoke_time: now,
            revoked_by: actor.to_owned(),
        }),
        remark: input.remark.clone(),
        etag: input.etag,
        subject_hash,
    }
}

/// The checks a change would meet, without any effect.
///
/// # Errors
///
/// ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED.
pub(super) fn check_change(
    input: &ChangeInput,
    state: DocumentState,
    version: i64,
) -> Result<(), AppError> {
    if input.etag.is_some_and(|etag| etag != version) {
        return Err(Reason::EtagMismatch.into());
    }
    input
        .action
        .apply(state)
        .map(|_| ())
        .map_err(|_| not_allowed(state))
}

/// The answer to a change that the store has decided on; `seen` is the state
/// read before.
pub(super) fn settle<T>(
    changed: Changed<T>,
    action: DocumentAction,
    seen: DocumentState,
) -> Result<T, AppError> {
    match changed {
        Changed::Done(stored) => Ok(stored),
        Changed::RequestIdReused => Err(Reason::RequestIdReused.into()),
        Changed::EtagMismatch => Err(Reason::EtagMismatch.into()),
        Changed::NotAllowed if action.apply(seen).is_err() => Err(not_allowed(seen)),
        // It moved since it was read; which state it is in now is not known here.
        Changed::NotAllowed => Err(Reason::StateTransitionNotAllowed.into()),
    }
}

fn not_allowed(state: DocumentState) -> AppError {
    let allowed: Vec<_> = DocumentAction::allowed(state)
        .iter()
        .map(|action| action.as_str())
        .collect();
    Refusal::new(Reason::StateTransitionNotAllowed)
        .with("state", state.as_str())
        .with("allowed", allowed.join(","))
        .into()
}
