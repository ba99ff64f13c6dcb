//! Makes calls, in an open or in a closed loop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gavah_client::{Client, ClientConfig, ClientError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::latency::Latencies;
use crate::plan::{Bounds, Pattern};
use crate::work::{Refusal, Work};

/// Calls of an open loop that may be unanswered at one time. Beyond them calls are not sent, and told as such.
const MOST_OUTSTANDING: u32 = 50_000;
/// How late the sender of an open loop may be before the rest of its calls is not sent.
const LATEST: Duration = Duration::from_secs(2);
/// How long the last answers are waited for; the clients' own deadlines come first.
const LAST_ANSWERS: Duration = Duration::from_secs(90);

/// What became of the calls of one load.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Calls answered as they should be.
    pub good: u64,
    /// Of those, the ones answered before the load's time was over.
    pub good_in_time: u64,
    /// Rows of those calls: more than one each in bulk calls.
    pub rows: u64,
    /// Calls that were refused or wrongly answered, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Of those, the ones that were told when to come again.
    pub retry_told: u64,
    /// Calls that could not be sent when they were due.
    pub unsent: u64,
    /// How long the good ones took.
    pub latencies: Latencies,
    /// How long the refused ones took.
    pub refusal_latencies: Latencies,
    /// From the first call to the last answer.
    pub elapsed: Duration,
}

impl Tally {
    /// Calls that were made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.good + self.refused.values().sum::<u64>()
    }

    fn record(&mut self, outcome: Result<u64, Refusal>, took: Duration, in_time: bool) {
        match outcome {
            Ok(rows) => {
                self.good += 1;
                self.good_in_time += u64::from(in_time);
                self.rows += rows;
                self.latencies.record(took);
            }
            Err(refusal) => {
                self.retry_told += u64::from(refusal.retry_told);
                *self.refused.entry(refusal.reason).or_default() += 1;
                self.refusal_latencies.record(took);
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.good += other.good;
        self.good_in_time += other.good_in_time;
        self.rows += other.rows;
        self.retry_told += other.retry_told;
        self.unsent += other.unsent;
        for (reason, count) in &other.refused {
            *self.refused.entry(reason.clone()).or_default() += count;
        }
        self.latencies.add(&other.latencies);
        self.refusal_latencies.add(&other.refusal_latencies);
    }
}

/// Loads a server until the bounds are reached and every call is answered.
pub async fn drive(
    clients: &[Client],
    work: &Arc<Work>,
    pattern: Pattern,
    bounds: Bounds,
) -> Tally {
    if clients.is_empty() || bounds.duration.is_zero() {
        return Tally::default();
    }
    match pattern {
        Pattern::Closed { in_flight } => closed(clients, work, in_flight, bounds).await,
        Pattern::Open { rate } => open(clients, work, rate, bounds).await,
    }
}

/// Loads a server from a thread and over a connection of its own, beside another load: what it waits is what any other
/// caller would, and not what the heavy load's own queues add.
///
/// # Errors
/// When there is no connection or no thread.
pub async fn beside(
    config: ClientConfig,
    work: Arc<Work>,
    rate: f64,
    bounds: Bounds,
) -> Result<Tally, BesideError> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let measured = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(BesideError::Runtime)
            .and_then(|runtime| {
                runtime.block_on(async {
                    let client = Client::connect(&config).await?;
                    Ok(drive(&[client], &work, Pattern::Open { rate }, bounds).await)
                })
            });
        // Nobody waits any more when the load was given up.
        let _ = tell.send(measured);
    });
    told.await.unwrap_or(Err(BesideError::Ended))
}

/// Why there is no load beside another.
#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    /// No connection.
    #[error(transparent)]
    Connection(#[from] ClientError),
    /// No runtime.
    #[error("no runtime: {0}")]
    Runtime(std::io::Error),
    /// Its thread ended early.
    #[error("its thread has ended")]
    Ended,
}

async fn closed(clients: &[Client], work: &Arc<Work>, in_flight: usize, bounds: Bounds) -> Tally {
    let begun = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let end = start + bounds.duration;
    let mut tasks = JoinSet::new();
    for client in clients.iter().cycle().take(in_flight) {
        let (client, work, begun) = (client.clone(), Arc::clone(work), Arc::clone(&begun));
        tasks.spawn(async move {
            let mut tally = Tally::default();
            loop {
                let sent = Instant::now();
                if sent >= end || begun.fetch_add(1, Ordering::Relaxed) >= bounds.calls {
                    return tally;
                }
                let outcome = work.call(&client).await;
                let answered = Instant::now();
                tally.record(outcome, answered - sent, answered <= end);
            }
        });
    }
    let mut tally = Tally::default();
    while let Some(done) = tasks.join_next().await {
        // A task that panicked has nothing to tell; its calls are missing from the count.
        if let Ok(part) = done {
            tally.add(&part);
        }
    }
    tally.elapsed = start.elapsed();
    tally
}

