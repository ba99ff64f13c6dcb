//! `gavah code application`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_domain::code_application::CodeApplicationState;
use serde_json::{Value, json};

use crate::commands::document::{Paging, resource};
use crate::commands::one_of;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message::{self, Named};
use crate::offline;
use crate::output::{Column, Output};
use crate::problem::Problem;

/// The collection of the resource names.
const COLLECTION: &str = "validityCodeApplications";

#[derive(Debug, Subcommand)]
pub(crate) enum ApplicationCommand {
    /// Hand in an application
    Create(CreateArgs),
    /// Hand in a returned application again, with what it says now
    Resubmit(ResubmitArgs),
    /// Take an application back
    Cancel(CancelArgs),
    /// Record the decision of an expert, or of the Organization
    Decide(Box<DecideArgs>),
    /// Read an application
    Get(GetArgs),
    /// List applications, newest first
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The application, as a CreateValidityCodeApplicationRequest with the field names of the contract
    #[arg(long, value_name = "REQUEST.json")]
    file: PathBuf,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ResubmitArgs {
    /// Resource name of the application, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// What it says from now on, as a ResubmitValidityCodeApplicationRequest with the field names of the contract
    #[arg(long, value_name = "REQUEST.json")]
    file: PathBuf,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Resource name of the application, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Refuse unless the application is still as it was read
    #[arg(long, value_name = "ETAG", default_value = "")]
    etag: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// Resource name of the application, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// CONFIRM, RETURN or REJECT for an expert; APPROVE, RETURN or REJECT for the Organization
    #[arg(long, value_parser = ["CONFIRM", "APPROVE", "RETURN", "REJECT"], ignore_case = true)]
    decision: String,
    /// Who decides: institutions/{code}/experts/{code}, or the code of an officer of the Organization
    #[arg(long, value_name = "NAME")]
    actor: String,
    /// National code of who decides; kept as a keyed hash only
    #[arg(long, value_name = "DIGITS")]
    actor_national_code: String,
    /// The application as the decider saw it: its etag
    #[arg(long, value_name = "ETAG")]
    etag: String,
    /// Version of the statement the expert agreed to; with CONFIRM
    #[arg(long, value_name = "VERSION", default_value = "")]
    statement_version: String,
    /// What is to be mended, field=text; with RETURN, may be given again
    #[arg(long = "remark", value_name = "FIELD=TEXT", value_parser = remark)]
    remarks: Vec<(String, String)>,
    /// Why; required with REJECT
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Resource name of the application, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only of this institution
    #[arg(long, value_name = "CODE", help_heading = "Filters")]
    institution: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = one_of::<CodeApplicationState>(), ignore_case = true, help_heading = "Filters")]
    state: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("STATE", "/state"),
    ("KIND", "/document_kind"),
    ("INSTITUTION", "/program/institution_code"),
    ("STUDENT NUMBER", "/program/student_number"),
    ("CREATED", "/create_time"),
];

fn remark(text: &str) -> Result<(String, String), &'static str> {
    let (field, text) = text.split_once('=').ok_or("must be FIELD=TEXT")?;
    Ok((field.to_owned(), text.to_owned()))
}

pub(crate) async fn run(command: &ApplicationCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        ApplicationCommand::Create(args) => create(args, output).await,
        ApplicationCommand::Resubmit(args) => resubmit(args, output).await,
        ApplicationCommand::Cancel(args) => cancel(args, output).await,
        ApplicationCommand::Decide(args) if args.actor.starts_with("institutions/") => {
            by_expert(args, output).await
        }
        ApplicationCommand::Decide(args) => by_officer(args, output).await,
        ApplicationCommand::Get(args) => get(args, output).await,
        ApplicationCommand::List(args) => list(args, output).await,
    }
}

fn of_file<M: Named>(path: &Path) -> Result<M, Problem> {
    let source = path.display().to_string();
    let value: Value = serde_json::from_str(&offline::read(path)?)
        .map_err(|error| Problem::usage(format_args!("{source}: {error}")))?;
    message::request(&source, &value)
}

