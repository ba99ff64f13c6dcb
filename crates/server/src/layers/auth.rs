//! Who calls, and whether it may: asked on every call, of the connection's certificate and the registry, never of a
//! header.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service, ServiceExt};
use tracing::Instrument;

use gavah_domain::{Clock, Reason, caller::CallerState};
use gavah_store::{Snapshot, StoreError};

use crate::{
    call::Call,
    error::AppError,
    policy,
    transport::{Peer, Tls},
};

use super::{Answer, CallerSlot, Deadline, Draining, names, refuse, trace_id};

/// Calls that are served to the end: they tell clients that the server is going.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Where callers are looked up.
pub trait CallerDirectory: Send + Sync {
    /// The registry as last loaded.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it is too old to decide by.
    fn current(&self) -> Result<Arc<Snapshot>, StoreError>;
}

/// Makes [`Auth`].
#[derive(Clone)]
pub struct AuthLayer(Arc<Gate>);

impl AuthLayer {
    /// A layer that looks callers up in `directory`, revoked certificates in `tls`, and refuses everybody when
    /// `draining` has begun.
    #[must_use]
    pub fn new(
        directory: Arc<dyn CallerDirectory>,
        tls: Arc<Tls>,
        clock: Arc<dyn Clock>,
        draining: Draining,
    ) -> Self {
        Self(Arc::new(Gate {
            directory,
            tls,
            clock,
            draining,
        }))
    }
}

impl fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth {
            inner,
            gate: Arc::clone(&self.0),
        }
    }
}

/// Lets a call pass with a [`Call`] in its extensions, or refuses it. What is asked, in this order: is the server
/// going; is there a certificate, neither expired nor revoked; does it name a registered caller, with this very
/// certificate active; is the caller active; does the method exist, and is it for the caller's class.
#[derive(Clone)]
pub struct Auth<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S: fmt::Debug> fmt::Debug for Auth<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S> Service<Request<Body>> for Auth<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Nobody waits for the inner service before it is known who asks.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let admitted =
            tracing::info_span!(names::SPAN_ADMIT).in_scope(|| self.gate.admit(&request));
        match admitted {
            Ok(call) => {
                let act = tracing::info_span!(names::SPAN_ACT);
                request.extensions_mut().insert(call);
                Box::pin(self.inner.clone().oneshot(request).instrument(act))
            }
            Err(error) => {
                let refused = refuse(error, trace_id(request.extensions()));
                Box::pin(async { Ok(refused) })
            }
        }
    }
}

struct Gate {
    directory: Arc<dyn CallerDirectory>,
    tls: Arc<Tls>,
    clock: Arc<dyn Clock>,
    draining: Draining,
}

impl Gate {
    fn admit(&self, request: &Request<Body>) -> Result<Call, AppError> {
        let (path, extensions) = (request.uri().path(), request.extensions());
        if self.draining.has_begun() && !path.starts_with(HEALTH) {
            return Err(Reason::Draining.into());
        }
        let peer = extensions
            .get::<Arc<Peer>>()
            .ok_or(Reason::CertificateNotRegistered)?;
        // Its last second belongs to the validity.
        if self.clock.now().as_second() > peer.not_after().as_second() {
            return Err(Reason::CertificateExpired.into());
        }
        if self.tls.is_revoked(peer) {
            return Err(Reason::CertificateRevoked.into());
        }
        let id = peer.caller_id().ok_or(Reason::CertificateNotRegistered)?;
        let snapshot = self.directory.current()?;
        let stored = snapshot
            .caller(id)
            .ok_or(Reason::CertificateNotRegistered)?;
        let registered = stored.certificates.iter().any(|certificate| {
            certificate.retire_time.is_none() && certificate.fingerprint == peer.fingerprint_hex()
        });
        if !registered {
            return Err(Reason::CertificateNotRegistered.into());
        }
        let caller = Arc::clone(&stored.caller);
        if let Some(slot) = extensions.get::<CallerSlot>() {
            slot.fill(&caller);
        }
        match stored.state {
            CallerState::Active => {}
            CallerState::Paused | CallerState::Retired => {
                return Err(Reason::CallerNotActive.into());
            }
        }
        let (method, classes) = policy::allowed(path).ok_or(Reason::MethodUnknown)?;
        if !classes.contains(&caller.class) {
            return Err(Reason::MethodNotAllowedForClass.into());
        }
        let Deadline(deadline) = *extensions
            .get::<Deadline>()
            .ok_or(AppError::Internal("a call without a deadline"))?;
        Ok(Call {
            caller,
            peer: Arc::clone(peer),
            method,
            deadline,
            trace_id: trace_id(extensions),
            snapshot,
        })
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
