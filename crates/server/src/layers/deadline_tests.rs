use std::convert::Infallible;

use http_body_util::StreamBody;
use tonic::Code;
use tonic_types::StatusExt;
use tower::service_fn;

use super::*;
use crate::layers::testing::{good, read, request, told};

const VALIDATE: &str = "/gavah.v1.ValidationService/ValidateCode";
const DEADLINES: Deadlines = Deadlines {
    default: Duration::from_secs(10),
    max: Duration::from_secs(60),
};

fn timed(path: &str, timeout: &str) -> Request<Body> {
    let mut request = request(path);
    request
        .headers_mut()
        .insert(GRPC_TIMEOUT, timeout.parse().unwrap());
    request
}

/// Sends a request to a handler that takes so long; tells the answer and the time that the handler saw left.
async fn send(request: Request<Body>, takes: Duration) -> (Response<Body>, Option<Duration>) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let handler = service_fn(move |request: Request<Body>| {
        let Deadline(deadline) = *request.extensions().get().unwrap();
        tell.send(deadline - Instant::now()).unwrap();
        async move {
            tokio::time::sleep(takes).await;
            Ok::<_, Infallible>(good())
        }
    });
    let service = DeadlineLayer::new(DEADLINES).layer(handler);
    let answer = service.oneshot(request).await.unwrap();
    (answer, told.try_recv().ok())
}

async fn left(request: Request<Body>) -> Option<Duration> {
    send(request, Duration::ZERO).await.1
}

#[tokio::test(start_paused = true)]
async fn every_unit_of_the_header_is_understood_and_shaved() {
    for (header, millis) in [
        ("1S", 980),
        ("500m", 480),
        ("200000u", 180),
        ("99999999n", 0),
        ("1M", 59_980),
        ("1H", 60_000),
        ("99999999H", 60_000),
        ("00000001S", 980),
    ] {
        let left = left(timed(VALIDATE, header)).await;
        assert_eq!(
            left,
            (millis > 0).then_some(Duration::from_millis(millis)),
            "{header}"
        );
    }
    assert_eq!(left(request(VALIDATE)).await, Some(DEADLINES.default));
}

#[tokio::test]
async fn a_malformed_header_is_refused_by_name() {
    for header in [
        "",
        "S",
        "1",
        "1s",
        "1.5S",
        "-1S",
        "+1S",
        "1 S",
        "123456789S",
        "oneS",
        "1SS",
    ] {
        let (answer, left) = send(timed(VALIDATE, header), Duration::ZERO).await;
        let (_, status) = read(answer).await;
        assert_eq!(
            (status.code(), left),
            (Code::InvalidArgument, None),
            "{header:?}"
        );
        assert_eq!(
            status.get_details_error_info().unwrap().reason,
            "FIELD_FORMAT"
        );
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "grpc-timeout");
    }
    let mut twice = timed(VALIDATE, "1S");
    twice
        .headers_mut()
        .append(GRPC_TIMEOUT, "2S".parse().unwrap());
    assert_eq!(left(twice).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_too_little_time_left_is_not_begun() {
    let least = LEAST + SHAVED;
    assert_eq!(
        left(timed(VALIDATE, &format!("{}m", least.as_millis()))).await,
        Some(LEAST)
    );
    for header in ["0S", "1n", "20m", "119m"] {
        let (answer, left) = send(timed(VALIDATE, header), Duration::ZERO).await;
        assert_eq!(left, None, "{header}");
        assert_eq!(
            told(answer).await,
            (Code::DeadlineExceeded, "NOT_ENOUGH_TIME_LEFT".to_owned())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_ended() {
    let passed = (Code::DeadlineExceeded, "DEADLINE_PASSED".to_owned());
    let begun = Instant::now();
    let (answer, _) = send(timed(VALIDATE, "1S"), Duration::from_secs(5)).await;
    assert_eq!(told(answer).await, passed);
    assert!(begun.elapsed() < Duration::from_secs(1));
    let (answer, _) = send(request(VALIDATE), Duration::from_secs(11)).await;
    assert_eq!(told(answer).await, passed);
    let (answer, _) = send(request(VALIDATE), Duration::from_secs(9)).await;
    assert_eq!(told(answer).await, (Code::Ok, String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_lasting_stream_ends_only_when_the_client_said_so() {
    let handler = service_fn(async |_: Request<Body>| {
        let frames =
            tokio_stream::pending::<Result<http_body::Frame<bytes::Bytes>, tonic::Status>>();
        Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(frames))))
    });
    let service = DeadlineLayer::new(DEADLINES).layer(handler);
    for path in LASTING {
        let answer = service.clone().oneshot(request(path)).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_secs(3600), told(answer)).await;
        assert!(waited.is_err(), "{path}");
        let answer = service.clone().oneshot(timed(path, "5S")).await.unwrap();
        assert_eq!(
            told(answer).await,
            (Code::DeadlineExceeded, "DEADLINE_PASSED".to_owned())
        );
        // The limit of other calls would end it sooner than saying nothing.
        let answer = service
            .clone()
            .oneshot(timed(path, "99999999H"))
            .await
            .unwrap();
        assert!(
            tokio::time::timeout(Duration::from_secs(3600), told(answer))
                .await
                .is_err()
        );
    }
}

#[test]
fn lasting_streams_are_methods_of_the_policy() {
    for path in LASTING {
        assert!(crate::policy::allowed(path).is_some(), "{path}");
    }
}
