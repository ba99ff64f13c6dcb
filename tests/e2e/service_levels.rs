//! Service levels: what is promised when an application is handed in, and how promises are kept.

use std::collections::BTreeMap;

use gavah_api::v1 as pb;
use gavah_domain::working_calendar::{CalendarRow, CalendarYear};
use gavah_store::CalendarLoad;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::code_stages::{self, offered};
use crate::harness::soon;
use crate::health::probe;
use crate::messages::{apply, issue, record};
use crate::peer::{Peer, refused};
use crate::stages::{self, handed_in, made, put_on_record, reviewed, university_decision};

cases! {
    a_promise_is_told_once_and_measured_by_the_working_calendar,
    without_a_calendar_nothing_is_promised_and_those_who_watch_are_warned,
    what_is_decided_in_the_call_counts_with_no_time,
    a_report_is_of_what_was_asked,
    what_is_published_of_a_year_is_replaced_only_when_asked,
}

const HOUR: i64 = 3_600;

/// A year in which every hour of every day counts.
fn every_hour(year: i32, title: &str) -> CalendarYear {
    let (from, to) = (format!("{year}/01/01"), format!("{year}/12/29"));
    let row = CalendarRow::parse(["HOURS", &from, &to, "", "00:00", "24:00", title]).unwrap();
    let mut rows = vec![row];
    let leap_day = format!("{year}/12/30");
    rows.extend(CalendarRow::parse([
        "HOURS", &leap_day, "", "", "00:00", "24:00", title,
    ]));
    CalendarYear::new(year, rows).unwrap()
}

async fn calendars_loaded(world: &World) {
    let year = world.today().year();
    let years: Vec<_> = (year..=year + 1).map(|year| every_hour(year, "")).collect();
    let store = world.store();
    store
        .publish_calendar(&world.operator(), &years, false)
        .await
        .unwrap();
}

/// From now on the call of certificates promises so many working hours.
async fn promising(world: &mut World, hours: u32) {
    world
        .reseed(|seed| {
            let targets = [("ISSUE_FROM_RECORD".to_owned(), hours)];
            seed.call[1].sla_targets = BTreeMap::from(targets);
        })
        .await;
}

fn this_month(world: &World) -> pb::GetSlaReportRequest {
    let today = world.today();
    pb::GetSlaReportRequest {
        from_month: Some(pb::JalaliMonth {
            year: today.year(),
            month: today.month().into(),
        }),
        ..Default::default()
    }
}

async fn report(world: &World, request: pb::GetSlaReportRequest) -> Vec<pb::SlaReportRow> {
    let monitor = Peer::of(world, CallerKind::Monitor).await;
    monitor.get_sla_report(request).await.unwrap().rows
}

