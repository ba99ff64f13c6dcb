//! Enrollment certificates: apply and issue at once; reading and changing them is
//! in [`read`].

pub mod read;

use std::sync::Arc;

use gavah_domain::certificate::{Serial, valid_until};
use gavah_domain::institution::Institution;
use gavah_domain::record::{EnrollmentRecord, auto_confirm};
use gavah_domain::service::ServiceKind;
use gavah_domain::{CodeScheme, DisplayText, JalaliDate, Reason, ValidityCode};
use gavah_evidence::CertificatePayload;
use gavah_evidence::certificate_payload::PAYLOAD_VERSION;
use gavah_store::{
    ActContext, CertificateContent, Intent, Issue, IssueCertificate, Recorded, StoredApplication,
    StoredCertificate,
};
use jiff::{SignedDuration, Timestamp};
use tracing::Instrument;
use uuid::Uuid;

use super::recovery::resume;
use super::{App, context, earlier, terms};
use crate::call::Call;
use crate::convert::certificate::CreateApplicationInput;
use crate::convert::names::Collection;
use crate::error::{AppError, Refusal};

/// How long the run that recorded an intent has it for itself.
pub(super) const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// How often another code is drawn when the drawn one is taken.
const DRAWS: usize = 3;

/// An application with its certificate.
#[derive(Debug)]
pub struct Issued {
    /// The application.
    pub application: StoredApplication,
    /// The certificate; unset when the application was cancelled.
    pub certificate: Option<StoredCertificate>,
}

/// What a certificate is issued from.
struct Prepared {
    content: CertificateContent,
    institution_name_fa: String,
    open_key: String,
    issue_time: Timestamp,
    expire_time: Timestamp,
    subject_hash: String,
}

/// Applies for a certificate and issues it at once; `None` when only checking.
/// The work goes on to its end when the caller goes away.
///
/// # Errors
///
/// Refusals by the guards; nothing is created then. [`AppError::Store`].
pub async fn apply(
    app: &Arc<App>,
    call: &Call,
    input: CreateApplicationInput,
) -> Result<Option<Issued>, AppError> {
    let home = app.home.clone();
    let (app, call) = (Arc::clone(app), call.clone());
    // In the call's span: a task of its own would begin a trace of its own.
    let work = async move { apply_to_the_end(&app, &call, input).await };
    home.spawn(work.in_current_span())
        .await
        .map_err(|_| AppError::Internal("issuing a certificate panicked"))?
}

async fn apply_to_the_end(
    app: &App,
    call: &Call,
    input: CreateApplicationInput,
) -> Result<Option<Issued>, AppError> {
    let now = app.clock.now();
    let context = context(call, &input.head, None, now);
    let prepared = match prepare(app, call, &input, now).await {
        Ok(prepared) => prepared,
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            let id = Collection::EnrollmentCertificates
                .parse(&resource)
                .map_err(|_| AppError::Internal("a claim names no certificate"))?;
            return issued(app, call, &context, id).await.map(Some);
        }
    };
    if input.head.validate_only {
        if app
            .store_for(call)
            .application_open(&prepared.open_key)
            .await?
        {
            return Err(Reason::OpenApplicationExists.into());
        }
        return Ok(None);
    }
    let id = match record(app, call, &context, &prepared).await? {
        Intent::Recorded(recorded) => {
            let id = recorded.id();
            sign_and_finish(app, &context, recorded).await?;
            id
        }
        Intent::Earlier(id) => id,
    };
    issued(app, call, &context, id).await.map(Some)
}

/// Everything that can be decided before the first transaction.
async fn prepare(
    app: &App,
    call: &Call,
    input: &CreateApplicationInput,
    now: Timestamp,
) -> Result<Prepared, AppError> {
    let institution = call
        .snapshot
        .institution(input.institution.as_str())
        .map(|stored| &stored.institution)
        .ok_or(Reason::EnrollmentRecordNotFound)?;
    let request_type = input.request_type.as_str();
    let terms = terms(
        call,
        ServiceKind::EnrollmentCertificate,
        request_type,
        institution,
        now,
    )?;
    let record = app
        .store_for(call)
        .find_record(institution.code.as_str(), input.student_number.as_str())
        .await?
        .map(|stored| stored.record)
        .filter(|record| record.subject.person_id == input.subject.person_id)
        .ok_or(Reason::EnrollmentRecordNotFound)?;
    let today = JalaliDate::of(now);
    let term = call.snapshot.terms.current(today)?;
    let max_age = terms.workflow.max_record_age();
    auto_confirm(&record, &input.subject.name, now, max_age, term.id)?;
    let last_day = valid_until(
        term.end,
        today,
        terms.workflow.certificate_extra_days,
        terms.workflow.certificate_max_months,
    );
    if last_day < today {
        // Between terms, too long after the one on record.
        return Err(Reason::EnrollmentNotActive.into());
    }
    Ok(Prepared {
        open_key: open_key(&record, input, institution),
        institution_name_fa: institution.name_fa.clone(),
        content: CertificateContent {
            request_type: input.request_type,
            window_reference: input.window_reference.clone(),
            subject: record.subject.clone(),
            program: record.program.clone(),
            term: term.id,
            purpose: input.purpose,
            addressee_fa: input.addressee_fa.clone(),
            addressee_en: input.addressee_en.clone(),
            valid_until: last_day,
            quote: terms.quote,
            workflow_version: terms.workflow.id.clone(),
        },
        issue_time: now,
        expire_time: last_day.end_exclusive(),
        subject_hash: app.subject_hash(&input.subject.person_id),
    })
}

