//! Money that is paid back. A refund is recorded before the gateway is asked, and is asked for once: what came of it when no
//! answer comes is for somebody to find out, not to guess.

use gavah_domain::Money;
use gavah_domain::payment::{LineState, PaymentState, RefundMethod, RefundState};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, Set};
use uuid::Uuid;

use super::open::before;
use super::{PaymentOutcome, StoredPayment, get, hold, name};
use crate::claim::claim;
use crate::entity::{payment, payment_line, payment_refund};
use crate::rows;
use crate::tx::Done;
use crate::{ActContext, Store, StoreError};

/// A refund to begin, or one of unknown outcome to end.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// Id of a new one.
    pub id: Uuid,
    /// The payment.
    pub payment_id: Uuid,
    /// The payment's version as it was read.
    pub version: i64,
    /// How.
    pub method: RefundMethod,
    /// Applications whose documents are issued and whose fees are to be paid back nevertheless.
    pub also: Vec<String>,
    /// The officer's reference; empty for the gateway.
    pub reference: String,
    /// Why.
    pub reason: String,
    /// The officer.
    pub officer: String,
}

/// What a refund came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundEnd {
    /// Paid back, with the gateway's or the officer's reference.
    Done(String),
    /// Not paid back: why, by a stable name.
    Failed(String),
}

/// What became of a refund that was to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The gateway is to be asked to pay this back, once.
    Asked(Box<StoredPayment>, Money),
    /// Nothing was due.
    NothingDue,
    /// An earlier refund is of unknown outcome, or there is none where one is to be ended.
    NotAllowed,
    /// Any other end.
    Ended(PaymentOutcome),
}

