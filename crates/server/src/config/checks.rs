//! What a value must be beyond its type. Each check reports its problem and goes on.

use std::fs::{self, File};
use std::io::Read;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Found, Reported, Section, Span};

/// A secret is a few hundred bytes; whatever is longer is some other file.
const MAX_SECRET_BYTES: u64 = 16 * 1024;

impl Section<'_, '_> {
    /// A number within bounds, `default` when the key is absent.
    pub(super) fn number<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        default: T,
        within: RangeInclusive<u64>,
    ) -> Result<T, Reported> {
        let Some(Found { value, span }) = self.take::<u64>(key)? else {
            return Ok(default);
        };
        match T::try_from(value) {
            Ok(number) if within.contains(&value) => Ok(number),
            _ => Err(self.wrong(
                key,
                span,
                format!("must be {} to {}", within.start(), within.end()),
            )),
        }
    }

    /// A count of at least 1.
    pub(super) fn count<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        default: T,
    ) -> Result<T, Reported> {
        self.number(key, default, 1..=u64::from(u32::MAX))
    }

    /// A time in milliseconds, at least 1.
    pub(super) fn millis(
        &mut self,
        key: &'static str,
        default: Duration,
    ) -> Result<Duration, Reported> {
        let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
        self.number(key, default, 1..=DAY_MS)
            .map(Duration::from_millis)
    }

    /// A part of a whole: 0 to 1.
    pub(super) fn ratio(&mut self, key: &'static str, default: f64) -> Result<f64, Reported> {
        match self.take::<f64>(key)? {
            None => Ok(default),
            Some(Found { value, .. }) if (0.0..=1.0).contains(&value) => Ok(value),
            Some(Found { span, .. }) => Err(self.wrong(key, span, "must be 0.0 to 1.0")),
        }
    }

    /// An IP address with port.
    pub(super) fn address(
        &mut self,
        key: &'static str,
        default: SocketAddr,
    ) -> Result<SocketAddr, Reported> {
        let Some(Found { value, span }) = self.take::<String>(key)? else {
            return Ok(default);
        };
        value.parse().map_err(|_| {
            let text = format!(
                "must be an IP address with port, such as {default} or [::]:{}",
                default.port()
            );
            self.wrong(key, span, text)
        })
    }

    /// What one of a few words means; none when the key is absent.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Reported> {
        let Some(Found { value, span }) = self.take::<String>(key)? else {
            return Ok(None);
        };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                Err(self.wrong(key, span, format!("must be {}", words.join(" or "))))
            }
        }
    }

    /// A key that must not be there, and why.
    pub(super) fn not_with(&mut self, key: &'static str, why: &str) {
        if let Some(span) = self.take_any(key).map(|found| found.span) {
            self.wrong(key, span, why);
        }
    }

    /// A file that can be read.
    pub(super) fn file(&mut self, key: &'static str, what: &str) -> Result<PathBuf, Reported> {
        let (path, span) = self.path_of(key, what)?;
        match readable(&path) {
            Ok(_) => Ok(path),
            Err(text) => Err(self.wrong(key, span, text)),
        }
    }

    /// At least one file, all of which can be read.
    pub(super) fn files(
        &mut self,
        key: &'static str,
        what: &str,
    ) -> Result<Vec<PathBuf>, Reported> {
        let Found { value, span } = self.require::<Vec<String>>(key, what)?;
        if value.is_empty() {
            return Err(self.wrong(key, span, format!("must name {what}")));
        }
        let paths: Vec<_> = value.iter().map(|name| self.folder().join(name)).collect();
        let reported = paths
            .iter()
            .filter_map(|path| readable(path).err())
            .map(|text| self.wrong(key, span.clone(), text))
            .last();
        match reported {
            None => Ok(paths),
            Some(reported) => Err(reported),
        }
    }

    /// A file that its owner can read and nobody else.
    pub(super) fn secret_file(
        &mut self,
        key: &'static str,
        what: &str,
    ) -> Result<PathBuf, Reported> {
        let (path, span) = self.path_of(key, what)?;
        match private(&path) {
            Ok(_) => Ok(path),
            Err(text) => Err(self.wrong(key, span, text)),
        }
    }

    /// As [`Section::secret_file`], where it may be absent.
    pub(super) fn optional_secret_file(
        &mut self,
        key: &'static str,
    ) -> Result<Option<PathBuf>, Reported> {
        let Some(Found { value, span }) = self.take::<String>(key)? else {
            return Ok(None);
        };
        let path = self.folder().join(value);
        match private(&path) {
            Ok(_) => Ok(Some(path)),
            Err(text) => Err(self.wrong(key, span, text)),
        }
    }

    /// The one line of text in a file as in [`Section::secret_file`]; `check` says what is wrong with it without
    /// quoting it.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        what: &str,
        check: impl FnOnce(&str) -> Result<(), &'static str>,
    ) -> Result<String, Reported> {
        let (path, span) = self.path_of(key, what)?;
        let line = private(&path).and_then(|file| {
            let mut text = String::new();
            file.take(MAX_SECRET_BYTES)
                .read_to_string(&mut text)
                .map_err(|_| format!("{} is not text", path.display()))?;
            let line = text.trim();
            check(line).map_err(|problem| format!("{} {problem}", path.display()))?;
            Ok(line.to_owned())
        });
        line.map_err(|text| self.wrong(key, span, text))
    }

    /// A file in a folder that exists; the file itself may still be to be made.
    pub(super) fn file_to_be(
        &mut self,
        key: &'static str,
        what: &str,
    ) -> Result<PathBuf, Reported> {
        let (path, span) = self.path_of(key, what)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let text = match (folder.is_dir(), path.is_dir()) {
            (true, false) => return Ok(path),
            (true, true) => format!("{} is a folder; name a file in it", path.display()),
            (false, _) => format!("folder {} does not exist; make it", folder.display()),
        };
        Err(self.wrong(key, span, text))
    }

    /// A folder in one that exists; `default` in the folder of the file. It may still be to be made.
    pub(super) fn folder_to_be(
        &mut self,
        key: &'static str,
        default: &str,
    ) -> Result<PathBuf, Reported> {
        let (name, span) = match self.take::<String>(key)? {
            Some(Found { value, span }) => (value, span),
            None => (default.to_owned(), None),
        };
        let path = self.folder().join(name);
        let parent = path.parent().unwrap_or(Path::new("/"));
        let text = match (path.is_dir(), path.exists(), parent.is_dir()) {
            (true, ..) | (false, false, true) => return Ok(path),
            (false, true, _) => format!("{} is not a folder", path.display()),
            (false, false, false) => format!("folder {} does not exist; make it", parent.display()),
        };
        Err(self.wrong(key, span, text))
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &'static str, what: &str) -> Result<String, Reported> {
        let Found { value, span } = self.require::<String>(key, what)?;
        match value.is_empty() {
            true => Err(self.wrong(key, span, format!("must name {what}"))),
            false => Ok(value),
        }
    }

    fn path_of(&mut self, key: &'static str, what: &str) -> Result<(PathBuf, Span), Reported> {
        let Found { value, span } = self.require::<String>(key, what)?;
        match value.is_empty() {
            true => Err(self.wrong(key, span, format!("must name {what}"))),
            false => Ok((self.folder().join(value), span)),
        }
    }
}

/// No time limit of a service is longer than a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn readable(path: &Path) -> Result<File, String> {
    let at = path.display();
    let is_file = fs::metadata(path)
        .map_err(|error| format!("{at}: {error}"))?
        .is_file();
    // Asked before opening, which would wait for ever at a pipe without a writer.
    if !is_file {
        return Err(format!("{at} is not a file"));
    }
    File::open(path).map_err(|error| format!("{at}: {error}"))
}

fn private(path: &Path) -> Result<File, String> {
    let file = readable(path)?;
    let at = path.display();
    let mode = file
        .metadata()
        .map_err(|error| format!("{at}: {error}"))?
        .mode()
        & 0o7777;
    match mode & 0o077 {
        0 => Ok(file),
        _ => Err(format!(
            "{at} holds a secret and is open to others (mode {mode:04o}); run chmod 600 {at}"
        )),
    }
}
