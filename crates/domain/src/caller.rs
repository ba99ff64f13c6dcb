//! Callers, the authenticated peers, and for which institutions they may act.

use std::{fmt, str::FromStr};

use crate::{
    enums::text_enum,
    institution::{Institution, InstitutionCode},
    reason::Reason,
    text::ascii_digits,
};

/// Greatest length of a caller id, in characters: one DNS label, as it stands in the URI name of the client certificate.
pub const CALLER_ID_MAX_CHARS: usize = 63;

/// Greatest length of an expert code, in characters.
pub const EXPERT_CODE_MAX_CHARS: usize = 32;

text_enum! {
    /// Classes of caller; what each may call is one table of the service.
    pub enum CallerClass {
        /// The Organization's single service window, for students.
        SingleWindow = "SINGLE_WINDOW",
        /// One institution's system.
        University = "UNIVERSITY",
        /// The headquarters of a national system, acting for all its units.
        CentralBody = "CENTRAL_BODY",
        /// The national information exchange hub.
        NationalHub = "NATIONAL_HUB",
        /// The Organization's own officers' system.
        Organization = "ORGANIZATION",
        /// Auditors: read only.
        Auditor = "AUDITOR",
        /// Service-level monitoring.
        Monitor = "MONITOR",
    }
}

impl CallerClass {
    /// Whether a caller of this class belongs to exactly one institution; the others belong to none.
    #[must_use]
    pub const fn needs_institution(self) -> bool {
        matches!(self, Self::University | Self::CentralBody)
    }
}

text_enum! {
    /// State of a caller; only an active one is answered.
    pub enum CallerState {
        /// May call.
        Active = "ACTIVE",
        /// Refused until it is active again.
        Paused = "PAUSED",
        /// Refused for good.
        Retired = "RETIRED",
    }
}

text_enum! {
    /// State of an expert; only an active one may attest.
    pub enum ExpertState {
        /// May attest.
        Active = "ACTIVE",
        /// May not attest.
        Inactive = "INACTIVE",
    }
}

/// The id of a caller: 1 to 63 lower-case letters, digits and dashes, not beginning with a dash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerId(String);

