//! Logs, traces and metrics of the process.
//!
//! [`init`] installs all three once; every server of the process shares them. Logs go to standard error, one line an
//! event, each with the trace and span it happened in, ordinary ones together a few milliseconds later. Traces go to a collector when one is configured; every call has
//! a trace id either way. Metrics wait to be asked for: [`render_metrics`].
//!
//! Of other crates only warnings are logged, and of those that could print a statement, a header or a message
//! (`SILENT`) nothing at all.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, LevelFilter, Targets, dynamic_filter_fn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::config::TelemetryConfig;
use crate::layers::names;

mod ids;
mod log;
#[cfg(test)]
mod tests;
mod writer;

use ids::Ids;
pub(crate) use ids::in_trace;
use log::LogLayer;
use writer::Lines;

/// Name of the service in exported traces.
pub const SERVICE_NAME: &str = "gavah";
/// Gauge: always 1, the version in [`LABEL_VERSION`].
pub const BUILD_INFO: &str = "gavah_build_info";
/// Label of [`BUILD_INFO`].
pub const LABEL_VERSION: &str = "version";

/// What the targets of our own crates begin with.
const OURS: &str = "gavah";
/// Crates that are never logged, at whatever level: they could print what callers send.
const SILENT: [&str; 6] = [
    "h2",
    "hyper",
    "hyper_util",
    "sea_orm",
    "sea_orm_migration",
    "sqlx",
];

/// Finished spans that may wait for the collector; more are dropped, never waited for.
const SPAN_QUEUE: usize = 65_536;
const SPAN_BATCH: usize = 4_096;
const EXPORT_EVERY: Duration = Duration::from_secs(1);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long [`Telemetry::shutdown`] waits for the collector.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often recorded durations are folded into their histograms, which bounds their memory when nobody asks.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Upper bounds of all histograms, in seconds: every histogram of the service is of durations.
const BUCKETS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

static INSTALLED: Mutex<Option<Telemetry>> = Mutex::new(None);

/// The process's telemetry, installed. Clones are the same.
#[derive(Clone)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    metrics: PrometheusHandle,
    log: Lines<io::Stderr>,
}

/// Why telemetry was not installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The exporter of traces cannot be made.
    #[error("traces cannot be exported: {0}")]
    Exporter(String),
    /// The program has installed something of its own already.
    #[error("the process has another {0} already")]
    Taken(&'static str),
    /// The metrics cannot be kept.
    #[error("metrics cannot be kept: {0}")]
    Metrics(String),
    /// The thread that writes the log cannot be started.
    #[error("the log cannot be written: {0}")]
    Log(io::Error),
}

/// Installs logs, traces and metrics for the whole process. A second call changes nothing and gives the same handle.
///
/// With an `otlp_endpoint` it must be called inside a Tokio runtime that lives as long as the process: the exporter's
/// connection is a task of it.
///
/// # Errors
/// [`TelemetryError`]; nothing is installed then.
pub fn init(config: &TelemetryConfig, service_version: &str) -> Result<Telemetry, TelemetryError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(telemetry) = &*installed {
        return Ok(telemetry.clone());
    }
    let provider = tracer_provider(config, service_version)?;
    let recorder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .map_err(|error| TelemetryError::Metrics(error.to_string()))?
        .build_recorder();
    let metrics = recorder.handle();

    let log = Lines::to(io::stderr()).map_err(TelemetryError::Log)?;
    tracing::subscriber::set_global_default(subscriber(config, &provider, log.clone()))
        .map_err(|_| TelemetryError::Taken("log"))?;
    metrics::set_global_recorder(recorder)
        .map_err(|_| TelemetryError::Taken("recorder of metrics"))?;
    metrics::gauge!(BUILD_INFO, LABEL_VERSION => service_version.to_owned()).set(1.0);
    let upkeep = metrics.clone();
    thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            loop {
                thread::sleep(UPKEEP_EVERY);
                upkeep.run_upkeep();
            }
        })
        .map_err(|error| TelemetryError::Metrics(error.to_string()))?;

    let telemetry = Telemetry {
        provider,
        metrics,
        log,
    };
    *installed = Some(telemetry.clone());
    Ok(telemetry)
}

