//! Revocations of many documents: found by a selection, proposed, approved, and carried out
//! a part at a time.

use gavah_domain::caller::ExpertCode;
use gavah_domain::document::{DocumentState, RevocationReason};
use gavah_domain::incident::{IncidentState, Selection};
use gavah_domain::institution::InstitutionCode;
use gavah_domain::service::ServiceKind;
use jiff::Timestamp;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Func, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::claim::{claim, resource_id};
use crate::codes::revocation_json;
use crate::content::{from_json, instant, known, to_json};
use crate::entity::{application_step, enrollment_certificate, incident, validity_code};
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError, StoredRevocation, certificates, codes};

/// Collection of the resource names.
const COLLECTION: &str = "incidents";

/// Documents revoked in one transaction.
const TOGETHER: u64 = 100;

/// A revocation to propose.
#[derive(Debug, Clone)]
pub struct NewIncident {
    /// Resource id.
    pub id: Uuid,
    /// Which documents.
    pub selection: Selection,
    /// Why.
    pub reason: RevocationReason,
    /// The legal basis; may be empty.
    pub legal_basis: String,
    /// Who proposes it.
    pub proposer: String,
    /// Keyed hash of who proposes it.
    pub proposer_hash: String,
}

/// A revocation as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIncident {
    /// Resource id.
    pub id: Uuid,
    /// State.
    pub state: IncidentState,
    /// Which documents.
    pub selection: Selection,
    /// Why.
    pub reason: RevocationReason,
    /// The legal basis; may be empty.
    pub legal_basis: String,
    /// Documents found when it was proposed.
    pub selected: i64,
    /// Documents revoked so far.
    pub revoked: i64,
    /// Who proposed it.
    pub proposer: String,
    /// Keyed hash of who proposed it.
    pub proposer_hash: String,
    /// Who approved it; empty when nobody did.
    pub approver: String,
    /// The caller through which it was approved.
    approved_by: String,
    /// When.
    approve_time: Option<Timestamp>,
    /// When it was proposed.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts the decisions on it.
    pub version: i64,
}

/// What became of an act on an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncidentOutcome {
    /// The incident after it, or after the earlier call with this request_id.
    Done(Box<StoredIncident>),
    /// The request_id stands for another request.
    RequestIdReused,
    /// It has changed since it was read.
    Moved,
}

#[derive(Serialize, Deserialize)]
struct SelectionJson {
    service: String,
    institution: Option<String>,
    expert: Option<(String, String)>,
    key_id: Option<String>,
    issued_from: Option<i64>,
    issued_before: Option<i64>,
}

impl From<&Selection> for SelectionJson {
    fn from(selection: &Selection) -> Self {
        let code = |code: &InstitutionCode| code.as_str().to_owned();
        Self {
            service: selection.service.as_str().to_owned(),
            institution: selection.institution.as_ref().map(code),
            expert: selection
                .expert
                .as_ref()
                .map(|(institution, expert)| (code(institution), expert.as_str().to_owned())),
            key_id: selection.key_id.clone(),
            issued_from: selection.issued_from.map(Timestamp::as_microsecond),
            issued_before: selection.issued_before.map(Timestamp::as_microsecond),
        }
    }
}

impl SelectionJson {
    fn read(self) -> Result<Selection, StoreError> {
        let corrupt = StoreError::Corrupt("incident.selection");
        let code = |code: &str| InstitutionCode::parse(code).map_err(|_| corrupt.clone());
        Ok(Selection {
            service: known(&self.service, "incident.selection")?,
            institution: self.institution.as_deref().map(code).transpose()?,
            expert: self
                .expert
                .map(|(institution, expert)| {
                    let expert = ExpertCode::parse(&expert).map_err(|_| corrupt.clone())?;
                    Ok::<_, StoreError>((code(&institution)?, expert))
                })
                .transpose()?,
            key_id: self.key_id,
            issued_from: self.issued_from.map(instant).transpose()?,
            issued_before: self.issued_before.map(instant).transpose()?,
        })
    }
}

fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}

