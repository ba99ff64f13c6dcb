use gavah_domain::record::EnrollmentStatus;

use super::*;
use crate::convert::fixtures::{self, ID, after, assert_violations, below, violations};
use crate::error::Refusal;

fn given() -> pb::EnrollmentRecord {
    pb::EnrollmentRecord {
        name: String::new(),
        subject: Some(fixtures::subject()),
        program: Some(fixtures::program()),
        status: pb::EnrollmentStatus::Studying.into(),
        current_term: Some(fixtures::term(1404, pb::TermKind::Second)),
        registered_units: 14,
        status_effective_date: Some(fixtures::date(1404, 7, 1)),
        expected_graduation_date: Some(fixtures::date(1406, 6, 31)),
        blocks: vec![pb::BlockKind::Financial.into(), pb::BlockKind::Legal.into()],
        external_ref: "row-1".to_owned(),
        as_of_time: after(-60),
        receive_time: None,
    }
}

fn broken() -> (pb::EnrollmentRecord, Vec<(String, Reason)>) {
    let (subject, subject_wrong) = fixtures::broken_subject();
    let (program, program_wrong) = fixtures::broken_program();
    let record = pb::EnrollmentRecord {
        subject: Some(subject),
        program: Some(program),
        status: 10,
        current_term: Some(pb::Term {
            academic_year: 1299,
            kind: 0,
        }),
        registered_units: 31,
        status_effective_date: Some(fixtures::date(1404, 12, 30)),
        expected_graduation_date: Some(fixtures::date(1551, 1, 1)),
        blocks: vec![1, 1, 0, 9],
        external_ref: "x".repeat(65),
        as_of_time: after(301),
        ..Default::default()
    };
    let mut wrong = below(
        "",
        &[
            ("status", Reason::FieldFormat),
            ("current_term.academic_year", Reason::FieldFormat),
            ("current_term.kind", Reason::FieldRequired),
            ("registered_units", Reason::FieldFormat),
            ("status_effective_date", Reason::JalaliDateInvalid),
            ("expected_graduation_date", Reason::JalaliDateInvalid),
            ("blocks[2]", Reason::FieldRequired),
            ("blocks[3]", Reason::FieldFormat),
            ("external_ref", Reason::FieldTooLong),
            ("as_of_time", Reason::FieldFormat),
        ],
    );
    wrong.extend(below("subject.", &subject_wrong));
    wrong.extend(below("program.", &program_wrong));
    (record, wrong)
}

fn under(path: &str, wrong: Vec<(String, Reason)>) -> Vec<(String, Reason)> {
    wrong
        .into_iter()
        .map(|(field, reason)| (format!("{path}{field}"), reason))
        .collect()
}

fn upsert(record: Option<pb::EnrollmentRecord>) -> Result<UpsertRecordInput, AppError> {
    let snapshot = fixtures::snapshot();
    let request = pb::UpsertEnrollmentRecordRequest {
        request_id: ID.to_owned(),
        validate_only: true,
        record,
    };
    upsert_record(request, &fixtures::known(&snapshot))
}

fn batch(records: Vec<pb::EnrollmentRecord>) -> Result<BatchUpsertInput, AppError> {
    let snapshot = fixtures::snapshot();
    let request = pb::BatchUpsertEnrollmentRecordsRequest {
        request_id: ID.to_owned(),
        validate_only: true,
        records,
    };
    batch_upsert_records(request, &fixtures::known(&snapshot))
}

#[test]
fn every_wrong_field_of_a_record_is_told_at_once() {
    let (record, wrong) = broken();
    assert_violations(upsert(Some(record)), under("record.", wrong));
    assert_eq!(
        violations(upsert(None)),
        [("record", Reason::FieldRequired)]
    );
    assert_violations(
        upsert(Some(pb::EnrollmentRecord::default())),
        below(
            "record.",
            &[
                ("subject", Reason::FieldRequired),
                ("program", Reason::FieldRequired),
                ("status", Reason::FieldRequired),
                ("current_term", Reason::FieldRequired),
                ("as_of_time", Reason::FieldRequired),
            ],
        ),
    );
}

#[test]
fn a_block_is_given_once() {
    let record = pb::EnrollmentRecord {
        blocks: vec![1, 1],
        ..given()
    };
    assert_eq!(
        violations(upsert(Some(record))),
        [("record.blocks", Reason::FieldFormat)]
    );
}

#[test]
fn a_record_of_an_unknown_institution_is_refused() {
    let mut record = given();
    record.program.as_mut().unwrap().institution_code = "SBU".to_owned();
    let refused = AppError::Refused(Refusal::new(Reason::InstitutionNotOwned));
    assert_eq!(upsert(Some(record.clone())), Err(refused.clone()));
    let rows = batch(vec![record]).unwrap().rows;
    assert_eq!(rows[0].record, Err(refused));
}

#[test]
fn a_wrong_batch_is_refused_as_a_whole() {
    assert_eq!(
        violations(batch(Vec::new())),
        [("records", Reason::FieldRequired)]
    );
    let many = vec![pb::EnrollmentRecord::default(); 1001];
    assert_eq!(
        violations(batch(many)),
        [("records", Reason::BatchTooLarge)]
    );
    let snapshot = fixtures::snapshot();
    let request = pb::BatchUpsertEnrollmentRecordsRequest::default();
    assert_eq!(
        violations(batch_upsert_records(request, &fixtures::known(&snapshot))),
        [
            ("request_id", Reason::FieldRequired),
            ("records", Reason::FieldRequired)
        ]
    );
}

