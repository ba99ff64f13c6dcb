//! Jobs that issue validity codes from a file.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The eleventh migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let (uuid, bytes) = match db.get_database_backend() {
            DbBackend::Postgres => ("uuid", "bytea"),
            _ => ("blob", "blob"),
        };
        db.execute_unprepared(&format!(
            "CREATE TABLE issuance_job ( \
                 id {uuid} PRIMARY KEY, \
                 caller_id text NOT NULL, \
                 institution_code text NOT NULL, \
                 label text NOT NULL, \
                 state text NOT NULL, \
                 total integer NOT NULL, \
                 issued integer NOT NULL, \
                 failed integer NOT NULL, \
                 max_error_percent integer, \
                 stop_reason text NOT NULL, \
                 lease_until bigint NOT NULL, \
                 create_time bigint NOT NULL, \
                 update_time bigint NOT NULL, \
                 end_time bigint, \
                 version bigint NOT NULL); \
             CREATE INDEX issuance_job_open ON issuance_job (update_time) WHERE end_time IS NULL; \
             CREATE INDEX issuance_job_newest ON issuance_job (create_time); \
             CREATE TABLE issuance_job_row ( \
                 job_id {uuid} NOT NULL REFERENCES issuance_job (id), \
                 sequence bigint NOT NULL, \
                 state text NOT NULL, \
                 request {bytes} NOT NULL, \
                 code_id {uuid}, \
                 status {bytes}, \
                 PRIMARY KEY (job_id, sequence)); \
             CREATE INDEX issuance_job_row_pending ON issuance_job_row (job_id, sequence) \
             WHERE state = 'PENDING'"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what came of a row is never dropped: there is no way down".to_owned(),
        ))
    }
}
