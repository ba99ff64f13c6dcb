//! Issuing certificates: intent, signature, result.

use std::collections::BTreeSet;

use gavah_domain::Reason;
use gavah_domain::certificate::{ApplicationState, Serial};
use gavah_domain::document::DocumentState;
use gavah_domain::record::EnrollmentEventKind;
use gavah_store::{
    ActContext, CertificateFilter, Claimed, EventReport, EventRow, Intent, IssueCertificate,
    PageKey, Recorded, Scope, Signed, StoreError, StoredCertificate,
};
use gavah_testkit::fixtures::{self, after, call, now, operator, with_other_body};
use uuid::Uuid;

use crate::harness::{HOME, OTHER, TestStore, together};

cases! {
    another_body_under_the_same_request_id_records_nothing,
    a_second_open_application_is_refused_and_names_the_first,
    digits_that_are_taken_give_the_serial_number_back,
    bytes_that_cannot_be_made_give_the_serial_number_back,
    what_is_not_signed_yet_is_not_listed,
    an_intent_is_recorded_with_the_bytes_to_sign,
    a_signed_certificate_is_issued_whole,
    a_replay_names_the_certificate_before_and_after_it_is_signed,
    serial_numbers_have_no_gaps_whatever_is_rolled_back,
    each_jalali_year_counts_its_own_serial_numbers,
    finishing_at_once_stores_one_signature_and_one_act,
    what_the_record_no_longer_allows_is_not_issued,
    one_request_sent_many_times_at_once_records_one_intent,
}

fn bytes(serial: Serial) -> Vec<u8> {
    format!("synthetic payload {serial}").into_bytes()
}

fn payload(serial: Serial) -> Option<Vec<u8>> {
    Some(bytes(serial))
}

pub(crate) fn issue(institution: &str) -> IssueCertificate<'static> {
    fixtures::issue_certificate(institution, now(), &payload)
}

pub(crate) async fn recorded(
    store: &TestStore,
    context: &ActContext,
    issue: &IssueCertificate<'_>,
) -> Recorded {
    match store.record_intent(context, issue).await.unwrap() {
        Intent::Recorded(recorded) => recorded,
        other => panic!("not recorded: {other:?}"),
    }
}

pub(crate) fn certificate_name(id: Uuid) -> String {
    format!("enrollmentCertificates/{id}")
}

/// "Signs" by appending a mark, so that tests see which bytes were signed by whom.
pub(crate) fn sign(recorded: Recorded, mark: &str) -> Signed {
    recorded
        .sign_with(|payload| Ok::<_, ()>([payload, mark.as_bytes()].concat()))
        .unwrap()
}

/// An issued certificate of a fresh student.
pub(crate) async fn issued(store: &TestStore, institution: &str) -> StoredCertificate {
    let context = call("IssueCertificate", now());
    let recorded = recorded(store, &context, &issue(institution)).await;
    store
        .finish_certificate(&context, &sign(recorded, ""))
        .await
        .unwrap()
        .unwrap()
}

pub(crate) fn everything() -> CertificateFilter {
    CertificateFilter {
        scope: Scope::All,
        state: None,
    }
}

async fn another_body_under_the_same_request_id_records_nothing(store: TestStore) {
    let context = call("IssueCertificate", now());
    recorded(&store, &context, &issue(HOME)).await;
    let acts = store.acts().await;
    let reused = store
        .record_intent(&with_other_body(&context), &issue(HOME))
        .await;
    assert!(matches!(reused, Ok(Intent::RequestIdReused)));
    assert_eq!(store.count("enrollment_certificate").await, 1);
    assert_eq!(store.acts().await, acts);
}

async fn a_second_open_application_is_refused_and_names_the_first(store: TestStore) {
    let first = issue(HOME);
    let context = call("IssueCertificate", now());
    let open = recorded(&store, &context, &first).await;
    let acts = store.acts().await;
    let mut second = issue(HOME);
    second.open_key = first.open_key.clone();
    let later = call("IssueCertificate", after(1));
    let refused = store.record_intent(&later, &second).await.unwrap();
    assert!(matches!(refused, Intent::OpenExists(id) if id == first.application_id));
    assert_eq!(store.claimed(later.claim.as_ref().unwrap()).await, Ok(None));
    assert_eq!(store.application(second.application_id).await, Ok(None));
    assert_eq!(store.application_open(&first.open_key).await, Ok(true));
    assert_eq!(store.acts().await, acts);
    // Issued is not open any more.
    store
        .finish_certificate(&context, &sign(open, ""))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.application_open(&first.open_key).await, Ok(false));
    recorded(&store, &later, &second).await;
}

