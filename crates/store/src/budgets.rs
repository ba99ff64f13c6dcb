//! What callers have spent of their budgets of lookups, by day: added to by every node, and
//! what all of them spent told back.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use crate::entity::{lookup_budget, lookup_subject};
use crate::rows;
use crate::tx::Done;
use crate::{Store, StoreError};

/// Subjects that are told in one statement: SQLite takes no more than 32,766 values in one.
const TOLD_TOGETHER: usize = 5000;

/// Subjects that are forgotten in one transaction.
const FORGOTTEN_TOGETHER: u64 = 5000;

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
                for (spent, subjects) in in_order(spending) {
                    let mut fresh = 0;
                    for subjects in subjects.chunks(TOLD_TOGETHER) {
                        let rows = subjects.iter().map(|subject| lookup_subject::ActiveModel {
                            caller_id: Set(spent.caller_id.clone()),
                            day: Set(spent.day),
                            subject: Set(*subject),
                        });
                        fresh += rows::insert_new(tx, rows).await?;
                    }
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

    /// Forgets a part of what was spent before a day; whether there may be more. A caller's day may have millions of
    /// subjects, and a transaction has little time.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget_spending_before(&self, day: i32) -> Result<bool, StoreError> {
        use lookup_subject::Column;
        self.run_tx("forget_budgets", |tx, _| {
            Box::pin(async move {
                // Locked, so that of two nodes one waits for the other.
                let old = lookup_budget::Entity::find()
                    .filter(lookup_budget::Column::Day.lt(day))
                    .order_by_asc(lookup_budget::Column::Day)
                    .order_by_asc(lookup_budget::Column::CallerId)
                    .lock_exclusive()
                    .one(tx)
                    .await?;
                let Some(old) = old else {
                    return Ok(Done::Abandon(false));
                };
                let own = Column::CallerId
                    .eq(old.caller_id.as_str())
                    .and(Column::Day.eq(old.day));
                let kept = lookup_subject::Entity::find()
                    .filter(own.clone())
                    .order_by_asc(Column::Subject)
                    .offset(FORGOTTEN_TOGETHER)
                    .limit(1)
                    .one(tx)
                    .await?;
                let mut forgotten = lookup_subject::Entity::delete_many().filter(own);
                if let Some(first) = &kept {
                    forgotten = forgotten.filter(Column::Subject.lt(first.subject));
                }
                forgotten.exec(tx).await?;
                if kept.is_none() {
                    lookup_budget::Entity::delete_by_id((old.caller_id, old.day))
                        .exec(tx)
                        .await?;
                }
                Ok(Done::Commit(true))
            })
        })
        .await
    }
}

/// What was spent, each with its subjects, in one order on all nodes, so that none waits for a row while another waits for
/// one of its own.
fn in_order(spending: &[Spending]) -> Vec<(&Spending, Vec<i64>)> {
    let sorted = spending.iter().map(|spent| {
        let mut subjects = spent.subjects.clone();
        subjects.sort_unstable();
        (spent, subjects)
    });
    let mut sorted: Vec<_> = sorted.collect();
    sorted.sort_by(|(one, _), (other, _)| {
        (&one.caller_id, one.day).cmp(&(&other.caller_id, other.day))
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nodes_tell_in_one_order() {
        let spent = |caller: &str, day, subjects: &[i64]| Spending {
            caller_id: caller.to_owned(),
            day,
            negatives: 1,
            subjects: subjects.to_vec(),
        };
        let told = [
            spent("window", 2, &[]),
            spent("hub/agencies", 2, &[3, -1, 2]),
            spent("window", 1, &[5, 4]),
            spent("hub/agencies/1", 2, &[]),
        ];
        let ordered: Vec<_> = in_order(&told)
            .into_iter()
            .map(|(spent, subjects)| (spent.caller_id.as_str(), spent.day, subjects))
            .collect();
        let expected = [
            ("hub/agencies", 2, vec![-1, 2, 3]),
            ("hub/agencies/1", 2, vec![]),
            ("window", 1, vec![4, 5]),
            ("window", 2, vec![]),
        ];
        assert_eq!(ordered, expected);
    }
}
