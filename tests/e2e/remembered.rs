//! Documents that a node remembers: judged without the store, and never a moment too long.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};

use crate::harness::{run_on, soon};
use crate::messages::{issue, question, request_id};
use crate::peer::Peer;
use crate::raw::Raw;
use crate::verdicts::verdict;

cases! {
    a_code_asked_for_again_is_judged_without_the_store,
    a_remembered_code_changes_with_the_change_on_its_own_node,
    a_code_that_was_unknown_is_known_once_it_is_issued,
}

/// A code of the university's, and its name.
async fn issued(university: &Peer, world: &World) -> pb::ValidityCode {
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    issued.unwrap().validity_code.unwrap()
}

async fn reason(peer: &Peer, code: &pb::ValidityCode) -> pb::VerdictReason {
    verdict(peer, question(&code.code)).await.reason()
}

/// Asks until the node answers from memory, which shows when it has no table to read.
async fn remembered(world: &World, peer: &Peer, code: &pb::ValidityCode) {
    soon("an answer from memory", async || {
        assert_eq!(reason(peer, code).await, pb::VerdictReason::Ok);
        let mut raw = Raw::to(world).await;
        raw.run("ALTER TABLE validity_code RENAME TO hidden").await;
        let answer = peer.validate_code(question(&code.code)).await;
        raw.run("ALTER TABLE hidden RENAME TO validity_code").await;
        let verdict = answer.ok()?.verdict.unwrap();
        assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
        Some(())
    })
    .await;
}

async fn revoke(peer: &Peer, code: &pb::ValidityCode) {
    let revoke = pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: code.name.clone(),
        reason: pb::RevocationReason::Fraud.into(),
        ..Default::default()
    };
    peer.revoke_validity_code(revoke).await.unwrap();
}

async fn a_code_asked_for_again_is_judged_without_the_store(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let code = issued(&university, world).await;
    remembered(world, &hub, &code).await;
    // The document is remembered, not the verdict: each caller is told its own part.
    let own = verdict(&university, question(&code.code)).await;
    let others = verdict(&hub, question(&code.code)).await;
    assert_ne!(own.document, others.document);
}

async fn a_remembered_code_changes_with_the_change_on_its_own_node(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let code = issued(&university, world).await;
    remembered(world, &hub, &code).await;
    for _ in 0..5 {
        let suspend = pb::SuspendValidityCodeRequest {
            request_id: request_id(),
            name: code.name.clone(),
            remark: "synthetic".to_owned(),
            ..Default::default()
        };
        university.suspend_validity_code(suspend).await.unwrap();
        assert_eq!(reason(&hub, &code).await, pb::VerdictReason::Suspended);
        let reinstate = pb::ReinstateValidityCodeRequest {
            request_id: request_id(),
            name: code.name.clone(),
            remark: "synthetic".to_owned(),
            ..Default::default()
        };
        university.reinstate_validity_code(reinstate).await.unwrap();
        assert_eq!(reason(&hub, &code).await, pb::VerdictReason::Ok);
    }
    revoke(&university, &code).await;
    assert_eq!(reason(&hub, &code).await, pb::VerdictReason::Revoked);
}

async fn a_code_that_was_unknown_is_known_once_it_is_issued(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let code = issued(&university, world).await;
    // The same code, before it was there.
    let mut raw = Raw::to(world).await;
    raw.run("CREATE TABLE kept AS SELECT * FROM validity_code; DELETE FROM validity_code")
        .await;
    for _ in 0..3 {
        assert_eq!(reason(&hub, &code).await, pb::VerdictReason::NotFound);
    }
    raw.run("INSERT INTO validity_code SELECT * FROM kept")
        .await;
    assert_eq!(reason(&hub, &code).await, pb::VerdictReason::Ok);
}

#[test]
fn with_no_room_nothing_is_remembered() {
    let world = World::builder(Engine::Sqlite).set("cache.verdict_bytes", 0);
    run_on(world, async |world: &mut World| {
        let university = Peer::of(world, CallerKind::University).await;
        let hub = Peer::of(world, CallerKind::Hub).await;
        let code = issued(&university, world).await;
        for _ in 0..20 {
            assert_eq!(reason(&hub, &code).await, pb::VerdictReason::Ok);
        }
        // A change that no event tells of.
        let mut raw = Raw::to(world).await;
        raw.run("UPDATE validity_code SET state = 'REVOKED'").await;
        assert_eq!(reason(&hub, &code).await, pb::VerdictReason::Revoked);
    });
}

