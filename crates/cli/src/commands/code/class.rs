//! `gavah code issue --file class.csv`: a whole class in one run, taken up again where it was cut off.

mod outcomes;
mod run_file;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_api::v1::stream_issue_validity_codes_request::Message;
use gavah_api::v1::stream_issue_validity_codes_response::Outcome;
use gavah_client::{Client, Failure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tonic::{Code, Status};

pub(in crate::commands) use self::outcomes::waiting_in;
pub(super) use self::outcomes::{Outcomes, RowOutcome};
use self::run_file::Run;
use crate::commands::table::{self, Column, STUDENT};
use crate::exit::Exit;
use crate::message::Wrong;
use crate::output::{Output, note};
use crate::problem::Problem;

/// The columns beside those of the student.
const COLUMNS: [Column; 13] = [
    ("document_kind", "document_kind"),
    ("document_number", "document.number"),
    ("document_issue_date", "document.issue_date"),
    ("document_start_date", "document.start_date"),
    ("document_end_date", "document.end_date"),
    ("gpa_hundredths", "document.gpa_hundredths"),
    ("double_major_declared", "double_major_declared"),
    ("external_ref", "external_ref"),
    ("expert", "attestation.expert.expert"),
    ("statement_version", "attestation.statement_version"),
    ("attest_time", "attestation.attest_time"),
    ("prior_degree_level", "prior_qualifications.degree_level"),
    ("prior_validity_code", "prior_qualifications.validity_code"),
];

/// Streams opened one after the other without one row acknowledged in between.
const ATTEMPTS: u32 = 5;
/// The first pause before another stream when the service names none; doubled each time.
const PAUSE: Duration = Duration::from_millis(250);

/// A class to be issued.
pub(super) struct Class<'a> {
    /// The file of rows.
    pub(super) file: &'a Path,
    /// Where the outcome of each row goes.
    pub(super) result: Option<&'a PathBuf>,
    /// What rows that do not say it themselves are attested with.
    pub(super) attested: Attested,
}

/// What holds for all rows that do not say it themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attested {
    pub(super) expert: Option<String>,
    pub(super) statement_version: Option<String>,
    pub(super) attest_time: Option<String>,
}

/// The names of the columns, for the help.
pub(super) fn column_names() -> String {
    table::names(&columns())
}

fn columns() -> Vec<Column> {
    [&STUDENT[..], &COLUMNS].concat()
}

/// The rows of the file as the contract has them; their sequence is their place, from 0.
type Rows = table::Rows<pb::IssueValidityCodeRequest>;

impl Class<'_> {
    pub(super) async fn issue(&self, client: &Client, output: Output) -> Result<Exit, Problem> {
        let run = Run::take_up(self.file, &self.attested)?;
        let attested = Attested {
            attest_time: Some(run.attest_time.clone()),
            ..self.attested.clone()
        };
        let rows = || table::rows(self.file, &columns(), complete(attested.clone()));
        let total = count(rows()?)?;
        let result_file = self.result.cloned().unwrap_or_else(|| {
            let mut name = self.file.as_os_str().to_owned();
            name.push(".result.csv");
            name.into()
        });
        let mut outcomes = Outcomes::take_up(&result_file, total)?;
        if outcomes.issued() > 0 {
            note(&format!(
                "{} of {total} rows are issued already",
                outcomes.issued()
            ));
        }
        let bar = bar(total);
        bar.set_position(outcomes.issued());
        let ended = self.run(client, &run, rows, &mut outcomes, &bar).await;
        bar.finish_and_clear();
        outcomes.finish()?;
        if let Err(problem) = ended {
            note(&format!(
                "stopped with {} of {total} rows issued, see {}; the same command goes on from there",
                outcomes.issued(),
                result_file.display()
            ));
            return Err(problem);
        }
        let mut summary = outcomes.summary();
        summary["request_id"] = json!(run.request_id);
        summary["result_file"] = json!(result_file.display().to_string());
        output.show(&summary);
        Ok(match outcomes.issued() == total {
            true => Exit::Ok,
            false => Exit::Negative,
        })
    }

    /// Streams until every row has its outcome. A stream that was cut is followed by another, which begins behind the
    /// last row that was answered.
    async fn run(
        &self,
        client: &Client,
        run: &Run,
        rows: impl Fn() -> Result<Rows, Problem>,
        outcomes: &mut Outcomes,
        bar: &ProgressBar,
    ) -> Result<(), Problem> {
        let (mut next, mut attempts) = (0, 0);
        loop {
            let before = next;
            let Err(cut) = stream(client, run, rows()?, &mut next, outcomes, bar).await? else {
                return Ok(());
            };
            attempts = if next > before { 1 } else { attempts + 1 };
            let again = cut.reason.is_none()
                || matches!(cut.code, Code::Unavailable | Code::DeadlineExceeded);
            if !again || attempts == ATTEMPTS {
                return Err(Problem::Failure {
                    failure: Box::new(cut),
                    request_id: None,
                });
            }
            let pause = cut.retry_after.unwrap_or(PAUSE * 2_u32.pow(attempts - 1));
            tokio::time::sleep(pause).await;
        }
    }
}

