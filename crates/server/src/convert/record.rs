//! Enrollment records and events.

use gavah_api::v1 as pb;
use gavah_domain::institution::InstitutionCode;
use gavah_domain::program::StudentNumber;
use gavah_domain::record::{EnrollmentEventKind, EnrollmentRecord, RecordInput, check_as_of};
use gavah_domain::{JalaliDate, Reason, Violations};
use gavah_store::{RecordOutcome, StoredRecord};
use jiff::Timestamp;
use uuid::Uuid;

use super::enums::{from_pb, to_pb};
use super::head::{Head, digest_of, open};
use super::identity::{subject, subject_to_pb};
use super::names::{Collection, RecordName};
use super::program::{Named, institution, program, program_to_pb};
use super::time::{instant, instant_to_pb, jalali, jalali_to_pb, term, term_to_pb};
use super::{Known, check_rules, required, settle, silent_debug};
use crate::error::AppError;

/// One record to store.
#[derive(Clone, PartialEq, Eq)]
pub struct UpsertRecordInput {
    /// Retry key and digest.
    pub head: Head,
    /// The record, with its institution's registered code.
    pub record: EnrollmentRecord,
}

/// Many records to store.
#[derive(Clone, PartialEq, Eq)]
pub struct BatchUpsertInput {
    /// Retry key of the batch.
    pub request_id: Uuid,
    /// Whether only to check.
    pub validate_only: bool,
    /// The rows, in the order of the request.
    pub rows: Vec<RowInput>,
}

/// One row of a batch.
#[derive(Clone, PartialEq, Eq)]
pub struct RowInput {
    /// SHA-256 over the row, as of a request of its own.
    pub digest: [u8; 32],
    /// The record, or why the row is refused.
    pub record: Result<EnrollmentRecord, AppError>,
}

/// An enrollment event.
#[derive(Clone, PartialEq, Eq)]
pub struct EventInput {
    /// Retry key and digest.
    pub head: Head,
    /// The institution's registered code.
    pub institution: InstitutionCode,
    /// The student number.
    pub student_number: StudentNumber,
    /// What happened.
    pub kind: EnrollmentEventKind,
    /// Since when it holds.
    pub effective_date: JalaliDate,
    /// The instant for which it was true.
    pub as_of_time: Timestamp,
}

silent_debug!(UpsertRecordInput, BatchUpsertInput, RowInput, EventInput);

/// Reads a record received now.
fn record(
    given: &pb::EnrollmentRecord,
    known: &Known<'_>,
) -> Result<Named<EnrollmentRecord>, Violations> {
    let mut registered = false;
    let program = given.program.as_ref().map(|given| {
        let program = program(given, known)?;
        registered = program.registered;
        Ok(program.value)
    });
    let input = RecordInput {
        subject: given
            .subject
            .as_ref()
            .map(|given| subject(given, known.today())),
        program,
        status: from_pb(given.status),
        current_term: given.current_term.as_ref().map(term),
        registered_units: given.registered_units,
        status_effective_date: given.status_effective_date.as_ref().map(jalali),
        expected_graduation_date: given.expected_graduation_date.as_ref().map(jalali),
        // What is no kind of block breaks an annotated rule.
        blocks: given.blocks.iter().copied().filter_map(from_pb).collect(),
        external_ref: &given.external_ref,
        as_of_time: given.as_of_time.as_ref().map(instant),
    };
    EnrollmentRecord::parse(input, known.now).map(|value| Named { value, registered })
}

/// Reads a request to store one record.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has
/// registered the institution.
pub fn upsert_record(
    mut request: pb::UpsertEnrollmentRecordRequest,
    known: &Known<'_>,
) -> Result<UpsertRecordInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let record = request.record.as_ref().map(|given| record(given, known));
    let record = required(&mut found, "record", record);
    let (head, record) = settle(annotated, found, head.zip(record))?;
    Ok(UpsertRecordInput {
        head,
        record: record.registered()?,
    })
}

