//! The scripted service.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gavah_api::v1::{
    BatchValidateCodesRequest, BatchValidateCodesResponse, MatchCodeRequest, MatchCodeResponse,
    StreamValidateCodesRequest, StreamValidateCodesResponse, ValidateCodeRequest,
    ValidateCodeResponse,
    validation_service_server::{ValidationService, ValidationServiceServer},
};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{DuplexStream, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::server::Router;
use tonic::{Request, Response, Status, Streaming};

use super::Pki;

/// What the service does with its next call.
pub(super) enum Step {
    /// Answers, after `Duration`.
    Answer(Duration),
    /// Fails.
    Fail(Status),
    /// Closes every connection.
    Hang,
}

/// What the service answers in every response's metadata.
pub(super) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(super) struct Server {
    port: u16,
    state: Arc<State>,
}

struct State {
    script: Mutex<VecDeque<Step>>,
    calls: Mutex<Vec<(MetadataMap, ValidateCodeRequest)>>,
    hang: Notify,
}

impl Server {
    pub(super) async fn start(pki: &Pki, script: impl IntoIterator<Item = Step>) -> Self {
        let state = Arc::new(State {
            script: Mutex::new(script.into_iter().collect()),
            calls: Mutex::default(),
            hang: Notify::new(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = ValidationServiceServer::new(Scripted(Arc::clone(&state)));
        let router = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(serve(listener, acceptor(pki), Arc::clone(&state), router));
        Self { port, state }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Metadata and message of every call so far.
    pub(super) fn calls(&self) -> Vec<(MetadataMap, ValidateCodeRequest)> {
        self.state.calls.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>, router: Router) {
    let (ready, incoming) = mpsc::channel::<std::io::Result<DuplexStream>>(16);
    tokio::spawn(router.serve_with_incoming(ReceiverStream::new(incoming)));
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(connection(
            socket,
            acceptor.clone(),
            Arc::clone(&state),
            ready.clone(),
        ));
    }
}

async fn connection(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    state: Arc<State>,
    ready: mpsc::Sender<std::io::Result<DuplexStream>>,
) {
    let Ok(mut stream) = acceptor.accept(socket).await else {
        return;
    };
    let (mut near, far) = duplex(64 * 1024);
    ready.send(Ok(far)).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut near) => {}
        () = state.hang.notified() => {}
    }
}

fn acceptor(pki: &Pki) -> TlsAcceptor {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(pki.dir.path().join("ca.pem")).unwrap())
        .unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
    let certificate = CertificateDer::from_pem_slice(pki.server.cert_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pki.server.key_pem.as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

struct Scripted(Arc<State>);

#[tonic::async_trait]
impl ValidationService for Scripted {
    async fn validate_code(
        &self,
        request: Request<ValidateCodeRequest>,
    ) -> Result<Response<ValidateCodeResponse>, Status> {
        let metadata = request.metadata().clone();
        self.0
            .calls
            .lock()
            .unwrap()
            .push((metadata, request.into_inner()));
        let step = self.0.script.lock().unwrap().pop_front();
        match step.unwrap_or(Step::Answer(Duration::ZERO)) {
            Step::Answer(after) => tokio::time::sleep(after).await,
            Step::Fail(status) => return Err(status),
            Step::Hang => {
                self.0.hang.notify_waiters();
                std::future::pending::<()>().await;
            }
        }
        let mut response = Response::new(ValidateCodeResponse::default());
        response
            .metadata_mut()
            .insert("traceparent", TRACEPARENT.parse().unwrap());
        Ok(response)
    }

    async fn batch_validate_codes(
        &self,
        _: Request<BatchValidateCodesRequest>,
    ) -> Result<Response<BatchValidateCodesResponse>, Status> {
        Err(Status::unimplemented("not in the script"))
    }

    async fn match_code(
        &self,
        _: Request<MatchCodeRequest>,
    ) -> Result<Response<MatchCodeResponse>, Status> {
        Err(Status::unimplemented("not in the script"))
    }

    type StreamValidateCodesStream =
        tokio_stream::Empty<Result<StreamValidateCodesResponse, Status>>;

    /// Ends at once; of the call only its metadata is kept.
    async fn stream_validate_codes(
        &self,
        request: Request<Streaming<StreamValidateCodesRequest>>,
    ) -> Result<Response<Self::StreamValidateCodesStream>, Status> {
        let call = (request.metadata().clone(), ValidateCodeRequest::default());
        self.0.calls.lock().unwrap().push(call);
        Ok(Response::new(tokio_stream::empty()))
    }
}
