//! The working calendar: which hours of which days count, from dated tables alone. Weekends and holidays are law, and the
//! law changes: nothing of them stands in code.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil};

use crate::{
    calendar::{JalaliDate, YEARS},
    enums::text_enum,
    text::ascii_digits,
};

/// Most characters of a title.
pub const TITLE_MAX_CHARS: usize = 200;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

text_enum! {
    /// A day of the week.
    pub enum Weekday {
        /// شنبه
        Saturday = "SATURDAY",
        /// یکشنبه
        Sunday = "SUNDAY",
        /// دوشنبه
        Monday = "MONDAY",
        /// سه‌شنبه
        Tuesday = "TUESDAY",
        /// چهارشنبه
        Wednesday = "WEDNESDAY",
        /// پنجشنبه
        Thursday = "THURSDAY",
        /// جمعه
        Friday = "FRIDAY",
    }
}

impl Weekday {
    /// The weekday of a date.
    #[must_use]
    pub fn of(date: JalaliDate) -> Self {
        match date.to_gregorian().weekday() {
            civil::Weekday::Saturday => Self::Saturday,
            civil::Weekday::Sunday => Self::Sunday,
            civil::Weekday::Monday => Self::Monday,
            civil::Weekday::Tuesday => Self::Tuesday,
            civil::Weekday::Wednesday => Self::Wednesday,
            civil::Weekday::Thursday => Self::Thursday,
            civil::Weekday::Friday => Self::Friday,
        }
    }
}

text_enum! {
    /// What a row of the calendar says.
    pub enum RowKind {
        /// A weekday on which nobody works.
        Weekend = "WEEKEND",
        /// Days on which nobody works.
        Holiday = "HOLIDAY",
        /// When work begins and ends.
        Hours = "HOURS",
    }
}

/// A row of the calendar; both dates lie in one year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarRow {
    /// What it says.
    pub kind: RowKind,
    /// The first day it speaks of.
    pub from: JalaliDate,
    /// The last day.
    pub to: JalaliDate,
    /// The only weekday it speaks of; all when unset. A weekend has one, a holiday none.
    pub weekday: Option<Weekday>,
    /// Minutes after midnight at which work begins and ends; of hours alone.
    pub hours: Option<(u16, u16)>,
    /// What it is: the holiday's name, the law of a weekend.
    pub title: String,
}

/// What is wrong in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongField(
    /// The field.
    pub &'static str,
);

impl CalendarRow {
    /// Reads the fields of a row: kind, first day, last day (the first when empty), weekday, beginning and end as `07:30`,
    /// title.
    ///
    /// # Errors
    ///
    /// Every field that is wrong.
    pub fn parse(fields: [&str; 7]) -> Result<Self, Vec<WrongField>> {
        let [kind, from, to, weekday, opens, closes, title] = fields.map(str::trim);
        let mut wrong = Vec::new();
        let mut note = |ok: bool, field| {
            if !ok {
                wrong.push(WrongField(field));
            }
        };
        let kind = kind.parse::<RowKind>().ok();
        note(kind.is_some(), "kind");
        let first = JalaliDate::parse(from).ok();
        note(first.is_some(), "from");
        let last = if to.is_empty() {
            first
        } else {
            JalaliDate::parse(to).ok()
        };
        let in_order =
            |first: JalaliDate, last: JalaliDate| first <= last && first.year() == last.year();
        let last = last.filter(|last| first.is_none_or(|first| in_order(first, *last)));
        note(last.is_some() || (first.is_none() && to.is_empty()), "to");
        let day = weekday.parse::<Weekday>().ok();
        let day_fits = match kind {
            Some(RowKind::Weekend) => day.is_some(),
            Some(RowKind::Holiday) => weekday.is_empty(),
            Some(RowKind::Hours) | None => weekday.is_empty() || day.is_some(),
        };
        note(day_fits, "weekday");
        let has_hours = kind == Some(RowKind::Hours);
        let (begin, end) = (minute(opens), minute(closes));
        note(
            opens.is_empty() != has_hours && begin.is_some() == has_hours,
            "opens",
        );
        let after = begin.is_none_or(|begin| end.is_some_and(|end| begin < end));
        note(
            closes.is_empty() != has_hours && end.is_some() == has_hours && after,
            "closes",
        );
        let named = kind != Some(RowKind::Holiday) || !title.is_empty();
        note(named && title.chars().count() <= TITLE_MAX_CHARS, "title");
        match (kind, first, last) {
            (Some(kind), Some(from), Some(to)) if wrong.is_empty() => Ok(Self {
                kind,
                from,
                to,
                weekday: day,
                hours: begin.zip(end),
                title: title.to_owned(),
            }),
            _ => Err(wrong),
        }
    }

    fn covers(&self, date: JalaliDate) -> bool {
        let weekday = self.weekday.is_none_or(|only| only == Weekday::of(date));
        weekday && (self.from..=self.to).contains(&date)
    }
}

/// Reads `07:30` as minutes after midnight; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let text = ascii_digits(text);
    let (hour, minute) = text.split_once(':')?;
    let number = |part: &str, len: std::ops::RangeInclusive<usize>| {
        let digits = len.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour, 1..=2)?, number(minute, 2..=2)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

/// Shows minutes after midnight as `07:30`.
#[must_use]
pub fn time_of_day(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Why a year's table cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongYear {
    /// The row with this place speaks of another year.
    OtherYear(usize),
    /// The row with this place says again what an earlier one says.
    Twice(usize),
    /// No row says when people work on this day, which is neither weekend nor holiday.
    NoHours(JalaliDate),
}

/// The table of one Jalali year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarYear {
    year: i32,
    rows: Vec<CalendarRow>,
    /// When work begins and ends on each day; none where nobody works.
    days: Vec<Option<(u16, u16)>>,
}

