//! `gavah bench run`

use std::sync::Arc;

use clap::Args;
use gavah_bench::plan::{Pattern, Plan};
use gavah_bench::rounds::{Round, Side, SideReport, interleave};
use gavah_bench::target::connect;
use gavah_bench::work::Work;
use serde_json::json;

use super::child::Server;
use super::print;
use super::scenario::Scenario;
use super::settings::{EngineFlags, RoundFlags};
use super::site::Site;
use crate::exit::Exit;
use crate::output::{Output, note};
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What is measured, each against the others in turns; without any, everything
    #[arg(value_enum, value_name = "SCENARIO")]
    scenarios: Vec<Scenario>,
    /// Closed loop: so many calls are in flight
    #[arg(long, default_value_t = 64, value_name = "N", conflicts_with = "rate")]
    in_flight: usize,
    /// Open loop: so many calls are sent each second, answered or not
    #[arg(long, value_name = "CALLS_PER_SECOND")]
    rate: Option<f64>,
    #[command(flatten)]
    rounds: RoundFlags,
    #[command(flatten)]
    engine: EngineFlags,
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

pub(super) async fn run(args: &RunArgs, output: Output) -> Result<Exit, Problem> {
    let plan = args.rounds.plan(args.pattern())?;
    let scenarios = match args.scenarios.is_empty() {
        true => Scenario::ALL,
        false => &args.scenarios[..],
    };
    note(&format!("issuing {} codes to ask about", args.rounds.codes));
    let site = Site::create(&args.engine.database()?, args.rounds.codes).await?;
    let sides = measure(&site, scenarios, &plan).await?;
    let report = json!({"plan": plan, "sides": sides});
    print::sides(output, &report, &sides);
    Ok(Exit::Ok)
}

/// Measures scenarios in turns.
pub(super) async fn measure(
    site: &Site,
    scenarios: &[Scenario],
    plan: &Plan,
) -> Result<Vec<SideReport>, Problem> {
    let mut works = Vec::new();
    for scenario in scenarios {
        let max_calls = scenario.max_calls(plan.max_calls);
        // Warm-up and round of each may take all.
        let calls = max_calls.saturating_mul(2 * plan.rounds as u64);
        works.push(Arc::new(Work::new(scenario.work(site, calls).await?)));
    }
    let names: Vec<String> = scenarios.iter().map(|scenario| scenario.name()).collect();
    let open = async |index: usize| -> Result<(Side, Plan, Server), Problem> {
        let scenario: Scenario = scenarios[index];
        let server = site.start(&names[index], &scenario.service()).await?;
        let config = site.client_config(scenario.caller(), server.port)?;
        let side = Side {
            clients: connect(&config, plan.connections).await?,
            work: scenario.at(&works[index], &config, site),
            pid: Some(server.pid()),
            database_pid: None,
        };
        let plan = Plan {
            max_calls: scenario.max_calls(plan.max_calls),
            ..*plan
        };
        Ok((side, plan, server))
    };
    interleave(&names, plan.rounds, open, told).await
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
