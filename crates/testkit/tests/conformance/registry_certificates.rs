//! Callers and their client certificates: old and new side by side, never a third.

use gavah_domain::caller::{CallerClass, CallerState};
use gavah_store::{NewCaller, RegistryChange, StoredCaller};
use gavah_testkit::fixtures::{self, after, call, caller, caller_id, fingerprint, now};

use crate::harness::{HOME, TestStore, together};

cases! {
    a_caller_or_fingerprint_that_is_taken_is_refused,
    a_caller_of_an_unknown_institution_is_refused,
    a_third_active_certificate_is_refused,
    certificates_added_at_once_never_exceed_two,
    what_is_not_there_cannot_be_retired,
    a_retired_certificate_makes_room_and_never_comes_back,
    a_caller_is_updated_by_version,
    a_created_caller_is_in_the_snapshot,
}

async fn create(store: &TestStore, new: &NewCaller) -> RegistryChange {
    let context = call("CreateCaller", now());
    store.create_caller(&context, new).await.unwrap()
}

async fn university(store: &TestStore, id: &str) -> NewCaller {
    let new = caller(id, CallerClass::University, Some(HOME));
    assert_eq!(create(store, &new).await, RegistryChange::Done);
    new
}

async fn add(store: &TestStore, id: &str, fingerprint: &str) -> RegistryChange {
    let context = call("AddCertificate", after(1));
    store
        .add_certificate(&context, &caller_id(id), fingerprint)
        .await
        .unwrap()
}

async fn retire(store: &TestStore, id: &str, fingerprint: &str) -> RegistryChange {
    let context = call("RetireCertificate", after(2));
    store
        .retire_certificate(&context, &caller_id(id), fingerprint)
        .await
        .unwrap()
}

async fn stored(store: &TestStore, id: &str) -> Option<StoredCaller> {
    let snapshot = store.snapshot().await.unwrap();
    snapshot.caller(&caller_id(id)).cloned()
}

async fn a_caller_or_fingerprint_that_is_taken_is_refused(store: TestStore) {
    let first = university(&store, "uni-1").await;
    let acts = store.acts().await;
    let same_id = caller("uni-1", CallerClass::Monitor, None);
    assert_eq!(create(&store, &same_id).await, RegistryChange::Exists);
    let same_certificate = NewCaller {
        fingerprint: first.fingerprint.clone(),
        ..caller("uni-2", CallerClass::Monitor, None)
    };
    assert_eq!(
        create(&store, &same_certificate).await,
        RegistryChange::Exists
    );
    assert_eq!(stored(&store, "uni-2").await, None, "nothing is half done");
    university(&store, "uni-3").await;
    assert_eq!(
        add(&store, "uni-3", &first.fingerprint).await,
        RegistryChange::Exists
    );
    assert_eq!(store.acts().await, acts + 1);
}

async fn a_caller_of_an_unknown_institution_is_refused(store: TestStore) {
    let new = caller("uni-1", CallerClass::University, Some("SYN-9"));
    assert_eq!(
        create(&store, &new).await,
        RegistryChange::UnknownInstitution
    );
    assert_eq!(stored(&store, "uni-1").await, None);
}

async fn a_third_active_certificate_is_refused(store: TestStore) {
    university(&store, "uni-1").await;
    assert_eq!(
        add(&store, "uni-1", &fingerprint()).await,
        RegistryChange::Done
    );
    let acts = store.acts().await;
    assert_eq!(
        add(&store, "uni-1", &fingerprint()).await,
        RegistryChange::TooMany
    );
    assert_eq!(stored(&store, "uni-1").await.unwrap().certificates.len(), 2);
    assert_eq!(store.acts().await, acts);
}

async fn certificates_added_at_once_never_exceed_two(store: TestStore) {
    university(&store, "uni-1").await;
    let answers = together(6, |_| {
        let store = store.clone();
        async move { add(&store, "uni-1", &fingerprint()).await }
    })
    .await;
    let count = |change: &RegistryChange| answers.iter().filter(|a| *a == change).count();
    assert_eq!(count(&RegistryChange::Done), 1);
    assert_eq!(count(&RegistryChange::TooMany), 5, "{answers:?}");
    assert_eq!(stored(&store, "uni-1").await.unwrap().certificates.len(), 2);
}

