//! What may be done to an application for a certificate, by whom, and where it goes then.

use crate::{
    caller::{Caller, CallerClass},
    certificate::{ApplicationState, RequestType},
    enums::text_enum,
    institution::{Institution, InstitutionType},
    reason::Reason,
    text::DisplayText,
};

/// Most remarks of one return.
pub const REMARKS_MAX: usize = 50;

/// Greatest length of a remark's text, in characters.
pub const REMARK_MAX_CHARS: usize = 400;

/// Greatest length of a remark's field path, in characters.
const FIELD_MAX_CHARS: usize = 100;

text_enum! {
    /// What is done to an application.
    pub enum ApplicationAction {
        /// The applicant changes what it says.
        Update = "UPDATE",
        /// The applicant hands it in, for the first time or again.
        Submit = "SUBMIT",
        /// The applicant takes it back.
        Cancel = "CANCEL",
        /// The institution confirms it.
        Confirm = "CONFIRM",
        /// The institution gives it back to the applicant, with remarks.
        Return = "RETURN",
        /// The institution refuses it.
        UniversityReject = "UNIVERSITY_REJECT",
        /// The Organization approves it.
        Approve = "APPROVE",
        /// The Organization gives it back to the institution, with remarks.
        ReturnToUniversity = "RETURN_TO_UNIVERSITY",
        /// The Organization refuses it.
        OrganizationReject = "ORGANIZATION_REJECT",
    }
}

impl ApplicationAction {
    /// The states that the action itself makes an application in `state` enter, in order; what the workflow does then comes
    /// after them. None for a mere change of content.
    ///
    /// # Errors
    ///
    /// [`Reason::StateTransitionNotAllowed`].
    pub fn enters(self, state: ApplicationState) -> Result<&'static [ApplicationState], Reason> {
        use ApplicationState as S;
        Ok(match (self, state) {
            (Self::Update, S::Draft | S::Returned) => &[],
            (Self::Submit, S::Draft | S::Returned) => &[S::Submitted],
            (Self::Confirm, S::UniversityReview) => &[S::UniversityConfirmed],
            (Self::Return, S::UniversityReview) => &[S::Returned],
            (Self::UniversityReject, S::UniversityReview) => &[S::UniversityRejected],
            // given back by the Organization, it is first taken up again
            (Self::Confirm, S::ReturnedToUniversity) => {
                &[S::UniversityReview, S::UniversityConfirmed]
            }
            (Self::Return, S::ReturnedToUniversity) => &[S::UniversityReview, S::Returned],
            (Self::UniversityReject, S::ReturnedToUniversity) => {
                &[S::UniversityReview, S::UniversityRejected]
            }
            (Self::Approve, S::OrganizationReview) => &[S::Approved],
            (Self::ReturnToUniversity, S::OrganizationReview) => &[S::ReturnedToUniversity],
            (Self::OrganizationReject, S::OrganizationReview) => &[S::OrganizationRejected],
            // what is being signed is settled by the service itself
            (Self::Cancel, state) if state != S::Issuing && state.may_become(S::Cancelled) => {
                &[S::Cancelled]
            }
            _ => return Err(Reason::StateTransitionNotAllowed),
        })
    }

    /// The actions that make sense in `state`, in the order of declaration.
    #[must_use]
    pub fn allowed(state: ApplicationState) -> Vec<Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|action| action.enters(state).is_ok()).collect()
    }

    /// Whether it says what is to be mended, field by field.
    #[must_use]
    pub const fn needs_remarks(self) -> bool {
        matches!(self, Self::Return | Self::ReturnToUniversity)
    }

    /// Whether it says why.
    #[must_use]
    pub const fn needs_reason(self) -> bool {
        matches!(self, Self::UniversityReject | Self::OrganizationReject)
    }
}

/// Who decides for the institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The institution itself.
    Institution,
    /// The headquarters of its national system.
    CentralBody,
}

/// Who decides on applications of an institution of this kind: state and non-profit ones themselves, the units of the three
/// national systems by their central body.
#[must_use]
pub const fn route(kind: InstitutionType) -> Route {
    match kind {
        InstitutionType::PayameNoor
        | InstitutionType::AppliedScience
        | InstitutionType::TechnicalVocational => Route::CentralBody,
        InstitutionType::State
        | InstitutionType::NonProfit
        | InstitutionType::Azad
        | InstitutionType::Medical
        | InstitutionType::Farhangian
        | InstitutionType::Foreign => Route::Institution,
    }
}

/// Whether the caller is the one that decides on applications of the institution.
#[must_use]
pub fn decides_for(caller: &Caller, institution: &Institution) -> bool {
    let class = match route(institution.kind) {
        Route::Institution => CallerClass::University,
        Route::CentralBody => CallerClass::CentralBody,
    };
    caller.class == class && caller.may_act_for(institution)
}

/// What is to be mended in one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Path of the field in the contract, `subject.name.given_name_fa`.
    pub field: String,
    /// What is wrong with it.
    pub text: DisplayText,
}

