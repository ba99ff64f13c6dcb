//! Files that come with applications: what is known of each, who sent it, and what it belongs to.

use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

/// The ninth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(
            "CREATE TABLE attachment ( \
                 sha256 text PRIMARY KEY, \
                 media_type text NOT NULL, \
                 size_bytes bigint NOT NULL, \
                 state text NOT NULL, \
                 create_time bigint NOT NULL, \
                 loose_since bigint); \
             CREATE INDEX attachment_loose ON attachment (loose_since) \
             WHERE loose_since IS NOT NULL; \
             CREATE TABLE attachment_upload ( \
                 sha256 text NOT NULL REFERENCES attachment (sha256), \
                 uploader text NOT NULL, \
                 upload_time bigint NOT NULL, \
                 PRIMARY KEY (sha256, uploader)); \
             CREATE TABLE attachment_use ( \
                 sha256 text NOT NULL REFERENCES attachment (sha256), \
                 resource text NOT NULL, \
                 institution_code text NOT NULL, \
                 PRIMARY KEY (sha256, resource)); \
             CREATE INDEX attachment_use_resource ON attachment_use (resource)",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what belongs to an application is never dropped: there is no way down".to_owned(),
        ))
    }
}
