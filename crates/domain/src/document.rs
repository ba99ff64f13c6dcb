//! The life of an issued document. Validity codes and enrollment certificates share one state machine; expiry is no state, it
//! is derived from the clock when a document is read.

use crate::{enums::text_enum, reason::Reason};

text_enum! {
    /// State of an issued document.
    pub enum DocumentState {
        /// In force.
        Active = "ACTIVE",
        /// Suspended; may be reinstated or revoked.
        Suspended = "SUSPENDED",
        /// Replaced by a newer document; final.
        Superseded = "SUPERSEDED",
        /// Revoked; final.
        Revoked = "REVOKED",
    }
}

impl DocumentState {
    /// Whether the document still takes the place of a live one: while it lives, no second one is issued for the same key.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::Suspended)
    }
}

text_enum! {
    /// What an authorized caller may do to an issued document.
    pub enum DocumentAction {
        /// Takes it out of force for the time being.
        Suspend = "SUSPEND",
        /// Puts a suspended one in force again.
        Reinstate = "REINSTATE",
        /// Ends it for good.
        Revoke = "REVOKE",
    }
}

impl DocumentAction {
    /// The state after the action.
    ///
    /// # Errors
    ///
    /// [`Reason::StateTransitionNotAllowed`] when the action makes no sense in `state`; repeating an action is such a case,
    /// because a retry is recognised by its request id, not here.
    pub const fn apply(self, state: DocumentState) -> Result<DocumentState, Reason> {
        use DocumentState::{Active, Revoked, Suspended};
        match (state, self) {
            (Active, Self::Suspend) => Ok(Suspended),
            (Suspended, Self::Reinstate) => Ok(Active),
            (Active | Suspended, Self::Revoke) => Ok(Revoked),
            _ => Err(Reason::StateTransitionNotAllowed),
        }
    }

    /// The actions that make sense in `state`, in the order of declaration.
    #[must_use]
    pub const fn allowed(state: DocumentState) -> &'static [DocumentAction] {
        match state {
            DocumentState::Active => &[Self::Suspend, Self::Revoke],
            DocumentState::Suspended => &[Self::Reinstate, Self::Revoke],
            DocumentState::Superseded | DocumentState::Revoked => &[],
        }
    }
}

text_enum! {
    /// Why a document was revoked.
    pub enum RevocationReason {
        /// Issued in error (صدور اشتباه).
        IssuedInError = "ISSUED_IN_ERROR",
        /// Fraud (جعل یا تقلب).
        Fraud = "FRAUD",
        /// Wrong data (خطای داده).
        DataError = "DATA_ERROR",
        /// At the student's request (درخواست دانشجو).
        StudentRequest = "STUDENT_REQUEST",
        /// Enrollment has ended (پایان اشتغال به تحصیل).
        EnrollmentEnded = "ENROLLMENT_ENDED",
        /// A signing key was compromised (افشای کلید).
        KeyCompromise = "KEY_COMPROMISE",
        /// Court order (حکم قضایی).
        CourtOrder = "COURT_ORDER",
        /// Replaced by a newer document.
        Superseded = "SUPERSEDED",
    }
}

impl RevocationReason {
    /// Whether a caller may give this reason; SUPERSEDED is only ever set by the service itself.
    #[must_use]
    pub const fn may_be_given(self) -> bool {
        !matches!(self, Self::Superseded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_answers_every_action() {
        use DocumentAction as A;
        use DocumentState as S;
        let refused = Err(Reason::StateTransitionNotAllowed);
        let table = [
            (S::Active, A::Suspend, Ok(S::Suspended)),
            (S::Active, A::Reinstate, refused),
            (S::Active, A::Revoke, Ok(S::Revoked)),
            (S::Suspended, A::Suspend, refused),
            (S::Suspended, A::Reinstate, Ok(S::Active)),
            (S::Suspended, A::Revoke, Ok(S::Revoked)),
            (S::Superseded, A::Suspend, refused),
            (S::Superseded, A::Reinstate, refused),
            (S::Superseded, A::Revoke, refused),
            (S::Revoked, A::Suspend, refused),
            (S::Revoked, A::Reinstate, refused),
            (S::Revoked, A::Revoke, refused),
        ];
        assert_eq!(table.len(), S::ALL.len() * A::ALL.len());
        for (state, action, after) in table {
            assert_eq!(action.apply(state), after, "{action} in {state}");
            assert_eq!(
                A::allowed(state).contains(&action),
                after.is_ok(),
                "{action} in {state}"
            );
        }
    }

    #[test]
    fn only_active_and_suspended_documents_are_live() {
        let live: Vec<_> = DocumentState::ALL
            .iter()
            .filter(|state| state.is_live())
            .collect();
        assert_eq!(live, [&DocumentState::Active, &DocumentState::Suspended]);
    }

    #[test]
    fn superseded_is_the_only_reason_a_caller_may_not_give() {
        let kept: Vec<_> = RevocationReason::ALL
            .iter()
            .filter(|reason| !reason.may_be_given())
            .collect();
        assert_eq!(kept, [&RevocationReason::Superseded]);
        assert_eq!(RevocationReason::ALL.len(), 8);
    }
}
