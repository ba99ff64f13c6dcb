//! What may be done to an application for a validity code, and where it goes then.

use crate::{enums::text_enum, reason::Reason};

text_enum! {
    /// State of an application for a validity code.
    pub enum CodeApplicationState {
        /// Handed in.
        Submitted = "SUBMITTED",
        /// Checked by rule; with the expert.
        Validated = "VALIDATED",
        /// Confirmed by the expert.
        ExpertConfirmed = "EXPERT_CONFIRMED",
        /// With the Organization.
        OrganizationReview = "ORGANIZATION_REVIEW",
        /// Nothing but payment stands before issuing.
        Approved = "APPROVED",
        /// Waiting for the payment of the quoted fee.
        AwaitingPayment = "AWAITING_PAYMENT",
        /// Paid.
        Paid = "PAID",
        /// The code is issued.
        Issued = "ISSUED",
        /// Given back with remarks.
        Returned = "RETURNED",
        /// Refused for good.
        Rejected = "REJECTED",
        /// Taken back.
        Cancelled = "CANCELLED",
        /// Not paid in time.
        PaymentExpired = "PAYMENT_EXPIRED",
    }
}

impl CodeApplicationState {
    /// The states that may follow.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Submitted => &[Self::Validated],
            Self::Validated => &[
                Self::ExpertConfirmed,
                Self::Returned,
                Self::Rejected,
                Self::Cancelled,
            ],
            Self::ExpertConfirmed => &[Self::OrganizationReview, Self::Approved],
            Self::OrganizationReview => &[
                Self::Approved,
                Self::Returned,
                Self::Rejected,
                Self::Cancelled,
            ],
            Self::Approved => &[Self::AwaitingPayment, Self::Issued],
            Self::AwaitingPayment => &[Self::Paid, Self::PaymentExpired, Self::Cancelled],
            Self::Paid => &[Self::Issued, Self::Cancelled],
            Self::Returned => &[Self::Submitted, Self::Cancelled],
            Self::Issued | Self::Rejected | Self::Cancelled | Self::PaymentExpired => &[],
        }
    }

    /// Whether `next` may follow.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }

    /// Whether nothing follows any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        self.next().is_empty()
    }
}

text_enum! {
    /// What is done to an application for a validity code.
    pub enum CodeApplicationAction {
        /// The institution hands it in again, with what it says now.
        Resubmit = "RESUBMIT",
        /// The institution takes it back.
        Cancel = "CANCEL",
        /// The expert confirms it.
        Confirm = "CONFIRM",
        /// The expert gives it back, with remarks.
        Return = "RETURN",
        /// The expert refuses it.
        Reject = "REJECT",
        /// The Organization approves it.
        Approve = "APPROVE",
        /// The Organization gives it back, with remarks.
        OrganizationReturn = "ORGANIZATION_RETURN",
        /// The Organization refuses it.
        OrganizationReject = "ORGANIZATION_REJECT",
    }
}

impl CodeApplicationAction {
    /// The state that the action makes an application in `state` enter; what the workflow does then comes after it.
    ///
    /// # Errors
    ///
    /// [`Reason::StateTransitionNotAllowed`].
    pub fn enters(self, state: CodeApplicationState) -> Result<CodeApplicationState, Reason> {
        use CodeApplicationState as S;
        Ok(match (self, state) {
            (Self::Resubmit, S::Returned) => S::Submitted,
            (Self::Confirm, S::Validated) => S::ExpertConfirmed,
            (Self::Return, S::Validated) => S::Returned,
            (Self::Reject, S::Validated) => S::Rejected,
            (Self::Approve, S::OrganizationReview) => S::Approved,
            (Self::OrganizationReturn, S::OrganizationReview) => S::Returned,
            (Self::OrganizationReject, S::OrganizationReview) => S::Rejected,
            (Self::Cancel, state) if state.may_become(S::Cancelled) => S::Cancelled,
            _ => return Err(Reason::StateTransitionNotAllowed),
        })
    }

    /// The actions that make sense in `state`, in the order of declaration.
    #[must_use]
    pub fn allowed(state: CodeApplicationState) -> Vec<Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|action| action.enters(state).is_ok()).collect()
    }

    /// Whether it says what is to be mended, field by field.
    #[must_use]
    pub const fn needs_remarks(self) -> bool {
        matches!(self, Self::Return | Self::OrganizationReturn)
    }

    /// Whether it says why.
    #[must_use]
    pub const fn needs_reason(self) -> bool {
        matches!(self, Self::Reject | Self::OrganizationReject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CodeApplicationAction as A;
    use CodeApplicationState as S;

    #[test]
    fn each_state_allows_exactly_these_actions() {
        for state in S::ALL.iter().copied() {
            let expected: &[A] = match state {
                S::Returned => &[A::Resubmit, A::Cancel],
                S::Validated => &[A::Cancel, A::Confirm, A::Return, A::Reject],
                S::OrganizationReview => &[
                    A::Cancel,
                    A::Approve,
                    A::OrganizationReturn,
                    A::OrganizationReject,
                ],
                S::AwaitingPayment | S::Paid => &[A::Cancel],
                // left in the call that enters them, or final
                S::Submitted
                | S::ExpertConfirmed
                | S::Approved
                | S::Issued
                | S::Rejected
                | S::Cancelled
                | S::PaymentExpired => &[],
            };
            assert_eq!(A::allowed(state), expected, "{state}");
        }
    }

    #[test]
    fn every_action_walks_along_the_states_machine() {
        for state in S::ALL.iter().copied() {
            for action in A::ALL.iter().copied() {
                if let Ok(next) = action.enters(state) {
                    assert!(state.may_become(next), "{action}: {state} to {next}");
                }
            }
        }
    }

    #[test]
    fn every_state_is_reached_and_leads_to_an_end() {
        for state in S::ALL.iter().copied() {
            let reached = S::ALL.iter().any(|before| before.may_become(state));
            assert!(reached, "{state}");
            let mut ends = vec![state];
            for _ in S::ALL {
                ends = ends
                    .iter()
                    .flat_map(|at| at.next().iter().chain([at]))
                    .copied()
                    .collect();
                ends.sort();
                ends.dedup();
            }
            assert!(ends.iter().any(|at| at.is_final()), "{state}");
        }
    }

    #[test]
    fn nothing_is_issued_without_an_approval_or_a_payment() {
        let before: Vec<_> = S::ALL
            .iter()
            .filter(|at| at.may_become(S::Issued))
            .collect();
        assert_eq!(before, [&S::Approved, &S::Paid]);
    }
}
