//! What can go wrong, without any key material in the text.

use std::path::PathBuf;

/// A failure of the development authority.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read, written or renamed.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// `create` was asked for in a folder that already holds an authority.
    #[error("{path}: an authority already exists here", path = path.display())]
    AlreadyExists {
        /// The authority's certificate file.
        path: PathBuf,
    },
    /// `index.json` is not what this crate wrote.
    #[error("{path}: not an index of this development authority", path = path.display())]
    Index {
        /// The index file.
        path: PathBuf,
    },
    /// `ca.key` is not a private key, or not the one the index names.
    #[error("{path}: not the private key of this authority", path = path.display())]
    Key {
        /// The key file.
        path: PathBuf,
    },
    /// A DNS name, URI, trust domain or caller id that cannot stand in a certificate.
    #[error("{name:?} cannot be put in a certificate as {kind}")]
    Name {
        /// What was asked for.
        name: String,
        /// What it was to be.
        kind: &'static str,
    },
    /// The validity ends before it begins, or lies before 1970 or after 9999.
    #[error("the validity from {not_before} to {not_after} is not usable")]
    Validity {
        /// First instant of the validity.
        not_before: jiff::Timestamp,
        /// Last instant of the validity.
        not_after: jiff::Timestamp,
    },
    /// The serial was not issued by this authority.
    #[error("serial {serial} was not issued by this authority")]
    UnknownSerial {
        /// The serial in lower-case hexadecimal.
        serial: String,
    },
    /// The library refused to sign.
    #[error("signing failed: {0}")]
    Sign(#[from] rcgen::Error),
}