fn on_two_nodes(case: impl AsyncFnOnce(&mut World)) {
    run_on(World::builder(Engine::Postgres).nodes(2), case);
}

/// A code that the second node remembers, with the university's connection to the first and the hub's to the second.
async fn remembered_elsewhere(world: &World) -> (Peer, Peer, pb::ValidityCode) {
    let university = Peer::new(world.client_of(0, CallerKind::University).await);
    let hub = Peer::new(world.client_of(1, CallerKind::Hub).await);
    let code = issued(&university, world).await;
    remembered(world, &hub, &code).await;
    (university, hub, code)
}

async fn soon_revoked(hub: &Peer, code: &pb::ValidityCode) {
    soon("the revocation on the other node", async || {
        (reason(hub, code).await == pb::VerdictReason::Revoked).then_some(())
    })
    .await;
    // And it stays so.
    for _ in 0..10 {
        assert_eq!(reason(hub, code).await, pb::VerdictReason::Revoked);
    }
}

#[test]
fn a_code_revoked_on_one_node_is_forgotten_by_the_other() {
    on_two_nodes(async |world: &mut World| {
        let (university, hub, code) = remembered_elsewhere(world).await;
        revoke(&university, &code).await;
        soon_revoked(&hub, &code).await;
    });
}

#[test]
fn a_revocation_arrives_though_the_notifications_are_cut() {
    on_two_nodes(async |world: &mut World| {
        let (university, hub, code) = remembered_elsewhere(world).await;
        let mut raw = Raw::to(world).await;
        // Nobody can listen again: the connections for it are ended as they come, until the case is over.
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE query LIKE 'LISTEN%' AND datname = current_database()";
        assert_eq!(raw.number(cut).await, 2, "each node listens");
        revoke(&university, &code).await;
        raw.number(cut).await;
        soon_revoked(&hub, &code).await;
    });
}

#[test]
fn a_revocation_arrives_though_the_clock_of_the_database_is_wrong() {
    on_two_nodes(async |world: &mut World| {
        let mut raw = Raw::to(world).await;
        // Whoever asks the database for the time is told another day, on every new connection.
        for (name, days) in [
            ("now", -3),
            ("clock_timestamp", 3),
            ("statement_timestamp", -3),
        ] {
            raw.run(&format!(
                "CREATE FUNCTION public.{name}() RETURNS timestamptz LANGUAGE sql VOLATILE \
                 AS $$ SELECT pg_catalog.{name}() + interval '{days} days' $$"
            ))
            .await;
        }
        raw.run(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); \
             END $$; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
        let mut moved = Raw::to(world).await;
        let apart = "SELECT (extract(epoch FROM clock_timestamp() - pg_catalog.clock_timestamp()) / 86400)::bigint";
        assert_eq!(moved.number(apart).await, 3, "the clock is moved");
        soon("connections again", async || {
            let university = Peer::new(world.client_of(0, CallerKind::University).await);
            university
                .issue_validity_code(issue(world, UNIVERSITY))
                .await
                .ok()
        })
        .await;
        let (university, hub, code) = remembered_elsewhere(world).await;
        revoke(&university, &code).await;
        soon_revoked(&hub, &code).await;
    });
}

#[test]
fn a_node_that_cannot_look_for_changes_asks_the_store() {
    on_two_nodes(async |world: &mut World| {
        let (_, hub, code) = remembered_elsewhere(world).await;
        let mut raw = Raw::to(world).await;
        // No look comes to an end any more, and a change is made that no event tells of.
        raw.run("BEGIN; LOCK TABLE change_event IN ACCESS EXCLUSIVE MODE")
            .await;
        let mut past = Raw::to(world).await;
        past.run("UPDATE validity_code SET state = 'REVOKED'").await;
        soon_revoked(&hub, &code).await;
        raw.run("ROLLBACK").await;
        past.run("UPDATE validity_code SET state = 'ACTIVE'").await;
    });
}
