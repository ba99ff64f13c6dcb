//! What is known of one call.

use std::sync::Arc;

use opentelemetry::TraceId;
use tokio::time::Instant;

use gavah_domain::caller::Caller;
use gavah_store::Snapshot;

use crate::layers::Standing;
use crate::transport::Peer;

/// One authenticated and permitted call. Made only by the authentication layer, which puts it into the extensions of
/// the request: a handler that finds none was reached around that layer.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// The connection's other end.
    pub peer: Arc<Peer>,
    /// Path of the method, as in the policy: `/gavah.v1.ValidationService/ValidateCode`.
    pub method: &'static str,
    /// When the answer must be ready.
    pub deadline: Instant,
    /// The trace the call belongs to; also known to the caller, from the answer's `traceparent`.
    pub trace_id: TraceId,
    /// The registry at the time of the call: all decisions of one call are made on one version of it.
    pub snapshot: Arc<Snapshot>,
    /// For a call that lasts: whether it may go on.
    pub standing: Standing,
}