async fn create(args: &CreateArgs, output: Output) -> Result<Exit, Problem> {
    let mut request: pb::CreateValidityCodeApplicationRequest = of_file(&args.file)?;
    let request_id = args.write.request_id_of(&request.request_id, "")?;
    request.request_id = request_id.to_string();
    request.validate_only |= args.write.validate_only;
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            let mut client = channel.validity_codes();
            client.create_validity_code_application(request).await
        })
        .await
}

async fn resubmit(args: &ResubmitArgs, output: Output) -> Result<Exit, Problem> {
    let mut request: pb::ResubmitValidityCodeApplicationRequest = of_file(&args.file)?;
    let request_id = args.write.request_id_of(&request.request_id, "")?;
    request.request_id = request_id.to_string();
    request.validate_only |= args.write.validate_only;
    request.name = resource(COLLECTION, &args.name);
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            let mut client = channel.validity_codes();
            client.resubmit_validity_code_application(request).await
        })
        .await
}

async fn cancel(args: &CancelArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::CancelValidityCodeApplicationRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        etag: args.etag.clone(),
        reason: args.reason.clone(),
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            let mut client = channel.validity_codes();
            client.cancel_validity_code_application(request).await
        })
        .await
}

/// What both kinds of decision say.
fn decision(args: &DecideArgs, decisions: &[&str]) -> Result<Value, Problem> {
    let decision = args.decision.to_ascii_uppercase();
    if !decisions.contains(&decision.as_str()) {
        let decisions = decisions.join(", ");
        let text = format!("--decision: this actor decides {decisions}");
        return Err(Problem::usage(text));
    }
    let remarks = args.remarks.iter();
    let remarks = remarks.map(|(field, text)| json!({"field": field, "text": text}));
    Ok(json!({
        "validate_only": args.write.validate_only,
        "name": resource(COLLECTION, &args.name),
        "etag": args.etag,
        "decision": decision,
        "decider": {
            "actor": args.actor,
            "person_id": {"national_code": args.actor_national_code},
        },
        "remarks": remarks.collect::<Vec<_>>(),
        "reason": args.reason,
    }))
}

async fn by_expert(args: &DecideArgs, output: Output) -> Result<Exit, Problem> {
    let asked = decision(args, &["CONFIRM", "RETURN", "REJECT"])?;
    let request_id = args.write.request_id("")?;
    let request = pb::RecordExpertDecisionRequest {
        request_id: request_id.to_string(),
        statement_version: args.statement_version.clone(),
        ..message::request("the arguments", &asked)?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel
                .validity_codes()
                .record_expert_decision(request)
                .await
        })
        .await
}

async fn by_officer(args: &DecideArgs, output: Output) -> Result<Exit, Problem> {
    let asked = decision(args, &["APPROVE", "RETURN", "REJECT"])?;
    let request_id = args.write.request_id("")?;
    let request = pb::RecordCodeReviewRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &asked)?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.validity_codes().record_code_review(request).await
        })
        .await
}

async fn get(args: &GetArgs, output: Output) -> Result<Exit, Problem> {
    let request = pb::GetValidityCodeApplicationRequest {
        name: resource(COLLECTION, &args.name),
    };
    args.connection
        .read(output, request, |channel, request| async move {
            let mut client = channel.validity_codes();
            client.get_validity_code_application(request).await
        })
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let filter = json!({
        "institution_code": args.institution,
        "state": args.state,
    });
    let request: pb::ListValidityCodeApplicationsRequest =
        message::request("the filters", &filter)?;
    let session = args.connection.open().await?;
    let page = async |page_size, page_token| {
        let request = pb::ListValidityCodeApplicationsRequest {
            page_size,
            page_token,
            ..request.clone()
        };
        let reply = session
            .read(request, |channel, request| async move {
                let mut client = channel.validity_codes();
                client.list_validity_code_applications(request).await
            })
            .await?;
        answer(&reply)
    };
    let applications = args.paging.read("applications", page).await?;
    output.list(&applications, "applications", COLUMNS);
    Ok(Exit::Ok)
}
