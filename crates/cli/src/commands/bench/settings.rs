//! Flags that the measurements share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use gavah_bench::plan::{Pattern, Plan};

use super::postgres::Postgres;
use crate::offline::read;
use crate::problem::Problem;

/// The database under the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// A file in a temporary folder
    Sqlite,
    /// The database that --database-url-file names
    Postgres,
}

/// Where the service keeps its documents.
#[derive(Debug, Clone, Args)]
pub(crate) struct EngineFlags {
    /// The database under the service
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(super) engine: Engine,
    /// File with the URL of an empty PostgreSQL database, or of one that an earlier run made; the role must own it
    #[arg(long, value_name = "FILE", required_if_eq("engine", "postgres"))]
    pub(super) database_url_file: Option<PathBuf>,
}

impl EngineFlags {
    /// The database, unless it is a file.
    pub(super) fn postgres(&self) -> Result<Option<Postgres>, Problem> {
        match (self.engine, &self.database_url_file) {
            (Engine::Sqlite, _) => Ok(None),
            (Engine::Postgres, Some(path)) => postgres_of(path).map(Some),
            (Engine::Postgres, None) => Err(Problem::usage(
                "--engine postgres needs --database-url-file",
            )),
        }
    }
}

/// The database that a file names.
pub(super) fn postgres_of(path: &Path) -> Result<Postgres, Problem> {
    Postgres::new(read(path)?.trim())
}

/// How long and how often is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct RoundFlags {
    /// Rounds; every second one takes the sides in reverse order
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(super) rounds: usize,
    /// Length of a round, in seconds
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub(super) seconds: f64,
    /// Load before each round that is not counted, in seconds
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    pub(super) warm_up: f64,
    /// Calls of a round at most
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    pub(super) max_calls: u64,
    /// Connections over which the calls are spread
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub(super) connections: usize,
    /// Codes issued beforehand, which are asked about
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) codes: u64,
}

impl RoundFlags {
    /// The plan of one kind of load.
    pub(super) fn plan(&self, pattern: Pattern) -> Result<Plan, Problem> {
        let seconds = |name: &str, value: f64| {
            Duration::try_from_secs_f64(value)
                .map_err(|_| Problem::usage(format_args!("{name}: {value} is no length of time")))
        };
        let plan = Plan {
            pattern,
            connections: self.connections,
            warm_up: seconds("--warm-up", self.warm_up)?,
            duration: seconds("--seconds", self.seconds)?,
            max_calls: self.max_calls,
            rounds: self.rounds,
        };
        plan.checked().map_err(Problem::usage)
    }
}
