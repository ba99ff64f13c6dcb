//! Atomic files: a reader sees the old content or the new, never half of it.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::Error;

/// Mode of files that everybody may read.
pub(crate) const PUBLIC: u32 = 0o644;
/// Mode of private keys.
pub(crate) const SECRET: u32 = 0o600;

/// Tells apart the temporary files of one process.
static COUNTER: AtomicU64 = AtomicU64::new(0);

pub(crate) fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(failed(path))
}

pub(crate) fn make_folder(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(failed(dir))
}

/// Holds `path` locked against other threads and processes until dropped.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(SECRET)
        .open(path)
        .map_err(failed(path))?;
    file.lock().map_err(failed(path))?;
    Ok(file)
}

/// Writes a temporary file beside `path` and renames it over `path`; both the file and the rename are on disk
/// when this returns.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, content, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first failure is the one to report; the leftover is harmless.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed(path))?;
    match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed(path)),
        None => Ok(()),
    }
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn temporary_beside(path: &Path) -> PathBuf {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{number}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn replacing_leaves_the_new_content_the_mode_and_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        replace(&path, b"one", SECRET).unwrap();
        replace(&path, b"two", SECRET).unwrap();
        assert_eq!(read(&path).unwrap(), "two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_names_the_file() {
        let error = replace(Path::new("/nowhere/at/all.pem"), b"", PUBLIC).unwrap_err();
        assert!(
            error.to_string().starts_with("/nowhere/at/all.pem: "),
            "{error}"
        );
    }
}
