//! Dates of the Jalali calendar, which is the legal one, and the Tehran days they stand for.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::RangeInclusive,
    str::FromStr,
};

use icu_calendar::{Date, cal::Persian, types::RataDie};
use jiff::{
    SignedDuration, Timestamp, civil,
    tz::{self, TimeZone},
};

use crate::{reason::Reason, text::ascii_digits};

/// The years which a [`JalaliDate`] may have. In this range the calendar's arithmetic agrees with the astronomical one.
pub const YEARS: RangeInclusive<i32> = 1250..=1550;

/// The zone of legal dates, from data embedded in the program: three and a half hours ahead of UTC, with daylight saving
/// in most years until 1401.
static TEHRAN: TimeZone = tz::get!("Asia/Tehran");

const UNIX_EPOCH: civil::Date = civil::Date::constant(1970, 1, 1);

/// 1 January 1970 as a day number.
const UNIX_EPOCH_DAY: RataDie = RataDie::new(719_163);

/// The first day of the first year of [`YEARS`].
const FIRST_DAY: RataDie = RataDie::new(683_083);

/// The last day of the last year of [`YEARS`].
const LAST_DAY: RataDie = RataDie::new(793_020);

/// A date of the Jalali (Iranian solar) calendar in a year of [`YEARS`]; legal dates are stated in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JalaliDate(Date<Persian>);

impl JalaliDate {
    /// The date with this year, month (1–12) and day (1–31).
    ///
    /// # Errors
    ///
    /// [`Reason::JalaliDateInvalid`] when there is no such day, or the year is outside [`YEARS`].
    pub fn new(year: i32, month: u8, day: u8) -> Result<Self, Reason> {
        let date =
            Date::try_new_persian(year, month, day).map_err(|_| Reason::JalaliDateInvalid)?;
        Self::in_range(date)
    }

    /// Reads `1405/02/23`, `1405-2-23`, or the same in Persian or Arabic-Indic digits; spaces around it are ignored.
    ///
    /// # Errors
    ///
    /// [`Reason::JalaliDateInvalid`] for any other form and for a day that does not exist.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let text = ascii_digits(text.trim());
        let mut numbers = text.split(['/', '-']).map(|part| {
            let is_number =
                (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            if is_number {
                part.parse::<u16>().ok()
            } else {
                None
            }
        });
        let mut next = || numbers.next().flatten().ok_or(Reason::JalaliDateInvalid);
        let (year, month, day) = (next()?, next()?, next()?);
        if numbers.next().is_some() {
            return Err(Reason::JalaliDateInvalid);
        }
        Self::new(i32::from(year), small(month)?, small(day)?)
    }

    /// The date from its number `yyyymmdd`, as the store keeps it: `14050223`.
    ///
    /// # Errors
    ///
    /// [`Reason::JalaliDateInvalid`] when the number is not that of a day.
    pub fn from_i32(number: i32) -> Result<Self, Reason> {
        Self::new(
            number / 10_000,
            small(number / 100 % 100)?,
            small(number % 100)?,
        )
    }

    /// The number `yyyymmdd` of the date; numbers sort as their dates do.
    #[must_use]
    pub fn as_i32(self) -> i32 {
        self.year() * 10_000 + i32::from(self.month()) * 100 + i32::from(self.day())
    }

    /// The same day in the Jalali calendar.
    ///
    /// # Errors
    ///
    /// [`Reason::JalaliDateInvalid`] when its Jalali year is outside [`YEARS`].
    pub fn from_gregorian(date: civil::Date) -> Result<Self, Reason> {
        Self::in_range(Date::from_rata_die(day_number(date), Persian))
    }

    /// The same day in the Gregorian calendar.
    #[must_use]
    pub fn to_gregorian(self) -> civil::Date {
        let days = self.0.to_rata_die().since(UNIX_EPOCH_DAY);
        UNIX_EPOCH.saturating_add(SignedDuration::from_hours(days * 24))
    }

    /// The date in Tehran at `instant`, the first or last one supported when `instant` is beyond them.
    #[must_use]
    pub fn of(instant: Timestamp) -> Self {
        Self::saturating(day_number(TEHRAN.to_datetime(instant).date()))
    }

    /// The first instant of the day in Tehran.
    #[must_use]
    pub fn start_of_day(self) -> Timestamp {
        midnight(self.to_gregorian())
    }

    /// The first instant after the day in Tehran, which is the first of the next day.
    #[must_use]
    pub fn end_exclusive(self) -> Timestamp {
        midnight(
            self.to_gregorian()
                .saturating_add(SignedDuration::from_hours(24)),
        )
    }

