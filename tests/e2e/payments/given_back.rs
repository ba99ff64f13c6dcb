//! What is paid and comes to nothing, and how it is paid back; the day file.

use gavah_api::v1 as pb;
use gavah_gateway::simulator::{SimulatedFault, decide};
use gavah_testkit::world::{CallerKind, World};
use tonic::Code;

use super::{
    A, FEE, L, P, authority, becomes, confirmed, lines, look, on_both, priced, priced_codes, start,
    start_codes, started, waiting, waiting_code,
};
use crate::disputes;
use crate::harness::{soon, together};
use crate::messages::{date, national_code, person, request_id, upsert};
use crate::peer::{Peer, refused};
use crate::stages;

on_both! {
    what_is_paid_waits_out_a_pause_and_its_money_comes_back_when_it_is_cancelled,
    what_can_no_longer_be_issued_gives_the_money_back,
    a_refund_without_an_answer_is_never_asked_for_twice,
    of_many_refunds_at_once_on_two_nodes_one_is_asked_for,
    what_was_used_is_paid_back_by_order_alone,
    a_paid_certificate_is_corrected_without_another_payment,
    a_day_file_settles_and_tells_what_differs,
}

pub(crate) fn officer() -> Option<pb::Officer> {
    Some(pb::Officer {
        code: "O-7".to_owned(),
        person_id: Some(person(&national_code())),
    })
}

pub(crate) fn refund(
    payment: &pb::Payment,
    method: pb::RefundMethod,
    reference: &str,
) -> pb::RefundPaymentRequest {
    pb::RefundPaymentRequest {
        request_id: request_id(),
        validate_only: false,
        dispute_action: String::new(),
        name: payment.name.clone(),
        etag: payment.etag.clone(),
        method: method.into(),
        reference: reference.to_owned(),
        also: Vec::new(),
        reason: "خدمت انجام نشد".to_owned(),
        officer: officer(),
    }
}

fn session(world: &World, payment: &pb::Payment) -> String {
    let session = world.gateway().session(&authority(payment)).unwrap();
    session.as_str().to_owned()
}

async fn pause(world: &World) -> Peer {
    let officer = Peer::of(world, CallerKind::Organization).await;
    let pause = pb::PauseIssuanceRequest {
        request_id: request_id(),
        validate_only: false,
        service: pb::ServiceKind::EnrollmentCertificate.into(),
        institution_code: String::new(),
        reason: "آزمون".to_owned(),
    };
    officer.pause_issuance(pause).await.unwrap();
    officer
}

/// A payment whose money came in while nothing could be issued.
async fn paid(window: &Peer, application: &pb::EnrollmentCertificateApplication) -> pb::Payment {
    let request = start(application);
    let payment = started(window, &request).await;
    decide(&payment.redirect_url, true).await.unwrap();
    let paid = confirmed(window, &payment, &request).await;
    assert_eq!((paid.state(), lines(&paid)), (P::Verified, vec![L::Paid]));
    paid
}

