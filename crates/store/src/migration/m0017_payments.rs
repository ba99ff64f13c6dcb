//! Payments, what they pay for, and what is paid back.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The seventeenth migration.
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
            "CREATE TABLE payment ( \
                 id {uuid} PRIMARY KEY, \
                 gateway text NOT NULL, \
                 service text NOT NULL, \
                 institution_code text NOT NULL, \
                 caller_id text NOT NULL, \
                 person_key text NOT NULL, \
                 amount bigint NOT NULL CHECK (amount > 0), \
                 state text NOT NULL, \
                 authority text, \
                 reference text, \
                 fee bigint, \
                 callback_url text NOT NULL, \
                 failure text NOT NULL, \
                 expire_time bigint NOT NULL, \
                 look_time bigint, \
                 looks integer NOT NULL, \
                 verify_time bigint, \
                 settle_time bigint, \
                 create_time bigint NOT NULL, \
                 update_time bigint NOT NULL, \
                 version bigint NOT NULL); \
             CREATE UNIQUE INDEX payment_authority ON payment (gateway, authority); \
             CREATE UNIQUE INDEX payment_reference ON payment (gateway, reference); \
             CREATE INDEX payment_look ON payment (look_time) WHERE look_time IS NOT NULL; \
             CREATE INDEX payment_verified ON payment (verify_time) WHERE verify_time IS NOT NULL; \
             CREATE INDEX payment_created ON payment (create_time, id); \
             CREATE INDEX payment_institution ON payment (institution_code, create_time, id); \
             CREATE INDEX payment_person ON payment (person_key, create_time, id) WHERE person_key <> ''; \
             CREATE TABLE payment_line ( \
                 payment_id {uuid} NOT NULL REFERENCES payment (id), \
                 position integer NOT NULL, \
                 application text NOT NULL, \
                 amount bigint NOT NULL CHECK (amount > 0), \
                 unit text NOT NULL, \
                 state text NOT NULL, \
                 open_application text, \
                 next_time bigint, \
                 refund_id {uuid}, \
                 PRIMARY KEY (payment_id, position)); \
             CREATE UNIQUE INDEX payment_line_open ON payment_line (open_application); \
             CREATE INDEX payment_line_application ON payment_line (application); \
             CREATE INDEX payment_line_next ON payment_line (next_time) WHERE next_time IS NOT NULL; \
             CREATE TABLE payment_refund ( \
                 id {uuid} PRIMARY KEY, \
                 payment_id {uuid} NOT NULL REFERENCES payment (id), \
                 amount bigint NOT NULL CHECK (amount > 0), \
                 state text NOT NULL, \
                 method text NOT NULL, \
                 reference text NOT NULL, \
                 reason text NOT NULL, \
                 actor text NOT NULL, \
                 create_time bigint NOT NULL, \
                 update_time bigint NOT NULL); \
             CREATE INDEX payment_refund_payment ON payment_refund (payment_id)"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what was paid is never dropped: there is no way down".to_owned(),
        ))
    }
}
