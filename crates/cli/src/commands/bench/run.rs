//! `gavah bench run`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use gavah_bench::plan::{Pattern, Plan};
use gavah_bench::plot::{Point, draw};
use gavah_bench::rounds::{self, Round, Side, SideReport, interleave};
use gavah_bench::target::connect;
use gavah_bench::work::Work;
use serde_json::json;

use super::child::Server;
use super::print;
use super::remote::RemoteFlags;
use super::scenario::Scenario;
use super::settings::{EngineFlags, RoundFlags};
use super::site::{Service, Site};
use crate::exit::Exit;
use crate::output::{Output, note};
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What is measured, each against the others in turns; without any, everything
    #[arg(value_enum, value_name = "SCENARIO")]
    scenarios: Vec<Scenario>,
    /// Closed loop: so many calls are in flight
    #[arg(long, default_value_t = 64, value_name = "N")]
    in_flight: usize,
    /// Open loop: so many calls are sent each second, answered or not
    #[arg(long, value_name = "CALLS_PER_SECOND", conflicts_with = "in_flight")]
    rate: Option<f64>,
    /// Open loop at several rates, one after the other, of one scenario
    #[arg(
        long,
        value_name = "RATE,RATE…",
        value_delimiter = ',',
        conflicts_with_all = ["rate", "in_flight", "rounds"]
    )]
    sweep: Vec<f64>,
    /// SVG file for the sweep's latency percentiles over the offered load
    #[arg(long, value_name = "FILE", requires = "sweep")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    rounds: RoundFlags,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl RunArgs {
    fn pattern(&self) -> Pattern {
        match self.rate {
            Some(rate) => Pattern::Open { rate },
            None => Pattern::Closed {
                in_flight: self.in_flight,
            },
        }
    }
}

/// A side before it is opened.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// Its name in the report.
    pub(super) name: String,
    /// What is asked.
    pub(super) scenario: Scenario,
    /// Of which server.
    pub(super) service: Service,
}

impl From<Scenario> for Planned {
    fn from(scenario: Scenario) -> Self {
        Self {
            name: scenario.name(),
            scenario,
            service: scenario.service(),
        }
    }
}

pub(super) async fn run(args: &RunArgs, output: Output) -> Result<Exit, Problem> {
    let plan = args.rounds.plan(args.pattern())?;
    if !args.sweep.is_empty() {
        return sweep(args, &plan, output).await;
    }
    let sides = match args.remote.remote()? {
        Some(remote) => remote.measure(&args.scenarios, &plan).await?,
        None => {
            let scenarios = match args.scenarios.is_empty() {
                true => Scenario::ALL,
                false => &args.scenarios[..],
            };
            let planned: Vec<Planned> = scenarios.iter().map(|&scenario| scenario.into()).collect();
            measure(&site(args).await?, &planned, &plan).await?
        }
    };
    let report = json!({"plan": plan, "sides": sides});
    print::report(output, &report);
    Ok(Exit::Ok)
}

async fn site(args: &RunArgs) -> Result<Site, Problem> {
    note(&format!("issuing {} codes to ask about", args.rounds.codes));
    Site::create(args.engine.postgres()?, args.rounds.codes).await
}

/// Measures several sides in turns.
pub(super) async fn measure(
    site: &Site,
    planned: &[Planned],
    plan: &Plan,
) -> Result<Vec<SideReport>, Problem> {
    let mut works = Vec::new();
    for side in planned {
        works.push(work(site, side.scenario, plan).await?);
    }
    let names: Vec<String> = planned.iter().map(|side| side.name.clone()).collect();
    let open = async |index: usize| open(site, &planned[index], &works[index], plan).await;
    interleave(&names, plan.rounds, open, told).await
}

/// What a scenario asks in all rounds of a plan.
pub(super) async fn work(
    site: &Site,
    scenario: Scenario,
    plan: &Plan,
) -> Result<Arc<Work>, Problem> {
    let max_calls = scenario.max_calls(plan.max_calls);
    // Warm-up and round of each may take all.
    let calls = max_calls.saturating_mul(2 * plan.rounds as u64);
    Ok(Arc::new(Work::new(scenario.work(site, calls).await?)))
}

/// Starts a side's server and connects to it.
pub(super) async fn open(
    site: &Site,
    planned: &Planned,
    work: &Arc<Work>,
    plan: &Plan,
) -> Result<(Side, Plan, Server), Problem> {
    let scenario = planned.scenario;
    let server = site.start(&planned.name, &planned.service).await?;
    let config = site.client_config(scenario.caller(), server.port)?;
    let side = Side {
        clients: connect(&config, plan.connections).await?,
        work: scenario.at(work, &config, &site.codes),
        pid: Some(server.pid()),
        database_pid: site
            .database_pid
            .filter(|_| matches!(planned.service, Service::Gavah(_))),
    };
    let plan = Plan {
        max_calls: scenario.max_calls(plan.max_calls),
        ..*plan
    };
    Ok((side, plan, server))
}

/// One server under one rate after the other.
async fn sweep(args: &RunArgs, plan: &Plan, output: Output) -> Result<Exit, Problem> {
    let [scenario] = args.scenarios[..] else {
        return Err(Problem::usage("--sweep takes exactly one scenario"));
    };
    let plans = args.sweep.iter().map(|&rate| {
        let pattern = Pattern::Open { rate };
        Plan { pattern, ..*plan }.checked().map_err(Problem::usage)
    });
    let plans = plans.collect::<Result<Vec<_>, Problem>>()?;
    let (points, rounds) = match args.remote.remote()? {
        Some(remote) => points(&remote.side(scenario, plan).await?, &plans).await?,
        None => {
            let site = site(args).await?;
            let planned = Planned::from(scenario);
            let rates = Plan {
                rounds: plans.len(),
                ..*plan
            };
            let work = work(&site, scenario, &rates).await?;
            let (side, _, _server) = open(&site, &planned, &work, plan).await?;
            points(&side, &plans).await?
        }
    };
    if let Some(path) = &args.plot {
        let title = format!("{}: latency over offered load", scenario.name());
        draw(path, &title, &points).map_err(Problem::usage)?;
    }
    let report =
        json!({"plan": plan, "scenario": scenario.name(), "points": points, "rounds": rounds});
    print::report(output, &report);
    Ok(Exit::Ok)
}

/// What each rate gave. A rate that got no good answer has no point.
pub(super) async fn points(
    side: &Side,
    plans: &[Plan],
) -> Result<(Vec<Point>, Vec<Round>), Problem> {
    let (mut points, mut rounds) = (Vec::new(), Vec::new());
    for (number, plan) in plans.iter().enumerate() {
        let round = rounds::measure(side, plan).await?;
        if let (Pattern::Open { rate }, Some(latency)) = (plan.pattern, round.latency) {
            told(&format!("{rate:.0} calls/s offered"), number, &round);
            points.push(Point {
                offered_per_second: rate,
                good_per_second: round.good_per_second,
                latency,
            });
        }
        rounds.push(round);
    }
    Ok((points, rounds))
}

/// Says what a round gave, for whoever waits.
pub(super) fn told(name: &str, number: usize, round: &Round) {
    let cpu = round
        .cpu_us_per_call
        .map(|cpu| format!(", {cpu:.1} µs of CPU a call"));
    let refused: u64 = round.refused.values().sum();
    note(&format!(
        "round {}, {name}: {:.0} answers/s{}, {refused} refused",
        number + 1,
        round.good_per_second,
        cpu.unwrap_or_default(),
    ));
}
