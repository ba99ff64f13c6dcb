//! What ends a run early, and what has become of its rows by then.

use gavah_api::v1 as pb;
use gavah_client::Failure;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use tonic::{Code, Request};

use super::{issued, numbers, open, row, start, the_start};
use crate::harness::{run_on, soon};
use crate::messages::{issue, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;

cases_of_any_engine! {
    a_run_that_does_not_begin_with_its_start_is_refused,
    a_second_start_ends_the_run_after_the_answers_before_it,
    a_sequence_out_of_bounds_or_order_ends_the_run_after_the_answers_before_it,
    a_run_without_rows_is_no_error,
    a_caller_that_is_paused_gets_no_further_row,
    a_certificate_that_is_revoked_gets_no_further_row,
    a_drain_ends_a_run_after_the_answers_to_what_was_taken_up,
    a_deadline_of_the_clients_ends_the_run,
}

#[track_caller]
fn violation(failure: &Failure, field: &str, reason: &str) {
    assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
    let found: Vec<_> = failure
        .violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.reason.as_str()))
        .collect();
    assert_eq!(found, [(field, reason)]);
}

async fn a_run_that_does_not_begin_with_its_start_is_refused(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let empty = pb::StreamIssueValidityCodesRequest { message: None };
    for (first, field, reason) in [
        (
            Some(row(0, &issue(world, UNIVERSITY))),
            "start",
            "FIELD_REQUIRED",
        ),
        (Some(empty), "start", "FIELD_REQUIRED"),
        (Some(the_start("7")), "start.request_id", "FIELD_FORMAT"),
        (None, "start", "FIELD_REQUIRED"),
    ] {
        let mut talk = open(&university).await.unwrap();
        match first {
            Some(first) => talk.say(first).await,
            None => talk.finish(),
        }
        let (answers, end) = talk.rest().await;
        assert_eq!(answers, []);
        violation(&end.unwrap_err(), field, reason);
    }
    let mut raw = Raw::to(world).await;
    assert_eq!(raw.number("SELECT count(*) FROM validity_code").await, 0);
}

async fn a_second_start_ends_the_run_after_the_answers_before_it(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let run = request_id();
    for wrong in [
        the_start(&run),
        pb::StreamIssueValidityCodesRequest { message: None },
    ] {
        let mut talk = start(&university, &run).await;
        talk.say(row(0, &issue(world, UNIVERSITY))).await;
        talk.say(wrong).await;
        let (answers, end) = talk.rest().await;
        assert_eq!(numbers(&answers), [0]);
        violation(&end.unwrap_err(), "row", "FIELD_REQUIRED");
    }
}

async fn a_sequence_out_of_bounds_or_order_ends_the_run_after_the_answers_before_it(
    world: &mut World,
) {
    let university = Peer::of(world, CallerKind::University).await;
    for sent in [
        &[4, 5, 5][..],
        &[4, 3],
        &[-1],
        &[9, i64::from(i32::MAX) + 1],
    ] {
        let mut talk = start(&university, &request_id()).await;
        for number in sent {
            talk.say(row(*number, &issue(world, UNIVERSITY))).await;
        }
        let (answers, end) = talk.rest().await;
        assert_eq!(numbers(&answers), sent[..sent.len() - 1]);
        answers.iter().for_each(|answer| drop(issued(answer)));
        violation(&end.unwrap_err(), "row.sequence", "FIELD_FORMAT");
    }
}

async fn a_run_without_rows_is_no_error(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut talk = start(&university, &request_id()).await;
    talk.finish();
    assert_eq!(talk.answer().await.unwrap(), None);
}

