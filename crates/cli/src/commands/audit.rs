//! `gavah audit`

use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::Exit;
use crate::offline::{ConfigFlag, open_patiently};
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Walk the audit chain from its first link and name the first difference; exit code 1 when there is one
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    config: ConfigFlag,
}

pub(crate) async fn run(command: &AuditCommand, output: Output) -> Result<Exit, Problem> {
    let AuditCommand::Verify(args) = command;
    let store = open_patiently(&args.config.load()?).await?;
    let report = store.verify_chain().await;
    store.close().await;
    let report = report?;
    output.show(&json!({
        "intact": report.difference.is_none(),
        "links": report.links,
        "pending": report.pending,
        "head": report.head,
        "difference": report.difference.as_ref().map(ToString::to_string),
    }));
    Ok(match report.difference {
        None => Exit::Ok,
        Some(_) => Exit::Negative,
    })
}
