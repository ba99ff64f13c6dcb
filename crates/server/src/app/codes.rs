//! Validity codes: issue in one call, read, list, suspend, reinstate, revoke.

use gavah_domain::caller::CallerClass;
use gavah_domain::dispute::OrderedAct;
use gavah_domain::document::DocumentState;
use gavah_domain::institution::Institution;
use gavah_domain::program::DegreeLevel;
use gavah_domain::service::{ServiceCall, ServiceKind, WorkflowVersion, guard_document_kind};
use gavah_domain::tariff::{ISSUE, Quote};
use gavah_domain::validity::DocumentKind;
use gavah_domain::verdict::{Outcome, verdict_at};
use gavah_domain::{CodeScheme, PersonId, Reason, ValidityCode};
use gavah_store::{
    ActContext, Attestation, Claimed, CodeContent, CodeFilter, Correction, Issue, IssueCode,
    PriorProof, StoredCode, StoredCodeApplication,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::code_applications;
use super::disputes::{ordered, reissue_ordered};
use super::documents::{change_of, check_change, settle};
use super::validate::document_of_code;
use super::{App, actor, context, earlier, free, may_read, owned, owns, scope, terms};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::change::ChangeInput;
use crate::convert::code::{CodeFacts, CorrectCodeInput, IssueCodeInput, ListCodesInput, Proof};
use crate::convert::names::Collection;
use crate::error::{AppError, Refusal};

/// How often another code is drawn when the drawn one is taken; a second draw is
/// already a once-in-the-life-of-the-system event.
pub(super) const DRAWS: usize = 3;

/// How the fee of a code is settled.
enum Fee {
    /// There is none.
    Free,
    /// If there is one, an application waits for it.
    MayWait,
    /// It was paid, or free, before, and is not quoted again.
    Before(Quote),
}

/// What came of a row of a run.
#[derive(Debug)]
pub enum Row {
    /// The code.
    Issued(Box<StoredCode>),
    /// An application without a code: it waits for its payment, or has ended.
    Unpaid(Box<StoredCodeApplication>),
}

/// Issues a validity code by a row of a run; where it has a fee, an application waits for its payment.
///
/// # Errors
///
/// As [`issue`], but for PAYMENT_REQUIRED; OPEN_APPLICATION_EXISTS.
pub async fn issue_row(app: &App, call: &Acting, input: IssueCodeInput) -> Result<Row, AppError> {
    let institution = owned(call, &input.facts.program.institution)?;
    let now = app.clock.now();
    let context = context(call, &input.head, input.row, now);
    let done = async {
        let prepared = prepare(app, call, &input, institution, Fee::MayWait, now).await?;
        if prepared.content.quote.require_free().is_err() {
            check_free(app, call, &prepared).await?;
            return code_applications::unpaid(app, call, &context, prepared).await;
        }
        record(app, call, &context, prepared).await
    };
    match done.await {
        Err(refused @ (AppError::Refused(_) | AppError::Invalid(_))) => {
            let resource = earlier(app, call, &context, refused).await?;
            match Collection::ValidityCodeApplications.parse(&resource) {
                Ok(id) => code_applications::row(app, call, id).await,
                Err(_) => Ok(Row::Issued(Box::new(read(app, call, &resource).await?))),
            }
        }
        done => done,
    }
}

/// Issues a validity code by a call of its own; `None` when only checking.
///
/// # Errors
///
/// Refusals by the guards, the uniqueness key and the prior-qualification chain;
/// [`AppError::Store`].
pub async fn issue(
    app: &App,
    call: &Acting,
    input: IssueCodeInput,
) -> Result<Option<StoredCode>, AppError> {
    let institution = owned(call, &input.facts.program.institution)?;
    let now = app.clock.now();
    let context = context(call, &input.head, input.row, now);
    let prepared = match prepare(app, call, &input, institution, Fee::Free, now).await {
        Ok(prepared) => prepared,
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            return read(app, call, &resource).await.map(Some);
        }
    };
    if input.head.validate_only {
        return check_free(app, call, &prepared).await.map(|()| None);
    }
    match record(app, call, &context, prepared).await? {
        Row::Issued(stored) => Ok(Some(*stored)),
        Row::Unpaid(_) => Err(AppError::Internal("a call of its own made an application")),
    }
}

