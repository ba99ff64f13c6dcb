//! What a gateway's day file confirms.

use gavah_domain::payment::PaymentState;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::get;
use crate::claim::claim;
use crate::entity::payment;
use crate::tx::Done;
use crate::{ActContext, Claimed, Store, StoreError};

/// What a day file says of our payments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    /// Payments of which it says the same as we.
    pub settled: Vec<Uuid>,
    /// Payments that it says were paid, and of which we do not know it.
    pub to_ask: Vec<Uuid>,
}

impl Store {
    /// Records what a day file confirms, and has the gateway asked about what is not known here; `false` when the
    /// request_id stands for another request.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn settle_payments(
        &self,
        context: &ActContext,
        resource: &str,
        matched: &Matched,
    ) -> Result<bool, StoreError> {
        self.run_tx("settle_payments", |tx, _| {
            Box::pin(async move {
                match claim(tx, context, resource, "").await? {
                    Some(Claimed::Replay { .. }) => return Ok(Done::Abandon(true)),
                    Some(Claimed::Reused) => return Ok(Done::Abandon(false)),
                    None => {}
                }
                use payment::Column;
                let now = context.now.as_microsecond();
                for id in &matched.settled {
                    let stored = get(tx, *id).await?;
                    if stored.settle_time.is_some() {
                        continue;
                    }
                    payment::Entity::update_many()
                        .col_expr(Column::SettleTime, Expr::value(now))
                        .filter(Column::Id.eq(*id))
                        .exec(tx)
                        .await?;
                    // One that owes money goes on owing it.
                    if stored.state.may_become(PaymentState::Settled) {
                        self.enter_payment(tx, context, &stored, PaymentState::Settled, "SETTLE")
                            .await?;
                    }
                }
                payment::Entity::update_many()
                    .col_expr(Column::LookTime, Expr::value(now))
                    .filter(Column::Id.is_in(matched.to_ask.iter().copied()))
                    .filter(Column::VerifyTime.is_null())
                    .exec(tx)
                    .await?;
                Ok(Done::Commit(true))
            })
        })
        .await
    }
}
