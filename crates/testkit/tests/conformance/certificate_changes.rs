//! The life of an issued certificate.

use gavah_domain::document::{DocumentAction, DocumentState};
use gavah_store::{Changed, DocumentChange, StoreError};
use gavah_testkit::fixtures::{self, after, call, now, with_other_body};

use crate::certificates::{issue, issued, recorded, sign};
use crate::code_changes::{change, revocation};
use crate::harness::{HOME, TestStore, together};

cases! {
    what_is_not_issued_yet_cannot_be_changed,
    each_state_allows_its_own_actions_only,
    a_stale_version_and_a_reused_request_id_change_nothing,
    a_revocation_is_kept_and_replayed,
    a_suspension_and_a_revocation_at_once_leave_one_history,
}

async fn what_is_not_issued_yet_cannot_be_changed(store: TestStore) {
    let context = call("IssueCertificate", now());
    let issue = issue(HOME);
    let recorded = recorded(&store, &context, &issue).await;
    let acts = store.acts().await;
    for &action in DocumentAction::ALL {
        let answer = store
            .change_certificate(&call("Change", after(1)), issue.id, &change(action))
            .await;
        assert_eq!(answer, Ok(Changed::NotAllowed), "{action}");
    }
    assert_eq!(store.acts().await, acts);
    // And it is still issued in the end.
    let stored = store
        .finish_certificate(&context, &sign(recorded, ""))
        .await
        .unwrap();
    assert!(stored.unwrap().signed_document.is_some());
    let missing = store
        .change_certificate(
            &call("Change", after(1)),
            fixtures::id(),
            &change(DocumentAction::Suspend),
        )
        .await;
    assert!(matches!(missing, Err(StoreError::Corrupt(_))));
}

async fn each_state_allows_its_own_actions_only(store: TestStore) {
    for &state in DocumentState::ALL {
        for &action in DocumentAction::ALL {
            let id = issued(&store, HOME).await.id;
            // All but this one were put out of the way by earlier rounds.
            let into = format!(
                "UPDATE enrollment_certificate SET state = '{state}' \
                 WHERE serial = (SELECT max(serial) FROM enrollment_certificate)"
            );
            assert_eq!(store.run(&into).await, 1);
            let acts = store.acts().await;
            let answer = store
                .change_certificate(&call("Change", after(5)), id, &change(action))
                .await
                .unwrap();
            let stored = store.certificate(id).await.unwrap().unwrap();
            match action.apply(state) {
                Ok(next) => {
                    assert_eq!((stored.state, stored.version), (next, 2));
                    assert_eq!(stored.update_time, after(5));
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

async fn a_stale_version_and_a_reused_request_id_change_nothing(store: TestStore) {
    let id = issued(&store, HOME).await.id;
    let stale = DocumentChange {
        etag: Some(7),
        ..change(DocumentAction::Suspend)
    };
    let context = call("Change", after(5));
    let refused = store.change_certificate(&context, id, &stale).await;
    assert_eq!(refused, Ok(Changed::EtagMismatch));
    let current = DocumentChange {
        etag: Some(1),
        ..stale
    };
    let done = store.change_certificate(&context, id, &current).await;
    assert!(matches!(done, Ok(Changed::Done(_))));
    let reused = store
        .change_certificate(&with_other_body(&context), id, &current)
        .await;
    assert_eq!(reused, Ok(Changed::RequestIdReused));
    let stored = store.certificate(id).await.unwrap().unwrap();
    assert_eq!(
        (stored.state, stored.version),
        (DocumentState::Suspended, 2)
    );
}

async fn a_revocation_is_kept_and_replayed(store: TestStore) {
    let before = issued(&store, HOME).await;
    let acts = store.acts().await;
    let context = call("Change", after(5));
    let revoke = change(DocumentAction::Revoke);
    let done = store.change_certificate(&context, before.id, &revoke).await;
    let stored = store.certificate(before.id).await.unwrap().unwrap();
    assert_eq!(stored.revocation, Some(revocation()));
    assert_eq!(stored.signed_document, before.signed_document);
    assert_eq!(done, Ok(Changed::Done(stored)));
    let again = store.change_certificate(&context, before.id, &revoke).await;
    assert_eq!(again, done);
    assert_eq!(store.acts().await, acts + 1);
    let entry = format!(
        "audit_entry WHERE resource = 'enrollmentCertificates/{}' AND action = 'REVOKE' \
         AND from_state = 'ACTIVE' AND to_state = 'REVOKED' AND reason = 'COURT_ORDER'",
        before.id
    );
    assert_eq!(store.count(&entry).await, 1);
}

async fn a_suspension_and_a_revocation_at_once_leave_one_history(store: TestStore) {
    let id = issued(&store, HOME).await.id;
    let acts = store.acts().await;
    let answers = together(2, |index| {
        let store = store.clone();
        let action = [DocumentAction::Suspend, DocumentAction::Revoke][index];
        async move {
            let context = call("Change", after(5));
            store
                .change_certificate(&context, id, &change(action))
                .await
                .unwrap()
        }
    })
    .await;
    assert!(
        matches!(answers[1], Changed::Done(_)),
        "revoking always wins"
    );
    let stored = store.certificate(id).await.unwrap().unwrap();
    assert_eq!(stored.state, DocumentState::Revoked);
    let made = if matches!(answers[0], Changed::Done(_)) {
        2
    } else {
        1
    };
    assert_eq!(stored.version, 1 + made);
    assert_eq!(store.acts().await, acts + made);
}
