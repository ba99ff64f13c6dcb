//! Persian text in its two forms: the display form, which is stored and shown, and the match key, which is only compared.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::reason::Reason;

const ZWNJ: char = '\u{200C}';
const ZWJ: char = '\u{200D}';
const BOM: char = '\u{FEFF}';
const TATWEEL: char = '\u{0640}';

/// A text in display form: NFC, Persian ye and kaf, no tatweel, no bidirectional controls, single spaces, and a
/// zero-width non-joiner only between letters.
///
/// It may be somebody's name, so its `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DisplayText(String);

impl DisplayText {
    /// Reads `input` and brings it into display form. `max_chars` counts the characters of the result.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] when nothing is left, [`Reason::FieldTooLong`] above `max_chars`,
    /// [`Reason::FieldFormat`] for control characters, line breaks and other characters without a shape.
    pub fn parse(input: &str, max_chars: usize) -> Result<Self, Reason> {
        let text = match is_plainly_in_form(input) {
            true => input.to_owned(),
            false => in_form(input)?,
        };
        match text.chars().count() {
            0 => Err(Reason::FieldRequired),
            count if count > max_chars => Err(Reason::FieldTooLong),
            _ => Ok(Self(text)),
        }
    }

    /// The text, fit for showing and storing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two spellings of the same words are equal.
    #[must_use]
    pub fn match_key(&self) -> MatchKey {
        // Decomposition splits the hamza and madda off their carriers, so that they fall away with the other marks.
        let key = self
            .0
            .nfd()
            .filter(|c| !is_combining_mark(*c) && !c.is_whitespace() && *c != ZWNJ);
        MatchKey(
            key.map(|c| {
                if matches!(c, 'ة' | '\u{06D5}') {
                    'ه'
                } else {
                    persian_letter(c)
                }
            })
            .collect(),
        )
    }
}

impl fmt::Debug for DisplayText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DisplayText(…)")
    }
}

/// The form in which names are compared: without spaces, zero-width non-joiners and diacritics, and with one letter for
/// each of the families آ أ إ ا, ؤ و, ئ ی and ة ۀ ه. It is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MatchKey(String);

impl MatchKey {
    /// The key as text, for keys in the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MatchKey(…)")
    }
}

/// Whether a text is in display form for the simplest of reasons, as nearly every text is that was stored: letters of
/// Persian and ASCII, digits and ASCII signs, of which none combines with another, with single spaces between.
fn is_plainly_in_form(text: &str) -> bool {
    let mut after_space = true;
    for c in text.chars() {
        let plain = match c {
            ' ' => !after_space,
            '!'..='~' | 'آ' | 'أ' | 'ؤ' | 'ئ' | 'ا' | 'ب' | 'ت'..='غ' | 'ف' | 'ق' | 'ل'..='و' => {
                true
            }
            'پ' | 'چ' | 'ژ' | 'ک' | 'گ' | 'ی' | '۰'..='۹' => true,
            _ => false,
        };
        if !plain {
            return false;
        }
        after_space = c == ' ';
    }
    !after_space
}

/// Any text in display form.
fn in_form(text: &str) -> Result<String, Reason> {
    if text.chars().any(is_refused) {
        return Err(Reason::FieldFormat);
    }
    let parts = text.nfc().filter(|c| !is_dropped(*c)).map(persian_letter);
    // Composed once more at the end: what was removed may have stood between a letter and its mark.
    Ok(squeezed(parts).nfc().collect())
}

/// The Persian letter for an Arabic look-alike; other characters stay.
fn persian_letter(c: char) -> char {
    match c {
        'ي' | 'ى' => 'ی',
        'ك' => 'ک',
        other => other,
    }
}

/// Characters that change only how the surrounding text is laid out.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Invisible or merely decorative characters that are left out silently, since keyboards and copying put them there.
fn is_dropped(c: char) -> bool {
    is_bidi_control(c) || matches!(c, TATWEEL | ZWJ | BOM)
}

/// Characters that no honest text contains: controls, line breaks, invisible formatting, and the mark of a broken encoding.
fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00AD}' | '\u{180E}' | '\u{2028}' | '\u{2029}' | '\u{200B}' | '\u{2060}'
                ..='\u{2064}'
        )
        || matches!(c, '\u{206A}'..='\u{206F}' | '\u{FFF9}'..='\u{FFFD}' | '\u{E0000}'..='\u{E007F}')
}

