//! Typed client of Gavah over mutual TLS.
//!
//! [`Client::connect`] proves both sides' identity; [`Client::call`] makes a call with a deadline and repeats it when
//! that is safe. Every write of the contract carries a `request_id`, so a repeated write never acts twice.
//!
//! ```no_run
//! use gavah_api::v1 as pb;
//! use gavah_client::{Client, ClientConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(&ClientConfig {
//!     endpoint: "https://localhost:7443".to_owned(),
//!     server_ca: "pki/ca.pem".into(),
//!     certificate: "pki/window.pem".into(),
//!     key: "pki/window.key".into(),
//!     timeout: std::time::Duration::from_secs(10),
//!     retries: 3,
//! })
//! .await?;
//! let reply = client
//!     .call(pb::WhoAmIRequest {}, |channel, request| async move {
//!         channel.registry().who_am_i(request).await
//!     })
//!     .await?;
//! println!("{} (trace {:?})", reply.message().certificate_fingerprint, reply.trace_id());
//! # Ok(()) }
//! ```

mod channel;
mod client;
mod config;
mod failure;
mod retry;
mod tls;
mod trace;

pub use channel::Channel;
pub use client::{Client, Reply};
pub use config::{ClientConfig, ClientError};
pub use failure::{Failure, Violation};
pub use trace::trace_id;

#[cfg(test)]
mod tests;
