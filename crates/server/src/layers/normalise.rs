//! One form for all errors: what tonic, its health and reflection services or a broken request come to, told as the
//! rest of the service tells its errors.

use std::borrow::Cow;

use http::HeaderMap;
use opentelemetry::TraceId;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use gavah_domain::Reason;

use crate::{
    error::{AppError, Refusal},
    status::status_and_reason,
};

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) code: Code,
    /// Reason of a failed call.
    pub(super) reason: Option<Cow<'static, str>>,
}

impl End {
    /// The end of a call that failed for this reason.
    pub(super) fn of(code: Code, reason: Reason) -> End {
        End {
            code,
            reason: Some(Cow::Borrowed(reason.as_str())),
        }
    }
}

/// Reads the status out of headers or trailers, after giving it the one form if it has not got it yet. Headers without
/// a status become those of an internal error.
pub(super) fn normalise(headers: &mut HeaderMap, trace_id: TraceId) -> End {
    let error = match headers.get(Status::GRPC_STATUS) {
        None => Some(AppError::Internal("an answer without a status")),
        Some(code) if Code::from_bytes(code.as_bytes()) == Code::Ok => {
            return End {
                code: Code::Ok,
                reason: None,
            };
        }
        // Only the one mapper gives details.
        Some(_) if headers.contains_key(Status::GRPC_STATUS_DETAILS) => None,
        Some(_) => Status::from_header_map(headers)
            .and_then(|status| restated(status.code(), status.message())),
    };
    if let Some(error) = error {
        headers.remove(Status::GRPC_MESSAGE);
        let (status, reason) = status_and_reason(error, trace_id);
        // The texts are fixed and the details base64: both are good header values.
        let _ = status.add_header(headers);
        return End::of(status.code(), reason);
    }
    let status = Status::from_header_map(headers);
    End {
        code: status.as_ref().map_or(Code::Unknown, Status::code),
        reason: status
            .and_then(|status| status.get_details_error_info())
            .map(|info| Cow::Owned(info.reason)),
    }
}

/// The service's own error for a status that somebody else made. The texts are those of tonic and prost; a test makes
/// each of them.
fn restated(code: Code, message: &str) -> Option<AppError> {
    let reason = match code {
        Code::Ok => return None,
        Code::Cancelled if message == "Timeout expired" => Reason::DeadlinePassed,
        // The client went away: nobody reads the answer.
        Code::Cancelled => return None,
        Code::DeadlineExceeded => Reason::DeadlinePassed,
        Code::OutOfRange if message.starts_with("Error, decoded message length too large") => {
            Reason::MessageTooLarge
        }
        Code::ResourceExhausted if message.starts_with("Error decompressing") => {
            Reason::MessageTooLarge
        }
        Code::ResourceExhausted | Code::Unavailable => Reason::Overloaded,
        // The protocol wants this code, and the answer's grpc-accept-encoding, for an unknown compression.
        Code::Unimplemented if message.starts_with("Content is compressed") => {
            let refusal = Refusal::new(Reason::MethodUnknown).with("unsupported", "grpc-encoding");
            return Some(refusal.into());
        }
        Code::Unimplemented => Reason::MethodUnknown,
        Code::NotFound => Reason::ResourceNotFound,
        Code::InvalidArgument => Reason::FieldFormat,
        Code::Internal if is_unreadable_request(message) => {
            return Some(
                Refusal::new(Reason::FieldFormat)
                    .with("part", "message")
                    .into(),
            );
        }
        Code::Internal => return Some(AppError::Internal("an error of a library")),
        Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss
        | Code::Unauthenticated => {
            return Some(AppError::Internal("a status outside the error contract"));
        }
    };
    Some(reason.into())
}

