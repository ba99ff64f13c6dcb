//! Looking up and paging.

use std::collections::HashSet;

use gavah_domain::document::{DocumentAction, DocumentState};
use gavah_domain::validity::DocumentKind;
use gavah_store::{CodeFilter, Issue, IssueCode, PageKey, Scope, StoredCode};
use gavah_testkit::fixtures::{self, after, call, now};
use jiff::Timestamp;
use uuid::Uuid;

use crate::code_changes::change;
use crate::harness::{EXPERT, HOME, OTHER, TestStore};

cases! {
    a_scope_of_no_institution_sees_nothing,
    a_scope_hides_everybody_elses_rows,
    each_filter_narrows_and_all_of_them_hold_together,
    pages_neither_lose_nor_double_rows_while_rows_are_added,
    codes_are_found_by_their_digits,
}

const ALL: CodeFilter = CodeFilter {
    scope: Scope::All,
    state: None,
    document_kind: None,
    external_ref: None,
    issued_from: None,
    issued_before: None,
};

async fn put(store: &TestStore, issue: &IssueCode) {
    let context = call("IssueValidityCode", issue.issue_time);
    let answer = store.issue_code(&context, issue).await.unwrap();
    assert!(matches!(answer, Issue::Issued(_)), "{answer:?}");
}

async fn fresh(store: &TestStore, institution: &str, time: Timestamp) -> IssueCode {
    let issue = fixtures::issue_code(institution, EXPERT, time);
    put(store, &issue).await;
    issue
}

async fn listed(store: &TestStore, filter: &CodeFilter) -> HashSet<Uuid> {
    let rows = store.list_codes(filter, None, 1000).await.unwrap();
    rows.iter().map(|row| row.id).collect()
}

async fn a_scope_of_no_institution_sees_nothing(store: TestStore) {
    fresh(&store, HOME, now()).await;
    let filter = CodeFilter {
        scope: Scope::Institutions(Vec::new()),
        ..ALL
    };
    assert_eq!(store.list_codes(&filter, None, 10).await, Ok(Vec::new()));
}

async fn a_scope_hides_everybody_elses_rows(store: TestStore) {
    let expert = fixtures::expert(OTHER, EXPERT);
    store
        .create_expert(&fixtures::operator(now()), &expert)
        .await
        .unwrap();
    let home = fresh(&store, HOME, now()).await;
    let other = fresh(&store, OTHER, now()).await;
    let institutions = |codes: &[&str]| CodeFilter {
        scope: Scope::Institutions(codes.iter().map(|&code| code.to_owned()).collect()),
        ..ALL
    };
    let person = |issue: &IssueCode| CodeFilter {
        scope: Scope::Person(issue.content.subject.person_id.key()),
        ..ALL
    };
    for (filter, seen) in [
        (ALL, vec![home.id, other.id]),
        (institutions(&[HOME]), vec![home.id]),
        (institutions(&[OTHER]), vec![other.id]),
        (institutions(&[HOME, OTHER]), vec![home.id, other.id]),
        (institutions(&["SYN-9"]), vec![]),
        (person(&home), vec![home.id]),
        (person(&other), vec![other.id]),
    ] {
        assert_eq!(listed(&store, &filter).await, HashSet::from_iter(seen));
    }
}