/// Rows are answered until the caller is no longer good, then the stream ends with why.
async fn ends_with(world: &World, talk: &mut super::Run, code: Code, reason: &str) {
    for number in 0..2_000 {
        talk.say(row(number, &issue(world, UNIVERSITY))).await;
        match talk.answer().await {
            Ok(answer) => assert_eq!(answer.unwrap().sequence, number),
            Err(failure) => {
                refused::<()>(Err(failure), code, reason);
                return;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("rows were answered to the end");
}

async fn a_caller_that_is_paused_gets_no_further_row(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let mut talk = start(&university, &request_id()).await;
    organization.pause(CallerKind::University).await;
    ends_with(world, &mut talk, Code::Unauthenticated, "CALLER_NOT_ACTIVE").await;
}

async fn a_certificate_that_is_revoked_gets_no_further_row(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut talk = start(&university, &request_id()).await;
    world.revoke_identity(&world.identity(CallerKind::University));
    ends_with(
        world,
        &mut talk,
        Code::Unauthenticated,
        "CERTIFICATE_REVOKED",
    )
    .await;
}

async fn a_drain_ends_a_run_after_the_answers_to_what_was_taken_up(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut idle = start(&university, &request_id()).await;
    let mut talk = start(&university, &request_id()).await;
    let mut raw = Raw::to(world).await;
    raw.hold_all_writes().await;
    for number in 0..3 {
        talk.say(row(number, &issue(world, UNIVERSITY))).await;
    }
    // Rows are taken up in the order in which they come, on one connection: the answer to this call tells that they
    // have come.
    university.who_am_i(pb::WhoAmIRequest {}).await.unwrap();
    world.node(0).begin_stop();
    let failure = idle.answer().await.unwrap_err();
    let failure = refused::<()>(Err(failure), Code::Unavailable, "DRAINING");
    assert!(failure.retry_after.is_some());
    raw.release().await;
    let (answers, end) = talk.rest().await;
    assert_eq!(numbers(&answers), [0, 1, 2]);
    answers.iter().for_each(|answer| drop(issued(answer)));
    refused(end, Code::Unavailable, "DRAINING");
    world.node_mut(0).stop().await;
}

async fn a_deadline_of_the_clients_ends_the_run(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let (say, said) = tokio::sync::mpsc::channel(1);
    say.send(the_start(&request_id())).await.unwrap();
    let mut request = Request::new(tokio_stream::wrappers::ReceiverStream::new(said));
    request.set_timeout(std::time::Duration::from_millis(400));
    let mut client = university.client().validity_codes();
    let answers = client.stream_issue_validity_codes(request).await;
    let ended = match answers {
        Ok(answers) => answers.into_inner().message().await.map(drop),
        Err(status) => Err(status),
    };
    // Its own watch or the service's, whichever is sooner.
    let code = ended.unwrap_err().code();
    assert!(
        [Code::DeadlineExceeded, Code::Cancelled].contains(&code),
        "{code}"
    );
    drop(say);
}

#[test]
fn a_store_that_does_not_answer_ends_the_run_and_the_rows_can_be_sent_again() {
    let world = World::builder(Engine::Postgres).set("limits.default_deadline_ms", 500);
    run_on(world, async |world: &mut World| {
        let university = Peer::of(world, CallerKind::University).await;
        let (run, requests) = (request_id(), [(); 3].map(|()| issue(world, UNIVERSITY)));
        let mut talk = start(&university, &run).await;
        talk.say(row(0, &requests[0])).await;
        let first = issued(&talk.answer().await.unwrap().unwrap());
        let mut raw = Raw::to(world).await;
        raw.hold_all_writes().await;
        for number in [1, 2] {
            talk.say(row(number, &requests[usize::try_from(number).unwrap()]))
                .await;
        }
        let (answers, end) = talk.rest().await;
        raw.release().await;
        assert_eq!(answers, []);
        assert_eq!(end.unwrap_err().code, Code::DeadlineExceeded);
        let codes = soon("the whole run", async || {
            let mut talk = start(&university, &run).await;
            for (number, request) in (0..).zip(&requests) {
                talk.say(row(number, request)).await;
            }
            talk.finish();
            let (answers, end) = talk.rest().await;
            end.ok().map(|()| answers)
        })
        .await;
        assert_eq!(issued(&codes[0]), first);
        let mut raw = Raw::to(world).await;
        assert_eq!(raw.number("SELECT count(*) FROM validity_code").await, 3);
    });
}
