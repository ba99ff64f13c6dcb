//! Runs that issue codes: what becomes of their rows, and of rows that are sent again.

use std::collections::HashSet;

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, INACTIVE_EXPERT, OTHER_UNIVERSITY, UNIVERSITY, World};
use tonic::Code;

use super::{issued, numbers, open, row, row_refused, start};
use crate::code_guards::attested_by;
use crate::messages::{issue, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;

cases! {
    every_row_has_its_own_outcome_in_the_order_of_the_rows,
    a_run_sent_again_gets_the_same_codes,
    a_run_goes_on_in_another_stream_and_overlaps_the_first,
    a_row_sent_again_with_other_content_is_refused_alone,
    a_refused_row_may_be_sent_again_under_its_number,
    two_streams_of_one_run_at_once_get_the_same_codes,
    two_rows_for_one_student_issue_one_code,
}

cases_of_any_engine! {
    a_class_that_may_not_issue_is_refused,
    a_row_is_answered_before_the_next_one_is_sent,
    a_row_and_a_call_of_its_own_do_not_share_their_claim,
}

type Requests = Vec<pb::IssueValidityCodeRequest>;

fn class(world: &World, students: usize) -> Requests {
    (0..students).map(|_| issue(world, UNIVERSITY)).collect()
}

/// Sends the rows under their places from `first` on and gives the codes; nothing may be refused.
async fn issue_all(
    peer: &Peer,
    run: &str,
    requests: &[pb::IssueValidityCodeRequest],
    first: usize,
) -> Vec<pb::ValidityCode> {
    let mut talk = start(peer, run).await;
    let places = (0..).zip(requests).skip(first);
    for (number, request) in places {
        talk.say(row(number, request)).await;
    }
    talk.finish();
    let (answers, end) = talk.rest().await;
    end.unwrap();
    let first = i64::try_from(first).unwrap();
    let expected: Vec<_> = (first..i64::try_from(requests.len()).unwrap()).collect();
    assert_eq!(numbers(&answers), expected);
    answers.iter().map(issued).collect()
}

async fn codes_in(world: &World) -> i64 {
    let mut raw = Raw::to(world).await;
    raw.number("SELECT count(*) FROM validity_code").await
}

async fn a_class_that_may_not_issue_is_refused(world: &mut World) {
    for kind in [
        CallerKind::Hub,
        CallerKind::Window,
        CallerKind::Organization,
    ] {
        let peer = Peer::of(world, kind).await;
        refused(
            open(&peer).await.map(drop),
            Code::PermissionDenied,
            "METHOD_NOT_ALLOWED_FOR_CLASS",
        );
    }
    assert_eq!(codes_in(world).await, 0);
}

async fn every_row_has_its_own_outcome_in_the_order_of_the_rows(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut malformed = issue(world, UNIVERSITY);
    malformed.external_ref = "x".repeat(65);
    malformed.subject.as_mut().unwrap().person_id = None;
    let inactive = attested_by(world, UNIVERSITY, INACTIVE_EXPERT);
    let rows = [
        (3, issue(world, UNIVERSITY), None),
        (4, malformed, Some((Code::InvalidArgument, "FIELD_FORMAT"))),
        (
            70,
            issue(world, OTHER_UNIVERSITY),
            Some((Code::PermissionDenied, "INSTITUTION_NOT_OWNED")),
        ),
        (
            71,
            inactive,
            Some((Code::FailedPrecondition, "EXPERT_NOT_ACTIVE")),
        ),
        (i64::from(i32::MAX), issue(world, UNIVERSITY), None),
    ];
    let mut talk = start(&university, &request_id()).await;
    for (number, request, _) in &rows {
        talk.say(row(*number, request)).await;
    }
    talk.finish();
    let (answers, end) = talk.rest().await;
    end.unwrap();
    let sent: Vec<_> = rows.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers(&answers), sent);
    for (answer, (number, request, refusal)) in answers.iter().zip(&rows) {
        match refusal {
            None => {
                let code = issued(answer);
                assert_eq!(code.state(), pb::DocumentState::Active);
                assert_eq!(code.subject, request.subject);
            }
            Some((code, reason)) => {
                let failure = row_refused(answer, *code, reason);
                assert!(failure.trace_id.is_some(), "{number}");
                // The same request alone is refused with the same violations, but for where the paths begin.
                let alone = university.issue_validity_code(request.clone()).await;
                let alone = refused(alone, *code, reason);
                let of_row = failure.violations.iter().map(|it| it.field.clone());
                let of_call = alone
                    .violations
                    .iter()
                    .map(|it| format!("row.{}", it.field));
                assert_eq!(of_row.collect::<Vec<_>>(), of_call.collect::<Vec<_>>());
            }
        }
    }
    assert_eq!(codes_in(world).await, 2);
}

