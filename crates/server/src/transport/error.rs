//! What can be wrong with the TLS files. The text names the file and never quotes its content.

use std::path::PathBuf;

use jiff::Timestamp;

/// Why the TLS files were not loaded.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file is not well-formed PEM.
    #[error("{path}: malformed PEM", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
    },
    /// The file holds none of what it should hold.
    #[error("{path}: holds no {expected}", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The file holds something beside what it should hold.
    #[error("{path}: holds something other than a {expected}", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// An item of the file cannot be parsed.
    #[error("{path}: {what} number {position} cannot be parsed", path = path.display())]
    Unparsable {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Which one in the file, from 1.
        position: usize,
    },
    /// The key file is accessible to others than its owner.
    #[error("{path}: mode {mode:04o} gives others access to the private key; make it 0600", path = path.display())]
    KeyMode {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key is of a kind that cannot be used.
    #[error("{path}: not a usable private key", path = path.display())]
    Key {
        /// The key file.
        path: PathBuf,
    },
    /// The key does not belong to the certificate.
    #[error("{key}: not the private key of {certificate}", key = key.display(), certificate = certificate.display())]
    KeyMismatch {
        /// The key file.
        key: PathBuf,
        /// The certificate file.
        certificate: PathBuf,
    },
    /// The server's own certificate is not valid now.
    #[error("{path}: valid only from {not_before} to {not_after}", path = path.display())]
    NotValidNow {
        /// The certificate file.
        path: PathBuf,
        /// First valid second.
        not_before: Timestamp,
        /// Last valid second.
        not_after: Timestamp,
    },
    /// A certificate in the trust bundle is not an authority's.
    #[error("{path}: certificate number {position} is not a certificate authority's", path = path.display())]
    NotAnAuthority {
        /// The trust bundle.
        path: PathBuf,
        /// Which one in the file, from 1.
        position: usize,
    },
    /// An authority in the trust bundle has no revocation list: every one of its certificates would be refused.
    #[error("{path}: no revocation list is configured for certificate number {position}", path = path.display())]
    CrlMissing {
        /// The trust bundle.
        path: PathBuf,
        /// Which one in the file, from 1.
        position: usize,
    },
    /// A revocation list bears the name of a trusted authority, but not its signature.
    #[error("{path}: revocation list number {position} is not signed by the authority it names", path = path.display())]
    CrlSignature {
        /// The list's file.
        path: PathBuf,
        /// Which one in the file, from 1.
        position: usize,
    },
    /// A revocation list is past its nextUpdate: every certificate of its issuer would be refused.
    #[error("{path}: revocation list number {position} was to be replaced by {next_update}", path = path.display())]
    CrlExpired {
        /// The list's file.
        path: PathBuf,
        /// Which one in the file, from 1.
        position: usize,
        /// Its nextUpdate.
        next_update: Timestamp,
    },
    /// The TLS library refused the configuration.
    #[error("the TLS configuration was refused: {0}")]
    Refused(String),
}
