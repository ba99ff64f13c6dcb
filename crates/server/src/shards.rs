//! One thread and one current-thread runtime for each core: a connection lives on one of them from its handshake to
//! its end, so that a call wakes no other thread (ADR 8).

use std::io;
use std::thread::{self, JoinHandle};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Running shards.
#[derive(Default)]
pub(crate) struct Shards {
    threads: Vec<JoinHandle<()>>,
    /// Told, or dropped, when a shard has ended.
    ends: FuturesUnordered<oneshot::Receiver<()>>,
}

impl Shards {
    /// Starts one shard more, which lives as long as `work`: what `work` has spawned ends with it.
    ///
    /// # Errors
    ///
    /// Neither a thread nor its means of waiting for sockets are without limit.
    pub(crate) fn start(
        &mut self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name(format!("shard-{}", self.threads.len()))
            .spawn(move || {
                // Dropped last, also by a panic.
                let _end: oneshot::Sender<()> = end;
                runtime.block_on(work);
                drop(runtime);
            })?;
        self.threads.push(thread);
        self.ends.push(ended);
        Ok(())
    }

    /// Resolves when a shard has ended; at once when there is none left.
    pub(crate) async fn one_ended(&mut self) {
        let _ = self.ends.next().await;
    }

    /// Resolves when all shards have ended. May be asked again.
    pub(crate) async fn all_ended(&mut self) {
        while self.ends.next().await.is_some() {}
        for thread in self.threads.drain(..) {
            // There is nothing left to do on it but to return, and its panic has been logged.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// True when dropped.
    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn each_shard_is_a_thread_of_its_own_with_its_name() {
        let mut shards = Shards::default();
        let (names, mut told) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..3 {
            let names = names.clone();
            let work = async move {
                // What a shard spawns runs on its thread too.
                let name = tokio::spawn(async { thread::current().name().map(str::to_owned) });
                names.send(name.await.unwrap()).unwrap();
            };
            shards.start(work).unwrap();
        }
        shards.all_ended().await;
        drop(names);
        let mut all = Vec::new();
        while let Some(name) = told.recv().await {
            all.extend(name);
        }
        all.sort();
        assert_eq!(all, ["shard-0", "shard-1", "shard-2"]);
    }

    #[tokio::test]
    async fn a_shard_that_panics_has_ended_and_the_others_have_not() {
        let mut shards = Shards::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let waits = async {
            let _ = stopped.await;
        };
        shards.start(waits).unwrap();
        shards.start(async { panic!("a shard's end") }).unwrap();
        shards.one_ended().await;
        assert!(!shards.threads[0].is_finished());
        stop.send(()).unwrap();
        shards.all_ended().await;
        shards.all_ended().await;
    }

    #[tokio::test]
    async fn what_a_shard_has_spawned_is_gone_when_it_has_ended() {
        let mut shards = Shards::default();
        let gone = Arc::new(AtomicBool::new(false));
        let dropped = Dropped(Arc::clone(&gone));
        let work = async {
            tokio::spawn(async move {
                let _dropped = dropped;
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        };
        shards.start(work).unwrap();
        shards.one_ended().await;
        assert!(gone.load(Ordering::SeqCst));
    }
}
