//! Which issued documents have changed: what a cache of them must know.
//!
//! A change on this node is noted by the task that commits it, before its caller is
//! told. Changes on other nodes are read from `change_event`, in an order in which
//! none can be missed: by the transaction that wrote them, from the oldest one that
//! was still open at the last look. PostgreSQL notifies this node when there is
//! something to see; should that fail, it looks all the same. How far it has seen is
//! measured on this machine's monotonic clock from the moment it asked, so no clock
//! of a database and no slow answer can make it believe too much.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{Act, Store, StoreError, certificates, codes};

/// Looks for changes, by outcome.
pub const CHANGE_LOOKS: &str = "gavah_store_change_looks_total";

/// How long a node may go without looking for changes and still answer from memory.
/// What remains of the second in which a change must reach every node is for the
/// answer under way.
const CURRENT_FOR: Duration = Duration::from_millis(900);

/// How often a node looks without having been notified.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The channel of PostgreSQL on which a change is announced. It carries nothing.
const CHANNEL: &str = "gavah_document_changed";

/// Documents that share a slot are taken to change together.
const SLOTS: usize = 4096;

tokio::task_local! {
    /// Documents that the transaction under way changes.
    pub(crate) static CHANGED: RefCell<Vec<Uuid>>;
}

/// When each document last changed, as far as this node knows.
#[derive(Debug)]
pub struct Changes {
    start: Instant,
    /// Counts changes.
    count: AtomicU64,
    /// The count at the last change of a document of the slot.
    slots: Box<[AtomicU64]>,
    /// Microseconds after `start` at which the last look began that saw everything;
    /// 0 before the first.
    seen: AtomicU64,
}

/// A moment before a document was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            count: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            seen: AtomicU64::new(0),
        }
    }

    /// Now. To be taken before a document is read.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.count.load(Ordering::SeqCst))
    }

    /// Whether what was read of the document after `mark` still holds, as far as
    /// this node knows; ask [`Changes::is_current`] too.
    #[must_use]
    pub fn unchanged_since(&self, mark: Mark, document: Uuid) -> bool {
        self.slot(document).load(Ordering::SeqCst) <= mark.0
    }

    /// Whether this node knows of every change that was committed anywhere until
    /// less than a second ago.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let seen = self.seen.load(Ordering::Acquire);
        let now = self.start.elapsed().as_micros();
        seen > 0 && now.saturating_sub(u128::from(seen)) < CURRENT_FOR.as_micros()
    }

    /// Notes that a document has changed, or may have.
    pub(crate) fn note(&self, document: Uuid) {
        // The count first: whoever reads the document from now on has a later mark.
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.slot(document).fetch_max(count, Ordering::SeqCst);
    }

    /// Notes that every document may have changed.
    fn note_all(&self) {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        for slot in &self.slots {
            slot.fetch_max(count, Ordering::SeqCst);
        }
    }

    fn slot(&self, document: Uuid) -> &AtomicU64 {
        // The end of an id is random.
        let [.., high, low] = *document.as_bytes();
        &self.slots[usize::from(u16::from_be_bytes([high, low])) % SLOTS]
    }

    fn seen_since(&self, look: Instant) {
        let micros = look.saturating_duration_since(self.start).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX).max(1);
        self.seen.fetch_max(micros, Ordering::AcqRel);
    }
}

impl Act {
    /// The document whose verdict the act may change: one that was there before.
    fn changed_document(&self) -> Option<Uuid> {
        (self.action != FRESH)
            .then(|| document_of(&self.resource))
            .flatten()
    }
}

/// The act that makes a document: nobody can know it yet.
pub(crate) const FRESH: &str = "ISSUE";

fn document_of(resource: &str) -> Option<Uuid> {
    let (collection, id) = resource.split_once('/')?;
    [codes::COLLECTION, certificates::COLLECTION]
        .contains(&collection)
        .then(|| id.parse().ok())
        .flatten()
}

/// Takes note of the documents that the transaction's acts change, and has
/// PostgreSQL announce them with the commit.
pub(crate) async fn take_note<'a>(
    tx: &DatabaseTransaction,
    acts: impl Iterator<Item = &'a Act>,
) -> Result<(), StoreError> {
    let changed: Vec<_> = acts.filter_map(Act::changed_document).collect();
    if changed.is_empty() {
        return Ok(());
    }
    // Outside a named transaction there is nobody to tell.
    let _ = CHANGED.try_with(|documents| documents.borrow_mut().extend(changed));
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(&format!("NOTIFY {CHANNEL}")).await?;
    }
    Ok(())
}

/// Where the last look ended: on PostgreSQL the oldest transaction that was open
/// then, on SQLite the last row.
#[derive(Debug, Clone)]
struct Cursor(i64);

/// The condition of the index `change_event_document`.
const OF_DOCUMENTS: &str = "event.kind <> 'ISSUE' AND (event.resource LIKE 'validityCodes/%' \
     OR event.resource LIKE 'enrollmentCertificates/%')";

