//! A whole class whose codes have a fee: the rows wait, one payment pays for all of them, and then they give their codes.

use gavah_api::v1 as pb;
use gavah_api::v1::download_issuance_job_result_response::Outcome as Downloaded;
use gavah_api::v1::stream_issue_validity_codes_response::Outcome;
use gavah_gateway::simulator::decide;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use tonic::Code;

use super::{L, P, confirmed, lines, on_both, priced_codes, start_codes, started};
use crate::code_stages::{self, made};
use crate::harness::soon;
use crate::jobs;
use crate::messages::{issue, request_id};
use crate::peer::{Peer, refused};
use crate::streams::{issued, row, row_refused, start};
use pb::CodeApplicationState as S;

on_both! {
    a_row_that_cannot_be_issued_waits_for_no_payment,
    a_run_is_paid_for_at_once_and_its_rows_then_give_their_codes,
    a_job_is_paid_for_at_once_and_its_rows_then_give_their_codes,
}

fn class(world: &World, count: usize) -> Vec<pb::IssueValidityCodeRequest> {
    (0..count).map(|_| issue(world, UNIVERSITY)).collect()
}

/// The answers to a whole run.
async fn run(
    peer: &Peer,
    id: &str,
    rows: &[pb::IssueValidityCodeRequest],
) -> Vec<pb::StreamIssueValidityCodesResponse> {
    let mut run = start(peer, id).await;
    for (sequence, request) in (0..).zip(rows) {
        run.say(row(sequence, request)).await;
    }
    run.finish();
    let mut answers = Vec::new();
    while let Some(answer) = run.answer().await.unwrap() {
        answers.push(answer);
    }
    answers
}

#[track_caller]
fn unpaid(answer: &pb::StreamIssueValidityCodesResponse) -> pb::ValidityCodeApplication {
    match answer.outcome.clone().unwrap() {
        Outcome::Application(application) => application,
        _ => panic!("{}: not an application", answer.sequence),
    }
}

/// One payment for all of them, made at the gateway.
async fn pay(peer: &Peer, applications: &[pb::ValidityCodeApplication]) {
    let request = start_codes(applications);
    let payment = started(peer, &request).await;
    decide(&payment.redirect_url, true).await.unwrap();
    let paid = confirmed(peer, &payment, &request).await;
    assert_eq!(paid.state(), P::Verified);
    assert_eq!(lines(&paid), vec![L::Used; applications.len()]);
}

async fn a_row_that_cannot_be_issued_waits_for_no_payment(world: &mut World) {
    priced_codes(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    // A call of its own cannot wait.
    let answer = university.issue_validity_code(issue(world, UNIVERSITY));
    refused(answer.await, Code::FailedPrecondition, "PAYMENT_REQUIRED");
    let mut rows = class(world, 3);
    let attestation = rows[0].attestation.as_mut().unwrap();
    attestation.expert = Some(pb::ActorRef {
        expert: format!("institutions/{UNIVERSITY}/experts/nobody"),
    });
    // Somebody has handed it in already.
    let mut other = code_stages::create(world);
    other.code = Some(code_stages::code_of(rows[1].clone()));
    let open = made(&university, other).await;
    let answers = run(&university, &request_id(), &rows).await;
    row_refused(&answers[0], Code::FailedPrecondition, "EXPERT_NOT_ACTIVE");
    let failure = row_refused(&answers[1], Code::AlreadyExists, "OPEN_APPLICATION_EXISTS");
    assert_eq!(failure.metadata["resource"], open.name);
    assert_eq!(unpaid(&answers[2]).state(), S::AwaitingPayment);
}

async fn a_run_is_paid_for_at_once_and_its_rows_then_give_their_codes(world: &mut World) {
    priced_codes(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let (id, rows) = (request_id(), class(world, 3));
    let waiting: Vec<_> = run(&university, &id, &rows)
        .await
        .iter()
        .map(unpaid)
        .collect();
    for (application, row) in waiting.iter().zip(&rows) {
        assert_eq!(application.subject, row.subject);
        assert!(application.pay_until_time.is_some());
        assert_eq!(
            code_stages::states(application),
            [
                S::Submitted,
                S::Validated,
                S::ExpertConfirmed,
                S::Approved,
                S::AwaitingPayment
            ]
        );
        let attestation = row.attestation.clone().unwrap();
        let expert = attestation.expert.unwrap().expert;
        assert_eq!(application.history[2].decider, expert);
    }
    // Sent again it is the same, before it is paid for and after.
    let again: Vec<_> = run(&university, &id, &rows)
        .await
        .iter()
        .map(unpaid)
        .collect();
    assert_eq!(again, waiting);
    pay(&university, &waiting).await;
    let codes: Vec<_> = run(&university, &id, &rows)
        .await
        .iter()
        .map(issued)
        .collect();
    for (code, application) in codes.iter().zip(&waiting) {
        assert_eq!(code.subject, application.subject);
        assert_eq!(code.quote, application.quote);
        let request = pb::GetValidityCodeApplicationRequest {
            name: application.name.clone(),
        };
        let read = university.get_validity_code_application(request).await;
        let read = read.unwrap().application.unwrap();
        assert_eq!((read.state(), &read.validity_code), (S::Issued, &code.name));
    }
    // Also when the fee is gone by then: a row stands for what it made.
    let (id, rows) = (request_id(), class(world, 1));
    let waiting = unpaid(&run(&university, &id, &rows).await[0]);
    world.reseed(|seed| seed.tariff[0].row.clear()).await;
    soon("the new tariff", async || {
        let answer = university.issue_validity_code(issue(world, UNIVERSITY));
        answer.await.ok()
    })
    .await;
    assert_eq!(unpaid(&run(&university, &id, &rows).await[0]), waiting);
}

async fn a_job_is_paid_for_at_once_and_its_rows_then_give_their_codes(world: &mut World) {
    priced_codes(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let mut rows = class(world, 4);
    rows[3].external_ref = "x".repeat(65);
    // Rows that wait have not failed.
    let job = jobs::submit(&university, &request_id(), &rows, Some(30))
        .await
        .unwrap();
    let done = jobs::ended(&university, &job).await;
    assert_eq!(done.state(), pb::IssuanceJobState::Done);
    assert_eq!(
        (done.issued_rows, done.unpaid_rows, done.failed_rows),
        (0, 3, 1)
    );
    let outcomes = jobs::result(&university, &job, None).await.unwrap();
    let waiting = outcomes.iter().filter_map(|(_, outcome)| match outcome {
        Downloaded::Application(application) => Some(application.clone()),
        _ => None,
    });
    let waiting: Vec<_> = waiting.collect();
    assert_eq!(waiting.len(), 3);
    pay(&university, &waiting).await;
    let outcomes = jobs::result(&university, &job, None).await.unwrap();
    for ((_, outcome), application) in outcomes.iter().zip(&waiting) {
        let Downloaded::ValidityCode(code) = outcome else {
            panic!("it was paid for")
        };
        assert_eq!(code.subject, application.subject);
    }
}
