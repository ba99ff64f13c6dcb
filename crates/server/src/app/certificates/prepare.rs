//! What a certificate is issued from: the record as it is, and the certificate it replaces.

use gavah_domain::certificate::{RequestType, valid_until};
use gavah_domain::document::DocumentState;
use gavah_domain::institution::InstitutionState;
use gavah_domain::record::{auto_confirm, obstacles};
use gavah_domain::service::WorkflowVersion;
use gavah_domain::tariff::Quote;
use gavah_domain::{DisplayText, JalaliDate, Reason};
use gavah_store::{ApplicationContent, CertificateContent, StoredCertificate};
use jiff::Timestamp;

use crate::app::App;
use crate::call::Acting;
use crate::error::{AppError, Refusal};

/// What a certificate is issued from.
pub(super) struct Prepared {
    pub(super) content: CertificateContent,
    pub(super) institution_name_fa: String,
    pub(super) issue_time: Timestamp,
    pub(super) expire_time: Timestamp,
    pub(super) subject_hash: String,
    /// Id of the agreement that it is issued under; empty for a correction.
    pub(super) agreement: String,
}

/// What the certificate to issue is made of.
pub(super) struct Ground<'a> {
    /// What is asked for.
    pub(super) asked: &'a ApplicationContent,
    /// The rules it runs under.
    pub(super) workflow: &'a WorkflowVersion,
    /// The ground of the fee.
    pub(super) quote: &'a Quote,
    /// The certificate that it replaces.
    pub(super) source: Option<&'a StoredCertificate>,
    /// Whether it keeps that one's end of validity.
    pub(super) keeps_end: bool,
}

/// Who vouches for the enrollment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Voucher {
    /// The record alone, which therefore must be fresh.
    Record,
    /// Somebody who decided; the record must still allow it.
    Decision,
}

/// The reasons of a record that a review may overcome.
pub(super) fn may_be_reviewed(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::EnrollmentRecordNotFound
            | Reason::EnrollmentRecordStale
            | Reason::EnrollmentNotActive
            | Reason::ReleaseBlocked
            | Reason::SubjectMismatch
            | Reason::ReviewNotOffered
    )
}

/// Everything that can be decided before the first transaction.
///
/// # Errors
///
/// INSTITUTION_NOT_ACTIVE, ENROLLMENT_RECORD_NOT_FOUND, ENROLLMENT_RECORD_STALE,
/// ENROLLMENT_NOT_ACTIVE, RELEASE_BLOCKED, SUBJECT_MISMATCH, the first with the others
/// beside it; TERM_NOT_LOADED; STATE_TRANSITION_NOT_ALLOWED when there is nothing to extend.
pub(super) async fn prepare(
    app: &App,
    call: &Acting,
    ground: &Ground<'_>,
    voucher: Voucher,
    now: Timestamp,
) -> Result<Prepared, AppError> {
    let asked = ground.asked;
    let institution = call
        .snapshot
        .institution(asked.institution.as_str())
        .map(|stored| &stored.institution)
        .ok_or(Reason::EnrollmentRecordNotFound)?;
    if institution.state != InstitutionState::Active {
        return Err(Reason::InstitutionNotActive.into());
    }
    let record = app
        .store_for(call)
        .find_record(institution.code.as_str(), asked.student_number.as_str())
        .await?
        .map(|stored| stored.record)
        .filter(|record| record.subject.person_id == asked.subject.person_id)
        .ok_or(Reason::EnrollmentRecordNotFound)?;
    let today = JalaliDate::of(now);
    let term = call.snapshot.terms.current(today)?;
    let name = &asked.subject.name;
    refuse_all(&match voucher {
        Voucher::Record => {
            let max_age = ground.workflow.max_record_age();
            auto_confirm(&record, name, now, max_age, term.id)
        }
        Voucher::Decision => obstacles(&record, name, term.id),
    })?;
    let last_day = match ground.source {
        Some(source) if ground.keeps_end => source.content.valid_until,
        source => {
            let workflow = ground.workflow;
            let (days, months) = (
                workflow.certificate_extra_days,
                workflow.certificate_max_months,
            );
            let last_day = valid_until(term.end, today, days, months);
            if source.is_some_and(|source| last_day <= source.content.valid_until) {
                return Err(not_active("ACTIVE"));
            }
            last_day
        }
    };
    if last_day < today {
        // Between terms, too long after the one on record.
        return Err(Reason::EnrollmentNotActive.into());
    }
    Ok(Prepared {
        institution_name_fa: institution.name_fa.clone(),
        content: CertificateContent {
            request_type: asked.request_type,
            window_reference: asked.window_reference.clone(),
            subject: record.subject.clone(),
            program: record.program.clone(),
            term: term.id,
            purpose: asked.purpose,
            addressee_fa: asked.addressee_fa.clone(),
            addressee_en: asked.addressee_en.clone(),
            valid_until: last_day,
            quote: ground.quote.clone(),
            workflow_version: asked.workflow_version.clone(),
            documents: asked.documents,
            replaces: asked.replaces,
            paper: asked.paper.clone(),
            attachments: asked.attachments.clone(),
        },
        issue_time: now,
        expire_time: last_day.end_exclusive(),
        subject_hash: app.subject_hash(&asked.subject.person_id),
        agreement: asked.agreement.clone(),
    })
}

