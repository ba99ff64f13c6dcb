//! Validity codes: issuing, reading, life cycle.

mod application;
mod change;
mod issue;
mod rows;

use std::fmt;

use gavah_domain::ValidityCode;
use gavah_domain::document::{DocumentState, RevocationReason};
use gavah_domain::program::{DegreeLevel, Program};
use gavah_domain::record::Subject;
use gavah_domain::tariff::Quote;
use gavah_domain::validity::DocumentFacts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use application::{COLLECTION as APPLICATIONS, read_code_application};
pub use application::{
    CodeApplicationChange, CodeApplicationContent, CodeApplicationOutcome, PriorGround,
    StoredCodeApplication,
};
pub(crate) use issue::Issuing;
pub(crate) use rows::{read_row, revocation_json, revocation_read};

/// An expert's attestation as it is kept with the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The expert's code at the institution of the programme.
    pub expert_code: String,
    /// Version of the statement.
    pub statement_version: String,
    /// When it was made, UTC microseconds.
    pub attest_micros: i64,
}

/// A previous level proven by a validity code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorProof {
    /// The level.
    pub level: DegreeLevel,
    /// The code's resource id.
    pub code_id: Uuid,
}

/// What a validity code says; never changes.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeContent {
    /// The student.
    pub subject: Subject,
    /// The programme.
    pub program: Program,
    /// The document.
    pub document: DocumentFacts,
    /// Whether a second major was declared.
    pub double_major_declared: bool,
    /// The caller's own reference.
    pub external_ref: String,
    /// The attestation.
    pub attestation: Attestation,
    /// The proven previous levels.
    pub priors: Vec<PriorProof>,
    /// The ground of the fee.
    pub quote: Quote,
    /// The workflow version.
    pub workflow_version: String,
    /// Number of the publication of the service's documents that it runs under; 0 where nothing was published.
    pub documents: i64,
}

/// A code ready to be recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct IssueCode {
    /// Its resource id.
    pub id: Uuid,
    /// The code, freshly drawn.
    pub code: ValidityCode,
    /// The key under which only one code may be live.
    pub live_key: String,
    /// What it says.
    pub content: CodeContent,
    /// Whether it was issued before this service: nobody attests it then.
    pub legacy: bool,
    /// When it is issued.
    pub issue_time: Timestamp,
    /// When it expires.
    pub expire_time: Option<Timestamp>,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: String,
    /// Id of the agreement, when it is issued in the call that asks for it: only then it has a service level of its own.
    pub agreement: Option<String>,
}

/// What came of recording a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issue<T> {
    /// Recorded now.
    Issued(T),
    /// Recorded by an earlier call with this request_id.
    Replayed(T),
    /// The request_id stands for an application, by its id, that waited for its payment: a row of a run made it.
    Applied(Uuid),
    /// The request_id stands for another request.
    RequestIdReused,
    /// A live document with the same key exists.
    AlreadyIssued {
        /// Its resource id.
        id: Uuid,
    },
    /// The drawn code is taken: draw another.
    CodeTaken,
    /// The expert is unknown or not active.
    ExpertNotActive,
}

/// What came of correcting a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Correction<T> {
    /// What came of recording the right one; the wrong one is superseded with it.
    Issue(Issue<T>),
    /// The wrong one has changed since it was read.
    Moved,
}

/// A revocation as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRevocation {
    /// Why.
    pub reason: RevocationReason,
    /// The legal basis given, possibly empty.
    pub legal_basis: String,
    /// When.
    pub revoke_time: Timestamp,
    /// Resource name of who revoked.
    pub revoked_by: String,
}

/// A validity code as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCode {
    /// Resource id.
    pub id: Uuid,
    /// The code.
    pub code: ValidityCode,
    /// What it says.
    pub content: CodeContent,
    /// State.
    pub state: DocumentState,
    /// When it was issued.
    pub issue_time: Timestamp,
    /// When it expires.
    pub expire_time: Option<Timestamp>,
    /// The revocation.
    pub revocation: Option<StoredRevocation>,
    /// Whether it was issued before this service.
    pub legacy: bool,
    /// The code that replaced it.
    pub superseded_by: Option<Uuid>,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// Prints nothing: it is about a student as a whole.
impl fmt::Debug for CodeContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeContent(…)")
    }
}

/// Collection of the resource names.
pub(crate) const COLLECTION: &str = "validityCodes";

/// Resource name of a validity code.
fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}
