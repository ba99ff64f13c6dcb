//! Institutions of higher education: their kinds, who decides for them and whether they are served at all.

use std::{fmt, str::FromStr};

use crate::{enums::text_enum, reason::Reason, text::ascii_digits};

/// Greatest length of an institution code, in characters.
pub const INSTITUTION_CODE_MAX_CHARS: usize = 16;

/// The code of an institution: 1 to 16 capital letters, digits and dashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstitutionCode(String);

impl InstitutionCode {
    /// Reads a code; Persian digits, lower-case letters and surrounding spaces are tolerated.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] when blank, [`Reason::FieldTooLong`] over 16 characters, [`Reason::FieldFormat`] for any
    /// other character.
    pub fn parse(input: &str) -> Result<Self, Reason> {
        let code = ascii_digits(input).trim().to_ascii_uppercase();
        if code.is_empty() {
            return Err(Reason::FieldRequired);
        }
        if !code
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        {
            return Err(Reason::FieldFormat);
        }
        if code.len() > INSTITUTION_CODE_MAX_CHARS {
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

impl fmt::Display for InstitutionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for InstitutionCode {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

text_enum! {
    /// Kinds of institution. The kind decides who is served and who decides.
    pub enum InstitutionType {
        /// State university of the Ministry of Science (دولتی).
        State = "STATE",
        /// Non-profit (غیرانتفاعی).
        NonProfit = "NON_PROFIT",
        /// Payame Noor (پیام نور).
        PayameNoor = "PAYAME_NOOR",
        /// Applied science (علمی کاربردی).
        AppliedScience = "APPLIED_SCIENCE",
        /// Technical and vocational (فنی و حرفه‌ای).
        TechnicalVocational = "TECHNICAL_VOCATIONAL",
        /// Islamic Azad University (آزاد اسلامی).
        Azad = "AZAD",
        /// Medical sciences (علوم پزشکی).
        Medical = "MEDICAL",
        /// Farhangian (فرهنگیان).
        Farhangian = "FARHANGIAN",
        /// Institution outside the country (خارج از کشور).
        Foreign = "FOREIGN",
    }
}

impl InstitutionType {
    /// Whether the services are offered to students of such institutions; the others are known so that a refusal can name
    /// them.
    #[must_use]
    pub const fn is_eligible(self) -> bool {
        match self {
            Self::State
            | Self::NonProfit
            | Self::PayameNoor
            | Self::AppliedScience
            | Self::TechnicalVocational => true,
            Self::Azad | Self::Medical | Self::Farhangian | Self::Foreign => false,
        }
    }

    /// Whether the headquarters of the national system decides, not the unit itself.
    #[must_use]
    pub const fn routes_to_central_body(self) -> bool {
        matches!(
            self,
            Self::PayameNoor | Self::AppliedScience | Self::TechnicalVocational
        )
    }

    /// The Persian name of the kind.
    #[must_use]
    pub const fn name_fa(self) -> &'static str {
        match self {
            Self::State => "دولتی",
            Self::NonProfit => "غیرانتفاعی",
            Self::PayameNoor => "پیام نور",
            Self::AppliedScience => "علمی کاربردی",
            Self::TechnicalVocational => "فنی و حرفه‌ای",
            Self::Azad => "آزاد اسلامی",
            Self::Medical => "علوم پزشکی",
            Self::Farhangian => "فرهنگیان",
            Self::Foreign => "خارج از کشور",
        }
    }

    /// The English name of the kind.
    #[must_use]
    pub const fn name_en(self) -> &'static str {
        match self {
            Self::State => "State",
            Self::NonProfit => "Non-profit",
            Self::PayameNoor => "Payame Noor",
            Self::AppliedScience => "Applied science",
            Self::TechnicalVocational => "Technical and vocational",
            Self::Azad => "Islamic Azad",
            Self::Medical => "Medical sciences",
            Self::Farhangian => "Farhangian",
            Self::Foreign => "Foreign",
        }
    }
}

text_enum! {
    /// State of an institution.
    pub enum InstitutionState {
        /// Open.
        Active = "ACTIVE",
        /// Closed or merged into its successor: nothing is issued for it any more.
        Closed = "CLOSED",
    }
}

/// An institution as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Institution {
    /// Its code.
    pub code: InstitutionCode,
    /// Other codes under which it is known.
    pub aliases: Vec<String>,
    /// Its kind.
    pub kind: InstitutionType,
    /// The central body that acts for it, when it is a unit of a national system.
    pub parent: Option<InstitutionCode>,
    /// Persian name.
    pub name_fa: String,
    /// English name.
    pub name_en: String,
    /// Open or closed.
    pub state: InstitutionState,
    /// The institution that took over, when it was merged.
    pub successor: Option<InstitutionCode>,
}

impl Institution {
    /// The institution that decides on this one's applications: the central body for a unit of a national system, else the
    /// institution itself. A headquarters has no parent and decides for itself.
    #[must_use]
    pub fn decided_by(&self) -> &InstitutionCode {
        match &self.parent {
            Some(central_body) if self.kind.routes_to_central_body() => central_body,
            _ => &self.code,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn code(text: &str) -> InstitutionCode {
        InstitutionCode::parse(text).unwrap()
    }

    /// A synthetic institution in state ACTIVE.
    pub(crate) fn institution(
        text: &str,
        kind: InstitutionType,
        parent: Option<&str>,
    ) -> Institution {
        Institution {
            code: code(text),
            aliases: Vec::new(),
            kind,
            parent: parent.map(code),
            name_fa: "دانشگاه نمونه".to_owned(),
            name_en: "Sample University".to_owned(),
            state: InstitutionState::Active,
            successor: None,
        }
    }

    #[test]
    fn codes_of_another_form_are_refused() {
        for (input, reason) in [
            ("", Reason::FieldRequired),
            (" \u{a0} ", Reason::FieldRequired),
            ("A_B", Reason::FieldFormat),
            ("A B", Reason::FieldFormat),
            ("A/B", Reason::FieldFormat),
            ("دانشگاه", Reason::FieldFormat),
            ("ABCDEFGHIJKLMNOPQ", Reason::FieldTooLong),
        ] {
            assert_eq!(InstitutionCode::parse(input), Err(reason), "{input:?}");
        }
    }

    #[test]
    fn a_code_has_one_stored_form() {
        for (input, stored) in [
            ("1013", "1013"),
            ("۱۰۱۳", "1013"),
            (" ut-1 ", "UT-1"),
            ("ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
        ] {
            let code = InstitutionCode::parse(input).unwrap();
            assert_eq!(code.as_str(), stored);
            assert_eq!(code.to_string().parse(), Ok(code));
        }
    }

    #[test]
    fn five_kinds_are_eligible_and_three_of_them_are_decided_by_their_central_body() {
        use InstitutionType as T;
        for (kind, eligible, central) in [
            (T::State, true, false),
            (T::NonProfit, true, false),
            (T::PayameNoor, true, true),
            (T::AppliedScience, true, true),
            (T::TechnicalVocational, true, true),
            (T::Azad, false, false),
            (T::Medical, false, false),
            (T::Farhangian, false, false),
            (T::Foreign, false, false),
        ] {
            assert_eq!(kind.is_eligible(), eligible, "{kind}");
            assert_eq!(kind.routes_to_central_body(), central, "{kind}");
            let unit = institution("UNIT-1", kind, Some("HQ"));
            assert_eq!(
                unit.decided_by().as_str(),
                if central { "HQ" } else { "UNIT-1" },
                "{kind}"
            );
            let headquarters = institution("HQ", kind, None);
            assert_eq!(headquarters.decided_by().as_str(), "HQ", "{kind}");
        }
        assert_eq!(T::ALL.len(), 9);
    }

    #[test]
    fn every_kind_has_its_own_names() {
        for (i, a) in InstitutionType::ALL.iter().enumerate() {
            for b in &InstitutionType::ALL[i + 1..] {
                assert_ne!(a.name_fa(), b.name_fa());
                assert_ne!(a.name_en(), b.name_en());
            }
        }
    }
}
