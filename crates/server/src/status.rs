//! Errors as the caller sees them: the one place where an [`AppError`] becomes a gRPC status.
//!
//! Every status carries `google.rpc.ErrorInfo` (reason, domain, trace id), the fixed text in Persian and English as two
//! `LocalizedMessage`s, `BadRequest` with all violations, `QuotaFailure` with the agreement whose quota is exceeded, and
//! `RetryInfo` where waiting helps. Causes inside the
//! service are logged here, once, and never told to the caller.

use std::fmt::Display;

use prost::{Message, length_delimiter_len};
use prost_types::Any;
use tonic::Code;
use tonic_types::pb::{
    BadRequest, ErrorInfo, LocalizedMessage, QuotaFailure, RetryInfo, bad_request::FieldViolation,
    quota_failure,
};

use gavah_domain::{Category, Reason, Violation, Violations};
use gavah_store::StoreError;

use crate::error::{AppError, Refusal};

/// `ErrorInfo.domain` of every error.
pub const ERROR_DOMAIN: &str = "gavah";
/// `ErrorInfo.metadata`: the trace the call belongs to.
pub const METADATA_TRACE_ID: &str = "trace_id";
/// `ErrorInfo.metadata`: how many violations there are, when not all of them are listed.
pub const METADATA_VIOLATIONS_TOTAL: &str = "violations_total";

/// Encoded bytes that violations may take. With everything else the details stay below 5 KiB, so that in base64 they
/// fit the 8 KiB of metadata which gRPC clients accept by default.
const VIOLATIONS_BYTES: usize = 4 * 1024;

/// The status of a failed call. `trace_id` is the call's, 32 hexadecimal digits.
#[must_use]
pub fn to_status(error: AppError, trace_id: impl Display) -> tonic::Status {
    status_and_reason(error, trace_id).0
}

/// As [`to_status`], with the reason that it tells.
pub(crate) fn status_and_reason(
    error: AppError,
    trace_id: impl Display,
) -> (tonic::Status, Reason) {
    let (status, reason) = told(error, trace_id.to_string());
    let details = status.encode_to_vec().into();
    let code = Code::from_i32(status.code);
    let status = tonic::Status::with_details(code, status.message, details);
    (status, reason)
}

/// The status of one failed row in a batch that as a whole succeeds: same content as [`to_status`].
#[must_use]
pub fn row_status(error: AppError, trace_id: impl Display) -> tonic_types::Status {
    told(error, trace_id.to_string()).0
}

fn told(error: AppError, trace_id: String) -> (tonic_types::Status, Reason) {
    let Answer {
        code,
        refusal:
            Refusal {
                reason,
                metadata,
                retry_after,
                quota,
            },
        violations,
    } = Answer::to(error, &trace_id);
    let total = violations.len();
    let violations = fitting(violations);

    let mut info = ErrorInfo {
        reason: reason.as_str().to_owned(),
        domain: ERROR_DOMAIN.to_owned(),
        metadata: metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    };
    info.metadata.insert(METADATA_TRACE_ID.to_owned(), trace_id);
    if violations.len() < total {
        info.metadata
            .insert(METADATA_VIOLATIONS_TOTAL.to_owned(), total.to_string());
    }

    let mut details = vec![any("ErrorInfo", &info)];
    if total > 0 {
        let bad_request = BadRequest {
            field_violations: violations,
        };
        details.push(any("BadRequest", &bad_request));
    }
    for (locale, message) in [
        ("fa-IR", reason.message_fa()),
        ("en-US", reason.message_en()),
    ] {
        let localized = LocalizedMessage {
            locale: locale.to_owned(),
            message: message.to_owned(),
        };
        details.push(any("LocalizedMessage", &localized));
    }
    if let Some(subject) = quota {
        let exceeded = quota_failure::Violation {
            subject,
            description: reason.message_en().to_owned(),
            ..Default::default()
        };
        let exceeded = QuotaFailure {
            violations: vec![exceeded],
        };
        details.push(any("QuotaFailure", &exceeded));
    }
    if let Some(delay) = retry_after.or(reason.retry_after()) {
        let retry = RetryInfo {
            retry_delay: delay.try_into().ok(),
        };
        details.push(any("RetryInfo", &retry));
    }
    let status = tonic_types::Status {
        code: code as i32,
        message: reason.message_en().to_owned(),
        details,
    };
    (status, reason)
}