/// Whether tonic gave up on the body of the request, rather than on its own work.
fn is_unreadable_request(message: &str) -> bool {
    [
        "failed to decode Protobuf message: ",
        "protocol error: received message with ",
        "Unexpected EOF decoding stream.",
        "Missing request message.",
        "Error decompressing: ",
        "h2 protocol error: ",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::to_status;

    const TRACE: TraceId = TraceId::from_bytes(*b"a trace, 16 byte");

    fn told(status: Status) -> (Code, String, HeaderMap) {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let end = normalise(&mut headers, TRACE);
        let told = Status::from_header_map(&headers).unwrap();
        assert_eq!(told.code(), end.code);
        let reason = end.reason.unwrap_or_default().into_owned();
        (end.code, reason, headers)
    }

    #[test]
    fn a_status_of_the_one_mapper_and_a_good_answer_stay_as_they_are() {
        let mut headers = HeaderMap::new();
        let refusal = Refusal::new(Reason::CodeAlreadyIssued).with("resource", "validityCodes/1");
        to_status(refusal.into(), TRACE)
            .add_header(&mut headers)
            .unwrap();
        let before = headers.clone();
        let end = normalise(&mut headers, TraceId::INVALID);
        assert_eq!(headers, before);
        assert_eq!(end.code, Code::AlreadyExists);
        assert_eq!(end.reason.as_deref(), Some("CODE_ALREADY_ISSUED"));

        let (code, reason, headers) = told(Status::ok(""));
        assert_eq!((code, reason.as_str(), headers.len()), (Code::Ok, "", 1));
    }

    #[test]
    fn every_other_error_gets_a_reason_of_the_contract() {
        for (code, message, told_code, reason) in [
            (
                Code::Unimplemented,
                "",
                Code::Unimplemented,
                "METHOD_UNKNOWN",
            ),
            (
                Code::NotFound,
                "service not registered",
                Code::NotFound,
                "RESOURCE_NOT_FOUND",
            ),
            (
                Code::InvalidArgument,
                "invalid MessageRequest",
                Code::InvalidArgument,
                "FIELD_FORMAT",
            ),
            (
                Code::DeadlineExceeded,
                "",
                Code::DeadlineExceeded,
                "DEADLINE_PASSED",
            ),
            (Code::Unavailable, "", Code::Unavailable, "OVERLOADED"),
            (
                Code::Internal,
                "Error encoding: x",
                Code::Internal,
                "INTERNAL",
            ),
            (
                Code::OutOfRange,
                "Error, encoded message length too large",
                Code::Internal,
                "INTERNAL",
            ),
            (Code::Unknown, "secret", Code::Internal, "INTERNAL"),
            (Code::DataLoss, "secret", Code::Internal, "INTERNAL"),
            (Code::Unauthenticated, "secret", Code::Internal, "INTERNAL"),
        ] {
            let (code, told_reason, headers) = told(Status::new(code, message));
            assert_eq!(
                (code, told_reason.as_str()),
                (told_code, reason),
                "{message}"
            );
            assert!(!format!("{headers:?}").contains("secret"));
            let info = Status::from_header_map(&headers)
                .unwrap()
                .get_details_error_info()
                .unwrap();
            assert_eq!(info.metadata["trace_id"], TRACE.to_string());
        }
    }

    #[test]
    fn trailers_without_a_status_are_a_fault_of_the_service() {
        let mut headers = HeaderMap::new();
        assert_eq!(normalise(&mut headers, TRACE).code, Code::Internal);
        assert!(headers.contains_key(Status::GRPC_STATUS));
    }

    #[test]
    fn tonics_own_errors_of_time_and_load_are_told_apart() {
        let overloaded = Status::from_error(Box::new(tower::load_shed::error::Overloaded::new()));
        assert_eq!(told(overloaded).1, "OVERLOADED");
        let timeout = Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert_eq!(
            (told(timeout.clone()).0, told(timeout).1.as_str()),
            (Code::DeadlineExceeded, "DEADLINE_PASSED")
        );
        assert_eq!(
            told(Status::cancelled("operation was canceled")).0,
            Code::Cancelled
        );
    }
}
