//! Enrollment records and events.

use gavah_domain::Reason;
use gavah_store::{EventReport, EventRow, RecordOutcome, RecordRow, StoredRecord};

use super::{App, context, may_read, owned};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::names::RecordName;
use crate::convert::record::{BatchUpsertInput, EventInput, UpsertRecordInput};
use crate::error::AppError;

/// Stores one record; `None` when only checking.
///
/// # Errors
///
/// INSTITUTION_NOT_OWNED, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn upsert(
    app: &App,
    call: &Acting,
    input: UpsertRecordInput,
) -> Result<Option<RecordOutcome>, AppError> {
    owned(call, &input.record.program.institution)?;
    if input.head.validate_only {
        return Ok(None);
    }
    let row = row(app, call, &input.head, None, input.record)?;
    match app.store_for(call).upsert_record(&row).await? {
        RecordOutcome::RequestIdReused => Err(Reason::RequestIdReused.into()),
        outcome => Ok(Some(outcome)),
    }
}

/// Stores many records; each row has its own outcome, `None` when only checking.
pub async fn batch_upsert(
    app: &App,
    call: &Acting,
    input: BatchUpsertInput,
) -> Vec<Result<Option<RecordOutcome>, AppError>> {
    let mut outcomes: Vec<Option<Result<Option<RecordOutcome>, AppError>>> = Vec::new();
    let mut rows = Vec::new();
    for (index, parsed) in (0..).zip(input.rows) {
        let head = Head {
            request_id: input.request_id,
            validate_only: input.validate_only,
            digest: parsed.digest,
            ordered: None,
        };
        let checked = parsed.record.and_then(|record| {
            owned(call, &record.program.institution)?;
            row(app, call, &head, Some(index), record)
        });
        outcomes.push(match checked {
            Err(error) => Some(Err(error)),
            Ok(_) if input.validate_only => Some(Ok(None)),
            Ok(row) => {
                rows.push(row);
                None
            }
        });
    }
    let mut stored = app.store_for(call).upsert_records(&rows).await.into_iter();
    let settled = outcomes.into_iter().map(|outcome| {
        outcome.unwrap_or_else(|| match stored.next() {
            Some(Ok(RecordOutcome::RequestIdReused)) => Err(Reason::RequestIdReused.into()),
            Some(Ok(outcome)) => Ok(Some(outcome)),
            Some(Err(error)) => Err(error.into()),
            None => Err(AppError::Internal("the store lost a row of a batch")),
        })
    });
    settled.collect()
}

fn row(
    app: &App,
    call: &Acting,
    head: &Head,
    index: Option<u32>,
    record: gavah_domain::record::EnrollmentRecord,
) -> Result<RecordRow, AppError> {
    let now = record.receive_time;
    Ok(RecordRow {
        context: context(call, head, index, now),
        id: app.new_id(now)?,
        subject_hash: app.subject_hash(&record.subject.person_id),
        record,
    })
}

/// Reads a record the caller may read.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none or it is a stranger's.
pub async fn get(app: &App, call: &Acting, name: RecordName) -> Result<StoredRecord, AppError> {
    let store = app.store_for(call);
    let stored = match name {
        RecordName::Id(id) => store.record(id).await?,
        RecordName::Student {
            institution,
            student_number,
        } => {
            let registered = call.snapshot.institution(institution.as_str());
            let code = registered.map_or(&institution, |stored| &stored.institution.code);
            store
                .find_record(code.as_str(), student_number.as_str())
                .await?
        }
    };
    stored
        .filter(|stored| may_read(call, &stored.record.program.institution))
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Reports an enrollment event: the record after it and whether it was applied;
/// `None` when only checking.
///
/// # Errors
///
/// INSTITUTION_NOT_OWNED, ENROLLMENT_RECORD_NOT_FOUND, REQUEST_ID_REUSED;
/// [`AppError::Store`].
pub async fn report_event(
    app: &App,
    call: &Acting,
    input: EventInput,
) -> Result<Option<(StoredRecord, bool)>, AppError> {
    let institution = owned(call, &input.institution)?;
    let now = app.clock.now();
    let store = app.store_for(call);
    if input.head.validate_only {
        let number = input.student_number.as_str();
        let found = store.find_record(institution.code.as_str(), number).await?;
        return found
            .map(|_| None)
            .ok_or_else(|| Reason::EnrollmentRecordNotFound.into());
    }
    let event = EventRow {
        id: app.new_id(now)?,
        institution_code: institution.code.as_str().to_owned(),
        student_number: input.student_number,
        kind: input.kind,
        effective_date: input.effective_date,
        as_of_time: input.as_of_time,
    };
    let context = context(call, &input.head, None, now);
    let hash = |record: &gavah_domain::record::EnrollmentRecord| {
        app.subject_hash(&record.subject.person_id)
    };
    match store.report_event(&context, &event, &hash).await? {
        EventReport::Done { record, applied } => Ok(Some((*record, applied))),
        EventReport::NotFound => Err(Reason::EnrollmentRecordNotFound.into()),
        EventReport::RequestIdReused => Err(Reason::RequestIdReused.into()),
    }
}
