//! The life of an issued document, the same for validity codes and enrollment
//! certificates: suspended, reinstated, revoked. Changes that wait at the same time
//! share a transaction.

use std::collections::{HashMap, HashSet};

use gavah_domain::ValidityCode;
use gavah_domain::document::{DocumentAction, DocumentState};
use jiff::Timestamp;
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityName, EntityTrait};
use uuid::Uuid;

use crate::claim::{earlier, replayed_ids, resource_id};
use crate::codes::revocation_json;
use crate::joint::{Joint, key};
use crate::rows::{self, Rows};
use crate::tx::Done;
use crate::{Act, ActContext, Changed, Claimed, Store, StoreError, StoredRevocation};

/// How a document is to change.
#[derive(Debug, Clone)]
pub struct DocumentChange {
    /// What to do.
    pub action: DocumentAction,
    /// The revocation, for [`DocumentAction::Revoke`].
    pub revocation: Option<StoredRevocation>,
    /// Why, for the others; kept with the document.
    pub remark: String,
    /// The version the caller read, if it said so.
    pub etag: Option<i64>,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: String,
}

/// A kind of document.
pub(crate) trait Document: Clone + Send + Sync + 'static {
    /// Its table, with the columns `id`, `state`, `remark`, `revocation`,
    /// `update_time` and `version`.
    type Entity: EntityTrait;

    /// Name of the transaction that changes it.
    const CHANGE: &'static str;
    /// Name of the read that looks it up by its digits.
    const FIND: &'static str;
    /// Collection of its resource names.
    const COLLECTION: &'static str;
    /// What else a change sets; `changed.live` tells whether the document stays live.
    const ALSO_SET: &'static str;
    /// What to say when a row is not there.
    const MISSING: &'static str;

    fn read(row: <Self::Entity as EntityTrait>::Model) -> Result<Self, StoreError>;
    fn id(&self) -> Uuid;
    fn code(&self) -> ValidityCode;
    fn state(&self) -> DocumentState;
    fn version(&self) -> i64;
    fn institution_code(&self) -> &str;
    /// What is not signed is not issued: there is nothing to change yet.
    fn is_issued(&self) -> bool;
    fn set(
        &mut self,
        state: DocumentState,
        revocation: Option<StoredRevocation>,
        time: Timestamp,
        version: i64,
    );
}

/// One change, as it waits.
pub(crate) struct Changing<D> {
    pub(crate) context: ActContext,
    pub(crate) id: Uuid,
    pub(crate) change: DocumentChange,
    pub(crate) document: std::marker::PhantomData<D>,
}

impl<D: Document> Joint for Changing<D> {
    type Answer = Changed<D>;

    const NAME: &'static str = D::CHANGE;
    const MOST: usize = 256;
    const ACTS: bool = true;

    fn keys(&self) -> Vec<u64> {
        let claim = self.context.claim.as_ref();
        let claim = claim.map(|claim| key(&claim.key()));
        claim.into_iter().chain([key(&self.id)]).collect()
    }

    async fn run(store: &Store, group: &[&Self]) -> Result<Vec<Changed<D>>, StoreError> {
        store
            .run_tx(Self::NAME, |tx, _| {
                Box::pin(async move { change_all(store, tx, group).await })
            })
            .await
    }
}

/// Makes the changes that are allowed.
async fn change_all<D: Document>(
    store: &Store,
    tx: &DatabaseTransaction,
    group: &[&Changing<D>],
) -> Result<Done<Vec<Changed<D>>>, StoreError> {
    // First the locks, which wait for whoever is changing the same documents, then
    // the claims: the same request, still under way elsewhere, is seen when it is over.
    let ids = group.iter().map(|changing| changing.id).collect();
    let mut stored = get_many::<D>(tx, ids, true).await?;
    let contexts: Vec<_> = group.iter().map(|changing| &changing.context).collect();
    let claimed = earlier(tx, &contexts).await?;
    let replayed = replayed::<D>(tx, &claimed).await?;

    let missing = || StoreError::Corrupt(D::MISSING);
    let mut answers = Vec::with_capacity(group.len());
    let mut done = Vec::new();
    for (changing, claimed) in group.iter().zip(claimed) {
        answers.push(match claimed {
            Some(Claimed::Reused) => Changed::RequestIdReused,
            Some(Claimed::Replay { resource, .. }) => {
                let id = resource_id(&resource, D::COLLECTION)?;
                Changed::Done(replayed.get(&id).cloned().ok_or_else(missing)?)
            }
            None => {
                let before = stored.remove(&changing.id).ok_or_else(missing)?;
                let answer = changing.apply(&before);
                if let Changed::Done(after) = &answer {
                    done.push((*changing, before.state(), after.clone()));
                }
                answer
            }
        });
    }
    if done.is_empty() {
        return Ok(Done::Abandon(answers));
    }
    write(tx, &done).await?;
    let claims = done
        .iter()
        .map(|(changing, ..)| (&changing.context, name::<D>(changing.id), changing.action()));
    let acts = done
        .iter()
        .map(|(changing, from, after)| (&changing.context, changing.act(*from, after)));
    store.record_all(tx, claims, acts).await?;
    Ok(Done::Commit(answers))
}

