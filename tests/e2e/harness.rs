//! A world of its own for each case, and what must hold after each.

use std::sync::Arc;
use std::time::Duration;

use gavah_testkit::world::{Engine, World, WorldBuilder};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::raw::Raw;

/// Longest wait for what must happen soon. Generous: a busy machine is no failure.
const SOON: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Runs one case on a usual world.
pub(crate) fn run(engine: Engine, case: impl AsyncFnOnce(&mut World)) {
    run_on(World::builder(engine), case);
}

/// Runs one case on a world as described.
pub(crate) fn run_on(world: WorldBuilder, case: impl AsyncFnOnce(&mut World)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = world.start().await;
        case(&mut world).await;
        world.stop().await;
        assert_audit(&world).await;
        world.store().close().await;
    });
}

/// Every act has one entry and one event and is chained once, and the chain holds: servers that end in order leave
/// nothing unchained.
async fn assert_audit(world: &World) {
    let mut raw = Raw::to(world).await;
    let entries = raw.number("SELECT count(*) FROM audit_entry").await;
    assert!(entries > 0);
    for table in ["change_event", "audit_chain"] {
        let count = raw.number(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(count, entries, "{table}");
    }
    let report = world.store().verify_chain().await.unwrap();
    assert_eq!(report.difference, None);
    assert_eq!(report.pending, 0);
    assert_eq!(i64::try_from(report.links).unwrap(), entries);
}

/// Asks until there is an answer, for a bounded time.
pub(crate) async fn soon<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "{what} did not happen in time");
        sleep(LOOK_AGAIN).await;
    }
}

/// Runs `count` tasks that start at the same moment; their answers in order.
pub(crate) async fn together<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    task: impl Fn(usize) -> F,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for index in 0..count {
        let start = Arc::clone(&start);
        let work = task(index);
        tasks.spawn(async move {
            start.wait().await;
            (index, work.await)
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
