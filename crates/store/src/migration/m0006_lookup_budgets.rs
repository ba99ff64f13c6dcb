//! What callers have spent of their budgets of lookups.

use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

/// The sixth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(
            "CREATE TABLE lookup_budget ( \
                 caller_id text NOT NULL, \
                 day integer NOT NULL, \
                 negatives bigint NOT NULL, \
                 subjects bigint NOT NULL, \
                 PRIMARY KEY (caller_id, day)); \
             CREATE TABLE lookup_subject ( \
                 caller_id text NOT NULL, \
                 day integer NOT NULL, \
                 subject bigint NOT NULL, \
                 PRIMARY KEY (caller_id, day, subject))",
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
