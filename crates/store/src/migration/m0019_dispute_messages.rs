//! What was said in a dispute stays as it was said.

use sea_orm_migration::prelude::*;

use super::append_only;

/// The nineteenth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        append_only::keep(
            manager.get_connection(),
            "dispute_message",
            "dispute_id = NEW.dispute_id AND number = NEW.number",
        )
        .await
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what was said is never changed: there is no way down".to_owned(),
        ))
    }
}
