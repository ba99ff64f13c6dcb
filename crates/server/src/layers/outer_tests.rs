use bytes::Bytes;
use futures_util::stream::poll_fn;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::Code;
use tonic_types::StatusExt;
use tower::service_fn;

use super::*;
use crate::layers::testing::{CHECK, around, health, read, request, told, with_body};

/// The layer around a handler that gives this answer.
async fn answering(make: impl Fn() -> Response<Body> + Clone + Send + 'static) -> Response<Body> {
    let handler =
        service_fn(move |_: Request<Body>| std::future::ready(Ok::<_, Infallible>(make())));
    around(handler).oneshot(request(CHECK)).await.unwrap()
}

fn streaming(frames: Vec<Result<Frame<Bytes>, Status>>) -> Response<Body> {
    Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames))))
}

#[tokio::test]
async fn a_good_answer_passes_untouched() {
    let answer = health(request(CHECK)).await;
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let (data, status) = read(answer).await;
    assert_eq!((status.code(), status.details().len()), (Code::Ok, 0));
    assert_eq!(*data, [0, 0, 0, 0, 2, 8, 1]);
}

#[tokio::test]
async fn a_request_that_tonic_cannot_read_is_the_callers_fault() {
    for body in [
        &[0, 0, 0, 0, 1, 0xff][..],
        // A string that is not UTF-8, a wrong wire type, a field that ends outside the message.
        &[0, 0, 0, 0, 3, 0x0a, 1, 0xff],
        &[0, 0, 0, 0, 2, 0x08, 1],
        &[0, 0, 0, 0, 2, 0x0a, 9],
        // Compressed without a compression, and an unknown flag.
        &[1, 0, 0, 0, 0],
        &[7, 0, 0, 0, 0],
        // Half a message, half a header, nothing.
        &[0, 0, 0, 0, 9, 0x0a],
        &[0, 0],
        &[],
    ] {
        let (code, reason) = told(health(with_body(CHECK, body)).await).await;
        assert_eq!(
            (code, reason.as_str()),
            (Code::InvalidArgument, "FIELD_FORMAT"),
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_told_as_such() {
    let answer = health(with_body(CHECK, &[0, 0, 0, 0, 17])).await;
    assert_eq!(
        told(answer).await,
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned())
    );
}

#[tokio::test]
async fn metadata_over_the_limit_is_told_as_such() {
    for (length, code) in [(15 * 1024, Code::Ok), (16 * 1024, Code::ResourceExhausted)] {
        let mut request = request(CHECK);
        request
            .headers_mut()
            .insert("x-long", "x".repeat(length).parse().unwrap());
        assert_eq!(told(health(request).await).await.0, code);
    }
    let mut request = request(CHECK);
    for _ in 0..500 {
        request
            .headers_mut()
            .append("x", HeaderValue::from_static("y"));
    }
    assert_eq!(told(health(request).await).await.1, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_compressed_request_learns_what_is_accepted() {
    let mut request = request(CHECK);
    request
        .headers_mut()
        .insert("grpc-encoding", HeaderValue::from_static("gzip"));
    let answer = health(request).await;
    assert_eq!(answer.headers()["grpc-accept-encoding"], "identity");
    let (_, status) = read(answer).await;
    assert_eq!(status.code(), Code::Unimplemented);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["unsupported"], "grpc-encoding");
}

#[tokio::test]
async fn an_unknown_method_or_health_service_is_told_in_the_form_of_the_contract() {
    let answer = health(request("/grpc.health.v1.Health/Cure")).await;
    assert_eq!(
        told(answer).await,
        (Code::Unimplemented, "METHOD_UNKNOWN".to_owned())
    );
    let answer = health(with_body(CHECK, &[0, 0, 0, 0, 3, 0x0a, 1, b'x'])).await;
    assert_eq!(
        told(answer).await,
        (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned())
    );
}

#[tokio::test]
async fn a_panicking_handler_is_an_internal_error() {
    async fn handler(_: Request<Body>) -> Result<Response<Body>, Infallible> {
        panic!("secret")
    }
    let answer = around(service_fn(handler))
        .oneshot(request(CHECK))
        .await
        .unwrap();
    let traceparent = answer.headers()[TRACEPARENT].to_str().unwrap().to_owned();
    let (_, status) = read(answer).await;
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (Code::Internal, "INTERNAL")
    );
    assert!(
        traceparent.contains(&info.metadata["trace_id"])
            && !format!("{status:?}").contains("secret")
    );

    let panics = || {
        Body::new(StreamBody::new(poll_fn(
            |_| -> Poll<Option<Result<Frame<Bytes>, Status>>> { panic!("secret") },
        )))
    };
    let answer = answering(move || Response::new(panics())).await;
    assert_eq!(told(answer).await, (Code::Internal, "INTERNAL".to_owned()));
}

#[tokio::test]
async fn an_error_after_some_data_is_told_in_the_form_of_the_contract() {
    let data = || Ok(Frame::data(Bytes::from_static(b"data")));
    let mut trailers = HeaderMap::new();
    Status::unknown("secret").add_header(&mut trailers).unwrap();
    let answer =
        answering(move || streaming(vec![data(), Ok(Frame::trailers(trailers.clone()))])).await;
    let (told_data, status) = read(answer).await;
    assert_eq!((&*told_data, status.code()), (&b"data"[..], Code::Internal));
    assert_eq!(status.message(), Reason::Internal.message_en());

    let answer = answering(move || streaming(vec![data(), Err(Status::data_loss("secret"))])).await;
    assert_eq!(told(answer).await, (Code::Internal, "INTERNAL".to_owned()));
    let answer = answering(move || streaming(vec![data()])).await;
    assert_eq!(told(answer).await, (Code::Internal, "INTERNAL".to_owned()));
    let answer = answering(|| Response::new(Body::empty())).await;
    assert_eq!(told(answer).await, (Code::Internal, "INTERNAL".to_owned()));
}

#[tokio::test]
async fn a_service_that_fails_as_a_whole_still_answers() {
    let shed = service_fn(async |_: Request<Body>| {
        Err::<Response<Body>, BoxError>(tower::load_shed::error::Overloaded::new().into())
    });
    let answer = around(shed).oneshot(request(CHECK)).await.unwrap();
    assert_eq!(
        told(answer).await,
        (Code::Unavailable, "OVERLOADED".to_owned())
    );
    let broken =
        service_fn(async |_: Request<Body>| Err::<Response<Body>, BoxError>("secret".into()));
    let answer = around(broken).oneshot(request(CHECK)).await.unwrap();
    assert_eq!(told(answer).await, (Code::Internal, "INTERNAL".to_owned()));
}
