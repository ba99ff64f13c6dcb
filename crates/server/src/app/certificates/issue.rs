//! The issuing order that never changes: record the intent with the exact bytes, sign
//! outside any transaction, record the result.

use gavah_domain::certificate::{ApplicationState, Serial};
use gavah_domain::{CodeScheme, Reason, ValidityCode};
use gavah_evidence::CertificatePayload;
use gavah_evidence::certificate_payload::PAYLOAD_VERSION;
use gavah_store::{
    ActContext, ApplicationChange, Intent, IssueCertificate, Recorded, StoredApplication,
    StoredCertificate,
};
use jiff::SignedDuration;
use uuid::Uuid;

use super::prepare::Prepared;
use crate::app::App;
use crate::app::recovery::resume;
use crate::call::Acting;
use crate::convert::names::Collection;
use crate::error::{AppError, Refusal};

/// How long the run that recorded an intent has it for itself.
pub(in crate::app) const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// How often another code is drawn when the drawn one is taken.
const DRAWS: usize = 3;

/// An application with its certificate.
#[derive(Debug)]
pub struct Issued {
    /// The application.
    pub application: StoredApplication,
    /// The certificate; unset unless it is issued.
    pub certificate: Option<StoredCertificate>,
}

/// The application that a certificate is issued for.
pub(super) enum For<'a> {
    /// One that is made and decided in this call, under its key.
    Once(String),
    /// One that was, or in this call is, decided in stages.
    Staged(&'a ApplicationChange),
}

/// Issues a certificate; `None` when the application has moved since it was read.
pub(super) async fn issue(
    app: &App,
    call: &Acting,
    context: &ActContext,
    application: &For<'_>,
    prepared: &Prepared,
) -> Result<Option<Issued>, AppError> {
    Ok(
        match record(app, call, context, application, prepared).await? {
            Intent::Recorded(recorded) => {
                let id = recorded.id();
                sign_and_finish(app, context, recorded, &prepared.subject_hash).await?;
                Some(issued(app, call, context, id).await?)
            }
            Intent::Earlier(resource) => Some(stands_for(app, call, context, &resource).await?),
            Intent::Moved => None,
            Intent::AttachmentMissing => return Err(Reason::ResourceNotFound.into()),
            Intent::RequestIdReused => return Err(Reason::RequestIdReused.into()),
            Intent::OpenExists(id) => return Err(open_exists(id)),
            Intent::CodeTaken => return Err(AppError::Internal("every drawn code was taken")),
        },
    )
}

pub(super) fn open_exists(id: Uuid) -> AppError {
    let name = Collection::EnrollmentCertificateApplications.name(id);
    Refusal::new(Reason::OpenApplicationExists)
        .with("resource", name)
        .into()
}

async fn record(
    app: &App,
    call: &Acting,
    context: &ActContext,
    application: &For<'_>,
    prepared: &Prepared,
) -> Result<Intent, AppError> {
    let store = app.store_for(call);
    let now = prepared.issue_time;
    let lease_until = now
        .checked_add(LEASE)
        .map_err(|_| AppError::Internal("the clock is past the calendar"))?;
    let mut intent = Intent::CodeTaken;
    for _ in 0..DRAWS {
        let (id, application_id, open_key, staged) = match application {
            For::Once(key) => (app.new_id(now)?, app.new_id(now)?, key.clone(), None),
            For::Staged(change) => {
                let key = change.open_key.clone();
                (change.certificate_id, change.id, key, Some(*change))
            }
        };
        let code = ValidityCode::draw(CodeScheme::EnrollmentCertificate, &*app.entropy)
            .map_err(|_| AppError::Internal("no randomness for a code"))?;
        let issue = IssueCertificate {
            id,
            application_id,
            code,
            application: staged,
            open_key,
            agreement: prepared.agreement.clone(),
            content: prepared.content.clone(),
            issue_time: now,
            expire_time: prepared.expire_time,
            key_id: app.signer.key_id().to_owned(),
            payload: &|serial| payload(prepared, id, &code, serial),
            lease_owner: app.run,
            lease_until,
            subject_hash: prepared.subject_hash.clone(),
        };
        intent = store.record_intent(context, &issue).await?;
        if !matches!(intent, Intent::CodeTaken) {
            break;
        }
    }
    Ok(intent)
}

fn payload(prepared: &Prepared, id: Uuid, code: &ValidityCode, serial: Serial) -> Option<Vec<u8>> {
    let content = &prepared.content;
    let name = &content.subject.name;
    let name_en = name.given_en().zip(name.family_en());
    let paper = content.paper.as_ref();
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
        confirmed_number: paper.map(|paper| paper.number.clone()),
        confirmed_date: paper.map(|paper| paper.issue_date.to_string()),
        replaces: content.replaces.map(|id| id.to_string()),
    }
    .encode()
    .ok()
}

/// Signs outside any transaction and records the result; gives the intent up when the
/// record no longer allows it, or the certificate that it was to replace is no longer
/// active. Past this point the caller's
/// deadline no longer counts: the intent is on record.
pub(in crate::app) async fn sign_and_finish(
    app: &App,
    context: &ActContext,
    recorded: Recorded,
    subject_hash: &str,
) -> Result<(), AppError> {
    if recorded.key_id() != app.signer.key_id() {
        return Err(AppError::Internal("an intent names another signing key"));
    }
    let id = recorded.id();
    let signed = recorded
        .sign_with(|payload| app.signer.sign(payload))
        .map_err(|_| AppError::Internal("the signing key refused"))?;
    if let Err(reason) = app.store.finish_certificate(context, &signed).await? {
        app.store
            .cancel_intent(context, id, reason.as_str(), subject_hash)
            .await?;
    }
    Ok(())
}

/// An application with its certificate. One that an earlier call recorded and did
/// not come to sign is settled now, by the same guards as in recovery.
async fn issued(
    app: &App,
    call: &Acting,
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

/// What an earlier call's request_id stands for: a certificate, or an application and
/// whatever came of it.
pub(super) async fn stands_for(
    app: &App,
    call: &Acting,
    context: &ActContext,
    resource: &str,
) -> Result<Issued, AppError> {
    if let Ok(id) = Collection::EnrollmentCertificates.parse(resource) {
        return issued(app, call, context, id).await;
    }
    let id = Collection::EnrollmentCertificateApplications.parse(resource);
    let id = id.map_err(|_| AppError::Internal("a claim names no certificate"))?;
    let application = app.store_for(call).application(id).await?;
    let application = application.ok_or(AppError::Internal("a claimed application is missing"))?;
    match application.state {
        ApplicationState::Issuing | ApplicationState::Issued => {
            issued(app, call, context, application.certificate_id).await
        }
        _ => Ok(Issued {
            application,
            certificate: None,
        }),
    }
}
