//! `gavah bench peers`: the same lookup in other languages' servers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clap::Args;
use gavah_bench::figures::Spread;
use gavah_bench::plan::{Pattern, Plan};
use gavah_bench::rounds::{Side, interleave};
use gavah_bench::target::connect;
use gavah_bench::work::{Kind, Work};
use serde_json::json;

use super::child::{Server, file};
use super::print;
use super::run::told;
use super::scenario::Scenario;
use super::settings::RoundFlags;
use super::site::Site;
use crate::exit::Exit;
use crate::output::{Output, note};
use crate::problem::Problem;
use crate::world::UNIVERSITY;

/// Name in the report, program in the tools' folder, arguments.
const PEERS: [(&str, &str, &[&str]); 3] = [
    ("grpc-js", "node", &["peer_grpc_js.mjs"]),
    ("grpcio-aio", "venv/bin/python", &["peer_grpcio.py", "aio"]),
    (
        "grpcio-sync",
        "venv/bin/python",
        &["peer_grpcio.py", "sync"],
    ),
];
/// Ours, measured beside them.
const OURS: [Scenario; 2] = [Scenario::ValidateHot, Scenario::EchoStock];

#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    /// The repository, where the peers' scripts and the contract's files are
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    repository: PathBuf,
    /// Folder that what the peers need is installed into, by npm and pip
    #[arg(long, default_value = "target/bench-peers", value_name = "FOLDER")]
    tools: PathBuf,
    /// Calls in flight
    #[arg(long, default_value_t = 64, value_name = "N")]
    in_flight: usize,
    #[command(flatten)]
    rounds: RoundFlags,
}

pub(super) async fn run(args: &PeersArgs, output: Output) -> Result<Exit, Problem> {
    let in_flight = args.in_flight;
    let plan = args.rounds.plan(Pattern::Closed { in_flight })?;
    let tools =
        std::path::absolute(&args.tools).map_err(|error| Problem::file(&args.tools, &error))?;
    install(&args.repository, &tools).await?;
    let site = Site::create(None, args.rounds.codes).await?;
    let codes = site.folder().join("codes");
    std::fs::write(&codes, site.codes.join("\n")).map_err(|error| Problem::file(&codes, &error))?;
    let protos = std::path::absolute(args.repository.join("proto"))
        .map_err(|error| Problem::file(&args.repository, &error))?;

    let work = Arc::new(Work::new(Kind::Validate(Arc::clone(&site.codes))));
    let peers = PEERS.iter().map(|(name, ..)| (*name).to_owned());
    let names: Vec<String> = OURS.iter().map(|ours| ours.name()).chain(peers).collect();
    let open = async |index: usize| -> Result<(Side, Plan, Server), Problem> {
        let server = match OURS.get(index) {
            Some(ours) => site.start(&names[index], &ours.service()).await?,
            None => start(&site, &tools, &protos, &codes, index - OURS.len()).await?,
        };
        let config = site.client_config(UNIVERSITY, server.port)?;
        let side = Side {
            clients: connect(&config, plan.connections).await?,
            work: Arc::clone(&work),
            pid: Some(server.pid()),
            database_pid: None,
        };
        Ok((side, plan, server))
    };
    let sides = interleave(&names, plan.rounds, open, told).await?;
    let ratios: serde_json::Map<_, _> = sides
        .iter()
        .map(|side| {
            let ratio: Option<Spread> = side.ratio(&sides[0], |round| round.cpu_us_per_call);
            (side.name.clone(), json!(ratio))
        })
        .collect();
    let report = json!({"plan": plan, "sides": sides, "cpu_by_validate_hot": ratios});
    print::report(output, &report);
    Ok(Exit::Ok)
}

/// Runs the script that installs what the peers need. Its remarks go to standard error.
async fn install(repository: &Path, tools: &Path) -> Result<(), Problem> {
    let script = repository.join("crates/bench/peers/setup.sh");
    note(&format!("installing the peers into {}", tools.display()));
    let ran = tokio::process::Command::new("bash")
        .arg(&script)
        .arg(tools)
        .kill_on_drop(true)
        .status()
        .await;
    match ran {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Problem::usage(format_args!(
            "{}: {status}",
            script.display()
        ))),
        Err(error) => Err(Problem::file(&script, &error)),
    }
}

async fn start(
    site: &Site,
    tools: &Path,
    protos: &Path,
    codes: &Path,
    peer: usize,
) -> Result<Server, Problem> {
    let (name, program, arguments) = PEERS[peer];
    let (ready, log) = (
        file(site.folder(), name, "ready"),
        file(site.folder(), name, "log"),
    );
    let pki = site.folder().join("pki");
    // A name without a slash is looked for in PATH.
    let program = match program.contains('/') {
        true => tools.join(program),
        false => PathBuf::from(program),
    };
    let mut command = Command::new(program);
    command
        .current_dir(tools)
        .args(arguments)
        .arg(protos)
        .args(["server.pem", "server.key", "ca.pem"].map(|name| pki.join(name)))
        .args([codes, site.answer(), &ready]);
    Server::start_command(command, &ready, &log).await
}
