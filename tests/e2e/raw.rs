//! A connection past the store: to look, to hold locks.

use std::time::Duration;

use gavah_store::StoreConfig;
use gavah_testkit::world::World;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

/// One connection to either engine, with all rights.
pub(crate) enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Raw {
    pub(crate) async fn to(world: &World) -> Self {
        match world.superuser() {
            StoreConfig::Sqlite { path } => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .busy_timeout(Duration::from_secs(30))
                    .disable_statement_logging();
                Self::Sqlite(options.connect().await.unwrap())
            }
            StoreConfig::Postgres { url } => {
                let options: PgConnectOptions = url.parse().unwrap();
                Self::Postgres(options.disable_statement_logging().connect().await.unwrap())
            }
        }
    }

    /// Runs statements as they stand.
    pub(crate) async fn run(&mut self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(connection) => connection.execute(sql).await.map(drop),
            Self::Postgres(connection) => connection.execute(sql).await.map(drop),
        }
        .unwrap();
    }

    /// The one number that a query yields.
    pub(crate) async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
        }
        .unwrap()
    }

    /// Keeps every write of others waiting until [`Raw::release`].
    pub(crate) async fn hold_all_writes(&mut self) {
        let sql = match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN; LOCK TABLE request_claim IN EXCLUSIVE MODE",
        };
        self.run(sql).await;
    }

    /// Lets the writes of others go on.
    pub(crate) async fn release(&mut self) {
        self.run("ROLLBACK").await;
    }

    /// How many rows every table has that an act could touch.
    pub(crate) async fn everything(&mut self) -> Vec<(String, i64)> {
        let counts = TABLES.map(|table| format!("SELECT '{table}', count(*) FROM {table}"));
        let sql = AssertSqlSafe(counts.join(" UNION ALL "));
        let mut rows: Vec<(String, i64)> = match self {
            Self::Sqlite(connection) => sqlx::query_as(sql).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_as(sql).fetch_all(connection).await,
        }
        .unwrap();
        rows.sort();
        rows
    }
}

const TABLES: [&str; 30] = [
    "agreement",
    "application_step",
    "attachment",
    "attachment_upload",
    "attachment_use",
    "audit_entry",
    "caller",
    "certificate_application",
    "change_event",
    "client_certificate",
    "code_application",
    "dispute",
    "dispute_action",
    "dispute_message",
    "enrollment_certificate",
    "enrollment_event",
    "enrollment_record",
    "expert",
    "incident",
    "institution",
    "issuance_job",
    "issuance_job_row",
    "issuance_pause",
    "payment",
    "payment_line",
    "payment_refund",
    "request_claim",
    "service_call",
    "service_document",
    "validity_code",
];
