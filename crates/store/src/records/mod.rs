//! Enrollment records and events.

mod events;
mod rows;
mod upsert;

use gavah_domain::record::EnrollmentRecord;
use sea_orm::EntityTrait;
use uuid::Uuid;

use crate::entity::enrollment_record;
use crate::{ActContext, Store, StoreError};

pub use events::{EventReport, EventRow};
use rows::find;
pub(crate) use rows::find_locked;
pub(crate) use rows::read_row;

/// An enrollment record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Resource id.
    pub id: Uuid,
    /// The record.
    pub record: EnrollmentRecord,
}

/// What an upsert did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    /// A new record.
    Created(StoredRecord),
    /// The stored record was replaced.
    Replaced(StoredRecord),
    /// The stored record is newer and stays.
    KeptNewer(StoredRecord),
    /// The request_id stands for another request.
    RequestIdReused,
}

/// A row to store, with the id it gets when it is new.
#[derive(Clone)]
pub struct RecordRow {
    /// Who acts.
    pub context: ActContext,
    /// Id for a new record.
    pub id: Uuid,
    /// The record.
    pub record: EnrollmentRecord,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: String,
}

const COLLECTION: &str = "enrollmentRecords";

fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}

impl Store {
    /// Creates or replaces one record, unless the stored one is newer.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn upsert_record(&self, row: &RecordRow) -> Result<RecordOutcome, StoreError> {
        self.inner.upserting.ask(self, row.clone()).await
    }

    /// Creates or replaces many records, each with an outcome of its own: rows
    /// share transactions, and one that fails does not fail its neighbours. Rows of
    /// one student are taken in their order.
    pub async fn upsert_records(
        &self,
        rows: &[RecordRow],
    ) -> Vec<Result<RecordOutcome, StoreError>> {
        self.inner.upserting.ask_all(self, rows.to_vec()).await
    }

    /// A record by its resource id.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn record(&self, id: Uuid) -> Result<Option<StoredRecord>, StoreError> {
        self.read("get_record", async {
            let row = enrollment_record::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            row.map(read_row).transpose()
        })
        .await
    }

    /// A record by institution and student number.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_record(
        &self,
        institution_code: &str,
        student_number: &str,
    ) -> Result<Option<StoredRecord>, StoreError> {
        self.read(
            "find_record",
            find(&self.inner.db, institution_code, student_number),
        )
        .await
    }
}
