//! What a ruling ordered and can no longer be done is closed.

use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

/// The twentieth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared(
                "ALTER TABLE dispute_action ADD COLUMN close_reason text NOT NULL DEFAULT ''",
            )
            .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "why an action was closed is never dropped: there is no way down".to_owned(),
        ))
    }
}
