//! What is on record of a person, and of whom anything is on record at all.

use gavah_domain::TermId;
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement,
};

use crate::content::instant;
use crate::entity::{enrollment_record, validity_code};
use crate::tx::Done;
use crate::{Act, ActContext, Store, StoreError, StoredCode, StoredRecord};

/// Most documents or records of one person that are told.
const OF_A_PERSON: u64 = 100;

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

    /// Of which institutions there are enrollment records, by code. Reads every record: to be asked rarely.
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
        let sql = format!(
            "SELECT institution_code, COUNT(*) AS records, MIN(term) AS first, MAX(term) AS last, \
             MAX(receive_time) AS last_time FROM (SELECT institution_code, receive_time, {term} AS term \
             FROM enrollment_record) AS record GROUP BY institution_code ORDER BY institution_code"
        );
        self.covered("records_covered", &sql).await
    }

    /// Of which institutions there are validity codes, by code. Reads every code's index: to be asked rarely.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn codes_covered(&self) -> Result<Vec<Covered>, StoreError> {
        let sql = "SELECT institution_code, COUNT(*) AS records, NULL AS first, NULL AS last, \
             MAX(issue_time) AS last_time FROM validity_code \
             GROUP BY institution_code ORDER BY institution_code";
        self.covered("codes_covered", sql).await
    }

    async fn covered(&self, name: &'static str, sql: &str) -> Result<Vec<Covered>, StoreError> {
        self.read(name, async {
            let backend = self.inner.db.get_database_backend();
            let rows = self
                .inner
                .db
                .query_all_raw(Statement::from_string(backend, sql))
                .await?;
            let read = |row: &sea_orm::QueryResult| {
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
            };
            rows.iter().map(read).collect()
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
