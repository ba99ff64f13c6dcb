//! Institutions and experts.

use gavah_domain::caller::ExpertState;
use gavah_domain::institution::{Institution, InstitutionState, InstitutionType};
use gavah_store::{RegistryChange, StoredExpert, StoredInstitution};
use gavah_testkit::fixtures::{
    self, after, call, expert, institution, institution_code, now, with_other_body,
};

use crate::harness::{EXPERT, HOME, OTHER, TestStore, together};

cases! {
    a_code_or_alias_that_is_taken_is_refused,
    an_institution_must_not_name_an_unknown_one,
    an_unknown_institution_cannot_be_updated,
    what_the_callers_version_is_behind_is_not_updated,
    a_created_institution_is_found_by_its_code_and_its_aliases,
    an_update_replaces_the_mutable_fields_and_the_aliases,
    an_alias_given_twice_is_one_alias,
    updates_at_once_with_one_etag_let_one_through,
    the_same_alias_for_two_institutions_at_once_goes_to_one,
    an_expert_belongs_to_a_known_institution_and_is_unique_there,
    an_expert_is_updated_by_version,
    experts_are_listed_by_code_page_by_page,
    a_replay_is_done_and_another_body_is_refused,
    refusals_do_not_move_the_version,
}

async fn create(store: &TestStore, new: &Institution) -> RegistryChange {
    let context = call("CreateInstitution", now());
    store.create_institution(&context, new).await.unwrap()
}

async fn update(store: &TestStore, new: &Institution, etag: Option<i64>) -> RegistryChange {
    let context = call("UpdateInstitution", after(5));
    store.update_institution(&context, new, etag).await.unwrap()
}

async fn found(store: &TestStore, name: &str) -> Option<StoredInstitution> {
    store.snapshot().await.unwrap().institution(name).cloned()
}

fn with_aliases(code: &str, aliases: &[&str]) -> Institution {
    Institution {
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        ..institution(code)
    }
}

async fn a_code_or_alias_that_is_taken_is_refused(store: TestStore) {
    assert_eq!(
        create(&store, &with_aliases("SYN-3", &["OLD-3"])).await,
        RegistryChange::Done
    );
    let acts = store.acts().await;
    for taken in [
        institution("SYN-3"),
        // A code that is somebody's alias, an alias that is somebody's code or alias.
        institution("OLD-3"),
        with_aliases("SYN-4", &["SYN-3"]),
        with_aliases("SYN-4", &["NEW-4", "OLD-3"]),
    ] {
        assert_eq!(create(&store, &taken).await, RegistryChange::Exists);
    }
    assert_eq!(found(&store, "SYN-4").await, None);
    assert_eq!(found(&store, "NEW-4").await, None, "nothing is half done");
    let other = with_aliases(OTHER, &["OLD-3"]);
    assert_eq!(update(&store, &other, None).await, RegistryChange::Exists);
    assert_eq!(found(&store, OTHER).await.unwrap().version, 1);
    assert_eq!(store.acts().await, acts);
}

async fn an_institution_must_not_name_an_unknown_one(store: TestStore) {
    let with_parent = Institution {
        parent: Some(institution_code("SYN-9")),
        ..institution("SYN-3")
    };
    let with_successor = Institution {
        successor: Some(institution_code("SYN-9")),
        ..institution("SYN-3")
    };
    let unknown = RegistryChange::UnknownInstitution;
    assert_eq!(create(&store, &with_parent).await, unknown);
    assert_eq!(create(&store, &with_successor).await, unknown);
    let home = Institution {
        successor: Some(institution_code("SYN-9")),
        ..institution(HOME)
    };
    assert_eq!(update(&store, &home, None).await, unknown);
}

async fn an_unknown_institution_cannot_be_updated(store: TestStore) {
    let unknown = institution("SYN-9");
    assert_eq!(
        update(&store, &unknown, None).await,
        RegistryChange::NotFound
    );
    let nobody = expert(HOME, "nobody");
    let context = call("UpdateExpert", now());
    let updated = store.update_expert(&context, &nobody, None).await;
    assert_eq!(updated, Ok(RegistryChange::NotFound));
}

