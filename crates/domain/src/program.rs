//! A subject's programme of study at an institution.

use std::fmt;

use crate::{
    enums::text_enum,
    institution::InstitutionCode,
    reason::Reason,
    term::TermId,
    text::{DisplayText, ascii_digits, clean_number},
    violation::Violations,
};

/// Greatest length of the name of a unit and of the title of a field, in characters.
pub const TITLE_MAX_CHARS: usize = 120;

/// Greatest length of the code of a field of study, in characters.
pub const FIELD_CODE_MAX_CHARS: usize = 20;

text_enum! {
    /// Degree levels (مقطع تحصیلی).
    pub enum DegreeLevel {
        /// Associate (کاردانی).
        Associate = "ASSOCIATE",
        /// Continuous bachelor (کارشناسی پیوسته).
        BachelorContinuous = "BACHELOR_CONTINUOUS",
        /// Discontinuous bachelor (کارشناسی ناپیوسته).
        BachelorDiscontinuous = "BACHELOR_DISCONTINUOUS",
        /// Continuous master (کارشناسی ارشد پیوسته).
        MasterContinuous = "MASTER_CONTINUOUS",
        /// Discontinuous master (کارشناسی ارشد ناپیوسته).
        MasterDiscontinuous = "MASTER_DISCONTINUOUS",
        /// Professional doctorate (دکتری حرفه‌ای).
        ProfessionalDoctorate = "PROFESSIONAL_DOCTORATE",
        /// PhD (دکتری تخصصی).
        Phd = "PHD",
        /// Residency doctorate (دکتری تخصصی بالینی).
        ResidencyDoctorate = "RESIDENCY_DOCTORATE",
    }
}

impl DegreeLevel {
    /// The Persian name, as printed on documents.
    #[must_use]
    pub const fn name_fa(self) -> &'static str {
        match self {
            Self::Associate => "کاردانی",
            Self::BachelorContinuous => "کارشناسی پیوسته",
            Self::BachelorDiscontinuous => "کارشناسی ناپیوسته",
            Self::MasterContinuous => "کارشناسی ارشد پیوسته",
            Self::MasterDiscontinuous => "کارشناسی ارشد ناپیوسته",
            Self::ProfessionalDoctorate => "دکتری حرفه‌ای",
            Self::Phd => "دکتری تخصصی",
            Self::ResidencyDoctorate => "دکتری تخصصی بالینی",
        }
    }

    /// The English name, as printed on documents.
    #[must_use]
    pub const fn name_en(self) -> &'static str {
        match self {
            Self::Associate => "Associate degree",
            Self::BachelorContinuous => "Bachelor's degree (continuous)",
            Self::BachelorDiscontinuous => "Bachelor's degree (discontinuous)",
            Self::MasterContinuous => "Master's degree (continuous)",
            Self::MasterDiscontinuous => "Master's degree (discontinuous)",
            Self::ProfessionalDoctorate => "Professional doctorate",
            Self::Phd => "Doctor of Philosophy (PhD)",
            Self::ResidencyDoctorate => "Clinical residency doctorate",
        }
    }
}

text_enum! {
    /// Study modes (دوره تحصیلی).
    pub enum StudyMode {
        /// Day programme (روزانه).
        Day = "DAY",
        /// Evening programme (نوبت دوم).
        Evening = "EVENING",
        /// Self-funded campus (پردیس خودگردان).
        SelfFunded = "SELF_FUNDED",
        /// Virtual (مجازی).
        Virtual = "VIRTUAL",
        /// Part-time (پاره‌وقت).
        PartTime = "PART_TIME",
        /// Any other mode (سایر).
        Other = "OTHER",
    }
}

impl StudyMode {
    /// The Persian name, as printed on documents.
    #[must_use]
    pub const fn name_fa(self) -> &'static str {
        match self {
            Self::Day => "روزانه",
            Self::Evening => "نوبت دوم",
            Self::SelfFunded => "پردیس خودگردان",
            Self::Virtual => "مجازی",
            Self::PartTime => "پاره‌وقت",
            Self::Other => "سایر",
        }
    }

    /// The English name, as printed on documents.
    #[must_use]
    pub const fn name_en(self) -> &'static str {
        match self {
            Self::Day => "Day",
            Self::Evening => "Evening",
            Self::SelfFunded => "Self-funded",
            Self::Virtual => "Virtual",
            Self::PartTime => "Part-time",
            Self::Other => "Other",
        }
    }
}

/// A student number: 5 to 20 ASCII digits, unique in its institution.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StudentNumber(String);

impl StudentNumber {
    /// Reads a number; Persian digits, spaces, dashes and invisible marks are tolerated.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] when blank, [`Reason::FieldTooLong`] over 20 digits, [`Reason::FieldFormat`] under 5 digits
    /// or for any other character.
    pub fn parse(input: &str) -> Result<Self, Reason> {
        let digits = clean_number(input);
        if digits.is_empty() {
            return Err(Reason::FieldRequired);
        }
        if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.len() < 5 {
            return Err(Reason::FieldFormat);
        }
        if digits.len() > 20 {
            return Err(Reason::FieldTooLong);
        }
        Ok(Self(digits))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A student number is personal data, so nothing of it is printed.
impl fmt::Debug for StudentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StudentNumber(…)")
    }
}

