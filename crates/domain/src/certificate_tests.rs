//! Tests of enrollment certificates.

use super::*;

#[test]
fn every_state_of_an_application_knows_what_may_follow() {
    use ApplicationState as S;
    let table: [(S, &[S]); 16] = [
        (S::Draft, &[S::Submitted, S::Cancelled]),
        (
            S::Submitted,
            &[
                S::UniversityReview,
                S::Returned,
                S::UniversityConfirmed,
                S::Cancelled,
            ],
        ),
        (
            S::UniversityReview,
            &[
                S::Returned,
                S::UniversityRejected,
                S::UniversityConfirmed,
                S::Cancelled,
            ],
        ),
        (S::Returned, &[S::Submitted, S::Cancelled]),
        (S::UniversityRejected, &[]),
        (
            S::UniversityConfirmed,
            &[S::OrganizationReview, S::Approved, S::Cancelled],
        ),
        (
            S::OrganizationReview,
            &[
                S::ReturnedToUniversity,
                S::OrganizationRejected,
                S::Approved,
                S::Cancelled,
            ],
        ),
        (
            S::ReturnedToUniversity,
            &[S::UniversityReview, S::Cancelled],
        ),
        (S::OrganizationRejected, &[]),
        (S::Approved, &[S::AwaitingPayment, S::Issuing, S::Cancelled]),
        (
            S::AwaitingPayment,
            &[S::PaymentExpired, S::Paid, S::Cancelled],
        ),
        (S::PaymentExpired, &[]),
        (S::Paid, &[S::Issuing, S::Cancelled]),
        (S::Issuing, &[S::Issued, S::Cancelled]),
        (S::Issued, &[]),
        (S::Cancelled, &[]),
    ];
    for (i, (state, allowed)) in table.into_iter().enumerate() {
        assert_eq!(S::ALL[i], state);
        let seen: Vec<_> = S::ALL
            .iter()
            .copied()
            .filter(|next| state.may_become(*next))
            .collect();
        assert_eq!(seen, allowed, "{state}");
        assert_eq!(state.is_final(), allowed.is_empty(), "{state}");
    }
}

#[test]
fn nothing_is_issued_without_approval_and_signing() {
    use ApplicationState as S;
    for state in S::ALL {
        assert_eq!(state.may_become(S::Issued), *state == S::Issuing, "{state}");
        let before_issuing = matches!(state, S::Approved | S::Paid);
        assert_eq!(state.may_become(S::Issuing), before_issuing, "{state}");
        assert_eq!(
            state.may_become(S::Paid),
            *state == S::AwaitingPayment,
            "{state}"
        );
    }
}

#[test]
fn serials_of_another_form_are_refused() {
    for input in [
        "",
        "1405",
        "1405-1",
        "1405-000000001",
        "1405-00000000",
        "0999-00000001",
        "1405-0000000a",
    ] {
        assert_eq!(Serial::parse(input), Err(Reason::FieldFormat), "{input:?}");
    }
    for (year, number) in [(999, 1), (10_000, 1), (1405, 0), (1405, 100_000_000)] {
        assert_eq!(Serial::new(year, number), Err(Reason::FieldFormat));
    }
}

#[test]
fn a_serial_reads_back_from_its_display() {
    for (year, number, shown) in [
        (1405, 1, "1405-00000001"),
        (1405, 99_999_999, "1405-99999999"),
    ] {
        let serial = Serial::new(year, number).unwrap();
        assert_eq!(serial.to_string(), shown);
        assert_eq!(shown.parse(), Ok(serial));
        assert_eq!((serial.year(), serial.number()), (year, number));
    }
    assert_eq!(Serial::parse("۱۴۰۵–۰۰۰۰۰۰۴۲"), Serial::new(1405, 42));
}

#[test]
fn a_certificate_holds_until_after_the_term_but_not_for_too_long() {
    for (term_end, issue, extra_days, max_months, last_day) in [
        // the end of the term and thirty days come first
        ("1405/03/31", "1405/02/23", 30, 6, "1405/04/30"),
        // six months come first
        ("1405/10/30", "1405/02/23", 30, 6, "1405/08/23"),
        ("1405/03/31", "1405/02/23", 30, 1, "1405/03/23"),
        // one month after the 31st is clamped to the length of the next month
        ("1405/10/30", "1405/06/31", 30, 1, "1405/07/30"),
        ("1404/12/29", "1405/01/10", 0, 6, "1404/12/29"),
    ] {
        let date = |text| JalaliDate::parse(text).unwrap();
        let until = valid_until(date(term_end), date(issue), extra_days, max_months);
        assert_eq!(until, date(last_day), "{term_end} {issue}");
    }
}

#[test]
fn every_purpose_has_its_own_names() {
    let mut names: Vec<_> = Purpose::ALL
        .iter()
        .flat_map(|p| [p.name_fa(), p.name_en()])
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 2 * Purpose::ALL.len());
    assert_eq!((RequestType::ALL.len(), Channel::ALL.len()), (4, 2));
}
