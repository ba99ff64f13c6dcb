//! The ground: registry, records, documents, audit.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

use super::APPEND_ONLY;

/// For each append-only table, when a new row doubles a stored one. SQLite's
/// INSERT OR REPLACE deletes rows past the triggers that watch deletions.
const DOUBLED: [&str; APPEND_ONLY.len()] = [
    "id = NEW.id",
    "entry_id = NEW.entry_id",
    "seq = NEW.seq OR entry_id = NEW.entry_id",
];

/// The first migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = db.get_database_backend();
        let (uuid, bytes, boolean) = match backend {
            DbBackend::Postgres => ("uuid", "bytea", "boolean"),
            _ => ("blob", "blob", "boolean"),
        };
        let schema = include_str!("m0001_ground.sql")
            .replace("@uuid", uuid)
            .replace("@bytes", bytes)
            .replace("@bool", boolean)
            .replace("@i64", "bigint");
        db.execute_unprepared(&schema).await?;
        if backend == DbBackend::Postgres {
            db.execute_unprepared(
                "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'append-only table'; END $$",
            )
            .await?;
        }
        for (table, doubled) in APPEND_ONLY.into_iter().zip(DOUBLED) {
            let triggers = match backend {
                DbBackend::Postgres => format!(
                    "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} \
                     FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
                ),
                _ => format!(
                    "CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} \
                     BEGIN SELECT RAISE(ABORT, 'append-only table'); END; \
                     CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} \
                     BEGIN SELECT RAISE(ABORT, 'append-only table'); END; \
                     CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} \
                     WHEN EXISTS (SELECT 1 FROM {table} WHERE {doubled}) \
                     BEGIN SELECT RAISE(ABORT, 'append-only table'); END;"
                ),
            };
            db.execute_unprepared(&triggers).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "issued documents are never dropped: there is no way down".to_owned(),
        ))
    }
}