impl Store {
    /// Records a refund of everything that is due: one that the gateway is to be asked for, or one that was paid already. With
    /// [`RefundMethod::NotDone`], and with [`RefundMethod::Recorded`] while one is of unknown outcome, ends that one.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn begin_refund(
        &self,
        context: &ActContext,
        new: &NewRefund,
    ) -> Result<RefundOutcome, StoreError> {
        self.run_tx("begin_refund", |tx, _| {
            Box::pin(async move {
                let claimed = claim(tx, context, &name(new.payment_id), "").await?;
                if let Some(earlier) = before(claimed)? {
                    return Ok(Done::Abandon(RefundOutcome::Ended(earlier)));
                }
                let stored = hold(tx, new.payment_id).await?;
                if stored.version != new.version {
                    return Ok(Done::Abandon(RefundOutcome::Ended(PaymentOutcome::Moved)));
                }
                let asked = stored
                    .refunds
                    .iter()
                    .find(|it| it.state == RefundState::Asked);
                let end = match (new.method, asked) {
                    (RefundMethod::Gateway, Some(_)) | (RefundMethod::NotDone, None) => {
                        return Ok(Done::Abandon(RefundOutcome::NotAllowed));
                    }
                    (RefundMethod::NotDone, Some(asked)) => {
                        Some((asked.id, RefundEnd::Failed("NOT_DONE".to_owned())))
                    }
                    (RefundMethod::Recorded, Some(asked)) => {
                        Some((asked.id, RefundEnd::Done(new.reference.clone())))
                    }
                    (RefundMethod::Gateway | RefundMethod::Recorded, None) => None,
                };
                if let Some((id, end)) = end {
                    self.end(tx, context, &stored, id, &end, &new.reason)
                        .await?;
                    let stored = get(tx, new.payment_id).await?;
                    let done = PaymentOutcome::Done(Box::new(stored));
                    return Ok(Done::Commit(RefundOutcome::Ended(done)));
                }
                let Some(amount) = self.ask(tx, context, stored, new).await? else {
                    return Ok(Done::Abandon(RefundOutcome::NothingDue));
                };
                let mut stored = get(tx, new.payment_id).await?;
                if new.method == RefundMethod::Recorded {
                    let end = RefundEnd::Done(new.reference.clone());
                    self.end(tx, context, &stored, new.id, &end, "").await?;
                    stored = get(tx, new.payment_id).await?;
                    let done = PaymentOutcome::Done(Box::new(stored));
                    return Ok(Done::Commit(RefundOutcome::Ended(done)));
                }
                Ok(Done::Commit(RefundOutcome::Asked(Box::new(stored), amount)))
            })
        })
        .await
    }

    /// Records what a refund came to.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn end_refund(
        &self,
        context: &ActContext,
        payment_id: Uuid,
        refund: Uuid,
        end: &RefundEnd,
    ) -> Result<StoredPayment, StoreError> {
        self.run_tx("end_refund", |tx, _| {
            Box::pin(async move {
                let stored = hold(tx, payment_id).await?;
                let mut refunds = stored.refunds.iter();
                if refunds.any(|it| it.id == refund && it.state == RefundState::Asked) {
                    self.end(tx, context, &stored, refund, end, "").await?;
                } else if matches!(end, RefundEnd::Done(_)) {
                    tracing::error!(payment = %payment_id, %refund, ?end, "a refund was done after somebody had ended it");
                }
                Ok(Done::Commit(get(tx, payment_id).await?))
            })
        })
        .await
    }

    /// Puts everything that is due under a new refund; how much that is.
    async fn ask(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        mut stored: StoredPayment,
        new: &NewRefund,
    ) -> Result<Option<Money>, StoreError> {
        use payment_line::Column;
        for application in &new.also {
            let mut lines = stored.lines.iter();
            let used =
                lines.any(|line| line.application == *application && line.state == LineState::Used);
            if !used {
                return Ok(None);
            }
            move_lines(stored.id, LineState::Used, LineState::RefundDue)
                .filter(Column::Application.eq(application.as_str()))
                .exec(tx)
                .await?;
        }
        if !new.also.is_empty() {
            self.owe(tx, context, stored.id).await?;
            stored = get(tx, stored.id).await?;
        }
        move_lines(stored.id, LineState::RefundDue, LineState::Refunding)
            .col_expr(Column::RefundId, Expr::value(new.id))
            .exec(tx)
            .await?;
        // Exactly what was moved.
        let mut moved = get(tx, stored.id).await?;
        moved.lines.retain(|line| line.refund == Some(new.id));
        let amount = moved.sum(&[LineState::Refunding])?;
        if amount.is_zero() {
            return Ok(None);
        }
        let now = context.now.as_microsecond();
        let row = payment_refund::ActiveModel {
            id: Set(new.id),
            payment_id: Set(stored.id),
            amount: Set(amount.amount),
            state: Set(RefundState::Asked.as_str().to_owned()),
            method: Set(new.method.as_str().to_owned()),
            reference: Set(new.reference.clone()),
            reason: Set(new.reason.clone()),
            actor: Set(context.actor.clone()),
            create_time: Set(now),
            update_time: Set(now),
        };
        rows::insert(tx, [row]).await?;
        touch(tx, context, stored.id).await?;
        let mut act = stored.act("ASK_REFUND", stored.state);
        act.reason.clone_from(&new.reason);
        act.on_behalf.clone_from(&new.officer);
        self.append(tx, context, act).await?;
        Ok(Some(amount))
    }

    async fn end(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        stored: &StoredPayment,
        refund: Uuid,
        end: &RefundEnd,
        reason: &str,
    ) -> Result<(), StoreError> {
        use payment_refund::Column;
        let (state, reference, to) = match end {
            RefundEnd::Done(reference) => (RefundState::Done, reference, LineState::Refunded),
            RefundEnd::Failed(why) => (RefundState::Failed, why, LineState::RefundDue),
        };
        let updated = payment_refund::Entity::update_many()
            .col_expr(Column::State, Expr::value(state.as_str()))
            .col_expr(Column::Reference, Expr::value(reference.as_str()))
            .col_expr(
                Column::UpdateTime,
                Expr::value(context.now.as_microsecond()),
            )
            .filter(Column::Id.eq(refund))
            .filter(Column::State.eq(RefundState::Asked.as_str()))
            .exec(tx)
            .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::Conflict);
        }
        move_lines(stored.id, LineState::Refunding, to)
            .filter(payment_line::Column::RefundId.eq(refund))
            .exec(tx)
            .await?;
        let due = get(tx, stored.id).await?.sum(&[LineState::RefundDue])?;
        if due.is_zero() && stored.state == PaymentState::RefundDue {
            return self
                .enter_payment(tx, context, stored, PaymentState::Refunded, "REFUND")
                .await;
        }
        touch(tx, context, stored.id).await?;
        let mut act = stored.act("END_REFUND", stored.state);
        act.reason = match reason {
            "" => state.as_str().to_owned(),
            reason => reason.to_owned(),
        };
        self.append(tx, context, act).await
    }
}

fn move_lines(
    payment_id: Uuid,
    from: LineState,
    to: LineState,
) -> sea_orm::UpdateMany<payment_line::Entity> {
    use payment_line::Column;
    payment_line::Entity::update_many()
        .col_expr(Column::State, Expr::value(to.as_str()))
        .filter(Column::PaymentId.eq(payment_id))
        .filter(Column::State.eq(from.as_str()))
}

/// Counts a change of the payment that does not change its state.
pub(super) async fn touch(
    tx: &DatabaseTransaction,
    context: &ActContext,
    id: Uuid,
) -> Result<(), StoreError> {
    use payment::Column;
    payment::Entity::update_many()
        .col_expr(
            Column::UpdateTime,
            Expr::value(context.now.as_microsecond()),
        )
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}
