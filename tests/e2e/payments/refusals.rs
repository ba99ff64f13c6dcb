//! What is refused before any money moves.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, World};
use tonic::Code;

use super::given_back::{officer, refund};
use super::{
    A, FEE, confirm, on_both, priced, priced_codes, start, start_codes, started, waiting,
    waiting_code,
};
use crate::messages::{apply, date, national_code, person, record, request_id};
use crate::peer::{Peer, refused};
use crate::stages;

on_both! {
    only_what_waits_for_its_payment_can_be_paid_for_and_once,
    strangers_neither_pay_nor_look,
}

cases_of_any_engine! {
    without_a_gateway_no_payment_is_offered,
}

fn fields<T: std::fmt::Debug>(answer: crate::peer::Answer<T>) -> Vec<(String, String)> {
    let failure = answer.unwrap_err();
    assert_eq!(failure.code, Code::InvalidArgument);
    let violations = failure.violations.iter();
    violations
        .map(|violation| (violation.field.clone(), violation.reason.clone()))
        .collect()
}

fn told(field: &str, reason: &str) -> (String, String) {
    (field.to_owned(), reason.to_owned())
}

async fn only_what_waits_for_its_payment_can_be_paid_for_and_once(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let free = stages::made(
        world,
        apply(&{
            let row = record(world, gavah_testkit::world::UNIVERSITY);
            stages::put_on_record(world, &row).await;
            row
        }),
    )
    .await;
    assert_eq!(free.state(), A::Issued);
    priced(world).await;
    let waiting = waiting(world).await;
    let good = start(&waiting);
    let mut wrong = good.clone();
    wrong.callback_url = "javascript:alert(1)".to_owned();
    assert_eq!(
        fields(window.start_payment(wrong).await),
        [told("callback_url", "FIELD_FORMAT")]
    );
    let mut wrong = good.clone();
    wrong.applications = vec![
        waiting.name.clone(),
        waiting.name.clone(),
        format!("validityCodeApplications/{}", request_id()),
        "payments/1".to_owned(),
    ];
    wrong.subject_claim = None;
    assert_eq!(
        fields(window.start_payment(wrong).await),
        [
            told("applications[1]", "FIELD_FORMAT"),
            told("applications[2]", "FIELD_FORMAT"),
            told("applications[3]", "FIELD_FORMAT"),
            told("subject_claim", "FIELD_REQUIRED"),
        ]
    );
    let none = pb::StartPaymentRequest {
        applications: Vec::new(),
        ..good.clone()
    };
    assert_eq!(
        fields(window.start_payment(none).await),
        [told("applications", "FIELD_REQUIRED")]
    );

    let answer = window.start_payment(start(&free)).await;
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], "ISSUED");
    let payment = started(&window, &good).await;
    for validate_only in [true, false] {
        let second = pb::StartPaymentRequest {
            validate_only,
            ..start(&waiting)
        };
        let failure = refused(
            window.start_payment(second).await,
            Code::AlreadyExists,
            "OPEN_PAYMENT_EXISTS",
        );
        assert_eq!(failure.metadata["resource"], payment.name);
    }
    let reused = pb::StartPaymentRequest {
        callback_url: "https://other.example/".to_owned(),
        ..good
    };
    let answer = window.start_payment(reused).await;
    refused(answer, Code::AlreadyExists, "REQUEST_ID_REUSED");

    // Money says which rial it is.
    let organization = Peer::of(world, CallerKind::Organization).await;
    let tomorrow = pb::ReconcilePaymentsRequest {
        request_id: request_id(),
        validate_only: false,
        day: Some(date(world.today().plus_days(1))),
        rows: vec![pb::DayFileRow {
            authority: payment.authority.clone(),
            reference: "1".to_owned(),
            amount: Some(pb::Money {
                amount: FEE,
                unit: 0,
            }),
        }],
    };
    assert_eq!(
        fields(organization.reconcile_payments(tomorrow).await),
        [
            told("day", "FIELD_FORMAT"),
            told("rows[0].amount.unit", "MONEY_UNIT_REQUIRED")
        ]
    );
    let mut wrong = refund(&payment, pb::RefundMethod::NotDone, "x");
    wrong.also = vec![waiting.name.clone()];
    wrong.officer = officer();
    assert_eq!(
        fields(organization.refund_payment(wrong).await),
        [
            told("reference", "FIELD_FORMAT"),
            told("also", "FIELD_FORMAT")
        ]
    );
    let nothing = refund(&payment, pb::RefundMethod::Recorded, "R-1");
    let answer = organization.refund_payment(nothing).await;
    refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
}

async fn strangers_neither_pay_nor_look(world: &mut World) {
    priced_codes(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let application = waiting_code(world, &university).await;
    let request = start_codes(std::slice::from_ref(&application));
    let absent = pb::StartPaymentRequest {
        applications: vec![format!("validityCodeApplications/{}", request_id())],
        ..request.clone()
    };
    let absent = refused(
        other.start_payment(absent).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
    );
    let strange = refused(
        other.start_payment(request.clone()).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
    );
    assert_eq!(
        (&absent.message, &absent.metadata.len()),
        (&strange.message, &strange.metadata.len())
    );
    let payment = started(&university, &request).await;
    let read = |subject_claim| pb::GetPaymentRequest {
        name: payment.name.clone(),
        subject_claim,
    };
    let code = Code::NotFound;
    refused(
        other.get_payment(read(None)).await,
        code,
        "RESOURCE_NOT_FOUND",
    );
    let claim = Some(person(&national_code()));
    refused(
        window.get_payment(read(claim)).await,
        code,
        "RESOURCE_NOT_FOUND",
    );
    let answer = other.confirm_payment(confirm(&payment, &request)).await;
    refused(answer, code, "RESOURCE_NOT_FOUND");
    let unknown = pb::RefundPaymentRequest {
        name: format!("payments/{}", request_id()),
        ..refund(&payment, pb::RefundMethod::Recorded, "R-1")
    };
    let organization = Peer::of(world, CallerKind::Organization).await;
    refused(
        organization.refund_payment(unknown).await,
        code,
        "RESOURCE_NOT_FOUND",
    );
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let seen = auditor.get_payment(read(None)).await.unwrap();
    assert_eq!(seen.payment.unwrap().name, payment.name);
}

async fn without_a_gateway_no_payment_is_offered(world: &mut World) {
    priced(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let waiting = waiting(world).await;
    for validate_only in [true, false] {
        let request = pb::StartPaymentRequest {
            validate_only,
            ..start(&waiting)
        };
        let answer = window.start_payment(request).await;
        refused(answer, Code::FailedPrecondition, "PAYMENT_NOT_OFFERED");
    }
}
