//! Revocations of many documents.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The seventh migration.
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
            "CREATE TABLE incident ( \
                 id {uuid} PRIMARY KEY, \
                 state text NOT NULL, \
                 selection text NOT NULL, \
                 reason text NOT NULL, \
                 legal_basis text NOT NULL, \
                 selected bigint NOT NULL, \
                 revoked bigint NOT NULL, \
                 proposer text NOT NULL, \
                 proposer_hash text NOT NULL, \
                 approver text NOT NULL, \
                 approved_by text NOT NULL, \
                 approve_time bigint, \
                 lease_until bigint, \
                 create_time bigint NOT NULL, \
                 update_time bigint NOT NULL, \
                 version bigint NOT NULL); \
             CREATE INDEX incident_newest ON incident (create_time); \
             CREATE INDEX application_step_decider ON application_step (decider) \
             WHERE decider <> ''"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "issued documents are never dropped: there is no way down".to_owned(),
        ))
    }
}
