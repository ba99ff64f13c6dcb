//! The change feed, as each caller sees it.

use gavah_domain::caller::CallerClass;
use gavah_domain::{Reason, Violations};
use gavah_store::{FeedPage, FeedScope, Scope, StoreError};
use tokio::sync::watch;

use super::{App, actor, scope};
use crate::call::Acting;
use crate::error::AppError;

/// Where the feed ends, as far as this node knows: what those wait for who have read
/// everything.
#[derive(Debug)]
pub struct FeedEnd(watch::Sender<i64>);

impl Default for FeedEnd {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl FeedEnd {
    /// For who waits for the feed to go on.
    pub fn watch(&self) -> watch::Receiver<i64> {
        self.0.subscribe()
    }

    /// Looks where the feed ends by now, when anybody waits for it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store gives no answer.
    pub async fn look(&self, app: &App) -> Result<(), StoreError> {
        if self.0.is_closed() {
            return Ok(());
        }
        let end = app.store.feed_end().await?;
        self.0
            .send_if_modified(|known| std::mem::replace(known, end) != end);
        Ok(())
    }
}

/// The changes behind the place `after` that the caller may see, at most `most`.
///
/// # Errors
///
/// PAGE_TOKEN_INVALID when the feed does not reach so far; [`AppError::Store`].
pub async fn read(app: &App, call: &Acting, after: i64, most: u64) -> Result<FeedPage, AppError> {
    let scope = visible(call)?;
    let page = app.store_for(call).feed(&scope, after, most).await?;
    within(after, page)
}

/// The page, when what is read reaches as far as the place it begins at.
pub(super) fn within<E>(after: i64, page: FeedPage<E>) -> Result<FeedPage<E>, AppError> {
    if after > page.end {
        let mut violations = Violations::default();
        violations.push("after_sequence", Reason::PageTokenInvalid);
        return Err(violations.into());
    }
    Ok(page)
}

/// The place of the last change there is.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn end(app: &App, call: &Acting) -> Result<i64, AppError> {
    Ok(app.store_for(call).feed_end().await?)
}

/// Events name resources and hold no personal data: the window, through which every
/// certificate is asked for, may see those of all certificates and their payments, and of its own disputes.
fn visible(call: &Acting) -> Result<FeedScope, AppError> {
    if call.caller.class == CallerClass::SingleWindow {
        let consumer = actor(call);
        return Ok(FeedScope::Certificates { consumer });
    }
    match scope(call, None)? {
        Scope::All => Ok(FeedScope::All),
        Scope::Institutions(codes) => Ok(FeedScope::Institutions(codes)),
        Scope::Person(_) | Scope::PersonAt { .. } => {
            Err(AppError::Internal("a feed of one person"))
        }
    }
}