async fn each_filter_narrows_and_all_of_them_hold_together(store: TestStore) {
    let plain = fresh(&store, HOME, now()).await;
    let mut transcript = fixtures::issue_code(HOME, EXPERT, after(10));
    transcript.content.document.kind = DocumentKind::Transcript;
    put(&store, &transcript).await;
    let suspended = fresh(&store, HOME, after(20)).await;
    let suspend = change(DocumentAction::Suspend);
    store
        .change_code(&call("Suspend", after(21)), suspended.id, &suspend)
        .await
        .unwrap();
    let state = |state: DocumentState| CodeFilter {
        state: Some(state.as_str()),
        ..ALL
    };
    let kind = |kind: DocumentKind| CodeFilter {
        document_kind: Some(kind.as_str()),
        ..ALL
    };
    let external_ref = |external_ref: &str| CodeFilter {
        external_ref: Some(external_ref.to_owned()),
        ..ALL
    };
    let between = |from, before| CodeFilter {
        issued_from: from,
        issued_before: before,
        ..ALL
    };
    let all_of_them = |external_ref: &str| CodeFilter {
        scope: Scope::Institutions(vec![HOME.to_owned()]),
        state: Some("SUSPENDED"),
        document_kind: Some("DEGREE"),
        external_ref: Some(external_ref.to_owned()),
        issued_from: Some(after(20)),
        issued_before: Some(after(21)),
    };
    let (a, b, c) = (plain.id, transcript.id, suspended.id);
    for (name, filter, seen) in [
        ("active", state(DocumentState::Active), vec![a, b]),
        ("suspended", state(DocumentState::Suspended), vec![c]),
        ("revoked", state(DocumentState::Revoked), vec![]),
        ("degree", kind(DocumentKind::Degree), vec![a, c]),
        ("transcript", kind(DocumentKind::Transcript), vec![b]),
        (
            "reference",
            external_ref(&transcript.content.external_ref),
            vec![b],
        ),
        ("no reference", external_ref("nobody's"), vec![]),
        ("from", between(Some(after(10)), None), vec![b, c]),
        ("before", between(None, Some(after(10))), vec![a]),
        ("between", between(Some(after(1)), Some(after(20))), vec![b]),
        ("all", all_of_them(&suspended.content.external_ref), vec![c]),
        (
            "all but one",
            all_of_them(&plain.content.external_ref),
            vec![],
        ),
    ] {
        assert_eq!(
            listed(&store, &filter).await,
            HashSet::from_iter(seen),
            "{name}"
        );
    }
}

fn key_of(code: &StoredCode) -> PageKey {
    PageKey {
        micros: code.issue_time.as_microsecond(),
        id: code.id,
    }
}

async fn pages_neither_lose_nor_double_rows_while_rows_are_added(store: TestStore) {
    let mut expected = HashSet::new();
    // Three instants, so that pages end inside and between equal ones.
    for index in 0..18 {
        expected.insert(fresh(&store, HOME, after(index % 3)).await.id);
    }
    let mut seen = HashSet::new();
    let mut last = None;
    loop {
        let page = store.list_codes(&ALL, last, 4).await.unwrap();
        assert!(page.len() <= 4);
        assert!(
            page.windows(2).all(|pair| {
                let (one, next) = (key_of(&pair[0]), key_of(&pair[1]));
                (one.micros, one.id) > (next.micros, next.id)
            }),
            "newest first"
        );
        let Some(end) = page.last() else { break };
        last = Some(key_of(end));
        for code in &page {
            assert!(seen.insert(code.id), "a row came twice");
        }
        // Newer rows, and rows of the same instants, come in between the pages.
        fresh(&store, HOME, after(100)).await;
        fresh(&store, HOME, after(1)).await;
    }
    assert!(expected.is_subset(&seen), "a row was lost");
}

async fn codes_are_found_by_their_digits(store: TestStore) {
    let one = fresh(&store, HOME, now()).await;
    let two = fresh(&store, HOME, now()).await;
    let unknown = fixtures::issue_code(HOME, EXPERT, now());
    assert_eq!(store.find_code(&unknown.code).await, Ok(None));
    assert_eq!(store.find_codes(&[]).await, Ok(Vec::new()));
    let asked = [one.code, unknown.code, two.code, one.code];
    let found = store.find_codes(&asked).await.unwrap();
    assert_eq!(found.len(), 2);
    for issue in [&one, &two] {
        let stored = found.iter().find(|code| code.id == issue.id).unwrap();
        assert_eq!(stored.code, issue.code);
        assert!(stored.content == issue.content);
    }
}
