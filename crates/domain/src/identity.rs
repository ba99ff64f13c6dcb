//! Who somebody is: national and foreign identifiers, passports and names.
//!
//! Everything here is personal data, so no `Debug` prints any of it.

use std::fmt;

use crate::{
    country::parse_country,
    enums::text_enum,
    reason::Reason,
    text::{DisplayText, clean_number, masked},
    violation::Violations,
};

/// The most characters a name may have.
pub const NAME_MAX_CHARS: usize = 60;

/// The national code (کد ملی) of a person: ten digits, the last of which checks the others.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NationalCode(String);

impl NationalCode {
    /// Reads a national code in any script's digits. Eight or nine digits are filled up with leading zeros, which
    /// spreadsheets like to swallow.
    ///
    /// With the digits d0…d9 and r = Σ dᵢ·(10−i) for i = 0…8, modulo 11, the code is right when d9 = r for r < 2 and
    /// d9 = 11 − r otherwise.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] for an empty text, [`Reason::FieldFormat`] for other characters or another length,
    /// [`Reason::NationalCodeAllSame`] and [`Reason::NationalCodeChecksum`].
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let code = format!("{:0>10}", digits(text, 8, 10)?);
        let digits: Vec<u32> = code.chars().filter_map(|c| c.to_digit(10)).collect();
        let [first_nine @ .., check] = &digits[..] else {
            return Err(Reason::FieldFormat);
        };
        if first_nine.iter().all(|digit| digit == check) {
            return Err(Reason::NationalCodeAllSame);
        }
        let rest = first_nine
            .iter()
            .zip((2..=10).rev())
            .map(|(digit, weight)| digit * weight)
            .sum::<u32>()
            % 11;
        let expected = if rest < 2 { rest } else { 11 - rest };
        if *check == expected {
            Ok(Self(code))
        } else {
            Err(Reason::NationalCodeChecksum)
        }
    }

    /// The ten ASCII digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The national identifier of a legal entity (شناسهٔ ملی): eleven digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LegalEntityId(String);

impl LegalEntityId {
    /// Reads an identifier in any script's digits.
    ///
    /// With the digits d0…d10, t = d9 + 2, and the weights 29, 27, 23, 19, 17 twice over, the identifier is right when d10 is
    /// the last digit of Σ (dᵢ + t)·wᵢ for i = 0…9, modulo 11.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] for an empty text, [`Reason::FieldFormat`] for anything but eleven digits,
    /// [`Reason::NationalIdChecksum`].
    pub fn parse(text: &str) -> Result<Self, Reason> {
        const WEIGHTS: [u32; 10] = [29, 27, 23, 19, 17, 29, 27, 23, 19, 17];
        let id = digits(text, 11, 11)?;
        let digits: Vec<u32> = id.chars().filter_map(|c| c.to_digit(10)).collect();
        let [first_ten @ .., check] = &digits[..] else {
            return Err(Reason::FieldFormat);
        };
        let tens = first_ten.last().copied().unwrap_or_default() + 2;
        let weighted = first_ten.iter().zip(WEIGHTS);
        let sum = weighted
            .map(|(digit, weight)| (digit + tens) * weight)
            .sum::<u32>();
        if *check == sum % 11 % 10 {
            Ok(Self(id))
        } else {
            Err(Reason::NationalIdChecksum)
        }
    }

    /// The eleven ASCII digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_enum! {
    /// Which register gave a foreign national the number.
    pub enum ForeignCodeKind {
        /// The unique code of foreign nationals (کد یکتا).
        Yekta = "YEKTA",
        /// The comprehensive code (کد فراگیر).
        Faragir = "FARAGIR",
        /// The code of the system of foreign nationals (فیدا).
        Fida = "FIDA",
    }
}

/// The number of a foreign national in one of the registers. These numbers have no published check digit.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ForeignCode {
    kind: ForeignCodeKind,
    value: String,
}

impl ForeignCode {
    /// Reads a number of eight to sixteen digits in any script.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] for an empty text, [`Reason::FieldFormat`] for other characters or another length.
    pub fn parse(kind: ForeignCodeKind, value: &str) -> Result<Self, Reason> {
        Ok(Self {
            kind,
            value: digits(value, 8, 16)?,
        })
    }

