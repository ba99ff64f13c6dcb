//! Load generator for Gavah, the bare-echo floor and the report.
//!
//! Everything here speaks the public contract alone: a figure that this crate gives can be had by any caller. What a
//! server costs is read from the operating system ([`process`]), what its callers wait from a histogram
//! ([`latency`]), and what is compared is measured in interleaved rounds ([`rounds`]).

pub mod collector;
pub mod echo;
pub mod figures;
pub mod latency;
pub mod load;
pub mod people;
pub mod plan;
pub mod plot;
pub mod process;
pub mod rounds;
pub mod target;
pub mod work;
