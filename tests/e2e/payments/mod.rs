//! Payments at a simulated gateway over real HTTP: what is paid for is issued, whatever else happens no money is lost.

mod faults;
pub(crate) mod given_back;
mod random;
mod refusals;
mod runs;

use gavah_api::v1 as pb;
use gavah_gateway::Authority;
use gavah_gateway::simulator::decide;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, Engine, UNIVERSITY, World};
use jiff::SignedDuration;

use crate::code_stages::{self, offered};
use crate::disputes_ordered::heard;
use crate::harness::{run_on, soon, together};
use crate::messages::{apply, issue, question, record, request_id};
use crate::peer::Peer;
use crate::raw::Raw;
use crate::stages::{self, put_on_record, reviewed_by};
use pb::ApplicationState as A;
use pb::PaymentLineState as L;
use pb::PaymentState as P;

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                crate::payments::run(gavah_testkit::world::Engine::Sqlite, super::$name);
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                crate::payments::run(gavah_testkit::world::Engine::Postgres, super::$name);
            })+
        }
    };
}
use on_both;

on_both! {
    a_certificate_is_paid_for_by_the_student_and_issued,
    many_codes_are_paid_for_by_the_university_at_once,
    what_nobody_confirms_is_found_out_about,
    a_cancelled_payment_is_over_and_another_can_begin,
    of_many_who_confirm_at_once_on_two_nodes_the_money_counts_once,
    each_side_hears_of_its_own_payments,
}

pub(crate) fn run(engine: Engine, case: impl AsyncFnOnce(&mut World)) {
    run_on(World::builder(engine).payments(), async |world| {
        case(world).await;
        books_add_up(world).await;
    });
}

/// The fee of everything.
pub(crate) const FEE: i64 = 500_000;

/// From now on certificates have a fee.
pub(crate) async fn priced(world: &mut World) {
    world
        .reseed(|seed| {
            let row = fixtures::tariff_row("ENROLLMENT_CERTIFICATE", FEE);
            seed.tariff[0].row.push(row);
        })
        .await;
    reviewed_by(world, true, false).await;
}

/// From now on codes have a fee.
pub(crate) async fn priced_codes(world: &mut World) {
    offered(world, None).await;
    world
        .reseed(|seed| {
            let row = fixtures::tariff_row("VALIDITY_CODE", FEE);
            seed.tariff[0].row.push(row);
        })
        .await;
    let university = Peer::of(world, CallerKind::University).await;
    soon("the new tariff", async || {
        let answer = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        answer.is_err().then_some(())
    })
    .await;
}

/// A fresh student's application that waits for its payment.
pub(crate) async fn waiting(world: &World) -> pb::EnrollmentCertificateApplication {
    let row = record(world, UNIVERSITY);
    put_on_record(world, &row).await;
    let waiting = stages::made(world, apply(&row)).await;
    assert_eq!(waiting.state(), A::AwaitingPayment);
    waiting
}

/// A fresh student's application for a code that waits for its payment.
pub(crate) async fn waiting_code(world: &World, university: &Peer) -> pb::ValidityCodeApplication {
    let made = code_stages::made(university, code_stages::create(world)).await;
    let confirmed = code_stages::confirmed(university, &made).await;
    let waiting = confirmed.application.unwrap();
    assert_eq!(waiting.state(), pb::CodeApplicationState::AwaitingPayment);
    waiting
}

pub(crate) fn start(application: &pb::EnrollmentCertificateApplication) -> pb::StartPaymentRequest {
    pb::StartPaymentRequest {
        request_id: request_id(),
        validate_only: false,
        applications: vec![application.name.clone()],
        callback_url: "http://127.0.0.1:9/back".to_owned(),
        subject_claim: application.subject.clone().unwrap().person_id,
    }
}

pub(crate) fn start_codes(applications: &[pb::ValidityCodeApplication]) -> pb::StartPaymentRequest {
    pb::StartPaymentRequest {
        request_id: request_id(),
        validate_only: false,
        applications: applications.iter().map(|it| it.name.clone()).collect(),
        callback_url: "https://university.example/back?order=1".to_owned(),
        subject_claim: None,
    }
}

