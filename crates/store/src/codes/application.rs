//! Applications for validity codes that are decided in stages. What ends in issuing issues the code in the same
//! transaction.

use gavah_domain::attachment::{Attachment, FileDigest};
use gavah_domain::code_application::CodeApplicationState;
use gavah_domain::program::{DegreeLevel, Program};
use gavah_domain::record::Subject;
use gavah_domain::sla::ClockState;
use gavah_domain::tariff::{ISSUE, Quote};
use gavah_domain::validity::DocumentFacts;
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::issue::{Issuing, active_experts, fresh, insert};
use super::{Attestation, COLLECTION as CODES, IssueCode, StoredCode};
use crate::attachments::attach;
use crate::certificates::{BY_SERVICE, RemarkJson, remarks_of, remarks_to};
use crate::claim::{claim, resource_id};
use crate::clocks::{Promise, carry_on};
use crate::content::{
    AttachmentJson, DocumentJson, ProgramJson, QuoteJson, SubjectJson, attachments_json,
    attachments_read, from_json, instant, known, to_json,
};
use crate::entity::code_application;
use crate::payments::Followed;
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, NewStep, Store, StoreError, StoredStep};

/// Applications that are read in one statement.
const READ_TOGETHER: usize = 500;

/// The table of the applications.
const TABLE: &str = "code_application";

/// Collection of the resource names.
pub(crate) const COLLECTION: &str = "validityCodeApplications";

fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}

/// How a previous level is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorGround {
    /// By a validity code: its resource id.
    Code(Uuid),
    /// By a file that somebody looks at.
    File(FileDigest),
}

/// What an application for a validity code says.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeApplicationContent {
    /// The student.
    pub subject: Subject,
    /// The programme.
    pub program: Program,
    /// The document.
    pub document: DocumentFacts,
    /// How previous levels are proven.
    pub priors: Vec<(DegreeLevel, PriorGround)>,
    /// Whether a second major was declared.
    pub double_major_declared: bool,
    /// The caller's own reference.
    pub external_ref: String,
    /// The files that come with it.
    pub attachments: Vec<Attachment>,
    /// The ground of the fee; the same from the first handing in on.
    pub quote: Quote,
    /// The workflow version.
    pub workflow_version: String,
    /// Number of the publication of the service's documents that it runs under; 0 where nothing was published.
    pub documents: i64,
    /// Id of the agreement under which it was handed in first; empty for what an early version took.
    pub agreement: String,
    /// Until when the initial result was promised when it was handed in first; the same ever after.
    pub due_time: Option<Timestamp>,
    /// The expert's attestation, once confirmed.
    pub attestation: Option<Attestation>,
}

/// Prints nothing: it is about a student as a whole.
impl std::fmt::Debug for CodeApplicationContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeApplicationContent(…)")
    }
}

/// An application as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCodeApplication {
    /// Resource id.
    pub id: Uuid,
    /// State.
    pub state: CodeApplicationState,
    /// What it says.
    pub content: CodeApplicationContent,
    /// Its code, once issued.
    pub code_id: Option<Uuid>,
    /// The states it entered, oldest first.
    pub history: Vec<StoredStep<CodeApplicationState>>,
    /// Until when it can be paid.
    pub pay_until: Option<Timestamp>,
    /// When it was handed in first.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// An application that is made or goes on.
#[derive(Debug, Clone)]
pub struct CodeApplicationChange {
    /// Resource id.
    pub id: Uuid,
    /// The application as it was read; unset for a new one.
    pub before: Option<StoredCodeApplication>,
    /// What it says from now on.
    pub content: CodeApplicationContent,
    /// Whether that was written now, by who then attaches its files.
    pub written: bool,
    /// Key under which only one application may be open.
    pub open_key: String,
    /// The states it enters, in order; at least one.
    pub steps: Vec<NewStep<CodeApplicationState>>,
    /// Until when it can be paid, if it waits for that now.
    pub pay_until: Option<Timestamp>,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: String,
}

/// What became of a change.
#[derive(Debug)]
pub enum CodeApplicationOutcome {
    /// It was made, and the code issued if it ended in that.
    Done(Box<StoredCodeApplication>, Option<Box<StoredCode>>),
    /// An earlier call with this request_id made it: the application's id.
    Replayed(Uuid),
    /// An earlier call with this request_id issued a code at once: a row of a run did, while it was free. The code's id.
    ReplayedCode(Uuid),
    /// The request_id stands for another request.
    RequestIdReused,
    /// Another application like it is open.
    OpenExists(Uuid),
    /// It has changed since it was read.
    Moved,
    /// One of its files is not there, or not the caller's to attach.
    AttachmentMissing,
    /// A live code for the document exists.
    AlreadyIssued(Uuid),
    /// The expert who attested the document is no longer active.
    ExpertNotActive,
    /// The drawn code is taken: draw another.
    CodeTaken,
}