    /// The register.
    #[must_use]
    pub fn kind(&self) -> ForeignCodeKind {
        self.kind
    }

    /// The ASCII digits.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// A passport: its number and the country that issued it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Passport {
    number: String,
    country: &'static str,
}

impl Passport {
    /// The most characters a passport number may have.
    pub const NUMBER_MAX_CHARS: usize = 20;

    /// Reads a passport's number (1–20 Latin letters and digits, turned into capitals) and country (ISO 3166-1 alpha-3).
    ///
    /// # Errors
    ///
    /// Violations of `number` and `country`: [`Reason::FieldRequired`], [`Reason::FieldTooLong`],
    /// [`Reason::FieldFormat`].
    pub fn parse(number: &str, country: &str) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let number = violations.take("number", passport_number(number));
        let country = violations.take("country", parse_country(country));
        violations.finish(
            number
                .zip(country)
                .map(|(number, country)| Self { number, country }),
        )
    }

    /// The number: Latin capitals and digits.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The three letters of the country.
    #[must_use]
    pub fn country(&self) -> &'static str {
        self.country
    }
}

/// By what a person is known to the records.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum PersonId {
    /// An Iranian national.
    National(NationalCode),
    /// A foreign national with a number of one of the registers.
    Foreign(ForeignCode),
    /// A foreign national with a passport only.
    Passport(Passport),
}

impl PersonId {
    /// One text that stands for the person in keys of the store and never changes: `N:` and the national code, `F:` with
    /// register and number (`F:YEKTA:12345678`), or `P:` with country and number (`P:IRQ:A123`).
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::National(code) => format!("N:{}", code.0),
            Self::Foreign(code) => format!("F:{}:{}", code.kind, code.value),
            Self::Passport(passport) => format!("P:{}:{}", passport.country, passport.number),
        }
    }

    /// The person of a [`PersonId::key`].
    ///
    /// # Errors
    ///
    /// [`Reason::FieldFormat`] when the text is not exactly the key of a person.
    pub fn from_key(key: &str) -> Result<Self, Reason> {
        let person = match key.split(':').collect::<Vec<_>>()[..] {
            ["N", code] => NationalCode::parse(code).ok().map(Self::National),
            ["F", kind, value] => ForeignCode::parse(kind.parse()?, value)
                .ok()
                .map(Self::Foreign),
            ["P", country, number] => Passport::parse(number, country).ok().map(Self::Passport),
            _ => None,
        };
        person
            .filter(|person| person.key() == key)
            .ok_or(Reason::FieldFormat)
    }
}

/// The names of a person: Persian ones, and English ones where they are known.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PersonName {
    given_fa: DisplayText,
    family_fa: Option<DisplayText>,
    given_en: Option<DisplayText>,
    family_en: Option<DisplayText>,
}