/// The documents that earlier acts stand for, by their ids.
pub(crate) async fn replayed<D: Document>(
    tx: &DatabaseTransaction,
    claimed: &[Option<Claimed>],
) -> Result<HashMap<Uuid, D>, StoreError> {
    get_many(tx, replayed_ids(claimed, D::COLLECTION)?, false).await
}

async fn get_many<D: Document>(
    tx: &DatabaseTransaction,
    ids: HashSet<Uuid>,
    lock: bool,
) -> Result<HashMap<Uuid, D>, StoreError> {
    let mut ids: Vec<_> = ids.into_iter().collect();
    // Locked in one order everywhere.
    ids.sort_unstable();
    let mut keys = Rows::new(&[("id", ArrayType::Uuid)]);
    for id in ids {
        keys.push([id.into()]);
    }
    let found = rows::find::<D::Entity>(tx, keys, lock).await?;
    let documents = found.into_iter().map(|row| {
        let document = D::read(row)?;
        Ok((document.id(), document))
    });
    documents.collect()
}

async fn write<D: Document>(
    tx: &DatabaseTransaction,
    done: &[(&Changing<D>, DocumentState, D)],
) -> Result<(), StoreError> {
    let mut changed = Rows::new(&[
        ("id", ArrayType::Uuid),
        ("version", ArrayType::BigInt),
        ("state", ArrayType::String),
        ("remark", ArrayType::String),
        ("revocation", ArrayType::String),
        ("update_time", ArrayType::BigInt),
        ("live", ArrayType::Bool),
    ]);
    for (changing, _, after) in done {
        let revocation = changing.change.revocation.as_ref().map(revocation_json);
        changed.push([
            changing.id.into(),
            after.version().into(),
            after.state().as_str().into(),
            changing.change.remark.as_str().into(),
            revocation.transpose()?.unwrap_or_default().into(),
            changing.context.now.as_microsecond().into(),
            after.state().is_live().into(),
        ]);
    }
    let entity = D::Entity::default();
    let table = entity.table_name();
    let update = format!(
        ") UPDATE {table} SET version = changed.version, state = changed.state, \
         remark = changed.remark, revocation = NULLIF(changed.revocation, ''), \
         update_time = changed.update_time{} FROM changed \
         WHERE {table}.id = changed.id AND {table}.version = changed.version - 1",
        D::ALSO_SET
    );
    let statement = changed.statement(
        tx.get_database_backend(),
        "WITH changed (id, version, state, remark, revocation, update_time, live) AS (",
        &update,
    );
    let updated = tx.execute_raw(statement).await?.rows_affected();
    if updated == done.len() as u64 {
        Ok(())
    } else {
        Err(StoreError::Conflict)
    }
}

impl<D: Document> Changing<D> {
    /// The document after the change, or why it does not change.
    fn apply(&self, before: &D) -> Changed<D> {
        if self
            .change
            .etag
            .is_some_and(|etag| etag != before.version())
        {
            return Changed::EtagMismatch;
        }
        match self.change.action.apply(before.state()) {
            Ok(state) if before.is_issued() => {
                let mut after = before.clone();
                after.set(
                    state,
                    self.change.revocation.clone(),
                    self.context.now,
                    before.version() + 1,
                );
                Changed::Done(after)
            }
            _ => Changed::NotAllowed,
        }
    }

    fn action(&self) -> &'static str {
        self.change.action.as_str()
    }

    fn act(&self, from: DocumentState, after: &D) -> Act {
        let reason = self.change.revocation.as_ref();
        Act {
            resource: name::<D>(self.id),
            action: self.action(),
            from: from.as_str().to_owned(),
            to: after.state().as_str().to_owned(),
            reason: reason.map_or_else(String::new, |revocation| revocation.reason.to_string()),
            subject_hash: self.change.subject_hash.clone(),
            institution_code: after.institution_code().to_owned(),
            ..Act::default()
        }
    }
}

fn name<D: Document>(id: Uuid) -> String {
    format!("{}/{id}", D::COLLECTION)
}
