//! Time and randomness as parameters; the only place that asks the operating system for either.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant in whole microseconds, the precision of the store.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock of the operating system"
    )]
    fn now(&self) -> Timestamp {
        whole_microseconds(Timestamp::now())
    }
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock standing at `instant`.
    #[must_use]
    pub fn new(instant: Timestamp) -> Self {
        Self(AtomicI64::new(instant.as_microsecond()))
    }

    /// Moves the clock to `instant`.
    pub fn set(&self, instant: Timestamp) {
        self.0.store(instant.as_microsecond(), Ordering::SeqCst);
    }

    /// Moves the clock by `step`, backwards when it is negative.
    pub fn advance(&self, step: SignedDuration) {
        let micros = i64::try_from(step.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
    }
}

/// A clock of a sandbox: another clock, and how far it was moved ahead of it. It never goes back.
#[derive(Debug)]
pub struct MovableClock {
    real: Arc<dyn Clock>,
    ahead: AtomicI64,
}

impl MovableClock {
    /// A clock that goes with `real` until it is moved.
    #[must_use]
    pub fn new(real: Arc<dyn Clock>) -> Self {
        Self {
            real,
            ahead: AtomicI64::new(0),
        }
    }

    /// How far it is ahead, in microseconds.
    #[must_use]
    pub fn ahead_micros(&self) -> i64 {
        self.ahead.load(Ordering::SeqCst)
    }

    /// The time it would show if nobody had moved it.
    #[must_use]
    pub fn real(&self) -> Timestamp {
        self.real.now()
    }

    /// Moves it so far ahead; less than it is already changes nothing.
    pub fn move_ahead(&self, micros: i64) {
        self.ahead.fetch_max(micros, Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        let micros = self.real.now().as_microsecond();
        let moved = micros.saturating_add(self.ahead_micros());
        Timestamp::from_microsecond(moved).unwrap_or(Timestamp::MAX)
    }
}

/// `instant` without the part below one microsecond.
fn whole_microseconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}

/// Gives random bytes fit for secrets.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buf` with random bytes.
    ///
    /// # Errors
    ///
    /// When the source gives none; `buf` must not be used then.
    fn fill(&self, buf: &mut [u8]) -> Result<(), EntropyError>;
}

/// The cryptographically secure generator of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the operating system for randomness"
    )]
    fn fill(&self, buf: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(buf).map_err(|_| EntropyError)
    }
}

/// The source of randomness gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of randomness gave nothing")
    }
}

impl Error for EntropyError {}

/// A new UUID of version 7: `now` to the millisecond, then random bits, so that identifiers sort roughly by time.
///
/// # Errors
///
/// When `entropy` gives nothing.
pub fn new_uuid(now: Timestamp, entropy: &dyn Entropy) -> Result<Uuid, EntropyError> {
    let mut random = [0; 10];
    entropy.fill(&mut random)?;
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Broken;

    impl Entropy for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }

    #[test]
    fn the_system_clock_tells_whole_microseconds() {
        assert_eq!(SystemClock.now().as_nanosecond() % 1000, 0);
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let start: Timestamp = "2026-05-13T08:30:00.123456789Z".parse().unwrap();
        let clock = FixedClock::new(start);
        assert_eq!(clock.now().to_string(), "2026-05-13T08:30:00.123456Z");
        clock.advance(SignedDuration::from_secs(90));
        assert_eq!(clock.now().to_string(), "2026-05-13T08:31:30.123456Z");
        clock.advance(SignedDuration::from_secs(-90));
        assert_eq!(clock.now().to_string(), "2026-05-13T08:30:00.123456Z");
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn a_uuid_carries_the_given_time_and_fresh_randomness() {
        let now: Timestamp = "2026-05-13T08:30:00Z".parse().unwrap();
        let one = new_uuid(now, &SystemEntropy).unwrap();
        let two = new_uuid(now, &SystemEntropy).unwrap();
        assert_ne!(one, two);
        assert_eq!(one.get_version_num(), 7);
        let (seconds, _) = one.get_timestamp().unwrap().to_unix();
        assert_eq!(i64::try_from(seconds), Ok(now.as_second()));
    }

    #[test]
    fn no_uuid_is_made_without_randomness() {
        assert_eq!(new_uuid(Timestamp::UNIX_EPOCH, &Broken), Err(EntropyError));
    }

    #[test]
    fn a_movable_clock_goes_on_and_never_back() {
        let start = Timestamp::from_second(1_778_661_000).unwrap();
        let real = Arc::new(FixedClock::new(start));
        let clock = MovableClock::new(real.clone());
        assert_eq!(clock.now(), start);
        clock.move_ahead(5_000_000);
        assert_eq!(clock.now(), start + SignedDuration::from_secs(5));
        clock.move_ahead(4_000_000);
        assert_eq!(clock.ahead_micros(), 5_000_000);
        real.advance(SignedDuration::from_secs(1));
        assert_eq!(clock.now(), start + SignedDuration::from_secs(6));
        assert_eq!(clock.real(), start + SignedDuration::from_secs(1));
        clock.move_ahead(i64::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
