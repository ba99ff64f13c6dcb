//! Reading along the audit chain: change events for callers, whole entries for
//! auditors. The chain's `seq` has no gaps, so whoever has read up to a place has
//! missed nothing before it.

use jiff::Timestamp;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, FromQueryResult, Iterable, QueryResult};

use crate::content::instant;
use crate::entity::audit_chain::{self, Column as Link};
use crate::entity::{audit_entry, change_event, dispute};
use crate::{Store, StoreError, certificates, payments};

/// Links of the chain looked through for one page at most, so that a reader to whom
/// little belongs costs no more than others.
const LOOKED_THROUGH: i64 = 10_000;

/// Which events a reader may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedScope {
    /// Every event.
    All,
    /// Events of these institutions.
    Institutions(Vec<String>),
    /// Events of certificates, of their applications and payments, and of the disputes of a consumer.
    Certificates {
        /// Resource name of the consumer.
        consumer: String,
    },
}

/// A change of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEvent {
    /// Its place, from 1.
    pub sequence: i64,
    /// When it was made.
    pub event_time: Timestamp,
    /// Resource name.
    pub resource: String,
    /// What was done.
    pub action: String,
    /// The resource's state after it; empty when it has none.
    pub state: String,
    /// The institution concerned; empty when none.
    pub institution_code: String,
}

/// An entry of the audit with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainedEntry {
    /// Its place, from 1.
    pub sequence: i64,
    /// SHA-256 over the link before and this entry.
    pub hash: Vec<u8>,
    /// The entry.
    pub entry: audit_entry::Model,
}

/// Which entries of the audit are asked for; all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Who acted.
    pub actor: Option<String>,
    /// On which resource.
    pub resource: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// The institution concerned.
    pub institution_code: Option<String>,
    /// Keyed hash of the subject.
    pub subject_hash: Option<String>,
    /// The trace of the call.
    pub trace_id: Option<String>,
    /// At or after.
    pub acted_from: Option<Timestamp>,
    /// Before.
    pub acted_before: Option<Timestamp>,
}

/// A part of what is read along the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage<E = FeedEvent> {
    /// The events or entries, in their order.
    pub events: Vec<E>,
    /// Everything up to here has been looked through: where the next part begins.
    pub reached: i64,
    /// Where the feed ends at the moment.
    pub end: i64,
}

