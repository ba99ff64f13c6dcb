//! Documents of the services, and their guides.

use aws_lc_rs::digest::{SHA256, digest};
use gavah_api::v1 as pb;
use gavah_domain::service::ServiceKind;
use gavah_domain::service_document::{ServiceDocumentKind, parse_document_key};
use gavah_domain::{Reason, Violations};
use gavah_store::StoredServiceDocument;
use prost::Message;
use uuid::Uuid;

use super::enums::{from_pb, option_to_pb, to_pb};
use super::head::{Head, open};
use super::names::{self, Collection};
use super::time::{self, instant_to_pb};
use super::{check_rules, optional_text, settle, text};
use crate::error::AppError;

/// Greatest length of a title, in characters.
const TITLE_MAX_CHARS: usize = 200;

const DOCUMENTS: Collection = Collection::ServiceDocuments;

/// How an upload begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartInput {
    /// Retry key.
    pub request_id: Uuid,
    /// What the document keeps through its versions.
    pub key: String,
    /// The service; all of them when unset.
    pub service: Option<ServiceKind>,
    /// What it is.
    pub kind: ServiceDocumentKind,
    /// Persian title.
    pub title_fa: String,
    /// English title; may be empty.
    pub title_en: String,
    /// The document it stands under.
    pub parent: Option<Uuid>,
    /// What of the start the retry key stands for.
    said: Vec<u8>,
}

impl StartInput {
    /// Retry key and digest of the start and the file.
    #[must_use]
    pub fn head(&self, file: &[u8]) -> Head {
        let mut whole = Vec::from(self.said.len().to_be_bytes());
        whole.extend(&self.said);
        whole.extend(digest(&SHA256, file).as_ref());
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, &whole).as_ref());
        Head {
            request_id: self.request_id,
            validate_only: false,
            digest: sha256,
            ordered: None,
        }
    }
}

/// Reads the start of an upload.
///
/// # Errors
///
/// Every violation at once.
pub fn start(given: pb::ServiceDocumentStart) -> Result<StartInput, AppError> {
    let annotated = check_rules(&given);
    let mut found = Violations::default();
    let request_id = found.take("request_id", names::uuid(&given.request_id));
    let key = found.take("key", parse_document_key(&given.key));
    let kind = found.take("kind", from_pb(given.kind).ok_or(Reason::FieldRequired));
    let title_fa = found.take("title_fa", text(&given.title_fa, TITLE_MAX_CHARS));
    let title_en = found.take("title_en", optional_text(&given.title_en, TITLE_MAX_CHARS));
    let parent = match given.parent.as_str() {
        "" => Some(None),
        parent => found.take("parent", DOCUMENTS.parse(parent)).map(Some),
    };
    let service = from_pb(given.service);
    let input = (|| {
        Some(StartInput {
            request_id: request_id?,
            key: key?,
            service,
            kind: kind?,
            title_fa: title_fa?,
            title_en: title_en?.unwrap_or_default(),
            parent: parent?,
            said: pb::ServiceDocumentStart {
                request_id: String::new(),
                ..given
            }
            .encode_to_vec(),
        })
    })();
    settle(annotated.nest("start"), found.nest("start"), input)
}

/// Retry key, draft and etag of a publication.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn publish(
    mut request: pb::PublishServiceDocumentRequest,
) -> Result<(Head, Uuid, i64), AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", DOCUMENTS.parse(&request.name));
    if request.etag.is_empty() {
        found.push("etag", Reason::FieldRequired);
    }
    let (head, id) = settle(annotated, found, head.zip(id))?;
    let etag = time::etag(&request.etag)?.ok_or(Reason::EtagMismatch)?;
    Ok((head, id, etag))
}

/// The version asked about.
///
/// # Errors
///
/// The violation of `name`.
pub fn get(request: &pb::GetServiceDocumentRequest) -> Result<Uuid, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", DOCUMENTS.parse(&request.name));
    settle(check_rules(request), found, id)
}

/// The version whose file is asked for.
///
/// # Errors
///
/// The violation of `name`.
pub fn download(request: &pb::DownloadServiceDocumentRequest) -> Result<Uuid, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", DOCUMENTS.parse(&request.name));
    settle(check_rules(request), found, id)
}

/// Which documents are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those in force now.
    Now,
    /// Those in force as of a publication.
    AsOf(i64),
    /// Every version.
    All,
}

/// Reads which documents are asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn list(
    request: &pb::ListServiceDocumentsRequest,
) -> Result<(Option<ServiceKind>, Which), AppError> {
    let mut found = Violations::default();
    let which = match (request.as_of_publication, request.all_versions) {
        (Some(_), true) => found.take("all_versions", Err(Reason::FieldFormat)),
        (Some(publication), false) => Some(Which::AsOf(publication)),
        (None, true) => Some(Which::All),
        (None, false) => Some(Which::Now),
    };
    let which = settle(check_rules(request), found, which)?;
    Ok((from_pb(request.service), which))
}

/// The guide asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn guide(
    request: &pb::GetServiceGuideRequest,
) -> Result<pb::GetServiceGuideResponse, AppError> {
    use gavah_api::guides;
    let mut found = Violations::default();
    let service = from_pb(request.service).ok_or(Reason::FieldRequired);
    let service = found.take("service", service);
    let language = match request.language() {
        pb::GuideLanguage::Unspecified => Err(Reason::FieldRequired),
        language => Ok(language),
    };
    let language = found.take("language", language);
    let (service, language) = settle(check_rules(request), found, service.zip(language))?;
    let persian = language == pb::GuideLanguage::Fa;
    let markdown = match (service, persian) {
        (ServiceKind::EnrollmentCertificate, true) => guides::ENROLLMENT_CERTIFICATE_FA,
        (ServiceKind::EnrollmentCertificate, false) => guides::ENROLLMENT_CERTIFICATE_EN,
        (ServiceKind::ValidityCode, true) => guides::VALIDITY_CODE_FA,
        (ServiceKind::ValidityCode, false) => guides::VALIDITY_CODE_EN,
    };
    let sha256 = gavah_objects::digest_of(markdown.as_bytes()).to_string();
    Ok(pb::GetServiceGuideResponse {
        markdown: markdown.to_owned(),
        sha256,
    })
}

/// The contract's form of a document.
#[must_use]
pub fn document_to_pb(stored: &StoredServiceDocument) -> pb::ServiceDocument {
    let document = &stored.document;
    pb::ServiceDocument {
        name: DOCUMENTS.name(document.id),
        key: document.key.clone(),
        version: stored.edition,
        service: option_to_pb(document.service),
        kind: to_pb(document.kind),
        title_fa: document.title_fa.clone(),
        title_en: document.title_en.clone(),
        parent: document
            .parent
            .map(|id| DOCUMENTS.name(id))
            .unwrap_or_default(),
        sha256: document.file.to_string(),
        size_bytes: document.size_bytes,
        state: to_pb(stored.state),
        publication: stored.publication.unwrap_or_default(),
        superseded_by_publication: stored.superseded_by.unwrap_or_default(),
        create_time: Some(instant_to_pb(stored.create_time)),
        publish_time: stored.publish_time.map(instant_to_pb),
        etag: stored.version.to_string(),
    }
}
