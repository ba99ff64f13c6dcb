//! `gavah code import`

use std::path::PathBuf;

use clap::Args;
use gavah_api::v1 as pb;

use crate::commands::batch::{Batches, RowOutcome};
use crate::commands::table::{self, Column, STUDENT};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

/// The columns beside those of the student.
const COLUMNS: [Column; 10] = [
    ("code", "code"),
    ("document_kind", "document_kind"),
    ("document_number", "document.number"),
    ("document_issue_date", "document.issue_date"),
    ("document_start_date", "document.start_date"),
    ("document_end_date", "document.end_date"),
    ("gpa_hundredths", "document.gpa_hundredths"),
    ("double_major_declared", "double_major_declared"),
    ("external_ref", "external_ref"),
    ("issue_time", "issue_time"),
];

fn columns() -> Vec<Column> {
    [&STUDENT[..], &COLUMNS].concat()
}

#[derive(Debug, Args)]
#[command(after_long_help = format!(
    "Columns of a CSV file, each at most once, in any order: {}.\n\nA line of a .jsonl file is a LegacyCode with the field \
     names of the contract. Running it again is safe: rows that are in already are told as such.", table::names(&columns())
))]
pub(crate) struct ImportArgs {
    /// Codes that were issued before this service: .csv with a heading (see --help), or .jsonl
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the outcome of each row goes: row, outcome, reason, fields [default: FILE.result.csv]
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// Check every row and change nothing
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: &ImportArgs, output: Output) -> Result<Exit, Problem> {
    let rows = table::read(&args.file, &columns(), |_| {})?;
    let session = args.connection.open().await?;
    let batches = Batches {
        file: &args.file,
        rows: &rows,
        result: args.result.as_ref(),
        purpose: "gavah code import v1",
    };
    let send = async |request_id: uuid::Uuid, codes| {
        let request = pb::BatchImportLegacyCodesRequest {
            request_id: request_id.to_string(),
            validate_only: args.validate_only,
            codes,
        };
        let reply = session
            .read(request, |channel, request| async move {
                channel
                    .validity_codes()
                    .batch_import_legacy_codes(request)
                    .await
            })
            .await;
        let done = if args.validate_only {
            "VALID"
        } else {
            "IMPORTED"
        };
        match reply {
            Ok(reply) => {
                let rows = reply.into_message().rows.into_iter();
                Ok(Ok(rows
                    .map(|row| RowOutcome::of(row.status, done))
                    .collect()))
            }
            Err(Problem::Failure { failure, .. }) => Ok(Err(failure)),
            Err(problem) => Err(problem),
        }
    };
    batches.send(output, send).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message;

    #[test]
    fn every_column_fills_a_field_of_the_code() {
        for (name, field) in columns() {
            let mut row = json!({});
            table::put(&mut row, field, json!("\u{1}"));
            let wrong = message::from_json::<pb::LegacyCode>(&row).unwrap();
            for wrong in wrong.err().unwrap_or_default() {
                assert!(!wrong.text.starts_with("unknown"), "{name}: {wrong}");
            }
        }
    }
}
