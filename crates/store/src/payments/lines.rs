//! What a payment pays for, line by line. No application becomes PAID without money, nothing priced is issued that is not
//! paid, and what was paid and comes to nothing is to be paid back: all in the transaction that moves the application.

use gavah_domain::payment::{LineState, PaymentState};
use gavah_domain::tariff::Quote;
use jiff::{SignedDuration, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::refund::touch;
use super::{Finding, StoredPayment, hold};
use crate::entity::{payment, payment_line};
use crate::tx::Done;
use crate::{ActContext, Store, StoreError};

/// For how long a node has a line for itself; also after how long one that could not go on is tried again.
const TURN: SignedDuration = SignedDuration::from_secs(15);

/// A line that waits for its application to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLine {
    /// The payment.
    pub payment_id: Uuid,
    /// The line's place in it.
    pub position: i32,
    /// Resource name of the application.
    pub application: String,
    /// How it stands.
    pub state: LineState,
}

/// An application that enters states, as far as its payment is concerned.
pub(crate) struct Followed<'a> {
    /// Resource name of the application.
    pub(crate) application: String,
    /// The ground of its fee.
    pub(crate) quote: Option<&'a Quote>,
    /// The states that it enters, by name.
    pub(crate) entered: Vec<&'static str>,
}

impl Store {
    /// Moves the payment's line with its application.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] when it would become PAID without money, or be issued without having been paid for.
    pub(crate) async fn follow_payment(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        followed: &Followed<'_>,
    ) -> Result<(), StoreError> {
        let priced = followed
            .quote
            .is_some_and(|quote| quote.require_free().is_err());
        if !priced {
            return Ok(());
        }
        let application = followed.application.as_str();
        for state in &followed.entered {
            match *state {
                "PAID" => {
                    let line = line(tx, application, LineState::Waiting).await?;
                    let line = line.ok_or(StoreError::Corrupt("paid without a payment"))?;
                    move_line(tx, &line, LineState::Paid, line.next_time).await?;
                    self.call_off(tx, context, application).await?;
                }
                "ISSUING" => {
                    let line = line(tx, application, LineState::Paid).await?;
                    line.ok_or(StoreError::Corrupt("issued without a payment"))?;
                }
                "ISSUED" => {
                    let line = line(tx, application, LineState::Paid).await?;
                    let line = line.ok_or(StoreError::Corrupt("issued without a payment"))?;
                    move_line(tx, &line, LineState::Used, None).await?;
                }
                "CANCELLED" => {
                    if let Some(line) = line(tx, application, LineState::Paid).await? {
                        move_line(tx, &line, LineState::RefundDue, None).await?;
                        self.owe(tx, context, line.payment_id).await?;
                    }
                    self.call_off(tx, context, application).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Nobody need pay for the application any more: an open payment that was for nothing else has failed. Money that comes
    /// in nevertheless is to be paid back.
    async fn call_off(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        application: &str,
    ) -> Result<(), StoreError> {
        use payment_line::Column;
        let row = payment_line::Entity::find()
            .filter(Column::OpenApplication.eq(application))
            .one(tx)
            .await?;
        let Some(row) = row else {
            return Ok(());
        };
        let stored = hold(tx, row.payment_id).await?;
        if !stored.state.is_open() {
            return Ok(());
        }
        payment_line::Entity::update_many()
            .col_expr(Column::OpenApplication, Expr::value(None::<String>))
            .filter(Column::OpenApplication.eq(application))
            .filter(Column::PaymentId.eq(stored.id))
            .exec(tx)
            .await?;
        let others = payment_line::Entity::find()
            .filter(Column::PaymentId.eq(stored.id))
            .filter(Column::OpenApplication.is_not_null())
            .one(tx)
            .await?;
        if others.is_some() {
            return Ok(());
        }
        let ended = Finding::Failed("APPLICATION_ENDED".to_owned());
        self.find_out(tx, context, &stored, PaymentState::Failed, "FAIL", &ended)
            .await
    }

    /// A payment of which something is to be paid back says so.
    pub(super) async fn owe(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        payment_id: Uuid,
    ) -> Result<(), StoreError> {
        let stored = hold(tx, payment_id).await?;
        if !stored.state.may_become(PaymentState::RefundDue) {
            // More is due than whoever looked at it saw.
            return touch(tx, context, payment_id).await;
        }
        self.enter_payment(tx, context, &stored, PaymentState::RefundDue, "OWE")
            .await
    }

    /// Whether there is anything to take: most of the time there is not, and nobody need wait for that.
    async fn any_line_due(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.read("find_due_lines", async {
            let due = payment_line::Entity::find()
                .filter(payment_line::Column::NextTime.lte(now.as_microsecond()))
                .one(&self.inner.db)
                .await?;
            Ok(due.is_some())
        })
        .await
    }

    /// Takes lines whose applications are to go on, at most `limit`, for this node.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn take_due_lines(
        &self,
        now: Timestamp,
        of: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<DueLine>, StoreError> {
        use payment_line::Column;
        if !self.any_line_due(now).await? {
            return Ok(Vec::new());
        }
        let next = now
            .checked_add(TURN)
            .map_err(|_| StoreError::Corrupt("payment_line.next_time"))?;
        self.run_tx("take_payment_lines", |tx, _| {
            Box::pin(async move {
                let mut due = payment_line::Entity::find()
                    .filter(Column::NextTime.lte(now.as_microsecond()))
                    .order_by_asc(Column::NextTime)
                    .limit(limit);
                if let Some(payment_id) = of {
                    due = due.filter(Column::PaymentId.eq(payment_id));
                }
                let mut taken = Vec::new();
                for row in due.all(tx).await? {
                    let updated = payment_line::Entity::update_many()
                        .col_expr(Column::NextTime, Expr::value(next.as_microsecond()))
                        .filter(Column::PaymentId.eq(row.payment_id))
                        .filter(Column::Position.eq(row.position))
                        .filter(Column::NextTime.eq(row.next_time))
                        .exec(tx)
                        .await?;
                    if updated.rows_affected == 1 {
                        taken.push(DueLine {
                            payment_id: row.payment_id,
                            position: row.position,
                            application: row.application,
                            state: crate::content::known(&row.state, "payment_line.state")?,
                        });
                    }
                }
                Ok(match taken.is_empty() {
                    true => Done::Abandon(taken),
                    false => Done::Commit(taken),
                })
            })
        })
        .await
    }

    /// The share of an application that does not wait for this payment any more is to be paid back.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn give_line_back(
        &self,
        context: &ActContext,
        due: &DueLine,
    ) -> Result<(), StoreError> {
        self.run_tx("give_line_back", |tx, _| {
            Box::pin(async move {
                let key = (due.payment_id, due.position);
                let row = payment_line::Entity::find_by_id(key).one(tx).await?;
                let row = row.ok_or(StoreError::Corrupt("payment_line is missing"))?;
                if row.state != LineState::Waiting.as_str() {
                    return Ok(Done::Abandon(()));
                }
                move_line(tx, &row, LineState::RefundDue, None).await?;
                self.owe(tx, context, due.payment_id).await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }

    /// The payment enters a state, with its audit entry and event.
    pub(super) async fn enter_payment(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        stored: &StoredPayment,
        to: PaymentState,
        action: &'static str,
    ) -> Result<(), StoreError> {
        use payment::Column;
        let updated = payment::Entity::update_many()
            .col_expr(Column::State, Expr::value(to.as_str()))
            .col_expr(
                Column::UpdateTime,
                Expr::value(context.now.as_microsecond()),
            )
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::Id.eq(stored.id))
            .filter(Column::State.eq(stored.state.as_str()))
            .exec(tx)
            .await?;
        if updated.rows_affected == 0 {
            return Err(StoreError::Conflict);
        }
        self.append(tx, context, stored.act(action, to)).await
    }
}

/// The line of an application in a state, of a payment that has money: the one whose money came first.
async fn line(
    tx: &DatabaseTransaction,
    application: &str,
    state: LineState,
) -> Result<Option<payment_line::Model>, StoreError> {
    use payment_line::Column;
    let rows = payment_line::Entity::find()
        .filter(Column::Application.eq(application))
        .filter(Column::State.eq(state.as_str()))
        .all(tx)
        .await?;
    let payments = payment::Entity::find()
        .filter(payment::Column::Id.is_in(rows.iter().map(|row| row.payment_id)))
        .filter(payment::Column::VerifyTime.is_not_null())
        .order_by_asc(payment::Column::VerifyTime)
        .order_by_asc(payment::Column::Id)
        .all(tx)
        .await?;
    let first = payments.first().map(|payment| payment.id);
    Ok(rows.into_iter().find(|row| Some(row.payment_id) == first))
}

/// The line enters a state, if it is as it was read.
async fn move_line(
    tx: &DatabaseTransaction,
    row: &payment_line::Model,
    to: LineState,
    next_time: Option<i64>,
) -> Result<(), StoreError> {
    use payment_line::Column;
    let updated = payment_line::Entity::update_many()
        .col_expr(Column::State, Expr::value(to.as_str()))
        .col_expr(Column::NextTime, Expr::value(next_time))
        .col_expr(Column::OpenApplication, Expr::value(None::<String>))
        .filter(Column::PaymentId.eq(row.payment_id))
        .filter(Column::Position.eq(row.position))
        .filter(Column::State.eq(row.state.as_str()))
        .exec(tx)
        .await?;
    match updated.rows_affected {
        1 => Ok(()),
        _ => Err(StoreError::Conflict),
    }
}