async fn what_is_paid_waits_out_a_pause_and_its_money_comes_back_when_it_is_cancelled(
    world: &mut World,
) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let (kept, given_up) = (waiting(world).await, waiting(world).await);
    let officer = pause(world).await;
    let (used, unused) = (paid(&window, &kept).await, paid(&window, &given_up).await);
    window
        .cancel_enrollment_certificate_application(stages::cancel(&given_up))
        .await
        .unwrap();
    let due = look(world, &unused).await;
    assert_eq!(
        (due.state(), lines(&due)),
        (P::RefundDue, vec![L::RefundDue])
    );

    let resume = pb::ResumeIssuanceRequest {
        request_id: request_id(),
        validate_only: false,
        service: pb::ServiceKind::EnrollmentCertificate.into(),
        institution_code: String::new(),
    };
    officer.resume_issuance(resume).await.unwrap();
    world.clock().advance(jiff::SignedDuration::from_secs(20));
    soon("the certificate", async || {
        let state = stages::read(&window, &kept).await.state();
        (state == A::Issued).then_some(())
    })
    .await;

    // Only what is due is paid back, and once.
    let wrong = refund(&look(world, &used).await, pb::RefundMethod::Recorded, "R-1");
    let answer = officer.refund_payment(wrong).await;
    refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    // A ruling orders it, and is told when it is done.
    let hub = Peer::of(world, CallerKind::Hub).await;
    let dispute = disputes::ready(&hub, &officer, "agreements/hub/callers/hub").await;
    let orders = vec![disputes::order(pb::OrderedAct::Refund, &due.name)];
    let ruled = officer
        .rule_dispute(disputes::ruling(&dispute, orders))
        .await;
    let actions = ruled.unwrap().dispute.unwrap().ruling.unwrap().actions;
    let request = pb::RefundPaymentRequest {
        dispute_action: actions[0].name.clone(),
        ..refund(&due, pb::RefundMethod::Gateway, &session(world, &due))
    };
    let trial = pb::RefundPaymentRequest {
        validate_only: true,
        ..request.clone()
    };
    assert_eq!(officer.refund_payment(trial).await.unwrap().payment, None);
    let answer = officer.refund_payment(request.clone()).await.unwrap();
    let refunded = answer.payment.clone().unwrap();
    assert_eq!(
        (refunded.state(), lines(&refunded)),
        (P::Refunded, vec![L::Refunded])
    );
    let done = disputes::read(&officer, &dispute.name).await;
    assert_eq!(done.ruling.unwrap().actions[0].result, due.name);
    let get = pb::GetPaymentRequest {
        name: due.name.clone(),
        ..Default::default()
    };
    let told = officer.get_payment(get).await.unwrap().dispute_actions;
    assert_eq!(told, [actions[0].name.clone()]);
    assert_eq!(refunded.refunds[0].amount.unwrap().amount, FEE);
    assert_eq!(refunded.refunds[0].state(), pb::RefundState::Done);
    assert_eq!(
        officer.refund_payment(request.clone()).await.unwrap(),
        answer
    );
    let again = pb::RefundPaymentRequest {
        request_id: request_id(),
        ..request
    };
    let answer = officer.refund_payment(again).await;
    refused(answer, Code::Aborted, "ETAG_MISMATCH");
}

async fn what_can_no_longer_be_issued_gives_the_money_back(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let application = waiting(world).await;
    let request = start(&application);
    let payment = started(&window, &request).await;
    decide(&payment.redirect_url, true).await.unwrap();
    // The university blocks the student before the money is confirmed.
    let mut row = stages::record_of(world, &application);
    row.blocks.push(pb::BlockKind::Financial.into());
    let university = Peer::of(world, CallerKind::University).await;
    university
        .upsert_enrollment_record(upsert(row))
        .await
        .unwrap();
    let due = confirmed(&window, &payment, &request).await;
    assert_eq!(
        (due.state(), lines(&due)),
        (P::RefundDue, vec![L::RefundDue])
    );
    let ended = stages::read(&window, &application).await;
    assert_eq!(ended.state(), A::Cancelled);
    assert_eq!(ended.history.last().unwrap().reason, "RELEASE_BLOCKED");
    let states = stages::states(&ended);
    assert_eq!(
        states[states.len() - 3..],
        [A::AwaitingPayment, A::Paid, A::Cancelled]
    );
}

async fn a_refund_without_an_answer_is_never_asked_for_twice(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let application = waiting(world).await;
    let officer = pause(world).await;
    let paid = paid(&window, &application).await;
    window
        .cancel_enrollment_certificate_application(stages::cancel(&application))
        .await
        .unwrap();
    let gateway = |payment: &pb::Payment| {
        let session = session(world, payment);
        refund(payment, pb::RefundMethod::Gateway, &session)
    };
    let due = look(world, &paid).await;

    // Refused: nothing was paid back, and it can be asked for again.
    let unknown = refund(&due, pb::RefundMethod::Gateway, "99999999");
    let answer = officer.refund_payment(unknown).await;
    refused(answer, Code::FailedPrecondition, "PAYMENT_GATEWAY_REFUSED");
    let due = look(world, &paid).await;
    assert_eq!(
        (due.state(), lines(&due)),
        (P::RefundDue, vec![L::RefundDue])
    );
    assert_eq!(due.refunds[0].state(), pb::RefundState::Failed);
    assert!(world.gateway().next(SimulatedFault::AnswerLost));
    let asked = officer.refund_payment(gateway(&due)).await.unwrap();
    let asked = asked.payment.unwrap();
    assert_eq!(asked.state(), P::RefundDue);
    assert_eq!(lines(&asked), [L::Refunding]);
    let twice = officer.refund_payment(gateway(&asked)).await;
    refused(
        twice,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );

    let too_early = refund(&asked, pb::RefundMethod::NotDone, "");
    let answer = officer.refund_payment(too_early).await;
    refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    world.clock().advance(jiff::SignedDuration::from_secs(61));
    // The officer looked: it was not done. Then it is asked for, and the answer is lost again.
    let not_done = refund(&asked, pb::RefundMethod::NotDone, "");
    let open = officer
        .refund_payment(not_done)
        .await
        .unwrap()
        .payment
        .unwrap();
    assert_eq!(
        (open.state(), lines(&open)),
        (P::RefundDue, vec![L::RefundDue])
    );
    assert!(world.gateway().next(SimulatedFault::AnswerLost));
    let asked = officer.refund_payment(gateway(&open)).await.unwrap();
    let asked = asked.payment.unwrap();
    assert_eq!(
        asked.refunds.last().unwrap().state(),
        pb::RefundState::Asked
    );
    // This time it was.
    world.clock().advance(jiff::SignedDuration::from_secs(61));
    let done = refund(&asked, pb::RefundMethod::Recorded, "PAYA-1");
    let done = officer.refund_payment(done).await.unwrap().payment.unwrap();
    assert_eq!(
        (done.state(), lines(&done)),
        (P::Refunded, vec![L::Refunded])
    );
    assert_eq!(done.refunds.last().unwrap().reference, "PAYA-1");
}

