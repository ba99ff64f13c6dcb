//! The Gavah service: transport, authorization, use cases.
//!
//! A call passes the TLS accept loop ([`transport`]), the layers ([`layers`]:
//! span and metrics, deadline, authentication and policy), a handler
//! ([`services`]) and a use case ([`app`]); [`convert`] stands between messages
//! and domain, [`status`] between refusals and gRPC statuses.

pub mod app;
pub mod call;
pub mod config;
pub mod convert;
pub mod error;
mod jobs;
pub mod layers;
pub mod on_behalf;
pub mod policy;
pub mod probes;
pub mod registry_watch;
mod server;
pub mod services;
mod shards;
pub mod status;
mod tasks;
pub mod telemetry;
pub mod transport;

pub use server::{Server, StartError, Surroundings};
