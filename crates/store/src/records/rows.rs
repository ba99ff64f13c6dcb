//! Rows of `enrollment_record`.

use sea_orm::sea_query::ArrayType;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect,
    Select, Set,
};

use super::StoredRecord;
use crate::StoreError;
use crate::content::{RecordJson, from_json, to_json};
use crate::entity::enrollment_record;
use crate::rows::Rows;

pub(super) async fn find(
    db: &impl ConnectionTrait,
    institution_code: &str,
    student_number: &str,
) -> Result<Option<StoredRecord>, StoreError> {
    let row = by_student(institution_code, student_number).one(db).await?;
    row.map(read_row).transpose()
}

/// The same with the row locked: changes of a record come one after the other.
pub(crate) async fn find_locked(
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

pub(super) fn new_row(stored: &StoredRecord) -> Result<enrollment_record::ActiveModel, StoreError> {
    let record = &stored.record;
    Ok(enrollment_record::ActiveModel {
        id: Set(stored.id),
        institution_code: Set(record.program.institution.as_str().to_owned()),
        student_number: Set(record.program.student_number.as_str().to_owned()),
        person_key: Set(record.subject.person_id.key()),
        status: Set(record.status.as_str().to_owned()),
        content: Set(to_json(&RecordJson::from(record))?),
        as_of_time: Set(record.as_of_time.as_microsecond()),
        receive_time: Set(record.receive_time.as_microsecond()),
    })
}

/// Writes records over those they replace. [`StoreError::Conflict`] when one of
/// these has changed since it was read.
pub(super) async fn replace_all(
    tx: &DatabaseTransaction,
    replaced: &[(StoredRecord, StoredRecord)],
) -> Result<(), StoreError> {
    if replaced.is_empty() {
        return Ok(());
    }
    let mut changed = Rows::new(&[
        ("id", ArrayType::Uuid),
        ("known_as_of_time", ArrayType::BigInt),
        ("known_receive_time", ArrayType::BigInt),
        ("person_key", ArrayType::String),
        ("status", ArrayType::String),
        ("content", ArrayType::String),
        ("as_of_time", ArrayType::BigInt),
        ("receive_time", ArrayType::BigInt),
    ]);
    for (before, after) in replaced {
        let record = &after.record;
        changed.push([
            before.id.into(),
            before.record.as_of_time.as_microsecond().into(),
            before.record.receive_time.as_microsecond().into(),
            record.subject.person_id.key().into(),
            record.status.as_str().into(),
            to_json(&RecordJson::from(record))?.into(),
            record.as_of_time.as_microsecond().into(),
            record.receive_time.as_microsecond().into(),
        ]);
    }
    let statement = changed.statement(
        tx.get_database_backend(),
        "WITH changed (id, known_as_of_time, known_receive_time, person_key, status, content, \
         as_of_time, receive_time) AS (",
        ") UPDATE enrollment_record SET person_key = changed.person_key, \
         status = changed.status, content = changed.content, \
         as_of_time = changed.as_of_time, receive_time = changed.receive_time \
         FROM changed WHERE enrollment_record.id = changed.id \
         AND enrollment_record.as_of_time = changed.known_as_of_time \
         AND enrollment_record.receive_time = changed.known_receive_time",
    );
    let updated = tx.execute_raw(statement).await?.rows_affected();
    if updated == replaced.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

pub(crate) fn read_row(row: enrollment_record::Model) -> Result<StoredRecord, StoreError> {
    let json: RecordJson = from_json(&row.content, "enrollment_record.content")?;
    Ok(StoredRecord {
        id: row.id,
        record: json.read(&row.status, row.as_of_time, row.receive_time)?,
    })
}
