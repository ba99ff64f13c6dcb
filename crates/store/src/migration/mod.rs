//! Migrations, and the gate that keeps a server from running on another schema
//! than its own.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::prelude::*;
use sea_orm_migration::seaql_migrations;

mod append_only;
mod m0001_ground;
mod m0002_changes_of_documents;
mod m0003_audit_without_references;
mod m0004_issuance_pause;
mod m0005_staged_applications;
mod m0006_lookup_budgets;
mod m0007_incidents;
mod m0008_legacy_codes;
mod m0009_attachments;
mod m0010_code_applications;
mod m0011_issuance_jobs;
mod m0012_service_documents;
mod m0013_agreements;
mod m0014_tariff_versions;
mod m0015_sandbox_clock;
mod m0016_service_levels;
mod m0017_payments;
mod m0018_disputes;
mod m0019_dispute_messages;
mod m0020_closed_actions;
mod m0021_unpaid_rows;

/// The list of migrations, oldest first. Expand first, contract one release
/// later: an old and a new server run side by side during a rollout.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_ground::Migration),
            Box::new(m0002_changes_of_documents::Migration),
            Box::new(m0003_audit_without_references::Migration),
            Box::new(m0004_issuance_pause::Migration),
            Box::new(m0005_staged_applications::Migration),
            Box::new(m0006_lookup_budgets::Migration),
            Box::new(m0007_incidents::Migration),
            Box::new(m0008_legacy_codes::Migration),
            Box::new(m0009_attachments::Migration),
            Box::new(m0010_code_applications::Migration),
            Box::new(m0011_issuance_jobs::Migration),
            Box::new(m0012_service_documents::Migration),
            Box::new(m0013_agreements::Migration),
            Box::new(m0014_tariff_versions::Migration),
            Box::new(m0015_sandbox_clock::Migration),
            Box::new(m0016_service_levels::Migration),
            Box::new(m0017_payments::Migration),
            Box::new(m0018_disputes::Migration),
            Box::new(m0019_dispute_messages::Migration),
            Box::new(m0020_closed_actions::Migration),
            Box::new(m0021_unpaid_rows::Migration),
        ]
    }
}

/// Tables no server ever changes a row of; enforced by triggers on both engines
/// and by missing grants of the runtime role on PostgreSQL.
pub(crate) const APPEND_ONLY: [&str; 8] = [
    "audit_chain",
    "audit_entry",
    "calendar_version",
    "calendar_version_row",
    "change_event",
    "dispute_message",
    "tariff_version",
    "tariff_version_row",
];

/// The only tables a server ever deletes rows from.
pub(crate) const DELETED_FROM: [&str; 10] = [
    "agreement_use",
    "attachment",
    "attachment_upload",
    "attachment_use",
    "audit_pending",
    "institution_alias",
    "issuance_job",
    "issuance_job_row",
    "lookup_budget",
    "lookup_subject",
];

/// Key of the advisory lock under which one process at a time migrates.
const MIGRATION_LOCK: i64 = 0x6761_7661_6801;

/// Brings the schema up to date in one transaction: all of it or nothing; returns
/// how many migrations ran. Whoever migrates the same database at the same time
/// waits for the other: on an advisory lock on PostgreSQL, on the only writer's
/// lock on SQLite.
pub(crate) async fn migrate(db: &DatabaseConnection) -> Result<usize, DbErr> {
    let tx = db
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            .await?;
    }
    let before = pending(&tx).await?.len();
    Migrator::up(&tx, None).await?;
    tx.commit().await?;
    Ok(before)
}

/// Names of the migrations that have not run yet. Only reads: the runtime role may
/// not create the table it looks for.
///
/// # Errors
///
/// A [`DbErr`]; [`DbErr::Custom`] when the database has migrations this binary does
/// not know.
pub(crate) async fn pending(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let applied: Vec<String> = if has_run_before(db).await? {
        let rows = seaql_migrations::Entity::find().all(db).await?;
        rows.into_iter().map(|row| row.version).collect()
    } else {
        Vec::new()
    };
    let known: Vec<String> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    if applied.iter().any(|version| !known.contains(version)) {
        return Err(DbErr::Custom("unknown migration".to_owned()));
    }
    Ok(known
        .into_iter()
        .filter(|name| !applied.contains(name))
        .collect())
}

/// Whether the table of migrations is there and may be seen.
async fn has_run_before(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let backend = db.get_database_backend();
    let look = match backend {
        DbBackend::Postgres => {
            "SELECT 1 FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_name = 'seaql_migrations'"
        }
        _ => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
    };
    let found = db
        .query_one_raw(Statement::from_string(backend, look))
        .await?;
    Ok(found.is_some())
}
