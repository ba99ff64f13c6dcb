//! A clock that runs like the real one and can be set forward.

use std::sync::atomic::{AtomicI64, Ordering};

use gavah_domain::{Clock, SystemClock};
use jiff::{SignedDuration, Timestamp};

/// The system's time plus a shift. TLS handshakes look at the system's own clock and do not see the shift.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    seconds: AtomicI64,
}

impl ShiftedClock {
    /// Sets the clock forward, or back when `step` is negative. Counts whole seconds.
    pub fn advance(&self, step: SignedDuration) {
        self.seconds.fetch_add(step.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}