/// Reads a request to store many records. A row that is wrong fails alone; its
/// paths begin with `records[…]`, its place in the request.
///
/// # Errors
///
/// The violations of the batch itself.
pub fn batch_upsert_records(
    mut request: pb::BatchUpsertEnrollmentRecordsRequest,
    known: &Known<'_>,
) -> Result<BatchUpsertInput, AppError> {
    let (annotated, head) = open(&mut request);
    let head = settle(annotated, Violations::default(), head)?;
    let rows = request.records.iter().enumerate();
    let rows = rows.map(|(index, given)| RowInput {
        digest: digest_of("gavah.v1.EnrollmentRecord", given),
        record: row(index, given, known),
    });
    Ok(BatchUpsertInput {
        request_id: head.request_id,
        validate_only: head.validate_only,
        rows: rows.collect(),
    })
}

fn row(
    index: usize,
    given: &pb::EnrollmentRecord,
    known: &Known<'_>,
) -> Result<EnrollmentRecord, AppError> {
    let path = format!("records[{index}]");
    let mut found = Violations::default();
    let record = found.take_nested(&path, record(given, known));
    let record = settle(check_rules(given).nest(&path), found, record)?;
    Ok(record.registered()?)
}

/// Reads a request for one record, by either of its names.
///
/// # Errors
///
/// The violation of `name`.
pub fn get_record(request: &pb::GetEnrollmentRecordRequest) -> Result<RecordName, AppError> {
    let mut found = Violations::default();
    let name = found.take("name", RecordName::parse(&request.name));
    settle(check_rules(request), found, name)
}

/// Reads an enrollment event.
///
/// # Errors
///
/// Every violation at once; then [`Reason::InstitutionNotOwned`] when nobody has
/// registered the institution.
pub fn report_event(
    mut request: pb::ReportEnrollmentEventRequest,
    known: &Known<'_>,
) -> Result<EventInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let institution = institution(&request.institution_code, known);
    let institution = found.take("institution_code", institution);
    let student_number = StudentNumber::parse(&request.student_number);
    let student_number = found.take("student_number", student_number);
    let kind = found.take("kind", from_pb(request.kind).ok_or(Reason::FieldRequired));
    let effective = request.effective_date.as_ref().map(jalali);
    let effective = found.take(
        "effective_date",
        effective.unwrap_or(Err(Reason::FieldRequired)),
    );
    let as_of = check_as_of(request.as_of_time.as_ref().map(instant), known.now);
    let as_of = found.take("as_of_time", as_of);
    let input = (|| {
        let Named {
            value: institution,
            registered,
        } = institution?;
        let value = EventInput {
            head: head?,
            institution,
            student_number: student_number?,
            kind: kind?,
            effective_date: effective?,
            as_of_time: as_of?,
        };
        Some(Named { value, registered })
    })();
    Ok(settle(annotated, found, input)?.registered()?)
}

/// The contract's form of a record.
#[must_use]
pub fn record_to_pb(stored: &StoredRecord) -> pb::EnrollmentRecord {
    let record = &stored.record;
    pb::EnrollmentRecord {
        name: Collection::EnrollmentRecords.name(stored.id),
        subject: Some(subject_to_pb(&record.subject)),
        program: Some(program_to_pb(&record.program)),
        status: to_pb(record.status),
        current_term: Some(term_to_pb(record.current_term)),
        registered_units: i32::from(record.registered_units),
        status_effective_date: record.status_effective_date.map(jalali_to_pb),
        expected_graduation_date: record.expected_graduation_date.map(jalali_to_pb),
        blocks: record.blocks.iter().copied().map(to_pb).collect(),
        external_ref: record.external_ref.clone(),
        as_of_time: Some(instant_to_pb(record.as_of_time)),
        receive_time: Some(instant_to_pb(record.receive_time)),
    }
}

/// What an upsert did and the record it left.
///
/// # Errors
///
/// [`Reason::RequestIdReused`].
pub fn upsert_outcome(
    outcome: &RecordOutcome,
) -> Result<(pb::UpsertOutcome, &StoredRecord), AppError> {
    match outcome {
        RecordOutcome::Created(stored) => Ok((pb::UpsertOutcome::Created, stored)),
        RecordOutcome::Replaced(stored) => Ok((pb::UpsertOutcome::Replaced, stored)),
        RecordOutcome::KeptNewer(stored) => Ok((pb::UpsertOutcome::KeptNewer, stored)),
        RecordOutcome::RequestIdReused => Err(Reason::RequestIdReused.into()),
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
