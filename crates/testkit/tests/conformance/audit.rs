//! The sequencer and its chain.

use gavah_store::{ActContext, RecordRow, RegistryChange};
use gavah_testkit::fixtures::{self, after, now, operator};
use jiff::Timestamp;

use crate::harness::{HOME, TestStore, together};

cases! {
    a_fresh_chain_holds_and_says_what_waits,
    entries_committed_in_reverse_order_of_their_ids_are_chained,
    sequencers_at_once_make_one_chain_without_gaps,
    more_entries_than_one_round_takes_are_chained_in_rounds,
    an_entry_holds_references_and_no_personal_data,
}

/// One act, recorded at `time`.
async fn act(store: &TestStore, time: Timestamp) {
    let expert = fixtures::expert(HOME, &format!("X{}", fixtures::number()));
    let created = store.create_expert(&operator(time), &expert).await;
    assert_eq!(created, Ok(RegistryChange::Done));
}

async fn a_fresh_chain_holds_and_says_what_waits(store: TestStore) {
    let report = store.verify_chain().await.unwrap();
    assert_eq!(
        (report.links, report.pending, report.difference),
        (0, 3, None)
    );
    assert_eq!(report.head, "0".repeat(64));
    assert_eq!(store.chain_pending().await, Ok(3));
    assert_eq!(store.chain_pending().await, Ok(0));
    let report = store.verify_chain().await.unwrap();
    assert_eq!(
        (report.links, report.pending, report.difference),
        (3, 0, None)
    );
    let last = "SELECT lower(encode(hash, 'hex')) FROM audit_chain WHERE seq = 3";
    let last = if store.is_postgres() {
        last.to_owned()
    } else {
        last.replace("encode(hash, 'hex')", "hex(hash)")
    };
    assert_eq!(store.texts(&last).await, [report.head]);
}

async fn entries_committed_in_reverse_order_of_their_ids_are_chained(store: TestStore) {
    store.settle().await;
    act(&store, after(1000)).await;
    assert_eq!(store.chain_pending().await, Ok(1));
    // A slower act of an earlier instant commits after a later one was chained.
    act(&store, after(-1000)).await;
    assert_eq!(store.chain_pending().await, Ok(1));
    let times = "SELECT CAST(act_time AS text) FROM audit_entry \
                 JOIN audit_chain ON entry_id = id WHERE seq > 3 ORDER BY seq";
    let times = store.texts(times).await;
    let expected = [after(1000), after(-1000)].map(|time| time.as_microsecond().to_string());
    assert_eq!(times, expected);
}

async fn sequencers_at_once_make_one_chain_without_gaps(store: TestStore) {
    let before = store.acts().await;
    together(8, |index| {
        let store = store.clone();
        async move {
            for round in 0..10 {
                // Half of them act, the other half chain what the others did.
                if index % 2 == 0 {
                    act(&store, after(round)).await;
                } else {
                    store.chain_pending().await.unwrap();
                }
            }
        }
    })
    .await;
    store.settle().await;
    let report = store.verify_chain().await.unwrap();
    assert_eq!(report.difference, None);
    let links = i64::try_from(report.links).unwrap();
    assert_eq!(links, before + 40);
    let mut raw = store.place.raw().await;
    assert_eq!(raw.number("SELECT max(seq) FROM audit_chain").await, links);
    assert_eq!(raw.number("SELECT min(seq) FROM audit_chain").await, 1);
}

async fn more_entries_than_one_round_takes_are_chained_in_rounds(store: TestStore) {
    store.settle().await;
    let rows: Vec<RecordRow> = (0..1010)
        .map(|_| {
            let row = fixtures::record_row(fixtures::record(HOME, now()));
            RecordRow {
                context: ActContext {
                    claim: None,
                    ..row.context.clone()
                },
                ..row
            }
        })
        .collect();
    let outcomes = store.upsert_records(&rows).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(store.chain_pending().await, Ok(1000));
    assert_eq!(store.chain_pending().await, Ok(10));
}

async fn an_entry_holds_references_and_no_personal_data(store: TestStore) {
    let row = fixtures::record_row(fixtures::record(HOME, now()));
    store.upsert_record(&row).await.unwrap();
    let issue = fixtures::issue_code(HOME, "E1", now());
    let context = fixtures::call("IssueValidityCode", now());
    store.issue_code(&context, &issue).await.unwrap();
    let mut raw = store.place.raw().await;
    let all = |table: &str| {
        if store.is_postgres() {
            format!("SELECT {table}::text FROM {table}")
        } else {
            let columns = match table {
                "audit_entry" => {
                    "actor, on_behalf, method, resource, action, from_state, to_state, reason, \
                     subject_hash, institution_code, request_id, trace_id"
                }
                _ => "institution_code, caller_id, resource, kind, state",
            };
            format!("SELECT concat_ws('|', {columns}) FROM {table}")
        }
    };
    let person = |key: String| key.rsplit(':').next().unwrap().to_owned();
    let secrets = [
        person(row.record.subject.person_id.key()),
        row.record.program.student_number.as_str().to_owned(),
        person(issue.content.subject.person_id.key()),
        issue.content.program.student_number.as_str().to_owned(),
        issue.code.as_str().to_owned(),
        "آزمایشی".to_owned(),
    ];
    for table in ["audit_entry", "change_event"] {
        let rows = raw.texts(&all(table)).await;
        assert!(rows.len() >= 5, "{table} was read");
        for secret in &secrets {
            assert!(rows.iter().all(|row| !row.contains(secret.as_str())));
        }
    }
}
