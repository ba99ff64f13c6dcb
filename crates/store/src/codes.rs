//! Validity codes: issuing, reading, life cycle, and the lookup behind every
//! validation.

use gavah_domain::ValidityCode;
use gavah_domain::document::{DocumentAction, DocumentState, RevocationReason};
use gavah_domain::program::{DegreeLevel, Program};
use gavah_domain::record::Subject;
use gavah_domain::tariff::Quote;
use gavah_domain::validity::DocumentFacts;
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::claim::claim;
use crate::content::{
    DocumentJson, ProgramJson, QuoteJson, SubjectJson, from_json, instant, known, to_json,
};
use crate::entity::{expert, validity_code};
use crate::tx::Done;
use crate::{Act, ActContext, Changed, Claimed, Store, StoreError};

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// When it is issued.
    pub issue_time: Timestamp,
    /// When it expires.
    pub expire_time: Option<Timestamp>,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: String,
}

/// What came of recording a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issue<T> {
    /// Recorded now.
    Issued(T),
    /// Recorded by an earlier call with this request_id.
    Replayed(T),
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
    /// The code that replaced it.
    pub superseded_by: Option<Uuid>,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

#[derive(Serialize, Deserialize)]
struct CodeJson {
    subject: SubjectJson,
    program: ProgramJson,
    document: DocumentJson,
    double_major: bool,
    external_ref: String,
    attestation: Attestation,
    priors: Vec<(String, Uuid)>,
    quote: QuoteJson,
    workflow: String,
}

#[derive(Serialize, Deserialize)]
struct RevocationJson {
    reason: String,
    legal_basis: String,
    time: i64,
    by: String,
}

/// The JSON of a revocation.
pub(crate) fn revocation_json(revocation: &StoredRevocation) -> Result<String, StoreError> {
    to_json(&RevocationJson {
        reason: revocation.reason.as_str().to_owned(),
        legal_basis: revocation.legal_basis.clone(),
        time: revocation.revoke_time.as_microsecond(),
        by: revocation.revoked_by.clone(),
    })
}

/// A revocation from its JSON.
pub(crate) fn revocation_read(stored: &str) -> Result<StoredRevocation, StoreError> {
    let stored: RevocationJson = from_json(stored, "revocation")?;
    Ok(StoredRevocation {
        reason: known(&stored.reason, "revocation reason")?,
        legal_basis: stored.legal_basis,
        revoke_time: instant(stored.time)?,
        revoked_by: stored.by,
    })
}

/// Resource name of a validity code.
fn name(id: Uuid) -> String {
    format!("validityCodes/{id}")
}

impl Store {
    /// Records a validity code: claim, code, audit entry and event in one
    /// transaction. Expired holders of the key give way first.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; after [`StoreError::CommitUnknown`] the same request_id
    /// tells whether the code exists.
    pub async fn issue_code(
        &self,
        context: &ActContext,
        issue: &IssueCode,
    ) -> Result<Issue<StoredCode>, StoreError> {
        self.run_tx("issue_code", async |tx| {
            if let Some(claimed) = claim(tx, context, &name(issue.id), "").await? {
                return Ok(Done::Abandon(match claimed {
                    Claimed::Replay { resource, .. } => {
                        Issue::Replayed(replayed(tx, &resource).await?)
                    }
                    Claimed::Reused => Issue::RequestIdReused,
                }));
            }
            if !expert_is_active(tx, issue).await? {
                return Ok(Done::Abandon(Issue::ExpertNotActive));
            }
            clear_expired(tx, issue).await?;
            let row = new_row(issue)?;
            let inserted = validity_code::Entity::insert(row)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(tx)
                .await?;
            if inserted == 0 {
                let holder = validity_code::Entity::find()
                    .filter(validity_code::Column::LiveKey.eq(issue.live_key.as_str()))
                    .one(tx)
                    .await?;
                return Ok(Done::Abandon(holder.map_or(Issue::CodeTaken, |holder| {
                    Issue::AlreadyIssued { id: holder.id }
                })));
            }
            let act = Act {
                resource: name(issue.id),
                action: "ISSUE",
                to: DocumentState::Active.as_str().to_owned(),
                subject_hash: issue.subject_hash.clone(),
                institution_code: issue.content.program.institution.as_str().to_owned(),
                on_behalf: format!(
                    "institutions/{}/experts/{}",
                    issue.content.program.institution.as_str(),
                    issue.content.attestation.expert_code
                ),
                ..Act::default()
            };
            self.append(tx, context, act).await?;
            Ok(Done::Commit(Issue::Issued(fresh(issue))))
        })
        .await
    }

