//! Enrollment records and events.

mod events;
mod rows;

use gavah_domain::record::{EnrollmentRecord, supersedes};
use sea_orm::{DatabaseTransaction, EntityTrait, TransactionTrait};
use uuid::Uuid;

use crate::claim::claim;
use crate::entity::enrollment_record;
use crate::tx::Done;
use crate::{Act, ActContext, Store, StoreError};

pub use events::{EventReport, EventRow};
use rows::{find, find_locked, insert, read_row, replace, replay};

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

/// Rows stored in one transaction of a batch.
const CHUNK: usize = 100;

fn name(id: Uuid) -> String {
    format!("enrollmentRecords/{id}")
}

impl Store {
    /// Creates or replaces one record, unless the stored one is newer.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn upsert_record(&self, row: &RecordRow) -> Result<RecordOutcome, StoreError> {
        self.run_tx("upsert_record", |tx, _| {
            Box::pin(async move {
                self.upsert(tx, row).await.map(|outcome| match outcome {
                    RecordOutcome::RequestIdReused => Done::Abandon(outcome),
                    _ => Done::Commit(outcome),
                })
            })
        })
        .await
    }

    /// Creates or replaces many records, in transactions of up to 100 rows, each
    /// row behind a savepoint of its own: one row's failure is that row's
    /// outcome. When a whole transaction fails, so do its rows, and the same
    /// batch can be sent again.
    pub async fn upsert_records(
        &self,
        rows: &[RecordRow],
    ) -> Vec<Result<RecordOutcome, StoreError>> {
        let mut outcomes = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(CHUNK) {
            let order = &by_student(chunk);
            let stored = self
                .run_tx("upsert_records", |tx, _| {
                    Box::pin(async move {
                        let mut stored = Vec::with_capacity(chunk.len());
                        for &index in order {
                            stored.push((
                                index,
                                self.upsert_behind_savepoint(tx, &chunk[index]).await?,
                            ));
                        }
                        stored.sort_unstable_by_key(|(index, _)| *index);
                        Ok(Done::Commit(stored))
                    })
                })
                .await;
            match stored {
                Ok(stored) => outcomes.extend(stored.into_iter().map(|(_, outcome)| outcome)),
                Err(error) => outcomes.extend(chunk.iter().map(|_| Err(error.clone()))),
            }
        }
        outcomes
    }

    /// The row's own outcome inside, what ends the whole transaction outside.
    async fn upsert_behind_savepoint(
        &self,
        tx: &DatabaseTransaction,
        row: &RecordRow,
    ) -> Result<Result<RecordOutcome, StoreError>, StoreError> {
        let savepoint = tx.begin().await?;
        match self.upsert(&savepoint, row).await {
            Err(StoreError::Conflict) => Err(StoreError::Conflict),
            Ok(outcome) => {
                savepoint.commit().await?;
                Ok(Ok(outcome))
            }
            Err(error) => {
                savepoint.rollback().await?;
                Ok(Err(error))
            }
        }
    }

    async fn upsert(
        &self,
        tx: &DatabaseTransaction,
        row: &RecordRow,
    ) -> Result<RecordOutcome, StoreError> {
        let existing = find_locked(
            tx,
            row.record.program.institution.as_str(),
            row.record.program.student_number.as_str(),
        )
        .await?;
        let newer = existing
            .as_ref()
            .is_none_or(|existing| supersedes(existing.record.as_of_time, row.record.as_of_time));
        let id = existing.as_ref().map_or(row.id, |existing| existing.id);
        let outcome = match (&existing, newer) {
            (None, _) => "CREATED",
            (Some(_), true) => "REPLACED",
            (Some(_), false) => "KEPT_NEWER",
        };
        if let Some(claimed) = claim(tx, &row.context, &name(id), outcome).await? {
            return replay(tx, claimed).await;
        }
        let stored = StoredRecord {
            id,
            record: row.record.clone(),
        };
        match existing {
            None => {
                insert(tx, &stored).await?;
                self.append(tx, &row.context, act(&stored, "CREATE", "", row))
                    .await?;
                Ok(RecordOutcome::Created(stored))
            }
            Some(existing) if newer => {
                replace(tx, &existing, &stored).await?;
                let from = existing.record.status.as_str();
                self.append(tx, &row.context, act(&stored, "REPLACE", from, row))
                    .await?;
                Ok(RecordOutcome::Replaced(stored))
            }
            Some(existing) => Ok(RecordOutcome::KeptNewer(existing)),
        }
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

/// The order in which a transaction takes the rows: by student, so that two
/// batches over the same students wait for each other instead of deadlocking;
/// rows of one student keep theirs.
fn by_student(rows: &[RecordRow]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&index| {
        let program = &rows[index].record.program;
        (
            program.institution.as_str(),
            program.student_number.as_str(),
        )
    });
    order
}

fn act(stored: &StoredRecord, action: &'static str, from: &str, row: &RecordRow) -> Act {
    Act {
        resource: name(stored.id),
        action,
        from: from.to_owned(),
        to: stored.record.status.as_str().to_owned(),
        subject_hash: row.subject_hash.clone(),
        institution_code: stored.record.program.institution.as_str().to_owned(),
        ..Act::default()
    }
}
