//! `gavah bench`: load, and what it costs.

mod child;
mod compare;
mod peers;
mod postgres;
mod print;
mod remote;
mod run;
mod scenario;
mod serve;
mod settings;
mod site;

use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure scenarios in interleaved rounds
    Run(Box<run::RunArgs>),
    /// Measure every goal and print its ratio; exits with 0 whether they are met or not
    Compare(Box<compare::CompareArgs>),
    /// Measure the same lookup in grpc-js and grpcio servers, which this installs into the target folder
    Peers(Box<peers::PeersArgs>),
    /// Print the report of an earlier run from its file
    Show(print::ShowArgs),
    /// Serve the bare echo (started by the bench itself)
    #[command(hide = true)]
    ServeEcho(serve::EchoArgs),
    /// Serve a trace collector that keeps nothing (started by the bench itself)
    #[command(hide = true)]
    ServeCollector(serve::CollectorArgs),
}

pub(crate) async fn run(command: &BenchCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        BenchCommand::ServeEcho(args) => serve::echo(args).await,
        BenchCommand::ServeCollector(args) => serve::collector(args).await,
        BenchCommand::Compare(args) => until_interrupted(compare::run(args, output)).await,
        BenchCommand::Peers(args) => until_interrupted(peers::run(args, output)).await,
        BenchCommand::Show(args) => print::show(args, output),
        BenchCommand::Run(args) => until_interrupted(run::run(args, output)).await,
    }
}

/// A signal drops the measurement, and with it every server that it started.
async fn until_interrupted(
    measuring: impl Future<Output = Result<Exit, Problem>>,
) -> Result<Exit, Problem> {
    let listen = |kind| signal(kind).map_err(|error| Problem::Internal(error.to_string()));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let interrupted =
        || Problem::Refused("interrupted: every server that was started has ended".to_owned());
    tokio::select! {
        measured = measuring => measured,
        _ = interrupt.recv() => Err(interrupted()),
        _ = terminate.recv() => Err(interrupted()),
    }
}
