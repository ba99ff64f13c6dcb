//! Files of rows that are sent a batch at a time, each row with its own outcome.

use std::fs::File;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use gavah_client::Failure;
use indicatif::{ProgressBar, ProgressStyle};
use prost::Message;
use serde_json::{Map, Value, json};
use tonic::{Code, Status};
use uuid::Uuid;

use super::table::Row;
use crate::exit::Exit;
use crate::message::Wrong;
use crate::output::{Output, note};
use crate::problem::Problem;

/// Rows in one call.
const BATCH: usize = 500;

/// A file to send.
pub(super) struct Batches<'a, M> {
    /// The file.
    pub(super) file: &'a Path,
    /// Its rows.
    pub(super) rows: &'a [Row<M>],
    /// Where the outcome of each row goes; beside the file when not said.
    pub(super) result: Option<&'a PathBuf>,
    /// What the retry keys begin with: the same rows for another purpose are another request.
    pub(super) purpose: &'static str,
}

impl<M: Message + Clone> Batches<'_, M> {
    /// Sends every row that can be read by `send`, which answers each of them or tells why the call failed.
    ///
    /// # Errors
    /// [`Problem`] of the call that ended the run; the result file tells of every row before it.
    pub(super) async fn send(
        &self,
        output: Output,
        send: impl AsyncFn(Uuid, Vec<M>) -> Result<Result<Vec<RowOutcome>, Box<Failure>>, Problem>,
    ) -> Result<Exit, Problem> {
        let result_file = self.result.cloned().unwrap_or_else(|| {
            let mut name = self.file.as_os_str().to_owned();
            name.push(".result.csv");
            name.into()
        });
        let mut results = Results::create(&result_file)?;
        let bar = bar(self.rows.len());
        let mut failed = None;
        for (number, batch) in self.rows.chunks(BATCH).enumerate() {
            match self.one(number, batch, &send).await? {
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
                self.rows.len(),
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

    /// Sends the rows of a batch that could be read; the inner error is that of the whole call.
    async fn one(
        &self,
        number: usize,
        batch: &[Row<M>],
        send: &impl AsyncFn(Uuid, Vec<M>) -> Result<Result<Vec<RowOutcome>, Box<Failure>>, Problem>,
    ) -> Result<Result<Vec<RowOutcome>, Box<Failure>>, Problem> {
        let readable = batch.iter().filter_map(|row| row.as_ref().ok().cloned());
        let readable: Vec<_> = readable.collect();
        let sent = readable.len();
        let mut answers = Vec::new();
        if sent > 0 {
            let id = request_id(self.purpose, number, &readable);
            answers = match send(id, readable).await? {
                Ok(answers) => answers,
                Err(failure) => return Ok(Err(failure)),
            };
        }
        if answers.len() != sent {
            return Err(Problem::Internal(
                "the service did not answer every row".to_owned(),
            ));
        }
        let mut answers = answers.into_iter();
        let outcomes = batch.iter().map(|row| match row {
            Ok(_) => answers
                .next()
                .unwrap_or_else(|| RowOutcome::done("NOT_ANSWERED")),
            Err(wrong) => RowOutcome::not_sent(wrong),
        });
        Ok(Ok(outcomes.collect()))
    }
}

/// What became of a row. Its words carry no value of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowOutcome {
    outcome: &'static str,
    reason: String,
    fields: String,
}

impl RowOutcome {
    pub(super) fn done(outcome: &'static str) -> Self {
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

    /// What came of a row that has a status: `done` when it is good.
    pub(super) fn of(status: Option<tonic_types::Status>, done: &'static str) -> Self {
        let status = status.unwrap_or_default();
        if status.code == Code::Ok as i32 {
            return Self::done(done);
        }
        let details = status.encode_to_vec();
        let code = Code::from_i32(status.code);
        let status = Status::with_details(code, status.message, details.into());
        Self::failed("REFUSED", &Failure::of(&status))
    }

    fn is_failure(&self) -> bool {
        !self.reason.is_empty()
    }
}

/// Shown on standard error, and only when that is a terminal.
fn bar(rows: usize) -> ProgressBar {
    let bar = ProgressBar::new(rows as u64);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The same rows at the same place of the same file have the same retry key: a second run repeats the first instead
/// of acting again. A UUID of version 8 from SHA-256.
fn request_id(purpose: &str, number: usize, rows: &[impl Message]) -> Uuid {
    let mut digest = Context::new(&SHA256);
    digest.update(purpose.as_bytes());
    digest.update(&(number as u64).to_be_bytes());
    for row in rows {
        let bytes = row.encode_to_vec();
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(&bytes);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&digest.finish().as_ref()[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid()
}

/// The rows of a batch that got no answer: whether they were acted on is not known.
fn unanswered<M>(batch: &[Row<M>], failure: &Failure) -> Vec<RowOutcome> {
    let outcome = |row: &Row<M>| match row {
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
    fn create(path: &Path) -> Result<Self, Problem> {
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
    use gavah_api::v1 as pb;

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
    fn the_retry_key_depends_on_the_rows_their_place_and_their_purpose_and_nothing_else() {
        let id = request_id("push", 0, &[record("1"), record("2")]);
        assert_eq!(id, request_id("push", 0, &[record("1"), record("2")]));
        assert_eq!(id.get_version_num(), 8);
        assert!(gavah_api::is_uuid(&id.to_string()));
        for other in [
            request_id("push", 1, &[record("1"), record("2")]),
            request_id("push", 0, &[record("2"), record("1")]),
            request_id("push", 0, &[record("1")]),
            request_id("import", 0, &[record("1"), record("2")]),
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
        let status = tonic_types::Status::decode(status.details()).unwrap();
        let outcome = RowOutcome::of(Some(status), "CREATED");
        assert_eq!(
            (outcome.outcome, outcome.reason.as_str()),
            ("REFUSED", "FIELD_REQUIRED")
        );
        assert!(outcome.is_failure());
    }

    #[test]
    fn a_row_without_an_error_is_done() {
        let outcome = RowOutcome::of(Some(tonic_types::Status::default()), "CREATED");
        assert_eq!(outcome, RowOutcome::done("CREATED"));
    }
}
