//! `gavah call`

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_client::Channel;
use gavah_domain::institution::InstitutionType;
use gavah_domain::service::ServiceKind;
use gavah_domain::validity::DocumentKind;
use jiff::Timestamp;
use serde_json::json;

use super::one_of;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output};
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum CallCommand {
    /// Prepare a call, as a draft
    Create(Box<CreateArgs>),
    /// Open a call: the service is offered from its first instant on
    Open(MoveArgs),
    /// Close a call for good: its agreements end, requests in flight run off
    Close(MoveArgs),
    /// Read a call
    Get(GetArgs),
    /// List the calls by id
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Resource name: serviceCalls/{id}
    #[arg(value_name = "NAME")]
    name: String,
    /// The service
    #[arg(long, value_parser = one_of::<ServiceKind>(), ignore_case = true)]
    service: String,
    /// First instant: 2026-05-13T08:30:00Z
    #[arg(long, value_name = "INSTANT")]
    opens: Timestamp,
    /// First instant at which it is no longer offered; open end when left out
    #[arg(long, value_name = "INSTANT")]
    closes: Option<Timestamp>,
    /// Kind of institution that is served; may be given several times
    #[arg(long = "institution-type", required = true, value_parser = one_of::<InstitutionType>(), ignore_case = true)]
    institution_types: Vec<String>,
    /// Kind of document for which codes are issued; may be given several times
    #[arg(long = "document-kind", value_parser = one_of::<DocumentKind>(), ignore_case = true)]
    document_kinds: Vec<String>,
    /// Id of the workflow version that requests run under
    #[arg(long, value_name = "ID")]
    workflow: String,
    /// Days for requests in flight after the close
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(i32).range(0..=365))]
    run_off_days: i32,
    /// Promise the initial result of a type of request within so many working hours: ISSUE=40; may be given several times
    #[arg(long = "sla-target", value_name = "TYPE=HOURS", value_parser = target)]
    sla_targets: Vec<(String, i32)>,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

fn target(text: &str) -> Result<(String, i32), String> {
    let wrong = || "must be a type of request and working hours, as ISSUE=40".to_owned();
    let (request_type, hours) = text.split_once('=').ok_or_else(wrong)?;
    let hours = hours.parse().map_err(|_| wrong())?;
    Ok((request_type.to_ascii_uppercase(), hours))
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// Resource name: serviceCalls/{id}
    #[arg(value_name = "NAME")]
    name: String,
    /// Only if the call is still as it was read: its etag
    #[arg(
        long,
        value_name = "ETAG",
        default_value = "",
        hide_default_value = true
    )]
    etag: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Resource name: serviceCalls/{id}
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("SERVICE", "/service"),
    ("STATE", "/state"),
    ("OPENS", "/open_time"),
    ("CLOSES", "/close_time"),
    ("ETAG", "/etag"),
];

pub(crate) async fn run(command: &CallCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        CallCommand::Create(args) => create(args, output).await,
        CallCommand::Open(args) => {
            let request_id = args.write.request_id("")?;
            let request = pb::OpenServiceCallRequest {
                request_id: request_id.to_string(),
                validate_only: args.write.validate_only,
                name: args.name.clone(),
                etag: args.etag.clone(),
            };
            let attempt = |channel: Channel, request| async move {
                channel.agreements().open_service_call(request).await
            };
            args.connection
                .write(output, request_id, request, attempt)
                .await
        }
        CallCommand::Close(args) => {
            let request_id = args.write.request_id("")?;
            let request = pb::CloseServiceCallRequest {
                request_id: request_id.to_string(),
                validate_only: args.write.validate_only,
                name: args.name.clone(),
                etag: args.etag.clone(),
            };
            let attempt = |channel: Channel, request| async move {
                channel.agreements().close_service_call(request).await
            };
            args.connection
                .write(output, request_id, request, attempt)
                .await
        }
        CallCommand::Get(args) => {
            let name = args.name.clone();
            let request = pb::GetServiceCallRequest { name };
            let attempt = |channel: Channel, request| async move {
                channel.agreements().get_service_call(request).await
            };
            args.connection.read(output, request, attempt).await
        }
        CallCommand::List(args) => list(args, output).await,
    }
}

async fn create(args: &CreateArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "service_call": {
            "name": args.name,
            "service": args.service,
            "open_time": args.opens.to_string(),
            "close_time": args.closes.map(|at| at.to_string()),
            "eligible_types": args.institution_types,
            "document_kinds": args.document_kinds,
            "workflow_version": args.workflow,
            "run_off_days": args.run_off_days,
            "sla_targets": args.sla_targets.iter().map(|(request_type, hours)| json!({
                "request_type": request_type,
                "hours": hours,
            })).collect::<Vec<_>>(),
        },
    });
    let request = pb::CreateServiceCallRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &asked)?
    };
    let attempt = |channel: Channel, request| async move {
        channel.agreements().create_service_call(request).await
    };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let attempt = |channel: Channel, request| async move {
        channel.agreements().list_service_calls(request).await
    };
    let reply = session
        .read(pb::ListServiceCallsRequest {}, attempt)
        .await?;
    output.list(&answer(&reply)?, "service_calls", COLUMNS);
    Ok(Exit::Ok)
}
