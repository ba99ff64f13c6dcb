//! Mutual TLS 1.3 under the channel.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{ClientConfig, ClientError};

/// Opens connections to one server.
#[derive(Clone)]
pub(crate) struct Connector {
    host: String,
    port: u16,
    name: ServerName<'static>,
    tls: TlsConnector,
    limit: Duration,
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectFault {
    #[error("{0}")]
    Tcp(#[source] io::Error),
    #[error("{0}")]
    Tls(#[source] io::Error),
    #[error("no connection within {0:?}")]
    Slow(Duration),
}

impl Connector {
    /// Reads the files. `uri` is the checked endpoint.
    pub(crate) fn new(config: &ClientConfig, uri: &http::Uri) -> Result<Self, ClientError> {
        let unusable = |problem| ClientError::Endpoint {
            endpoint: config.endpoint.clone(),
            problem,
        };
        let host = uri.host().ok_or_else(|| unusable("no host"))?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = uri.port_u16().ok_or_else(|| unusable("no port"))?;
        let name = ServerName::try_from(host.clone()).map_err(|_| unusable("not a host name"))?;
        let tls = TlsConnector::from(Arc::new(tls_config(config)?));
        Ok(Self {
            host,
            port,
            name,
            tls,
            limit: config.timeout,
        })
    }

    /// Opens a connection, in no more than the client's time for a call.
    pub(crate) async fn connect(self) -> Result<TokioIo<TlsStream<TcpStream>>, ConnectFault> {
        let limit = self.limit;
        timeout(limit, self.open())
            .await
            .unwrap_or(Err(ConnectFault::Slow(limit)))
    }

    async fn open(self) -> Result<TokioIo<TlsStream<TcpStream>>, ConnectFault> {
        let socket = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(ConnectFault::Tcp)?;
        // Otherwise a request may wait 40 ms for the peer's delayed acknowledgement.
        socket.set_nodelay(true).map_err(ConnectFault::Tcp)?;
        let stream = self
            .tls
            .connect(self.name, socket)
            .await
            .map_err(ConnectFault::Tls)?;
        Ok(TokioIo::new(stream))
    }
}

fn tls_config(config: &ClientConfig) -> Result<rustls::ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(&config.server_ca)? {
        roots.add(authority).map_err(|_| ClientError::Pem {
            path: config.server_ca.clone(),
            expected: "certificate",
        })?;
    }
    let refused = |source| ClientError::Identity {
        certificate: config.certificate.clone(),
        key: config.key.clone(),
        source,
    };
    // TLS 1.3 is said here because a dependency of another crate turns the 1.2 code on.
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(refused)?
        .with_root_certificates(roots)
        .with_client_auth_cert(
            certificates(&config.certificate)?,
            private_key(&config.key)?,
        )
        .map_err(refused)?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

/// aws-lc-rs, whatever default other crates install.
pub(crate) fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// All certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(path, error, "certificate"))?;
    match certificates.is_empty() {
        true => Err(failed(path, pem::Error::NoItemsFound, "certificate")),
        false => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ClientError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| failed(path, error, "private key"))
}

/// Other PEM errors than those of the file system are not kept: they may quote lines of the file.
fn failed(path: &Path, error: pem::Error, expected: &'static str) -> ClientError {
    match error {
        pem::Error::Io(source) => ClientError::File {
            path: path.to_owned(),
            source,
        },
        _ => ClientError::Pem {
            path: path.to_owned(),
            expected,
        },
    }
}

/// Says what went wrong with a first connection, and where to look.
pub(crate) fn explain(config: &ClientConfig, error: tonic::transport::Error) -> ClientError {
    let endpoint = config.endpoint.clone();
    let mut source: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        match cause.downcast_ref::<ConnectFault>() {
            Some(ConnectFault::Tcp(io)) => {
                let source = io::Error::new(io.kind(), io.to_string());
                return ClientError::Unreachable { endpoint, source };
            }
            Some(ConnectFault::Tls(io)) => {
                return ClientError::Tls {
                    endpoint,
                    problem: tls_problem(config, io),
                };
            }
            Some(ConnectFault::Slow(after)) => {
                return ClientError::Slow {
                    endpoint,
                    after: *after,
                };
            }
            None => source = cause.source(),
        }
    }
    ClientError::Transport {
        endpoint,
        source: error,
    }
}

fn tls_problem(config: &ClientConfig, error: &io::Error) -> String {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => format!(
            "no authority in {} has signed the server's certificate",
            config.server_ca.display()
        ),
        Some(error) => error.to_string(),
        None => plain(&error.to_string()),
    }
}

/// An error's text without the TLS library's pointer to its manual.
pub(crate) fn plain(text: &str) -> String {
    text.split(": https://")
        .next()
        .unwrap_or_default()
        .to_owned()
}
