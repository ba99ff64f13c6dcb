//! Lets nodes see which documents other nodes have changed.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The second migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // On SQLite the rows have an order of their own.
        if db.get_database_backend() == DbBackend::Postgres {
            // The database fills it in, for servers of the version before too. Rows
            // from before have none: nobody looks for them any more.
            db.execute_unprepared(
                "ALTER TABLE change_event ADD COLUMN tx xid8; \
                 ALTER TABLE change_event ALTER COLUMN tx SET DEFAULT pg_current_xact_id(); \
                 CREATE INDEX change_event_document ON change_event (tx) \
                 WHERE kind <> 'ISSUE' AND (resource LIKE 'validityCodes/%' \
                 OR resource LIKE 'enrollmentCertificates/%')",
            )
            .await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "issued documents are never dropped: there is no way down".to_owned(),
        ))
    }
}
