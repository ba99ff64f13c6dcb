//! The change feed: change events in the order of the audit chain, whose `seq` has no
//! gaps, so that whoever has read up to a place has missed nothing before it.

use jiff::Timestamp;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Order, Query};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::content::instant;
use crate::entity::{audit_chain, change_event};
use crate::{Store, StoreError, certificates};

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
    /// Events of certificates and their applications.
    Certificates,
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

/// A part of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The events, in their order.
    pub events: Vec<FeedEvent>,
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
        use audit_chain::Column as Link;
        use change_event::Column as Event;
        self.read("read_feed", async {
            let end = self.last_link().await?;
            let through = end.clamp(after, after.saturating_add(LOOKED_THROUGH));
            let link = |column| Expr::col((audit_chain::Entity, column));
            let event = |column| Expr::col((change_event::Entity, column));
            let mine = match scope {
                FeedScope::All => Condition::all(),
                FeedScope::Institutions(codes) => {
                    Condition::all().add(event(Event::InstitutionCode).is_in(codes))
                }
                FeedScope::Certificates => [certificates::COLLECTION, certificates::APPLICATIONS]
                    .into_iter()
                    .fold(Condition::any(), |any, collection| {
                        any.add(event(Event::Resource).like(format!("{collection}/%")))
                    }),
            };
            let query = Query::select()
                .column((audit_chain::Entity, Link::Seq))
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
                .and_where(link(Link::Seq).gt(after))
                .and_where(link(Link::Seq).lte(through))
                .cond_where(mine)
                .order_by((audit_chain::Entity, Link::Seq), Order::Asc)
                .limit(most)
                .to_owned();
            let rows = self.inner.db.query_all(&query).await?;
            let events: Vec<_> = rows.iter().map(read_event).collect::<Result<_, _>>()?;
            let reached = match events.last() {
                Some(last) if events.len() as u64 == most => last.sequence,
                _ => through,
            };
            Ok(FeedPage {
                events,
                reached,
                end,
            })
        })
        .await
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

fn read_event(row: &QueryResult) -> Result<FeedEvent, StoreError> {
    Ok(FeedEvent {
        sequence: row.try_get_by_index(0)?,
        event_time: instant(row.try_get_by_index(1)?)?,
        resource: row.try_get_by_index(2)?,
        action: row.try_get_by_index(3)?,
        state: row.try_get_by_index(4)?,
        institution_code: row.try_get_by_index(5)?,
    })
}