async fn what_the_callers_version_is_behind_is_not_updated(store: TestStore) {
    let renamed = Institution {
        name_en: "Synthetic University renamed".to_owned(),
        ..institution(HOME)
    };
    let mismatch = RegistryChange::EtagMismatch;
    assert_eq!(update(&store, &renamed, Some(2)).await, mismatch);
    assert_eq!(
        update(&store, &renamed, Some(1)).await,
        RegistryChange::Done
    );
    assert_eq!(update(&store, &renamed, Some(1)).await, mismatch);
    assert_eq!(
        update(&store, &renamed, Some(2)).await,
        RegistryChange::Done
    );
    assert_eq!(found(&store, HOME).await.unwrap().version, 3);
}

async fn a_created_institution_is_found_by_its_code_and_its_aliases(store: TestStore) {
    let acts = store.acts().await;
    let version = store.registry_version().await.unwrap();
    let new = Institution {
        kind: InstitutionType::PayameNoor,
        parent: Some(institution_code(HOME)),
        successor: Some(institution_code(OTHER)),
        state: InstitutionState::Closed,
        ..with_aliases("SYN-3", &["OLD-3", "OLDER-3"])
    };
    assert_eq!(create(&store, &new).await, RegistryChange::Done);
    let expected = StoredInstitution {
        institution: new,
        create_time: now(),
        update_time: now(),
        version: 1,
    };
    for name in ["SYN-3", "OLD-3", "OLDER-3"] {
        assert_eq!(found(&store, name).await, Some(expected.clone()), "{name}");
    }
    assert_eq!(store.registry_version().await, Ok(version + 1));
    assert_eq!(store.acts().await, acts + 1);
}

async fn an_update_replaces_the_mutable_fields_and_the_aliases(store: TestStore) {
    let old = with_aliases("SYN-3", &["A-3", "B-3"]);
    assert_eq!(create(&store, &old).await, RegistryChange::Done);
    let acts = store.acts().await;
    let version = store.registry_version().await.unwrap();
    let new = Institution {
        name_fa: "دانشگاه آزمایشی دیگر".to_owned(),
        name_en: "Another synthetic university".to_owned(),
        parent: Some(institution_code(HOME)),
        state: InstitutionState::Closed,
        successor: Some(institution_code(OTHER)),
        ..with_aliases("SYN-3", &["B-3", "C-3"])
    };
    assert_eq!(update(&store, &new, None).await, RegistryChange::Done);
    let expected = StoredInstitution {
        institution: new,
        create_time: now(),
        update_time: after(5),
        version: 2,
    };
    for name in ["SYN-3", "B-3", "C-3"] {
        assert_eq!(found(&store, name).await, Some(expected.clone()), "{name}");
    }
    assert_eq!(found(&store, "A-3").await, None);
    assert_eq!(store.registry_version().await, Ok(version + 1));
    assert_eq!(store.acts().await, acts + 1);
    let entry = "audit_entry WHERE resource = 'institutions/SYN-3' AND action = 'UPDATE' \
                 AND from_state = 'ACTIVE' AND to_state = 'CLOSED'";
    assert_eq!(store.count(entry).await, 1);
    // A name that was given up is free.
    let heir = institution("A-3");
    assert_eq!(create(&store, &heir).await, RegistryChange::Done);
}

async fn an_alias_given_twice_is_one_alias(store: TestStore) {
    let new = with_aliases("SYN-3", &["OLD-3", "SYN-3", "OLD-3"]);
    assert_eq!(create(&store, &new).await, RegistryChange::Done);
    let stored = found(&store, "OLD-3").await.unwrap();
    assert_eq!(stored.institution.aliases, ["OLD-3"]);
}

async fn updates_at_once_with_one_etag_let_one_through(store: TestStore) {
    let answers = together(8, |index| {
        let store = store.clone();
        let renamed = Institution {
            name_en: format!("Synthetic University, name {index}"),
            ..institution(HOME)
        };
        async move { update(&store, &renamed, Some(1)).await }
    })
    .await;
    let count = |change: &RegistryChange| answers.iter().filter(|a| *a == change).count();
    assert_eq!(count(&RegistryChange::Done), 1);
    assert_eq!(count(&RegistryChange::EtagMismatch), 7);
    assert_eq!(found(&store, HOME).await.unwrap().version, 2);
}

async fn the_same_alias_for_two_institutions_at_once_goes_to_one(store: TestStore) {
    let answers = together(2, |index| {
        let store = store.clone();
        let named = with_aliases([HOME, OTHER][index], &["WANTED"]);
        async move { update(&store, &named, None).await }
    })
    .await;
    let winner = [HOME, OTHER][usize::from(answers[0] != RegistryChange::Done)];
    assert!(answers.contains(&RegistryChange::Done));
    assert!(answers.contains(&RegistryChange::Exists));
    let stored = found(&store, "WANTED").await.unwrap();
    assert_eq!(stored.institution.code.as_str(), winner);
}

