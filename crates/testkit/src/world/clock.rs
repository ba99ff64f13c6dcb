//! A clock that runs like the real one, can be set forward, and knows on which threads it was asked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use gavah_domain::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};

/// The system's time plus a shift. TLS handshakes look at the system's own clock and do not see the shift.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    seconds: AtomicI64,
    asked_by: Mutex<BTreeSet<String>>,
}

impl ShiftedClock {
    /// Sets the clock forward, or back when `step` is negative. Counts whole seconds.
    pub fn advance(&self, step: SignedDuration) {
        self.seconds.fetch_add(step.as_secs(), Ordering::Relaxed);
    }

    /// Names of the threads that asked for the time, since the last [`ShiftedClock::forget_who_asked`].
    #[must_use]
    pub fn asked_by(&self) -> BTreeSet<String> {
        self.names().clone()
    }

    /// Counts from now on.
    pub fn forget_who_asked(&self) {
        self.names().clear();
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.asked_by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        if let Some(name) = thread::current().name() {
            self.names().insert(name.to_owned());
        }
        SystemClock.now() + SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}
