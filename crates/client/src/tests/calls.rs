//! Deadlines, repetition, trace contexts.

use std::time::Duration;

use gavah_api::v1::{ValidateCodeRequest, ValidateCodeResponse};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::server::TRACEPARENT;
use super::*;
use crate::{Failure, Reply};

const OURS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn validate(client: &Client) -> Result<Reply<ValidateCodeResponse>, Box<Failure>> {
    let request = ValidateCodeRequest {
        purpose: 0,
        code: "x".to_owned(),
        ..Default::default()
    };
    client
        .call(request, |channel, request| async move {
            channel.validation().validate_code(request).await
        })
        .await
}

fn unavailable() -> Step {
    Step::Fail(Status::unavailable("the store does not answer"))
}

fn refused(code: Code, reason: &str, retry_after: Option<Duration>) -> Step {
    let mut details =
        ErrorDetails::with_error_info(reason, "gavah", [("trace_id".into(), "f".repeat(32))]);
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    Step::Fail(Status::with_error_details(code, "fixed text", details))
}

/// Milliseconds of the one `grpc-timeout` of the call.
fn deadline(metadata: &tonic::metadata::MetadataMap) -> u64 {
    let mut values = metadata.get_all("grpc-timeout").iter();
    let text = values.next().unwrap().to_str().unwrap();
    assert_eq!(values.next(), None);
    text.strip_suffix('m').unwrap().parse().unwrap()
}

#[tokio::test]
async fn deadline_and_trace_context_go_with_the_call_and_the_trace_id_comes_back() {
    let (server, client) = connected([]).await;
    let reply = validate(&client.traced(OURS).unwrap()).await.unwrap();
    assert_eq!(reply.trace_id(), Some(&TRACEPARENT[3..35]));
    validate(&client).await.unwrap();
    let calls = server.calls();
    assert!(
        (9_000..=10_000).contains(&deadline(&calls[0].0)),
        "{calls:?}"
    );
    assert_eq!(calls[0].0.get("traceparent").unwrap(), OURS);
    assert_eq!(
        calls[1].0.get("traceparent"),
        None,
        "the client it was made from has none"
    );
    assert!(matches!(
        client.traced("00-0-0-0"),
        Err(ClientError::Traceparent)
    ));
}

#[tokio::test]
async fn the_generated_clients_carry_the_deadline_too() {
    let (server, client) = connected([unavailable()]).await;
    let client = client.with_timeout(Duration::from_secs(7));
    let request = ValidateCodeRequest::default();
    let status = client
        .validation()
        .validate_code(request.clone())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "once only");
    client
        .validation()
        .validate_code(request.clone())
        .await
        .unwrap();
    let mut shorter = tonic::Request::new(request);
    shorter.set_timeout(Duration::from_secs(2));
    let own = client.validation().validate_code(shorter).await;
    assert!(own.is_ok());
    let calls = server.calls();
    assert_eq!(deadline(&calls[0].0), 7_000);
    assert_eq!(calls[2].0.get_all("grpc-timeout").iter().count(), 1);
    assert_eq!(calls[2].0.get("grpc-timeout").unwrap(), "2000000u");
}

#[tokio::test]
async fn a_stream_has_no_deadline_but_its_own() {
    let (server, client) = connected([]).await;
    let mut validation = client.validation();
    let questions = || tonic::Request::new(tokio_stream::empty());
    validation.stream_validate_codes(questions()).await.unwrap();
    let mut bounded = questions();
    bounded.set_timeout(Duration::from_secs(2));
    validation.stream_validate_codes(bounded).await.unwrap();
    let calls = server.calls();
    assert_eq!(calls[0].0.get("grpc-timeout"), None);
    assert_eq!(calls[1].0.get("grpc-timeout").unwrap(), "2000000u");
}

#[tokio::test]
async fn an_unavailable_service_is_asked_again_with_the_same_message_and_less_time() {
    let (server, client) = connected([unavailable(), unavailable()]).await;
    validate(&client).await.unwrap();
    let calls = server.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|(_, request)| request == &calls[0].1));
    let left = [0, 1, 2].map(|call: usize| deadline(&calls[call].0));
    assert!(
        left[0] - left[1] >= 50 && left[1] - left[2] >= 100,
        "{left:?}"
    );
}

#[tokio::test]
async fn repetition_is_bounded() {
    let (server, client) = connected([0; 9].map(|_| unavailable())).await;
    let failure = validate(&client).await.unwrap_err();
    assert_eq!((failure.code, failure.attempts), (Code::Unavailable, 4));
    assert_eq!(
        failure.to_string(),
        "UNAVAILABLE: the store does not answer, after 4 attempts"
    );
    assert_eq!(server.calls().len(), 4);
}

#[tokio::test]
async fn a_refusal_is_final() {
    for (code, reason) in [
        (Code::FailedPrecondition, "CALL_NOT_OPEN"),
        (Code::Aborted, "ETAG_MISMATCH"),
        (Code::Internal, "INTERNAL"),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
    ] {
        let (server, client) = connected([refused(code, reason, None)]).await;
        let failure = validate(&client).await.unwrap_err();
        assert_eq!(failure.reason.as_deref(), Some(reason));
        assert_eq!(failure.trace_id, Some("f".repeat(32)));
        assert_eq!(server.calls().len(), 1, "{reason}");
    }
}

#[tokio::test]
async fn a_concurrent_update_is_repeated_after_the_pause_the_service_asks_for() {
    let asked = Duration::from_millis(300);
    let (server, client) =
        connected([refused(Code::Aborted, "CONCURRENT_UPDATE", Some(asked))]).await;
    let begun = Instant::now();
    validate(&client).await.unwrap();
    assert!(begun.elapsed() >= asked, "{:?}", begun.elapsed());
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_pause_longer_than_the_time_left_is_not_waited_for() {
    let long = Duration::from_secs(60);
    let (_server, client) = connected([refused(Code::Unavailable, "DRAINING", Some(long))]).await;
    let begun = Instant::now();
    let failure = validate(&client).await.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("DRAINING"));
    assert_eq!(failure.retry_after, Some(long));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_the_call_repeated() {
    let (server, client) = connected([Step::Hang, Step::Hang]).await;
    validate(&client).await.unwrap();
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn a_connection_that_stays_lost_says_so() {
    let (_server, client) = connected([0; 4].map(|_| Step::Hang)).await;
    let failure = validate(&client).await.unwrap_err();
    let text = failure.to_string();
    assert!(
        text.starts_with("UNKNOWN: the connection failed: "),
        "{text}"
    );
    assert!(
        text.ends_with(", after 4 attempts") && !text.contains("https://"),
        "{text}"
    );
}

#[tokio::test]
async fn time_runs_out_for_all_attempts_together() {
    let slow = || Step::Answer(Duration::from_secs(60));
    let (server, client) = connected([unavailable(), slow(), slow()]).await;
    let begun = Instant::now();
    let failure = validate(&client.with_timeout(Duration::from_millis(400)))
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::DeadlineExceeded, "{failure}");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        server.calls().len(),
        2,
        "a call out of time is not repeated"
    );
}

#[tokio::test]
async fn many_tasks_share_a_client() {
    let (server, client) = connected([]).await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { validate(&client).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(server.calls().len(), 20);
}