/// Corrects a code: a new one is issued and the wrong one superseded; `None` when only
/// checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, and those of
/// [`issue`].
pub async fn correct(
    app: &App,
    call: &Acting,
    input: CorrectCodeInput,
) -> Result<Option<StoredCode>, AppError> {
    let institution = owned(call, &input.right.facts.program.institution)?;
    let now = app.clock.now();
    let context = context(call, &input.right.head, None, now);
    let prepared = match prepare_correction(app, call, &input, institution, now).await {
        Ok(prepared) => prepared,
        Err(refused) if input.right.head.validate_only => return Err(refused),
        Err(refused) => {
            let resource = earlier(app, call, &context, refused).await?;
            return read(app, call, &resource).await.map(Some);
        }
    };
    let (wrong, mut right) = prepared;
    if input.right.head.validate_only {
        // The wrong code gives up its own key.
        return match check_free(app, call, &right).await {
            Err(AppError::Refused(refusal)) if is_held_by(&refusal, wrong.id) => Ok(None),
            checked => checked.map(|()| None),
        };
    }
    let store = app.store_for(call);
    for _ in 0..DRAWS {
        match store
            .correct_code(&context, wrong.id, wrong.version, &right)
            .await?
        {
            Correction::Issue(Issue::Issued(stored) | Issue::Replayed(stored)) => {
                return Ok(Some(stored));
            }
            Correction::Issue(Issue::CodeTaken) => right.code = draw(app)?,
            Correction::Issue(Issue::Applied(_)) => {
                return Err(AppError::Internal("a correction made an application"));
            }
            Correction::Issue(Issue::RequestIdReused) => {
                return Err(Reason::RequestIdReused.into());
            }
            Correction::Issue(Issue::AlreadyIssued { id }) => return Err(already_issued(id)),
            Correction::Issue(Issue::ExpertNotActive) => {
                return Err(Reason::ExpertNotActive.into());
            }
            Correction::Moved => {
                // Perhaps by this very request, sent twice at once.
                let reason = match input.etag {
                    Some(_) => Reason::EtagMismatch,
                    None => Reason::ConcurrentUpdate,
                };
                let resource = earlier(app, call, &context, reason.into()).await?;
                return read(app, call, &resource).await.map(Some);
            }
        }
    }
    Err(AppError::Internal("every drawn code was taken"))
}

fn is_held_by(refusal: &Refusal, id: Uuid) -> bool {
    let name = Collection::ValidityCodes.name(id);
    refusal.reason == Reason::CodeAlreadyIssued
        && refusal.metadata.iter().any(|(_, value)| *value == name)
}

/// The wrong code, which must be active, and the right one.
async fn prepare_correction(
    app: &App,
    call: &Acting,
    input: &CorrectCodeInput,
    institution: &Institution,
    now: Timestamp,
) -> Result<(StoredCode, IssueCode), AppError> {
    let wrong = get(app, call, input.id).await?;
    if wrong.content.program.institution != institution.code {
        return Err(Reason::ResourceNotFound.into());
    }
    if input.etag.is_some_and(|etag| etag != wrong.version) {
        return Err(Reason::EtagMismatch.into());
    }
    let expired = wrong.expire_time.is_some_and(|end| end <= now);
    if wrong.state != DocumentState::Active || expired {
        let state = if expired {
            "EXPIRED"
        } else {
            wrong.state.as_str()
        };
        return Err(Refusal::new(Reason::StateTransitionNotAllowed)
            .with("state", state)
            .with("allowed", "")
            .into());
    }
    let name = Collection::ValidityCodes.name(input.id);
    ordered(app, call, &input.right.head, OrderedAct::Correct, &name).await?;
    let before = Fee::Before(wrong.content.quote.clone());
    let right = prepare(app, call, &input.right, institution, before, now).await?;
    Ok((wrong, right))
}

