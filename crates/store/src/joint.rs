//! Work that waits together is done together.
//!
//! Callers put their work into a queue and wait. A worker takes whatever waits at
//! the moment, up to [`Joint::MOST`], and does it as one group: acts in one
//! transaction of multi-row statements, lookups in one statement. Nobody waits for
//! a group to fill: alone, a piece of work is a group of one.
//!
//! What a caller is told stays its own. A group that fails as a whole is halved
//! until the piece that broke it stands alone. Work whose caller has gone, or
//! whose deadline has passed, before a worker took it is not begun; once begun, it
//! is finished, whoever still waits for it.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::{Inner, Store, StoreError};

/// Pieces of work done in groups, by name. Together with the number of
/// transactions it tells how large the groups are.
pub const JOINT_WORK: &str = "gavah_store_joint_work_total";

/// Pieces of work that may wait in one queue; more callers wait to get in.
const QUEUE: usize = 4096;

/// One kind of work that several callers can have done at once.
pub(crate) trait Joint: Send + Sync + Sized + 'static {
    /// What one caller is told.
    type Answer: Send + 'static;

    /// Name of the work in spans and metrics.
    const NAME: &'static str;

    /// Pieces of work in one group at most.
    const MOST: usize;

    /// Whether a group changes anything. What only reads can be asked for again.
    const ACTS: bool;

    /// What no two pieces of work of one group may have in common.
    fn keys(&self) -> Vec<u64>;

    /// Does the work of a group; one answer for each piece, in order. An error
    /// stands for the whole group, of which nothing was done.
    fn run(
        store: &Store,
        group: &[&Self],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// A key for [`Joint::keys`]. Two equal keys of different things merely stand in
/// different groups.
pub(crate) fn key(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Where work of one kind waits.
pub(crate) struct Queue<J: Joint>(mpsc::Sender<Waiting<J>>);

struct Waiting<J: Joint> {
    work: J,
    deadline: Option<Instant>,
    turn: Turn,
    reply: oneshot::Sender<Result<J::Answer, StoreError>>,
}

/// Taken once: by the worker that begins, or by the caller who gives up.
#[derive(Clone, Default)]
struct Turn(Arc<AtomicBool>);

impl Turn {
    fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl<J: Joint> Queue<J> {
    /// A queue, and the work of its workers: see [`Workers::start`].
    pub(crate) fn new() -> (Self, Workers<J>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let line = Line {
            receiver,
            held: VecDeque::new(),
        };
        (Self(sender), Workers(Arc::new(Mutex::new(line))))
    }

    /// Has the work done, under the deadline and the limits of `store`.
    pub(crate) async fn ask(&self, store: &Store, work: J) -> Result<J::Answer, StoreError> {
        let span = tracing::info_span!("store.joint", otel.name = J::NAME);
        let answer = async { self.put(store, work).await?.answer().await };
        answer
            .instrument(span)
            .await
            .map_err(|error| store.whose(error))
    }

    /// Has many pieces of work done; one answer for each, in order.
    pub(crate) async fn ask_all(
        &self,
        store: &Store,
        works: Vec<J>,
    ) -> Vec<Result<J::Answer, StoreError>> {
        let span = tracing::info_span!("store.joint", otel.name = J::NAME);
        let answers = async {
            let mut asked = Vec::with_capacity(works.len());
            for work in works {
                asked.push(self.put(store, work).await);
            }
            let mut answers = Vec::with_capacity(asked.len());
            for asked in asked {
                let answer = match asked {
                    Ok(asked) => asked.answer().await,
                    Err(error) => Err(error),
                };
                answers.push(answer.map_err(|error| store.whose(error)));
            }
            answers
        };
        answers.instrument(span).await
    }

    async fn put(&self, store: &Store, work: J) -> Result<Asked<J>, StoreError> {
        let limit = store.limit(store.inner.limits.transaction);
        crate::tx::in_time(limit)?;
        let (reply, answer) = oneshot::channel();
        let asked = Asked {
            turn: Turn::default(),
            answer,
            limit,
        };
        let waiting = Waiting {
            work,
            deadline: store.deadline,
            turn: asked.turn.clone(),
            reply,
        };
        timeout_at(limit, self.0.send(waiting))
            .await
            .map_err(|_| StoreError::Timeout)?
            .map_err(|_| StoreError::Unavailable)?;
        Ok(asked)
    }
}

/// What a caller holds while its work waits; given up when dropped.
struct Asked<J: Joint> {
    turn: Turn,
    answer: oneshot::Receiver<Result<J::Answer, StoreError>>,
    limit: Instant,
}

impl<J: Joint> Asked<J> {
    async fn answer(mut self) -> Result<J::Answer, StoreError> {
        let answered = match timeout_at(self.limit, &mut self.answer).await {
            Err(_) if self.turn.take() => return Err(StoreError::Timeout),
            // It has begun, so there will be an answer, and only that is the truth.
            Err(_) => (&mut self.answer).await,
            Ok(answered) => answered,
        };
        answered.unwrap_or_else(|_| Err(lost::<J>()))
    }
}

impl<J: Joint> Drop for Asked<J> {
    fn drop(&mut self) {
        self.turn.take();
    }
}

/// What to say when a worker went down with the work.
fn lost<J: Joint>() -> StoreError {
    if J::ACTS {
        StoreError::CommitUnknown
    } else {
        StoreError::Unavailable
    }
}

struct Line<J: Joint> {
    receiver: mpsc::Receiver<Waiting<J>>,
    /// Work that could not stand in one group with what came before it.
    held: VecDeque<Waiting<J>>,
}

impl<J: Joint> Line<J> {
    /// The next group; `None` when nobody can ask any more.
    async fn next(&mut self) -> Option<Vec<Waiting<J>>> {
        loop {
            if self.held.is_empty() {
                let first = self.receiver.recv().await?;
                self.held.push_back(first);
            }
            // More than one group of them, so that some that share a key do not stop
            // those behind them.
            while self.held.len() < 4 * J::MOST
                && let Ok(more) = self.receiver.try_recv()
            {
                self.held.push_back(more);
            }
            let group = self.part();
            if !group.is_empty() {
                return Some(group);
            }
        }
    }

    /// Takes a group out of what is held: nothing that has been given up, and no
    /// key twice. What has to wait keeps its place.
    fn part(&mut self) -> Vec<Waiting<J>> {
        let (mut group, mut later) = (Vec::new(), VecDeque::new());
        let mut keys = HashSet::new();
        for waiting in self.held.drain(..) {
            let own = waiting.work.keys();
            if group.len() == J::MOST || own.iter().any(|key| keys.contains(key)) {
                // Whoever comes after it and shares a key waits behind it.
                keys.extend(own);
                later.push_back(waiting);
            } else if waiting.turn.take() {
                keys.extend(own);
                group.push(waiting);
            }
        }
        self.held = later;
        group
    }
}

/// The workers of one queue, not at work yet.
pub(crate) struct Workers<J: Joint>(Arc<Mutex<Line<J>>>);

impl<J: Joint> Workers<J> {
    /// Starts `count` workers on the current runtime. They end with the store, or
    /// with [`Store::stop_work`].
    pub(crate) fn start(self, count: usize, inner: &Arc<Inner>) {
        for _ in 0..count {
            let worker = tokio::spawn(serve(Arc::clone(&self.0), Arc::downgrade(inner)));
            let mut workers = inner.workers.lock().unwrap_or_else(PoisonError::into_inner);
            workers.push(worker.abort_handle());
        }
    }
}

async fn serve<J: Joint>(line: Arc<Mutex<Line<J>>>, inner: Weak<Inner>) {
    loop {
        let Some(group) = line.lock().await.next().await else {
            return;
        };
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let store = Store {
            inner,
            deadline: None,
        };
        // In a task of its own: a panic ends the group, not the worker. And the end of
        // the worker ends the group.
        let mut work = JoinSet::new();
        work.spawn(settle(store, group));
        let _ = work.join_next().await;
    }
}

impl Store {
    /// Ends what is done together: acts under way roll back unless they are already
    /// being committed, and who waits for one is told that its outcome is unknown.
    /// For a server that has waited long enough.
    pub fn stop_work(&self) {
        let workers = self.inner.workers.lock();
        for worker in workers.unwrap_or_else(PoisonError::into_inner).drain(..) {
            worker.abort();
        }
    }
}

/// Does the work of a group and tells every caller, in parts where the whole does
/// not go.
async fn settle<J: Joint>(store: Store, group: Vec<Waiting<J>>) {
    metrics::counter!(JOINT_WORK, "name" => J::NAME).increment(group.len() as u64);
    let mut parts = vec![group];
    while let Some(mut part) = parts.pop() {
        let works: Vec<_> = part.iter().map(|waiting| &waiting.work).collect();
        let deadline = part.iter().filter_map(|waiting| waiting.deadline).min();
        let store = Store {
            deadline,
            ..store.clone()
        };
        let mut run = J::run(&store, &works).await;
        // A pooled connection may have died unnoticed. What only reads takes another;
        // a dead one does not come back. Acts see to this when they begin.
        let mut left = if J::ACTS {
            0
        } else {
            store.inner.limits.connections
        };
        while left > 0 && matches!(run, Err(StoreError::Unavailable)) {
            left -= 1;
            run = J::run(&store, &works).await;
        }
        match run {
            Ok(answers) => {
                for (waiting, answer) in part.into_iter().zip(answers) {
                    // Who does not listen any more misses nothing that is not kept.
                    let _ = waiting.reply.send(Ok(answer));
                }
            }
            // The store as a whole, or nobody knows.
            Err(error @ (StoreError::Unavailable | StoreError::CommitUnknown)) => {
                tell(part, &error);
            }
            Err(error) if part.len() == 1 => tell(part, &error),
            Err(StoreError::Timeout) => {
                // The earliest deadline ended it for all: the others go on.
                let late = |waiting: &Waiting<J>| waiting.deadline == deadline;
                let (late, rest) = part.into_iter().partition(late);
                tell(late, &StoreError::Timeout);
                if !rest.is_empty() {
                    parts.push(rest);
                }
            }
            Err(_) => {
                let second = part.split_off(part.len() / 2);
                parts.extend([second, part]);
            }
        }
    }
}

fn tell<J: Joint>(part: Vec<Waiting<J>>, error: &StoreError) {
    for waiting in part {
        let _ = waiting.reply.send(Err(error.clone()));
    }
}
