//! A request that costs something, paid for at a gateway that moves no money.

use gavah_api::v1 as pb;
use gavah_gateway::simulator::decide;
use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;

use super::{Called, Callers, Tell, fields, must_grant, request_id};
use crate::demo::people::Person;
use crate::demo::step::Asked;
use crate::world::WINDOW;

/// The student wants the certificate once more, which has a fee: the payment is opened, made and confirmed, and the duplicate
/// is issued.
pub(super) async fn pay(
    callers: &Callers,
    student: &Person,
    certificate: &pb::EnrollmentCertificate,
    tell: Tell<'_>,
) -> Result<()> {
    let window = &callers.window;
    let asked = Asked {
        title: "the window asks for a duplicate, which has a fee in the table: it waits for its payment",
        caller: WINDOW,
        rpc: "EnrollmentCertificateService/CreateEnrollmentCertificateApplication",
    };
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        request_id: request_id()?,
        r#type: pb::ApplicationType::Duplicate.into(),
        window_reference: "demo-application-3".to_owned(),
        subject: Some(student.subject()),
        institution_code: "90001".to_owned(),
        student_number: student.student_number(),
        purpose: pb::Purpose::BankLoan.into(),
        addressee: certificate.addressee.clone(),
        replaces: certificate.name.clone(),
        ..Default::default()
    };
    let called = window
        .call(request, |channel, request| async move {
            let mut client = channel.certificates();
            client
                .create_enrollment_certificate_application(request)
                .await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let application = reply.message().application.clone();
    let application = application.ok_or_else(|| miette!("no application came back"))?;
    let fee = application.quote.as_ref().and_then(|quote| quote.fee);
    let fee = fee.ok_or_else(|| miette!("the duplicate is free"))?;
    tell(&asked.answered(
        &reply,
        fields(json!({
            "name": application.name,
            "state": application.state().as_str_name().trim_start_matches("APPLICATION_STATE_"),
            "fee": format!("{} {}", fee.amount, fee.unit().as_str_name().trim_start_matches("MONEY_UNIT_")),
        })),
    ))?;

    let asked = Asked {
        title: "the window opens a payment and learns where to send the student",
        caller: WINDOW,
        rpc: "PaymentService/StartPayment",
    };
    let request = pb::StartPaymentRequest {
        request_id: request_id()?,
        applications: vec![application.name.clone()],
        callback_url: "http://127.0.0.1:9/paid".to_owned(),
        subject_claim: Some(student.person_id()),
        ..Default::default()
    };
    let called = window
        .call(request, |channel, request| async move {
            channel.payments().start_payment(request).await
        })
        .await;
    let payment = shown(asked, called, |answer| answer.payment.clone(), tell)?;

    // The student's browser.
    decide(&payment.redirect_url, true)
        .await
        .into_diagnostic()?;
    let asked = Asked {
        title: "the student has paid: the service asks the gateway itself, and issues what was paid for",
        caller: WINDOW,
        rpc: "PaymentService/ConfirmPayment",
    };
    let request = pb::ConfirmPaymentRequest {
        request_id: request_id()?,
        name: payment.name,
        subject_claim: Some(student.person_id()),
        ..Default::default()
    };
    let called = window
        .call(request, |channel, request| async move {
            channel.payments().confirm_payment(request).await
        })
        .await;
    let paid = shown(asked, called, |answer| answer.payment.clone(), tell)?;
    let states: Vec<_> = paid.lines.iter().map(pb::PaymentLine::state).collect();
    if states != [pb::PaymentLineState::Used] {
        return Err(miette!("what was paid for is not issued: {states:?}"));
    }
    Ok(())
}

/// Tells an answer by its payment.
fn shown<T>(
    asked: Asked,
    called: Called<T>,
    payment: impl FnOnce(&T) -> Option<pb::Payment>,
    tell: Tell<'_>,
) -> Result<pb::Payment> {
    let reply = must_grant(asked, called)?;
    let payment = payment(reply.message()).ok_or_else(|| miette!("no payment came back"))?;
    let state = payment.state().as_str_name();
    let lines = payment.lines.iter().map(|line| {
        let state = line.state().as_str_name();
        state.trim_start_matches("PAYMENT_LINE_STATE_").to_owned()
    });
    let mut told = json!({
        "name": payment.name,
        "state": state.trim_start_matches("PAYMENT_STATE_"),
        "lines": lines.collect::<Vec<_>>(),
    });
    for (field, text) in [
        ("redirect_url", &payment.redirect_url),
        ("reference", &payment.reference),
    ] {
        if !text.is_empty() {
            told[field] = text.clone().into();
        }
    }
    tell(&asked.answered(&reply, fields(told)))?;
    Ok(payment)
}
