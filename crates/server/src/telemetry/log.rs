//! Log lines: what an event says, when, where, and in which trace.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::OnceLock;

use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde::Serializer as _;
use serde::ser::SerializeMap;
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use gavah_domain::clock::{Clock, SystemClock};

use crate::config::LogFormat;

const MESSAGE: &str = "message";
const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";

/// Writes every event as one line: its own fields and the ids of its span, nothing of the span's fields.
pub(super) struct LogLayer<W> {
    format: LogFormat,
    writer: W,
    /// The subscriber this layer is part of, for asking it about spans.
    dispatch: OnceLock<WeakDispatch>,
}

impl<W> LogLayer<W> {
    pub(super) fn new(format: LogFormat, writer: W) -> Self {
        Self {
            format,
            writer,
            dispatch: OnceLock::new(),
        }
    }

    fn span_context<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>) -> Option<SpanContext>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let span = ctx.event_span(event)?;
        let dispatch = self.dispatch.get()?.upgrade()?;
        let context = tracing_opentelemetry::get_otel_context(&span.id(), &dispatch)?;
        Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
    }
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        // A layer is part of one subscriber.
        let _ = self.dispatch.set(subscriber.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(span) = self.span_context(event, &ctx) {
            fields.add_unless_there(TRACE_ID, span.trace_id().to_string());
            fields.add_unless_there(SPAN_ID, span.span_id().to_string());
        }
        let line = match self.format {
            LogFormat::Json => json(event, &fields),
            LogFormat::Text => text(event, &fields),
        };
        // There is nobody left to tell.
        let _ = line.and_then(|line| self.writer.make_writer().write_all(&line));
    }
}

fn json(event: &Event<'_>, fields: &Fields) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", &SystemClock.now().to_string())?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    map.serialize_entry("target", event.metadata().target())?;
    map.serialize_entry(MESSAGE, &fields.message)?;
    for (name, value) in &fields.others {
        map.serialize_entry(name, value)?;
    }
    map.end()?;
    line.push(b'\n');
    Ok(line)
}

fn text(event: &Event<'_>, fields: &Fields) -> io::Result<Vec<u8>> {
    let mut line = String::with_capacity(256);
    let (level, target) = (event.metadata().level(), event.metadata().target());
    write!(
        line,
        "{} {level:>5} {target}: {}",
        SystemClock.now(),
        Plain(&fields.message)
    )
    .map_err(io::Error::other)?;
    for (name, value) in &fields.others {
        match value {
            serde_json::Value::String(value) => write!(line, " {name}={}", Plain(value)),
            value => write!(line, " {name}={value}"),
        }
        .map_err(io::Error::other)?;
    }
    line.push('\n');
    Ok(line.into_bytes())
}

/// Text in which nothing ends the line or drives the terminal.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|letter| match letter.is_control() {
                true => write!(f, "{}", letter.escape_default()),
                false => f.write_char(letter),
            })
    }
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, serde_json::Value)>,
}

impl Fields {
    fn add(&mut self, name: &'static str, value: impl Into<serde_json::Value>) {
        self.others.push((name, value.into()));
    }

    fn add_unless_there(&mut self, name: &'static str, value: String) {
        if self.others.iter().all(|(other, _)| *other != name) {
            self.add(name, value);
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => value.clone_into(&mut self.message),
            name => self.add(name, value),
        }
    }

    /// An error with what caused it, which errors do not print themselves.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            // Writing to a string does not fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.add(field.name(), text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
