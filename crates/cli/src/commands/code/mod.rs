//! `gavah code`

mod application;
mod class;
mod correct;
mod import;
mod issue;
mod job;
mod validate;

pub(super) use class::waiting_in;

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_domain::validity::DocumentKind;
use serde_json::json;

use super::document::{ChangeArgs, IssuedFilter, Paging, RevokeArgs, StateFilter, resource};
use super::one_of;
use crate::connection::{Connection, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output};
use crate::problem::Problem;

/// The collection of the resource names.
const COLLECTION: &str = "validityCodes";

#[derive(Debug, Subcommand)]
pub(crate) enum CodeCommand {
    /// Issue a validity code, or the codes of a whole class
    Issue(Box<issue::IssueArgs>),
    /// Issue a corrected code; the wrong one is superseded
    Correct(correct::CorrectArgs),
    /// Applications that an expert confirms, and the Organization reviews
    #[command(subcommand)]
    Application(application::ApplicationCommand),
    /// Issue a class as a job that the service works through by itself
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Import codes that were issued before this service
    Import(import::ImportArgs),
    /// Ask whether codes are good; exit code 1 when one is not
    Validate(validate::ValidateArgs),
    /// Read a validity code by its resource name
    Get(GetArgs),
    /// List validity codes, newest first
    List(ListArgs),
    /// Suspend a code: it stops validating at once
    Suspend(ChangeArgs),
    /// Reinstate a suspended code
    Reinstate(ChangeArgs),
    /// Revoke a code for good: it stops validating at once
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Resource name validityCodes/{uuid}, or the UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: StateFilter,
    /// Only for this kind of document
    #[arg(long, value_parser = one_of::<DocumentKind>(), ignore_case = true, help_heading = "Filters")]
    kind: Option<String>,
    /// Only with this reference of the caller's
    #[arg(long, value_name = "REF", help_heading = "Filters")]
    external_ref: Option<String>,
    #[command(flatten)]
    issued: IssuedFilter,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: &CodeCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        CodeCommand::Issue(args) => issue::run(args, output).await,
        CodeCommand::Correct(args) => correct::run(args, output).await,
        CodeCommand::Application(command) => application::run(command, output).await,
        CodeCommand::Job(command) => job::run(command, output).await,
        CodeCommand::Import(args) => import::run(args, output).await,
        CodeCommand::Validate(args) => validate::run(args, output).await,
        CodeCommand::Get(args) => get(args, output).await,
        CodeCommand::List(args) => list(args, output).await,
        CodeCommand::Suspend(args) => suspend(args, output).await,
        CodeCommand::Reinstate(args) => reinstate(args, output).await,
        CodeCommand::Revoke(args) => revoke(args, output).await,
    }
}

async fn get(args: &GetArgs, output: Output) -> Result<Exit, Problem> {
    let request = pb::GetValidityCodeRequest {
        name: resource(COLLECTION, &args.name),
    };
    args.connection
        .read(output, request, |channel, request| async move {
            channel.validity_codes().get_validity_code(request).await
        })
        .await
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("CODE", "/code"),
    ("STATE", "/state"),
    ("KIND", "/document_kind"),
    ("INSTITUTION", "/program/institution_code"),
    ("STUDENT NUMBER", "/program/student_number"),
    ("ISSUED", "/issue_date"),
    ("EXPIRES", "/expire_date"),
];

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let filter = json!({
        "institution_code": args.filter.institution,
        "state": args.filter.state,
        "document_kind": args.kind,
        "external_ref": args.external_ref,
        "issued_from": args.issued.issued_from.map(|instant| instant.to_string()),
        "issued_before": args.issued.issued_before.map(|instant| instant.to_string()),
    });
    let request: pb::ListValidityCodesRequest = message::request("the filters", &filter)?;
    let session = args.connection.open().await?;
    let page = async |page_size, page_token| {
        let request = pb::ListValidityCodesRequest {
            page_size,
            page_token,
            ..request.clone()
        };
        let reply = session
            .read(request, |channel, request| async move {
                channel.validity_codes().list_validity_codes(request).await
            })
            .await?;
        answer(&reply)
    };
    let codes = args.paging.read("validity_codes", page).await?;
    output.list(&codes, "validity_codes", COLUMNS);
    Ok(Exit::Ok)
}

async fn suspend(args: &ChangeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::SuspendValidityCodeRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        remark: args.remark.clone(),
        etag: args.etag.clone(),
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel
                .validity_codes()
                .suspend_validity_code(request)
                .await
        })
        .await
}

async fn reinstate(args: &ChangeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::ReinstateValidityCodeRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        remark: args.remark.clone(),
        etag: args.etag.clone(),
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel
                .validity_codes()
                .reinstate_validity_code(request)
                .await
        })
        .await
}

async fn revoke(args: &RevokeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::RevokeValidityCodeRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &args.json(COLLECTION))?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.validity_codes().revoke_validity_code(request).await
        })
        .await
}
