//! Suspending, reinstating, revoking.

use gavah_domain::document::{DocumentAction, DocumentState, RevocationReason};
use gavah_store::{
    Changed, DocumentChange, Issue, IssueCode, StoreError, StoredCode, StoredRevocation,
};
use gavah_testkit::fixtures::{self, after, call, now, with_other_body};
use uuid::Uuid;

use crate::harness::{EXPERT, HOME, TestStore, assert_tells_nothing, together};

cases! {
    what_the_callers_version_is_behind_is_not_changed,
    another_body_under_the_same_request_id_changes_nothing,
    a_code_that_is_not_there_cannot_be_changed,
    each_state_allows_its_own_actions_only,
    a_change_moves_version_and_time_and_is_on_record,
    a_replay_changes_nothing_again,
    a_revocation_is_kept_and_frees_the_key,
    a_suspended_code_still_holds_its_key,
    a_suspension_and_a_revocation_at_once_leave_one_history,
    one_revocation_sent_many_times_at_once_is_one_act,
}

pub(crate) fn revocation() -> StoredRevocation {
    StoredRevocation {
        reason: RevocationReason::CourtOrder,
        legal_basis: "synthetic ruling 7".to_owned(),
        revoke_time: after(5),
        revoked_by: "callers/synthetic".to_owned(),
    }
}

pub(crate) fn change(action: DocumentAction) -> DocumentChange {
    DocumentChange {
        action,
        revocation: (action == DocumentAction::Revoke).then(revocation),
        remark: "synthetic remark".to_owned(),
        etag: None,
        subject_hash: String::new(),
    }
}

async fn code(store: &TestStore) -> IssueCode {
    let issue = fixtures::issue_code(HOME, EXPERT, now());
    let answer = store
        .issue_code(&call("IssueValidityCode", now()), &issue)
        .await;
    assert!(matches!(answer, Ok(Issue::Issued(_))));
    issue
}

async fn changed(store: &TestStore, id: Uuid, action: DocumentAction) -> Changed<StoredCode> {
    let context = call("ChangeValidityCode", after(5));
    store
        .change_code(&context, id, &change(action))
        .await
        .unwrap()
}

async fn what_the_callers_version_is_behind_is_not_changed(store: TestStore) {
    let issue = code(&store).await;
    let acts = store.acts().await;
    for etag in [0, 2] {
        let stale = DocumentChange {
            etag: Some(etag),
            ..change(DocumentAction::Suspend)
        };
        let context = call("SuspendValidityCode", after(5));
        let refused = store.change_code(&context, issue.id, &stale).await;
        assert_eq!(refused, Ok(Changed::EtagMismatch));
        let claimed = store.claimed(context.claim.as_ref().unwrap()).await;
        assert_eq!(claimed, Ok(None));
    }
    assert_eq!(store.acts().await, acts);
    let current = DocumentChange {
        etag: Some(1),
        ..change(DocumentAction::Suspend)
    };
    let context = call("SuspendValidityCode", after(5));
    let done = store.change_code(&context, issue.id, &current).await;
    assert!(matches!(done, Ok(Changed::Done(code)) if code.version == 2));
}

async fn another_body_under_the_same_request_id_changes_nothing(store: TestStore) {
    let issue = code(&store).await;
    let context = call("SuspendValidityCode", after(5));
    let suspend = change(DocumentAction::Suspend);
    store
        .change_code(&context, issue.id, &suspend)
        .await
        .unwrap();
    let reused = store
        .change_code(&with_other_body(&context), issue.id, &suspend)
        .await;
    assert_eq!(reused, Ok(Changed::RequestIdReused));
    let stored = store.code(issue.id).await.unwrap().unwrap();
    assert_eq!(stored.version, 2);
}

async fn a_code_that_is_not_there_cannot_be_changed(store: TestStore) {
    let context = call("SuspendValidityCode", after(5));
    let error = store
        .change_code(&context, fixtures::id(), &change(DocumentAction::Suspend))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)));
    assert_tells_nothing(&error, &["synthetic"]);
    let claimed = store.claimed(context.claim.as_ref().unwrap()).await;
    assert_eq!(claimed, Ok(None));
}

async fn each_state_allows_its_own_actions_only(store: TestStore) {
    for &state in DocumentState::ALL {
        for &action in DocumentAction::ALL {
            let issue = code(&store).await;
            let into = format!(
                "UPDATE validity_code SET state = '{state}' WHERE code = '{}'",
                issue.code.as_str()
            );
            assert_eq!(store.run(&into).await, 1);
            let acts = store.acts().await;
            let answer = changed(&store, issue.id, action).await;
            let stored = store.code(issue.id).await.unwrap().unwrap();
            match action.apply(state) {
                Ok(next) => {
                    assert_eq!(stored.state, next);
                    assert_eq!(answer, Changed::Done(stored), "{action} in {state}");
                    assert_eq!(store.acts().await, acts + 1);
                }
                Err(_) => {
                    assert_eq!(answer, Changed::NotAllowed, "{action} in {state}");
                    assert_eq!((stored.state, stored.version), (state, 1));
                    assert_eq!(store.acts().await, acts);
                }
            }
        }
    }
}

