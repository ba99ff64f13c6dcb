//! The registry snapshot of this node, kept at most one poll behind the store.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gavah_domain::MovableClock;
use gavah_store::{Snapshot, Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::layers::CallerDirectory;

/// How long a snapshot may be believed when the store does not answer. Beyond
/// it a paused caller could still be let in, so every call is refused.
const BELIEVED: Duration = Duration::from_secs(5);

/// The registry as this node knows it.
pub struct Registry {
    store: Store,
    clock: Option<Arc<MovableClock>>,
    seen: ArcSwap<Seen>,
    reload: Mutex<()>,
}

struct Seen {
    snapshot: Arc<Snapshot>,
    confirmed: Instant,
}

impl Registry {
    /// Loads the registry.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn load(
        store: Store,
        clock: Option<Arc<MovableClock>>,
    ) -> Result<Arc<Self>, StoreError> {
        let confirmed = Instant::now();
        let snapshot = Arc::new(store.snapshot().await?);
        follow(clock.as_deref(), &snapshot)?;
        let seen = ArcSwap::from_pointee(Seen {
            snapshot,
            confirmed,
        });
        Ok(Arc::new(Self {
            store,
            clock,
            seen,
            reload: Mutex::new(()),
        }))
    }

    /// The clock, where it can be moved.
    #[must_use]
    pub fn clock(&self) -> Option<&MovableClock> {
        self.clock.as_deref()
    }

    /// Asks the store whether the registry has moved and loads it if so.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the old snapshot stays.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        // One at a time: two loads could finish in the wrong order.
        let _turn = self.reload.lock().await;
        let confirmed = Instant::now();
        let known = Arc::clone(&self.seen.load().snapshot);
        let snapshot = if self.store.registry_version().await? == known.version {
            known
        } else {
            Arc::new(self.store.snapshot().await?)
        };
        follow(self.clock.as_deref(), &snapshot)?;
        self.seen.store(Arc::new(Seen {
            snapshot,
            confirmed,
        }));
        Ok(())
    }

    /// Refreshes every `poll` until `shutdown`.
    pub async fn watch(self: Arc<Self>, poll: Duration, shutdown: impl Future<Output = ()>) {
        let watching = async {
            loop {
                tokio::time::sleep(poll).await;
                if let Err(error) = self.refresh().await {
                    tracing::warn!(%error, "the registry could not be refreshed");
                }
            }
        };
        tokio::select! {
            () = watching => {}
            () = shutdown => {}
        }
    }
}

/// Takes over how far the clock of all nodes was moved. A server that is no sandbox does not serve a store whose time is
/// not the real one: its documents would be judged by another time than they were issued by.
fn follow(clock: Option<&MovableClock>, snapshot: &Snapshot) -> Result<(), StoreError> {
    match (clock, snapshot.clock_ahead_micros) {
        (Some(clock), micros) => clock.move_ahead(micros),
        (None, 0) => {}
        (None, _) => {
            return Err(StoreError::Config(
                "the clock of this store was moved: only servers with sandbox.movable_clock = true may serve it"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

impl CallerDirectory for Registry {
    fn current(&self) -> Result<Arc<Snapshot>, StoreError> {
        let seen = self.seen.load();
        if seen.confirmed.elapsed() > BELIEVED {
            return Err(StoreError::Unavailable);
        }
        Ok(Arc::clone(&seen.snapshot))
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.seen.load().snapshot.version;
        f.debug_struct("Registry")
            .field("version", &version)
            .finish_non_exhaustive()
    }
}
