//! The plain HTTP listener for those who watch the service: liveness, readiness, metrics.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the process runs |
//! | `/startupz` | 200 once the service has been ready, 503 before |
//! | `/readyz` | 200 while it takes calls, 503 with the reason while it does not |
//! | `/metrics` | metrics as Prometheus reads them |
//!
//! It has no TLS and tells nothing of any call, and is meant for the machine itself or a closed network.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::telemetry;

/// Time for a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a whole connection, which carries one request.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at the same time; more wait in the operating system's queue.
const CONNECTIONS: usize = 64;
/// Pause after an accept error that is not the peer's fault, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Whether the service takes calls. Clones share the answer.
#[derive(Debug, Clone)]
pub struct Readiness(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Why not; none when ready.
    reason: Mutex<Option<&'static str>>,
    started: AtomicBool,
    sandbox: AtomicBool,
    /// The year whose working calendar is missing, or will be in a month; 0 when none is.
    missing_calendar: AtomicI32,
}

impl Readiness {
    /// Not ready, for this reason: a word or two, such as `starting`.
    #[must_use]
    pub fn new(reason: &'static str) -> Self {
        Self(Arc::new(Shared {
            reason: Mutex::new(Some(reason)),
            started: AtomicBool::new(false),
            sandbox: AtomicBool::new(false),
            missing_calendar: AtomicI32::new(0),
        }))
    }

    /// Whether to warn with every answer that the clock can be moved.
    #[must_use]
    pub fn sandbox(self, sandbox: bool) -> Self {
        self.0.sandbox.store(sandbox, Ordering::Release);
        self
    }

    /// Warns with every answer of the year whose working calendar is missing or will be in a month, if any.
    pub fn missing_calendar(&self, year: Option<i32>) {
        let year = year.unwrap_or_default();
        if self.0.missing_calendar.swap(year, Ordering::AcqRel) != year && year != 0 {
            tracing::warn!(
                year,
                "the working calendar of a year is missing or will be in a month"
            );
        }
    }

    /// From now on calls are taken.
    pub fn set_ready(&self) {
        self.0.started.store(true, Ordering::Release);
        self.set(None);
    }

    /// From now on calls should go elsewhere.
    pub fn set_not_ready(&self, reason: &'static str) {
        self.set(Some(reason));
    }

    /// Why calls are not taken; none when they are.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        *self.0.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ever been ready.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.0.started.load(Ordering::Acquire)
    }

    fn set(&self, reason: Option<&'static str>) {
        *self.0.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// The listener, bound and not yet answering.
#[derive(Debug)]
pub struct Probes {
    listener: TcpListener,
    readiness: Readiness,
}

impl Probes {
    /// Answers on `listener` what `readiness` says.
    #[must_use]
    pub fn new(listener: TcpListener, readiness: Readiness) -> Self {
        Self {
            listener,
            readiness,
        }
    }

    /// The value behind `/readyz` and `/startupz`.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Answers until `shutdown`; answers under way are cut off then.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => return,
                Some(_) = connections.join_next() => continue,
                accepted = async { (place.await, self.listener.accept().await) } => accepted,
            };
            match accepted {
                (Ok(place), Ok((socket, _))) => {
                    let readiness = self.readiness.clone();
                    connections.spawn(async move {
                        // What goes wrong on a connection is the peer's affair.
                        let _ = timeout(CONNECTION_TIMEOUT, connection(socket, readiness)).await;
                        drop(place);
                    });
                }
                _ => sleep(PAUSE).await,
            }
        }
    }
}

async fn connection(socket: TcpStream, readiness: Readiness) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &readiness);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service)
        .await
}

fn answer(method: &Method, path: &str, readiness: &Readiness) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let unavailable =
        |reason: &str| reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n"));
    let ok = || {
        let mut text = match readiness.0.sandbox.load(Ordering::Acquire) {
            true => "ok; SANDBOX: the clock can be moved, nothing issued here is worth anything\n",
            false => "ok\n",
        }
        .to_owned();
        let year = readiness.0.missing_calendar.load(Ordering::Acquire);
        if year != 0 {
            text.push_str(&format!(
                "warning: no working calendar of {year} is loaded; gavah calendar load\n"
            ));
        }
        reply(StatusCode::OK, TEXT, text)
    };
    match (path, readiness.reason()) {
        ("/livez", _) | ("/readyz", None) => ok(),
        ("/readyz", Some(reason)) => unavailable(reason),
        ("/startupz", _) if readiness.has_started() => ok(),
        ("/startupz", reason) => unavailable(reason.unwrap_or("starting")),
        ("/metrics", _) => reply(StatusCode::OK, PROMETHEUS, telemetry::render_metrics()),
        _ => reply(
            StatusCode::NOT_FOUND,
            TEXT,
            "there are /livez, /startupz, /readyz and /metrics\n",
        ),
    }
}

fn reply(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[path = "probes_tests.rs"]
mod tests;
