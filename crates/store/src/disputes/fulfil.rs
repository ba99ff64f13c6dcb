//! What a ruling ordered is done: by the ordinary act, in whose transaction it is marked.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::{DisputeParties, act, name};
use crate::changes::FRESH;
use crate::entity::{dispute, dispute_action};
use crate::{Act, ActContext, Store, StoreError};

/// An action that a ruling ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    /// The dispute.
    pub dispute: Uuid,
    /// Its number in the ruling, from 1.
    pub number: i32,
}

impl Ordered {
    /// Its resource name.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}/actions/{}", name(self.dispute), self.number)
    }
}

/// Whether an act is the one that an action orders, and not what goes along with it: issuing, revoking, handing in an
/// application, or asking for a refund.
pub(crate) fn fulfils(act: &Act) -> bool {
    match act.action {
        // A certificate's is ordered by its application, which is made first.
        FRESH => act.resource.starts_with("validityCodes/"),
        action => matches!(action, "REVOKE" | "CREATE" | "ASK_REFUND"),
    }
}

/// Marks an action as done, when those before it are; the act that tells of it.
///
/// # Errors
///
/// [`StoreError::NotOrdered`] when it is done or one before it is not.
pub(crate) async fn fulfil(
    tx: &DatabaseTransaction,
    context: &ActContext,
    ordered: Ordered,
    result: &str,
) -> Result<Act, StoreError> {
    use dispute_action::Column;
    // The dispute's row is held, so of two that do one action at once the second sees the first.
    let row = dispute::Entity::find_by_id(ordered.dispute)
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(StoreError::NotOrdered("UNKNOWN"))?;
    let actions = dispute_action::Entity::find()
        .filter(Column::DisputeId.eq(ordered.dispute))
        .filter(Column::Number.lte(ordered.number))
        .order_by_asc(Column::Number)
        .all(tx)
        .await?;
    let Some((own, before)) = actions.split_last() else {
        return Err(StoreError::NotOrdered("UNKNOWN"));
    };
    if own.number != ordered.number {
        return Err(StoreError::NotOrdered("UNKNOWN"));
    }
    if own.done_time.is_some() {
        return Err(StoreError::NotOrdered("DONE"));
    }
    if before.iter().any(|action| action.done_time.is_none()) {
        return Err(StoreError::NotOrdered("EARLIER_NOT_DONE"));
    }
    let now = context.now.as_microsecond();
    dispute_action::Entity::update_many()
        .col_expr(Column::Result, Expr::value(result))
        .col_expr(Column::DoneBy, Expr::value(context.actor.as_str()))
        .col_expr(Column::DoneTime, Expr::value(now))
        .filter(Column::DisputeId.eq(ordered.dispute))
        .filter(Column::Number.eq(ordered.number))
        .exec(tx)
        .await?;
    super::write(tx, context, &row, []).await?;
    Ok(Act {
        resource: ordered.name(),
        ..act(&row, "FULFIL", "", "DONE", result.to_owned())
    })
}

impl Store {
    /// What rulings ordered on a resource, or what it came of, in disputes of these parties.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn actions_on(
        &self,
        parties: &DisputeParties,
        resource: &str,
    ) -> Result<Vec<Ordered>, StoreError> {
        use dispute_action::Column;
        self.read("find_ordered_actions", async {
            let db = &self.inner.db;
            let touching = Condition::any()
                .add(Column::Target.eq(resource))
                .add(Column::Result.eq(resource));
            let found = dispute_action::Entity::find()
                .filter(touching)
                .order_by_asc(Column::DisputeId)
                .order_by_asc(Column::Number)
                .all(db)
                .await?;
            if found.is_empty() {
                return Ok(Vec::new());
            }
            let ids = found.iter().map(|action| action.dispute_id);
            let mut of = Condition::all().add(dispute::Column::Id.is_in(ids));
            if let DisputeParties::Of { consumers, through } = parties {
                let names = consumers.iter().map(String::as_str);
                let own = Condition::any()
                    .add(dispute::Column::Consumer.is_in(names))
                    .add(dispute::Column::Through.eq(through.as_str()));
                of = of.add(own);
            }
            let seen: Vec<Uuid> = dispute::Entity::find()
                .filter(of)
                .select_only()
                .column(dispute::Column::Id)
                .into_tuple()
                .all(db)
                .await?;
            let seen = found
                .into_iter()
                .filter(|action| seen.contains(&action.dispute_id));
            let named = seen.map(|action| Ordered {
                dispute: action.dispute_id,
                number: action.number,
            });
            Ok(named.collect())
        })
        .await
    }
}
