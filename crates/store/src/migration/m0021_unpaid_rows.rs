//! Rows of jobs whose codes have a fee: they have an application that waits for its payment.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The twenty-first migration.
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
        db.execute_unprepared(&format!(
            "ALTER TABLE issuance_job ADD COLUMN unpaid integer NOT NULL DEFAULT 0; \
             ALTER TABLE issuance_job_row ADD COLUMN application_id {uuid}"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what came of a row is never dropped: there is no way down".to_owned(),
        ))
    }
}
