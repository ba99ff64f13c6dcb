//! Agreements that are asked for, decided on and ended over the wire; their texts; how often they are used.

use sea_orm::ConnectionTrait;
use sea_orm_migration::prelude::*;

/// The thirteenth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What an agreement loaded before could be used for and be told: all that its class is, as it was then.
const BEFORE: [&str; 2] = [
    r#"["ISSUE","VALIDATE","MATCH"]"#,
    r#"["DOCUMENT","INSTITUTION","PROGRAM","NAME","RESOURCE"]"#,
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let [purposes, fields] = BEFORE;
        for statement in [
            "ALTER TABLE service_call ADD COLUMN version bigint NOT NULL DEFAULT 1".to_owned(),
            "ALTER TABLE agreement ADD COLUMN through text".to_owned(),
            "ALTER TABLE agreement ADD COLUMN end_reason text".to_owned(),
            format!("ALTER TABLE agreement ADD COLUMN fields text NOT NULL DEFAULT '{fields}'"),
            "ALTER TABLE agreement ADD COLUMN daily_calls bigint".to_owned(),
            "ALTER TABLE agreement ADD COLUMN burst bigint".to_owned(),
            "ALTER TABLE agreement ADD COLUMN text_version integer NOT NULL DEFAULT 0".to_owned(),
            "ALTER TABLE agreement ADD COLUMN accepted_by text NOT NULL DEFAULT ''".to_owned(),
            "ALTER TABLE agreement ADD COLUMN accept_time bigint".to_owned(),
            "ALTER TABLE agreement ADD COLUMN create_time bigint NOT NULL DEFAULT 0".to_owned(),
            "ALTER TABLE agreement ADD COLUMN update_time bigint NOT NULL DEFAULT 0".to_owned(),
            "ALTER TABLE agreement ADD COLUMN version bigint NOT NULL DEFAULT 1".to_owned(),
            format!("UPDATE agreement SET purposes = '{purposes}'"),
            "CREATE TABLE agreement_text ( \
                 service text NOT NULL, \
                 version integer NOT NULL, \
                 edit_date integer NOT NULL, \
                 title_fa text NOT NULL, \
                 parent_fa text NOT NULL, \
                 clauses text NOT NULL, \
                 PRIMARY KEY (service, version))"
                .to_owned(),
            "CREATE TABLE agreement_use ( \
                 agreement_id text NOT NULL, \
                 day integer NOT NULL, \
                 calls bigint NOT NULL, \
                 PRIMARY KEY (agreement_id, day))"
                .to_owned(),
        ] {
            db.execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what was agreed on is never dropped: there is no way down".to_owned(),
        ))
    }
}
