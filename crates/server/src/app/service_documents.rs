//! The documents by which the services are provided.

use bytes::Bytes;
use gavah_domain::Reason;
use gavah_domain::attachment::MediaType;
use gavah_domain::caller::CallerClass;
use gavah_domain::service::ServiceKind;
use gavah_domain::service_document::{DOCUMENT_MAX_BYTES, ServiceDocumentState};
use gavah_objects::{Area, digest_of};
use gavah_store::{NewServiceDocument, StoredServiceDocument};
use uuid::Uuid;

use super::registry::settle;
use super::{App, context, earlier};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::document::{StartInput, Which};
use crate::error::{AppError, Refusal};

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
        if self.0.len() > DOCUMENT_MAX_BYTES {
            return Err(Refusal::new(Reason::AttachmentTooLarge)
                .with("max_bytes", DOCUMENT_MAX_BYTES.to_string())
                .into());
        }
        Ok(())
    }
}

/// Keeps the next version of a document as a draft. Its bytes are kept first: what is cut
/// off in between is overwritten when it is sent again.
///
/// # Errors
///
/// ATTACHMENT_TYPE, RESOURCE_ALREADY_EXISTS, RESOURCE_NOT_FOUND, REQUEST_ID_REUSED,
/// STORE_UNAVAILABLE; [`AppError::Store`].
pub async fn add(
    app: &App,
    call: &Acting,
    start: StartInput,
    incoming: Incoming,
) -> Result<StoredServiceDocument, AppError> {
    let bytes = Bytes::from(incoming.0);
    if MediaType::judge(&bytes)? != MediaType::Pdf {
        return Err(Reason::AttachmentType.into());
    }
    let now = app.clock.now();
    let context = context(call, &start.head(&bytes), None, now);
    let file = digest_of(&bytes);
    let new = NewServiceDocument {
        id: app.new_id(now)?,
        key: start.key,
        service: start.service,
        kind: start.kind,
        title_fa: start.title_fa,
        title_en: start.title_en,
        parent: start.parent,
        file,
        size_bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
    };
    app.objects.put(Area::Documents, file, bytes).await?;
    let store = app.store_for(call);
    let change = store.add_service_document(&context, &new).await?;
    settle(app, change).await?;
    let id = store.claimed_service_document(&context).await?;
    get(app, call, id.unwrap_or(new.id)).await
}

/// Puts a draft in force; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, REQUEST_ID_REUSED;
/// [`AppError::Store`].
pub async fn publish(
    app: &App,
    call: &Acting,
    (head, id, etag): (Head, Uuid, i64),
) -> Result<Option<StoredServiceDocument>, AppError> {
    let context = context(call, &head, None, app.clock.now());
    let stored = get(app, call, id).await?;
    let checked = if stored.state != ServiceDocumentState::Draft {
        Err(Refusal::new(Reason::StateTransitionNotAllowed)
            .with("state", stored.state.as_str())
            .with("allowed", "")
            .into())
    } else if stored.version != etag {
        Err(Reason::EtagMismatch.into())
    } else {
        Ok(())
    };
    match checked {
        Ok(()) if head.validate_only => return Ok(None),
        Ok(()) => {}
        Err(refused) if head.validate_only => return Err(refused),
        Err(refused) => {
            earlier(app, call, &context, refused).await?;
            return Ok(Some(stored));
        }
    }
    let change = app
        .store_for(call)
        .publish_service_document(&context, id, etag)
        .await?;
    settle(app, change).await?;
    get(app, call, id).await.map(Some)
}

/// Reads about a version the caller may see.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none, or it is a draft that is not for the caller.
pub async fn get(app: &App, call: &Acting, id: Uuid) -> Result<StoredServiceDocument, AppError> {
    let stored = app.store_for(call).service_document(id).await?;
    stored
        .filter(|stored| visible(call, stored))
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Drafts are read by oversight alone.
fn visible(call: &Acting, stored: &StoredServiceDocument) -> bool {
    let oversight = matches!(
        call.caller.class,
        CallerClass::Organization | CallerClass::Auditor
    );
    oversight || stored.state != ServiceDocumentState::Draft
}

/// Lists documents the caller may see, by key and version.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn list(
    app: &App,
    call: &Acting,
    (service, which): (Option<ServiceKind>, Which),
) -> Result<Vec<StoredServiceDocument>, AppError> {
    let as_of = match which {
        Which::Now => Some(i64::MAX - 1),
        Which::AsOf(publication) => Some(publication),
        Which::All => None,
    };
    let mut documents = app
        .store_for(call)
        .service_documents(service, as_of)
        .await?;
    documents.retain(|stored| visible(call, stored));
    Ok(documents)
}

/// A version the caller may see, and its file.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, STORE_UNAVAILABLE; [`AppError::Store`].
pub async fn read(
    app: &App,
    call: &Acting,
    id: Uuid,
) -> Result<(StoredServiceDocument, Bytes), AppError> {
    let stored = get(app, call, id).await?;
    let most = u64::try_from(stored.document.size_bytes).unwrap_or_default();
    let bytes = app
        .objects
        .get(Area::Documents, stored.document.file, most)
        .await?;
    Ok((stored, bytes))
}
