//! `gavah audit`

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use jiff::Timestamp;
use serde_json::json;

use super::person;
use crate::connection::{Connection, answer};
use crate::exit::Exit;
use crate::message;
use crate::offline::{ConfigFlag, open_patiently};
use crate::output::{Column, Output};
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Walk the audit chain from its first link and name the first difference; exit code 1 when there is one
    Verify(VerifyArgs),
    /// Read entries from a running service, oldest first
    List(Box<ListArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Entries behind this sequence; 0 begins with the first
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    /// Look through so many entries that fit, at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,
    /// Only acts of this actor: callers/ID
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    actor: Option<String>,
    /// Only acts on this resource, by its whole name
    #[arg(long, value_name = "NAME", help_heading = "Filters")]
    resource: Option<String>,
    /// Only these acts: ISSUE, REVOKE, …
    #[arg(long, value_name = "ACTION", help_heading = "Filters")]
    action: Option<String>,
    /// Only acts that concern this institution
    #[arg(long, value_name = "CODE", help_heading = "Filters")]
    institution: Option<String>,
    /// Only acts of this trace
    #[arg(long, value_name = "ID", help_heading = "Filters")]
    trace_id: Option<String>,
    /// Only acts at or after this instant: 2026-05-13T08:30:00Z
    #[arg(long, value_name = "INSTANT", help_heading = "Filters")]
    acted_from: Option<Timestamp>,
    /// Only acts before this instant
    #[arg(long, value_name = "INSTANT", help_heading = "Filters")]
    acted_before: Option<Timestamp>,
    /// Only acts about the person with this national code
    #[arg(long, value_name = "DIGITS", help_heading = "Filters")]
    national_code: Option<String>,
    /// Only acts about the person with this foreign code: YEKTA:…, FARAGIR:… or FIDA:…
    #[arg(
        long,
        value_name = "KIND:DIGITS",
        help_heading = "Filters",
        conflicts_with = "national_code"
    )]
    foreign_code: Option<String>,
    /// Only acts about the person with this passport: IRQ:A1234567
    #[arg(long, value_name = "COUNTRY:NUMBER", help_heading = "Filters", conflicts_with_all = ["national_code", "foreign_code"])]
    passport: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("SEQUENCE", "/sequence"),
    ("TIME", "/act_time"),
    ("ACTOR", "/actor"),
    ("ACTION", "/action"),
    ("RESOURCE", "/resource"),
    ("FROM", "/from_state"),
    ("TO", "/to_state"),
    ("TRACE", "/trace_id"),
];

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    config: ConfigFlag,
}

pub(crate) async fn run(command: &AuditCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        AuditCommand::Verify(args) => verify(args, output).await,
        AuditCommand::List(args) => list(args, output).await,
    }
}

/// One part of what fits: looked through from `after` until the page is full or the chain ends.
async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let filter = json!({
        "actor": args.actor,
        "resource": args.resource,
        "action": args.action,
        "institution_code": args.institution,
        "trace_id": args.trace_id,
        "acted_from": args.acted_from.map(|instant| instant.to_string()),
        "acted_before": args.acted_before.map(|instant| instant.to_string()),
        "subject": person::json(
            args.national_code.as_deref(),
            args.foreign_code.as_deref(),
            args.passport.as_deref(),
        ),
    });
    let mut request = pb::ListAuditEntriesRequest {
        after_sequence: args.after,
        page_size: args.page_size,
        ..message::request("the filters", &filter)?
    };
    let session = args.connection.open().await?;
    loop {
        let reply = session
            .read(request.clone(), |channel, request| async move {
                channel.audit().list_audit_entries(request).await
            })
            .await?;
        // A part in which nothing fits is no answer to a person.
        if reply.message().entries.is_empty() && reply.message().more {
            request.after_sequence = reply.message().next_sequence;
            continue;
        }
        output.list(&answer(&reply)?, "entries", COLUMNS);
        return Ok(Exit::Ok);
    }
}

async fn verify(args: &VerifyArgs, output: Output) -> Result<Exit, Problem> {
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