async fn digits_that_are_taken_give_the_serial_number_back(store: TestStore) {
    let first = issue(HOME);
    recorded(&store, &call("IssueCertificate", now()), &first).await;
    let mut second = issue(HOME);
    second.code = first.code;
    let context = call("IssueCertificate", now());
    let taken = store.record_intent(&context, &second).await.unwrap();
    assert!(matches!(taken, Intent::CodeTaken));
    assert_eq!(store.application_open(&second.open_key).await, Ok(false));
    assert_eq!(store.count("application_step").await, 1);
    second.code = issue(HOME).code;
    recorded(&store, &context, &second).await;
    let stored = store.certificate(second.id).await.unwrap().unwrap();
    assert_eq!(stored.serial.number(), 2);
}

async fn bytes_that_cannot_be_made_give_the_serial_number_back(store: TestStore) {
    let context = call("IssueCertificate", now());
    let unmade = fixtures::issue_certificate(HOME, now(), &|_| None);
    let refused = store.record_intent(&context, &unmade).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))));
    assert_eq!(store.application_open(&unmade.open_key).await, Ok(false));
    let made = issue(HOME);
    recorded(&store, &context, &made).await;
    let stored = store.certificate(made.id).await.unwrap().unwrap();
    assert_eq!(stored.serial.number(), 1);
}

async fn what_is_not_signed_yet_is_not_listed(store: TestStore) {
    let open = issue(HOME);
    recorded(&store, &call("IssueCertificate", now()), &open).await;
    let home = issued(&store, HOME).await;
    let other = issued(&store, OTHER).await;
    let ids = |listed: Vec<StoredCertificate>| -> BTreeSet<Uuid> {
        listed
            .into_iter()
            .map(|certificate| certificate.id)
            .collect()
    };
    let listed = store.list_certificates(&everything(), None, 10).await;
    assert_eq!(ids(listed.unwrap()), BTreeSet::from([home.id, other.id]));
    let one = CertificateFilter {
        scope: Scope::Institutions(vec![HOME.to_owned()]),
        state: Some("ACTIVE"),
    };
    let listed = store.list_certificates(&one, None, 10).await;
    assert_eq!(ids(listed.unwrap()), BTreeSet::from([home.id]));
    let person = CertificateFilter {
        scope: Scope::Person(other.content.subject.person_id.key()),
        state: None,
    };
    let listed = store.list_certificates(&person, None, 10).await;
    assert_eq!(ids(listed.unwrap()), BTreeSet::from([other.id]));
    // The lookup behind validation sees it, with its mark.
    let found = store.find_certificates(&[open.code]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].signed_document, None);
    // Applications are listed from the start, page by page.
    let mut seen = BTreeSet::new();
    let mut last = None;
    loop {
        let page = store
            .list_applications(&everything(), last, 2)
            .await
            .unwrap();
        let Some(end) = page.last() else { break };
        last = Some(PageKey {
            micros: end.create_time.as_microsecond(),
            id: end.id,
        });
        for application in page {
            assert_eq!(application.history[0].state, ApplicationState::Issuing);
            assert!(seen.insert(application.id), "a row came twice");
        }
    }
    assert_eq!(seen.len(), 3);
    let issuing = CertificateFilter {
        scope: Scope::All,
        state: Some("ISSUING"),
    };
    let listed = store.list_applications(&issuing, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, open.application_id);
}

