//! The gate: a server runs on its own schema or not at all.

use std::sync::Arc;
use std::time::Duration;

use gavah_domain::SystemEntropy;
use gavah_store::{Store, StoreConfig, StoreError, StoreLimits};

use crate::harness::{Engine, LIMITS, Place, TestStore, together};

cases! {
    opening_an_unmigrated_database_is_refused_and_says_what_to_run,
    a_migration_this_binary_does_not_know_is_refused,
    migrating_twice_does_nothing_the_second_time,
    processes_that_migrate_at_the_same_time_all_succeed,
    a_migration_that_fails_leaves_nothing_behind,
}

cases_of! { postgres_only, Postgres:
    a_role_without_grants_is_told_what_to_run,
    only_plain_role_names_are_granted_anything,
    a_database_that_is_not_there_is_unavailable,
}

fn schema_text<T: std::fmt::Debug>(opened: Result<T, StoreError>) -> String {
    match opened {
        Err(StoreError::Schema(text)) => text,
        other => panic!("the schema gate let it pass: {other:?}"),
    }
}

async fn tables(place: &Place) -> i64 {
    let count = match place.engine() {
        Engine::Sqlite => "SELECT count(*) FROM sqlite_master",
        Engine::Postgres => "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
    };
    place.raw().await.number(count).await
}

async fn opening_an_unmigrated_database_is_refused_and_says_what_to_run(store: TestStore) {
    let place = Place::new(store.place.engine());
    assert!(schema_text(place.open().await).contains("gavah migrate"));
    if let StoreConfig::Sqlite { path } = place.owner() {
        assert!(!path.exists(), "asking made a file");
        std::fs::write(path, "").unwrap();
        assert!(schema_text(place.open().await).contains("gavah migrate"));
    }
    assert_eq!(tables(&place).await, 0, "asking made a table");
}

async fn a_migration_this_binary_does_not_know_is_refused(store: TestStore) {
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_newer', 0)";
    store.place.raw().await.run(newer).await.unwrap();
    assert!(schema_text(store.place.open().await).contains("newer binary"));
    let migrated = Store::migrate(&store.place.owner()).await;
    assert!(schema_text(migrated).contains("newer binary"));
}

async fn migrating_twice_does_nothing_the_second_time(store: TestStore) {
    let acts = store.acts().await;
    assert_eq!(Store::migrate(&store.place.owner()).await, Ok(0));
    assert_eq!(store.acts().await, acts);
    assert!(store.place.open().await.is_ok());
}

async fn processes_that_migrate_at_the_same_time_all_succeed(store: TestStore) {
    let place = Place::new(store.place.engine());
    let owner = place.owner();
    let ran = together(4, |_| {
        let owner = owner.clone();
        async move { Store::migrate(&owner).await }
    })
    .await;
    let applied: Vec<_> = ran.iter().filter(|ran| **ran != Ok(0)).collect();
    assert_eq!(applied.len(), 1, "{ran:?}");
    assert!(applied[0].is_ok());
    place.grant().await;
    assert!(place.open().await.is_ok());
}

async fn a_migration_that_fails_leaves_nothing_behind(store: TestStore) {
    let place = Place::new(store.place.engine());
    let mut raw = place.raw().await;
    raw.run("CREATE TABLE audit_chain (seq integer)")
        .await
        .unwrap();
    assert!(Store::migrate(&place.owner()).await.is_err());
    assert_eq!(tables(&place).await, 1);
    raw.run("DROP TABLE audit_chain").await.unwrap();
    assert!(Store::migrate(&place.owner()).await.unwrap() > 0);
}

async fn a_role_without_grants_is_told_what_to_run(store: TestStore) {
    let place = Place::new(store.place.engine());
    Store::migrate(&place.owner()).await.unwrap();
    assert!(schema_text(place.open().await).contains("gavah migrate"));
    place.grant().await;
    assert!(place.open().await.is_ok());
}

async fn only_plain_role_names_are_granted_anything(store: TestStore) {
    for name in ["", "a; DROP TABLE caller", "A", "a\"b", "public-role"] {
        let granted = Store::grant_runtime_role(&store.place.owner(), name).await;
        assert!(matches!(granted, Err(StoreError::Config(_))), "{name}");
    }
    let unknown = Store::grant_runtime_role(&store.place.owner(), "nobody_of_this_name").await;
    assert!(matches!(unknown, Err(StoreError::Database { .. })));
}

async fn a_database_that_is_not_there_is_unavailable(_: TestStore) {
    let wrong_url = StoreConfig::Postgres {
        url: "postgres://nobody:hidden@127.0.0.1:1/none".to_owned(),
    };
    let limits = StoreLimits {
        acquire: Duration::from_millis(100),
        ..LIMITS
    };
    let opened = Store::open(&wrong_url, limits, Arc::new(SystemEntropy)).await;
    assert_eq!(opened.err(), Some(StoreError::Unavailable));
}
