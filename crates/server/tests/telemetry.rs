//! Telemetry of a whole process, installed once, with a collector that keeps what it is sent.

use opentelemetry::trace::TraceContextExt;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use gavah_server::config::{LogFormat, TelemetryConfig};
use gavah_server::telemetry;

struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0
            .send(request.into_inner())
            .map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_reach_the_collector_and_metrics_can_be_read_and_a_second_init_changes_nothing() {
    let (collector, mut received) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = TelemetryConfig {
        otlp_endpoint: Some(format!("http://{}", listener.local_addr().unwrap())),
        log_level: tracing::Level::ERROR,
        log_format: LogFormat::Json,
        sample_ratio: 1.0,
    };
    let service = TraceServiceServer::new(Collector(collector));
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    assert_eq!(telemetry::render_metrics(), "");
    let installed = telemetry::init(&config, "1.2.3").unwrap();
    let again = TelemetryConfig {
        otlp_endpoint: None,
        ..config
    };
    telemetry::init(&again, "9.9.9").unwrap();

    // The target of this test's own crate is not the service's.
    let span = tracing::info_span!(target: "gavah_server", "rpc", otel.name = "a.Service/Method", "rpc.system.name" = "grpc");
    let trace_id = span.context().span().span_context().trace_id();
    span.in_scope(|| tracing::info_span!(target: "h2", "theirs").in_scope(|| {}));
    drop(span);
    // Not of a call: no trace of its own.
    drop(tracing::info_span!(target: "gavah_store", "store.read"));
    metrics::histogram!("gavah_test_seconds").record(0.003);
    installed.shutdown().await;

    let sent: Vec<_> = std::iter::from_fn(|| received.try_recv().ok()).collect();
    let resources: Vec<_> = sent
        .iter()
        .flat_map(|request| &request.resource_spans)
        .collect();
    let text = |key: &str| {
        let attributes = &resources[0].resource.as_ref().unwrap().attributes;
        let value = attributes
            .iter()
            .find(|attribute| attribute.key == key)?
            .value
            .clone()?
            .value?;
        match value {
            Value::StringValue(text) => Some(text),
            _ => None,
        }
    };
    assert_eq!(text("service.name").as_deref(), Some("gavah"));
    assert_eq!(text("service.version").as_deref(), Some("1.2.3"));
    let spans: Vec<_> = resources
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
        .collect();
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(
        (span.name.as_str(), &span.trace_id[..]),
        ("a.Service/Method", &trace_id.to_bytes()[..])
    );
    let keys: Vec<_> = span
        .attributes
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect();
    assert_eq!(keys, ["rpc.system.name"]);

    let metrics = installed.render();
    assert_eq!(metrics, telemetry::render_metrics());
    for line in [
        "gavah_build_info{version=\"1.2.3\"} 1",
        "gavah_test_seconds_bucket{le=\"0.0025\"} 0",
        "gavah_test_seconds_bucket{le=\"0.005\"} 1",
        "gavah_test_seconds_count 1",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    // Still at work for the other servers of the process.
    let later = tracing::info_span!(target: "gavah_server", "rpc");
    assert!(later.context().span().span_context().is_valid());
}
