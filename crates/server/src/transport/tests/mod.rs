//! The transport against real sockets: an authority made for the test, a health service behind [`accept`].

mod caps;
mod files;
mod handshakes;
mod refusals;
mod reloading;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZero,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use futures_util::Stream;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rustls::{AlertDescription, ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Request, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint, Server},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use gavah_devpki::{Authority, Issued, LeafSpec, Usage, Validity, write};
use gavah_domain::clock::{Clock, SystemClock};

use super::*;

const TRUST_DOMAIN: &str = "gavah.test";
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// A handshake time limit short enough to wait for, long enough for a busy machine.
const SHORT: Duration = Duration::from_millis(300);
const ROOMY: Limits = Limits {
    max_connections: 1000,
    max_connections_per_peer: 1000,
    handshake_timeout: Duration::from_secs(10),
};

fn now() -> Timestamp {
    SystemClock.now()
}

/// An authority and a server certificate on disk.
struct Pki {
    _dir: tempfile::TempDir,
    authority: Authority,
    /// The authority's certificate, for clients: the file may be broken in the course of a test.
    trusted: CertificateDer<'static>,
    files: TlsFiles,
}

impl Pki {
    fn new() -> Pki {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::create(dir.path(), now()).unwrap();
        let written = write(&server_leaf(&authority), dir.path(), "server").unwrap();
        let files = TlsFiles {
            certificate: written.certificate,
            key: written.key,
            client_ca: authority.certificate_path(),
            crls: vec![authority.crl_path()],
        };
        Pki {
            _dir: dir,
            trusted: CertificateDer::from_pem_file(authority.certificate_path()).unwrap(),
            authority,
            files,
        }
    }

    fn load(&self) -> Arc<Tls> {
        Tls::load(self.files.clone(), TRUST_DOMAIN.to_owned(), now()).unwrap()
    }

    fn caller(&self, id: &str) -> Issued {
        self.authority
            .issue_caller(TRUST_DOMAIN, id, Validity::starting(now(), HOUR).unwrap())
            .unwrap()
    }

    /// A client with this certificate, or with none.
    fn client(&self, identity: Option<&Issued>) -> ClientConfig {
        client(&self.trusted, identity, &[&rustls::version::TLS13])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.authority.dir().join(name)
    }
}

fn server_leaf(authority: &Authority) -> Issued {
    authority
        .issue_server(
            &["localhost", "127.0.0.1"],
            Validity::starting(now(), HOUR).unwrap(),
        )
        .unwrap()
}

fn client(
    trusted: &CertificateDer<'static>,
    identity: Option<&Issued>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let certificate = CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
            builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The connections of a single lane.
fn connections(
    listener: TcpListener,
    tls: Arc<Tls>,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let mut lanes = accept(listener, limits, NonZero::<usize>::MIN, shutdown);
    lanes.remove(0).connections(tls)
}

/// A running health service that refuses revoked peers and remembers who called.
struct Running {
    address: SocketAddr,
    peers: Arc<Mutex<Vec<Arc<Peer>>>>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Running {
    async fn start(tls: &Arc<Tls>, limits: Limits) -> Running {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let incoming = connections(listener, Arc::clone(tls), limits, async {
            let _ = stopped.await;
        });
        let peers = Arc::new(Mutex::new(Vec::new()));
        let (revocation, seen) = (Arc::clone(tls), Arc::clone(&peers));
        let (_reporter, health) = tonic_health::server::health_reporter();
        let health = InterceptedService::new(health, move |request: Request<()>| {
            let peer = request
                .extensions()
                .get::<Arc<Peer>>()
                .ok_or_else(|| Status::internal("no peer"))?;
            seen.lock().unwrap().push(Arc::clone(peer));
            match revocation.is_revoked(peer) {
                true => Err(Status::unauthenticated("revoked")),
                false => Ok(request),
            }
        });
        let served = tokio::spawn(
            Server::builder()
                .add_service(health)
                .serve_with_incoming(incoming),
        );
        Running {
            address,
            peers,
            stop: Some(stop),
            served,
        }
    }

    /// One call over a new connection.
    async fn call(&self, config: &ClientConfig) -> Result<(), Status> {
        check(&channel(self.address, config)).await
    }

    /// Fails the test unless a good caller is served.
    async fn still_serves(&self, pki: &Pki) {
        self.call(&pki.client(Some(&pki.caller("witness"))))
            .await
            .unwrap();
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A socket from another loopback address: another peer for the cap.
    async fn tcp_from(&self, address: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(IpAddr::from(address), 0))
            .unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// TLS only: the preface is not sent.
    async fn tls(&self, config: &ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        handshake_on(self.tcp().await, config).await
    }

    /// The alert with which the server ends a connection; under TLS 1.3 it comes with the first read.
    async fn alert(&self, config: &ClientConfig) -> AlertDescription {
        let error = match self.tls(config).await {
            Err(error) => error,
            Ok(mut stream) => {
                let _ = stream.write_all(super::preface::PREFACE).await;
                stream.read_u8().await.expect_err("the server answered")
            }
        };
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("no alert but {error:?}"),
        }
    }
}

async fn handshake_on(
    socket: TcpStream,
    config: &ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    // Without it each call waits 40 ms for a delayed acknowledgement.
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config.clone()))
        .connect(name, socket)
        .await
}

/// A channel that connects at its first call.
fn channel(address: SocketAddr, config: &ClientConfig) -> Channel {
    let config = config.clone();
    let connector = tower::service_fn(move |_| {
        let config = config.clone();
        async move {
            handshake_on(TcpStream::connect(address).await?, &config)
                .await
                .map(TokioIo::new)
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

async fn check(channel: &Channel) -> Result<(), Status> {
    HealthClient::new(channel.clone())
        .check(HealthCheckRequest {
            service: String::new(),
        })
        .await
        .map(drop)
}

/// Waits until the other side has closed; fails the test after ten seconds.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut bytes = Vec::new();
    // A reset is as closed as an end of file.
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes))
        .await
        .expect("still open");
}