    /// Who holds the key now, for checks without effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn live_code(
        &self,
        live_key: &str,
        now: Timestamp,
    ) -> Result<Option<Uuid>, StoreError> {
        self.read("find_live_code", async {
            Ok(validity_code::Entity::find()
                .filter(validity_code::Column::LiveKey.eq(live_key))
                .one(&self.inner.db)
                .await?
                .filter(|row| row.expire_time.is_none_or(|end| end > now.as_microsecond()))
                .map(|row| row.id))
        })
        .await
    }

    /// Whether an expert may attest, for checks without effect.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn expert_active(
        &self,
        institution: &str,
        expert_code: &str,
    ) -> Result<bool, StoreError> {
        let key = (institution.to_owned(), expert_code.to_owned());
        self.read("find_expert", async {
            let found = expert::Entity::find_by_id(key).one(&self.inner.db).await?;
            Ok(found.is_some_and(|expert| expert.state == "ACTIVE"))
        })
        .await
    }

    /// A validity code by its resource id.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn code(&self, id: Uuid) -> Result<Option<StoredCode>, StoreError> {
        self.read("get_code", async {
            let row = validity_code::Entity::find_by_id(id)
                .one(&self.inner.db)
                .await?;
            row.map(read_row).transpose()
        })
        .await
    }

    /// A validity code by its digits: one indexed lookup.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_code(&self, code: &ValidityCode) -> Result<Option<StoredCode>, StoreError> {
        self.read("find_code", async {
            let row = validity_code::Entity::find()
                .filter(validity_code::Column::Code.eq(code.as_str()))
                .one(&self.inner.db)
                .await?;
            row.map(read_row).transpose()
        })
        .await
    }

    /// Many validity codes by their digits, in no order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_codes(&self, codes: &[ValidityCode]) -> Result<Vec<StoredCode>, StoreError> {
        self.read("find_codes", async {
            let rows = validity_code::Entity::find()
                .filter(validity_code::Column::Code.is_in(codes.iter().map(ValidityCode::as_str)))
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_row).collect()
        })
        .await
    }

    /// Suspends, reinstates or revokes a code. `revocation` goes with
    /// [`DocumentAction::Revoke`]; a revoked code gives up its key.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Corrupt`] when there is no such code.
    pub async fn change_code(
        &self,
        context: &ActContext,
        id: Uuid,
        change: &DocumentChange<'_>,
    ) -> Result<Changed<StoredCode>, StoreError> {
        self.run_tx("change_code", async |tx| {
            if let Some(claimed) = claim(tx, context, &name(id), change.action.as_str()).await? {
                return Ok(Done::Abandon(match claimed {
                    Claimed::Replay { resource, .. } => {
                        Changed::Done(replayed(tx, &resource).await?)
                    }
                    Claimed::Reused => Changed::RequestIdReused,
                }));
            }
            let stored = get(tx, id).await?;
            if change.etag.is_some_and(|etag| etag != stored.version) {
                return Ok(Done::Abandon(Changed::EtagMismatch));
            }
            let Ok(state) = change.action.apply(stored.state) else {
                return Ok(Done::Abandon(Changed::NotAllowed));
            };
            let revocation = change
                .revocation
                .as_ref()
                .map(revocation_json)
                .transpose()?;
            let mut update = validity_code::Entity::update_many()
                .col_expr(validity_code::Column::State, Expr::value(state.as_str()))
                .col_expr(validity_code::Column::Remark, Expr::value(change.remark))
                .col_expr(validity_code::Column::Revocation, Expr::value(revocation))
                .col_expr(
                    validity_code::Column::UpdateTime,
                    Expr::value(context.now.as_microsecond()),
                )
                .col_expr(
                    validity_code::Column::Version,
                    Expr::value(stored.version + 1),
                )
                .filter(validity_code::Column::Id.eq(id))
                .filter(validity_code::Column::Version.eq(stored.version));
            if !state.is_live() {
                update =
                    update.col_expr(validity_code::Column::LiveKey, Expr::value(None::<String>));
            }
            if update.exec(tx).await?.rows_affected == 0 {
                return Err(StoreError::Conflict);
            }
            let act = Act {
                resource: name(id),
                action: change.action.as_str(),
                from: stored.state.as_str().to_owned(),
                to: state.as_str().to_owned(),
                reason: change
                    .revocation
                    .as_ref()
                    .map_or_else(String::new, |revocation| revocation.reason.to_string()),
                subject_hash: change.subject_hash.to_owned(),
                institution_code: stored.content.program.institution.as_str().to_owned(),
                ..Act::default()
            };
            self.append(tx, context, act).await?;
            Ok(Done::Commit(Changed::Done(get(tx, id).await?)))
        })
        .await
    }
}

/// How a document is to change.
#[derive(Debug, Clone)]
pub struct DocumentChange<'a> {
    /// What to do.
    pub action: DocumentAction,
    /// The revocation, for [`DocumentAction::Revoke`].
    pub revocation: Option<StoredRevocation>,
    /// Why, for the others; kept with the document.
    pub remark: &'a str,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: &'a str,
}

