//! Several sides, measured in turns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gavah_client::Client;
use serde::Serialize;

use crate::figures::Spread;
use crate::latency::Percentiles;
use crate::load::{Tally, drive};
use crate::plan::Plan;
use crate::process::{Memory, ProcessError, Stat, family_time};
use crate::work::Work;

/// One side of a comparison: a server and what it is asked.
#[derive(Debug)]
pub struct Side {
    /// Connections to it.
    pub clients: Vec<Client>,
    /// What it is asked.
    pub work: Arc<Work>,
    /// Its process, when it is known.
    pub pid: Option<u32>,
    /// The first process of its database, when that is accounted for.
    pub database_pid: Option<u32>,
}

/// What one round gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Round {
    /// Calls made.
    pub calls: u64,
    /// Calls answered as they should be.
    pub good: u64,
    /// Calls refused or wrongly answered, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Of those, the ones that were told when to come again.
    pub retry_told: u64,
    /// Calls that the load generator could not send when they were due: the percentiles lack them.
    pub unsent: u64,
    /// From the first call to the last answer.
    pub seconds: f64,
    /// Good answers a second; in an open loop only those within the round's time.
    pub good_per_second: f64,
    /// Rows a second.
    pub rows_per_second: f64,
    /// Processor time of the server for each call, in microseconds.
    pub cpu_us_per_call: Option<f64>,
    /// The same for each row.
    pub cpu_us_per_row: Option<f64>,
    /// Processor time of the database's processes for each call, in microseconds.
    pub database_cpu_us_per_call: Option<f64>,
    /// The most memory that ever was resident in the server, in KiB.
    pub peak_memory_kib: Option<u64>,
    /// How long good answers took.
    pub latency: Option<Percentiles>,
    /// How long refusals took.
    pub refusal_latency: Option<Percentiles>,
}

/// What all rounds of a side gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideReport {
    /// The side.
    pub name: String,
    /// Each figure over the rounds.
    pub summary: Summary,
    /// The rounds in their order.
    pub rounds: Vec<Round>,
}

/// Median and spread of each figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Good answers a second.
    pub good_per_second: Option<Spread>,
    /// Rows a second.
    pub rows_per_second: Option<Spread>,
    /// Processor time of the server for each call.
    pub cpu_us_per_call: Option<Spread>,
    /// Processor time of the database for each call.
    pub database_cpu_us_per_call: Option<Spread>,
    /// Half of the calls took no longer.
    pub p50_us: Option<Spread>,
    /// 99 of 100 calls took no longer.
    pub p99_us: Option<Spread>,
    /// 999 of 1,000 calls took no longer.
    pub p999_us: Option<Spread>,
    /// The most memory that ever was resident, in KiB.
    pub peak_memory_kib: Option<Spread>,
}

impl SideReport {
    /// A figure of every round.
    #[must_use]
    pub fn values(&self, figure: impl Fn(&Round) -> Option<f64>) -> Vec<f64> {
        self.rounds.iter().filter_map(figure).collect()
    }

    /// Ratios of a figure to another side's in the same rounds.
    #[must_use]
    pub fn ratio(&self, other: &Self, figure: impl Fn(&Round) -> Option<f64>) -> Option<Spread> {
        let (ours, theirs) = (self.values(&figure), other.values(&figure));
        match ours.len() == theirs.len() {
            true => Spread::of_ratios(&ours, &theirs),
            false => None,
        }
    }

    /// A side from its rounds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures of a report")]
    pub fn new(name: &str, rounds: Vec<Round>) -> Self {
        let spread = |figure: &dyn Fn(&Round) -> Option<f64>| {
            Spread::of(&rounds.iter().filter_map(figure).collect::<Vec<_>>())
        };
        let latency = |quantile: fn(&Percentiles) -> u64| {
            spread(&move |round| round.latency.as_ref().map(|found| quantile(found) as f64))
        };
        let summary = Summary {
            good_per_second: spread(&|round| Some(round.good_per_second)),
            rows_per_second: spread(&|round| Some(round.rows_per_second)),
            cpu_us_per_call: spread(&|round| round.cpu_us_per_call),
            database_cpu_us_per_call: spread(&|round| round.database_cpu_us_per_call),
            p50_us: latency(|found| found.p50_us),
            p99_us: latency(|found| found.p99_us),
            p999_us: latency(|found| found.p999_us),
            peak_memory_kib: spread(&|round| round.peak_memory_kib.map(|kib| kib as f64)),
        };
        Self {
            name: name.to_owned(),
            summary,
            rounds,
        }
    }
}

/// The order of the sides in a round: A B C, then C B A, so that what drifts meanwhile meets all of them.
#[must_use]
pub fn order(sides: usize, round: usize) -> Vec<usize> {
    match round % 2 {
        0 => (0..sides).collect(),
        _ => (0..sides).rev().collect(),
    }
}

/// Measures sides in turns. Each is opened for its round alone and closed after it, so that no server is disturbed by
/// another that idles beside it; `told` hears of every round when it is over.
///
/// # Errors
/// Whatever keeps a side from being opened, and [`ProcessError`] when a server's process has gone.
pub async fn interleave<E: From<ProcessError>, O>(
    names: &[String],
    rounds: usize,
    mut open: impl AsyncFnMut(usize) -> Result<(Side, Plan, O), E>,
    mut told: impl FnMut(&str, usize, &Round),
) -> Result<Vec<SideReport>, E> {
    let mut measured: Vec<Vec<Round>> = names.iter().map(|_| Vec::new()).collect();
    for number in 0..rounds {
        for index in order(names.len(), number) {
            let (side, plan, opened) = open(index).await?;
            let round = measure(&side, &plan).await?;
            drop((side, opened));
            told(&names[index], number, &round);
            measured[index].push(round);
        }
    }
    let named = names.iter().zip(measured);
    Ok(named
        .map(|(name, rounds)| SideReport::new(name, rounds))
        .collect())
}

