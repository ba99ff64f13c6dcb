//! Incidents: many documents revoked at once, proposed by one officer and approved by another.

use jiff::Timestamp;

use crate::{
    caller::ExpertCode, enums::text_enum, institution::InstitutionCode, reason::Reason,
    service::ServiceKind, violation::Violations,
};

text_enum! {
    /// State of an incident.
    pub enum IncidentState {
        /// Proposed; nothing is revoked.
        Proposed = "PROPOSED",
        /// Approved; documents are being revoked.
        Approved = "APPROVED",
        /// Everything selected is revoked; final.
        Done = "DONE",
        /// Taken back before it was approved; final.
        Withdrawn = "WITHDRAWN",
    }
}

text_enum! {
    /// What an officer does to an incident.
    pub enum IncidentAction {
        /// Has it carried out.
        Approve = "APPROVE",
        /// Takes it back.
        Withdraw = "WITHDRAW",
    }
}

impl IncidentAction {
    /// The state after the action.
    ///
    /// # Errors
    ///
    /// [`Reason::StateTransitionNotAllowed`].
    pub const fn apply(self, state: IncidentState) -> Result<IncidentState, Reason> {
        match (state, self) {
            (IncidentState::Proposed, Self::Approve) => Ok(IncidentState::Approved),
            (IncidentState::Proposed, Self::Withdraw) => Ok(IncidentState::Withdrawn),
            _ => Err(Reason::StateTransitionNotAllowed),
        }
    }
}

/// Which documents are to be revoked; what is given combines with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Whose documents.
    pub service: ServiceKind,
    /// Of this institution.
    pub institution: Option<InstitutionCode>,
    /// Attested, or decided on, by this expert of an institution.
    pub expert: Option<(InstitutionCode, ExpertCode)>,
    /// Signed with this key.
    pub key_id: Option<String>,
    /// Issued at or after.
    pub issued_from: Option<Timestamp>,
    /// Issued before.
    pub issued_before: Option<Timestamp>,
}

impl Selection {
    /// Whether it says enough, and nothing that no document has.
    ///
    /// # Errors
    ///
    /// Every violation: [`Reason::FieldRequired`] for a selection of everything, [`Reason::FieldFormat`] for the key of what
    /// is not signed and for a window that ends before it begins.
    pub fn check(&self) -> Result<(), Violations> {
        let mut found = Violations::default();
        let bounded = self.institution.is_some()
            || self.expert.is_some()
            || self.key_id.is_some()
            || self.issued_from.is_some()
            || self.issued_before.is_some();
        if !bounded {
            found.push("institution_code", Reason::FieldRequired);
        }
        if self.key_id.is_some() && self.service == ServiceKind::ValidityCode {
            found.push("key_id", Reason::FieldFormat);
        }
        if let Some((from, before)) = self.issued_from.zip(self.issued_before)
            && before <= from
        {
            found.push("issued_before", Reason::FieldFormat);
        }
        found.finish(Some(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_proposed_is_approved_or_withdrawn() {
        use IncidentAction as A;
        use IncidentState as S;
        let refused = Err(Reason::StateTransitionNotAllowed);
        for state in S::ALL {
            let (approve, withdraw) = match state {
                S::Proposed => (Ok(S::Approved), Ok(S::Withdrawn)),
                _ => (refused, refused),
            };
            assert_eq!(A::Approve.apply(*state), approve, "{state}");
            assert_eq!(A::Withdraw.apply(*state), withdraw, "{state}");
        }
    }

    #[test]
    fn a_selection_is_bounded_and_makes_sense() {
        let at = |second| Timestamp::from_second(second).ok();
        let all = Selection {
            service: ServiceKind::ValidityCode,
            institution: None,
            expert: None,
            key_id: None,
            issued_from: None,
            issued_before: None,
        };
        let told = |selection: &Selection| {
            let found = selection.check().err().unwrap_or_default().into_vec();
            let told = found.into_iter().map(|it| (it.field, it.reason));
            told.collect::<Vec<_>>()
        };
        let of = |field: &str, reason| vec![(field.to_owned(), reason)];
        assert_eq!(told(&all), of("institution_code", Reason::FieldRequired));
        let key = Selection {
            key_id: Some("key".to_owned()),
            ..all.clone()
        };
        assert_eq!(told(&key), of("key_id", Reason::FieldFormat));
        let window = |from, before| Selection {
            issued_from: at(from),
            issued_before: at(before),
            ..all.clone()
        };
        assert_eq!(
            told(&window(5, 5)),
            of("issued_before", Reason::FieldFormat)
        );
        assert_eq!(told(&window(5, 6)), []);
    }
}
