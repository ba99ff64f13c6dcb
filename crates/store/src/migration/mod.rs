//! Migrations, and the gate that keeps a server from running on another schema
//! than its own.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};
use sea_orm_migration::prelude::*;

mod m0001_ground;

/// The list of migrations, oldest first. Expand first, contract one release
/// later: an old and a new server run side by side during a rollout.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_ground::Migration)]
    }
}

/// Tables no server ever changes a row of; enforced by triggers on both engines
/// and by missing grants of the runtime role on PostgreSQL.
pub(crate) const APPEND_ONLY: [&str; 3] = ["audit_entry", "change_event", "audit_chain"];

/// Key of the advisory lock under which one process at a time migrates.
const MIGRATION_LOCK: i64 = 0x6761_7661_6801;

/// Brings the schema up to date; returns how many migrations ran. Running
/// instances on one PostgreSQL database wait for each other.
pub(crate) async fn migrate(db: &DatabaseConnection) -> Result<usize, DbErr> {
    let before = pending(db).await?.len();
    Migrator::up(db, None).await?;
    Ok(before)
}

/// Takes the advisory lock for the whole session of `db`, which must be a pool of
/// one connection.
pub(crate) async fn lock(db: &DatabaseConnection) -> Result<(), DbErr> {
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))
            .await?;
    }
    Ok(())
}

/// Names of the migrations that have not run yet.
///
/// # Errors
///
/// A [`DbErr`], also when the database has migrations this binary does not know.
pub(crate) async fn pending(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let pending = Migrator::get_pending_migrations(db).await?;
    Ok(pending
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect())
}
