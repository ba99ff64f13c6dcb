//! Academic terms and the dated table that says when they are.

use std::{fmt, str::FromStr};

use crate::{
    calendar::{JalaliDate, YEARS},
    enums::text_enum,
    reason::Reason,
    text::ascii_digits,
};

text_enum! {
    /// The part of the academic year; the order of declaration is that of the year.
    pub enum TermKind {
        /// The term that begins in autumn (Mehr).
        First = "FIRST",
        /// The term that begins in winter (Bahman).
        Second = "SECOND",
        /// The summer term.
        Summer = "SUMMER",
    }
}

impl TermKind {
    /// The number of the part in a term's key.
    const fn number(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
            Self::Summer => 3,
        }
    }
}

/// One term of one academic year; terms sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TermId {
    /// The Jalali year in which the academic year begins: 1404 for «۱۴۰۴-۱۴۰۵».
    pub academic_year: i32,
    /// The part of that academic year.
    pub kind: TermKind,
}

impl TermId {
    /// The term of this kind in the academic year beginning in this Jalali year.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldFormat`] when the year is not one of the calendar's supported years.
    pub fn new(academic_year: i32, kind: TermKind) -> Result<Self, Reason> {
        if YEARS.contains(&academic_year) {
            Ok(Self {
                academic_year,
                kind,
            })
        } else {
            Err(Reason::FieldFormat)
        }
    }

    /// Reads a key such as `1404-1` (first), `1404-2` (second), `1404-3` (summer), in any script's digits.
    ///
    /// # Errors
    ///
    /// [`Reason::FieldRequired`] for an empty text, [`Reason::FieldFormat`] for any other form.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let text = ascii_digits(text.trim());
        if text.is_empty() {
            return Err(Reason::FieldRequired);
        }
        let (year, number) = text.split_once('-').ok_or(Reason::FieldFormat)?;
        if year.len() != 4 || !year.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Reason::FieldFormat);
        }
        let year = year.parse().map_err(|_| Reason::FieldFormat)?;
        let kind = TermKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.number().to_string() == number);
        Self::new(year, kind.ok_or(Reason::FieldFormat)?)
    }
}

impl fmt::Display for TermId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{}", self.academic_year, self.kind.number())
    }
}

impl FromStr for TermId {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        Self::parse(text)
    }
}

/// A term and its days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Which term it is.
    pub id: TermId,
    /// Its first day.
    pub start: JalaliDate,
    /// Its last day.
    pub end: JalaliDate,
}

/// The terms whose dates have been announced. A term that is not in the table is an error, never a guess.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TermTable(Vec<Term>);

impl TermTable {
    /// How many days after a term its status still counts when the table does not know the next term: the length of the
    /// break, with some reserve for a late announcement.
    const MAX_GAP_DAYS: i64 = 45;

    /// A table of these terms, in any order.
    #[must_use]
    pub fn new(mut terms: Vec<Term>) -> Self {
        terms.sort_by_key(|term| (term.start, term.id));
        Self(terms)
    }

