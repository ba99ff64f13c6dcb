//! Tests of enrollment records; all persons are synthetic.

use super::*;
use crate::{program::tests::program, term::TermKind};

const CURRENT: TermId = TermId {
    academic_year: 1404,
    kind: TermKind::Second,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn date(text: &str) -> JalaliDate {
    JalaliDate::parse(text).unwrap()
}

fn name(given: &str, family: &str) -> PersonName {
    PersonName::parse(given, family, "", "", false).unwrap()
}

fn subject_input() -> SubjectInput<'static> {
    SubjectInput {
        person_id: Some(PersonId::from_key("N:7730942860").map_err(|_| Violations::default())),
        name: Some(Ok(name("علی‌رضا", "نمونه"))),
        father_name_fa: " حسين ",
        birth_date: Some(Ok(date("1383/05/01"))),
        gender: Some(Gender::Male),
        nationality: "irn",
    }
}

fn subject() -> Subject {
    Subject::parse(subject_input(), date("1405/02/23")).unwrap()
}

fn record_input() -> RecordInput<'static> {
    RecordInput {
        subject: Some(Ok(subject())),
        program: Some(Ok(program())),
        status: Some(EnrollmentStatus::Studying),
        current_term: Some(Ok(CURRENT)),
        registered_units: 16,
        status_effective_date: Some(Ok(date("1402/07/01"))),
        expected_graduation_date: None,
        blocks: Vec::new(),
        external_ref: " row-7 ",
        as_of_time: Some(Ok(at("2026-05-12T08:00:00Z"))),
    }
}

fn record() -> EnrollmentRecord {
    EnrollmentRecord::parse(record_input(), at("2026-05-12T08:01:00Z")).unwrap()
}

fn seen(refused: Violations) -> Vec<(String, Reason)> {
    refused.into_iter().map(|v| (v.field, v.reason)).collect()
}

fn expected(fields: &[(&str, Reason)]) -> Vec<(String, Reason)> {
    fields
        .iter()
        .map(|(field, reason)| ((*field).to_owned(), *reason))
        .collect()
}

#[test]
fn every_violation_of_a_subject_is_reported_with_its_path() {
    let today = date("1405/02/23");
    let refused = Subject::parse(
        SubjectInput {
            person_id: None,
            name: Some(PersonName::parse("Ali", "", "", "", false)),
            father_name_fa: "Hossein",
            birth_date: Some(Ok(date("1405/02/24"))),
            gender: None,
            nationality: "XX1",
        },
        today,
    )
    .unwrap_err();
    assert_eq!(
        seen(refused),
        expected(&[
            ("person_id", Reason::FieldRequired),
            ("name.given_name_fa", Reason::NameScript),
            ("name.family_name_fa", Reason::FieldRequired),
            ("father_name_fa", Reason::NameScript),
            ("birth_date", Reason::FieldFormat),
            ("nationality", Reason::FieldFormat),
        ])
    );
    let mut inner = Violations::default();
    inner.push("national_code", Reason::NationalCodeChecksum);
    let long = "ا".repeat(61);
    let refused = Subject::parse(
        SubjectInput {
            person_id: Some(Err(inner)),
            name: None,
            father_name_fa: &long,
            birth_date: Some(Err(Reason::JalaliDateInvalid)),
            ..subject_input()
        },
        today,
    )
    .unwrap_err();
    assert_eq!(
        seen(refused),
        expected(&[
            ("person_id.national_code", Reason::NationalCodeChecksum),
            ("name", Reason::FieldRequired),
            ("father_name_fa", Reason::FieldTooLong),
            ("birth_date", Reason::JalaliDateInvalid),
        ])
    );
}

#[test]
fn what_is_not_told_of_a_subject_stays_unknown() {
    let full = subject();
    assert_eq!(
        full.father_name_fa.as_ref().map(DisplayText::as_str),
        Some("حسین")
    );
    assert_eq!(full.nationality.as_deref(), Some("IRN"));
    let born_today = SubjectInput {
        birth_date: Some(Ok(date("1405/02/23"))),
        ..subject_input()
    };
    assert!(Subject::parse(born_today, date("1405/02/23")).is_ok());
    let input = SubjectInput {
        father_name_fa: " ",
        birth_date: None,
        gender: None,
        nationality: "",
        ..subject_input()
    };
    let bare = Subject::parse(input, date("1405/02/23")).unwrap();
    assert_eq!(
        (
            bare.father_name_fa,
            bare.birth_date,
            bare.gender,
            bare.nationality
        ),
        (None, None, None, None)
    );
}

