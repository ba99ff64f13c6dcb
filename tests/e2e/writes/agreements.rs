//! Good writes of calls and agreements, and of the clock.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, World};

use super::Write;
use crate::agreements::{approve, ask, created, opened};
use crate::messages::request_id;
use crate::peer::Peer;

const SERVICE: &str = "AgreementService";

/// The clock of a sandbox.
pub(super) fn of_the_clock() -> Write {
    let request = pb::MoveClockRequest {
        advance_seconds: 1,
        ..Default::default()
    };
    Write::new(
        "SandboxService/MoveClock",
        CallerKind::Organization,
        request,
        |request| request.advance_seconds = 2,
    )
}

/// Writes of agreements, each under a call of its own.
pub(super) async fn of_agreements(world: &World) -> Vec<Write> {
    use CallerKind::{Organization, University};
    let organization = Peer::of(world, Organization).await;
    let university = Peer::of(world, University).await;
    let asked = async |id: &str| {
        opened(world, &organization, id).await;
        let asked = university.request_agreement(ask(id)).await;
        asked.unwrap().agreement.unwrap()
    };
    let active = async |id: &str| {
        let approved = organization.approve_agreement(approve(&asked(id).await));
        approved.await.unwrap().agreement.unwrap()
    };
    let create = crate::agreements::draft(world, "to-create");
    let open = pb::OpenServiceCallRequest {
        name: created(world, &organization, "to-open").await.name,
        ..Default::default()
    };
    let close = pb::CloseServiceCallRequest {
        name: opened(world, &organization, "to-close").await.name,
        ..Default::default()
    };
    opened(world, &organization, "to-ask").await;
    let suspended = active("to-reinstate").await;
    let suspend = |agreement: &pb::Agreement| pb::SuspendAgreementRequest {
        request_id: request_id(),
        name: agreement.name.clone(),
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    organization
        .suspend_agreement(suspend(&suspended))
        .await
        .unwrap();
    let reinstate = pb::ReinstateAgreementRequest {
        name: suspended.name,
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    let terminate = pb::TerminateAgreementRequest {
        name: active("to-terminate").await.name,
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    let of = |method: &str| format!("{SERVICE}/{method}");
    vec![
        Write::new(&of("CreateServiceCall"), Organization, create, |request| {
            request.service_call.as_mut().unwrap().run_off_days = 31;
        }),
        Write::new(&of("OpenServiceCall"), Organization, open, |request| {
            request.etag = "1".to_owned();
        }),
        Write::new(&of("CloseServiceCall"), Organization, close, |request| {
            request.etag = "2".to_owned();
        }),
        Write::new(
            &of("RequestAgreement"),
            University,
            ask("to-ask"),
            |request| request.burst = 7,
        ),
        Write::new(
            &of("ApproveAgreement"),
            Organization,
            approve(&asked("to-approve").await),
            |request| request.burst = 7,
        ),
        Write::new(
            &of("SuspendAgreement"),
            Organization,
            suspend(&active("to-suspend").await),
            |request| request.remark.push('2'),
        ),
        Write::new(
            &of("ReinstateAgreement"),
            Organization,
            reinstate,
            |request| request.remark.push('2'),
        ),
        Write::new(
            &of("TerminateAgreement"),
            University,
            terminate,
            |request| request.remark.push('2'),
        ),
    ]
}
