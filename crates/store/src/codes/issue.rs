//! Issuing: claim, code, audit entry and event in one transaction, which acts that
//! wait at the same time share.

use std::collections::{HashMap, HashSet};

use gavah_domain::document::DocumentState;
use jiff::Timestamp;
use sea_orm::sea_query::{ArrayType, Expr};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::rows::new_row;
use super::{APPLICATIONS, COLLECTION, Correction, Issue, IssueCode, StoredCode, name};
use crate::changes::FRESH;
use crate::claim::{earlier, resource_id};
use crate::document::replayed;
use crate::entity::{expert, validity_code};
use crate::joint::{Joint, key};
use crate::rows::{self, Rows};
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError};

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
        let issuing = Issuing::new(context.clone(), issue.clone());
        self.inner.issuing.ask(self, issuing).await
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
            Ok(found.is_some_and(|expert| expert.state == ACTIVE))
        })
        .await
    }
}

impl Store {
    /// Records the right code and supersedes the wrong one, which is active and in
    /// `version`, in one transaction. The wrong one gives up its key.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn correct_code(
        &self,
        context: &ActContext,
        wrong: Uuid,
        version: i64,
        right: &IssueCode,
    ) -> Result<Correction<StoredCode>, StoreError> {
        let issuing = Issuing::new(context.clone(), right.clone());
        let issuing = &issuing;
        self.run_tx("correct_code", |tx, _| {
            Box::pin(async move {
                use validity_code::Column;
                if let Some(answer) = replays(tx, &[issuing]).await?.remove(&right.id) {
                    return Ok(Done::Abandon(Correction::Issue(answer)));
                }
                if active_experts(tx, &[issuing]).await?.is_empty() {
                    return Ok(Done::Abandon(Correction::Issue(Issue::ExpertNotActive)));
                }
                let (active, superseded) = (DocumentState::Active, DocumentState::Superseded);
                let updated = validity_code::Entity::update_many()
                    .col_expr(Column::State, Expr::value(superseded.as_str()))
                    .col_expr(Column::LiveKey, Expr::value(None::<String>))
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .col_expr(Column::Version, Expr::value(version + 1))
                    .filter(Column::Id.eq(wrong))
                    .filter(Column::Version.eq(version))
                    .filter(Column::State.eq(active.as_str()))
                    .exec(tx)
                    .await?;
                if updated.rows_affected == 0 {
                    return Ok(Done::Abandon(Correction::Moved));
                }
                let (issued, holders) = insert(tx, &[issuing]).await?;
                if !issued.contains(&right.id) {
                    let holder = holders.get(&right.live_key);
                    let refusal =
                        holder.map_or(Issue::CodeTaken, |&id| Issue::AlreadyIssued { id });
                    return Ok(Done::Abandon(Correction::Issue(refusal)));
                }
                validity_code::Entity::update_many()
                    .col_expr(Column::SupersededBy, Expr::value(right.id))
                    .filter(Column::Id.eq(wrong))
                    .exec(tx)
                    .await?;
                let end = Act {
                    resource: name(wrong),
                    action: "SUPERSEDE",
                    from: active.as_str().to_owned(),
                    to: superseded.as_str().to_owned(),
                    ..issuing.act()
                };
                let claims = [(context, name(right.id), "")];
                let acts = [(context, end), (context, issuing.act())];
                self.record_all(tx, claims, acts).await?;
                Ok(Done::Commit(Correction::Issue(Issue::Issued(fresh(right)))))
            })
        })
        .await
    }
}

/// State of an expert who may attest.
const ACTIVE: &str = "ACTIVE";

/// The act by which a code comes in that was issued before.
const IMPORT: &str = "IMPORT";

/// One code to issue, as it waits.
pub(crate) struct Issuing {
    context: ActContext,
    issue: IssueCode,
}

impl Joint for Issuing {
    type Answer = Issue<StoredCode>;

    const NAME: &'static str = "issue_code";
    const MOST: usize = 256;
    const ACTS: bool = true;

    fn keys(&self) -> Vec<u64> {
        let claim = self.context.claim.as_ref();
        let claim = claim.map(|claim| key(&claim.key()));
        claim.into_iter().chain([key(&self.issue.id)]).collect()
    }

    async fn run(store: &Store, group: &[&Self]) -> Result<Vec<Self::Answer>, StoreError> {
        store
            .run_tx(Self::NAME, |tx, _| {
                Box::pin(async move {
                    let answers = issue_all(store, tx, group).await?;
                    let acted = |answer: &Issue<_>| matches!(answer, Issue::Issued(_));
                    Ok(if answers.iter().any(acted) {
                        Done::Commit(answers)
                    } else {
                        Done::Abandon(answers)
                    })
                })
            })
            .await
    }
}