    /// The instant at which clocks in Tehran show so many minutes after midnight on the day, at most 1,440.
    #[must_use]
    pub fn at_minute(self, minute: u16) -> Timestamp {
        let Some((hour, minute)) = small(minute / 60)
            .and_then(|hour| Ok((hour, small(minute % 60)?)))
            .ok()
            .filter(|(hour, _)| *hour < 24)
        else {
            return self.end_exclusive();
        };
        let shown = self
            .to_gregorian()
            .at(hour.cast_signed(), minute.cast_signed(), 0, 0);
        let instant = TEHRAN.to_ambiguous_timestamp(shown).compatible();
        instant.unwrap_or(Timestamp::MAX)
    }

    /// The year, which is also the budget year.
    #[must_use]
    pub fn year(self) -> i32 {
        self.0.year().extended_year()
    }

    /// The month, 1 (Farvardin) to 12 (Esfand).
    #[must_use]
    pub fn month(self) -> u8 {
        self.0.month().ordinal
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub fn day(self) -> u8 {
        self.0.day_of_month().0
    }

    /// The date `days` later, or earlier when negative; stops at the first and the last supported date.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        // The supported range has about 110 000 days: a bound that cannot overflow and passes either end.
        Self::saturating(self.0.to_rata_die() + days.clamp(-1_000_000, 1_000_000))
    }

    /// The same day number `months` later, clamped to the length of the month it falls in, as legal periods in months are
    /// counted; stops at the last supported date.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let months = i64::from(self.year()) * 12 + i64::from(self.month()) - 1 + i64::from(months);
        let year = i32::try_from(months / 12).unwrap_or(i32::MAX);
        let month = u8::try_from(months % 12 + 1).unwrap_or(12);
        let length = Self::month_length(year, month).unwrap_or(0);
        Self::new(year, month, self.day().min(length))
            .unwrap_or_else(|_| Self::saturating(LAST_DAY))
    }

    /// The same time of day so many Jalali months after `instant`, in Tehran: the same day number, clamped to the length
    /// of its month.
    #[must_use]
    pub fn months_after(instant: Timestamp, months: u32) -> Timestamp {
        let date = Self::of(instant);
        let since_midnight = instant.duration_since(date.start_of_day());
        date.plus_months(months).start_of_day() + since_midnight
    }

    /// How many days lie between this date and `later`; negative when `later` is earlier.
    #[must_use]
    pub fn days_until(self, later: Self) -> i64 {
        later.0.to_rata_die().since(self.0.to_rata_die())
    }

    /// The number of days in a month: 31 in the first six, 30 in the next five, 29 or 30 in Esfand.
    ///
    /// # Errors
    ///
    /// [`Reason::JalaliDateInvalid`] when there is no such month, or the year is outside [`YEARS`].
    pub fn month_length(year: i32, month: u8) -> Result<u8, Reason> {
        Self::new(year, month, 1).map(|first| first.0.days_in_month())
    }

    /// Whether the year has 366 days; false for a year outside [`YEARS`].
    #[must_use]
    pub fn is_leap(year: i32) -> bool {
        Self::month_length(year, 12) == Ok(30)
    }

    fn in_range(date: Date<Persian>) -> Result<Self, Reason> {
        if YEARS.contains(&date.year().extended_year()) {
            Ok(Self(date))
        } else {
            Err(Reason::JalaliDateInvalid)
        }
    }

    /// The date with this day number, or the nearest one supported.
    fn saturating(day: RataDie) -> Self {
        Self(Date::from_rata_die(day.clamp(FIRST_DAY, LAST_DAY), Persian))
    }
}

/// The hash agrees with equality: equal dates have equal numbers.
impl Hash for JalaliDate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_i32().hash(state);
    }
}

impl fmt::Display for JalaliDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}/{:02}/{:02}",
            self.year(),
            self.month(),
            self.day()
        )
    }
}

impl fmt::Debug for JalaliDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JalaliDate({self})")
    }
}

impl FromStr for JalaliDate {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        Self::parse(text)
    }
}

fn small(number: impl TryInto<u8>) -> Result<u8, Reason> {
    number.try_into().map_err(|_| Reason::JalaliDateInvalid)
}

fn day_number(date: civil::Date) -> RataDie {
    UNIX_EPOCH_DAY + date.duration_since(UNIX_EPOCH).as_hours() / 24
}

/// The first instant of a civil date in Tehran. Where clocks were put forward at midnight, the day began at one o'clock.
fn midnight(date: civil::Date) -> Timestamp {
    let instant = TEHRAN
        .to_ambiguous_timestamp(date.at(0, 0, 0, 0))
        .compatible();
    // Fails only beyond the year 9999, which no Jalali date of the supported years reaches.
    instant.unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
