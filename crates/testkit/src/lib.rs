//! Test support: servers on port 0, throw-away PostgreSQL clusters, fixtures.
//!
//! Only tests depend on this crate; nothing of it is shipped.

pub mod fixtures;
pub mod postgres;
pub mod world;
