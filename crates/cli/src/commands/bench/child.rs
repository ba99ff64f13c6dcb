//! Servers in processes of their own, which end with whoever started them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::problem::Problem;

/// How long a server may take until it can be called.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Lines of a log that are quoted when a server does not start.
const QUOTED: usize = 5;

/// A running server. Dropping it ends it by its process id and waits until it is gone.
pub(super) struct Server {
    child: Child,
    /// Where it can be called.
    pub(super) port: u16,
    /// From its start until it could be called.
    pub(super) ready_after: Duration,
}

impl Server {
    /// Starts this program with these arguments and waits until it has written `ready_file`, a JSON object with its
    /// address. Its output is added to `log`.
    pub(super) async fn start<I: AsRef<std::ffi::OsStr>>(
        arguments: &[I],
        ready_file: &Path,
        log: &Path,
    ) -> Result<Self, Problem> {
        let program = std::env::current_exe()
            .map_err(|error| Problem::Internal(format!("this program's own file: {error}")))?;
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start_command(command, ready_file, log).await
    }

    /// The same of any program.
    pub(super) async fn start_command(
        mut command: Command,
        ready_file: &Path,
        log: &Path,
    ) -> Result<Self, Problem> {
        // One of an earlier server must not be taken for this one's.
        let _ = fs::remove_file(ready_file);
        let open = || File::options().create(true).append(true).open(log);
        let failed = |error: &std::io::Error| Problem::file(log, error);
        let (out, err) = (open(), open());
        command
            .stdin(Stdio::null())
            .stdout(out.map_err(|error| failed(&error))?)
            .stderr(err.map_err(|error| failed(&error))?);
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| Problem::Internal(format!("{command:?}: {error}")))?;
        let mut server = Self {
            child,
            port: 0,
            ready_after: Duration::ZERO,
        };
        loop {
            if let Ok(text) = fs::read_to_string(ready_file) {
                server.ready_after = started.elapsed();
                server.port = port(&text).ok_or_else(|| {
                    Problem::Internal(format!("{}: names no address", ready_file.display()))
                })?;
                return Ok(server);
            }
            let ended = server.child.try_wait();
            if started.elapsed() > PATIENCE || !matches!(ended, Ok(None)) {
                return Err(Problem::Internal(format!(
                    "a server did not start: {}",
                    last_lines(log)
                )));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port(ready: &str) -> Option<u16> {
    let ready: Value = serde_json::from_str(ready).ok()?;
    let address: std::net::SocketAddr = ready["address"].as_str()?.parse().ok()?;
    Some(address.port())
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(QUOTED)..].join("\n  ")
}

/// A file in a folder, by name and ending.
pub(super) fn file(folder: &Path, name: &str, ending: &str) -> PathBuf {
    folder.join(format!("{name}.{ending}"))
}
