//! The clock of a sandbox.

use jiff::{SignedDuration, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::entity::sandbox_clock::{self, Column};
use crate::tx::Done;
use crate::{Act, ActContext, RegistryChange, Store, StoreError};

/// The resource name.
const NAME: &str = "sandbox/clock";

impl Store {
    /// Moves the clock of all nodes from so far ahead to farther; [`RegistryChange::EtagMismatch`] when it is elsewhere
    /// by now.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn move_clock(
        &self,
        context: &ActContext,
        from_micros: i64,
        to_micros: i64,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry("move_clock", context, NAME, &|tx, _| {
            Box::pin(async move {
                let moved = sandbox_clock::Entity::update_many()
                    .col_expr(Column::AheadMicros, Expr::value(to_micros))
                    .filter(Column::AheadMicros.eq(from_micros))
                    .exec(tx)
                    .await?;
                if moved.rows_affected == 0 || to_micros <= from_micros {
                    return Ok(Done::Abandon(RegistryChange::EtagMismatch));
                }
                let seconds = |micros: i64| format!("{}s", micros / 1_000_000);
                let act = Act {
                    resource: NAME.to_owned(),
                    action: "MOVE",
                    from: seconds(from_micros),
                    to: seconds(to_micros),
                    ..Act::default()
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// What the clock that all nodes go by shows at the real instant `now`: later than that where a sandbox's was moved.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn clock_of(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let ahead = SignedDuration::from_micros(self.read("find_clock", self.clock_ahead()).await?);
        now.checked_add(ahead)
            .map_err(|_| StoreError::Corrupt("sandbox_clock"))
    }

    /// How far the clock was moved, in microseconds.
    pub(crate) async fn clock_ahead(&self) -> Result<i64, StoreError> {
        let row = sandbox_clock::Entity::find_by_id(1);
        let row = row.one(&self.inner.db).await?;
        row.map(|row| row.ahead_micros)
            .ok_or(StoreError::Corrupt("sandbox_clock"))
    }
}