/// Issues what nothing speaks against; every act gets its own answer, and one that
/// is refused leaves no row.
async fn issue_all(
    store: &Store,
    tx: &DatabaseTransaction,
    group: &[&Issuing],
) -> Result<Vec<Issue<StoredCode>>, StoreError> {
    let mut answers: HashMap<_, _> = replays(tx, group).await?;
    let experts = active_experts(tx, group).await?;
    let mut open = Vec::new();
    for &issuing in group {
        if answers.contains_key(&issuing.issue.id) {
            continue;
        }
        if issuing.issue.legacy || experts.contains(&issuing.expert()) {
            open.push(issuing);
        } else {
            answers.insert(issuing.issue.id, Issue::ExpertNotActive);
        }
    }
    // In one order everywhere, so that transactions with the same keys wait in turn.
    open.sort_by(|one, other| one.issue.live_key.cmp(&other.issue.live_key));
    let (issued, holders) = insert(tx, &open).await?;
    let (done, refused): (Vec<_>, Vec<_>) = open
        .into_iter()
        .partition(|issuing| issued.contains(&issuing.issue.id));
    if !refused.is_empty() {
        // What stood in the way may be the same request, committed while this one
        // waited for it: then that is the answer.
        answers.extend(replays(tx, &refused).await?);
    }
    for issuing in refused {
        let holder = holders.get(&issuing.issue.live_key);
        let refusal = holder.map_or(Issue::CodeTaken, |&id| Issue::AlreadyIssued { id });
        answers.entry(issuing.issue.id).or_insert(refusal);
    }
    let claims = done
        .iter()
        .map(|issuing| (&issuing.context, name(issuing.issue.id), ""));
    let acts = done.iter().map(|issuing| (&issuing.context, issuing.act()));
    store.record_all(tx, claims, acts).await?;
    let fresh = done
        .iter()
        .map(|issuing| (issuing.issue.id, Issue::Issued(fresh(&issuing.issue))));
    answers.extend(fresh);
    let in_order = group
        .iter()
        .map(|issuing| answers.remove(&issuing.issue.id));
    in_order
        .collect::<Option<_>>()
        .ok_or(StoreError::Corrupt("an act without an answer"))
}

/// The answers of those whose request_id was used before.
async fn replays(
    tx: &DatabaseTransaction,
    group: &[&Issuing],
) -> Result<HashMap<Uuid, Issue<StoredCode>>, StoreError> {
    let contexts: Vec<_> = group.iter().map(|issuing| &issuing.context).collect();
    let mut claimed = earlier(tx, &contexts).await?;
    let mut answers = HashMap::new();
    for (issuing, claimed) in group.iter().zip(&mut claimed) {
        if let Some(Claimed::Replay { resource, .. }) = claimed
            && let Ok(application) = resource_id(resource, APPLICATIONS)
        {
            answers.insert(issuing.issue.id, Issue::Applied(application));
            *claimed = None;
        }
    }
    let stored = replayed::<StoredCode>(tx, &claimed).await?;
    for (issuing, claimed) in group.iter().zip(claimed) {
        let answer = match claimed {
            None => continue,
            Some(Claimed::Reused) => Issue::RequestIdReused,
            Some(Claimed::Replay { resource, .. }) => {
                let earlier = stored.get(&resource_id(&resource, COLLECTION)?).cloned();
                let missing = StoreError::Corrupt("validity_code is missing");
                Issue::Replayed(earlier.ok_or(missing)?)
            }
        };
        answers.insert(issuing.issue.id, answer);
    }
    Ok(answers)
}

/// Which of the experts who attest the documents are active.
pub(super) async fn active_experts(
    tx: &DatabaseTransaction,
    group: &[&Issuing],
) -> Result<HashSet<(String, String)>, StoreError> {
    let named: HashSet<_> = group.iter().map(|issuing| issuing.expert()).collect();
    let mut keys = Rows::new(&[
        ("institution_code", ArrayType::String),
        ("expert_code", ArrayType::String),
    ]);
    for (institution, expert) in named {
        keys.push([institution.into(), expert.into()]);
    }
    let found = rows::find::<expert::Entity>(tx, keys, false).await?;
    let active = found.into_iter().filter(|expert| expert.state == ACTIVE);
    Ok(active
        .map(|expert| (expert.institution_code, expert.expert_code))
        .collect())
}

