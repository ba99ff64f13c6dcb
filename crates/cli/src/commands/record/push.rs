//! `gavah record push`

use std::fs::File;
use std::path::PathBuf;

use aws_lc_rs::digest::{Context, SHA256};
use clap::Args;
use gavah_api::v1 as pb;
use gavah_client::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use prost::Message;
use serde_json::{Map, Value, json};
use tonic::{Code, Status};
use uuid::Uuid;

use super::rows::{self, Row};
use crate::connection::{Connection, Session};
use crate::exit::Exit;
use crate::message::Wrong;
use crate::output::{Output, note};
use crate::problem::Problem;

/// Rows in one call.
const BATCH: usize = 500;

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

/// What became of a row. Its words carry no value of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RowOutcome {
    outcome: &'static str,
    reason: String,
    fields: String,
}

impl RowOutcome {
    fn done(outcome: &'static str) -> Self {
        Self {
            outcome,
            reason: String::new(),
            fields: String::new(),
        }
    }

    fn failed(outcome: &'static str, failure: &Failure) -> Self {
        let fields: Vec<_> = failure
            .violations
            .iter()
            .map(|violation| format!("{} {}", violation.field, violation.reason))
            .collect();
        Self {
            outcome,
            reason: failure
                .reason
                .clone()
                .unwrap_or_else(|| failure.code_name().to_owned()),
            fields: fields.join("; "),
        }
    }

    fn not_sent(wrong: &[Wrong]) -> Self {
        let fields: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        Self {
            outcome: "NOT_SENT",
            reason: "FIELD_FORMAT".to_owned(),
            fields: fields.join("; "),
        }
    }

    fn is_failure(&self) -> bool {
        !self.reason.is_empty()
    }
}

