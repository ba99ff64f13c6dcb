//! Enrollment certificates and their applications: applying for one is here, going
//! through the stages in [`stages`], correcting in [`correct`], reading and changing in
//! [`read`].

pub mod correct;
mod issue;
mod prepare;
pub mod read;
pub mod stages;

use std::sync::Arc;

use gavah_domain::Reason;
use gavah_domain::certificate::ApplicationState;
use gavah_domain::service::ServiceKind;
use gavah_store::{ApplicationChange, ApplicationContent, NewStep};
use jiff::Timestamp;
use tracing::Instrument;

use super::attachments::{complete, may_attach};
use super::disputes::reissue_ordered;
use super::service_levels::due_time;
use super::{App, Terms, context, earlier, free, terms};
use crate::call::Acting;
use crate::convert::certificate::CreateApplicationInput;
use crate::convert::names::Collection;
use crate::error::AppError;
use issue::{For, issue, stands_for};
use prepare::{Ground, Prepared, Voucher, open_key, prepare, source};
use stages::{Onward, Staged, handed_in};

pub use issue::Issued;
pub(super) use issue::{LEASE, sign_and_finish};

/// Does the work to its end even when the caller goes away, in the call's span: a task of
/// its own would begin a trace of its own.
async fn to_the_end<T: Send + 'static>(
    app: &App,
    work: impl Future<Output = Result<T, AppError>> + Send + 'static,
) -> Result<T, AppError> {
    app.home
        .spawn(work.in_current_span())
        .await
        .map_err(|_| AppError::Internal("work on a certificate panicked"))?
}

/// How an application begins.
enum Beginning {
    /// It is decided and issued in this call.
    Decided(Box<Prepared>, String),
    /// It goes through stages.
    Staged(Box<Staged>),
}

/// Applies for a certificate; `None` when only checking.
///
/// # Errors
///
/// Refusals by the guards; nothing is created then. [`AppError::Store`].
pub async fn apply(
    app: &Arc<App>,
    call: &Acting,
    input: CreateApplicationInput,
) -> Result<Option<Issued>, AppError> {
    let (of, call) = (Arc::clone(app), call.clone());
    to_the_end(
        app,
        async move { apply_to_the_end(&of, &call, input).await },
    )
    .await
}

async fn apply_to_the_end(
    app: &App,
    call: &Acting,
    input: CreateApplicationInput,
) -> Result<Option<Issued>, AppError> {
    let now = app.clock.now();
    let context = context(call, &input.head, None, now);
    let beginning = match begin(app, call, &input, now).await {
        Ok(beginning) => beginning,
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            return stands_for(app, call, &context, &resource).await.map(Some);
        }
    };
    if input.head.validate_only {
        let key = match &beginning {
            Beginning::Decided(_, key) => key,
            Beginning::Staged(staged) => &staged.change.open_key,
        };
        if app.store_for(call).application_open(key).await? {
            return Err(Reason::OpenApplicationExists.into());
        }
        return Ok(None);
    }
    match beginning {
        Beginning::Decided(prepared, key) => {
            issue(app, call, &context, &For::Once(key), &prepared).await
        }
        Beginning::Staged(staged) => staged.carry_out(app, call, &context).await,
    }?
    .map(Some)
    .ok_or(AppError::Internal("a new application has moved"))
}

/// The rules that an application runs under.
fn rules<'a>(
    app: &App,
    call: &'a Acting,
    asked: &ApplicationContent,
    now: Timestamp,
) -> Result<Terms<'a>, AppError> {
    let institution = call
        .snapshot
        .institution(asked.institution.as_str())
        .map(|stored| &stored.institution)
        .ok_or(Reason::EnrollmentRecordNotFound)?;
    let (service, kind) = (
        ServiceKind::EnrollmentCertificate,
        asked.request_type.as_str(),
    );
    terms(app, call, service, kind, institution, now)
}

async fn begin(
    app: &App,
    call: &Acting,
    input: &CreateApplicationInput,
    now: Timestamp,
) -> Result<Beginning, AppError> {
    let mut asked = ApplicationContent {
        request_type: input.request_type,
        window_reference: input.window_reference.clone(),
        subject: input.subject.clone(),
        institution: input.institution.clone(),
        student_number: input.student_number.clone(),
        purpose: input.purpose,
        addressee_fa: input.addressee_fa.clone(),
        addressee_en: input.addressee_en.clone(),
        replaces: input.replaces,
        paper: input.paper.clone(),
        attachments: input.attachments.clone(),
        quote: None,
        workflow_version: String::new(),
        documents: call.documents(ServiceKind::EnrollmentCertificate),
        agreement: String::new(),
        due_time: None,
    };
    let person = &input.subject.person_id;
    let collection = Collection::EnrollmentCertificates;
    reissue_ordered(app, call, &input.head, collection, person).await?;
    let terms = rules(app, call, &asked, now)?;
    let quote = terms.quote(call)?;
    let Terms {
        call: open,
        workflow,
        agreement,
        ..
    } = terms;
    agreement.id.clone_into(&mut asked.agreement);
    workflow.id.clone_into(&mut asked.workflow_version);
    may_attach(app, call, &asked.attachments, &[]).await?;
    if !input.draft {
        complete(workflow, asked.request_type.as_str(), &asked.attachments)?;
    }
    let source = source(app, call, &asked, now).await?;
    let key = open_key(&asked);
    let staged = |content, steps, onward: Onward| -> Result<Beginning, AppError> {
        Ok(Beginning::Staged(Box::new(Staged {
            change: ApplicationChange {
                id: app.new_id(now)?,
                certificate_id: app.new_id(now)?,
                before: None,
                subject_hash: app.subject_hash(&input.subject.person_id),
                open_key: key.clone(),
                content,
                steps,
                pay_until: onward.pay_until,
            },
            issue: onward.issue,
        })))
    };
    if input.draft {
        let steps = vec![NewStep::by_caller(ApplicationState::Draft, "CREATE")];
        return staged(asked, steps, Onward::default());
    }
    if workflow.decides_at_once() {
        free(&quote)?;
        if !asked.request_type.record_confirms() {
            return Err(Reason::ReviewNotOffered.into());
        }
        let ground = Ground {
            asked: &asked,
            workflow,
            quote: &quote,
            keeps_end: asked.request_type.keeps_end(),
            source: source.as_ref(),
        };
        let prepared = prepare(app, call, &ground, Voucher::Record, now).await?;
        return Ok(Beginning::Decided(Box::new(prepared), key));
    }
    asked.quote = Some(quote);
    let mut steps = vec![NewStep::by_caller(ApplicationState::Submitted, "CREATE")];
    let mut onward = handed_in(app, call, &asked, workflow, source.as_ref(), now).await?;
    steps.append(&mut onward.steps);
    asked.due_time = due_time(call, open, asked.request_type.as_str(), &steps, now)?;
    staged(asked, steps, onward)
}