/// Everything that can be decided before the transaction.
async fn prepare(
    app: &App,
    call: &Acting,
    input: &IssueCodeInput,
    institution: &Institution,
    fee: Fee,
    now: Timestamp,
) -> Result<IssueCode, AppError> {
    may_claim(app, call, &input.facts, now)?;
    let terms = terms(
        app,
        call,
        ServiceKind::ValidityCode,
        ISSUE,
        institution,
        now,
    )?;
    // A correction is neither promised nor ordered as what is asked for anew.
    let asked = !matches!(fee, Fee::Before(_));
    let quote = match fee {
        Fee::Before(quote) => quote,
        Fee::MayWait => terms.quote(call)?,
        Fee::Free => {
            let quote = terms.quote(call)?;
            free(&quote)?;
            quote
        }
    };
    let facts = &input.facts;
    if asked {
        let person = &facts.subject.person_id;
        reissue_ordered(app, call, &input.head, Collection::ValidityCodes, person).await?;
    }
    enabled(terms.call, facts.document.kind)?;
    if !terms.workflow.takes_attestations() {
        return Err(Reason::ReviewRequired.into());
    }
    if input.expert.institution != institution.code {
        return Err(Reason::ExpertNotActive.into());
    }
    let context = context(call, &input.head, input.row, now);
    let priors = proven(app, call, facts, &input.head, &context).await?;
    let levels: Vec<_> = priors.iter().map(|prior| prior.level).collect();
    chain(terms.workflow, facts.program.level, &levels)?;
    let content = CodeContent {
        subject: facts.subject.clone(),
        program: facts.program.clone(),
        document: facts.document.clone(),
        double_major_declared: facts.double_major_declared,
        external_ref: facts.external_ref.clone(),
        attestation: Attestation {
            expert_code: input.expert.code.as_str().to_owned(),
            statement_version: input.statement_version.clone(),
            attest_micros: input.attest_time.as_microsecond(),
        },
        priors,
        quote,
        workflow_version: terms.workflow.id.clone(),
        documents: call.documents(ServiceKind::ValidityCode),
    };
    Ok(IssueCode {
        // Nobody waits for a correction.
        agreement: asked.then(|| terms.agreement.id.clone()),
        ..ready(app, terms.workflow, content, now)?
    })
}

/// Whether the call issues codes for this kind of document.
///
/// # Errors
///
/// DOCUMENT_KIND_NOT_ENABLED with the kind.
pub(super) fn enabled(call: &ServiceCall, kind: DocumentKind) -> Result<(), AppError> {
    guard_document_kind(call, kind).map_err(|reason| {
        Refusal::new(reason)
            .with("document_kind", kind.as_str())
            .into()
    })
}

/// Whether the previous levels that the workflow requires are among the proven ones.
///
/// # Errors
///
/// PRIOR_QUALIFICATION_MISSING with the missing level.
pub(super) fn chain(
    workflow: &WorkflowVersion,
    level: DegreeLevel,
    proven: &[DegreeLevel],
) -> Result<(), AppError> {
    if !workflow.require_prior_qualification {
        return Ok(());
    }
    let missing = workflow.codes.missing_prior_levels(level, proven);
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<_> = missing.iter().map(|level| level.as_str()).collect();
    Err(Refusal::new(Reason::PriorQualificationMissing)
        .with("missing_level", missing.join(","))
        .into())
}

