//! The story: real callers over real mutual TLS, each answer held against what
//! it must be.

use gavah_api::v1 as pb;
use gavah_client::{Client, Failure, Reply};
use gavah_domain::{
    Clock, CodeScheme, JalaliDate, SystemClock, SystemEntropy, ValidityCode, new_uuid,
};
use jiff::Timestamp;
use miette::{IntoDiagnostic, Result, miette};
use serde_json::{Map, Value, json};

use super::people::{Person, people};
use super::step::{Asked, Step};
use super::world::{HUB, INELIGIBLE, INSTITUTIONS, ORGANIZATION, UNIVERSITY, WINDOW, World};

/// Made-up students of the demo.
const STUDENTS: u32 = 300;

/// Tells every step as it happens.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(&Step) -> Result<()> + Send);

/// What the story leaves behind, for trying on.
pub(crate) struct Told {
    /// A code that validates.
    pub(crate) valid_code: String,
}

/// The callers of the story.
struct Callers {
    organization: Client,
    university: Client,
    ineligible: Client,
    window: Client,
    hub: Client,
}

type Called<T> = std::result::Result<Reply<T>, Box<Failure>>;

fn request_id() -> Result<String> {
    Ok(new_uuid(SystemClock.now(), &SystemEntropy)
        .into_diagnostic()?
        .to_string())
}

fn timestamp(instant: Timestamp) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: instant.as_second(),
        nanos: instant.subsec_nanosecond(),
    })
}

/// The fields of a JSON object literal.
fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// An answer that must be a refusal with this reason.
fn must_refuse<T>(asked: Asked, called: Called<T>, reason: &str) -> Result<Step> {
    match called {
        Ok(_) => Err(miette!("{}: expected {reason}, was granted", asked.title)),
        Err(failure) if failure.reason.as_deref() == Some(reason) => Ok(asked.refused(&failure)),
        Err(failure) => Err(miette!("{}: expected {reason}, got {failure}", asked.title)),
    }
}

/// An answer that must be granted.
fn must_grant<T>(asked: Asked, called: Called<T>) -> Result<Reply<T>> {
    called.map_err(|failure| miette!("{}: {failure}", asked.title))
}

/// Plays the story against the server at `port`.
pub(crate) async fn play(world: &World, port: u16, tell: Tell<'_>) -> Result<Told> {
    let students = people(STUDENTS);
    let callers = register(world, port, tell).await?;
    push_records(&callers.university, &students, tell).await?;
    let (first, second) = issue_codes(&callers.university, &students, tell).await?;
    validate(
        &callers.hub,
        "the hub asks whether the code is good",
        &first.code,
        "OK",
        tell,
    )
    .await?;
    let certificate = issue_certificate(&callers.window, &students, tell).await?;
    validate(
        &callers.hub,
        "the hub asks whether the certificate is good",
        &certificate,
        "OK",
        tell,
    )
    .await?;
    doubtful_codes(&callers.hub, &first.code, tell).await?;
    revoke(&callers, &second, tell).await?;
    refusals(&callers, &students, tell).await?;
    Ok(Told {
        valid_code: first.code,
    })
}