async fn what_is_not_there_cannot_be_retired(store: TestStore) {
    let one = university(&store, "uni-1").await;
    university(&store, "uni-2").await;
    let not_found = RegistryChange::NotFound;
    assert_eq!(retire(&store, "uni-1", &fingerprint()).await, not_found);
    assert_eq!(retire(&store, "nobody", &one.fingerprint).await, not_found);
    assert_eq!(retire(&store, "uni-2", &one.fingerprint).await, not_found);
    assert_eq!(
        retire(&store, "uni-1", &one.fingerprint).await,
        RegistryChange::Done
    );
    assert_eq!(retire(&store, "uni-1", &one.fingerprint).await, not_found);
}

async fn a_retired_certificate_makes_room_and_never_comes_back(store: TestStore) {
    let old = university(&store, "uni-1").await.fingerprint;
    let (new, newest) = (fingerprint(), fingerprint());
    let acts = store.acts().await;
    assert_eq!(add(&store, "uni-1", &new).await, RegistryChange::Done);
    assert_eq!(retire(&store, "uni-1", &old).await, RegistryChange::Done);
    assert_eq!(add(&store, "uni-1", &old).await, RegistryChange::Exists);
    assert_eq!(add(&store, "uni-1", &newest).await, RegistryChange::Done);
    assert_eq!(store.acts().await, acts + 3);
    let caller = stored(&store, "uni-1").await.unwrap();
    assert_eq!(caller.version, 4);
    let retired: Vec<_> = caller
        .certificates
        .iter()
        .filter(|entry| entry.retire_time.is_some())
        .collect();
    assert_eq!(retired.len(), 1);
    assert_eq!(retired[0].fingerprint, old);
    assert_eq!(retired[0].retire_time, Some(after(2)));
    assert_eq!(retired[0].create_time, now());
    let last = caller.certificates.last().unwrap();
    assert_eq!(last.fingerprint, old, "newest first");
}

async fn a_caller_is_updated_by_version(store: TestStore) {
    university(&store, "uni-1").await;
    let id = caller_id("uni-1");
    let acts = store.acts().await;
    let update = async |etag, state| {
        let context = call("UpdateCaller", after(5));
        store
            .update_caller(&context, &id, "Synthetic caller renamed", state, etag)
            .await
            .unwrap()
    };
    assert_eq!(
        update(Some(2), CallerState::Paused).await,
        RegistryChange::EtagMismatch
    );
    assert_eq!(
        update(Some(1), CallerState::Paused).await,
        RegistryChange::Done
    );
    let caller = stored(&store, "uni-1").await.unwrap();
    assert_eq!(caller.state, CallerState::Paused);
    assert_eq!(caller.display_name, "Synthetic caller renamed");
    assert_eq!((caller.version, caller.update_time), (2, after(5)));
    let missing = store
        .update_caller(
            &call("UpdateCaller", after(5)),
            &caller_id("nobody"),
            "",
            CallerState::Active,
            None,
        )
        .await;
    assert_eq!(missing, Ok(RegistryChange::NotFound));
    assert_eq!(store.acts().await, acts + 1);
}

async fn a_created_caller_is_in_the_snapshot(store: TestStore) {
    let version = store.registry_version().await.unwrap();
    let university = university(&store, "uni-1").await;
    let organization = caller("organization", CallerClass::Organization, None);
    assert_eq!(create(&store, &organization).await, RegistryChange::Done);
    assert_eq!(store.registry_version().await, Ok(version + 2));
    for new in [university, organization] {
        let caller = stored(&store, new.caller.id.as_str()).await.unwrap();
        assert_eq!(*caller.caller, new.caller);
        assert_eq!(caller.display_name, new.display_name);
        assert_eq!(caller.state, CallerState::Active);
        assert_eq!(caller.certificates.len(), 1);
        assert_eq!(caller.certificates[0].fingerprint, new.fingerprint);
        assert_eq!(caller.certificates[0].retire_time, None);
        assert_eq!((caller.version, caller.create_time), (1, now()));
    }
    let unknown = fixtures::caller_id("nobody");
    let snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.caller(&unknown), None);
}
