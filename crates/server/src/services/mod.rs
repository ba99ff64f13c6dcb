//! The gRPC services, one file each: take the call apart, convert, act, convert
//! back. Nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::TraceId;
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::call::Call;
use crate::error::AppError;
use crate::status::to_status;

use stream::Streams;

mod agreements;
mod attachments;
mod audit;
mod certificates;
mod changes;
mod codes;
mod dispatch;
mod disputes;
mod documents;
mod incidents;
mod inquiries;
mod jobs;
mod payments;
mod records;
mod registry;
mod run;
mod sandbox;
mod service_levels;
mod stream;
mod tariffs;
mod validation;

pub(crate) use dispatch::Dispatch;

/// The services of `gavah.v1` over one set of use cases.
#[derive(Debug, Clone)]
pub struct Services {
    app: Arc<App>,
    streams: Streams,
}

impl Services {
    /// The services over `app`; a row of a stream has `row_time`, as a call has that
    /// states no deadline.
    #[must_use]
    pub fn new(app: Arc<App>, row_time: Duration) -> Self {
        Self {
            app,
            streams: Streams::new(row_time),
        }
    }
}

/// The call and its message.
fn split<T>(request: Request<T>) -> Result<(Call, T), Status> {
    let (_, mut extensions, message) = request.into_parts();
    // Without the authentication layer's mark nothing is answered.
    let call = extensions.remove::<Call>().ok_or_else(|| {
        to_status(
            AppError::Internal("a handler was reached without authentication"),
            TraceId::INVALID,
        )
    })?;
    Ok((call, message))
}

/// The reply to a call.
fn reply<T>(call: &Call, result: Result<T, AppError>) -> Result<Response<T>, Status> {
    result
        .map(Response::new)
        .map_err(|error| to_status(error, call.trace_id))
}
