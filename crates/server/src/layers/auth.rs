//! Who calls, and whether it may: asked on every call, of the connection's certificate and the registry, never of a
//! header.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tower::{Layer, Service, ServiceExt};

use tokio::time::Instant;

use gavah_domain::{
    Clock, Reason,
    caller::{Caller, CallerClass, CallerState},
};
use gavah_store::{Snapshot, StoreError};

use crate::{
    call::{Acting, Call},
    error::AppError,
    on_behalf, policy,
    transport::{Peer, Tls, forwarded},
};

use super::{Answer, CallerSlot, Deadline, Draining, refuse, trace_id};

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
            forwarders: Vec::new(),
        }))
    }

    /// The same layer, which lets the peers with these certificates, SHA-256 in lower-case hexadecimal, bring the
    /// certificates of others.
    #[must_use]
    pub fn trusting(self, forwarders: Vec<String>) -> Self {
        let gate = Gate {
            directory: Arc::clone(&self.0.directory),
            tls: Arc::clone(&self.0.tls),
            clock: Arc::clone(&self.0.clock),
            draining: self.0.draining.clone(),
            forwarders,
        };
        Self(Arc::new(gate))
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
        match self.gate.admit(&request) {
            Ok(call) => {
                request.extensions_mut().insert(call);
                Box::pin(self.inner.clone().oneshot(request))
            }
            Err(error) => {
                let refused = refuse(error, trace_id(request.extensions()));
                Box::pin(async { Ok(refused) })
            }
        }
    }
}

/// A call's way back to the gate that let it pass, for a call that lasts: what was good when it began may have ended
/// since.
#[derive(Clone)]
pub struct Standing(Arc<Gate>);

impl Standing {
    /// The call as one that begins now, for a part of it that has its own `deadline`: asked again as at its beginning,
    /// with the registry as it is by now.
    ///
    /// # Errors
    ///
    /// What a new call would be refused with.
    pub fn again(&self, call: &Call, deadline: Instant) -> Result<Call, AppError> {
        let known = self.0.known(&call.peer)?;
        let method = permitted(call.method, known.state, known.caller.class)?;
        Ok(Call {
            acting: Acting {
                caller: known.caller,
                method,
                deadline,
                trace_id: call.trace_id,
                snapshot: known.snapshot,
                on_behalf: call.on_behalf.clone(),
                slot: call.slot.clone(),
            },
            peer: Arc::clone(&call.peer),
            standing: self.clone(),
        })
    }

    /// Resolves when the server begins to go: a call that lasts then ends.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.draining.begun()
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Standing").finish_non_exhaustive()
    }
}

/// What the registry says of a connection's other end.
struct Known {
    caller: Arc<Caller>,
    state: CallerState,
    snapshot: Arc<Snapshot>,
}

struct Gate {
    directory: Arc<dyn CallerDirectory>,
    tls: Arc<Tls>,
    clock: Arc<dyn Clock>,
    draining: Draining,
    forwarders: Vec<String>,
}

impl Gate {
    fn admit(self: &Arc<Self>, request: &Request<Body>) -> Result<Call, AppError> {
        let (path, extensions) = (request.uri().path(), request.extensions());
        if self.draining.has_begun() && !path.starts_with(HEALTH) {
            return Err(Reason::Draining.into());
        }
        let peer = extensions
            .get::<Arc<Peer>>()
            .ok_or(Reason::CertificateNotRegistered)?;
        let peer = &self.behind(peer, request.headers())?;
        let known = self.known(peer)?;
        let slot = extensions.get::<CallerSlot>().cloned().unwrap_or_default();
        slot.fill(&known.caller);
        let method = permitted(path, known.state, known.caller.class)?;
        let on_behalf = on_behalf::read(request.headers(), known.caller.class)?.map(Arc::new);
        if let Some(on_behalf) = &on_behalf {
            slot.fill_agency(on_behalf);
        }
        let Deadline(deadline) = *extensions
            .get::<Deadline>()
            .ok_or(AppError::Internal("a call without a deadline"))?;
        Ok(Call {
            acting: Acting {
                caller: known.caller,
                method,
                deadline,
                trace_id: trace_id(extensions),
                snapshot: known.snapshot,
                on_behalf,
                slot,
            },
            peer: Arc::clone(peer),
            standing: Standing(Arc::clone(self)),
        })
    }

    /// The peer itself, or the one whose certificate it brings when it is a forwarder. A forwarder is nobody by itself,
    /// and from anybody else the header is an attempt.
    fn behind(&self, peer: &Arc<Peer>, headers: &HeaderMap) -> Result<Arc<Peer>, AppError> {
        let untrusted = || AppError::from(Reason::ForwardedIdentityUntrusted);
        let trusted = self
            .forwarders
            .iter()
            .any(|pinned| pinned == peer.fingerprint_hex());
        match (forwarded::read(headers), trusted) {
            (Ok(None), false) => Ok(Arc::clone(peer)),
            (Ok(Some(chain)), true) => {
                let found = self.tls.forwarded(&chain, peer, self.clock.now());
                found.ok_or_else(untrusted)
            }
            _ => Err(untrusted()),
        }
    }

    /// The registered caller behind a certificate that is good now.
    fn known(&self, peer: &Peer) -> Result<Known, AppError> {
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
        // Only the hub has a proxy in front of us.
        if peer.is_forwarded() && stored.caller.class != CallerClass::NationalHub {
            return Err(Reason::ForwardedIdentityUntrusted.into());
        }
        Ok(Known {
            caller: Arc::clone(&stored.caller),
            state: stored.state,
            snapshot,
        })
    }
}

/// The method as a constant, when an active caller of the class may call it.
fn permitted(path: &str, state: CallerState, class: CallerClass) -> Result<&'static str, AppError> {
    match state {
        CallerState::Active => {}
        CallerState::Paused | CallerState::Retired => {
            return Err(Reason::CallerNotActive.into());
        }
    }
    let (method, classes) = policy::allowed(path).ok_or(Reason::MethodUnknown)?;
    if !classes.contains(&class) {
        return Err(Reason::MethodNotAllowedForClass.into());
    }
    Ok(method)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
