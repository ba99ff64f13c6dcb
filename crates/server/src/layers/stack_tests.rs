//! The layers together, behind a real tonic server and mutual TLS.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint, Server},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;
use tower::{ServiceExt, service_fn};

use gavah_domain::caller::CallerClass;

use super::{
    DeadlineLayer, Deadlines, MAX_METADATA_BYTES, OuterLayer, Sampling,
    testing::{self, World, connect, registered},
};

async fn served() -> Channel {
    let world = World::new();
    let leaf = world.caller_leaf();
    let (address, incoming) = world.listen().await;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let deadlines = Deadlines {
        default: Duration::from_secs(10),
        max: Duration::from_secs(60),
    };
    let server = Server::builder()
        .http2_max_header_list_size(2 * MAX_METADATA_BYTES as u32)
        .layer(OuterLayer::new(Sampling::NONE))
        .layer(DeadlineLayer::new(deadlines))
        .layer(world.layer(registered(&leaf, CallerClass::Monitor)))
        .add_service(health.max_decoding_message_size(1024));
    tokio::spawn(server.serve_with_incoming(incoming));
    let connector = world.connector(&leaf);
    let connector = service_fn(move |_| {
        let connector = connector.clone();
        async move { connect(connector, address).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

fn check(service: &str) -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest {
        service: service.to_owned(),
    })
}

fn told(status: &Status) -> (Code, String) {
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.metadata["trace_id"].len(), 32);
    (status.code(), info.reason)
}

#[tokio::test]
async fn a_client_gets_answers_and_errors_through_all_layers() {
    let mut client = HealthClient::new(served().await);
    let answer = client.check(check("")).await.unwrap();
    assert_eq!(answer.metadata().get("traceparent").unwrap().len(), 55);
    assert_eq!(answer.get_ref().status, 1);

    let refused = client.check(check("unknown")).await.unwrap_err();
    assert_eq!(
        told(&refused),
        (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned())
    );
    let refused = client.check(check(&"x".repeat(2000))).await.unwrap_err();
    assert_eq!(
        told(&refused),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned())
    );

    let mut long = check("");
    long.metadata_mut()
        .insert("x-long", "x".repeat(20 * 1024).parse().unwrap());
    let refused = client.check(long).await.unwrap_err();
    assert_eq!(
        told(&refused),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned())
    );

    let mut hasty = check("");
    hasty.set_timeout(Duration::from_millis(110));
    let refused = client.check(hasty).await.unwrap_err();
    assert_eq!(
        told(&refused),
        (Code::DeadlineExceeded, "NOT_ENOUGH_TIME_LEFT".to_owned())
    );
}

#[tokio::test]
async fn a_watch_ends_in_time_when_the_client_says_so() {
    let mut client = HealthClient::new(served().await);
    let mut watch = check("");
    watch.set_timeout(Duration::from_millis(300));
    let mut stream = client.watch(watch).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status, 1);
    let ended = stream.message().await.unwrap_err();
    assert_eq!(
        told(&ended),
        (Code::DeadlineExceeded, "DEADLINE_PASSED".to_owned())
    );
}

#[tokio::test]
async fn a_method_for_other_classes_is_refused_before_it_is_looked_for() {
    let channel = served().await;
    for (path, code, reason) in [
        (
            "/gavah.v1.RegistryService/CreateCaller",
            Code::PermissionDenied,
            "METHOD_NOT_ALLOWED_FOR_CLASS",
        ),
        (
            "/gavah.v1.RegistryService/WhoAmI",
            Code::Unimplemented,
            "METHOD_UNKNOWN",
        ),
        ("/made.up/Method", Code::Unimplemented, "METHOD_UNKNOWN"),
    ] {
        let answer = channel
            .clone()
            .oneshot(testing::request(path))
            .await
            .unwrap();
        assert_eq!(
            testing::told(answer).await,
            (code, reason.to_owned()),
            "{path}"
        );
    }
}
