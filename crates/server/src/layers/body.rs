//! Answers that are still being sent when the layers have returned.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use opentelemetry::TraceId;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, body::Body};

use gavah_domain::Reason;

use crate::{error::AppError, status::to_status};

use super::{normalise::normalise, record::Record};

/// Trailer that says how many calls are left today under the agreement, where one bounds them.
const QUOTA_REMAINING: &str = "gavah-quota-remaining";

/// The body of an answer under the watch of the outer layer: its trailers get the one form of errors, a panic or a
/// missing status becomes an internal error, and its end is the end of the call.
pub(super) struct Recorded {
    inner: Body,
    record: Record,
    ended: bool,
}

impl Recorded {
    pub(super) fn new(inner: Body, record: Record) -> Recorded {
        Recorded {
            inner,
            record,
            ended: false,
        }
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Result<Frame<Bytes>, HeaderMap>> {
        let _entered = self.record.span.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            Pin::new(&mut self.inner).poll_frame(cx)
        }));
        Poll::Ready(match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Some(Ok(frame)))) => match frame.into_trailers() {
                Ok(trailers) => Err(trailers),
                Err(data) => Ok(data),
            },
            Ok(Poll::Ready(Some(Err(status)))) => Err(trailers_of(&status)),
            // Completed by normalising.
            Ok(Poll::Ready(None)) => Err(HeaderMap::new()),
            Err(_panic) => {
                let error = AppError::Internal("a panic while answering");
                Err(trailers_of(&to_status(error, self.record.place.trace_id)))
            }
        })
    }
}

impl http_body::Body for Recorded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.poll_inner(cx).map(|polled| {
            let mut trailers = match polled {
                Ok(data) => return Some(Ok(data)),
                Err(trailers) => trailers,
            };
            let this = &mut *self;
            let end = normalise(&mut trailers, this.record.place.trace_id);
            if let Some(left) = this.record.caller.quota_left() {
                trailers.insert(QUOTA_REMAINING, HeaderValue::from(left));
            }
            this.record.end(&end);
            this.ended = true;
            Some(Ok(Frame::trailers(trailers)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer that must end in time.
pub(super) struct Timed {
    inner: Body,
    deadline: Instant,
    trace_id: TraceId,
    /// Made when there first is something to wait for, which a unary answer never has.
    sleep: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Timed {
    pub(super) fn new(inner: Body, deadline: Instant, trace_id: TraceId) -> Timed {
        Timed {
            inner,
            deadline,
            trace_id,
            sleep: None,
            ended: false,
        }
    }
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let deadline = self.deadline;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        sleep.as_mut().poll(cx).map(|()| {
            self.ended = true;
            let status = to_status(Reason::DeadlinePassed.into(), self.trace_id);
            Some(Ok(Frame::trailers(trailers_of(&status))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The status as trailers; empty, thus completed by normalising, when it does not fit into headers.
fn trailers_of(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let _ = status.add_header(&mut trailers);
    trailers
}
