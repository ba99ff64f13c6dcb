//! What can go wrong between the service and the gateway, at every question, and how the money still comes right.

use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_gateway::simulator::{SimulatedFault, decide};
use gavah_testkit::world::{CallerKind, World};
use jiff::SignedDuration;
use tonic::Code;

use super::{
    A, L, P, authority, becomes, confirm, confirmed, lines, look, on_both, priced, start, started,
    waiting,
};
use crate::harness::soon;
use crate::peer::{Peer, refused};
use crate::stages;

on_both! {
    a_gateway_that_fails_when_it_is_asked_to_open_is_asked_again,
    a_gateway_that_fails_when_it_is_asked_to_verify_is_asked_again,
    what_the_gateway_refuses_to_open_has_failed,
    a_payment_that_was_not_opened_is_given_up_by_confirming_it,
    nobody_is_sent_to_pay_for_what_has_ended,
    another_amount_is_no_payment,
    a_callback_that_comes_twice_counts_once,
    what_is_not_paid_in_time_expires_with_its_payment,
    late_money_is_to_be_paid_back,
    a_repeated_confirmation_loses_no_money_that_came_since,
    a_gateway_that_is_silent_for_good_does_not_hold_anything,
}

/// Faults after which nothing may be concluded.
const PASSING: [SimulatedFault; 6] = [
    SimulatedFault::Status(500),
    SimulatedFault::Delay(Duration::from_secs(3)),
    SimulatedFault::AnswerLost,
    SimulatedFault::Unreadable,
    SimulatedFault::TooLong,
    SimulatedFault::Code(-12),
];

async fn a_gateway_that_fails_when_it_is_asked_to_open_is_asked_again(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    for fault in PASSING {
        let waiting = waiting(world).await;
        let request = start(&waiting);
        assert!(world.gateway().next(fault));
        let answer = window.start_payment(request.clone()).await;
        let failure = refused(answer, Code::Unavailable, "PAYMENT_GATEWAY_UNAVAILABLE");
        assert!(failure.retry_after.is_some(), "{fault:?}");
        let payment = started(&window, &request).await;
        decide(&payment.redirect_url, true).await.unwrap();
        let paid = confirmed(&window, &payment, &request).await;
        assert_eq!(
            (paid.state(), lines(&paid)),
            (P::Verified, vec![L::Used]),
            "{fault:?}"
        );
    }
}

async fn a_gateway_that_fails_when_it_is_asked_to_verify_is_asked_again(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    for fault in PASSING.into_iter().chain([SimulatedFault::VerifiedAlready]) {
        let waiting = waiting(world).await;
        let request = start(&waiting);
        let payment = started(&window, &request).await;
        decide(&payment.redirect_url, true).await.unwrap();
        assert!(world.gateway().on(&authority(&payment), fault));
        let confirmation = confirm(&payment, &request);
        let answer = window.confirm_payment(confirmation.clone()).await;
        if fault == SimulatedFault::VerifiedAlready {
            // An earlier answer did not come: the money is in all the same.
            answer.unwrap();
        } else {
            refused(answer, Code::Unavailable, "PAYMENT_GATEWAY_UNAVAILABLE");
        }
        // Whoever asks next learns of it, with the same retry key or by the service itself.
        if fault == SimulatedFault::AnswerLost {
            world.clock().advance(SignedDuration::from_secs(31));
            becomes(world, &payment, P::Verified).await;
        }
        let answer = window.confirm_payment(confirmation).await.unwrap();
        assert_eq!(answer.payment.unwrap().state(), P::Verified, "{fault:?}");
        soon("the certificate", async || {
            (lines(&look(world, &payment).await) == [L::Used]).then_some(())
        })
        .await;
    }
}

async fn what_the_gateway_refuses_to_open_has_failed(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    for (code, cause) in [
        (-41, "AMOUNT_TOO_LARGE"),
        (-14, "CALLBACK_DOMAIN"),
        (-9, "INVALID_REQUEST"),
    ] {
        let request = start(&waiting);
        assert!(world.gateway().next(SimulatedFault::Code(code)));
        let answer = window.start_payment(request.clone()).await;
        let failure = refused(answer, Code::FailedPrecondition, "PAYMENT_GATEWAY_REFUSED");
        assert_eq!(failure.metadata["cause"], cause);
        assert_eq!(failure.metadata["gateway_code"], code.to_string());
        // The same call tells what became of it.
        let answer = window.start_payment(request).await.unwrap();
        assert_eq!(answer.payment.unwrap().state(), P::Failed);
    }
    // Another begins anew.
    started(&window, &start(&waiting)).await;
}

async fn a_payment_that_was_not_opened_is_given_up_by_confirming_it(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    // The merchant is not active: that passes when somebody sees to it, and the payment stays open.
    assert!(world.gateway().next(SimulatedFault::Code(-11)));
    let answer = window.start_payment(start(&waiting)).await;
    let failure = refused(answer, Code::Unavailable, "PAYMENT_GATEWAY_UNAVAILABLE");
    // Whoever lost the request_id cannot begin another one.
    let answer = window.start_payment(start(&waiting)).await;
    let exists = refused(answer, Code::AlreadyExists, "OPEN_PAYMENT_EXISTS");
    assert_eq!(exists.metadata["resource"], failure.metadata["resource"]);
    let lost = pb::Payment {
        name: exists.metadata["resource"].clone(),
        ..Default::default()
    };
    let given_up = confirmed(&window, &lost, &start(&waiting)).await;
    assert_eq!(
        (given_up.state(), given_up.failure.as_str()),
        (P::Failed, "NOT_OPENED")
    );
    let request = start(&waiting);
    let payment = started(&window, &request).await;
    decide(&payment.redirect_url, true).await.unwrap();
    let paid = confirmed(&window, &payment, &request).await;
    assert_eq!((paid.state(), lines(&paid)), (P::Verified, vec![L::Used]));
}

