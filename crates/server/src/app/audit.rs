//! Reading the audit.

use gavah_store::{AuditFilter, ChainedEntry, FeedPage};

use super::App;
use super::feed::within;
use crate::call::Acting;
use crate::convert::audit::ListAuditInput;
use crate::error::AppError;

/// The entries of the audit that are asked for.
///
/// # Errors
///
/// PAGE_TOKEN_INVALID when the chain does not reach so far; [`AppError::Store`].
pub async fn list(
    app: &App,
    call: &Acting,
    input: ListAuditInput,
) -> Result<FeedPage<ChainedEntry>, AppError> {
    let subject = input.subject.as_ref();
    let filter = AuditFilter {
        subject_hash: subject.map(|person| app.subject_hash(person)),
        ..input.filter
    };
    let store = app.store_for(call);
    let page = store
        .audit_entries(&filter, input.after, input.most)
        .await?;
    within(input.after, page)
}
