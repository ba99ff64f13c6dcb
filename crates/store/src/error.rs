//! What can go wrong with the store itself. The text of a database error never
//! leaves this file: its detail quotes keys, and keys are codes and identities.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Why the store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or is shutting down.
    #[error("the store is unavailable")]
    Unavailable,
    /// The call's deadline or the store's own limit passed first; nothing was
    /// committed.
    #[error("the store did not answer in time")]
    Timeout,
    /// A COMMIT was sent and its outcome is unknown. Neither success nor failure
    /// may be told; the request_id tells the truth on retry.
    #[error("the outcome of a commit is unknown")]
    CommitUnknown,
    /// Concurrent transactions kept getting in each other's way.
    #[error("concurrent transactions conflicted")]
    Conflict,
    /// A constraint refused the change.
    #[error("constraint violated: {0}")]
    Constraint(String),
    /// Any other database error, by its code.
    #[error("database error {code} {constraint}")]
    Database {
        /// SQLSTATE, or the engine's own code.
        code: String,
        /// Name of the constraint, empty when there is none.
        constraint: String,
    },
    /// The ruling under which the act is done does not order it now; why, by a stable name.
    #[error("not ordered: {0}")]
    NotOrdered(&'static str),
    /// A stored row does not read back: named by table and column only.
    #[error("stored data cannot be read: {0}")]
    Corrupt(&'static str),
    /// The schema is not this binary's.
    #[error("schema: {0}")]
    Schema(String),
    /// The connection string or file is not usable.
    #[error("store configuration: {0}")]
    Config(String),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(_) => Self::Unavailable,
            DbErr::Conn(RuntimeErr::SqlxError(error))
            | DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error)) => from_sqlx(error),
            DbErr::Conn(_) => Self::Unavailable,
            DbErr::Type(_) | DbErr::Json(_) => Self::Corrupt("column type"),
            DbErr::Migration(_) => Self::Schema("migration failed".to_owned()),
            _ => Self::Database {
                code: "orm".to_owned(),
                constraint: String::new(),
            },
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        from_sqlx(&error)
    }
}

fn from_sqlx(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            let constraint = error.constraint().map(str::to_owned);
            match code.as_str() {
                // Serialization failure and deadlock; SQLite busy, locked, busy snapshot.
                "40001" | "40P01" | "5" | "6" | "261" | "517" => StoreError::Conflict,
                // Statement cancelled by its time limit, lock not available in time.
                "57014" | "55P03" => StoreError::Timeout,
                // Shutting down, starting up, out of connections, read-only standby.
                "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "25P03" => {
                    StoreError::Unavailable
                }
                // Lost connections, and connections, memory or disk running out.
                class
                    if class.len() == 5 && (class.starts_with("08") || class.starts_with("53")) =>
                {
                    StoreError::Unavailable
                }
                // Unique: PostgreSQL names the constraint, SQLite the columns in its message.
                "23505" => StoreError::Constraint(constraint.unwrap_or_default()),
                "1555" | "2067" => StoreError::Constraint(sqlite_columns(error.message())),
                // Other constraints; SQLite names none of them.
                "23502" | "23503" | "23514" => {
                    StoreError::Constraint(constraint.unwrap_or_default())
                }
                "787" => StoreError::Constraint("foreign key".to_owned()),
                "275" => StoreError::Constraint("check".to_owned()),
                "1299" => StoreError::Constraint("not null".to_owned()),
                // SQLite: the disk is full or failed. A commit that meets it may still
                // come to light after a crash.
                "13" => StoreError::Unavailable,
                code if sqlite_primary(code) == Some(10) => StoreError::Unavailable,
                _ => StoreError::Database {
                    code,
                    constraint: constraint.unwrap_or_default(),
                },
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => StoreError::Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::Corrupt("column value")
        }
        _ => StoreError::Database {
            code: "driver".to_owned(),
            constraint: String::new(),
        },
    }
}

/// The primary result code in an extended one. SQLSTATEs have five characters.
fn sqlite_primary(code: &str) -> Option<u32> {
    let code = (code.len() < 5).then(|| code.parse::<u32>().ok())??;
    Some(code & 0xff)
}

/// `UNIQUE constraint failed: validity_code.code` names no value, only columns.
fn sqlite_columns(message: &str) -> String {
    message.rsplit(": ").next().unwrap_or_default().to_owned()
}
