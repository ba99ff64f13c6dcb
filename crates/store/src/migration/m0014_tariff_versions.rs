//! Tariff tables are published in versions that never change. Tables loaded before become version 1 of their year; the
//! tables they came from stay for servers of the release before and are not written any more.

use gavah_domain::Money;
use gavah_domain::tariff::{TariffRow, TariffYear};
use sea_orm::{ConnectionTrait, Statement, TryGetable};
use sea_orm_migration::prelude::*;

use super::append_only;
use crate::StoreError;
use crate::content::known;
use crate::tariffs::sha256;

/// The tables of published tariffs, and when a new row doubles a stored one.
const PUBLISHED: [(&str, &str); 2] = [
    (
        "tariff_version",
        "year = NEW.year AND version = NEW.version",
    ),
    (
        "tariff_version_row",
        "year = NEW.year AND version = NEW.version AND position = NEW.position",
    ),
];

/// The fourteenth migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared(
            "CREATE TABLE tariff_version ( \
                 year integer NOT NULL, \
                 version integer NOT NULL CHECK (version > 0), \
                 legal_reference text NOT NULL, \
                 digest text NOT NULL, \
                 publish_time bigint, \
                 PRIMARY KEY (year, version)); \
             CREATE TABLE tariff_version_row ( \
                 year integer NOT NULL, \
                 version integer NOT NULL, \
                 position integer NOT NULL, \
                 service text NOT NULL, \
                 request_type text, \
                 institution_type text, \
                 from_date integer, \
                 amount bigint NOT NULL CHECK (amount >= 0), \
                 unit text NOT NULL, \
                 legal_reference text NOT NULL, \
                 PRIMARY KEY (year, version, position), \
                 FOREIGN KEY (year, version) REFERENCES tariff_version (year, version))",
        )
        .await?;
        take_over(db).await?;
        for (table, doubled) in PUBLISHED {
            append_only::keep(db, table, doubled).await?;
        }
        Ok(())
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration(
            "what quotes rest on is never dropped: there is no way down".to_owned(),
        ))
    }
}

/// Copies the tables loaded before. The digest is the only thing that a statement alone cannot make.
async fn take_over(db: &SchemaManagerConnection<'_>) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let all = |sql: &str| Statement::from_string(backend, sql.to_owned());
    let rows = db
        .query_all_raw(all(
            "SELECT year, service, request_type, institution_type, amount, unit, legal_reference \
             FROM tariff_row ORDER BY id",
        ))
        .await?;
    let years = db
        .query_all_raw(all("SELECT year, legal_reference FROM tariff_year"))
        .await?;
    for found in years {
        let mut table = TariffYear {
            year: get(&found, "year")?,
            version: 1,
            legal_reference: get(&found, "legal_reference")?,
            digest: String::new(),
            publish_time: None,
            rows: Vec::new(),
        };
        for row in &rows {
            if get::<i32>(row, "year")? == table.year {
                table.rows.push(read(row)?);
            }
        }
        let insert = Statement::from_sql_and_values(
            backend,
            "INSERT INTO tariff_version (year, version, legal_reference, digest) VALUES ($1, 1, $2, $3)",
            [
                table.year.into(),
                table.legal_reference.clone().into(),
                sha256(&table.canonical_text()).into(),
            ],
        );
        db.execute_raw(insert).await?;
    }
    db.execute_unprepared(
        "INSERT INTO tariff_version_row (year, version, position, service, request_type, \
             institution_type, amount, unit, legal_reference) \
         SELECT year, 1, row_number() OVER (PARTITION BY year ORDER BY id), service, request_type, \
             institution_type, amount, unit, legal_reference FROM tariff_row",
    )
    .await?;
    Ok(())
}

fn read(row: &sea_orm::QueryResult) -> Result<TariffRow, DbErr> {
    let corrupt = |error: StoreError| DbErr::Migration(error.to_string());
    let kind: Option<String> = get(row, "institution_type")?;
    let kind = kind.map(|kind| known(&kind, "tariff_row.institution_type"));
    Ok(TariffRow {
        service: known(&get::<String>(row, "service")?, "tariff_row.service").map_err(corrupt)?,
        request_type: get(row, "request_type")?,
        institution_type: kind.transpose().map_err(corrupt)?,
        from_date: None,
        fee: Money::new(
            get(row, "amount")?,
            known(&get::<String>(row, "unit")?, "tariff_row.unit").map_err(corrupt)?,
        ),
        legal_reference: get(row, "legal_reference")?,
    })
}

fn get<T: TryGetable>(row: &sea_orm::QueryResult, column: &str) -> Result<T, DbErr> {
    row.try_get("", column)
}
