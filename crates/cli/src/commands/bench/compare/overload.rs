//! Beyond what can be served: good answers must not become fewer, and refusals must come at once and say when to
//! come again.

use std::sync::Arc;
use std::time::Duration;

use gavah_bench::figures::Spread;
use gavah_bench::latency::Percentiles;
use gavah_bench::load::{beside, drive};
use gavah_bench::plan::{Pattern, Plan};
use gavah_bench::plot::{Point, draw};
use gavah_bench::rounds::{self, Round, Side};
use gavah_bench::work::Work;
use serde::Serialize;

use super::Context;
use super::goal::{Bound, Goal, Row};
use crate::commands::bench::child::Server;
use crate::commands::bench::run::{Planned, open, points, told, work};
use crate::commands::bench::scenario::Scenario;
use crate::commands::bench::site::Site;
use crate::output::note;
use crate::problem::Problem;

/// Parts of what a closed loop gets that are offered to find the knee.
const STEPS: [f64; 8] = [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Below the knee nearly every call is answered in time …
const KEPT_UP: f64 = 0.97;
/// … and 99 of 100 wait no longer than so many times what 99 of 100 wait at the least load.
const WAITING: u64 = 5;
/// How far beyond the knee is offered.
const BEYOND: f64 = 5.0;
/// Calls a second of another caller, beside the load.
const ANOTHER: f64 = 50.0;
/// Connections, so that more calls can be under way than the service takes on.
const CONNECTIONS: usize = 64;

/// What is measured in every round: a server of its own, on the same site.
struct Loaded<'a> {
    site: &'a Site,
    planned: Planned,
    work: Arc<Work>,
    plan: Plan,
}

impl Loaded<'_> {
    async fn open(&self) -> Result<(Side, Server), Problem> {
        let (side, _, server) = open(self.site, &self.planned, &self.work, &self.plan).await?;
        Ok((side, server))
    }

    fn at(&self, rate: f64) -> Result<Plan, Problem> {
        let pattern = Pattern::Open { rate };
        let plan = Plan {
            pattern,
            ..self.plan
        };
        plan.checked().map_err(Problem::usage)
    }
}

/// Issuing, because it is what the service can do least often: its load generator stays ahead of it.
pub(super) async fn measure(context: &Context<'_>) -> Result<Row, Problem> {
    // On the database when there is one, as in production.
    let site = context.site(context.postgres().ok()).await?;
    let plan = Plan {
        connections: CONNECTIONS,
        ..context.plan
    };
    let loaded = Loaded {
        planned: Scenario::Issue.into(),
        work: work(&site, Scenario::Issue, &plan).await?,
        site: &site,
        plan,
    };
    let capacity = {
        let (side, _server) = loaded.open().await?;
        rounds::measure(&side, &plan).await?.good_per_second
    };
    note(&format!("a closed loop gets {capacity:.0} answers/s"));
    let steps = STEPS.map(|step| loaded.at(step * capacity));
    let steps = steps.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (points, sweep) = {
        let (side, _server) = loaded.open().await?;
        points(&side, &steps).await?
    };
    if let Some(folder) = &context.args.plots {
        let path = folder.join("issue.svg");
        draw(
            &path,
            "IssueValidityCode: latency over offered load",
            &points,
        )
        .map_err(Problem::usage)?;
    }
    let knee = knee(&points).ok_or_else(|| {
        Problem::Internal("at no rate were the calls answered in time: there is no knee".to_owned())
    })?;
    note(&format!("the knee is at {knee:.0} calls/s"));
    // A warm-up as heavy as the load would leave a backlog behind: it is made below the knee.
    let beyond = Plan {
        warm_up: Duration::ZERO,
        ..loaded.at(BEYOND * knee)?
    };
    let below = loaded.at(knee / 2.0)?;
    let mut over = Vec::new();
    for number in 0..plan.rounds {
        let (side, server) = loaded.open().await?;
        let config = site.client_config(Scenario::Issue.caller(), server.port)?;
        drive(&side.clients, &side.work, below.pattern, below.before()).await;
        let another = beside(config, Arc::clone(&loaded.work), ANOTHER, beyond.round());
        let (round, another) = tokio::join!(rounds::measure(&side, &beyond), another);
        let another = another.map_err(|error| Problem::Internal(error.to_string()))?;
        let round = round?;
        told("beyond", number, &round);
        over.push(Over {
            round,
            another_refused: another.refusal_latencies.percentiles(),
            another_answered: another.latencies.percentiles(),
        });
    }
    let peak = sweep
        .iter()
        .map(|round| round.good_per_second)
        .fold(0.0, f64::max);
    Ok(row(peak, &over)
        .with("closed_loop_per_second", capacity)
        .with("knee_per_second", knee)
        .with("peak_good_per_second", peak)
        .with("points", &points)
        .with("beyond", &over))
}

