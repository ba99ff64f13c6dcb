//! The use cases, one file for each group of operations. They know the domain and
//! the store; neither messages nor statuses of the transport.

use std::sync::Arc;

use gavah_domain::agreement::{Agreement, AgreementPurpose};
use gavah_domain::institution::{Institution, InstitutionCode};
use gavah_domain::service::{
    ServiceCall, ServiceKind, WorkflowVersion, guard_call, guard_eligible,
};
use gavah_domain::tariff::{Priced, Quote};
use gavah_domain::{Clock, Entropy, JalaliDate, PersonId, Reason, new_uuid};
use gavah_evidence::{Signer, SubjectHasher};
use gavah_gateway::Gateway;
use gavah_objects::Objects;
use gavah_store::{ActContext, Claim, Claimed, Scope, Store};
use jiff::{SignedDuration, Timestamp};
use opentelemetry::TraceId;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::call::Acting;
use crate::convert::{Head, Known};
use crate::error::{AppError, Refusal};
use crate::registry_watch::Registry;

pub mod agreements;
pub mod attachments;
pub mod audit;
pub mod budgets;
pub mod certificates;
pub mod code_applications;
pub mod codes;
pub mod disputes;
mod documents;
pub mod feed;
pub mod incidents;
pub mod inquiries;
pub mod jobs;
pub mod legacy;
pub mod mandate;
pub mod payments;
pub mod quotas;
pub mod records;
pub mod recovery;
pub mod registry;
pub mod remembered;
pub mod revocations;
pub mod sandbox;
pub mod service_documents;
pub mod service_levels;
pub mod tariffs;
pub mod validate;

use budgets::{Budgets, part_of_hash};
use feed::FeedEnd;
use inquiries::Coverages;
use mandate::not_agreed;
use quotas::{Counted, Quotas};
use remembered::Remembered;

/// How long an approved application waits for its payment.
const PAY_WITHIN: SignedDuration = SignedDuration::from_hours(72);

/// What every use case works with.
#[derive(Debug)]
pub struct App {
    /// The store.
    pub store: Store,
    /// The files beside the store.
    pub objects: Objects,
    /// The clock; read once per operation.
    pub clock: Arc<dyn Clock>,
    /// The source of codes and ids.
    pub entropy: Arc<dyn Entropy>,
    /// The key that signs certificates.
    pub signer: Arc<dyn Signer>,
    /// Where fees are paid; none where no payments are taken.
    pub gateway: Option<Arc<dyn Gateway>>,
    /// Names subjects in the audit without telling who they are.
    pub hasher: SubjectHasher,
    /// The registry of this node.
    pub registry: Arc<Registry>,
    /// Documents validated lately.
    pub remembered: Remembered,
    /// What callers have spent of their budgets of lookups.
    pub budgets: Budgets,
    /// How often agreements were used.
    pub quotas: Quotas,
    /// The statements of coverage that were made last.
    pub coverages: Coverages,
    /// Where the change feed ends.
    pub feed_end: FeedEnd,
    /// This run of the process, as owner of leases.
    pub run: Uuid,
    /// Where work goes on that must end even when its connection has gone.
    pub home: Handle,
}

impl App {
    /// The store, under the call's deadline.
    fn store_for(&self, call: &Acting) -> Store {
        self.store.by(call.deadline)
    }

    /// What a request is read with.
    #[must_use]
    pub fn known<'a>(&self, call: &'a Acting) -> Known<'a> {
        Known {
            now: self.clock.now(),
            snapshot: &call.snapshot,
        }
    }

    fn new_id(&self, now: Timestamp) -> Result<Uuid, AppError> {
        new_uuid(now, &*self.entropy).map_err(|_| AppError::Internal("no randomness for an id"))
    }

    /// A trace of its own for what no call asked for.
    pub(crate) fn new_trace_id(&self) -> Result<TraceId, AppError> {
        let mut bytes = [0; 16];
        self.entropy
            .fill(&mut bytes)
            .map_err(|_| AppError::Internal("no randomness for a trace"))?;
        Ok(TraceId::from_bytes(bytes))
    }

    fn subject_hash(&self, person: &PersonId) -> String {
        self.hasher.hash(&person.key())
    }
}

/// The context of an act asked for by `call` under `head`; `row` in a batch.
fn context(call: &Acting, head: &Head, row: Option<u32>, now: Timestamp) -> ActContext {
    ActContext {
        actor: actor(call),
        now,
        trace_id: call.trace_id.to_string(),
        claim: Some(Claim {
            caller_id: call.caller.id.as_str().to_owned(),
            method: call.method.to_owned(),
            request_id: head.request_id,
            row,
            digest: head.digest,
            ordered: head.ordered,
        }),
    }
}

fn actor(call: &Acting) -> String {
    format!("callers/{}", call.caller.id.as_str())
}

/// The institution a message names, if the caller may act for it. An unknown one
/// and a stranger's are the same to the caller.
fn owned<'a>(call: &'a Acting, code: &InstitutionCode) -> Result<&'a Institution, AppError> {
    call.snapshot
        .institution(code.as_str())
        .map(|stored| &stored.institution)
        .filter(|institution| call.caller.may_act_for(institution))
        .ok_or_else(|| Reason::InstitutionNotOwned.into())
}

