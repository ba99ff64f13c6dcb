//! Audit entries, change events and the sequencer that chains them.
//!
//! Acts only append: the order is given afterwards by one sequencer per database,
//! so no act waits for another, and `seq` has no gaps.

use aws_lc_rs::digest::{Context, SHA256};
use gavah_domain::new_uuid;
use jiff::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use uuid::Uuid;

use crate::entity::{audit_chain, audit_entry, audit_pending, change_event};
use crate::tx::Done;
use crate::{Claim, Store, StoreError};

/// Who acts, when, and under which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActContext {
    /// Resource name of the caller, `callers/{id}`, or `service/…`, `operator/…`
    /// for acts that no call asked for.
    pub actor: String,
    /// The instant of the act.
    pub now: Timestamp,
    /// Trace id of the call, empty when there is none.
    pub trace_id: String,
    /// The claim; unset for acts that no call asked for.
    pub claim: Option<Claim>,
}

/// One act as the audit sees it: references and a keyed hash, no personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Act {
    /// Resource name.
    pub resource: String,
    /// What was done, for example `ISSUE`.
    pub action: &'static str,
    /// State before, empty when none.
    pub from: String,
    /// State after, empty when none.
    pub to: String,
    /// Reason given, empty when none.
    pub reason: String,
    /// Keyed hash of the subject, empty when none.
    pub subject_hash: String,
    /// Institution concerned, empty when none.
    pub institution_code: String,
    /// Expert named, empty when none.
    pub on_behalf: String,
}

/// Key of the sequencer's advisory lock.
const SEQUENCER_LOCK: i64 = 0x6761_7661_6802;

/// Entries chained in one transaction.
const CHAIN_BATCH: u64 = 500;

impl Store {
    /// Appends the audit entry and the change event of one act.
    pub(crate) async fn append(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        act: Act,
    ) -> Result<(), StoreError> {
        let id = new_uuid(context.now, &*self.inner.entropy)
            .map_err(|_| StoreError::Config("no randomness".to_owned()))?;
        let claim = context.claim.as_ref();
        let act_time = context.now.as_microsecond();
        audit_entry::Entity::insert(audit_entry::ActiveModel {
            id: Set(id),
            act_time: Set(act_time),
            actor: Set(context.actor.clone()),
            on_behalf: Set(act.on_behalf.clone()),
            method: Set(claim.map_or_else(String::new, |claim| claim.method.clone())),
            resource: Set(act.resource.clone()),
            action: Set(act.action.to_owned()),
            from_state: Set(act.from.clone()),
            to_state: Set(act.to.clone()),
            reason: Set(act.reason.clone()),
            subject_hash: Set(act.subject_hash.clone()),
            institution_code: Set(act.institution_code.clone()),
            request_id: Set(claim.map_or_else(String::new, |claim| claim.request_id.to_string())),
            trace_id: Set(context.trace_id.clone()),
        })
        .exec_without_returning(tx)
        .await?;
        change_event::Entity::insert(change_event_of(id, act_time, claim, &act))
            .exec_without_returning(tx)
            .await?;
        audit_pending::Entity::insert(audit_pending::ActiveModel { entry_id: Set(id) })
            .exec_without_returning(tx)
            .await?;
        Ok(())
    }

    /// Chains the entries committed so far, in the order of their ids; returns
    /// how many. Only one process at a time does it; the others return 0.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn chain_pending(&self) -> Result<usize, StoreError> {
        self.run_tx("chain_audit", |tx, _| {
            Box::pin(async move {
                if self.on_postgres() && !try_lock(tx).await? {
                    return Ok(Done::Abandon(0));
                }
                let pending = audit_pending::Entity::find()
                    .order_by_asc(audit_pending::Column::EntryId)
                    .limit(CHAIN_BATCH)
                    .all(tx)
                    .await?;
                if pending.is_empty() {
                    return Ok(Done::Abandon(0));
                }
                let ids: Vec<Uuid> = pending.iter().map(|pending| pending.entry_id).collect();
                let entries = audit_entry::Entity::find()
                    .filter(audit_entry::Column::Id.is_in(ids.clone()))
                    .order_by_asc(audit_entry::Column::Id)
                    .all(tx)
                    .await?;
                let last = audit_chain::Entity::find()
                    .order_by_desc(audit_chain::Column::Seq)
                    .one(tx)
                    .await?;
                let (mut seq, mut hash) =
                    last.map_or_else(|| (0, START.to_vec()), |last| (last.seq, last.hash));
                let mut links = Vec::with_capacity(entries.len());
                for entry in &entries {
                    let next = link_hash(&hash, entry);
                    seq += 1;
                    links.push(audit_chain::ActiveModel {
                        seq: Set(seq),
                        entry_id: Set(entry.id),
                        prev_hash: Set(hash),
                        hash: Set(next.clone()),
                    });
                    hash = next;
                }
                let chained = links.len();
                audit_chain::Entity::insert_many(links)
                    .exec_without_returning(tx)
                    .await?;
                audit_pending::Entity::delete_many()
                    .filter(audit_pending::Column::EntryId.is_in(ids))
                    .exec(tx)
                    .await?;
                Ok(Done::Commit(chained))
            })
        })
        .await
    }
}

fn change_event_of(
    entry_id: Uuid,
    event_time: i64,
    claim: Option<&Claim>,
    act: &Act,
) -> change_event::ActiveModel {
    change_event::ActiveModel {
        entry_id: Set(entry_id),
        event_time: Set(event_time),
        institution_code: Set(act.institution_code.clone()),
        caller_id: Set(claim.map_or_else(String::new, |claim| claim.caller_id.clone())),
        resource: Set(act.resource.clone()),
        kind: Set(act.action.to_owned()),
        state: Set(act.to.clone()),
    }
}

async fn try_lock(tx: &DatabaseTransaction) -> Result<bool, StoreError> {
    let row = tx
        .query_one_raw(sea_orm::Statement::from_string(
            sea_orm::DbBackend::Postgres,
            format!("SELECT pg_try_advisory_xact_lock({SEQUENCER_LOCK})"),
        ))
        .await?
        .ok_or(StoreError::Unavailable)?;
    Ok(row.try_get_by_index(0)?)
}

/// What stands before the first link.
pub(crate) const START: [u8; 32] = [0; 32];

/// SHA-256 over the hash before and the entry: every field with its length in
/// front, in the order of the table's columns.
pub(crate) fn link_hash(previous: &[u8], entry: &audit_entry::Model) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    digest.update(b"gavah audit chain v1");
    let mut field = |bytes: &[u8]| {
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    field(previous);
    field(entry.id.as_bytes());
    field(&entry.act_time.to_be_bytes());
    for text in [
        &entry.actor,
        &entry.on_behalf,
        &entry.method,
        &entry.resource,
        &entry.action,
        &entry.from_state,
        &entry.to_state,
        &entry.reason,
        &entry.subject_hash,
        &entry.institution_code,
        &entry.request_id,
        &entry.trace_id,
    ] {
        field(text.as_bytes());
    }
    digest.finish().as_ref().to_vec()
}
