//! Named transactions and timed reads.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::time::{Instant, timeout_at};
use tokio_util::context::TokioContext;

use crate::changes::CHANGED;
use crate::{Store, StoreError};

/// Transactions by name and outcome.
pub const TRANSACTIONS: &str = "gavah_store_transactions_total";
/// Seconds a transaction took, retries included, by name.
pub const TRANSACTION_SECONDS: &str = "gavah_store_transaction_duration_seconds";

/// Tries of one transaction before a conflict is told to the caller.
const TRIES: u32 = 4;

/// How early before a deadline the database may end a statement because of it.
const DEADLINE_SLACK: Duration = Duration::from_millis(100);

/// How a transaction's work ends.
pub(crate) enum Done<T> {
    /// Commit.
    Commit(T),
    /// Roll back: the answer stands without any change.
    Abandon(T),
}

/// The work of one transaction. Boxed, because an async closure's future cannot
/// be required to be `Send` yet.
pub(crate) type Work<'tx, T> =
    Pin<Box<dyn Future<Output = Result<Done<T>, StoreError>> + Send + 'tx>>;

/// Says that what the work borrows from around it (`'env`) outlives the
/// transaction (`'tx`).
pub(crate) type Within<'tx, 'env> = PhantomData<&'tx &'env ()>;