async fn of_many_refunds_at_once_on_two_nodes_one_is_asked_for(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let application = waiting(world).await;
    let officer = pause(world).await;
    let paid = paid(&window, &application).await;
    window
        .cancel_enrollment_certificate_application(stages::cancel(&application))
        .await
        .unwrap();
    let due = look(world, &paid).await;
    let second = world.add_node().await;
    let officers = [
        officer,
        Peer::new(world.client_of(second, CallerKind::Organization).await),
    ];
    let session = session(world, &due);
    let answers = together(8, |index| {
        let officer = officers[index % 2].clone();
        let method = match index % 4 {
            3 => pb::RefundMethod::Recorded,
            _ => pb::RefundMethod::Gateway,
        };
        let request = refund(&due, method, &session);
        async move { officer.refund_payment(request).await }
    })
    .await;
    let (done, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    for other in others {
        let failure = other.unwrap_err();
        let reason = failure.reason.as_deref().unwrap();
        assert!(
            ["ETAG_MISMATCH", "STATE_TRANSITION_NOT_ALLOWED"].contains(&reason),
            "{failure}"
        );
    }
    let refunded = look(world, &due).await;
    assert_eq!(
        (refunded.state(), lines(&refunded)),
        (P::Refunded, vec![L::Refunded])
    );
    assert_eq!(refunded.refunds.len(), 1);
    // The gateway paid back what it was asked for, once.
    let by_gateway = match refunded.refunds[0].method() {
        pb::RefundMethod::Gateway => FEE,
        _ => 0,
    };
    let file = world.gateway().day_file(world.today().to_gregorian());
    let row = file.lines().find(|row| row.starts_with(&due.authority));
    assert_eq!(
        row.unwrap().split(',').nth(3),
        Some(&*by_gateway.to_string())
    );
}

async fn a_paid_certificate_is_corrected_without_another_payment(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let application = waiting(world).await;
    let request = start(&application);
    let payment = started(&window, &request).await;
    decide(&payment.redirect_url, true).await.unwrap();
    confirmed(&window, &payment, &request).await;
    let issued = stages::read(&window, &application).await;
    let officer = Peer::of(world, CallerKind::Organization).await;
    let correction = pb::CorrectEnrollmentCertificateRequest {
        request_id: request_id(),
        name: issued.enrollment_certificate.clone(),
        addressee: Some(pb::Addressee {
            name_fa: "سفارت درست".to_owned(),
            name_en: String::new(),
        }),
        purpose: pb::Purpose::Translation.into(),
        ..Default::default()
    };
    let corrected = officer.correct_enrollment_certificate(correction).await;
    let corrected = corrected.unwrap().enrollment_certificate.unwrap();
    assert_ne!(corrected.name, issued.enrollment_certificate);
    assert_eq!(corrected.state(), pb::DocumentState::Active);
    assert_eq!(lines(&look(world, &payment).await), [L::Used]);
}

async fn what_was_used_is_paid_back_by_order_alone(world: &mut World) {
    priced_codes(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let officer = Peer::of(world, CallerKind::Organization).await;
    let applications = [
        waiting_code(world, &university).await,
        waiting_code(world, &university).await,
    ];
    let request = start_codes(&applications);
    let payment = started(&university, &request).await;
    decide(&payment.redirect_url, true).await.unwrap();
    let paid = confirmed(&university, &payment, &request).await;
    assert_eq!(lines(&paid), [L::Used, L::Used]);
    let order = pb::RefundPaymentRequest {
        also: vec![applications[1].name.clone()],
        ..refund(&paid, pb::RefundMethod::Gateway, &session(world, &paid))
    };
    let stranger = pb::RefundPaymentRequest {
        also: vec![format!("validityCodeApplications/{}", request_id())],
        ..order.clone()
    };
    let answer = officer.refund_payment(stranger).await;
    refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    let refunded = officer
        .refund_payment(order)
        .await
        .unwrap()
        .payment
        .unwrap();
    assert_eq!(refunded.state(), P::Refunded);
    assert_eq!(refunded.refunds[0].amount.unwrap().amount, FEE);
    let of = |application: &pb::ValidityCodeApplication| {
        let mut lines = refunded.lines.iter();
        lines
            .find(|line| line.application == application.name)
            .unwrap()
            .state()
    };
    assert_eq!(
        (of(&applications[0]), of(&applications[1])),
        (L::Used, L::Refunded)
    );
}

async fn a_day_file_settles_and_tells_what_differs(world: &mut World) {
    use pb::PaymentDifferenceKind as D;
    priced_codes(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let officer = Peer::of(world, CallerKind::Organization).await;
    let mut payments = Vec::new();
    for _ in 0..5 {
        let application = waiting_code(world, &university).await;
        let request = start_codes(&[application]);
        let payment = started(&university, &request).await;
        decide(&payment.redirect_url, true).await.unwrap();
        payments.push((payment, request));
    }
    for (payment, request) in &mut payments[..4] {
        *payment = confirmed(&university, payment, request).await;
        assert_eq!(lines(payment), [L::Used]);
    }
    let row = |payment: &pb::Payment| pb::DayFileRow {
        authority: payment.authority.clone(),
        reference: payment.reference.clone(),
        amount: payment.amount,
    };
    let [same, amount, reference, _missing, unverified] =
        [0, 1, 2, 3, 4].map(|place| &payments[place].0);
    let mut rows = vec![
        row(same),
        row(amount),
        row(reference),
        row(unverified),
        row(same),
    ];
    rows[1].amount = Some(pb::Money {
        amount: FEE - 1,
        unit: pb::MoneyUnit::IrrCurrent.into(),
    });
    rows[2].reference = "999".to_owned();
    rows[3].reference = "1000".to_owned();
    rows.push(pb::DayFileRow {
        authority: "A00000000000000000000000000000stranger".to_owned(),
        ..row(same)
    });
    let request = pb::ReconcilePaymentsRequest {
        request_id: request_id(),
        validate_only: false,
        day: Some(date(world.today())),
        rows,
    };
    let trial = pb::ReconcilePaymentsRequest {
        validate_only: true,
        ..request.clone()
    };
    for request in [trial, request.clone(), request] {
        let answer = officer.reconcile_payments(request).await.unwrap();
        assert_eq!(answer.settled, 1);
        let kinds: Vec<_> = answer
            .differences
            .iter()
            .map(pb::PaymentDifference::kind)
            .collect();
        assert_eq!(
            kinds[..5],
            [
                D::Amount,
                D::Reference,
                D::NotVerifiedHere,
                D::Twice,
                D::UnknownHere
            ]
        );
        assert!(kinds[5..].contains(&D::MissingInFile));
        assert_eq!(answer.differences[0].payment, payments[1].0.name);
        assert_eq!(answer.differences[4].payment, "");
    }
    assert_eq!(look(world, same).await.state(), P::Settled);
    // What a file has had is not missed in another one of its day.
    let other = pb::ReconcilePaymentsRequest {
        request_id: request_id(),
        validate_only: true,
        day: Some(date(world.today())),
        rows: vec![row(reference)],
    };
    let differences = officer.reconcile_payments(other).await.unwrap().differences;
    let missing: Vec<_> = differences
        .iter()
        .filter(|difference| difference.kind() == D::MissingInFile)
        .map(|difference| &difference.payment)
        .collect();
    assert!(!missing.contains(&&same.name));
    assert!(missing.contains(&&amount.name));
    assert_eq!(look(world, amount).await.state(), P::Verified);
    // What only the file knew is asked about at once.
    becomes(world, unverified, P::Verified).await;

    // A new rial is ten thousand current ones.
    let request = pb::ReconcilePaymentsRequest {
        request_id: request_id(),
        validate_only: false,
        day: Some(date(world.today())),
        rows: vec![pb::DayFileRow {
            amount: Some(pb::Money {
                amount: FEE / 10_000,
                unit: pb::MoneyUnit::IrrNew.into(),
            }),
            ..row(amount)
        }],
    };
    assert_eq!(
        officer.reconcile_payments(request).await.unwrap().settled,
        1
    );
}
