//! Secrets in files: read only when nobody else can read them, written only when nothing is overwritten.
//!
//! Errors name the file and what is wrong with it, never a byte of its content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::hex;

/// A secret file is a few hundred bytes; whatever is longer is some other file.
const MAX_BYTES: u64 = 16 * 1024;

/// Why a file of key material could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file is missing or cannot be opened or read.
    #[error("key file {} cannot be read", .path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Group or others have some permission on the file.
    #[error("key file {} is open to others (mode {mode:04o}): only its owner may have access (chmod 600)", .path.display())]
    Exposed {
        /// The file asked for.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else than the key that was expected.
    #[error("key file {} {problem}", .path.display())]
    Malformed {
        /// The file asked for.
        path: PathBuf,
        /// A fixed text completing the sentence "key file X …".
        problem: &'static str,
    },
    /// A new key would have overwritten a file.
    #[error("key file {} exists already and is not overwritten", .path.display())]
    Exists {
        /// The file that is in the way.
        path: PathBuf,
    },
    /// The new file cannot be written.
    #[error("key file {} cannot be written", .path.display())]
    Write {
        /// The file to be made.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The cryptographic library gave no key or no random bytes.
    #[error("a key for file {} cannot be generated", .path.display())]
    Generate {
        /// The file to be made.
        path: PathBuf,
    },
}

/// Reads a small text file that only its owner may access.
///
/// # Errors
/// [`KeyError::Read`], [`KeyError::Exposed`], or [`KeyError::Malformed`] for what is no regular file, too long or no text.
pub(crate) fn read(path: &Path) -> Result<String, KeyError> {
    let unreadable = |source| KeyError::Read {
        path: path.to_owned(),
        source,
    };
    let malformed = |problem| KeyError::Malformed {
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
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(malformed("is too long for a key"));
    }
    String::from_utf8(bytes).map_err(|_| malformed("is not text"))
}

/// Writes a new file of mode 0600 which is there in full or not at all, and durable when this returns.
///
/// # Errors
/// [`KeyError::Exists`] when the path is taken, [`KeyError::Write`], [`KeyError::Generate`].
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<(), KeyError> {
    let unwritable = |source| KeyError::Write {
        path: path.to_owned(),
        source,
    };
    let name = path.file_name().ok_or_else(|| {
        unwritable(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path ends in no file name",
        ))
    })?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut suffix = [0; 8];
    aws_lc_rs::rand::fill(&mut suffix).map_err(|_| KeyError::Generate {
        path: path.to_owned(),
    })?;
    let draft = folder.join(format!(
        ".{}.{}",
        name.to_string_lossy(),
        hex::encode(&suffix)
    ));

    let written = write_durably(&draft, content).and_then(|()| {
        // A hard link, not a rename: a rename would replace a file that came up meanwhile.
        fs::hard_link(&draft, path)
    });
    let removed = fs::remove_file(&draft);
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeyError::Exists {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(unwritable(error)),
    }
    removed
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(unwritable)
}

fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_written_is_read_again_and_only_the_owner_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_new(&path, b"content").unwrap();
        assert_eq!(read(&path).unwrap(), "content");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft stays behind"
        );
    }

    #[test]
    fn a_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "old").unwrap();
        assert!(matches!(
            write_new(&path, b"new"),
            Err(KeyError::Exists { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft stays behind"
        );
    }

    #[test]
    fn every_permission_of_group_or_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_new(&path, b"content").unwrap();
        for bit in 0..6 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600 | 1 << bit)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { .. }), "{error}");
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
        }
    }

    #[test]
    fn folders_long_files_binary_files_and_missing_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            read(folder.path()),
            Err(KeyError::Malformed { .. })
        ));
        assert!(matches!(
            read(&folder.path().join("none")),
            Err(KeyError::Read { .. })
        ));
        for (name, content) in [
            ("long", vec![b'a'; 16 * 1024 + 1]),
            ("binary", vec![0xff; 32]),
        ] {
            let path = folder.path().join(name);
            write_new(&path, &content).unwrap();
            assert!(
                matches!(read(&path), Err(KeyError::Malformed { .. })),
                "{name}"
            );
        }
    }
}