/// One open application for each person, programme, type and addressee.
fn open_key(
    record: &EnrollmentRecord,
    input: &CreateApplicationInput,
    institution: &Institution,
) -> String {
    let addressee = DisplayText::parse(&input.addressee_fa, usize::MAX)
        .map(|text| text.match_key().as_str().to_owned())
        .unwrap_or_default();
    format!(
        "{}/{}/{}/{}/{addressee}",
        record.subject.person_id.key(),
        institution.code.as_str(),
        record.program.student_number.as_str(),
        input.request_type,
    )
}

async fn record(
    app: &App,
    call: &Call,
    context: &ActContext,
    prepared: &Prepared,
) -> Result<Intent, AppError> {
    let store = app.store_for(call);
    let now = prepared.issue_time;
    let lease_until = now
        .checked_add(LEASE)
        .map_err(|_| AppError::Internal("the clock is past the calendar"))?;
    for _ in 0..DRAWS {
        let id = app.new_id(now)?;
        let code = ValidityCode::draw(CodeScheme::EnrollmentCertificate, &*app.entropy)
            .map_err(|_| AppError::Internal("no randomness for a code"))?;
        let issue = IssueCertificate {
            id,
            application_id: app.new_id(now)?,
            code,
            open_key: prepared.open_key.clone(),
            content: prepared.content.clone(),
            issue_time: now,
            expire_time: prepared.expire_time,
            key_id: app.signer.key_id().to_owned(),
            payload: &|serial| payload(prepared, id, &code, serial),
            lease_owner: app.run,
            lease_until,
            subject_hash: prepared.subject_hash.clone(),
        };
        match store.record_intent(context, &issue).await? {
            Issue::Issued(intent) | Issue::Replayed(intent) => return Ok(intent),
            Issue::RequestIdReused => return Err(Reason::RequestIdReused.into()),
            Issue::AlreadyIssued { id } => {
                let name = Collection::EnrollmentCertificateApplications.name(id);
                let refusal = Refusal::new(Reason::OpenApplicationExists).with("resource", name);
                return Err(refusal.into());
            }
            Issue::CodeTaken => {}
            Issue::ExpertNotActive => {
                return Err(AppError::Internal("a certificate has no expert"));
            }
        }
    }
    Err(AppError::Internal("every drawn code was taken"))
}

fn payload(prepared: &Prepared, id: Uuid, code: &ValidityCode, serial: Serial) -> Option<Vec<u8>> {
    let content = &prepared.content;
    let name = &content.subject.name;
    let name_en = name.given_en().zip(name.family_en());
    CertificatePayload {
        version: PAYLOAD_VERSION,
        certificate_id: *id.as_bytes(),
        serial: serial.to_string(),
        code: code.as_str().to_owned(),
        institution_code: content.program.institution.as_str().to_owned(),
        institution_name_fa: prepared.institution_name_fa.clone(),
        subject_key: content.subject.person_id.key(),
        name_fa: name.full_fa(),
        name_en: name_en.map(|(given, family)| format!("{} {}", given.as_str(), family.as_str())),
        student_number: content.program.student_number.as_str().to_owned(),
        degree_level: content.program.level.as_str().to_owned(),
        field_title_fa: content.program.field_title_fa.as_str().to_owned(),
        study_mode: content.program.study_mode.as_str().to_owned(),
        term: content.term.to_string(),
        purpose: content.purpose.as_str().to_owned(),
        addressee_fa: content.addressee_fa.clone(),
        addressee_en: content.addressee_en.clone(),
        issue_time_micros: prepared.issue_time.as_microsecond(),
        valid_from_micros: prepared.issue_time.as_microsecond(),
        valid_until: content.valid_until.to_string(),
        valid_until_micros: prepared.expire_time.as_microsecond(),
        workflow_version: content.workflow_version.clone(),
    }
    .encode()
    .ok()
}

/// Signs outside any transaction and records the result. Past this point the
/// caller's deadline no longer counts: the intent is on record.
pub(super) async fn sign_and_finish(
    app: &App,
    context: &ActContext,
    recorded: Recorded,
) -> Result<StoredCertificate, AppError> {
    if recorded.key_id() != app.signer.key_id() {
        return Err(AppError::Internal("an intent names another signing key"));
    }
    let signed = recorded
        .sign_with(|payload| app.signer.sign(payload))
        .map_err(|_| AppError::Internal("the signing key refused"))?;
    Ok(app.store.finish_certificate(context, &signed).await?)
}

/// An application with its certificate. One that an earlier call recorded and did
/// not come to sign is settled now, by the same guards as in recovery.
async fn issued(
    app: &App,
    call: &Call,
    context: &ActContext,
    id: Uuid,
) -> Result<Issued, AppError> {
    let missing = AppError::Internal("a claimed certificate is missing");
    let mut certificate = app.store.certificate(id).await?.ok_or(missing.clone())?;
    if certificate.signed_document.is_none() {
        resume(app, context, &certificate).await?;
        certificate = app.store.certificate(id).await?.ok_or(missing.clone())?;
    }
    let application = app
        .store_for(call)
        .application(certificate.application_id)
        .await?;
    Ok(Issued {
        application: application.ok_or(missing)?,
        certificate: certificate.signed_document.is_some().then_some(certificate),
    })
}
