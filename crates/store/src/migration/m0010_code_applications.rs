//! Applications for validity codes that are decided in stages.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The tenth migration.
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
            "CREATE TABLE code_application ( \
                 id {uuid} PRIMARY KEY, \
                 institution_code text NOT NULL, \
                 person_key text NOT NULL, \
                 open_key text UNIQUE, \
                 state text NOT NULL, \
                 content text NOT NULL, \
                 history text NOT NULL, \
                 code_id {uuid} REFERENCES validity_code (id), \
                 pay_until bigint, \
                 create_time bigint NOT NULL, \
                 update_time bigint NOT NULL, \
                 version bigint NOT NULL); \
             CREATE INDEX code_application_newest ON code_application (create_time, id); \
             CREATE INDEX code_application_of ON code_application (institution_code, create_time, id); \
             CREATE INDEX code_application_pay_until ON code_application (pay_until) \
             WHERE pay_until IS NOT NULL"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "applications are never dropped: there is no way down".to_owned(),
        ))
    }
}