#[test]
fn every_violation_of_a_record_is_reported_with_its_path() {
    let receive_time = at("2026-05-12T08:01:00Z");
    let mut inner = Violations::default();
    inner.push("student_number", Reason::FieldFormat);
    let refused = EnrollmentRecord::parse(
        RecordInput {
            subject: None,
            program: Some(Err(inner)),
            status: None,
            current_term: None,
            registered_units: 31,
            status_effective_date: Some(Err(Reason::JalaliDateInvalid)),
            expected_graduation_date: Some(Err(Reason::JalaliDateInvalid)),
            blocks: vec![BlockKind::Legal, BlockKind::Financial, BlockKind::Legal],
            external_ref: "a\nb",
            as_of_time: None,
        },
        receive_time,
    )
    .unwrap_err();
    assert_eq!(
        seen(refused),
        expected(&[
            ("subject", Reason::FieldRequired),
            ("program.student_number", Reason::FieldFormat),
            ("status", Reason::FieldRequired),
            ("current_term", Reason::FieldRequired),
            ("registered_units", Reason::FieldFormat),
            ("status_effective_date", Reason::JalaliDateInvalid),
            ("expected_graduation_date", Reason::JalaliDateInvalid),
            ("blocks", Reason::FieldFormat),
            ("external_ref", Reason::FieldFormat),
            ("as_of_time", Reason::FieldRequired),
        ])
    );
    let long = "ب".repeat(65);
    let refused = EnrollmentRecord::parse(
        RecordInput {
            current_term: Some(Err(Reason::TermInFuture)),
            registered_units: -1,
            external_ref: &long,
            as_of_time: Some(Ok(at("2026-05-12T08:06:00.000001Z"))),
            ..record_input()
        },
        receive_time,
    )
    .unwrap_err();
    assert_eq!(
        seen(refused),
        expected(&[
            ("current_term", Reason::TermInFuture),
            ("registered_units", Reason::FieldFormat),
            ("external_ref", Reason::FieldTooLong),
            ("as_of_time", Reason::FieldFormat),
        ])
    );
}

#[test]
fn a_record_on_its_bounds_is_accepted() {
    let longest = "ب".repeat(64);
    for (registered_units, external_ref, as_of_time) in [
        (0, "", "2026-05-12T08:06:00Z"),
        (30, longest.as_str(), "2020-01-01T00:00:00Z"),
    ] {
        let input = RecordInput {
            registered_units,
            external_ref,
            as_of_time: Some(Ok(at(as_of_time))),
            blocks: vec![BlockKind::Legal, BlockKind::Financial],
            ..record_input()
        };
        let record = EnrollmentRecord::parse(input, at("2026-05-12T08:01:00Z")).unwrap();
        assert_eq!(i32::from(record.registered_units), registered_units);
        assert_eq!(record.external_ref, external_ref);
        assert_eq!(record.blocks, [BlockKind::Financial, BlockKind::Legal]);
    }
    assert_eq!(record().external_ref, "row-7");
}

#[test]
fn debug_tells_nothing_about_the_student() {
    assert_eq!(format!("{:?}", subject()), "Subject(…)");
    let printed = format!("{:?}", record());
    for hidden in [
        "7730942860",
        "810199001",
        "row-7",
        "نمونه",
        "STUDYING",
        "Studying",
        "UT",
    ] {
        assert!(!printed.contains(hidden), "{printed}");
    }
}

#[test]
fn freshness_counts_from_the_earlier_of_claim_and_receipt() {
    for (as_of_time, receive_time, since) in [
        (
            "2026-05-12T08:00:00Z",
            "2026-05-12T09:00:00Z",
            "2026-05-12T08:00:00Z",
        ),
        (
            "2026-05-12T09:04:00Z",
            "2026-05-12T09:00:00Z",
            "2026-05-12T09:00:00Z",
        ),
    ] {
        let record = EnrollmentRecord {
            as_of_time: at(as_of_time),
            receive_time: at(receive_time),
            ..record()
        };
        assert_eq!(record.fresh_since(), at(since));
    }
}

#[test]
fn an_older_report_never_replaces_a_newer_one() {
    let existing = at("2026-05-12T08:00:00Z");
    for (new, expected) in [
        ("2026-05-12T07:59:59.999999Z", false),
        ("2026-05-12T08:00:00Z", true),
        ("2026-05-12T08:00:00.000001Z", true),
    ] {
        assert_eq!(supersedes(existing, at(new)), expected, "{new}");
    }
}

