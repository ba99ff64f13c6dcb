//! Opening a database: SQLite with WAL and full durability, PostgreSQL with
//! verified TLS and time limits of its own.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gavah_domain::Entropy;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::sqlx::{self, ConnectOptions, Connection, Row};
use sea_orm::{ConnectionTrait, DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::changes::Changes;
use crate::joint::Queue;
use crate::lookup::Lookups;
use crate::migration::{self, APPEND_ONLY, DELETED_FROM};
use crate::{Inner, Store, StoreError, seconds};

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// An SQLite file; created when missing.
    Sqlite {
        /// The file. A file, never `:memory:`: every connection of a pool would
        /// be a database of its own.
        path: PathBuf,
    },
    /// A PostgreSQL database.
    Postgres {
        /// Connection URL, `postgres://…`. Its `sslmode` is raised to
        /// `verify-full` unless the host is loopback or a local socket.
        url: String,
    },
}

impl StoreConfig {
    /// Whether the database is on another machine, as far as its URL tells.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Sqlite { .. } => false,
            Self::Postgres { url } => {
                PgConnectOptions::from_str(url).is_ok_and(|options| !is_local(&options))
            }
        }
    }
}

impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            Self::Postgres { .. } => f.write_str("Postgres(…)"),
        }
    }
}

/// Limits of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Connections in the pool.
    pub connections: u32,
    /// How long to wait for a connection.
    pub acquire: Duration,
    /// How long one read may take.
    pub statement: Duration,
    /// How long a transaction may take up to its commit.
    pub transaction: Duration,
    /// How long to wait for a commit's answer before its outcome counts as
    /// unknown.
    pub commit: Duration,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            connections: 8,
            acquire: seconds(2),
            statement: seconds(3),
            transaction: seconds(8),
            commit: seconds(10),
        }
    }
}

/// Page cache of an SQLite connection: 16 MiB, as SQLite writes it. The default of 2
/// MiB holds less than the upper levels of the indexes of a large table.
const SQLITE_CACHE: &str = "-16384";

/// A connection nobody has used for this long is tested before it is used again.
const TESTED_AFTER: Duration = Duration::from_millis(100);

