//! Ids of traces that are chosen before their spans are made.

use std::cell::Cell;

use opentelemetry::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

thread_local! {
    static CHOSEN: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// The trace that `act` begins on this thread, if it begins one, has this id.
pub(crate) fn in_trace<T>(trace_id: TraceId, act: impl FnOnce() -> T) -> T {
    CHOSEN.set(Some(trace_id));
    let done = act();
    CHOSEN.set(None);
    done
}

/// Chosen ids, else random ones.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        CHOSEN.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
