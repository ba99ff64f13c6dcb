//! The outcome of each row, in a file: written as they come, and read again by the next start of the same command.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gavah_api::v1 as pb;
use gavah_client::Failure;
use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::message::Wrong;
use crate::problem::Problem;

const ISSUED: &str = "ISSUED";
const UNPAID: &str = "UNPAID";
const AWAITING: &str = "AWAITING_PAYMENT";
const REFUSED: &str = "REFUSED";
const NOT_SENT: &str = "NOT_SENT";
const NOT_BEGUN: &str = "NOT_BEGUN";
const HEADINGS: [&str; 6] = [
    "row",
    "outcome",
    "validity_code",
    "name",
    "reason",
    "fields",
];

/// What became of a row. Only an issued one tells a code, and none anything else of the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands::code) struct RowOutcome {
    outcome: &'static str,
    code: String,
    name: String,
    reason: String,
    fields: String,
}

impl RowOutcome {
    pub(in crate::commands::code) fn issued(code: &pb::ValidityCode) -> Self {
        Self {
            outcome: ISSUED,
            code: code.code.clone(),
            name: code.name.clone(),
            reason: String::new(),
            fields: String::new(),
        }
    }

    /// An application without a code. Its row is open: sent again, it gives the code once there is one.
    pub(in crate::commands::code) fn unpaid(application: &pb::ValidityCodeApplication) -> Self {
        let state = application.state();
        let state = state.as_str_name();
        Self {
            outcome: UNPAID,
            code: String::new(),
            name: application.name.clone(),
            reason: state
                .trim_start_matches("CODE_APPLICATION_STATE_")
                .to_owned(),
            fields: String::new(),
        }
    }

    pub(super) fn refused(failure: &Failure) -> Self {
        let fields: Vec<_> = failure
            .violations
            .iter()
            .map(|violation| format!("{} {}", violation.field, violation.reason))
            .collect();
        let reason = failure.reason.clone();
        Self {
            outcome: REFUSED,
            code: String::new(),
            name: failure
                .metadata
                .get("resource")
                .cloned()
                .unwrap_or_default(),
            reason: reason.unwrap_or_else(|| failure.code_name().to_owned()),
            fields: fields.join("; "),
        }
    }

    pub(in crate::commands::code) fn error(status: tonic_types::Status) -> Self {
        let details = status.encode_to_vec().into();
        let code = Code::from_i32(status.code);
        let status = Status::with_details(code, status.message, details);
        Self::refused(&Failure::of(&status))
    }

    pub(in crate::commands::code) fn not_begun() -> Self {
        Self {
            outcome: NOT_BEGUN,
            code: String::new(),
            name: String::new(),
            reason: String::new(),
            fields: String::new(),
        }
    }

    pub(super) fn not_sent(wrong: &[Wrong]) -> Self {
        let fields: Vec<_> = wrong.iter().map(ToString::to_string).collect();
        Self {
            outcome: NOT_SENT,
            code: String::new(),
            name: String::new(),
            reason: "FIELD_FORMAT".to_owned(),
            fields: fields.join("; "),
        }
    }
}

/// The outcomes of a run. Rows are counted from 0, and told from 1.
pub(in crate::commands::code) struct Outcomes {
    path: PathBuf,
    writer: csv::Writer<File>,
    /// Rows that an earlier start has issued.
    earlier: Arc<Vec<bool>>,
    counts: BTreeMap<&'static str, u64>,
}

impl Outcomes {
    /// Goes on with the file of an earlier start: rows that were issued stay so, all others are open again.
    pub(in crate::commands::code) fn take_up(path: &Path, rows: u64) -> Result<Self, Problem> {
        let rows =
            usize::try_from(rows).map_err(|_| Problem::usage("the file has too many rows"))?;
        let mut earlier = vec![false; rows];
        let kept = kept(path, &mut earlier)?;
        let mut outcomes = Self {
            path: path.to_owned(),
            writer: csv::Writer::from_writer(create(&draft(path))?),
            earlier: Arc::new(earlier),
            counts: BTreeMap::new(),
        };
        outcomes.record(&HEADINGS)?;
        for row in kept {
            outcomes.count(ISSUED);
            outcomes.record(&row.iter().collect::<Vec<_>>())?;
        }
        outcomes.flush()?;
        // From here on the file is whole again, whatever the earlier start left of its last line.
        fs::rename(draft(path), path).map_err(|error| Problem::file(path, &error))?;
        Ok(outcomes)
    }

