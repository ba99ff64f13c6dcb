//! Two servers on one database, as in production.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use tonic::Code;

use crate::harness::{run_on, soon, together};
use crate::messages::{apply, issue, question, record, request_id, upsert};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::verdicts::verdict;

/// A caller's connections to both servers.
async fn both(world: &World, kind: CallerKind) -> [Peer; 2] {
    [
        Peer::new(world.client_of(0, kind).await),
        Peer::new(world.client_of(1, kind).await),
    ]
}

fn on_two_nodes(case: impl AsyncFnOnce(&mut World)) {
    run_on(World::builder(Engine::Postgres).nodes(2), case);
}

#[test]
fn a_code_revoked_on_one_node_is_soon_revoked_on_the_other() {
    on_two_nodes(async |world: &mut World| {
        let [one, other] = both(world, CallerKind::University).await;
        let [_, hub] = both(world, CallerKind::Hub).await;
        for _ in 0..5 {
            let issued = one
                .issue_validity_code(issue(world, UNIVERSITY))
                .await
                .unwrap();
            let code = issued.validity_code.unwrap();
            let told = verdict(&hub, question(&code.code)).await;
            assert_eq!(told.reason(), pb::VerdictReason::Ok);
            let revoke = pb::RevokeValidityCodeRequest {
                request_id: request_id(),
                name: code.name.clone(),
                reason: pb::RevocationReason::Fraud.into(),
                ..Default::default()
            };
            one.revoke_validity_code(revoke).await.unwrap();
            soon("the revocation on the other node", async || {
                let told = verdict(&hub, question(&code.code)).await;
                (told.reason() == pb::VerdictReason::Revoked).then_some(())
            })
            .await;
            let read = other
                .get_validity_code(pb::GetValidityCodeRequest { name: code.name })
                .await
                .unwrap();
            assert_eq!(
                read.validity_code.unwrap().state(),
                pb::DocumentState::Revoked
            );
        }
    });
}

#[test]
fn a_caller_paused_through_one_node_is_soon_refused_by_the_other() {
    on_two_nodes(async |world: &mut World| {
        let [organization, _] = both(world, CallerKind::Organization).await;
        let [_, university] = both(world, CallerKind::University).await;
        let [_, hub] = both(world, CallerKind::Hub).await;
        university.who_am_i(pb::WhoAmIRequest {}).await.unwrap();
        organization.pause(CallerKind::University).await;
        let failure = soon("the pause on the other node", async || {
            university.who_am_i(pb::WhoAmIRequest {}).await.err()
        })
        .await;
        refused::<()>(Err(failure), Code::Unauthenticated, "CALLER_NOT_ACTIVE");
        hub.who_am_i(pb::WhoAmIRequest {}).await.unwrap();
    });
}

#[test]
fn one_request_id_on_both_nodes_at_once_is_one_act() {
    on_two_nodes(async |world: &mut World| {
        let universities = both(world, CallerKind::University).await;
        let windows = both(world, CallerKind::Window).await;
        let request = issue(world, UNIVERSITY);
        let answers = together(20, |index| {
            let (peer, request) = (universities[index % 2].clone(), request.clone());
            async move { peer.issue_validity_code(request).await.unwrap() }
        })
        .await;
        assert!(answers.iter().all(|answer| answer == &answers[0]));
        let row = record(world, UNIVERSITY);
        universities[0]
            .upsert_enrollment_record(upsert(row.clone()))
            .await
            .unwrap();
        let application = apply(&row);
        let answers = together(10, |index| {
            let (peer, request) = (windows[index % 2].clone(), application.clone());
            async move {
                let answer = peer
                    .create_enrollment_certificate_application(request)
                    .await;
                answer.unwrap().enrollment_certificate.unwrap()
            }
        })
        .await;
        assert!(answers.iter().all(|answer| answer == &answers[0]));
        let mut raw = Raw::to(world).await;
        for table in ["validity_code", "enrollment_certificate"] {
            let count = raw.number(&format!("SELECT count(*) FROM {table}")).await;
            assert_eq!(count, 1, "{table}");
        }
    });
}

#[test]
fn one_chain_grows_from_the_acts_of_both_nodes() {
    on_two_nodes(async |world: &mut World| {
        let universities = both(world, CallerKind::University).await;
        let requests: Vec<_> = (0..60).map(|_| issue(world, UNIVERSITY)).collect();
        together(requests.len(), |index| {
            let (peer, request) = (universities[index % 2].clone(), requests[index].clone());
            async move { peer.issue_validity_code(request).await.unwrap() }
        })
        .await;
        // Both servers chain what both have written, while they run.
        soon("the whole chain", async || {
            let report = world.store().verify_chain().await.unwrap();
            assert_eq!(report.difference, None);
            (report.pending == 0).then_some(())
        })
        .await;
        // One goes; what the other writes goes on.
        world.node_mut(0).stop().await;
        let issued = universities[1]
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        issued.unwrap();
    });
}

#[test]
fn batches_of_the_same_students_do_not_get_in_each_others_way() {
    on_two_nodes(async |world: &mut World| {
        let universities = both(world, CallerKind::University).await;
        let mut records: Vec<_> = (0..200).map(|_| record(world, UNIVERSITY)).collect();
        let mut batches = Vec::new();
        for _ in 0..4 {
            records.reverse();
            batches.push(pb::BatchUpsertEnrollmentRecordsRequest {
                request_id: request_id(),
                validate_only: false,
                records: records.clone(),
            });
        }
        let answers = together(batches.len(), |index| {
            let (peer, batch) = (universities[index % 2].clone(), batches[index].clone());
            async move { peer.batch_upsert_enrollment_records(batch).await.unwrap() }
        })
        .await;
        for row in answers.iter().flat_map(|answer| &answer.rows) {
            assert_eq!(row.status.as_ref().unwrap().code, 0);
        }
        let mut raw = Raw::to(world).await;
        let count = raw.number("SELECT count(*) FROM enrollment_record").await;
        assert_eq!(count, 200);
    });
}
