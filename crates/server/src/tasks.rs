//! What a node does beside answering calls.

use std::sync::Arc;
use std::time::Duration;

use gavah_domain::JalaliDate;
use tokio::sync::watch;

use crate::app::App;
use crate::app::agreements;
use crate::app::attachments::sweep;
use crate::app::certificates::stages::expire_unpaid;
use crate::app::code_applications;
use crate::app::payments::settle as payments;
use crate::app::recovery::recover;
use crate::app::revocations::carry_out;
use crate::app::service_levels::missing_calendar;
use crate::layers::CallerDirectory;
use crate::probes::Readiness;

/// How often the sequencer looks for entries to chain: well within the second
/// in which the feed must have them.
const CHAIN_EVERY: Duration = Duration::from_millis(200);

/// How often intents with an expired lease are looked for.
const RECOVER_EVERY: Duration = Duration::from_secs(10);

/// How often approved revocations are looked for.
const CARRY_OUT_EVERY: Duration = Duration::from_secs(1);

/// How often files that belong to nothing are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// How often spending of budgets is told to the store.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// How often it is seen whether a new day has begun, with which old spending is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// How often the working calendars are looked at.
const CALENDAR_EVERY: Duration = Duration::from_secs(1);

/// How often payments are looked after.
const PAYMENTS_EVERY: Duration = Duration::from_secs(1);

/// Applications that go on together.
const LINES_TOGETHER: u64 = 100;

/// Resolves when the server is to stop.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone means the same as one that says stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Chains audit entries until `stop`, and once more after it, so that a node that
/// leaves in peace leaves nothing unchained.
pub(crate) async fn sequence(app: Arc<App>, stop: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stop));
    loop {
        chain(&app).await;
        // Here, so that who waits for the feed on this node learns at once what was chained by it.
        if let Err(error) = app.feed_end.look(&app).await {
            tracing::warn!(%error, "the end of the change feed could not be read");
        }
        tokio::select! {
            () = tokio::time::sleep(CHAIN_EVERY) => {}
            () = &mut stop => break,
        }
    }
    chain(&app).await;
}

async fn chain(app: &App) {
    loop {
        match app.store.chain_pending().await {
            Ok(0) => return,
            Ok(chained) => tracing::debug!(chained, "audit entries chained"),
            Err(error) => {
                tracing::warn!(%error, "audit entries could not be chained");
                return;
            }
        }
    }
}

/// Tells the store what callers have spent of their budgets and quotas, and learns of it, until `stop`
/// and once more after it.
pub(crate) async fn settle_budgets(app: Arc<App>, stop: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stop));
    loop {
        settle(&app).await;
        tokio::select! {
            () = tokio::time::sleep(SETTLE_EVERY) => {}
            () = &mut stop => break,
        }
    }
    settle(&app).await;
}

/// Forgets old spending of budgets and quotas, at the start and with each new day in Tehran, until `stop`; what is cut off
/// goes on later, or on another node.
pub(crate) async fn forget_spending(app: Arc<App>, stop: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stop));
    let mut forgotten_on = None;
    loop {
        let today = JalaliDate::of(app.clock.now());
        let work = async {
            if forgotten_on != Some(today) {
                let forgotten = async {
                    app.budgets.forget(&app).await?;
                    app.quotas.forget(&app).await
                };
                match forgotten.await {
                    Ok(()) => forgotten_on = Some(today),
                    Err(error) => {
                        tracing::warn!(%error, "old spending of budgets and quotas could not be forgotten");
                    }
                }
            }
            tokio::time::sleep(FORGET_EVERY).await;
        };
        tokio::select! {
            () = work => {}
            () = &mut stop => return,
        }
    }
}

/// Makes the statements of coverage that are asked for, and anew as they get old, until `stop`.
pub(crate) async fn state_coverage(app: Arc<App>, stop: watch::Receiver<bool>) {
    tokio::select! {
        () = app.coverages.keep(&app) => {}
        () = stopped(stop) => {}
    }
}

async fn settle(app: &App) {
    if let Err(error) = app.budgets.settle(app).await {
        tracing::warn!(%error, "budgets of lookups could not be settled");
    }
    if let Err(error) = app.quotas.settle(app).await {
        tracing::warn!(%error, "quotas of agreements could not be settled");
    }
}

