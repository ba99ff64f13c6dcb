//! What the service does about payments by itself: it asks the gateway about those that nobody confirmed, ends those whose
//! time is over, finds money that came late, and has what was paid for go on.

use std::sync::Arc;

use futures_util::future::join_all;
use gavah_domain::Reason;
use gavah_domain::caller::{Caller, CallerClass, CallerId};
use gavah_domain::payment::LineState;
use gavah_store::{DueLine, Finding, StoredPayment};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use super::{GATEWAY, ask, by_service};
use crate::app::agreements::is_suspended;
use crate::app::certificates::stages;
use crate::app::{App, code_applications};
use crate::call::Acting;
use crate::convert::payment::Payable;
use crate::error::AppError;
use crate::layers::{CallerDirectory, CallerSlot};

/// Payments that the gateway is asked about at a time.
const TOGETHER: u64 = 20;

/// A payment whose time is over while the gateway gives no answer is asked about for so long: after it, it has expired, and
/// what was paid is late.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// How often the gateway's list of payments that nobody verified is read.
const LATE_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// How long a line may take.
const LINE_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// When the list of what nobody verified was read last.
#[derive(Debug, Default)]
pub(crate) struct Looked(Option<Timestamp>);

/// Whether an application went on.
pub(in crate::app) enum Step {
    /// It went on, as far as it can for now.
    Moved,
    /// It cannot now, and is tried again.
    Waits,
    /// It does not wait for this payment.
    Gone,
}

/// Asks the gateway about payments whose turn it is; returns how many were found out about.
///
/// # Errors
///
/// [`AppError::Store`].
pub(crate) async fn look(app: &App) -> Result<usize, AppError> {
    let now = app.clock.now();
    let due = app.store.take_payments_to_look_at(now, TOGETHER).await?;
    // Together: a gateway that is silent holds them all no longer than one.
    let found = join_all(due.iter().map(|stored| look_at(app, stored, now))).await;
    Ok(found.into_iter().filter(|found| *found).count())
}

/// Asks about one payment; whether something was found out. What goes wrong is told in the log, and tried again.
async fn look_at(app: &App, stored: &StoredPayment, now: Timestamp) -> bool {
    let over = now >= stored.expire_time;
    let finding = match ask(app, stored).await {
        Ok(Finding::Nothing) if over => Finding::Expired,
        Ok(finding) => finding,
        // One that is over already is asked about until the gateway answers.
        Err(_) if stored.state.is_open() && now.duration_since(stored.expire_time) >= GRACE => {
            Finding::Expired
        }
        Err(_) => return false,
    };
    match record(app, stored, &finding).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(payment = %stored.id, error = error.cause(), "a payment could not be recorded");
            false
        }
    }
}

/// Finds money that came when nobody expected it any more, or that nobody told of; returns how much of it was found.
///
/// # Errors
///
/// [`AppError::Store`].
pub(crate) async fn look_for_late_money(app: &App, looked: &mut Looked) -> Result<usize, AppError> {
    let now = app.clock.now();
    let Some(gateway) = &app.gateway else {
        return Ok(0);
    };
    if looked
        .0
        .is_some_and(|last| now.duration_since(last) < LATE_EVERY)
    {
        return Ok(0);
    }
    looked.0 = Some(now);
    let unverified = match gateway.unverified().await {
        Ok(unverified) => unverified,
        Err(failure) => {
            tracing::warn!(%failure, "the gateway's list of unverified payments could not be read");
            return Ok(0);
        }
    };
    let authorities = unverified.iter().map(|it| it.authority.as_str().to_owned());
    let authorities: Vec<_> = authorities.collect();
    let known = app
        .store
        .payments_by_authority(GATEWAY, &authorities)
        .await?;
    let found = join_all(known.iter().map(|stored| look_at(app, stored, now))).await;
    Ok(found.into_iter().filter(|found| *found).count())
}

/// Records a finding of the service's own; whether it was one.
async fn record(app: &App, stored: &StoredPayment, finding: &Finding) -> Result<bool, AppError> {
    if *finding == Finding::Nothing {
        return Ok(false);
    }
    let context = by_service(app, String::new());
    app.store
        .record_finding(&context, stored.id, finding)
        .await?;
    Ok(true)
}

/// Has applications go on that were paid for, of one payment or of all, at most `limit`; returns how many did.
///
/// # Errors
///
/// [`AppError::Store`].
pub(crate) async fn go_on(app: &App, of: Option<Uuid>, limit: u64) -> Result<usize, AppError> {
    let due = app.store.take_due_lines(app.clock.now(), of, limit).await?;
    let mut moved = 0;
    for line in due {
        let acting = acting(app)?;
        match one(app, &acting, &line).await {
            Ok(step) => moved += usize::from(!matches!(step, Step::Waits)),
            // The others are no worse for it.
            Err(error) => tracing::warn!(
                error = error.cause(),
                application = line.application,
                "an application that was paid for could not go on"
            ),
        }
    }
    Ok(moved)
}

async fn one(app: &App, acting: &Acting, line: &DueLine) -> Result<Step, AppError> {
    let application = Payable::parse(&line.application);
    let application =
        application.map_err(|_| AppError::Internal("a payment names no application"))?;
    let first = line.state == LineState::Waiting;
    let step = match application {
        Payable::Certificate(id) => stages::paid(app, acting, id, first).await?,
        Payable::Code(id) => code_applications::paid(app, acting, id, first).await?,
    };
    if matches!(step, Step::Gone) && first {
        let context = by_service(app, acting.trace_id.to_string());
        app.store.give_line_back(&context, line).await?;
    }
    Ok(step)
}

/// Whether what refuses an application that is paid for can be lifted, so that it waits; anything else gives the money back.
///
/// # Errors
///
/// [`AppError::Store`].
pub(in crate::app) async fn may_wait(
    app: &App,
    acting: &Acting,
    reason: Reason,
    agreement: &str,
) -> Result<bool, AppError> {
    Ok(match reason {
        Reason::IssuancePaused | Reason::TermNotLoaded => true,
        Reason::AgreementNotActive => is_suspended(app, acting, agreement).await?,
        _ => false,
    })
}

/// The service acts here: no caller is connected.
fn acting(app: &App) -> Result<Acting, AppError> {
    let id = CallerId::parse("payments").map_err(|_| AppError::Internal("no name to act by"))?;
    Ok(Acting {
        caller: Arc::new(Caller {
            id,
            class: CallerClass::Organization,
            institution: None,
        }),
        method: "/gavah.v1.PaymentService/ConfirmPayment",
        deadline: Instant::now() + LINE_TIME,
        trace_id: app.new_trace_id()?,
        snapshot: app.registry.current()?,
        on_behalf: None,
        slot: CallerSlot::default(),
    })
}
