//! Synthetic people: valid national codes of a range made for the demo, names
//! that say they are made up.

use gavah_api::v1 as pb;

/// One made-up student.
#[derive(Clone)]
pub(crate) struct Person {
    /// Place in the list, from 1.
    pub(crate) number: u32,
    /// A national code with a correct check digit.
    pub(crate) national_code: String,
}

/// The first `count` made-up people.
pub(crate) fn people(count: u32) -> Vec<Person> {
    (1..=count)
        .map(|number| Person {
            number,
            national_code: national_code(number),
        })
        .collect()
}

/// Nine digits from the number and the check digit that belongs to them.
fn national_code(number: u32) -> String {
    let nine = format!("{:09}", 998_000_000 + number);
    let sum: u32 = nine
        .bytes()
        .zip((2..=10).rev())
        .map(|(d, weight)| u32::from(d - b'0') * weight)
        .sum();
    let rest = sum % 11;
    let check = if rest < 2 { rest } else { 11 - rest };
    format!("{nine}{check}")
}

impl Person {
    /// As the contract names a subject.
    pub(crate) fn subject(&self) -> pb::Subject {
        pb::Subject {
            person_id: Some(self.person_id()),
            name: Some(pb::PersonName {
                given_name_fa: "نمونه".to_owned(),
                family_name_fa: format!("آزمایشی {}", in_words(self.number)),
                given_name_en: "Sample".to_owned(),
                family_name_en: "Synthetic".to_owned(),
                no_family_name: false,
            }),
            father_name_fa: "فرضی".to_owned(),
            birth_date: Some(pb::JalaliDate {
                year: 1380,
                month: 1,
                day: 1,
            }),
            gender: pb::Gender::Unspecified.into(),
            nationality: String::new(),
        }
    }

    /// The identity alone.
    pub(crate) fn person_id(&self) -> pb::PersonId {
        pb::PersonId {
            id: Some(pb::person_id::Id::NationalCode(self.national_code.clone())),
        }
    }

    /// Student number at the demo's university.
    pub(crate) fn student_number(&self) -> String {
        format!("40{:07}", self.number)
    }
}

/// A number below 2,000 in Persian words: names have no digits.
fn in_words(number: u32) -> String {
    const ONES: [&str; 20] = [
        "",
        "یک",
        "دو",
        "سه",
        "چهار",
        "پنج",
        "شش",
        "هفت",
        "هشت",
        "نه",
        "ده",
        "یازده",
        "دوازده",
        "سیزده",
        "چهارده",
        "پانزده",
        "شانزده",
        "هفده",
        "هجده",
        "نوزده",
    ];
    const TENS: [&str; 10] = [
        "",
        "",
        "بیست",
        "سی",
        "چهل",
        "پنجاه",
        "شصت",
        "هفتاد",
        "هشتاد",
        "نود",
    ];
    const HUNDREDS: [&str; 10] = [
        "",
        "صد",
        "دویست",
        "سیصد",
        "چهارصد",
        "پانصد",
        "ششصد",
        "هفتصد",
        "هشتصد",
        "نهصد",
    ];
    let word = |words: &[&'static str], index: u32| {
        usize::try_from(index)
            .ok()
            .and_then(|index| words.get(index).copied())
            .unwrap_or_default()
    };
    let below_hundred = number % 100;
    let (tens, ones) = if below_hundred < 20 {
        (0, below_hundred)
    } else {
        (below_hundred / 10, number % 10)
    };
    let parts = [
        word(&["", "هزار"], number / 1_000),
        word(&HUNDREDS, number / 100 % 10),
        word(&TENS, tens),
        word(&ONES, ones),
    ];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" و ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use gavah_domain::{NationalCode, PersonName};

    use super::*;

    #[test]
    fn every_made_up_person_has_a_valid_national_code_and_name_of_its_own() {
        let people = people(1_300);
        let mut seen = HashSet::new();
        for person in &people {
            NationalCode::parse(&person.national_code).unwrap();
            let name = person.subject().name.unwrap();
            PersonName::parse(&name.given_name_fa, &name.family_name_fa, "", "", false).unwrap();
            assert!(seen.insert((person.national_code.clone(), name.family_name_fa)));
        }
    }
}