    /// Begins anew, whatever outcomes the file has.
    pub(in crate::commands::code) fn anew(path: &Path) -> Result<Self, Problem> {
        Self::take_up(path, 0)
    }

    /// Which rows have no code yet.
    pub(in crate::commands::code) fn open_rows(&self) -> impl Fn(u64) -> bool + Send + use<> {
        let earlier = Arc::clone(&self.earlier);
        move |row| {
            let place = usize::try_from(row).ok();
            !place.is_some_and(|place| earlier.get(place).copied().unwrap_or(false))
        }
    }

    /// Keeps the outcome of a row.
    pub(in crate::commands::code) fn add(
        &mut self,
        row: u64,
        outcome: &RowOutcome,
    ) -> Result<(), Problem> {
        self.count(outcome.outcome);
        let number = (row + 1).to_string();
        self.record(&[
            &number,
            outcome.outcome,
            &outcome.code,
            &outcome.name,
            &outcome.reason,
            &outcome.fields,
        ])
    }

    /// How many rows have a code.
    pub(super) fn issued(&self) -> u64 {
        self.counts.get(ISSUED).copied().unwrap_or_default()
    }

    /// Writes what is left to be written, in the order of the rows.
    pub(in crate::commands::code) fn finish(&mut self) -> Result<(), Problem> {
        self.flush()?;
        if !self.earlier.contains(&true) {
            return Ok(());
        }
        let unreadable =
            |error: csv::Error| Problem::usage(format_args!("{}: {error}", self.path.display()));
        let reader = csv::Reader::from_path(&self.path).map_err(unreadable)?;
        let lines = reader.into_records().collect::<Result<Vec<_>, _>>();
        let mut lines = lines.map_err(unreadable)?;
        lines.sort_by_key(number);
        self.writer = csv::Writer::from_writer(create(&draft(&self.path))?);
        self.record(&HEADINGS)?;
        for line in lines {
            self.record(&line.iter().collect::<Vec<_>>())?;
        }
        self.flush()?;
        fs::rename(draft(&self.path), &self.path).map_err(|error| Problem::file(&self.path, &error))
    }

    pub(in crate::commands::code) fn summary(&self) -> Value {
        json!({"rows": self.earlier.len(), "outcomes": self.counts})
    }

    fn count(&mut self, outcome: &'static str) {
        *self.counts.entry(outcome).or_default() += 1;
    }

    fn record(&mut self, cells: &[&str]) -> Result<(), Problem> {
        let written = self.writer.write_record(cells);
        written.map_err(|error| Problem::usage(format_args!("{}: {error}", self.path.display())))
    }

    fn flush(&mut self) -> Result<(), Problem> {
        self.writer
            .flush()
            .map_err(|error| Problem::file(&self.path, &error))
    }
}

/// The lines of rows that were issued, each once, and where they stand. A line that was cut off is none: its row is sent
/// again and gets the same code.
fn kept(path: &Path, earlier: &mut [bool]) -> Result<Vec<csv::StringRecord>, Problem> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::file(path, &error)),
    };
    let mut reader = csv::Reader::from_reader(file);
    if reader
        .headers()
        .is_ok_and(|headings| !headings.is_empty() && headings != HEADINGS[..])
    {
        return Err(Problem::usage(format_args!(
            "{}: is no file of outcomes; name another with --result",
            path.display()
        )));
    }
    let mut kept = Vec::new();
    for line in reader.into_records().flatten() {
        let place = number(&line).checked_sub(1);
        let place = place.and_then(|place| earlier.get_mut(place));
        if let (Some(ISSUED), Some(known @ false)) = (line.get(1), place) {
            *known = true;
            kept.push(line);
        }
    }
    Ok(kept)
}

