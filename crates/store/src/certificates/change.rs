//! The life of an issued certificate.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::rows::{get, get_locked};
use super::{StoredCertificate, certificate_id, name};
use crate::claim::claim;
use crate::codes::revocation_json;
use crate::entity::enrollment_certificate;
use crate::tx::Done;
use crate::{Act, ActContext, Changed, Claimed, DocumentChange, Store, StoreError};

impl Store {
    /// Suspends, reinstates or revokes an issued certificate.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Corrupt`] when there is no such certificate.
    pub async fn change_certificate(
        &self,
        context: &ActContext,
        id: Uuid,
        change: &DocumentChange<'_>,
    ) -> Result<Changed<StoredCertificate>, StoreError> {
        self.run_tx("change_certificate", |tx, _| {
            Box::pin(async move {
                if let Some(claimed) = claim(tx, context, &name(id), change.action.as_str()).await?
                {
                    return Ok(Done::Abandon(match claimed {
                        Claimed::Replay { resource, .. } => {
                            Changed::Done(get(tx, certificate_id(&resource)?).await?)
                        }
                        Claimed::Reused => Changed::RequestIdReused,
                    }));
                }
                let stored = get_locked(tx, id).await?;
                if change.etag.is_some_and(|etag| etag != stored.version) {
                    return Ok(Done::Abandon(Changed::EtagMismatch));
                }
                // What is not signed is not issued: there is nothing to change yet.
                let Some(state) = change
                    .action
                    .apply(stored.state)
                    .ok()
                    .filter(|_| stored.signed_document.is_some())
                else {
                    return Ok(Done::Abandon(Changed::NotAllowed));
                };
                use enrollment_certificate::Column;
                let revocation = change
                    .revocation
                    .as_ref()
                    .map(revocation_json)
                    .transpose()?;
                let updated = enrollment_certificate::Entity::update_many()
                    .col_expr(Column::State, Expr::value(state.as_str()))
                    .col_expr(Column::Remark, Expr::value(change.remark))
                    .col_expr(Column::Revocation, Expr::value(revocation))
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .col_expr(Column::Version, Expr::value(stored.version + 1))
                    .filter(Column::Id.eq(id))
                    .filter(Column::Version.eq(stored.version))
                    .exec(tx)
                    .await?;
                if updated.rows_affected == 0 {
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
