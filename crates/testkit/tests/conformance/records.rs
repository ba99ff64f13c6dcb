//! Enrollment records: the newest word of the institution.

use gavah_domain::record::{BlockKind, EnrollmentRecord, EnrollmentStatus};
use gavah_store::{RecordOutcome, RecordRow, StoreError, StoredRecord};
use gavah_testkit::fixtures::{self, after, now, record_row, with_other_body};
use jiff::Timestamp;

use crate::harness::{HOME, OTHER, TestStore, assert_tells_nothing, together};

cases! {
    another_body_under_the_same_request_id_stores_nothing,
    a_record_of_an_unknown_institution_is_refused_without_telling_of_whom,
    a_row_that_fails_leaves_its_neighbours_alone,
    an_older_record_never_replaces_a_newer_one,
    a_new_student_gets_a_record,
    a_newer_record_replaces_and_so_does_one_of_the_same_instant,
    a_replay_answers_as_before_and_stores_nothing,
    a_student_number_is_the_institutions_own,
    a_batch_of_many_rows_answers_in_its_order,
    the_same_batch_twice_at_once_is_stored_once,
    batches_over_the_same_students_wait_for_each_other,
    many_at_once_for_one_student_leave_the_newest,
}

/// The same student as reported at another instant.
fn at(record: &EnrollmentRecord, as_of_time: Timestamp) -> EnrollmentRecord {
    EnrollmentRecord {
        as_of_time,
        receive_time: as_of_time,
        ..record.clone()
    }
}

async fn put(store: &TestStore, record: EnrollmentRecord) -> RecordOutcome {
    store.upsert_record(&record_row(record)).await.unwrap()
}

async fn find(store: &TestStore, record: &EnrollmentRecord) -> Option<StoredRecord> {
    let program = &record.program;
    store
        .find_record(
            program.institution.as_str(),
            program.student_number.as_str(),
        )
        .await
        .unwrap()
}

async fn another_body_under_the_same_request_id_stores_nothing(store: TestStore) {
    let row = record_row(fixtures::record(HOME, now()));
    store.upsert_record(&row).await.unwrap();
    let acts = store.acts().await;
    let other = RecordRow {
        context: with_other_body(&row.context),
        ..record_row(fixtures::record(HOME, after(1)))
    };
    let reused = Ok(RecordOutcome::RequestIdReused);
    assert_eq!(store.upsert_record(&other).await, reused);
    assert_eq!(store.upsert_records(&[other]).await, [reused]);
    assert_eq!(store.count("enrollment_record").await, 1);
    assert_eq!(store.acts().await, acts);
}

async fn a_record_of_an_unknown_institution_is_refused_without_telling_of_whom(store: TestStore) {
    let row = record_row(fixtures::record("SYN-9", now()));
    let error = store.upsert_record(&row).await.unwrap_err();
    assert!(matches!(error, StoreError::Constraint(_)), "{error:?}");
    let record = &row.record;
    let person = record.subject.person_id.key();
    let national_code = person.rsplit(':').next().unwrap();
    let secrets = [
        national_code,
        record.program.student_number.as_str(),
        "آزمایشی",
    ];
    assert_tells_nothing(&error, &secrets);
    let claimed = store.claimed(row.context.claim.as_ref().unwrap()).await;
    assert_eq!(claimed, Ok(None));
}

async fn a_row_that_fails_leaves_its_neighbours_alone(store: TestStore) {
    let acts = store.acts().await;
    let rows: Vec<RecordRow> = [HOME, "SYN-9", OTHER, HOME]
        .map(|institution| record_row(fixtures::record(institution, now())))
        .to_vec();
    let outcomes = store.upsert_records(&rows).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        let stored = find(&store, &rows[index].record).await;
        if index == 1 {
            assert!(
                matches!(outcome, Err(StoreError::Constraint(_))),
                "{outcome:?}"
            );
            assert_eq!(stored, None);
        } else {
            assert_eq!(*outcome, Ok(RecordOutcome::Created(stored.unwrap())));
        }
    }
    assert_eq!(store.count("request_claim").await, 3);
    assert_eq!(store.acts().await, acts + 3);
}