async fn a_change_moves_version_and_time_and_is_on_record(store: TestStore) {
    let issue = code(&store).await;
    let Changed::Done(suspended) = changed(&store, issue.id, DocumentAction::Suspend).await else {
        panic!("not suspended");
    };
    assert_eq!(suspended.version, 2);
    assert_eq!(suspended.update_time, after(5));
    assert_eq!(suspended.issue_time, now());
    assert_eq!(suspended.revocation, None);
    let remark = format!(
        "validity_code WHERE code = '{}' AND remark = 'synthetic remark'",
        issue.code.as_str()
    );
    assert_eq!(store.count(&remark).await, 1);
    let Changed::Done(active) = changed(&store, issue.id, DocumentAction::Reinstate).await else {
        panic!("not reinstated");
    };
    assert_eq!(active.state, DocumentState::Active);
    assert_eq!(active.version, 3);
    for (action, from, to) in [
        ("SUSPEND", "ACTIVE", "SUSPENDED"),
        ("REINSTATE", "SUSPENDED", "ACTIVE"),
    ] {
        let entry = format!(
            "audit_entry WHERE resource = 'validityCodes/{}' AND action = '{action}' \
             AND from_state = '{from}' AND to_state = '{to}' AND institution_code = '{HOME}'",
            issue.id
        );
        assert_eq!(store.count(&entry).await, 1, "{action}");
    }
}

async fn a_replay_changes_nothing_again(store: TestStore) {
    let issue = code(&store).await;
    let context = call("SuspendValidityCode", after(5));
    let suspend = change(DocumentAction::Suspend);
    let first = store.change_code(&context, issue.id, &suspend).await;
    let acts = store.acts().await;
    assert_eq!(
        store.change_code(&context, issue.id, &suspend).await,
        first,
        "at once"
    );
    assert_eq!(store.acts().await, acts);
    changed(&store, issue.id, DocumentAction::Reinstate).await;
    let late = store.change_code(&context, issue.id, &suspend).await;
    let now = store.code(issue.id).await.unwrap().unwrap();
    assert_eq!(now.state, DocumentState::Active);
    assert_eq!(late, Ok(Changed::Done(now)), "the code as it is now");
}

async fn a_revocation_is_kept_and_frees_the_key(store: TestStore) {
    let issue = code(&store).await;
    let Changed::Done(revoked) = changed(&store, issue.id, DocumentAction::Revoke).await else {
        panic!("not revoked");
    };
    assert_eq!(revoked.state, DocumentState::Revoked);
    assert_eq!(revoked.revocation, Some(revocation()));
    assert_eq!(store.find_code(&issue.code).await, Ok(Some(revoked)));
    assert_eq!(store.live_code(&issue.live_key, after(6)).await, Ok(None));
    let entry = format!(
        "audit_entry WHERE resource = 'validityCodes/{}' AND reason = 'COURT_ORDER'",
        issue.id
    );
    assert_eq!(store.count(&entry).await, 1);
    let second = fixtures::issue_of(issue.content, after(6));
    let answer = store
        .issue_code(&call("IssueValidityCode", after(6)), &second)
        .await;
    assert!(matches!(answer, Ok(Issue::Issued(_))));
}

async fn a_suspended_code_still_holds_its_key(store: TestStore) {
    let issue = code(&store).await;
    changed(&store, issue.id, DocumentAction::Suspend).await;
    let second = fixtures::issue_of(issue.content, after(6));
    let answer = store
        .issue_code(&call("IssueValidityCode", after(6)), &second)
        .await;
    assert_eq!(answer, Ok(Issue::AlreadyIssued { id: issue.id }));
}

async fn a_suspension_and_a_revocation_at_once_leave_one_history(store: TestStore) {
    for _ in 0..5 {
        let issue = code(&store).await;
        let acts = store.acts().await;
        let id = issue.id;
        let answers = together(2, |index| {
            let store = store.clone();
            let action = [DocumentAction::Suspend, DocumentAction::Revoke][index];
            async move { changed(&store, id, action).await }
        })
        .await;
        assert!(
            matches!(answers[1], Changed::Done(_)),
            "revoking always wins"
        );
        let stored = store.code(id).await.unwrap().unwrap();
        assert_eq!(stored.state, DocumentState::Revoked);
        let steps = format!(
            "SELECT from_state || ' ' || to_state FROM audit_entry \
             WHERE resource = 'validityCodes/{id}' AND action <> 'ISSUE' ORDER BY from_state"
        );
        let steps = store.texts(&steps).await;
        match &answers[0] {
            Changed::Done(_) => assert_eq!(steps, ["ACTIVE SUSPENDED", "SUSPENDED REVOKED"]),
            Changed::NotAllowed => assert_eq!(steps, ["ACTIVE REVOKED"]),
            other => panic!("{other:?}"),
        }
        let made = i64::try_from(steps.len()).unwrap();
        assert_eq!(stored.version, 1 + made);
        assert_eq!(store.acts().await, acts + made);
    }
}

async fn one_revocation_sent_many_times_at_once_is_one_act(store: TestStore) {
    let issue = code(&store).await;
    let acts = store.acts().await;
    let context = call("RevokeValidityCode", after(5));
    let id = issue.id;
    let answers = together(20, |_| {
        let (store, context) = (store.clone(), context.clone());
        async move {
            let revoke = change(DocumentAction::Revoke);
            store.change_code(&context, id, &revoke).await.unwrap()
        }
    })
    .await;
    let stored = Changed::Done(store.code(id).await.unwrap().unwrap());
    assert!(answers.iter().all(|answer| *answer == stored));
    assert_eq!(store.acts().await, acts + 1);
}
