//! The commands one by one: what they print, how they refuse, and with which exit code they end.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod agreements;
mod class;
mod codes;
mod offline;
mod online;
mod oversight;
mod promises;
mod setup;
mod site;
mod stages;
