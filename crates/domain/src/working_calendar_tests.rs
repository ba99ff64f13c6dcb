use super::*;

fn date(text: &str) -> JalaliDate {
    JalaliDate::parse(text).unwrap()
}

/// The instant `1404/02/01 09:00` in Tehran.
pub(crate) fn at(text: &str) -> Timestamp {
    let (day, time) = text.split_once(' ').unwrap();
    date(day).at_minute(minute(time).unwrap())
}

fn row(fields: [&str; 7]) -> CalendarRow {
    CalendarRow::parse(fields).unwrap()
}

/// Two years as the tests count by hand. 1403 is a leap year that ends on a Thursday, 30 Esfand. Work is from 8 to 16, on
/// Thursdays from 8 to 12; from 1 Tir 1404 nobody works on Thursdays any more.
pub(crate) fn two_years() -> WorkingCalendar {
    let years = [
        (
            1403,
            vec![
                ["WEEKEND", "1403/01/01", "1403/12/30", "FRIDAY", "", "", ""],
                ["HOLIDAY", "1403/12/29", "", "", "", "", "ملی شدن صنعت نفت"],
                [
                    "HOURS",
                    "1403/01/01",
                    "1403/12/30",
                    "",
                    "08:00",
                    "16:00",
                    "",
                ],
                [
                    "HOURS",
                    "1403/01/01",
                    "1403/12/30",
                    "THURSDAY",
                    "08:00",
                    "12:00",
                    "",
                ],
            ],
        ),
        (
            1404,
            vec![
                ["WEEKEND", "1404/01/01", "1404/12/29", "FRIDAY", "", "", ""],
                [
                    "WEEKEND",
                    "1404/04/01",
                    "1404/12/29",
                    "THURSDAY",
                    "",
                    "",
                    "قانون",
                ],
                ["HOLIDAY", "1404/01/01", "1404/01/04", "", "", "", "نوروز"],
                [
                    "HOLIDAY",
                    "1404/01/12",
                    "1404/01/13",
                    "",
                    "",
                    "",
                    "۱۲ و ۱۳ فروردین",
                ],
                [
                    "HOURS",
                    "1404/01/01",
                    "1404/12/29",
                    "",
                    "08:00",
                    "16:00",
                    "",
                ],
                [
                    "HOURS",
                    "1404/01/01",
                    "1404/03/31",
                    "THURSDAY",
                    "08:00",
                    "12:00",
                    "",
                ],
            ],
        ),
    ];
    WorkingCalendar::new(
        years.map(|(year, rows)| {
            CalendarYear::new(year, rows.into_iter().map(row).collect()).unwrap()
        }),
    )
}

pub(crate) fn hours(hours: f64) -> SignedDuration {
    SignedDuration::from_secs_f64(hours * 3600.0)
}

#[test]
fn working_time_between_two_instants_is_what_a_clerk_counts() {
    let calendar = two_years();
    // 1404/02/01 is a Monday, 1404/03/28 and 1404/04/04 are Wednesdays, 1404/01/11 a Monday, 1403/12/28 a Tuesday.
    for (from, to, counted, why) in [
        ("1404/02/01 09:00", "1404/02/01 11:30", 2.5, "one day"),
        (
            "1404/02/01 06:00",
            "1404/02/01 08:30",
            0.5,
            "before work begins",
        ),
        ("1404/02/01 15:30", "1404/02/01 23:00", 0.5, "after it ends"),
        ("1404/02/01 17:00", "1404/02/02 07:00", 0.0, "a night"),
        ("1404/02/01 15:00", "1404/02/02 09:00", 2.0, "over a night"),
        (
            "1404/02/01 08:00",
            "1404/02/08 08:00",
            44.0,
            "a week with half a Thursday",
        ),
        (
            "1404/05/01 08:00",
            "1404/05/08 08:00",
            40.0,
            "a week without Thursday",
        ),
        (
            "1404/03/28 15:00",
            "1404/03/31 09:00",
            6.0,
            "Thursday before the law",
        ),
        (
            "1404/04/04 15:00",
            "1404/04/07 09:00",
            2.0,
            "Thursday after the law",
        ),
        (
            "1404/04/05 09:00",
            "1404/04/06 15:00",
            0.0,
            "a weekend alone",
        ),
        ("1404/01/11 15:00", "1404/01/14 09:00", 2.0, "two holidays"),
        ("1404/01/01 00:00", "1404/01/05 08:00", 0.0, "Nowruz"),
        (
            "1403/12/28 15:00",
            "1404/01/05 10:00",
            7.0,
            "a leap year's end: 1 + 4 on 30 Esfand + 2",
        ),
        (
            "1403/12/30 11:00",
            "1404/01/05 08:30",
            1.5,
            "30 Esfand into the new year",
        ),
        ("1404/02/02 09:00", "1404/02/01 09:00", 0.0, "backwards"),
        ("1404/02/01 09:00", "1404/02/01 09:00", 0.0, "no time"),
    ] {
        assert_eq!(
            calendar.between(at(from), at(to)),
            Ok(hours(counted)),
            "{why}"
        );
    }
}

