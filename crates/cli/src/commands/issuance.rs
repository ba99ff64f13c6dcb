//! `gavah issuance`

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_domain::service::ServiceKind;
use serde_json::json;

use super::one_of;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output};
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum IssuanceCommand {
    /// Pause the issuing of a service's documents; validation goes on
    Pause(PauseArgs),
    /// End a pause
    Resume(ResumeArgs),
    /// List the pauses in force
    List(ListArgs),
}

#[derive(Debug, Args)]
struct What {
    /// The service
    #[arg(value_name = "SERVICE", value_parser = one_of::<ServiceKind>(), ignore_case = true)]
    service: String,
    /// Only at this institution, and at its units
    #[arg(long, value_name = "CODE")]
    institution: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    what: What,
    /// Why, for those who look later; no personal data
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("SERVICE", "/service"),
    ("INSTITUTION", "/institution_code"),
    ("SINCE", "/pause_time"),
    ("BY", "/paused_by"),
    ("REASON", "/reason"),
];

pub(crate) async fn run(command: &IssuanceCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        IssuanceCommand::Pause(args) => pause(args, output).await,
        IssuanceCommand::Resume(args) => resume(args, output).await,
        IssuanceCommand::List(args) => list(args, output).await,
    }
}

async fn pause(args: &PauseArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "service": args.what.service,
        "institution_code": args.what.institution,
        "reason": args.reason,
    });
    let request = pb::PauseIssuanceRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &asked)?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.incidents().pause_issuance(request).await
        })
        .await
}

async fn resume(args: &ResumeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "service": args.what.service,
        "institution_code": args.what.institution,
    });
    let request = pb::ResumeIssuanceRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &asked)?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.incidents().resume_issuance(request).await
        })
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let reply =
        session
            .read(
                pb::ListIssuancePausesRequest {},
                |channel, request| async move {
                    channel.incidents().list_issuance_pauses(request).await
                },
            )
            .await?;
    output.list(&answer(&reply)?, "pauses", COLUMNS);
    Ok(Exit::Ok)
}
