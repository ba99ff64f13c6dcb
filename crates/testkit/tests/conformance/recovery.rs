//! Intents that were never finished.

use std::collections::BTreeSet;

use gavah_domain::certificate::ApplicationState;
use gavah_domain::document::DocumentState;
use gavah_testkit::fixtures::{self, after, call, now, operator};
use uuid::Uuid;

use crate::certificates::{everything, issue, issued, recorded, sign};
use crate::harness::{HOME, TestStore, together};

cases! {
    a_lease_that_runs_is_left_alone,
    what_is_signed_or_cancelled_is_never_taken_up,
    an_expired_intent_is_taken_once_until_its_new_lease_expires,
    two_runs_at_once_share_the_expired_intents,
    no_more_are_taken_than_asked_for,
    an_intent_taken_up_is_finished_by_the_other_run,
    a_cancelled_intent_never_becomes_a_certificate,
    cancelling_what_is_issued_changes_nothing,
}

async fn open(store: &TestStore) -> Uuid {
    let issue = issue(HOME);
    drop(recorded(store, &call("IssueCertificate", now()), &issue).await);
    issue.id
}

async fn taken(store: &TestStore, at_seconds: i64, limit: u64) -> Vec<Uuid> {
    let until = after(at_seconds + 60);
    let taken = store
        .take_expired_intents(fixtures::id(), after(at_seconds), until, limit)
        .await
        .unwrap();
    taken
        .into_iter()
        .map(|certificate| certificate.id)
        .collect()
}

async fn a_lease_that_runs_is_left_alone(store: TestStore) {
    let id = open(&store).await;
    assert!(taken(&store, 0, 10).await.is_empty());
    assert!(
        taken(&store, 60, 10).await.is_empty(),
        "to its last instant"
    );
    assert_eq!(taken(&store, 61, 10).await, [id]);
}

async fn what_is_signed_or_cancelled_is_never_taken_up(store: TestStore) {
    issued(&store, HOME).await;
    let cancelled = open(&store).await;
    store
        .cancel_intent(&operator(after(1)), cancelled, "synthetic reason", "")
        .await
        .unwrap();
    assert!(taken(&store, 1_000_000, 10).await.is_empty());
}

async fn an_expired_intent_is_taken_once_until_its_new_lease_expires(store: TestStore) {
    let id = open(&store).await;
    assert_eq!(taken(&store, 100, 10).await, [id]);
    assert!(taken(&store, 100, 10).await.is_empty());
    assert!(taken(&store, 160, 10).await.is_empty());
    assert_eq!(taken(&store, 161, 10).await, [id]);
}

async fn two_runs_at_once_share_the_expired_intents(store: TestStore) {
    let mut expired = BTreeSet::new();
    for _ in 0..8 {
        expired.insert(open(&store).await);
    }
    // On PostgreSQL both look before either takes: the rows are held until both wait for them.
    let mut held = store.place.raw().await;
    if store.is_postgres() {
        let hold = "BEGIN; UPDATE enrollment_certificate SET version = version";
        held.run(hold).await.unwrap();
    }
    let runs = store.clone();
    let shares = tokio::spawn(together(2, move |_| {
        let store = runs.clone();
        async move { taken(&store, 100, 10).await }
    }));
    if store.is_postgres() {
        store.waiting(2).await;
        held.run("COMMIT").await.unwrap();
    }
    let shares = shares.await.unwrap();
    let all: Vec<Uuid> = shares.into_iter().flatten().collect();
    assert_eq!(all.len(), 8, "each is taken once");
    assert_eq!(BTreeSet::from_iter(all), expired);
}

async fn no_more_are_taken_than_asked_for(store: TestStore) {
    for _ in 0..3 {
        open(&store).await;
    }
    assert_eq!(taken(&store, 100, 2).await.len(), 2);
    assert_eq!(taken(&store, 100, 2).await.len(), 1);
    assert_eq!(taken(&store, 100, 2).await.len(), 0);
}

async fn an_intent_taken_up_is_finished_by_the_other_run(store: TestStore) {
    let context = call("IssueCertificate", now());
    let issue = issue(HOME);
    let slow = recorded(&store, &context, &issue).await;
    assert_eq!(taken(&store, 100, 10).await, [issue.id]);
    let quick = store
        .intent(issue.id, String::new())
        .await
        .unwrap()
        .unwrap();
    let stored = store
        .finish_certificate(&operator(after(101)), &sign(quick, " by the other run"))
        .await
        .unwrap();
    // The first run wakes up: it gets what is stored, and its signature is dropped.
    let acts = store.acts().await;
    let late = store
        .finish_certificate(&context, &sign(slow, " too late"))
        .await;
    assert_eq!(late, Ok(stored));
    assert_eq!(store.acts().await, acts);
}

async fn a_cancelled_intent_never_becomes_a_certificate(store: TestStore) {
    let context = call("IssueCertificate", now());
    let issue = issue(HOME);
    let slow = recorded(&store, &context, &issue).await;
    let acts = store.acts().await;
    for _ in 0..2 {
        store
            .cancel_intent(
                &operator(after(9)),
                issue.id,
                "ENROLLMENT_NOT_ACTIVE",
                "00ff",
            )
            .await
            .unwrap();
    }
    assert_eq!(store.acts().await, acts + 1);
    let late = store
        .finish_certificate(&context, &sign(slow, " too late"))
        .await
        .unwrap();
    let late = late.unwrap();
    assert_eq!(late.signed_document, None);
    assert_eq!(late.state, DocumentState::Revoked);
    assert!(
        store
            .intent(issue.id, String::new())
            .await
            .unwrap()
            .is_none()
    );
    let application = store
        .application(issue.application_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(application.state, ApplicationState::Cancelled);
    assert_eq!(application.history.len(), 2);
    assert_eq!(store.application_open(&issue.open_key).await, Ok(false));
    let listed = store.list_certificates(&everything(), None, 10).await;
    assert_eq!(listed, Ok(Vec::new()));
    let entry = "audit_entry WHERE from_state = 'ISSUING' AND to_state = 'CANCELLED' \
                 AND reason = 'ENROLLMENT_NOT_ACTIVE' AND subject_hash = '00ff'";
    assert_eq!(store.count(entry).await, 1);
}

async fn cancelling_what_is_issued_changes_nothing(store: TestStore) {
    let stored = issued(&store, HOME).await;
    let acts = store.acts().await;
    store
        .cancel_intent(&operator(after(9)), stored.id, "synthetic reason", "")
        .await
        .unwrap();
    assert_eq!(store.certificate(stored.id).await, Ok(Some(stored)));
    assert_eq!(store.acts().await, acts);
}
