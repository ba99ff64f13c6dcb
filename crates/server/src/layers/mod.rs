//! What every call passes on its way to a handler, outermost first: [`OuterLayer`] (span, metrics, access log, panics,
//! one form for all errors), [`DeadlineLayer`], [`AuthLayer`].
//!
//! The layers hand each other what they learn in the extensions of the request: [`TraceId`] and [`CallerSlot`] from the
//! outer one, [`Deadline`], and last the [`Call`](crate::call::Call), which is all a handler needs.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use http::{Extensions, Response};
use opentelemetry::TraceId;
use tokio::{sync::Notify, time::Instant};
use tonic::body::Body;

use gavah_domain::caller::Caller;

use crate::{error::AppError, on_behalf::OnBehalf, status::status_and_reason};

mod auth;
mod body;
mod deadline;
mod durations;
pub mod names;
mod normalise;
mod outer;
mod record;
mod trace;

use normalise::End;

pub use auth::{Auth, AuthLayer, CallerDirectory, Standing};
pub use deadline::{DeadlineLayer, Deadlines, WithDeadline};
pub use outer::{MAX_METADATA_BYTES, Outer, OuterLayer};
pub use trace::Sampling;

/// When the answer must be ready: the caller's deadline, a little earlier, or the service's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// Where what is found out of a call further in is left for the outer layer: the caller and the agency it calls for, for the
/// access log and the span, and what is left of its quota, for the trailers.
#[derive(Debug, Clone, Default)]
pub struct CallerSlot(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    caller: OnceLock<Arc<Caller>>,
    on_behalf: OnceLock<Arc<OnBehalf>>,
    /// Negative while nothing has a quota.
    quota_left: AtomicI64,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            caller: OnceLock::new(),
            on_behalf: OnceLock::new(),
            quota_left: AtomicI64::new(-1),
        }
    }
}

impl CallerSlot {
    fn fill(&self, caller: &Arc<Caller>) {
        // One call has one caller: a second one cannot come.
        let _ = self.0.caller.set(Arc::clone(caller));
    }

    fn fill_agency(&self, on_behalf: &Arc<OnBehalf>) {
        let _ = self.0.on_behalf.set(Arc::clone(on_behalf));
    }

    /// Leaves word of how many calls are left today.
    pub(crate) fn left(&self, calls: i64) {
        self.0.quota_left.store(calls, Ordering::Relaxed);
    }

    fn quota_left(&self) -> Option<i64> {
        let left = self.0.quota_left.load(Ordering::Relaxed);
        (left >= 0).then_some(left)
    }

    fn id(&self) -> Option<&str> {
        self.0.caller.get().map(|caller| caller.id.as_str())
    }

    fn agency(&self) -> Option<&str> {
        let on_behalf = self.0.on_behalf.get();
        on_behalf.map(|on_behalf| on_behalf.agency.as_str())
    }
}

/// Whether the server is shutting down and takes no more calls. Clones share the answer.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<Drain>);

#[derive(Debug, Default)]
struct Drain {
    begun: AtomicBool,
    bell: Notify,
}

impl Draining {
    /// From now on calls are refused; those under way go on.
    pub fn begin(&self) {
        self.0.begun.store(true, Ordering::Release);
        self.0.bell.notify_waiters();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Acquire)
    }

    /// Resolves when it begins, or at once when it has.
    pub fn begun(&self) -> impl Future<Output = ()> + Send + use<> {
        let drain = Arc::clone(&self.0);
        async move {
            // Hears the bell from here on, so that none is missed between the look and the wait.
            let bell = drain.bell.notified();
            if !drain.begun.load(Ordering::Acquire) {
                bell.await;
            }
        }
    }
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

/// The call's trace; zero only when the outer layer is missing.
fn trace_id(extensions: &Extensions) -> TraceId {
    extensions.get().copied().unwrap_or(TraceId::INVALID)
}

/// An answer that is an error and nothing else, with its [`End`].
fn refuse(error: AppError, trace_id: TraceId) -> Response<Body> {
    let (status, reason) = status_and_reason(error, trace_id);
    let end = End::of(status.code(), reason);
    let mut answer = status.into_http();
    answer.extensions_mut().insert(end);
    answer
}

#[cfg(test)]
mod record_tests;
#[cfg(test)]
mod stack_tests;
#[cfg(test)]
mod testing;
