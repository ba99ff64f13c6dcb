//! Issuing validity codes: once for each request, once for each key.

use gavah_domain::caller::ExpertState;
use gavah_domain::document::DocumentAction;
use gavah_domain::identity::{ForeignCode, ForeignCodeKind};
use gavah_domain::program::DegreeLevel;
use gavah_domain::tariff::{Quote, QuoteBasis};
use gavah_domain::{DisplayText, Money, MoneyUnit, PersonId, PersonName};
use gavah_store::{
    ActContext, Claim, Claimed, DocumentChange, Issue, IssueCode, PriorProof, RegistryChange,
    StoredCode, StoredExpert,
};
use gavah_testkit::fixtures::{self, after, call, now, with_other_body};
use jiff::Timestamp;

use crate::harness::{EXPERT, HOME, OTHER, TestStore, together};

cases! {
    another_body_under_the_same_request_id_is_refused,
    an_expert_who_is_unknown_or_not_active_cannot_attest,
    a_second_live_code_is_refused_and_names_the_first,
    a_refused_request_id_can_be_used_again,
    digits_that_are_taken_are_refused_and_nothing_is_half_done,
    a_fresh_code_is_recorded_whole,
    everything_a_code_says_reads_back,
    a_replay_returns_the_same_code,
    a_request_id_is_the_callers_and_the_methods_own,
    one_request_sent_fifty_times_at_once_makes_one_code,
    a_hundred_requests_at_once_for_one_key_make_one_code,
    requests_for_different_keys_do_not_disturb_each_other,
    an_expired_code_gives_up_its_key,
}

fn issue_at(time: Timestamp) -> IssueCode {
    fixtures::issue_code(HOME, EXPERT, time)
}

/// The same request as it comes in once more: everything drawn anew.
fn again(issue: &IssueCode) -> IssueCode {
    IssueCode {
        expire_time: issue.expire_time,
        ..fixtures::issue_of(issue.content.clone(), issue.issue_time)
    }
}

async fn issued(store: &TestStore, context: &ActContext, issue: &IssueCode) -> StoredCode {
    match store.issue_code(context, issue).await.unwrap() {
        Issue::Issued(stored) => stored,
        other => panic!("not issued: {other:?}"),
    }
}

fn claim(context: &ActContext) -> &Claim {
    context.claim.as_ref().unwrap()
}

async fn another_body_under_the_same_request_id_is_refused(store: TestStore) {
    let context = call("IssueValidityCode", now());
    issued(&store, &context, &issue_at(now())).await;
    let acts = store.acts().await;
    let refused = store
        .issue_code(&with_other_body(&context), &issue_at(now()))
        .await;
    assert_eq!(refused, Ok(Issue::RequestIdReused));
    assert_eq!(store.count("validity_code").await, 1);
    assert_eq!(store.acts().await, acts);
}

async fn an_expert_who_is_unknown_or_not_active_cannot_attest(store: TestStore) {
    let inactive = StoredExpert {
        state: ExpertState::Inactive,
        ..fixtures::expert(HOME, "E2")
    };
    let created = store
        .create_expert(&fixtures::operator(now()), &inactive)
        .await;
    assert_eq!(created, Ok(RegistryChange::Done));
    let acts = store.acts().await;
    for (institution, expert) in [(HOME, "E2"), (HOME, "nobody"), (OTHER, EXPERT)] {
        let context = call("IssueValidityCode", now());
        let issue = fixtures::issue_code(institution, expert, now());
        let refused = store.issue_code(&context, &issue).await;
        assert_eq!(refused, Ok(Issue::ExpertNotActive));
        assert_eq!(store.claimed(claim(&context)).await, Ok(None));
        assert_eq!(store.expert_active(institution, expert).await, Ok(false));
    }
    assert_eq!(store.expert_active(HOME, EXPERT).await, Ok(true));
    assert_eq!(store.count("validity_code").await, 0);
    assert_eq!(store.acts().await, acts);
}

async fn a_second_live_code_is_refused_and_names_the_first(store: TestStore) {
    let first = issue_at(now());
    issued(&store, &call("IssueValidityCode", now()), &first).await;
    let acts = store.acts().await;
    let context = call("IssueValidityCode", after(1));
    let refused = store.issue_code(&context, &again(&first)).await;
    assert_eq!(refused, Ok(Issue::AlreadyIssued { id: first.id }));
    assert_eq!(store.claimed(claim(&context)).await, Ok(None));
    let holder = store.live_code(&first.live_key, after(1)).await;
    assert_eq!(holder, Ok(Some(first.id)));
    assert_eq!(store.acts().await, acts);
}

