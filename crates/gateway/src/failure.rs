//! Why a gateway did not do what was asked, and the published codes in our words.

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The gateway said no, and nothing was done.
    #[error("the gateway refused: {meaning:?}")]
    Refused {
        /// Its code; refunds are refused without one.
        code: Option<i32>,
        /// Our meaning of it.
        meaning: Meaning,
    },
    /// No connection was made, so nothing was asked.
    #[error("the gateway was not reached")]
    NotReached,
    /// Asked and not answered: nothing may be concluded, neither that it was done nor that it was not.
    #[error("the outcome is unknown: {0:?}")]
    Unknown(Uncertainty),
    /// What is set up here, or at the gateway for this merchant, is wrong: no payment can succeed until someone sees to it.
    #[error("the gateway is misconfigured: {0:?}")]
    Misconfigured(Fault),
}

/// Why an outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncertainty {
    /// No answer within the time.
    TimedOut,
    /// The connection ended after the question was sent.
    ConnectionLost,
    /// The gateway answered with this HTTP status, and not in its protocol.
    Status(u16),
    /// The answer is not in the protocol.
    Unreadable,
    /// The answer is longer than any answer of the protocol.
    TooLong,
    /// A code that is not published.
    UnpublishedCode(i32),
    /// The gateway says that it failed itself (-52).
    GatewayFault,
}

/// What is wrong with the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The gateway does not serve this merchant so.
    Merchant {
        /// The gateway's code.
        code: i32,
        /// Our meaning of it.
        meaning: Meaning,
    },
    /// A secret was not accepted (401 or 403).
    NotAuthorized,
    /// Refunds need an access token, and none is configured.
    NoAccessToken,
}

/// The gateway's codes in our words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// A field is not valid.
    InvalidRequest,
    /// The merchant or this address is not known.
    TerminalInvalid,
    /// The merchant is not active.
    TerminalInactive,
    /// Too many attempts; later may succeed.
    TooManyAttempts,
    /// The merchant's limit is reached.
    TerminalLimit,
    /// The callback is not of the registered domain.
    CallbackDomain,
    /// The merchant is suspended.
    TerminalSuspended,
    /// The merchant's level does not allow it.
    TerminalLevel,
    /// The referrer is not of the registered domain.
    ReferrerDomain,
    /// The merchant may make no transactions.
    TerminalBanned,
    /// Something about sharing an amount among accounts, which we never ask for.
    Shares,
    /// The time of expiry is not valid.
    InvalidExpiry,
    /// The amount is above the maximum.
    AmountTooLarge,
    /// The amount is not the one that was paid.
    AmountDiffers,
    /// Not paid, as yet at least.
    NotPaid,
    /// The gateway failed.
    GatewayFault,
    /// The payment is another merchant's.
    OtherMerchant,
    /// There is no such payment.
    AuthorityUnknown,
    /// There is no such manual payment.
    PaymentNotFound,
    /// The bank cannot take it back.
    BankCannotReverse,
    /// It did not succeed, so nothing can be taken back.
    NotSettled,
    /// The merchant has registered no addresses, which reversing needs.
    AddressesNotRegistered,
    /// The time for reversing is over.
    TooLateToReverse,
    /// The refund was refused.
    RefundRefused,
}

/// Every code that the gateway publishes for what did not succeed.
pub const CODES: &[(i32, Meaning)] = &[
    (-9, Meaning::InvalidRequest),
    (-10, Meaning::TerminalInvalid),
    (-11, Meaning::TerminalInactive),
    (-12, Meaning::TooManyAttempts),
    (-13, Meaning::TerminalLimit),
    (-14, Meaning::CallbackDomain),
    (-15, Meaning::TerminalSuspended),
    (-16, Meaning::TerminalLevel),
    (-17, Meaning::TerminalLevel),
    (-18, Meaning::ReferrerDomain),
    (-19, Meaning::TerminalBanned),
    (-30, Meaning::Shares),
    (-31, Meaning::Shares),
    (-32, Meaning::Shares),
    (-33, Meaning::Shares),
    (-34, Meaning::Shares),
    (-35, Meaning::Shares),
    (-36, Meaning::Shares),
    (-37, Meaning::Shares),
    (-38, Meaning::Shares),
    (-39, Meaning::Shares),
    (-40, Meaning::InvalidExpiry),
    (-41, Meaning::AmountTooLarge),
    (-50, Meaning::AmountDiffers),
    (-51, Meaning::NotPaid),
    (-52, Meaning::GatewayFault),
    (-53, Meaning::OtherMerchant),
    (-54, Meaning::AuthorityUnknown),
    (-55, Meaning::PaymentNotFound),
    (-60, Meaning::BankCannotReverse),
    (-61, Meaning::NotSettled),
    (-62, Meaning::AddressesNotRegistered),
    (-63, Meaning::TooLateToReverse),
];

impl Failure {
    /// What a code that is not success stands for.
    #[must_use]
    pub fn of_code(code: i32) -> Self {
        let Some((_, meaning)) = CODES.iter().find(|(known, _)| *known == code) else {
            return Self::Unknown(Uncertainty::UnpublishedCode(code));
        };
        let meaning = *meaning;
        match meaning {
            Meaning::GatewayFault => Self::Unknown(Uncertainty::GatewayFault),
            Meaning::TerminalInvalid
            | Meaning::TerminalInactive
            | Meaning::CallbackDomain
            | Meaning::TerminalSuspended
            | Meaning::TerminalLevel
            | Meaning::ReferrerDomain
            | Meaning::TerminalBanned
            | Meaning::Shares
            | Meaning::AddressesNotRegistered => {
                Self::Misconfigured(Fault::Merchant { code, meaning })
            }
            Meaning::InvalidRequest
            | Meaning::TooManyAttempts
            | Meaning::TerminalLimit
            | Meaning::InvalidExpiry
            | Meaning::AmountTooLarge
            | Meaning::AmountDiffers
            | Meaning::NotPaid
            | Meaning::OtherMerchant
            | Meaning::AuthorityUnknown
            | Meaning::PaymentNotFound
            | Meaning::BankCannotReverse
            | Meaning::NotSettled
            | Meaning::TooLateToReverse
            | Meaning::RefundRefused => Self::Refused {
                code: Some(code),
                meaning,
            },
        }
    }
}
