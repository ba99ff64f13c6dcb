//! `gavah code job`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_api::v1::download_issuance_job_result_response::Outcome;
use gavah_api::v1::submit_issuance_job_request::Message;
use gavah_client::Failure;
use jiff::Timestamp;
use serde_json::json;
use tonic::Status;

use super::class::{self, Attested, Outcomes, RowOutcome};
use crate::commands::document::resource;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::output::{Column, Output};
use crate::problem::Problem;

/// The collection of the resource names.
const COLLECTION: &str = "issuanceJobs";

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Hand over a class; the service works through it by itself
    Submit(SubmitArgs),
    /// Read how far a job is
    Get(GetArgs),
    /// List the jobs of the last 30 days, newest first
    List(ListArgs),
    /// End a job; what was issued stays
    Cancel(CancelArgs),
    /// Write the outcome of every row to a file, which holds the codes and is for its owner only
    Result(ResultArgs),
}

#[derive(Debug, Args)]
#[command(after_long_help = format!(
    "Columns of a CSV file, each at most once, in any order: {}. A line of a .jsonl file is an IssueValidityCodeRequest \
     with the field names of the contract. A file with a row that cannot be read is not handed over.", class::column_names()
))]
pub(crate) struct SubmitArgs {
    /// The class: .csv with a heading (see --help), or .jsonl
    #[arg(value_name = "CLASS.csv")]
    file: PathBuf,
    /// Your own name for the job
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// Stop when more than so many in a hundred of the rows have failed, looked at from the hundredth row on
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(i32).range(0..=100))]
    max_error_percent: Option<i32>,
    /// Code of the expert who attests the rows that do not say it
    #[arg(long, value_name = "CODE")]
    expert: Option<String>,
    /// Version of the statement, for rows that do not say it
    #[arg(long, value_name = "VERSION")]
    statement_version: Option<String>,
    /// When the statement was made, for rows that do not say it [default: now]
    #[arg(long, value_name = "INSTANT")]
    attest_time: Option<Timestamp>,
    /// Retry key: the same id with the same file is the same job [default: a new one, told before the call]
    #[arg(long, value_name = "UUID")]
    request_id: Option<uuid::Uuid>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Resource name issuanceJobs/{uuid}, or the UUID alone
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

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Resource name issuanceJobs/{uuid}, or the UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// Refuse unless the job is still as it was read
    #[arg(long, value_name = "ETAG", default_value = "")]
    etag: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// Resource name issuanceJobs/{uuid}, or the UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// The file: row, outcome, validity_code, name, reason, fields; one that is there from before is written anew
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("LABEL", "/label"),
    ("STATE", "/state"),
    ("ROWS", "/total_rows"),
    ("ISSUED", "/issued_rows"),
    ("FAILED", "/failed_rows"),
    ("UNPAID", "/unpaid_rows"),
    ("SUBMITTED", "/create_time"),
    ("ENDED", "/end_time"),
];

pub(crate) async fn run(command: &JobCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        JobCommand::Submit(args) => submit(args, output).await,
        JobCommand::Get(args) => get(args, output).await,
        JobCommand::List(args) => list(args, output).await,
        JobCommand::Cancel(args) => cancel(args, output).await,
        JobCommand::Result(args) => result(args, output).await,
    }
}

async fn submit(args: &SubmitArgs, output: Output) -> Result<Exit, Problem> {
    let write = Write {
        request_id: args.request_id,
        validate_only: false,
    };
    let attest_time = write.instant("--attest-time", args.attest_time)?;
    let rows = class::whole(
        &args.file,
        Attested {
            expert: args.expert.clone(),
            statement_version: args.statement_version.clone(),
            attest_time: Some(attest_time.to_string()),
        },
    )?;
    let request_id = write.request_id(&format!(" --attest-time {attest_time}"))?;
    let start = Message::Start(pb::IssuanceJobStart {
        request_id: request_id.to_string(),
        label: args.label.clone(),
        max_error_percent: args.max_error_percent,
    });
    let session = args.connection.open().await?;
    let messages = std::iter::once(start).chain(rows.into_iter().map(Message::Row));
    let messages: Vec<_> = messages
        .map(|message| pb::SubmitIssuanceJobRequest {
            message: Some(message),
        })
        .collect();
    let answer = session
        .write(request_id, messages, |channel, messages| async move {
            let messages = tokio_stream::iter(messages);
            channel.jobs().submit_issuance_job(messages).await
        })
        .await?;
    output.show(&answer);
    Ok(Exit::Ok)
}

async fn get(args: &GetArgs, output: Output) -> Result<Exit, Problem> {
    let request = pb::GetIssuanceJobRequest {
        name: resource(COLLECTION, &args.name),
    };
    args.connection
        .read(output, request, |channel, request| async move {
            channel.jobs().get_issuance_job(request).await
        })
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let reply = session
        .read(
            pb::ListIssuanceJobsRequest {},
            |channel, request| async move { channel.jobs().list_issuance_jobs(request).await },
        )
        .await?;
    output.list(&answer(&reply)?, "jobs", COLUMNS);
    Ok(Exit::Ok)
}

async fn cancel(args: &CancelArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::CancelIssuanceJobRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        etag: args.etag.clone(),
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.jobs().cancel_issuance_job(request).await
        })
        .await
}

async fn result(args: &ResultArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let name = resource(COLLECTION, &args.name);
    let request = pb::GetIssuanceJobRequest { name: name.clone() };
    let reply = session
        .read(request, |channel, request| async move {
            channel.jobs().get_issuance_job(request).await
        })
        .await?;
    let job = reply.into_message().job.unwrap_or_default();
    let mut outcomes = Outcomes::anew(&args.out)?;
    let request = pb::DownloadIssuanceJobResultRequest {
        name,
        after_sequence: None,
    };
    let failed = |status: Status| Problem::Failure {
        failure: Box::new(Failure::of(&status)),
        request_id: None,
    };
    let mut client = session.client().jobs();
    let rows = client.download_issuance_job_result(request).await;
    let mut rows = rows.map_err(failed)?.into_inner();
    while let Some(row) = rows.message().await.map_err(failed)? {
        let number = row.sequence.unsigned_abs();
        let outcome = match row.outcome {
            Some(Outcome::ValidityCode(code)) => RowOutcome::issued(&code),
            Some(Outcome::Application(application)) => RowOutcome::unpaid(&application),
            Some(Outcome::Error(status)) => RowOutcome::error(status),
            Some(Outcome::NotBegun(_)) | None => RowOutcome::not_begun(),
        };
        outcomes.add(number, &outcome)?;
    }
    outcomes.finish()?;
    let mut summary = outcomes.summary();
    summary["state"] = json!(
        job.state()
            .as_str_name()
            .trim_start_matches("ISSUANCE_JOB_STATE_")
    );
    summary["result_file"] = json!(args.out.display().to_string());
    output.show(&summary);
    Ok(Exit::Ok)
}