/// From now on a panic is logged by its place only: its message could quote what a caller sent. For processes that
/// serve; a test wants to see the message.
pub fn log_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// The process's metrics in the text format of Prometheus; empty before [`init`].
#[must_use]
pub fn render_metrics() -> String {
    let installed = INSTALLED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    installed
        .map(|telemetry| telemetry.render())
        .unwrap_or_default()
}

impl Telemetry {
    /// The metrics in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.metrics.render()
    }

    /// Hands all finished spans to the collector, for at most five seconds, and writes all lines of the log. Telemetry
    /// goes on working, its log line by line from now on: other servers of the process may still use it.
    pub async fn shutdown(&self) {
        let provider = self.provider.clone();
        // The flush blocks its thread, and the exporter needs the runtime to make progress meanwhile.
        let flush = tokio::task::spawn_blocking(move || provider.force_flush());
        match tokio::time::timeout(FLUSH_TIMEOUT, flush).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not exported"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the last spans were not exported in time"),
        }
        self.log.write_at_once();
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

fn tracer_provider(
    config: &TelemetryConfig,
    service_version: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = Resource::builder_empty()
        .with_service_name(SERVICE_NAME)
        .with_attribute(KeyValue::new("service.version", service_version.to_owned()))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_id_generator(Ids::default());
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(provider.with_sampler(Sampler::AlwaysOff).build());
    };
    let failed = |error: &dyn fmt::Display| TelemetryError::Exporter(error.to_string());
    tokio::runtime::Handle::try_current().map_err(|error| failed(&error))?;
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| failed(&error))?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(SPAN_QUEUE)
        .with_max_export_batch_size(SPAN_BATCH)
        .with_scheduled_delay(EXPORT_EVERY)
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches)
        .build();
    // Whether a call is traced has been decided when its span is made.
    Ok(provider
        .with_span_processor(processor)
        .with_sampler(Sampler::AlwaysOn)
        .build())
}

fn subscriber<W>(
    config: &TelemetryConfig,
    provider: &SdkTracerProvider,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let log = LogLayer::new(config.log_format, writer);
    tracing_subscriber::registry()
        .with(trace_layer(provider))
        .with(log.with_filter(log_filter(config.log_level)))
        .with(of_use(config.log_level))
}

/// Our own spans, with the warnings that happen in them.
fn trace_layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SERVICE_NAME))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // Whether a call failed is the outer layer's to say.
        .with_error_events_to_status(false)
        .with_error_events_to_exceptions(false)
        .with_filter(filter_fn(|metadata| {
            metadata.is_span() || is_our_warning(metadata)
        }))
}

fn log_filter(level: Level) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Clone> {
    let events = logged(level);
    // Without its spans a log line would not know its trace.
    filter_fn(move |metadata| {
        metadata.is_span() || events.would_enable(metadata.target(), metadata.level())
    })
}

/// The events that are logged at this level.
fn logged(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(LevelFilter::from_level(level)))
        .with_target(OURS, level)
        .with_targets(SILENT.map(|target| (target, LevelFilter::OFF)))
}

/// Stops at their place, for good, events that are for nobody; and lets spans be only for calls that are traced: the
/// call's own, and ours inside it. What is inside a call without a span gets none either, rather than a trace of its
/// own.
fn of_use<S>(level: Level) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let events = logged(level);
    dynamic_filter_fn(|metadata: &Metadata<'_>, context: &Context<'_, S>| {
        !metadata.is_span() || is_of_a_call(metadata) || context.lookup_current().is_some()
    })
    .with_callsite_filter(move |metadata: &Metadata<'_>| {
        let for_somebody = match metadata.is_span() {
            true => is_our_span(metadata),
            false => {
                events.would_enable(metadata.target(), metadata.level()) || is_our_warning(metadata)
            }
        };
        match for_somebody {
            false => Interest::never(),
            true if !metadata.is_span() || is_of_a_call(metadata) => Interest::always(),
            true => Interest::sometimes(),
        }
    })
}

fn is_of_a_call(metadata: &Metadata<'_>) -> bool {
    metadata.name() == names::SPAN_RPC && is_our_span(metadata)
}

fn is_our_warning(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN && metadata.target().starts_with(OURS)
}

fn is_our_span(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO && metadata.target().starts_with(OURS)
}