/// Whether the caller may read what belongs to the institution.
fn may_read(call: &Acting, code: &InstitutionCode) -> bool {
    call.snapshot
        .institution(code.as_str())
        .is_some_and(|stored| call.caller.may_read(&stored.institution))
}

/// Whether the caller owns what belongs to the institution.
fn owns(call: &Acting, code: &InstitutionCode) -> bool {
    owned(call, code).is_ok()
}

/// The rows a caller may list, narrowed to one institution if it names one.
fn scope(call: &Acting, institution: Option<&InstitutionCode>) -> Result<Scope, AppError> {
    use gavah_domain::caller::CallerClass;
    let sees_all = matches!(
        call.caller.class,
        CallerClass::Organization | CallerClass::Auditor
    );
    if let Some(code) = institution {
        return if may_read(call, code) {
            Ok(Scope::Institutions(vec![code.as_str().to_owned()]))
        } else if sees_all {
            // Nothing is stored for an institution that is not registered.
            Ok(Scope::Institutions(Vec::new()))
        } else {
            Err(Reason::InstitutionNotOwned.into())
        };
    }
    if sees_all {
        return Ok(Scope::All);
    }
    let own = call
        .snapshot
        .institutions
        .values()
        .map(|stored| &stored.institution);
    let own = own.filter(|institution| call.caller.may_act_for(institution));
    Ok(Scope::Institutions(
        own.map(|institution| institution.code.as_str().to_owned())
            .collect(),
    ))
}

/// The rules one issuing runs under.
struct Terms<'a> {
    call: &'a ServiceCall,
    agreement: &'a Agreement,
    workflow: &'a WorkflowVersion,
    priced: Priced<'a>,
}

impl Terms<'_> {
    /// The fee with its ground, as it is quoted now.
    ///
    /// # Errors
    ///
    /// TARIFF_YEAR_NOT_LOADED.
    fn quote(&self, call: &Acting) -> Result<Quote, AppError> {
        Ok(tariffs::quoted(&call.snapshot, &self.priced)?.quote)
    }
}

impl Acting {
    /// Number of the publication of the service's documents that is in force.
    fn documents(&self, service: ServiceKind) -> i64 {
        self.snapshot
            .publications
            .get(&service)
            .copied()
            .unwrap_or_default()
    }
}

/// The guards every issuing shares, in the order in which their refusals matter:
/// no pause, open call and active agreement with calls left, eligible institution.
fn terms<'a>(
    app: &App,
    call: &'a Acting,
    service: ServiceKind,
    request_type: &'a str,
    institution: &Institution,
    now: Timestamp,
) -> Result<Terms<'a>, AppError> {
    let snapshot = &call.snapshot;
    not_paused(call, service, institution)?;
    let mut consumers = vec![actor(call)];
    if let Some(own) = &call.caller.institution {
        consumers.push(format!("institutions/{}", own.as_str()));
    }
    let (open, agreement) = guard_call(
        &snapshot.calls,
        &snapshot.agreements,
        service,
        &consumers,
        AgreementPurpose::Issue,
        now,
    )
    .map_err(|reason| match reason {
        Reason::PurposeNotInAgreement => not_agreed(AgreementPurpose::Issue),
        reason => reason.into(),
    })?;
    let counted = Counted::one(call);
    app.quotas
        .take(call, std::iter::once(agreement), counted, now)?;
    guard_eligible(open, institution).map_err(|reason| {
        Refusal::new(reason).with("institution_type", institution.kind.as_str())
    })?;
    let workflow = snapshot
        .workflows
        .get(&open.workflow_version)
        .ok_or(AppError::Internal(
            "a service call names an unknown workflow version",
        ))?;
    Ok(Terms {
        call: open,
        agreement,
        workflow,
        priced: Priced {
            service,
            request_type,
            institution_type: institution.kind,
            date: JalaliDate::of(now),
        },
    })
}

fn not_paused(
    call: &Acting,
    service: ServiceKind,
    institution: &Institution,
) -> Result<(), AppError> {
    let mut pauses = call.snapshot.pauses.iter();
    if pauses.any(|pause| pause.paused.covers(service, institution)) {
        return Err(Reason::IssuancePaused.into());
    }
    Ok(())
}

/// What is issued in the call that asks for it cannot wait for a payment.
fn free(quote: &Quote) -> Result<(), AppError> {
    quote.require_free().map_err(|reason| {
        Refusal::new(reason)
            .with("budget_year", quote.year.to_string())
            .with("legal_reference", quote.evidence.clone())
            .into()
    })
}

/// What an earlier call with this request_id stands for, asked when a guard has
/// refused: guards may refuse today what was granted yesterday, and a replay gets
/// yesterday's answer.
async fn earlier(
    app: &App,
    call: &Acting,
    context: &ActContext,
    refused: AppError,
) -> Result<String, AppError> {
    let Some(claim) = &context.claim else {
        return Err(refused);
    };
    match app.store_for(call).claimed(claim).await? {
        Some(Claimed::Replay { resource, .. }) => Ok(resource),
        Some(Claimed::Reused) => Err(Reason::RequestIdReused.into()),
        None => Err(refused),
    }
}

/// The lot of what `key` names: a number below a hundred. Nobody can tell it before, and who comes again with the same
/// draws the same.
fn lot(app: &App, key: &str) -> u8 {
    let hash = app.hasher.hash(&format!("lot|{key}"));
    u8::try_from(part_of_hash(&hash).rem_euclid(100)).unwrap_or_default()
}
