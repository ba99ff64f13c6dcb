//! Codes and claims that were acknowledged are on the disk.

use gavah_store::Issue;
use gavah_testkit::fixtures::{self, call};

use crate::harness::{EXPERT, HOME, TestStore};

cases! {
    what_was_acknowledged_is_there_for_the_next_process,
}

cases_of! { sqlite_only, Sqlite:
    the_file_is_in_write_ahead_mode,
}

async fn what_was_acknowledged_is_there_for_the_next_process(store: TestStore) {
    let context = call("IssueValidityCode", fixtures::now());
    let issue = fixtures::issue_code(HOME, EXPERT, fixtures::now());
    let issued = store.issue_code(&context, &issue).await.unwrap();
    store.close().await;
    let next = store.place.open().await.unwrap();
    let Issue::Issued(issued) = issued else {
        panic!("{issued:?}");
    };
    assert_eq!(next.find_code(&issue.code).await, Ok(Some(issued.clone())));
    let replayed = next.issue_code(&context, &issue).await;
    assert_eq!(replayed, Ok(Issue::Replayed(issued)));
    // The harness has nothing left to ask the closed store.
    store.leave();
}

async fn the_file_is_in_write_ahead_mode(store: TestStore) {
    let mode = store.texts("PRAGMA journal_mode").await;
    assert_eq!(mode, ["wal"]);
}
