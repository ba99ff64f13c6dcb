//! Rows of `enrollment_record`.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect,
    Select, Set,
};
use uuid::Uuid;

use super::{RecordOutcome, StoredRecord};
use crate::content::{RecordJson, from_json, to_json};
use crate::entity::enrollment_record;
use crate::{Claimed, StoreError};

pub(super) async fn replay(
    tx: &DatabaseTransaction,
    claimed: Claimed,
) -> Result<RecordOutcome, StoreError> {
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

pub(super) async fn find(
    db: &impl ConnectionTrait,
    institution_code: &str,
    student_number: &str,
) -> Result<Option<StoredRecord>, StoreError> {
    let row = by_student(institution_code, student_number).one(db).await?;
    row.map(read_row).transpose()
}

/// The same with the row locked: changes of a record come one after the other.
pub(super) async fn find_locked(
    tx: &DatabaseTransaction,
    institution_code: &str,
    student_number: &str,
) -> Result<Option<StoredRecord>, StoreError> {
    let row = by_student(institution_code, student_number)
        .lock_exclusive()
        .one(tx)
        .await?;
    row.map(read_row).transpose()
}

fn by_student(institution_code: &str, student_number: &str) -> Select<enrollment_record::Entity> {
    enrollment_record::Entity::find()
        .filter(enrollment_record::Column::InstitutionCode.eq(institution_code))
        .filter(enrollment_record::Column::StudentNumber.eq(student_number))
}

pub(super) async fn insert(
    tx: &DatabaseTransaction,
    stored: &StoredRecord,
) -> Result<(), StoreError> {
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

pub(super) async fn replace(
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

pub(super) fn read_row(row: enrollment_record::Model) -> Result<StoredRecord, StoreError> {
    let json: RecordJson = from_json(&row.content, "enrollment_record.content")?;
    Ok(StoredRecord {
        id: row.id,
        record: json.read(&row.status, row.as_of_time, row.receive_time)?,
    })
}
