//! Files of enrollment records: CSV with a heading, or JSON lines.

use std::ffi::OsStr;
use std::path::Path;

use gavah_api::v1 as pb;
use serde_json::{Map, Value, json};

use crate::message::{self, Wrong};
use crate::problem::Problem;

/// A row as read: a record, or what is wrong with it.
pub(super) type Row = Result<pb::EnrollmentRecord, Vec<Wrong>>;

/// The columns of a CSV file and the fields they fill. Several blocks stand in one cell, separated by spaces,
/// commas or semicolons.
const COLUMNS: [(&str, &str); 31] = [
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
    ("status", "status"),
    ("current_term", "current_term"),
    ("registered_units", "registered_units"),
    ("status_effective_date", "status_effective_date"),
    ("expected_graduation_date", "expected_graduation_date"),
    ("blocks", "blocks"),
    ("external_ref", "external_ref"),
    ("as_of_time", "as_of_time"),
];

/// The names of the columns, for the help.
pub(super) fn column_names() -> String {
    COLUMNS.map(|(name, _)| name).join(", ")
}

/// Reads a file by its ending. A row without as_of_time gets `as_of_time`.
///
/// # Errors
/// [`Problem::Usage`] when the file as a whole cannot be used; a wrong row is an outcome of its own.
pub(super) fn read(path: &Path, as_of_time: Option<&str>) -> Result<Vec<Row>, Problem> {
    let bytes = std::fs::read(path).map_err(|error| Problem::file(path, &error))?;
    let values = match path.extension().and_then(OsStr::to_str) {
        Some("csv") => csv_rows(path, &bytes)?,
        Some("jsonl" | "ndjson") => json_rows(&bytes),
        _ => {
            let text = format!("{}: the name must end in .csv or .jsonl", path.display());
            return Err(Problem::usage(text));
        }
    };
    let mut rows = Vec::with_capacity(values.len());
    for value in values {
        rows.push(match value {
            Ok(mut value) => {
                if let (Value::Object(fields), Some(instant)) = (&mut value, as_of_time) {
                    fields.entry("as_of_time").or_insert_with(|| json!(instant));
                }
                message::from_json(&value)?
            }
            Err(text) => Err(vec![Wrong {
                field: String::new(),
                text,
            }]),
        });
    }
    Ok(rows)
}

fn json_rows(bytes: &[u8]) -> Vec<Result<Value, String>> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        // The parser's own text may quote the line.
        .map(|line| serde_json::from_slice(line).map_err(|_| "is not JSON".to_owned()))
        .collect()
}

fn csv_rows(path: &Path, bytes: &[u8]) -> Result<Vec<Result<Value, String>>, Problem> {
    // Spreadsheets put a mark before the first heading.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let headings = reader
        .headers()
        .map_err(|error| Problem::usage(format_args!("{}: {error}", path.display())))?;
    let mut fields = Vec::new();
    let mut problems = Vec::new();
    for (index, heading) in headings.iter().enumerate() {
        match COLUMNS.iter().find(|(name, _)| *name == heading) {
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
                column_names()
            )),
        }
    }
    if !problems.is_empty() {
        return Err(Problem::Usage(problems));
    }
    let row = |record: Result<csv::StringRecord, csv::Error>| match record {
        Ok(record) => {
            let mut row = json!({});
            for (field, cell) in fields.iter().zip(&record) {
                if !cell.is_empty() {
                    put(&mut row, field, cell_value(field, cell));
                }
            }
            Ok(row)
        }
        Err(error) => Err(match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => {
                format!("has {len} cells instead of {expected_len}")
            }
            csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
            _ => "cannot be read".to_owned(),
        }),
    };
    Ok(reader.records().map(row).collect())
}

/// A table has nothing but texts.
fn cell_value(field: &str, cell: &str) -> Value {
    match field {
        "blocks" => cell
            .split([' ', ',', ';', '،', '؛'])
            .filter(|kind| !kind.is_empty())
            .map(|kind| json!(kind))
            .collect(),
        "subject.name.no_family_name" => match cell.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => json!(true),
            "false" | "no" | "0" => json!(false),
            _ => json!(cell),
        },
        _ => json!(cell),
    }
}

fn put(row: &mut Value, field: &str, value: Value) {
    let mut place = row;
    for part in field.split('.') {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[part];
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str, as_of_time: Option<&str>) -> Result<Vec<Row>, Problem> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, as_of_time)
    }

    #[test]
    fn every_column_fills_a_field_of_the_record() {
        for (name, field) in COLUMNS {
            let mut row = json!({});
            put(&mut row, field, json!("\u{1}"));
            let wrong = message::from_json::<pb::EnrollmentRecord>(&row).unwrap();
            for wrong in wrong.err().unwrap_or_default() {
                assert!(!wrong.text.starts_with("unknown"), "{name}: {wrong}");
            }
        }
    }

    #[test]
    fn an_unknown_column_is_refused_before_anything_is_read() {
        let problem = read_text("a.csv", "status,colour\nSTUDYING,red\n", None).unwrap_err();
        assert!(problem.to_string().contains("\"colour\""), "{problem}");
        assert!(read_text("a.txt", "status\n", None).is_err());
    }

    #[test]
    fn a_wrong_row_does_not_spoil_its_neighbours() {
        let text = "\u{feff}student_number,status,registered_units,blocks\n\
                    1,STUDYING,12,FINANCIAL; LEGAL\n\
                    2,SLEEPING,many,\n\
                    3,STUDYING\n\
                    ۴,on_leave,۳,\n";
        let rows = read_text("a.csv", text, Some("2026-05-13T08:30:00Z")).unwrap();
        let first = rows[0].as_ref().unwrap();
        assert_eq!(
            (first.blocks.as_slice(), first.registered_units),
            ([1, 4].as_slice(), 12)
        );
        assert_eq!(first.as_of_time.unwrap().seconds, 1_778_661_000);
        let wrong: Vec<_> = rows[1]
            .as_ref()
            .unwrap_err()
            .iter()
            .map(|w| w.field.as_str())
            .collect();
        assert_eq!(wrong, ["status", "registered_units"]);
        assert_eq!(
            rows[2].as_ref().unwrap_err()[0].to_string(),
            "has 2 cells instead of 4"
        );
        assert_eq!(rows[3].as_ref().unwrap().registered_units, 3);
    }

    #[test]
    fn json_lines_are_records_of_the_contract() {
        let text =
            "{\"status\": \"STUDYING\", \"as_of_time\": \"2026-05-13T08:30:01Z\"}\n\n{oops\n";
        let rows = read_text("a.jsonl", text, Some("2026-05-13T08:30:00Z")).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0].as_ref().unwrap().as_of_time.unwrap().seconds,
            1_778_661_001
        );
        assert_eq!(rows[1].as_ref().unwrap_err()[0].text, "is not JSON");
    }
}