async fn an_older_record_never_replaces_a_newer_one(store: TestStore) {
    let newer = fixtures::record(HOME, after(10));
    put(&store, newer.clone()).await;
    let acts = store.acts().await;
    let mut older = at(&newer, after(9));
    older.status = EnrollmentStatus::Withdrawn;
    // Received later all the same: what it describes counts.
    older.receive_time = after(1000);
    let RecordOutcome::KeptNewer(kept) = put(&store, older).await else {
        panic!("replaced");
    };
    assert!(kept.record == newer);
    assert_eq!(find(&store, &newer).await, Some(kept));
    assert_eq!(
        store.acts().await,
        acts,
        "nothing changed, nothing on record"
    );
}

async fn a_new_student_gets_a_record(store: TestStore) {
    let acts = store.acts().await;
    let mut record = fixtures::record(HOME, now());
    record.blocks = vec![BlockKind::Financial, BlockKind::Legal];
    record.expected_graduation_date = Some(fixtures::today().plus_months(14));
    record.status_effective_date = Some(fixtures::today());
    let row = record_row(record.clone());
    let stored = StoredRecord { id: row.id, record };
    let created = store.upsert_record(&row).await;
    assert_eq!(created, Ok(RecordOutcome::Created(stored.clone())));
    assert_eq!(store.record(row.id).await, Ok(Some(stored.clone())));
    assert_eq!(find(&store, &row.record).await, Some(stored));
    assert_eq!(store.record(fixtures::id()).await, Ok(None));
    assert_eq!(store.acts().await, acts + 1);
}

async fn a_newer_record_replaces_and_so_does_one_of_the_same_instant(store: TestStore) {
    let first = fixtures::record(HOME, now());
    let RecordOutcome::Created(created) = put(&store, first.clone()).await else {
        panic!("not created");
    };
    for (index, as_of) in [after(1), after(1)].into_iter().enumerate() {
        let acts = store.acts().await;
        let mut next = at(&first, as_of);
        next.registered_units = u8::try_from(index).unwrap();
        // A corrected identity moves along.
        next.subject = fixtures::subject();
        let replaced = put(&store, next.clone()).await;
        let stored = StoredRecord {
            id: created.id,
            record: next,
        };
        assert_eq!(replaced, RecordOutcome::Replaced(stored.clone()));
        assert_eq!(find(&store, &first).await, Some(stored.clone()));
        let key = stored.record.subject.person_id.key();
        let rows = format!("enrollment_record WHERE person_key = '{key}'");
        assert_eq!(store.count(&rows).await, 1);
        assert_eq!(store.acts().await, acts + 1);
    }
}

async fn a_replay_answers_as_before_and_stores_nothing(store: TestStore) {
    let create = record_row(fixtures::record(HOME, now()));
    let replace = record_row(at(&create.record, after(10)));
    let keep = record_row(at(&create.record, after(5)));
    for row in [&create, &replace, &keep] {
        store.upsert_record(row).await.unwrap();
    }
    let acts = store.acts().await;
    let stored = find(&store, &create.record).await.unwrap();
    assert!(stored.record == replace.record);
    // The outcome is the earlier call's, the record is the one of now.
    let answers = [
        (&create, RecordOutcome::Created(stored.clone())),
        (&replace, RecordOutcome::Replaced(stored.clone())),
        (&keep, RecordOutcome::KeptNewer(stored.clone())),
    ];
    for (row, answer) in answers {
        assert_eq!(store.upsert_record(row).await, Ok(answer.clone()));
        let in_a_batch = store.upsert_records(std::slice::from_ref(row)).await;
        assert_eq!(in_a_batch, [Ok(answer)]);
    }
    assert_eq!(find(&store, &create.record).await, Some(stored));
    assert_eq!(store.acts().await, acts);
}

