//! Why a command gave no result, for people, scripts and the exit code.

use std::fmt;

use gavah_client::{ClientError, Failure};
use gavah_server::StartError;
use gavah_server::config::ConfigError;
use gavah_store::StoreError;
use serde_json::{Map, Value, json};
use tonic::Code;
use uuid::Uuid;

use crate::exit::Exit;

/// Why a command gave no result.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Everything that is wrong with the command line or a file.
    Usage(Vec<String>),
    /// A rule refuses what was asked for.
    Refused(String),
    /// The service answered with an error, or not at all.
    Failure {
        /// What it said.
        failure: Box<Failure>,
        /// By which the call can be repeated, when it was a write.
        request_id: Option<Uuid>,
    },
    /// There is no connection to the service.
    Connection(ClientError),
    /// The store gave no answer.
    Store(StoreError),
    /// The server could not start.
    Start(StartError),
    /// A fault of this program or of the machine.
    Internal(String),
}

impl Problem {
    /// One thing that is wrong with the command line or a file.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::Usage(vec![text.to_string()])
    }

    /// A file or folder that cannot be used.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::usage(format_args!("{}: {error}", path.display()))
    }

    /// What the exit code says.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Refused(_) => Exit::Negative,
            Self::Failure { failure, .. } => of_failure(failure),
            Self::Connection(error) => of_connection(error),
            Self::Store(error) | Self::Start(StartError::Store(error)) => of_store(error),
            Self::Start(StartError::Tls(_) | StartError::Key(_) | StartError::Listen { .. }) => {
                Exit::Usage
            }
            Self::Start(_) | Self::Internal(_) => Exit::Internal,
        }
    }

    /// What went wrong as the value of `error` in JSON.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Failure {
                failure,
                request_id,
            } => failure_json(failure, *request_id),
            Self::Usage(problems) => {
                json!({"code": self.code(), "message_en": self.headline(), "problems": problems})
            }
            _ => json!({"code": self.code(), "message_en": self.headline()}),
        }
    }

    /// A fixed word for what the service did not name.
    fn code(&self) -> &'static str {
        match self.exit() {
            Exit::Ok => "OK",
            Exit::Negative => "REFUSED",
            Exit::Usage => "USAGE",
            Exit::Unavailable => "UNAVAILABLE",
            Exit::Internal => "INTERNAL",
        }
    }

    fn headline(&self) -> String {
        match self {
            Self::Usage(problems) => match &problems[..] {
                [only] => only.clone(),
                several => format!("{} problems", several.len()),
            },
            Self::Refused(text) | Self::Internal(text) => text.clone(),
            Self::Failure { failure, .. } => failure.message.clone(),
            Self::Connection(error) => error.to_string(),
            Self::Store(error) => error.to_string(),
            Self::Start(error) => error.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure {
                failure,
                request_id,
            } => write_failure(f, failure, *request_id),
            _ => {
                f.write_str(&self.headline())?;
                match self {
                    Self::Usage(problems) if problems.len() > 1 => problems
                        .iter()
                        .try_for_each(|problem| write!(f, "\n  {problem}")),
                    _ => Ok(()),
                }
            }
        }
    }
}

fn write_failure(
    f: &mut fmt::Formatter<'_>,
    failure: &Failure,
    request_id: Option<Uuid>,
) -> fmt::Result {
    f.write_str(failure.code_name())?;
    if let Some(reason) = &failure.reason {
        write!(f, " {reason}")?;
    }
    write!(f, ": {}", failure.message)?;
    if let Some(text) = &failure.message_fa {
        write!(f, "\n  {text}")?;
    }
    for (name, value) in &failure.metadata {
        write!(f, "\n  {name}: {value}")?;
    }
    for violation in &failure.violations {
        write!(f, "\n  {}: {}", violation.field, violation.reason)?;
        if !violation.message.is_empty() {
            write!(f, " ({})", violation.message)?;
        }
    }
    if let Some(wait) = failure.retry_after {
        write!(f, "\n  try again after {wait:?}")?;
    }
    if let Some(id) = request_id {
        write!(f, "\n  request_id: {id}")?;
    }
    if let Some(trace_id) = &failure.trace_id {
        write!(f, "\n  trace_id: {trace_id}")?;
    }
    Ok(())
}

fn failure_json(failure: &Failure, request_id: Option<Uuid>) -> Value {
    let violations: Vec<_> = failure
        .violations
        .iter()
        .map(|violation| {
            json!({
                "field": violation.field,
                "reason": violation.reason,
                "message_en": violation.message,
            })
        })
        .collect();
    let mut error = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            error.insert(name.to_owned(), value);
        }
    };
    put("code", json!(failure.code_name()));
    put("reason", json!(failure.reason));
    put("message_en", json!(failure.message));
    put("message_fa", json!(failure.message_fa));
    put("violations", json!(violations));
    put("metadata", json!(failure.metadata));
    let wait = failure.retry_after.map(|wait| wait.as_millis());
    put("retry_after_ms", json!(wait));
    put("request_id", json!(request_id.map(|id| id.to_string())));
    put("trace_id", json!(failure.trace_id));
    Value::Object(error)
}

