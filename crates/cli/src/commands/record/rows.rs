//! Files of enrollment records: CSV with a heading, or JSON lines.

use std::path::Path;

use gavah_api::v1 as pb;
use serde_json::json;

use crate::commands::table::{self, Column, STUDENT};
use crate::problem::Problem;

/// A row as read: a record, or what is wrong with it.
pub(super) type Row = table::Row<pb::EnrollmentRecord>;

/// The columns beside those of the student.
const COLUMNS: [Column; 8] = [
    ("status", "status"),
    ("current_term", "current_term"),
    ("registered_units", "registered_units"),
    ("status_effective_date", "status_effective_date"),
    ("expected_graduation_date", "expected_graduation_date"),
    ("blocks", "blocks"),
    ("external_ref", "external_ref"),
    ("as_of_time", "as_of_time"),
];

fn columns() -> Vec<Column> {
    [&STUDENT[..], &COLUMNS].concat()
}

/// The names of the columns, for the help.
pub(super) fn column_names() -> String {
    table::names(&columns())
}

/// Reads a file by its ending. A row without as_of_time gets `as_of_time`.
///
/// # Errors
/// [`Problem::Usage`] when the file as a whole cannot be used; a wrong row is an outcome of its own.
pub(super) fn read(path: &Path, as_of_time: Option<&str>) -> Result<Vec<Row>, Problem> {
    let as_of_time = as_of_time.map(str::to_owned);
    table::read(path, &columns(), move |row| {
        if let (Some(instant), None) = (&as_of_time, row.get("as_of_time")) {
            row["as_of_time"] = json!(instant);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message;

    fn read_text(name: &str, text: &str, as_of_time: Option<&str>) -> Result<Vec<Row>, Problem> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, as_of_time)
    }

    #[test]
    fn every_column_fills_a_field_of_the_record() {
        for (name, field) in columns() {
            let mut row = json!({});
            table::put(&mut row, field, json!("\u{1}"));
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
