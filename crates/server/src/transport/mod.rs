//! The transport: mutual TLS 1.3 in front of tonic.
//!
//! [`Tls`] holds the server's certificate, the trust bundle and the revocation lists, and reloads them; [`watch`]
//! notices new files; [`accept`] is the accept loop, which deals sockets to [`Lane`]s. A lane hands tonic only
//! connections that have finished their handshake, shown a good client certificate and sent the HTTP/2 preface. Each
//! carries its [`Peer`].
//!
//! What cannot happen here: TLS below 1.3, a connection without a client certificate, a resumed session (which
//! would skip the certificate check), early data, another protocol than HTTP/2, and a peer that holds a socket
//! without making progress for longer than [`Limits::handshake_timeout`].

mod accept;
mod crl;
mod error;
mod files;
pub mod forwarded;
mod outcome;
mod peer;
mod permits;
mod preface;
mod reload;
mod tls;

use std::{path::PathBuf, time::Duration};

pub use accept::{Lane, accept};
pub use error::TlsError;
pub use peer::Peer;
pub use preface::Connection;
pub use reload::watch;
pub use tls::{Tls, TlsStatus};

/// Counter: finished handshakes, by [`LABEL_OUTCOME`].
pub const TLS_HANDSHAKES_TOTAL: &str = "gavah_tls_handshakes_total";
/// Counter: attempts to load the TLS files again, by [`LABEL_OUTCOME`] (`ok`, `failed`).
pub const TLS_RELOADS_TOTAL: &str = "gavah_tls_reloads_total";
/// Gauge: connections that count against the caps, those still in their handshake included.
pub const CONNECTIONS: &str = "gavah_connections";
/// Counter: sockets closed before the handshake, by [`LABEL_REASON`] (`total`, `per_peer`).
pub const CONNECTIONS_REFUSED_TOTAL: &str = "gavah_connections_refused_total";
/// Label of [`TLS_HANDSHAKES_TOTAL`] and [`TLS_RELOADS_TOTAL`].
pub const LABEL_OUTCOME: &str = "outcome";
/// Label of [`CONNECTIONS_REFUSED_TOTAL`].
pub const LABEL_REASON: &str = "reason";

/// Where the TLS material lies. All files are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, leaf first, then intermediates if there are any.
    pub certificate: PathBuf,
    /// The leaf's private key; nobody but the owner may have access to the file.
    pub key: PathBuf,
    /// The authorities whose client certificates are trusted.
    pub client_ca: PathBuf,
    /// Revocation lists: one for every issuer in a client's chain, several may share a file.
    pub crls: Vec<PathBuf>,
}

/// Bounds of the accept loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all, handshakes included.
    pub max_connections: usize,
    /// Connections of one client IP address, handshakes included.
    pub max_connections_per_peer: usize,
    /// Time for the TLS handshake and the HTTP/2 preface together.
    pub handshake_timeout: Duration,
}

#[cfg(test)]
mod tests;
