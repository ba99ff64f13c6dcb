//! Enrollment records and events.

use gavah_domain::JalaliDate;
use gavah_domain::program::StudentNumber;
use gavah_domain::record::{EnrollmentEventKind, EnrollmentRecord, supersedes};
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set,
    TransactionTrait,
};
use uuid::Uuid;

use crate::claim::claim;
use crate::content::{RecordJson, from_json, to_json};
use crate::entity::{enrollment_event, enrollment_record};
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError};

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

/// An enrollment event to store.
#[derive(Clone)]
pub struct EventRow {
    /// Id of the event.
    pub id: Uuid,
    /// Institution code.
    pub institution_code: String,
    /// Student number.
    pub student_number: StudentNumber,
    /// What happened.
    pub kind: EnrollmentEventKind,
    /// In effect from.
    pub effective_date: JalaliDate,
    /// True as of.
    pub as_of_time: Timestamp,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventReport {
    /// The record after the event, and whether the event changed it.
    Done {
        /// The record.
        record: Box<StoredRecord>,
        /// False when the record is newer than the event.
        applied: bool,
    },
    /// There is no record of this student.
    NotFound,
    /// The request_id stands for another request.
    RequestIdReused,
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
        self.run_tx("upsert_record", async |tx| {
            self.upsert(tx, row).await.map(|outcome| match outcome {
                RecordOutcome::RequestIdReused => Done::Abandon(outcome),
                _ => Done::Commit(outcome),
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
            let stored = self
                .run_tx("upsert_records", async |tx| {
                    let mut outcomes = Vec::with_capacity(chunk.len());
                    for row in chunk {
                        let savepoint = tx.begin().await?;
                        match self.upsert(&savepoint, row).await {
                            Err(StoreError::Conflict) => return Err(StoreError::Conflict),
                            Ok(outcome) => {
                                savepoint.commit().await?;
                                outcomes.push(Ok(outcome));
                            }
                            Err(error) => {
                                savepoint.rollback().await?;
                                outcomes.push(Err(error));
                            }
                        }
                    }
                    Ok(Done::Commit(outcomes))
                })
                .await;
            match stored {
                Ok(stored) => outcomes.extend(stored),
                Err(error) => outcomes.extend(chunk.iter().map(|_| Err(error.clone()))),
            }
        }
        outcomes
    }

    async fn upsert(
        &self,
        tx: &DatabaseTransaction,
        row: &RecordRow,
    ) -> Result<RecordOutcome, StoreError> {
        let existing = find(
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

    /// Keeps an event and, unless the record is newer, sets the record's status.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn report_event(
        &self,
        context: &ActContext,
        event: &EventRow,
        subject_hash: &(dyn Fn(&EnrollmentRecord) -> String + Sync),
    ) -> Result<EventReport, StoreError> {
        self.run_tx("report_event", async |tx| {
            let Some(existing) =
                find(tx, &event.institution_code, event.student_number.as_str()).await?
            else {
                return Ok(Done::Abandon(EventReport::NotFound));
            };
            let applied = supersedes(existing.record.as_of_time, event.as_of_time);
            let outcome = if applied { "APPLIED" } else { "KEPT_NEWER" };
            match claim(tx, context, &name(existing.id), outcome).await? {
                Some(Claimed::Reused) => return Ok(Done::Abandon(EventReport::RequestIdReused)),
                Some(Claimed::Replay { outcome, .. }) => {
                    let applied = outcome == "APPLIED";
                    return Ok(Done::Abandon(EventReport::Done {
                        record: Box::new(existing),
                        applied,
                    }));
                }
                None => {}
            }
            enrollment_event::Entity::insert(enrollment_event::ActiveModel {
                id: Set(event.id),
                record_id: Set(existing.id),
                kind: Set(event.kind.as_str().to_owned()),
                effective_date: Set(event.effective_date.as_i32()),
                as_of_time: Set(event.as_of_time.as_microsecond()),
                receive_time: Set(context.now.as_microsecond()),
                applied: Set(applied),
            })
            .exec_without_returning(tx)
            .await?;
            let mut stored = existing.clone();
            if applied {
                stored.record.status = event.kind.status();
                stored.record.status_effective_date = Some(event.effective_date);
                stored.record.as_of_time = event.as_of_time;
                stored.record.receive_time = context.now;
                replace(tx, &existing, &stored).await?;
            }
            let act = Act {
                resource: name(existing.id),
                action: "EVENT",
                from: existing.record.status.as_str().to_owned(),
                to: stored.record.status.as_str().to_owned(),
                reason: event.kind.as_str().to_owned(),
                subject_hash: subject_hash(&existing.record),
                institution_code: event.institution_code.clone(),
                ..Act::default()
            };
            self.append(tx, context, act).await?;
            Ok(Done::Commit(EventReport::Done {
                record: Box::new(stored),
                applied,
            }))
        })
        .await
    }
}

async fn replay(tx: &DatabaseTransaction, claimed: Claimed) -> Result<RecordOutcome, StoreError> {
    let Claimed::Replay { resource, outcome } = claimed else {
        return Ok(RecordOutcome::RequestIdReused);
    };
    let id = resource
        .strip_prefix("enrollmentRecords/")
        .and_then(|id| id.parse::<Uuid>().ok())
        .ok_or(StoreError::Corrupt("request_claim.resource"))?;
    let row = enrollment_record::Entity::find_by_id(id)
        .one(tx)
        .await?
        .ok_or(StoreError::Corrupt("enrollment_record is missing"))?;
    let stored = read_row(row)?;
    match outcome.as_str() {
        "CREATED" => Ok(RecordOutcome::Created(stored)),
        "REPLACED" => Ok(RecordOutcome::Replaced(stored)),
        "KEPT_NEWER" => Ok(RecordOutcome::KeptNewer(stored)),
        _ => Err(StoreError::Corrupt("request_claim.outcome")),
    }
}

async fn find(
    db: &impl ConnectionTrait,
    institution_code: &str,
    student_number: &str,
) -> Result<Option<StoredRecord>, StoreError> {
    let row = enrollment_record::Entity::find()
        .filter(enrollment_record::Column::InstitutionCode.eq(institution_code))
        .filter(enrollment_record::Column::StudentNumber.eq(student_number))
        .one(db)
        .await?;
    row.map(read_row).transpose()
}

async fn insert(tx: &DatabaseTransaction, stored: &StoredRecord) -> Result<(), StoreError> {
    let record = &stored.record;
    let inserted = enrollment_record::Entity::insert(enrollment_record::ActiveModel {
        id: Set(stored.id),
        institution_code: Set(record.program.institution.as_str().to_owned()),
        student_number: Set(record.program.student_number.as_str().to_owned()),
        person_key: Set(record.subject.person_id.key()),
        status: Set(record.status.as_str().to_owned()),
        content: Set(to_json(&RecordJson::from(record))?),
        as_of_time: Set(record.as_of_time.as_microsecond()),
        receive_time: Set(record.receive_time.as_microsecond()),
    })
    .on_conflict(OnConflict::new().do_nothing().to_owned())
    .exec_without_returning(tx)
    .await?;
    // Somebody stored this student in between: look again.
    if inserted == 0 {
        Err(StoreError::Conflict)
    } else {
        Ok(())
    }
}

async fn replace(
    tx: &DatabaseTransaction,
    existing: &StoredRecord,
    stored: &StoredRecord,
) -> Result<(), StoreError> {
    use enrollment_record::Column;
    let record = &stored.record;
    let updated = enrollment_record::Entity::update_many()
        .col_expr(
            Column::PersonKey,
            Expr::value(record.subject.person_id.key()),
        )
        .col_expr(Column::Status, Expr::value(record.status.as_str()))
        .col_expr(
            Column::Content,
            Expr::value(to_json(&RecordJson::from(record))?),
        )
        .col_expr(
            Column::AsOfTime,
            Expr::value(record.as_of_time.as_microsecond()),
        )
        .col_expr(
            Column::ReceiveTime,
            Expr::value(record.receive_time.as_microsecond()),
        )
        .filter(Column::Id.eq(existing.id))
        .filter(Column::AsOfTime.eq(existing.record.as_of_time.as_microsecond()))
        .filter(Column::ReceiveTime.eq(existing.record.receive_time.as_microsecond()))
        .exec(tx)
        .await?;
    if updated.rows_affected == 0 {
        Err(StoreError::Conflict)
    } else {
        Ok(())
    }
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

fn read_row(row: enrollment_record::Model) -> Result<StoredRecord, StoreError> {
    let json: RecordJson = from_json(&row.content, "enrollment_record.content")?;
    Ok(StoredRecord {
        id: row.id,
        record: json.read(&row.status, row.as_of_time, row.receive_time)?,
    })
}
