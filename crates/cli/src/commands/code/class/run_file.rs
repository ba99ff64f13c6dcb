//! What makes a second start of the same command the same run: its retry key and instant, kept beside the file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use gavah_domain::{SystemEntropy, new_uuid};
use serde::{Deserialize, Serialize};

use super::Attested;
use crate::connection::now;
use crate::problem::Problem;

/// A run that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Its retry key.
    pub(super) request_id: String,
    /// When the statement was made about rows that do not say it.
    pub(super) attest_time: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    request_id: String,
    attest_time: String,
    /// SHA-256 of the file and of what was said beside it, in hexadecimal.
    content: String,
}

impl Run {
    /// The run that was begun for this file, or a new one, kept before the first row is sent.
    pub(super) fn take_up(file: &Path, attested: &Attested) -> Result<Self, Problem> {
        let mut path = file.as_os_str().to_owned();
        path.push(".run.json");
        let path = Path::new(&path);
        let content = digest(file, attested).map_err(|error| Problem::file(file, &error))?;
        let kept = match fs::read_to_string(path) {
            Ok(text) => {
                let kept: Kept = serde_json::from_str(&text)
                    .map_err(|error| Problem::usage(format_args!("{}: {error}", path.display())))?;
                if kept.content != content {
                    return Err(Problem::usage(format_args!(
                        "{} or its flags have changed since its run began; take {} away to begin another run",
                        file.display(),
                        path.display()
                    )));
                }
                kept
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let no_randomness =
                    |_| Problem::Internal("the operating system gave no randomness".to_owned());
                let kept = Kept {
                    request_id: new_uuid(now(), &SystemEntropy)
                        .map_err(no_randomness)?
                        .to_string(),
                    attest_time: attested
                        .attest_time
                        .clone()
                        .unwrap_or_else(|| now().to_string()),
                    content,
                };
                keep(path, &kept).map_err(|error| Problem::file(path, &error))?;
                kept
            }
            Err(error) => return Err(Problem::file(path, &error)),
        };
        Ok(Self {
            request_id: kept.request_id,
            attest_time: kept.attest_time,
        })
    }
}

/// Whole or not at all, and for good: a run whose key is lost cannot be repeated.
fn keep(path: &Path, kept: &Kept) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut draft, kept)?;
    draft.write_all(b"\n")?;
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    File::open(folder)?.sync_all()
}

fn digest(file: &Path, attested: &Attested) -> io::Result<String> {
    let mut digest = Context::new(&SHA256);
    let beside = [
        &attested.expert,
        &attested.statement_version,
        &attested.attest_time,
    ];
    for text in beside {
        let text = text.as_deref().unwrap_or_default();
        digest.update(&(text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    }
    let mut file = File::open(file)?;
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut bytes)?;
        if read == 0 {
            break;
        }
        digest.update(&bytes[..read]);
    }
    let digest = digest.finish();
    Ok(digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_is_the_same_run_and_a_changed_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("class.csv");
        fs::write(&file, "a\n1\n").unwrap();
        let attested = Attested::default();
        let run = Run::take_up(&file, &attested).unwrap();
        assert_eq!(Run::take_up(&file, &attested).unwrap(), run);
        let other = Attested {
            expert: Some("E".to_owned()),
            ..Attested::default()
        };
        assert!(Run::take_up(&file, &other).is_err());
        fs::write(&file, "a\n2\n").unwrap();
        let refused = Run::take_up(&file, &attested).unwrap_err().to_string();
        assert!(refused.contains("class.csv.run.json"), "{refused}");
        fs::remove_file(folder.path().join("class.csv.run.json")).unwrap();
        assert_ne!(Run::take_up(&file, &attested).unwrap(), run);
    }

    #[test]
    fn an_instant_that_is_given_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("class.csv");
        fs::write(&file, "a\n").unwrap();
        let attested = Attested {
            attest_time: Some("2026-05-13T08:30:00Z".to_owned()),
            ..Attested::default()
        };
        let run = Run::take_up(&file, &attested).unwrap();
        assert_eq!(run.attest_time, "2026-05-13T08:30:00Z");
    }
}