impl CalendarYear {
    /// The table made of these rows. Where several rows give hours for a day, the last one holds: what is special stands
    /// behind what is general.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn new(year: i32, rows: Vec<CalendarRow>) -> Result<Self, Vec<WrongYear>> {
        let mut wrong = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            if row.from.year() != year || row.to.year() != year {
                wrong.push(WrongYear::OtherYear(place));
            }
            let overlaps = |earlier: &CalendarRow| {
                earlier.kind == row.kind
                    && earlier.weekday == row.weekday
                    && earlier.from <= row.to
                    && row.from <= earlier.to
            };
            let before = rows.get(..place).unwrap_or_default();
            if row.kind != RowKind::Hours && before.iter().any(overlaps) {
                wrong.push(WrongYear::Twice(place));
            }
        }
        let mut days = Vec::with_capacity(366);
        let Ok(first) = JalaliDate::new(year, 1, 1) else {
            // Every row spoke of another year, and said so.
            return Err(wrong);
        };
        let mut date = first;
        while date.year() == year && days.len() < 366 {
            let mut covering = rows.iter().filter(|row| row.covers(date));
            let off = covering.clone().any(|row| row.kind != RowKind::Hours);
            let hours = covering.rfind(|row| row.kind == RowKind::Hours);
            let hours = hours.and_then(|row| row.hours);
            if !off && hours.is_none() {
                wrong.push(WrongYear::NoHours(date));
            }
            days.push(hours.filter(|_| !off));
            date = date.plus_days(1);
        }
        if wrong.is_empty() {
            Ok(Self { year, rows, days })
        } else {
            Err(wrong)
        }
    }

    /// The year.
    #[must_use]
    pub const fn year(&self) -> i32 {
        self.year
    }

    /// The rows, in their order.
    #[must_use]
    pub fn rows(&self) -> &[CalendarRow] {
        &self.rows
    }

    /// How many days of the year are worked on.
    #[must_use]
    pub fn working_days(&self) -> usize {
        self.days.iter().flatten().count()
    }

    /// When work begins and ends on a day of this year; none where nobody works.
    fn hours(&self, date: JalaliDate) -> Option<(Timestamp, Timestamp)> {
        let first = JalaliDate::new(self.year, 1, 1).ok()?;
        let place = usize::try_from(first.days_until(date)).ok()?;
        let (opens, closes) = self.days.get(place).copied().flatten()?;
        Some((date.at_minute(opens), date.at_minute(closes)))
    }
}

/// There is no table of this year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YearMissing(
    /// The year.
    pub i32,
);

/// The tables of the years that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkingCalendar {
    years: BTreeMap<i32, CalendarYear>,
}

impl WorkingCalendar {
    /// The calendar of these years.
    #[must_use]
    pub fn new(years: impl IntoIterator<Item = CalendarYear>) -> Self {
        let years = years.into_iter().map(|year| (year.year, year));
        Self {
            years: years.collect(),
        }
    }

    /// The table of a year.
    #[must_use]
    pub fn year(&self, year: i32) -> Option<&CalendarYear> {
        self.years.get(&year)
    }

    /// The year whose table is missing already, or will be a Jalali month after `now`, when so much working time is promised
    /// then.
    #[must_use]
    pub fn missing_soon(&self, now: Timestamp, promised: SignedDuration) -> Option<i32> {
        let soon = JalaliDate::months_after(now, 1);
        let mut near = [now, soon]
            .map(|instant| JalaliDate::of(instant).year())
            .into_iter();
        let missing = near.find(|year| !self.years.contains_key(year));
        missing.or_else(|| {
            self.after(soon, promised)
                .err()
                .map(|YearMissing(year)| year)
        })
    }

    /// How much working time lies between two instants; none when the second is not after the first.
    ///
    /// # Errors
    ///
    /// [`YearMissing`] when a day in between belongs to a year without a table.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Result<SignedDuration, YearMissing> {
        let mut worked = SignedDuration::ZERO;
        if to <= from {
            return Ok(worked);
        }
        let (mut date, last) = (JalaliDate::of(from), JalaliDate::of(to));
        while date <= last {
            if let Some((opens, closes)) = self.hours(date)? {
                let (begin, end) = (opens.max(from), closes.min(to));
                if begin < end {
                    worked = worked.saturating_add(end.duration_since(begin));
                }
            }
            let next = date.plus_days(1);
            if next == date {
                break;
            }
            date = next;
        }
        Ok(worked)
    }

    /// The first instant at which so much working time has passed since `from`.
    ///
    /// # Errors
    ///
    /// [`YearMissing`] when it is not reached in the years that are known.
    pub fn after(
        &self,
        from: Timestamp,
        working: SignedDuration,
    ) -> Result<Timestamp, YearMissing> {
        let mut left = working;
        let mut date = JalaliDate::of(from);
        if left <= SignedDuration::ZERO {
            return Ok(from);
        }
        loop {
            if let Some((opens, closes)) = self.hours(date)? {
                let begin = opens.max(from);
                let day = closes.duration_since(begin);
                if left <= day {
                    return Ok(begin.saturating_add(left).unwrap_or(closes));
                }
                if day > SignedDuration::ZERO {
                    left = left.saturating_sub(day);
                }
            }
            let next = date.plus_days(1);
            if next == date {
                return Err(YearMissing(*YEARS.end() + 1));
            }
            date = next;
        }
    }

    fn hours(&self, date: JalaliDate) -> Result<Option<(Timestamp, Timestamp)>, YearMissing> {
        let year = self.year(date.year()).ok_or(YearMissing(date.year()))?;
        Ok(year.hours(date))
    }
}

#[cfg(test)]
#[path = "working_calendar_tests.rs"]
pub(crate) mod tests;
