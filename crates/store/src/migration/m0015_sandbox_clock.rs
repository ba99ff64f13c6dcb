//! How far the clock of a sandbox was moved.

use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

/// The fifteenth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(
            "CREATE TABLE sandbox_clock ( \
                 id integer PRIMARY KEY CHECK (id = 1), \
                 ahead_micros bigint NOT NULL CHECK (ahead_micros >= 0)); \
             INSERT INTO sandbox_clock (id, ahead_micros) VALUES (1, 0)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "time does not go back: there is no way down".to_owned(),
        ))
    }
}