impl Store {
    /// Opens the database and checks that its schema is this binary's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] names what to do when migrations are missing or
    /// unknown; [`StoreError::Config`] and [`StoreError::Unavailable`] as they say.
    pub async fn open(
        config: &StoreConfig,
        limits: StoreLimits,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StoreError> {
        if let StoreConfig::Sqlite { path } = config
            && !path.exists()
        {
            return Err(StoreError::Schema(format!(
                "{} does not exist; run `gavah migrate` first",
                path.display()
            )));
        }
        let db = connect(config, limits.connections, limits).await?;
        let listening = match config {
            StoreConfig::Sqlite { .. } => None,
            StoreConfig::Postgres { url } => Some(
                PgPoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(limits.acquire)
                    .connect_lazy_with(postgres_options(url, limits)?),
            ),
        };
        let pending = migration::pending(&db).await.map_err(schema_error)?;
        if !pending.is_empty() {
            return Err(StoreError::Schema(format!(
                "{} migration(s) have not run: {}; run `gavah migrate` first",
                pending.len(),
                pending.join(", ")
            )));
        }
        let one_writer = matches!(config, StoreConfig::Sqlite { .. });
        let (lookups, lookup_workers) = Lookups::new();
        let (issuing, issuing_workers) = Queue::new();
        let (changing_codes, changing_code_workers) = Queue::new();
        let (changing_certificates, changing_certificate_workers) = Queue::new();
        let (upserting, upserting_workers) = Queue::new();
        let inner = Arc::new(Inner {
            db,
            listening,
            changes: Arc::new(Changes::new()),
            home: Handle::current(),
            limits,
            entropy,
            last_entry: Mutex::default(),
            write_turn: one_writer.then(|| Semaphore::new(1)),
            workers: Mutex::default(),
            lookups,
            issuing,
            changing_codes,
            changing_certificates,
            upserting,
        });
        lookup_workers.start(&inner);
        // While one group is at the database, the next is made ready. What must
        // keep its order has one worker.
        issuing_workers.start(if one_writer { 1 } else { 3 }, &inner);
        changing_code_workers.start(1, &inner);
        changing_certificate_workers.start(1, &inner);
        upserting_workers.start(1, &inner);
        Ok(Self {
            inner,
            deadline: None,
        })
    }

    /// Brings the schema of a database up to date, whole or not at all, and returns
    /// how many migrations ran. Processes that migrate one database at the same
    /// time wait for each other.
    ///
    /// # Errors
    ///
    /// [`StoreError`] as for [`Store::open`].
    pub async fn migrate(config: &StoreConfig) -> Result<usize, StoreError> {
        // Long enough for an index on a large table, and for waiting until another
        // process has made it.
        let limits = StoreLimits {
            statement: seconds(600),
            transaction: seconds(600),
            ..StoreLimits::default()
        };
        let mut left = MIGRATION_TRIES;
        loop {
            left -= 1;
            match migrate(config, limits).await {
                // Two processes that make one SQLite file at the same time: the
                // change to write-ahead mode does not wait for the other.
                Err(StoreError::Conflict) if left > 0 => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                result => return result,
            }
        }
    }

    /// Grants an existing PostgreSQL role what a running server needs and no
    /// more: no DDL, no UPDATE on audit tables and published tariffs, and DELETE on those few tables only
    /// that a server deletes from. To be repeated after every migration.
    ///
    /// # Errors
    ///
    /// [`StoreError::Config`] when the name is not a plain identifier or the
    /// database is SQLite; [`StoreError::Database`] when the role does not exist.
    pub async fn grant_runtime_role(config: &StoreConfig, role: &str) -> Result<(), StoreError> {
        let plain = role
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if role.is_empty() || !plain || matches!(config, StoreConfig::Sqlite { .. }) {
            return Err(StoreError::Config(
                "a runtime role is a PostgreSQL role named by lower-case letters, digits and _"
                    .to_owned(),
            ));
        }
        let db = connect(config, 1, StoreLimits::default()).await?;
        db.execute_unprepared(&format!(
            "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}; \
             GRANT USAGE ON SCHEMA public TO {role}; \
             GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}; \
             GRANT DELETE ON {} TO {role}; \
             REVOKE UPDATE ON {} FROM {role}; \
             REVOKE INSERT, UPDATE ON seaql_migrations FROM {role}",
            DELETED_FROM.join(", "),
            APPEND_ONLY.join(", ")
        ))
        .await?;
        db.close().await?;
        Ok(())
    }
}

/// Tries of a migration that meets another one.
const MIGRATION_TRIES: u32 = 100;

async fn migrate(config: &StoreConfig, limits: StoreLimits) -> Result<usize, StoreError> {
    let db = connect(config, 1, limits).await?;
    let ran = migration::migrate(&db).await.map_err(schema_error)?;
    db.close().await?;
    Ok(ran)
}

fn schema_error(error: sea_orm::DbErr) -> StoreError {
    match error {
        sea_orm::DbErr::Migration(_) | sea_orm::DbErr::Custom(_) => StoreError::Schema(
            "the database has migrations this binary does not know; use a newer binary".to_owned(),
        ),
        other => other.into(),
    }
}

async fn connect(
    config: &StoreConfig,
    connections: u32,
    limits: StoreLimits,
) -> Result<DatabaseConnection, StoreError> {
    match config {
        StoreConfig::Sqlite { path } => {
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .pragma("cache_size", SQLITE_CACHE)
                .busy_timeout(limits.transaction)
                .disable_statement_logging();
            let pool = SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(limits.acquire)
                .test_before_acquire(false)
                .after_connect(|connection, _| Box::pin(assert_durable(connection)))
                .connect_with(options)
                .await
                .map_err(|error| match error {
                    sqlx::Error::Configuration(message) => StoreError::Config(message.to_string()),
                    other => other.into(),
                })?;
            Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
        }
        StoreConfig::Postgres { url } => {
            let pool = PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(limits.acquire)
                // One that is in use shows by its own statements that it lives.
                .test_before_acquire(false)
                .before_acquire(|connection, seen| {
                    Box::pin(async move {
                        if seen.idle_for > TESTED_AFTER {
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .connect_with(postgres_options(url, limits)?)
                .await?;
            Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
        }
    }
}

fn postgres_options(url: &str, limits: StoreLimits) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Config("the PostgreSQL URL cannot be read".to_owned()))?;
    let options = if is_local(&options) {
        options
    } else {
        options.ssl_mode(PgSslMode::VerifyFull)
    };
    let millis = |limit: Duration| limit.as_millis().to_string();
    Ok(options
        .application_name("gavah")
        .options([
            ("default_transaction_isolation", "read committed".to_owned()),
            ("statement_timeout", millis(limits.transaction)),
            ("lock_timeout", millis(limits.statement)),
            (
                "idle_in_transaction_session_timeout",
                millis(limits.transaction * 2),
            ),
        ])
        .disable_statement_logging())
}

/// Every connection must survive a power cut after an acknowledged commit.
async fn assert_durable(connection: &mut sqlx::SqliteConnection) -> Result<(), sqlx::Error> {
    let journal: String = sqlx::query("PRAGMA journal_mode")
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    let synchronous: i64 = sqlx::query("PRAGMA synchronous")
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    if journal == "wal" && synchronous == 2 {
        return Ok(());
    }
    Err(sqlx::Error::Configuration(
        format!("SQLite is not durable here: journal_mode={journal} synchronous={synchronous}")
            .into(),
    ))
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_sockets_may_do_without_verified_tls() {
        for (url, local) in [
            ("postgres://u@127.0.0.1/d", true),
            ("postgres://u@localhost:5433/d", true),
            ("postgres://u@%2Fvar%2Frun%2Fpostgresql/d", true),
            ("postgres://u@db.example.org/d", false),
            ("postgres://u@10.1.2.3/d?sslmode=disable", false),
        ] {
            let options = PgConnectOptions::from_str(url).unwrap();
            assert_eq!(is_local(&options), local, "{url}");
        }
    }

    #[tokio::test]
    async fn every_pooled_sqlite_connection_is_durable() {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig::Sqlite {
            path: folder.path().join("gavah.db"),
        };
        Store::migrate(&config).await.unwrap();
        let entropy = Arc::new(gavah_domain::SystemEntropy);
        let store = Store::open(&config, StoreLimits::default(), entropy)
            .await
            .unwrap();
        let pool = store.inner.db.get_sqlite_connection_pool();
        let mut held = Vec::new();
        for _ in 0..StoreLimits::default().connections {
            held.push(pool.acquire().await.unwrap());
        }
        for connection in &mut held {
            for (pragma, expected) in [("synchronous", "2"), ("foreign_keys", "1")] {
                let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
                let row = sqlx::query(sql).fetch_one(&mut **connection).await.unwrap();
                assert_eq!(row.get::<i64, _>(0).to_string(), expected, "{pragma}");
            }
            let row = sqlx::query("PRAGMA journal_mode").fetch_one(&mut **connection);
            assert_eq!(row.await.unwrap().get::<String, _>(0), "wal");
        }
    }

    #[test]
    fn a_url_is_not_printed() {
        let config = StoreConfig::Postgres {
            url: "postgres://u:secret@h/d".to_owned(),
        };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
