//! A process of the program: started, told by signals, and ended by its own process id whatever happens to the test.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

/// The program under test.
pub(crate) const GAVAH: &str = env!("CARGO_BIN_EXE_gavah");

/// How long anything may take before the test is given up. Nothing is concluded from how long it took.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `look` sees something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = timeout(PATIENCE, async {
        loop {
            match look().await {
                Some(seen) => return seen,
                None => sleep(LOOK_EVERY).await,
            }
        }
    });
    match waited.await {
        Ok(seen) => seen,
        Err(_) => panic!("waited in vain until {what}"),
    }
}

/// Runs a command of the program to its end and returns its exit code and the JSON it printed.
pub(crate) fn command(arguments: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(GAVAH)
        .args(["--output", "json"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let printed = serde_json::from_str(&stdout).unwrap_or_else(|_| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("gavah {arguments:?} printed no JSON: {stdout}{stderr}")
    });
    (output.status.code(), printed)
}

/// Runs a command that must succeed.
pub(crate) fn succeed(arguments: &[&str]) -> Value {
    let (code, printed) = command(arguments);
    assert_eq!(code, Some(0), "gavah {arguments:?}: {printed}");
    printed
}

/// A running process whose output goes to files.
pub(crate) struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts the program. What it prints is added to `NAME.out` and `NAME.err` in `folder`.
    pub(crate) fn start(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let file = |ending: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            let file = OpenOptions::new().create(true).append(true).open(&path);
            (path, file.unwrap())
        };
        let ((stdout, out), (stderr, err)) = (file("out"), file("err"));
        let child = Command::new(GAVAH)
            .args(arguments)
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap();
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap()
    }

    /// What it has logged so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// Sends a signal: `TERM`, `INT`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        // The child is not waited for yet, so its id is still its own. `kill` is part of every shell.
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name])
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.unwrap().success());
    }

    /// Ends it at once, as SIGKILL does: nothing of it runs any more when this returns.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end and returns the exit code; none when a signal ended it.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        until("the process ends", async || self.ended())
            .await
            .code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.stderr.display(), self.stderr());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
