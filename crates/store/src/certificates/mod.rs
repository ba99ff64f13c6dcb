//! Applications and enrollment certificates, in the issuing order that never
//! changes: record the intent with the exact bytes to sign, sign outside any
//! transaction, record the signed result.

mod application;
mod change;
mod end;
mod issue;
mod recover;
mod rows;

use std::fmt;

use gavah_domain::application::Remark;
use gavah_domain::attachment::Attachment;
use gavah_domain::certificate::{ApplicationState, Purpose, RequestType, Serial};
use gavah_domain::document::DocumentState;
use gavah_domain::program::Program;
use gavah_domain::record::Subject;
use gavah_domain::tariff::Quote;
use gavah_domain::{JalaliDate, TermId, ValidityCode};
use jiff::Timestamp;
use uuid::Uuid;

use crate::StoredRevocation;

pub use application::{ApplicationChange, ApplicationContent, ApplicationOutcome, NewStep, Paper};
pub(crate) use application::{BY_SERVICE, RemarkJson, remarks_of, remarks_to};
pub(crate) use end::end_with_enrollment;
pub(crate) use rows::{read_application, read_certificate, steps_of};

/// What a certificate and its application say; never changes.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateContent {
    /// What was asked for.
    pub request_type: RequestType,
    /// The window's own reference.
    pub window_reference: String,
    /// The student, as on record.
    pub subject: Subject,
    /// The programme, as on record.
    pub program: Program,
    /// The term the certificate is about.
    pub term: TermId,
    /// Purpose.
    pub purpose: Purpose,
    /// Addressee in Persian.
    pub addressee_fa: String,
    /// Addressee in English.
    pub addressee_en: Option<String>,
    /// Last day of validity.
    pub valid_until: JalaliDate,
    /// The ground of the fee.
    pub quote: Quote,
    /// The workflow version.
    pub workflow_version: String,
    /// Number of the publication of the service's documents that it runs under; 0 where nothing was published.
    pub documents: i64,
    /// The certificate that it replaces.
    pub replaces: Option<Uuid>,
    /// The paper that it confirms.
    pub paper: Option<Paper>,
    /// The files that the application came with.
    pub attachments: Vec<Attachment>,
}

/// A certificate ready to be recorded as an intent.
pub struct IssueCertificate<'a> {
    /// Resource id of the certificate.
    pub id: Uuid,
    /// Resource id of the application.
    pub application_id: Uuid,
    /// The code, freshly drawn.
    pub code: ValidityCode,
    /// The application that was or is decided in stages; unset for one that is made and decided
    /// here.
    pub application: Option<&'a ApplicationChange>,
    /// Key under which only one application may be open.
    pub open_key: String,
    /// Id of the agreement under which an application is made and decided here; empty for a correction, which nobody
    /// waits for.
    pub agreement: String,
    /// What it says.
    pub content: CertificateContent,
    /// When it is issued; valid from then on.
    pub issue_time: Timestamp,
    /// When it expires.
    pub expire_time: Timestamp,
    /// Id of the key that will sign.
    pub key_id: String,
    /// The bytes to sign, once the serial is known; `None` when there are none.
    pub payload: &'a (dyn Fn(Serial) -> Option<Vec<u8>> + Sync),
    /// The run that will sign.
    pub lease_owner: Uuid,
    /// Until when no other run may take the intent over.
    pub lease_until: Timestamp,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: String,
}

/// An intent that is recorded; only the store makes one. Signing consumes it.
pub struct Recorded {
    id: Uuid,
    key_id: String,
    payload: Vec<u8>,
    subject_hash: String,
}

/// A signed document on its way back to the store.
pub struct Signed {
    id: Uuid,
    document: Vec<u8>,
    subject_hash: String,
}

impl Recorded {
    /// The certificate's resource id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Id of the key the payload names.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Signs the recorded bytes.
    ///
    /// # Errors
    ///
    /// Those of `sign`; the intent stays recorded and is taken up again when its
    /// lease has passed.
    pub fn sign_with<E>(self, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<Signed, E> {
        let document = sign(&self.payload)?;
        Ok(Signed {
            id: self.id,
            document,
            subject_hash: self.subject_hash,
        })
    }
}

/// One step of an application's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStep<S = ApplicationState> {
    /// The state entered.
    pub state: S,
    /// When.
    pub change_time: Timestamp,
    /// Resource name of who acted.
    pub actor: String,
    /// Who decided, as the caller named them; empty when nobody did.
    pub decider: String,
    /// Keyed hash of who decided; empty when nobody did.
    pub decider_hash: String,
    /// Why; empty when not told.
    pub reason: String,
    /// What is to be mended.
    pub remarks: Vec<Remark>,
}

impl<S> StoredStep<S> {
    /// Resource name of the caller that acted; empty for what the service did by itself.
    #[must_use]
    pub fn caller(&self) -> &str {
        match self.actor.starts_with("callers/") {
            true => &self.actor,
            false => "",
        }
    }
}

/// An application as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredApplication {
    /// Resource id.
    pub id: Uuid,
    /// State.
    pub state: ApplicationState,
    /// What it asks for.
    pub content: ApplicationContent,
    /// Resource id that its certificate has or will have.
    pub certificate_id: Uuid,
    /// History, oldest first.
    pub history: Vec<StoredStep>,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Until when it can be paid, while it waits for that.
    pub pay_until: Option<Timestamp>,
    /// Counts its changes.
    pub version: i64,
}

/// A certificate as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCertificate {
    /// Resource id.
    pub id: Uuid,
    /// The code.
    pub code: ValidityCode,
    /// Serial for filing.
    pub serial: Serial,
    /// Resource id of its application.
    pub application_id: Uuid,
    /// What it says.
    pub content: CertificateContent,
    /// State.
    pub state: DocumentState,
    /// Id of the signing key.
    pub key_id: String,
    /// The signed document; unset while it is being issued.
    pub signed_document: Option<Vec<u8>>,
    /// When it was issued.
    pub issue_time: Timestamp,
    /// When it expires.
    pub expire_time: Timestamp,
    /// The revocation.
    pub revocation: Option<StoredRevocation>,
    /// The certificate that replaced it.
    pub superseded_by: Option<Uuid>,
    /// The certificate that it replaced.
    pub supersedes: Option<Uuid>,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// What transaction 1 came to.
#[derive(Debug)]
pub enum Intent {
    /// A new intent, ready to be signed.
    Recorded(Recorded),
    /// What the request_id stands for already: the resource name of a certificate or
    /// of an application.
    Earlier(String),
    /// The request_id stands for another request.
    RequestIdReused,
    /// Another application like it is open.
    OpenExists(Uuid),
    /// The application has changed since it was read.
    Moved,
    /// One of its files is not there, or not the caller's to attach.
    AttachmentMissing,
    /// The drawn code is taken.
    CodeTaken,
}

/// Prints nothing: it is about a student as a whole.
impl fmt::Debug for CertificateContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateContent(…)")
    }
}

/// Prints no payload: it says who studies where.
impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("id", &self.id)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Prints no document: it says who studies where.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Prints neither code nor document nor what it says.
impl fmt::Debug for StoredCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCertificate")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("signed", &self.signed_document.is_some())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Collection of the certificates' resource names.
pub(crate) const COLLECTION: &str = "enrollmentCertificates";

/// Collection of the applications' resource names.
pub(crate) const APPLICATIONS: &str = "enrollmentCertificateApplications";

fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}

fn application_name(id: Uuid) -> String {
    format!("{APPLICATIONS}/{id}")
}
