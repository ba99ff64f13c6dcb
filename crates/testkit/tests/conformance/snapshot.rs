//! The registry as every node holds it.

use gavah_store::RegistryChange;
use gavah_testkit::fixtures::{self, call, now};

use crate::harness::{HOME, OTHER, TestStore};

cases! {
    a_snapshot_carries_the_version_it_was_loaded_at,
    every_change_of_the_registry_moves_the_version,
    acts_beside_the_registry_leave_the_version,
}

async fn a_snapshot_carries_the_version_it_was_loaded_at(store: TestStore) {
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(store.registry_version().await, Ok(snapshot.version));
    assert_eq!(snapshot.institutions.len(), 2);
    assert!(snapshot.institution(HOME).is_some() && snapshot.institution(OTHER).is_some());
    assert!(snapshot.institution("SYN-9").is_none());
    assert!(snapshot.callers.is_empty() && snapshot.tariffs.is_empty());
}

async fn every_change_of_the_registry_moves_the_version(store: TestStore) {
    use gavah_domain::caller::{CallerClass, CallerState};
    let new = fixtures::caller("uni-1", CallerClass::University, Some(HOME));
    let second = fixtures::fingerprint();
    let id = &new.caller.id;
    let context = || call("Change", now());
    let mut version = store.registry_version().await.unwrap();
    for step in 0..7 {
        let context = context();
        let changed = match step {
            0 => store.create_caller(&context, &new).await,
            1 => store.add_certificate(&context, id, &second).await,
            2 => store.retire_certificate(&context, id, &second).await,
            3 => {
                let state = CallerState::Retired;
                store.update_caller(&context, id, "", state, None).await
            }
            4 => {
                let institution = fixtures::institution(HOME);
                store.update_institution(&context, &institution, None).await
            }
            5 => {
                let expert = fixtures::expert(OTHER, "E1");
                store.create_expert(&context, &expert).await
            }
            _ => {
                let expert = fixtures::expert(OTHER, "E1");
                store.update_expert(&context, &expert, None).await
            }
        };
        assert_eq!(changed, Ok(RegistryChange::Done), "step {step}");
        version += 1;
        assert_eq!(store.registry_version().await, Ok(version), "step {step}");
    }
}

async fn acts_beside_the_registry_leave_the_version(store: TestStore) {
    let version = store.registry_version().await;
    let row = fixtures::record_row(fixtures::record(HOME, now()));
    store.upsert_record(&row).await.unwrap();
    assert_eq!(store.registry_version().await, version);
}
