//! `gavah demo`: the whole service from nothing, on loopback, with made-up people
//! and real mutual TLS.

mod gateway;
mod people;
mod step;
mod story;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use gavah_server::{Server, Surroundings};
use miette::{IntoDiagnostic, Result, miette};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::step::Step;
use self::story::Told;
use crate::output::Output;
use crate::world::{AGENCY, CONFIG, Database, HUB, World};

/// What the demo is run with.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder to make everything in; must not exist or be empty, and is kept.
    /// Without it a temporary folder is used and removed at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// End after the story instead of serving on.
    #[arg(long)]
    once: bool,
}

/// Runs the demo.
pub(crate) async fn run(args: &DemoArgs, output: Output) -> ExitCode {
    match demo(args, output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            // Nothing better is left when stderr is gone.
            let _ = writeln!(std::io::stderr(), "the demo failed: {report:?}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(args: &DemoArgs, output: Output) -> Result<()> {
    let temporary = tempfile::Builder::new()
        .prefix("gavah-demo-")
        .tempdir()
        .into_diagnostic()?;
    let dir = args
        .dir
        .clone()
        .unwrap_or_else(|| temporary.path().to_owned());
    let world = World::create(&dir, &Database::Sqlite, true).await?;
    let (_gateway, section) = gateway::start(&world).await?;
    world.write_config(
        CONFIG,
        &format!("{section}\n[sandbox]\nmovable_clock = true\n"),
    )?;
    let server = Server::bind(world.config()?, Surroundings::default())
        .await
        .into_diagnostic()?;
    let (address, probes) = (server.address(), server.probes_address());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut serving = tokio::spawn(server.serve_until(async {
        // A sender that is gone says the same.
        let _ = stopped.await;
    }));
    if output == Output::Table {
        say(&format!(
            "Gavah demo: SQLite and development certificates in {}\n\
             Everything here is synthetic: no person, institution or document is real.\n\
             gRPC over mutual TLS on {address}, probes and metrics on http://{probes}\n\n",
            world.dir.display()
        ))?;
    }
    let mut tell = teller(output);
    let mut interrupted = std::pin::pin!(interrupted()?);
    let told = tokio::select! {
        () = &mut interrupted => None,
        told = story::play(&world, address.port(), &mut tell) => Some(told?),
        ended = &mut serving => return Err(miette!("the server ended early: {ended:?}")),
    };
    if let Some(told) = told
        && !args.once
    {
        say(&closing(&world, address.port(), &told, output))?;
        interrupted.await;
    }
    let _ = stop.send(());
    serving.await.into_diagnostic()?.into_diagnostic()
}

/// Resolves at SIGINT or SIGTERM, which from now on end the demo in order.
fn interrupted() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).into_diagnostic()?;
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn teller(output: Output) -> impl FnMut(&Step) -> Result<()> + Send {
    let mut number = 0;
    move |step| {
        number += 1;
        match output {
            Output::Table => say(&format!("{}\n", step.text(number))),
            Output::Json => say(&format!("{}\n", step.json(number))),
        }
    }
}

/// How to go on by hand.
fn closing(world: &World, port: u16, told: &Told, output: Output) -> String {
    let pki = world.dir.join("pki");
    let pki = pki.display();
    let curl = format!(
        "buf curl --cacert {pki}/ca.pem --cert {pki}/{HUB}.pem --key {pki}/{HUB}.key \
         --protocol grpc --http2-prior-knowledge \
         -H 'gavah-on-behalf-of: {AGENCY}' -H 'gavah-purpose: VALIDATE' \
         -H 'gavah-agreement: agreements/demo-agency/agencies/{AGENCY}' \
         -d '{{\"code\": \"{}\"}}' \
         https://localhost:{port}/gavah.v1.ValidationService/ValidateCode",
        told.valid_code
    );
    match output {
        Output::Table => {
            format!(
                "The server goes on until Ctrl-C. Ask it yourself, as the hub on behalf of an agency:\n\n  {curl}\n\n"
            )
        }
        Output::Json => format!("{}\n", json!({ "try": curl })),
    }
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .into_diagnostic()
}