async fn a_student_number_is_the_institutions_own(store: TestStore) {
    let home = fixtures::record(HOME, now());
    let mut other = fixtures::record(OTHER, now());
    other.program.student_number = home.program.student_number.clone();
    for record in [&home, &other] {
        let outcome = put(&store, record.clone()).await;
        assert!(matches!(outcome, RecordOutcome::Created(_)));
        assert!(find(&store, record).await.unwrap().record == *record);
    }
}

async fn a_batch_of_many_rows_answers_in_its_order(store: TestStore) {
    let acts = store.acts().await;
    // More than one transaction's worth, and one student twice in a row.
    let mut rows: Vec<RecordRow> = (0..130)
        .rev()
        .map(|_| record_row(fixtures::record(HOME, now())))
        .collect();
    rows.reverse();
    rows[7] = record_row(at(&rows[3].record, after(1)));
    let outcomes = store.upsert_records(&rows).await;
    assert_eq!(outcomes.len(), rows.len());
    for (index, (row, outcome)) in rows.iter().zip(outcomes).enumerate() {
        match outcome.unwrap() {
            RecordOutcome::Replaced(stored) => {
                assert_eq!((index, stored.id), (7, rows[3].id));
                assert!(stored.record == row.record);
            }
            RecordOutcome::Created(stored) => {
                assert_eq!(stored.id, row.id);
                assert!(stored.record == row.record);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.count("enrollment_record").await, 129);
    assert_eq!(store.acts().await, acts + 130);
}

async fn the_same_batch_twice_at_once_is_stored_once(store: TestStore) {
    let acts = store.acts().await;
    let rows: Vec<RecordRow> = (0..20)
        .map(|_| record_row(fixtures::record(HOME, now())))
        .collect();
    let answers = together(2, |_| {
        let (store, rows) = (store.clone(), rows.clone());
        async move { store.upsert_records(&rows).await }
    })
    .await;
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].iter().all(Result::is_ok));
    assert_eq!(store.count("enrollment_record").await, 20);
    assert_eq!(store.acts().await, acts + 20);
}

async fn batches_over_the_same_students_wait_for_each_other(store: TestStore) {
    let records: Vec<EnrollmentRecord> = (0..20).map(|_| fixtures::record(HOME, now())).collect();
    let answers = together(4, |index| {
        let store = store.clone();
        let newer = after(i64::try_from(index).unwrap());
        let mut rows: Vec<RecordRow> = records
            .iter()
            .map(|record| record_row(at(record, newer)))
            .collect();
        // Each batch in an order of its own, as different systems would send it.
        rows.rotate_left(index * 5);
        if index % 2 == 1 {
            rows.reverse();
        }
        async move { store.upsert_records(&rows).await }
    })
    .await;
    assert!(answers.iter().flatten().all(Result::is_ok), "{answers:?}");
    for record in &records {
        let stored = find(&store, record).await.unwrap();
        assert_eq!(stored.record.as_of_time, after(3));
    }
}

async fn many_at_once_for_one_student_leave_the_newest(store: TestStore) {
    let acts = store.acts().await;
    let record = fixtures::record(HOME, now());
    let answers = together(20, |index| {
        let store = store.clone();
        // 7 is prime to 20: every instant once, out of order.
        let row = record_row(at(&record, after(i64::try_from(index * 7 % 20).unwrap())));
        async move { store.upsert_record(&row).await.unwrap() }
    })
    .await;
    let count = |is: fn(&RecordOutcome) -> bool| answers.iter().filter(|answer| is(answer)).count();
    assert_eq!(
        count(|answer| matches!(answer, RecordOutcome::Created(_))),
        1
    );
    let replaced = count(|answer| matches!(answer, RecordOutcome::Replaced(_)));
    let stored = find(&store, &record).await.unwrap();
    assert_eq!(stored.record.as_of_time, after(19));
    assert_eq!(store.count("enrollment_record").await, 1);
    let made = i64::try_from(1 + replaced).unwrap();
    assert_eq!(store.acts().await, acts + made);
}
