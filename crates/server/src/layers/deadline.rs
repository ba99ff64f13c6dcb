//! Every call has a deadline: the caller's, told a little early so that the answer still reaches it, or the service's.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tower::{Layer, Service, ServiceExt};

use gavah_domain::{Reason, Violations};

use crate::error::AppError;

use super::{Answer, Deadline, body::Timed, refuse, trace_id};

const GRPC_TIMEOUT: &str = "grpc-timeout";
/// Time kept for the way back.
const SHAVED: Duration = Duration::from_millis(20);
/// With less than this left no call is begun.
const LEAST: Duration = Duration::from_millis(100);
/// Streams that last as long as the client likes, unless it says otherwise.
const LASTING: [&str; 8] = [
    "/gavah.v1.ChangeService/WatchChanges",
    "/gavah.v1.IssuanceJobService/DownloadIssuanceJobResult",
    "/gavah.v1.IssuanceJobService/SubmitIssuanceJob",
    "/gavah.v1.ValidationService/StreamValidateCodes",
    "/gavah.v1.ValidityCodeService/StreamIssueValidityCodes",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Time limits of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a call that states no `grpc-timeout`.
    pub default: Duration,
    /// For any call, whatever it states, but the streams that last.
    pub max: Duration,
}

/// Makes [`WithDeadline`].
#[derive(Debug, Clone, Copy)]
pub struct DeadlineLayer {
    deadlines: Deadlines,
}

impl DeadlineLayer {
    /// A layer with these limits.
    #[must_use]
    pub fn new(deadlines: Deadlines) -> Self {
        Self { deadlines }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = WithDeadline<S>;

    fn layer(&self, inner: S) -> WithDeadline<S> {
        WithDeadline {
            inner,
            deadlines: self.deadlines,
        }
    }
}

/// Gives [`Deadline`] to the services inside and ends the call when it passes: with `DEADLINE_PASSED`, or with
/// `NOT_ENOUGH_TIME_LEFT` before it has begun.
#[derive(Debug, Clone)]
pub struct WithDeadline<S> {
    inner: S,
    deadlines: Deadlines,
}

impl<S> Service<Request<Body>> for WithDeadline<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Waiting for the inner service counts against the deadline.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let limit = match self.deadlines.limit(&request) {
            Ok(limit) => limit,
            Err(error) => {
                let refused = refuse(error, trace_id(request.extensions()));
                return Box::pin(async { Ok(refused) });
            }
        };
        let deadline = Instant::now() + limit.unwrap_or(self.deadlines.max);
        request.extensions_mut().insert(Deadline(deadline));
        let trace_id = trace_id(request.extensions());
        let call = self.inner.clone().oneshot(request);
        if limit.is_none() {
            return Box::pin(call);
        }
        Box::pin(async move {
            match timeout_at(deadline, call).await {
                Ok(answer) => {
                    Ok(answer?.map(|body| Body::new(Timed::new(body, deadline, trace_id))))
                }
                Err(_elapsed) => Ok(refuse(Reason::DeadlinePassed.into(), trace_id)),
            }
        })
    }
}

impl Deadlines {
    /// How long the call may take; none for as long as it likes.
    fn limit(&self, request: &Request<Body>) -> Result<Option<Duration>, AppError> {
        let lasting = LASTING.contains(&request.uri().path());
        let limit = match stated(request.headers())? {
            None if lasting => return Ok(None),
            None => self.default,
            Some(stated) => stated
                .checked_sub(SHAVED)
                .filter(|left| *left >= LEAST)
                .ok_or(Reason::NotEnoughTimeLeft)?,
        };
        Ok(Some(if lasting { limit } else { limit.min(self.max) }))
    }
}

/// The `grpc-timeout` header: one to eight digits and a unit.
fn stated(headers: &HeaderMap) -> Result<Option<Duration>, AppError> {
    let mut values = headers.get_all(GRPC_TIMEOUT).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (parse(value.as_bytes()), values.next()) {
        (Some(timeout), None) => Ok(Some(timeout)),
        _ => {
            let mut violations = Violations::default();
            violations.push(GRPC_TIMEOUT, Reason::FieldFormat);
            Err(violations.into())
        }
    }
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "deadline_tests.rs"]
mod tests;
