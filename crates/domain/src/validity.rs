//! What a validity code is issued for: the kinds of document, the key under which only one code may live, the previous levels
//! that must be proven, and how long a code lasts.

use std::fmt;

use jiff::Timestamp;

use crate::{
    calendar::JalaliDate,
    enums::text_enum,
    identity::PersonId,
    program::{DegreeLevel, Program},
    reason::Reason,
    text::ascii_digits,
    violation::Violations,
};

/// Greatest length of the number of a paper document, in characters.
pub const DOCUMENT_NUMBER_MAX_CHARS: usize = 30;

/// Greatest grade point average, in hundredths.
pub const GPA_HUNDREDTHS_MAX: u16 = 2000;

text_enum! {
    /// Kinds of document a validity code is issued for.
    pub enum DocumentKind {
        /// Temporary certificate (گواهینامه موقت).
        TemporaryCertificate = "TEMPORARY_CERTIFICATE",
        /// Degree (دانشنامه).
        Degree = "DEGREE",
        /// Transcript (ریزنمرات).
        Transcript = "TRANSCRIPT",
        /// Confirmation of the previous level (تأییدیه مقطع قبل).
        PreviousLevelConfirmation = "PREVIOUS_LEVEL_CONFIRMATION",
        /// Enrollment certificate on paper (گواهی اشتغال به تحصیل).
        EnrollmentCertificate = "ENROLLMENT_CERTIFICATE",
        /// Valuation of a foreign degree (ارزشنامه).
        ForeignValuation = "FOREIGN_VALUATION",
    }
}

impl DocumentKind {
    /// The Persian name.
    #[must_use]
    pub const fn name_fa(self) -> &'static str {
        match self {
            Self::TemporaryCertificate => "گواهینامه موقت",
            Self::Degree => "دانشنامه",
            Self::Transcript => "ریزنمرات",
            Self::PreviousLevelConfirmation => "تأییدیه مقطع قبل",
            Self::EnrollmentCertificate => "گواهی اشتغال به تحصیل",
            Self::ForeignValuation => "ارزشنامه",
        }
    }

    /// The English name.
    #[must_use]
    pub const fn name_en(self) -> &'static str {
        match self {
            Self::TemporaryCertificate => "Temporary graduation certificate",
            Self::Degree => "Degree certificate",
            Self::Transcript => "Transcript of records",
            Self::PreviousLevelConfirmation => "Confirmation of the previous level",
            Self::EnrollmentCertificate => "Enrollment certificate",
            Self::ForeignValuation => "Valuation of a foreign degree",
        }
    }
}

text_enum! {
    /// What beside the person makes two documents the same, so that only one has a live code.
    pub enum UniquePart {
        /// The degree level.
        DegreeLevel = "DEGREE_LEVEL",
        /// The institution.
        Institution = "INSTITUTION",
        /// The kind of document.
        DocumentKind = "DOCUMENT_KIND",
        /// The field of study; a declared double major adds it in any case.
        Field = "FIELD",
    }
}

/// The levels of which one must be proven before a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorLevels {
    /// The level that is built on them.
    pub level: DegreeLevel,
    /// The levels of which one is enough; the first is the usual one. Never empty.
    pub accepted: Vec<DegreeLevel>,
}

/// The rules of validity codes that are data of a workflow version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRules {
    /// What makes two documents of a person the same; the institution is always part of it.
    pub unique_by: Vec<UniquePart>,
    /// The chain of previous levels.
    pub prior_levels: Vec<PriorLevels>,
    /// For how many Jalali months the codes of some kinds hold; those of the others never expire.
    pub valid_months: Vec<(DocumentKind, u8)>,
}

/// The rules of domain practice: one code for each level, institution and kind; discontinuous levels and doctorates build
/// on the level before; the code of a foreign valuation holds for a year.
impl Default for CodeRules {
    fn default() -> Self {
        use DegreeLevel as L;
        let after = |level, accepted: &[DegreeLevel]| PriorLevels {
            level,
            accepted: accepted.to_vec(),
        };
        Self {
            unique_by: vec![
                UniquePart::DegreeLevel,
                UniquePart::Institution,
                UniquePart::DocumentKind,
            ],
            prior_levels: vec![
                after(L::BachelorDiscontinuous, &[L::Associate]),
                after(
                    L::MasterDiscontinuous,
                    &[L::BachelorContinuous, L::BachelorDiscontinuous],
                ),
                after(
                    L::Phd,
                    &[
                        L::MasterContinuous,
                        L::MasterDiscontinuous,
                        L::ProfessionalDoctorate,
                    ],
                ),
                after(L::ResidencyDoctorate, &[L::ProfessionalDoctorate]),
            ],
            valid_months: vec![(DocumentKind::ForeignValuation, 12)],
        }
    }
}

impl CodeRules {
    /// The key under which at most one code is live: the person and what the rules name; a declared double major adds its
    /// field code.
    ///
    /// No part can contain the separator, and a part the rules leave out keeps its place, so two keys are equal only when
    /// all their parts are. The key holds an identity number: it is personal data.
    #[must_use]
    pub fn live_key(
        &self,
        person: &PersonId,
        program: &Program,
        kind: DocumentKind,
        double_major: bool,
    ) -> String {
        let part = |part, text| {
            if self.unique_by.contains(&part) {
                text
            } else {
                LEFT_OUT
            }
        };
        let key = format!(
            "{}/{}/{}/{}",
            person.key(),
            part(UniquePart::DegreeLevel, program.level.as_str()),
            part(UniquePart::Institution, program.institution.as_str()),
            part(UniquePart::DocumentKind, kind.as_str()),
        );
        if double_major || self.unique_by.contains(&UniquePart::Field) {
            format!("{key}/{}", program.field_code)
        } else {
            key
        }
    }