pub(crate) async fn run(args: &PushArgs, output: Output) -> Result<Exit, Problem> {
    let as_of_time = args.as_of_time.map(|instant| instant.to_string());
    let rows = rows::read(&args.file, as_of_time.as_deref())?;
    let result_file = args.result.clone().unwrap_or_else(|| {
        let mut name = args.file.as_os_str().to_owned();
        name.push(".result.csv");
        name.into()
    });
    let session = args.connection.open().await?;
    let mut results = Results::create(&result_file)?;
    let bar = bar(rows.len());
    let mut failed = None;
    for (number, batch) in rows.chunks(BATCH).enumerate() {
        match push(&session, number, batch, args.validate_only).await? {
            Ok(outcomes) => results.write(&outcomes)?,
            Err(failure) => {
                results.write(&unanswered(batch, &failure))?;
                failed = Some(failure);
                break;
            }
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    if let Some(failure) = failed {
        note(&format!(
            "stopped after {} of {} rows, see {}; running it again is safe",
            results.rows,
            rows.len(),
            result_file.display()
        ));
        return Err(Problem::Failure {
            failure,
            request_id: None,
        });
    }
    let mut summary = results.summary();
    summary["result_file"] = json!(result_file.display().to_string());
    output.show(&summary);
    Ok(if results.failed > 0 {
        Exit::Negative
    } else {
        Exit::Ok
    })
}

/// Shown on standard error, and only when that is a terminal.
fn bar(rows: usize) -> ProgressBar {
    let bar = ProgressBar::new(rows as u64);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Sends the rows of a batch that could be read; the inner error is that of the whole call.
async fn push(
    session: &Session,
    number: usize,
    batch: &[Row],
    validate_only: bool,
) -> Result<Result<Vec<RowOutcome>, Box<Failure>>, Problem> {
    let records: Vec<_> = batch
        .iter()
        .filter_map(|row| row.as_ref().ok().cloned())
        .collect();
    let mut answers = Vec::new();
    if !records.is_empty() {
        let request = pb::BatchUpsertEnrollmentRecordsRequest {
            request_id: request_id(number, &records).to_string(),
            validate_only,
            records,
        };
        let sent = request.records.len();
        let reply = session
            .read(request, |channel, request| async move {
                channel
                    .records()
                    .batch_upsert_enrollment_records(request)
                    .await
            })
            .await;
        answers = match reply {
            Ok(reply) => reply.into_message().rows,
            Err(Problem::Failure { failure, .. }) => return Ok(Err(failure)),
            Err(problem) => return Err(problem),
        };
        if answers.len() != sent {
            return Err(Problem::Internal(
                "the service did not answer every row".to_owned(),
            ));
        }
    }
    let mut answers = answers.iter();
    let outcomes = batch
        .iter()
        .map(|row| match (row, row.is_ok().then(|| answers.next())) {
            (Ok(_), Some(Some(answer))) => outcome(answer),
            (Ok(_), _) => RowOutcome::done("NOT_ANSWERED"),
            (Err(wrong), _) => RowOutcome::not_sent(wrong),
        });
    Ok(Ok(outcomes.collect()))
}

/// The same rows at the same place of the same file have the same retry key: a second run repeats the first instead
/// of acting again. A UUID of version 8 from SHA-256.
fn request_id(number: usize, records: &[pb::EnrollmentRecord]) -> Uuid {
    let mut digest = Context::new(&SHA256);
    digest.update(b"gavah record push v1");
    digest.update(&(number as u64).to_be_bytes());
    for record in records {
        let bytes = record.encode_to_vec();
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(&bytes);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&digest.finish().as_ref()[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid()
}

fn outcome(answer: &pb::EnrollmentRecordRow) -> RowOutcome {
    let status = answer.status.clone().unwrap_or_default();
    if status.code == Code::Ok as i32 {
        return RowOutcome::done(match answer.outcome() {
            pb::UpsertOutcome::Created => "CREATED",
            pb::UpsertOutcome::Replaced => "REPLACED",
            pb::UpsertOutcome::KeptNewer => "KEPT_NEWER",
            pb::UpsertOutcome::Unspecified => "VALID",
        });
    }
    let details = status.encode_to_vec();
    let status = Status::with_details(Code::from_i32(status.code), status.message, details.into());
    RowOutcome::failed("REFUSED", &Failure::of(&status))
}

/// The rows of a batch that got no answer: whether they were acted on is not known.
fn unanswered(batch: &[Row], failure: &Failure) -> Vec<RowOutcome> {
    let outcome = |row: &Row| match row {
        Ok(_) => RowOutcome::failed("NOT_ANSWERED", failure),
        Err(wrong) => RowOutcome::not_sent(wrong),
    };
    batch.iter().map(outcome).collect()
}

/// The result file, written batch by batch.
struct Results {
    path: PathBuf,
    writer: csv::Writer<File>,
    rows: u64,
    failed: u64,
    counts: Map<String, Value>,
}

impl Results {
    fn create(path: &std::path::Path) -> Result<Self, Problem> {
        let file = File::create(path).map_err(|error| Problem::file(path, &error))?;
        let mut results = Self {
            path: path.to_owned(),
            writer: csv::Writer::from_writer(file),
            rows: 0,
            failed: 0,
            counts: Map::new(),
        };
        results.record(&["row", "outcome", "reason", "fields"])?;
        Ok(results)
    }

    fn write(&mut self, outcomes: &[RowOutcome]) -> Result<(), Problem> {
        for row in outcomes {
            self.rows += 1;
            self.failed += u64::from(row.is_failure());
            let count = self
                .counts
                .get(row.outcome)
                .and_then(Value::as_u64)
                .unwrap_or(0);
            self.counts.insert(row.outcome.to_owned(), json!(count + 1));
            let number = self.rows.to_string();
            self.record(&[&number, row.outcome, &row.reason, &row.fields])?;
        }
        self.writer
            .flush()
            .map_err(|error| Problem::file(&self.path, &error))
    }

    fn record(&mut self, cells: &[&str]) -> Result<(), Problem> {
        let written = self.writer.write_record(cells);
        written.map_err(|error| Problem::usage(format_args!("{}: {error}", self.path.display())))
    }

    fn summary(&self) -> Value {
        json!({"rows": self.rows, "failed": self.failed, "outcomes": self.counts})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(student_number: &str) -> pb::EnrollmentRecord {
        pb::EnrollmentRecord {
            program: Some(pb::Program {
                student_number: student_number.to_owned(),
                ..pb::Program::default()
            }),
            ..pb::EnrollmentRecord::default()
        }
    }

    #[test]
    fn the_retry_key_depends_on_the_rows_and_their_place_and_nothing_else() {
        let id = request_id(0, &[record("1"), record("2")]);
        assert_eq!(id, request_id(0, &[record("1"), record("2")]));
        assert_eq!(id.get_version_num(), 8);
        assert!(gavah_api::is_uuid(&id.to_string()));
        for other in [
            request_id(1, &[record("1"), record("2")]),
            request_id(0, &[record("2"), record("1")]),
            request_id(0, &[record("1")]),
        ] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn a_refused_row_keeps_its_reason_and_fields() {
        use tonic_types::{ErrorDetails, StatusExt};
        let mut details = ErrorDetails::new();
        details.set_error_info("FIELD_REQUIRED", "gavah", std::collections::HashMap::new());
        let status =
            Status::with_error_details(Code::InvalidArgument, "the field is required", details);
        let row = pb::EnrollmentRecordRow {
            status: Some(tonic_types::Status::decode(status.details()).unwrap()),
            ..pb::EnrollmentRecordRow::default()
        };
        let outcome = outcome(&row);
        assert_eq!(
            (outcome.outcome, outcome.reason.as_str()),
            ("REFUSED", "FIELD_REQUIRED")
        );
        assert!(outcome.is_failure());
    }

    #[test]
    fn a_row_that_was_checked_only_is_valid() {
        let row = pb::EnrollmentRecordRow {
            status: Some(tonic_types::Status::default()),
            ..pb::EnrollmentRecordRow::default()
        };
        assert_eq!(outcome(&row), RowOutcome::done("VALID"));
    }
}
