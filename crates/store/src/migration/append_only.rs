//! Triggers that keep the rows of a table as they were written.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

/// Refuses every change of the table's rows, on both engines. `doubled` tells when a new row doubles a stored one: SQLite's
/// `INSERT OR REPLACE` deletes rows past the triggers that watch deletions.
pub(super) async fn keep(
    db: &impl ConnectionTrait,
    table: &str,
    doubled: &str,
) -> Result<(), DbErr> {
    let triggers = match db.get_database_backend() {
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
    Ok(())
}
