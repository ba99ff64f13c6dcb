//! What the tests of the layers share.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZero,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use jiff::{SignedDuration, Timestamp};
use opentelemetry::TraceId;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{Code, Status, body::Body, transport::server::Connected};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_types::StatusExt;
use tower::{Layer, ServiceExt};

use gavah_devpki::{Authority, Issued, LeafSpec, Usage, Validity, write};
use gavah_domain::{
    Clock, FixedClock, SystemClock,
    caller::{Caller, CallerClass, CallerId, CallerState},
};
use gavah_store::{CertificateEntry, Snapshot, StoreError, StoredCaller};

use crate::transport::{Connection, Limits, Peer, Tls, TlsFiles, accept};

use super::{AuthLayer, CallerDirectory, Draining, Outer, OuterLayer, Sampling};
use crate::config::{LogFormat, TelemetryConfig};

const TRUST_DOMAIN: &str = "gavah.test";
pub(super) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";

/// A request with the body of one empty message.
pub(super) fn request(path: &str) -> Request<Body> {
    with_body(path, &[0, 0, 0, 0, 0])
}

pub(super) fn with_body(path: &str, body: &[u8]) -> Request<Body> {
    let body = Body::new(Full::new(Bytes::copy_from_slice(body)));
    let mut request = Request::post(format!("http://localhost{path}"))
        .body(body)
        .unwrap();
    let trace_id = TraceId::from_hex(TRACE).unwrap();
    request.extensions_mut().insert(trace_id);
    request
}

/// Of the traces that begin here this part.
pub(super) fn sampling(sample_ratio: f64) -> Sampling {
    Sampling::of(&TelemetryConfig {
        otlp_endpoint: Some("http://localhost:4317".to_owned()),
        log_level: tracing::Level::INFO,
        log_format: LogFormat::Json,
        sample_ratio,
    })
}

/// The outer layer around a handler; every call is traced if somebody listens.
pub(super) fn around<S>(inner: S) -> Outer<S> {
    OuterLayer::new(sampling(1.0)).layer(inner)
}

/// The health service as tonic serves it, messages up to 16 bytes, inside the outer layer.
pub(super) async fn health(request: Request<Body>) -> Response<Body> {
    let service = HealthService::from_health_reporter(HealthReporter::new());
    let server = HealthServer::new(service).max_decoding_message_size(16);
    around(server).oneshot(request).await.unwrap()
}

/// The good answer of a handler.
pub(super) fn good() -> Response<Body> {
    Status::ok("").into_http()
}

/// Reads an answer to its end: its data and its status, from trailers or headers.
pub(super) async fn read(answer: Response<Body>) -> (Bytes, Status) {
    let (parts, body) = answer.into_parts();
    let collected = body.collect().await.unwrap();
    let end: HeaderMap = collected.trailers().cloned().unwrap_or(parts.headers);
    (
        collected.to_bytes(),
        Status::from_header_map(&end).expect("no status"),
    )
}

/// Code and reason of an answer.
pub(super) async fn told(answer: Response<Body>) -> (Code, String) {
    let (_, status) = read(answer).await;
    let info = status.get_details_error_info();
    (
        status.code(),
        info.map(|info| info.reason).unwrap_or_default(),
    )
}

/// The registry of a test.
struct Directory(Result<Arc<Snapshot>, StoreError>);

impl CallerDirectory for Directory {
    fn current(&self) -> Result<Arc<Snapshot>, StoreError> {
        self.0.clone()
    }
}

/// An authority and the TLS state it makes.
pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) authority: Authority,
    pub(super) tls: Arc<Tls>,
    pub(super) clock: Arc<FixedClock>,
    pub(super) draining: Draining,
}

