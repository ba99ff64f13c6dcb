//! Persons: identities, names, subjects.

use gavah_api::v1 as pb;
use gavah_api::v1::person_id::Id;
use gavah_domain::JalaliDate;
use gavah_domain::caller::CallerClass;
use gavah_domain::record::{Subject, SubjectInput};
use gavah_domain::{
    DisplayText, ForeignCode, ForeignCodeKind, NationalCode, Passport, PersonId, PersonName,
    Reason, Violations,
};

use super::enums::{from_pb, option_to_pb, to_pb};
use super::time::{jalali, jalali_to_pb};

/// An identity.
///
/// # Errors
///
/// Every violation, with paths relative to the message.
pub fn person_id(given: &pb::PersonId) -> Result<PersonId, Violations> {
    let mut found = Violations::default();
    let person = match &given.id {
        None => found.take("id", Err(Reason::FieldRequired)),
        Some(Id::NationalCode(code)) => found
            .take("national_code", NationalCode::parse(code))
            .map(PersonId::National),
        Some(Id::ForeignCode(code)) => found
            .take_nested("foreign_code", foreign_code(code))
            .map(PersonId::Foreign),
        Some(Id::Passport(passport)) => {
            let parsed = Passport::parse(&passport.number, &passport.country);
            found
                .take_nested("passport", parsed)
                .map(PersonId::Passport)
        }
    };
    found.finish(person)
}

fn foreign_code(given: &pb::ForeignCode) -> Result<ForeignCode, Violations> {
    let mut found = Violations::default();
    let kind = found.take("kind", from_pb(given.kind).ok_or(Reason::FieldRequired));
    // The number is judged whatever its kind, so that both are told at once.
    let any = kind.unwrap_or(ForeignCodeKind::Yekta);
    let code = found.take("value", ForeignCode::parse(any, &given.value));
    found.finish(code)
}

/// The person for whom a call asks. The single window reads only its own
/// subject's documents, so it must say whose.
pub(super) fn subject_claim(
    given: Option<&pb::PersonId>,
    class: CallerClass,
    found: &mut Violations,
) -> Option<PersonId> {
    match given {
        Some(given) => found.take_nested("subject_claim", person_id(given)),
        None if class == CallerClass::SingleWindow => {
            found.take("subject_claim", Err(Reason::FieldRequired))
        }
        None => None,
    }
}

/// A name.
///
/// # Errors
///
/// Every violation, with paths relative to the message.
pub fn person_name(given: &pb::PersonName) -> Result<PersonName, Violations> {
    PersonName::parse(
        &given.given_name_fa,
        &given.family_name_fa,
        &given.given_name_en,
        &given.family_name_en,
        given.no_family_name,
    )
}

/// A subject; `today` bounds the date of birth.
///
/// # Errors
///
/// Every violation, with paths relative to the message.
pub fn subject(given: &pb::Subject, today: JalaliDate) -> Result<Subject, Violations> {
    let input = SubjectInput {
        person_id: given.person_id.as_ref().map(person_id),
        name: given.name.as_ref().map(person_name),
        father_name_fa: &given.father_name_fa,
        birth_date: given.birth_date.as_ref().map(jalali),
        gender: from_pb(given.gender),
        nationality: &given.nationality,
    };
    Subject::parse(input, today)
}

/// The contract's form of an identity.
#[must_use]
pub fn person_id_to_pb(person: &PersonId) -> pb::PersonId {
    let id = match person {
        PersonId::National(code) => Id::NationalCode(code.as_str().to_owned()),
        PersonId::Foreign(code) => Id::ForeignCode(pb::ForeignCode {
            kind: to_pb(code.kind()),
            value: code.value().to_owned(),
        }),
        PersonId::Passport(passport) => Id::Passport(pb::Passport {
            number: passport.number().to_owned(),
            country: passport.country().to_owned(),
        }),
    };
    pb::PersonId { id: Some(id) }
}

/// The contract's form of a name.
#[must_use]
pub fn person_name_to_pb(name: &PersonName) -> pb::PersonName {
    pb::PersonName {
        given_name_fa: name.given_fa().as_str().to_owned(),
        family_name_fa: shown(name.family_fa()),
        given_name_en: shown(name.given_en()),
        family_name_en: shown(name.family_en()),
        no_family_name: name.family_fa().is_none(),
    }
}

