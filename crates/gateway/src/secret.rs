//! Secrets in files that only their owner may read.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A secret is some tens of bytes; whatever is longer is some other file.
const MAX_BYTES: u64 = 4 * 1024;

/// Why the gateway's client cannot be built. Never tells a byte of a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file is missing or cannot be read.
    #[error("secret file {} cannot be read", .path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Group or others have some permission on the file.
    #[error("secret file {} is open to others (mode {mode:04o}): only its owner may have access (chmod 600)", .path.display())]
    Exposed {
        /// The file asked for.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("secret file {} {problem}", .path.display())]
    Malformed {
        /// The file asked for.
        path: PathBuf,
        /// A fixed text completing the sentence "secret file X …".
        problem: &'static str,
    },
    /// An address of the gateway is not https (http is for loopback only).
    #[error("{setting} is no https address")]
    Address {
        /// Which setting.
        setting: &'static str,
    },
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built")]
    Client,
}

/// A text that is never printed.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Reads a secret of one line.
pub(crate) fn read(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Read {
        path: path.to_owned(),
        source,
    };
    let malformed = |problem| SecretError::Malformed {
        path: path.to_owned(),
        problem,
    };
    // Asked of the path first, since opening a named pipe would wait for a writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(malformed("is not a regular file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, so that it cannot be exchanged between the question and the reading.
    let mode = file.metadata().map_err(unreadable)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(malformed("is too long for a secret"));
    }
    let text = String::from_utf8(bytes).map_err(|_| malformed("is not text"))?;
    let line = text.trim();
    if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("is not one word"));
    }
    Ok(Secret(line.to_owned()))
}
