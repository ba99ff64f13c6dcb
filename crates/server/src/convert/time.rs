//! Instants, Jalali dates, terms and etags.

use gavah_api::v1 as pb;
use gavah_domain::{JalaliDate, Reason, TermId, TermKind};
use jiff::Timestamp;

use super::enums::{from_pb, to_pb};

const MICROS: i64 = 1_000_000;

/// The years 1 to 9999, in which the contract's instants lie, in Unix seconds.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// An instant, cut to whole microseconds.
///
/// # Errors
///
/// [`Reason::FieldFormat`] outside the years 1 to 9999, on the last day of them,
/// which not every zone has, or with a wrong count of nanoseconds.
pub fn instant(given: &prost_types::Timestamp) -> Result<Timestamp, Reason> {
    if !SECONDS.contains(&given.seconds) || !(0..1_000_000_000).contains(&given.nanos) {
        return Err(Reason::FieldFormat);
    }
    let micros = given.seconds * MICROS + i64::from(given.nanos / 1_000);
    Timestamp::from_microsecond(micros).map_err(|_| Reason::FieldFormat)
}

/// The contract's form of an instant, in whole microseconds.
#[must_use]
pub fn instant_to_pb(instant: Timestamp) -> prost_types::Timestamp {
    let micros = instant.as_microsecond();
    prost_types::Timestamp {
        seconds: micros.div_euclid(MICROS),
        // Below a thousand million: the remainder is below a million.
        nanos: i32::try_from(micros.rem_euclid(MICROS) * 1_000).unwrap_or(0),
    }
}

/// A Jalali date.
///
/// # Errors
///
/// [`Reason::JalaliDateInvalid`] when there is no such day.
pub fn jalali(given: &pb::JalaliDate) -> Result<JalaliDate, Reason> {
    let small = |number: i32| u8::try_from(number).map_err(|_| Reason::JalaliDateInvalid);
    JalaliDate::new(given.year, small(given.month)?, small(given.day)?)
}

/// The contract's form of a Jalali date.
#[must_use]
pub fn jalali_to_pb(date: JalaliDate) -> pb::JalaliDate {
    pb::JalaliDate {
        year: date.year(),
        month: i32::from(date.month()),
        day: i32::from(date.day()),
    }
}

/// The Jalali date in Tehran at an instant.
#[must_use]
pub fn jalali_of(instant: Timestamp) -> pb::JalaliDate {
    jalali_to_pb(JalaliDate::of(instant))
}

/// The last Jalali date in Tehran before an instant: of a document that expires
/// at midnight the day before.
#[must_use]
pub fn last_day_before(end: Timestamp) -> pb::JalaliDate {
    let last = Timestamp::from_microsecond(end.as_microsecond().saturating_sub(1));
    jalali_of(last.unwrap_or(end))
}

/// A term.
///
/// # Errors
///
/// [`Reason::FieldFormat`] without a kind or with a year no calendar has.
pub fn term(given: &pb::Term) -> Result<TermId, Reason> {
    let kind: TermKind = from_pb(given.kind).ok_or(Reason::FieldFormat)?;
    TermId::new(given.academic_year, kind)
}

/// The contract's form of a term.
#[must_use]
pub fn term_to_pb(term: TermId) -> pb::Term {
    pb::Term {
        academic_year: term.academic_year,
        kind: to_pb(term.kind),
    }
}

/// An etag: the decimal version, exactly as it was given out.
///
/// # Errors
///
/// [`Reason::EtagMismatch`] for any other text: no version has it.
pub fn etag(given: &str) -> Result<Option<i64>, Reason> {
    if given.is_empty() {
        return Ok(None);
    }
    let version = given
        .parse::<i64>()
        .ok()
        .filter(|version| version.to_string() == given);
    version.map(Some).ok_or(Reason::EtagMismatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    #[test]
    fn instants_outside_the_contract_are_refused() {
        for given in [
            at(0, -1),
            at(0, 1_000_000_000),
            at(-62_135_596_801, 0),
            at(253_402_300_800, 0),
            at(i64::MIN, 0),
            at(i64::MAX, 999_999_999),
        ] {
            assert_eq!(instant(&given), Err(Reason::FieldFormat), "{given:?}");
        }
    }

    #[test]
    fn instants_keep_their_microseconds() {
        for (given, kept) in [
            (
                at(1_778_661_000, 123_456_789),
                at(1_778_661_000, 123_456_000),
            ),
            (at(0, 0), at(0, 0)),
            (at(-1, 999_999_999), at(-1, 999_999_000)),
            (at(-62_135_596_800, 0), at(-62_135_596_800, 0)),
            (
                at(253_402_207_199, 999_999_999),
                at(253_402_207_199, 999_999_000),
            ),
        ] {
            assert_eq!(instant(&given).map(instant_to_pb), Ok(kept), "{given:?}");
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for (year, month, day) in [
            (1404, 12, 30),
            (1405, 7, 31),
            (1405, 13, 1),
            (1405, 0, 1),
            (1405, 1, -1),
            (0, 0, 0),
        ] {
            let given = pb::JalaliDate { year, month, day };
            assert_eq!(
                jalali(&given),
                Err(Reason::JalaliDateInvalid),
                "{year}/{month}/{day}"
            );
        }
        let leap = pb::JalaliDate {
            year: 1403,
            month: 12,
            day: 30,
        };
        assert_eq!(jalali(&leap).map(jalali_to_pb), Ok(leap));
    }

    #[test]
    fn an_instant_has_its_date_in_tehran() {
        let new_year: Timestamp = "2026-03-20T20:30:00Z".parse().unwrap();
        assert_eq!(
            jalali_of(new_year),
            pb::JalaliDate {
                year: 1405,
                month: 1,
                day: 1
            }
        );
        assert_eq!(
            last_day_before(new_year),
            pb::JalaliDate {
                year: 1404,
                month: 12,
                day: 29
            }
        );
    }

    #[test]
    fn a_term_needs_its_kind() {
        let given = pb::Term {
            academic_year: 1404,
            kind: 0,
        };
        assert_eq!(term(&given), Err(Reason::FieldFormat));
        let given = pb::Term {
            academic_year: 1404,
            kind: pb::TermKind::Second as i32,
        };
        assert_eq!(term(&given).map(term_to_pb), Ok(given));
    }

    #[test]
    fn only_a_version_as_it_was_given_out_is_an_etag() {
        assert_eq!(etag(""), Ok(None));
        assert_eq!(etag("12"), Ok(Some(12)));
        for given in [
            "012",
            "+12",
            " 12",
            "12\n",
            "۱۲",
            "x",
            "9223372036854775808",
        ] {
            assert_eq!(etag(given), Err(Reason::EtagMismatch), "{given:?}");
        }
    }
}
