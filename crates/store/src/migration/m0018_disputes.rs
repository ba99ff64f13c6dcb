//! Disputes, their messages, and what rulings order.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The eighteenth migration.
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
        // `resource` is the id's name again, so that the feed can be asked for the events of a consumer's disputes.
        db.execute_unprepared(&format!(
            "CREATE TABLE dispute ( \
                 id {uuid} PRIMARY KEY, \
                 resource text NOT NULL UNIQUE, \
                 subject text NOT NULL, \
                 consumer text NOT NULL, \
                 through text NOT NULL, \
                 state text NOT NULL, \
                 opened_by text NOT NULL, \
                 statement text NOT NULL, \
                 deadline bigint NOT NULL, \
                 consumer_stance text NOT NULL, \
                 provider_stance text NOT NULL, \
                 messages integer NOT NULL, \
                 ruling text, \
                 create_time bigint NOT NULL, \
                 update_time bigint NOT NULL, \
                 version bigint NOT NULL); \
             CREATE UNIQUE INDEX dispute_open ON dispute (subject, consumer, through) \
             WHERE state IN ('OPEN', 'NEGOTIATION'); \
             CREATE INDEX dispute_newest ON dispute (create_time, id); \
             CREATE INDEX dispute_of ON dispute (consumer, create_time, id); \
             CREATE TABLE dispute_message ( \
                 dispute_id {uuid} NOT NULL REFERENCES dispute (id), \
                 number integer NOT NULL, \
                 party text NOT NULL, \
                 author text NOT NULL, \
                 message text NOT NULL, \
                 create_time bigint NOT NULL, \
                 PRIMARY KEY (dispute_id, number)); \
             CREATE TABLE dispute_action ( \
                 dispute_id {uuid} NOT NULL REFERENCES dispute (id), \
                 number integer NOT NULL, \
                 act text NOT NULL, \
                 target text NOT NULL, \
                 note text NOT NULL, \
                 result text NOT NULL, \
                 done_by text NOT NULL, \
                 done_time bigint, \
                 PRIMARY KEY (dispute_id, number)); \
             CREATE INDEX dispute_action_target ON dispute_action (target); \
             CREATE INDEX dispute_action_result ON dispute_action (result) WHERE result <> ''"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "disputes are never dropped: there is no way down".to_owned(),
        ))
    }
}