#[test]
fn the_end_of_a_span_of_working_time_is_what_a_clerk_counts() {
    let calendar = two_years();
    for (from, working, end, why) in [
        (
            "1404/02/01 09:00",
            7.0,
            "1404/02/01 16:00",
            "to the end of the day, not the next morning",
        ),
        ("1404/02/01 09:00", 8.0, "1404/02/02 09:00", "over a night"),
        (
            "1404/02/01 07:00",
            1.0,
            "1404/02/01 09:00",
            "work has not begun",
        ),
        ("1404/02/01 18:00", 1.0, "1404/02/02 09:00", "work is over"),
        ("1404/04/06 10:00", 1.0, "1404/04/07 09:00", "from a Friday"),
        (
            "1404/04/04 15:00",
            2.0,
            "1404/04/07 09:00",
            "over a weekend",
        ),
        (
            "1404/03/28 15:00",
            6.0,
            "1404/03/31 09:00",
            "over half a Thursday",
        ),
        ("1404/01/11 15:00", 2.0, "1404/01/14 09:00", "over holidays"),
        ("1403/12/28 15:00", 5.0, "1403/12/30 12:00", "on 30 Esfand"),
        (
            "1403/12/28 15:00",
            5.5,
            "1404/01/05 08:30",
            "into the new year",
        ),
        ("1404/04/06 10:00", 0.0, "1404/04/06 10:00", "nothing"),
    ] {
        let found = calendar.after(at(from), hours(working));
        assert_eq!(found, Ok(at(end)), "{why}");
        assert_eq!(
            calendar.between(at(from), at(end)),
            Ok(hours(working)),
            "{why}"
        );
    }
}

#[test]
fn a_year_without_a_table_is_missed_only_where_it_is_needed() {
    let calendar = two_years();
    let missing = |year| Err(YearMissing(year));
    let (esfand, nowruz) = (at("1404/12/27 08:00"), at("1405/01/10 08:00"));
    assert_eq!(calendar.between(esfand, nowruz), Err(YearMissing(1405)));
    assert_eq!(calendar.between(nowruz, nowruz), Ok(SignedDuration::ZERO));
    assert_eq!(calendar.after(esfand, hours(80.0)), missing(1405));
    assert!(calendar.after(esfand, hours(8.0)).is_ok());
    assert_eq!(calendar.after(nowruz, hours(1.0)), missing(1405));
    assert_eq!(
        calendar.after(at("1402/05/01 08:00"), hours(1.0)),
        missing(1402)
    );
}

#[test]
fn a_missing_year_is_told_a_jalali_month_before_it_begins() {
    let calendar = two_years();
    for (now, missing) in [
        // The last day on which anybody works is 27 Esfand.
        ("1404/11/26 23:59", None),
        ("1404/11/27 23:59", Some(1405)),
        ("1404/12/01 00:00", Some(1405)),
        ("1404/12/29 12:00", Some(1405)),
        ("1405/01/01 00:00", Some(1405)),
        ("1402/12/01 12:00", Some(1402)),
    ] {
        let missed = calendar.missing_soon(at(now), hours(1.0));
        assert_eq!(missed, missing, "{now}");
    }
    // Four working weeks are promised: what is handed in a month from now needs the next year long before it begins.
    for (now, missing) in [("1404/10/20 08:00", None), ("1404/11/15 08:00", Some(1405))] {
        let missed = calendar.missing_soon(at(now), hours(160.0));
        assert_eq!(missed, missing, "{now}");
    }
}