/// What an error comes to for the caller.
struct Answer {
    code: Code,
    refusal: Refusal,
    violations: Vec<Violation>,
}

impl Answer {
    fn to(error: AppError, trace_id: &str) -> Answer {
        match error {
            AppError::Invalid(violations) => Answer {
                code: Code::InvalidArgument,
                refusal: Refusal::new(shared_reason(&violations)),
                violations: violations.into_vec(),
            },
            AppError::Refused(refusal) => Answer {
                code: code_of(refusal.reason.category()),
                refusal,
                violations: Vec::new(),
            },
            AppError::Store(error) => Answer::of(store_reason(&error, trace_id)),
            AppError::Internal(cause) => {
                tracing::error!(trace_id, cause, "a call failed inside the service");
                Answer::of(Reason::Internal)
            }
        }
    }

    fn of(reason: Reason) -> Answer {
        Answer {
            code: code_of(reason.category()),
            refusal: Refusal::new(reason),
            violations: Vec::new(),
        }
    }
}

/// The reason of all violations when they have one, else the general one.
fn shared_reason(violations: &Violations) -> Reason {
    let mut reasons = violations.iter().map(|violation| violation.reason);
    match reasons.next() {
        Some(first) if reasons.all(|reason| reason == first) => first,
        _ => Reason::FieldFormat,
    }
}

/// The caller's side of a store error; the operator's side is logged.
fn store_reason(error: &StoreError, trace_id: &str) -> Reason {
    let (cause, code, constraint) = match error {
        StoreError::Unavailable => return Reason::StoreUnavailable,
        StoreError::Timeout => return Reason::DeadlinePassed,
        StoreError::Conflict => return Reason::ConcurrentUpdate,
        StoreError::NotOrdered(_) => return Reason::ActionNotOrdered,
        StoreError::CommitUnknown => {
            tracing::warn!(trace_id, "the outcome of a commit is unknown");
            return Reason::StoreUnavailable;
        }
        StoreError::Constraint(constraint) => ("constraint violated", "", constraint.as_str()),
        StoreError::Database { code, constraint } => {
            ("database error", code.as_str(), constraint.as_str())
        }
        StoreError::Corrupt(place) => ("stored data cannot be read", "", *place),
        // Their texts may quote a connection string.
        StoreError::Schema(_) => ("the schema is not the binary's", "", ""),
        StoreError::Config(_) => ("the store is not configured", "", ""),
    };
    tracing::error!(
        trace_id,
        cause,
        sqlstate = code,
        constraint,
        "a call failed in the store"
    );
    Reason::Internal
}

/// The gRPC code of a category.
const fn code_of(category: Category) -> Code {
    match category {
        Category::InvalidArgument => Code::InvalidArgument,
        Category::Unauthenticated => Code::Unauthenticated,
        Category::PermissionDenied => Code::PermissionDenied,
        Category::FailedPrecondition => Code::FailedPrecondition,
        Category::AlreadyExists => Code::AlreadyExists,
        Category::Aborted => Code::Aborted,
        Category::ResourceExhausted => Code::ResourceExhausted,
        Category::Unavailable => Code::Unavailable,
        Category::NotFound => Code::NotFound,
        Category::DeadlineExceeded => Code::DeadlineExceeded,
        Category::Unimplemented => Code::Unimplemented,
        Category::Internal => Code::Internal,
    }
}

/// The first violations, as many as fit.
fn fitting(violations: Vec<Violation>) -> Vec<FieldViolation> {
    let mut left = VIOLATIONS_BYTES;
    violations
        .into_iter()
        .map(|violation| FieldViolation {
            field: violation.field,
            description: violation.reason.message_en().to_owned(),
            reason: violation.reason.as_str().to_owned(),
            localized_message: None,
        })
        .map_while(|violation| {
            let length = violation.encoded_len();
            // One byte for the field's tag.
            left = left.checked_sub(1 + length_delimiter_len(length) + length)?;
            Some(violation)
        })
        .collect()
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/google.rpc.{name}"),
        value: message.encode_to_vec(),
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