/// One stream, from the row `next` on, which moves with every answer. The inner error is what cut it.
async fn stream(
    client: &Client,
    run: &Run,
    rows: Rows,
    next: &mut u64,
    outcomes: &mut Outcomes,
    bar: &ProgressBar,
) -> Result<Result<(), Failure>, Problem> {
    let aside = Arc::new(Mutex::new(Aside::default()));
    let sent = messages(run, rows, *next, outcomes.open_rows(), Arc::clone(&aside));
    let answers = client
        .validity_codes()
        .stream_issue_validity_codes(tokio_stream::iter(sent))
        .await;
    let mut answers = match answers {
        Ok(answers) => answers.into_inner(),
        Err(status) => return Ok(Err(Failure::of(&status))),
    };
    loop {
        let answer = match answers.message().await {
            Ok(answer) => answer,
            Err(status) => return Ok(Err(Failure::of(&status))),
        };
        let told = answer.as_ref().map(|answer| answer.sequence.unsigned_abs());
        for (row, wrong) in not_sent_before(&aside, told)? {
            outcomes.add(row, &RowOutcome::not_sent(&wrong))?;
            bar.inc(1);
        }
        let Some(answer) = answer else {
            return Ok(Ok(()));
        };
        let row = answer.sequence.unsigned_abs();
        outcomes.add(row, &outcome(answer))?;
        *next = row + 1;
        bar.inc(1);
    }
}

/// What the sending side found out: it cannot tell it by itself, since it runs within the connection.
#[derive(Default)]
struct Aside {
    wrong: VecDeque<(u64, Vec<Wrong>)>,
    broken: Option<Problem>,
}

/// The messages of a stream: its start, and every row from `first` on that is open.
fn messages(
    run: &Run,
    rows: Rows,
    first: u64,
    open: impl Fn(u64) -> bool + Send + 'static,
    aside: Arc<Mutex<Aside>>,
) -> impl Iterator<Item = pb::StreamIssueValidityCodesRequest> + Send + 'static {
    let start = Message::Start(pb::StreamIssueValidityCodesStart {
        request_id: run.request_id.clone(),
    });
    let rows = (0..).zip(rows).map_while({
        let aside = Arc::clone(&aside);
        move |(number, row)| match row {
            Ok(row) => Some((number, row)),
            Err(problem) => {
                lock(&aside).broken = Some(problem);
                None
            }
        }
    });
    let rows = rows.filter(move |(number, _)| *number >= first && open(*number));
    let rows = rows.filter_map(move |(number, row): (u64, _)| match row {
        Ok(request) => Some(Message::Row(as_row(number, request))),
        Err(wrong) => {
            lock(&aside).wrong.push_back((number, wrong));
            None
        }
    });
    std::iter::once(start)
        .chain(rows)
        .map(|message| pb::StreamIssueValidityCodesRequest {
            message: Some(message),
        })
}

fn lock(aside: &Mutex<Aside>) -> std::sync::MutexGuard<'_, Aside> {
    aside.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rows that could not be sent before the row `told`, or all at the end.
fn not_sent_before(
    aside: &Mutex<Aside>,
    told: Option<u64>,
) -> Result<Vec<(u64, Vec<Wrong>)>, Problem> {
    let mut aside = lock(aside);
    if told.is_none()
        && let Some(problem) = aside.broken.take()
    {
        return Err(problem);
    }
    let passed = aside
        .wrong
        .partition_point(|(row, _)| told.is_none_or(|told| *row < told));
    Ok(aside.wrong.drain(..passed).collect())
}

fn as_row(number: u64, request: pb::IssueValidityCodeRequest) -> pb::StreamIssueValidityCodesRow {
    pb::StreamIssueValidityCodesRow {
        sequence: i64::try_from(number).unwrap_or(i64::MAX),
        subject: request.subject,
        program: request.program,
        document_kind: request.document_kind,
        document: request.document,
        prior_qualifications: request.prior_qualifications,
        double_major_declared: request.double_major_declared,
        external_ref: request.external_ref,
        attestation: request.attestation,
    }
}

fn outcome(answer: pb::StreamIssueValidityCodesResponse) -> RowOutcome {
    match answer.outcome {
        Some(Outcome::ValidityCode(code)) => RowOutcome::issued(&code),
        Some(Outcome::Application(application)) => RowOutcome::unpaid(&application),
        Some(Outcome::Error(status)) => RowOutcome::error(status),
        None => RowOutcome::refused(&Failure::of(&Status::unknown("an answer without outcome"))),
    }
}

