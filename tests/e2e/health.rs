//! For those who watch: health, reflection, probes, and how a server goes.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::{v1, v1alpha};

use crate::harness::{run_on, soon};
use crate::messages::issue;
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::wire::Wire;

cases_of_any_engine! {
    every_service_is_serving_and_an_unknown_one_is_not_found,
    reflection_lists_every_service_in_both_versions,
    probes_are_answered_without_a_certificate,
}

const SERVICES: [&str; 5] = [
    "gavah.v1.EnrollmentCertificateService",
    "gavah.v1.EnrollmentRecordService",
    "gavah.v1.RegistryService",
    "gavah.v1.ValidationService",
    "gavah.v1.ValidityCodeService",
];

async fn every_service_is_serving_and_an_unknown_one_is_not_found(world: &mut World) {
    let wire = Wire::of(world, CallerKind::Monitor).await;
    let mut health = HealthClient::new(wire.channel());
    let check = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for service in SERVICES.into_iter().chain([""]) {
        let answer = health.check(check(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let answer = health.check(check("gavah.v1.AdminService")).await;
    let answer = answer.map_err(|status| Box::new(gavah_client::Failure::of(&status)));
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn reflection_lists_every_service_in_both_versions(world: &mut World) {
    let wire = Wire::of(world, CallerKind::Monitor).await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(wire.channel());
    let question = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let answers = client
        .server_reflection_info(tokio_stream::once(question))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("no list");
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert_all_listed(&names);

    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(wire.channel());
    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "gavah.v1.ValidationService".to_owned(),
            ),
        ),
    };
    let list = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
    };
    let questions = tokio_stream::iter([question, list]);
    let mut answers = client
        .server_reflection_info(questions)
        .await
        .unwrap()
        .into_inner();
    let file = answers.message().await.unwrap().unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(file)) =
        file.message_response
    else {
        panic!("no file");
    };
    assert!(!file.file_descriptor_proto.is_empty());
    let answer = answers.message().await.unwrap().unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("no list");
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert_all_listed(&names);
}

fn assert_all_listed(names: &[String]) {
    for service in SERVICES.into_iter().chain(["grpc.health.v1.Health"]) {
        assert!(
            names.iter().any(|name| name == service),
            "{service}: {names:?}"
        );
    }
}

/// The status line and the body of an answer to a plain HTTP request.
/// Status line and body of the plain listener's answer.
pub(crate) async fn probe(world: &World, path: &str) -> Option<(String, String)> {
    let mut socket = TcpStream::connect(world.probes_address()).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.lines().next()?.to_owned(), body.to_owned()))
}

async fn probes_are_answered_without_a_certificate(world: &mut World) {
    let config = gavah_server::config::Config::load(&world.config_path()).unwrap();
    // Metrics are of the process: the first world that asks for them installs them for all.
    gavah_server::telemetry::init(&config.telemetry, "0.0.0").unwrap();
    let peer = Peer::of(world, CallerKind::Hub).await;
    peer.validate_code(crate::messages::question("1"))
        .await
        .unwrap();
    for path in ["/livez", "/readyz", "/startupz"] {
        let ready = soon(path, async || {
            let (status, body) = probe(world, path).await?;
            (status == "HTTP/1.1 200 OK").then_some(body)
        })
        .await;
        assert_eq!(ready, "ok\n");
    }
    let (status, metrics) = probe(world, "/metrics").await.unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(metrics.contains("gavah_build_info"));
    assert!(
        metrics.lines().any(|line| {
            line.starts_with("rpc_server_call_duration_seconds_count")
                && line.contains("gavah.v1.ValidationService/ValidateCode")
                && line.contains("OK")
        }),
        "{metrics}"
    );
    let (status, _) = probe(world, "/gavah.v1.RegistryService/WhoAmI")
        .await
        .unwrap();
    assert_eq!(status, "HTTP/1.1 404 Not Found");
}

/// The next status that a watcher is told.
async fn next(watched: &mut tonic::Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    let answer = watched.message().await.unwrap();
    answer.map(|answer| answer.status())
}

#[test]
fn a_server_that_stops_says_so_finishes_what_it_began_and_begins_nothing_new() {
    run_on(
        World::builder(Engine::Postgres),
        async |world: &mut World| {
            let university = Peer::of(world, CallerKind::University).await;
            let idle = Wire::of(world, CallerKind::Hub).await;
            idle.send("/gavah.v1.RegistryService/WhoAmI", &pb::WhoAmIRequest {})
                .await
                .unwrap();
            let monitor = Wire::of(world, CallerKind::Monitor).await;
            let mut health = HealthClient::new(monitor.channel());
            let request = HealthCheckRequest {
                service: SERVICES[0].to_owned(),
            };
            let mut watched = health.watch(request).await.unwrap().into_inner();
            assert_eq!(next(&mut watched).await, Some(ServingStatus::Serving));

            // A call under way, waiting for a lock.
            let mut lock = Raw::to(world).await;
            lock.hold_all_writes().await;
            let under_way = {
                let (peer, request) = (university.clone(), issue(world, UNIVERSITY));
                tokio::spawn(async move { peer.issue_validity_code(request).await })
            };
            soon("the call waiting in the database", async || {
                let mut look = Raw::to(world).await;
                let waiting = look
                    .number("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    .await;
                (waiting > 0).then_some(())
            })
            .await;

            world.node(0).begin_stop();
            assert_eq!(next(&mut watched).await, Some(ServingStatus::NotServing));
            // The last word: who goes on watching does not keep the server from going.
            assert_eq!(next(&mut watched).await, None);
            let reason = soon("not ready", async || {
                let (status, body) = probe(world, "/readyz").await?;
                status.contains("503").then_some(body)
            })
            .await;
            assert_eq!(reason, "draining\n");
            assert_eq!(probe(world, "/livez").await.unwrap().0, "HTTP/1.1 200 OK");
            // Told, or the connection is closed already.
            let refusal = soon("the refusal of new calls", async || {
                let path = "/gavah.v1.RegistryService/WhoAmI";
                idle.send(path, &pb::WhoAmIRequest {}).await.err()
            })
            .await;
            assert_eq!(refusal.code, Code::Unavailable, "{refusal}");
            if let Some(reason) = refusal.reason {
                assert_eq!(reason, "DRAINING");
                assert!(refusal.retry_after.is_some());
            }
            assert!(!under_way.is_finished());
            lock.release().await;
            under_way.await.unwrap().unwrap();
            world.node_mut(0).stop().await;
            assert!(TcpStream::connect(world.address()).await.is_err());
        },
    );
}