async fn an_expert_belongs_to_a_known_institution_and_is_unique_there(store: TestStore) {
    let create = async |new: &StoredExpert| {
        let context = call("CreateExpert", now());
        store.create_expert(&context, new).await.unwrap()
    };
    let acts = store.acts().await;
    assert_eq!(create(&expert(HOME, EXPERT)).await, RegistryChange::Exists);
    let lost = expert("SYN-9", "E1");
    assert_eq!(create(&lost).await, RegistryChange::UnknownInstitution);
    assert_eq!(store.acts().await, acts);
    assert_eq!(create(&expert(OTHER, EXPERT)).await, RegistryChange::Done);
    assert_eq!(store.acts().await, acts + 1);
    assert!(store.expert(OTHER, EXPERT).await.unwrap().is_some());
    assert!(store.expert("SYN-9", "E1").await.unwrap().is_none());
}

async fn an_expert_is_updated_by_version(store: TestStore) {
    let left = StoredExpert {
        state: ExpertState::Inactive,
        display_name_fa: "کارشناس آزمایشی پیشین".to_owned(),
        ..expert(HOME, EXPERT)
    };
    let acts = store.acts().await;
    for (etag, expected) in [
        (Some(9), RegistryChange::EtagMismatch),
        (Some(1), RegistryChange::Done),
    ] {
        let context = call("UpdateExpert", after(5));
        let updated = store.update_expert(&context, &left, etag).await;
        assert_eq!(updated, Ok(expected));
    }
    let stored = store.expert(HOME, EXPERT).await.unwrap().unwrap();
    assert!(
        stored.state == ExpertState::Inactive && stored.display_name_fa == left.display_name_fa
    );
    assert_eq!((stored.version, stored.update_time), (2, after(5)));
    assert_eq!(stored.create_time, now());
    assert_eq!(store.expert_active(HOME, EXPERT).await, Ok(false));
    assert_eq!(store.acts().await, acts + 1);
}

async fn experts_are_listed_by_code_page_by_page(store: TestStore) {
    for code in ["E4", "E2", "E3"] {
        let context = call("CreateExpert", now());
        let created = store.create_expert(&context, &expert(HOME, code)).await;
        assert_eq!(created, Ok(RegistryChange::Done));
    }
    let list = async |after: Option<&str>, size: u64| -> Vec<String> {
        let page = store.list_experts(HOME, after, size).await.unwrap();
        page.into_iter().map(|expert| expert.expert_code).collect()
    };
    assert_eq!(list(None, 10).await, ["E1", "E2", "E3", "E4"]);
    assert_eq!(list(None, 3).await, ["E1", "E2", "E3"]);
    assert_eq!(list(Some("E3"), 3).await, ["E4"]);
    assert!(list(Some("E4"), 3).await.is_empty());
    assert!(
        store
            .list_experts(OTHER, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_replay_is_done_and_another_body_is_refused(store: TestStore) {
    let context = call("CreateInstitution", now());
    let new = institution("SYN-3");
    let created = store.create_institution(&context, &new).await;
    assert_eq!(created, Ok(RegistryChange::Done));
    let acts = store.acts().await;
    let version = store.registry_version().await;
    assert_eq!(store.create_institution(&context, &new).await, created);
    let reused = store
        .create_institution(&with_other_body(&context), &institution("SYN-4"))
        .await;
    assert_eq!(reused, Ok(RegistryChange::RequestIdReused));
    assert_eq!(found(&store, "SYN-4").await, None);
    assert_eq!(store.registry_version().await, version);
    assert_eq!(store.acts().await, acts);
}

async fn refusals_do_not_move_the_version(store: TestStore) {
    let version = store.registry_version().await;
    let claims = store.count("request_claim").await;
    create(&store, &institution(HOME)).await;
    update(&store, &institution(HOME), Some(77)).await;
    update(&store, &institution("SYN-9"), None).await;
    let missing = fixtures::caller_id("nobody");
    let context = call("AddCertificate", now());
    let added = store
        .add_certificate(&context, &missing, &fixtures::fingerprint())
        .await;
    assert_eq!(added, Ok(RegistryChange::NotFound));
    assert_eq!(store.registry_version().await, version);
    assert_eq!(store.count("request_claim").await, claims);
}
