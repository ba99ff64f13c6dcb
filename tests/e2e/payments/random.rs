//! Whatever happens in whatever order: nothing priced is issued that was not paid for, and the money that came in is what
//! was issued for and what is to be paid back.

use std::collections::HashMap;

use gavah_api::v1 as pb;
use gavah_gateway::simulator::{SimulatedFault, decide};
use gavah_testkit::world::{CallerKind, World};
use jiff::SignedDuration;

use super::{A, FEE, L, authority, books_add_up, confirm, look, on_both, priced, start, waiting};
use crate::harness::soon;
use crate::peer::Peer;
use crate::raw::Raw;
use crate::stages;

on_both! {
    in_any_order_of_events_money_in_is_issued_and_to_be_paid_back,
}

/// How many events are played.
const EVENTS: usize = 240;

/// From another order of events, set `GAVAH_SEED`.
const SEED: u64 = 1405;

struct Application {
    made: pb::EnrollmentCertificateApplication,
    /// Every payment that was begun for it, with the request that began it.
    payments: Vec<(pb::Payment, pb::StartPaymentRequest)>,
}

fn seed() -> u64 {
    let given = std::env::var("GAVAH_SEED").ok();
    given.and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}

fn fault(random: &mut fastrand::Rng) -> SimulatedFault {
    match random.u8(0..6) {
        0 => SimulatedFault::Status(502),
        1 => SimulatedFault::AnswerLost,
        2 => SimulatedFault::Unreadable,
        3 => SimulatedFault::VerifiedAlready,
        4 => SimulatedFault::WrongAmount(FEE + 1),
        _ => SimulatedFault::Code(-12),
    }
}

async fn in_any_order_of_events_money_in_is_issued_and_to_be_paid_back(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let mut random = fastrand::Rng::with_seed(seed());
    let mut applications: Vec<Application> = Vec::new();
    for event in 0..EVENTS {
        if applications.len() < 4 || random.u8(0..8) == 0 {
            applications.push(Application {
                made: waiting(world).await,
                payments: Vec::new(),
            });
        }
        let place = random.usize(0..applications.len());
        let application = &mut applications[place];
        let paying = random.choice(&application.payments).cloned();
        match random.u8(0..20) {
            0..5 => {
                let request = start(&application.made);
                if let Ok(answer) = window.start_payment(request.clone()).await {
                    let payment = answer.payment.unwrap();
                    application.payments.push((payment, request));
                }
            }
            5..11 => {
                // Also long after it was over.
                let Some((payment, _)) = paying else { continue };
                if !payment.redirect_url.is_empty() {
                    let approve = random.u8(0..4) > 0;
                    drop(decide(&payment.redirect_url, approve).await);
                }
            }
            11..15 => {
                let Some((payment, request)) = paying else {
                    continue;
                };
                // Whether it is answered is not the point.
                drop(window.confirm_payment(confirm(&payment, &request)).await);
            }
            15 => {
                let cancel = stages::cancel(&application.made);
                drop(
                    window
                        .cancel_enrollment_certificate_application(cancel)
                        .await,
                );
            }
            16..18 => {
                let fault = fault(&mut random);
                match paying {
                    Some((payment, _)) if !payment.authority.is_empty() => {
                        world.gateway().on(&authority(&payment), fault);
                    }
                    _ => {
                        world.gateway().next(fault);
                    }
                }
            }
            18 => world
                .clock()
                .advance(SignedDuration::from_mins(random.i64(1..40))),
            _ => world
                .clock()
                .advance(SignedDuration::from_hours(random.i64(12..73))),
        }
        if event % 20 == 0 {
            issued_is_paid_for(world, &applications).await;
        }
    }
    // In the end everything comes to rest: faults that wait strike, and every payment ends.
    soon("rest", async || {
        world.clock().advance(SignedDuration::from_mins(11));
        let mut raw = Raw::to(world).await;
        let open = "SELECT count(*) FROM payment WHERE state IN ('CREATED', 'REDIRECTED')";
        let underway = "SELECT count(*) FROM payment_line line JOIN payment ON payment.id = line.payment_id \
            WHERE verify_time IS NOT NULL AND line.state IN ('WAITING', 'PAID')";
        let at_work = raw.number(open).await + raw.number(underway).await;
        (at_work == 0).then_some(())
    })
    .await;
    issued_is_paid_for(world, &applications).await;
    books_add_up(world).await;
    let mut raw = Raw::to(world).await;
    let received = "SELECT CAST(COALESCE(SUM(amount), 0) AS bigint) FROM payment WHERE verify_time IS NOT NULL";
    let received = raw.number(received).await;
    let mut issued = 0;
    for application in &applications {
        let state = stages::read(&window, &application.made).await.state();
        issued += i64::from(state == A::Issued);
    }
    let due = "SELECT count(*) FROM payment_line WHERE state = 'REFUND_DUE'";
    let due = raw.number(due).await;
    assert_eq!(received, (issued + due) * FEE);
    assert!(
        issued > 0 && due > 0,
        "the events were too tame: {issued}, {due}"
    );
}

/// Every certificate that is issued has exactly one payment whose money went into it.
async fn issued_is_paid_for(world: &World, applications: &[Application]) {
    let window = Peer::of(world, CallerKind::Window).await;
    for application in applications {
        let read = stages::read(&window, &application.made).await;
        let mut shares: HashMap<L, usize> = HashMap::new();
        for (payment, _) in &application.payments {
            let payment = look(world, payment).await;
            *shares.entry(payment.lines[0].state()).or_default() += 1;
        }
        let used = shares.get(&L::Used).copied().unwrap_or_default();
        if read.state() == A::Issued {
            // The application may have moved on since it was read, never back.
            assert_eq!(used, 1, "{}", read.name);
        }
        assert!(used <= 1, "{}", read.name);
    }
}
