use super::*;
use crate::working_calendar::tests::{at, hours, two_years};
use ClockEffect as E;

fn read(steps: &[(&str, ClockEffect)]) -> Reading {
    let steps = steps.iter().map(|(time, effect)| (at(time), *effect));
    Reading::after(&two_years(), steps)
}

fn mark(time: &str, worked: f64) -> Option<Mark> {
    Some(Mark {
        time: at(time),
        elapsed: Some(hours(worked)),
    })
}

/// A clock by its steps: the hand, the hours shown, the initial result and the first decision.
type Case = (
    &'static str,
    &'static [(&'static str, ClockEffect)],
    Hand,
    f64,
    Option<(&'static str, f64)>,
    Option<(&'static str, f64)>,
);

#[test]
fn clocks_show_what_a_clerk_counts() {
    let cases: [Case; 10] = [
        (
            "nothing is handed in",
            &[("1404/02/01 09:00", E::Idle)],
            Hand::Idle,
            0.0,
            None,
            None,
        ),
        (
            "at work",
            &[("1404/02/01 09:00", E::Runs)],
            Hand::Runs,
            0.0,
            None,
            None,
        ),
        (
            "decided the next day",
            &[
                ("1404/02/01 15:00", E::Runs),
                ("1404/02/02 09:00", E::Decides),
            ],
            Hand::Stopped,
            2.0,
            Some(("1404/02/02 09:00", 2.0)),
            Some(("1404/02/02 09:00", 2.0)),
        ),
        (
            "decided at once",
            &[
                ("1404/01/01 09:00", E::Runs),
                ("1404/01/01 09:00", E::Decides),
            ],
            Hand::Stopped,
            0.0,
            Some(("1404/01/01 09:00", 0.0)),
            Some(("1404/01/01 09:00", 0.0)),
        ),
        (
            "a step inside the service is no decision",
            &[
                ("1404/02/01 09:00", E::Runs),
                ("1404/02/01 10:00", E::Runs),
                ("1404/02/01 12:00", E::Runs),
            ],
            Hand::Runs,
            3.0,
            None,
            None,
        ),
        (
            // Two hours, a week's pause, and three more over the weekend of the new law.
            "returned, handed in again, decided",
            &[
                ("1404/03/25 09:00", E::Runs),
                ("1404/03/25 11:00", E::WaitsForApplicant),
                ("1404/04/04 14:00", E::Runs),
                ("1404/04/07 09:00", E::Decides),
            ],
            Hand::Stopped,
            5.0,
            Some(("1404/03/25 11:00", 2.0)),
            Some(("1404/04/07 09:00", 5.0)),
        ),
        (
            "returned and waiting",
            &[
                ("1404/02/01 09:00", E::Runs),
                ("1404/02/01 11:00", E::WaitsForApplicant),
            ],
            Hand::Paused,
            2.0,
            Some(("1404/02/01 11:00", 2.0)),
            None,
        ),
        (
            // One hour before Nowruz, paid in the holidays, two hours after them.
            "a payment is waited for over the end of the year",
            &[
                ("1403/12/28 15:00", E::Runs),
                ("1403/12/28 16:30", E::WaitsForPayment),
                ("1404/01/02 12:00", E::Runs),
                ("1404/01/05 10:00", E::Decides),
            ],
            Hand::Stopped,
            3.0,
            Some(("1404/01/05 10:00", 3.0)),
            Some(("1404/01/05 10:00", 3.0)),
        ),
        (
            "taken back without a result",
            &[("1404/02/01 09:00", E::Runs), ("1404/02/01 10:00", E::Ends)],
            Hand::Stopped,
            1.0,
            None,
            None,
        ),
        (
            "what follows the decision does not count",
            &[
                ("1404/02/01 09:00", E::Runs),
                ("1404/02/01 10:00", E::Decides),
                ("1404/02/01 12:00", E::WaitsForPayment),
                ("1404/02/02 12:00", E::Runs),
                ("1404/02/03 12:00", E::Decides),
            ],
            Hand::Stopped,
            1.0,
            Some(("1404/02/01 10:00", 1.0)),
            Some(("1404/02/01 10:00", 1.0)),
        ),
    ];
    for (why, steps, hand, worked, result, decision) in cases {
        let found = read(steps);
        let told = |it: Option<(&str, f64)>| it.and_then(|(time, worked)| mark(time, worked));
        assert_eq!(found.hand, hand, "{why}");
        assert_eq!(found.elapsed, Ok(hours(worked)), "{why}");
        assert_eq!(found.result, told(result), "{why}");
        assert_eq!(found.decision, told(decision), "{why}");
    }
}

#[test]
fn a_running_clock_goes_on_a_paused_and_a_stopped_one_do_not() {
    let calendar = two_years();
    let later = at("1404/02/02 10:00");
    let shown = |effect| {
        read(&[("1404/02/01 09:00", E::Runs), ("1404/02/01 10:00", effect)])
            .at(&calendar, later)
            .unwrap()
    };
    assert_eq!(shown(E::Runs), hours(9.0));
    for still in [
        E::WaitsForApplicant,
        E::WaitsForPayment,
        E::Decides,
        E::Ends,
    ] {
        assert_eq!(shown(still), hours(1.0), "{still:?}");
    }
}

#[test]
fn a_step_out_of_order_neither_adds_nor_takes_away() {
    let found = read(&[
        ("1404/02/01 10:00", E::Runs),
        ("1404/02/01 09:00", E::Runs),
        ("1404/02/01 09:30", E::WaitsForApplicant),
        ("1404/02/01 09:00", E::Runs),
        ("1404/02/01 11:00", E::Decides),
    ]);
    assert_eq!(found.result, mark("1404/02/01 10:00", 0.0));
    assert_eq!(found.elapsed, Ok(hours(2.0)));
}

#[test]
fn without_a_calendar_the_time_of_the_result_is_kept_and_its_length_unknown() {
    let found = read(&[
        ("1404/12/27 09:00", E::Runs),
        ("1405/01/10 09:00", E::Decides),
    ]);
    let time = at("1405/01/10 09:00");
    assert_eq!(
        found.result,
        Some(Mark {
            time,
            elapsed: None
        })
    );
    assert_eq!(found.elapsed, Err(YearMissing(1405)));
    assert_eq!(found.hand, Hand::Stopped);
}

#[test]
fn what_was_announced_never_moves_again() {
    let steps = [
        ("1404/02/01 09:00", E::Runs),
        ("1404/02/01 11:00", E::WaitsForApplicant),
    ];
    let clock = ServiceClock {
        agreement: "a".to_owned(),
        request_type: "ISSUE".to_owned(),
        submit_time: at("1404/02/01 09:00"),
        due_time: Some(at("1404/02/02 09:00")),
        result: None,
        decision: None,
    };
    let returned = clock.go_on(&read(&steps));
    assert_eq!(returned.result, mark("1404/02/01 11:00", 2.0));
    assert_eq!(returned.decision, None);
    // The table of the year was replaced meanwhile: nothing is known of it now.
    let steps = steps.map(|(time, effect)| (at(time), effect));
    let decided = [
        steps[0],
        steps[1],
        (at("1404/02/03 09:00"), E::Runs),
        (at("1404/02/03 10:00"), E::Decides),
    ];
    let later = returned.go_on(&Reading::after(&WorkingCalendar::default(), decided));
    assert_eq!(later.result, returned.result);
    assert_eq!(
        (later.submit_time, later.due_time),
        (clock.submit_time, clock.due_time)
    );
    let time = at("1404/02/03 10:00");
    assert_eq!(
        later.decision,
        Some(Mark {
            time,
            elapsed: None
        })
    );
}

#[test]
fn every_final_state_stops_the_clock_and_only_decisions_announce() {
    for state in ApplicationState::ALL.iter().copied() {
        let stops = matches!(state.clock(), E::Decides | E::Ends);
        assert!(stops || !state.is_final(), "{state}");
    }
    for state in CodeApplicationState::ALL.iter().copied() {
        let stops = matches!(state.clock(), E::Decides | E::Ends);
        assert!(stops || !state.is_final(), "{state}");
    }
    assert_eq!(ApplicationState::UniversityConfirmed.clock(), E::Runs);
    assert_eq!(CodeApplicationState::ExpertConfirmed.clock(), E::Runs);
}

#[test]
fn percentiles_are_nearest_ranks() {
    for (count, percent, rank) in [
        (0, 50, None),
        (1, 50, Some(1)),
        (1, 99, Some(1)),
        (2, 50, Some(1)),
        (3, 50, Some(2)),
        (10, 90, Some(9)),
        (10, 99, Some(10)),
        (100, 99, Some(99)),
        (101, 99, Some(100)),
        (5, 0, Some(1)),
    ] {
        assert_eq!(nearest_rank(count, percent), rank, "P{percent} of {count}");
    }
}
