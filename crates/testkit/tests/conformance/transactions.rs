//! What becomes of an act when time runs out, the caller goes away or the database does.

use std::sync::Arc;
use std::time::Duration;

use gavah_domain::SystemEntropy;
use gavah_store::{ActContext, Issue, IssueCode, Store, StoreError, StoreLimits, StoredCode};
use gavah_testkit::fixtures::{self, call, now};
use tokio::time::Instant;

use crate::harness::{EXPERT, HOME, LIMITS, TestStore, assert_tells_nothing, together};
use crate::raw::Raw;

cases! {
    a_deadline_in_the_past_is_a_timeout,
    a_deadline_that_passes_before_the_commit_leaves_nothing,
    calls_that_timed_out_leave_every_connection_usable,
    an_act_whose_caller_goes_away_before_it_begins_leaves_nothing,
    one_act_that_the_database_refuses_does_not_fail_its_neighbours,
    one_deadline_that_passes_does_not_end_its_neighbours,
    an_error_of_the_database_tells_no_secret,
}

cases_of! { postgres_only, Postgres:
    an_act_that_has_begun_is_finished_once_though_its_caller_goes_away,
    a_terminated_connection_is_told_and_the_store_works_again,
    a_commit_without_an_answer_is_unknown_and_the_retry_tells_the_truth,
    a_connection_terminated_in_its_commit_is_unknown,
    when_no_connection_is_free_the_store_is_unavailable,
}

fn fresh() -> (ActContext, IssueCode) {
    let context = call("IssueValidityCode", now());
    (context, fixtures::issue_code(HOME, EXPERT, now()))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(200)
}

async fn issued(store: &Store, context: &ActContext, issue: &IssueCode) -> StoredCode {
    match store.issue_code(context, issue).await {
        Ok(Issue::Issued(stored)) => stored,
        other => panic!("not issued: {other:?}"),
    }
}

/// Another transaction that lets nobody issue until it ends.
async fn locked(store: &TestStore) -> Raw {
    let mut raw = store.place.raw().await;
    let lock = if store.is_postgres() {
        "BEGIN; LOCK TABLE validity_code IN ACCESS EXCLUSIVE MODE"
    } else {
        "BEGIN IMMEDIATE"
    };
    raw.run(lock).await.unwrap();
    raw
}

async fn a_deadline_in_the_past_is_a_timeout(store: TestStore) {
    let late = store.by(Instant::now());
    let (context, issue) = fresh();
    let refused = late.issue_code(&context, &issue).await;
    assert_eq!(refused, Err(StoreError::Timeout));
    assert_eq!(late.find_code(&issue.code).await, Err(StoreError::Timeout));
    assert_eq!(late.ping().await, Err(StoreError::Timeout));
    // The store it came from has no deadline.
    assert_eq!(store.ping().await, Ok(()));
    issued(&store, &context, &issue).await;
}

async fn a_deadline_that_passes_before_the_commit_leaves_nothing(store: TestStore) {
    let (context, issue) = fresh();
    let acts = store.acts().await;
    let mut lock = locked(&store).await;
    let refused = store.by(soon()).issue_code(&context, &issue).await;
    assert_eq!(refused, Err(StoreError::Timeout));
    lock.run("COMMIT").await.unwrap();
    let claim = context.claim.as_ref().unwrap();
    assert_eq!(store.claimed(claim).await, Ok(None));
    assert_eq!(store.find_code(&issue.code).await, Ok(None));
    assert_eq!(store.acts().await, acts);
    issued(&store, &context, &issue).await;
}

async fn calls_that_timed_out_leave_every_connection_usable(store: TestStore) {
    let mut lock = locked(&store).await;
    let refused = together(12, |_| {
        let store = store.clone();
        async move {
            let (context, issue) = fresh();
            store.by(soon()).issue_code(&context, &issue).await
        }
    })
    .await;
    assert!(
        refused
            .iter()
            .all(|answer| *answer == Err(StoreError::Timeout)),
        "{refused:?}"
    );
    lock.run("COMMIT").await.unwrap();
    let answers = together(12, |_| {
        let store = store.clone();
        async move {
            let (context, issue) = fresh();
            store.issue_code(&context, &issue).await
        }
    })
    .await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(Issue::Issued(_)))),
        "{answers:?}"
    );
    assert_eq!(store.count("validity_code").await, 12);
    assert_eq!(store.count("request_claim").await, 12);
}

async fn an_act_whose_caller_goes_away_before_it_begins_leaves_nothing(store: TestStore) {
    let mut lock = locked(&store).await;
    // As many as are done at the same time, and one that has to wait behind them.
    let mut under_way = Vec::new();
    for connections in [1, 2, 3] {
        let (store, (context, issue)) = (store.clone(), fresh());
        under_way.push(tokio::spawn({
            let store = store.clone();
            async move { store.issue_code(&context, &issue).await }
        }));
        if store.is_postgres() {
            store.waiting(connections).await;
        }
    }
    let (context, issue) = fresh();
    let gone = tokio::spawn({
        let (store, context, issue) = (store.clone(), context.clone(), issue.clone());
        async move { store.issue_code(&context, &issue).await }
    });
    tokio::task::yield_now().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    lock.run("COMMIT").await.unwrap();
    for act in under_way {
        assert!(matches!(act.await.unwrap(), Ok(Issue::Issued(_))));
    }
    assert_eq!(store.code(issue.id).await, Ok(None));
    issued(&store, &context, &issue).await;
    assert_eq!(store.count("validity_code").await, 4);
}

