//! Taking up and giving up intents that were never finished.

use gavah_domain::certificate::ApplicationState;
use gavah_domain::document::DocumentState;
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::issue::issuing_act;
use super::rows::{get, read_certificate};
use super::{Recorded, StoredCertificate};
use crate::entity::enrollment_certificate;
use crate::tx::Done;
use crate::{Act, ActContext, Store, StoreError};

impl Store {
    /// Takes over intents whose lease has passed, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn take_expired_intents(
        &self,
        owner: Uuid,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u64,
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        self.run_tx("take_expired_intents", |tx, _| {
            Box::pin(async move {
                use enrollment_certificate::Column;
                let expired = enrollment_certificate::Entity::find()
                    .filter(Column::SignedDocument.is_null())
                    .filter(Column::State.eq(DocumentState::Active.as_str()))
                    .filter(Column::LeaseUntil.lt(now.as_microsecond()))
                    .order_by_asc(Column::LeaseUntil)
                    .order_by_asc(Column::Id)
                    .limit(limit)
                    .all(tx)
                    .await?;
                let mut taken = Vec::new();
                for row in expired {
                    let updated = enrollment_certificate::Entity::update_many()
                        .col_expr(Column::LeaseOwner, Expr::value(owner))
                        .col_expr(
                            Column::LeaseUntil,
                            Expr::value(lease_until.as_microsecond()),
                        )
                        .filter(Column::Id.eq(row.id))
                        .filter(Column::SignedDocument.is_null())
                        .filter(Column::LeaseUntil.eq(row.lease_until))
                        .exec(tx)
                        .await?;
                    if updated.rows_affected == 1 {
                        taken.push(read_certificate(row)?);
                    }
                }
                Ok(Done::Commit(taken))
            })
        })
        .await
    }

    /// The recorded intent of a certificate that is still being issued, with the
    /// stored bytes; `None` when it is signed or cancelled.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn intent(
        &self,
        id: Uuid,
        subject_hash: String,
    ) -> Result<Option<Recorded>, StoreError> {
        self.read("get_intent", async {
            let row = enrollment_certificate::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            let active = DocumentState::Active.as_str();
            Ok(row
                .filter(|row| row.signed_document.is_none() && row.state == active)
                .map(|row| Recorded {
                    id: row.id,
                    key_id: row.key_id,
                    payload: row.payload,
                    subject_hash,
                }))
        })
        .await
    }

    /// Gives up an intent whose guards no longer hold: the application is
    /// cancelled and the certificate never becomes valid.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn cancel_intent(
        &self,
        context: &ActContext,
        id: Uuid,
        reason: &str,
        subject_hash: &str,
    ) -> Result<(), StoreError> {
        self.run_tx("cancel_intent", |tx, _| {
            Box::pin(async move {
                use enrollment_certificate::Column;
                let cancelled = enrollment_certificate::Entity::update_many()
                    .col_expr(Column::State, Expr::value(DocumentState::Revoked.as_str()))
                    .col_expr(Column::Remark, Expr::value(reason))
                    .col_expr(Column::LeaseOwner, Expr::value(None::<Uuid>))
                    .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .filter(Column::Id.eq(id))
                    .filter(Column::SignedDocument.is_null())
                    .filter(Column::State.eq(DocumentState::Active.as_str()))
                    .exec(tx)
                    .await?;
                if cancelled.rows_affected == 0 {
                    return Ok(Done::Abandon(()));
                }
                let stored = get(tx, id).await?;
                self.leave_issuing(tx, context, &stored, ApplicationState::Cancelled)
                    .await?;
                let act = Act {
                    reason: reason.to_owned(),
                    ..issuing_act(&stored, ApplicationState::Cancelled, subject_hash)
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }
}