/// Inserts the codes that no constraint forbids: the ids of those, and who holds
/// the keys of the others. An expired code no longer holds its key.
pub(super) async fn insert(
    tx: &DatabaseTransaction,
    open: &[&Issuing],
) -> Result<(HashSet<Uuid>, HashMap<String, Uuid>), StoreError> {
    let mut issued = insert_some(tx, open.iter().copied()).await?;
    if issued.len() == open.len() {
        return Ok((issued, HashMap::new()));
    }
    let mut holders = holders(tx, left(open, &issued)).await?;
    let now = |key: &str| {
        let issuing = open.iter().find(|issuing| issuing.issue.live_key == key);
        issuing.map(|issuing| issuing.issue.issue_time.as_microsecond())
    };
    let expired: HashSet<_> = holders
        .values()
        .filter(|holder| {
            let now = holder.live_key.as_deref().and_then(now);
            holder
                .expire_time
                .is_some_and(|end| now.is_some_and(|now| end <= now))
        })
        .map(|holder| holder.id)
        .collect();
    if !expired.is_empty() {
        give_up_keys(tx, &expired).await?;
        holders.retain(|_, holder| !expired.contains(&holder.id));
        let again =
            left(open, &issued).filter(|issuing| !holders.contains_key(&issuing.issue.live_key));
        issued.extend(insert_some(tx, again).await?);
        // Of two with one key in the group, the second is now refused by the first.
        holders = self::holders(tx, left(open, &issued)).await?;
    }
    let holders = holders.into_iter().map(|(key, holder)| (key, holder.id));
    Ok((issued, holders.collect()))
}

fn left<'a>(
    open: &'a [&'a Issuing],
    issued: &'a HashSet<Uuid>,
) -> impl Iterator<Item = &'a Issuing> {
    let open = open.iter().copied();
    open.filter(|issuing| !issued.contains(&issuing.issue.id))
}

async fn insert_some(
    tx: &DatabaseTransaction,
    some: impl Iterator<Item = &Issuing>,
) -> Result<HashSet<Uuid>, StoreError> {
    let models = some
        .map(|issuing| new_row(&issuing.issue))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(rows::insert_new_ids(tx, models)
        .await?
        .into_iter()
        .collect())
}

async fn holders(
    tx: &DatabaseTransaction,
    of: impl Iterator<Item = &Issuing>,
) -> Result<HashMap<String, validity_code::Model>, StoreError> {
    let keys: HashSet<_> = of.map(|issuing| issuing.issue.live_key.as_str()).collect();
    let mut wanted = Rows::new(&[("live_key", ArrayType::String)]);
    for key in keys {
        wanted.push([key.into()]);
    }
    let found = rows::find::<validity_code::Entity>(tx, wanted, false).await?;
    let by_key = found
        .into_iter()
        .filter_map(|row| Some((row.live_key.clone()?, row)));
    Ok(by_key.collect())
}

async fn give_up_keys(tx: &DatabaseTransaction, of: &HashSet<Uuid>) -> Result<(), StoreError> {
    let mut ids = Rows::new(&[("id", ArrayType::Uuid)]);
    for id in of {
        ids.push([(*id).into()]);
    }
    let update = ids.statement(
        tx.get_database_backend(),
        "UPDATE validity_code SET live_key = NULL WHERE id IN (",
        ")",
    );
    tx.execute_raw(update).await?;
    Ok(())
}

impl Issuing {
    pub(super) fn new(context: ActContext, issue: IssueCode) -> Self {
        Self { context, issue }
    }

    /// Institution and code of the expert who attests.
    pub(super) fn expert(&self) -> (String, String) {
        let content = &self.issue.content;
        (
            content.program.institution.as_str().to_owned(),
            content.attestation.expert_code.clone(),
        )
    }

    pub(super) fn act(&self) -> Act {
        let (institution_code, expert) = self.expert();
        Act {
            resource: name(self.issue.id),
            action: if self.issue.legacy { IMPORT } else { FRESH },
            to: DocumentState::Active.as_str().to_owned(),
            subject_hash: self.issue.subject_hash.clone(),
            on_behalf: if self.issue.legacy {
                String::new()
            } else {
                format!("institutions/{institution_code}/experts/{expert}")
            },
            institution_code,
            ..Act::default()
        }
    }
}

pub(super) fn fresh(issue: &IssueCode) -> StoredCode {
    StoredCode {
        id: issue.id,
        code: issue.code,
        content: issue.content.clone(),
        state: DocumentState::Active,
        issue_time: issue.issue_time,
        expire_time: issue.expire_time,
        revocation: None,
        legacy: issue.legacy,
        superseded_by: None,
        update_time: issue.issue_time,
        version: 1,
    }
}
