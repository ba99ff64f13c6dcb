//! Applications that are decided in stages, and certificates that replace others.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The fifth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let uuid = match db.get_database_backend() {
            DbBackend::Postgres => "uuid",
            _ => "blob",
        };
        // SQLite adds one column a statement.
        let columns = [
            (
                "certificate_application",
                "version bigint NOT NULL DEFAULT 1".to_owned(),
            ),
            ("certificate_application", "pay_until bigint".to_owned()),
            (
                "application_step",
                "decider text NOT NULL DEFAULT ''".to_owned(),
            ),
            (
                "application_step",
                "decider_hash text NOT NULL DEFAULT ''".to_owned(),
            ),
            (
                "application_step",
                "reason text NOT NULL DEFAULT ''".to_owned(),
            ),
            (
                "application_step",
                "remarks text NOT NULL DEFAULT '[]'".to_owned(),
            ),
            (
                "enrollment_certificate",
                format!("supersedes {uuid} REFERENCES enrollment_certificate (id)"),
            ),
        ];
        for (table, column) in columns {
            db.execute_unprepared(&format!("ALTER TABLE {table} ADD COLUMN {column}"))
                .await?;
        }
        db.execute_unprepared(
            "CREATE INDEX certificate_application_pay_until ON certificate_application (pay_until) \
             WHERE pay_until IS NOT NULL; \
             CREATE INDEX enrollment_certificate_supersedes ON enrollment_certificate (supersedes) \
             WHERE supersedes IS NOT NULL",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "issued documents are never dropped: there is no way down".to_owned(),
        ))
    }
}
