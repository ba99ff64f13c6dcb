//! `gavah bench compare`: every goal with the ratio that says whether it is met.

mod bare;
mod bulk;
mod floor;
mod goal;
mod overload;
mod scale;
mod start;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use gavah_bench::plan::{Pattern, Plan};
use serde_json::json;

use self::goal::Row;
use super::child::Server;
use super::postgres::Postgres;
use super::print;
use super::settings::{RoundFlags, postgres_of};
use super::site::Site;
use crate::exit::Exit;
use crate::output::{Output, note};
use crate::problem::Problem;

/// Calls in flight where nothing else is said: as many as the goals are stated for.
const IN_FLIGHT: usize = 64;

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Only these rows; may be given several times
    #[arg(long, value_enum, value_name = "ROW")]
    only: Vec<RowName>,
    #[command(flatten)]
    rounds: RoundFlags,
    /// File with the URL of an empty PostgreSQL database, or of one that an earlier run made; the role must own it.
    /// Rows that need one say so without it
    #[arg(long, value_name = "FILE")]
    database_url_file: Option<PathBuf>,
    /// Codes in the large database of the row scale
    #[arg(long, default_value_t = 10_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    large: u64,
    /// Codes that are remembered in the row memory
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    remembered: u64,
    /// Existing folder for the plots
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
}

/// A row of the table of goals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowName {
    /// ValidateCode, hot and cold on SQLite, against the bare echo
    Floor,
    /// ValidateCode, hot and cold on PostgreSQL, against the bare echo
    FloorPostgres,
    /// IssueValidityCode against one-row commits
    Issue,
    /// Bulk records against a bare insert
    BulkRecords,
    /// Bulk codes against a bare insert
    BulkCodes,
    /// ValidateCode in a large database against a small one
    Scale,
    /// Traces of every and of a hundredth call against none
    Tracing,
    /// ValidateCode under an agreement with quotas against a caller that needs none
    Agreement,
    /// Good answers beyond what can be served, and how fast the others are refused
    Overload,
    /// Time until it can be called, and memory at rest
    Start,
    /// Memory with many codes remembered
    Memory,
}

/// What all rows share.
pub(super) struct Context<'a> {
    args: &'a CompareArgs,
    plan: Plan,
    /// A collector that keeps nothing.
    collector: Server,
    _folder: tempfile::TempDir,
}

impl Context<'_> {
    fn postgres(&self) -> Result<Postgres, Problem> {
        match &self.args.database_url_file {
            Some(path) => postgres_of(path),
            None => Err(Problem::usage(
                "needs a PostgreSQL database: --database-url-file",
            )),
        }
    }

    /// A site with as many codes as asked for, in a file or in the database.
    async fn site(&self, postgres: Option<Postgres>) -> Result<Site, Problem> {
        Site::create(postgres, self.args.rounds.codes).await
    }

    /// Where traces go.
    fn otlp_endpoint(&self) -> Option<String> {
        Some(format!("http://127.0.0.1:{}", self.collector.port))
    }
}

pub(super) async fn run(args: &CompareArgs, output: Output) -> Result<Exit, Problem> {
    let in_flight = IN_FLIGHT;
    let plan = args.rounds.plan(Pattern::Closed { in_flight })?;
    let folder = tempfile::Builder::new().prefix("gavah-bench-").tempdir();
    let folder =
        folder.map_err(|error| Problem::usage(format_args!("a temporary folder: {error}")))?;
    let ready = folder.path().join("collector.ready");
    let arguments = [
        "bench",
        "serve-collector",
        "--ready-file",
        &ready.display().to_string(),
    ];
    let log = folder.path().join("collector.log");
    let context = Context {
        args,
        plan,
        collector: Server::start(&arguments, &ready, &log).await?,
        _folder: folder,
    };
    let mut rows = Vec::new();
    for &name in RowName::value_variants() {
        if !args.only.is_empty() && !args.only.contains(&name) {
            continue;
        }
        let value = name.to_possible_value();
        let text = value
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default();
        note(&format!("== {text}"));
        let measured = measure(&context, name).await;
        rows.push(
            measured
                .unwrap_or_else(|problem| Row::impossible(&problem))
                .named(&text),
        );
    }
    let report = json!({"plan": plan, "rows": rows});
    print::report(output, &report);
    Ok(Exit::Ok)
}

async fn measure(context: &Context<'_>, name: RowName) -> Result<Row, Problem> {
    match name {
        RowName::Floor => floor::sqlite(context).await,
        RowName::FloorPostgres => floor::postgres(context).await,
        RowName::Issue => bulk::issue(context).await,
        RowName::BulkRecords => bulk::records(context).await,
        RowName::BulkCodes => bulk::codes(context).await,
        RowName::Scale => scale::measure(context).await,
        RowName::Tracing => floor::tracing(context).await,
        RowName::Agreement => floor::agreement(context).await,
        RowName::Overload => overload::measure(context).await,
        RowName::Start => start::measure(context).await,
        RowName::Memory => scale::memory(context).await,
    }
}
