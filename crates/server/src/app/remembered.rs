//! Documents remembered between validations, so that a code asked for often is
//! judged without asking the store. The document is remembered, never the verdict:
//! that is formed anew each time, at the instant of the question.
//!
//! A document is believed only while this node knows of every change committed
//! anywhere until less than a second ago, and this one is not among them. Unknown
//! codes are not remembered: the next commit may issue them.

use std::mem::size_of;
use std::sync::Arc;

use gavah_domain::program::Program;
use gavah_domain::record::Subject;
use gavah_domain::{DisplayText, ValidityCode};
use gavah_store::{Changes, Mark, StoredCertificate, StoredCode};
use metrics::Counter;
use moka::sync::Cache;
use uuid::Uuid;

use super::validate::Found;

/// Counter: documents asked for, by [`LABEL_OUTCOME`].
pub const DOCUMENTS_REMEMBERED: &str = "gavah_documents_remembered_total";
/// Label: `hit`, `miss`.
pub const LABEL_OUTCOME: &str = "outcome";

/// What an allocation costs beside its bytes.
const ALLOCATION: usize = 16;
/// What an entry costs beside its document.
const ENTRY: usize = 192;

/// Documents by their digits, in bounded memory.
#[derive(Clone)]
pub struct Remembered {
    documents: Cache<ValidityCode, Entry>,
    hits: Counter,
    misses: Counter,
}

#[derive(Clone)]
struct Entry {
    found: Arc<Found>,
    mark: Mark,
}

impl Remembered {
    /// Room for documents of about so many bytes; with 0 nothing is remembered.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, entry: &Entry| u32::try_from(entry.bytes()).unwrap_or(u32::MAX));
        let counter = |outcome| metrics::counter!(DOCUMENTS_REMEMBERED, LABEL_OUTCOME => outcome);
        Self {
            documents: cache.build(),
            hits: counter("hit"),
            misses: counter("miss"),
        }
    }

    /// The document with this code, if it is remembered and certainly as it was.
    #[must_use]
    pub fn get(&self, code: &ValidityCode, changes: &Changes) -> Option<Arc<Found>> {
        let remembered = self
            .documents
            .get(code)
            .filter(|entry| entry.holds(changes) && changes.is_current());
        let counter = if remembered.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.increment(1);
        remembered.map(|entry| entry.found)
    }

    /// Remembers a document that was read after `mark`.
    pub fn put(&self, code: ValidityCode, found: &Arc<Found>, mark: Mark) {
        // What is not signed yet changes without being changed.
        if found.is_issued() {
            let found = Arc::clone(found);
            self.documents.insert(code, Entry { found, mark });
        }
    }
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

impl Entry {
    fn holds(&self, changes: &Changes) -> bool {
        changes.unchanged_since(self.mark, self.found.id())
    }

    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        ENTRY
            + size_of::<Found>()
            + match &*self.found {
                Found::Code(code) => size_of::<StoredCode>() + code_bytes(code),
                Found::Certificate(certificate) => {
                    size_of::<StoredCertificate>() + certificate_bytes(certificate)
                }
            }
    }
}

impl Found {
    fn id(&self) -> Uuid {
        match self {
            Self::Code(code) => code.id,
            Self::Certificate(certificate) => certificate.id,
        }
    }

    fn is_issued(&self) -> bool {
        match self {
            Self::Code(_) => true,
            Self::Certificate(certificate) => certificate.signed_document.is_some(),
        }
    }
}

fn code_bytes(code: &StoredCode) -> usize {
    let content = &code.content;
    subject_bytes(&content.subject)
        + program_bytes(&content.program)
        + of_all([
            content.document.number.as_deref().unwrap_or_default(),
            &content.external_ref,
            &content.attestation.expert_code,
            &content.attestation.statement_version,
            &content.quote.evidence,
            &content.workflow_version,
        ])
        + size_of_val(content.priors.as_slice())
}

fn certificate_bytes(certificate: &StoredCertificate) -> usize {
    let content = &certificate.content;
    subject_bytes(&content.subject)
        + program_bytes(&content.program)
        + of_all([
            content.window_reference.as_str(),
            &content.addressee_fa,
            content.addressee_en.as_deref().unwrap_or_default(),
            &content.quote.evidence,
            &content.workflow_version,
            &certificate.key_id,
        ])
        + certificate.signed_document.as_ref().map_or(0, Vec::len)
}

fn subject_bytes(subject: &Subject) -> usize {
    let name = &subject.name;
    of_all(
        [
            Some(name.given_fa()),
            name.family_fa(),
            name.given_en(),
            name.family_en(),
            subject.father_name_fa.as_ref(),
        ]
        .into_iter()
        .flatten()
        .map(DisplayText::as_str),
    ) + ALLOCATION * 2
}

fn program_bytes(program: &Program) -> usize {
    let titles = [
        Some(&program.field_title_fa),
        program.field_title_en.as_ref(),
        program.unit_name_fa.as_ref(),
    ];
    of_all(titles.into_iter().flatten().map(DisplayText::as_str))
        + of_all([
            program.institution.as_str(),
            program.student_number.as_str(),
            &program.field_code,
        ])
}

fn of_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> usize {
    texts
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(|text| text.len() + ALLOCATION)
        .sum()
}