async fn an_act_that_has_begun_is_finished_once_though_its_caller_goes_away(store: TestStore) {
    let (context, issue) = fresh();
    let mut lock = locked(&store).await;
    let call = tokio::spawn({
        let (store, context, issue) = (store.clone(), context.clone(), issue.clone());
        async move { store.issue_code(&context, &issue).await }
    });
    store.waiting(1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let retry = tokio::spawn({
        let (store, context, issue) = (store.clone(), context.clone(), issue.clone());
        async move { store.issue_code(&context, &issue).await }
    });
    store.waiting(2).await;
    lock.run("COMMIT").await.unwrap();
    // Whichever of the two was first: one code, and the retry is told of it.
    let answer = retry.await.unwrap();
    assert!(
        matches!(&answer, Ok(Issue::Issued(stored) | Issue::Replayed(stored)) if stored.id == issue.id),
        "{answer:?}"
    );
    assert_eq!(store.count("validity_code").await, 1);
    assert_eq!(store.count("request_claim").await, 1);
}

async fn one_act_that_the_database_refuses_does_not_fail_its_neighbours(store: TestStore) {
    let mut raw = store.place.raw().await;
    let refuse = if store.is_postgres() {
        "CREATE FUNCTION pick() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN IF NEW.external_ref = 'poison' THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER pick BEFORE INSERT ON validity_code FOR EACH ROW EXECUTE FUNCTION pick()"
    } else {
        "CREATE TRIGGER pick BEFORE INSERT ON validity_code WHEN NEW.external_ref = 'poison' \
         BEGIN SELECT RAISE(ABORT, 'refused'); END"
    };
    raw.run(refuse).await.unwrap();
    let acts = store.acts().await;
    let mut lock = locked(&store).await;
    // All wait at the same time, so that they are done together.
    let mut calls = Vec::new();
    for place in 0..40 {
        let (context, mut issue) = fresh();
        if place % 13 == 5 {
            issue.content.external_ref = "poison".to_owned();
        }
        let store = store.clone();
        calls.push(tokio::spawn(async move {
            store.issue_code(&context, &issue).await
        }));
    }
    if store.is_postgres() {
        store.waiting(2).await;
    }
    lock.run("COMMIT").await.unwrap();
    for (place, call) in calls.into_iter().enumerate() {
        let answer = call.await.unwrap();
        if place % 13 == 5 {
            assert!(
                matches!(answer, Err(StoreError::Database { .. })),
                "{place}: {answer:?}"
            );
        } else {
            assert!(
                matches!(answer, Ok(Issue::Issued(_))),
                "{place}: {answer:?}"
            );
        }
    }
    assert_eq!(store.count("validity_code").await, 37);
    assert_eq!(store.count("request_claim").await, 37);
    assert_eq!(store.acts().await, acts + 37);
}

async fn one_deadline_that_passes_does_not_end_its_neighbours(store: TestStore) {
    let mut lock = locked(&store).await;
    let mut calls = Vec::new();
    for place in 0..12 {
        let (store, (context, issue)) = (store.clone(), fresh());
        calls.push(tokio::spawn(async move {
            let hurried = store.by(soon());
            let store = if place % 3 == 0 { &hurried } else { &*store };
            store.issue_code(&context, &issue).await
        }));
    }
    let mut answers = Vec::new();
    for (place, call) in calls.into_iter().enumerate() {
        if place % 3 == 0 {
            assert_eq!(call.await.unwrap(), Err(StoreError::Timeout), "{place}");
        } else {
            answers.push(call);
        }
    }
    lock.run("COMMIT").await.unwrap();
    for call in answers {
        let answer = call.await.unwrap();
        assert!(matches!(answer, Ok(Issue::Issued(_))), "{answer:?}");
    }
    assert_eq!(store.count("validity_code").await, 8);
}

async fn an_error_of_the_database_tells_no_secret(store: TestStore) {
    let (context, issue) = fresh();
    let mut raw = store.place.raw().await;
    let refuse = if store.is_postgres() {
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'canary %', NEW.code USING DETAIL = NEW.content; END $$; \
         CREATE TRIGGER tell BEFORE INSERT ON validity_code FOR EACH ROW EXECUTE FUNCTION tell()"
    } else {
        "CREATE TRIGGER tell BEFORE INSERT ON validity_code \
         BEGIN SELECT RAISE(ABORT, 'canary: UNIQUE constraint failed'); END"
    };
    raw.run(refuse).await.unwrap();
    let error = store.issue_code(&context, &issue).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
    let person = issue.content.subject.person_id.key();
    let national_code = person.rsplit(':').next().unwrap();
    assert_tells_nothing(
        &error,
        &["canary", issue.code.as_str(), national_code, "آزمایشی"],
    );
    let untell = if store.is_postgres() {
        "DROP TRIGGER tell ON validity_code"
    } else {
        "DROP TRIGGER tell"
    };
    raw.run(untell).await.unwrap();
    issued(&store, &context, &issue).await;
}

async fn a_terminated_connection_is_told_and_the_store_works_again(store: TestStore) {
    let (context, issue) = fresh();
    let mut lock = locked(&store).await;
    let call = tokio::spawn({
        let (store, context, issue) = (store.clone(), context.clone(), issue.clone());
        async move { store.issue_code(&context, &issue).await }
    });
    let pid = store.waiting(1).await;
    let terminate = format!("SELECT pg_terminate_backend({pid})::integer::bigint");
    assert_eq!(store.place.superuser().await.number(&terminate).await, 1);
    let answer = call.await.unwrap();
    assert_eq!(answer, Err(StoreError::Unavailable));
    lock.run("COMMIT").await.unwrap();
    issued(&store, &context, &issue).await;
    // And when all connections are gone at once.
    let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND application_name = 'gavah'";
    assert!(store.place.superuser().await.number(all).await > 0);
    let (context, issue) = fresh();
    let mut answer = store.issue_code(&context, &issue).await;
    while answer == Err(StoreError::Unavailable) {
        answer = store.issue_code(&context, &issue).await;
    }
    assert!(
        matches!(answer, Ok(Issue::Issued(_) | Issue::Replayed(_))),
        "{answer:?}"
    );
    assert_eq!(store.count("validity_code").await, 2);
}

/// Makes every COMMIT of a new code wait for the advisory lock 7, and takes it.
async fn slow_commits(store: &TestStore) -> Raw {
    let mut raw = store.place.raw().await;
    let slow = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$; \
                CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON validity_code \
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait(); \
                SELECT pg_advisory_lock(7)";
    raw.run(slow).await.unwrap();
    raw
}

async fn a_commit_without_an_answer_is_unknown_and_the_retry_tells_the_truth(store: TestStore) {
    let limits = StoreLimits {
        commit: Duration::from_millis(200),
        ..LIMITS
    };
    let entropy = Arc::new(SystemEntropy);
    let hasty = Store::open(&store.place.runtime(), limits, entropy)
        .await
        .unwrap();
    let (context, issue) = fresh();
    let mut lock = slow_commits(&store).await;
    let answer = hasty.issue_code(&context, &issue).await;
    assert_eq!(answer, Err(StoreError::CommitUnknown));
    let retry = tokio::spawn({
        let (store, context, issue) = (store.clone(), context.clone(), issue.clone());
        async move { store.issue_code(&context, &issue).await }
    });
    lock.run("SELECT pg_advisory_unlock(7)").await.unwrap();
    let retried = retry.await.unwrap();
    assert!(
        matches!(&retried, Ok(Issue::Replayed(stored)) if stored.id == issue.id),
        "{retried:?}"
    );
    assert_eq!(store.count("validity_code").await, 1);
    hasty.close().await;
}

async fn a_connection_terminated_in_its_commit_is_unknown(store: TestStore) {
    let (context, issue) = fresh();
    let mut lock = slow_commits(&store).await;
    let call = tokio::spawn({
        let (store, context, issue) = (store.clone(), context.clone(), issue.clone());
        async move { store.issue_code(&context, &issue).await }
    });
    let pid = store.waiting(1).await;
    let terminate = format!("SELECT pg_terminate_backend({pid})::integer::bigint");
    assert_eq!(store.place.superuser().await.number(&terminate).await, 1);
    assert_eq!(call.await.unwrap(), Err(StoreError::CommitUnknown));
    lock.run("SELECT pg_advisory_unlock(7)").await.unwrap();
    // This one was in fact rolled back, so the retry issues it.
    issued(&store, &context, &issue).await;
}

async fn when_no_connection_is_free_the_store_is_unavailable(store: TestStore) {
    let limits = StoreLimits {
        connections: 1,
        acquire: Duration::from_millis(200),
        ..LIMITS
    };
    let entropy = Arc::new(SystemEntropy);
    let small = Store::open(&store.place.runtime(), limits, entropy)
        .await
        .unwrap();
    let (context, issue) = fresh();
    let mut lock = locked(&store).await;
    let call = tokio::spawn({
        let (small, context, issue) = (small.clone(), context.clone(), issue.clone());
        async move { small.issue_code(&context, &issue).await }
    });
    store.waiting(1).await;
    assert_eq!(small.ping().await, Err(StoreError::Unavailable));
    lock.run("COMMIT").await.unwrap();
    assert!(matches!(call.await.unwrap(), Ok(Issue::Issued(_))));
    assert_eq!(small.ping().await, Ok(()));
    small.close().await;
}