impl Store {
    /// When documents last changed, as far as this node knows.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.inner.changes
    }

    /// Keeps [`Store::changes`] current until `stop`.
    pub async fn watch_changes(&self, stop: impl Future<Output = ()>) {
        let watching = async {
            let mut cursor = None;
            let mut listener = None;
            loop {
                let outcome = match self.look(&mut cursor).await {
                    Ok(()) => "ok",
                    Err(error) => {
                        tracing::warn!(%error, "changes of documents could not be read");
                        "error"
                    }
                };
                metrics::counter!(CHANGE_LOOKS, "outcome" => outcome).increment(1);
                self.wait_for_a_change(&mut listener).await;
            }
        };
        tokio::select! {
            () = watching => {}
            () = stop => {}
        }
    }

    /// Notes what has changed since the last look. The first one finds out where to
    /// begin, and takes everything read before it to have changed.
    async fn look(&self, cursor: &mut Option<Cursor>) -> Result<(), StoreError> {
        let look = Instant::now();
        let backend = self.inner.db.get_database_backend();
        let from = cursor.as_ref().map(|cursor| cursor.0);
        let sql = match backend {
            DbBackend::Postgres => format!(
                "SELECT pg_snapshot_xmin(look.snapshot)::text::bigint AS next, event.resource \
                 FROM (SELECT pg_current_snapshot() AS snapshot) look \
                 LEFT JOIN change_event event ON event.tx >= $1::bigint::text::xid8 \
                 AND event.tx < pg_snapshot_xmax(look.snapshot) AND {OF_DOCUMENTS}"
            ),
            _ => format!(
                "SELECT look.next, event.resource \
                 FROM (SELECT coalesce(max(rowid), 0) AS next FROM change_event) look \
                 LEFT JOIN change_event event ON event.rowid > ? AND {OF_DOCUMENTS}"
            ),
        };
        // Beyond any transaction and any row.
        let from = from.unwrap_or(i64::MAX);
        let statement = Statement::from_sql_and_values(backend, sql, [from.into()]);
        let rows = self
            .read("find_changes", async {
                Ok(self.inner.db.query_all_raw(statement).await?)
            })
            .await?;
        let mut next = None;
        for row in &rows {
            next = Some(row.try_get("", "next")?);
            let resource: Option<String> = row.try_get("", "resource")?;
            if let Some(document) = resource.as_deref().and_then(document_of) {
                self.inner.changes.note(document);
            }
        }
        let next = next.ok_or(StoreError::Corrupt("change_event"))?;
        if cursor.replace(Cursor(next)).is_none() {
            self.inner.changes.note_all();
        }
        self.inner.changes.seen_since(look);
        Ok(())
    }

    /// Until there is a notification, or long enough.
    async fn wait_for_a_change(&self, listener: &mut Option<PgListener>) {
        let Some(pool) = &self.inner.listening else {
            return sleep(LOOK_EVERY).await;
        };
        // Whatever goes wrong here, looking goes on as often as without.
        let _ = timeout(LOOK_EVERY, async {
            if listener.is_none() {
                match listen(pool).await {
                    // What was committed in between is seen by looking at once.
                    Ok(listening) => return *listener = Some(listening),
                    Err(_) => std::future::pending().await,
                }
            }
            if let Some(listening) = listener
                && !matches!(listening.try_recv().await, Ok(Some(_)))
            {
                *listener = None;
            }
        })
        .await;
    }
}

async fn listen(pool: &sea_orm::sqlx::PgPool) -> Result<PgListener, sea_orm::sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn what_was_read_before_a_change_does_not_hold_after_it() {
        let changes = Changes::new();
        let before = changes.mark();
        assert!(changes.unchanged_since(before, id(1)));
        changes.note(id(1));
        assert!(!changes.unchanged_since(before, id(1)));
        assert!(changes.unchanged_since(before, id(2)), "another document");
        assert!(changes.unchanged_since(changes.mark(), id(1)), "read anew");
    }

    #[test]
    fn whatever_was_read_before_the_first_look_is_taken_to_have_changed() {
        let changes = Changes::new();
        let before = changes.mark();
        changes.note_all();
        assert!(!changes.unchanged_since(before, id(1)));
        assert!(changes.unchanged_since(changes.mark(), id(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_current_for_less_than_a_second_after_a_look() {
        let changes = Changes::new();
        assert!(!changes.is_current(), "before the first look");
        tokio::time::advance(Duration::from_millis(5)).await;
        let look = Instant::now();
        tokio::time::advance(Duration::from_millis(500)).await;
        changes.seen_since(look);
        assert!(changes.is_current(), "counted from when it asked");
        tokio::time::advance(Duration::from_millis(399)).await;
        assert!(changes.is_current());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!changes.is_current());
    }

    #[test]
    fn an_act_on_a_document_that_was_there_changes_it() {
        let act = |action, resource: &str| Act {
            action,
            resource: resource.to_owned(),
            ..Act::default()
        };
        let some = id(7);
        let changed = |action, collection: &str| {
            act(action, &format!("{collection}/{some}")).changed_document()
        };
        assert_eq!(changed("REVOKE", "validityCodes"), Some(some));
        assert_eq!(changed("SUSPEND", "enrollmentCertificates"), Some(some));
        assert_eq!(changed("ISSUE", "validityCodes"), None);
        assert_eq!(changed("EVENT", "enrollmentRecords"), None);
        assert_eq!(act("REVOKE", "validityCodes/x").changed_document(), None);
    }
}