fn read(row: incident::Model) -> Result<StoredIncident, StoreError> {
    let selection: SelectionJson = from_json(&row.selection, "incident.selection")?;
    Ok(StoredIncident {
        id: row.id,
        state: known(&row.state, "incident.state")?,
        selection: selection.read()?,
        reason: known(&row.reason, "incident.reason")?,
        legal_basis: row.legal_basis,
        selected: row.selected,
        revoked: row.revoked,
        proposer: row.proposer,
        proposer_hash: row.proposer_hash,
        approver: row.approver,
        approved_by: row.approved_by,
        approve_time: row.approve_time.map(instant).transpose()?,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
}

/// A document to be revoked, as much as that takes.
struct Selected {
    id: Uuid,
    state: String,
    version: i64,
    institution_code: String,
    person_key: String,
}

/// The live codes that a selection finds.
fn of_codes(backend: DbBackend, selection: &Selection) -> Condition {
    use validity_code::Column;
    let place = match backend {
        DbBackend::Postgres => "strpos",
        _ => "instr",
    };
    let expert = selection.expert.as_ref().map(|(institution, expert)| {
        // As the store writes it; an expert's code has no character that JSON escapes, and
        // within a text the quotes would be escaped.
        let attested = format!("\"expert_code\":\"{}\"", expert.as_str());
        let place = Func::cust(place).args([
            Expr::col((validity_code::Entity, Column::Content)),
            Expr::value(attested),
        ]);
        Condition::all()
            .add(Column::InstitutionCode.eq(institution.as_str()))
            .add(Expr::expr(place).gt(0))
    });
    common(
        selection,
        Column::State,
        Column::InstitutionCode,
        Column::IssueTime,
    )
    .add_option(expert)
}

/// The live certificates that a selection finds.
fn of_certificates(selection: &Selection) -> Condition {
    use enrollment_certificate::Column;
    let expert = selection.expert.as_ref().map(|(institution, expert)| {
        let decider = format!(
            "institutions/{}/experts/{}",
            institution.as_str(),
            expert.as_str()
        );
        let decided = Query::select()
            .column(application_step::Column::ApplicationId)
            .from(application_step::Entity)
            .and_where(application_step::Column::Decider.eq(decider))
            .to_owned();
        Column::ApplicationId.in_subquery(decided)
    });
    common(
        selection,
        Column::State,
        Column::InstitutionCode,
        Column::IssueTime,
    )
    .add(Column::SignedDocument.is_not_null())
    .add_option(expert)
    .add_option(selection.key_id.as_ref().map(|key| Column::KeyId.eq(key)))
}

fn common<C: ColumnTrait>(selection: &Selection, state: C, institution: C, issued: C) -> Condition {
    let live = [DocumentState::Active, DocumentState::Suspended];
    let from = selection.issued_from.map(Timestamp::as_microsecond);
    let before = selection.issued_before.map(Timestamp::as_microsecond);
    Condition::all()
        .add(state.is_in(live.map(DocumentState::as_str)))
        .add_option(
            selection
                .institution
                .as_ref()
                .map(|code| institution.eq(code.as_str())),
        )
        .add_option(from.map(|from| issued.gte(from)))
        .add_option(before.map(|before| issued.lt(before)))
}

impl Store {
    /// How many live documents a selection finds, and the names of the oldest.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn preview(
        &self,
        selection: &Selection,
        most: u64,
    ) -> Result<(i64, Vec<String>), StoreError> {
        self.read("preview_revocation", async {
            let db = &self.inner.db;
            let (count, ids, collection) = match selection.service {
                ServiceKind::ValidityCode => {
                    let found = validity_code::Entity::find()
                        .filter(of_codes(db.get_database_backend(), selection));
                    let count = found.clone().count(db).await?;
                    let ids: Vec<Uuid> = found
                        .select_only()
                        .column(validity_code::Column::Id)
                        .order_by_asc(validity_code::Column::IssueTime)
                        .order_by_asc(validity_code::Column::Id)
                        .limit(most)
                        .into_tuple()
                        .all(db)
                        .await?;
                    (count, ids, codes::COLLECTION)
                }
                ServiceKind::EnrollmentCertificate => {
                    let found =
                        enrollment_certificate::Entity::find().filter(of_certificates(selection));
                    let count = found.clone().count(db).await?;
                    let ids: Vec<Uuid> = found
                        .select_only()
                        .column(enrollment_certificate::Column::Id)
                        .order_by_asc(enrollment_certificate::Column::IssueTime)
                        .order_by_asc(enrollment_certificate::Column::Id)
                        .limit(most)
                        .into_tuple()
                        .all(db)
                        .await?;
                    (count, ids, certificates::COLLECTION)
                }
            };
            let names = ids.into_iter().map(|id| format!("{collection}/{id}"));
            Ok((i64::try_from(count).unwrap_or(i64::MAX), names.collect()))
        })
        .await
    }

    /// Proposes a revocation.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn propose_incident(
        &self,
        context: &ActContext,
        new: &NewIncident,
    ) -> Result<IncidentOutcome, StoreError> {
        let (selected, _) = self.preview(&new.selection, 0).await?;
        self.run_tx("propose_incident", |tx, _| {
            Box::pin(async move {
                if let Some(earlier) = earlier(tx, context, new.id).await? {
                    return Ok(Done::Abandon(earlier));
                }
                let now = context.now.as_microsecond();
                let row = incident::ActiveModel {
                    id: Set(new.id),
                    state: Set(IncidentState::Proposed.as_str().to_owned()),
                    selection: Set(to_json(&SelectionJson::from(&new.selection))?),
                    reason: Set(new.reason.as_str().to_owned()),
                    legal_basis: Set(new.legal_basis.clone()),
                    selected: Set(selected),
                    revoked: Set(0),
                    proposer: Set(new.proposer.clone()),
                    proposer_hash: Set(new.proposer_hash.clone()),
                    approver: Set(String::new()),
                    approved_by: Set(String::new()),
                    approve_time: Set(None),
                    lease_until: Set(None),
                    create_time: Set(now),
                    update_time: Set(now),
                    version: Set(1),
                };
                incident::Entity::insert(row)
                    .exec_without_returning(tx)
                    .await?;
                let stored = get(tx, new.id).await?;
                self.append(tx, context, act(&stored, "PROPOSE", "", &new.proposer))
                    .await?;
                Ok(Done::Commit(IncidentOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// Approves or withdraws an incident that is proposed and in `version`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn decide_incident(
        &self,
        context: &ActContext,
        id: Uuid,
        version: i64,
        to: IncidentState,
        officer: &str,
    ) -> Result<IncidentOutcome, StoreError> {
        self.run_tx("decide_incident", |tx, _| {
            Box::pin(async move {
                use incident::Column;
                if let Some(earlier) = earlier(tx, context, id).await? {
                    return Ok(Done::Abandon(earlier));
                }
                let proposed = IncidentState::Proposed.as_str();
                let now = context.now.as_microsecond();
                let mut update = incident::Entity::update_many()
                    .col_expr(Column::State, Expr::value(to.as_str()))
                    .col_expr(Column::UpdateTime, Expr::value(now))
                    .col_expr(Column::Version, Expr::value(version + 1));
                let approved = to == IncidentState::Approved;
                if approved {
                    update = update
                        .col_expr(Column::Approver, Expr::value(officer))
                        .col_expr(Column::ApprovedBy, Expr::value(context.actor.as_str()))
                        .col_expr(Column::ApproveTime, Expr::value(now))
                        .col_expr(Column::LeaseUntil, Expr::value(now));
                }
                let updated = update
                    .filter(Column::Id.eq(id))
                    .filter(Column::Version.eq(version))
                    .filter(Column::State.eq(proposed))
                    .exec(tx)
                    .await?;
                if updated.rows_affected == 0 {
                    return Ok(Done::Abandon(IncidentOutcome::Moved));
                }
                let stored = get(tx, id).await?;
                let action = if approved { "APPROVE" } else { "WITHDRAW" };
                self.append(tx, context, act(&stored, action, proposed, officer))
                    .await?;
                Ok(Done::Commit(IncidentOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// An incident.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn incident(&self, id: Uuid) -> Result<Option<StoredIncident>, StoreError> {
        self.read("get_incident", async {
            let row = incident::Entity::find_by_id(id).one(&self.inner.db).await?;
            row.map(read).transpose()
        })
        .await
    }

    /// Incidents, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn incidents(&self, most: u64) -> Result<Vec<StoredIncident>, StoreError> {
        self.read("list_incidents", async {
            let rows = incident::Entity::find()
                .order_by_desc(incident::Column::CreateTime)
                .order_by_desc(incident::Column::Id)
                .limit(most)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read).collect()
        })
        .await
    }

    /// Takes an approved incident that no node works on, until `lease_until`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn take_incident(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<StoredIncident>, StoreError> {
        use incident::Column;
        let approved = IncidentState::Approved.as_str();
        let free = self.read("find_incident", async {
            Ok(incident::Entity::find()
                .filter(Column::State.eq(approved))
                .filter(Column::LeaseUntil.lte(now.as_microsecond()))
                .order_by_asc(Column::CreateTime)
                .one(&self.inner.db)
                .await?)
        });
        let Some(free) = free.await? else {
            return Ok(None);
        };
        let free = &free;
        self.run_tx("take_incident", |tx, _| {
            Box::pin(async move {
                let taken = incident::Entity::update_many()
                    .col_expr(
                        Column::LeaseUntil,
                        Expr::value(lease_until.as_microsecond()),
                    )
                    .filter(Column::Id.eq(free.id))
                    .filter(Column::State.eq(approved))
                    .filter(Column::LeaseUntil.eq(free.lease_until))
                    .exec(tx)
                    .await?;
                Ok(if taken.rows_affected == 1 {
                    Done::Commit(Some(read(free.clone())?))
                } else {
                    Done::Abandon(None)
                })
            })
        })
        .await
    }

    /// Revokes the next part of an approved incident's documents, those issued before it was
    /// approved, and keeps it until `lease_until`; `true` when there are none left and it is
    /// done. `hash` makes the keyed hash of a person's key, for the audit.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn revoke_some(
        &self,
        context: &ActContext,
        taken: &StoredIncident,
        lease_until: Timestamp,
        hash: &(dyn Fn(&str) -> String + Sync),
    ) -> Result<bool, StoreError> {
        self.run_tx("revoke_some", |tx, _| {
            Box::pin(async move {
                use incident::Column;
                let approve_time = taken
                    .approve_time
                    .ok_or(StoreError::Corrupt("incident.approve_time"))?;
                let before = taken.selection.issued_before.unwrap_or(approve_time);
                let selection = Selection {
                    issued_before: Some(before.min(approve_time)),
                    ..taken.selection.clone()
                };
                let found = selected(tx, &selection).await?;
                let revocation = revocation_json(&StoredRevocation {
                    reason: taken.reason,
                    legal_basis: taken.legal_basis.clone(),
                    revoke_time: context.now,
                    revoked_by: taken.approved_by.clone(),
                })?;
                let mut acts = Vec::with_capacity(found.len() + 1);
                for document in &found {
                    let collection = revoke(tx, context, &selection, document, &revocation).await?;
                    acts.push(Act {
                        resource: format!("{collection}/{}", document.id),
                        action: "REVOKE",
                        from: document.state.clone(),
                        to: DocumentState::Revoked.as_str().to_owned(),
                        reason: taken.reason.as_str().to_owned(),
                        subject_hash: hash(&document.person_key),
                        institution_code: document.institution_code.clone(),
                        on_behalf: name(taken.id),
                    });
                }
                let done = found.is_empty();
                let lease = (!done).then(|| lease_until.as_microsecond());
                let mut update = incident::Entity::update_many()
                    .col_expr(
                        Column::Revoked,
                        Expr::col(Column::Revoked).add(i64::try_from(found.len()).unwrap_or(0)),
                    )
                    .col_expr(Column::LeaseUntil, Expr::value(lease))
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    );
                if done {
                    update = update
                        .col_expr(Column::State, Expr::value(IncidentState::Done.as_str()))
                        .col_expr(Column::Version, Expr::col(Column::Version).add(1));
                }
                let approved = IncidentState::Approved.as_str();
                let updated = update
                    .filter(Column::Id.eq(taken.id))
                    .filter(Column::State.eq(approved))
                    .exec(tx)
                    .await?;
                if updated.rows_affected == 0 {
                    // Another node took it over and came to the end.
                    return Ok(Done::Abandon(true));
                }
                if done {
                    let stored = get(tx, taken.id).await?;
                    acts.push(act(&stored, "FINISH", approved, ""));
                }
                let acts = acts.into_iter().map(|act| (context, act));
                self.record_all(tx, [], acts).await?;
                Ok(Done::Commit(done))
            })
        })
        .await
    }
}

async fn selected(
    tx: &DatabaseTransaction,
    selection: &Selection,
) -> Result<Vec<Selected>, StoreError> {
    type Row = (Uuid, String, i64, String, String);
    let rows: Vec<Row> = match selection.service {
        ServiceKind::ValidityCode => {
            use validity_code::Column;
            validity_code::Entity::find()
                .filter(of_codes(tx.get_database_backend(), selection))
                .select_only()
                .columns([
                    Column::Id,
                    Column::State,
                    Column::Version,
                    Column::InstitutionCode,
                    Column::PersonKey,
                ])
                .order_by_asc(Column::IssueTime)
                .order_by_asc(Column::Id)
                .limit(TOGETHER)
                .into_tuple()
                .all(tx)
                .await?
        }
        ServiceKind::EnrollmentCertificate => {
            use enrollment_certificate::Column;
            enrollment_certificate::Entity::find()
                .filter(of_certificates(selection))
                .select_only()
                .columns([
                    Column::Id,
                    Column::State,
                    Column::Version,
                    Column::InstitutionCode,
                    Column::PersonKey,
                ])
                .order_by_asc(Column::IssueTime)
                .order_by_asc(Column::Id)
                .limit(TOGETHER)
                .into_tuple()
                .all(tx)
                .await?
        }
    };
    let rows = rows.into_iter();
    let rows = rows.map(
        |(id, state, version, institution_code, person_key)| Selected {
            id,
            state,
            version,
            institution_code,
            person_key,
        },
    );
    Ok(rows.collect())
}

/// Revokes one document as it was read; the collection that it is of.
async fn revoke(
    tx: &DatabaseTransaction,
    context: &ActContext,
    selection: &Selection,
    document: &Selected,
    revocation: &str,
) -> Result<&'static str, StoreError> {
    let revoked = DocumentState::Revoked.as_str();
    let now = context.now.as_microsecond();
    let (updated, collection) = match selection.service {
        ServiceKind::ValidityCode => {
            use validity_code::Column;
            let update = validity_code::Entity::update_many()
                .col_expr(Column::State, Expr::value(revoked))
                .col_expr(Column::LiveKey, Expr::value(None::<String>))
                .col_expr(Column::Revocation, Expr::value(revocation))
                .col_expr(Column::UpdateTime, Expr::value(now))
                .col_expr(Column::Version, Expr::value(document.version + 1))
                .filter(Column::Id.eq(document.id))
                .filter(Column::Version.eq(document.version));
            (update.exec(tx).await?, codes::COLLECTION)
        }
        ServiceKind::EnrollmentCertificate => {
            use enrollment_certificate::Column;
            let update = enrollment_certificate::Entity::update_many()
                .col_expr(Column::State, Expr::value(revoked))
                .col_expr(Column::Revocation, Expr::value(revocation))
                .col_expr(Column::UpdateTime, Expr::value(now))
                .col_expr(Column::Version, Expr::value(document.version + 1))
                .filter(Column::Id.eq(document.id))
                .filter(Column::Version.eq(document.version));
            (update.exec(tx).await?, certificates::COLLECTION)
        }
    };
    if updated.rows_affected == 1 {
        Ok(collection)
    } else {
        // Somebody changed it in between: look again.
        Err(StoreError::Conflict)
    }
}

/// What the request_id of an act on an incident stands for already; else it is claimed.
async fn earlier(
    tx: &DatabaseTransaction,
    context: &ActContext,
    id: Uuid,
) -> Result<Option<IncidentOutcome>, StoreError> {
    Ok(match claim(tx, context, &name(id), "").await? {
        None => None,
        Some(Claimed::Reused) => Some(IncidentOutcome::RequestIdReused),
        Some(Claimed::Replay { resource, .. }) => {
            let stored = get(tx, resource_id(&resource, COLLECTION)?).await?;
            Some(IncidentOutcome::Done(Box::new(stored)))
        }
    })
}

async fn get(tx: &DatabaseTransaction, id: Uuid) -> Result<StoredIncident, StoreError> {
    let row = incident::Entity::find_by_id(id).one(tx).await?;
    read(row.ok_or(StoreError::Corrupt("incident is missing"))?)
}

fn act(stored: &StoredIncident, action: &'static str, from: &str, officer: &str) -> Act {
    // Of no institution: that it is suspected is not for its feed.
    Act {
        resource: name(stored.id),
        action,
        from: from.to_owned(),
        to: stored.state.as_str().to_owned(),
        reason: stored.reason.as_str().to_owned(),
        on_behalf: officer.to_owned(),
        ..Act::default()
    }
}
