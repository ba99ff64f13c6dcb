//! Codes that were issued before this service.

use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

/// The eighth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(
            "ALTER TABLE validity_code ADD COLUMN legacy boolean NOT NULL DEFAULT false",
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
