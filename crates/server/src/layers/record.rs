//! What is kept of one call when it is over: its span's last fields, one measurement, one line of log.

use http::HeaderMap;
use tonic::Code;
use tracing::{Level, Span, field::Empty};

use super::{
    CallerSlot, Sampling,
    durations::Measure,
    names,
    normalise::End,
    trace::{self, Place},
};

/// A call under way. However it ends, it is recorded exactly once: with its status, or as cancelled when it is dropped
/// before there is one.
#[derive(Debug)]
pub(super) struct Record {
    measure: Measure,
    pub(super) place: Place,
    /// None unless the call is traced.
    pub(super) span: Span,
    pub(super) caller: CallerSlot,
    ended: bool,
}

impl Record {
    /// Begins with an open span if the call is traced.
    pub(super) fn begin(measure: Measure, headers: &HeaderMap, sampling: &Sampling) -> Record {
        let method = measure.method();
        let (place, span) = trace::begin(headers, sampling, || {
            tracing::info_span!(
                names::SPAN_RPC,
                { names::OTEL_NAME } = method,
                { names::OTEL_KIND } = "server",
                { names::OTEL_STATUS_CODE } = Empty,
                { names::RPC_SYSTEM_NAME } = "grpc",
                { names::RPC_METHOD } = method,
                { names::RPC_STATUS_CODE } = Empty,
                { names::ERROR_TYPE } = Empty,
                { names::CALLER_ID } = Empty,
                { names::AGENCY_ID } = Empty,
            )
        });
        Record {
            measure,
            place,
            span,
            caller: CallerSlot::default(),
            ended: false,
        }
    }

    /// Records the end; a second one is ignored.
    pub(super) fn end(&mut self, end: &End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let code = names::code_name(end.code);
        let took = self.measure.end(end.code);
        let (caller, reason) = (self.caller.id(), end.reason.as_deref());
        let agency = self.caller.agency();

        self.span.record(names::RPC_STATUS_CODE, code);
        self.span.record(names::CALLER_ID, caller);
        self.span.record(names::AGENCY_ID, agency);
        self.span.record(names::ERROR_TYPE, reason);
        if names::is_fault(end.code) {
            self.span.record(names::OTEL_STATUS_CODE, "ERROR");
        }
        tracing::event!(
            target: names::ACCESS_TARGET,
            parent: &self.span,
            Level::INFO,
            {
                { names::RPC_METHOD } = self.measure.method(),
                { names::RPC_STATUS_CODE } = code,
                { names::DURATION_MS } = took.as_secs_f64() * 1000.0,
                { names::CALLER_ID } = caller,
                { names::AGENCY_ID } = agency,
                { names::ERROR_TYPE } = reason,
                { names::TRACE_ID } = %self.place.trace_id
            },
            "call"
        );
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // The client went away; after an end this does nothing.
        self.end(&End {
            code: Code::Cancelled,
            reason: None,
        });
    }
}
