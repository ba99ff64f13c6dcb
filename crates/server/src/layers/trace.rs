//! W3C trace context: the caller's trace goes on in its call, and the answer says where. Whether a call is traced is
//! decided before anything is made for it: most are not, and cost no more than two random numbers.

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, TraceContextExt, TraceState},
};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{config::TelemetryConfig, telemetry};

/// Header that names trace and span, in requests and answers.
pub(super) const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Which calls are traced: those whose caller says so, and of those that begin a trace a part.
#[derive(Debug, Clone)]
pub struct Sampling(Option<Sampler>);

impl Sampling {
    /// No call is.
    pub const NONE: Self = Self(None);

    /// As configured; none without a collector to send them to.
    #[must_use]
    pub fn of(config: &TelemetryConfig) -> Self {
        let exported = config.otlp_endpoint.is_some();
        Self(exported.then_some(Sampler::TraceIdRatioBased(config.sample_ratio)))
    }

    /// The same trace id is decided upon alike by everybody with the same ratio.
    fn takes(&self, trace_id: TraceId, parent: Option<&SpanContext>) -> bool {
        match (&self.0, parent) {
            (None, _) => false,
            (Some(_), Some(parent)) => parent.is_sampled(),
            (Some(sampler), None) => {
                let sampled =
                    sampler.should_sample(None, trace_id, "", &SpanKind::Server, &[], &[]);
                sampled.decision == SamplingDecision::RecordAndSample
            }
        }
    }
}

/// The place of a call in its trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) trace_id: TraceId,
    span_id: SpanId,
    sampled: bool,
}

/// Finds the call's place under the span that the headers name, or in a trace of its own. Only for a call that is
/// traced a span is opened.
pub(super) fn begin(
    headers: &HeaderMap,
    sampling: &Sampling,
    open: impl FnOnce() -> Span,
) -> (Place, Span) {
    let ids = RandomIdGenerator::default();
    let parent = parent(headers);
    let trace_id = match &parent {
        Some(parent) => parent.trace_id(),
        None => ids.new_trace_id(),
    };
    let untraced = || Place {
        trace_id,
        span_id: ids.new_span_id(),
        sampled: false,
    };
    if !sampling.takes(trace_id, parent.as_ref()) {
        return (untraced(), Span::none());
    }
    let span = open();
    if let Some(parent) = parent {
        // Refused where no exporter listens.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    let context = telemetry::in_trace(trace_id, || span.context());
    let own = context.span().span_context().clone();
    let place = match own.is_valid() {
        true => Place {
            trace_id: own.trace_id(),
            span_id: own.span_id(),
            sampled: own.is_sampled(),
        },
        false => untraced(),
    };
    (place, span)
}

impl Place {
    /// The `traceparent` of the call.
    pub(super) fn traceparent(&self) -> Option<HeaderValue> {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        hex(&self.trace_id.to_bytes(), &mut text[3..35]);
        hex(&self.span_id.to_bytes(), &mut text[36..52]);
        text[54] += u8::from(self.sampled);
        let mut value = HeaderValue::from_bytes(&text).ok()?;
        // Never the same twice: no place for it in the table of a connection's headers.
        value.set_sensitive(true);
        Some(value)
    }
}

fn hex(bytes: &[u8], into: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, digits) in bytes.iter().zip(into.chunks_exact_mut(2)) {
        digits.copy_from_slice(&[
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]);
    }
}

/// The span that the headers name, if they name one.
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let (trace_id, span_id, flags) = parse(headers.get(TRACEPARENT)?.as_bytes())?;
    let state = headers
        .get(TRACESTATE)
        .and_then(|state| state.to_str().ok()?.parse::<TraceState>().ok());
    let context = SpanContext::new(trace_id, span_id, flags, true, state.unwrap_or_default());
    context.is_valid().then_some(context)
}

/// Version, trace, span and flags in lower-case hexadecimal, of fixed lengths; later versions may have more after them.
fn parse(header: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, more) = header.trim_ascii().split_at_checked(55)?;
    let part = |from: usize, to: usize| {
        let digits = known.get(from..to)?;
        let lower = digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        lower.then(|| str::from_utf8(digits).ok()).flatten()
    };
    let dashes = [2, 35, 52].iter().all(|dash| known[*dash] == b'-');
    let fits = match part(0, 2)? {
        "ff" => false,
        "00" => more.is_empty(),
        _ => more.is_empty() || more.starts_with(b"-"),
    };
    if !dashes || !fits {
        return None;
    }
    let flags = u8::from_str_radix(part(53, 55)?, 16).ok()?;
    Some((
        TraceId::from_hex(part(3, 35)?).ok()?,
        SpanId::from_hex(part(36, 52)?).ok()?,
        // What other flags mean is not known.
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn of(traceparent: &str, tracestate: &'static str) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, traceparent.parse().unwrap());
        headers.insert(TRACESTATE, HeaderValue::from_static(tracestate));
        parent(&headers)
    }

    #[test]
    fn a_parent_is_read_as_the_standard_says() {
        for (header, sampled) in [
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("  00-{TRACE}-{SPAN}-03 "), true),
            (format!("00-{TRACE}-{SPAN}-fe"), false),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what comes later"), true),
        ] {
            let parent = of(&header, "vendor=1").expect(&header);
            assert_eq!(parent.trace_id().to_string(), TRACE);
            assert_eq!(parent.span_id().to_string(), SPAN);
            assert!(parent.is_remote());
            assert_eq!(parent.is_sampled(), sampled, "{header}");
            assert_eq!(parent.trace_state().header(), "vendor=1");
        }
        let odd = of(&format!("00-{TRACE}-{SPAN}-01"), "no state").unwrap();
        assert_eq!(odd.trace_state().header(), "");
    }

    #[test]
    fn what_is_no_parent_is_none() {
        let zero = "0".repeat(32);
        for header in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00-{TRACE}-{SPAN}-+1"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{zero}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zero[..16]),
            format!("00-{TRACE}{SPAN}--01"),
        ] {
            assert_eq!(of(&header, ""), None, "{header}");
        }
    }

    fn sampling(ratio: f64) -> Sampling {
        Sampling(Some(Sampler::TraceIdRatioBased(ratio)))
    }

    #[test]
    fn the_part_that_is_sampled_depends_on_the_trace_id_alone() {
        let trace_id =
            |low: u64| TraceId::from_bytes((1_u128 << 100 | u128::from(low)).to_be_bytes());
        for (ratio, low, sampled) in [
            (1.0, u64::MAX, true),
            (0.0, 0, false),
            (0.5, u64::MAX / 2 - 9, true),
            (0.5, u64::MAX / 2 + 9, false),
            (0.01, u64::MAX / 101, true),
            (0.01, u64::MAX / 99, false),
        ] {
            assert_eq!(
                sampling(ratio).takes(trace_id(low), None),
                sampled,
                "{ratio} {low}"
            );
        }
        assert!(!Sampling::NONE.takes(trace_id(0), None));
    }

    #[test]
    fn the_callers_decision_is_followed_whatever_the_part() {
        for flags in ["00", "01"] {
            let parent = of(&format!("00-{TRACE}-{SPAN}-{flags}"), "");
            for ratio in [0.0, 1.0] {
                let taken = sampling(ratio).takes(TraceId::INVALID, parent.as_ref());
                assert_eq!(taken, flags == "01", "{flags} {ratio}");
            }
            assert!(!Sampling::NONE.takes(TraceId::INVALID, parent.as_ref()));
        }
    }
}
