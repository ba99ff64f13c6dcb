//! What is known of one call.

use std::ops::Deref;
use std::sync::Arc;

use opentelemetry::TraceId;
use tokio::time::Instant;

use gavah_domain::caller::Caller;
use gavah_store::Snapshot;

use crate::layers::{CallerSlot, Standing};
use crate::on_behalf::OnBehalf;
use crate::transport::Peer;

/// Who acts, by which method and on which registry: all that the use cases know of a call. A job acts so for the
/// caller that submitted it, when its connection is long gone.
#[derive(Debug, Clone)]
pub struct Acting {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// Path of the method, as in the policy: `/gavah.v1.ValidationService/ValidateCode`.
    pub method: &'static str,
    /// When the answer must be ready.
    pub deadline: Instant,
    /// The trace the call belongs to; also known to the caller, from the answer's `traceparent`.
    pub trace_id: TraceId,
    /// The registry at the time of the call: all decisions of one call are made on one version of it.
    pub snapshot: Arc<Snapshot>,
    /// On whose behalf the hub calls.
    pub on_behalf: Option<Arc<OnBehalf>>,
    /// Where word is left for the outer layer.
    pub slot: CallerSlot,
}

/// One authenticated and permitted call. Made only by the authentication layer, which puts it into the extensions of
/// the request: a handler that finds none was reached around that layer.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who acts.
    pub acting: Acting,
    /// The connection's other end.
    pub peer: Arc<Peer>,
    /// For a call that lasts: whether it may go on.
    pub standing: Standing,
}

impl Deref for Call {
    type Target = Acting;

    fn deref(&self) -> &Acting {
        &self.acting
    }
}
