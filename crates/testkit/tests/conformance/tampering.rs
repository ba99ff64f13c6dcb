//! Whoever gets past the triggers is found out by the chain.

use gavah_store::{Difference, RegistryChange};
use gavah_testkit::fixtures::{self, after, operator};

use crate::harness::{HOME, TestStore};

cases! {
    a_changed_entry_is_named,
    a_deleted_entry_is_named,
    a_deleted_event_is_named,
    two_swapped_links_are_named,
    two_links_with_swapped_entries_are_named,
    a_chain_cut_in_the_middle_is_named,
    a_chain_cut_at_its_end_is_named,
    an_entry_that_was_never_chained_is_named,
    a_chain_built_anew_over_a_changed_entry_has_another_head,
    the_first_of_several_differences_is_named,
}

/// Seven entries, chained, and then these statements by somebody who may do anything.
async fn after_tampering(store: &TestStore, statements: &[&str]) -> Option<Difference> {
    for number in 0..4 {
        let expert = fixtures::expert(HOME, &format!("T{number}"));
        let created = store.create_expert(&operator(after(number)), &expert).await;
        assert_eq!(created, Ok(RegistryChange::Done));
    }
    store.settle().await;
    assert_eq!(store.verify_chain().await.unwrap().difference, None);
    tamper(store, statements).await;
    store.leave();
    store.verify_chain().await.unwrap().difference
}

async fn tamper(store: &TestStore, statements: &[&str]) {
    let mut raw = store.place.superuser().await;
    if store.is_postgres() {
        let past_triggers = "SET session_replication_role = replica";
        raw.run(past_triggers).await.unwrap();
    } else {
        raw.run("PRAGMA foreign_keys = OFF").await.unwrap();
        let triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
        for trigger in raw.texts(triggers).await {
            raw.run(&format!("DROP TRIGGER {trigger}")).await.unwrap();
        }
    }
    for statement in statements {
        let touched = raw.run(statement).await.unwrap();
        assert!(
            touched > 0 || statement.starts_with("CREATE"),
            "{statement}"
        );
    }
}

async fn a_changed_entry_is_named(store: TestStore) {
    let change = "UPDATE audit_entry SET actor = 'callers/somebody-else' \
                  WHERE id = (SELECT entry_id FROM audit_chain WHERE seq = 3)";
    let found = after_tampering(&store, &[change]).await;
    assert_eq!(found, Some(Difference::EntryChanged(3)));
}

async fn a_deleted_entry_is_named(store: TestStore) {
    let delete = "DELETE FROM audit_entry \
                  WHERE id = (SELECT entry_id FROM audit_chain WHERE seq = 4)";
    let found = after_tampering(&store, &[delete]).await;
    assert_eq!(found, Some(Difference::EntryMissing(4)));
}

async fn a_deleted_event_is_named(store: TestStore) {
    let delete = "DELETE FROM change_event \
                  WHERE entry_id = (SELECT entry_id FROM audit_chain WHERE seq = 5)";
    let found = after_tampering(&store, &[delete]).await;
    assert_eq!(found, Some(Difference::EventMissing(5)));
}

async fn two_swapped_links_are_named(store: TestStore) {
    let swap = [
        "UPDATE audit_chain SET seq = -2 WHERE seq = 2",
        "UPDATE audit_chain SET seq = 2 WHERE seq = 3",
        "UPDATE audit_chain SET seq = 3 WHERE seq = -2",
    ];
    let found = after_tampering(&store, &swap).await;
    assert_eq!(found, Some(Difference::Broken(2)));
}

async fn two_links_with_swapped_entries_are_named(store: TestStore) {
    let swap = [
        "CREATE TABLE swapped AS SELECT seq, entry_id FROM audit_chain WHERE seq IN (2, 6)",
        "DELETE FROM audit_chain WHERE seq = 6",
        "UPDATE audit_chain SET entry_id = (SELECT entry_id FROM swapped WHERE seq = 6) WHERE seq = 2",
    ];
    let found = after_tampering(&store, &swap).await;
    assert_eq!(found, Some(Difference::EntryChanged(2)));
}

async fn a_chain_cut_in_the_middle_is_named(store: TestStore) {
    let cut = "DELETE FROM audit_chain WHERE seq IN (3, 4)";
    let gap = Difference::Gap {
        expected: 3,
        found: 5,
    };
    assert_eq!(after_tampering(&store, &[cut]).await, Some(gap));
}

async fn a_chain_cut_at_its_end_is_named(store: TestStore) {
    let cut = "DELETE FROM audit_chain WHERE seq > 5";
    let found = after_tampering(&store, &[cut]).await;
    assert_eq!(found, Some(Difference::Unchained(2)));
}

async fn an_entry_that_was_never_chained_is_named(store: TestStore) {
    // The queue is emptied before the sequencer comes by.
    tamper(&store, &["DELETE FROM audit_pending"]).await;
    store.leave();
    store.settle().await;
    let report = store.verify_chain().await.unwrap();
    assert_eq!(report.difference, Some(Difference::Unchained(3)));
}

async fn a_chain_built_anew_over_a_changed_entry_has_another_head(store: TestStore) {
    store.settle().await;
    let before = store.verify_chain().await.unwrap();
    let anew = [
        "UPDATE audit_entry SET reason = 'made up'",
        "INSERT INTO audit_pending (entry_id) SELECT entry_id FROM audit_chain",
        "DELETE FROM audit_chain",
    ];
    tamper(&store, &anew).await;
    store.settle().await;
    let after = store.verify_chain().await.unwrap();
    assert_eq!(after.difference, None, "a whole new chain holds in itself");
    assert_eq!(after.links, before.links);
    assert_ne!(after.head, before.head, "so keep the head elsewhere");
}

async fn the_first_of_several_differences_is_named(store: TestStore) {
    let statements = [
        "DELETE FROM audit_chain WHERE seq = 6",
        "UPDATE audit_entry SET reason = 'made up' \
         WHERE id = (SELECT entry_id FROM audit_chain WHERE seq = 2)",
    ];
    let found = after_tampering(&store, &statements).await;
    assert_eq!(found, Some(Difference::EntryChanged(2)));
}
