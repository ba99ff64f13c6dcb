//! How often agreements are used, by day: added to by every node, and what all of them came to told back.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, Set};

use crate::entity::agreement_use::{self, Column};
use crate::tx::Done;
use crate::{Store, StoreError};

/// Calls under an agreement on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementUse {
    /// The agreement's id.
    pub agreement_id: String,
    /// Jalali day, `14050223`.
    pub day: i32,
    /// Calls.
    pub calls: i64,
}

impl Store {
    /// Adds calls that were made.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn use_agreements(&self, uses: &[AgreementUse]) -> Result<(), StoreError> {
        self.run_tx("use_agreements", |tx, _| {
            Box::pin(async move {
                for used in uses {
                    let more = Expr::col((agreement_use::Entity, Column::Calls)).add(used.calls);
                    agreement_use::Entity::insert(agreement_use::ActiveModel {
                        agreement_id: Set(used.agreement_id.clone()),
                        day: Set(used.day),
                        calls: Set(used.calls),
                    })
                    .on_conflict(
                        OnConflict::columns([Column::AgreementId, Column::Day])
                            .value(Column::Calls, more)
                            .to_owned(),
                    )
                    .exec_without_returning(tx)
                    .await?;
                }
                Ok(Done::Commit(()))
            })
        })
        .await
    }

    /// What all agreements were used on a day.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn agreements_used_on(&self, day: i32) -> Result<Vec<AgreementUse>, StoreError> {
        self.read("find_agreement_use", async {
            let rows = agreement_use::Entity::find().filter(Column::Day.eq(day));
            let rows = rows.all(&self.inner.db).await?.into_iter();
            let uses = rows.map(|row| AgreementUse {
                agreement_id: row.agreement_id,
                day: row.day,
                calls: row.calls,
            });
            Ok(uses.collect())
        })
        .await
    }

    /// Forgets what was used before a day.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget_agreement_use_before(&self, day: i32) -> Result<(), StoreError> {
        self.run_tx("forget_agreement_use", |tx, _| {
            Box::pin(async move {
                agreement_use::Entity::delete_many()
                    .filter(Column::Day.lt(day))
                    .exec(tx)
                    .await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }
}