impl Store {
    /// Makes an application, or has it go on; with `issue`, up to its code.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn change_code_application(
        &self,
        context: &ActContext,
        change: &CodeApplicationChange,
        issue: Option<&IssueCode>,
    ) -> Result<CodeApplicationOutcome, StoreError> {
        use CodeApplicationOutcome as Outcome;
        self.run_tx("change_code_application", |tx, _| {
            Box::pin(async move {
                match claim(tx, context, &name(change.id), "").await? {
                    Some(Claimed::Replay { resource, .. }) => {
                        return Ok(Done::Abandon(match resource_id(&resource, CODES) {
                            Ok(code) => Outcome::ReplayedCode(code),
                            Err(_) => Outcome::Replayed(resource_id(&resource, COLLECTION)?),
                        }));
                    }
                    Some(Claimed::Reused) => return Ok(Done::Abandon(Outcome::RequestIdReused)),
                    None => {}
                }
                // First the application: who changes it holds its row.
                if let Some(refused) = put(tx, context, change).await? {
                    return Ok(Done::Abandon(refused));
                }
                let code = issue.map(|issue| Issuing::new(context.clone(), issue.clone()));
                if let Some((issue, issuing)) = issue.zip(code.as_ref()) {
                    let active = active_experts(tx, &[issuing]).await?;
                    if !active.contains(&issuing.expert()) {
                        return Ok(Done::Abandon(Outcome::ExpertNotActive));
                    }
                    let (issued, holders) = insert(tx, &[issuing]).await?;
                    if !issued.contains(&issue.id) {
                        let holder = holders.get(&issue.live_key);
                        return Ok(Done::Abandon(
                            holder.map_or(Outcome::CodeTaken, |id| Outcome::AlreadyIssued(*id)),
                        ));
                    }
                    code_application::Entity::update_many()
                        .col_expr(code_application::Column::CodeId, Expr::value(issue.id))
                        .filter(code_application::Column::Id.eq(change.id))
                        .exec(tx)
                        .await?;
                }
                let followed = Followed {
                    application: name(change.id),
                    quote: Some(&change.content.quote),
                    entered: change
                        .steps
                        .iter()
                        .map(|step| step.state.as_str())
                        .collect(),
                };
                self.follow_payment(tx, context, &followed).await?;
                let acts = acts(change).into_iter();
                let acts = acts.chain(code.iter().map(Issuing::act));
                self.record_all(tx, [], acts.map(|act| (context, act)))
                    .await?;
                let stored = find(tx, change.id).await?;
                let stored = stored.ok_or(StoreError::Corrupt("code_application is missing"))?;
                let code = issue.map(|issue| Box::new(fresh(issue)));
                Ok(Done::Commit(Outcome::Done(Box::new(stored), code)))
            })
        })
        .await
    }

    /// An application with its history.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn code_application(
        &self,
        id: Uuid,
    ) -> Result<Option<StoredCodeApplication>, StoreError> {
        self.read("get_code_application", find(&self.inner.db, id))
            .await
    }

    /// Applications by their resource ids, in no order; those there are.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn code_applications_by_id(
        &self,
        ids: &[Uuid],
    ) -> Result<Vec<StoredCodeApplication>, StoreError> {
        self.read("get_code_applications", async {
            let mut found = Vec::new();
            for part in ids.chunks(READ_TOGETHER) {
                let rows = code_application::Entity::find()
                    .filter(code_application::Column::Id.is_in(part.iter().copied()))
                    .all(&self.inner.db)
                    .await?;
                found.extend(rows);
            }
            found.into_iter().map(read_code_application).collect()
        })
        .await
    }

    /// Which application with this key is open, for checks without effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn open_code_application(&self, key: &str) -> Result<Option<Uuid>, StoreError> {
        self.read("find_open_code_application", open_with(&self.inner.db, key))
            .await
    }

    /// Applications whose time to pay is over, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn unpaid_code_applications(
        &self,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<StoredCodeApplication>, StoreError> {
        use code_application::Column;
        self.read("find_unpaid_codes", async {
            let rows = code_application::Entity::find()
                .filter(Column::PayUntil.lte(now.as_microsecond()))
                .order_by_asc(Column::PayUntil)
                .limit(limit)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_code_application).collect()
        })
        .await
    }
}