impl PersonName {
    /// Reads the names; an empty English name is an unknown one. `no_family_name` declares that the person has none, as
    /// happens with foreign nationals; only then may the Persian family name be empty, and then both must be.
    ///
    /// # Errors
    ///
    /// Violations of `given_name_fa`, `family_name_fa`, `given_name_en` and `family_name_en`: [`Reason::FieldRequired`],
    /// [`Reason::FieldTooLong`] above [`NAME_MAX_CHARS`], [`Reason::NameScript`], and [`Reason::FieldFormat`] for control
    /// characters or a family name beside `no_family_name`.
    pub fn parse(
        given_fa: &str,
        family_fa: &str,
        given_en: &str,
        family_en: &str,
        no_family_name: bool,
    ) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        let given_fa = violations.take("given_name_fa", name(given_fa, is_persian_name_char));
        let family = |text: &str, allowed: fn(char) -> bool| match optional(name(text, allowed))? {
            Some(_) if no_family_name => Err(Reason::FieldFormat),
            family => Ok(family),
        };
        let family_fa = violations.take(
            "family_name_fa",
            match family(family_fa, is_persian_name_char) {
                Ok(None) if !no_family_name => Err(Reason::FieldRequired),
                parsed => parsed,
            },
        );
        let given_en = violations.take(
            "given_name_en",
            optional(name(given_en, is_latin_name_char)),
        );
        let family_en = violations.take("family_name_en", family(family_en, is_latin_name_char));
        let names = given_fa.zip(family_fa).zip(given_en.zip(family_en));
        violations.finish(
            names.map(|((given_fa, family_fa), (given_en, family_en))| Self {
                given_fa,
                family_fa,
                given_en,
                family_en,
            }),
        )
    }

    /// The Persian given name.
    #[must_use]
    pub fn given_fa(&self) -> &DisplayText {
        &self.given_fa
    }

    /// The Persian family name; `None` when the person has none.
    #[must_use]
    pub fn family_fa(&self) -> Option<&DisplayText> {
        self.family_fa.as_ref()
    }

    /// The English given name, where known.
    #[must_use]
    pub fn given_en(&self) -> Option<&DisplayText> {
        self.given_en.as_ref()
    }

    /// The English family name, where known.
    #[must_use]
    pub fn family_en(&self) -> Option<&DisplayText> {
        self.family_en.as_ref()
    }

    /// The Persian given and family name.
    #[must_use]
    pub fn full_fa(&self) -> String {
        match &self.family_fa {
            Some(family) => [self.given_fa.as_str(), " ", family.as_str()].concat(),
            None => self.given_fa.as_str().to_owned(),
        }
    }

    /// Whether the Persian given and family names are the same, however they are spelled.
    #[must_use]
    pub fn same_by_match_key(&self, other: &Self) -> bool {
        let keys = |name: &Self| {
            (
                name.given_fa.match_key(),
                name.family_fa.as_ref().map(DisplayText::match_key),
            )
        };
        keys(self) == keys(other)
    }

    /// The initials of the Persian name: `ع*** ر***`.
    #[must_use]
    pub fn masked_fa(&self) -> String {
        masked(&self.full_fa())
    }
}

/// Writes a `Debug` that names the type and nothing else.
macro_rules! silent_debug {
    ($($name:ident),+) => {
        $(
            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(concat!(stringify!($name), "(…)"))
                }
            }
        )+
    };
}

silent_debug!(
    NationalCode,
    LegalEntityId,
    ForeignCode,
    Passport,
    PersonId,
    PersonName
);

/// The digits of `text`, which must be `min` to `max` many.
fn digits(text: &str, min: usize, max: usize) -> Result<String, Reason> {
    let digits = clean_number(text);
    if digits.is_empty() {
        return Err(Reason::FieldRequired);
    }
    let fits = (min..=max).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if fits {
        Ok(digits)
    } else {
        Err(Reason::FieldFormat)
    }
}

fn passport_number(text: &str) -> Result<String, Reason> {
    let number = clean_number(text).to_ascii_uppercase();
    match number.chars().count() {
        0 => Err(Reason::FieldRequired),
        count if count > Passport::NUMBER_MAX_CHARS => Err(Reason::FieldTooLong),
        _ if number.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(number),
        _ => Err(Reason::FieldFormat),
    }
}

/// A name of allowed characters with at least one letter.
fn name(text: &str, allowed: fn(char) -> bool) -> Result<DisplayText, Reason> {
    let name = DisplayText::parse(text, NAME_MAX_CHARS)?;
    let fits = name.as_str().chars().all(allowed) && name.as_str().contains(char::is_alphabetic);
    if fits {
        Ok(name)
    } else {
        Err(Reason::NameScript)
    }
}

/// What is empty is not given.
fn optional<T>(parsed: Result<T, Reason>) -> Result<Option<T>, Reason> {
    match parsed {
        Err(Reason::FieldRequired) => Ok(None),
        other => other.map(Some),
    }
}

/// Letters and vowel marks of the Arabic script, and what stands between the parts of a name.
fn is_persian_name_char(c: char) -> bool {
    let in_script =
        matches!(c, '\u{0600}'..='\u{06FF}' | '\u{0750}'..='\u{077F}' | '\u{08A0}'..='\u{08FF}');
    (in_script && c.is_alphabetic()) || matches!(c, ' ' | '\u{200C}' | '-' | '.' | '(' | ')')
}

/// Letters of the Latin script, and what stands between the parts of a name.
fn is_latin_name_char(c: char) -> bool {
    let in_script = c.is_ascii() || matches!(c, '\u{00C0}'..='\u{024F}' | '\u{1E00}'..='\u{1EFF}');
    (in_script && c.is_alphabetic()) || matches!(c, ' ' | '-' | '\'' | '\u{2019}' | '.')
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
