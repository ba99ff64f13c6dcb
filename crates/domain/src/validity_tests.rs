//! Tests of the rules of validity codes; all persons are synthetic.

use std::collections::HashSet;

use super::*;
use crate::institution::tests::code;
use crate::program::tests::program;

fn date(text: &str) -> JalaliDate {
    JalaliDate::parse(text).unwrap()
}

fn facts() -> DocumentFacts {
    DocumentFacts {
        kind: DocumentKind::Degree,
        number: Some("12/345".to_owned()),
        issue_date: Some(date("1405/02/23")),
        start_date: Some(date("1400/07/01")),
        end_date: Some(date("1404/06/31")),
        gpa_hundredths: Some(1785),
    }
}

fn fields(refused: Violations) -> Vec<(String, Reason)> {
    refused.into_iter().map(|v| (v.field, v.reason)).collect()
}

#[test]
fn facts_that_make_no_sense_are_refused_all_at_once() {
    let today = date("1405/02/22");
    let wrong = DocumentFacts {
        number: Some("x".repeat(31)),
        end_date: Some(date("1400/06/31")),
        gpa_hundredths: Some(2001),
        ..facts()
    };
    assert_eq!(
        fields(wrong.check(today).unwrap_err()),
        [
            ("number".to_owned(), Reason::FieldTooLong),
            ("issue_date".to_owned(), Reason::FieldFormat),
            ("end_date".to_owned(), Reason::FieldFormat),
            ("gpa_hundredths".to_owned(), Reason::FieldFormat),
        ]
    );
    for number in [" ", "1\n2"] {
        let wrong = DocumentFacts {
            number: Some(number.to_owned()),
            ..facts()
        };
        assert_eq!(
            fields(wrong.check(date("1405/03/01")).unwrap_err()),
            [("number".to_owned(), Reason::FieldFormat)]
        );
    }
}

#[test]
fn facts_on_their_bounds_are_accepted() {
    let bounds = DocumentFacts {
        number: Some("x".repeat(30)),
        end_date: Some(date("1400/07/01")),
        gpa_hundredths: Some(2000),
        ..facts()
    };
    assert_eq!(bounds.check(date("1405/02/23")), Ok(()));
    let nothing = DocumentFacts {
        number: None,
        issue_date: None,
        start_date: None,
        end_date: None,
        gpa_hundredths: None,
        ..facts()
    };
    assert_eq!(nothing.check(date("1300/01/01")), Ok(()));
}

#[test]
fn parsing_reports_bad_parts_beside_bad_combinations() {
    let input = DocumentInput {
        kind: DocumentKind::Degree,
        number: " ۱۲/۳۴۵ ",
        issue_date: Some(Err(Reason::JalaliDateInvalid)),
        start_date: Some(Ok(date("1400/07/02"))),
        end_date: Some(Ok(date("1400/07/01"))),
        gpa_hundredths: Some(-1),
    };
    assert_eq!(
        fields(DocumentFacts::parse(input, date("1405/02/23")).unwrap_err()),
        [
            ("issue_date".to_owned(), Reason::JalaliDateInvalid),
            ("gpa_hundredths".to_owned(), Reason::FieldFormat),
            ("end_date".to_owned(), Reason::FieldFormat),
        ]
    );
    let input = DocumentInput {
        kind: DocumentKind::Degree,
        number: " ۱۲/۳۴۵ ",
        issue_date: Some(Ok(date("1405/02/23"))),
        start_date: Some(Ok(date("1400/07/01"))),
        end_date: Some(Ok(date("1404/06/31"))),
        gpa_hundredths: Some(1785),
    };
    assert_eq!(DocumentFacts::parse(input, date("1405/02/23")), Ok(facts()));
}

#[test]
fn debug_prints_the_kind_of_a_document_only() {
    assert_eq!(
        format!("{:?}", facts()),
        "DocumentFacts { kind: Degree, .. }"
    );
}

#[test]
fn live_keys_are_equal_only_when_every_part_is() {
    let persons = [
        "N:7730942860",
        "N:3974017844",
        "F:YEKTA:12345678",
        "P:IRQ:A123",
    ]
    .map(|key| PersonId::from_key(key).unwrap());
    let rules = CodeRules::default();
    let mut seen = HashSet::new();
    let mut count = 0;
    for person in &persons {
        for level in DegreeLevel::ALL {
            for institution in ["UT", "UT-1", "1013"] {
                for kind in DocumentKind::ALL {
                    for field in [None, Some("CS"), Some("CS.1"), Some("1-1")] {
                        let program = Program {
                            institution: code(institution),
                            level: *level,
                            field_code: field.unwrap_or("EE").to_owned(),
                            ..program()
                        };
                        seen.insert(rules.live_key(person, &program, *kind, field.is_some()));
                        count += 1;
                    }
                }
            }
        }
    }
    assert_eq!(seen.len(), count);
}

