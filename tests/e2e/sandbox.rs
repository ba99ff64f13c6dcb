//! The clock of a sandbox: it is moved on, on every node, and everything that has a term follows. Nowhere else.

use std::fs;
use std::sync::Arc;

use gavah_api::v1 as pb;
use gavah_domain::{JalaliDate, SystemClock, SystemEntropy};
use gavah_server::config::Config;
use gavah_server::{Server, Surroundings};
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use tonic::Code;

use crate::certificates::applied;
use crate::harness::{run_on, soon};
use crate::messages::{apply, date, question, record, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::stages::{made, put_on_record, read, reviewed_by};

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::run(gavah_testkit::world::Engine::Sqlite, super::$name);
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                super::run(gavah_testkit::world::Engine::Postgres, super::$name);
            })+
        }
    };
}

on_both! {
    time_moves_on_every_node_for_good_and_only_forward,
    what_has_a_term_ends_by_the_moved_clock,
}

cases_of_any_engine! {
    elsewhere_the_clock_cannot_be_moved,
}

fn run(engine: Engine, case: impl AsyncFnOnce(&mut World)) {
    let world = World::builder(engine).set("sandbox.movable_clock", true);
    run_on(world, case);
}

fn seconds(advance_seconds: i64) -> pb::MoveClockRequest {
    pb::MoveClockRequest {
        request_id: request_id(),
        advance_seconds,
        ..Default::default()
    }
}

fn months(advance_months: i32) -> pb::MoveClockRequest {
    pb::MoveClockRequest {
        request_id: request_id(),
        advance_months,
        ..Default::default()
    }
}

fn to(day: &str) -> pb::MoveClockRequest {
    pb::MoveClockRequest {
        request_id: request_id(),
        to_date: Some(date(JalaliDate::parse(day).unwrap())),
        ..Default::default()
    }
}

async fn clock(peer: &Peer) -> pb::GetClockResponse {
    peer.get_clock(pb::GetClockRequest {}).await.unwrap()
}

async fn time_moves_on_every_node_for_good_and_only_forward(world: &mut World) {
    let second = world.add_node().await;
    let here = Peer::of(world, CallerKind::Organization).await;
    let there = Peer::new(world.client_of(second, CallerKind::Organization).await);
    assert_eq!(clock(&here).await.ahead_seconds, 0);
    let move_on = seconds(3600);
    let trial = pb::MoveClockRequest {
        validate_only: true,
        ..move_on.clone()
    };
    here.move_clock(trial).await.unwrap();
    assert_eq!(clock(&here).await.ahead_seconds, 0);
    for _ in 0..2 {
        // Repeated, it moves once.
        let moved = here.move_clock(move_on.clone()).await.unwrap();
        assert_eq!(moved.ahead_seconds, 3600);
    }
    soon("the other node's clock", async || {
        (clock(&there).await.ahead_seconds == 3600).then_some(())
    })
    .await;

    let yesterday = world.today().plus_days(-1).to_string();
    let back = there.move_clock(to(&yesterday)).await;
    refused(back, Code::FailedPrecondition, "CLOCK_ONLY_FORWARD");
    for (wrong, field) in [
        (seconds(0), "advance_seconds"),
        (seconds(-1), "advance_seconds"),
        (months(121), "advance_months"),
        (to("1450/01/01"), "to_date"),
        (
            pb::MoveClockRequest {
                advance_months: 1,
                ..to("1410/01/01")
            },
            "to_date",
        ),
    ] {
        let failure = here.move_clock(wrong).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument, "{field}");
        assert_eq!(failure.violations[0].field, field);
    }

    // 1408 is a leap year: its last month has thirty days.
    let day = async |request| {
        here.move_clock(request).await.unwrap();
        clock(&here).await.today.unwrap()
    };
    let expected = |day: &str| date(JalaliDate::parse(day).unwrap());
    assert_eq!(day(to("1408/12/30")).await, expected("1408/12/30"));
    assert_eq!(day(months(1)).await, expected("1409/01/30"));
    assert_eq!(day(to("1409/06/31")).await, expected("1409/06/31"));
    assert_eq!(day(months(6)).await, expected("1409/12/29"));

    // A node that starts later goes by the same time, and one that is no sandbox does not start.
    let third = world.add_node().await;
    let later = Peer::new(world.client_of(third, CallerKind::Organization).await);
    assert_eq!(clock(&later).await.today.unwrap(), expected("1409/12/29"));
    let path = world.dir().join("no-sandbox.toml");
    let config = fs::read_to_string(world.config_path()).unwrap();
    assert!(config.contains("movable_clock = true"));
    fs::write(
        &path,
        config.replace("movable_clock = true", "movable_clock = false"),
    )
    .unwrap();
    let surroundings = Surroundings {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    };
    let started = Server::bind(Config::load(&path).unwrap(), surroundings).await;
    let refused = started.err().unwrap().to_string();
    assert!(refused.contains("sandbox.movable_clock"), "{refused}");

    let mut raw = Raw::to(world).await;
    let moves =
        "SELECT count(*) FROM audit_entry WHERE resource = 'sandbox/clock' AND action = 'MOVE'";
    assert_eq!(raw.number(moves).await, 5);
}

async fn what_has_a_term_ends_by_the_moved_clock(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let certificate = applied(world, &record(world, UNIVERSITY)).await;
    let certificate = certificate.enrollment_certificate.unwrap();
    let verdict = async || {
        let answer = window.validate_code(question(&certificate.code)).await;
        answer.unwrap().verdict.unwrap()
    };
    assert_eq!(verdict().await.reason(), pb::VerdictReason::Ok);
    world
        .reseed(|seed| {
            let row = fixtures::tariff_row("ENROLLMENT_CERTIFICATE", 500_000);
            seed.tariff[0].row.push(row);
        })
        .await;
    reviewed_by(world, true, false).await;
    let row = record(world, UNIVERSITY);
    put_on_record(world, &row).await;
    let waiting = made(world, apply(&row)).await;
    assert_eq!(waiting.state(), pb::ApplicationState::AwaitingPayment);
    organization
        .move_clock(seconds(72 * 3600 + 1))
        .await
        .unwrap();
    soon("the end of the time to pay", async || {
        let state = read(&window, &waiting).await.state();
        (state == pb::ApplicationState::PaymentExpired).then_some(())
    })
    .await;
    organization.move_clock(months(7)).await.unwrap();
    assert_eq!(verdict().await.reason(), pb::VerdictReason::Expired);
}

async fn elsewhere_the_clock_cannot_be_moved(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let (code, reason) = (Code::FailedPrecondition, "CLOCK_NOT_MOVABLE");
    let read = organization.get_clock(pb::GetClockRequest {}).await;
    refused(read, code, reason);
    for validate_only in [true, false] {
        let request = pb::MoveClockRequest {
            validate_only,
            ..seconds(1)
        };
        refused(organization.move_clock(request).await, code, reason);
    }
}
