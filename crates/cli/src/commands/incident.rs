//! `gavah incident`

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_domain::document::RevocationReason;
use gavah_domain::service::ServiceKind;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::document::resource;
use super::one_of;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output};
use crate::problem::Problem;

/// The collection of the resource names.
const COLLECTION: &str = "incidents";

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Count and list the live documents that a selection finds; nothing is changed
    Preview(PreviewArgs),
    /// Propose to revoke what a selection finds
    Propose(Box<ProposeArgs>),
    /// Approve a proposal, as a second officer: its documents are revoked
    Approve(DecideArgs),
    /// Take a proposal back that is not approved
    Withdraw(DecideArgs),
    /// Read an incident: how far it has come
    Get(GetArgs),
    /// List the incidents, newest first
    List(ListArgs),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
struct Selection {
    /// Whose documents
    #[arg(value_name = "SERVICE", value_parser = one_of::<ServiceKind>(), ignore_case = true)]
    service: String,
    /// Of this institution
    #[arg(long, value_name = "CODE")]
    institution: Option<String>,
    /// Attested, or decided on, by this expert: institutions/{code}/experts/{code}
    #[arg(long, value_name = "NAME")]
    expert: Option<String>,
    /// Signed with this key; only certificates
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// Issued at or after this instant: 2026-05-13T08:30:00Z
    #[arg(long, value_name = "INSTANT")]
    issued_from: Option<Timestamp>,
    /// Issued before this instant
    #[arg(long, value_name = "INSTANT")]
    issued_before: Option<Timestamp>,
}

impl Selection {
    fn json(&self) -> Value {
        json!({
            "service": self.service,
            "institution_code": self.institution,
            "expert": self.expert,
            "key_id": self.key_id,
            "issued_from": self.issued_from.map(|at| at.to_string()),
            "issued_before": self.issued_before.map(|at| at.to_string()),
        })
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Officer")]
pub(super) struct Officer {
    /// The officer's own code
    #[arg(long, value_name = "CODE")]
    officer: String,
    /// The officer's national code; kept as a keyed hash only
    #[arg(long, value_name = "DIGITS")]
    officer_national_code: String,
}

impl Officer {
    pub(super) fn json(&self) -> Value {
        json!({
            "code": self.officer,
            "person_id": {"national_code": self.officer_national_code},
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ProposeArgs {
    #[command(flatten)]
    selection: Selection,
    /// Why; SUPERSEDED is set by corrections only and refused
    #[arg(long, value_parser = one_of::<RevocationReason>(), ignore_case = true)]
    reason: String,
    /// The legal basis; required for COURT_ORDER
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    legal_basis: String,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// Resource name of the incident, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// The incident as the officer saw it: its etag
    #[arg(long, value_name = "ETAG")]
    etag: String,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Resource name of the incident, or its UUID alone
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
    ("STATE", "/state"),
    ("SERVICE", "/selection/service"),
    ("INSTITUTION", "/selection/institution_code"),
    ("REASON", "/reason"),
    ("SELECTED", "/selected_count"),
    ("REVOKED", "/revoked_count"),
    ("PROPOSED", "/create_time"),
];

pub(crate) async fn run(command: &IncidentCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        IncidentCommand::Preview(args) => preview(args, output).await,
        IncidentCommand::Propose(args) => propose(args, output).await,
        IncidentCommand::Approve(args) => approve(args, output).await,
        IncidentCommand::Withdraw(args) => withdraw(args, output).await,
        IncidentCommand::Get(args) => get(args, output).await,
        IncidentCommand::List(args) => list(args, output).await,
    }
}

async fn preview(args: &PreviewArgs, output: Output) -> Result<Exit, Problem> {
    let asked = json!({"selection": args.selection.json()});
    let request: pb::PreviewRevocationRequest = message::request("the arguments", &asked)?;
    args.connection
        .read(output, request, |channel, request| async move {
            channel.incidents().preview_revocation(request).await
        })
        .await
}

async fn propose(args: &ProposeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "selection": args.selection.json(),
        "reason": args.reason,
        "legal_basis": args.legal_basis,
        "officer": args.officer.json(),
    });
    let request = pb::ProposeRevocationRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &asked)?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.incidents().propose_revocation(request).await
        })
        .await
}

impl DecideArgs {
    fn json(&self) -> Value {
        json!({
            "validate_only": self.write.validate_only,
            "name": resource(COLLECTION, &self.name),
            "etag": self.etag,
            "officer": self.officer.json(),
        })
    }
}

async fn approve(args: &DecideArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::ApproveRevocationRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &args.json())?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.incidents().approve_revocation(request).await
        })
        .await
}

async fn withdraw(args: &DecideArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::WithdrawRevocationRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &args.json())?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.incidents().withdraw_revocation(request).await
        })
        .await
}

async fn get(args: &GetArgs, output: Output) -> Result<Exit, Problem> {
    let request = pb::GetIncidentRequest {
        name: resource(COLLECTION, &args.name),
    };
    args.connection
        .read(output, request, |channel, request| async move {
            channel.incidents().get_incident(request).await
        })
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let reply = session
        .read(pb::ListIncidentsRequest {}, |channel, request| async move {
            channel.incidents().list_incidents(request).await
        })
        .await?;
    output.list(&answer(&reply)?, "incidents", COLUMNS);
    Ok(Exit::Ok)
}