pub(crate) fn confirm(
    payment: &pb::Payment,
    started: &pb::StartPaymentRequest,
) -> pb::ConfirmPaymentRequest {
    pb::ConfirmPaymentRequest {
        request_id: request_id(),
        validate_only: false,
        name: payment.name.clone(),
        subject_claim: started.subject_claim.clone(),
    }
}

pub(crate) async fn started(peer: &Peer, request: &pb::StartPaymentRequest) -> pb::Payment {
    let started = peer.start_payment(request.clone()).await.unwrap();
    let payment = started.payment.unwrap();
    assert_eq!(payment.state(), P::Redirected);
    payment
}

pub(crate) async fn confirmed(
    peer: &Peer,
    payment: &pb::Payment,
    started: &pb::StartPaymentRequest,
) -> pb::Payment {
    let confirmed = peer.confirm_payment(confirm(payment, started)).await;
    let confirmed = confirmed.unwrap().payment.unwrap();
    let waits = |payment: &pb::Payment| lines(payment).contains(&L::Waiting);
    if confirmed.verify_time.is_none() || !waits(&confirmed) {
        return confirmed;
    }
    // The service has just taken it up by itself.
    soon("what is paid for", async || {
        let request = pb::GetPaymentRequest {
            name: payment.name.clone(),
            subject_claim: started.subject_claim.clone(),
        };
        let read = peer.get_payment(request).await.unwrap().payment.unwrap();
        (!waits(&read)).then_some(read)
    })
    .await
}

/// The payment as an officer sees it.
pub(crate) async fn look(world: &World, payment: &pb::Payment) -> pb::Payment {
    let officer = Peer::of(world, CallerKind::Organization).await;
    let request = pb::GetPaymentRequest {
        name: payment.name.clone(),
        subject_claim: None,
    };
    officer.get_payment(request).await.unwrap().payment.unwrap()
}

/// The payment once it is in this state.
pub(crate) async fn becomes(world: &World, payment: &pb::Payment, state: P) -> pb::Payment {
    soon(state.as_str_name(), async || {
        let payment = look(world, payment).await;
        (payment.state() == state).then_some(payment)
    })
    .await
}

pub(crate) fn authority(payment: &pb::Payment) -> Authority {
    payment.authority.parse().unwrap()
}

pub(crate) fn lines(payment: &pb::Payment) -> Vec<L> {
    payment.lines.iter().map(pb::PaymentLine::state).collect()
}

/// The money that came in is what its lines come to, nothing is issued that was not paid for, and every payment has one
/// audit entry for each of its states.
pub(crate) async fn books_add_up(world: &World) {
    let mut raw = Raw::to(world).await;
    let received = "SELECT CAST(COALESCE(SUM(amount), 0) AS bigint) FROM payment WHERE verify_time IS NOT NULL";
    let shares = "SELECT CAST(COALESCE(SUM(line.amount), 0) AS bigint) FROM payment_line line \
        JOIN payment ON payment.id = line.payment_id WHERE verify_time IS NOT NULL";
    assert_eq!(raw.number(received).await, raw.number(shares).await);
    let without_money = "SELECT count(*) FROM payment_line line JOIN payment ON payment.id = line.payment_id \
        WHERE verify_time IS NULL AND line.state <> 'WAITING'";
    assert_eq!(
        raw.number(without_money).await,
        0,
        "nothing moves without money"
    );
    let twice = "SELECT count(*) FROM (SELECT application FROM payment_line WHERE state IN ('PAID', 'USED') \
        GROUP BY application HAVING count(*) > 1) twice";
    assert_eq!(raw.number(twice).await, 0, "nothing is paid for twice");
    let owed = "SELECT count(*) FROM payment WHERE verify_time IS NOT NULL AND state <> 'REFUND_DUE' AND EXISTS \
        (SELECT 1 FROM payment_line line WHERE line.payment_id = payment.id AND line.state IN ('REFUND_DUE', 'REFUNDING'))";
    assert_eq!(raw.number(owed).await, 0, "what is owed is told");
    let verified = "SELECT count(*) FROM payment WHERE verify_time IS NOT NULL";
    let told =
        "SELECT count(*) FROM audit_entry WHERE action = 'VERIFY' AND resource LIKE 'payments/%'";
    assert_eq!(raw.number(verified).await, raw.number(told).await);
}

