//! The gateway's file of a day.

use std::path::Path;

use gavah_api::v1 as pb;
use gavah_domain::MoneyUnit;
use serde::Deserialize;

use crate::problem::Problem;

/// Most payments of a day that the service compares at once.
const MOST: usize = 10_000;

/// A line, as far as it matters.
#[derive(Debug, Deserialize)]
struct Line {
    authority: String,
    ref_id: String,
    amount: String,
    #[serde(default)]
    state: String,
}

/// Reads the payments that were paid.
///
/// # Errors
///
/// Every line that cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<pb::DayFileRow>, Problem> {
    let unreadable = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Problem::file(path, &error),
        _ => Problem::usage(format_args!("{}: is no CSV in UTF-8", path.display())),
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(unreadable)?;
    let headings = reader.headers().map_err(unreadable)?.clone();
    let missing: Vec<_> = ["authority", "ref_id", "amount"]
        .into_iter()
        .filter(|column| !headings.iter().any(|heading| heading == *column))
        .map(|column| format!("{}: has no column {column}", path.display()))
        .collect();
    if !missing.is_empty() {
        return Err(Problem::Usage(missing));
    }
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for (line, number) in reader.deserialize::<Line>().zip(2..) {
        let at = format!("{}:{number}", path.display());
        let Ok(line) = line else {
            wrong.push(format!("{at}: has other cells than the heading"));
            continue;
        };
        if !matches!(line.state.as_str(), "" | "PAID" | "VERIFIED") {
            continue;
        }
        match line.amount.parse::<i64>() {
            Ok(amount) if amount > 0 => rows.push(pb::DayFileRow {
                authority: line.authority,
                reference: line.ref_id,
                amount: Some(pb::Money {
                    amount,
                    unit: unit(),
                }),
            }),
            _ => wrong.push(format!("{at}: amount must be a number of current rials")),
        }
    }
    if rows.len() > MOST {
        wrong.push(format!("{}: has more than {MOST} payments", path.display()));
    }
    match wrong.is_empty() {
        true => Ok(rows),
        false => Err(Problem::Usage(wrong)),
    }
}

/// Gateways count in current rials.
fn unit() -> i32 {
    let name = format!("MONEY_UNIT_{}", MoneyUnit::IrrCurrent);
    pb::MoneyUnit::from_str_name(&name).map_or(0, i32::from)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn told(text: &str) -> Result<Vec<(String, i64)>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.csv");
        fs::write(&path, text).unwrap();
        match read(&path) {
            Ok(rows) => Ok(rows
                .into_iter()
                .map(|row| (row.authority, row.amount.unwrap().amount))
                .collect()),
            Err(Problem::Usage(wrong)) => {
                let before = format!("{}", path.display());
                Err(wrong
                    .iter()
                    .map(|text| text.replace(&before, "FILE"))
                    .collect())
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_not_paid_is_left_out_and_every_wrong_line_is_named() {
        let heading = "authority,ref_id,amount,state\n";
        assert_eq!(
            told(&format!(
                "{heading}A1,7,5000,VERIFIED\nA2,,5000,FAILED\nA3,8,1,PAID\n"
            )),
            Ok(vec![("A1".to_owned(), 5000), ("A3".to_owned(), 1)])
        );
        assert_eq!(
            told(&format!("{heading}A1,7,x,PAID\nA2,8,0,PAID\nA3\n")),
            Err(vec![
                "FILE:2: amount must be a number of current rials".to_owned(),
                "FILE:3: amount must be a number of current rials".to_owned(),
                "FILE:4: has other cells than the heading".to_owned(),
            ])
        );
        assert_eq!(
            told("authority,amount\n"),
            Err(vec!["FILE: has no column ref_id".to_owned()])
        );
    }

    #[test]
    fn the_unit_is_the_contracts() {
        assert_eq!(unit(), pb::MoneyUnit::IrrCurrent as i32);
    }
}
