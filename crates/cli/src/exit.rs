//! What the exit code of a command says.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; the answer is positive.
    Ok,
    /// Refused, or the answer is negative.
    Negative,
    /// The command line, a file or the configuration is wrong.
    Usage,
    /// Nobody answered, or not in time.
    Unavailable,
    /// A fault of the program or of the service.
    Internal,
}

/// The same for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; the answer is positive
  1  refused by a rule, or the answer is negative: a code that is not valid, a row that failed, a broken chain
  2  the command line, a file or the configuration is wrong
  3  nobody answered, or not in time: the service, the store or the network is unavailable
  4  a fault of the program or of the service";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Negative => 1,
            Exit::Usage => 2,
            Exit::Unavailable => 3,
            Exit::Internal => 4,
        })
    }
}