async fn a_certificate_is_paid_for_by_the_student_and_issued(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    let request = start(&waiting);
    let trial = pb::StartPaymentRequest {
        validate_only: true,
        ..request.clone()
    };
    assert_eq!(window.start_payment(trial).await.unwrap().payment, None);
    let payment = started(&window, &request).await;
    assert_eq!(payment.amount.unwrap().amount, FEE);
    assert_eq!(payment.expire_time, waiting.pay_until_time);
    assert_eq!(lines(&payment), [L::Waiting]);
    assert!(payment.redirect_url.ends_with(&payment.authority));
    // Repeated, it is the same payment.
    assert_eq!(started(&window, &request).await, payment);

    // Before the payer has paid there is nothing to confirm.
    let early = confirmed(&window, &payment, &request).await;
    assert_eq!(early.state(), P::Redirected);
    let back = decide(&payment.redirect_url, true).await.unwrap();
    assert!(back.contains("Status=OK"), "{back}");
    let confirmation = confirm(&payment, &request);
    let trial = pb::ConfirmPaymentRequest {
        validate_only: true,
        ..confirmation.clone()
    };
    assert_eq!(window.confirm_payment(trial).await.unwrap().payment, None);
    let answer = window.confirm_payment(confirmation.clone()).await.unwrap();
    let paid = answer.payment.clone().unwrap();
    assert_eq!(paid.state(), P::Verified);
    assert_eq!(lines(&paid), [L::Used]);
    assert_eq!(paid.redirect_url, "");
    assert!(!paid.reference.is_empty() && paid.verify_time.is_some());
    assert_eq!(window.confirm_payment(confirmation).await.unwrap(), answer);

    let issued = stages::read(&window, &waiting).await;
    let states = stages::states(&issued);
    assert_eq!(
        states[states.len() - 4..],
        [A::AwaitingPayment, A::Paid, A::Issuing, A::Issued]
    );
    let request = pb::GetEnrollmentCertificateRequest {
        name: issued.enrollment_certificate.clone(),
        subject_claim: waiting.subject.clone().unwrap().person_id,
    };
    let certificate = window.get_enrollment_certificate(request).await.unwrap();
    let code = certificate.enrollment_certificate.unwrap().code;
    let verdict = window.validate_code(question(&code)).await.unwrap();
    assert_eq!(verdict.verdict.unwrap().outcome(), pb::Outcome::Valid);
}

