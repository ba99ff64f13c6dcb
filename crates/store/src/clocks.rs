//! The clocks of applications: written with the step that starts or stops them, and never changed afterwards.

use gavah_domain::JalaliDate;
use gavah_domain::sla::{ClockEffect, Mark, Reading, ServiceClock};
use gavah_domain::working_calendar::WorkingCalendar;
use jiff::{SignedDuration, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::StoreError;
use crate::calendars::calendar_in;
use crate::content::instant;

/// What an application says of its clock when it is handed in.
pub(crate) struct Promise<'a> {
    /// Type of the request, by its stable name.
    pub(crate) request_type: &'a str,
    /// Id of the agreement.
    pub(crate) agreement: &'a str,
    /// Until when the initial result is promised.
    pub(crate) due_time: Option<Timestamp>,
}

/// The Jalali month of an instant in Tehran, year and month as one number.
pub(crate) fn month_of(time: Timestamp) -> i32 {
    JalaliDate::of(time).as_i32() / 100
}

/// Carries the clock of a row of `table` on by new steps, all entered at `now`; `before` are the steps so far, oldest first.
/// What a release without clocks took in has none, and gets none.
pub(crate) async fn carry_on(
    tx: &DatabaseTransaction,
    table: &str,
    id: Uuid,
    promise: &Promise<'_>,
    before: &[(Timestamp, ClockEffect)],
    new: impl IntoIterator<Item = ClockEffect>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let new: Vec<_> = new.into_iter().map(|effect| (now, effect)).collect();
    let moves = |(_, effect): &(Timestamp, ClockEffect)| *effect != ClockEffect::Idle;
    if !new.iter().any(moves) {
        return Ok(());
    }
    let stored = if before.iter().any(moves) {
        let Some(stored) = find(tx, table, id).await? else {
            return Ok(());
        };
        if stored.decision.is_some() {
            return Ok(());
        }
        Some(stored)
    } else {
        None
    };
    let announces = |(_, effect): &(Timestamp, ClockEffect)| {
        matches!(
            effect,
            ClockEffect::WaitsForApplicant | ClockEffect::Decides
        )
    };
    if stored.is_some() && !new.iter().any(announces) {
        return Ok(());
    }
    let calendar = match &stored {
        Some(stored) => {
            let year = |time| JalaliDate::of(time).year();
            calendar_in(tx, year(stored.submit_time)..=year(now)).await?
        }
        // Handed in now: nothing has passed that a calendar would be asked for.
        None => WorkingCalendar::default(),
    };
    let steps = before.iter().chain(&new).copied();
    let reading = Reading::after(&calendar, steps);
    let clock = stored.unwrap_or_else(|| ServiceClock {
        agreement: promise.agreement.to_owned(),
        request_type: promise.request_type.to_owned(),
        submit_time: now,
        due_time: promise.due_time,
        result: None,
        decision: None,
    });
    put(tx, table, id, &clock.go_on(&reading)).await
}

async fn find(
    tx: &DatabaseTransaction,
    table: &str,
    id: Uuid,
) -> Result<Option<ServiceClock>, StoreError> {
    let select = format!(
        "SELECT request_type, agreement, submit_time, due_time, result_time, result_elapsed, \
             decision_time, decision_elapsed FROM {table} WHERE id = $1 AND submit_time IS NOT NULL"
    );
    let select = Statement::from_sql_and_values(tx.get_database_backend(), select, [id.into()]);
    let found = tx.query_one_raw(select).await?;
    found.map(|row| read(&row)).transpose()
}

fn read(row: &QueryResult) -> Result<ServiceClock, StoreError> {
    let mark = |time: Option<i64>, elapsed: Option<i64>| {
        time.map(|time| {
            Ok::<_, StoreError>(Mark {
                time: instant(time)?,
                elapsed: elapsed.map(SignedDuration::from_micros),
            })
        })
        .transpose()
    };
    let due_time: Option<i64> = row.try_get("", "due_time")?;
    Ok(ServiceClock {
        agreement: row.try_get("", "agreement")?,
        request_type: row.try_get("", "request_type")?,
        submit_time: instant(row.try_get("", "submit_time")?)?,
        due_time: due_time.map(instant).transpose()?,
        result: mark(
            row.try_get("", "result_time")?,
            row.try_get("", "result_elapsed")?,
        )?,
        decision: mark(
            row.try_get("", "decision_time")?,
            row.try_get("", "decision_elapsed")?,
        )?,
    })
}

async fn put(
    tx: &DatabaseTransaction,
    table: &str,
    id: Uuid,
    clock: &ServiceClock,
) -> Result<(), StoreError> {
    let time = |mark: &Option<Mark>| mark.map(|mark| mark.time.as_microsecond());
    let elapsed = |mark: &Option<Mark>| {
        let elapsed = mark.and_then(|mark| mark.elapsed);
        elapsed.map(|elapsed| i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
    };
    let values: [Value; 10] = [
        id.into(),
        clock.request_type.clone().into(),
        clock.agreement.clone().into(),
        clock.submit_time.as_microsecond().into(),
        month_of(clock.submit_time).into(),
        clock.due_time.map(Timestamp::as_microsecond).into(),
        time(&clock.result).into(),
        elapsed(&clock.result).into(),
        time(&clock.decision).into(),
        elapsed(&clock.decision).into(),
    ];
    let update = format!(
        "UPDATE {table} SET request_type = $2, agreement = $3, submit_time = $4, submit_month = $5, \
             due_time = $6, result_time = $7, result_elapsed = $8, decision_time = $9, \
             decision_elapsed = $10 WHERE id = $1"
    );
    let update = Statement::from_sql_and_values(tx.get_database_backend(), update, values);
    tx.execute_raw(update).await?;
    Ok(())
}