async fn an_intent_is_recorded_with_the_bytes_to_sign(store: TestStore) {
    let acts = store.acts().await;
    let context = call("IssueCertificate", now());
    let issue = issue(HOME);
    let fresh = recorded(&store, &context, &issue).await;
    assert_eq!(fresh.id(), issue.id);
    assert_eq!(fresh.key_id(), "synthetic-key");
    assert_eq!(store.acts().await, acts + 1);
    let stored = store.certificate(issue.id).await.unwrap().unwrap();
    assert_eq!(stored.signed_document, None);
    assert_eq!((stored.serial.year(), stored.serial.number()), (1405, 1));
    assert!(stored.content == issue.content);
    let application = store
        .application(issue.application_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(application.state, ApplicationState::Issuing);
    assert_eq!(application.certificate_id, issue.id);
    assert_eq!(application.history.len(), 1);
    // Whoever takes it up again signs the very same bytes.
    let again = store
        .intent(issue.id, String::new())
        .await
        .unwrap()
        .unwrap();
    let to_sign = |recorded: Recorded| {
        let refused = recorded.sign_with(|payload| Err::<Vec<u8>, _>(payload.to_vec()));
        refused.unwrap_err()
    };
    let expected = bytes(stored.serial);
    assert_eq!(to_sign(again), expected);
    assert_eq!(to_sign(fresh), expected);
    let entry = format!(
        "audit_entry WHERE resource = 'enrollmentCertificateApplications/{}' \
         AND from_state = '' AND to_state = 'ISSUING'",
        issue.application_id
    );
    assert_eq!(store.count(&entry).await, 1);
}

async fn a_signed_certificate_is_issued_whole(store: TestStore) {
    let context = call("IssueCertificate", now());
    let issue = issue(HOME);
    let recorded = recorded(&store, &context, &issue).await;
    let acts = store.acts().await;
    let later = ActContext {
        now: after(2),
        ..context
    };
    let stored = store
        .finish_certificate(&later, &sign(recorded, "+signed"))
        .await
        .unwrap()
        .unwrap();
    let document = [bytes(stored.serial), b"+signed".to_vec()].concat();
    assert_eq!(stored.signed_document, Some(document));
    assert_eq!(stored.state, DocumentState::Active);
    assert_eq!(stored.issue_time, now());
    assert_eq!(stored.expire_time, issue.expire_time);
    assert_eq!(store.certificate(issue.id).await, Ok(Some(stored.clone())));
    assert_eq!(
        store.find_certificates(&[issue.code]).await,
        Ok(vec![stored])
    );
    assert!(
        store
            .intent(issue.id, String::new())
            .await
            .unwrap()
            .is_none()
    );
    let application = store
        .application(issue.application_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(application.state, ApplicationState::Issued);
    assert_eq!(application.update_time, after(2));
    let steps: Vec<_> = application
        .history
        .iter()
        .map(|step| (step.state, step.change_time))
        .collect();
    let expected = [
        (ApplicationState::Issuing, now()),
        (ApplicationState::Issued, after(2)),
    ];
    assert_eq!(steps, expected);
    assert_eq!(store.acts().await, acts + 1);
    let entry = format!(
        "audit_entry WHERE resource = 'enrollmentCertificateApplications/{}' \
         AND from_state = 'ISSUING' AND to_state = 'ISSUED' AND subject_hash = '{}'",
        issue.application_id, issue.subject_hash
    );
    assert_eq!(store.count(&entry).await, 1);
}

async fn a_replay_names_the_certificate_before_and_after_it_is_signed(store: TestStore) {
    let context = call("IssueCertificate", now());
    let first = issue(HOME);
    let mut second = issue(HOME);
    second.open_key = first.open_key.clone();
    let recorded = recorded(&store, &context, &first).await;
    let acts = store.acts().await;
    let before = store.record_intent(&context, &second).await.unwrap();
    assert!(matches!(before, Intent::Earlier(name) if name == certificate_name(first.id)));
    store
        .finish_certificate(&context, &sign(recorded, ""))
        .await
        .unwrap()
        .unwrap();
    let after = store.record_intent(&context, &second).await.unwrap();
    assert!(matches!(after, Intent::Earlier(name) if name == certificate_name(first.id)));
    assert_eq!(store.count("enrollment_certificate").await, 1);
    assert_eq!(store.acts().await, acts + 1);
    let claimed = store
        .claimed(context.claim.as_ref().unwrap())
        .await
        .unwrap();
    let Some(Claimed::Replay { resource, .. }) = claimed else {
        panic!("{claimed:?}");
    };
    assert_eq!(resource, format!("enrollmentCertificates/{}", first.id));
}

async fn serial_numbers_have_no_gaps_whatever_is_rolled_back(store: TestStore) {
    let taken = issue(HOME).code;
    let mut first = issue(HOME);
    first.code = taken;
    recorded(&store, &call("IssueCertificate", now()), &first).await;
    // Every third one is rolled back after it drew its number.
    let answers = together(20, |index| {
        let store = store.clone();
        async move {
            let mut issue = issue(HOME);
            if index % 3 == 0 {
                issue.code = taken;
            }
            let context = call("IssueCertificate", now());
            store.record_intent(&context, &issue).await.unwrap()
        }
    })
    .await;
    let rolled_back = answers
        .iter()
        .filter(|answer| matches!(answer, Intent::CodeTaken))
        .count();
    assert_eq!(rolled_back, 7);
    let serials = "SELECT serial FROM enrollment_certificate ORDER BY serial";
    let serials = store.texts(serials).await;
    let expected: Vec<String> = (1..=14)
        .map(|number| Serial::new(1405, number).unwrap().to_string())
        .collect();
    assert_eq!(serials, expected);
}

async fn each_jalali_year_counts_its_own_serial_numbers(store: TestStore) {
    // 1405/12/29 23:59:59 and 1406/01/01 00:00:00 in Tehran.
    let last = "2027-03-20T20:29:59Z".parse().unwrap();
    let first = "2027-03-20T20:30:00Z".parse().unwrap();
    let mut serials = Vec::new();
    for time in [last, first, last, first] {
        let issue = fixtures::issue_certificate(HOME, time, &payload);
        recorded(&store, &call("IssueCertificate", time), &issue).await;
        let stored = store.certificate(issue.id).await.unwrap().unwrap();
        serials.push((stored.serial.year(), stored.serial.number()));
    }
    assert_eq!(serials, [(1405, 1), (1406, 1), (1405, 2), (1406, 2)]);
}

async fn finishing_at_once_stores_one_signature_and_one_act(store: TestStore) {
    let context = call("IssueCertificate", now());
    let issue = issue(HOME);
    drop(recorded(&store, &context, &issue).await);
    let acts = store.acts().await;
    let answers = together(6, |index| {
        let (store, id) = (store.clone(), issue.id);
        async move {
            let recorded = store.intent(id, String::new()).await.unwrap();
            // Who comes after the first signature finds nothing to sign.
            let Some(recorded) = recorded else {
                return store.certificate(id).await.unwrap().unwrap();
            };
            let signed = sign(recorded, &format!(" by {index}"));
            store
                .finish_certificate(&operator(after(3)), &signed)
                .await
                .unwrap()
                .unwrap()
        }
    })
    .await;
    let stored = store.certificate(issue.id).await.unwrap().unwrap();
    assert!(stored.signed_document.is_some());
    assert!(answers.iter().all(|answer| *answer == stored));
    assert_eq!(store.acts().await, acts + 1);
    assert_eq!(store.count("application_step").await, 2);
}

async fn what_the_record_no_longer_allows_is_not_issued(store: TestStore) {
    let context = call("IssueCertificate", now());
    let issue = issue(HOME);
    let content = &issue.content;
    let mut row = fixtures::record_row(fixtures::record(HOME, now()));
    row.record.subject = content.subject.clone();
    row.record.program = content.program.clone();
    row.record.current_term = content.term;
    store.upsert_record(&row).await.unwrap();
    let recorded = recorded(&store, &context, &issue).await;
    // Committed between the two transactions.
    let event = EventRow {
        id: fixtures::id(),
        institution_code: HOME.to_owned(),
        student_number: content.program.student_number.clone(),
        kind: EnrollmentEventKind::Withdrawn,
        effective_date: fixtures::today(),
        as_of_time: after(1),
    };
    let told = store
        .report_event(&operator(after(1)), &event, &|_| fixtures::subject_hash())
        .await;
    assert!(matches!(told, Ok(EventReport::Done { applied: true, .. })));
    let acts = store.acts().await;
    let finished = store
        .finish_certificate(&context, &sign(recorded, ""))
        .await;
    assert_eq!(finished, Ok(Err(Reason::EnrollmentNotActive)));
    assert_eq!(store.acts().await, acts);
    let stored = store.certificate(issue.id).await.unwrap().unwrap();
    assert_eq!(stored.signed_document, None);
}

async fn one_request_sent_many_times_at_once_records_one_intent(store: TestStore) {
    let acts = store.acts().await;
    let context = call("IssueCertificate", now());
    let open_key = issue(HOME).open_key;
    let answers = together(20, |_| {
        let (store, context, open_key) = (store.clone(), context.clone(), open_key.clone());
        async move {
            let mut issue = issue(HOME);
            issue.open_key = open_key;
            match store.record_intent(&context, &issue).await.unwrap() {
                Intent::Recorded(recorded) => certificate_name(recorded.id()),
                Intent::Earlier(name) => name,
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    assert!(answers.iter().all(|id| *id == answers[0]));
    assert_eq!(store.count("enrollment_certificate").await, 1);
    assert_eq!(store.acts().await, acts + 1);
}