async fn many_codes_are_paid_for_by_the_university_at_once(world: &mut World) {
    priced_codes(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let mut applications = Vec::new();
    for _ in 0..30 {
        applications.push(waiting_code(world, &university).await);
    }
    let issued = university.list_validity_codes(pb::ListValidityCodesRequest::default());
    let before = issued.await.unwrap().validity_codes.len();
    let request = start_codes(&applications);
    let payment = started(&university, &request).await;
    assert_eq!(payment.amount.unwrap().amount, 30 * FEE);
    // One is not wanted any more.
    let cancelled = &applications[7];
    university
        .cancel_validity_code_application(code_stages::cancel(cancelled))
        .await
        .unwrap();
    decide(&payment.redirect_url, true).await.unwrap();
    confirmed(&university, &payment, &request).await;
    // More than go on within the call follow by themselves.
    let done = soon("the codes", async || {
        let payment = look(world, &payment).await;
        let open = lines(&payment);
        let open = open.iter().any(|line| matches!(line, L::Waiting | L::Paid));
        (!open).then_some(payment)
    })
    .await;
    assert_eq!(done.state(), P::RefundDue);
    assert_eq!(done.refund_due.unwrap().amount, FEE);
    for line in &done.lines {
        let expected = match line.application == cancelled.name {
            true => L::RefundDue,
            false => L::Used,
        };
        assert_eq!(line.state(), expected);
    }
    let codes = university
        .list_validity_codes(pb::ListValidityCodesRequest::default())
        .await
        .unwrap();
    assert_eq!(codes.validity_codes.len(), before + 29);

    let by_application = pb::ListPaymentsRequest {
        application: applications[0].name.clone(),
        ..Default::default()
    };
    let listed = university.list_payments(by_application).await.unwrap();
    let without_lines = pb::Payment {
        lines: Vec::new(),
        ..done
    };
    assert_eq!(without_lines.line_count, 30);
    assert_eq!(listed.payments, [without_lines]);
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let listed = other
        .list_payments(pb::ListPaymentsRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.payments, []);
}

async fn what_nobody_confirms_is_found_out_about(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    let payment = started(&window, &start(&waiting)).await;
    decide(&payment.redirect_url, true).await.unwrap();
    assert_eq!(look(world, &payment).await.state(), P::Redirected);
    world.clock().advance(SignedDuration::from_secs(31));
    becomes(world, &payment, P::Verified).await;
    soon("the certificate", async || {
        let state = stages::read(&window, &waiting).await.state();
        (state == A::Issued).then_some(())
    })
    .await;
}

async fn a_cancelled_payment_is_over_and_another_can_begin(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    let request = start(&waiting);
    let payment = started(&window, &request).await;
    let back = decide(&payment.redirect_url, false).await.unwrap();
    assert!(back.contains("Status=NOK"), "{back}");
    let failed = confirmed(&window, &payment, &request).await;
    assert_eq!(
        (failed.state(), failed.failure.as_str()),
        (P::Failed, "NOT_PAID")
    );
    let again = start(&waiting);
    let payment = started(&window, &again).await;
    decide(&payment.redirect_url, true).await.unwrap();
    let paid = confirmed(&window, &payment, &again).await;
    assert_eq!((paid.state(), lines(&paid)), (P::Verified, vec![L::Used]));
}

async fn of_many_who_confirm_at_once_on_two_nodes_the_money_counts_once(world: &mut World) {
    priced_codes(world).await;
    let second = world.add_node().await;
    let peers = [
        Peer::of(world, CallerKind::University).await,
        Peer::new(world.client_of(second, CallerKind::University).await),
    ];
    let application = waiting_code(world, &peers[0]).await;
    let request = start_codes(&[application]);
    let payment = started(&peers[0], &request).await;
    decide(&payment.redirect_url, true).await.unwrap();
    let answers = together(8, |index| {
        let peer = peers[index % 2].clone();
        let request = confirm(&payment, &request);
        async move { peer.confirm_payment(request).await }
    })
    .await;
    for answer in answers {
        let payment = answer.unwrap().payment.unwrap();
        assert_eq!(payment.state(), P::Verified);
    }
    let done = soon("the code", async || {
        let payment = look(world, &payment).await;
        (lines(&payment) == [L::Used]).then_some(payment)
    })
    .await;
    assert_eq!(done.state(), P::Verified);
}

async fn each_side_hears_of_its_own_payments(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let university = Peer::of(world, CallerKind::University).await;
    let request = start(&waiting(world).await);
    let students = started(&window, &request).await;
    decide(&students.redirect_url, true).await.unwrap();
    confirmed(&window, &students, &request).await;
    priced_codes(world).await;
    let application = waiting_code(world, &university).await;
    let its_own = started(&university, &start_codes(&[application])).await;

    let of_students = heard(world, &window, &students.name).await;
    let all = ["CREATE", "REDIRECT", "VERIFY"];
    assert_eq!(of_students, all);
    assert_eq!(heard(world, &university, &its_own.name).await, all[..2]);
    for (stranger, payment) in [(&window, &its_own), (&university, &students)] {
        assert_eq!(heard(world, stranger, &payment.name).await, [""; 0]);
    }
}
