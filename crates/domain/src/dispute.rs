//! Disputes on interpretation or execution: one Jalali month of negotiation, then the provider's opinion decides.

use jiff::Timestamp;

use crate::{JalaliDate, enums::text_enum, reason::Reason};

/// Most actions of one ruling.
pub const MOST_ACTIONS: usize = 20;

/// Jalali months of negotiation.
const NEGOTIATION_MONTHS: u32 = 1;

text_enum! {
    /// State of a dispute.
    pub enum DisputeState {
        /// Opened; the other party has not answered. The month runs.
        Open = "OPEN",
        /// The other party has answered.
        Negotiation = "NEGOTIATION",
        /// Both parties agreed to the same terms; final.
        Agreed = "AGREED",
        /// The provider has decided; final.
        Ruled = "RULED",
        /// Taken back by who opened it; final.
        Withdrawn = "WITHDRAWN",
    }
}

impl DisputeState {
    /// Where it may go from here. The month runs from the opening, so whoever says nothing holds up nobody: what is merely
    /// open can be ruled, too.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Open => &[
                Self::Negotiation,
                Self::Agreed,
                Self::Ruled,
                Self::Withdrawn,
            ],
            Self::Negotiation => &[Self::Agreed, Self::Ruled, Self::Withdrawn],
            Self::Agreed | Self::Ruled | Self::Withdrawn => &[],
        }
    }

    /// Whether nothing has ended it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Negotiation)
    }

    /// The state after `party` has said something in a dispute that `opener` opened: the other party's answer begins the
    /// negotiation.
    #[must_use]
    pub fn answered(self, party: Party, opener: Party) -> Self {
        match self {
            Self::Open if party != opener => Self::Negotiation,
            state => state,
        }
    }
}

text_enum! {
    /// A side of a dispute.
    pub enum Party {
        /// The consumer of the service.
        Consumer = "CONSUMER",
        /// The provider.
        Provider = "PROVIDER",
    }
}

text_enum! {
    /// In whose favour a dispute was decided.
    pub enum RulingOutcome {
        /// Who opened it is right.
        Upheld = "UPHELD",
        /// Who opened it is right in part.
        PartlyUpheld = "PARTLY_UPHELD",
        /// Who opened it is not right.
        Dismissed = "DISMISSED",
    }
}

text_enum! {
    /// What a ruling may order.
    pub enum OrderedAct {
        /// Correct a document.
        Correct = "CORRECT",
        /// Issue anew in place of a document.
        Reissue = "REISSUE",
        /// Revoke a document.
        Revoke = "REVOKE",
        /// Refund a payment.
        Refund = "REFUND",
    }
}

impl OrderedAct {
    /// Whether the document that it is done to is in force before it and never again: of what is revoked or superseded
    /// already it can no longer be done.
    #[must_use]
    pub const fn ends_its_target(self) -> bool {
        matches!(self, Self::Correct | Self::Revoke)
    }
}

text_enum! {
    /// How far an action is that a ruling ordered.
    pub enum ActionState {
        /// It is to be done.
        Open = "OPEN",
        /// It is done; final.
        Done = "DONE",
        /// It can no longer be done, as an officer says; final.
        Closed = "CLOSED",
    }
}

/// One Jalali month after the opening: the first instant at which a dispute may be ruled without anybody's consent.
#[must_use]
pub fn deadline(opened: Timestamp) -> Timestamp {
    JalaliDate::months_after(opened, NEGOTIATION_MONTHS)
}

/// Whether a dispute with this deadline may be ruled at `now`.
///
/// # Errors
///
/// [`Reason::NegotiationPeriodNotOver`] before the deadline, unless both parties have consented.
pub fn may_be_ruled(
    now: Timestamp,
    deadline: Timestamp,
    consents: [bool; 2],
) -> Result<(), Reason> {
    match now >= deadline || consents == [true, true] {
        true => Ok(()),
        false => Err(Reason::NegotiationPeriodNotOver),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn noon(day: &str) -> Timestamp {
        JalaliDate::parse(day).unwrap().at_minute(12 * 60)
    }

    #[test]
    fn the_deadline_is_the_same_day_of_the_next_jalali_month_clamped_to_its_length() {
        for (opened, due) in [
            ("1405/02/23", "1405/03/23"),
            // The first six months have 31 days, the next five 30, Esfand 29 or 30.
            ("1405/06/31", "1405/07/30"),
            ("1405/11/30", "1405/12/29"),
            ("1403/11/30", "1403/12/30"),
            ("1405/12/29", "1406/01/29"),
            ("1403/12/30", "1404/01/30"),
        ] {
            assert_eq!(deadline(noon(opened)), noon(due), "{opened}");
        }
    }

    #[test]
    fn before_the_deadline_both_must_consent_and_from_then_on_nobody() {
        let due = at("2026-06-13T08:30:00Z");
        let before = at("2026-06-13T08:29:59.999999Z");
        let refused = Err(Reason::NegotiationPeriodNotOver);
        for consents in [[false, false], [true, false], [false, true]] {
            assert_eq!(may_be_ruled(before, due, consents), refused, "{consents:?}");
            assert_eq!(may_be_ruled(due, due, consents), Ok(()), "{consents:?}");
        }
        assert_eq!(may_be_ruled(before, due, [true, true]), Ok(()));
    }

    #[test]
    fn what_has_ended_goes_nowhere() {
        for state in DisputeState::ALL.iter().copied() {
            assert_eq!(state.next().is_empty(), !state.is_open(), "{state}");
            assert!(!state.next().contains(&state), "{state}");
            assert!(!state.next().contains(&DisputeState::Open), "{state}");
        }
    }

    #[test]
    fn the_other_partys_answer_begins_the_negotiation() {
        use DisputeState::{Negotiation, Open};
        use Party::{Consumer, Provider};
        for (party, opener, after) in [
            (Consumer, Consumer, Open),
            (Provider, Provider, Open),
            (Provider, Consumer, Negotiation),
            (Consumer, Provider, Negotiation),
        ] {
            assert_eq!(Open.answered(party, opener), after);
            assert_eq!(Negotiation.answered(party, opener), Negotiation);
        }
    }
}