#[test]
fn what_makes_two_documents_the_same_is_a_rule() {
    let person = PersonId::from_key("N:7730942860").unwrap();
    let program = program();
    let key = |unique_by: &[UniquePart], double_major| {
        let rules = CodeRules {
            unique_by: unique_by.to_vec(),
            ..CodeRules::default()
        };
        rules.live_key(&person, &program, DocumentKind::Degree, double_major)
    };
    let (level, at, field) = (
        program.level.as_str(),
        program.institution.as_str(),
        program.field_code.as_str(),
    );
    assert_eq!(key(&[], false), "N:7730942860/*/*/*");
    assert_eq!(
        key(&[UniquePart::DegreeLevel], false),
        format!("N:7730942860/{level}/*/*")
    );
    assert_eq!(
        key(&[UniquePart::Institution], true),
        format!("N:7730942860/*/{at}/*/{field}")
    );
    assert_eq!(
        key(&[UniquePart::DocumentKind, UniquePart::Field], false),
        format!("N:7730942860/*/*/DEGREE/{field}")
    );
}

#[test]
fn every_level_names_the_previous_levels_it_builds_on() {
    use DegreeLevel as L;
    // level, proven, missing
    let table: &[(L, &[L], &[L])] = &[
        (L::BachelorDiscontinuous, &[], &[L::Associate]),
        (
            L::BachelorDiscontinuous,
            &[L::BachelorContinuous],
            &[L::Associate],
        ),
        (L::BachelorDiscontinuous, &[L::Associate], &[]),
        (L::MasterDiscontinuous, &[], &[L::BachelorContinuous]),
        (
            L::MasterDiscontinuous,
            &[L::Associate],
            &[L::BachelorContinuous],
        ),
        (L::MasterDiscontinuous, &[L::BachelorContinuous], &[]),
        (L::MasterDiscontinuous, &[L::BachelorDiscontinuous], &[]),
        (L::Phd, &[], &[L::MasterContinuous]),
        (
            L::Phd,
            &[L::BachelorContinuous, L::Phd],
            &[L::MasterContinuous],
        ),
        (L::Phd, &[L::MasterContinuous], &[]),
        (L::Phd, &[L::MasterDiscontinuous], &[]),
        (L::Phd, &[L::ProfessionalDoctorate], &[]),
        (L::ResidencyDoctorate, &[], &[L::ProfessionalDoctorate]),
        (
            L::ResidencyDoctorate,
            &[L::MasterContinuous],
            &[L::ProfessionalDoctorate],
        ),
        (L::ResidencyDoctorate, &[L::ProfessionalDoctorate], &[]),
        (L::Associate, &[], &[]),
        (L::BachelorContinuous, &[], &[]),
        (L::MasterContinuous, &[], &[]),
        (L::ProfessionalDoctorate, &[], &[]),
    ];
    for (level, proven, missing) in table {
        assert_eq!(
            CodeRules::default().missing_prior_levels(*level, proven),
            *missing,
            "{level} with {proven:?}"
        );
    }
}

#[test]
fn only_the_code_of_a_foreign_valuation_expires_after_one_jalali_year() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    for kind in DocumentKind::ALL {
        let expires = CodeRules::default().expiry(*kind, at("2026-05-13T08:00:00Z"));
        assert_eq!(
            expires.is_some(),
            *kind == DocumentKind::ForeignValuation,
            "{kind}"
        );
    }
    for (issued, expires) in [
        // 1405/02/23, so with the end of 1406/02/23
        ("2026-05-13T08:00:00Z", "2027-05-13T20:30:00Z"),
        // half past midnight in Tehran: already the next day
        ("2026-05-13T21:00:00Z", "2027-05-14T20:30:00Z"),
        // 1403/12/30 of a leap year: clamped to 1404/12/29
        ("2025-03-20T08:00:00Z", "2026-03-20T20:30:00Z"),
    ] {
        assert_eq!(
            CodeRules::default().expiry(DocumentKind::ForeignValuation, at(issued)),
            Some(at(expires)),
            "{issued}"
        );
    }
}

#[test]
fn every_kind_of_document_has_its_own_names() {
    let mut names: Vec<_> = DocumentKind::ALL
        .iter()
        .flat_map(|k| [k.name_fa(), k.name_en()])
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 2 * DocumentKind::ALL.len());
}