    /// The usual level of each set of previous levels of which none is among `proven`; empty when the chain is complete.
    #[must_use]
    pub fn missing_prior_levels(
        &self,
        level: DegreeLevel,
        proven: &[DegreeLevel],
    ) -> Vec<DegreeLevel> {
        let before = self
            .prior_levels
            .iter()
            .filter(|prior| prior.level == level);
        before
            .filter(|prior| !prior.accepted.iter().any(|level| proven.contains(level)))
            .filter_map(|prior| prior.accepted.first().copied())
            .collect()
    }

    /// When a code issued at `issue_time` expires: with the Tehran day so many Jalali months later, or never.
    #[must_use]
    pub fn expiry(&self, kind: DocumentKind, issue_time: Timestamp) -> Option<Timestamp> {
        let valid = self.valid_months.iter().find(|(of, _)| *of == kind);
        valid.map(|(_, months)| {
            let last_day = JalaliDate::of(issue_time).plus_months(u32::from(*months));
            last_day.end_exclusive()
        })
    }
}

/// Stands for a part of the key that the rules leave out; no code, level or kind is written so.
const LEFT_OUT: &str = "*";

/// What the paper says.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentFacts {
    /// Kind of document.
    pub kind: DocumentKind,
    /// Its number, at most 30 characters.
    pub number: Option<String>,
    /// Date of issue.
    pub issue_date: Option<JalaliDate>,
    /// Start of studies.
    pub start_date: Option<JalaliDate>,
    /// End of studies.
    pub end_date: Option<JalaliDate>,
    /// Grade point average in hundredths, 0 to 2000.
    pub gpa_hundredths: Option<u16>,
}

/// What the paper says, as it arrives. A part is `None` when not given, and carries its own refusal when it was.
pub struct DocumentInput<'a> {
    /// Kind of document.
    pub kind: DocumentKind,
    /// Its number; blank when there is none.
    pub number: &'a str,
    /// Date of issue.
    pub issue_date: Option<Result<JalaliDate, Reason>>,
    /// Start of studies.
    pub start_date: Option<Result<JalaliDate, Reason>>,
    /// End of studies.
    pub end_date: Option<Result<JalaliDate, Reason>>,
    /// Grade point average in hundredths.
    pub gpa_hundredths: Option<i32>,
}

impl DocumentFacts {
    /// Reads what the paper says and checks it as [`DocumentFacts::check`] does.
    ///
    /// # Errors
    ///
    /// Every violation at once, with the field paths of the contract relative to the document.
    pub fn parse(input: DocumentInput<'_>, today: JalaliDate) -> Result<Self, Violations> {
        let mut v = Violations::default();
        let gpa = input.gpa_hundredths.map(u16::try_from).transpose();
        let facts = Self {
            kind: input.kind,
            number: Some(ascii_digits(input.number).trim().to_owned()).filter(|n| !n.is_empty()),
            issue_date: v.take("issue_date", input.issue_date.transpose()).flatten(),
            start_date: v.take("start_date", input.start_date.transpose()).flatten(),
            end_date: v.take("end_date", input.end_date.transpose()).flatten(),
            gpa_hundredths: v
                .take("gpa_hundredths", gpa.or(Err(Reason::FieldFormat)))
                .flatten(),
        };
        if let Err(found) = facts.check(today) {
            v.extend(found);
        }
        v.finish(Some(facts))
    }

    /// Checks that the facts make sense on the day `today`.
    ///
    /// # Errors
    ///
    /// Every violation at once: `number` over 30 characters ([`Reason::FieldTooLong`]); and with [`Reason::FieldFormat`] a
    /// `number` that is blank or has control characters, an `issue_date` after `today`, an `end_date` before `start_date`,
    /// `gpa_hundredths` over 2000.
    pub fn check(&self, today: JalaliDate) -> Result<(), Violations> {
        let mut v = Violations::default();
        if let Some(number) = &self.number {
            if number.trim().is_empty() || number.chars().any(char::is_control) {
                v.push("number", Reason::FieldFormat);
            } else if number.chars().count() > DOCUMENT_NUMBER_MAX_CHARS {
                v.push("number", Reason::FieldTooLong);
            }
        }
        if self.issue_date.is_some_and(|issued| issued > today) {
            v.push("issue_date", Reason::FieldFormat);
        }
        if let (Some(start), Some(end)) = (self.start_date, self.end_date)
            && end < start
        {
            v.push("end_date", Reason::FieldFormat);
        }
        if self
            .gpa_hundredths
            .is_some_and(|gpa| gpa > GPA_HUNDREDTHS_MAX)
        {
            v.push("gpa_hundredths", Reason::FieldFormat);
        }
        v.finish(Some(()))
    }
}

/// Prints the kind only: numbers, dates and grades are a student's.
impl fmt::Debug for DocumentFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentFacts")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "validity_tests.rs"]
mod tests;
