//! Good writes of payments.

use gavah_api::v1 as pb;
use gavah_gateway::simulator::decide;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};

use super::Write;
use crate::harness::soon;
use crate::messages::{apply, date, record};
use crate::payments::given_back::refund;
use crate::payments::{confirm, confirmed, priced, start, started, waiting};
use crate::peer::Peer;
use crate::stages;

/// Writes of payments. Afterwards everything is free again.
pub(super) async fn of_payments(world: &mut World) -> Vec<Write> {
    use CallerKind::{Organization, Window};
    let workflow = world.seed().call[1].workflow.clone();
    priced(world).await;
    let window = Peer::of(world, Window).await;
    let to_start = start(&waiting(world).await);
    let mut open = Vec::new();
    for _ in 0..2 {
        let request = start(&waiting(world).await);
        open.push((started(&window, &request).await, request));
    }
    // Paid for what nobody wants any more.
    let unwanted = waiting(world).await;
    let request = start(&unwanted);
    let payment = started(&window, &request).await;
    window
        .cancel_enrollment_certificate_application(stages::cancel(&unwanted))
        .await
        .unwrap();
    decide(&payment.redirect_url, true).await.unwrap();
    let due = confirmed(&window, &payment, &request).await;
    assert_eq!(due.state(), pb::PaymentState::RefundDue);
    let to_confirm = confirm(&open[0].0, &open[0].1);
    let other = open[1].0.name.clone();
    let other_claim = open[1].1.subject_claim.clone();

    world
        .reseed(|seed| {
            seed.tariff[0].row.pop();
            seed.call[1].workflow = workflow;
        })
        .await;
    soon("free certificates", async || {
        let row = record(world, UNIVERSITY);
        stages::put_on_record(world, &row).await;
        let trial = pb::CreateEnrollmentCertificateApplicationRequest {
            validate_only: true,
            ..apply(&row)
        };
        let answer = window.create_enrollment_certificate_application(trial);
        let is_free = answer.await.is_ok();
        let made = stages::made(world, apply(&row)).await;
        (is_free && made.state() == pb::ApplicationState::Issued).then_some(())
    })
    .await;
    let yesterday = pb::ReconcilePaymentsRequest {
        day: Some(date(world.today().plus_days(-1))),
        ..Default::default()
    };
    let the_day_before = Some(date(world.today().plus_days(-2)));
    let of = |method: &str| format!("PaymentService/{method}");
    vec![
        Write::new(&of("StartPayment"), Window, to_start, |request| {
            request.callback_url = "https://other.example/".to_owned();
        }),
        Write::new(&of("ConfirmPayment"), Window, to_confirm, |request| {
            request.name = other;
            request.subject_claim = other_claim;
        }),
        Write::new(
            &of("RefundPayment"),
            Organization,
            refund(&due, pb::RefundMethod::Recorded, "R-1"),
            |request| request.reason = "دلیل دیگر".to_owned(),
        ),
        Write::new(
            &of("ReconcilePayments"),
            Organization,
            yesterday,
            |request| {
                request.day = the_day_before;
            },
        ),
    ]
}
