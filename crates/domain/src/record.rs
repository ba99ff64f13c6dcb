//! Enrollment records: what an institution's system says of a student, how fresh it is, and when it is enough to confirm an
//! application without asking anybody.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::{
    calendar::JalaliDate,
    country::parse_country,
    enums::text_enum,
    identity::{PersonId, PersonName},
    program::Program,
    reason::Reason,
    term::TermId,
    text::DisplayText,
    violation::Violations,
};

/// Most units a student can register in one term.
pub const REGISTERED_UNITS_MAX: u8 = 30;

/// Greatest length of a caller's own reference, in characters.
pub const EXTERNAL_REF_MAX_CHARS: usize = 64;

/// How far the clock of a reporting system may run ahead of ours. Without a bound, one record dated far ahead would keep
/// every later one out.
pub const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

text_enum! {
    /// Gender as in the birth certificate.
    pub enum Gender {
        /// Female (زن).
        Female = "FEMALE",
        /// Male (مرد).
        Male = "MALE",
    }
}

text_enum! {
    /// Enrollment status of a student.
    pub enum EnrollmentStatus {
        /// Studying (در حال تحصیل).
        Studying = "STUDYING",
        /// On leave (مرخصی تحصیلی).
        OnLeave = "ON_LEAVE",
        /// Guest (مهمان).
        Guest = "GUEST",
        /// Transferred (انتقالی).
        Transferred = "TRANSFERRED",
        /// Graduated (دانش‌آموخته).
        Graduated = "GRADUATED",
        /// Withdrawn (انصراف).
        Withdrawn = "WITHDRAWN",
        /// Excluded (اخراج).
        Excluded = "EXCLUDED",
        /// Suspended (تعلیق).
        Suspended = "SUSPENDED",
        /// Deceased (فوت).
        Deceased = "DECEASED",
    }
}

impl EnrollmentStatus {
    /// Whether the enrollment is over for good, which ends live enrollment certificates.
    #[must_use]
    pub const fn ends_enrollment(self) -> bool {
        matches!(
            self,
            Self::Graduated | Self::Withdrawn | Self::Excluded | Self::Deceased
        )
    }
}

text_enum! {
    /// Grounds on which an institution withholds documents.
    pub enum BlockKind {
        /// Debt (بدهی).
        Financial = "FINANCIAL",
        /// Disciplinary (انضباطی).
        Disciplinary = "DISCIPLINARY",
        /// Missing papers (نقص مدرک).
        Document = "DOCUMENT",
        /// Legal (قضایی).
        Legal = "LEGAL",
    }
}

text_enum! {
    /// What happened to an enrollment.
    pub enum EnrollmentEventKind {
        /// The student withdrew.
        Withdrawn = "WITHDRAWN",
        /// The student was excluded.
        Excluded = "EXCLUDED",
        /// The student graduated.
        Graduated = "GRADUATED",
        /// The student died.
        Deceased = "DECEASED",
        /// The student was transferred.
        Transferred = "TRANSFERRED",
        /// The student was suspended.
        Suspended = "SUSPENDED",
        /// The student went on leave.
        OnLeave = "ON_LEAVE",
        /// The student came back.
        Resumed = "RESUMED",
    }
}

impl EnrollmentEventKind {
    /// The enrollment status after the event.
    #[must_use]
    pub const fn status(self) -> EnrollmentStatus {
        match self {
            Self::Withdrawn => EnrollmentStatus::Withdrawn,
            Self::Excluded => EnrollmentStatus::Excluded,
            Self::Graduated => EnrollmentStatus::Graduated,
            Self::Deceased => EnrollmentStatus::Deceased,
            Self::Transferred => EnrollmentStatus::Transferred,
            Self::Suspended => EnrollmentStatus::Suspended,
            Self::OnLeave => EnrollmentStatus::OnLeave,
            Self::Resumed => EnrollmentStatus::Studying,
        }
    }
}

/// The person a record or document is about.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// Identity.
    pub person_id: PersonId,
    /// Name.
    pub name: PersonName,
    /// Father's name in Persian, at most 60 characters.
    pub father_name_fa: Option<DisplayText>,
    /// Date of birth.
    pub birth_date: Option<JalaliDate>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Nationality, ISO 3166-1 alpha-3; `None` means Iranian.
    pub nationality: Option<String>,
}

/// A subject as it arrives. A part is `None` when not given, and carries its own refusal when it was.
pub struct SubjectInput<'a> {
    /// Identity.
    pub person_id: Option<Result<PersonId, Violations>>,
    /// Name.
    pub name: Option<Result<PersonName, Violations>>,
    /// Father's name; blank when not told.
    pub father_name_fa: &'a str,
    /// Date of birth.
    pub birth_date: Option<Result<JalaliDate, Reason>>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Nationality, ISO 3166-1 alpha-3; blank means Iranian.
    pub nationality: &'a str,
}

