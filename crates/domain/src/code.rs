//! The twenty digits printed on a document, by which anyone can have it validated.

use std::{error::Error, fmt, str::FromStr};

use crate::{
    clock::{Entropy, EntropyError},
    text::clean_number,
};

const DIGITS: usize = 20;

/// The numbers that seventeen random digits can form.
const RANDOM_RANGE: u64 = 100_000_000_000_000_000;

/// What a code of this system was made for; its first digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeScheme {
    /// A validity code issued to a university: first digit 1.
    ValidityCode,
    /// The code of an enrollment certificate: first digit 2.
    EnrollmentCertificate,
}

impl CodeScheme {
    const fn digit(self) -> u8 {
        match self {
            Self::ValidityCode => b'1',
            Self::EnrollmentCertificate => b'2',
        }
    }
}

/// A code of twenty decimal digits: one scheme digit, seventeen random digits and two check digits (ISO 7064 MOD 97-10).
///
/// Codes from before this system have neither scheme nor check digits, so any twenty digits are a code; the check digits
/// serve only to explain why a code was not found. Who knows a code can ask about its document: it is printed by neither
/// `Debug` nor `Display`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValidityCode([u8; DIGITS]);

impl ValidityCode {
    /// Reads a code as people paste it: Persian or Arabic-Indic digits, with spaces, dashes and invisible marks.
    ///
    /// # Errors
    ///
    /// [`MalformedCode`] when the rest is not exactly twenty digits.
    pub fn parse(text: &str) -> Result<Self, MalformedCode> {
        let digits: [u8; DIGITS] = clean_number(text)
            .as_bytes()
            .try_into()
            .map_err(|_| MalformedCode)?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(MalformedCode)
        }
    }

    /// Draws a fresh code. Two draws may collide, as any two random numbers may; the caller draws again.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] when `entropy` gives nothing usable.
    pub fn draw(scheme: CodeScheme, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let body = format!("{}{:017}", char::from(scheme.digit()), uniform(entropy)?);
        let check = 98 - remainder_97(body.as_bytes().iter().chain(b"00"));
        let mut digits = [b'0'; DIGITS];
        for (place, digit) in digits
            .iter_mut()
            .zip(body.bytes().chain(format!("{check:02}").bytes()))
        {
            *place = digit;
        }
        Ok(Self(digits))
    }

    /// The twenty ASCII digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The digits are ASCII, hence always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The digits in five groups of four, as they are printed: `1234 5678 9012 3456 7888`.
    #[must_use]
    pub fn grouped(&self) -> String {
        let mut out = String::with_capacity(DIGITS + 4);
        for (place, digit) in self.0.iter().enumerate() {
            if place > 0 && place % 4 == 0 {
                out.push(' ');
            }
            out.push(char::from(*digit));
        }
        out
    }

    /// Whether the check digits fit: the whole number leaves the remainder 1 when divided by 97. This finds every single
    /// wrong digit and every swap of two neighbours.
    #[must_use]
    pub fn check_digits_ok(&self) -> bool {
        remainder_97(&self.0) == 1
    }

    /// What the code was made for, by its first digit; `None` for a code that this system cannot have drawn.
    #[must_use]
    pub fn scheme(&self) -> Option<CodeScheme> {
        [CodeScheme::ValidityCode, CodeScheme::EnrollmentCertificate]
            .into_iter()
            .find(|scheme| scheme.digit() == self.0[0])
    }
}

impl FromStr for ValidityCode {
    type Err = MalformedCode;

    fn from_str(text: &str) -> Result<Self, MalformedCode> {
        Self::parse(text)
    }
}

impl fmt::Debug for ValidityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValidityCode(…)")
    }
}

/// The text is not a code of twenty digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedCode;

impl fmt::Display for MalformedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a code has exactly twenty digits")
    }
}

impl Error for MalformedCode {}

/// The remainder of a number, given by its ASCII digits, divided by 97.
fn remainder_97<'a>(digits: impl IntoIterator<Item = &'a u8>) -> u32 {
    digits
        .into_iter()
        .fold(0, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97)
}

