//! `gavah bench` as it is used: real servers in processes of their own, a few hundred calls, and figures that are there.
//! No test says what they should be.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod compare;
mod program;
mod refusals;
mod run;