async fn get(tx: &DatabaseTransaction, id: Uuid) -> Result<StoredCode, StoreError> {
    let row = validity_code::Entity::find_by_id(id)
        .one(tx)
        .await?
        .ok_or(StoreError::Corrupt("validity_code is missing"))?;
    read_row(row)
}

async fn replayed(tx: &DatabaseTransaction, resource: &str) -> Result<StoredCode, StoreError> {
    let id = resource
        .strip_prefix("validityCodes/")
        .and_then(|id| id.parse().ok())
        .ok_or(StoreError::Corrupt("request_claim.resource"))?;
    get(tx, id).await
}

async fn expert_is_active(tx: &DatabaseTransaction, issue: &IssueCode) -> Result<bool, StoreError> {
    let key = (
        issue.content.program.institution.as_str().to_owned(),
        issue.content.attestation.expert_code.clone(),
    );
    let expert = expert::Entity::find_by_id(key).one(tx).await?;
    Ok(expert.is_some_and(|expert| expert.state == "ACTIVE"))
}

/// An expired code no longer holds its key.
async fn clear_expired(tx: &DatabaseTransaction, issue: &IssueCode) -> Result<(), StoreError> {
    validity_code::Entity::update_many()
        .col_expr(validity_code::Column::LiveKey, Expr::value(None::<String>))
        .filter(validity_code::Column::LiveKey.eq(issue.live_key.as_str()))
        .filter(validity_code::Column::ExpireTime.lte(issue.issue_time.as_microsecond()))
        .exec(tx)
        .await?;
    Ok(())
}

fn new_row(issue: &IssueCode) -> Result<validity_code::ActiveModel, StoreError> {
    let content = &issue.content;
    let json = CodeJson {
        subject: (&content.subject).into(),
        program: (&content.program).into(),
        document: (&content.document).into(),
        double_major: content.double_major_declared,
        external_ref: content.external_ref.clone(),
        attestation: content.attestation.clone(),
        priors: content
            .priors
            .iter()
            .map(|prior| (prior.level.as_str().to_owned(), prior.code_id))
            .collect(),
        quote: (&content.quote).into(),
        workflow: content.workflow_version.clone(),
    };
    Ok(validity_code::ActiveModel {
        id: Set(issue.id),
        code: Set(issue.code.as_str().to_owned()),
        institution_code: Set(content.program.institution.as_str().to_owned()),
        person_key: Set(content.subject.person_id.key()),
        degree_level: Set(content.program.level.as_str().to_owned()),
        document_kind: Set(content.document.kind.as_str().to_owned()),
        external_ref: Set(content.external_ref.clone()),
        live_key: Set(Some(issue.live_key.clone())),
        state: Set(DocumentState::Active.as_str().to_owned()),
        content: Set(to_json(&json)?),
        issue_time: Set(issue.issue_time.as_microsecond()),
        expire_time: Set(issue.expire_time.map(Timestamp::as_microsecond)),
        revocation: Set(None),
        remark: Set(None),
        superseded_by: Set(None),
        update_time: Set(issue.issue_time.as_microsecond()),
        version: Set(1),
    })
}

fn fresh(issue: &IssueCode) -> StoredCode {
    StoredCode {
        id: issue.id,
        code: issue.code,
        content: issue.content.clone(),
        state: DocumentState::Active,
        issue_time: issue.issue_time,
        expire_time: issue.expire_time,
        revocation: None,
        superseded_by: None,
        update_time: issue.issue_time,
        version: 1,
    }
}

pub(crate) fn read_row(row: validity_code::Model) -> Result<StoredCode, StoreError> {
    let json: CodeJson = from_json(&row.content, "validity_code.content")?;
    Ok(StoredCode {
        id: row.id,
        code: ValidityCode::parse(&row.code)
            .map_err(|_| StoreError::Corrupt("validity_code.code"))?,
        content: CodeContent {
            subject: json.subject.read()?,
            program: json.program.read()?,
            document: json.document.read()?,
            double_major_declared: json.double_major,
            external_ref: json.external_ref,
            attestation: json.attestation,
            priors: json
                .priors
                .into_iter()
                .map(|(level, code_id)| {
                    Ok(PriorProof {
                        level: known(&level, "prior level")?,
                        code_id,
                    })
                })
                .collect::<Result<_, StoreError>>()?,
            quote: json.quote.read()?,
            workflow_version: json.workflow,
        },
        state: known(&row.state, "validity_code.state")?,
        issue_time: instant(row.issue_time)?,
        expire_time: row.expire_time.map(instant).transpose()?,
        revocation: row.revocation.as_deref().map(revocation_read).transpose()?,
        superseded_by: row.superseded_by,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
}
