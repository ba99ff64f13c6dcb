//! `gavah changes`

use std::time::Duration;

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_client::Failure;
use serde_json::{Value, json};
use tonic::Code;

use crate::connection::{Connection, Session, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output, line};
use crate::problem::Problem;

/// Streams opened one after the other without any news in between.
const ATTEMPTS: u32 = 5;
/// The first pause before another stream when the service names none; doubled each time.
const PAUSE: Duration = Duration::from_millis(250);
/// Changes of one call when all are asked for.
const MOST: i32 = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum ChangesCommand {
    /// Read a part of the change feed
    List(ListArgs),
    /// Follow the change feed: one line for each change as it comes, in JSON one object; ends with a signal
    Watch(WatchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Changes behind this sequence; 0 begins with the first
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,
    /// Read to the end of the feed
    #[arg(long, conflicts_with = "page_size")]
    all: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Changes behind this sequence; 0 begins with the first
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
    /// Begin behind the last change there is
    #[arg(long, conflicts_with = "after")]
    from_now: bool,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("SEQUENCE", "/sequence"),
    ("TIME", "/change_time"),
    ("ACTION", "/action"),
    ("STATE", "/state"),
    ("RESOURCE", "/resource"),
    ("INSTITUTION", "/institution_code"),
];

pub(crate) async fn run(command: &ChangesCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        ChangesCommand::List(args) => list(args, output).await,
        ChangesCommand::Watch(args) => watch(args, output).await,
    }
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let mut after_sequence = args.after;
    let mut whole: Option<Value> = None;
    loop {
        let request = pb::ListChangesRequest {
            after_sequence,
            page_size: if args.all { MOST } else { args.page_size },
        };
        let reply = session
            .read(request, |channel, request| async move {
                channel.changes().list_changes(request).await
            })
            .await?;
        after_sequence = reply.message().next_sequence;
        let more = reply.message().more;
        let mut part = answer(&reply)?;
        let before = whole
            .as_mut()
            .and_then(|whole| whole["changes"].as_array_mut());
        if let (Some(before), Some(changes)) = (before, part["changes"].as_array_mut()) {
            changes.splice(0..0, std::mem::take(before));
        }
        whole = Some(part);
        if !(args.all && more) {
            break;
        }
    }
    output.list(&whole.unwrap_or_default(), "changes", COLUMNS);
    Ok(Exit::Ok)
}

/// Follows until a signal ends the process, or the service will not have it.
async fn watch(args: &WatchArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let mut beginning = pb::WatchChangesRequest {
        after_sequence: args.after,
        from_now: args.from_now,
    };
    let mut attempts = 0;
    loop {
        let before = beginning;
        let ended = follow(&session, &mut beginning, output).await?;
        attempts = if beginning == before { attempts + 1 } else { 1 };
        let again = ended.reason.is_none() || ended.code == Code::Unavailable;
        if !again || attempts == ATTEMPTS {
            return Err(Problem::Failure {
                failure: Box::new(ended),
                request_id: None,
            });
        }
        let pause = ended.retry_after.unwrap_or(PAUSE * 2_u32.pow(attempts - 1));
        tokio::time::sleep(pause).await;
    }
}

/// One stream. `beginning` moves with what was told.
async fn follow(
    session: &Session,
    beginning: &mut pb::WatchChangesRequest,
    output: Output,
) -> Result<Failure, Problem> {
    let mut changes = session.client().changes();
    let mut news = match changes.watch_changes(*beginning).await {
        Ok(news) => news.into_inner(),
        Err(status) => return Ok(Failure::of(&status)),
    };
    loop {
        match news.message().await {
            Ok(Some(told)) => {
                for change in &told.changes {
                    show(change, output)?;
                }
                *beginning = pb::WatchChangesRequest {
                    after_sequence: told.next_sequence,
                    from_now: false,
                };
            }
            Ok(None) => {
                let ended = tonic::Status::unavailable("the stream ended");
                return Ok(Failure::of(&ended));
            }
            Err(status) => return Ok(Failure::of(&status)),
        }
    }
}

fn show(change: &pb::Change, output: Output) -> Result<(), Problem> {
    let change = message::to_json(change)?;
    match output {
        Output::Json => line(&json!({"change": change}).to_string()),
        Output::Table => {
            let cells = COLUMNS.iter().filter_map(|(_, at)| change.pointer(at));
            let cells = cells.map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            line(&cells.collect::<Vec<_>>().join("  "));
        }
    }
    Ok(())
}
