//! The servers beside the service: the bare echo and the collector that keeps nothing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use gavah_bench::collector;
use gavah_bench::echo::{Echo, EchoError, Kind};
use tokio::sync::oneshot;

use crate::exit::Exit;
use crate::problem::Problem;

/// How the echo spreads its work.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KindFlag {
    /// tokio's multi-thread runtime
    Stock,
    /// A single-threaded runtime for each core
    Tuned,
}

#[derive(Debug, Args)]
pub(crate) struct EchoArgs {
    /// How its work is spread over the cores
    #[arg(long, value_enum)]
    kind: KindFlag,
    /// PEM file of its certificate
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// PEM file of its key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// PEM file of the authorities whose clients are let in
    #[arg(long, value_name = "FILE")]
    client_ca: PathBuf,
    /// File of the encoded message that every question is answered with
    #[arg(long, value_name = "FILE")]
    answer: PathBuf,
    /// File that is written when it can be called
    #[arg(long, value_name = "FILE")]
    ready_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CollectorArgs {
    /// File that is written when it can be called
    #[arg(long, value_name = "FILE")]
    ready_file: PathBuf,
}

pub(super) async fn echo(args: &EchoArgs) -> Result<Exit, Problem> {
    let echo = Echo {
        kind: match args.kind {
            KindFlag::Stock => Kind::Stock,
            KindFlag::Tuned => Kind::Tuned,
        },
        certificate: args.certificate.clone(),
        key: args.key.clone(),
        client_ca: args.client_ca.clone(),
        answer: args.answer.clone(),
        ready_file: args.ready_file.clone(),
    };
    in_a_thread(move || echo.serve()).await
}

pub(super) async fn collector(args: &CollectorArgs) -> Result<Exit, Problem> {
    let ready_file = args.ready_file.clone();
    in_a_thread(move || collector::serve(&ready_file)).await
}

/// Both have runtimes of their own, whatever this program's is.
async fn in_a_thread(
    serve: impl FnOnce() -> Result<(), EchoError> + Send + 'static,
) -> Result<Exit, Problem> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        // Somebody listens until the process ends.
        let _ = tell.send(serve());
    });
    match told.await {
        Ok(Ok(())) => Ok(Exit::Ok),
        Ok(Err(error)) => Err(Problem::usage(error)),
        Err(_) => Err(Problem::Internal(
            "the server's thread has ended".to_owned(),
        )),
    }
}