impl Store {
    /// Runs `work` in one transaction under `name`: READ COMMITTED on
    /// PostgreSQL, IMMEDIATE on SQLite. Conflicts are tried again a few times with
    /// a growing, jittered pause; `work` must therefore be repeatable. A commit is
    /// never cancelled: when its answer does not come in time, it goes on in its
    /// own task and the caller learns [`StoreError::CommitUnknown`].
    pub(crate) async fn run_tx<'env, T: Send>(
        &self,
        name: &'static str,
        work: impl for<'tx> Fn(&'tx DatabaseTransaction, Within<'tx, 'env>) -> Work<'tx, T>
        + Send
        + Sync,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let span = tracing::info_span!("store.transaction", otel.name = name);
        let tries = async {
            let mut attempt = 0;
            loop {
                attempt += 1;
                match self.try_tx(&work).await {
                    Err(StoreError::Conflict) if attempt < TRIES => {
                        tokio::time::sleep(self.pause(attempt)).await;
                    }
                    result => return result,
                }
            }
        };
        let result = self.at_home(tries).await.map_err(|error| self.whose(error));
        drop(span);
        let outcome = if result.is_ok() { "ok" } else { "error" };
        metrics::counter!(TRANSACTIONS, "name" => name, "outcome" => outcome).increment(1);
        metrics::histogram!(TRANSACTION_SECONDS, "name" => name)
            .record(started.elapsed().as_secs_f64());
        result
    }

    async fn try_tx<'env, T: Send>(
        &self,
        work: &(
             impl for<'tx> Fn(&'tx DatabaseTransaction, Within<'tx, 'env>) -> Work<'tx, T> + Send + Sync
         ),
    ) -> Result<T, StoreError> {
        let limit = self.limit(self.inner.limits.transaction);
        in_time(limit)?;
        // SQLite has one writer: waiting here is fair and cheap, waiting in the
        // engine is polling.
        let _turn = match &self.inner.write_turn {
            Some(turn) => Some(
                timeout_at(limit, turn.acquire())
                    .await
                    .map_err(|_| StoreError::Timeout)?
                    .map_err(|_| StoreError::Unavailable)?,
            ),
            None => None,
        };
        CHANGED
            .scope(RefCell::default(), self.try_in_turn(limit, work))
            .await
    }

    async fn try_in_turn<'env, T: Send>(
        &self,
        limit: Instant,
        work: &(
             impl for<'tx> Fn(&'tx DatabaseTransaction, Within<'tx, 'env>) -> Work<'tx, T> + Send + Sync
         ),
    ) -> Result<T, StoreError> {
        let worked = timeout_at(limit, async {
            let tx = self.begin_on_a_living_connection(limit).await?;
            let done = work(&tx, PhantomData).await?;
            Ok::<_, StoreError>((tx, done))
        })
        .await
        .map_err(|_| StoreError::Timeout)?;
        match worked? {
            (tx, Done::Commit(answer)) => {
                // Otherwise the transaction is dropped, which rolls back.
                in_time(limit)?;
                self.commit(tx).await.map(|()| answer)
            }
            (tx, Done::Abandon(answer)) => {
                // A failed rollback drops the connection, which rolls back too.
                let _ = tx.rollback().await;
                Ok(answer)
            }
        }
    }

    /// A pooled connection may have died unnoticed. Nothing has been asked of it
    /// yet, so another is taken; a dead one does not come back.
    async fn begin_on_a_living_connection(
        &self,
        limit: Instant,
    ) -> Result<DatabaseTransaction, StoreError> {
        for _ in 0..self.inner.limits.connections {
            match self.begin(limit).await {
                Err(StoreError::Unavailable) => {}
                result => return result,
            }
        }
        self.begin(limit).await
    }

    async fn begin(&self, limit: Instant) -> Result<DatabaseTransaction, StoreError> {
        let tx = self
            .inner
            .db
            .begin_with_options(TransactionOptions {
                // Every PostgreSQL connection is opened with READ COMMITTED.
                isolation_level: None,
                access_mode: None,
                sqlite_transaction_mode: (!self.on_postgres())
                    .then_some(SqliteTransactionMode::Immediate),
            })
            .await?;
        // Every PostgreSQL connection is opened with the store's own limit.
        if self.on_postgres() && self.deadline.is_some_and(|deadline| deadline <= limit) {
            let left = limit
                .saturating_duration_since(Instant::now())
                .as_millis()
                .max(1);
            tx.execute_unprepared(&format!("SET LOCAL statement_timeout = {left}"))
                .await?;
        }
        Ok(tx)
    }

    async fn commit(&self, tx: DatabaseTransaction) -> Result<(), StoreError> {
        let changes = Arc::clone(&self.inner.changes);
        let changed = CHANGED.with(RefCell::take);
        let commit = tokio::spawn(async move {
            let committed = tx.commit().await;
            // Before anybody is told, and also where the outcome is not known.
            for document in changed {
                changes.note(document);
            }
            committed
        });
        match timeout_at(Instant::now() + self.inner.limits.commit, commit).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => match StoreError::from(error) {
                // The database refused, so nothing was committed. Of any other
                // error, a failing disk's for example, that cannot be said.
                refused @ (StoreError::Conflict | StoreError::Constraint(_)) => Err(refused),
                _ => Err(StoreError::CommitUnknown),
            },
            Ok(Err(_)) | Err(_) => Err(StoreError::CommitUnknown),
        }
    }

    /// Runs one read under the call's deadline and the store's own limit.
    ///
    /// Its span lies around the asking and is not entered: the driver's thread for
    /// SQLite keeps the current span a while after its answer, and the span would
    /// end after the call's own. So it is with a transaction's.
    pub(crate) async fn read<T>(
        &self,
        name: &'static str,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let _span = tracing::info_span!("store.read", otel.name = name);
        let limit = self.limit(self.inner.limits.statement);
        in_time(limit)?;
        timeout_at(limit, self.at_home(read))
            .await
            .unwrap_or(Err(StoreError::Timeout))
            .map_err(|error| self.whose(error))
    }

    /// The work in the context of the runtime the store was opened in: connections
    /// belong to the runtime in whose context they are made, and must outlive any
    /// other that asks.
    fn at_home<F: Future>(&self, work: F) -> TokioContext<F> {
        TokioContext::new(work, self.inner.home.clone())
    }

    /// A limit that passed was either the call's deadline or the store's own: the
    /// caller learns of a deadline only when it was its own.
    pub(crate) fn whose(&self, error: StoreError) -> StoreError {
        let own = |deadline: Instant| deadline <= Instant::now() + DEADLINE_SLACK;
        match error {
            StoreError::Timeout if !self.deadline.is_some_and(own) => StoreError::Unavailable,
            error => error,
        }
    }

    /// The earlier of the call's deadline and `limit` from now.
    pub(crate) fn limit(&self, limit: Duration) -> Instant {
        let limit = Instant::now() + limit;
        self.deadline.map_or(limit, |deadline| deadline.min(limit))
    }

    pub(crate) fn on_postgres(&self) -> bool {
        self.inner.db.get_database_backend() == DbBackend::Postgres
    }

    /// 5, 10, 20 ms …, each shortened by up to half at random.
    fn pause(&self, attempt: u32) -> Duration {
        let full = Duration::from_millis(5 << attempt.min(6));
        let mut byte = [0];
        // Without randomness the pause is merely not jittered.
        let _ = self.inner.entropy.fill(&mut byte);
        full - full.mul_f64(f64::from(byte[0]) / 512.0)
    }
}

/// What is late already is not begun: a quick answer would still win against a
/// deadline in the past.
pub(crate) fn in_time(limit: Instant) -> Result<(), StoreError> {
    if Instant::now() < limit {
        Ok(())
    } else {
        Err(StoreError::Timeout)
    }
}
