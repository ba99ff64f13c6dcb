//! A collector of traces that keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A collector on 127.0.0.1 that serves until the test's runtime ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    batches: Batches,
}

#[derive(Clone, Default)]
struct Batches(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let batches = Batches::default();
        let service = TraceServiceServer::new(batches.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Self { address, batches }
    }

    /// The section of a configuration that exports everything to it.
    pub(crate) fn section(&self, log_level: &str) -> String {
        let address = self.address;
        format!(
            "[telemetry]\notlp_endpoint = \"http://{address}\"\nlog_level = \"{log_level}\"\nlog_format = \"json\"\n"
        )
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let batches = self.batches.0.lock().unwrap();
        let resources = batches.iter().flat_map(|batch| &batch.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans).cloned().collect()
    }

    /// Everything it was sent, names, attributes, events and resources, as text.
    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.batches.0.lock().unwrap())
    }
}

#[tonic::async_trait]
impl TraceService for Batches {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