    /// The terms, by their first day.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.0
    }

    /// The term which counts as current on a day: the one the day lies in, or in a break the one before it. A day after the
    /// last known term belongs to its break for 45 days; then the table is too old to tell.
    ///
    /// # Errors
    ///
    /// [`Reason::TermNotLoaded`] when the table cannot tell.
    pub fn current(&self, on: JalaliDate) -> Result<&Term, Reason> {
        let begun = self.0.iter().rev().filter(|term| term.start <= on);
        if let Some(running) = begun.clone().find(|term| on <= term.end) {
            return Ok(running);
        }
        let latest = begun.clone().next().ok_or(Reason::TermNotLoaded)?;
        let next_is_known = self.0.iter().any(|term| on < term.start);
        if next_is_known || latest.end.days_until(on) <= Self::MAX_GAP_DAYS {
            Ok(latest)
        } else {
            Err(Reason::TermNotLoaded)
        }
    }

    /// The dates of a term.
    ///
    /// # Errors
    ///
    /// [`Reason::TermNotLoaded`] when the table does not know it.
    pub fn get(&self, id: TermId) -> Result<&Term, Reason> {
        self.0
            .iter()
            .find(|term| term.id == id)
            .ok_or(Reason::TermNotLoaded)
    }

    /// Refuses a term that has not begun on `on`. A term whose dates are not known, as most entry terms of the past are,
    /// is judged by its academic year.
    ///
    /// # Errors
    ///
    /// [`Reason::TermInFuture`].
    pub fn not_in_future(&self, id: TermId, on: JalaliDate) -> Result<(), Reason> {
        let in_future = match self.get(id) {
            Ok(term) => on < term.start,
            Err(_) => on.year() < id.academic_year,
        };
        if in_future {
            Err(Reason::TermInFuture)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TermId {
        text.parse().unwrap()
    }

    fn date(text: &str) -> JalaliDate {
        text.parse().unwrap()
    }

    fn table() -> TermTable {
        let term = |key, start, end| Term {
            id: id(key),
            start: date(start),
            end: date(end),
        };
        TermTable::new(vec![
            term("1404-2", "1404/11/18", "1405/04/12"),
            term("1404-1", "1404/07/01", "1404/11/10"),
            term("1404-3", "1405/04/20", "1405/06/05"),
        ])
    }

    #[test]
    fn keys_are_read_and_written() {
        let expected = TermId {
            academic_year: 1404,
            kind: TermKind::Second,
        };
        for text in ["1404-2", " ۱۴۰۴-۲ "] {
            assert_eq!(TermId::parse(text), Ok(expected));
        }
        assert_eq!(expected.to_string(), "1404-2");
        assert_eq!(TermId::parse(" "), Err(Reason::FieldRequired));
        for text in [
            "1404", "1404-0", "1404-4", "1404-01", "404-1", "+404-1", "1249-1", "1551-1",
            "1404-1-1",
        ] {
            assert_eq!(TermId::parse(text), Err(Reason::FieldFormat), "{text}");
        }
        assert_eq!(TermId::new(2026, TermKind::First), Err(Reason::FieldFormat));
    }

    #[test]
    fn terms_sort_by_time() {
        let mut keys = ["1404-3", "1405-1", "1404-1", "1404-2"].map(id);
        keys.sort();
        assert_eq!(
            keys.map(|key| key.to_string()),
            ["1404-1", "1404-2", "1404-3", "1405-1"]
        );
    }

    #[test]
    fn the_current_term_is_found_or_the_table_says_that_it_cannot_tell() {
        let cases = [
            ("1404/06/31", None),
            ("1404/07/01", Some("1404-1")),
            ("1404/11/10", Some("1404-1")),
            ("1404/11/14", Some("1404-1")), // the break before a known term
            ("1404/11/18", Some("1404-2")),
            ("1405/04/15", Some("1404-2")),
            ("1405/06/05", Some("1404-3")),
            ("1405/07/19", Some("1404-3")), // 45 days after the last known term
            ("1405/07/20", None),
        ];
        for (on, expected) in cases {
            let found = table().current(date(on)).map(|term| term.id);
            assert_eq!(found, expected.map(id).ok_or(Reason::TermNotLoaded), "{on}");
        }
        assert_eq!(
            TermTable::default().current(date("1405/01/01")),
            Err(Reason::TermNotLoaded)
        );
    }

    #[test]
    fn of_two_terms_that_overlap_the_later_one_is_current() {
        let term = |key, start, end| Term {
            id: id(key),
            start: date(start),
            end: date(end),
        };
        let table = TermTable::new(vec![
            term("1404-3", "1405/04/01", "1405/06/31"),
            term("1404-2", "1404/11/18", "1405/04/12"),
        ]);
        assert_eq!(table.current(date("1405/04/05")).unwrap().id, id("1404-3"));
    }

    #[test]
    fn a_long_break_before_a_known_term_belongs_to_the_term_before_it() {
        let mut terms = table().terms().to_vec();
        terms.retain(|term| term.id != id("1404-2"));
        assert_eq!(
            TermTable::new(terms)
                .current(date("1405/04/01"))
                .unwrap()
                .id,
            id("1404-1")
        );
    }

    #[test]
    fn a_term_that_has_not_begun_is_in_the_future() {
        let on = date("1404/11/14");
        let cases = [
            ("1404-1", Ok(())),
            ("1404-2", Err(Reason::TermInFuture)),
            ("1390-1", Ok(())),
            ("1405-1", Err(Reason::TermInFuture)), // not in the table
        ];
        for (key, expected) in cases {
            assert_eq!(table().not_in_future(id(key), on), expected, "{key}");
        }
        assert_eq!(table().get(id("1390-1")), Err(Reason::TermNotLoaded));
    }
}
