//! Clients that write without reading, go away, or open too many streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gavah_api::v1 as pb;
use gavah_api::v1::validity_code_service_client::ValidityCodeServiceClient;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use tokio_stream::StreamExt;
use tonic::Code;

use super::{ask, asked, row, start, the_start};
use crate::harness::{run_on, soon};
use crate::messages::{issue, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::wire::Wire;

cases_of_any_engine! {
    rows_are_not_read_while_their_answers_are_not,
    rows_taken_up_are_finished_although_the_client_goes,
    too_many_streams_are_refused,
}

/// Rows that the client would send.
const ROWS: usize = 5_000;
/// How many of them may be issued for a client that reads nothing: those at work, and the answers that fit into the
/// windows of the connection.
const UNREAD: i64 = 1_000;

async fn codes_in(raw: &mut Raw) -> i64 {
    raw.number("SELECT count(*) FROM validity_code").await
}

async fn rows_are_not_read_while_their_answers_are_not(world: &mut World) {
    let wire = Wire::narrow(world, CallerKind::University, 65_535).await;
    let requests: Vec<_> = (0..ROWS).map(|_| issue(world, UNIVERSITY)).collect();
    let said = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&said);
    let rows = (0..).zip(requests).map(move |(number, request)| {
        count.fetch_add(1, Ordering::Relaxed);
        row(number, &request)
    });
    let messages = tokio_stream::iter(std::iter::once(the_start(&request_id())).chain(rows));
    let mut client = ValidityCodeServiceClient::new(wire.channel());
    let answers = client.stream_issue_validity_codes(messages).await.unwrap();
    let mut answers = answers.into_inner();
    let mut raw = Raw::to(world).await;
    // It has come to rest when nothing happens any more between two looks.
    let mut before = 0;
    let mut resting = 0;
    while resting < 10 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let now = codes_in(&mut raw).await;
        resting = if now == before && now > 0 {
            resting + 1
        } else {
            0
        };
        before = now;
    }
    assert!(before <= UNREAD, "{before} codes for who reads nothing");
    assert!(said.load(Ordering::Relaxed) < ROWS);
    let mut read = 0;
    while let Some(answer) = answers.next().await {
        assert_eq!(answer.unwrap().sequence, read);
        read += 1;
    }
    assert_eq!(read, i64::try_from(ROWS).unwrap());
    assert_eq!(codes_in(&mut raw).await, read);
}

async fn rows_taken_up_are_finished_although_the_client_goes(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let talk = start(&university, &request_id()).await;
    let mut raw = Raw::to(world).await;
    raw.hold_all_writes().await;
    for number in 0..3 {
        talk.say(row(number, &issue(world, UNIVERSITY))).await;
    }
    university.who_am_i(pb::WhoAmIRequest {}).await.unwrap();
    drop((talk, university));
    raw.release().await;
    soon("the codes of who has gone", async || {
        let mut raw = Raw::to(world).await;
        (codes_in(&mut raw).await == 3).then_some(())
    })
    .await;
}

/// As many streams as a server has places for, over connections that take 100 each.
async fn too_many_streams_are_refused(world: &mut World) {
    const PLACES: usize = 256;
    let mut talks = Vec::new();
    let mut peers = Vec::new();
    for place in 0..PLACES {
        if place % 50 == 0 {
            peers.push(Peer::of(world, CallerKind::Hub).await);
        }
        let talk = ask(peers.last().unwrap()).await.unwrap();
        talk.say(asked(0, "")).await;
        talks.push(talk);
    }
    let hub = Peer::of(world, CallerKind::Hub).await;
    let failure = refused(ask(&hub).await.map(drop), Code::Unavailable, "OVERLOADED");
    assert!(failure.retry_after.is_some());
    for talk in &mut talks {
        assert_eq!(talk.answer().await.unwrap().unwrap().sequence, 0);
    }
    talks.pop();
    soon("a free place", async || ask(&hub).await.ok()).await;
    // Calls are not streams.
    hub.who_am_i(pb::WhoAmIRequest {}).await.unwrap();
}

#[test]
fn a_run_of_thousands_on_two_nodes_is_complete() {
    run_on(
        World::builder(Engine::Postgres).set("runtime.shards", 2),
        async |world: &mut World| {
            let other = world.add_node().await;
            let one = Peer::of(world, CallerKind::University).await;
            let two = Peer::new(world.client_of(other, CallerKind::University).await);
            let requests: Arc<[_]> = (0..2_000).map(|_| issue(world, UNIVERSITY)).collect();
            let run = request_id();
            let all = |peer: Peer, requests: Arc<[pb::IssueValidityCodeRequest]>, run: String| async move {
                let mut talk = start(&peer, &run).await;
                for (number, request) in (0..).zip(requests.iter()) {
                    talk.say(row(number, request)).await;
                }
                talk.finish();
                let (answers, end) = talk.rest().await;
                end.unwrap();
                answers.iter().map(super::issued).collect::<Vec<_>>()
            };
            let (here, there) = tokio::join!(
                all(one, Arc::clone(&requests), run.clone()),
                all(two, Arc::clone(&requests), run.clone()),
            );
            assert_eq!(here, there);
            let mut raw = Raw::to(world).await;
            assert_eq!(codes_in(&mut raw).await, 2_000);
        },
    );
}
