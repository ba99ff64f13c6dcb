//! Files that come with applications.

use bytes::Bytes;
use gavah_domain::Reason;
use gavah_domain::attachment::{Attachment, FileDigest, MediaType};
use gavah_domain::service::WorkflowVersion;
use gavah_objects::{Area, digest_of};
use gavah_store::{ActContext, StoredAttachment};
use jiff::SignedDuration;

use super::{App, actor, may_read};
use crate::call::Acting;
use crate::convert::names;
use crate::error::{AppError, Refusal};

/// How long a file is kept that belongs to nothing.
const KEPT_UNUSED: SignedDuration = SignedDuration::from_hours(24);

/// Files removed at a time.
const SWEPT_TOGETHER: u64 = 100;

/// A file while it comes in.
#[derive(Debug, Default)]
pub struct Incoming(Vec<u8>);

impl Incoming {
    /// Takes the next part.
    ///
    /// # Errors
    ///
    /// ATTACHMENT_TOO_LARGE as soon as it is known.
    pub fn take(&mut self, part: &[u8]) -> Result<(), AppError> {
        self.0.extend_from_slice(part);
        fitting(MediaType::may_become(&self.0), self.0.len())
    }
}

fn fitting(media_type: MediaType, bytes: usize) -> Result<(), AppError> {
    let most = media_type.max_bytes();
    if bytes > most {
        return Err(Refusal::new(Reason::AttachmentTooLarge)
            .with("max_bytes", most.to_string())
            .into());
    }
    Ok(())
}

/// Keeps a file: announced, its bytes kept, then known. What is cut off in between is swept.
///
/// # Errors
///
/// ATTACHMENT_TYPE, CONCURRENT_UPDATE, STORE_UNAVAILABLE; [`AppError::Store`].
pub async fn keep(
    app: &App,
    call: &Acting,
    incoming: Incoming,
) -> Result<StoredAttachment, AppError> {
    let bytes = Bytes::from(incoming.0);
    let media_type = MediaType::judge(&bytes)?;
    fitting(media_type, bytes.len())?;
    let file = digest_of(&bytes);
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let context = of_call(app, call);
    let store = app.store_for(call);
    if !store
        .announce_attachment(file, media_type, size, context.now)
        .await?
    {
        return Err(Reason::ConcurrentUpdate.into());
    }
    app.objects.put(Area::Attachments, file, bytes).await?;
    Ok(store.keep_attachment(&context, file).await?)
}

/// A file the caller may read, and its bytes.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none or it is a stranger's, STORE_UNAVAILABLE;
/// [`AppError::Store`].
pub async fn read(
    app: &App,
    call: &Acting,
    file: FileDigest,
) -> Result<(StoredAttachment, Bytes), AppError> {
    let store = app.store_for(call);
    let stored = store.attachment(file).await?;
    let stored = stored
        .filter(|stored| entitled(call, stored))
        .ok_or(Reason::ResourceNotFound)?;
    let most = u64::try_from(stored.size_bytes).unwrap_or_default();
    let bytes = app.objects.get(Area::Attachments, file, most).await?;
    store.note_download(&of_call(app, call), file).await?;
    Ok((stored, bytes))
}

fn entitled(call: &Acting, stored: &StoredAttachment) -> bool {
    let mut institutions = stored.institutions.iter();
    stored.uploaders.contains(&actor(call))
        || institutions.any(|code| {
            let institution = call.snapshot.institution(code);
            institution.is_some_and(|found| may_read(call, &found.institution.code))
        })
}

/// Whether the caller may attach these files, of which some `already` are: it has sent them.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND with the name of the first that it may not; [`AppError::Store`].
pub(super) async fn may_attach(
    app: &App,
    call: &Acting,
    attachments: &[Attachment],
    already: &[Attachment],
) -> Result<(), AppError> {
    let known = |file| already.iter().any(|attached| attached.file == file);
    for attachment in attachments.iter().filter(|it| !known(it.file)) {
        let stored = app.store_for(call).attachment(attachment.file).await?;
        if !stored.is_some_and(|stored| stored.uploaders.contains(&actor(call))) {
            return Err(missing(attachment.file));
        }
    }
    Ok(())
}

/// Whether an application comes with the files that the workflow requires of what is
/// `asked_for`.
///
/// # Errors
///
/// ATTACHMENT_REQUIRED with the missing kinds.
pub(super) fn complete(
    workflow: &WorkflowVersion,
    asked_for: &str,
    attachments: &[Attachment],
) -> Result<(), AppError> {
    let missing = workflow.missing_attachments(asked_for, attachments);
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<_> = missing.iter().map(|kind| kind.as_str()).collect();
    Err(Refusal::new(Reason::AttachmentRequired)
        .with("missing_kinds", missing.join(","))
        .into())
}

fn missing(file: FileDigest) -> AppError {
    Refusal::new(Reason::ResourceNotFound)
        .with("resource", names::attachment(file))
        .into()
}

/// An act without a retry key: the same bytes are the same file.
fn of_call(app: &App, call: &Acting) -> ActContext {
    ActContext {
        actor: actor(call),
        now: app.clock.now(),
        trace_id: call.trace_id.to_string(),
        claim: None,
    }
}

/// For how long a file is one sweep's alone: far longer than its bytes take to go.
const SWEEP_TIME: SignedDuration = SignedDuration::from_mins(10);

/// Removes files that belong to nothing and were not sent for a day; returns how many.
///
/// # Errors
///
/// [`AppError::Store`]; STORE_UNAVAILABLE when the bytes cannot be removed.
pub async fn sweep(app: &App) -> Result<usize, AppError> {
    let context = ActContext {
        actor: "service/attachments".to_owned(),
        now: app.clock.now(),
        trace_id: String::new(),
        claim: None,
    };
    let limit = context.now.checked_sub(KEPT_UNUSED);
    let limit = limit.map_err(|_| AppError::Internal("the clock is before the calendar"))?;
    let taken = limit.checked_add(SWEEP_TIME);
    let taken = taken.map_err(|_| AppError::Internal("the clock is past the calendar"))?;
    let loose = app.store.loose_attachments(limit, SWEPT_TOGETHER).await?;
    let (mut swept, mut failed) = (0, None);
    for file in loose {
        if !app.store.sweep_attachment(file, limit, taken).await? {
            continue;
        }
        match app.objects.delete(Area::Attachments, file).await {
            Ok(()) => {
                app.store.forget_attachment(&context, file).await?;
                swept += 1;
            }
            // It is tried again later, behind the others.
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(swept),
    }
}
