//! Log lines and filters, each with a subscriber of its own.

use std::sync::Arc;

use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Value, json};
use tracing::{debug, error, info, info_span, trace, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::*;
use crate::config::LogFormat;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that `act` logs.
fn logged(level: Level, format: LogFormat, act: impl FnOnce()) -> String {
    let config = TelemetryConfig {
        otlp_endpoint: None,
        log_level: level,
        log_format: format,
        sample_ratio: 1.0,
    };
    let provider = tracer_provider(&config, "0.0.0").unwrap();
    let kept = Kept::default();
    let writer = kept.clone();
    let subscriber = subscriber(&config, &provider, move || writer.clone());
    tracing::subscriber::with_default(subscriber, act);
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn objects(level: Level, act: impl FnOnce()) -> Vec<Value> {
    let lines = logged(level, LogFormat::Json, act);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] io::Error);

#[test]
fn an_event_is_one_object_with_its_fields() {
    let lines = objects(Level::INFO, || {
        let error = Outer(io::Error::other("inner"));
        let error: &(dyn std::error::Error + 'static) = &error;
        info!(count = 3_u64, part = 0.5, good = true, who = "window", shown = ?Some(1), error, "done\nwell");
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], module_path!());
    assert_eq!(line["message"], "done\nwell");
    let rest = json!([
        line["count"],
        line["part"],
        line["good"],
        line["who"],
        line["shown"],
        line["error"]
    ]);
    assert_eq!(
        rest,
        json!([3, 0.5, true, "window", "Some(1)", "outer: inner"])
    );
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(line.get("trace_id"), None);
}

#[test]
fn an_event_names_the_trace_and_the_span_it_happened_in() {
    let mut expected = Vec::new();
    // At this level the spans themselves would not be logged.
    let lines = objects(Level::WARN, || {
        let outer = info_span!("rpc", secret = "field of the span");
        let inner = outer.in_scope(|| info_span!("inner"));
        for span in [&outer, &inner] {
            let context = span.context().span().span_context().clone();
            expected.push((
                context.trace_id().to_string(),
                context.span_id().to_string(),
            ));
        }
        outer.in_scope(|| warn!("in the outer span"));
        inner.in_scope(|| warn!("in the inner span"));
        warn!(parent: &outer, "of the outer span");
        warn!("outside");
    });
    let ids = |line: &Value| {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        (text("trace_id"), text("span_id"))
    };
    assert_eq!(expected[0].0, expected[1].0);
    assert!(expected[0].0.len() == 32 && expected[0].0 != "0".repeat(32));
    let none = (String::new(), String::new());
    let [outer, inner] = &expected[..] else {
        panic!()
    };
    let found: Vec<_> = lines.iter().map(ids).collect();
    assert_eq!(found, [outer.clone(), inner.clone(), outer.clone(), none]);
    assert!(lines.iter().all(|line| line.get("secret").is_none()));
}

#[test]
fn inside_a_call_that_is_not_traced_nothing_begins_a_trace_of_its_own() {
    let lines = objects(Level::INFO, || {
        let act = info_span!("act");
        assert!(act.is_disabled());
        act.in_scope(|| {
            assert!(info_span!("store.read").is_disabled());
            info!("outside");
        });
        info_span!("rpc").in_scope(|| {
            let act = info_span!("act");
            assert!(!act.is_disabled());
            act.in_scope(|| assert!(!info_span!("store.read").is_disabled()));
            info!("inside");
        });
        assert!(info_span!("act").is_disabled());
    });
    let traced: Vec<_> = lines
        .iter()
        .map(|line| line["trace_id"].is_string())
        .collect();
    assert_eq!(traced, [false, true]);
}

#[test]
fn a_trace_has_the_id_that_was_chosen_for_it() {
    logged(Level::INFO, LogFormat::Json, || {
        let id = |span: &tracing::Span| span.context().span().span_context().trace_id();
        let chosen = opentelemetry::TraceId::from_bytes([7; 16]);
        let span = info_span!("rpc");
        assert_eq!(in_trace(chosen, || id(&span)), chosen);
        assert_ne!(id(&info_span!("rpc")), chosen);
    });
}

#[test]
fn a_trace_id_that_the_event_states_itself_stands_once() {
    let lines = logged(Level::INFO, LogFormat::Json, || {
        info_span!("rpc").in_scope(|| info!(trace_id = "stated", "call"));
    });
    assert_eq!(lines.matches("trace_id").count(), 1);
    assert!(lines.contains(r#""trace_id":"stated""#), "{lines}");
}

#[test]
fn text_lines_stay_lines() {
    let lines = logged(Level::INFO, LogFormat::Text, || {
        info!(who = "a\nforged line\u{1b}[31m", count = 3, "first\rsecond");
    });
    assert_eq!(lines.lines().count(), 1, "{lines:?}");
    assert!(
        lines.ends_with(": first\\rsecond who=a\\nforged line\\u{1b}[31m count=3\n"),
        "{lines:?}"
    );
    assert!(
        lines.contains("  INFO gavah_server::telemetry::tests: "),
        "{lines:?}"
    );
}

fn noise() {
    error!(target: "sqlx::query", "select 0012345678");
    error!(target: "sea_orm::driver", "select 0012345678");
    error!(target: "h2::codec", "HEADERS");
    error!(target: "hyper_util::client", "pooling");
    warn!(target: "rustls::conn", "theirs, warning");
    info!(target: "rustls::conn", "theirs, news");
    error!(target: "gavah_store::tx", "ours, error");
    info!(target: "gavah::access", "ours, news");
    debug!(target: "gavah_store::tx", "ours, detail");
    trace!(target: "gavah_store::tx", "ours, trace");
}

#[test]
fn of_other_crates_only_warnings_are_logged_and_of_some_nothing() {
    for (level, expected) in [
        (Level::ERROR, &["ours, error"][..]),
        (Level::WARN, &["theirs, warning", "ours, error"]),
        (
            Level::INFO,
            &["theirs, warning", "ours, error", "ours, news"],
        ),
        (
            Level::DEBUG,
            &[
                "theirs, warning",
                "ours, error",
                "ours, news",
                "ours, detail",
            ],
        ),
        (
            Level::TRACE,
            &[
                "theirs, warning",
                "ours, error",
                "ours, news",
                "ours, detail",
                "ours, trace",
            ],
        ),
    ] {
        let messages: Vec<_> = objects(level, noise)
            .iter()
            .map(|line| line["message"].clone())
            .collect();
        assert_eq!(messages, expected, "{level}");
    }
}

#[test]
fn an_exporter_needs_a_runtime() {
    let config = TelemetryConfig {
        otlp_endpoint: Some("http://127.0.0.1:4317".to_owned()),
        log_level: Level::INFO,
        log_format: LogFormat::Json,
        sample_ratio: 1.0,
    };
    assert!(matches!(
        tracer_provider(&config, "0.0.0"),
        Err(TelemetryError::Exporter(_))
    ));
}
