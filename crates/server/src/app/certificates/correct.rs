//! Correcting a certificate: a new one from the record as it is now supersedes the wrong one.

use std::sync::Arc;

use gavah_domain::Reason;
use gavah_domain::dispute::OrderedAct;
use gavah_domain::service::ServiceKind;
use gavah_store::ApplicationContent;

use super::issue::{For, Issued, issue, stands_for};
use super::prepare::{Ground, Prepared, Voucher, prepare, replaceable};
use super::to_the_end;
use crate::app::disputes::ordered;
use crate::app::{App, context, earlier, not_paused};
use crate::call::Acting;
use crate::convert::application::CorrectInput;
use crate::convert::names::Collection;
use crate::error::AppError;

/// Corrects a certificate; `None` when only checking. The work goes on to its end when
/// the caller goes away.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED unless it is active,
/// ISSUANCE_PAUSED, the record's reasons; [`AppError::Store`].
pub async fn correct(
    app: &Arc<App>,
    call: &Acting,
    input: CorrectInput,
) -> Result<Option<Issued>, AppError> {
    let (of, call) = (Arc::clone(app), call.clone());
    to_the_end(app, async move {
        let (app, call) = (&*of, &call);
        let now = app.clock.now();
        let context = context(call, &input.head, None, now);
        let prepared = match prepared(app, call, &input, now).await {
            Ok(prepared) => prepared,
            Err(refused) if input.head.validate_only => return Err(refused),
            Err(refused) => {
                let resource = earlier(app, call, &context, refused).await?;
                return stands_for(app, call, &context, &resource).await.map(Some);
            }
        };
        if input.head.validate_only {
            return Ok(None);
        }
        // One correction of a certificate at a time.
        let application = For::Once(format!("correction/{}", input.id));
        let issued = issue(app, call, &context, &application, &prepared).await?;
        issued
            .map(Some)
            .ok_or(AppError::Internal("a new application has moved"))
    })
    .await
}

async fn prepared(
    app: &App,
    call: &Acting,
    input: &CorrectInput,
    now: jiff::Timestamp,
) -> Result<Prepared, AppError> {
    let stored = app.store_for(call).certificate(input.id).await?;
    let wrong = stored
        .filter(|stored| stored.signed_document.is_some())
        .ok_or(Reason::ResourceNotFound)?;
    if input.etag.is_some_and(|etag| etag != wrong.version) {
        return Err(Reason::EtagMismatch.into());
    }
    let name = Collection::EnrollmentCertificates.name(input.id);
    ordered(app, call, &input.head, OrderedAct::Correct, &name).await?;
    replaceable(&wrong, true, now)?;
    let institution = wrong.content.program.institution.as_str();
    let institution = call.snapshot.institution(institution);
    let institution = institution.ok_or(Reason::InstitutionNotActive)?;
    let service = ServiceKind::EnrollmentCertificate;
    not_paused(call, service, &institution.institution)?;
    let workflow = call.snapshot.workflows.get(&wrong.content.workflow_version);
    let workflow = workflow.ok_or(AppError::Internal(
        "a certificate names an unknown workflow version",
    ))?;
    let mut asked = ApplicationContent::from(&wrong.content);
    asked.replaces = Some(wrong.id);
    // They stay with what they came with.
    asked.attachments = Vec::new();
    if let Some((fa, en)) = &input.addressee {
        asked.addressee_fa.clone_from(fa);
        asked.addressee_en.clone_from(en);
    }
    asked.purpose = input.purpose.unwrap_or(asked.purpose);
    let record = app
        .store_for(call)
        .find_record(asked.institution.as_str(), asked.student_number.as_str())
        .await?;
    // The name may be what was wrong: the record's counts.
    if let Some(record) = record.map(|stored| stored.record)
        && record.subject.person_id == asked.subject.person_id
    {
        asked.subject = record.subject;
    }
    let ground = Ground {
        asked: &asked,
        workflow,
        // What was paid, or free, is so for the right one too.
        quote: &wrong.content.quote,
        source: Some(&wrong),
        keeps_end: true,
    };
    prepare(app, call, &ground, Voucher::Decision, now).await
}