/// Every answer of the service has a reason; what has none comes from the connection.
fn of_failure(failure: &Failure) -> Exit {
    match (failure.code, &failure.reason) {
        (_, None) => Exit::Unavailable,
        (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, _) => Exit::Unavailable,
        (Code::Internal | Code::Unknown | Code::DataLoss, _) => Exit::Internal,
        _ => Exit::Negative,
    }
}

fn of_connection(error: &ClientError) -> Exit {
    match error {
        ClientError::Endpoint { .. }
        | ClientError::File { .. }
        | ClientError::Pem { .. }
        | ClientError::Identity { .. }
        | ClientError::Traceparent => Exit::Usage,
        _ => Exit::Unavailable,
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Schema(_) | StoreError::Config(_) => Exit::Usage,
        StoreError::Unavailable
        | StoreError::Timeout
        | StoreError::CommitUnknown
        | StoreError::Conflict => Exit::Unavailable,
        StoreError::Constraint(_)
        | StoreError::Database { .. }
        | StoreError::NotOrdered(_)
        | StoreError::Corrupt(_) => Exit::Internal,
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        Self::Connection(error)
    }
}

impl From<gavah_bench::process::ProcessError> for Problem {
    fn from(error: gavah_bench::process::ProcessError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self::Usage(
            error
                .problems
                .iter()
                .map(|problem| config_problem(&error.file, problem))
                .collect(),
        )
    }
}

/// `gavah.toml:12: limits.max_connections: must be …`
fn config_problem(file: &std::path::Path, problem: &gavah_server::config::Problem) -> String {
    let mut text = file.display().to_string();
    if let Some(line) = problem.line {
        text.push_str(&format!(":{line}"));
    }
    if !problem.key.is_empty() {
        text.push_str(&format!(": {}", problem.key));
    }
    format!("{text}: {}", problem.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: Code, reason: Option<&str>) -> Problem {
        let mut failure = Failure::of(&tonic::Status::new(code, "the code is taken"));
        failure.reason = reason.map(str::to_owned);
        failure.message_fa = Some("کد صادر شده است".to_owned());
        failure.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
        Problem::Failure {
            failure: Box::new(failure),
            request_id: Some(Uuid::nil()),
        }
    }

    #[test]
    fn the_exit_code_tells_refused_from_unavailable_from_broken() {
        for (code, reason, exit) in [
            (
                Code::AlreadyExists,
                Some("CODE_ALREADY_ISSUED"),
                Exit::Negative,
            ),
            (
                Code::InvalidArgument,
                Some("FIELD_REQUIRED"),
                Exit::Negative,
            ),
            (
                Code::Unauthenticated,
                Some("CALLER_NOT_ACTIVE"),
                Exit::Negative,
            ),
            (Code::Unavailable, Some("DRAINING"), Exit::Unavailable),
            (
                Code::DeadlineExceeded,
                Some("DEADLINE_PASSED"),
                Exit::Unavailable,
            ),
            (Code::Internal, Some("INTERNAL"), Exit::Internal),
            (Code::Unknown, None, Exit::Unavailable),
        ] {
            assert_eq!(failure(code, reason).exit(), exit, "{code:?} {reason:?}");
        }
        assert_eq!(
            Problem::from(StoreError::Unavailable).exit(),
            Exit::Unavailable
        );
        assert_eq!(
            Problem::from(StoreError::Schema(String::new())).exit(),
            Exit::Usage
        );
        assert_eq!(Problem::from(ClientError::Traceparent).exit(), Exit::Usage);
    }

    #[test]
    fn an_error_of_the_service_is_told_in_both_languages_with_its_trace() {
        let problem = failure(Code::AlreadyExists, Some("CODE_ALREADY_ISSUED"));
        assert_eq!(
            problem.to_string(),
            "ALREADY_EXISTS CODE_ALREADY_ISSUED: the code is taken\n  کد صادر شده است\n  \
             request_id: 00000000-0000-0000-0000-000000000000\n  \
             trace_id: 4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(
            problem.to_json(),
            json!({
                "code": "ALREADY_EXISTS",
                "reason": "CODE_ALREADY_ISSUED",
                "message_en": "the code is taken",
                "message_fa": "کد صادر شده است",
                "violations": [],
                "metadata": {},
                "request_id": "00000000-0000-0000-0000-000000000000",
                "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            })
        );
    }

    #[test]
    fn every_usage_problem_is_listed() {
        let problem = Problem::Usage(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(problem.to_string(), "2 problems\n  a\n  b");
        assert_eq!(problem.to_json()["problems"], json!(["a", "b"]));
    }
}
