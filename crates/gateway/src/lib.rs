//! Payments through a gateway: what may be asked of one, the protocol REST v4 of Zarinpal, and a simulator that speaks it.
//!
//! A payment has its money elsewhere, so an answer that did not come says nothing: [`Failure::Unknown`] is not a refusal.

mod failure;
mod order;
mod secret;
pub mod simulator;
mod zarinpal;

use std::{fmt, future::Future, pin::Pin};

pub use failure::{CODES, Failure, Fault, Meaning, Uncertainty};
pub use order::{Authority, InvalidInput, Order, Refund, Rials, SessionId};
pub use secret::SecretError;
pub use zarinpal::{Zarinpal, ZarinpalConfig};

/// What a gateway will have answered.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// A payment gateway. Every call is made once: whether to ask again is for the caller to decide, who knows what is recorded.
pub trait Gateway: fmt::Debug + Send + Sync {
    /// Opens a payment.
    fn request<'a>(&'a self, order: &'a Order) -> Answer<'a, Authority>;

    /// Where the payer is sent.
    fn redirect_url(&self, authority: &Authority) -> String;

    /// Settles a payment that the payer says to have made: only this proves it, never the callback.
    fn verify<'a>(&'a self, authority: &'a Authority, amount: Rials) -> Answer<'a, Settlement>;

    /// The payments that are made and not yet verified, as many as the gateway tells.
    fn unverified(&self) -> Answer<'_, Vec<Unverified>>;

    /// How a payment stands, without changing it.
    fn inquire<'a>(&'a self, authority: &'a Authority) -> Answer<'a, Standing>;

    /// Takes a payment back in full, for as long as the gateway allows it.
    fn reverse<'a>(&'a self, authority: &'a Authority) -> Answer<'a, ()>;

    /// Pays back an amount of a settled payment.
    fn refund<'a>(&'a self, refund: &'a Refund) -> Answer<'a, Refunded>;
}

/// A payment that is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Settled by this call.
    Done(Receipt),
    /// Settled by an earlier call, whose answer may never have come.
    DoneEarlier(Receipt),
}

impl Settlement {
    /// The receipt, whenever it was made.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        match self {
            Self::Done(receipt) | Self::DoneEarlier(receipt) => receipt,
        }
    }
}

/// What is kept of a settled payment. The payer's card is not read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The gateway's number of the transaction.
    pub ref_id: String,
    /// The gateway's fee in current rials, where it told one.
    pub fee: Option<i64>,
}

/// A payment that is made and not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// The payment.
    pub authority: Authority,
    /// What was paid.
    pub amount: Rials,
    /// When, as the gateway writes it.
    pub paid_at: String,
}

/// How a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The payer is still at the bank.
    InBank,
    /// Made, not verified.
    Paid,
    /// Made and verified.
    Verified,
    /// Not made.
    Failed,
    /// Taken back.
    Reversed,
}

/// A refund that the gateway accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refunded {
    /// The gateway's number of it.
    pub id: String,
    /// How much is paid back.
    pub amount: Rials,
}
