//! What callers have spent: added up by all nodes, forgotten in parts.

use gavah_store::{Spending, Spent};

use crate::harness::{TestStore, together};

cases! {
    nodes_that_tell_of_the_same_callers_at_once_lose_nothing,
    what_is_old_is_forgotten_in_parts_and_nothing_else,
}

const DAY: i32 = 14_050_223;

fn spending(caller_id: &str, day: i32, subjects: impl IntoIterator<Item = i64>) -> Spending {
    Spending {
        caller_id: caller_id.to_owned(),
        day,
        negatives: 1,
        subjects: subjects.into_iter().collect(),
    }
}

async fn nodes_that_tell_of_the_same_callers_at_once_lose_nothing(store: TestStore) {
    const ROUNDS: i64 = 10;
    let callers = ["hub/agencies", "hub/agencies/1", "university", "window"];
    let nodes = [
        store.place.open().await.unwrap(),
        store.place.open().await.unwrap(),
    ];
    for round in 0..ROUNDS {
        let told: Vec<_> = callers
            .iter()
            .map(|caller| spending(caller, DAY, round * 100..(round + 1) * 100))
            .collect();
        // One node has them in one order, the other in the opposite one.
        let mut opposite = told.clone();
        opposite.reverse();
        for spent in &mut opposite {
            spent.subjects.reverse();
        }
        let (nodes, told) = (nodes.clone(), [told, opposite]);
        let told = together(2, move |node| {
            let (store, told) = (nodes[node].clone(), told[node].clone());
            async move { store.spend(&told).await }
        });
        assert_eq!(told.await, [Ok(()), Ok(())]);
    }
    for node in nodes {
        node.close().await;
    }
    if store.is_postgres() {
        let ran_into = "pg_stat_database WHERE datname = current_database() AND deadlocks > 0";
        assert_eq!(store.count(ran_into).await, 0);
    }
    let mut spent = store.spent_on(DAY).await.unwrap();
    spent.sort_by(|one, other| one.caller_id.cmp(&other.caller_id));
    let expected = callers.map(|caller| Spent {
        caller_id: caller.to_owned(),
        negatives: 2 * ROUNDS,
        subjects: 100 * ROUNDS,
    });
    assert_eq!(spent, expected);
}

async fn what_is_old_is_forgotten_in_parts_and_nothing_else(store: TestStore) {
    // More than fits into one statement of SQLite.
    let told = [
        spending("window", DAY - 2, 0..12_000),
        spending("hub/agencies", DAY - 1, []),
        spending("window", DAY, 0..3),
    ];
    store.spend(&told).await.unwrap();
    let mut parts = 0;
    while store.forget_spending_before(DAY).await.unwrap() {
        parts += 1;
    }
    assert_eq!(
        parts, 4,
        "three parts of one day, and a day without a subject"
    );
    assert_eq!(store.count("lookup_subject").await, 3);
    assert_eq!(store.count("lookup_budget").await, 1);
    let kept = Spent {
        caller_id: "window".to_owned(),
        negatives: 1,
        subjects: 3,
    };
    assert_eq!(store.spent_on(DAY).await, Ok(vec![kept]));
}
