//! What is promised when an application is handed in, and how promises are kept.

use gavah_domain::service::{ServiceCall, ServiceCallState};
use gavah_domain::sla::{ClockEffect, ClockState};
use gavah_domain::{Reason, Violations};
use gavah_store::{NewStep, ReportFilter, ReportRow, Snapshot};
use jiff::{SignedDuration, Timestamp};

use super::App;
use crate::call::Acting;
use crate::error::{AppError, Refusal};

/// Until when the initial result of an application is promised that is handed in now and enters these states; nothing is
/// promised where the call has no target, or the result is there already.
///
/// # Errors
///
/// HOLIDAYS_NOT_LOADED with the year.
pub(super) fn due_time<S: ClockState>(
    call: &Acting,
    open: &ServiceCall,
    request_type: &str,
    entered: &[NewStep<S>],
    now: Timestamp,
) -> Result<Option<Timestamp>, AppError> {
    let decided = |step: &NewStep<S>| step.state.clock() == ClockEffect::Decides;
    let Some(hours) = open.sla_targets.get(request_type) else {
        return Ok(None);
    };
    if entered.iter().any(decided) {
        return Ok(None);
    }
    let target = SignedDuration::from_hours(i64::from(*hours));
    let due = call.snapshot.calendar.after(now, target);
    due.map(Some).map_err(|missing| {
        Refusal::new(Reason::HolidaysNotLoaded)
            .with("year", missing.0.to_string())
            .into()
    })
}

/// The year whose working calendar is missing, or will be in a month, for what open calls promise.
#[must_use]
pub fn missing_calendar(snapshot: &Snapshot, now: Timestamp) -> Option<i32> {
    let open = snapshot.calls.iter();
    let open = open.filter(|call| call.state == ServiceCallState::Open);
    let longest = open.flat_map(|call| call.sla_targets.values()).max()?;
    let longest = SignedDuration::from_hours(i64::from(*longest));
    snapshot.calendar.missing_soon(now, longest)
}

/// Most rows of a report.
const ROWS_MAX: usize = 1_000;

/// A report of how promises were kept.
///
/// # Errors
///
/// BATCH_TOO_LARGE for one of more rows than can be told; [`AppError::Store`].
pub async fn report(
    app: &App,
    call: &Acting,
    filter: &ReportFilter,
) -> Result<Vec<ReportRow>, AppError> {
    let store = app.store_for(call);
    let probe = u64::try_from(ROWS_MAX + 1).unwrap_or(u64::MAX);
    let rows = store
        .service_level_report(filter, app.clock.now(), probe)
        .await?;
    if rows.len() > ROWS_MAX {
        let mut found = Violations::default();
        found.push("group_by", Reason::BatchTooLarge);
        return Err(found.into());
    }
    Ok(rows)
}
