//! Tests of the identifiers and names; all persons are synthetic.

use super::*;

/// What the parser refuses, as (field, reason).
fn refusals(
    given_fa: &str,
    family_fa: &str,
    given_en: &str,
    family_en: &str,
    none: bool,
) -> Vec<(String, Reason)> {
    let refused = PersonName::parse(given_fa, family_fa, given_en, family_en, none).unwrap_err();
    refused
        .into_iter()
        .map(|violation| (violation.field, violation.reason))
        .collect()
}

fn name_fa(given: &str, family: &str) -> PersonName {
    PersonName::parse(given, family, "", "", false).unwrap()
}

#[test]
fn national_codes_are_checked() {
    let cases = [
        ("7730942860", Ok("7730942860")),
        ("3974017844", Ok("3974017844")),
        ("۷۷۳۰۹۴۲۸۶۰", Ok("7730942860")),
        ("٣٩٧٤٠١٧٨٤٤", Ok("3974017844")),
        (" 773-094286-0 ", Ok("7730942860")),
        ("11537027", Ok("0011537027")),  // eight digits, filled up
        ("012345679", Ok("0012345679")), // nine digits, filled up
        ("7730942861", Err(Reason::NationalCodeChecksum)),
        ("3974017848", Err(Reason::NationalCodeChecksum)),
        ("1111111111", Err(Reason::NationalCodeAllSame)),
        ("0000000000", Err(Reason::NationalCodeAllSame)),
        ("00000000", Err(Reason::NationalCodeAllSame)),
        ("", Err(Reason::FieldRequired)),
        ("1234567", Err(Reason::FieldFormat)),
        ("77309428600", Err(Reason::FieldFormat)),
        ("773094286x", Err(Reason::FieldFormat)),
        ("77309428٫0", Err(Reason::FieldFormat)),
    ];
    for (text, expected) in cases {
        let parsed = NationalCode::parse(text);
        assert_eq!(
            parsed
                .as_ref()
                .map(NationalCode::as_str)
                .map_err(|reason| *reason),
            expected,
            "{text:?}"
        );
    }
}

#[test]
fn one_of_the_ten_last_digits_fits() {
    for body in ["773094286", "397401784", "001234567", "999999998"] {
        let fitting = (0..10)
            .filter(|digit| NationalCode::parse(&format!("{body}{digit}")).is_ok())
            .count();
        assert_eq!(fitting, 1, "{body}");
    }
}

#[test]
fn legal_entities_have_eleven_digits_of_which_the_last_checks_the_others() {
    for (id, expected) in [
        ("10380284790", Ok(())),
        ("14099999990", Ok(())),
        ("14099999986", Ok(())),
        ("14099999991", Err(Reason::NationalIdChecksum)),
        ("10380284709", Err(Reason::NationalIdChecksum)),
    ] {
        assert_eq!(LegalEntityId::parse(id).map(|_| ()), expected, "{id}");
    }
    assert_eq!(
        LegalEntityId::parse("۱۴۰۰۰۲۷۶۰۰۳").unwrap().as_str(),
        "14000276003"
    );
    assert_eq!(LegalEntityId::parse("1400027600"), Err(Reason::FieldFormat));
    assert_eq!(LegalEntityId::parse(""), Err(Reason::FieldRequired));
}

#[test]
fn foreign_codes_have_eight_to_sixteen_digits() {
    for (text, expected) in [
        ("12345678", Ok("12345678")),
        ("1234567890123456", Ok("1234567890123456")),
        ("1234567", Err(Reason::FieldFormat)),
        ("12345678901234567", Err(Reason::FieldFormat)),
        ("1234567A", Err(Reason::FieldFormat)),
        ("", Err(Reason::FieldRequired)),
    ] {
        let parsed = ForeignCode::parse(ForeignCodeKind::Fida, text);
        assert_eq!(
            parsed
                .as_ref()
                .map(ForeignCode::value)
                .map_err(|reason| *reason),
            expected,
            "{text}"
        );
    }
}

#[test]
fn passports_have_a_number_and_a_country() {
    let passport = Passport::parse(" a 123-۴۵ ", "irq").unwrap();
    assert_eq!((passport.number(), passport.country()), ("A12345", "IRQ"));
    let refused = |number: &str, country: &str| {
        let violations = Passport::parse(number, country).unwrap_err();
        violations
            .into_iter()
            .map(|violation| (violation.field, violation.reason))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        refused("", "XXX"),
        [
            ("number".to_owned(), Reason::FieldRequired),
            ("country".to_owned(), Reason::FieldFormat),
        ]
    );
    assert_eq!(
        refused(&"A".repeat(21), "IRQ"),
        [("number".to_owned(), Reason::FieldTooLong)]
    );
    assert_eq!(
        refused("A/1", "IRQ"),
        [("number".to_owned(), Reason::FieldFormat)]
    );
}

