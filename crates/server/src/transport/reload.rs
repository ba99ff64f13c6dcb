//! Reloading the TLS files: on SIGHUP, and when a look at the file system shows other files.

use std::{sync::Arc, time::Duration};

use metrics::counter;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use gavah_domain::clock::Clock;

use super::{LABEL_OUTCOME, TLS_RELOADS_TOTAL, Tls};

/// Reloads `tls` on SIGHUP and, every `poll`, when a file was replaced or changed, until `shutdown` resolves.
///
/// A failed reload is logged, the old state stays, and the next attempt comes with the next change: files that
/// belong together may be replaced one after the other.
pub async fn watch(
    tls: Arc<Tls>,
    clock: Arc<dyn Clock>,
    poll: Duration,
    shutdown: impl Future<Output = ()>,
) {
    let mut hangup = signal(SignalKind::hangup())
        .inspect_err(
            |error| tracing::warn!(%error, "SIGHUP is not available for reloading TLS files"),
        )
        .ok();
    let mut looks = interval(poll.max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(shutdown);
    loop {
        let asked = tokio::select! {
            biased;
            () = &mut shutdown => return,
            () = hung_up(&mut hangup) => true,
            _ = looks.tick() => false,
        };
        let (tls, clock) = (Arc::clone(&tls), Arc::clone(&clock));
        // A file system may hang; the runtime must not.
        let look = spawn_blocking(move || {
            if asked || tls.files_changed() {
                reload(
                    &tls,
                    &*clock,
                    if asked { "SIGHUP" } else { "changed files" },
                );
            }
        });
        tokio::select! {
            () = &mut shutdown => return,
            looked = look => {
                if let Err(error) = looked {
                    tracing::error!(%error, "reloading TLS files was interrupted");
                }
            }
        }
    }
}

fn reload(tls: &Tls, clock: &dyn Clock, cause: &'static str) {
    match tls.reload(clock.now()) {
        Ok(()) => {
            let status = tls.status();
            counter!(TLS_RELOADS_TOTAL, LABEL_OUTCOME => "ok").increment(1);
            tracing::info!(
                cause,
                generation = status.generation,
                server_not_after = %status.server_not_after,
                crl_next_update = %status.crl_next_update,
                "TLS files reloaded"
            );
        }
        Err(error) => {
            counter!(TLS_RELOADS_TOTAL, LABEL_OUTCOME => "failed").increment(1);
            tracing::error!(cause, %error, "TLS files not reloaded, the old ones stay in force");
        }
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    let signal = match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    };
    if signal.is_none() {
        // Without the signal only the polling is left.
        std::future::pending::<()>().await;
    }
}
