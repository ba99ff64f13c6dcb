//! Tests of programmes; all students are synthetic.

use super::*;
use crate::{institution::tests::code, term::TermKind};

/// A synthetic programme.
pub(crate) fn input() -> ProgramInput<'static> {
    ProgramInput {
        institution: code("UT"),
        unit_name_fa: "",
        student_number: "۸۱۰۱۹۹۰۰۱",
        degree_level: Some(DegreeLevel::BachelorContinuous),
        field_code: "cs.1",
        field_title_fa: "مهندسي كامپيوتر",
        field_title_en: "Computer Engineering",
        study_mode: Some(StudyMode::Day),
        entry_term: Some("1402-1".parse()),
    }
}

/// A synthetic programme.
pub(crate) fn program() -> Program {
    Program::parse(input()).unwrap()
}

#[test]
fn every_violation_of_a_programme_is_reported_with_its_path() {
    let long = "ا".repeat(121);
    let refused = Program::parse(ProgramInput {
        institution: code("UT"),
        unit_name_fa: &long,
        student_number: "12a45",
        degree_level: None,
        field_code: "",
        field_title_fa: " ",
        field_title_en: &long,
        study_mode: None,
        entry_term: None,
    })
    .unwrap_err();
    let seen: Vec<_> = refused
        .iter()
        .map(|v| (v.field.as_str(), v.reason))
        .collect();
    assert_eq!(
        seen,
        [
            ("unit_name_fa", Reason::FieldTooLong),
            ("student_number", Reason::FieldFormat),
            ("degree_level", Reason::FieldRequired),
            ("field_code", Reason::FieldRequired),
            ("field_title_fa", Reason::FieldRequired),
            ("field_title_en", Reason::FieldTooLong),
            ("study_mode", Reason::FieldRequired),
            ("entry_term", Reason::FieldRequired),
        ]
    );
}

#[test]
fn the_reason_of_a_bad_entry_term_is_kept() {
    let refused = Program::parse(ProgramInput {
        entry_term: Some(Err(Reason::TermInFuture)),
        ..input()
    })
    .unwrap_err();
    let seen: Vec<_> = refused
        .iter()
        .map(|v| (v.field.as_str(), v.reason))
        .collect();
    assert_eq!(seen, [("entry_term", Reason::TermInFuture)]);
}

#[test]
fn a_programme_is_stored_in_one_form() {
    let program = program();
    assert_eq!(program.student_number.as_str(), "810199001");
    assert_eq!(program.field_code, "CS.1");
    assert_eq!(program.field_title_fa.as_str(), "مهندسی کامپیوتر");
    assert_eq!(program.unit_name_fa, None);
    assert_eq!(program.entry_term.kind, TermKind::First);
}

#[test]
fn debug_tells_nothing_about_the_student() {
    let printed = format!("{:?}", program());
    assert!(printed.contains("UT"), "{printed}");
    for hidden in ["810199001", "CS.1", "مهندسی", "1402"] {
        assert!(!printed.contains(hidden), "{printed}");
    }
}

#[test]
fn student_numbers_have_five_to_twenty_digits() {
    for (input, reason) in [
        ("", Reason::FieldRequired),
        (" - ", Reason::FieldRequired),
        ("1234", Reason::FieldFormat),
        ("12345x", Reason::FieldFormat),
        ("123456789012345678901", Reason::FieldTooLong),
    ] {
        assert_eq!(StudentNumber::parse(input), Err(reason), "{input:?}");
    }
    for (input, stored) in [
        ("12345", "12345"),
        ("12345678901234567890", "12345678901234567890"),
        ("۹۸ ۱۲-۳۴", "981234"),
    ] {
        assert_eq!(StudentNumber::parse(input).unwrap().as_str(), stored);
    }
}

#[test]
fn field_codes_of_another_form_are_refused() {
    for (input, reason) in [
        (" ", Reason::FieldRequired),
        ("A B", Reason::FieldFormat),
        ("A/B", Reason::FieldFormat),
        ("رایانه", Reason::FieldFormat),
        ("123456789012345678901", Reason::FieldTooLong),
    ] {
        assert_eq!(parse_field_code(input), Err(reason), "{input:?}");
    }
    assert_eq!(parse_field_code(" ۱۲.a-3 ").as_deref(), Ok("12.A-3"));
}

#[test]
fn every_level_and_mode_has_its_own_names() {
    let mut names: Vec<_> = DegreeLevel::ALL
        .iter()
        .flat_map(|l| [l.name_fa(), l.name_en()])
        .collect();
    names.extend(
        StudyMode::ALL
            .iter()
            .flat_map(|m| [m.name_fa(), m.name_en()]),
    );
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
