//! The change feed: everything once, in order, and each caller only its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use gavah_api::v1 as pb;
use gavah_client::Failure;
use gavah_testkit::world::{
    CENTRAL_BODY, CallerKind, Engine, OTHER_UNIVERSITY, UNIT, UNIVERSITY, World,
};
use tonic::{Code, Streaming};

use crate::certificates::applied;
use crate::harness::{run_on, soon};
use crate::messages::{issue, record, request_id};
use crate::peer::{Answer, Peer, refused};
use crate::raw::Raw;

cases! {
    every_change_is_told_once_in_the_order_of_the_chain,
    each_caller_sees_only_its_own,
    a_reader_hears_of_a_change_as_it_comes,
    a_reader_goes_on_where_it_was_after_the_server_was_started_again,
}

cases_of_any_engine! {
    who_has_no_part_in_documents_has_none_in_their_changes,
    a_place_that_the_feed_does_not_reach_is_refused,
    a_part_is_no_longer_than_asked_for_and_says_whether_there_is_more,
    a_reader_from_now_is_told_where_it_is_and_nothing_that_was_before,
    what_is_others_is_passed_over_in_parts,
    a_drain_ends_the_stream,
    a_caller_that_is_paused_hears_no_more,
    a_reader_that_does_not_read_holds_nobody_up,
}

/// A stream of changes under way.
struct Watch(Streaming<pb::WatchChangesResponse>);

impl Watch {
    async fn next(&mut self) -> Answer<pb::WatchChangesResponse> {
        match self.0.message().await {
            Ok(news) => Ok(news.unwrap()),
            Err(status) => Err(Box::new(Failure::of(&status))),
        }
    }

    /// The changes up to and with this many, and where the reader is then.
    async fn take(&mut self, count: usize) -> (Vec<pb::Change>, i64) {
        let mut changes = Vec::new();
        loop {
            let news = self.next().await.unwrap();
            changes.extend(news.changes);
            if changes.len() >= count {
                assert_eq!(changes.len(), count);
                return (changes, news.next_sequence);
            }
        }
    }
}

async fn watch(peer: &Peer, after_sequence: i64, from_now: bool) -> Answer<Watch> {
    let request = pb::WatchChangesRequest {
        after_sequence,
        from_now,
    };
    match peer.client().changes().watch_changes(request).await {
        Ok(news) => Ok(Watch(news.into_inner())),
        Err(status) => Err(Box::new(Failure::of(&status))),
    }
}

async fn part(peer: &Peer, after_sequence: i64, page_size: i32) -> Answer<pb::ListChangesResponse> {
    let request = pb::ListChangesRequest {
        after_sequence,
        page_size,
    };
    peer.list_changes(request).await
}

/// Waits until all that was committed is in the feed.
pub(crate) async fn settled(world: &World) {
    soon("the chain", async || {
        let mut raw = Raw::to(world).await;
        let pending = raw.number("SELECT count(*) FROM audit_pending").await;
        (pending == 0).then_some(())
    })
    .await;
}

/// A stream that begins behind everything that was committed before, and has told
/// where it is.
async fn watch_from_now(world: &World, peer: &Peer) -> Watch {
    settled(world).await;
    let mut watching = watch(peer, 0, true).await.unwrap();
    assert_eq!(watching.next().await.unwrap().changes, []);
    watching
}

/// Everything a caller sees, once all that was committed is in the feed.
pub(crate) async fn everything(world: &World, peer: &Peer) -> Vec<pb::Change> {
    settled(world).await;
    let (mut changes, mut after) = (Vec::new(), 0);
    loop {
        let answer = part(peer, after, 3).await.unwrap();
        changes.extend(answer.changes);
        assert!(answer.next_sequence >= after);
        after = answer.next_sequence;
        if !answer.more {
            return changes;
        }
    }
}

async fn issued(peer: &Peer, world: &World, institution: &str) -> pb::ValidityCode {
    let answer = peer.issue_validity_code(issue(world, institution)).await;
    answer.unwrap().validity_code.unwrap()
}

async fn revoke(peer: &Peer, name: &str) {
    peer.revoke_validity_code(pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: name.to_owned(),
        reason: pb::RevocationReason::IssuedInError.into(),
        legal_basis: "synthetic".to_owned(),
        ..Default::default()
    })
    .await
    .unwrap();
}

async fn who_has_no_part_in_documents_has_none_in_their_changes(world: &mut World) {
    for kind in [CallerKind::Hub, CallerKind::Monitor] {
        let peer = Peer::of(world, kind).await;
        let (code, reason) = (Code::PermissionDenied, "METHOD_NOT_ALLOWED_FOR_CLASS");
        refused(part(&peer, 0, 0).await, code, reason);
        refused(watch(&peer, 0, false).await.map(drop), code, reason);
    }
}

