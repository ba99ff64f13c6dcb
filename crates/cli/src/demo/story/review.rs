//! Applications that somebody at the university looks at.

use gavah_api::v1 as pb;
use gavah_client::Client;
use miette::{Result, miette};
use serde_json::json;

use super::{Called, Callers, Tell, fields, must_grant, request_id};
use crate::demo::people::Person;
use crate::demo::step::Asked;
use crate::world::{UNIVERSITY, WINDOW};

/// The university's expert.
const EXPERT: &str = "institutions/90001/experts/E-1";

type Application = pb::EnrollmentCertificateApplication;

/// A window's mistake is returned with a remark, corrected, handed in again and issued; a paper is confirmed.
pub(super) async fn reviewed(callers: &Callers, students: &[Person], tell: Tell<'_>) -> Result<()> {
    let [expert, student, holder, ..] = students else {
        return Err(miette!("too few students"));
    };
    let (window, university) = (&callers.window, &callers.university);
    let mistaken = pb::Subject {
        name: Some(pb::PersonName {
            given_name_fa: "اشتباه".to_owned(),
            ..student.subject().name.unwrap_or_default()
        }),
        ..student.subject()
    };
    let asked = Asked {
        title: "the window applies under a name that the record does not bear out: the university reviews",
        caller: WINDOW,
        rpc: "EnrollmentCertificateService/CreateEnrollmentCertificateApplication",
    };
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        subject: Some(mistaken),
        ..apply(student)?
    };
    let application = applied(asked, window, request, tell).await?;

    let asked = Asked {
        title: "the university's expert returns it with a remark on the field",
        caller: UNIVERSITY,
        rpc: "EnrollmentCertificateService/RecordUniversityDecision",
    };
    let returned = pb::RecordUniversityDecisionRequest {
        remarks: vec![pb::Remark {
            field: "subject.name.given_name_fa".to_owned(),
            text: "نام با سابقهٔ دانشجو یکی نیست".to_owned(),
        }],
        ..decision(&application, pb::UniversityDecision::Return, expert)?
    };
    let application = decided(asked, university, returned, tell).await?;

    let asked = Asked {
        title: "the window corrects the name",
        caller: WINDOW,
        rpc: "EnrollmentCertificateService/UpdateEnrollmentCertificateApplication",
    };
    let request = pb::UpdateEnrollmentCertificateApplicationRequest {
        request_id: request_id()?,
        validate_only: false,
        name: application.name.clone(),
        etag: application.etag.clone(),
        subject: Some(student.subject()),
        purpose: application.purpose,
        addressee: application.addressee.clone(),
        attachments: Vec::new(),
        existing_document: None,
    };
    let called = window
        .call(request, |channel, request| async move {
            let mut client = channel.certificates();
            client
                .update_enrollment_certificate_application(request)
                .await
        })
        .await;
    shown(asked, called, |answer| answer.application.clone(), tell)?;

    let asked = Asked {
        title: "and hands it in again: now the fresh record confirms it and the certificate is issued",
        caller: WINDOW,
        rpc: "EnrollmentCertificateService/SubmitEnrollmentCertificateApplication",
    };
    let request = pb::SubmitEnrollmentCertificateApplicationRequest {
        request_id: request_id()?,
        validate_only: false,
        name: application.name.clone(),
        etag: String::new(),
        subject_claim: Some(student.person_id()),
    };
    let called = window
        .call(request, |channel, request| async move {
            let mut client = channel.certificates();
            client
                .submit_enrollment_certificate_application(request)
                .await
        })
        .await;
    let issued = shown(asked, called, |answer| answer.application.clone(), tell)?;
    must_be(&issued, pb::ApplicationState::Issued)?;

    let asked = Asked {
        title: "the window asks to confirm a certificate that exists on paper: somebody must look at it",
        caller: WINDOW,
        rpc: "EnrollmentCertificateService/CreateEnrollmentCertificateApplication",
    };
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        r#type: pb::ApplicationType::ConfirmExisting.into(),
        existing_document: Some(pb::ExistingDocument {
            number: "D-1404-17".to_owned(),
            issue_date: Some(pb::JalaliDate {
                year: 1404,
                month: 8,
                day: 12,
            }),
        }),
        ..apply(holder)?
    };
    let application = applied(asked, window, request, tell).await?;
    let asked = Asked {
        title: "the expert confirms the paper and a certificate that names it is issued",
        caller: UNIVERSITY,
        rpc: "EnrollmentCertificateService/RecordUniversityDecision",
    };
    let confirmed = decision(&application, pb::UniversityDecision::Confirm, expert)?;
    let issued = decided(asked, university, confirmed, tell).await?;
    must_be(&issued, pb::ApplicationState::Issued)
}

