//! Disputes: a month of negotiation, then the provider's opinion decides.

use gavah_api::v1 as pb;
use gavah_client::Failure;
use gavah_domain::JalaliDate;
use gavah_testkit::fixtures;
use gavah_testkit::world::{
    AGENCY, AGENCY_AGREEMENT, CallerKind, Engine, HUB_AGREEMENT, UNIVERSITY, World,
};
use jiff::Timestamp;
use tonic::Code;

use crate::certificates::applied;
use crate::harness::{run_on, soon, together};
use crate::messages::{date, issue, record, request_id};
use crate::peer::{Answer, Peer, refused};
use crate::raw::Raw;

/// In a sandbox, whose clock is moved past the month.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::run(gavah_testkit::world::Engine::Sqlite, super::$name);
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                super::run(gavah_testkit::world::Engine::Postgres, super::$name);
            })+
        }
    };
}

on_both! {
    a_dispute_is_ruled_when_its_month_is_over_and_not_before,
    with_both_parties_consent_it_is_ruled_at_once,
    the_same_terms_of_both_parties_end_a_dispute,
    only_who_opened_a_dispute_takes_it_back,
    of_many_rulings_at_once_one_is_given,
    an_agreement_and_a_ruling_at_once_end_a_dispute_once,
    of_many_who_open_at_once_one_does,
    disputes_and_messages_are_listed_in_pages,
}

cases_of_any_engine! {
    everything_that_is_wrong_with_a_dispute_is_told_at_once,
    somebody_elses_dispute_is_as_if_there_were_none,
    the_window_and_the_hub_open_their_own_disputes,
    nothing_that_parties_write_is_in_the_audit,
}

mod months {
    #[test]
    fn the_month_is_clamped_to_the_length_of_the_next() {
        let engine = gavah_testkit::world::Engine::Sqlite;
        super::run(
            engine,
            super::the_month_is_clamped_to_the_length_of_the_next,
        );
    }
}

fn run(engine: Engine, case: impl AsyncFnOnce(&mut World)) {
    let world = World::builder(engine).set("sandbox.movable_clock", true);
    run_on(world, case);
}

