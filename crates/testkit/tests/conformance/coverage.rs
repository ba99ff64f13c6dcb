//! Of whom anything is on record at all.

use gavah_domain::TermId;
use gavah_domain::record::EnrollmentRecord;
use gavah_testkit::fixtures::{self, after, now, record_row};

use crate::harness::{HOME, OTHER, TestStore};

cases! {
    what_cannot_be_read_is_no_statement,
    every_record_is_counted_once_however_many_there_are,
}

async fn what_cannot_be_read_is_no_statement(store: TestStore) {
    let row = record_row(fixtures::record(HOME, now()));
    store.upsert_record(&row).await.unwrap();
    store
        .run("UPDATE enrollment_record SET content = 'x' || content")
        .await;
    store.records_covered().await.unwrap_err();
    assert_eq!(store.codes_covered().await, Ok(Vec::new()));
}

async fn every_record_is_counted_once_however_many_there_are(store: TestStore) {
    const COPIES: i64 = 11_000;
    assert_eq!(store.records_covered().await, Ok(Vec::new()));
    let at = |institution, as_of, term: &str| EnrollmentRecord {
        current_term: TermId::parse(term).unwrap(),
        ..fixtures::record(institution, as_of)
    };
    for record in [
        at(HOME, now(), "1404-2"),
        at(HOME, after(5), "1403-3"),
        at(OTHER, after(2), "1404-1"),
    ] {
        store.upsert_record(&record_row(record)).await.unwrap();
    }
    // More than is counted in one statement, and ids in no order.
    let (numbers, id) = if store.is_postgres() {
        (
            "WITH numbers AS (SELECT generate_series(1, 11000) AS n)",
            "gen_random_uuid()",
        )
    } else {
        (
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 11000)",
            "randomblob(16)",
        )
    };
    store
        .run(&format!(
            "{numbers} INSERT INTO enrollment_record \
             (id, institution_code, student_number, person_key, status, content, as_of_time, receive_time) \
             SELECT {id}, institution_code, student_number || '-' || n, person_key, status, content, as_of_time, \
             receive_time FROM enrollment_record CROSS JOIN numbers"
        ))
        .await;
    let told = store.records_covered().await.unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|covered| {
            let code = covered.institution_code.as_str();
            (code, covered.records, covered.terms, covered.last_time)
        })
        .collect();
    let received = |as_of| fixtures::record(HOME, after(as_of)).receive_time;
    let terms = |first, last| {
        let term = |text| TermId::parse(text).unwrap();
        Some((term(first), term(last)))
    };
    let expected = [
        (
            HOME,
            2 * (COPIES + 1),
            terms("1403-3", "1404-2"),
            received(5),
        ),
        (OTHER, COPIES + 1, terms("1404-1", "1404-1"), received(2)),
    ];
    assert_eq!(told, expected);
}
