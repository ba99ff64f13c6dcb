//! What a client needs to know, and what can be wrong with it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Where the service is, who the client is, and how patient it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// `https://host:port`; the server's certificate must be for this host, a name or an IP address.
    pub endpoint: String,
    /// PEM file of the authorities that may vouch for the server.
    pub server_ca: PathBuf,
    /// PEM file of the client's certificate, leaf first.
    pub certificate: PathBuf,
    /// PEM file of the leaf's private key.
    pub key: PathBuf,
    /// Time for one call with all its attempts; also for connecting.
    pub timeout: Duration,
    /// How often a call is repeated after its first attempt, at most.
    pub retries: u32,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The endpoint is not one.
    #[error("endpoint {endpoint:?}: {problem}; write https://host:port")]
    Endpoint {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: holds no usable {expected} in PEM", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key do not make an identity.
    #[error("{certificate} and {key} cannot be used together: {source}", certificate = certificate.display(), key = key.display())]
    Identity {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// The TLS library's answer.
        source: rustls::Error,
    },
    /// Nobody answers at the endpoint.
    #[error("{endpoint} cannot be reached: {source}")]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The server is not trusted, or does not speak TLS 1.3.
    #[error("{endpoint} has no trusted TLS connection to offer: {problem}")]
    Tls {
        /// The endpoint.
        endpoint: String,
        /// What is wrong and where to look.
        problem: String,
    },
    /// Connecting took too long.
    #[error("{endpoint} gave no connection within {after:?}")]
    Slow {
        /// The endpoint.
        endpoint: String,
        /// The time it had.
        after: Duration,
    },
    /// The connection failed after its TLS handshake.
    #[error("{endpoint} does not speak HTTP/2: {source}")]
    Transport {
        /// The endpoint.
        endpoint: String,
        /// The transport's answer.
        source: tonic::transport::Error,
    },
    /// What is to be sent beside a call holds what metadata cannot.
    #[error("metadata holds printable ASCII only")]
    Metadata,
    /// A trace context is not of the form `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
    #[error(
        "not a traceparent; write 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, not all zero"
    )]
    Traceparent,
}
