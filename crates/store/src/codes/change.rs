//! The life of a code after it was issued.

use gavah_domain::document::DocumentAction;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::rows::{get, get_locked, replayed, revocation_json};
use super::{StoredCode, StoredRevocation, name};
use crate::claim::claim;
use crate::entity::validity_code;
use crate::tx::Done;
use crate::{Act, ActContext, Changed, Claimed, Store, StoreError};

/// How a document is to change.
#[derive(Debug, Clone)]
pub struct DocumentChange<'a> {
    /// What to do.
    pub action: DocumentAction,
    /// The revocation, for [`DocumentAction::Revoke`].
    pub revocation: Option<StoredRevocation>,
    /// Why, for the others; kept with the document.
    pub remark: &'a str,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: &'a str,
}

impl Store {
    /// Suspends, reinstates or revokes a code. `revocation` goes with
    /// [`DocumentAction::Revoke`]; a revoked code gives up its key.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Corrupt`] when there is no such code.
    pub async fn change_code(
        &self,
        context: &ActContext,
        id: Uuid,
        change: &DocumentChange<'_>,
    ) -> Result<Changed<StoredCode>, StoreError> {
        self.run_tx("change_code", |tx, _| {
            Box::pin(async move {
                if let Some(claimed) = claim(tx, context, &name(id), change.action.as_str()).await?
                {
                    return Ok(Done::Abandon(match claimed {
                        Claimed::Replay { resource, .. } => {
                            Changed::Done(replayed(tx, &resource).await?)
                        }
                        Claimed::Reused => Changed::RequestIdReused,
                    }));
                }
                let stored = get_locked(tx, id).await?;
                if change.etag.is_some_and(|etag| etag != stored.version) {
                    return Ok(Done::Abandon(Changed::EtagMismatch));
                }
                let Ok(state) = change.action.apply(stored.state) else {
                    return Ok(Done::Abandon(Changed::NotAllowed));
                };
                let revocation = change
                    .revocation
                    .as_ref()
                    .map(revocation_json)
                    .transpose()?;
                let mut update = validity_code::Entity::update_many()
                    .col_expr(validity_code::Column::State, Expr::value(state.as_str()))
                    .col_expr(validity_code::Column::Remark, Expr::value(change.remark))
                    .col_expr(validity_code::Column::Revocation, Expr::value(revocation))
                    .col_expr(
                        validity_code::Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .col_expr(
                        validity_code::Column::Version,
                        Expr::value(stored.version + 1),
                    )
                    .filter(validity_code::Column::Id.eq(id))
                    .filter(validity_code::Column::Version.eq(stored.version));
                if !state.is_live() {
                    update = update
                        .col_expr(validity_code::Column::LiveKey, Expr::value(None::<String>));
                }
                if update.exec(tx).await?.rows_affected == 0 {
                    return Err(StoreError::Conflict);
                }
                let act = Act {
                    resource: name(id),
                    action: change.action.as_str(),
                    from: stored.state.as_str().to_owned(),
                    to: state.as_str().to_owned(),
                    reason: change
                        .revocation
                        .as_ref()
                        .map_or_else(String::new, |revocation| revocation.reason.to_string()),
                    subject_hash: change.subject_hash.to_owned(),
                    institution_code: stored.content.program.institution.as_str().to_owned(),
                    ..Act::default()
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(Changed::Done(get(tx, id).await?)))
            })
        })
        .await
    }
}
