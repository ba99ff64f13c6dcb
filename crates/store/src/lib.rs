//! The only place with SQL: entities, migrations and one concrete [`Store`] for
//! SQLite (the embedded default) and PostgreSQL.
//!
//! Uniqueness is carried by unique constraints, never by looking first. Every
//! act's transaction holds the claim of its request_id, the change itself, one
//! audit entry and one change event.

mod attachments;
mod audit;
mod budgets;
mod calendars;
mod certificates;
mod changes;
mod claim;
mod clocks;
mod codes;
mod connect;
mod content;
mod disputes;
mod document;
pub mod entity;
mod error;
mod feed;
mod incidents;
mod inquiries;
mod jobs;
mod joint;
mod listing;
mod lookup;
mod migration;
mod payments;
mod quotas;
mod records;
mod registry;
mod rows;
mod seed;
mod service_levels;
mod snapshot;
mod tariffs;
mod tx;
mod verify;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gavah_domain::Entropy;
use sea_orm::DatabaseConnection;
use sea_orm::sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use codes::Issuing;
use document::Changing;
use joint::Queue;
use lookup::Lookups;

pub use attachments::StoredAttachment;
pub use audit::{Act, ActContext};
pub use budgets::{Spending, Spent};
pub use calendars::{CalendarLoad, calendar_name};
pub use certificates::{
    ApplicationChange, ApplicationContent, ApplicationOutcome, CertificateContent, Intent,
    IssueCertificate, NewStep, Paper, Recorded, Signed, StoredApplication, StoredCertificate,
    StoredStep,
};
pub use changes::{CHANGE_LOOKS, Changes, Mark};
pub use claim::{Claim, Claimed};
pub use codes::{
    Attestation, CodeApplicationChange, CodeApplicationContent, CodeApplicationOutcome,
    CodeContent, Correction, Issue, IssueCode, PriorGround, PriorProof, StoredCode,
    StoredCodeApplication, StoredRevocation,
};
pub use connect::{StoreConfig, StoreLimits};
pub use disputes::{
    DisputeFilter, DisputeOutcome, DisputeParties, DisputeStep, NewAction, NewDispute, NewRuling,
    Ordered, Stance, StoredAction, StoredDispute, StoredMessage, StoredRuling,
};
pub use document::DocumentChange;
pub use error::StoreError;
pub use feed::{AuditFilter, ChainedEntry, FeedEvent, FeedPage, FeedScope};
pub use incidents::{IncidentOutcome, NewIncident, StoredIncident};
pub use inquiries::Covered;
pub use jobs::{ERROR_RATE, JOB_METHOD, JobOutcome, NewJob, RowEnd, StoredJob};
pub use joint::JOINT_WORK;
pub use listing::{CertificateFilter, CodeFilter, PageKey, Scope};
pub use lookup::GatheredHere;
pub use payments::{
    DueLine, Finding, Matched, NewPayment, NewRefund, PaymentFilter, PaymentOutcome, RefundEnd,
    RefundOutcome, StoredLine, StoredPayment, StoredRefund,
};
pub use quotas::AgreementUse;
pub use records::{EventReport, EventRow, RecordOutcome, RecordRow, StoredRecord};
pub use registry::{
    AgreementFilter, AgreementStep, AgreementText, NewCaller, NewServiceDocument, Paused,
    RegistryChange, StoredAgreement, StoredCall, StoredCaller, StoredExpert, StoredInstitution,
    StoredPause, StoredServiceDocument, agreement_name, call_name,
};
pub use seed::{
    AgreementSeed, AgreementTextSeed, CallSeed, Clause, CodeRulesSeed, RequiredAttachmentSeed,
    Seed, SeedError, TariffRowSeed, TariffSeed, TermSeed, WorkflowRules, WorkflowSeed,
};
pub use service_levels::{ReportFilter, ReportParts, ReportRow};
pub use snapshot::{CertificateEntry, Snapshot};
pub use tariffs::{TariffLoad, sha256};
pub use tx::{TRANSACTION_SECONDS, TRANSACTIONS};
pub use verify::{ChainReport, Difference};

/// A document changed by suspending, reinstating or revoking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T> {
    /// The document after the change, or after the earlier call with this
    /// request_id.
    Done(T),
    /// The request_id stands for another request.
    RequestIdReused,
    /// The document changed since the caller read it.
    EtagMismatch,
    /// The document's state does not allow the act.
    NotAllowed,
}

/// The store. Cheap to clone; a clone made by [`Store::by`] carries a deadline.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    deadline: Option<Instant>,
}

struct Inner {
    db: DatabaseConnection,
    /// For hearing of changes that other nodes commit; none on SQLite.
    listening: Option<PgPool>,
    changes: Arc<Changes>,
    /// The runtime of the connections.
    home: Handle,
    limits: StoreLimits,
    entropy: Arc<dyn Entropy>,
    write_turn: Option<Semaphore>,
    /// The id of the last audit entry made here.
    last_entry: Mutex<uuid::Uuid>,
    workers: Mutex<Vec<AbortHandle>>,
    lookups: Arc<Lookups>,
    issuing: Queue<Issuing>,
    changing_codes: Queue<Changing<StoredCode>>,
    changing_certificates: Queue<Changing<StoredCertificate>>,
    upserting: Queue<RecordRow>,
}

impl Store {
    /// This store with a deadline for every call made through it.
    #[must_use]
    pub fn by(&self, deadline: Instant) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            deadline: Some(deadline),
        }
    }

    /// Closes all connections after the work in progress.
    pub async fn close(&self) {
        // Closing twice is harmless and the only error there is.
        let _ = self.inner.db.close_by_ref().await;
        if let Some(listening) = &self.inner.listening {
            // Who still listens would hold it up.
            let _ = timeout(seconds(1), listening.close()).await;
        }
    }

    /// Asks the database for an answer.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Timeout`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping", async { Ok(self.inner.db.ping().await?) })
            .await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("backend", &self.inner.db.get_database_backend())
            .finish_non_exhaustive()
    }
}

/// Seconds as a [`Duration`], for defaults.
const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