/// A number below [`RANDOM_RANGE`], each equally likely: draws above its largest multiple are thrown away, since taking
/// their remainder would favour small numbers.
fn uniform(entropy: &dyn Entropy) -> Result<u64, EntropyError> {
    const LIMIT: u64 = u64::MAX / RANDOM_RANGE * RANDOM_RANGE;
    // One draw in four hundred is thrown away; so many in a row mean that the source is broken.
    for _ in 0..64 {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes)?;
        let drawn = u64::from_le_bytes(bytes);
        if drawn < LIMIT {
            return Ok(drawn % RANDOM_RANGE);
        }
    }
    Err(EntropyError)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::SystemEntropy;

    /// Gives these numbers one after another, then nothing.
    #[derive(Debug)]
    struct Script(Mutex<Vec<u64>>);

    impl Script {
        fn new(mut numbers: Vec<u64>) -> Self {
            numbers.reverse();
            Self(Mutex::new(numbers))
        }
    }

    impl Entropy for Script {
        fn fill(&self, buf: &mut [u8]) -> Result<(), EntropyError> {
            let number = self.0.lock().unwrap().pop().ok_or(EntropyError)?;
            buf.copy_from_slice(&number.to_le_bytes());
            Ok(())
        }
    }

    fn code(text: &str) -> ValidityCode {
        text.parse().unwrap()
    }

    #[test]
    fn the_published_example_passes() {
        let example = code("12345678901234567888");
        assert!(example.check_digits_ok());
        assert_eq!(example.grouped(), "1234 5678 9012 3456 7888");
        assert_eq!(example.scheme(), Some(CodeScheme::ValidityCode));
        let drawn = ValidityCode::draw(
            CodeScheme::ValidityCode,
            &Script::new(vec![23_456_789_012_345_678]),
        );
        assert_eq!(drawn, Ok(example));
    }

    #[test]
    fn a_code_is_read_as_people_paste_it() {
        let forms = [
            "1234 5678 9012 3456 7888",
            "1234-5678-9012-3456-7888",
            "۱۲۳۴۵۶۷۸۹۰۱۲۳۴۵۶۷۸۸۸",
            "١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦٧٨٨٨",
            "\u{200F}1234\u{200C}5678\u{00A0}9012\u{2013}3456\u{2009}7888\n",
        ];
        for form in forms {
            assert_eq!(code(form).as_str(), "12345678901234567888", "{form:?}");
        }
    }

    #[test]
    fn anything_but_twenty_digits_is_malformed() {
        let long = "1".repeat(10_000);
        for text in [
            "",
            "1234567890123456788",
            "123456789012345678880",
            "1234567890123456788x",
            "²234567890123456788",
            &long,
        ] {
            assert_eq!(ValidityCode::parse(text), Err(MalformedCode));
        }
    }

    #[test]
    fn a_legacy_code_is_a_code_without_a_scheme() {
        let legacy = code("90000000000000000001");
        assert_eq!(legacy.scheme(), None);
        assert!(!legacy.check_digits_ok());
    }

    #[test]
    fn every_drawn_code_has_its_scheme_and_fitting_check_digits() {
        for scheme in [CodeScheme::ValidityCode, CodeScheme::EnrollmentCertificate] {
            for _ in 0..1_000 {
                let drawn = ValidityCode::draw(scheme, &SystemEntropy).unwrap();
                assert!(drawn.check_digits_ok());
                assert_eq!(drawn.scheme(), Some(scheme));
            }
        }
    }

    #[test]
    fn draws_that_would_favour_small_numbers_are_thrown_away() {
        let limit = 184 * RANDOM_RANGE;
        let drawn = ValidityCode::draw(
            CodeScheme::EnrollmentCertificate,
            &Script::new(vec![u64::MAX, limit, limit - 1]),
        );
        assert!(drawn.unwrap().as_str().starts_with("299999999999999999"));
        let smallest = ValidityCode::draw(CodeScheme::EnrollmentCertificate, &Script::new(vec![0]));
        assert!(smallest.unwrap().as_str().starts_with("200000000000000000"));
    }

    #[test]
    fn a_broken_source_of_randomness_gives_no_code() {
        for script in [vec![], vec![u64::MAX; 1_000]] {
            assert_eq!(
                ValidityCode::draw(CodeScheme::ValidityCode, &Script::new(script)),
                Err(EntropyError)
            );
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_code() {
        assert_eq!(
            format!("{:?}", code("12345678901234567888")),
            "ValidityCode(…)"
        );
    }

    fn drawn() -> impl Strategy<Value = ValidityCode> {
        (0..RANDOM_RANGE, any::<bool>()).prop_map(|(number, first)| {
            let scheme = if first {
                CodeScheme::ValidityCode
            } else {
                CodeScheme::EnrollmentCertificate
            };
            ValidityCode::draw(scheme, &Script::new(vec![number])).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn every_single_wrong_digit_is_detected(right in drawn()) {
            for place in 0..DIGITS {
                for digit in (b'0'..=b'9').filter(|digit| *digit != right.0[place]) {
                    let mut wrong = right;
                    wrong.0[place] = digit;
                    prop_assert!(!wrong.check_digits_ok());
                }
            }
        }

        #[test]
        fn every_swap_of_neighbours_is_detected(right in drawn()) {
            for place in 1..DIGITS {
                let mut wrong = right;
                wrong.0.swap(place - 1, place);
                prop_assert_eq!(wrong.check_digits_ok(), wrong == right);
            }
        }

        #[test]
        fn the_printed_form_reads_back(right in drawn()) {
            prop_assert_eq!(ValidityCode::parse(&right.grouped()), Ok(right));
        }
    }
}
