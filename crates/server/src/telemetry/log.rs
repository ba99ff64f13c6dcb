//! Log lines: what an event says, when, where, and in which trace.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;

use jiff::Timestamp;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use serde::Serialize;
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
        let span = self.span_context(event, &ctx);
        let write = |scratch: &mut Scratch| {
            scratch.write(self.format, event, span.as_ref());
            let mut writer = self.writer.make_writer_for(event.metadata());
            // There is nobody left to tell.
            let _ = writer.write_all(&scratch.line);
        };
        let written = SCRATCH.try_with(|scratch| {
            scratch
                .try_borrow_mut()
                .map(|mut scratch| write(&mut scratch))
        });
        // The thread is ending, or a value has logged while it was printed.
        if !matches!(written, Ok(Ok(()))) {
            write(&mut Scratch::default());
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What a thread makes its lines in, again and again.
#[derive(Default)]
struct Scratch {
    line: Vec<u8>,
    /// The text of one value.
    text: String,
    second: Second,
}

/// A second, written out: the part of the time that many lines share.
#[derive(Default)]
struct Second {
    second: i64,
    text: String,
}

impl Second {
    /// The time up to the second, without a zone.
    fn of(&mut self, now: Timestamp) -> &str {
        if self.text.is_empty() || self.second != now.as_second() {
            self.second = now.as_second();
            self.text.clear();
            // Writing to a string does not fail.
            let _ = write!(self.text, "{now:.0}");
        }
        self.text.trim_end_matches('Z')
    }
}

impl Scratch {
    /// Makes the line of an event.
    fn write(&mut self, format: LogFormat, event: &Event<'_>, span: Option<&SpanContext>) {
        let Self { line, text, second } = self;
        line.clear();
        let now = SystemClock.now();
        let (second, micros) = (second.of(now), now.subsec_nanosecond() / 1000);
        let (level, target) = (event.metadata().level(), event.metadata().target());
        // Writing to a vector does not fail. No level and no target has anything to escape.
        let _ = match format {
            LogFormat::Json => write!(
                line,
                r#"{{"timestamp":"{second}.{micros:06}Z","level":"{level}","target":"{target}","{MESSAGE}":"#
            ),
            LogFormat::Text => write!(line, "{second}.{micros:06}Z {level:>5} {target}: "),
        };
        let mut fields = Fields {
            format,
            line,
            text,
            of: Part::Message,
            states_trace: false,
        };
        let before = fields.line.len();
        event.record(&mut fields);
        if fields.line.len() == before {
            fields.string("");
        }
        fields.of = Part::Rest;
        event.record(&mut fields);
        if let Some(span) = span {
            if !fields.states_trace {
                fields.shown(TRACE_ID, format_args!("{}", span.trace_id()));
            }
            fields.shown(SPAN_ID, format_args!("{}", span.span_id()));
        }
        line.extend_from_slice(match format {
            LogFormat::Json => b"}\n",
            LogFormat::Text => b"\n",
        });
    }
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

/// Writes the fields of one event into its line: first the message, which may come anywhere among them, then the rest.
struct Fields<'a> {
    format: LogFormat,
    line: &'a mut Vec<u8>,
    text: &'a mut String,
    of: Part,
    /// Whether the event names its trace itself.
    states_trace: bool,
}

#[derive(PartialEq)]
enum Part {
    Message,
    Rest,
}

impl Fields<'_> {
    /// Begins a field; false when it is not to be written now.
    fn begin(&mut self, name: &str) -> bool {
        let part = if name == MESSAGE {
            Part::Message
        } else {
            Part::Rest
        };
        if part != self.of {
            return false;
        }
        if part == Part::Rest {
            self.states_trace |= name == TRACE_ID;
            match self.format {
                LogFormat::Json => {
                    self.line.push(b',');
                    self.json(name);
                    self.line.push(b':');
                }
                LogFormat::Text => {
                    self.line.push(b' ');
                    self.line.extend_from_slice(name.as_bytes());
                    self.line.push(b'=');
                }
            }
        }
        true
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        // Neither texts nor numbers fail, and a vector takes all.
        let _ = serde_json::to_writer(&mut *self.line, value);
    }

    fn string(&mut self, value: &str) {
        match self.format {
            LogFormat::Json => self.json(value),
            LogFormat::Text => {
                let _ = write!(self.line, "{}", Plain(value));
            }
        }
    }

    fn number(&mut self, field: &Field, value: impl Serialize) {
        if self.begin(field.name()) {
            self.json(&value);
        }
    }

    fn shown(&mut self, name: &str, value: fmt::Arguments<'_>) {
        if self.begin(name) {
            let mut text = std::mem::take(self.text);
            text.clear();
            let _ = text.write_fmt(value);
            self.string(&text);
            *self.text = text;
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.begin(field.name()) {
            self.string(value);
        }
    }

    /// An error with what caused it, which errors do not print themselves.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.record_str(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.shown(field.name(), format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_written_out_once_and_is_the_one_that_has_begun() {
        let mut second = Second::default();
        for (now, expected) in [
            ("2026-05-13T08:31:30.999999Z", "2026-05-13T08:31:30"),
            ("2026-05-13T08:31:30Z", "2026-05-13T08:31:30"),
            ("2026-05-13T08:31:31.5Z", "2026-05-13T08:31:31"),
            ("2026-05-13T08:31:30.1Z", "2026-05-13T08:31:30"),
        ] {
            assert_eq!(second.of(now.parse().unwrap()), expected);
        }
    }
}