/// Carries approved revocations out, until `stop`; one that is cut off goes on later, or on
/// another node.
pub(crate) async fn carry_out_revocations(app: Arc<App>, stop: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stop));
    loop {
        let work = async {
            match carry_out(&app).await {
                Ok(0) => {}
                Ok(done) => tracing::info!(done, "revocations carried out"),
                Err(error) => tracing::warn!(%error, "a revocation could not be carried on"),
            }
            tokio::time::sleep(CARRY_OUT_EVERY).await;
        };
        tokio::select! {
            () = work => {}
            () = &mut stop => return,
        }
    }
}

/// Takes over certificates whose signing was cut off, and ends applications whose time to
/// pay is over, at the start and then every ten seconds.
pub(crate) async fn settle_certificates(app: Arc<App>, stop: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stop));
    loop {
        match recover(&app).await {
            Ok(0) => {}
            Ok(settled) => tracing::info!(settled, "recorded certificates recovered"),
            Err(error) => tracing::warn!(%error, "recorded certificates could not be recovered"),
        }
        match agreements::close_due(&app).await {
            Ok(0) => {}
            Ok(closed) => tracing::info!(closed, "service calls closed whose time is over"),
            Err(error) => tracing::warn!(%error, "service calls could not be closed"),
        }
        match expire_unpaid(&app).await {
            Ok(0) => {}
            Ok(expired) => tracing::info!(expired, "unpaid applications ended"),
            Err(error) => tracing::warn!(%error, "unpaid applications could not be ended"),
        }
        match code_applications::expire_unpaid(&app).await {
            Ok(0) => {}
            Ok(expired) => tracing::info!(expired, "unpaid applications for codes ended"),
            Err(error) => tracing::warn!(%error, "unpaid applications could not be ended"),
        }
        tokio::select! {
            () = tokio::time::sleep(RECOVER_EVERY) => {}
            () = &mut stop => return,
        }
    }
}

/// Tells those who watch the service of a working calendar that is missing while something is promised, until `stop`.
pub(crate) async fn watch_calendar(
    app: Arc<App>,
    readiness: Readiness,
    stop: watch::Receiver<bool>,
) {
    let mut stop = std::pin::pin!(stopped(stop));
    loop {
        if let Ok(snapshot) = app.registry.current() {
            readiness.missing_calendar(missing_calendar(&snapshot, app.clock.now()));
        }
        tokio::select! {
            () = tokio::time::sleep(CALENDAR_EVERY) => {}
            () = &mut stop => return,
        }
    }
}

/// Finds out about payments that nobody confirmed and has what was paid for go on, until `stop`; what is cut off goes on
/// later, or on another node.
pub(crate) async fn settle_payments(app: Arc<App>, stop: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stop));
    let mut looked = payments::Looked::default();
    loop {
        let work = async {
            match payments::look(&app).await {
                Ok(0) => {}
                Ok(found) => tracing::info!(found, "payments found out about"),
                Err(error) => tracing::warn!(%error, "payments could not be found out about"),
            }
            match payments::go_on(&app, None, LINES_TOGETHER).await {
                Ok(0) => {}
                Ok(moved) => tracing::info!(moved, "applications that were paid for went on"),
                Err(error) => tracing::warn!(%error, "what was paid for could not go on"),
            }
            match payments::look_for_late_money(&app, &mut looked).await {
                Ok(0) => {}
                Ok(found) => tracing::info!(found, "payments that nobody had confirmed found"),
                Err(error) => tracing::warn!(%error, "late payments could not be looked for"),
            }
            tokio::time::sleep(PAYMENTS_EVERY).await;
        };
        tokio::select! {
            () = work => {}
            () = &mut stop => return,
        }
    }
}

/// Removes files that belong to nothing, until `stop`; what is cut off goes on later.
pub(crate) async fn sweep_attachments(app: Arc<App>, stop: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stop));
    loop {
        let work = async {
            match sweep(&app).await {
                Ok(0) => {}
                Ok(swept) => tracing::info!(swept, "files that belonged to nothing removed"),
                Err(error) => tracing::warn!(%error, "unused files could not be removed"),
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        };
        tokio::select! {
            () = work => {}
            () = &mut stop => return,
        }
    }
}
