//! The clock of a sandbox.

use gavah_api::v1 as pb;
use gavah_domain::{Clock, JalaliDate, MovableClock, Reason, Violations};

use super::head::{Head, open};
use super::settle;
use super::time::{instant_to_pb, jalali, jalali_of};
use crate::error::AppError;

/// A move that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveInput {
    /// Retry key and digest.
    pub head: Head,
    /// Where to.
    pub step: Step,
}

/// How far, or where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many Jalali months, and then so many seconds.
    On {
        /// Months.
        months: u32,
        /// Seconds.
        seconds: i64,
    },
    /// To the beginning of a day.
    To(JalaliDate),
}

/// Reads a request to move the clock.
///
/// # Errors
///
/// Every violation at once.
pub fn step(mut request: pb::MoveClockRequest) -> Result<MoveInput, AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let months = u32::try_from(request.advance_months).unwrap_or_default();
    let seconds = request.advance_seconds;
    let on = months > 0 || seconds > 0;
    let step = match &request.to_date {
        Some(_) if on => found.take("to_date", Err(Reason::FieldFormat)),
        Some(date) => found.take("to_date", jalali(date)).map(Step::To),
        None if on => Some(Step::On { months, seconds }),
        None => found.take("advance_seconds", Err(Reason::FieldRequired)),
    };
    let input = head.zip(step).map(|(head, step)| MoveInput { head, step });
    settle(annotated, found, input)
}

/// The contract's form of the clock.
#[must_use]
pub fn clock_to_pb(clock: &MovableClock) -> pb::GetClockResponse {
    let now = clock.now();
    pb::GetClockResponse {
        now: Some(instant_to_pb(now)),
        today: Some(jalali_of(now)),
        ahead_seconds: seconds(clock.ahead_micros()),
    }
}

/// Whole seconds.
#[must_use]
pub const fn seconds(micros: i64) -> i64 {
    micros / 1_000_000
}