/// A round beyond the knee.
#[derive(Debug, Serialize)]
struct Over {
    /// The load's own account. What its refused calls waited counts from when they were due, so it holds the load
    /// generator's own queues too.
    round: Round,
    /// What another caller waits that makes few calls, when it is refused.
    another_refused: Option<Percentiles>,
    /// The same when it is answered.
    another_answered: Option<Percentiles>,
}

/// The greatest rate at which the calls are still answered as they come.
fn knee(points: &[Point]) -> Option<f64> {
    let least = points.first()?.latency.p99_us;
    points
        .iter()
        .take_while(|point| {
            point.good_per_second >= KEPT_UP * point.offered_per_second
                && point.latency.p99_us <= WAITING * least
        })
        .map(|point| point.offered_per_second)
        .last()
}

#[expect(clippy::cast_precision_loss, reason = "figures of a report")]
fn row(peak: f64, over: &[Over]) -> Row {
    let of = |figure: &dyn Fn(&Over) -> Option<f64>| {
        Spread::of(&over.iter().filter_map(figure).collect::<Vec<_>>())
    };
    let refused = |round: &Round| round.refused.values().sum::<u64>();
    let goals = vec![
        Goal::new(
            "good answers/s at 5 × the knee ÷ the most at any rate",
            of(&|over| Some(over.round.good_per_second / peak)),
            Bound::AtLeast(0.9),
        ),
        Goal::new(
            "milliseconds until half of the refused calls are refused, from when they were due",
            of(&|over| {
                over.round
                    .refusal_latency
                    .map(|waited| waited.p50_us as f64 / 1e3)
            }),
            Bound::AtMost(10.0),
        ),
        Goal::new(
            "milliseconds until 99 of 100 of them are",
            of(&|over| {
                over.round
                    .refusal_latency
                    .map(|waited| waited.p99_us as f64 / 1e3)
            }),
            Bound::AtMost(10.0),
        ),
        Goal::new(
            "milliseconds until another caller, of few calls, is refused, 99 of 100",
            of(&|over| {
                over.another_refused
                    .map(|waited| waited.p99_us as f64 / 1e3)
            }),
            Bound::AtMost(10.0),
        ),
        Goal::new(
            "milliseconds until it is answered, 99 of 100",
            of(&|over| {
                over.another_answered
                    .map(|waited| waited.p99_us as f64 / 1e3)
            }),
            Bound::Stated,
        ),
        Goal::new(
            "part of the refusals that say when to come again",
            of(&|over| {
                let refused = refused(&over.round);
                (refused > 0).then(|| over.round.retry_told as f64 / refused as f64)
            }),
            Bound::AtLeast(1.0),
        ),
    ];
    Row::of(goals, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(offered: f64, good: f64, p99_us: u64) -> Point {
        Point {
            offered_per_second: offered,
            good_per_second: good,
            latency: Percentiles {
                p50_us: 100,
                p90_us: 100,
                p99_us,
                p999_us: p99_us,
                max_us: p99_us,
                mean_us: 100.0,
            },
        }
    }

    #[test]
    fn the_knee_is_the_last_rate_that_was_kept_up_with() {
        let points = [
            point(100.0, 100.0, 200),
            point(200.0, 199.0, 900),
            point(300.0, 298.0, 5_000),
            point(400.0, 310.0, 90_000),
        ];
        assert_eq!(knee(&points), Some(200.0));
        assert_eq!(knee(&points[3..]), None);
        assert_eq!(knee(&[]), None);
    }
}
