//! Walking the audit chain from the first link to the last.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::audit::{START, link_hash};
use crate::entity::{audit_chain, audit_entry, audit_pending, change_event};
use crate::{Store, StoreError};

/// Links read at a time.
const PAGE: u64 = 1000;

/// What a walk over the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// Links walked.
    pub links: u64,
    /// Entries not chained yet; a running sequencer chains them within a second.
    pub pending: u64,
    /// The first difference, if any.
    pub difference: Option<Difference>,
    /// Hash of the last good link, 64 hex digits.
    pub head: String,
}

/// How the chain differs from what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// A place of the chain is missing or doubled.
    #[error("link {expected} is missing: {found} stands in its place")]
    Gap {
        /// The place that should come.
        expected: i64,
        /// The place found.
        found: i64,
    },
    /// A link does not carry on from the one before.
    #[error("link {0} does not carry on from the link before")]
    Broken(i64),
    /// The entry of a link is gone.
    #[error("link {0}: its audit entry is missing")]
    EntryMissing(i64),
    /// An entry is not what it was when it was chained.
    #[error("link {0}: its audit entry was changed")]
    EntryChanged(i64),
    /// An entry has no change event.
    #[error("link {0}: its change event is missing")]
    EventMissing(i64),
    /// Entries that are neither chained nor waiting to be.
    #[error("{0} audit entries are neither chained nor pending")]
    Unchained(u64),
}

impl Store {
    /// Walks the whole chain and names the first difference.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn verify_chain(&self) -> Result<ChainReport, StoreError> {
        let mut report = ChainReport {
            links: 0,
            pending: 0,
            difference: None,
            head: hex(&START),
        };
        let mut hash = START.to_vec();
        let mut expected = 1;
        loop {
            let links = self.chain_page(expected).await?;
            if links.is_empty() {
                break;
            }
            let (entries, events) = self.chained(&links).await?;
            for link in &links {
                if let Err(difference) = check(link, expected, &hash, &entries, &events) {
                    report.difference = Some(difference);
                    report.head = hex(&hash);
                    return Ok(report);
                }
                hash.clone_from(&link.hash);
                report.links += 1;
                expected += 1;
            }
        }
        report.head = hex(&hash);
        report.pending = self
            .read("count_pending", async {
                Ok(audit_pending::Entity::find().count(&self.inner.db).await?)
            })
            .await?;
        let unchained = self.unchained().await?;
        if unchained > 0 {
            report.difference = Some(Difference::Unchained(unchained));
        }
        Ok(report)
    }

    /// Entries that are neither chained nor waiting to be. One statement, so that
    /// an entry that is being chained meanwhile is seen in exactly one place.
    async fn unchained(&self) -> Result<u64, StoreError> {
        let chained = Query::select()
            .expr(Expr::val(1))
            .from(audit_chain::Entity)
            .and_where(
                Expr::col((audit_chain::Entity, audit_chain::Column::EntryId))
                    .equals((audit_entry::Entity, audit_entry::Column::Id)),
            )
            .to_owned();
        let pending = Query::select()
            .expr(Expr::val(1))
            .from(audit_pending::Entity)
            .and_where(
                Expr::col((audit_pending::Entity, audit_pending::Column::EntryId))
                    .equals((audit_entry::Entity, audit_entry::Column::Id)),
            )
            .to_owned();
        self.read("count_unchained", async {
            Ok(audit_entry::Entity::find()
                .filter(Expr::exists(chained).not())
                .filter(Expr::exists(pending).not())
                .count(&self.inner.db)
                .await?)
        })
        .await
    }

    async fn chain_page(&self, from: i64) -> Result<Vec<audit_chain::Model>, StoreError> {
        self.read("read_chain", async {
            Ok(audit_chain::Entity::find()
                .filter(audit_chain::Column::Seq.gte(from))
                .order_by_asc(audit_chain::Column::Seq)
                .limit(PAGE)
                .all(&self.inner.db)
                .await?)
        })
        .await
    }

    async fn chained(
        &self,
        links: &[audit_chain::Model],
    ) -> Result<
        (
            HashMap<Uuid, audit_entry::Model>,
            HashMap<Uuid, change_event::Model>,
        ),
        StoreError,
    > {
        let ids: Vec<Uuid> = links.iter().map(|link| link.entry_id).collect();
        self.read("read_chained", async {
            let entries = audit_entry::Entity::find()
                .filter(audit_entry::Column::Id.is_in(ids.clone()))
                .all(&self.inner.db)
                .await?;
            let events = change_event::Entity::find()
                .filter(change_event::Column::EntryId.is_in(ids))
                .all(&self.inner.db)
                .await?;
            Ok((
                entries.into_iter().map(|entry| (entry.id, entry)).collect(),
                events
                    .into_iter()
                    .map(|event| (event.entry_id, event))
                    .collect(),
            ))
        })
        .await
    }
}

fn check(
    link: &audit_chain::Model,
    expected: i64,
    previous: &[u8],
    entries: &HashMap<Uuid, audit_entry::Model>,
    events: &HashMap<Uuid, change_event::Model>,
) -> Result<(), Difference> {
    if link.seq != expected {
        return Err(Difference::Gap {
            expected,
            found: link.seq,
        });
    }
    if link.prev_hash != previous {
        return Err(Difference::Broken(link.seq));
    }
    let entry = entries
        .get(&link.entry_id)
        .ok_or(Difference::EntryMissing(link.seq))?;
    if link_hash(previous, entry) != link.hash {
        return Err(Difference::EntryChanged(link.seq));
    }
    if !events.contains_key(&link.entry_id) {
        return Err(Difference::EventMissing(link.seq));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
