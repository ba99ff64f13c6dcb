//! Names of the span, the metric and their fields, after the OpenTelemetry conventions for RPC where these have one.

use tonic::Code;

/// Span of one call; the store's spans are inside it.
pub const SPAN_RPC: &str = "rpc";
/// Target of the line that is logged at the end of each call.
pub const ACCESS_TARGET: &str = "gavah::access";

/// Field: name of the exported span.
pub const OTEL_NAME: &str = "otel.name";
/// Field: kind of the exported span.
pub const OTEL_KIND: &str = "otel.kind";
/// Field: status of the exported span, `ERROR` for faults of the service.
pub const OTEL_STATUS_CODE: &str = "otel.status_code";
/// Field: always `grpc`.
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// Field: `gavah.v1.ValidationService/ValidateCode`, or [`UNKNOWN_METHOD`].
pub const RPC_METHOD: &str = "rpc.method";
/// Field: `OK`, `NOT_FOUND`, ….
pub const RPC_STATUS_CODE: &str = "rpc.response.status_code";
/// Field: the reason of a failed call.
pub const ERROR_TYPE: &str = "error.type";
/// Field: id of the caller, once it is authenticated.
pub const CALLER_ID: &str = "gavah.caller.id";
/// Field: national id of the agency on whose behalf the hub calls.
pub const AGENCY_ID: &str = "gavah.agency.id";
/// Field: time from the request's headers to the end of the answer, in milliseconds.
pub const DURATION_MS: &str = "duration_ms";
/// Field: the trace of the call, 32 hexadecimal digits.
pub const TRACE_ID: &str = "trace_id";

/// Histogram: duration of calls in seconds, by [`LABEL_METHOD`] and [`LABEL_STATUS_CODE`].
pub const RPC_DURATION_SECONDS: &str = "rpc_server_call_duration_seconds";
/// Label: as [`RPC_METHOD`].
pub const LABEL_METHOD: &str = "rpc_method";
/// Label: as [`RPC_STATUS_CODE`].
pub const LABEL_STATUS_CODE: &str = "rpc_response_status_code";

/// Stands for every method the service does not know: what a peer makes up becomes neither a label nor a log line.
pub const UNKNOWN_METHOD: &str = "unknown";

/// The canonical name of a gRPC code.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
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

/// Whether a code tells of a fault of the service, so that the call's span counts as failed.
#[must_use]
pub const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
