//! `gavah record push`

use std::path::PathBuf;

use clap::Args;
use gavah_api::v1 as pb;
use jiff::Timestamp;

use super::rows;
use crate::commands::batch::{Batches, RowOutcome};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Args)]
#[command(after_long_help = format!(
    "Columns of a CSV file, each at most once, in any order: {}.\n\nA line of a .jsonl file is an EnrollmentRecord with \
     the field names of the contract.", rows::column_names()
))]
pub(crate) struct PushArgs {
    /// Records: .csv with a heading (see --help), or .jsonl
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the outcome of each row goes: row, outcome, reason, fields [default: FILE.result.csv]
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// The instant for which rows without as_of_time were true in the university's system
    #[arg(long, value_name = "INSTANT")]
    as_of_time: Option<Timestamp>,
    /// Check every row and change nothing
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: &PushArgs, output: Output) -> Result<Exit, Problem> {
    let as_of_time = args.as_of_time.map(|instant| instant.to_string());
    let rows = rows::read(&args.file, as_of_time.as_deref())?;
    let session = args.connection.open().await?;
    let batches = Batches {
        file: &args.file,
        rows: &rows,
        result: args.result.as_ref(),
        purpose: "gavah record push v1",
    };
    let send = async |request_id: uuid::Uuid, records| {
        let request = pb::BatchUpsertEnrollmentRecordsRequest {
            request_id: request_id.to_string(),
            validate_only: args.validate_only,
            records,
        };
        let reply = session
            .read(request, |channel, request| async move {
                channel
                    .records()
                    .batch_upsert_enrollment_records(request)
                    .await
            })
            .await;
        match reply {
            Ok(reply) => Ok(Ok(reply
                .into_message()
                .rows
                .into_iter()
                .map(outcome)
                .collect())),
            Err(Problem::Failure { failure, .. }) => Ok(Err(failure)),
            Err(problem) => Err(problem),
        }
    };
    batches.send(output, send).await
}

fn outcome(answer: pb::EnrollmentRecordRow) -> RowOutcome {
    let done = match answer.outcome() {
        pb::UpsertOutcome::Created => "CREATED",
        pb::UpsertOutcome::Replaced => "REPLACED",
        pb::UpsertOutcome::KeptNewer => "KEPT_NEWER",
        pb::UpsertOutcome::Unspecified => "VALID",
    };
    RowOutcome::of(answer.status, done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_was_checked_only_is_valid() {
        let row = pb::EnrollmentRecordRow {
            status: Some(tonic_types::Status::default()),
            ..pb::EnrollmentRecordRow::default()
        };
        assert_eq!(outcome(row), RowOutcome::done("VALID"));
    }
}
