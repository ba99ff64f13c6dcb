//! The ground: registry, records, documents, audit.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

use super::append_only;

/// The tables of the audit, and when a new row doubles a stored one.
const AUDIT: [(&str, &str); 3] = [
    ("audit_entry", "id = NEW.id"),
    ("change_event", "entry_id = NEW.entry_id"),
    ("audit_chain", "seq = NEW.seq OR entry_id = NEW.entry_id"),
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
        for (table, doubled) in AUDIT {
            append_only::keep(db, table, doubled).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "issued documents are never dropped: there is no way down".to_owned(),
        ))
    }
}
