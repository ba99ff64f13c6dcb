//! The outermost layer: whatever happens further in, a call has one span, one measurement, one line in the log and one
//! answer in the form of the contract.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use http_body::Body as _;
use opentelemetry::TraceId;
use tonic::{Status, body::Body};
use tower::{BoxError, Layer, Service, ServiceExt, load_shed::error::Overloaded};
use tracing::Instrument;

use gavah_domain::Reason;

use crate::error::{AppError, Refusal};

use super::{
    Answer, CallerSlot, Sampling,
    body::Recorded,
    durations::Durations,
    normalise::{End, normalise},
    record::Record,
    refuse,
    trace::TRACEPARENT,
};

/// Metadata of a request, counted as HTTP/2 counts it. A list over the HTTP/2 setting is answered by the protocol, below
/// all layers and without a reason: the setting has to be larger than this for the caller to learn why.
pub const MAX_METADATA_BYTES: usize = 16 * 1024;
/// What HTTP/2 adds for each entry.
const METADATA_ENTRY_BYTES: usize = 32;

/// Makes [`Outer`].
#[derive(Debug, Clone)]
pub struct OuterLayer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sampling: Sampling,
    durations: Arc<Durations>,
}

impl OuterLayer {
    /// `sampling` says which calls are traced.
    #[must_use]
    pub fn new(sampling: Sampling) -> Self {
        Self(Arc::new(Shared {
            sampling,
            durations: Arc::default(),
        }))
    }
}

impl<S> Layer<S> for OuterLayer {
    type Service = Outer<S>;

    fn layer(&self, inner: S) -> Outer<S> {
        Outer {
            inner,
            shared: Arc::clone(&self.0),
        }
    }
}

/// Finds the call's place in a trace and opens its span if it is traced, records the call when it is over, catches
/// panics, and gives every error the form of the contract. Gives [`TraceId`] and [`CallerSlot`] to the layers inside, and `traceparent` to the
/// caller.
#[derive(Debug, Clone)]
pub struct Outer<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Outer<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The inner service is waited for inside the call, where a failure can be told.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Shared {
            sampling,
            durations,
        } = &*self.shared;
        let measure = durations.begin(request.uri().path());
        let record = Record::begin(measure, request.headers(), sampling);

        let extensions = request.extensions_mut();
        extensions.insert(record.place.trace_id);
        extensions.insert::<CallerSlot>(record.caller.clone());

        let too_large = metadata_bytes(request.headers()) > MAX_METADATA_BYTES;
        let inner = self.inner.clone();
        Box::pin(async move {
            if too_large {
                let refusal = Refusal::new(Reason::MessageTooLarge).with("part", "metadata");
                let answer = refuse(refusal.into(), record.place.trace_id);
                return Ok(finish(answer, record));
            }
            // A panic leaves nothing behind that is used again: what it could have broken is dropped with the future.
            let answered = AssertUnwindSafe(async { inner.oneshot(request).await })
                .catch_unwind()
                .instrument(record.span.clone())
                .await;
            let answer = match answered {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => failed(error.into(), record.place.trace_id),
                Err(_panic) => {
                    let error = AppError::Internal("a handler panicked");
                    refuse(error, record.place.trace_id)
                }
            };
            Ok(finish(answer, record))
        })
    }
}

/// Overload is told the shortest way: a service that refuses much must not be kept from answering by it.
fn failed(error: BoxError, trace_id: TraceId) -> Response<Body> {
    match error.is::<Overloaded>() {
        true => refuse(Reason::Overloaded.into(), trace_id),
        false => Status::from_error(error).into_http(),
    }
}

fn metadata_bytes(headers: &HeaderMap) -> usize {
    let bytes = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + value.len() + METADATA_ENTRY_BYTES
    };
    headers.iter().map(bytes).sum()
}

/// Names the call's span, and ends the call where the answer is nothing but headers; else its body will.
fn finish(answer: Response<Body>, mut record: Record) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    if let Some(value) = record.place.traceparent() {
        parts.headers.insert(TRACEPARENT, value);
    }
    if !parts.headers.contains_key(Status::GRPC_STATUS) && !body.is_end_stream() {
        return Response::from_parts(parts, Body::new(Recorded::new(body, record)));
    }
    let told = parts.extensions.remove::<End>();
    let end = told.unwrap_or_else(|| normalise(&mut parts.headers, record.place.trace_id));
    record.end(&end);
    Response::from_parts(parts, Body::empty())
}

#[cfg(test)]
#[path = "outer_tests.rs"]
mod tests;