impl World {
    pub(super) fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let authority = Authority::create(dir.path(), now).unwrap();
        let validity = Validity::starting(now, SignedDuration::from_hours(1)).unwrap();
        let server = authority.issue_server(&["localhost"], validity).unwrap();
        let written = write(&server, dir.path(), "server").unwrap();
        let files = TlsFiles {
            certificate: written.certificate,
            key: written.key,
            client_ca: authority.certificate_path(),
            crls: vec![authority.crl_path()],
        };
        World {
            tls: Tls::load(files, TRUST_DOMAIN.to_owned(), now).unwrap(),
            _dir: dir,
            authority,
            clock: Arc::new(FixedClock::new(now)),
            draining: Draining::default(),
        }
    }

    pub(super) fn leaf(&self, uri_names: &[&str]) -> Issued {
        let length = SignedDuration::from_hours(1);
        let spec = LeafSpec {
            common_name: "leaf".to_owned(),
            host_names: Vec::new(),
            uri_names: uri_names.iter().map(|uri| (*uri).to_owned()).collect(),
            usages: vec![Usage::Client],
            validity: Validity::starting(self.clock.now(), length).unwrap(),
        };
        self.authority.issue_custom(&spec).unwrap()
    }

    pub(super) fn caller_leaf(&self) -> Issued {
        self.leaf(&["spiffe://gavah.test/caller/window-1"])
    }

    pub(super) fn layer(&self, directory: Result<Arc<Snapshot>, StoreError>) -> AuthLayer {
        AuthLayer::new(
            Arc::new(Directory(directory)),
            Arc::clone(&self.tls),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            self.draining.clone(),
        )
    }

    /// Real connections: a port, and what is accepted on it.
    pub(super) async fn listen(
        &self,
    ) -> (
        SocketAddr,
        impl Stream<Item = io::Result<Connection>> + use<>,
    ) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let limits = Limits {
            max_connections: 10,
            max_connections_per_peer: 10,
            handshake_timeout: Duration::from_secs(10),
        };
        let address = listener.local_addr().unwrap();
        (
            address,
            accept(
                listener,
                limits,
                NonZero::<usize>::MIN,
                std::future::pending(),
            )
            .remove(0)
            .connections(Arc::clone(&self.tls)),
        )
    }

    pub(super) fn connector(&self, issued: &Issued) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let trusted = CertificateDer::from_pem_file(self.authority.certificate_path()).unwrap();
        roots.add(trusted).unwrap();
        let certificate = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![certificate], key)
                .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    /// The peer of a real connection made with this certificate.
    pub(super) async fn peer(&self, issued: &Issued) -> Arc<Peer> {
        let (address, accepted) = self.listen().await;
        let mut accepted = std::pin::pin!(accepted);
        let client = async {
            let mut stream = connect(self.connector(issued), address).await.unwrap();
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                .await
                .unwrap();
            stream.flush().await.unwrap();
            stream
        };
        let (_stream, connection) = tokio::join!(client, accepted.next());
        connection.unwrap().unwrap().connect_info()
    }
}

pub(super) async fn connect(
    connector: TlsConnector,
    address: SocketAddr,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").unwrap();
    connector
        .connect(name, TcpStream::connect(address).await?)
        .await
}

/// A registry with one caller, its certificates active or not.
pub(super) fn snapshot(
    class: CallerClass,
    state: CallerState,
    entries: &[(String, bool)],
) -> Arc<Snapshot> {
    let stored = StoredCaller {
        caller: Arc::new(Caller {
            id: CallerId::parse("window-1").unwrap(),
            class,
            institution: None,
        }),
        display_name: "Window".to_owned(),
        state,
        certificates: entries
            .iter()
            .map(|(fingerprint, active)| CertificateEntry {
                fingerprint: fingerprint.clone(),
                create_time: Timestamp::UNIX_EPOCH,
                retire_time: (!active).then_some(Timestamp::UNIX_EPOCH),
            })
            .collect(),
        create_time: Timestamp::UNIX_EPOCH,
        update_time: Timestamp::UNIX_EPOCH,
        version: 1,
    };
    Arc::new(Snapshot {
        callers: HashMap::from([("window-1".to_owned(), stored)]),
        ..Snapshot::default()
    })
}

/// As the registry writes it.
pub(super) fn fingerprint(issued: &Issued) -> String {
    issued
        .fingerprint
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A registry in which this certificate is the caller's, and its class is this one.
pub(super) fn registered(issued: &Issued, class: CallerClass) -> Result<Arc<Snapshot>, StoreError> {
    let entries = [(fingerprint(issued), true)];
    Ok(snapshot(class, CallerState::Active, &entries))
}