/// The first reason, with the others beside it.
fn refuse_all(reasons: &[Reason]) -> Result<(), AppError> {
    let Some((first, others)) = reasons.split_first() else {
        return Ok(());
    };
    let refusal = Refusal::new(*first);
    let others: Vec<_> = others.iter().map(|reason| reason.as_str()).collect();
    Err(if others.is_empty() {
        refusal
    } else {
        refusal.with("also", others.join(","))
    }
    .into())
}

/// The certificate that an application is to replace: of the same student at the same
/// institution, and active.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, STATE_TRANSITION_NOT_ALLOWED.
pub(super) async fn source(
    app: &App,
    call: &Acting,
    asked: &ApplicationContent,
    now: Timestamp,
) -> Result<Option<StoredCertificate>, AppError> {
    let Some(id) = asked.replaces else {
        return Ok(None);
    };
    let stored = app.store_for(call).certificate(id).await?;
    let stored = stored
        .filter(|stored| {
            let content = &stored.content;
            stored.signed_document.is_some()
                && content.subject.person_id == asked.subject.person_id
                && content.program.institution == asked.institution
                && content.program.student_number == asked.student_number
        })
        .ok_or(Reason::ResourceNotFound)?;
    let keeps_end = asked.request_type != RequestType::Extend;
    replaceable(&stored, keeps_end, now)?;
    Ok(Some(stored))
}

/// Whether a certificate can be replaced: it is active, and has not expired unless it is
/// extended.
///
/// # Errors
///
/// STATE_TRANSITION_NOT_ALLOWED with the state.
pub(super) fn replaceable(
    stored: &StoredCertificate,
    keeps_end: bool,
    now: Timestamp,
) -> Result<(), AppError> {
    if stored.state != DocumentState::Active {
        return Err(not_active(stored.state.as_str()));
    }
    if keeps_end && stored.expire_time <= now {
        return Err(not_active("EXPIRED"));
    }
    Ok(())
}

fn not_active(state: &str) -> AppError {
    Refusal::new(Reason::StateTransitionNotAllowed)
        .with("state", state)
        .with("allowed", "")
        .into()
}

/// One open application for each person, programme, type and addressee.
pub(super) fn open_key(asked: &ApplicationContent) -> String {
    let addressee = DisplayText::parse(&asked.addressee_fa, usize::MAX)
        .map(|text| text.match_key().as_str().to_owned())
        .unwrap_or_default();
    format!(
        "{}/{}/{}/{}/{addressee}",
        asked.subject.person_id.key(),
        asked.institution.as_str(),
        asked.student_number.as_str(),
        asked.request_type,
    )
}
