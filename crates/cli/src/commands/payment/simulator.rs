//! `gavah payment simulator`

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use gavah_domain::{SystemEntropy, new_uuid};
use gavah_gateway::simulator::{Simulator, SimulatorConfig};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::connection::now;
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

/// Payments that it holds.
const CAPACITY: usize = 100_000;

#[derive(Debug, Args)]
pub(crate) struct SimulatorArgs {
    /// Folder of the two files that the service knows itself by there, merchant and token: made unless they are there
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Port on this machine; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

pub(crate) async fn run(args: &SimulatorArgs, output: Output) -> Result<Exit, Problem> {
    let internal = |error: std::io::Error| Problem::Internal(error.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let merchant = args.folder.join("merchant");
    let token = args.folder.join("token");
    let config = SimulatorConfig {
        merchant_id: secret(&merchant)?,
        access_token: secret(&token)?,
        capacity: CAPACITY,
        now: Arc::new(now),
    };
    let simulator = Simulator::start(config, args.port)
        .await
        .map_err(internal)?;
    output.show(&json!({
        "merchant_id_file": merchant.display().to_string(),
        "access_token_file": token.display().to_string(),
        "base_url": simulator.base_url(),
        "refund_url": simulator.refund_url(),
        "day_file_url": format!("{}/simulator/day-file/{{date}}", simulator.base_url()),
        "session_url": format!("{}/simulator/session/{{authority}}", simulator.base_url()),
    }));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(Exit::Ok)
}

/// The secret in a file, which is made if there is none.
fn secret(path: &Path) -> Result<String, Problem> {
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Problem::file(path, &error)),
    }
    let made = new_uuid(now(), &SystemEntropy)
        .map_err(|error| Problem::Internal(error.to_string()))?
        .to_string();
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(made.as_bytes()))
        .map_err(|error| Problem::file(path, &error))?;
    Ok(made)
}
