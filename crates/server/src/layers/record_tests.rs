//! Traces, measurements and log lines, as they leave the process.

use std::{
    collections::HashSet,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use gavah_domain::LegalEntityId;
use gavah_domain::agreement::AgreementPurpose;
use gavah_domain::caller::{Caller, CallerClass, CallerId};
use http::{HeaderValue, Request, Response};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::{
    TraceId,
    trace::{SpanKind, TracerProvider},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tonic::body::Body;
use tower::{Layer, ServiceExt, service_fn};
use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

use super::{
    CallerSlot, OuterLayer, Sampling, names,
    testing::{CHECK, around, good, health, read, request, sampling, with_body},
    trace::TRACEPARENT,
};

use crate::on_behalf::OnBehalf;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Sends a request with these trace headers; tells the handler's trace id and the answer's `traceparent`.
async fn traced(headers: &[(&'static str, &str)]) -> (String, String) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let handler = service_fn(move |request: Request<Body>| {
        let id: &TraceId = request.extensions().get().unwrap();
        tell.send(id.to_string()).unwrap();
        std::future::ready(Ok::<_, Infallible>(good()))
    });
    let mut request = request(CHECK);
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let answer = around(handler).oneshot(request).await.unwrap();
    let traceparent = answer.headers()[TRACEPARENT].to_str().unwrap().to_owned();
    (told.recv().await.unwrap(), traceparent)
}

#[tokio::test]
async fn the_callers_trace_goes_on_and_a_call_without_one_gets_its_own() {
    let (trace_id, traceparent) = traced(&[("traceparent", PARENT)]).await;
    assert_eq!(trace_id, PARENT[3..35]);
    assert_eq!(traceparent[..36], PARENT[..36]);
    assert_ne!(traceparent[36..52], PARENT[36..52]);

    let mut seen = HashSet::from([PARENT[3..35].to_owned()]);
    for header in [
        "",
        "00-0-0-01",
        "nonsense",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    ] {
        let (trace_id, traceparent) = traced(&[("traceparent", header)]).await;
        assert_eq!((trace_id.len(), traceparent.len()), (32, 55));
        assert!(seen.insert(trace_id), "{header}");
    }
}

#[tokio::test]
async fn an_answer_says_that_its_call_is_not_traced() {
    let handler = service_fn(async |request: Request<Body>| {
        assert!(request.extensions().get::<TraceId>().is_some());
        Ok::<_, Infallible>(good())
    });
    // Neither the caller nor the part says so; and nothing is, whoever says so, when there is no collector.
    for (sampling, header) in [
        (sampling(0.0), ""),
        (sampling(1.0), &PARENT.replace("-01", "-00")),
        (Sampling::NONE, PARENT),
    ] {
        let exported = Exported::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exported.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let mut request = request(CHECK);
        request
            .headers_mut()
            .insert(TRACEPARENT, header.parse().unwrap());
        let layer = OuterLayer::new(sampling);
        let answer = layer.layer(handler).oneshot(request).await.unwrap();
        let traceparent = answer.headers()[TRACEPARENT].to_str().unwrap();
        assert_eq!((traceparent.len(), &traceparent[52..]), (55, "-00"));
        assert_eq!(traceparent[..36] == PARENT[..36], !header.is_empty());
        assert_ne!(traceparent[36..52], *"0000000000000000");
        drop(answer);
        assert!(exported.0.lock().unwrap().is_empty());
    }
}

/// Keeps the exported spans.
#[derive(Debug, Clone, Default)]
struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Exported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

#[tokio::test]
async fn the_exported_span_is_a_child_of_the_callers_and_carries_the_end_of_the_call() {
    let exported = Exported::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exported.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let mut request = request("/grpc.health.v1.Health/Cure");
    request
        .headers_mut()
        .insert(TRACEPARENT, HeaderValue::from_static(PARENT));
    let answer = health(request).await;
    let traceparent = answer.headers()[TRACEPARENT].to_str().unwrap().to_owned();
    drop(answer);
    drop(health(self::request(CHECK)).await);

    let spans = exported.0.lock().unwrap();
    let attribute = |span: &SpanData, key: &str| {
        let found = span
            .attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.to_string())
    };
    let [unknown, cancelled] = spans.as_slice() else {
        panic!("{} spans", spans.len())
    };
    assert_eq!(
        (unknown.name.as_ref(), unknown.span_kind.clone()),
        ("unknown", SpanKind::Server)
    );
    assert_eq!(unknown.span_context.trace_id().to_string(), PARENT[3..35]);
    assert_eq!(unknown.parent_span_id.to_string(), PARENT[36..52]);
    assert_eq!(
        unknown.span_context.span_id().to_string(),
        traceparent[36..52]
    );
    assert_eq!(traceparent[53..], *"01");
    assert_eq!(
        attribute(unknown, names::RPC_SYSTEM_NAME).as_deref(),
        Some("grpc")
    );
    assert_eq!(
        attribute(unknown, names::RPC_STATUS_CODE).as_deref(),
        Some("UNIMPLEMENTED")
    );
    assert_eq!(
        attribute(unknown, names::ERROR_TYPE).as_deref(),
        Some("METHOD_UNKNOWN")
    );
    assert_eq!(unknown.status, opentelemetry::trace::Status::error(""));
    assert_eq!(cancelled.name, "grpc.health.v1.Health/Check");
    assert_eq!(
        attribute(cancelled, names::RPC_METHOD).as_deref(),
        Some("grpc.health.v1.Health/Check")
    );
    assert_eq!(
        attribute(cancelled, names::RPC_STATUS_CODE).as_deref(),
        Some("CANCELLED")
    );
    assert_eq!(cancelled.status, opentelemetry::trace::Status::Unset);
}

#[tokio::test]
async fn every_call_is_measured_once_under_a_bounded_label() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _default = metrics::set_default_local_recorder(&recorder);
    read(health(request(CHECK)).await).await;
    read(health(request(CHECK)).await).await;
    for path in ["/made.up/One", "/made.up/Two"] {
        read(health(request(path)).await).await;
    }
    // Clients that go away: before there is an answer, and before its end.
    let never =
        service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, Infallible>>());
    let mut begun = Box::pin(around(never).oneshot(request(CHECK)));
    assert!(
        begun
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    drop(begun);
    drop(health(request(CHECK)).await);

    let text = handle.render();
    for (method, code, count) in [
        ("grpc.health.v1.Health/Check", "OK", 2),
        ("grpc.health.v1.Health/Check", "CANCELLED", 2),
        ("unknown", "UNIMPLEMENTED", 2),
    ] {
        let line = format!(
            "rpc_server_call_duration_seconds_count{{rpc_method=\"{method}\",rpc_response_status_code=\"{code}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(!text.contains("made.up"));
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logged {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_says_who_called_what_and_how_it_ended_and_nothing_else() {
    let logged = Logged::default();
    let format = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(logged.clone());
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(format));
    let mut good = with_body(CHECK, &[0, 0, 0, 0, 3, 0x0a, 1, b'x']);
    good.headers_mut()
        .insert("secret", HeaderValue::from_static("secret"));
    good.headers_mut()
        .insert(TRACEPARENT, HeaderValue::from_static(PARENT));
    read(health(good).await).await;
    read(health(request("/secret/0012345679")).await).await;

    // What is found out further in: the hub calls on behalf of an agency.
    let known = service_fn(async |request: Request<Body>| {
        let slot: &CallerSlot = request.extensions().get().unwrap();
        slot.fill(&Arc::new(Caller {
            id: CallerId::parse("hub-1").unwrap(),
            class: CallerClass::NationalHub,
            institution: None,
        }));
        slot.fill_agency(&Arc::new(OnBehalf {
            agency: LegalEntityId::parse("14099999990").unwrap(),
            purpose: AgreementPurpose::Validate,
            agreement: "agreement-1".to_owned(),
        }));
        Ok::<_, Infallible>(self::good())
    });
    read(around(known).oneshot(request(CHECK)).await.unwrap()).await;

    let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.contains(names::ACCESS_TARGET))
        .collect();
    assert_eq!(lines.len(), 3, "{text}");
    for part in [
        r#""gavah.caller.id":"hub-1""#,
        r#""gavah.agency.id":"14099999990""#,
    ] {
        assert!(lines[2].contains(part), "{part} {}", lines[2]);
    }
    for part in [
        r#""rpc.method":"grpc.health.v1.Health/Check""#,
        r#""rpc.response.status_code":"NOT_FOUND""#,
        r#""error.type":"RESOURCE_NOT_FOUND""#,
        r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736""#,
        r#""duration_ms":"#,
    ] {
        assert!(lines[0].contains(part), "{part} {}", lines[0]);
    }
    assert!(lines[1].contains(r#""rpc.method":"unknown""#));
    assert!(
        !text.contains("secret") && !text.contains("0012345679"),
        "{text}"
    );
}
