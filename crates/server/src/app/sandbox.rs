//! Moving the time of a sandbox.

use gavah_domain::{Clock, JalaliDate, MovableClock, Reason, Violations};
use jiff::{SignedDuration, Timestamp};

use super::registry::settle;
use super::{App, context};
use crate::call::Acting;
use crate::convert::sandbox::{MoveInput, Step};
use crate::error::AppError;

/// The farthest that a clock is moved by one call: beyond ten years no table reaches.
const FARTHEST: SignedDuration = SignedDuration::from_hours(24 * 3660);

/// The clock, where it can be moved.
///
/// # Errors
///
/// CLOCK_NOT_MOVABLE.
pub fn clock(app: &App) -> Result<&MovableClock, AppError> {
    let clock = app.registry.clock();
    Ok(clock.ok_or(Reason::ClockNotMovable)?)
}

/// Moves the clock; how far it is ahead then, or `None` when only checking.
///
/// # Errors
///
/// CLOCK_NOT_MOVABLE, CLOCK_ONLY_FORWARD, ETAG_MISMATCH, REQUEST_ID_REUSED; [`AppError::Store`].
pub async fn move_clock(
    app: &App,
    call: &Acting,
    input: &MoveInput,
) -> Result<Option<i64>, AppError> {
    let clock = clock(app)?;
    let now = clock.now();
    let context = context(call, &input.head, None, now);
    let target = match target(now, input.step) {
        Ok(target) => target,
        // what was granted once may not be grantable again: the day has begun since
        Err(refused) if input.head.validate_only => return Err(refused),
        Err(refused) => {
            super::earlier(app, call, &context, refused).await?;
            return Ok(Some(clock.ahead_micros()));
        }
    };
    if input.head.validate_only {
        return Ok(None);
    }
    let from = clock.ahead_micros();
    let step = target.as_microsecond().saturating_sub(now.as_microsecond());
    let store = app.store_for(call);
    let change = store.move_clock(&context, from, from.saturating_add(step));
    settle(app, change.await?).await?;
    Ok(Some(clock.ahead_micros()))
}

fn target(now: Timestamp, step: Step) -> Result<Timestamp, AppError> {
    let (field, target) = match step {
        Step::On { months, seconds } => {
            let target = JalaliDate::months_after(now, months);
            let target = target.checked_add(SignedDuration::from_secs(seconds));
            ("advance_seconds", target.ok())
        }
        Step::To(date) => ("to_date", Some(date.start_of_day())),
    };
    let farthest = now.checked_add(FARTHEST).ok();
    match target.filter(|target| Some(*target) <= farthest) {
        None => {
            let mut found = Violations::default();
            found.push(field, Reason::FieldFormat);
            Err(found.into())
        }
        Some(target) if target <= now => Err(Reason::ClockOnlyForward.into()),
        Some(target) => Ok(target),
    }
}