async fn a_refused_request_id_can_be_used_again(store: TestStore) {
    let first = issue_at(now());
    issued(&store, &call("IssueValidityCode", now()), &first).await;
    let context = call("IssueValidityCode", after(1));
    let refused = store.issue_code(&context, &again(&first)).await;
    assert_eq!(refused, Ok(Issue::AlreadyIssued { id: first.id }));
    let revoke = DocumentChange {
        action: DocumentAction::Revoke,
        revocation: Some(super::code_changes::revocation()),
        remark: String::new(),
        etag: None,
        subject_hash: String::new(),
    };
    store
        .change_code(&call("RevokeValidityCode", after(2)), first.id, &revoke)
        .await
        .unwrap();
    let second = issued(&store, &context, &again(&first)).await;
    assert_ne!(second.id, first.id);
    assert_ne!(second.code, first.code);
    let holder = store.live_code(&first.live_key, after(3)).await;
    assert_eq!(holder, Ok(Some(second.id)));
}

async fn digits_that_are_taken_are_refused_and_nothing_is_half_done(store: TestStore) {
    let first = issue_at(now());
    issued(&store, &call("IssueValidityCode", now()), &first).await;
    let acts = store.acts().await;
    let context = call("IssueValidityCode", after(1));
    let mut second = issue_at(after(1));
    second.code = first.code;
    assert_eq!(
        store.issue_code(&context, &second).await,
        Ok(Issue::CodeTaken)
    );
    assert_eq!(store.claimed(claim(&context)).await, Ok(None));
    assert_eq!(store.code(second.id).await, Ok(None));
    assert_eq!(store.live_code(&second.live_key, after(1)).await, Ok(None));
    assert_eq!(store.acts().await, acts);
    // Drawn again, the same request goes through.
    issued(&store, &context, &again(&second)).await;
}

async fn a_fresh_code_is_recorded_whole(store: TestStore) {
    let acts = store.acts().await;
    let context = call("IssueValidityCode", now());
    let issue = issue_at(now());
    let stored = issued(&store, &context, &issue).await;
    assert_eq!(stored.id, issue.id);
    assert_eq!(stored.code, issue.code);
    assert_eq!(stored.version, 1);
    assert_eq!(store.code(issue.id).await, Ok(Some(stored.clone())));
    assert_eq!(store.find_code(&issue.code).await, Ok(Some(stored)));
    let replay = Claimed::Replay {
        resource: format!("validityCodes/{}", issue.id),
        outcome: String::new(),
    };
    assert_eq!(store.claimed(claim(&context)).await, Ok(Some(replay)));
    assert_eq!(store.acts().await, acts + 1);
    let entry = format!(
        "audit_entry WHERE resource = 'validityCodes/{}' AND action = 'ISSUE' AND from_state = '' \
         AND to_state = 'ACTIVE' AND actor = 'callers/synthetic' AND institution_code = '{HOME}' \
         AND on_behalf = 'institutions/{HOME}/experts/{EXPERT}' AND subject_hash = '{}' \
         AND request_id = '{}' AND trace_id = '{}'",
        issue.id,
        issue.subject_hash,
        claim(&context).request_id,
        context.trace_id
    );
    assert_eq!(store.count(&entry).await, 1);
    let event = format!(
        "change_event WHERE resource = 'validityCodes/{}' AND kind = 'ISSUE' AND state = 'ACTIVE' \
         AND caller_id = 'synthetic'",
        issue.id
    );
    assert_eq!(store.count(&event).await, 1);
}

async fn everything_a_code_says_reads_back(store: TestStore) {
    let mut issue = issue_at(now());
    let content = &mut issue.content;
    content.subject.person_id =
        PersonId::Foreign(ForeignCode::parse(ForeignCodeKind::ALL[0], "900000000001").unwrap());
    content.subject.name = PersonName::parse("آزمایشی", "", "Azmayeshi", "", true).unwrap();
    content.subject.father_name_fa = Some(DisplayText::parse("ساختگی", 60).unwrap());
    content.subject.nationality = Some("IRQ".to_owned());
    content.double_major_declared = true;
    content.priors = vec![PriorProof {
        level: DegreeLevel::Associate,
        code_id: fixtures::id(),
    }];
    content.quote = Quote {
        basis: QuoteBasis::TariffRow,
        fee: Some(Money::new(70_000, MoneyUnit::IrrCurrent)),
        year: 1405,
        evidence: "synthetic law, row 1".to_owned(),
        ground: None,
    };
    issue.expire_time = Some(after(3600));
    let stored = issued(&store, &call("IssueValidityCode", now()), &issue).await;
    assert!(stored.content == issue.content);
    assert_eq!(stored.expire_time, issue.expire_time);
    assert!(store.find_code(&issue.code).await.unwrap() == Some(stored));
}

