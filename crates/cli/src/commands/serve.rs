//! `gavah serve`

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use gavah_server::config::Config;
use gavah_server::{Server, Surroundings, telemetry};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::offline::ConfigFlag;
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    config: ConfigFlag,
    /// File that is there while the service can be called: one JSON object with address and probes_address, as bound.
    /// Removed at the start and at the end
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) async fn run(args: &ServeArgs) -> Result<Exit, Problem> {
    let config = args.config.load()?;
    if let Some(path) = &args.ready_file {
        remove(path)?;
    }
    let telemetry = telemetry::init(&config.telemetry, env!("CARGO_PKG_VERSION"))
        .map_err(|error| Problem::Internal(error.to_string()))?;
    telemetry::log_panics_by_place();
    let served = serve(args, config).await;
    // What is left of the traces goes out before the process ends.
    telemetry.shutdown().await;
    served.map(|()| Exit::Ok)
}

async fn serve(args: &ServeArgs, config: Config) -> Result<(), Problem> {
    // Caught before anything is bound: a signal that comes during the start ends the service in order too.
    let listen = |kind| signal(kind).map_err(|error| Problem::Internal(error.to_string()));
    let terminate = listen(SignalKind::terminate())?;
    let interrupt = listen(SignalKind::interrupt())?;
    // Whoever renews certificates may hang up before anybody listens for it, which would end the process.
    let _hangup = listen(SignalKind::hangup())?;
    let server = Server::bind(config, Surroundings::default()).await?;
    let Some(path) = &args.ready_file else {
        return Ok(server.serve_until(either(terminate, interrupt)).await?);
    };
    // Both listeners are bound: who connects from now on is served.
    let addresses = json!({
        "address": server.address().to_string(),
        "probes_address": server.probes_address().to_string(),
    });
    write(path, &addresses.to_string())?;
    let served = server
        .serve_until(async {
            either(terminate, interrupt).await;
            // Whether it is gone by itself is told after the drain.
            let _ = fs::remove_file(path);
        })
        .await;
    remove(path)?;
    Ok(served?)
}

async fn either(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Whole or not at all: whoever waits for the file must not read half of it.
fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    fs::write(&draft, text)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|error| Problem::file(path, &error))
}

fn remove(path: &Path) -> Result<(), Problem> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Problem::file(path, &error)),
        _ => Ok(()),
    }
}