async fn a_row_is_answered_before_the_next_one_is_sent(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut talk = start(&university, &request_id()).await;
    for number in 0..5 {
        talk.say(row(number, &issue(world, UNIVERSITY))).await;
        let answer = talk.answer().await.unwrap().unwrap();
        assert_eq!(answer.sequence, number);
        issued(&answer);
    }
    talk.finish();
    assert_eq!(talk.answer().await.unwrap(), None);
}

async fn a_run_sent_again_gets_the_same_codes(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let (run, requests) = (request_id(), class(world, 600));
    let first = issue_all(&university, &run, &requests, 0).await;
    let again = issue_all(&university, &run, &requests, 0).await;
    assert_eq!(first, again);
    let codes: HashSet<_> = first.iter().map(|code| &code.code).collect();
    assert_eq!(codes.len(), requests.len());
    assert_eq!(codes_in(world).await, 600);
}

async fn a_run_goes_on_in_another_stream_and_overlaps_the_first(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let (run, requests) = (request_id(), class(world, 60));
    let begun = issue_all(&university, &run, &requests[..40], 0).await;
    let rest = issue_all(&university, &run, &requests, 30).await;
    assert_eq!(begun[30..], rest[..10]);
    assert_eq!(codes_in(world).await, 60);
}

async fn a_row_sent_again_with_other_content_is_refused_alone(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let (run, mut requests) = (request_id(), class(world, 3));
    let first = issue_all(&university, &run, &requests, 0).await;
    requests[1] = issue(world, UNIVERSITY);
    let mut talk = start(&university, &run).await;
    for (number, request) in (0..).zip(&requests) {
        talk.say(row(number, request)).await;
    }
    talk.finish();
    let (answers, end) = talk.rest().await;
    end.unwrap();
    assert_eq!(issued(&answers[0]), first[0]);
    row_refused(&answers[1], Code::AlreadyExists, "REQUEST_ID_REUSED");
    assert_eq!(issued(&answers[2]), first[2]);
    assert_eq!(codes_in(world).await, 3);
}

async fn a_refused_row_may_be_sent_again_under_its_number(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let (run, good) = (request_id(), issue(world, UNIVERSITY));
    let bad = attested_by(world, UNIVERSITY, INACTIVE_EXPERT);
    let mut talk = start(&university, &run).await;
    talk.say(row(0, &bad)).await;
    talk.finish();
    let (answers, end) = talk.rest().await;
    end.unwrap();
    row_refused(&answers[0], Code::FailedPrecondition, "EXPERT_NOT_ACTIVE");
    issue_all(&university, &run, &[good], 0).await;
    assert_eq!(codes_in(world).await, 1);
}

async fn two_streams_of_one_run_at_once_get_the_same_codes(world: &mut World) {
    let one = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::University).await;
    let (run, requests) = (request_id(), class(world, 300));
    let (one, other) = tokio::join!(
        issue_all(&one, &run, &requests, 0),
        issue_all(&other, &run, &requests, 0),
    );
    assert_eq!(one, other);
    assert_eq!(codes_in(world).await, 300);
}

async fn two_rows_for_one_student_issue_one_code(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let mut talk = start(&university, &request_id()).await;
    for number in 0..2 {
        talk.say(row(number, &request)).await;
    }
    talk.finish();
    let (answers, end) = talk.rest().await;
    end.unwrap();
    let is_issued = |answer: &&pb::StreamIssueValidityCodesResponse| {
        use pb::stream_issue_validity_codes_response::Outcome;
        matches!(answer.outcome, Some(Outcome::ValidityCode(_)))
    };
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(is_issued);
    assert_eq!((won.len(), lost.len()), (1, 1));
    let failure = row_refused(lost[0], Code::AlreadyExists, "CODE_ALREADY_ISSUED");
    assert_eq!(failure.metadata["resource"], issued(won[0]).name);
}

async fn a_row_and_a_call_of_its_own_do_not_share_their_claim(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let (run, request) = (request_id(), issue(world, UNIVERSITY));
    let of_run = issue_all(&university, &run, std::slice::from_ref(&request), 0).await;
    let another = pb::IssueValidityCodeRequest {
        request_id: run,
        ..issue(world, UNIVERSITY)
    };
    let of_call = university.issue_validity_code(another).await.unwrap();
    assert_ne!(of_call.validity_code.unwrap().code, of_run[0].code);
}
