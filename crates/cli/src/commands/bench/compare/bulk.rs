//! Writing, against what the bare database takes.

use std::path::Path;

use gavah_bench::figures::Spread;
use gavah_bench::plan::{Pattern, Plan};
use gavah_bench::rounds::{self, Round, SideReport, order};

use super::goal::{Bound, Goal, Row};
use super::{Context, IN_FLIGHT, bare};
use crate::commands::bench::postgres::{Postgres, Script};
use crate::commands::bench::run::{Planned, open, told, work};
use crate::commands::bench::scenario::Scenario;
use crate::commands::bench::site::Site;
use crate::output::note;
use crate::problem::Problem;

/// Bulk calls in flight, and clients of the bare insert.
const BULKS: usize = 4;

/// One code a call, against one code a commit.
pub(super) async fn issue(context: &Context<'_>) -> Result<Row, Problem> {
    let postgres = context.postgres()?;
    let site = context.site(Some(postgres.clone())).await?;
    let folder = site.folder();
    // The copies are made of real rows, and records are among them.
    site.push_records(gavah_bench::work::BATCH as u64).await?;
    bare::prepare(&postgres).await?;
    let (path, variables) = bare::one_code(&postgres, folder).await?;
    let script = Script {
        path: &path,
        variables: &variables,
        prepared: true,
        clients: IN_FLIGHT,
    };
    let measured = against(context, &site, Scenario::Issue, IN_FLIGHT, &script);
    let (side, bare) = measured.await?;
    let ours = side.values(|round| Some(round.good_per_second));
    let goal = Goal::new(
        "IssueValidityCode at 64 in flight: codes/s ÷ pgbench's one-row commits/s",
        Spread::of_ratios(&ours, &bare),
        Bound::AtLeast(1.0),
    );
    Ok(Row::of(vec![goal], vec![side]).with("bare_commits_per_second", Spread::of(&bare)))
}

/// A thousand records a call, against a thousand rows a statement.
pub(super) async fn records(context: &Context<'_>) -> Result<Row, Problem> {
    let postgres = context.postgres()?;
    let site = context.site(Some(postgres.clone())).await?;
    site.push_records(gavah_bench::work::BATCH as u64).await?;
    bare::prepare(&postgres).await?;
    let path = bare::records(&postgres, site.folder()).await?;
    rows(
        context,
        &site,
        Scenario::Records,
        &path,
        "BatchUpsertEnrollmentRecords",
    )
    .await
}

/// A thousand codes a stream, against a thousand rows a statement.
pub(super) async fn codes(context: &Context<'_>) -> Result<Row, Problem> {
    let postgres = context.postgres()?;
    let site = context.site(Some(postgres.clone())).await?;
    bare::prepare(&postgres).await?;
    let path = bare::codes(&postgres, site.folder()).await?;
    let scenario = Scenario::StreamIssue;
    rows(context, &site, scenario, &path, "StreamIssueValidityCodes").await
}

async fn rows(
    context: &Context<'_>,
    site: &Site,
    scenario: Scenario,
    path: &Path,
    rpc: &str,
) -> Result<Row, Problem> {
    let script = Script {
        path,
        variables: &[],
        prepared: false,
        clients: BULKS,
    };
    let (side, bare) = against(context, site, scenario, BULKS, &script).await?;
    let bare: Vec<f64> = bare.iter().map(|rate| rate * 1e3).collect();
    let ours = side.values(|round| Some(round.rows_per_second));
    let goal = Goal::new(
        &format!("{rpc}: rows/s ÷ a bare UNNEST of the same rows"),
        Spread::of_ratios(&ours, &bare),
        Bound::AtLeast(0.5),
    );
    Ok(Row::of(vec![goal], vec![side]).with("bare_rows_per_second", Spread::of(&bare)))
}

/// The service and pgbench in turns, each alone: the service's rounds and pgbench's transactions a second.
async fn against(
    context: &Context<'_>,
    site: &Site,
    scenario: Scenario,
    in_flight: usize,
    script: &Script<'_>,
) -> Result<(SideReport, Vec<f64>), Problem> {
    let plan = Plan {
        pattern: Pattern::Closed { in_flight },
        ..context.plan
    };
    let postgres: Postgres = context.postgres()?;
    let planned = Planned::from(scenario);
    let work = work(site, scenario, &plan).await?;
    let (mut ours, mut bare): (Vec<Round>, Vec<f64>) = (Vec::new(), Vec::new());
    for number in 0..plan.rounds {
        for turn in order(2, number) {
            if turn == 0 {
                let (side, plan, _server) = open(site, &planned, &work, &plan).await?;
                let round = rounds::measure(&side, &plan).await?;
                told(&planned.name, number, &round);
                ours.push(round);
            } else {
                if !plan.warm_up.is_zero() {
                    postgres.pgbench(script, plan.warm_up).await?;
                }
                let rate = postgres.pgbench(script, plan.duration).await?;
                note(&format!(
                    "round {}, bare: {rate:.1} transactions/s",
                    number + 1
                ));
                bare.push(rate);
            }
        }
    }
    Ok((SideReport::new(&planned.name, ours), bare))
}
