//! Records are pushed, codes and a certificate issued.

use gavah_api::v1 as pb;
use gavah_client::Client;
use gavah_domain::{Clock, JalaliDate, SystemClock, ValidityCode};
use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;

use super::{Called, Tell, fields, must_grant, request_id, timestamp};
use crate::demo::people::Person;
use crate::demo::step::Asked;
use crate::world::{UNIVERSITY, WINDOW, current_term};

fn program(person: &Person, institution: &str, level: pb::DegreeLevel) -> pb::Program {
    let year = JalaliDate::of(SystemClock.now()).year();
    pb::Program {
        institution_code: institution.to_owned(),
        unit_name_fa: String::new(),
        student_number: person.student_number(),
        degree_level: level.into(),
        field_code: "D-101".to_owned(),
        field_title_fa: "رشته نمایشی".to_owned(),
        field_title_en: "Sample Studies".to_owned(),
        study_mode: pb::StudyMode::Day.into(),
        entry_term: Some(pb::Term {
            academic_year: year - 2,
            kind: pb::TermKind::First.into(),
        }),
    }
}

pub(super) async fn push_records(
    university: &Client,
    students: &[Person],
    tell: Tell<'_>,
) -> Result<()> {
    let asked = Asked {
        title: "the university pushes its enrollment records",
        caller: UNIVERSITY,
        rpc: "EnrollmentRecordService/BatchUpsertEnrollmentRecords",
    };
    let now = SystemClock.now();
    let record = |person: &Person| pb::EnrollmentRecord {
        subject: Some(person.subject()),
        program: Some(program(
            person,
            "90001",
            pb::DegreeLevel::BachelorContinuous,
        )),
        status: pb::EnrollmentStatus::Studying.into(),
        current_term: Some(current_term(JalaliDate::of(now))),
        registered_units: 18,
        external_ref: format!("demo-{}", person.number),
        as_of_time: timestamp(now),
        ..pb::EnrollmentRecord::default()
    };
    let request = pb::BatchUpsertEnrollmentRecordsRequest {
        request_id: request_id()?,
        validate_only: false,
        records: students.iter().map(record).collect(),
    };
    let called = university
        .call(request, |channel, request| async move {
            channel
                .records()
                .batch_upsert_enrollment_records(request)
                .await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let rows = &reply.message().rows;
    let good = rows
        .iter()
        .filter(|row| row.status.as_ref().is_some_and(|s| s.code == 0))
        .count();
    if good != students.len() {
        return Err(miette!(
            "only {good} of {} records were stored",
            students.len()
        ));
    }
    tell(&asked.answered(&reply, fields(json!({"rows": rows.len(), "stored": good}))))
}

/// A code that was issued.
pub(super) struct Code {
    pub(super) name: String,
    pub(super) code: String,
}

pub(super) fn issue_request(
    person: &Person,
    institution: &str,
    level: pb::DegreeLevel,
) -> Result<pb::IssueValidityCodeRequest> {
    Ok(pb::IssueValidityCodeRequest {
        request_id: request_id()?,
        validate_only: false,
        dispute_action: String::new(),
        subject: Some(person.subject()),
        program: Some(program(person, institution, level)),
        document_kind: pb::DocumentKind::TemporaryCertificate.into(),
        document: Some(pb::Document {
            number: format!("D-{}", person.number),
            gpa_hundredths: Some(1725),
            ..pb::Document::default()
        }),
        prior_qualifications: Vec::new(),
        double_major_declared: false,
        external_ref: format!("demo-{}", person.number),
        attestation: Some(pb::Attestation {
            expert: Some(pb::ActorRef {
                expert: format!("institutions/{institution}/experts/E-1"),
            }),
            statement_version: "1".to_owned(),
            attest_time: timestamp(SystemClock.now()),
        }),
    })
}

pub(super) async fn issue(
    client: &Client,
    request: pb::IssueValidityCodeRequest,
) -> Called<pb::IssueValidityCodeResponse> {
    client
        .call(request, |channel, request| async move {
            channel.validity_codes().issue_validity_code(request).await
        })
        .await
}

pub(super) async fn issue_codes(
    university: &Client,
    students: &[Person],
    tell: Tell<'_>,
) -> Result<(Code, Code)> {
    let [first, second, ..] = students else {
        return Err(miette!("too few students"));
    };
    let level = pb::DegreeLevel::BachelorContinuous;
    let request = issue_request(first, "90001", level)?;
    let asked = Asked {
        title: "the university's expert obtains a validity code in one call",
        caller: UNIVERSITY,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let code = issued(asked, issue(university, request.clone()).await, tell)?;
    let asked = Asked {
        title: "the same request again: the same code, not a second one",
        ..asked
    };
    let again = issued(asked, issue(university, request).await, tell)?;
    if again.code != code.code {
        return Err(miette!("a repeated request was answered with another code"));
    }
    let asked = Asked {
        title: "a code for a second student",
        ..asked
    };
    let request = issue_request(second, "90001", level)?;
    let other = issued(asked, issue(university, request).await, tell)?;
    Ok((code, other))
}

/// Free, but not by silence: the quote names the year's table that has no row.
pub(super) async fn quote(university: &Client, tell: Tell<'_>) -> Result<()> {
    let asked = Asked {
        title: "the university asks what a code costs: free, because the year's published table has no row for it",
        caller: UNIVERSITY,
        rpc: "TariffService/QuoteFee",
    };
    let request = pb::QuoteFeeRequest {
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: "90001".to_owned(),
        ..Default::default()
    };
    let called = university
        .call(request, |channel, request| async move {
            channel.tariffs().quote_fee(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let quote = reply.message().quote.clone().unwrap_or_default();
    if quote.basis() != pb::QuoteBasis::FreeNoTariffRow || quote.fee.is_some() {
        return Err(miette!("{}: it is not free: {quote:?}", asked.title));
    }
    tell(&asked.answered(
        &reply,
        fields(json!({
            "basis": "FREE_NO_TARIFF_ROW",
            "evidence": quote.evidence,
            "tariff_version": quote.tariff_version,
            "digest": quote.digest,
        })),
    ))
}

fn issued(
    asked: Asked,
    called: Called<pb::IssueValidityCodeResponse>,
    tell: Tell<'_>,
) -> Result<Code> {
    let reply = must_grant(asked, called)?;
    let code = reply
        .message()
        .validity_code
        .clone()
        .ok_or_else(|| miette!("no code came back"))?;
    let parsed = ValidityCode::parse(&code.code).into_diagnostic()?;
    let quote = code
        .quote
        .as_ref()
        .map(|quote| quote.evidence.clone())
        .unwrap_or_default();
    tell(&asked.answered(
        &reply,
        fields(
            json!({"name": code.name, "code": parsed.grouped(), "fee": format!("free: {quote}")}),
        ),
    ))?;
    Ok(Code {
        name: code.name,
        code: code.code,
    })
}

pub(super) async fn issue_certificate(
    window: &Client,
    students: &[Person],
    tell: Tell<'_>,
) -> Result<pb::EnrollmentCertificate> {
    let student = students.last().ok_or_else(|| miette!("too few students"))?;
    let asked = Asked {
        title: "the window applies for a student's enrollment certificate, issued at once from the fresh record",
        caller: WINDOW,
        rpc: "EnrollmentCertificateService/CreateEnrollmentCertificateApplication",
    };
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        request_id: request_id()?,
        validate_only: false,
        r#type: pb::ApplicationType::IssueFromRecord.into(),
        window_reference: "demo-application-1".to_owned(),
        subject: Some(student.subject()),
        institution_code: "90001".to_owned(),
        student_number: student.student_number(),
        purpose: pb::Purpose::BankLoan.into(),
        addressee: Some(pb::Addressee {
            name_fa: "بانک نمایشی".to_owned(),
            name_en: String::new(),
        }),
        ..Default::default()
    };
    let called = window
        .call(request, |channel, request| async move {
            channel
                .certificates()
                .create_enrollment_certificate_application(request)
                .await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let certificate = reply.message().enrollment_certificate.clone();
    let certificate = certificate.ok_or_else(|| miette!("no certificate came back"))?;
    let code = ValidityCode::parse(&certificate.code).into_diagnostic()?;
    let until = certificate.valid_until_date.unwrap_or_default();
    tell(&asked.answered(
        &reply,
        fields(json!({
            "name": certificate.name,
            "serial": certificate.serial,
            "code": code.grouped(),
            "valid_until": format!("{}/{:02}/{:02}", until.year, until.month, until.day),
            "signed_bytes": certificate.signed_document.len(),
            "key_id": certificate.key_id,
        })),
    ))?;
    Ok(certificate)
}