impl CallerId {
    /// Reads an id exactly as it stands in a client certificate: nothing is corrected, for an id that differs is another
    /// caller.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] when empty, [`Reason::FieldTooLong`] over 63 characters, [`Reason::FieldFormat`] for any
    /// other character or a leading dash.
    pub fn parse(input: &str) -> Result<Self, Reason> {
        if input.is_empty() {
            return Err(Reason::FieldRequired);
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if input.starts_with('-') || !input.chars().all(allowed) {
            return Err(Reason::FieldFormat);
        }
        if input.len() > CALLER_ID_MAX_CHARS {
            return Err(Reason::FieldTooLong);
        }
        Ok(Self(input.to_owned()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for CallerId {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// An institution's own code for one of its experts: 1 to 32 letters, digits, dots, dashes and underscores.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExpertCode(String);

impl ExpertCode {
    /// Reads a code; Persian digits and surrounding spaces are tolerated, case is kept.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] when blank, [`Reason::FieldTooLong`] over 32 characters, [`Reason::FieldFormat`] for any
    /// other character.
    pub fn parse(input: &str) -> Result<Self, Reason> {
        let code = ascii_digits(input).trim().to_owned();
        if code.is_empty() {
            return Err(Reason::FieldRequired);
        }
        if !code
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        {
            return Err(Reason::FieldFormat);
        }
        if code.len() > EXPERT_CODE_MAX_CHARS {
            return Err(Reason::FieldTooLong);
        }
        Ok(Self(code))
    }

    /// The code in its one stored form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Institutions use staff numbers here, so nothing of it is printed.
impl fmt::Debug for ExpertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpertCode(…)")
    }
}

/// An authenticated peer: made from its client certificate and the registry, never from a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its id.
    pub id: CallerId,
    /// Its class.
    pub class: CallerClass,
    /// The institution it belongs to; set exactly when the class needs one.
    pub institution: Option<InstitutionCode>,
}

impl Caller {
    /// Whether the caller may write for `institution`: a university for itself, a central body for itself and its units,
    /// nobody else for anybody.
    #[must_use]
    pub fn may_act_for(&self, institution: &Institution) -> bool {
        let Some(own) = &self.institution else {
            return false;
        };
        match self.class {
            CallerClass::University => institution.code == *own,
            CallerClass::CentralBody => {
                institution.code == *own || institution.parent.as_ref() == Some(own)
            }
            CallerClass::SingleWindow
            | CallerClass::NationalHub
            | CallerClass::Organization
            | CallerClass::Auditor
            | CallerClass::Monitor => false,
        }
    }

    /// Whether the caller may read what belongs to `institution`: who may act for it, the Organization and auditors.
    #[must_use]
    pub fn may_read(&self, institution: &Institution) -> bool {
        matches!(self.class, CallerClass::Organization | CallerClass::Auditor)
            || self.may_act_for(institution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::institution::{
        InstitutionType,
        tests::{code, institution},
    };

    #[test]
    fn caller_ids_of_another_form_are_refused() {
        let long = "a".repeat(64);
        for (input, reason) in [
            ("", Reason::FieldRequired),
            ("-ut", Reason::FieldFormat),
            ("UT", Reason::FieldFormat),
            ("ut.main", Reason::FieldFormat),
            ("ut/main", Reason::FieldFormat),
            (" ut", Reason::FieldFormat),
            ("۱", Reason::FieldFormat),
            (long.as_str(), Reason::FieldTooLong),
        ] {
            assert_eq!(CallerId::parse(input), Err(reason), "{input:?}");
        }
        for input in ["a", "0", "ut-main-2", &long[..63]] {
            assert_eq!(CallerId::parse(input).unwrap().as_str(), input);
        }
    }

    #[test]
    fn expert_codes_of_another_form_are_refused() {
        let long = "a".repeat(33);
        for (input, reason) in [
            (" ", Reason::FieldRequired),
            ("a b", Reason::FieldFormat),
            ("a/b", Reason::FieldFormat),
            (long.as_str(), Reason::FieldTooLong),
        ] {
            assert_eq!(ExpertCode::parse(input), Err(reason), "{input:?}");
        }
        let expert = ExpertCode::parse(" E_۱۲.A-b ").unwrap();
        assert_eq!(expert.as_str(), "E_12.A-b");
        assert_eq!(format!("{expert:?}"), "ExpertCode(…)");
    }

    #[test]
    fn only_a_university_and_its_central_body_act_for_an_institution() {
        use CallerClass as C;
        let kind = InstitutionType::PayameNoor;
        let headquarters = institution("PNU", kind, None);
        let unit = institution("PNU-1", kind, Some("PNU"));
        let other = institution("UT", InstitutionType::State, None);
        // class, own institution, then (may act, may read) for the headquarters, its unit and another institution
        let no = (false, false);
        let read = (false, true);
        let yes = (true, true);
        for (class, own, expected) in [
            (C::University, Some("PNU-1"), [no, yes, no]),
            (C::University, Some("PNU"), [yes, no, no]),
            (C::University, None, [no, no, no]),
            (C::CentralBody, Some("PNU"), [yes, yes, no]),
            (C::CentralBody, Some("PNU-1"), [no, yes, no]),
            (C::CentralBody, None, [no, no, no]),
            (C::SingleWindow, Some("PNU"), [no, no, no]),
            (C::NationalHub, Some("PNU"), [no, no, no]),
            (C::Organization, None, [read, read, read]),
            (C::Organization, Some("PNU"), [read, read, read]),
            (C::Auditor, None, [read, read, read]),
            (C::Monitor, Some("PNU"), [no, no, no]),
        ] {
            let caller = Caller {
                id: CallerId::parse("caller").unwrap(),
                class,
                institution: own.map(code),
            };
            let seen =
                [&headquarters, &unit, &other].map(|i| (caller.may_act_for(i), caller.may_read(i)));
            assert_eq!(seen, expected, "{class} of {own:?}");
        }
    }

    #[test]
    fn exactly_the_institutional_classes_need_an_institution() {
        let needing: Vec<_> = CallerClass::ALL
            .iter()
            .filter(|class| class.needs_institution())
            .collect();
        assert_eq!(
            needing,
            [&CallerClass::University, &CallerClass::CentralBody]
        );
    }
}
