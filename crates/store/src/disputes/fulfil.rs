//! What a ruling ordered is done: by the ordinary act, in whose transaction it is marked.

use gavah_domain::dispute::ActionState;
use gavah_domain::document::DocumentState;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::rows::read_action;
use super::{DisputeParties, StoredAction, act, name};
use crate::changes::FRESH;
use crate::claim::resource_id;
use crate::content::known;
use crate::entity::{dispute, dispute_action, enrollment_certificate, validity_code};
use crate::{Act, ActContext, Store, StoreError, certificates, codes};

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

/// Marks an action as done, when none before it holds it up; the act that tells of it.
///
/// # Errors
///
/// [`StoreError::NotOrdered`] when it is over or one before it is not.
pub(crate) async fn fulfil(
    tx: &DatabaseTransaction,
    context: &ActContext,
    ordered: Ordered,
    result: &str,
) -> Result<Act, StoreError> {
    // The dispute's row is held, so of two that do one action at once the second sees the first.
    let row = dispute::Entity::find_by_id(ordered.dispute)
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(StoreError::NotOrdered("UNKNOWN"))?;
    if let Some(why) = held_up(tx, ordered).await? {
        return Err(StoreError::NotOrdered(why));
    }
    put_over(tx, context, ordered, result, "").await?;
    super::write(tx, context, &row, []).await?;
    // It stands on the dispute, whose changes its parties hear of.
    let told = format!("{}; {result}", ordered.name());
    Ok(act(&row, "FULFIL", &row.state, &row.state, told))
}

/// Writes that an action is over: with what came of it, or why it can no longer be done.
pub(super) async fn put_over(
    tx: &DatabaseTransaction,
    context: &ActContext,
    ordered: Ordered,
    result: &str,
    close_reason: &str,
) -> Result<(), StoreError> {
    use dispute_action::Column;
    let now = context.now.as_microsecond();
    dispute_action::Entity::update_many()
        .col_expr(Column::Result, Expr::value(result))
        .col_expr(Column::DoneBy, Expr::value(context.actor.as_str()))
        .col_expr(Column::DoneTime, Expr::value(now))
        .col_expr(Column::CloseReason, Expr::value(close_reason))
        .filter(Column::DisputeId.eq(ordered.dispute))
        .filter(Column::Number.eq(ordered.number))
        .exec(tx)
        .await?;
    Ok(())
}

/// Why an action cannot be done now, by a stable name: it is over, or one before it is open that could still be done.
async fn held_up(
    db: &impl ConnectionTrait,
    ordered: Ordered,
) -> Result<Option<&'static str>, StoreError> {
    use dispute_action::Column;
    let rows = dispute_action::Entity::find()
        .filter(Column::DisputeId.eq(ordered.dispute))
        .filter(Column::Number.lte(ordered.number))
        .order_by_asc(Column::Number)
        .all(db)
        .await?;
    let actions: Vec<_> = rows
        .into_iter()
        .map(read_action)
        .collect::<Result<_, _>>()?;
    let Some((own, before)) = actions.split_last() else {
        return Ok(Some("UNKNOWN"));
    };
    if own.number != ordered.number {
        return Ok(Some("UNKNOWN"));
    }
    match own.state() {
        ActionState::Open => {}
        ActionState::Done => return Ok(Some("DONE")),
        ActionState::Closed => return Ok(Some("CLOSED")),
    }
    for action in before {
        if action.state() == ActionState::Open && !overtaken(db, action, own).await? {
            return Ok(Some("EARLIER_NOT_DONE"));
        }
    }
    Ok(None)
}

/// Whether the document that an earlier action would end has come to its end by other ways. The act that does `own` may
/// have ended it just now, in this transaction: what it found in force the earlier action could have been done to.
async fn overtaken(
    db: &impl ConnectionTrait,
    earlier: &StoredAction,
    own: &StoredAction,
) -> Result<bool, StoreError> {
    let by_own = own.act.ends_its_target() && own.target == earlier.target;
    if !earlier.act.ends_its_target() || by_own {
        return Ok(false);
    }
    let state: Option<String> = if let Ok(id) = resource_id(&earlier.target, codes::COLLECTION) {
        validity_code::Entity::find_by_id(id)
            .select_only()
            .column(validity_code::Column::State)
            .into_tuple()
            .one(db)
            .await?
    } else {
        let id = resource_id(&earlier.target, certificates::COLLECTION);
        let id = id.map_err(|_| StoreError::Corrupt("dispute_action.target"))?;
        enrollment_certificate::Entity::find_by_id(id)
            .select_only()
            .column(enrollment_certificate::Column::State)
            .into_tuple()
            .one(db)
            .await?
    };
    let state = state.ok_or(StoreError::Corrupt("dispute_action.target"))?;
    let state: DocumentState = known(&state, "dispute_action.target")?;
    Ok(!state.is_live())
}

impl Store {
    /// Why an action cannot be done now, by a stable name, for checks without effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn action_held_up(
        &self,
        ordered: Ordered,
    ) -> Result<Option<&'static str>, StoreError> {
        self.read("check_ordered_action", held_up(&self.inner.db, ordered))
            .await
    }

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