async fn nobody_is_sent_to_pay_for_what_has_ended(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    let request = start(&waiting);
    let payment = started(&window, &request).await;
    window
        .cancel_enrollment_certificate_application(stages::cancel(&waiting))
        .await
        .unwrap();
    let again = window.start_payment(request.clone()).await.unwrap();
    for told in [again.payment.unwrap(), look(world, &payment).await] {
        assert_eq!(
            (told.state(), told.failure.as_str()),
            (P::Failed, "APPLICATION_ENDED")
        );
        assert_eq!(told.redirect_url, "");
    }
    // Whoever was at the bank already gets the money back.
    decide(&payment.redirect_url, true).await.unwrap();
    confirmed(&window, &payment, &request).await;
    let due = becomes(world, &payment, P::RefundDue).await;
    assert_eq!(
        (due.refund_due, lines(&due)),
        (due.amount, vec![L::RefundDue])
    );
}

async fn another_amount_is_no_payment(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    let request = start(&waiting);
    let payment = started(&window, &request).await;
    let wrong = SimulatedFault::WrongAmount(20_000);
    assert!(world.gateway().on(&authority(&payment), wrong));
    decide(&payment.redirect_url, true).await.unwrap();
    let failed = confirmed(&window, &payment, &request).await;
    assert_eq!(
        (failed.state(), failed.failure.as_str()),
        (P::Failed, "AMOUNT_DIFFERS")
    );
    let state = stages::read(&window, &waiting).await.state();
    assert_eq!(state, A::AwaitingPayment);
}

async fn a_callback_that_comes_twice_counts_once(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    let request = start(&waiting);
    let payment = started(&window, &request).await;
    let twice = SimulatedFault::DuplicateCallback;
    assert!(world.gateway().on(&authority(&payment), twice));
    decide(&payment.redirect_url, true).await.unwrap();
    // What a system does that hears of it twice.
    for _ in 0..2 {
        let paid = confirmed(&window, &payment, &request).await;
        assert_eq!((paid.state(), lines(&paid)), (P::Verified, vec![L::Used]));
    }
}

async fn what_is_not_paid_in_time_expires_with_its_payment(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let (waiting, paying) = (waiting(world).await, waiting(world).await);
    let payment = started(&window, &start(&waiting)).await;
    // Paid in the last minute, and nobody told: it is found before anything ends.
    let last_minute = started(&window, &start(&paying)).await;
    decide(&last_minute.redirect_url, true).await.unwrap();
    world.clock().advance(SignedDuration::from_hours(72));
    becomes(world, &payment, P::Expired).await;
    becomes(world, &last_minute, P::Verified).await;
    for (application, state) in [(&waiting, A::PaymentExpired), (&paying, A::Issued)] {
        soon("the end of the application", async || {
            let read = stages::read(&window, application).await;
            (read.state() == state).then_some(())
        })
        .await;
    }
    let late = window.start_payment(start(&waiting)).await;
    let failure = refused(
        late,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], "PAYMENT_EXPIRED");
}

async fn late_money_is_to_be_paid_back(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let (told, untold) = (waiting(world).await, waiting(world).await);
    let request = start(&told);
    let told = started(&window, &request).await;
    let untold = started(&window, &start(&untold)).await;
    world.clock().advance(SignedDuration::from_hours(72));
    for payment in [&told, &untold] {
        becomes(world, payment, P::Expired).await;
        decide(&payment.redirect_url, true).await.unwrap();
    }
    // One is told of by the window, the other is in the gateway's list of what nobody verified.
    confirmed(&window, &told, &request).await;
    world.clock().advance(SignedDuration::from_secs(61));
    for payment in [&told, &untold] {
        let due = becomes(world, payment, P::RefundDue).await;
        assert_eq!(due.refund_due, due.amount);
        assert_eq!(lines(&due), [L::RefundDue]);
    }
}

async fn a_repeated_confirmation_loses_no_money_that_came_since(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    let request = start(&waiting);
    let payment = started(&window, &request).await;
    let confirmation = confirm(&payment, &request);
    let early = window.confirm_payment(confirmation.clone()).await.unwrap();
    assert_eq!(early.payment.unwrap().state(), P::Redirected);
    world.clock().advance(SignedDuration::from_hours(72));
    becomes(world, &payment, P::Expired).await;
    decide(&payment.redirect_url, true).await.unwrap();
    let again = window.confirm_payment(confirmation).await.unwrap();
    assert_eq!(again.payment.unwrap().state(), P::RefundDue);
}

async fn a_gateway_that_is_silent_for_good_does_not_hold_anything(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    let payment = started(&window, &start(&waiting)).await;
    for _ in 0..40 {
        assert!(
            world
                .gateway()
                .on(&authority(&payment), SimulatedFault::Status(503))
        );
    }
    world.clock().advance(SignedDuration::from_hours(72));
    // An hour is given to it, then the time is over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(look(world, &payment).await.state(), P::Redirected);
    let read = stages::read(&window, &waiting).await;
    assert_eq!(read.state(), pb::ApplicationState::AwaitingPayment);
    world.clock().advance(SignedDuration::from_mins(75));
    becomes(world, &payment, P::Expired).await;
}
