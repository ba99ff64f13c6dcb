//! What callers see when the database ends connections under the server.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use tonic::Code;

use crate::harness::{run_on, soon};
use crate::messages::{issue, question};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::verdicts::verdict;

const OTHERS: &str = "datname = current_database() AND pid <> pg_backend_pid()";

fn on_postgres(case: impl AsyncFnOnce(&mut World)) {
    run_on(World::builder(Engine::Postgres), case);
}

#[test]
fn connections_that_the_database_ended_are_replaced() {
    on_postgres(async |world: &mut World| {
        let university = Peer::of(world, CallerKind::University).await;
        let hub = Peer::of(world, CallerKind::Hub).await;
        let issued = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        let code = issued.unwrap().validity_code.unwrap().code;
        let mut raw = Raw::to(world).await;
        raw.run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OTHERS}"
        ))
        .await;
        let told = soon("an answer from the database", async || {
            match hub.validate_code(question(&code)).await {
                Ok(answer) => answer.verdict,
                Err(failure) => {
                    assert_eq!(failure.code, Code::Unavailable, "{failure}");
                    None
                }
            }
        })
        .await;
        assert_eq!(told.reason(), pb::VerdictReason::Ok);
        university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await
            .unwrap();
    });
}

#[test]
fn a_write_whose_connection_was_ended_is_told_so_and_works_when_repeated() {
    on_postgres(async |world: &mut World| {
        let university = Peer::of(world, CallerKind::University).await;
        let request = issue(world, UNIVERSITY);
        let mut lock = Raw::to(world).await;
        lock.hold_all_writes().await;
        let under_way = {
            let (peer, request) = (university.clone(), request.clone());
            tokio::spawn(async move { peer.issue_validity_code(request).await })
        };
        let waiting = format!("FROM pg_stat_activity WHERE {OTHERS} AND wait_event_type = 'Lock'");
        soon("the call waiting in the database", async || {
            let mut look = Raw::to(world).await;
            let count = look.number(&format!("SELECT count(*) {waiting}")).await;
            (count > 0).then_some(())
        })
        .await;
        let mut raw = Raw::to(world).await;
        raw.run(&format!("SELECT pg_terminate_backend(pid) {waiting}"))
            .await;
        let answer = under_way.await.unwrap();
        let failure = refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
        assert!(failure.retry_after.is_some());
        lock.release().await;
        let issued = university.issue_validity_code(request).await.unwrap();
        let code = issued.validity_code.unwrap().code;
        let hub = Peer::of(world, CallerKind::Hub).await;
        let told = verdict(&hub, question(&code)).await;
        assert_eq!(told.reason(), pb::VerdictReason::Ok);
        assert_eq!(raw.number("SELECT count(*) FROM validity_code").await, 1);
    });
}

#[test]
fn what_is_corrupt_is_a_fault_of_the_service_and_tells_nothing() {
    run_on(World::builder(Engine::Sqlite), async |world: &mut World| {
        let university = Peer::of(world, CallerKind::University).await;
        let issued = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        let name = issued.unwrap().validity_code.unwrap().name;
        let spoil = "UPDATE validity_code SET content = '{\"secret\": 1}'";
        Raw::to(world).await.run(spoil).await;
        let read = university
            .get_validity_code(pb::GetValidityCodeRequest { name })
            .await;
        let failure = refused(read, Code::Internal, "INTERNAL");
        assert_eq!(failure.message, "the service met an internal error");
        assert!(failure.trace_id.is_some() && failure.retry_after.is_none());
    });
}
