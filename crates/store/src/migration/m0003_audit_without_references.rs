//! Takes the references to audit entries away on PostgreSQL. Entries are never
//! changed nor deleted, which triggers and grants see to, and the rows that name one
//! are inserted in the same statement; walking the chain tells of a link without its
//! entry, of an entry without its event, and of one that waits nowhere. Checking each
//! reference again cost every act three lookups and three locks.

use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;

/// The third migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // SQLite takes no constraint away, and checks it in the same file without a lock.
        if db.get_database_backend() == DbBackend::Postgres {
            db.execute_unprepared(
                "ALTER TABLE audit_pending DROP CONSTRAINT audit_pending_entry_id_fkey; \
                 ALTER TABLE change_event DROP CONSTRAINT change_event_entry_id_fkey; \
                 ALTER TABLE audit_chain DROP CONSTRAINT audit_chain_entry_id_fkey",
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