impl Store {
    /// The place of the last change; 0 before the first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn feed_end(&self) -> Result<i64, StoreError> {
        self.read("feed_end", self.last_link()).await
    }

    /// The changes of `scope` behind the place `after`, at most `most` of them.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn feed(
        &self,
        scope: &FeedScope,
        after: i64,
        most: u64,
    ) -> Result<FeedPage, StoreError> {
        use change_event::Column as Event;
        let event = |column| Expr::col((change_event::Entity, column));
        let mine = match scope {
            FeedScope::All => Condition::all(),
            FeedScope::Institutions(codes) => {
                Condition::all().add(event(Event::InstitutionCode).is_in(codes))
            }
            FeedScope::Certificates { consumer } => {
                let disputes = Query::select()
                    .column(dispute::Column::Resource)
                    .from(dispute::Entity)
                    .and_where(dispute::Column::Consumer.eq(consumer.as_str()))
                    .to_owned();
                let of = |collection| event(Event::Resource).like(format!("{collection}/%"));
                // Events of what an institution pays for name it, those of what a student pays for none.
                let payments = Condition::all()
                    .add(of(payments::COLLECTION))
                    .add(event(Event::InstitutionCode).eq(""));
                Condition::any()
                    .add(of(certificates::COLLECTION))
                    .add(of(certificates::APPLICATIONS))
                    .add(payments)
                    .add(event(Event::Resource).in_subquery(disputes))
            }
        };
        let query = Query::select()
            .columns(
                [
                    Event::EventTime,
                    Event::Resource,
                    Event::Kind,
                    Event::State,
                    Event::InstitutionCode,
                ]
                .map(|column| (change_event::Entity, column)),
            )
            .from(audit_chain::Entity)
            .inner_join(
                change_event::Entity,
                event(Event::EntryId).equals((audit_chain::Entity, Link::EntryId)),
            )
            .cond_where(mine)
            .to_owned();
        let read = self.along_the_chain(query, after, most, read_event);
        self.read("read_feed", read).await
    }

    /// The entries of the audit that `filter` lets pass behind the place `after`, at
    /// most `most` of them.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: i64,
        most: u64,
    ) -> Result<FeedPage<ChainedEntry>, StoreError> {
        use audit_entry::Column as Entry;
        let same = |column: Entry, wanted: &Option<String>| {
            let wanted = wanted.as_ref();
            wanted.map(|wanted| column.eq(wanted.as_str()))
        };
        let instant = Timestamp::as_microsecond;
        let wanted = Condition::all()
            .add_option(same(Entry::Actor, &filter.actor))
            .add_option(same(Entry::Resource, &filter.resource))
            .add_option(same(Entry::Action, &filter.action))
            .add_option(same(Entry::InstitutionCode, &filter.institution_code))
            .add_option(same(Entry::SubjectHash, &filter.subject_hash))
            .add_option(same(Entry::TraceId, &filter.trace_id))
            .add_option(
                filter
                    .acted_from
                    .map(|from| Entry::ActTime.gte(instant(from))),
            )
            .add_option(
                filter
                    .acted_before
                    .map(|end| Entry::ActTime.lt(instant(end))),
            );
        let columns = Entry::iter().map(|column| (audit_entry::Entity, column));
        let query = Query::select()
            .columns(columns)
            .column((audit_chain::Entity, Link::Hash))
            .from(audit_chain::Entity)
            .inner_join(
                audit_entry::Entity,
                Expr::col((audit_entry::Entity, Entry::Id))
                    .equals((audit_chain::Entity, Link::EntryId)),
            )
            .cond_where(wanted)
            .to_owned();
        let read = self.along_the_chain(query, after, most, read_entry);
        self.read("read_audit", read).await
    }

    /// The rows of a query over the chain behind the place `after`.
    async fn along_the_chain<E>(
        &self,
        mut query: SelectStatement,
        after: i64,
        most: u64,
        read: impl Fn(i64, &QueryResult) -> Result<E, StoreError>,
    ) -> Result<FeedPage<E>, StoreError> {
        let end = self.last_link().await?;
        let through = end.clamp(after, after.saturating_add(LOOKED_THROUGH));
        let place = (audit_chain::Entity, Link::Seq);
        query
            .column(place)
            .and_where(Expr::col(place).gt(after))
            .and_where(Expr::col(place).lte(through))
            .order_by(place, Order::Asc)
            .limit(most);
        let rows = self.inner.db.query_all(&query).await?;
        let mut last = None;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            let sequence = row.try_get("", "seq")?;
            last = Some(sequence);
            events.push(read(sequence, row)?);
        }
        let reached = match last {
            Some(last) if rows.len() as u64 == most => last,
            _ => through,
        };
        Ok(FeedPage {
            events,
            reached,
            end,
        })
    }

    async fn last_link(&self) -> Result<i64, StoreError> {
        let query = Query::select()
            .expr(Expr::col(audit_chain::Column::Seq).max())
            .from(audit_chain::Entity)
            .to_owned();
        let row = self.inner.db.query_one(&query).await?;
        let last: Option<i64> = match row {
            Some(row) => row.try_get_by_index(0)?,
            None => None,
        };
        Ok(last.unwrap_or_default())
    }
}

fn read_event(sequence: i64, row: &QueryResult) -> Result<FeedEvent, StoreError> {
    Ok(FeedEvent {
        sequence,
        event_time: instant(row.try_get("", "event_time")?)?,
        resource: row.try_get("", "resource")?,
        action: row.try_get("", "kind")?,
        state: row.try_get("", "state")?,
        institution_code: row.try_get("", "institution_code")?,
    })
}

fn read_entry(sequence: i64, row: &QueryResult) -> Result<ChainedEntry, StoreError> {
    Ok(ChainedEntry {
        sequence,
        hash: row.try_get("", "hash")?,
        entry: audit_entry::Model::from_query_result(row, "")?,
    })
}