async fn a_place_that_the_feed_does_not_reach_is_refused(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let found = |failure: Box<Failure>| {
        let violations = failure.violations.iter();
        violations
            .map(|it| (it.field.clone(), it.reason.clone()))
            .collect::<Vec<_>>()
    };
    let beyond = [("after_sequence".to_owned(), "PAGE_TOKEN_INVALID".to_owned())];
    let failure = part(&university, 1_000_000, 0).await.unwrap_err();
    assert_eq!(failure.code, Code::InvalidArgument);
    assert_eq!(found(failure), beyond);
    let failure = watch(&university, 1_000_000, false).await.map(drop);
    assert_eq!(found(failure.unwrap_err()), beyond);
    let failure = watch(&university, 1, true).await.map(drop);
    let both = [("from_now".to_owned(), "FIELD_FORMAT".to_owned())];
    assert_eq!(found(failure.unwrap_err()), both);
}

async fn every_change_is_told_once_in_the_order_of_the_chain(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let code = issued(&university, world, UNIVERSITY).await;
    revoke(&university, &code.name).await;
    let all = everything(world, &auditor).await;
    let sequences: Vec<_> = all.iter().map(|change| change.sequence).collect();
    let gapless: Vec<_> = (1..).take(all.len()).collect();
    assert_eq!(sequences, gapless);
    let mut raw = Raw::to(world).await;
    let events = raw.number("SELECT count(*) FROM change_event").await;
    assert_eq!(i64::try_from(all.len()).unwrap(), events);
    let of_code = all.iter().filter(|change| change.resource == code.name);
    let told: Vec<_> = of_code
        .map(|change| {
            let institution = change.institution_code.as_str();
            (change.action.as_str(), change.state.as_str(), institution)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("ISSUE", "ACTIVE", UNIVERSITY),
            ("REVOKE", "REVOKED", UNIVERSITY)
        ]
    );
    // A watcher is told the same.
    let mut watching = watch(&auditor, 0, false).await.unwrap();
    assert_eq!(watching.take(all.len()).await.0, all);
}

async fn each_caller_sees_only_its_own(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let central = Peer::of(world, CallerKind::CentralBody).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let own = issued(&university, world, UNIVERSITY).await;
    let strangers = issued(&other, world, OTHER_UNIVERSITY).await;
    let of_unit = issued(&central, world, UNIT).await;
    let application = applied(world, &record(world, UNIVERSITY)).await;
    let application = application.application.unwrap();
    for (peer, institutions, sees, does_not) in [
        (
            &university,
            &[UNIVERSITY][..],
            vec![&own.name, &application.name],
            vec![&strangers.name, &of_unit.name],
        ),
        (
            &other,
            &[OTHER_UNIVERSITY],
            vec![&strangers.name],
            vec![&own.name, &of_unit.name, &application.name],
        ),
        (
            &central,
            &[CENTRAL_BODY, UNIT],
            vec![&of_unit.name],
            vec![&own.name, &strangers.name, &application.name],
        ),
        (
            &window,
            &[UNIVERSITY],
            vec![&application.name],
            vec![&own.name, &strangers.name, &of_unit.name],
        ),
    ] {
        let changes = everything(world, peer).await;
        let told: BTreeSet<_> = changes.iter().map(|change| &change.resource).collect();
        for name in sees {
            assert!(told.contains(name), "{name}");
        }
        assert!(!does_not.iter().any(|name| told.contains(*name)));
        for change in &changes {
            let institution = change.institution_code.as_str();
            assert!(institutions.contains(&institution), "{institution}");
        }
    }
    for kind in [CallerKind::Organization, CallerKind::Auditor] {
        let peer = Peer::of(world, kind).await;
        let changes = everything(world, &peer).await;
        let told: BTreeSet<_> = changes.iter().map(|change| &change.resource).collect();
        for name in [&own.name, &strangers.name, &of_unit.name, &application.name] {
            assert!(told.contains(name));
        }
    }
}

async fn a_part_is_no_longer_than_asked_for_and_says_whether_there_is_more(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(issued(&university, world, UNIVERSITY).await.name);
    }
    let all = everything(world, &university).await;
    let place = all.len() - 3;
    let after = all[place].sequence - 1;
    let first = part(&university, after, 2).await.unwrap();
    assert_eq!(first.changes, all[place..place + 2]);
    assert_eq!(first.next_sequence, all[place + 1].sequence);
    assert!(first.more);
    let rest = part(&university, first.next_sequence, 2).await.unwrap();
    assert_eq!(rest.changes, all[place + 2..]);
    assert!(!rest.more);
    let nothing = part(&university, rest.next_sequence, 2).await.unwrap();
    assert_eq!((nothing.changes.len(), nothing.more), (0, false));
    assert_eq!(nothing.next_sequence, rest.next_sequence);
}

