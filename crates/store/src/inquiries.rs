//! What is on record of a person, and of whom anything is on record at all.

use std::collections::BTreeMap;

use gavah_domain::TermId;
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, Statement, Value,
};
use uuid::Uuid;

use crate::content::instant;
use crate::entity::{enrollment_record, validity_code};
use crate::tx::Done;
use crate::{Act, ActContext, Store, StoreError, StoredCode, StoredRecord};

/// Most documents or records of one person that are told.
const OF_A_PERSON: u64 = 100;

/// Rows that are counted in one statement: read within a small part of a statement's time even from a slow disk.
const COUNTED_TOGETHER: u32 = 10_000;

/// What is on record of an institution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// Institution code.
    pub institution_code: String,
    /// How many records, or codes.
    pub records: i64,
    /// The first and the last current term among them; none of codes.
    pub terms: Option<(TermId, TermId)>,
    /// When the last of them came.
    pub last_time: Timestamp,
}

impl Store {
    /// The validity codes of a person, newest first, at most a hundred.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn codes_of_person(&self, person_key: &str) -> Result<Vec<StoredCode>, StoreError> {
        use validity_code::Column;
        self.read("find_codes_of_person", async {
            let rows = validity_code::Entity::find()
                .filter(Column::PersonKey.eq(person_key))
                .order_by_desc(Column::IssueTime)
                .order_by_asc(Column::Id)
                .limit(OF_A_PERSON)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(crate::codes::read_row).collect()
        })
        .await
    }

    /// The enrollment records of a person, newest first, at most a hundred.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn records_of_person(
        &self,
        person_key: &str,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        use enrollment_record::Column;
        self.read("find_records_of_person", async {
            let rows = enrollment_record::Entity::find()
                .filter(Column::PersonKey.eq(person_key))
                .order_by_desc(Column::ReceiveTime)
                .order_by_asc(Column::Id)
                .limit(OF_A_PERSON)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(crate::records::read_row).collect()
        })
        .await
    }

    /// Of which institutions there are enrollment records, by code. Reads every record, in parts: to be asked rarely, and
    /// by nobody who is in a hurry. What comes meanwhile may be counted or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn records_covered(&self) -> Result<Vec<Covered>, StoreError> {
        let term = match self.inner.db.get_database_backend() {
            DbBackend::Postgres => "(content::json->>'current_term') COLLATE \"C\"",
            _ => "json_extract(content, '$.current_term')",
        };
        // Kinds of term sort as they follow each other within a year.
        let figures =
            format!("MIN({term}) AS first, MAX({term}) AS last, MAX(receive_time) AS last_time");
        self.covered("records_covered", "enrollment_record", &figures)
            .await
    }

    /// Of which institutions there are validity codes, by code. As [`Store::records_covered`].
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn codes_covered(&self) -> Result<Vec<Covered>, StoreError> {
        let figures = "NULL AS first, NULL AS last, MAX(issue_time) AS last_time";
        self.covered("codes_covered", "validity_code", figures)
            .await
    }

    /// Goes through a table by its ids, so that each row is counted once.
    async fn covered(
        &self,
        name: &'static str,
        table: &str,
        figures: &str,
    ) -> Result<Vec<Covered>, StoreError> {
        let part_ends = format!(
            "SELECT id FROM {table} WHERE id > $1 ORDER BY id LIMIT 1 OFFSET {}",
            COUNTED_TOGETHER - 1
        );
        let count = |until: &str| {
            format!(
                "SELECT institution_code, COUNT(*) AS records, {figures} FROM {table} \
                 WHERE id > $1{until} GROUP BY institution_code"
            )
        };
        let (part, rest) = (count(" AND id <= $2"), count(""));
        let mut covered = BTreeMap::new();
        let mut after = Uuid::nil();
        loop {
            let ends = self.rows(name, &part_ends, vec![after.into()]).await?;
            let end: Option<Uuid> = match ends.first() {
                Some(row) => Some(row.try_get("", "id")?),
                None => None,
            };
            let counted = match end {
                Some(end) => {
                    self.rows(name, &part, vec![after.into(), end.into()])
                        .await?
                }
                None => self.rows(name, &rest, vec![after.into()]).await?,
            };
            for row in &counted {
                let institution = read_covered(row)?;
                covered
                    .entry(institution.institution_code.clone())
                    .and_modify(|known: &mut Covered| known.add(&institution))
                    .or_insert(institution);
            }
            match end {
                Some(end) => after = end,
                None => return Ok(covered.into_values().collect()),
            }
        }
    }

    async fn rows(
        &self,
        name: &'static str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        self.read(name, async {
            let db = &self.inner.db;
            let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
            Ok(db.query_all_raw(statement).await?)
        })
        .await
    }

    /// Puts an inquiry on record.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn note_inquiry(&self, context: &ActContext, act: &Act) -> Result<(), StoreError> {
        self.run_tx("note_inquiry", |tx, _| {
            Box::pin(async move {
                self.append(tx, context, act.clone()).await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }
}

impl Covered {
    /// With what another part of the table has of the same institution.
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.last_time = self.last_time.max(other.last_time);
        self.terms = match (self.terms, other.terms) {
            (Some((first, last)), Some((other_first, other_last))) => {
                Some((first.min(other_first), last.max(other_last)))
            }
            (own, other) => own.or(other),
        };
    }
}

fn read_covered(row: &QueryResult) -> Result<Covered, StoreError> {
    let term = |column| -> Result<Option<TermId>, StoreError> {
        let text: Option<String> = row.try_get("", column)?;
        let term = text.map(|text| TermId::parse(&text)).transpose();
        term.map_err(|_| StoreError::Corrupt("term"))
    };
    Ok(Covered {
        institution_code: row.try_get("", "institution_code")?,
        records: row.try_get("", "records")?,
        terms: term("first")?.zip(term("last")?),
        last_time: instant(row.try_get("", "last_time")?)?,
    })
}