#[test]
fn every_wrong_field_of_a_row_is_named() {
    for (fields, wrong) in [
        (["DAYOFF", "1404/01/01", "", "", "", "", ""], vec!["kind"]),
        (["HOLIDAY", "1404/13/01", "", "", "", "", "x"], vec!["from"]),
        (["HOLIDAY", "1404/12/30", "", "", "", "", "x"], vec!["from"]),
        (
            ["HOLIDAY", "1404/01/05", "1404/01/01", "", "", "", "x"],
            vec!["to"],
        ),
        (
            ["HOLIDAY", "1404/12/29", "1405/01/01", "", "", "", "x"],
            vec!["to"],
        ),
        (
            ["HOLIDAY", "1404/01/01", "", "FRIDAY", "", "", ""],
            vec!["weekday", "title"],
        ),
        (
            ["HOLIDAY", "1404/01/01", "", "", "08:00", "16:00", "x"],
            vec!["opens", "closes"],
        ),
        (
            ["WEEKEND", "1404/01/01", "1404/12/29", "", "", "", ""],
            vec!["weekday"],
        ),
        (
            ["WEEKEND", "1404/01/01", "1404/12/29", "Freitag", "", "", ""],
            vec!["weekday"],
        ),
        (
            ["HOURS", "1404/01/01", "1404/12/29", "", "", "", ""],
            vec!["opens", "closes"],
        ),
        (
            [
                "HOURS",
                "1404/01/01",
                "1404/12/29",
                "",
                "16:00",
                "08:00",
                "",
            ],
            vec!["closes"],
        ),
        (
            ["HOURS", "1404/01/01", "1404/12/29", "", "8.30", "24:01", ""],
            vec!["opens", "closes"],
        ),
        (["", "", "", "", "", "", ""], vec!["kind", "from"]),
    ] {
        let found = CalendarRow::parse(fields).unwrap_err();
        let found: Vec<_> = found.iter().map(|field| field.0).collect();
        assert_eq!(found, wrong, "{fields:?}");
    }
    let persian = row(["HOURS", "۱۴۰۴/۰۱/۰۱", "", "", "۷:۳۰", "24:00", ""]);
    assert_eq!(persian.hours, Some((450, 1440)));
    assert_eq!(persian.to, date("1404/01/01"));
    assert_eq!(time_of_day(450), "07:30");
}

#[test]
fn a_table_that_leaves_a_day_open_or_says_a_thing_twice_is_no_table() {
    let whole = || {
        row([
            "HOURS",
            "1404/01/01",
            "1404/12/29",
            "",
            "08:00",
            "16:00",
            "",
        ])
    };
    let holiday = || row(["HOLIDAY", "1404/01/01", "1404/01/04", "", "", "", "نوروز"]);
    let again = row(["HOLIDAY", "1404/01/04", "", "", "", "", "نوروز"]);
    let other = row(["HOLIDAY", "1405/01/01", "", "", "", "", "نوروز"]);
    let found = CalendarYear::new(1404, vec![whole(), holiday(), again, other]);
    assert_eq!(
        found,
        Err(vec![WrongYear::Twice(2), WrongYear::OtherYear(3)])
    );

    let short = row([
        "HOURS",
        "1404/01/01",
        "1404/12/28",
        "",
        "08:00",
        "16:00",
        "",
    ]);
    let found = CalendarYear::new(1404, vec![holiday(), short]);
    assert_eq!(found, Err(vec![WrongYear::NoHours(date("1404/12/29"))]));

    let good = CalendarYear::new(1404, vec![holiday(), whole()]).unwrap();
    assert_eq!(good.working_days(), 365 - 4);
    let leap = row([
        "HOURS",
        "1403/01/01",
        "1403/12/30",
        "",
        "08:00",
        "16:00",
        "",
    ]);
    assert_eq!(
        CalendarYear::new(1403, vec![leap]).unwrap().working_days(),
        366
    );
}

#[test]
fn the_weekday_of_a_date_is_that_of_the_same_day() {
    for (day, weekday) in [
        ("1403/12/30", Weekday::Thursday),
        ("1404/01/01", Weekday::Friday),
        ("1405/01/01", Weekday::Saturday),
        ("1404/02/01", Weekday::Monday),
    ] {
        assert_eq!(Weekday::of(date(day)), weekday, "{day}");
    }
}
