//! The program as a stranger meets it: real processes of `gavah`, killed, drained, reloaded and listened to, and
//! clients that share no code with it.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that fails says how it can be repeated and what the process logged"
)]

mod canaries;
mod class;
mod demo;
mod foreign;
mod killed;
mod paid;
mod program;
mod receiver;
mod same_request;
mod signals;
mod site;
mod students;
mod tools;
mod traces;
