//! Everything the command prints. Results go to standard output, remarks to standard error.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use gavah_domain::ValidityCode;
use serde_json::{Value, json};

use crate::problem::Problem;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Table,
    /// For scripts: one JSON object on standard output, errors included
    Json,
}

/// A list longer than this is printed one item below the other.
const LINE: usize = 80;

/// A column of a list: its heading and where the value lies in an item, `/program/institution_code`.
pub(crate) type Column = (&'static str, &'static str);

impl Output {
    /// Prints one result: an object, or in a table its fields one below the other.
    pub(crate) fn show(self, result: &Value) {
        match self {
            Self::Json => line(&result.to_string()),
            Self::Table => {
                let mut fields = Vec::new();
                flatten(result, String::new(), &mut fields);
                let mut table = new_table(presets::NOTHING);
                for (name, text) in fields {
                    table.add_row([name, text]);
                }
                line(&table.trim_fmt());
            }
        }
    }

    /// Prints a result that is mainly a list: an object, or a table of the items under `name`.
    pub(crate) fn list(self, result: &Value, name: &str, columns: &[Column]) {
        let items = match (self, &result[name]) {
            (Self::Json, _) => return line(&result.to_string()),
            (Self::Table, Value::Array(items)) => items,
            (Self::Table, _) => return,
        };
        if items.is_empty() {
            return note("nothing found");
        }
        let mut table = new_table(presets::UTF8_FULL_CONDENSED);
        table.set_header(columns.iter().map(|(heading, _)| *heading));
        for item in items {
            table.add_row(columns.iter().map(|(_, at)| {
                let name = at.rsplit('/').next().unwrap_or_default();
                item.pointer(at)
                    .map(|value| text(name, value))
                    .unwrap_or_default()
            }));
        }
        line(&table.trim_fmt());
    }

    /// Prints why there is no result.
    pub(crate) fn error(self, problem: &Problem) {
        match self {
            Self::Json => line(&json!({"error": problem.to_json()}).to_string()),
            Self::Table => note(&format!("error: {problem}")),
        }
    }
}

/// A line on standard output. Whoever closed it has read enough.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A remark on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn new_table(preset: &str) -> Table {
    let mut table = Table::new();
    // Never wrapped to the terminal: names and fingerprints are there to be copied.
    table
        .load_preset(preset)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Every value with its path: `program.entry_term.kind`.
fn flatten(value: &Value, path: String, fields: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = match path.as_str() {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                flatten(value, path, fields);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().enumerate() {
                flatten(item, format!("{path}[{index}]"), fields);
            }
        }
        value => {
            let name = path.rsplit('.').next().unwrap_or_default();
            let text = text(name, value);
            if !text.is_empty() {
                fields.push((path, text));
            }
        }
    }
}

/// A value as people read it; a code in its five groups.
fn text(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if name == "code" => {
            ValidityCode::parse(text).map_or_else(|_| text.clone(), |code| code.grouped())
        }
        // Base64 of the signed certificate: nobody reads it, and --signed-out writes it to a file.
        Value::String(text) if name == "signed_document" => {
            let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
            format!("{} bytes", text.len() / 4 * 3 - padding)
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| self::text(name, item)).collect();
            let line = items.join(", ");
            match line.len() > LINE {
                true => items.join("\n"),
                false => line,
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_names_every_value_by_its_path_and_groups_codes() {
        let value = json!({
            "validity_code": {"code": "12345678901234567888", "program": {"level": "PHD"}, "tags": ["a", "b"]},
            "rows": [{"n": 1}, {"n": 2}],
            "nothing": null,
        });
        let mut fields = Vec::new();
        flatten(&value, String::new(), &mut fields);
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, text)| format!("{name}={text}"))
            .collect();
        assert_eq!(
            fields,
            [
                "validity_code.code=1234 5678 9012 3456 7888",
                "validity_code.program.level=PHD",
                "validity_code.tags=a, b",
                "rows[0].n=1",
                "rows[1].n=2",
            ]
        );
    }
}