impl Subject {
    /// Reads a subject; `today` bounds the date of birth.
    ///
    /// # Errors
    ///
    /// Every violation at once, with the field paths of the contract relative to the subject; a date of birth after `today`
    /// is [`Reason::FieldFormat`].
    pub fn parse(input: SubjectInput<'_>, today: JalaliDate) -> Result<Self, Violations> {
        let mut v = Violations::default();
        let person_id = take_required(&mut v, "person_id", input.person_id);
        let name = take_required(&mut v, "name", input.name);
        let father_name_fa = v.take("father_name_fa", father_name(input.father_name_fa));
        let born = match input.birth_date.transpose() {
            Ok(Some(date)) if date > today => Err(Reason::FieldFormat),
            other => other,
        };
        let birth_date = v.take("birth_date", born);
        let nationality = v.take("nationality", nationality(input.nationality));
        let subject = (|| {
            Some(Self {
                person_id: person_id?,
                name: name?,
                father_name_fa: father_name_fa?,
                birth_date: birth_date?,
                gender: input.gender,
                nationality: nationality?,
            })
        })();
        v.finish(subject)
    }
}

/// A required message inside the message: its violations are nested, its absence is one.
fn take_required<T>(
    v: &mut Violations,
    field: &str,
    part: Option<Result<T, Violations>>,
) -> Option<T> {
    match part {
        Some(parsed) => v.take_nested(field, parsed),
        None => v.take(field, Err(Reason::FieldRequired)),
    }
}

/// A father's name follows the rules of a Persian given name, except that it may be left out.
fn father_name(input: &str) -> Result<Option<DisplayText>, Reason> {
    match PersonName::parse(input, "", "", "", true) {
        Ok(name) => Ok(Some(name.given_fa().clone())),
        Err(refused) => match refused.iter().next().map(|violation| violation.reason) {
            Some(Reason::FieldRequired) => Ok(None),
            Some(reason) => Err(reason),
            None => Err(Reason::FieldFormat),
        },
    }
}

fn nationality(input: &str) -> Result<Option<String>, Reason> {
    match parse_country(input) {
        Ok(country) => Ok(Some(country.to_owned())),
        Err(Reason::FieldRequired) => Ok(None),
        Err(reason) => Err(reason),
    }
}

/// Prints nothing: a subject is personal data as a whole.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}

/// A student's enrollment as the institution's system reported it.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentRecord {
    /// The student.
    pub subject: Subject,
    /// The programme.
    pub program: Program,
    /// Status.
    pub status: EnrollmentStatus,
    /// The term the record speaks of.
    pub current_term: TermId,
    /// Units registered in that term, 0 to 30.
    pub registered_units: u8,
    /// Since when the status holds.
    pub status_effective_date: Option<JalaliDate>,
    /// When the student is expected to graduate.
    pub expected_graduation_date: Option<JalaliDate>,
    /// Grounds on which documents are withheld.
    pub blocks: Vec<BlockKind>,
    /// The reporting system's own reference.
    pub external_ref: String,
    /// The instant the record describes, as told by the reporting system.
    pub as_of_time: Timestamp,
    /// When the record was received.
    pub receive_time: Timestamp,
}

/// A record as it arrives. A part is `None` when not given, and carries its own refusal when it was.
pub struct RecordInput<'a> {
    /// The student.
    pub subject: Option<Result<Subject, Violations>>,
    /// The programme.
    pub program: Option<Result<Program, Violations>>,
    /// Status.
    pub status: Option<EnrollmentStatus>,
    /// The term the record speaks of.
    pub current_term: Option<Result<TermId, Reason>>,
    /// Units registered in that term.
    pub registered_units: i32,
    /// Since when the status holds.
    pub status_effective_date: Option<Result<JalaliDate, Reason>>,
    /// When the student is expected to graduate.
    pub expected_graduation_date: Option<Result<JalaliDate, Reason>>,
    /// Grounds on which documents are withheld.
    pub blocks: Vec<BlockKind>,
    /// The reporting system's own reference; may be blank.
    pub external_ref: &'a str,
    /// The instant the record describes.
    pub as_of_time: Option<Result<Timestamp, Reason>>,
}

impl EnrollmentRecord {
    /// Reads a record received at `receive_time`.
    ///
    /// # Errors
    ///
    /// Every violation at once, with the field paths of the contract relative to the record. [`Reason::FieldFormat`] stands
    /// for units beyond 0 to 30, a block given twice and an `as_of_time` more than [`CLOCK_SKEW_MAX`] after the receipt.
    pub fn parse(input: RecordInput<'_>, receive_time: Timestamp) -> Result<Self, Violations> {
        let required = Err(Reason::FieldRequired);
        let mut v = Violations::default();
        let subject = take_required(&mut v, "subject", input.subject);
        let program = take_required(&mut v, "program", input.program);
        let status = v.take("status", input.status.ok_or(Reason::FieldRequired));
        let current_term = v.take("current_term", input.current_term.unwrap_or(required));
        let registered_units = v.take("registered_units", units(input.registered_units));
        let status_effective_date = v.take(
            "status_effective_date",
            input.status_effective_date.transpose(),
        );
        let expected_graduation_date = v.take(
            "expected_graduation_date",
            input.expected_graduation_date.transpose(),
        );
        let blocks = v.take("blocks", distinct(input.blocks));
        let external_ref = v.take("external_ref", parse_external_ref(input.external_ref));
        let as_of_time = v.take("as_of_time", check_as_of(input.as_of_time, receive_time));
        let record = (|| {
            Some(Self {
                subject: subject?,
                program: program?,
                status: status?,
                current_term: current_term?,
                registered_units: registered_units?,
                status_effective_date: status_effective_date?,
                expected_graduation_date: expected_graduation_date?,
                blocks: blocks?,
                external_ref: external_ref?,
                as_of_time: as_of_time?,
                receive_time,
            })
        })();
        v.finish(record)
    }