async fn a_replay_returns_the_same_code(store: TestStore) {
    let context = call("IssueValidityCode", now());
    let issue = issue_at(now());
    let first = issued(&store, &context, &issue).await;
    let acts = store.acts().await;
    let replayed = store.issue_code(&context, &again(&issue)).await;
    assert_eq!(replayed, Ok(Issue::Replayed(first)));
    assert_eq!(store.count("validity_code").await, 1);
    assert_eq!(store.acts().await, acts);
}

async fn a_request_id_is_the_callers_and_the_methods_own(store: TestStore) {
    let first = call("IssueValidityCode", now());
    let mut others = vec![first.clone(); 4];
    others[1].claim.as_mut().unwrap().caller_id = "somebody-else".to_owned();
    others[2].claim.as_mut().unwrap().method = "/gavah.v1.Synthetic/Another".to_owned();
    others[3].claim.as_mut().unwrap().row = Some(0);
    for context in &others {
        issued(&store, context, &issue_at(now())).await;
    }
    assert_eq!(store.count("validity_code").await, 4);
}

async fn one_request_sent_fifty_times_at_once_makes_one_code(store: TestStore) {
    let acts = store.acts().await;
    let context = call("IssueValidityCode", now());
    let issue = issue_at(now());
    let answers = together(50, |_| {
        let (store, context, issue) = (store.clone(), context.clone(), again(&issue));
        async move { store.issue_code(&context, &issue).await.unwrap() }
    })
    .await;
    let mut fresh = 0;
    let codes: Vec<StoredCode> = answers
        .into_iter()
        .map(|answer| match answer {
            Issue::Issued(stored) => {
                fresh += 1;
                stored
            }
            Issue::Replayed(stored) => stored,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(fresh, 1);
    assert!(codes.iter().all(|code| *code == codes[0]));
    assert_eq!(store.count("validity_code").await, 1);
    assert_eq!(store.acts().await, acts + 1);
}

async fn a_hundred_requests_at_once_for_one_key_make_one_code(store: TestStore) {
    let acts = store.acts().await;
    let issue = issue_at(now());
    let answers = together(100, |_| {
        let (store, issue) = (store.clone(), again(&issue));
        async move {
            let context = call("IssueValidityCode", now());
            store.issue_code(&context, &issue).await.unwrap()
        }
    })
    .await;
    let winners: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Issue::Issued(stored) => Some(stored.id),
            _ => None,
        })
        .collect();
    assert_eq!(winners.len(), 1);
    let refused = Issue::AlreadyIssued { id: winners[0] };
    let losers = answers.iter().filter(|answer| **answer == refused).count();
    assert_eq!(losers, 99);
    assert_eq!(store.count("request_claim").await, 1);
    assert_eq!(store.acts().await, acts + 1);
}

async fn requests_for_different_keys_do_not_disturb_each_other(store: TestStore) {
    let acts = store.acts().await;
    let answers = together(20, |_| {
        let store = store.clone();
        async move {
            let context = call("IssueValidityCode", now());
            store.issue_code(&context, &issue_at(now())).await.unwrap()
        }
    })
    .await;
    let all = answers
        .iter()
        .all(|answer| matches!(answer, Issue::Issued(_)));
    assert!(all, "{answers:?}");
    assert_eq!(store.count("validity_code").await, 20);
    assert_eq!(store.acts().await, acts + 20);
}

async fn an_expired_code_gives_up_its_key(store: TestStore) {
    let mut first = issue_at(now());
    first.expire_time = Some(after(60));
    issued(&store, &call("IssueValidityCode", now()), &first).await;
    let mut early = again(&first);
    early.issue_time = after(59);
    let refused = store
        .issue_code(&call("IssueValidityCode", after(59)), &early)
        .await;
    assert_eq!(refused, Ok(Issue::AlreadyIssued { id: first.id }));
    assert_eq!(store.live_code(&first.live_key, after(60)).await, Ok(None));
    let mut late = again(&first);
    late.issue_time = after(60);
    late.expire_time = None;
    let second = issued(&store, &call("IssueValidityCode", after(60)), &late).await;
    let holder = store.live_code(&first.live_key, after(61)).await;
    assert_eq!(holder, Ok(Some(second.id)));
    // The first one is still there for whoever holds it.
    assert!(store.find_code(&first.code).await.unwrap().is_some());
}
