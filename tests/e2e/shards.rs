//! Connections live on several threads, and what concerns all of them reaches every one.

use std::collections::BTreeSet;

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World, WorldBuilder};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::harness::{run_on, soon};
use crate::messages::issue;
use crate::peer::{Answer, Peer, refused};
use crate::raw::Raw;

const SHARDS: usize = 3;

fn on_shards(engine: Engine) -> WorldBuilder {
    World::builder(engine).set("runtime.shards", i64::try_from(SHARDS).unwrap())
}

async fn who_am_i(peer: &Peer) -> Answer<pb::WhoAmIResponse> {
    peer.who_am_i(pb::WhoAmIRequest {}).await
}

/// The shard on which a call of this connection is answered.
async fn shard_of(world: &World, peer: &Peer) -> String {
    world.clock().forget_who_asked();
    who_am_i(peer).await.unwrap();
    // Others ask for the time too, on other threads.
    let asked = world.clock().asked_by().into_iter();
    let shards: Vec<_> = asked.filter(|name| name.starts_with("shard-")).collect();
    let [shard] = &shards[..] else {
        panic!("a call on {shards:?}");
    };
    shard.clone()
}

/// One connection on every shard.
async fn on_every_shard(world: &World, kind: CallerKind) -> Vec<Peer> {
    let mut peers = Vec::new();
    let mut shards = BTreeSet::new();
    for _ in 0..SHARDS {
        let peer = Peer::of(world, kind).await;
        shards.insert(shard_of(world, &peer).await);
        peers.push(peer);
    }
    assert_eq!(shards.len(), SHARDS);
    peers
}

#[test]
fn connections_are_dealt_to_all_shards_and_stay_where_they_are() {
    run_on(on_shards(Engine::Sqlite), async |world: &mut World| {
        let mut peers = on_every_shard(world, CallerKind::Hub).await;
        peers.extend(on_every_shard(world, CallerKind::Hub).await);
        for peer in &peers {
            let shard = shard_of(world, peer).await;
            for _ in 0..5 {
                assert_eq!(shard_of(world, peer).await, shard);
            }
        }
        // A place that has become free is the next to be taken.
        let left = shard_of(world, &peers[1]).await;
        drop(peers.remove(1));
        let again = soon("a connection in the free place", async || {
            let peer = Peer::of(world, CallerKind::Hub).await;
            (shard_of(world, &peer).await == left).then_some(peer)
        })
        .await;
        who_am_i(&again).await.unwrap();
    });
}

#[test]
fn a_new_revocation_list_is_in_force_on_the_open_connections_of_every_shard() {
    run_on(on_shards(Engine::Sqlite), async |world: &mut World| {
        let universities = on_every_shard(world, CallerKind::University).await;
        let hubs = on_every_shard(world, CallerKind::Hub).await;
        world.revoke_identity(&world.identity(CallerKind::University));
        for university in &universities {
            let failure = soon("the new list in force", async || {
                who_am_i(university).await.err()
            })
            .await;
            refused::<()>(Err(failure), Code::Unauthenticated, "CERTIFICATE_REVOKED");
        }
        for hub in &hubs {
            who_am_i(hub).await.unwrap();
        }
    });
}

/// On every shard a call that waits for a lock in the database.
async fn calls_waiting_on_every_shard(
    world: &World,
) -> Vec<JoinHandle<Answer<pb::IssueValidityCodeResponse>>> {
    let mut calls = Vec::new();
    for peer in on_every_shard(world, CallerKind::University).await {
        let request = issue(world, UNIVERSITY);
        calls.push(tokio::spawn(async move {
            peer.issue_validity_code(request).await
        }));
    }
    soon("the calls waiting in the database", async || {
        let mut look = Raw::to(world).await;
        let waiting = look
            .number("SELECT count(*) FROM pg_locks WHERE NOT granted")
            .await;
        (waiting > 0).then_some(())
    })
    .await;
    calls
}

async fn nobody_is_listening(world: &World) {
    soon("the end of listening", async || {
        tokio::net::TcpStream::connect(world.address())
            .await
            .err()
            .map(drop)
    })
    .await;
}

#[test]
fn a_drain_lets_the_calls_of_every_shard_finish() {
    run_on(on_shards(Engine::Postgres), async |world: &mut World| {
        let mut lock = Raw::to(world).await;
        lock.hold_all_writes().await;
        let calls = calls_waiting_on_every_shard(world).await;
        world.node(0).begin_stop();
        nobody_is_listening(world).await;
        assert!(calls.iter().all(|call| !call.is_finished()));
        lock.release().await;
        for call in calls {
            call.await.unwrap().unwrap();
        }
        world.node_mut(0).stop().await;
    });
}

#[test]
fn when_the_grace_has_passed_the_calls_of_every_shard_are_cut_off() {
    let world = on_shards(Engine::Postgres).set("limits.drain_grace_ms", 300);
    run_on(world, async |world: &mut World| {
        let mut lock = Raw::to(world).await;
        lock.hold_all_writes().await;
        let calls = calls_waiting_on_every_shard(world).await;
        world.node(0).begin_stop();
        for call in calls {
            let failure = call.await.unwrap().unwrap_err();
            assert_eq!(failure.reason, None, "{failure}");
        }
        lock.release().await;
        world.node_mut(0).stop().await;
    });
}