async fn a_reader_hears_of_a_change_as_it_comes(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut watching = watch_from_now(world, &university).await;
    for _ in 0..3 {
        let code = issued(&university, world, UNIVERSITY).await;
        let (changes, place) = watching.take(1).await;
        assert_eq!(changes[0].resource, code.name);
        assert_eq!(changes[0].sequence, place);
    }
}

async fn a_reader_from_now_is_told_where_it_is_and_nothing_that_was_before(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    issued(&university, world, UNIVERSITY).await;
    let all = everything(world, &university).await;
    let mut watching = watch(&university, 0, true).await.unwrap();
    let first = watching.next().await.unwrap();
    assert_eq!(first.changes, []);
    assert!(first.next_sequence >= all.last().unwrap().sequence);
    let code = issued(&university, world, UNIVERSITY).await;
    assert_eq!(watching.take(1).await.0[0].resource, code.name);
}

async fn what_is_others_is_passed_over_in_parts(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    for _ in 0..5 {
        issued(&university, world, UNIVERSITY).await;
    }
    let mine = issued(&other, world, OTHER_UNIVERSITY).await;
    let changes = everything(world, &other).await;
    assert_eq!(changes.last().unwrap().resource, mine.name);
    // A reader to whom nothing belongs moves on all the same.
    let before = changes[changes.len() - 1].sequence;
    issued(&university, world, UNIVERSITY).await;
    soon("the feed to go on", async || {
        let answer = part(&other, before, 1).await.unwrap();
        assert_eq!(answer.changes, []);
        (answer.next_sequence > before).then_some(())
    })
    .await;
}

async fn a_drain_ends_the_stream(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut watching = watch_from_now(world, &university).await;
    world.node(0).begin_stop();
    let end = watching.next().await.map(drop);
    let failure = refused(end, Code::Unavailable, "DRAINING");
    assert!(failure.retry_after.is_some());
    world.node_mut(0).stop().await;
}

async fn a_caller_that_is_paused_hears_no_more(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let mut watching = watch_from_now(world, &university).await;
    organization.pause(CallerKind::University).await;
    // Whatever happens makes the stream look again.
    issued(&other, world, OTHER_UNIVERSITY).await;
    let end = loop {
        match watching.next().await {
            Ok(news) => assert!(news.changes.len() <= 1),
            Err(failure) => break failure,
        }
        issued(&other, world, OTHER_UNIVERSITY).await;
    };
    refused::<()>(Err(end), Code::Unauthenticated, "CALLER_NOT_ACTIVE");
}

async fn a_reader_that_does_not_read_holds_nobody_up(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut idle = watch(&university, 0, false).await.unwrap();
    for _ in 0..200 {
        issued(&university, world, UNIVERSITY).await;
    }
    let all = everything(world, &university).await;
    assert_eq!(idle.take(all.len()).await.0, all);
}

async fn a_reader_goes_on_where_it_was_after_the_server_was_started_again(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut watching = watch_from_now(world, &university).await;
    let before = issued(&university, world, UNIVERSITY).await;
    let (changes, place) = watching.take(1).await;
    assert_eq!(changes[0].resource, before.name);
    let missed = issued(&university, world, UNIVERSITY).await;
    world.node_mut(0).stop().await;
    let next = world.add_node().await;
    let university = Peer::new(world.client_of(next, CallerKind::University).await);
    let mut watching = watch(&university, place, false).await.unwrap();
    let (changes, _) = watching.take(1).await;
    assert_eq!(changes[0].resource, missed.name);
}

#[test]
fn a_change_on_one_node_is_told_by_another() {
    run_on(
        World::builder(Engine::Postgres),
        async |world: &mut World| {
            let second = world.add_node().await;
            let here = Peer::of(world, CallerKind::University).await;
            let there = Peer::new(world.client_of(second, CallerKind::University).await);
            let (mut one, mut two) = (
                watch(&here, 0, true).await.unwrap(),
                watch(&there, 0, true).await.unwrap(),
            );
            one.next().await.unwrap();
            two.next().await.unwrap();
            let requests: Arc<[_]> = (0..20).map(|_| issue(world, UNIVERSITY)).collect();
            let mut names = BTreeSet::new();
            for (place, request) in requests.iter().enumerate() {
                let peer = if place % 2 == 0 { &here } else { &there };
                let code = peer.issue_validity_code(request.clone()).await.unwrap();
                names.insert(code.validity_code.unwrap().name);
            }
            let (at_one, _) = one.take(20).await;
            let (at_two, _) = two.take(20).await;
            assert_eq!(at_one, at_two);
            let told: BTreeSet<_> = at_one.into_iter().map(|change| change.resource).collect();
            assert_eq!(told, names);
        },
    );
}
