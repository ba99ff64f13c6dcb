//! What is asked of a gateway, parsed once.

use std::{fmt, str::FromStr};

use gavah_domain::{Money, MoneyUnit};
use url::Url;

/// Why a value cannot be sent to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInput {
    /// Gateways know current rials only; converting is the caller's act, where it is exact or refused.
    #[error("the amount is not in current rials")]
    NotCurrentRials,
    /// Nothing, or less, is to be paid.
    #[error("the amount is not positive")]
    NotPositive,
    /// The description is blank or longer than 500 characters.
    #[error("the description is blank or too long")]
    Description,
    /// The callback is no address of http or https, or too long.
    #[error("the callback is no web address")]
    Callback,
    /// The reference of the order is not 1 to 64 letters, digits or hyphens.
    #[error("the reference is malformed")]
    Reference,
    /// An authority is A or S and 35 letters or digits.
    #[error("the authority is malformed")]
    Authority,
    /// A session is a number of up to 20 digits.
    #[error("the session is malformed")]
    Session,
}

/// A positive amount of current rials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rials(i64);

impl Rials {
    /// The amount as a number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<Money> for Rials {
    type Error = InvalidInput;

    fn try_from(money: Money) -> Result<Self, InvalidInput> {
        match money.unit {
            MoneyUnit::IrrNew => Err(InvalidInput::NotCurrentRials),
            MoneyUnit::IrrCurrent if money.amount <= 0 => Err(InvalidInput::NotPositive),
            MoneyUnit::IrrCurrent => Ok(Self(money.amount)),
        }
    }
}

impl From<Rials> for Money {
    fn from(rials: Rials) -> Self {
        Self::new(rials.0, MoneyUnit::IrrCurrent)
    }
}

/// The gateway's name of a payment: A (or S in its sandbox) and 35 letters or digits, so that it can stand in an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority(String);

impl Authority {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Authority {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let is_valid = text.len() == 36
            && text.starts_with(['A', 'S'])
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_valid
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidInput::Authority)
    }
}

/// The gateway's number of a session, by which it refunds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let is_valid =
            (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_valid
            .then(|| Self(text.to_owned()))
            .ok_or(InvalidInput::Session)
    }
}

fn description(text: &str) -> Result<String, InvalidInput> {
    let is_valid = !text.trim().is_empty() && text.chars().count() <= 500;
    is_valid
        .then(|| text.to_owned())
        .ok_or(InvalidInput::Description)
}

/// A payment to be opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    pub(crate) amount: Rials,
    pub(crate) description: String,
    pub(crate) callback_url: String,
    pub(crate) reference: String,
}

impl Order {
    /// Reads an order.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for the first part that is not fit to be sent.
    pub fn new(
        amount: Money,
        text: &str,
        callback_url: &str,
        reference: &str,
    ) -> Result<Self, InvalidInput> {
        let url = Url::parse(callback_url).map_err(|_| InvalidInput::Callback)?;
        if !matches!(url.scheme(), "http" | "https") || callback_url.len() > 2_000 {
            return Err(InvalidInput::Callback);
        }
        let fits = (1..=64).contains(&reference.len())
            && reference
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !fits {
            return Err(InvalidInput::Reference);
        }
        Ok(Self {
            amount: amount.try_into()?,
            description: description(text)?,
            callback_url: callback_url.to_owned(),
            reference: reference.to_owned(),
        })
    }
}

/// Without the description, which may name a person, and without the callback, which may carry a token.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("amount", &self.amount)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// An amount to be paid back.
#[derive(Clone, PartialEq, Eq)]
pub struct Refund {
    pub(crate) session: SessionId,
    pub(crate) amount: Rials,
    pub(crate) description: String,
}

impl Refund {
    /// Reads a refund.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for the first part that is not fit to be sent.
    pub fn new(session: SessionId, amount: Money, text: &str) -> Result<Self, InvalidInput> {
        Ok(Self {
            session,
            amount: amount.try_into()?,
            description: description(text)?,
        })
    }
}

/// Without the description, which may name a person.
impl fmt::Debug for Refund {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refund")
            .field("session", &self.session)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}
