//! Agreements (توافق‌نامه): who may use a service during a call, for what, how often, and what is told then.

use jiff::Timestamp;

use crate::{
    caller::CallerClass,
    disclosure::{Extent, Told},
    enums::text_enum,
    reason::Reason,
    service::ServiceCall,
};

text_enum! {
    /// State of an agreement.
    pub enum AgreementState {
        /// Asked for.
        Requested = "REQUESTED",
        /// In force.
        Active = "ACTIVE",
        /// Out of force for the time being.
        Suspended = "SUSPENDED",
        /// Ended for good.
        Terminated = "TERMINATED",
    }
}

impl AgreementState {
    /// Where it may go from here.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Requested => &[Self::Active, Self::Terminated],
            Self::Active => &[Self::Suspended, Self::Terminated],
            Self::Suspended => &[Self::Active, Self::Terminated],
            Self::Terminated => &[],
        }
    }
}

text_enum! {
    /// Why an agreement ended.
    pub enum AgreementEnd {
        /// The call it belongs to has closed.
        CallEnded = "CALL_ENDED",
        /// The provider ended it.
        ByProvider = "BY_PROVIDER",
        /// The consumer ended it.
        ByConsumer = "BY_CONSUMER",
    }
}

text_enum! {
    /// For what a consumer may use the service.
    pub enum AgreementPurpose {
        /// To have documents issued.
        Issue = "ISSUE",
        /// To have codes validated.
        Validate = "VALIDATE",
        /// To have claims compared with a document.
        Match = "MATCH",
        /// To ask by person what is on record.
        Inquire = "INQUIRE",
    }
}

text_enum! {
    /// What an agreement lets its consumer be told.
    pub enum AgreementField {
        /// Which document it is, its kind, and from when to when it holds.
        Document = "DOCUMENT",
        /// The institution's names.
        Institution = "INSTITUTION",
        /// Degree level and field of study.
        Program = "PROGRAM",
        /// The subject's name, as much of it as the class is told.
        Name = "NAME",
        /// Resource names, and what replaced a document; only owners are told.
        Resource = "RESOURCE",
        /// Status of an enrollment, its term and units.
        Enrollment = "ENROLLMENT",
    }
}

impl AgreementField {
    /// Whether an agreement with a caller of this class may name it: what the class is never told cannot be agreed on.
    #[must_use]
    pub const fn disclosable_to(self, class: CallerClass) -> bool {
        match self {
            Self::Document | Self::Institution | Self::Program | Self::Name => true,
            Self::Resource => matches!(
                class,
                CallerClass::University | CallerClass::CentralBody | CallerClass::SingleWindow
            ),
            Self::Enrollment => matches!(class, CallerClass::NationalHub),
        }
    }
}

/// The agreement under which a consumer uses a service during a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Its id.
    pub id: String,
    /// Resource name of the consumer: `institutions/{institution_code}`, `callers/{caller_id}` or `agencies/{national_id}`.
    pub consumer: String,
    /// Of an agency, id of the caller of the national hub through which alone it calls.
    pub through: Option<String>,
    /// Id of the call it belongs to; the agreement ends with it.
    pub call_id: String,
    /// State.
    pub state: AgreementState,
    /// Why it ended; only when it has.
    pub end: Option<AgreementEnd>,
    /// What the consumer may use the service for.
    pub purposes: Vec<AgreementPurpose>,
    /// What it may be told, within what its class is told.
    pub fields: Vec<AgreementField>,
    /// Most calls on a day in Tehran; without bound when unset.
    pub daily_calls: Option<u32>,
    /// Most calls in a second through one node; without bound when unset.
    pub burst: Option<u32>,
}

impl Agreement {
    /// Whether it is in force and for `purpose`.
    ///
    /// # Errors
    ///
    /// [`Reason::AgreementNotActive`] or [`Reason::PurposeNotInAgreement`].
    pub fn permits(&self, purpose: AgreementPurpose) -> Result<(), Reason> {
        if self.state != AgreementState::Active {
            return Err(Reason::AgreementNotActive);
        }
        if !self.purposes.contains(&purpose) {
            return Err(Reason::PurposeNotInAgreement);
        }
        Ok(())
    }

    /// Whether what was handed in under it may still be decided at `now`; `call` is the call it belongs to. Requests in
    /// flight outlive the call, and the agreement that ends with it, for the call's run-off days; an agreement that one side
    /// has suspended or ended they do not outlive.
    ///
    /// # Errors
    ///
    /// [`Reason::AgreementNotActive`] or [`Reason::CallNotOpen`].
    pub fn runs_off(&self, call: &ServiceCall, now: Timestamp) -> Result<(), Reason> {
        let lasts = match (self.state, self.end) {
            (AgreementState::Active, _)
            | (AgreementState::Terminated, Some(AgreementEnd::CallEnded)) => true,
            (
                AgreementState::Requested | AgreementState::Suspended | AgreementState::Terminated,
                _,
            ) => false,
        };
        match (lasts, call.runs_off(now)) {
            (false, _) => Err(Reason::AgreementNotActive),
            (true, false) => Err(Reason::CallNotOpen),
            (true, true) => Ok(()),
        }
    }