/// The Organization registers institutions, experts and callers.
async fn register(world: &World, port: u16, tell: Tell<'_>) -> Result<Callers> {
    let organization = world.client(&world.first_identity(), port).await?;
    let asked = Asked {
        title: "the Organization's system asks who it is",
        caller: ORGANIZATION,
        rpc: "RegistryService/WhoAmI",
    };
    let called = organization
        .call(pb::WhoAmIRequest {}, |channel, request| async move {
            channel.registry().who_am_i(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let me = reply.message();
    let class = me
        .caller
        .as_ref()
        .map(|caller| caller.caller_class().as_str_name());
    tell(&asked.answered(
        &reply,
        fields(json!({
            "class": class.unwrap_or_default().trim_start_matches("CALLER_CLASS_"),
            "certificate_days_to_expiry": me.certificate_days_to_expiry,
            "callable_methods": me.callable_methods.len(),
        })),
    ))?;
    register_institutions(&organization, tell).await?;
    let university = register_caller(
        world,
        port,
        &organization,
        UNIVERSITY,
        "UNIVERSITY",
        "90001",
    );
    let university = university.await?;
    let ineligible = register_caller(
        world,
        port,
        &organization,
        INELIGIBLE,
        "UNIVERSITY",
        "90006",
    );
    let ineligible = ineligible.await?;
    let window = register_caller(world, port, &organization, WINDOW, "SINGLE_WINDOW", "").await?;
    let hub = register_caller(world, port, &organization, HUB, "NATIONAL_HUB", "").await?;
    for (_, step) in [&university, &ineligible, &window, &hub] {
        tell(step)?;
    }
    Ok(Callers {
        organization,
        university: university.0,
        ineligible: ineligible.0,
        window: window.0,
        hub: hub.0,
    })
}

async fn register_institutions(organization: &Client, tell: Tell<'_>) -> Result<()> {
    for (code, kind, name_fa, name_en) in INSTITUTIONS {
        let asked = Asked {
            title: "the Organization registers an institution",
            caller: ORGANIZATION,
            rpc: "RegistryService/CreateInstitution",
        };
        let kind_number = pb::InstitutionType::from_str_name(&format!("INSTITUTION_TYPE_{kind}"));
        let request = pb::CreateInstitutionRequest {
            request_id: request_id()?,
            validate_only: false,
            institution: Some(pb::Institution {
                institution_code: code.to_owned(),
                r#type: kind_number.unwrap_or_default().into(),
                name_fa: name_fa.to_owned(),
                name_en: name_en.to_owned(),
                state: pb::InstitutionState::Active.into(),
                ..pb::Institution::default()
            }),
        };
        let called = organization
            .call(request, |channel, request| async move {
                channel.registry().create_institution(request).await
            })
            .await;
        let reply = must_grant(asked, called)?;
        let made =
            json!({"name": format!("institutions/{code}"), "type": kind, "name_fa": name_fa});
        tell(&asked.answered(&reply, fields(made)))?;
    }
    for code in ["90001", "90006"] {
        let asked = Asked {
            title: "the Organization registers an expert of the institution",
            caller: ORGANIZATION,
            rpc: "RegistryService/CreateExpert",
        };
        let request = pb::CreateExpertRequest {
            request_id: request_id()?,
            validate_only: false,
            expert: Some(pb::Expert {
                institution_code: code.to_owned(),
                expert_code: "E-1".to_owned(),
                display_name_fa: "کارشناس نمایشی".to_owned(),
                state: pb::ExpertState::Active.into(),
                ..pb::Expert::default()
            }),
        };
        let called = organization
            .call(request, |channel, request| async move {
                channel.registry().create_expert(request).await
            })
            .await;
        let reply = must_grant(asked, called)?;
        let made = json!({"name": format!("institutions/{code}/experts/E-1")});
        tell(&asked.answered(&reply, fields(made)))?;
    }
    Ok(())
}

async fn register_caller(
    world: &World,
    port: u16,
    organization: &Client,
    id: &'static str,
    class: &'static str,
    institution: &str,
) -> Result<(Client, Step)> {
    let asked = Asked {
        title: "the Organization registers a caller with its client certificate",
        caller: ORGANIZATION,
        rpc: "RegistryService/CreateCaller",
    };
    let identity = world.identity(id)?;
    let class_number = pb::CallerClass::from_str_name(&format!("CALLER_CLASS_{class}"));
    let request = pb::CreateCallerRequest {
        request_id: request_id()?,
        validate_only: false,
        caller: Some(pb::Caller {
            caller_id: id.to_owned(),
            caller_class: class_number.unwrap_or_default().into(),
            institution_code: institution.to_owned(),
            display_name: format!("{id} (synthetic)"),
            state: pb::CallerState::Active.into(),
            ..pb::Caller::default()
        }),
        certificate_fingerprint: identity.fingerprint.clone(),
    };
    let called = organization
        .call(request, |channel, request| async move {
            channel.registry().create_caller(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let made =
        json!({"name": format!("callers/{id}"), "class": class, "institution_code": institution});
    let step = asked.answered(&reply, fields(made));
    Ok((world.client(&identity, port).await?, step))
}

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

/// The term of the demo's reference data in which a day lies.
fn current_term(today: JalaliDate) -> pb::Term {
    let (year, day) = (today.year(), today.as_i32() % 10_000);
    let (academic_year, kind) = match day {
        ..=415 => (year - 1, pb::TermKind::Second),
        416..=631 => (year - 1, pb::TermKind::Summer),
        632..=1115 => (year, pb::TermKind::First),
        _ => (year, pb::TermKind::Second),
    };
    pb::Term {
        academic_year,
        kind: kind.into(),
    }
}

async fn push_records(university: &Client, students: &[Person], tell: Tell<'_>) -> Result<()> {
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
struct Code {
    name: String,
    code: String,
}

fn issue_request(
    person: &Person,
    institution: &str,
    level: pb::DegreeLevel,
) -> Result<pb::IssueValidityCodeRequest> {
    Ok(pb::IssueValidityCodeRequest {
        request_id: request_id()?,
        validate_only: false,
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

async fn issue(
    client: &Client,
    request: pb::IssueValidityCodeRequest,
) -> Called<pb::IssueValidityCodeResponse> {
    client
        .call(request, |channel, request| async move {
            channel.validity_codes().issue_validity_code(request).await
        })
        .await
}

async fn issue_codes(
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

async fn validate(
    hub: &Client,
    title: &'static str,
    code: &str,
    reason: &str,
    tell: Tell<'_>,
) -> Result<()> {
    let asked = Asked {
        title,
        caller: HUB,
        rpc: "ValidationService/ValidateCode",
    };
    let request = pb::ValidateCodeRequest {
        code: code.to_owned(),
        subject_claim: None,
    };
    let called = hub
        .call(request, |channel, request| async move {
            channel.validation().validate_code(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let verdict = reply
        .message()
        .verdict
        .clone()
        .ok_or_else(|| miette!("no verdict came back"))?;
    let got = verdict
        .reason()
        .as_str_name()
        .trim_start_matches("VERDICT_REASON_")
        .to_owned();
    if got != reason {
        return Err(miette!("{title}: expected {reason}, got {got}"));
    }
    let document = verdict.document.clone().unwrap_or_default();
    let mut step = asked.answered(
        &reply,
        fields(json!({
            "explanation_en": verdict.explanation_en,
            "explanation_fa": verdict.explanation_fa,
            "institution": document.institution_name_fa,
            "subject": document.subject_name_fa,
        })),
    );
    step.outcome = verdict
        .outcome()
        .as_str_name()
        .trim_start_matches("OUTCOME_")
        .to_owned();
    step.reason = got;
    tell(&step)
}

async fn issue_certificate(window: &Client, students: &[Person], tell: Tell<'_>) -> Result<String> {
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
    Ok(certificate.code)
}

async fn doubtful_codes(hub: &Client, good: &str, tell: Tell<'_>) -> Result<()> {
    // The fifth digit, one further: what a slip of the finger does.
    let typo: String = good
        .char_indices()
        .map(|(index, digit)| match (index, digit) {
            (4, '9') => '0',
            (4, digit) => char::from_u32(u32::from(digit) + 1).unwrap_or('0'),
            (_, digit) => digit,
        })
        .collect();
    validate(
        hub,
        "a typing error is told apart",
        &typo,
        "CHECK_DIGIT",
        tell,
    )
    .await?;
    let unknown = ValidityCode::draw(CodeScheme::ValidityCode, &SystemEntropy).into_diagnostic()?;
    validate(
        hub,
        "a well-formed code that nobody issued",
        unknown.as_str(),
        "NOT_FOUND",
        tell,
    )
    .await
}

async fn revoke(callers: &Callers, code: &Code, tell: Tell<'_>) -> Result<()> {
    let asked = Asked {
        title: "the Organization revokes a code that was issued in error",
        caller: ORGANIZATION,
        rpc: "ValidityCodeService/RevokeValidityCode",
    };
    let request = pb::RevokeValidityCodeRequest {
        request_id: request_id()?,
        validate_only: false,
        name: code.name.clone(),
        reason: pb::RevocationReason::IssuedInError.into(),
        legal_basis: String::new(),
        etag: String::new(),
    };
    let called = callers
        .organization
        .call(request, |channel, request| async move {
            channel.validity_codes().revoke_validity_code(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    tell(&asked.answered(
        &reply,
        fields(json!({"name": code.name, "state": "REVOKED"})),
    ))?;
    validate(
        &callers.hub,
        "and it stops validating at once",
        &code.code,
        "REVOKED",
        tell,
    )
    .await
}

async fn refusals(callers: &Callers, students: &[Person], tell: Tell<'_>) -> Result<()> {
    let [.., third] = students else {
        return Err(miette!("too few students"));
    };
    let asked = Asked {
        title: "a known university of a type the service is not open to",
        caller: INELIGIBLE,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let request = issue_request(third, "90006", pb::DegreeLevel::BachelorContinuous)?;
    let called = issue(&callers.ineligible, request).await;
    tell(&must_refuse(
        asked,
        called,
        "INSTITUTION_TYPE_NOT_ELIGIBLE",
    )?)?;

    let asked = Asked {
        title: "a doctorate whose previous level is not proven",
        caller: UNIVERSITY,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let request = issue_request(third, "90001", pb::DegreeLevel::Phd)?;
    let called = issue(&callers.university, request).await;
    tell(&must_refuse(asked, called, "PRIOR_QUALIFICATION_MISSING")?)?;

    let asked = Asked {
        title: "the hub may validate, not issue",
        caller: HUB,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let request = issue_request(third, "90001", pb::DegreeLevel::BachelorContinuous)?;
    let called = issue(&callers.hub, request).await;
    tell(&must_refuse(asked, called, "METHOD_NOT_ALLOWED_FOR_CLASS")?)?;

    let asked = Asked {
        title: "a message full of mistakes: all of them at once",
        caller: UNIVERSITY,
        rpc: "ValidityCodeService/IssueValidityCode",
    };
    let mut request = issue_request(third, "90001", pb::DegreeLevel::Unspecified)?;
    request.subject = Some(pb::Subject {
        person_id: Some(pb::PersonId {
            id: Some(pb::person_id::Id::NationalCode("1111111111".to_owned())),
        }),
        ..third.subject()
    });
    match issue(&callers.university, request).await {
        Err(failure) if failure.violations.len() >= 2 => {
            let mut step = asked.refused(&failure);
            for violation in &failure.violations {
                step.fields
                    .insert(violation.field.clone(), violation.reason.as_str().into());
            }
            tell(&step)
        }
        Err(failure) => Err(miette!("{}: {failure}", asked.title)),
        Ok(_) => Err(miette!("{}: was granted", asked.title)),
    }
}
