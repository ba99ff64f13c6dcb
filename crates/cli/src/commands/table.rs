//! Tables of rows, each a message of the contract: CSV with a heading, or JSON lines.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::message::{self, Named, Wrong};
use crate::problem::Problem;

/// A row as read: a message, or what is wrong with it.
pub(super) type Row<M> = Result<M, Vec<Wrong>>;

/// The rows of a file, one after the other.
pub(super) type Rows<M> = Box<dyn Iterator<Item = Result<Row<M>, Problem>> + Send>;

/// The name of a column of a CSV file and the field it fills. Several blocks stand in one cell, separated by spaces,
/// commas or semicolons.
pub(super) type Column = (&'static str, &'static str);

/// The columns of whoever is told about: student and programme.
pub(super) const STUDENT: [Column; 23] = [
    ("national_code", "subject.person_id.national_code"),
    ("foreign_code_kind", "subject.person_id.foreign_code.kind"),
    ("foreign_code", "subject.person_id.foreign_code.value"),
    ("passport_number", "subject.person_id.passport.number"),
    ("passport_country", "subject.person_id.passport.country"),
    ("given_name_fa", "subject.name.given_name_fa"),
    ("family_name_fa", "subject.name.family_name_fa"),
    ("given_name_en", "subject.name.given_name_en"),
    ("family_name_en", "subject.name.family_name_en"),
    ("no_family_name", "subject.name.no_family_name"),
    ("father_name_fa", "subject.father_name_fa"),
    ("birth_date", "subject.birth_date"),
    ("gender", "subject.gender"),
    ("nationality", "subject.nationality"),
    ("institution_code", "program.institution_code"),
    ("unit_name_fa", "program.unit_name_fa"),
    ("student_number", "program.student_number"),
    ("degree_level", "program.degree_level"),
    ("field_code", "program.field_code"),
    ("field_title_fa", "program.field_title_fa"),
    ("field_title_en", "program.field_title_en"),
    ("study_mode", "program.study_mode"),
    ("entry_term", "program.entry_term"),
];

/// The names of the columns, for the help.
pub(super) fn names(columns: &[Column]) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// Whether the file is one of rows, by its ending.
pub(super) fn is_table(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str);
    matches!(ending, Some("csv" | "jsonl" | "ndjson"))
}

/// Reads all rows of a file.
///
/// # Errors
/// [`Problem::Usage`] when the file as a whole cannot be used; a wrong row is an outcome of its own.
pub(super) fn read<M: Named>(
    path: &Path,
    columns: &[Column],
    complete: impl Fn(&mut Value) + Send + 'static,
) -> Result<Vec<Row<M>>, Problem> {
    rows(path, columns, complete)?.collect()
}

/// Reads a file row by row, by its ending; `complete` adds to each row what it does not say itself. An error that comes
/// instead of a row ends the reading.
///
/// # Errors
/// [`Problem::Usage`] when the file as a whole cannot be used; a wrong row is an outcome of its own.
pub(super) fn rows<M: Named>(
    path: &Path,
    columns: &[Column],
    complete: impl Fn(&mut Value) + Send + 'static,
) -> Result<Rows<M>, Problem> {
    let values = values(path, columns)?;
    Ok(Box::new(values.map(move |value| match value? {
        Ok(mut value) => {
            if value.is_object() {
                complete(&mut value);
            }
            message::from_json(&value)
        }
        Err(text) => Ok(Err(vec![Wrong {
            field: String::new(),
            text,
        }])),
    })))
}

/// A row as JSON, or what is wrong with it as a whole.
type Values = Box<dyn Iterator<Item = Result<Result<Value, String>, Problem>> + Send>;

fn values(path: &Path, columns: &[Column]) -> Result<Values, Problem> {
    let open = || {
        let file = File::open(path).map_err(|error| Problem::file(path, &error))?;
        Ok::<_, Problem>(BufReader::new(file))
    };
    match path.extension().and_then(OsStr::to_str) {
        Some("csv") => csv_rows(path, open()?, columns),
        Some("jsonl" | "ndjson") => Ok(json_rows(path, open()?)),
        _ => {
            let text = format!("{}: the name must end in .csv or .jsonl", path.display());
            Err(Problem::usage(text))
        }
    }
}

fn json_rows(path: &Path, file: BufReader<File>) -> Values {
    let path = path.to_owned();
    let lines = file.split(b'\n');
    let lines = lines.filter(|line| !matches!(line, Ok(line) if line.trim_ascii().is_empty()));
    Box::new(lines.map(move |line| match line {
        // The parser's own text may quote the line.
        Ok(line) => Ok(serde_json::from_slice(&line).map_err(|_| "is not JSON".to_owned())),
        Err(error) => Err(Problem::file(&path, &error)),
    }))
}

fn csv_rows(path: &Path, mut file: BufReader<File>, columns: &[Column]) -> Result<Values, Problem> {
    // Spreadsheets put a mark before the first heading.
    let begins = file
        .fill_buf()
        .map_err(|error| Problem::file(path, &error))?;
    if begins.starts_with(b"\xef\xbb\xbf") {
        file.consume(3);
    }
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(file);
    let headings = reader
        .headers()
        .map_err(|error| Problem::usage(format_args!("{}: {error}", path.display())))?;
    let mut fields = Vec::new();
    let mut problems = Vec::new();
    for (index, heading) in headings.iter().enumerate() {
        match columns.iter().find(|(name, _)| *name == heading) {
            Some((_, field)) if fields.contains(field) => {
                problems.push(format!(
                    "{}: column {heading} stands there twice",
                    path.display()
                ));
            }
            Some((_, field)) => fields.push(*field),
            None => problems.push(format!(
                "{}: column {} is called {heading:?}; the columns are {}",
                path.display(),
                index + 1,
                names(columns)
            )),
        }
    }
    if !problems.is_empty() {
        return Err(Problem::Usage(problems));
    }
    let path = path.to_owned();
    Ok(Box::new(reader.into_records().map(
        move |record| match record {
            Ok(record) => {
                let mut row = json!({});
                for (field, cell) in fields.iter().zip(&record) {
                    if !cell.is_empty() {
                        put(&mut row, field, cell_value(field, cell));
                    }
                }
                Ok(Ok(row))
            }
            Err(error) => match error.kind() {
                csv::ErrorKind::UnequalLengths {
                    expected_len, len, ..
                } => Ok(Err(format!("has {len} cells instead of {expected_len}"))),
                csv::ErrorKind::Utf8 { .. } => Ok(Err("is not UTF-8".to_owned())),
                csv::ErrorKind::Io(error) => Err(Problem::file(&path, error)),
                _ => Ok(Err("cannot be read".to_owned())),
            },
        },
    )))
}

/// A table has nothing but texts.
fn cell_value(field: &str, cell: &str) -> Value {
    match field {
        "blocks" => cell
            .split([' ', ',', ';', '،', '؛'])
            .filter(|kind| !kind.is_empty())
            .map(|kind| json!(kind))
            .collect(),
        "subject.name.no_family_name" | "double_major_declared" => {
            match cell.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => json!(true),
                "false" | "no" | "0" => json!(false),
                _ => json!(cell),
            }
        }
        _ => json!(cell),
    }
}

pub(super) fn put(row: &mut Value, field: &str, value: Value) {
    let mut place = row;
    for part in field.split('.') {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[part];
    }
    *place = value;
}
