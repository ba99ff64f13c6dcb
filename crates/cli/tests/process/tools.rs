//! Programs that are not ours.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that `tests/setup.sh` fills.
pub(crate) fn folder() -> PathBuf {
    // Cargo's folder for tests is `tmp` in the target folder.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("test-tools/bin")
}

/// A tool: `buf`, `grpcurl`, `python`. A missing one fails the test that needs it.
pub(crate) fn tool(name: &str) -> Command {
    let path = folder().join(name);
    assert!(
        path.exists(),
        "{} is missing: run `bash tests/setup.sh` with the CARGO_TARGET_DIR of the tests",
        path.display()
    );
    Command::new(path)
}

/// A script in `tests/foreign`, to be run by Python.
pub(crate) fn script(name: &str) -> Command {
    let mut python = tool("python");
    python.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/foreign")
            .join(name),
    );
    python
}

/// Standard output of a tool that must succeed.
pub(crate) fn printed_by(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout
}

#[test]
#[should_panic(expected = "run `bash tests/setup.sh`")]
fn a_missing_tool_fails_the_test_and_says_what_to_run() {
    tool("a-tool-that-nobody-installs");
}
