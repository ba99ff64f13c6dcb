//! Every call has a deadline, and it reaches the database.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use prost::Message;
use tonic::Code;

use crate::harness::{run_on, soon};
use crate::messages::{apply, issue, record, upsert};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::wire::Wire;

cases_of_any_engine! {
    a_call_without_a_deadline_is_answered,
    a_call_with_too_little_time_left_is_not_begun,
    a_deadline_that_is_none_is_refused,
}

const WHO_AM_I: &str = "/gavah.v1.RegistryService/WhoAmI";
const TIMEOUT: &str = "grpc-timeout";

async fn a_call_without_a_deadline_is_answered(world: &mut World) {
    let wire = Wire::of(world, CallerKind::Hub).await;
    let answer = wire.send(WHO_AM_I, &pb::WhoAmIRequest {}).await.unwrap();
    let answer = pb::WhoAmIResponse::decode(&answer[..]).unwrap();
    assert_eq!(answer.caller.unwrap().caller_id, "hub");
}

async fn a_call_with_too_little_time_left_is_not_begun(world: &mut World) {
    let wire = Wire::of(world, CallerKind::Hub).await;
    for timeout in ["50m", "119m", "99999u"] {
        // The client's own clock may run out before the answer is there.
        let failure = soon("an answer in time", async || {
            let answer = wire
                .send_with(WHO_AM_I, Vec::new(), &[(TIMEOUT, timeout)])
                .await;
            answer.err().filter(|failure| failure.reason.is_some())
        })
        .await;
        refused::<()>(Err(failure), Code::DeadlineExceeded, "NOT_ENOUGH_TIME_LEFT");
    }
    wire.send_with(WHO_AM_I, Vec::new(), &[(TIMEOUT, "30S")])
        .await
        .unwrap();
}

async fn a_deadline_that_is_none_is_refused(world: &mut World) {
    let wire = Wire::of(world, CallerKind::Hub).await;
    for timeout in ["soon", "10", "123456789m", "-1S"] {
        let answer = wire
            .send_with(WHO_AM_I, Vec::new(), &[(TIMEOUT, timeout)])
            .await;
        let failure = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
        assert_eq!(failure.violations[0].field, TIMEOUT);
    }
}

/// Writes wait for a lock longer than they have time: they end in time, nothing of them is done, and the same calls work
/// once the lock is gone.
fn a_lock_held_longer_than_the_deadline_ends_the_call_whole(engine: Engine) {
    let world = World::builder(engine).set("limits.default_deadline_ms", 400);
    run_on(world, async |world: &mut World| {
        let university = Peer::of(world, CallerKind::University).await;
        let row = record(world, UNIVERSITY);
        university
            .upsert_enrollment_record(upsert(row.clone()))
            .await
            .unwrap();
        let calls = [
            (
                CallerKind::University,
                "/gavah.v1.ValidityCodeService/IssueValidityCode",
                issue(world, UNIVERSITY).encode_to_vec(),
            ),
            (
                CallerKind::University,
                "/gavah.v1.EnrollmentRecordService/UpsertEnrollmentRecord",
                upsert(record(world, UNIVERSITY)).encode_to_vec(),
            ),
            (
                CallerKind::Window,
                "/gavah.v1.EnrollmentCertificateService/CreateEnrollmentCertificateApplication",
                apply(&row).encode_to_vec(),
            ),
        ];
        let mut lock = Raw::to(world).await;
        let before = lock.everything().await;
        lock.hold_all_writes().await;
        for (kind, path, body) in &calls {
            let wire = Wire::of(world, *kind).await;
            let answer = wire.send_with(path, body.clone(), &[]).await;
            refused(answer, Code::DeadlineExceeded, "DEADLINE_PASSED");
        }
        // Readers do not wait for writers.
        let auditor = Wire::of(world, CallerKind::Auditor).await;
        let question = crate::messages::question("12345678901234567888");
        auditor
            .send("/gavah.v1.ValidationService/ValidateCode", &question)
            .await
            .unwrap();
        lock.release().await;
        assert_eq!(lock.everything().await, before);
        for (kind, path, body) in &calls {
            let wire = Wire::of(world, *kind).await;
            soon("the write", async || {
                wire.send_with(path, body.clone(), &[]).await.ok()
            })
            .await;
        }
    });
}

#[test]
fn a_lock_held_longer_than_the_deadline_ends_the_call_whole_on_sqlite() {
    a_lock_held_longer_than_the_deadline_ends_the_call_whole(Engine::Sqlite);
}

#[test]
fn a_lock_held_longer_than_the_deadline_ends_the_call_whole_on_postgres() {
    a_lock_held_longer_than_the_deadline_ends_the_call_whole(Engine::Postgres);
}
