//! Tests of the Jalali calendar.

use proptest::prelude::*;

use super::*;

fn date(text: &str) -> JalaliDate {
    text.parse().unwrap()
}

#[test]
fn known_days_agree_with_the_gregorian_calendar() {
    let cases = [
        ("1250/01/01", civil::date(1871, 3, 21)),
        ("1403/09/14", civil::date(2024, 12, 4)),
        ("1403/12/30", civil::date(2025, 3, 20)),
        ("1404/01/01", civil::date(2025, 3, 21)),
        ("1405/01/01", civil::date(2026, 3, 21)),
        ("1405/02/23", civil::date(2026, 5, 13)),
    ];
    for (jalali, gregorian) in cases {
        assert_eq!(date(jalali).to_gregorian(), gregorian, "{jalali}");
        assert_eq!(JalaliDate::from_gregorian(gregorian), Ok(date(jalali)));
        assert_eq!(date(jalali).to_string(), jalali);
    }
}

#[test]
fn leap_years_are_those_of_the_calendar() {
    let leap: Vec<i32> = (1395..=1415)
        .filter(|year| JalaliDate::is_leap(*year))
        .collect();
    assert_eq!(leap, [1395, 1399, 1403, 1408, 1412]);
    assert!(!JalaliDate::is_leap(1), "outside the supported years");
}

#[test]
fn every_day_of_two_centuries_makes_the_round_trip() {
    let mut day = date("1300/01/01");
    let last = date("1500/12/29");
    let mut gregorian = day.to_gregorian();
    while day < last {
        assert_eq!(day.to_gregorian(), gregorian);
        assert_eq!(JalaliDate::from_gregorian(gregorian), Ok(day));
        assert_eq!(JalaliDate::new(day.year(), day.month(), day.day()), Ok(day));
        assert_eq!(JalaliDate::from_i32(day.as_i32()), Ok(day));
        let next = day.plus_days(1);
        assert!(next > day && next.as_i32() > day.as_i32());
        (day, gregorian) = (next, gregorian.tomorrow().unwrap());
    }
}

#[test]
fn dates_are_read_in_the_forms_people_write() {
    for text in [
        "1405/02/23",
        "1405-02-23",
        "1405/2/23",
        "۱۴۰۵/۰۲/۲۳",
        "١٤٠٥/٠٢/٢٣",
        " 1405/02/23 ",
    ] {
        assert_eq!(
            JalaliDate::parse(text),
            JalaliDate::new(1405, 2, 23),
            "{text}"
        );
    }
}

#[test]
fn days_that_do_not_exist_are_refused() {
    let texts = [
        "",
        "1405",
        "1405/02",
        "1405/02/23/1",
        "1405/02/",
        "1404/12/30",
        "1405/07/31",
        "1405/13/01",
        "1405/00/10",
        "1405/01/00",
        "1405/01/32",
        "1249/12/29",
        "1551/01/01",
        "2026/05/13",
        "1405.02.23",
        "+405/02/23",
        "14050223",
        "1405/02/300",
        "1405/ 02/23",
        "01405/02/23",
        "-1405/02/23",
    ];
    for text in texts {
        assert_eq!(
            JalaliDate::parse(text),
            Err(Reason::JalaliDateInvalid),
            "{text:?}"
        );
    }
    for number in [0, -14_050_223, 14_041_230, 140_502_230, i32::MIN, i32::MAX] {
        assert_eq!(
            JalaliDate::from_i32(number),
            Err(Reason::JalaliDateInvalid),
            "{number}"
        );
    }
    assert_eq!(
        JalaliDate::from_gregorian(civil::date(1871, 3, 20)),
        Err(Reason::JalaliDateInvalid)
    );
}