/// The code of a field of study: 1 to 20 capital letters, digits, dots and dashes. Persian digits, lower-case letters and
/// surrounding spaces are tolerated.
///
/// # Errors
///
/// [`Reason::FieldRequired`] when blank, [`Reason::FieldTooLong`] over 20 characters, [`Reason::FieldFormat`] for any other
/// character.
pub fn parse_field_code(input: &str) -> Result<String, Reason> {
    let code = ascii_digits(input).trim().to_ascii_uppercase();
    if code.is_empty() {
        return Err(Reason::FieldRequired);
    }
    if !code
        .chars()
        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '.' | '-'))
    {
        return Err(Reason::FieldFormat);
    }
    if code.len() > FIELD_CODE_MAX_CHARS {
        return Err(Reason::FieldTooLong);
    }
    Ok(code)
}

/// Display text that may be left out: blank input is no text, anything else must parse.
pub(crate) fn optional_text(input: &str, max_chars: usize) -> Result<Option<DisplayText>, Reason> {
    match DisplayText::parse(input, max_chars) {
        Ok(text) => Ok(Some(text)),
        Err(Reason::FieldRequired) => Ok(None),
        Err(reason) => Err(reason),
    }
}

/// A programme as it arrives: text as typed, enums and messages as far as they were given.
#[derive(Clone)]
pub struct ProgramInput<'a> {
    /// The institution, resolved from its code or an alias.
    pub institution: InstitutionCode,
    /// Name of the teaching unit; blank when there is none.
    pub unit_name_fa: &'a str,
    /// Student number.
    pub student_number: &'a str,
    /// Degree level; `None` when not given.
    pub degree_level: Option<DegreeLevel>,
    /// Code of the field of study.
    pub field_code: &'a str,
    /// Persian title of the field of study.
    pub field_title_fa: &'a str,
    /// English title of the field of study; blank when there is none.
    pub field_title_en: &'a str,
    /// Study mode; `None` when not given.
    pub study_mode: Option<StudyMode>,
    /// Term of entry; `None` when not given.
    pub entry_term: Option<Result<TermId, Reason>>,
}

/// A subject's programme of study.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// The institution.
    pub institution: InstitutionCode,
    /// Name of the teaching unit in Persian, at most 120 characters.
    pub unit_name_fa: Option<DisplayText>,
    /// Student number.
    pub student_number: StudentNumber,
    /// Degree level.
    pub level: DegreeLevel,
    /// Code of the field of study, as [`parse_field_code`] gives it.
    pub field_code: String,
    /// Persian title of the field of study, at most 120 characters.
    pub field_title_fa: DisplayText,
    /// English title of the field of study, at most 120 characters.
    pub field_title_en: Option<DisplayText>,
    /// Study mode.
    pub study_mode: StudyMode,
    /// Term of entry. That it does not lie in the future is asked of the term table.
    pub entry_term: TermId,
}

impl Program {
    /// Reads a programme.
    ///
    /// # Errors
    ///
    /// Every violation at once, with the field paths of the contract relative to the programme.
    pub fn parse(input: ProgramInput<'_>) -> Result<Self, Violations> {
        let mut v = Violations::default();
        let unit_name_fa = v.take(
            "unit_name_fa",
            optional_text(input.unit_name_fa, TITLE_MAX_CHARS),
        );
        let student_number = v.take("student_number", StudentNumber::parse(input.student_number));
        let level = v.take(
            "degree_level",
            input.degree_level.ok_or(Reason::FieldRequired),
        );
        let field_code = v.take("field_code", parse_field_code(input.field_code));
        let field_title_fa = v.take(
            "field_title_fa",
            DisplayText::parse(input.field_title_fa, TITLE_MAX_CHARS),
        );
        let field_title_en = v.take(
            "field_title_en",
            optional_text(input.field_title_en, TITLE_MAX_CHARS),
        );
        let study_mode = v.take("study_mode", input.study_mode.ok_or(Reason::FieldRequired));
        let entry_term = v.take(
            "entry_term",
            input.entry_term.unwrap_or(Err(Reason::FieldRequired)),
        );
        let program = (|| {
            Some(Self {
                institution: input.institution,
                unit_name_fa: unit_name_fa?,
                student_number: student_number?,
                level: level?,
                field_code: field_code?,
                field_title_fa: field_title_fa?,
                field_title_en: field_title_en?,
                study_mode: study_mode?,
                entry_term: entry_term?,
            })
        })();
        v.finish(program)
    }
}

/// Prints the institution and the level only: the rest tells who the student is.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("institution", &self.institution)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
pub(crate) mod tests;
