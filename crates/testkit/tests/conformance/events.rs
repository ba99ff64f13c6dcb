//! Events in a student's enrollment.

use gavah_domain::record::{EnrollmentEventKind, EnrollmentRecord, EnrollmentStatus};
use gavah_store::{EventReport, EventRow, RecordOutcome, StoreError, StoredRecord};
use gavah_testkit::fixtures::{self, after, call, now, record_row, with_other_body};
use jiff::Timestamp;

use crate::harness::{HOME, TestStore, assert_tells_nothing, together};

cases! {
    an_event_of_an_unknown_student_is_not_found,
    another_body_under_the_same_request_id_reports_nothing,
    an_event_id_that_is_taken_is_refused_without_telling_of_whom,
    an_event_older_than_the_record_is_kept_as_history_only,
    an_event_sets_the_records_status,
    a_replay_answers_as_before_and_reports_nothing,
    events_at_once_leave_the_newest_status,
}

const HASH: &str = "00112233";

fn hash(_: &EnrollmentRecord) -> String {
    HASH.to_owned()
}

async fn student(store: &TestStore) -> StoredRecord {
    let row = record_row(fixtures::record(HOME, now()));
    match store.upsert_record(&row).await.unwrap() {
        RecordOutcome::Created(stored) => stored,
        other => panic!("{other:?}"),
    }
}

fn event(of: &StoredRecord, kind: EnrollmentEventKind, as_of_time: Timestamp) -> EventRow {
    EventRow {
        id: fixtures::id(),
        institution_code: HOME.to_owned(),
        student_number: of.record.program.student_number.clone(),
        kind,
        effective_date: fixtures::today(),
        as_of_time,
    }
}

async fn an_event_of_an_unknown_student_is_not_found(store: TestStore) {
    let known = student(&store).await;
    let acts = store.acts().await;
    let mut elsewhere = event(&known, EnrollmentEventKind::Withdrawn, after(1));
    elsewhere.institution_code = "SYN-2".to_owned();
    let context = call("ReportEnrollmentEvent", after(2));
    let answer = store.report_event(&context, &elsewhere, &hash).await;
    assert_eq!(answer, Ok(EventReport::NotFound));
    let claimed = store.claimed(context.claim.as_ref().unwrap()).await;
    assert_eq!(claimed, Ok(None));
    assert_eq!(store.acts().await, acts);
}

async fn another_body_under_the_same_request_id_reports_nothing(store: TestStore) {
    let known = student(&store).await;
    let context = call("ReportEnrollmentEvent", after(2));
    let withdrawn = event(&known, EnrollmentEventKind::Withdrawn, after(1));
    store
        .report_event(&context, &withdrawn, &hash)
        .await
        .unwrap();
    let acts = store.acts().await;
    let other = event(&known, EnrollmentEventKind::Graduated, after(1));
    let answer = store
        .report_event(&with_other_body(&context), &other, &hash)
        .await;
    assert_eq!(answer, Ok(EventReport::RequestIdReused));
    assert_eq!(store.count("enrollment_event").await, 1);
    assert_eq!(store.acts().await, acts);
}

async fn an_event_id_that_is_taken_is_refused_without_telling_of_whom(store: TestStore) {
    let known = student(&store).await;
    let first = event(&known, EnrollmentEventKind::OnLeave, after(1));
    let context = call("ReportEnrollmentEvent", after(2));
    store.report_event(&context, &first, &hash).await.unwrap();
    let context = call("ReportEnrollmentEvent", after(2));
    let error = store
        .report_event(&context, &first, &hash)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Constraint(_)), "{error:?}");
    let id = first.id.to_string();
    let student_number = known.record.program.student_number.as_str();
    assert_tells_nothing(&error, &[&id, student_number]);
    assert_eq!(store.count("enrollment_event").await, 1);
}