/// A code with this content, ready to be recorded.
pub(super) fn ready(
    app: &App,
    workflow: &WorkflowVersion,
    content: CodeContent,
    now: Timestamp,
) -> Result<IssueCode, AppError> {
    let person = &content.subject.person_id;
    Ok(IssueCode {
        id: app.new_id(now)?,
        code: draw(app)?,
        live_key: workflow.codes.live_key(
            person,
            &content.program,
            content.document.kind,
            content.double_major_declared,
        ),
        subject_hash: app.subject_hash(person),
        legacy: false,
        issue_time: now,
        expire_time: workflow.codes.expiry(content.document.kind, now),
        content,
        agreement: None,
    })
}

pub(super) fn draw(app: &App) -> Result<ValidityCode, AppError> {
    ValidityCode::draw(CodeScheme::ValidityCode, &*app.entropy)
        .map_err(|_| AppError::Internal("no randomness for a code"))
}

/// Whether the caller may name codes that prove previous levels, where it does: whether they do is told by the answer, so
/// that it is asked within the budget of lookups. Asked before anything is counted: a job that waits for the next day takes
/// nothing from its agreement.
///
/// # Errors
///
/// NEGATIVE_LOOKUPS.
pub(super) fn may_claim(
    app: &App,
    call: &Acting,
    facts: &CodeFacts,
    now: Timestamp,
) -> Result<(), AppError> {
    if claims(facts).next().is_none() {
        return Ok(());
    }
    app.budgets.check(call, now)
}

/// The previous levels that are claimed by codes.
fn claims(facts: &CodeFacts) -> impl Iterator<Item = (DegreeLevel, ValidityCode)> {
    facts.priors.iter().filter_map(|prior| match prior.proof {
        Proof::Code(code) => Some((prior.level, code)),
        Proof::File(_) => None,
    })
}

/// The claimed previous levels whose codes validate, now, for the same person and
/// the claimed level. Each of the others is a wrong guess, unless the act was done before and is only told again.
pub(super) async fn proven(
    app: &App,
    call: &Acting,
    facts: &CodeFacts,
    head: &Head,
    context: &ActContext,
) -> Result<Vec<PriorProof>, AppError> {
    let claims: Vec<_> = claims(facts).collect();
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let now = context.now;
    let codes: Vec<_> = claims.iter().map(|(_, code)| *code).collect();
    let found = app.store_for(call).find_codes(&codes).await?;
    let proofs = claims.iter().filter_map(|(level, code)| {
        let stored = found.iter().find(|stored| stored.code == *code)?;
        proves(call, stored, &facts.subject.person_id, *level, now).then_some(PriorProof {
            level: *level,
            code_id: stored.id,
        })
    });
    let proofs: Vec<_> = proofs.collect();
    let wrong = claims.len() - proofs.len();
    if wrong > 0 && (head.validate_only || !is_replay(app, call, context).await?) {
        app.budgets.guessed_wrong(app, call, wrong, now);
    }
    Ok(proofs)
}

async fn is_replay(app: &App, call: &Acting, context: &ActContext) -> Result<bool, AppError> {
    let Some(claim) = &context.claim else {
        return Ok(false);
    };
    let claimed = app.store_for(call).claimed(claim).await?;
    Ok(matches!(claimed, Some(Claimed::Replay { .. })))
}

/// Whether a code validates, now, for this person and level.
pub(super) fn proves(
    call: &Acting,
    stored: &StoredCode,
    person: &PersonId,
    level: DegreeLevel,
    now: Timestamp,
) -> bool {
    let document = document_of_code(call, stored);
    let verdict = verdict_at(&stored.code, Some(&document), Some(person), now);
    verdict.outcome == Outcome::Valid && stored.content.program.level == level
}

/// The checks that the transaction would make, without any effect.
async fn check_free(app: &App, call: &Acting, prepared: &IssueCode) -> Result<(), AppError> {
    let store = app.store_for(call);
    let content = &prepared.content;
    let institution = content.program.institution.as_str();
    if !store
        .expert_active(institution, &content.attestation.expert_code)
        .await?
    {
        return Err(Reason::ExpertNotActive.into());
    }
    match store
        .live_code(&prepared.live_key, prepared.issue_time)
        .await?
    {
        Some(id) => Err(already_issued(id)),
        None => Ok(()),
    }
}