/// Reads the path of a field: names of small letters, digits and underscores, joined by dots.
///
/// # Errors
///
/// [`Reason::FieldRequired`], [`Reason::FieldTooLong`] or [`Reason::FieldFormat`].
pub fn parse_field_path(input: &str) -> Result<String, Reason> {
    if input.is_empty() {
        return Err(Reason::FieldRequired);
    }
    if input.chars().count() > FIELD_MAX_CHARS {
        return Err(Reason::FieldTooLong);
    }
    let name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if input.split('.').all(name) {
        Ok(input.to_owned())
    } else {
        Err(Reason::FieldFormat)
    }
}

impl RequestType {
    /// Whether a fresh record can confirm it: a paper must be looked at by somebody.
    #[must_use]
    pub const fn record_confirms(self) -> bool {
        !matches!(self, Self::ConfirmExisting)
    }

    /// Whether the certificate keeps the end of validity of the one that it replaces.
    #[must_use]
    pub const fn keeps_end(self) -> bool {
        matches!(self, Self::Duplicate)
    }

    /// Whether it is about a certificate that was issued before and is replaced.
    #[must_use]
    pub const fn replaces(self) -> bool {
        matches!(self, Self::Extend | Self::Duplicate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::CallerId;
    use crate::institution::tests::{code, institution};
    use ApplicationAction as A;
    use ApplicationState as S;

    #[test]
    fn each_state_allows_exactly_these_actions() {
        for state in S::ALL.iter().copied() {
            let expected: &[A] = match state {
                S::Draft | S::Returned => &[A::Update, A::Submit, A::Cancel],
                S::UniversityReview | S::ReturnedToUniversity => {
                    &[A::Cancel, A::Confirm, A::Return, A::UniversityReject]
                }
                S::OrganizationReview => &[
                    A::Cancel,
                    A::Approve,
                    A::ReturnToUniversity,
                    A::OrganizationReject,
                ],
                S::Submitted
                | S::UniversityConfirmed
                | S::Approved
                | S::AwaitingPayment
                | S::Paid => &[A::Cancel],
                S::UniversityRejected
                | S::OrganizationRejected
                | S::PaymentExpired
                | S::Issuing
                | S::Issued
                | S::Cancelled => &[],
            };
            assert_eq!(A::allowed(state), expected, "{state}");
        }
    }

    #[test]
    fn every_action_walks_along_the_states_machine() {
        for state in S::ALL.iter().copied() {
            for action in A::ALL.iter().copied() {
                let mut at = state;
                for next in action.enters(state).unwrap_or_default() {
                    // taken up again is no step of its own in the table of one action
                    assert!(at.may_become(*next), "{action}: {at} to {next}");
                    at = *next;
                }
            }
        }
    }

    #[test]
    fn the_three_national_systems_decide_centrally() {
        let central: Vec<_> = InstitutionType::ALL
            .iter()
            .filter(|kind| route(**kind) == Route::CentralBody)
            .collect();
        assert_eq!(
            central,
            [
                &InstitutionType::PayameNoor,
                &InstitutionType::AppliedScience,
                &InstitutionType::TechnicalVocational,
            ]
        );
    }

    #[test]
    fn a_unit_of_a_national_system_does_not_decide_itself() {
        let state = institution("UT", InstitutionType::State, None);
        let headquarters = institution("PNU", InstitutionType::PayameNoor, None);
        let unit = institution("PNU-1", InstitutionType::PayameNoor, Some("PNU"));
        for (class, own, decides) in [
            (CallerClass::University, "UT", [true, false, false]),
            (CallerClass::University, "PNU-1", [false, false, false]),
            (CallerClass::CentralBody, "PNU", [false, true, true]),
            (CallerClass::CentralBody, "UT", [false, false, false]),
            (CallerClass::Organization, "UT", [false, false, false]),
        ] {
            let caller = Caller {
                id: CallerId::parse("caller").unwrap(),
                class,
                institution: Some(code(own)),
            };
            let told = [&state, &headquarters, &unit].map(|it| decides_for(&caller, it));
            assert_eq!(told, decides, "{class} of {own}");
        }
    }

    #[test]
    fn a_field_path_is_made_of_names() {
        for good in ["subject", "subject.name.given_name_fa", "a1.b_2"] {
            assert_eq!(parse_field_path(good), Ok(good.to_owned()));
        }
        let long = "a".repeat(101);
        for (bad, reason) in [
            ("", Reason::FieldRequired),
            ("Subject", Reason::FieldFormat),
            ("subject.", Reason::FieldFormat),
            (".subject", Reason::FieldFormat),
            ("subject name", Reason::FieldFormat),
            ("نام", Reason::FieldFormat),
            (&long, Reason::FieldTooLong),
        ] {
            assert_eq!(parse_field_path(bad), Err(reason), "{bad}");
        }
    }

    #[test]
    fn only_a_paper_needs_eyes_and_only_two_kinds_replace_a_certificate() {
        let told = |kind: RequestType| (kind.record_confirms(), kind.replaces());
        assert_eq!(told(RequestType::IssueFromRecord), (true, false));
        assert_eq!(told(RequestType::ConfirmExisting), (false, false));
        assert_eq!(told(RequestType::Extend), (true, true));
        assert_eq!(told(RequestType::Duplicate), (true, true));
    }
}