/// The rows of a file that can all be read.
///
/// # Errors
/// [`Problem::Usage`] naming the rows that cannot.
pub(super) fn whole(
    file: &Path,
    attested: Attested,
) -> Result<Vec<pb::StreamIssueValidityCodesRow>, Problem> {
    let rows: Rows = table::rows(file, &columns(), complete(attested))?;
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for (number, row) in (0..).zip(rows) {
        match row? {
            Ok(request) => good.push(as_row(number, request)),
            Err(found) => {
                let found: Vec<_> = found.iter().map(ToString::to_string).collect();
                wrong.push(format!("row {}: {}", number + 1, found.join("; ")));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(good);
    }
    let more = wrong.len().saturating_sub(TOLD);
    wrong.truncate(TOLD);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    Err(Problem::usage(format_args!(
        "{}: {}",
        file.display(),
        wrong.join("\n")
    )))
}

/// Wrong rows that are told one by one.
const TOLD: usize = 20;

/// Adds to a row what it does not say itself, and makes an expert's code the name it stands for.
fn complete(attested: Attested) -> impl Fn(&mut Value) + Send + 'static {
    move |row| {
        for (field, value) in [
            ("attestation.expert.expert", &attested.expert),
            ("attestation.statement_version", &attested.statement_version),
            ("attestation.attest_time", &attested.attest_time),
        ] {
            let pointer = format!("/{}", field.replace('.', "/"));
            if let (Some(value), None) = (value, row.pointer(&pointer)) {
                table::put(row, field, json!(value));
            }
        }
        let institution = row.pointer("/program/institution_code").cloned();
        if let (Some(Value::String(institution)), Some(Value::String(expert))) =
            (institution, row.pointer_mut("/attestation/expert/expert"))
            && !expert.contains('/')
        {
            *expert = format!("institutions/{institution}/experts/{expert}");
        }
        // A table has room for one.
        if let Some(prior @ Value::Object(_)) = row.get_mut("prior_qualifications") {
            *prior = json!([prior.take()]);
        }
    }
}

fn count(rows: Rows) -> Result<u64, Problem> {
    let mut count = 0;
    for row in rows {
        row?.ok();
        count += 1;
    }
    Ok(count)
}

/// Shown on standard error, and only when that is a terminal.
fn bar(rows: u64) -> ProgressBar {
    let bar = ProgressBar::new(rows);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {per_sec}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message;

    #[test]
    fn every_column_fills_a_field_of_the_request() {
        for (name, field) in columns() {
            let mut row = json!({});
            table::put(&mut row, field, json!("\u{1}"));
            complete(Attested::default())(&mut row);
            let wrong = message::from_json::<pb::IssueValidityCodeRequest>(&row).unwrap();
            for wrong in wrong.err().unwrap_or_default() {
                assert!(!wrong.text.starts_with("unknown"), "{name}: {wrong}");
            }
        }
    }

    #[test]
    fn a_row_is_completed_with_what_it_does_not_say() {
        let attested = Attested {
            expert: Some("E-1".to_owned()),
            statement_version: Some("1".to_owned()),
            attest_time: Some("2026-05-13T08:30:00Z".to_owned()),
        };
        let mut row = json!({
            "program": {"institution_code": "SYN-1"},
            "attestation": {"statement_version": "2"},
            "prior_qualifications": {"degree_level": "MASTER_CONTINUOUS"},
        });
        complete(attested)(&mut row);
        assert_eq!(
            row,
            json!({
                "program": {"institution_code": "SYN-1"},
                "attestation": {
                    "expert": {"expert": "institutions/SYN-1/experts/E-1"},
                    "statement_version": "2",
                    "attest_time": "2026-05-13T08:30:00Z",
                },
                "prior_qualifications": [{"degree_level": "MASTER_CONTINUOUS"}],
            })
        );
        let named = json!({"attestation": {"expert": {"expert": "institutions/A/experts/B"}}});
        let mut row = named.clone();
        complete(Attested::default())(&mut row);
        assert_eq!(row, named);
    }

    #[test]
    fn rows_that_are_wrong_or_issued_are_not_sent() {
        let row = |text: &str| {
            Ok(Err(vec![Wrong {
                field: String::new(),
                text: text.to_owned(),
            }]))
        };
        let good = || Ok(Ok(pb::IssueValidityCodeRequest::default()));
        let rows: Rows = Box::new([good(), row("one"), good(), row("three"), good()].into_iter());
        let run = Run {
            request_id: "r".to_owned(),
            attest_time: String::new(),
        };
        let aside = Arc::default();
        let sent: Vec<_> = messages(&run, rows, 0, |row| row != 2, Arc::clone(&aside)).collect();
        let sequences: Vec<_> = sent
            .iter()
            .map(|message| match message.message.as_ref().unwrap() {
                Message::Start(start) => Err(start.request_id.as_str()),
                Message::Row(row) => Ok(row.sequence),
            })
            .collect();
        assert_eq!(sequences, [Err("r"), Ok(0), Ok(4)]);
        let rows = |told| {
            let passed = not_sent_before(&aside, told).unwrap().into_iter();
            passed.map(|(row, _)| row).collect::<Vec<_>>()
        };
        assert!(rows(Some(0)).is_empty());
        assert_eq!(rows(Some(2)), [1]);
        assert_eq!(rows(None), [3]);
    }
}