pub(crate) fn open(subject: &str) -> pb::OpenDisputeRequest {
    pb::OpenDisputeRequest {
        request_id: request_id(),
        subject: subject.to_owned(),
        statement: "ادعای آزمایشی".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn agree(dispute: &pb::Dispute, terms: &str) -> pb::AgreeDisputeRequest {
    pb::AgreeDisputeRequest {
        request_id: request_id(),
        name: dispute.name.clone(),
        terms: terms.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn consent(dispute: &pb::Dispute) -> pb::ConsentToRulingRequest {
    pb::ConsentToRulingRequest {
        request_id: request_id(),
        name: dispute.name.clone(),
        ..Default::default()
    }
}

pub(crate) fn withdraw(dispute: &pb::Dispute) -> pb::WithdrawDisputeRequest {
    pb::WithdrawDisputeRequest {
        request_id: request_id(),
        name: dispute.name.clone(),
        ..Default::default()
    }
}

pub(crate) fn ruling(
    dispute: &pb::Dispute,
    actions: Vec<pb::OrderedAction>,
) -> pb::RuleDisputeRequest {
    pb::RuleDisputeRequest {
        request_id: request_id(),
        name: dispute.name.clone(),
        etag: dispute.etag.clone(),
        outcome: pb::RulingOutcome::Upheld.into(),
        text: "رأی آزمایشی".to_owned(),
        legal_basis: "ماده ۹ آزمایشی".to_owned(),
        actions,
        ..Default::default()
    }
}

pub(crate) fn order(act: pb::OrderedAct, target: &str) -> pb::OrderedAction {
    pb::OrderedAction {
        act: act.into(),
        target: target.to_owned(),
        ..Default::default()
    }
}

fn say(dispute: &pb::Dispute, text: &str) -> pb::PostDisputeMessageRequest {
    pb::PostDisputeMessageRequest {
        request_id: request_id(),
        name: dispute.name.clone(),
        text: text.to_owned(),
        ..Default::default()
    }
}

/// An open dispute on the subject.
pub(crate) async fn opened(peer: &Peer, subject: &str) -> pb::Dispute {
    let opened = peer.open_dispute(open(subject)).await;
    opened.unwrap().dispute.unwrap()
}

/// A dispute that may be ruled at once.
pub(crate) async fn ready(university: &Peer, organization: &Peer, subject: &str) -> pb::Dispute {
    let dispute = opened(university, subject).await;
    university
        .consent_to_ruling(consent(&dispute))
        .await
        .unwrap();
    let ready = organization.consent_to_ruling(consent(&dispute)).await;
    ready.unwrap().dispute.unwrap()
}

pub(crate) async fn read(peer: &Peer, name: &str) -> pb::Dispute {
    let name = name.to_owned();
    let read = peer.get_dispute(pb::GetDisputeRequest { name }).await;
    read.unwrap().dispute.unwrap()
}

/// A fresh code of the university.
pub(crate) async fn code(world: &World, university: &Peer) -> pb::ValidityCode {
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    issued.unwrap().validity_code.unwrap()
}

async fn parties(world: &World) -> (Peer, Peer) {
    (
        Peer::of(world, CallerKind::University).await,
        Peer::of(world, CallerKind::Organization).await,
    )
}

fn moment(at: Option<&prost_types::Timestamp>) -> Timestamp {
    let at = at.unwrap();
    Timestamp::new(at.seconds, at.nanos).unwrap()
}

/// Moves the clock on so many seconds.
async fn advance(organization: &Peer, advance_seconds: i64) {
    let request = pb::MoveClockRequest {
        request_id: request_id(),
        advance_seconds,
        ..Default::default()
    };
    organization.move_clock(request).await.unwrap();
}

async fn now(organization: &Peer) -> Timestamp {
    let clock = organization.get_clock(pb::GetClockRequest {}).await;
    moment(clock.unwrap().now.as_ref())
}

async fn a_dispute_is_ruled_when_its_month_is_over_and_not_before(world: &mut World) {
    use pb::DisputeState as S;
    let (university, organization) = parties(world).await;
    let code = code(world, &university).await;
    let dispute = opened(&university, &code.name).await;
    assert_eq!(dispute.state(), S::Open);
    assert_eq!(dispute.consumer, format!("institutions/{UNIVERSITY}"));
    assert_eq!(dispute.opened_by(), pb::DisputeParty::Consumer);
    let due = moment(dispute.deadline.as_ref());
    let opened_at = moment(dispute.create_time.as_ref());
    assert_eq!(due, JalaliDate::months_after(opened_at, 1));

    // Its own word does not begin the negotiation, the other party's does.
    let answer = university.post_dispute_message(say(&dispute, "یک")).await;
    let message = answer.unwrap().message.unwrap();
    assert_eq!(message.name, format!("{}/messages/1", dispute.name));
    assert_eq!(message.party(), pb::DisputeParty::Consumer);
    assert_eq!(read(&university, &dispute.name).await.state(), S::Open);
    organization
        .post_dispute_message(say(&dispute, "دو"))
        .await
        .unwrap();
    let dispute = read(&organization, &dispute.name).await;
    assert_eq!(dispute.state(), S::Negotiation);
    assert_eq!(dispute.message_count, 2);

    let revoke = || vec![order(pb::OrderedAct::Revoke, &code.name)];
    let early = async |validate_only| {
        let request = pb::RuleDisputeRequest {
            validate_only,
            ..ruling(&dispute, revoke())
        };
        refused(
            organization.rule_dispute(request).await,
            Code::FailedPrecondition,
            "NEGOTIATION_PERIOD_NOT_OVER",
        )
    };
    for validate_only in [true, false] {
        let refusal = early(validate_only).await;
        assert_eq!(refusal.metadata["deadline"], due.to_string());
        let day = JalaliDate::of(due).to_string();
        assert_eq!(refusal.metadata["deadline_date"], day);
    }
    let left = due.duration_since(now(&organization).await).as_secs();
    // A minute is left for the tests of a slow machine.
    advance(&organization, left - 60).await;
    early(false).await;
    let left = due.duration_since(now(&organization).await).as_secs();
    advance(&organization, left + 1).await;

    let ruled = organization
        .rule_dispute(ruling(&dispute, revoke()))
        .await
        .unwrap();
    let ruled = ruled.dispute.unwrap();
    assert_eq!(ruled.state(), S::Ruled);
    let given = ruled.ruling.clone().unwrap();
    assert_eq!(given.outcome(), pb::RulingOutcome::Upheld);
    assert_eq!(given.ruled_by, "callers/organization");
    assert!(moment(given.rule_time.as_ref()) >= due);
    assert_eq!(given.actions.len(), 1);
    assert_eq!(given.actions[0].name, format!("{}/actions/1", dispute.name));
    assert_eq!(given.actions[0].target, code.name);
    assert_eq!(read(&university, &dispute.name).await, ruled);

    // What has ended stays so.
    let ended = |answer: Answer<()>| {
        let refusal = refused(
            answer,
            Code::FailedPrecondition,
            "STATE_TRANSITION_NOT_ALLOWED",
        );
        assert_eq!(refusal.metadata["state"], "RULED");
        assert_eq!(refusal.metadata["allowed"], "");
    };
    let answer = university.post_dispute_message(say(&ruled, "سه")).await;
    ended(answer.map(drop));
    ended(university.agree_dispute(agree(&ruled, "x")).await.map(drop));
    ended(
        university
            .consent_to_ruling(consent(&ruled))
            .await
            .map(drop),
    );
    ended(
        university
            .withdraw_dispute(withdraw(&ruled))
            .await
            .map(drop),
    );
    ended(
        organization
            .rule_dispute(ruling(&ruled, Vec::new()))
            .await
            .map(drop),
    );

    let mut raw = Raw::to(world).await;
    let acts = format!(
        "SELECT count(*) FROM audit_entry WHERE resource = '{}'",
        dispute.name
    );
    assert_eq!(raw.number(&acts).await, 4);
    let rulings = format!("{acts} AND action = 'RULE' AND from_state = 'NEGOTIATION'");
    assert_eq!(raw.number(&rulings).await, 1);
    // The change is the notice: the other party sees it in its feed.
    let changes = soon("the changes", async || {
        let request = pb::ListChangesRequest {
            after_sequence: 0,
            page_size: 1000,
        };
        let listed = university.list_changes(request).await.unwrap().changes;
        let mut own = listed.into_iter();
        own.find(|change| change.resource == dispute.name && change.action == "RULE")
    })
    .await;
    assert_eq!(changes.state, "RULED");
}

async fn the_month_is_clamped_to_the_length_of_the_next(world: &mut World) {
    let (_, organization) = parties(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let today = JalaliDate::of(now(&organization).await);
    let year = today.year() + 1;
    for (month, due) in [(6, (year, 7, 30)), (11, (year, 12, 0))] {
        let last = JalaliDate::month_length(year, month).unwrap();
        let day = JalaliDate::new(year, month, last).unwrap();
        let to = pb::MoveClockRequest {
            request_id: request_id(),
            to_date: Some(date(day)),
            ..Default::default()
        };
        organization.move_clock(to).await.unwrap();
        let dispute = opened(&hub, &format!("agreements/{HUB_AGREEMENT}/callers/hub")).await;
        let (due_year, due_month, due_day) = due;
        // Of Esfand, its last day, or the thirtieth.
        let length = JalaliDate::month_length(due_year, due_month).unwrap();
        let expected = match due_day {
            0 => JalaliDate::new(due_year, due_month, length.min(last)),
            due_day => JalaliDate::new(due_year, due_month, due_day),
        };
        let deadline = JalaliDate::of(moment(dispute.deadline.as_ref()));
        assert_eq!(deadline, expected.unwrap(), "{day}");
        hub.withdraw_dispute(withdraw(&dispute)).await.unwrap();
    }
}

async fn with_both_parties_consent_it_is_ruled_at_once(world: &mut World) {
    let (university, organization) = parties(world).await;
    let code = code(world, &university).await;
    let dispute = opened(&university, &code.name).await;
    let first = university.consent_to_ruling(consent(&dispute)).await;
    let first = first.unwrap().dispute.unwrap();
    let stance = first.consumer_stance.clone().unwrap();
    assert_eq!(stance.consent_by, "callers/university");
    assert!(stance.consent_time.is_some());
    let answer = organization.rule_dispute(ruling(&first, Vec::new())).await;
    refused(
        answer,
        Code::FailedPrecondition,
        "NEGOTIATION_PERIOD_NOT_OVER",
    );
    let both = organization.consent_to_ruling(consent(&dispute)).await;
    let both = both.unwrap().dispute.unwrap();
    assert_eq!(both.state(), pb::DisputeState::Negotiation);
    // A second consent of the same party changes nothing of the first.
    let again = university.consent_to_ruling(consent(&dispute)).await;
    let again = again.unwrap().dispute.unwrap();
    assert_eq!(again.consumer_stance.as_ref(), Some(&stance));
    // It is decided on what was read.
    let answer = organization.rule_dispute(ruling(&both, Vec::new())).await;
    refused(answer, Code::Aborted, "ETAG_MISMATCH");
    let dismissed = pb::RuleDisputeRequest {
        outcome: pb::RulingOutcome::Dismissed.into(),
        ..ruling(&again, Vec::new())
    };
    let ruled = organization.rule_dispute(dismissed).await;
    let ruled = ruled.unwrap().dispute.unwrap();
    assert_eq!(ruled.state(), pb::DisputeState::Ruled);
    assert_eq!(ruled.ruling.unwrap().actions, []);
}

async fn the_same_terms_of_both_parties_end_a_dispute(world: &mut World) {
    use pb::DisputeState as S;
    let (university, organization) = parties(world).await;
    let code = code(world, &university).await;
    // The provider may open one, too.
    let dispute = opened(&organization, &code.name).await;
    assert_eq!(dispute.opened_by(), pb::DisputeParty::Provider);
    let agreed = async |peer: &Peer, terms: &str| {
        let agreed = peer.agree_dispute(agree(&dispute, terms)).await;
        agreed.unwrap().dispute.unwrap()
    };
    assert_eq!(agreed(&organization, "شرط یک").await.state(), S::Open);
    let other = agreed(&university, "شرط دو").await;
    assert_eq!(other.state(), S::Negotiation);
    // Repeating one's own terms is no agreement.
    assert_eq!(agreed(&university, "شرط دو").await.state(), S::Negotiation);
    // The same text in display form is the same text.
    let ended = agreed(&university, " شرط  يک ").await;
    assert_eq!(ended.state(), S::Agreed);
    assert_eq!(ended.consumer_stance.unwrap().terms, "شرط یک");
    assert_eq!(ended.provider_stance.unwrap().terms, "شرط یک");
    let ended = read(&organization, &dispute.name).await;
    let answer = organization.rule_dispute(ruling(&ended, Vec::new()));
    refused(
        answer.await,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
}

async fn only_who_opened_a_dispute_takes_it_back(world: &mut World) {
    let (university, organization) = parties(world).await;
    let code = code(world, &university).await;
    let dispute = opened(&university, &code.name).await;
    for validate_only in [true, false] {
        let request = pb::WithdrawDisputeRequest {
            validate_only,
            ..withdraw(&dispute)
        };
        refused(
            organization.withdraw_dispute(request).await,
            Code::PermissionDenied,
            "NOT_THE_OPENER",
        );
        let second = pb::OpenDisputeRequest {
            validate_only,
            ..open(&code.name)
        };
        let refusal = refused(
            organization.open_dispute(second).await,
            Code::AlreadyExists,
            "RESOURCE_ALREADY_EXISTS",
        );
        assert_eq!(refusal.metadata["resource"], dispute.name);
    }
    let taken = university.withdraw_dispute(withdraw(&dispute)).await;
    let taken = taken.unwrap().dispute.unwrap();
    assert_eq!(taken.state(), pb::DisputeState::Withdrawn);
    // The subject is free for another one.
    let next = opened(&organization, &code.name).await;
    assert_ne!(next.name, dispute.name);
}

async fn of_many_rulings_at_once_one_is_given(world: &mut World) {
    let (university, organization) = parties(world).await;
    let code = code(world, &university).await;
    let dispute = ready(&university, &organization, &code.name).await;
    let answers = together(6, |_| {
        let (organization, dispute) = (organization.clone(), dispute.clone());
        async move {
            organization
                .rule_dispute(ruling(&dispute, Vec::new()))
                .await
        }
    })
    .await;
    let (given, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(given.len(), 1);
    for other in others {
        refused(other, Code::Aborted, "ETAG_MISMATCH");
    }
    let mut raw = Raw::to(world).await;
    let rulings = format!(
        "SELECT count(*) FROM audit_entry WHERE resource = '{}' AND action = 'RULE'",
        dispute.name
    );
    assert_eq!(raw.number(&rulings).await, 1);
}

async fn an_agreement_and_a_ruling_at_once_end_a_dispute_once(world: &mut World) {
    let (university, organization) = parties(world).await;
    for _ in 0..4 {
        let code = code(world, &university).await;
        let dispute = ready(&university, &organization, &code.name).await;
        let proposed = organization.agree_dispute(agree(&dispute, "شرط")).await;
        let dispute = proposed.unwrap().dispute.unwrap();
        let answers = together(2, |index| {
            let (university, organization) = (university.clone(), organization.clone());
            let dispute = dispute.clone();
            async move {
                match index {
                    0 => university
                        .agree_dispute(agree(&dispute, "شرط"))
                        .await
                        .map(|answer| answer.dispute),
                    _ => organization
                        .rule_dispute(ruling(&dispute, Vec::new()))
                        .await
                        .map(|answer| answer.dispute),
                }
            }
        })
        .await;
        let state = read(&university, &dispute.name).await.state();
        match &answers[..] {
            [Ok(Some(agreed)), Err(late)] => {
                assert_eq!((agreed.state(), state), (state, pb::DisputeState::Agreed));
                assert_eq!(late.reason.as_deref(), Some("ETAG_MISMATCH"));
            }
            [Err(late), Ok(Some(ruled))] => {
                assert_eq!((ruled.state(), state), (state, pb::DisputeState::Ruled));
                let reason = late.reason.as_deref();
                assert_eq!(reason, Some("STATE_TRANSITION_NOT_ALLOWED"));
            }
            other => panic!("not exactly one ended it: {other:?}"),
        }
    }
}

async fn of_many_who_open_at_once_one_does(world: &mut World) {
    let (university, _) = parties(world).await;
    let code = code(world, &university).await;
    let answers = together(6, |_| {
        let (university, subject) = (university.clone(), code.name.clone());
        async move { university.open_dispute(open(&subject)).await }
    })
    .await;
    let (done, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    for other in others {
        refused(other, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
    }
}

async fn disputes_and_messages_are_listed_in_pages(world: &mut World) {
    let (university, organization) = parties(world).await;
    let mut names = Vec::new();
    for _ in 0..5 {
        let code = code(world, &university).await;
        names.push(opened(&university, &code.name).await.name);
    }
    names.reverse();
    let mut listed = Vec::new();
    let mut request = pb::ListDisputesRequest {
        page_size: 2,
        state: pb::DisputeState::Open.into(),
        ..Default::default()
    };
    for _ in 0..3 {
        let page = university.list_disputes(request.clone()).await.unwrap();
        listed.extend(page.disputes.into_iter().map(|dispute| dispute.name));
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, names);
    assert_eq!(request.page_token, "");

    let dispute = read(&organization, &names[0]).await;
    let only = pb::ListDisputesRequest {
        subject: dispute.subject.clone(),
        ..Default::default()
    };
    let found = organization.list_disputes(only).await.unwrap().disputes;
    assert_eq!(found, std::slice::from_ref(&dispute));

    let mut posted = Vec::new();
    for (index, peer) in [&university, &organization, &university].iter().enumerate() {
        let text = format!("پیام {index}");
        let message = peer.post_dispute_message(say(&dispute, &text)).await;
        posted.push(message.unwrap().message.unwrap());
    }
    let mut request = pb::ListDisputeMessagesRequest {
        page_size: 2,
        name: dispute.name.clone(),
        ..Default::default()
    };
    let first = organization.list_dispute_messages(request.clone()).await;
    let first = first.unwrap();
    assert_eq!(first.messages, posted[..2]);
    request.page_token = first.next_page_token;
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let second = auditor.list_dispute_messages(request).await.unwrap();
    assert_eq!(second.messages, posted[2..]);
    assert_eq!(second.next_page_token, "");
}

async fn everything_that_is_wrong_with_a_dispute_is_told_at_once(world: &mut World) {
    let (university, organization) = parties(world).await;
    let request = pb::OpenDisputeRequest {
        request_id: String::new(),
        subject: "callers/university".to_owned(),
        statement: "x".repeat(4001),
        ..Default::default()
    };
    let refusal = university.open_dispute(request).await.unwrap_err();
    assert_eq!(refusal.code, Code::InvalidArgument);
    let mut told: Vec<_> = refusal
        .violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.reason.as_str()))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("request_id", "FIELD_REQUIRED"),
            ("statement", "FIELD_TOO_LONG"),
            ("subject", "FIELD_FORMAT"),
        ]
    );
    // What a ruling orders must be there.
    let code = code(world, &university).await;
    let dispute = ready(&university, &organization, &code.name).await;
    let nothing = format!("enrollmentCertificates/{}", fixtures::id());
    let orders = vec![
        order(pb::OrderedAct::Revoke, &code.name),
        order(pb::OrderedAct::Correct, &nothing),
    ];
    let answer = organization.rule_dispute(ruling(&dispute, orders)).await;
    let refusal = refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_eq!(refusal.metadata["target"], nothing);
    let strange = pb::ListDisputeMessagesRequest {
        name: dispute.name,
        page_token: "AAAA".to_owned(),
        ..Default::default()
    };
    let refusal = university.list_dispute_messages(strange).await.unwrap_err();
    assert_eq!(refusal.violations[0].reason, "PAGE_TOKEN_INVALID");
}

/// A refusal but for the trace that every call has of its own.
fn told<T>(answer: Answer<T>) -> Failure {
    let mut failure = *answer.err().unwrap();
    failure.trace_id = None;
    failure.metadata.remove("trace_id");
    failure
}

async fn somebody_elses_dispute_is_as_if_there_were_none(world: &mut World) {
    let (university, _) = parties(world).await;
    let code = code(world, &university).await;
    let dispute = opened(&university, &code.name).await;
    let nothing = pb::Dispute {
        name: format!("disputes/{}", fixtures::id()),
        ..Default::default()
    };
    for kind in [
        CallerKind::OtherUniversity,
        CallerKind::CentralBody,
        CallerKind::Window,
        CallerKind::Hub,
    ] {
        let stranger = Peer::of(world, kind).await;
        let asked = async |dispute: &pb::Dispute| {
            let name = || dispute.name.clone();
            let get = pb::GetDisputeRequest { name: name() };
            let list = pb::ListDisputeMessagesRequest {
                name: name(),
                ..Default::default()
            };
            [
                told(stranger.get_dispute(get).await),
                told(stranger.list_dispute_messages(list).await),
                told(stranger.post_dispute_message(say(dispute, "x")).await),
                told(stranger.agree_dispute(agree(dispute, "x")).await),
                told(stranger.consent_to_ruling(consent(dispute)).await),
                told(stranger.withdraw_dispute(withdraw(dispute)).await),
            ]
        };
        let (of_other, of_nothing) = (asked(&dispute).await, asked(&nothing).await);
        for (other, nothing) in of_other.iter().zip(&of_nothing) {
            assert_eq!(other.reason.as_deref(), Some("RESOURCE_NOT_FOUND"));
            assert_eq!(other, nothing, "{kind:?}");
        }
        let listed = stranger.list_disputes(pb::ListDisputesRequest::default());
        assert_eq!(listed.await.unwrap().disputes, [], "{kind:?}");
        // Nor can it open one on what it may not read.
        let request = pb::OpenDisputeRequest {
            request_id: request_id(),
            ..open(&code.name)
        };
        let answer = stranger.open_dispute(request).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
}

async fn the_window_and_the_hub_open_their_own_disputes(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let row = record(world, UNIVERSITY);
    let certificate = applied(world, &row).await.enrollment_certificate.unwrap();
    let without = window.open_dispute(open(&certificate.name)).await;
    let refusal = without.unwrap_err();
    assert_eq!(refusal.violations[0].field, "subject_claim");
    let own = pb::OpenDisputeRequest {
        subject_claim: row.subject.and_then(|subject| subject.person_id),
        ..open(&certificate.name)
    };
    let dispute = window.open_dispute(own).await.unwrap().dispute.unwrap();
    assert_eq!(dispute.consumer, "callers/window");
    organization
        .post_dispute_message(say(&dispute, "پاسخ"))
        .await
        .unwrap();
    soon("the notice", async || {
        let request = pb::ListChangesRequest {
            after_sequence: 0,
            page_size: 1000,
        };
        let listed = window.list_changes(request).await.unwrap().changes;
        let mut own = listed.into_iter();
        own.find(|change| change.resource == dispute.name && change.action == "MESSAGE")
    })
    .await;
    // The institution has a dispute with the provider of its own on the same document.
    let university = Peer::of(world, CallerKind::University).await;
    let other = opened(&university, &certificate.name).await;
    assert_eq!(other.consumer, format!("institutions/{UNIVERSITY}"));

    let hub = Peer::of(world, CallerKind::Hub).await;
    let agency = opened(
        &hub,
        &format!("agreements/{AGENCY_AGREEMENT}/agencies/{AGENCY}"),
    )
    .await;
    assert_eq!(agency.consumer, format!("agencies/{AGENCY}"));
    assert_eq!(agency.through, "callers/hub");
    assert_eq!(read(&hub, &agency.name).await, agency);
}

async fn nothing_that_parties_write_is_in_the_audit(world: &mut World) {
    let (university, organization) = parties(world).await;
    let code = code(world, &university).await;
    let dispute = ready(&university, &organization, &code.name).await;
    for text in ["پیام محرمانه", "شرط محرمانه"] {
        university
            .post_dispute_message(say(&dispute, text))
            .await
            .unwrap();
        university
            .agree_dispute(agree(&dispute, text))
            .await
            .unwrap();
    }
    let current = read(&organization, &dispute.name).await;
    let decision = pb::RuleDisputeRequest {
        text: "رأی محرمانه".to_owned(),
        ..ruling(&current, Vec::new())
    };
    organization.rule_dispute(decision).await.unwrap();
    let mut raw = Raw::to(world).await;
    let of = format!(
        "SELECT count(*) FROM audit_entry WHERE resource = '{}'",
        dispute.name
    );
    assert_eq!(raw.number(&of).await, 8);
    let hashes = format!("{of} AND reason LIKE '%sha256 %'");
    assert_eq!(raw.number(&hashes).await, 6);
    for word in ["محرمانه", "ادعای"] {
        let told = format!("{of} AND reason LIKE '%{word}%'");
        assert_eq!(raw.number(&told).await, 0, "{word}");
    }
}
