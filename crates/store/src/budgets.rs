//! What callers have spent of their budgets of lookups, by day: added to by every node, and
//! what all of them spent told back.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, Set};

use crate::entity::{lookup_budget, lookup_subject};
use crate::rows;
use crate::tx::Done;
use crate::{Store, StoreError};

/// What a caller spent since it was last told to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// Caller id.
    pub caller_id: String,
    /// Jalali day, `14050223`.
    pub day: i32,
    /// Wrong guesses.
    pub negatives: i64,
    /// Subjects, each as a part of its keyed hash.
    pub subjects: Vec<i64>,
}

/// What a caller has spent on a day, on all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// Caller id.
    pub caller_id: String,
    /// Wrong guesses.
    pub negatives: i64,
    /// Distinct subjects.
    pub subjects: i64,
}

impl Store {
    /// Adds what was spent; a subject counts once a day whoever tells of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn spend(&self, spending: &[Spending]) -> Result<(), StoreError> {
        self.run_tx("spend_budgets", |tx, _| {
            Box::pin(async move {
                use lookup_budget::Column;
                for spent in spending {
                    let subjects = spent.subjects.iter();
                    let subjects = subjects.map(|subject| lookup_subject::ActiveModel {
                        caller_id: Set(spent.caller_id.clone()),
                        day: Set(spent.day),
                        subject: Set(*subject),
                    });
                    let fresh = rows::insert_new(tx, subjects).await?;
                    let fresh = i64::try_from(fresh).unwrap_or(i64::MAX);
                    let add = |column, more: i64| {
                        (column, Expr::col((lookup_budget::Entity, column)).add(more))
                    };
                    lookup_budget::Entity::insert(lookup_budget::ActiveModel {
                        caller_id: Set(spent.caller_id.clone()),
                        day: Set(spent.day),
                        negatives: Set(spent.negatives),
                        subjects: Set(fresh),
                    })
                    .on_conflict(
                        OnConflict::columns([Column::CallerId, Column::Day])
                            .values([
                                add(Column::Negatives, spent.negatives),
                                add(Column::Subjects, fresh),
                            ])
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

    /// What all callers have spent on a day.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn spent_on(&self, day: i32) -> Result<Vec<Spent>, StoreError> {
        self.read("find_budgets", async {
            let rows = lookup_budget::Entity::find()
                .filter(lookup_budget::Column::Day.eq(day))
                .all(&self.inner.db)
                .await?;
            let spent = rows.into_iter().map(|row| Spent {
                caller_id: row.caller_id,
                negatives: row.negatives,
                subjects: row.subjects,
            });
            Ok(spent.collect())
        })
        .await
    }

    /// Forgets what was spent before a day.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget_spending_before(&self, day: i32) -> Result<(), StoreError> {
        self.run_tx("forget_budgets", |tx, _| {
            Box::pin(async move {
                lookup_subject::Entity::delete_many()
                    .filter(lookup_subject::Column::Day.lt(day))
                    .exec(tx)
                    .await?;
                lookup_budget::Entity::delete_many()
                    .filter(lookup_budget::Column::Day.lt(day))
                    .exec(tx)
                    .await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }
}
