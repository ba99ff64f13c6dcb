//! Payments: how one stands, and how each application that it pays for stands in it.

use crate::{
    enums::text_enum,
    money::{Money, MoneyError, MoneyUnit},
};

/// Most applications that one payment pays for.
pub const LINES_MAX: usize = 1_000;

/// Most characters of a reference or reason that an officer gives.
pub const NOTE_MAX_CHARS: usize = 200;

text_enum! {
    /// State of a payment.
    pub enum PaymentState {
        /// Recorded; the gateway has not opened it, or nobody knows whether it has.
        Created = "CREATED",
        /// Opened at the gateway: the payer can pay there.
        Redirected = "REDIRECTED",
        /// The gateway confirmed that the money is in, amount and unit as quoted.
        Verified = "VERIFIED",
        /// The gateway's day file says the same.
        Settled = "SETTLED",
        /// The gateway refused it, did not open it, or says that it was not paid; or nobody need pay any more.
        Failed = "FAILED",
        /// Not paid in time.
        Expired = "EXPIRED",
        /// The money is in, and some of it is to be paid back.
        RefundDue = "REFUND_DUE",
        /// What was to be paid back is paid back.
        Refunded = "REFUNDED",
    }
}

impl PaymentState {
    /// The states that may follow.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Created => &[Self::Redirected, Self::Failed, Self::Expired],
            // Money that comes when nothing waits for it any more is to be paid back.
            Self::Redirected => &[Self::Verified, Self::Failed, Self::Expired],
            Self::Failed | Self::Expired => &[Self::Verified],
            Self::Verified => &[Self::Settled, Self::RefundDue],
            Self::Settled => &[Self::RefundDue],
            Self::RefundDue => &[Self::Refunded],
            Self::Refunded => &[Self::RefundDue],
        }
    }

    /// Whether `next` may follow.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }

    /// Whether the payer may still pay it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Redirected)
    }

    /// Whether its money was received.
    #[must_use]
    pub const fn has_money(self) -> bool {
        matches!(
            self,
            Self::Verified | Self::Settled | Self::RefundDue | Self::Refunded
        )
    }
}

text_enum! {
    /// How an application stands in its payment.
    pub enum LineState {
        /// The money is not in, or not given to it yet.
        Waiting = "WAITING",
        /// Paid; its document is not issued yet.
        Paid = "PAID",
        /// Its document is issued.
        Used = "USED",
        /// Nothing is issued for it: its share is to be paid back.
        RefundDue = "REFUND_DUE",
        /// A refund of its share was asked for, and the gateway's answer is not known.
        Refunding = "REFUNDING",
        /// Its share is paid back.
        Refunded = "REFUNDED",
    }
}

impl LineState {
    /// The states that may follow.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Waiting => &[Self::Paid, Self::RefundDue],
            Self::Paid => &[Self::Used, Self::RefundDue],
            // By order of a ruling also what was used is paid back.
            Self::Used => &[Self::RefundDue],
            Self::RefundDue => &[Self::Refunding],
            Self::Refunding => &[Self::Refunded, Self::RefundDue],
            Self::Refunded => &[],
        }
    }

    /// Whether `next` may follow.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }
}

text_enum! {
    /// How money is paid back.
    pub enum RefundMethod {
        /// The gateway is asked to, now.
        Gateway = "GATEWAY",
        /// It was paid back, whichever way: that is only recorded.
        Recorded = "RECORDED",
        /// What the gateway was asked for and gave no answer to was not done.
        NotDone = "NOT_DONE",
    }
}

text_enum! {
    /// Whether a refund was carried out.
    pub enum RefundState {
        /// Asked for; the gateway's answer is not known.
        Asked = "ASKED",
        /// Paid back.
        Done = "DONE",
        /// Not paid back.
        Failed = "FAILED",
    }
}

text_enum! {
    /// What a gateway's day file and our books say differently of a payment.
    pub enum DifferenceKind {
        /// The file has it, and nothing here goes by that name.
        UnknownHere = "UNKNOWN_HERE",
        /// The file says paid; here the money is not in. It is asked about again at once.
        NotVerifiedHere = "NOT_VERIFIED_HERE",
        /// Here the money came in on that day; the file does not have it.
        MissingInFile = "MISSING_IN_FILE",
        /// The amounts differ.
        Amount = "AMOUNT",
        /// The gateway's references differ.
        Reference = "REFERENCE",
        /// The file has it twice.
        Twice = "TWICE",
    }
}

/// What fees come to in current rials, in which gateways count.
///
/// # Errors
///
/// [`MoneyError`] when an amount is no whole number of current rials or the sum is too large.
pub fn total(fees: impl IntoIterator<Item = Money>) -> Result<Money, MoneyError> {
    let nothing = Money::new(0, MoneyUnit::IrrCurrent);
    fees.into_iter().try_fold(nothing, |sum, fee| {
        sum.checked_add(fee.convert(MoneyUnit::IrrCurrent)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use LineState as L;
    use PaymentState as P;

    #[test]
    fn only_the_gateways_confirmation_brings_money_and_money_never_vanishes() {
        for state in P::ALL.iter().copied() {
            for next in state.next().iter().copied() {
                if next.has_money() && !state.has_money() {
                    assert_eq!(next, P::Verified, "{state}");
                }
                assert!(!state.has_money() || next.has_money(), "{state} to {next}");
            }
        }
        assert!(!P::Created.may_become(P::Verified));
    }

    #[test]
    fn late_money_is_received_from_every_state_in_which_the_payer_had_been_sent_there() {
        let before: Vec<_> = P::ALL
            .iter()
            .filter(|state| state.may_become(P::Verified))
            .collect();
        assert_eq!(before, [&P::Redirected, &P::Failed, &P::Expired]);
    }

    #[test]
    fn a_share_is_used_or_paid_back_and_never_both_without_an_order() {
        for state in L::ALL.iter().copied() {
            let expected: &[L] = match state {
                L::Waiting => &[L::Paid, L::RefundDue],
                L::Paid => &[L::Used, L::RefundDue],
                L::Used => &[L::RefundDue],
                L::RefundDue => &[L::Refunding],
                L::Refunding => &[L::Refunded, L::RefundDue],
                L::Refunded => &[],
            };
            assert_eq!(state.next(), expected, "{state}");
            assert!(!state.may_become(state));
        }
    }

    #[test]
    fn both_rials_add_up_in_current_ones() {
        let current = |amount| Money::new(amount, MoneyUnit::IrrCurrent);
        let new = |amount| Money::new(amount, MoneyUnit::IrrNew);
        assert_eq!(total([]), Ok(current(0)));
        assert_eq!(total([current(120_000), new(30)]), Ok(current(420_000)));
        assert_eq!(total([new(i64::MAX)]), Err(MoneyError::Overflow));
        assert_eq!(
            total([current(i64::MAX), current(1)]),
            Err(MoneyError::Overflow)
        );
    }
}