async fn an_event_older_than_the_record_is_kept_as_history_only(store: TestStore) {
    let known = student(&store).await;
    let acts = store.acts().await;
    let older = event(&known, EnrollmentEventKind::Withdrawn, after(-1));
    let context = call("ReportEnrollmentEvent", after(2));
    let answer = store.report_event(&context, &older, &hash).await;
    let kept = EventReport::Done {
        record: Box::new(known.clone()),
        applied: false,
    };
    assert_eq!(answer, Ok(kept.clone()));
    assert_eq!(store.record(known.id).await, Ok(Some(known)));
    assert_eq!(store.count("enrollment_event WHERE NOT applied").await, 1);
    assert_eq!(store.acts().await, acts + 1);
    let again = store.report_event(&context, &older, &hash).await;
    assert_eq!(again, Ok(kept));
    assert_eq!(store.acts().await, acts + 1);
}

async fn an_event_sets_the_records_status(store: TestStore) {
    let known = student(&store).await;
    let acts = store.acts().await;
    let context = call("ReportEnrollmentEvent", after(2));
    let graduated = event(&known, EnrollmentEventKind::Graduated, after(1));
    let answer = store.report_event(&context, &graduated, &hash).await;
    let mut expected = known.clone();
    expected.record.status = EnrollmentStatus::Graduated;
    expected.record.status_effective_date = Some(fixtures::today());
    expected.record.as_of_time = after(1);
    // Units, blocks and names are no fresher than before.
    expected.record.receive_time = known.record.fresh_since();
    assert_eq!(expected.record.fresh_since(), known.record.fresh_since());
    let done = EventReport::Done {
        record: Box::new(expected.clone()),
        applied: true,
    };
    assert_eq!(answer, Ok(done));
    assert_eq!(store.record(known.id).await, Ok(Some(expected)));
    assert_eq!(store.acts().await, acts + 1);
    let entry = format!(
        "audit_entry WHERE resource = 'enrollmentRecords/{}' AND action = 'EVENT' \
         AND from_state = 'STUDYING' AND to_state = 'GRADUATED' AND reason = 'GRADUATED' \
         AND subject_hash = '{HASH}'",
        known.id
    );
    assert_eq!(store.count(&entry).await, 1);
    // What the institution says next counts from there.
    let older = fixtures::record_row(EnrollmentRecord {
        as_of_time: now(),
        ..known.record
    });
    let kept = store.upsert_record(&older).await;
    assert!(matches!(kept, Ok(RecordOutcome::KeptNewer(_))));
}

async fn a_replay_answers_as_before_and_reports_nothing(store: TestStore) {
    let known = student(&store).await;
    let context = call("ReportEnrollmentEvent", after(2));
    let leave = event(&known, EnrollmentEventKind::OnLeave, after(1));
    let first = store.report_event(&context, &leave, &hash).await;
    let acts = store.acts().await;
    let again = EventRow {
        id: fixtures::id(),
        ..leave
    };
    assert_eq!(store.report_event(&context, &again, &hash).await, first);
    assert_eq!(store.count("enrollment_event").await, 1);
    assert_eq!(store.acts().await, acts);
}

async fn events_at_once_leave_the_newest_status(store: TestStore) {
    let known = student(&store).await;
    let acts = store.acts().await;
    let kinds = [
        EnrollmentEventKind::OnLeave,
        EnrollmentEventKind::Resumed,
        EnrollmentEventKind::Suspended,
        EnrollmentEventKind::Withdrawn,
    ];
    together(12, |index| {
        let store = store.clone();
        let as_of = after(1 + i64::try_from(index * 5 % 12).unwrap());
        let row = event(&known, kinds[index * 5 % 12 % 4], as_of);
        async move {
            let context = call("ReportEnrollmentEvent", after(100));
            store.report_event(&context, &row, &hash).await.unwrap()
        }
    })
    .await;
    let stored = store.record(known.id).await.unwrap().unwrap();
    assert_eq!(stored.record.as_of_time, after(12));
    assert_eq!(stored.record.status, EnrollmentStatus::Withdrawn);
    assert_eq!(store.count("enrollment_event").await, 12);
    assert_eq!(store.acts().await, acts + 12);
}