async fn record(
    app: &App,
    call: &Acting,
    context: &ActContext,
    mut prepared: IssueCode,
) -> Result<Row, AppError> {
    let store = app.store_for(call);
    for _ in 0..DRAWS {
        match store.issue_code(context, &prepared).await? {
            Issue::Issued(stored) | Issue::Replayed(stored) => {
                return Ok(Row::Issued(Box::new(stored)));
            }
            Issue::Applied(id) => return code_applications::row(app, call, id).await,
            Issue::RequestIdReused => return Err(Reason::RequestIdReused.into()),
            Issue::AlreadyIssued { id } => return Err(already_issued(id)),
            Issue::ExpertNotActive => return Err(Reason::ExpertNotActive.into()),
            Issue::CodeTaken => prepared.code = draw(app)?,
        }
    }
    Err(AppError::Internal("every drawn code was taken"))
}

/// The key holds the caller's own institution, so the holder is its own too.
pub(super) fn already_issued(id: Uuid) -> AppError {
    Refusal::new(Reason::CodeAlreadyIssued)
        .with("resource", Collection::ValidityCodes.name(id))
        .into()
}

async fn read(app: &App, call: &Acting, resource: &str) -> Result<StoredCode, AppError> {
    let id = Collection::ValidityCodes
        .parse(resource)
        .map_err(|_| AppError::Internal("a claim names no validity code"))?;
    get(app, call, id).await
}

/// Reads a validity code the caller may read.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND when there is none or it is a stranger's.
pub async fn get(app: &App, call: &Acting, id: Uuid) -> Result<StoredCode, AppError> {
    let stored = app.store_for(call).code(id).await?;
    stored
        .filter(|stored| may_read(call, &stored.content.program.institution))
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

/// Lists validity codes the caller may read, newest first; one row more than the
/// page has when there is another page.
///
/// # Errors
///
/// INSTITUTION_NOT_OWNED; [`AppError::Store`].
pub async fn list(
    app: &App,
    call: &Acting,
    input: &ListCodesInput,
) -> Result<Vec<StoredCode>, AppError> {
    let filter = CodeFilter {
        scope: scope(call, input.institution.as_ref())?,
        state: input.state.map(|state| state.as_str()),
        document_kind: input.document_kind.map(|kind| kind.as_str()),
        external_ref: input.external_ref.clone(),
        issued_from: input.issued_from,
        issued_before: input.issued_before,
    };
    Ok(app
        .store_for(call)
        .list_codes(&filter, input.page.after, input.page.probe())
        .await?)
}

/// Suspends, reinstates or revokes a validity code; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED,
/// REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn change(
    app: &App,
    call: &Acting,
    input: ChangeInput,
) -> Result<Option<StoredCode>, AppError> {
    let now = app.clock.now();
    let stored = get(app, call, input.id).await?;
    let organization = call.caller.class == CallerClass::Organization;
    if !organization && !owns(call, &stored.content.program.institution) {
        return Err(Reason::ResourceNotFound.into());
    }
    let name = Collection::ValidityCodes.name(input.id);
    ordered(app, call, &input.head, OrderedAct::Revoke, &name).await?;
    if input.head.validate_only {
        check_change(&input, stored.state, stored.version)?;
        return Ok(None);
    }
    let hash = app.subject_hash(&stored.content.subject.person_id);
    let change = change_of(&input, hash, &actor(call), now);
    let context = context(call, &input.head, None, now);
    let changed = app
        .store_for(call)
        .change_code(&context, input.id, &change)
        .await?;
    settle(changed, input.action, stored.state).map(Some)
}
