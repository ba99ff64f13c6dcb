//! Why a call failed, for programs and for people.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt};

use crate::retry::{self, Fault};
use crate::tls::plain;
use crate::trace::trace_id;

const TRACE_ID: &str = "trace_id";

/// A failed call. Prints as one line, and one more for every violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status code.
    pub code: Code,
    /// The rule that refused the call, e.g. `CODE_ALREADY_ISSUED`; none when the service did not answer.
    pub reason: Option<String>,
    /// What is wrong, in English.
    pub message: String,
    /// What is wrong, in Persian.
    pub message_fa: Option<String>,
    /// Names the call in the service's logs: 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// The fields that are wrong, all that the service reported.
    pub violations: Vec<Violation>,
    /// Facts about the refusal by name, e.g. `state` → `REVOKED`.
    pub metadata: BTreeMap<String, String>,
    /// How long to wait before another attempt, when waiting helps.
    pub retry_after: Option<Duration>,
    /// How often the call was made.
    pub attempts: u32,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field in the request message: `rows[3].subject.birth_date`.
    pub field: String,
    /// The rule it breaks: `FIELD_REQUIRED`.
    pub reason: String,
    /// What is wrong, in English; may be empty.
    pub message: String,
}

impl Failure {
    /// Decodes a status with its details; for calls made without [`Client::call`](crate::Client::call).
    pub fn of(status: &Status) -> Self {
        let mut failure = Self {
            code: status.code(),
            reason: None,
            message: status.message().to_owned(),
            message_fa: None,
            trace_id: None,
            violations: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: None,
            attempts: 1,
        };
        for detail in status.get_error_details_vec() {
            failure.add(detail);
        }
        failure.trace_id = failure
            .metadata
            .remove(TRACE_ID)
            .or_else(|| trace_id(status.metadata()));
        match Fault::of(status) {
            Fault::Answer => {}
            Fault::Time => return Self::out_of_time(),
            Fault::Connection | Fault::Certificate => failure.message = transport_text(status),
        }
        failure
    }

    /// The failure of a call whose time ran out on this side.
    pub(crate) fn out_of_time() -> Self {
        Self::of(&Status::deadline_exceeded(
            "no answer came within the time for this call",
        ))
    }

    fn add(&mut self, detail: ErrorDetail) {
        match detail {
            ErrorDetail::ErrorInfo(info) => {
                self.reason = Some(info.reason);
                self.metadata.extend(info.metadata);
            }
            ErrorDetail::BadRequest(bad) => {
                self.violations
                    .extend(bad.field_violations.into_iter().map(|violation| Violation {
                        field: violation.field,
                        reason: violation.reason,
                        message: violation.description,
                    }));
            }
            ErrorDetail::RetryInfo(retry) => self.retry_after = retry.retry_delay,
            ErrorDetail::LocalizedMessage(text) if text.locale == "fa-IR" => {
                self.message_fa = Some(text.message);
            }
            _ => {}
        }
    }

    /// The canonical name of the status code: `FAILED_PRECONDITION`.
    pub fn code_name(&self) -> &'static str {
        match self.code {
            Code::Ok => "OK",
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// A transport error says "transport error"; what happened is at the end of its chain.
fn transport_text(status: &Status) -> String {
    let mut source: Option<&(dyn Error + 'static)> = status.source();
    let mut deepest = status.message().to_owned();
    while let Some(error) = source {
        if let Some(alert) = retry::alert(error) {
            return format!("the server refuses this client's certificate: {alert}");
        }
        deepest = error.to_string();
        source = error.source();
    }
    format!("the connection failed: {}", plain(&deepest))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code_name())?;
        if let Some(reason) = &self.reason {
            write!(f, " {reason}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        for (name, value) in &self.metadata {
            write!(f, ", {name} {value}")?;
        }
        if self.attempts > 1 {
            write!(f, ", after {} attempts", self.attempts)?;
        }
        if let Some(trace_id) = &self.trace_id {
            write!(f, " (trace {trace_id})")?;
        }
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)?;
        if !self.message.is_empty() {
            write!(f, " ({})", self.message)?;
        }
        Ok(())
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use tonic_types::{BadRequest, ErrorInfo, FieldViolation, LocalizedMessage, RetryInfo};

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn violation(field: &str, reason: &str) -> FieldViolation {
        FieldViolation {
            field: field.to_owned(),
            reason: reason.to_owned(),
            ..FieldViolation::default()
        }
    }

    fn localized(locale: &str, message: &str) -> LocalizedMessage {
        LocalizedMessage {
            locale: locale.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn every_detail_of_a_refusal_is_decoded_and_printed() {
        let info = ErrorInfo::new(
            "FIELD_REQUIRED",
            "gavah",
            [
                (TRACE_ID.to_owned(), TRACE.to_owned()),
                ("total".to_owned(), "2".to_owned()),
            ],
        );
        let details: Vec<ErrorDetail> = vec![
            info.into(),
            BadRequest::new([
                violation("program.level", "FIELD_REQUIRED"),
                violation("document.gpa", "FIELD_FORMAT"),
            ])
            .into(),
            localized("en-US", "the field is required").into(),
            localized("fa-IR", "تکمیل این فیلد الزامی است").into(),
            RetryInfo::new(Some(Duration::from_millis(100))).into(),
        ];
        let status =
            Status::with_error_details_vec(Code::InvalidArgument, "the field is required", details);
        let failure = Failure::of(&status);
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(failure.reason.as_deref(), Some("FIELD_REQUIRED"));
        assert_eq!(failure.trace_id.as_deref(), Some(TRACE));
        assert_eq!(
            failure.message_fa.as_deref(),
            Some("تکمیل این فیلد الزامی است")
        );
        assert_eq!(failure.retry_after, Some(Duration::from_millis(100)));
        assert_eq!(failure.violations.len(), 2);
        assert_eq!(
            failure.to_string(),
            format!(
                "INVALID_ARGUMENT FIELD_REQUIRED: the field is required, total 2 (trace {TRACE})\
                 \n  program.level: FIELD_REQUIRED\n  document.gpa: FIELD_FORMAT"
            )
        );
    }

    #[test]
    fn a_status_without_details_is_still_a_failure() {
        let mut status = Status::unauthenticated("who are you");
        status.metadata_mut().insert(
            "traceparent",
            format!("00-{TRACE}-00f067aa0ba902b7-01").parse().unwrap(),
        );
        let failure = Failure::of(&status);
        assert_eq!(
            failure.to_string(),
            format!("UNAUTHENTICATED: who are you (trace {TRACE})")
        );
        assert_eq!(failure.reason, None);
    }

    #[test]
    fn details_that_cannot_be_decoded_do_not_hide_the_status() {
        let status = Status::with_details(Code::Internal, "broken", vec![0xff; 8].into());
        assert_eq!(Failure::of(&status).to_string(), "INTERNAL: broken");
    }
}