/// The applications that wait for their payment by a file of outcomes.
///
/// # Errors
/// [`Problem::Usage`] when it is no such file, or nothing waits.
pub(in crate::commands) fn waiting_in(path: &Path) -> Result<Vec<String>, Problem> {
    let told = |problem: &dyn std::fmt::Display| {
        Problem::usage(format_args!("{}: {problem}", path.display()))
    };
    let file = File::open(path).map_err(|error| Problem::file(path, &error))?;
    let mut reader = csv::Reader::from_reader(file);
    if reader.headers().map_err(|error| told(&error))? != HEADINGS[..] {
        return Err(told(&"is no file of outcomes"));
    }
    let mut waiting = Vec::new();
    for line in reader.into_records() {
        let line = line.map_err(|error| told(&error))?;
        if let (Some(UNPAID), Some(name), Some(AWAITING)) = (line.get(1), line.get(3), line.get(4))
        {
            waiting.push(name.to_owned());
        }
    }
    if waiting.is_empty() {
        return Err(told(&"nothing in it waits for a payment"));
    }
    Ok(waiting)
}

fn number(line: &csv::StringRecord) -> usize {
    line.get(0)
        .and_then(|cell| cell.parse().ok())
        .unwrap_or_default()
}

fn draft(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The file holds codes: for its owner only.
fn create(path: &Path) -> Result<File, Problem> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    file.map_err(|error| Problem::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(digits: &str) -> RowOutcome {
        RowOutcome::issued(&pb::ValidityCode {
            code: digits.to_owned(),
            name: format!("validityCodes/{digits}"),
            ..pb::ValidityCode::default()
        })
    }

    fn wrong() -> RowOutcome {
        RowOutcome::not_sent(&[Wrong {
            field: "subject".to_owned(),
            text: "is missing".to_owned(),
        }])
    }

    #[test]
    fn what_waits_for_a_payment_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.csv");
        let refused = |path: &Path| waiting_in(path).unwrap_err().to_string();
        let other = folder.path().join("class.csv");
        fs::write(&other, "a,b\n1,2\n").unwrap();
        assert!(refused(&other).contains("is no file of outcomes"));
        let application = |name: &str, state: pb::CodeApplicationState| {
            RowOutcome::unpaid(&pb::ValidityCodeApplication {
                name: name.to_owned(),
                state: state.into(),
                ..pb::ValidityCodeApplication::default()
            })
        };
        let mut outcomes = Outcomes::anew(&path).unwrap();
        outcomes.add(0, &code("1")).unwrap();
        let ended = application("a/2", pb::CodeApplicationState::PaymentExpired);
        outcomes.add(1, &ended).unwrap();
        outcomes.finish().unwrap();
        assert!(refused(&path).contains("nothing in it waits"));
        let waits = application("a/3", pb::CodeApplicationState::AwaitingPayment);
        outcomes.add(2, &waits).unwrap();
        outcomes.finish().unwrap();
        assert_eq!(waiting_in(&path).unwrap(), ["a/3"]);
    }

    fn lines(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn a_second_start_keeps_what_was_issued_and_opens_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.csv");
        let mut first = Outcomes::take_up(&path, 4).unwrap();
        first.add(0, &wrong()).unwrap();
        first.add(2, &code("7")).unwrap();
        first.finish().unwrap();
        assert_eq!(
            lines(&path),
            [
                "1,NOT_SENT,,,FIELD_FORMAT,subject: is missing",
                "3,ISSUED,7,validityCodes/7,,"
            ]
        );
        // As a process leaves it that is killed while it writes.
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("4,ISSUED,12");
        fs::write(&path, text).unwrap();
        let mut second = Outcomes::take_up(&path, 4).unwrap();
        assert_eq!(second.issued(), 1);
        let open: Vec<_> = (0..4).filter(|row| second.open_rows()(*row)).collect();
        assert_eq!(open, [0, 1, 3]);
        for row in open {
            second.add(row, &code(&row.to_string())).unwrap();
        }
        second.finish().unwrap();
        assert_eq!(second.issued(), 4);
        let codes: Vec<_> = lines(&path)
            .iter()
            .map(|line| line.split(',').take(3).collect::<Vec<_>>().join(","))
            .collect();
        assert_eq!(
            codes,
            ["1,ISSUED,0", "2,ISSUED,1", "3,ISSUED,7", "4,ISSUED,3"]
        );
        assert_eq!(
            second.summary(),
            json!({"rows": 4, "outcomes": {"ISSUED": 4}})
        );
    }

    #[test]
    fn the_file_is_for_its_owner_only_and_no_other_file_is_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.csv");
        Outcomes::take_up(&path, 1).unwrap().finish().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, "name,grade\nx,20\n").unwrap();
        assert!(Outcomes::take_up(&path, 1).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "name,grade\nx,20\n");
    }
}
