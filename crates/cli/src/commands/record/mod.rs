//! `gavah record`

mod event;
mod push;
mod rows;

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;

use crate::connection::Connection;
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum RecordCommand {
    /// Push a file of records; exit code 1 when a row failed. A second run with the same file acts on nothing twice
    Push(push::PushArgs),
    /// Read a record
    Get(GetArgs),
    /// Report an event of a student's enrollment: withdrawal, graduation …
    Event(event::EventArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Resource name: enrollmentRecords/{uuid}, or institutions/{code}/students/{student number}
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: &RecordCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        RecordCommand::Push(args) => push::run(args, output).await,
        RecordCommand::Get(args) => get(args, output).await,
        RecordCommand::Event(args) => event::run(args, output).await,
    }
}

async fn get(args: &GetArgs, output: Output) -> Result<Exit, Problem> {
    let request = pb::GetEnrollmentRecordRequest {
        name: args.name.clone(),
    };
    args.connection
        .read(output, request, |channel, request| async move {
            channel.records().get_enrollment_record(request).await
        })
        .await
}