#[test]
fn a_wrong_row_fails_alone() {
    let (record, wrong) = broken();
    let input = batch(vec![given(), record, given()]).unwrap();
    assert_eq!(
        (input.request_id.to_string().as_str(), input.validate_only),
        (ID, true)
    );
    let [first, second, third] = &input.rows[..] else {
        panic!("three rows")
    };
    assert_violations(second.record.clone(), under("records[1].", wrong));
    assert_eq!(first, third);
    assert_eq!(
        first.record.as_ref().unwrap(),
        &upsert(Some(given())).unwrap().record
    );
    assert_ne!(first.digest, second.digest);
    assert_eq!(
        format!("{input:?} {first:?}"),
        "BatchUpsertInput(…) RowInput(…)"
    );
}

#[test]
fn a_record_becomes_domain_values_and_is_shown_as_it_came() {
    let input = upsert(Some(given())).unwrap();
    assert!(input.head.validate_only);
    assert_eq!(format!("{input:?}"), "UpsertRecordInput(…)");
    let record = input.record;
    assert_eq!(record.status, EnrollmentStatus::Studying);
    assert_eq!((record.registered_units, record.blocks.len()), (14, 2));
    assert_eq!(record.receive_time, fixtures::now());
    let shown = record_to_pb(&StoredRecord {
        id: ID.parse().unwrap(),
        record,
    });
    let expected = pb::EnrollmentRecord {
        name: format!("enrollmentRecords/{ID}"),
        receive_time: after(0),
        ..given()
    };
    assert_eq!(shown, expected);
}

#[test]
fn an_alias_becomes_the_institutions_code() {
    let mut record = given();
    record.program.as_mut().unwrap().institution_code = "1013".to_owned();
    let record = upsert(Some(record)).unwrap().record;
    assert_eq!(record.program.institution.as_str(), "UT");
}

#[test]
fn a_record_is_read_by_either_name() {
    for (name, reason) in [
        ("", Reason::FieldRequired),
        ("x", Reason::FieldFormat),
        (ID, Reason::FieldFormat),
    ] {
        let request = pb::GetEnrollmentRecordRequest {
            name: name.to_owned(),
        };
        assert_eq!(
            violations(get_record(&request)),
            [("name", reason)],
            "{name}"
        );
    }
    let by_id = pb::GetEnrollmentRecordRequest {
        name: format!("enrollmentRecords/{ID}"),
    };
    assert!(matches!(get_record(&by_id), Ok(RecordName::Id(_))));
    let name = "institutions/UT/students/810100001".to_owned();
    let by_student = pb::GetEnrollmentRecordRequest { name };
    assert!(matches!(
        get_record(&by_student),
        Ok(RecordName::Student { .. })
    ));
}

#[test]
fn every_wrong_field_of_an_event_is_told_at_once() {
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let request = pb::ReportEnrollmentEventRequest {
        request_id: "x".to_owned(),
        validate_only: false,
        institution_code: "U T".to_owned(),
        student_number: "۱۲".to_owned(),
        kind: 9,
        effective_date: Some(fixtures::date(1404, 12, 30)),
        as_of_time: after(301),
    };
    assert_eq!(
        violations(report_event(request, &known)),
        [
            ("request_id", Reason::FieldFormat),
            ("kind", Reason::FieldFormat),
            ("institution_code", Reason::FieldFormat),
            ("student_number", Reason::FieldFormat),
            ("effective_date", Reason::JalaliDateInvalid),
            ("as_of_time", Reason::FieldFormat),
        ]
    );
    assert_eq!(
        violations(report_event(Default::default(), &known)),
        [
            ("request_id", Reason::FieldRequired),
            ("institution_code", Reason::FieldRequired),
            ("student_number", Reason::FieldRequired),
            ("kind", Reason::FieldRequired),
            ("effective_date", Reason::FieldRequired),
            ("as_of_time", Reason::FieldRequired),
        ]
    );
}

#[test]
fn an_event_becomes_domain_values() {
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let mut request = pb::ReportEnrollmentEventRequest {
        request_id: ID.to_owned(),
        validate_only: false,
        institution_code: "1013".to_owned(),
        student_number: "۸۱۰۱۰۰۰۰۱".to_owned(),
        kind: pb::EnrollmentEventKind::Graduated.into(),
        effective_date: Some(fixtures::date(1405, 2, 1)),
        as_of_time: after(0),
    };
    let input = report_event(request.clone(), &known).unwrap();
    assert_eq!(input.institution, fixtures::code("UT"));
    assert_eq!(input.student_number.as_str(), "810100001");
    assert_eq!(input.kind, EnrollmentEventKind::Graduated);
    assert_eq!(input.effective_date.to_string(), "1405/02/01");
    assert_eq!(input.as_of_time, fixtures::now());
    assert_eq!(format!("{input:?}"), "EventInput(…)");
    request.institution_code = "SBU".to_owned();
    let refused = Err(AppError::Refused(Refusal::new(Reason::InstitutionNotOwned)));
    assert_eq!(report_event(request, &known), refused);
}

#[test]
fn each_outcome_of_the_store_has_its_own() {
    let record = upsert(Some(given())).unwrap().record;
    let stored = StoredRecord {
        id: ID.parse().unwrap(),
        record,
    };
    for (outcome, shown) in [
        (
            RecordOutcome::Created(stored.clone()),
            pb::UpsertOutcome::Created,
        ),
        (
            RecordOutcome::Replaced(stored.clone()),
            pb::UpsertOutcome::Replaced,
        ),
        (
            RecordOutcome::KeptNewer(stored.clone()),
            pb::UpsertOutcome::KeptNewer,
        ),
    ] {
        assert_eq!(upsert_outcome(&outcome), Ok((shown, &stored)));
    }
    let reused = AppError::Refused(Refusal::new(Reason::RequestIdReused));
    assert_eq!(upsert_outcome(&RecordOutcome::RequestIdReused), Err(reused));
}
