//! Synthetic requests and stored rows for the tests of the conversions.

use gavah_api::v1 as pb;
use gavah_domain::institution::{Institution, InstitutionCode, InstitutionState, InstitutionType};
use gavah_domain::{JalaliDate, Reason, Term, TermId, TermTable};
use gavah_store::{Snapshot, StoredInstitution};
use jiff::Timestamp;

use super::Known;
use super::time::instant_to_pb;
use crate::error::AppError;

/// Some UUID.
pub(crate) const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A code with right check digits.
pub(crate) const CODE: &str = "12345678901234567888";

/// The instant of every call, 1405/02/23 in Tehran.
pub(crate) fn now() -> Timestamp {
    "2026-05-13T08:30:00Z".parse().unwrap()
}

pub(crate) fn today() -> JalaliDate {
    JalaliDate::of(now())
}

/// An instant `seconds` from now, in the contract's form.
pub(crate) fn after(seconds: i64) -> Option<prost_types::Timestamp> {
    let now = instant_to_pb(now());
    Some(prost_types::Timestamp {
        seconds: now.seconds + seconds,
        ..now
    })
}

pub(crate) fn code(text: &str) -> InstitutionCode {
    InstitutionCode::parse(text).unwrap()
}

/// One institution, UT, also known as 1013.
pub(crate) fn institution() -> StoredInstitution {
    StoredInstitution {
        institution: Institution {
            code: code("UT"),
            aliases: vec!["1013".to_owned()],
            kind: InstitutionType::State,
            parent: None,
            name_fa: "دانشگاه نمونه".to_owned(),
            name_en: "Sample University".to_owned(),
            state: InstitutionState::Active,
            successor: None,
        },
        create_time: now(),
        update_time: now(),
        version: 4,
    }
}

/// A registry with that institution and the term running now.
pub(crate) fn snapshot() -> Snapshot {
    let codes = ["UT", "1013"].map(|known| (known.to_owned(), "UT".to_owned()));
    Snapshot {
        institutions: [("UT".to_owned(), institution())].into(),
        institution_codes: codes.into(),
        terms: TermTable::new(vec![
            Term {
                id: TermId::parse("1404-2").unwrap(),
                start: JalaliDate::parse("1404/11/18").unwrap(),
                end: JalaliDate::parse("1405/04/12").unwrap(),
            },
            Term {
                id: TermId::parse("1405-1").unwrap(),
                start: JalaliDate::parse("1405/07/01").unwrap(),
                end: JalaliDate::parse("1405/11/10").unwrap(),
            },
        ]),
        ..Snapshot::default()
    }
}

pub(crate) fn known(snapshot: &Snapshot) -> Known<'_> {
    Known {
        now: now(),
        snapshot,
    }
}

pub(crate) fn date(year: i32, month: i32, day: i32) -> pb::JalaliDate {
    pb::JalaliDate { year, month, day }
}

pub(crate) fn term(academic_year: i32, kind: pb::TermKind) -> pb::Term {
    pb::Term {
        academic_year,
        kind: kind.into(),
    }
}

pub(crate) fn national(code: &str) -> pb::PersonId {
    pb::PersonId {
        id: Some(pb::person_id::Id::NationalCode(code.to_owned())),
    }
}

/// A synthetic student, in display form.
pub(crate) fn subject() -> pb::Subject {
    pb::Subject {
        person_id: Some(national("7730942860")),
        name: Some(pb::PersonName {
            given_name_fa: "علی".to_owned(),
            family_name_fa: "رضایی نمونه".to_owned(),
            given_name_en: "Ali".to_owned(),
            family_name_en: "Rezaei".to_owned(),
            no_family_name: false,
        }),
        father_name_fa: "حسن".to_owned(),
        birth_date: Some(date(1383, 4, 31)),
        gender: pb::Gender::Male.into(),
        nationality: "IRN".to_owned(),
    }
}

