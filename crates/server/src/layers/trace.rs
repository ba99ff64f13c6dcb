//! W3C trace context: the caller's trace goes on in the span of its call, and the answer says where.

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context, SpanId, TraceId,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, TraceContextExt, TraceFlags, TraceState},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use gavah_domain::Entropy;

/// Header that names trace and span, in requests and answers.
pub(super) const TRACEPARENT: &str = "traceparent";

/// Makes `span` a child of the span that the headers name, and tells which trace and span it is itself. Without
/// tracing export there still is a trace id, for errors and the log: the caller's, else a random one.
pub(super) fn join(span: &Span, headers: &HeaderMap, entropy: &dyn Entropy) -> SpanContext {
    let parent =
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Carrier(headers));
    let remote = parent.span().span_context().clone();
    if remote.is_valid() {
        // Refused where no exporter listens.
        let _ = span.set_parent(parent);
    }
    let own = span.context().span().span_context().clone();
    if own.is_valid() {
        return own;
    }
    let mut random = [0; 24];
    // Without randomness the ids are zero: the call is still served.
    let _ = entropy.fill(&mut random);
    let [trace, span] = [&random[..16], &random[16..]];
    let trace_id = match remote.is_valid() {
        true => remote.trace_id(),
        false => TraceId::from_bytes(trace.try_into().unwrap_or_default()),
    };
    SpanContext::new(
        trace_id,
        SpanId::from_bytes(span.try_into().unwrap_or_default()),
        TraceFlags::NOT_SAMPLED,
        false,
        TraceState::NONE,
    )
}

/// The `traceparent` of a span.
pub(super) fn traceparent(span: &SpanContext) -> Option<HeaderValue> {
    let flags = (span.trace_flags() & TraceFlags::SAMPLED).to_u8();
    HeaderValue::try_from(format!(
        "00-{}-{}-{flags:02x}",
        span.trace_id(),
        span.span_id()
    ))
    .ok()
}

struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}
