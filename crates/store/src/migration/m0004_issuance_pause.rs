//! Pauses of issuing.

use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

/// The fourth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // An institution's code, or none for all of them, so there is no reference.
        db.execute_unprepared(
            "CREATE TABLE issuance_pause ( \
                 service text NOT NULL, \
                 institution_code text NOT NULL, \
                 in_force boolean NOT NULL, \
                 reason text NOT NULL, \
                 pause_time bigint NOT NULL, \
                 paused_by text NOT NULL, \
                 PRIMARY KEY (service, institution_code))",
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