async fn find(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<StoredCodeApplication>, StoreError> {
    let row = code_application::Entity::find_by_id(id).one(db).await?;
    row.map(read_code_application).transpose()
}

async fn open_with(db: &impl ConnectionTrait, key: &str) -> Result<Option<Uuid>, StoreError> {
    let open = code_application::Entity::find()
        .filter(code_application::Column::OpenKey.eq(key))
        .one(db)
        .await?;
    Ok(open.map(|row| row.id))
}

/// The row of a change, or why there is none.
async fn put(
    tx: &DatabaseTransaction,
    context: &ActContext,
    change: &CodeApplicationChange,
) -> Result<Option<CodeApplicationOutcome>, StoreError> {
    use code_application::Column;
    let last = change.steps.last();
    let state = last
        .ok_or(StoreError::Corrupt("a change without a state"))?
        .state;
    let open_key = (!state.is_final()).then(|| change.open_key.clone());
    if let Some(key) = &open_key
        && let Some(other) = open_with(tx, key).await?
        && other != change.id
    {
        return Ok(Some(CodeApplicationOutcome::OpenExists(other)));
    }
    let content = content_json(&change.content)?;
    let history = history_json(context, change)?;
    let now = context.now.as_microsecond();
    let pay_until = change.pay_until.map(Timestamp::as_microsecond);
    let institution = change.content.program.institution.as_str();
    // Another application may take the key after this looked.
    let conflict = |error: sea_orm::DbErr| match StoreError::from(error) {
        StoreError::Constraint(_) => StoreError::Conflict,
        error => error,
    };
    match &change.before {
        None => {
            let row = code_application::ActiveModel {
                id: Set(change.id),
                institution_code: Set(institution.to_owned()),
                person_key: Set(change.content.subject.person_id.key()),
                open_key: Set(open_key),
                state: Set(state.as_str().to_owned()),
                content: Set(content),
                history: Set(history),
                code_id: Set(None),
                pay_until: Set(pay_until),
                create_time: Set(now),
                update_time: Set(now),
                version: Set(1),
                ..Default::default()
            };
            let insert = code_application::Entity::insert(row);
            insert.exec_without_returning(tx).await.map_err(conflict)?;
        }
        Some(before) => {
            let updated = code_application::Entity::update_many()
                .col_expr(
                    Column::PersonKey,
                    Expr::value(change.content.subject.person_id.key()),
                )
                .col_expr(Column::OpenKey, Expr::value(open_key))
                .col_expr(Column::State, Expr::value(state.as_str()))
                .col_expr(Column::Content, Expr::value(content))
                .col_expr(Column::History, Expr::value(history))
                .col_expr(Column::PayUntil, Expr::value(pay_until))
                .col_expr(Column::UpdateTime, Expr::value(now))
                .col_expr(Column::Version, Expr::value(before.version + 1))
                .filter(Column::Id.eq(change.id))
                .filter(Column::Version.eq(before.version))
                .exec(tx)
                .await
                .map_err(conflict)?;
            if updated.rows_affected == 0 {
                return Ok(Some(CodeApplicationOutcome::Moved));
            }
        }
    }
    let before = change.before.iter().flat_map(|before| &before.history);
    let before: Vec<_> = before
        .map(|step| (step.change_time, step.state.clock()))
        .collect();
    let promise = Promise {
        request_type: ISSUE,
        agreement: &change.content.agreement,
        due_time: change.content.due_time,
    };
    let new = change.steps.iter().map(|step| step.state.clock());
    carry_on(tx, TABLE, change.id, &promise, &before, new, context.now).await?;
    let files = &change.content.attachments;
    if change.written && !attach(tx, context, &name(change.id), institution, files).await? {
        return Ok(Some(CodeApplicationOutcome::AttachmentMissing));
    }
    Ok(None)
}

/// One act for each state that is entered.
fn acts(change: &CodeApplicationChange) -> Vec<Act> {
    let mut from = change.before.as_ref().map(|before| before.state);
    let acts = change.steps.iter().map(|step| {
        let act = Act {
            resource: name(change.id),
            action: step.action,
            from: from.map_or_else(String::new, |state| state.as_str().to_owned()),
            to: step.state.as_str().to_owned(),
            subject_hash: change.subject_hash.clone(),
            institution_code: change.content.program.institution.as_str().to_owned(),
            on_behalf: step.decider.clone(),
            ..Act::default()
        };
        from = Some(step.state);
        act
    });
    acts.collect()
}

#[derive(Serialize, Deserialize)]
struct ContentJson {
    subject: SubjectJson,
    program: ProgramJson,
    document: DocumentJson,
    priors: Vec<PriorJson>,
    double_major: bool,
    external_ref: String,
    attachments: Vec<AttachmentJson>,
    quote: QuoteJson,
    workflow: String,
    documents: i64,
    #[serde(default)]
    agreement: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_micros: Option<i64>,
    attestation: Option<Attestation>,
}

#[derive(Serialize, Deserialize)]
struct PriorJson {
    level: String,
    code: Option<Uuid>,
    file: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StepJson {
    state: String,
    time: i64,
    actor: String,
    decider: String,
    decider_hash: String,
    reason: String,
    remarks: Vec<RemarkJson>,
}

fn content_json(content: &CodeApplicationContent) -> Result<String, StoreError> {
    let prior = |(level, ground): &(DegreeLevel, PriorGround)| {
        let (code, file) = match ground {
            PriorGround::Code(id) => (Some(*id), None),
            PriorGround::File(file) => (None, Some(file.to_string())),
        };
        PriorJson {
            level: level.as_str().to_owned(),
            code,
            file,
        }
    };
    to_json(&ContentJson {
        subject: (&content.subject).into(),
        program: (&content.program).into(),
        document: (&content.document).into(),
        priors: content.priors.iter().map(prior).collect(),
        double_major: content.double_major_declared,
        external_ref: content.external_ref.clone(),
        attachments: attachments_json(&content.attachments),
        quote: (&content.quote).into(),
        workflow: content.workflow_version.clone(),
        documents: content.documents,
        agreement: content.agreement.clone(),
        due_micros: content.due_time.map(Timestamp::as_microsecond),
        attestation: content.attestation.clone(),
    })
}

fn content_read(stored: &str) -> Result<CodeApplicationContent, StoreError> {
    const PRIOR: StoreError = StoreError::Corrupt("code_application prior");
    let json: ContentJson = from_json(stored, "code_application.content")?;
    let prior = |prior: PriorJson| {
        let ground = match (prior.code, prior.file) {
            (Some(id), None) => PriorGround::Code(id),
            (None, Some(file)) => PriorGround::File(FileDigest::parse(&file).map_err(|_| PRIOR)?),
            _ => return Err(PRIOR),
        };
        Ok((known(&prior.level, "code_application prior level")?, ground))
    };
    Ok(CodeApplicationContent {
        subject: json.subject.read()?,
        program: json.program.read()?,
        document: json.document.read()?,
        priors: json
            .priors
            .into_iter()
            .map(prior)
            .collect::<Result<_, _>>()?,
        double_major_declared: json.double_major,
        external_ref: json.external_ref,
        attachments: attachments_read(json.attachments)?,
        quote: json.quote.read()?,
        workflow_version: json.workflow,
        documents: json.documents,
        agreement: json.agreement,
        due_time: json.due_micros.map(instant).transpose()?,
        attestation: json.attestation,
    })
}

/// The history as it was, and the new steps.
fn history_json(
    context: &ActContext,
    change: &CodeApplicationChange,
) -> Result<String, StoreError> {
    let before = change.before.iter().flat_map(|before| &before.history);
    let before = before.map(|step| StepJson {
        state: step.state.as_str().to_owned(),
        time: step.change_time.as_microsecond(),
        actor: step.actor.clone(),
        decider: step.decider.clone(),
        decider_hash: step.decider_hash.clone(),
        reason: step.reason.clone(),
        remarks: remarks_to(&step.remarks),
    });
    let new = change.steps.iter().map(|step| StepJson {
        state: step.state.as_str().to_owned(),
        time: context.now.as_microsecond(),
        actor: if step.by_service {
            BY_SERVICE.to_owned()
        } else {
            context.actor.clone()
        },
        decider: step.decider.clone(),
        decider_hash: step.decider_hash.clone(),
        reason: step.reason.clone(),
        remarks: remarks_to(&step.remarks),
    });
    to_json(&before.chain(new).collect::<Vec<_>>())
}

pub(crate) fn read_code_application(
    row: code_application::Model,
) -> Result<StoredCodeApplication, StoreError> {
    let history: Vec<StepJson> = from_json(&row.history, "code_application.history")?;
    let step = |step: StepJson| {
        Ok(StoredStep {
            state: known(&step.state, "code_application.history")?,
            change_time: instant(step.time)?,
            actor: step.actor,
            decider: step.decider,
            decider_hash: step.decider_hash,
            reason: step.reason,
            remarks: remarks_of(step.remarks)?,
        })
    };
    Ok(StoredCodeApplication {
        id: row.id,
        state: known(&row.state, "code_application.state")?,
        content: content_read(&row.content)?,
        code_id: row.code_id,
        history: history
            .into_iter()
            .map(step)
            .collect::<Result<_, StoreError>>()?,
        pay_until: row.pay_until.map(instant).transpose()?,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
}