/// A subject in which everything is wrong, and what is wrong with it.
pub(crate) fn broken_subject() -> (pb::Subject, Vec<(&'static str, Reason)>) {
    let subject = pb::Subject {
        person_id: Some(national("7730942861")),
        name: Some(pb::PersonName {
            given_name_fa: "Ali".to_owned(),
            family_name_fa: String::new(),
            given_name_en: "علی".to_owned(),
            family_name_en: "x".repeat(61),
            no_family_name: false,
        }),
        father_name_fa: "Hassan".to_owned(),
        birth_date: Some(date(1404, 12, 30)),
        gender: 7,
        nationality: "XXX".to_owned(),
    };
    let wrong = vec![
        ("gender", Reason::FieldFormat),
        ("person_id.national_code", Reason::NationalCodeChecksum),
        ("name.given_name_fa", Reason::NameScript),
        ("name.family_name_fa", Reason::FieldRequired),
        ("name.given_name_en", Reason::NameScript),
        ("name.family_name_en", Reason::FieldTooLong),
        ("father_name_fa", Reason::NameScript),
        ("birth_date", Reason::JalaliDateInvalid),
        ("nationality", Reason::FieldFormat),
    ];
    (subject, wrong)
}

/// A synthetic programme, in display form.
pub(crate) fn program() -> pb::Program {
    pb::Program {
        institution_code: "UT".to_owned(),
        unit_name_fa: "دانشکده فنی".to_owned(),
        student_number: "810100001".to_owned(),
        degree_level: pb::DegreeLevel::MasterDiscontinuous.into(),
        field_code: "CE-12".to_owned(),
        field_title_fa: "مهندسی عمران".to_owned(),
        field_title_en: "Civil Engineering".to_owned(),
        study_mode: pb::StudyMode::Day.into(),
        entry_term: Some(term(1404, pb::TermKind::First)),
    }
}

/// A programme in which everything is wrong, and what is wrong with it.
pub(crate) fn broken_program() -> (pb::Program, Vec<(&'static str, Reason)>) {
    let program = pb::Program {
        institution_code: "U/T".to_owned(),
        unit_name_fa: "x".repeat(121),
        student_number: "12".to_owned(),
        degree_level: 0,
        field_code: "a b".to_owned(),
        field_title_fa: "\u{7}".to_owned(),
        field_title_en: "x".repeat(241),
        study_mode: 99,
        entry_term: Some(term(1405, pb::TermKind::First)),
    };
    let wrong = vec![
        ("degree_level", Reason::FieldRequired),
        ("field_title_en", Reason::FieldTooLong),
        ("study_mode", Reason::FieldFormat),
        ("institution_code", Reason::FieldFormat),
        ("unit_name_fa", Reason::FieldTooLong),
        ("student_number", Reason::FieldFormat),
        ("field_code", Reason::FieldFormat),
        ("field_title_fa", Reason::FieldFormat),
        ("entry_term", Reason::TermInFuture),
    ];
    (program, wrong)
}

/// All that was wrong with a request, in the order in which it is told.
pub(crate) fn violations<T>(read: Result<T, AppError>) -> Vec<(&'static str, Reason)> {
    match read {
        Err(AppError::Invalid(found)) => found
            .into_iter()
            // Leaked, so that expectations can be written as literals.
            .map(|violation| (&*violation.field.leak(), violation.reason))
            .collect(),
        Err(other) => panic!("refused as {other}"),
        Ok(_) => panic!("not refused"),
    }
}

/// Asserts that a request is refused for exactly these reasons, in any order.
#[track_caller]
pub(crate) fn assert_violations<T>(read: Result<T, AppError>, mut expected: Vec<(String, Reason)>) {
    let mut seen: Vec<_> = violations(read)
        .into_iter()
        .map(|(field, reason)| (field.to_owned(), reason))
        .collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

/// Expected violations below a path.
pub(crate) fn below(path: &str, wrong: &[(&str, Reason)]) -> Vec<(String, Reason)> {
    wrong
        .iter()
        .map(|(field, reason)| (format!("{path}{field}"), *reason))
        .collect()
}