/// One round of one side, after its warm-up.
///
/// # Errors
/// [`ProcessError`].
pub async fn measure(side: &Side, plan: &Plan) -> Result<Round, ProcessError> {
    drive(&side.clients, &side.work, plan.pattern, plan.before()).await;
    let before = Account::when_quiet(side).await?;
    let tally = drive(&side.clients, &side.work, plan.pattern, plan.round()).await;
    // What the server does after its answers, such as chaining the audit, belongs to the calls.
    let after = Account::when_quiet(side).await?;
    let memory = side.pid.map(Memory::of).transpose()?;
    Ok(round(&tally, plan, before, after, memory))
}

/// A server that takes less than a twentieth of a processor for so long has done what it was asked.
const QUIET: Duration = Duration::from_millis(300);
/// One that never becomes quiet is not waited for longer.
const NEVER_QUIET: u32 = 30;

/// Processor time so far.
#[derive(Debug, Clone, Copy)]
struct Account {
    server: Option<Duration>,
    database: Option<Duration>,
}

impl Account {
    async fn when_quiet(side: &Side) -> Result<Self, ProcessError> {
        let mut last = Self::of(side)?;
        if last.server.is_none() {
            return Ok(last);
        }
        for _ in 0..NEVER_QUIET {
            tokio::time::sleep(QUIET).await;
            let now = Self::of(side)?;
            let spent = now
                .server
                .unwrap_or_default()
                .saturating_sub(last.server.unwrap_or_default());
            last = now;
            if spent < QUIET / 20 {
                break;
            }
        }
        Ok(last)
    }

    fn of(side: &Side) -> Result<Self, ProcessError> {
        Ok(Self {
            server: side.pid.map(Stat::of).transpose()?.map(|stat| stat.own),
            database: side.database_pid.map(family_time).transpose()?,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures of a report")]
fn round(
    tally: &Tally,
    plan: &Plan,
    before: Account,
    after: Account,
    memory: Option<Memory>,
) -> Round {
    let calls = tally.calls();
    let micros = |before: Option<Duration>, after: Option<Duration>, by: u64| {
        let spent = after?.checked_sub(before?)?;
        (by > 0).then(|| spent.as_secs_f64() * 1e6 / by as f64)
    };
    let seconds = tally.elapsed.as_secs_f64();
    let within = plan.duration.as_secs_f64();
    let good_per_second = match plan.pattern {
        crate::plan::Pattern::Open { .. } => tally.good_in_time as f64 / within,
        crate::plan::Pattern::Closed { .. } => tally.good as f64 / seconds,
    };
    Round {
        calls,
        good: tally.good,
        refused: tally.refused.clone(),
        retry_told: tally.retry_told,
        unsent: tally.unsent,
        seconds,
        good_per_second,
        rows_per_second: tally.rows as f64 / seconds,
        cpu_us_per_call: micros(before.server, after.server, calls),
        cpu_us_per_row: micros(before.server, after.server, tally.rows),
        database_cpu_us_per_call: micros(before.database, after.database, calls),
        peak_memory_kib: memory.map(|memory| memory.peak_kib),
        latency: tally.latencies.percentiles(),
        refusal_latency: tally.refusal_latencies.percentiles(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_round(cpu: f64) -> Round {
        Round {
            calls: 10,
            good: 10,
            refused: BTreeMap::new(),
            retry_told: 0,
            unsent: 0,
            seconds: 1.0,
            good_per_second: 10.0,
            rows_per_second: 10.0,
            cpu_us_per_call: Some(cpu),
            cpu_us_per_row: Some(cpu),
            database_cpu_us_per_call: None,
            peak_memory_kib: Some(1024),
            latency: None,
            refusal_latency: None,
        }
    }

    #[test]
    fn every_second_round_goes_backwards() {
        assert_eq!(order(2, 0), [0, 1]);
        assert_eq!(order(2, 1), [1, 0]);
        assert_eq!(order(3, 2), [0, 1, 2]);
        assert_eq!(order(3, 3), [2, 1, 0]);
    }

    #[test]
    fn sides_are_compared_round_by_round() {
        let ours = SideReport::new("ours", vec![some_round(20.0), some_round(44.0)]);
        let floor = SideReport::new("floor", vec![some_round(10.0), some_round(20.0)]);
        let ratio = ours.ratio(&floor, |round| round.cpu_us_per_call).unwrap();
        assert!((ratio.lowest - 2.0).abs() < 1e-9 && (ratio.highest - 2.2).abs() < 1e-9);
        assert_eq!(
            ours.ratio(&floor, |round| round.database_cpu_us_per_call),
            None
        );
    }

    #[test]
    fn the_report_has_the_shape_that_scripts_read() {
        let report = SideReport::new("ours", vec![some_round(20.0)]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["name"], "ours");
        assert_eq!(json["summary"]["cpu_us_per_call"]["median"], 20.0);
        assert_eq!(json["summary"]["cpu_us_per_call"]["lowest"], 20.0);
        assert_eq!(json["summary"]["p99_us"], serde_json::Value::Null);
        assert_eq!(json["rounds"][0]["calls"], 10);
        assert_eq!(json["rounds"][0]["peak_memory_kib"], 1024);
    }
}