    /// What of `told` it lets be told.
    #[must_use]
    pub fn narrow(&self, told: Told) -> Told {
        let within = |extent, field| {
            if self.fields.contains(&field) {
                extent
            } else {
                Extent::Hidden
            }
        };
        Told {
            document: within(told.document, AgreementField::Document),
            institution: within(told.institution, AgreementField::Institution),
            program: within(told.program, AgreementField::Program),
            name: within(told.name, AgreementField::Name),
            resource: within(told.resource, AgreementField::Resource),
            superseded_by: within(told.superseded_by, AgreementField::Resource),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(fields: &[AgreementField]) -> Agreement {
        Agreement {
            id: "a".to_owned(),
            consumer: "institutions/1001".to_owned(),
            through: None,
            call_id: "c".to_owned(),
            state: AgreementState::Active,
            end: None,
            purposes: vec![AgreementPurpose::Validate],
            fields: fields.to_vec(),
            daily_calls: None,
            burst: None,
        }
    }

    #[test]
    fn only_an_active_agreement_permits_and_only_its_purposes() {
        for state in AgreementState::ALL.iter().copied() {
            let own = Agreement {
                state,
                ..agreement(&[])
            };
            let permitted = own.permits(AgreementPurpose::Validate);
            let expected = match state {
                AgreementState::Active => Ok(()),
                _ => Err(Reason::AgreementNotActive),
            };
            assert_eq!(permitted, expected, "{state}");
        }
        assert_eq!(
            agreement(&[]).permits(AgreementPurpose::Inquire),
            Err(Reason::PurposeNotInAgreement)
        );
    }

    #[test]
    fn what_is_not_agreed_is_hidden_and_nothing_is_told_beyond_the_class() {
        let of_class = Told {
            document: Extent::Whole,
            institution: Extent::Whole,
            program: Extent::Whole,
            name: Extent::Masked,
            resource: Extent::Hidden,
            superseded_by: Extent::Hidden,
        };
        assert_eq!(agreement(AgreementField::ALL).narrow(of_class), of_class);
        assert_eq!(agreement(&[]).narrow(of_class), Told::NOTHING);
        let named = agreement(&[AgreementField::Name]).narrow(of_class);
        let only_name = Told {
            name: Extent::Masked,
            ..Told::NOTHING
        };
        assert_eq!(named, only_name);
    }

    #[test]
    fn requests_in_flight_outlive_the_call_and_no_ones_decision() {
        use AgreementEnd as E;
        use AgreementState as S;
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let call = ServiceCall {
            id: "c".to_owned(),
            service: crate::service::ServiceKind::ValidityCode,
            state: crate::service::ServiceCallState::Closed,
            open_time: at("2026-01-01T00:00:00Z"),
            close_time: Some(at("2026-06-01T00:00:00Z")),
            eligible_types: Vec::new(),
            document_kinds: Vec::new(),
            workflow_version: "w".to_owned(),
            run_off_days: 30,
            sla_targets: std::collections::BTreeMap::new(),
        };
        let (during, after) = (at("2026-06-30T23:59:59Z"), at("2026-07-01T00:00:00Z"));
        let (ended, over) = (Err(Reason::AgreementNotActive), Err(Reason::CallNotOpen));
        for (state, end, in_time, later) in [
            (S::Active, None, Ok(()), over),
            (S::Terminated, Some(E::CallEnded), Ok(()), over),
            (S::Terminated, Some(E::ByProvider), ended, ended),
            (S::Terminated, Some(E::ByConsumer), ended, ended),
            (S::Suspended, None, ended, ended),
            (S::Requested, None, ended, ended),
        ] {
            let own = Agreement {
                state,
                end,
                ..agreement(&[])
            };
            assert_eq!(own.runs_off(&call, during), in_time, "{state} {end:?}");
            assert_eq!(own.runs_off(&call, after), later, "{state} {end:?}");
        }
    }

    #[test]
    fn an_ended_agreement_stays_ended() {
        use AgreementState as S;
        assert_eq!(S::Terminated.next(), &[] as &[S]);
        for state in [S::Requested, S::Active, S::Suspended] {
            assert!(state.next().contains(&S::Terminated), "{state}");
            assert!(!state.next().contains(&S::Requested), "{state}");
            assert!(!state.next().contains(&state), "{state}");
        }
    }

    #[test]
    fn the_hub_can_agree_on_no_resource_names_and_nobody_else_on_enrollments() {
        for class in CallerClass::ALL.iter().copied() {
            let owner = matches!(
                class,
                CallerClass::University | CallerClass::CentralBody | CallerClass::SingleWindow
            );
            assert_eq!(AgreementField::Resource.disclosable_to(class), owner);
            let hub = class == CallerClass::NationalHub;
            assert_eq!(AgreementField::Enrollment.disclosable_to(class), hub);
        }
    }
}