fn must_be(application: &Application, state: pb::ApplicationState) -> Result<()> {
    if application.state() == state {
        Ok(())
    } else {
        Err(miette!(
            "{} is {}",
            application.name,
            application.state().as_str_name()
        ))
    }
}

fn apply(student: &Person) -> Result<pb::CreateEnrollmentCertificateApplicationRequest> {
    Ok(pb::CreateEnrollmentCertificateApplicationRequest {
        request_id: request_id()?,
        r#type: pb::ApplicationType::IssueFromRecord.into(),
        window_reference: "demo-application-2".to_owned(),
        subject: Some(student.subject()),
        institution_code: "90001".to_owned(),
        student_number: student.student_number(),
        purpose: pb::Purpose::Embassy.into(),
        addressee: Some(pb::Addressee {
            name_fa: "سفارت نمایشی".to_owned(),
            name_en: "Demo embassy".to_owned(),
        }),
        ..Default::default()
    })
}

/// The expert is one of the made-up people, not the student.
fn decision(
    application: &Application,
    decision: pb::UniversityDecision,
    expert: &Person,
) -> Result<pb::RecordUniversityDecisionRequest> {
    Ok(pb::RecordUniversityDecisionRequest {
        request_id: request_id()?,
        name: application.name.clone(),
        etag: application.etag.clone(),
        decision: decision.into(),
        decider: Some(pb::Decider {
            actor: EXPERT.to_owned(),
            person_id: Some(expert.person_id()),
        }),
        ..Default::default()
    })
}

async fn applied(
    asked: Asked,
    window: &Client,
    request: pb::CreateEnrollmentCertificateApplicationRequest,
    tell: Tell<'_>,
) -> Result<Application> {
    let called = window
        .call(request, |channel, request| async move {
            let mut client = channel.certificates();
            client
                .create_enrollment_certificate_application(request)
                .await
        })
        .await;
    let application = shown(asked, called, |answer| answer.application.clone(), tell)?;
    must_be(&application, pb::ApplicationState::UniversityReview)?;
    Ok(application)
}

async fn decided(
    asked: Asked,
    university: &Client,
    decision: pb::RecordUniversityDecisionRequest,
    tell: Tell<'_>,
) -> Result<Application> {
    let called = university
        .call(decision, |channel, decision| async move {
            channel
                .certificates()
                .record_university_decision(decision)
                .await
        })
        .await;
    shown(asked, called, |answer| answer.application.clone(), tell)
}

/// Tells an answer by its application.
fn shown<T>(
    asked: Asked,
    called: Called<T>,
    application: impl FnOnce(&T) -> Option<Application>,
    tell: Tell<'_>,
) -> Result<Application> {
    let reply = must_grant(asked, called)?;
    let application = application(reply.message());
    let application = application.ok_or_else(|| miette!("no application came back"))?;
    let state = application.state().as_str_name();
    let last = application.history.last().cloned().unwrap_or_default();
    let mut told = json!({
        "name": application.name,
        "state": state.trim_start_matches("APPLICATION_STATE_"),
    });
    if !last.reason.is_empty() {
        told["why"] = last.reason.into();
    }
    if let [remark] = &last.remarks[..] {
        told["remark"] = format!("{}: {}", remark.field, remark.text).into();
    }
    if !application.enrollment_certificate.is_empty() {
        told["certificate"] = application.enrollment_certificate.clone().into();
    }
    tell(&asked.answered(&reply, fields(told)))?;
    Ok(application)
}