/// Trims and squeezes spaces, and keeps a zero-width non-joiner only between two letters.
fn squeezed(text: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    let (mut space, mut joiner) = (false, false);
    for c in text {
        if c.is_whitespace() {
            space = true;
        } else if c == ZWNJ {
            joiner = true;
        } else {
            if space && !out.is_empty() {
                out.push(' ');
            } else if joiner && c.is_alphabetic() && out.ends_with(char::is_alphabetic) {
                out.push(ZWNJ);
            }
            out.push(c);
            (space, joiner) = (false, false);
        }
    }
    out
}

/// `text` with Persian and Arabic-Indic digits replaced by ASCII digits.
#[must_use]
pub fn ascii_digits(text: &str) -> String {
    text.chars().map(ascii_digit).collect()
}

fn ascii_digit(c: char) -> char {
    let zero = match c {
        '\u{06F0}'..='\u{06F9}' => 0x06F0,
        '\u{0660}'..='\u{0669}' => 0x0660,
        _ => return c,
    };
    char::from_digit(u32::from(c) - zero, 10).unwrap_or(c)
}

/// A number or code as people paste it, reduced to its characters: ASCII digits, and no spaces, dashes, joiners,
/// bidirectional controls or byte order marks.
#[must_use]
pub fn clean_number(text: &str) -> String {
    text.chars()
        .filter(|c| !is_number_filler(*c))
        .map(ascii_digit)
        .collect()
}

fn is_number_filler(c: char) -> bool {
    c.is_whitespace()
        || is_bidi_control(c)
        || matches!(
            c,
            '-' | '\u{2010}'
                ..='\u{2015}'
                    | '\u{2212}'
                    | ZWNJ
                    | ZWJ
                    | BOM
                    | '\u{00AD}'
                    | '\u{200B}'
                    | '\u{2060}'
        )
}