/// The sender runs in a thread of its own, because it must wake more precisely than the runtime's timer does.
async fn open(clients: &[Client], work: &Arc<Work>, rate: f64, bounds: Bounds) -> Tally {
    let parts: Arc<Vec<Mutex<Tally>>> =
        Arc::new(clients.iter().map(|_| Mutex::default()).collect());
    let places = Arc::new(Semaphore::new(MOST_OUTSTANDING as usize));
    let start = Instant::now();
    let sender = Sender {
        clients: clients.to_vec(),
        work: Arc::clone(work),
        parts: Arc::clone(&parts),
        places: Arc::clone(&places),
        handle: Handle::current(),
        start,
        rate,
        bounds,
    };
    let (tell, told) = oneshot::channel();
    // Not the runtime's thread: a runtime would wait for it when the load is given up.
    std::thread::spawn(move || {
        // Nobody waits any more when the load was given up.
        let _ = tell.send(sender.send());
    });
    let unsent = told.await.unwrap_or_default();
    // When all places are free again, every call was answered.
    let _ = timeout(LAST_ANSWERS, places.acquire_many(MOST_OUTSTANDING)).await;
    let mut tally = Tally {
        unsent,
        elapsed: start.elapsed(),
        ..Tally::default()
    };
    for part in parts.iter() {
        tally.add(&part.lock().unwrap_or_else(PoisonError::into_inner));
    }
    tally
}

struct Sender {
    clients: Vec<Client>,
    work: Arc<Work>,
    parts: Arc<Vec<Mutex<Tally>>>,
    places: Arc<Semaphore>,
    handle: Handle,
    start: Instant,
    rate: f64,
    bounds: Bounds,
}

impl Sender {
    /// Sends every call when it is due; how many could not be sent.
    fn send(&self) -> u64 {
        let calls = due_calls(self.rate, self.bounds);
        let end = self.start + self.bounds.duration;
        let mut unsent = 0;
        for number in 0..calls {
            let due = self.start + due_after(number, self.rate);
            let now = Instant::now();
            if now > due + LATEST {
                return unsent + calls - number;
            }
            if due > now {
                std::thread::sleep(due - now);
            }
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                unsent += 1;
                continue;
            };
            let index = usize::try_from(number).unwrap_or_default() % self.clients.len();
            let (client, work) = (self.clients[index].clone(), Arc::clone(&self.work));
            let parts = Arc::clone(&self.parts);
            self.handle.spawn(async move {
                let outcome = work.call(&client).await;
                let answered = Instant::now();
                parts[index]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .record(outcome, answered - due, answered <= end);
                drop(place);
            });
        }
        unsent
    }
}

/// How many calls are due before the time is over.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and both factors are positive"
)]
fn due_calls(rate: f64, bounds: Bounds) -> u64 {
    let calls = (rate * bounds.duration.as_secs_f64()).ceil() as u64;
    calls.min(bounds.calls)
}

/// When a call is due, from the start.
#[expect(clippy::cast_precision_loss, reason = "a call more or less in 2⁵³")]
fn due_after(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_due_at_even_intervals_whatever_the_answers() {
        assert_eq!(due_after(0, 4.0), Duration::ZERO);
        assert_eq!(due_after(3, 4.0), Duration::from_millis(750));
        assert_eq!(due_after(5_000_000, 1_000.0), Duration::from_secs(5_000));
    }

    #[test]
    fn the_calls_are_bounded_by_time_and_by_number() {
        let bounds = |seconds, calls| Bounds {
            duration: Duration::from_secs(seconds),
            calls,
        };
        assert_eq!(due_calls(100.0, bounds(3, 1_000)), 300);
        assert_eq!(due_calls(100.0, bounds(30, 1_000)), 1_000);
        assert_eq!(due_calls(0.1, bounds(1, 1_000)), 1);
    }

    #[test]
    fn a_call_that_had_to_wait_for_a_stall_is_as_late_as_it_was_meant() {
        // One call a millisecond, the server stalls for a second and answers all of them at its end. Each call counts
        // from when it was due: the median waits half of the stall. Counted from when a client that waits for its
        // answers could send them, all but one would have taken no time.
        let mut tally = Tally::default();
        let stall = Duration::from_secs(1);
        for number in 0..1_000 {
            tally.record(Ok(1), stall - due_after(number, 1_000.0), true);
        }
        let percentiles = tally.latencies.percentiles().unwrap();
        assert!(percentiles.p50_us.abs_diff(500_000) < 2_000);
        assert!(percentiles.p99_us.abs_diff(990_000) < 2_000);
    }

    #[test]
    fn refusals_are_counted_by_reason_and_do_not_count_as_answers() {
        let refusal = |retry_told| Refusal {
            reason: "OVERLOADED".to_owned(),
            retry_told,
        };
        let mut tally = Tally::default();
        tally.record(Ok(1_000), Duration::from_millis(1), true);
        tally.record(Ok(1_000), Duration::from_millis(9), false);
        tally.record(Err(refusal(true)), Duration::from_millis(1), true);
        tally.record(Err(refusal(false)), Duration::from_millis(1), true);
        assert_eq!((tally.calls(), tally.good, tally.good_in_time), (4, 2, 1));
        assert_eq!((tally.rows, tally.retry_told), (2_000, 1));
        assert_eq!(tally.refused["OVERLOADED"], 2);
        assert_eq!(tally.latencies.len(), 2);
        assert_eq!(tally.refusal_latencies.len(), 2);
    }
}