#[test]
fn the_first_rule_that_fails_refuses_the_confirmation() {
    let day = SignedDuration::from_hours(24);
    let fresh = at("2026-05-13T08:00:00Z");
    let stale = at("2026-05-13T08:00:00.000001Z");
    let (own, other) = (name("عليرضا", "نمونه"), name("رضا", "نمونه"));
    let previous = TermId {
        academic_year: 1404,
        kind: TermKind::First,
    };
    let blocked = vec![BlockKind::Financial];
    use EnrollmentStatus::{OnLeave, Studying};
    // status, term, units, blocks, claimed name, now; each row repairs one more rule than the row before
    for (status, term, units, blocks, claimed, now, expected) in [
        (
            OnLeave,
            previous,
            0,
            &blocked,
            &other,
            stale,
            Err(Reason::EnrollmentRecordStale),
        ),
        (
            OnLeave,
            previous,
            0,
            &blocked,
            &other,
            fresh,
            Err(Reason::EnrollmentNotActive),
        ),
        (
            Studying,
            previous,
            0,
            &blocked,
            &other,
            fresh,
            Err(Reason::EnrollmentNotActive),
        ),
        (
            Studying,
            CURRENT,
            0,
            &blocked,
            &other,
            fresh,
            Err(Reason::EnrollmentNotActive),
        ),
        (
            Studying,
            previous,
            1,
            &blocked,
            &other,
            fresh,
            Err(Reason::EnrollmentNotActive),
        ),
        (
            Studying,
            CURRENT,
            1,
            &blocked,
            &other,
            fresh,
            Err(Reason::ReleaseBlocked),
        ),
        (
            Studying,
            CURRENT,
            1,
            &vec![],
            &other,
            fresh,
            Err(Reason::SubjectMismatch),
        ),
        // another spelling of the same name
        (Studying, CURRENT, 1, &vec![], &own, fresh, Ok(())),
    ] {
        let record = EnrollmentRecord {
            status,
            current_term: term,
            registered_units: units,
            blocks: blocks.clone(),
            ..record()
        };
        let found = auto_confirm(&record, claimed, now, day, CURRENT);
        assert_eq!(
            found.first().map_or(Ok(()), |reason| Err(*reason)),
            expected
        );
    }
}

#[test]
fn only_a_studying_student_is_confirmed() {
    for status in EnrollmentStatus::ALL {
        let record = EnrollmentRecord {
            status: *status,
            ..record()
        };
        let claimed = name("علیرضا", "نمونه");
        let now = at("2026-05-12T09:00:00Z");
        let day = SignedDuration::from_hours(24);
        let expected = match status {
            EnrollmentStatus::Studying => Ok(()),
            _ => Err(Reason::EnrollmentNotActive),
        };
        assert_eq!(
            auto_confirm(&record, &claimed, now, day, CURRENT),
            expected.err().into_iter().collect::<Vec<_>>(),
            "{status}"
        );
    }
}

#[test]
fn everything_that_stands_against_a_record_is_told_at_once() {
    let record = EnrollmentRecord {
        status: EnrollmentStatus::OnLeave,
        blocks: vec![BlockKind::Financial],
        ..record()
    };
    let found = auto_confirm(
        &record,
        &name("دیگر", "نمونه"),
        at("2026-05-22T09:00:00Z"),
        SignedDuration::from_hours(24),
        CURRENT,
    );
    assert_eq!(
        found,
        [
            Reason::EnrollmentRecordStale,
            Reason::EnrollmentNotActive,
            Reason::ReleaseBlocked,
            Reason::SubjectMismatch,
        ]
    );
}

#[test]
fn every_block_keeps_a_record_from_confirming() {
    for block in BlockKind::ALL {
        let record = EnrollmentRecord {
            blocks: vec![*block],
            ..record()
        };
        let claimed = name("علیرضا", "نمونه");
        let now = at("2026-05-12T09:00:00Z");
        let day = SignedDuration::from_hours(24);
        let refused = [Reason::ReleaseBlocked];
        assert_eq!(
            auto_confirm(&record, &claimed, now, day, CURRENT),
            refused,
            "{block}"
        );
    }
}

#[test]
fn every_event_leads_to_one_status_and_four_end_the_enrollment() {
    use EnrollmentEventKind as E;
    use EnrollmentStatus as S;
    let table = [
        (E::Withdrawn, S::Withdrawn, true),
        (E::Excluded, S::Excluded, true),
        (E::Graduated, S::Graduated, true),
        (E::Deceased, S::Deceased, true),
        (E::Transferred, S::Transferred, false),
        (E::Suspended, S::Suspended, false),
        (E::OnLeave, S::OnLeave, false),
        (E::Resumed, S::Studying, false),
    ];
    assert_eq!(table.len(), E::ALL.len());
    for (event, status, ends) in table {
        assert_eq!(event.status(), status);
        assert_eq!(status.ends_enrollment(), ends, "{status}");
    }
    assert!(!S::Guest.ends_enrollment());
}