/// A name of which only the first letter of each word remains, for logs and screens of people who need no more:
/// `علی رضایی` becomes `ع*** ر***`. Words without a letter are left out.
#[must_use]
pub fn masked(name: &str) -> String {
    let initials = name
        .split_whitespace()
        .filter_map(|word| word.chars().find(|c| c.is_alphabetic()));
    let mut out = String::new();
    for initial in initials {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push(persian_letter(initial));
        out.push_str("***");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn display(input: &str) -> Result<String, Reason> {
        DisplayText::parse(input, 60).map(|text| text.as_str().to_owned())
    }

    fn key(input: &str) -> MatchKey {
        DisplayText::parse(input, 60).unwrap().match_key()
    }

    #[test]
    fn text_is_brought_into_display_form() {
        let cases = [
            ("  علي   رضايى  ", "علی رضایی"),
            ("كاظم", "کاظم"),
            ("مـحـمـد", "محمد"),
            ("\u{202B}رضا\u{202C}\u{200F}", "رضا"),
            ("\u{FEFF}رضا", "رضا"),
            ("علی\u{200C}رضا", "علی\u{200C}رضا"),
            ("علی\u{200C}\u{200C}رضا", "علی\u{200C}رضا"),
            ("\u{200C}علی\u{200C}", "علی"),
            ("علی\u{200C} رضا", "علی رضا"),
            ("علی \u{200C}رضا", "علی رضا"),
            ("خانه\u{0654}\u{200C}ما", "خانه\u{0654}\u{200C}ما"),
            ("۱۲\u{200C}۳", "۱۲۳"),
            ("واحد ۱۲", "واحد ۱۲"),
            ("ا\u{0653}رش", "آرش"),
            ("ا\u{0640}\u{0653}رش", "آرش"),
            ("تهران\u{00A0}مرکز", "تهران مرکز"),
            ("Ali\u{2009}Rezaei", "Ali Rezaei"),
        ];
        for (input, expected) in cases {
            assert_eq!(display(input).as_deref(), Ok(expected), "{input:?}");
        }
    }

    #[test]
    fn every_character_that_is_plain_is_its_own_form() {
        let plain: Vec<_> = (char::MIN..=char::MAX)
            .filter(|c| is_plainly_in_form(&c.to_string()))
            .collect();
        assert!(plain.len() > 120, "{}", plain.len());
        for one in &plain {
            for other in &plain {
                let text = format!("{one}{other} {one}");
                assert_eq!(in_form(&text).as_ref(), Ok(&text));
            }
        }
        for text in [
            "",
            " ",
            " a",
            "a ",
            "a  b",
            "ي",
            "ك",
            "ى",
            "ـ",
            "ا\u{0653}",
            "a\u{200C}",
        ] {
            assert!(!is_plainly_in_form(text), "{text:?}");
        }
    }

    #[test]
    fn text_without_an_honest_shape_is_refused() {
        for input in [
            "علی\u{0}",
            "علی\nرضا",
            "علی\tرضا",
            "علی\u{2028}رضا",
            "علی\u{FFFD}",
            "a\u{200B}b",
            "a\u{E0041}",
        ] {
            assert_eq!(display(input), Err(Reason::FieldFormat), "{input:?}");
        }
    }

    #[test]
    fn empty_text_is_missing_and_long_text_is_refused() {
        for input in ["", "   ", "\u{200C}", "\u{200F}\u{0640}"] {
            assert_eq!(display(input), Err(Reason::FieldRequired), "{input:?}");
        }
        assert!(display(&"ا".repeat(60)).is_ok());
        assert_eq!(display(&"ا".repeat(61)), Err(Reason::FieldTooLong));
        assert!(
            display(&format!("{}   ", "ا".repeat(60))).is_ok(),
            "the limit is that of the cleaned text"
        );
    }

    #[test]
    fn spellings_of_one_name_have_one_match_key() {
        let families = [
            ["علی\u{200C}رضا", "علي رضا", "علیرضا"],
            ["آرش", "ارش", "أرش"],
            ["مؤمن", "مومن", "مُومن"],
            ["رئیسی", "رییسی", "رئيسي"],
            ["فاطمة", "فاطمه", "فاطمۀ"],
            ["هدیه\u{0654}", "هدیه", "هدی\u{06C0}"],
            ["إسماعیل", "اسماعیل", "اسـماعيل"],
        ];
        for [first, second, third] in families {
            assert_eq!(key(first), key(second), "{first} {second}");
            assert_eq!(key(first), key(third), "{first} {third}");
        }
        assert_ne!(key("علی"), key("علا"));
    }

    #[test]
    fn digits_and_codes_are_read_in_any_script() {
        assert_eq!(
            ascii_digits("کد ۰۱۲۳۴۵۶۷۸۹ ٠١٢٣٤٥٦٧٨٩"),
            "کد 0123456789 0123456789"
        );
        assert_eq!(
            clean_number(
                " ۱۲۳۴-٥٦٧٨\u{200C}\u{200F}9012\u{2013}3\u{2212}4\u{00A0}5\u{2009}6\u{FEFF}\n"
            ),
            "12345678901234".to_owned() + "56"
        );
        assert_eq!(
            clean_number("12a"),
            "12a",
            "what is not filler stays and is refused later"
        );
    }

    #[test]
    fn a_masked_name_keeps_only_initials() {
        let cases = [
            ("علی رضایی", "ع*** ر***"),
            ("علی\u{200C}رضا محمدی", "ع*** م***"),
            ("ياسر (كاظم)", "ی*** ک***"),
            ("Ali - Rezaei", "A*** R***"),
            ("", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(masked(name), expected);
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_text() {
        let text = DisplayText::parse("علی", 60).unwrap();
        assert_eq!(
            format!("{text:?} {:?}", text.match_key()),
            "DisplayText(…) MatchKey(…)"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_display_form_of_a_display_form_is_itself(
            input in "[ \u{200C}\u{0640}\u{200F}اآأيىیكکةۀهئوؤ\u{0653}\u{0654}\u{064E}1۲-]{1,20}"
        ) {
            if let Ok(text) = DisplayText::parse(&input, 60) {
                prop_assert_eq!(DisplayText::parse(text.as_str(), 60).unwrap(), text);
            }
        }

        #[test]
        fn what_is_plainly_in_form_is_its_own_form(
            input in "[ !-~\u{0621}-\u{06FF}\u{200C}\u{00A0}é]{0,12}"
        ) {
            if is_plainly_in_form(&input) {
                prop_assert_eq!(in_form(&input), Ok(input));
            }
        }
    }
}