/// The contract's form of a subject.
#[must_use]
pub fn subject_to_pb(subject: &Subject) -> pb::Subject {
    pb::Subject {
        person_id: Some(person_id_to_pb(&subject.person_id)),
        name: Some(person_name_to_pb(&subject.name)),
        father_name_fa: shown(subject.father_name_fa.as_ref()),
        birth_date: subject.birth_date.map(jalali_to_pb),
        gender: option_to_pb(subject.gender),
        nationality: subject.nationality.clone().unwrap_or_default(),
    }
}

/// What is not there is empty.
pub(super) fn shown(text: Option<&DisplayText>) -> String {
    text.map(|text| text.as_str().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::fixtures;

    fn refused(id: Option<Id>) -> Vec<(String, Reason)> {
        let refused = person_id(&pb::PersonId { id }).unwrap_err();
        refused
            .into_iter()
            .map(|violation| (violation.field, violation.reason))
            .collect()
    }

    #[test]
    fn every_part_of_an_identity_is_judged() {
        use Reason::{FieldFormat, FieldRequired, NationalCodeAllSame, NationalCodeChecksum};
        let national = |code: &str| Some(Id::NationalCode(code.to_owned()));
        let foreign = |kind, value: &str| {
            Some(Id::ForeignCode(pb::ForeignCode {
                kind,
                value: value.to_owned(),
            }))
        };
        let passport = |number: &str, country: &str| {
            let (number, country) = (number.to_owned(), country.to_owned());
            Some(Id::Passport(pb::Passport { number, country }))
        };
        for (id, expected) in [
            (None, vec![("id", FieldRequired)]),
            (national(""), vec![("national_code", FieldRequired)]),
            (national("123"), vec![("national_code", FieldFormat)]),
            (
                national("1111111111"),
                vec![("national_code", NationalCodeAllSame)],
            ),
            (
                national("7730942861"),
                vec![("national_code", NationalCodeChecksum)],
            ),
            (
                foreign(0, "12"),
                vec![
                    ("foreign_code.kind", FieldRequired),
                    ("foreign_code.value", FieldFormat),
                ],
            ),
            (
                foreign(9, "12345678"),
                vec![("foreign_code.kind", FieldRequired)],
            ),
            (
                passport("A/1", "XXX"),
                vec![
                    ("passport.number", FieldFormat),
                    ("passport.country", FieldFormat),
                ],
            ),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(field, reason)| (field.to_owned(), reason))
                .collect();
            assert_eq!(refused(id), expected);
        }
    }

    #[test]
    fn identities_read_back() {
        for key in ["N:7730942860", "F:FIDA:12345678", "P:IRQ:A123"] {
            let person = PersonId::from_key(key).unwrap();
            assert_eq!(person_id(&person_id_to_pb(&person)), Ok(person), "{key}");
        }
    }

    #[test]
    fn a_subject_reads_back_in_display_form() {
        let today = fixtures::today();
        let mut given = fixtures::subject();
        given.name.as_mut().unwrap().given_name_fa = " علي ".to_owned();
        let read = subject(&given, today).unwrap();
        let shown = subject_to_pb(&read);
        assert_eq!(shown.name.as_ref().unwrap().given_name_fa, "علی");
        assert_eq!(subject(&shown, today), Ok(read));
        given.name.as_mut().unwrap().given_name_fa = "علی".to_owned();
        assert_eq!(shown, given);
    }

    #[test]
    fn who_has_no_family_name_says_so() {
        let name = PersonName::parse("علی", "", "Ali", "", true).unwrap();
        let shown = person_name_to_pb(&name);
        assert!(shown.no_family_name);
        assert_eq!(person_name(&shown), Ok(name));
    }

    #[test]
    fn only_the_single_window_must_say_for_whom_it_asks() {
        for class in CallerClass::ALL.iter().copied() {
            let mut found = Violations::default();
            assert_eq!(subject_claim(None, class, &mut found), None);
            let missing: Vec<_> = found.iter().map(|v| (v.field.as_str(), v.reason)).collect();
            if class == CallerClass::SingleWindow {
                assert_eq!(missing, [("subject_claim", Reason::FieldRequired)]);
            } else {
                assert!(missing.is_empty(), "{class}");
            }
        }
    }
}