#[test]
fn keys_of_persons_read_back() {
    let cases = [
        (
            PersonId::National(NationalCode::parse("12345679").unwrap()),
            "N:0012345679",
        ),
        (
            PersonId::Foreign(ForeignCode::parse(ForeignCodeKind::Yekta, "12345678").unwrap()),
            "F:YEKTA:12345678",
        ),
        (
            PersonId::Passport(Passport::parse("a123", "IRQ").unwrap()),
            "P:IRQ:A123",
        ),
    ];
    for (person, key) in cases {
        assert_eq!(person.key(), key);
        assert_eq!(PersonId::from_key(key), Ok(person));
    }
}

#[test]
fn only_exact_keys_are_read() {
    let keys = [
        "",
        "N:",
        "N:12345679",
        "N:0012345678",
        "0012345679",
        "n:0012345679",
        "N:0012345679:",
        "F:12345678",
        "F:YEKTA:",
        "F:OTHER:12345678",
        "P:IRQ:a123",
        "P:A123",
        "P:XXX:A123",
        "X:1",
    ];
    for key in keys {
        assert_eq!(PersonId::from_key(key), Err(Reason::FieldFormat), "{key}");
    }
}

#[test]
fn names_are_brought_into_display_form() {
    let name = PersonName::parse(
        " علي ",
        "رضايی\u{200C}نژاد (كاظمی)",
        "Ali",
        "O'Reilly-Müller Jr.",
        false,
    )
    .unwrap();
    assert_eq!(name.full_fa(), "علی رضایی\u{200C}نژاد (کاظمی)");
    assert_eq!(name.given_fa().as_str(), "علی");
    assert_eq!(
        name.family_fa().map(DisplayText::as_str),
        Some("رضایی\u{200C}نژاد (کاظمی)")
    );
    assert_eq!(name.given_en().map(DisplayText::as_str), Some("Ali"));
    assert_eq!(
        name.family_en().map(DisplayText::as_str),
        Some("O'Reilly-Müller Jr.")
    );
    assert_eq!(name.masked_fa(), "ع*** ر*** ک***");
}

#[test]
fn every_name_must_be_in_its_script() {
    let script = |field: &str| (field.to_owned(), Reason::NameScript);
    assert_eq!(
        refusals("Ali", "رضایی۲", "علی", "Rezaei2", false),
        [
            script("given_name_fa"),
            script("family_name_fa"),
            script("given_name_en"),
            script("family_name_en"),
        ]
    );
    for given in ["-", "( )", "علی؛", "علی،", "ﻋﻠﻲ", "علی*", "علیa"] {
        assert_eq!(
            refusals(given, "رضایی", "", "", false),
            [script("given_name_fa")],
            "{given}"
        );
    }
    assert_eq!(
        refusals("علی", "رضایی", "Али", "", false),
        [script("given_name_en")]
    );
}

#[test]
fn a_missing_or_long_name_is_refused() {
    let long = "ا".repeat(61);
    assert_eq!(
        refusals("", &long, "A\u{0}", "", false),
        [
            ("given_name_fa".to_owned(), Reason::FieldRequired),
            ("family_name_fa".to_owned(), Reason::FieldTooLong),
            ("given_name_en".to_owned(), Reason::FieldFormat),
        ]
    );
    assert_eq!(
        refusals("علی", "", "", "", false),
        [("family_name_fa".to_owned(), Reason::FieldRequired)]
    );
}

#[test]
fn a_person_may_be_declared_to_have_no_family_name() {
    let name = PersonName::parse("محمد", "", "Mohammad", "", true).unwrap();
    assert_eq!(
        (
            name.full_fa().as_str(),
            name.family_fa(),
            name.masked_fa().as_str()
        ),
        ("محمد", None, "م***")
    );
    assert_eq!(
        refusals("محمد", "رضایی", "", "Rezaei", true),
        [
            ("family_name_fa".to_owned(), Reason::FieldFormat),
            ("family_name_en".to_owned(), Reason::FieldFormat),
        ]
    );
}

#[test]
fn names_are_compared_by_match_key() {
    assert!(name_fa("علی\u{200C}رضا", "مؤمنی").same_by_match_key(&name_fa("علي رضا", "مومنی")));
    assert!(!name_fa("علی", "رضایی").same_by_match_key(&name_fa("علی", "رضوی")));
    assert!(
        !name_fa("علی", "رضا محمدی").same_by_match_key(&name_fa("علی رضا", "محمدی")),
        "each part is compared"
    );
    let alone = PersonName::parse("علی", "", "", "", true).unwrap();
    assert!(!alone.same_by_match_key(&name_fa("علی", "رضایی")));
}

#[test]
fn debug_shows_nothing_of_the_person() {
    let person = PersonId::National(NationalCode::parse("7730942860").unwrap());
    assert_eq!(
        format!("{person:?} {:?}", name_fa("علی", "رضایی")),
        "PersonId(…) PersonName(…)"
    );
}