    /// The instant from which the record's age counts: the earlier of what the reporting system claims and the receipt, so
    /// that no claim makes a record fresher than it is.
    #[must_use]
    pub fn fresh_since(&self) -> Timestamp {
        self.as_of_time.min(self.receive_time)
    }
}

fn units(given: i32) -> Result<u8, Reason> {
    u8::try_from(given)
        .ok()
        .filter(|u| *u <= REGISTERED_UNITS_MAX)
        .ok_or(Reason::FieldFormat)
}

fn distinct(mut blocks: Vec<BlockKind>) -> Result<Vec<BlockKind>, Reason> {
    let given = blocks.len();
    blocks.sort_unstable();
    blocks.dedup();
    if blocks.len() < given {
        Err(Reason::FieldFormat)
    } else {
        Ok(blocks)
    }
}

/// The instant a report describes: required, and at most [`CLOCK_SKEW_MAX`] after its receipt.
///
/// # Errors
///
/// [`Reason::FieldRequired`] when not given, its own reason when it was refused, [`Reason::FieldFormat`] when too far ahead.
pub fn check_as_of(
    given: Option<Result<Timestamp, Reason>>,
    receive_time: Timestamp,
) -> Result<Timestamp, Reason> {
    let as_of_time = given.unwrap_or(Err(Reason::FieldRequired))?;
    if as_of_time.duration_since(receive_time) > CLOCK_SKEW_MAX {
        return Err(Reason::FieldFormat);
    }
    Ok(as_of_time)
}

/// A caller's own reference: at most 64 characters without control characters, surrounding spaces removed; may be empty.
///
/// # Errors
///
/// [`Reason::FieldTooLong`] or [`Reason::FieldFormat`].
pub fn parse_external_ref(input: &str) -> Result<String, Reason> {
    let text = input.trim();
    if text.chars().any(char::is_control) {
        return Err(Reason::FieldFormat);
    }
    if text.chars().count() > EXTERNAL_REF_MAX_CHARS {
        return Err(Reason::FieldTooLong);
    }
    Ok(text.to_owned())
}

/// Prints neither the student nor the reference, which often is a student number.
impl fmt::Debug for EnrollmentRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollmentRecord")
            .field("as_of_time", &self.as_of_time)
            .field("receive_time", &self.receive_time)
            .finish_non_exhaustive()
    }
}

/// Whether a report of the instant `new` replaces one of the instant `existing`: an older report never replaces a newer one;
/// of two reports of the same instant the later to arrive counts, so that a correction can be sent.
#[must_use]
pub fn supersedes(existing: Timestamp, new: Timestamp) -> bool {
    new >= existing
}

/// What keeps a record from confirming an enrollment by itself; nothing when it is fresh, studying and registered in the
/// current term, with no block, under the claimed name.
///
/// [`Reason::EnrollmentRecordStale`] when the record is older than `max_age`, and then the [`obstacles`].
#[must_use]
pub fn auto_confirm(
    record: &EnrollmentRecord,
    claimed_name: &PersonName,
    now: Timestamp,
    max_age: SignedDuration,
    current: TermId,
) -> Vec<Reason> {
    let stale = now.duration_since(record.fresh_since()) > max_age;
    let stale = stale.then_some(Reason::EnrollmentRecordStale);
    let others = obstacles(record, claimed_name, current);
    stale.into_iter().chain(others).collect()
}

/// Everything in a record that stands against certifying the enrollment in the term `current` under the claimed name,
/// however old the record is: [`Reason::EnrollmentNotActive`], [`Reason::ReleaseBlocked`], [`Reason::SubjectMismatch`].
#[must_use]
pub fn obstacles(
    record: &EnrollmentRecord,
    claimed_name: &PersonName,
    current: TermId,
) -> Vec<Reason> {
    let registered = record.current_term == current && record.registered_units > 0;
    let studying = record.status == EnrollmentStatus::Studying && registered;
    let same_name = record.subject.name.same_by_match_key(claimed_name);
    let found = [
        (!studying).then_some(Reason::EnrollmentNotActive),
        (!record.blocks.is_empty()).then_some(Reason::ReleaseBlocked),
        (!same_name).then_some(Reason::SubjectMismatch),
    ];
    found.into_iter().flatten().collect()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
