//! Audit entries, change events and the sequencer that chains them.
//!
//! Acts only append: the order is given afterwards by one sequencer per database,
//! so no act waits for another, and `seq` has no gaps.

use std::sync::PoisonError;

use aws_lc_rs::digest::{Context, SHA256};
use gavah_domain::new_uuid;
use jiff::Timestamp;
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait, QueryOrder, Set, Statement};
use uuid::Uuid;

use crate::changes::take_note;
use crate::claim::claims;
use crate::disputes::fulfil::{fulfil, fulfils};
use crate::entity::{audit_chain, audit_entry, audit_pending, change_event};

use crate::rows::{self, Inserts, Rows};
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
const CHAIN_BATCH: i64 = 1000;

/// The entries to chain next, in the order of their ids: an index lookup for each.
const PENDING_POSTGRES: &str = "SELECT entry.* FROM \
    (SELECT entry_id FROM audit_pending ORDER BY entry_id LIMIT $1) pending \
    CROSS JOIN LATERAL (SELECT * FROM audit_entry WHERE id = pending.entry_id LIMIT 1) entry \
    ORDER BY pending.entry_id";
/// The same on SQLite, which keeps the order of a CROSS JOIN.
const PENDING_SQLITE: &str = "SELECT audit_entry.* FROM \
    (SELECT entry_id FROM audit_pending ORDER BY entry_id LIMIT ?) pending \
    CROSS JOIN audit_entry WHERE audit_entry.id = pending.entry_id \
    ORDER BY pending.entry_id";

impl Store {
    /// Appends the audit entry and the change event of one act.
    pub(crate) async fn append(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        act: Act,
    ) -> Result<(), StoreError> {
        self.record_all(tx, [], [(context, act)]).await
    }

    /// Claims the request_ids of many acts, each for a resource and an outcome, and
    /// appends the audit entries and the change events. [`StoreError::Conflict`] when
    /// one has been claimed since [`earlier`](crate::claim::earlier) looked: the next
    /// try will see it.
    pub(crate) async fn record_all<'a>(
        &self,
        tx: &DatabaseTransaction,
        claimed: impl IntoIterator<Item = (&'a ActContext, String, &'a str)>,
        acts: impl IntoIterator<Item = (&'a ActContext, Act)>,
    ) -> Result<(), StoreError> {
        let mut acts: Vec<_> = acts.into_iter().collect();
        // What is done under a ruling is marked as done with it, or not done at all.
        let mut fulfilled = Vec::new();
        for (context, act) in &acts {
            let ordered = context.claim.as_ref().and_then(|claim| claim.ordered);
            if let Some(ordered) = ordered.filter(|_| fulfils(act)) {
                let done = fulfil(tx, context, ordered, &act.resource).await?;
                fulfilled.push((*context, done));
            }
        }
        acts.extend(fulfilled);
        take_note(tx, acts.iter().map(|(_, act)| act)).await?;
        let (mut entries, mut events, mut pending) = (Vec::new(), Vec::new(), Vec::new());
        for (context, act) in acts {
            let id = self.entry_id(context.now)?;
            events.push(change_event_of(id, context, &act));
            entries.push(audit_entry_of(id, context, act));
            pending.push(audit_pending::ActiveModel { entry_id: Set(id) });
        }
        let mut inserts = Inserts::default();
        inserts.add_new(claims(claimed));
        inserts.add(entries);
        inserts.add(events);
        inserts.add(pending);
        match inserts.run(tx).await? {
            true => Ok(()),
            false => Err(StoreError::Conflict),
        }
    }

    /// An id behind those of all entries made here before: the chain has entries in the order
    /// of their ids, and what happens within a millisecond must not be told backwards.
    fn entry_id(&self, now: Timestamp) -> Result<Uuid, StoreError> {
        let drawn = new_uuid(now, &*self.inner.entropy)
            .map_err(|_| StoreError::Config("no randomness".to_owned()))?;
        let mut last = self
            .inner
            .last_entry
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The random end of an id has room for as many as ever come.
        let next = Uuid::from_u128(last.as_u128() + 1);
        *last = drawn.max(next);
        Ok(*last)
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
                let entries = audit_entry::Entity::find()
                    .from_raw_sql(Statement::from_sql_and_values(
                        self.inner.db.get_database_backend(),
                        if self.on_postgres() {
                            PENDING_POSTGRES
                        } else {
                            PENDING_SQLITE
                        },
                        [CHAIN_BATCH.into()],
                    ))
                    .all(tx)
                    .await?;
                if entries.is_empty() {
                    return Ok(Done::Abandon(0));
                }
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
                rows::insert(tx, links).await?;
                let mut done = Rows::new(&[("entry_id", ArrayType::Uuid)]);
                for entry in entries {
                    done.push([entry.id.into()]);
                }
                let forget = done.statement(
                    self.inner.db.get_database_backend(),
                    "DELETE FROM audit_pending WHERE entry_id IN (",
                    ")",
                );
                tx.execute_raw(forget).await?;
                Ok(Done::Commit(chained))
            })
        })
        .await
    }
}

fn audit_entry_of(id: Uuid, context: &ActContext, act: Act) -> audit_entry::ActiveModel {
    let (method, request_id) = context
        .claim
        .as_ref()
        .map(|claim| (claim.method.clone(), claim.request_id.to_string()))
        .unwrap_or_default();
    audit_entry::ActiveModel {
        id: Set(id),
        act_time: Set(context.now.as_microsecond()),
        actor: Set(context.actor.clone()),
        on_behalf: Set(act.on_behalf),
        method: Set(method),
        resource: Set(act.resource),
        action: Set(act.action.to_owned()),
        from_state: Set(act.from),
        to_state: Set(act.to),
        reason: Set(act.reason),
        subject_hash: Set(act.subject_hash),
        institution_code: Set(act.institution_code),
        request_id: Set(request_id),
        trace_id: Set(context.trace_id.clone()),
    }
}

fn change_event_of(entry_id: Uuid, context: &ActContext, act: &Act) -> change_event::ActiveModel {
    let claim = context.claim.as_ref();
    change_event::ActiveModel {
        entry_id: Set(entry_id),
        event_time: Set(context.now.as_microsecond()),
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
