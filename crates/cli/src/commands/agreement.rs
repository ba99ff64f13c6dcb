//! `gavah agreement`

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_client::Channel;
use gavah_domain::agreement::{AgreementField, AgreementPurpose, AgreementState};
use serde_json::json;

use super::one_of;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output};
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum AgreementCommand {
    /// List the services with their names, provider, channel and texts
    Services(ReadArgs),
    /// Read a version of the text of a service-level agreement, clause by clause
    Text(NamedArgs),
    /// Ask for an agreement, accepting the text in force
    Request(Box<RequestArgs>),
    /// Put an agreement into force, with the quotas granted
    Approve(ApproveArgs),
    /// Suspend an agreement
    Suspend(StepArgs),
    /// End a suspension
    Reinstate(StepArgs),
    /// End an agreement for good: your own, or as the provider any
    Terminate(StepArgs),
    /// Read an agreement
    Get(NamedArgs),
    /// List agreements, newest first: your own, or as the provider any
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// Resource name: agreements/{id}, agreementTexts/{service}/versions/{version}
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// The call: serviceCalls/{id}
    #[arg(value_name = "CALL")]
    service_call: String,
    /// The text that is accepted: agreementTexts/{service}/versions/{version}, the last one
    #[arg(long, value_name = "NAME")]
    accept: String,
    /// For what; may be given several times
    #[arg(long = "purpose", required = true, value_parser = one_of::<AgreementPurpose>(), ignore_case = true)]
    purposes: Vec<String>,
    /// What is to be told; may be given several times
    #[arg(long = "field", value_parser = one_of::<AgreementField>(), ignore_case = true)]
    fields: Vec<String>,
    /// National id of the agency it is for; only the national hub
    #[arg(
        long,
        value_name = "DIGITS",
        default_value = "",
        hide_default_value = true
    )]
    agency: String,
    #[command(flatten)]
    quotas: Quotas,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Quotas")]
struct Quotas {
    /// Calls on a day in Tehran; 0 means no bound
    #[arg(long, value_name = "CALLS", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    daily_calls: i32,
    /// Calls in a second through one node; 0 means no bound
    #[arg(long, value_name = "CALLS", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    burst: i32,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// Resource name: agreements/{id}
    #[arg(value_name = "NAME")]
    name: String,
    /// The agreement as it was read: its etag
    #[arg(long, value_name = "ETAG")]
    etag: String,
    #[command(flatten)]
    quotas: Quotas,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// Resource name: agreements/{id}
    #[arg(value_name = "NAME")]
    name: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    remark: String,
    /// Only if the agreement is still as it was read: its etag
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
pub(crate) struct ListArgs {
    /// Only under this call: serviceCalls/{id}
    #[arg(
        long,
        value_name = "CALL",
        default_value = "",
        hide_default_value = true
    )]
    service_call: String,
    /// Only in this state
    #[arg(long, value_parser = one_of::<AgreementState>(), ignore_case = true)]
    state: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("CONSUMER", "/consumer"),
    ("STATE", "/state"),
    ("DAILY", "/daily_calls"),
    ("BURST", "/burst"),
    ("ETAG", "/etag"),
];

const SERVICES: &[Column] = &[
    ("SERVICE", "/kind"),
    ("NAME", "/name_fa"),
    ("PROVIDER", "/provider_fa"),
    ("CHANNEL", "/channel"),
    ("TEXTS", "/agreement_texts"),
];

pub(crate) async fn run(command: &AgreementCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        AgreementCommand::Services(args) => services(args, output).await,
        AgreementCommand::Text(args) => {
            let name = args.name.clone();
            let request = pb::GetAgreementTextRequest { name };
            let attempt = |channel: Channel, request| async move {
                channel.agreements().get_agreement_text(request).await
            };
            args.connection.read(output, request, attempt).await
        }
        AgreementCommand::Request(args) => request(args, output).await,
        AgreementCommand::Approve(args) => approve(args, output).await,
        AgreementCommand::Suspend(args) => {
            let request_id = args.write.request_id("")?;
            let request = pb::SuspendAgreementRequest {
                request_id: request_id.to_string(),
                ..message::request("the arguments", &args.json())?
            };
            let attempt = |channel: Channel, request| async move {
                channel.agreements().suspend_agreement(request).await
            };
            args.connection
                .write(output, request_id, request, attempt)
                .await
        }
        AgreementCommand::Reinstate(args) => {
            let request_id = args.write.request_id("")?;
            let request = pb::ReinstateAgreementRequest {
                request_id: request_id.to_string(),
                ..message::request("the arguments", &args.json())?
            };
            let attempt = |channel: Channel, request| async move {
                channel.agreements().reinstate_agreement(request).await
            };
            args.connection
                .write(output, request_id, request, attempt)
                .await
        }
        AgreementCommand::Terminate(args) => {
            let request_id = args.write.request_id("")?;
            let request = pb::TerminateAgreementRequest {
                request_id: request_id.to_string(),
                ..message::request("the arguments", &args.json())?
            };
            let attempt = |channel: Channel, request| async move {
                channel.agreements().terminate_agreement(request).await
            };
            args.connection
                .write(output, request_id, request, attempt)
                .await
        }
        AgreementCommand::Get(args) => {
            let name = args.name.clone();
            let request = pb::GetAgreementRequest { name };
            let attempt = |channel: Channel, request| async move {
                channel.agreements().get_agreement(request).await
            };
            args.connection.read(output, request, attempt).await
        }
        AgreementCommand::List(args) => list(args, output).await,
    }
}

impl StepArgs {
    fn json(&self) -> serde_json::Value {
        json!({
            "validate_only": self.write.validate_only,
            "name": self.name,
            "remark": self.remark,
            "etag": self.etag,
        })
    }
}

async fn services(args: &ReadArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let attempt = |channel: Channel, request| async move {
        channel.agreements().list_services(request).await
    };
    let reply = session.read(pb::ListServicesRequest {}, attempt).await?;
    output.list(&answer(&reply)?, "services", SERVICES);
    Ok(Exit::Ok)
}

async fn request(args: &RequestArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "service_call": args.service_call,
        "agency": args.agency,
        "purposes": args.purposes,
        "disclosed_fields": args.fields,
        "daily_calls": args.quotas.daily_calls,
        "burst": args.quotas.burst,
        "agreement_text": args.accept,
    });
    let request = pb::RequestAgreementRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &asked)?
    };
    let attempt = |channel: Channel, request| async move {
        channel.agreements().request_agreement(request).await
    };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn approve(args: &ApproveArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::ApproveAgreementRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: args.name.clone(),
        etag: args.etag.clone(),
        daily_calls: args.quotas.daily_calls,
        burst: args.quotas.burst,
    };
    let attempt = |channel: Channel, request| async move {
        channel.agreements().approve_agreement(request).await
    };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let asked = json!({"service_call": args.service_call, "state": args.state});
    let request: pb::ListAgreementsRequest = message::request("the arguments", &asked)?;
    let session = args.connection.open().await?;
    let attempt = |channel: Channel, request| async move {
        channel.agreements().list_agreements(request).await
    };
    let reply = session.read(request, attempt).await?;
    output.list(&answer(&reply)?, "agreements", COLUMNS);
    Ok(Exit::Ok)
}