/// Months in which the test may run: it may move over the end of one.
async fn certificates(world: &World) -> pb::SlaReportRow {
    let next = world.today().plus_months(1);
    let before = world.today().plus_days(-35);
    let month = |day: gavah_domain::JalaliDate| pb::JalaliMonth {
        year: day.year(),
        month: day.month().into(),
    };
    let request = pb::GetSlaReportRequest {
        service: pb::ServiceKind::EnrollmentCertificate.into(),
        from_month: Some(month(before)),
        to_month: Some(month(next)),
        ..Default::default()
    };
    let rows = report(world, request).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

/// Whole hours, as far as the test itself takes no hour.
fn hours(seconds: i64) -> i64 {
    assert!(seconds % HOUR < 600, "{seconds}");
    seconds / HOUR
}

async fn a_promise_is_told_once_and_measured_by_the_working_calendar(world: &mut World) {
    calendars_loaded(world).await;
    promising(world, 10).await;
    reviewed(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let university = Peer::of(world, CallerKind::University).await;
    let first = soon("the promise", async || {
        let made = handed_in(world, UNIVERSITY).await;
        made.due_time.is_some().then_some(made)
    })
    .await;
    let submitted = first.create_time.unwrap().seconds;
    assert_eq!(first.due_time.unwrap().seconds - submitted, 10 * HOUR);
    let earlier = certificates(world).await.submitted;

    // Returned after six hours: that is the initial result, and a pause.
    world.clock().advance(SignedDuration::from_hours(6));
    let returned = university_decision(&first, pb::UniversityDecision::Return);
    let returned = university
        .record_university_decision(returned)
        .await
        .unwrap();
    let returned = returned.application.unwrap();
    let told = certificates(world).await;
    assert_eq!((told.measured, hours(told.average_seconds)), (1, 6));
    assert_eq!((told.breached, told.open), (0, earlier - 1));
    world.clock().advance(SignedDuration::from_hours(20));
    let again = window
        .submit_enrollment_certificate_application(stages::submit(&returned))
        .await
        .unwrap();
    assert_eq!(again.application.unwrap().due_time, first.due_time);

    // Another is decided after it was due.
    let second = handed_in(world, UNIVERSITY).await;
    world.clock().advance(SignedDuration::from_hours(11));
    let told = certificates(world).await;
    assert_eq!((told.open, told.overdue), (earlier, earlier), "{told:?}");
    let rejected = university_decision(&second, pb::UniversityDecision::Reject);
    university
        .record_university_decision(rejected)
        .await
        .unwrap();
    let told = certificates(world).await;
    assert_eq!((told.measured, told.breached), (2, 1));
    assert_eq!(hours(told.average_seconds * 2), 17);
    assert_eq!((hours(told.p50_seconds), hours(told.p90_seconds)), (6, 11));
    assert_eq!(hours(told.p99_seconds), 11);
    // The clock of what was decided never moves.
    world.clock().advance(SignedDuration::from_hours(100));
    assert_eq!(
        certificates(world).await.average_seconds,
        told.average_seconds
    );
}

async fn without_a_calendar_nothing_is_promised_and_those_who_watch_are_warned(world: &mut World) {
    reviewed(world).await;
    promising(world, 10).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let year = world.today().year().to_string();
    let warned = async || {
        let (status, body) = probe(world, "/readyz").await?;
        assert_eq!(status, "HTTP/1.1 200 OK");
        Some(body.contains("no working calendar of"))
    };
    soon("the warning", async || (warned().await?).then_some(())).await;
    let request = apply(&record(world, UNIVERSITY));
    let answer = window.create_enrollment_certificate_application(request.clone());
    let failure = refused(
        answer.await,
        Code::FailedPrecondition,
        "HOLIDAYS_NOT_LOADED",
    );
    assert_eq!(failure.metadata["year"], year);
    calendars_loaded(world).await;
    soon("the calendar", async || {
        let answer = window.create_enrollment_certificate_application(request.clone());
        answer.await.ok()
    })
    .await;
    soon("the end of the warning", async || {
        (!warned().await?).then_some(())
    })
    .await;
}

async fn what_is_decided_in_the_call_counts_with_no_time(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    issued.unwrap();
    // Promised nothing: it needs no calendar.
    promising(world, 10).await;
    let row = record(world, UNIVERSITY);
    put_on_record(world, &row).await;
    let certificate = made(world, apply(&row)).await;
    assert_eq!(
        (certificate.state(), certificate.due_time),
        (pb::ApplicationState::Issued, None)
    );
    let rows = report(world, this_month(world)).await;
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(
            (row.submitted, row.measured, row.average_seconds),
            (1, 1, 0),
            "{row:?}"
        );
        assert_eq!((row.open, row.overdue, row.breached), (0, 0, 0));
    }
}

async fn a_report_is_of_what_was_asked(world: &mut World) {
    use pb::SlaDimension as D;
    calendars_loaded(world).await;
    offered(world, None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let application = code_stages::made(&university, code_stages::create(world)).await;
    code_stages::confirmed(&university, &application).await;
    let open = code_stages::made(&university, code_stages::create(world)).await;
    let divided = pb::GetSlaReportRequest {
        service: pb::ServiceKind::ValidityCode.into(),
        request_type: "ISSUE".to_owned(),
        institution_code: UNIVERSITY.to_owned(),
        group_by: [D::RequestType, D::Institution, D::Agreement, D::Month]
            .map(i32::from)
            .to_vec(),
        ..this_month(world)
    };
    let rows = report(world, divided.clone()).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!(
        (row.request_type.as_str(), row.institution_code.as_str()),
        ("ISSUE", UNIVERSITY)
    );
    assert!(row.agreement.starts_with("agreements/"), "{row:?}");
    assert_eq!(row.month, divided.from_month);
    assert_eq!(
        (row.submitted, row.measured, row.open),
        (2, 1, 1),
        "{row:?}"
    );
    let same = pb::GetSlaReportRequest {
        agreement: row.agreement.clone(),
        ..divided.clone()
    };
    assert_eq!(report(world, same).await, rows);
    let other = pb::GetSlaReportRequest {
        agreement: "agreements/nobody".to_owned(),
        ..divided.clone()
    };
    assert_eq!(report(world, other).await, []);
    // Taken back, it is no longer open, and has no result.
    university
        .cancel_validity_code_application(code_stages::cancel(&open))
        .await
        .unwrap();
    let rows = report(world, divided.clone()).await;
    assert_eq!(
        (rows[0].submitted, rows[0].measured, rows[0].open),
        (2, 1, 0)
    );

    let monitor = Peer::of(world, CallerKind::Monitor).await;
    let wrong = pb::GetSlaReportRequest {
        request_type: "DUPLICATE".to_owned(),
        agreement: "nobody".to_owned(),
        to_month: Some(pb::JalaliMonth {
            year: 1300,
            month: 1,
        }),
        ..divided
    };
    let failure = monitor.get_sla_report(wrong).await.unwrap_err();
    let fields = failure.violations.iter();
    let fields: Vec<_> = fields.map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["to_month", "request_type", "agreement"]);
    let officer = Peer::of(world, CallerKind::University).await;
    let answer = officer.get_sla_report(this_month(world)).await;
    refused(
        answer,
        Code::PermissionDenied,
        "METHOD_NOT_ALLOWED_FOR_CLASS",
    );
}

async fn what_is_published_of_a_year_is_replaced_only_when_asked(world: &mut World) {
    let year = world.today().year();
    let (store, context) = (world.store(), world.operator());
    let publish = async |title: &str, replace| {
        let years = [every_hour(year, title)];
        let loads = store
            .publish_calendar(&context, &years, replace)
            .await
            .unwrap();
        loads[&year]
    };
    assert_eq!(publish("", false).await, CalendarLoad::Published(1));
    assert_eq!(publish("", false).await, CalendarLoad::Unchanged(1));
    assert_eq!(publish("other", false).await, CalendarLoad::Differs(1));
    assert_eq!(publish("other", true).await, CalendarLoad::Published(2));
    let held = store.calendar().await.unwrap();
    assert_eq!(held.year(year).unwrap().rows()[0].title, "other");
}