#[test]
fn a_legal_day_is_a_day_in_tehran() {
    let cases = [
        // Standard time, three and a half hours ahead.
        ("1405/02/23", "2026-05-12T20:30:00Z", "2026-05-13T20:30:00Z"),
        // The summer of 1401 was the last with daylight saving.
        ("1401/04/01", "2022-06-21T19:30:00Z", "2022-06-22T19:30:00Z"),
        // The clocks went forward at the midnight that began this day: it has 23 hours.
        ("1401/01/02", "2022-03-21T20:30:00Z", "2022-03-22T19:30:00Z"),
        // They went back at the end of this day: it has 25 hours.
        ("1401/06/30", "2022-09-20T19:30:00Z", "2022-09-21T20:30:00Z"),
    ];
    for (day, start, end) in cases {
        let (start, end): (Timestamp, Timestamp) = (start.parse().unwrap(), end.parse().unwrap());
        assert_eq!(
            (date(day).start_of_day(), date(day).end_exclusive()),
            (start, end),
            "{day}"
        );
        let tick = SignedDuration::from_micros(1);
        assert_eq!(JalaliDate::of(start), date(day));
        assert_eq!(JalaliDate::of(end - tick), date(day));
        assert_eq!(JalaliDate::of(end), date(day).plus_days(1));
        assert_eq!(JalaliDate::of(start - tick), date(day).plus_days(-1));
    }
}

#[test]
fn months_are_added_to_the_same_day_number_within_the_month() {
    let cases = [
        ("1405/02/23", 1, "1405/03/23"),
        ("1405/06/31", 1, "1405/07/30"),
        ("1404/11/30", 1, "1404/12/29"),
        ("1403/11/30", 1, "1403/12/30"),
        ("1403/12/30", 12, "1404/12/29"),
        ("1404/12/29", 0, "1404/12/29"),
        ("1404/08/15", 6, "1405/02/15"),
        ("1404/12/01", 25, "1407/01/01"),
    ];
    for (start, months, expected) in cases {
        assert_eq!(
            date(start).plus_months(months),
            date(expected),
            "{start} + {months}"
        );
    }
}

#[test]
fn reckoning_stops_at_the_ends_of_the_supported_years() {
    let (first, last) = (date("1250/01/01"), date("1550/12/29"));
    assert_eq!(last.0.days_in_month(), 29);
    assert_eq!(
        (first.0.to_rata_die(), last.0.to_rata_die()),
        (FIRST_DAY, LAST_DAY)
    );
    assert_eq!(first.plus_days(-1), first);
    assert_eq!(last.plus_days(i64::MAX), last);
    assert_eq!(last.plus_months(1), last);
    assert_eq!(first.plus_months(u32::MAX), last);
    assert_eq!(JalaliDate::of(Timestamp::MAX), last);
    assert_eq!(JalaliDate::of(Timestamp::MIN), first);
    assert_eq!(
        last.end_exclusive().duration_since(last.start_of_day()),
        SignedDuration::from_hours(24)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_instant_lies_in_the_day_it_is_given(second in -3_000_000_000_i64..6_000_000_000) {
        let instant = Timestamp::from_second(second).unwrap();
        let day = JalaliDate::of(instant);
        prop_assert!(day.start_of_day() <= instant && instant < day.end_exclusive());
    }

    #[test]
    fn adding_days_is_undone_by_counting_them(start in 1300_i32..1500, days in -10_000_i64..10_000) {
        let start = JalaliDate::new(start, 1, 1).unwrap();
        prop_assert_eq!(start.days_until(start.plus_days(days)), days);
    }
}

#[test]
fn a_month_later_is_the_same_time_of_the_same_day_or_of_the_last_one() {
    for (from, months, to) in [
        ("1405/01/31", 1, "1405/02/31"),
        ("1405/06/31", 1, "1405/07/30"),
        ("1405/11/30", 1, "1405/12/29"),
        ("1403/11/30", 1, "1403/12/30"),
        ("1403/12/30", 12, "1404/12/29"),
        ("1405/02/23", 0, "1405/02/23"),
    ] {
        let noon = jiff::SignedDuration::from_hours(12);
        let at = |text| JalaliDate::parse(text).unwrap().start_of_day() + noon;
        assert_eq!(JalaliDate::months_after(at(from), months), at(to), "{from}");
    }
}
