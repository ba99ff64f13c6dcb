//! The documents by which the services are provided.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The twelfth migration.
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
            "CREATE TABLE service_document ( \
                 id {uuid} PRIMARY KEY, \
                 document_key text NOT NULL, \
                 edition integer NOT NULL, \
                 service text NOT NULL, \
                 kind text NOT NULL, \
                 title_fa text NOT NULL, \
                 title_en text NOT NULL, \
                 parent {uuid} REFERENCES service_document (id), \
                 sha256 text NOT NULL, \
                 size_bytes bigint NOT NULL, \
                 state text NOT NULL, \
                 publication bigint UNIQUE, \
                 superseded_by bigint, \
                 uploader text NOT NULL, \
                 create_time bigint NOT NULL, \
                 publish_time bigint, \
                 version bigint NOT NULL, \
                 UNIQUE (document_key, edition)); \
             CREATE UNIQUE INDEX service_document_in_force ON service_document (document_key) \
             WHERE state = 'PUBLISHED'"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what requests ran under is never dropped: there is no way down".to_owned(),
        ))
    }
}
