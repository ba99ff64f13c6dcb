//! Service levels: working calendars, targets of calls, and the clocks of applications. A clock stands in the row of what it
//! measures, because it is written in the same transactions and never without it.

use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

use super::append_only;

/// The tables of published calendars, and when a new row doubles a stored one.
const PUBLISHED: [(&str, &str); 2] = [
    (
        "calendar_version",
        "year = NEW.year AND version = NEW.version",
    ),
    (
        "calendar_version_row",
        "year = NEW.year AND version = NEW.version AND position = NEW.position",
    ),
];

/// The tables of applications.
const APPLICATIONS: [&str; 2] = ["certificate_application", "code_application"];

/// The columns of a clock.
const CLOCK: [(&str, &str); 9] = [
    ("request_type", "text"),
    ("agreement", "text"),
    ("submit_time", "bigint"),
    ("submit_month", "integer"),
    ("due_time", "bigint"),
    ("result_time", "bigint"),
    ("result_elapsed", "bigint"),
    ("decision_time", "bigint"),
    ("decision_elapsed", "bigint"),
];

/// The sixteenth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(
            "CREATE TABLE calendar_version ( \
                 year integer NOT NULL, \
                 version integer NOT NULL CHECK (version > 0), \
                 publish_time bigint NOT NULL, \
                 PRIMARY KEY (year, version)); \
             CREATE TABLE calendar_version_row ( \
                 year integer NOT NULL, \
                 version integer NOT NULL, \
                 position integer NOT NULL, \
                 kind text NOT NULL, \
                 from_date integer NOT NULL, \
                 to_date integer NOT NULL, \
                 weekday text, \
                 opens integer, \
                 closes integer, \
                 title text NOT NULL, \
                 PRIMARY KEY (year, version, position), \
                 FOREIGN KEY (year, version) REFERENCES calendar_version (year, version)); \
             ALTER TABLE service_call ADD COLUMN sla_targets text NOT NULL DEFAULT '{}'; \
             ALTER TABLE validity_code ADD COLUMN agreement text; \
             ALTER TABLE validity_code ADD COLUMN submit_month integer; \
             CREATE INDEX validity_code_submit_month ON validity_code (submit_month) \
             WHERE submit_month IS NOT NULL",
        )
        .await?;
        for table in APPLICATIONS {
            for (column, kind) in CLOCK {
                let add = format!("ALTER TABLE {table} ADD COLUMN {column} {kind}");
                db.execute_unprepared(&add).await?;
            }
            db.execute_unprepared(&format!(
                "CREATE INDEX {table}_submit_month ON {table} (submit_month) \
                 WHERE submit_month IS NOT NULL"
            ))
            .await?;
        }
        for (table, doubled) in PUBLISHED {
            append_only::keep(db, table, doubled).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what was promised and measured is never dropped: there is no way down".to_owned(),
        ))
    }
}
