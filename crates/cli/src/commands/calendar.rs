//! `gavah calendar`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gavah_domain::working_calendar::{CalendarRow, CalendarYear, WrongYear, time_of_day};
use gavah_store::{CalendarLoad, calendar_name};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::offline::{self, ConfigFlag};
use crate::output::{Column, Output};
use crate::problem::Problem;

/// Columns of the file, in their order.
const HEADINGS: [&str; 7] = ["kind", "from", "to", "weekday", "opens", "closes", "title"];

const COLUMNS_HELP: &str = "\
Columns, in this order:
  kind     WEEKEND, HOLIDAY or HOURS
  from     first Jalali day of which the row speaks: 1405/01/01
  to       last day, in the same year; empty for the first alone
  weekday  of a weekend, and of hours where they hold on one weekday only: SATURDAY to FRIDAY
  opens    of hours: when work begins, 07:30
  closes   of hours: when it ends, 14:30; 24:00 is the end of the day
  title    the name of a holiday, the law of a weekend
Where several rows give hours for a day, the last holds. Every day of a year that is neither weekend nor holiday needs hours.
Every wrong line is named, and nothing is loaded then.";

#[derive(Debug, Subcommand)]
pub(crate) enum CalendarCommand {
    /// Publish the working calendars of years from a file, without the service: weekends, holidays and hours
    Load(LoadArgs),
    /// Show the working calendar of a year as it holds
    Show(ShowArgs),
}

#[derive(Debug, Args)]
#[command(after_help = COLUMNS_HELP)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    config: ConfigFlag,
    /// The rows (CSV with a heading), whole years each
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Publish another version of a year that has a calendar; what was promised by the old one stays promised
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    config: ConfigFlag,
    /// The Jalali year
    #[arg(value_name = "YEAR")]
    year: i32,
}

const COLUMNS: &[Column] = &[
    ("KIND", "/kind"),
    ("FROM", "/from"),
    ("TO", "/to"),
    ("WEEKDAY", "/weekday"),
    ("OPENS", "/opens"),
    ("CLOSES", "/closes"),
    ("TITLE", "/title"),
];

pub(crate) async fn run(command: &CalendarCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        CalendarCommand::Load(args) => load(args, output).await,
        CalendarCommand::Show(args) => show(args, output).await,
    }
}

async fn load(args: &LoadArgs, output: Output) -> Result<Exit, Problem> {
    let config = args.config.load()?;
    let years = years(&args.file)?;
    let store = offline::open(&config).await?;
    let loads = async {
        let act = offline::act(&store).await?;
        store.publish_calendar(&act, &years, args.replace).await
    };
    let loads = loads.await;
    store.close().await;
    let loads = loads?;
    let differs = loads.iter().filter_map(|(year, load)| match load {
        CalendarLoad::Differs(version) => Some(format!(
            "the calendar of {year} is published already, as version {version}, and says something else; \
             --replace publishes another version"
        )),
        CalendarLoad::Published(_) | CalendarLoad::Unchanged(_) => None,
    });
    let differs: Vec<_> = differs.collect();
    if !differs.is_empty() {
        return Err(Problem::Usage(differs));
    }
    let told = years.iter().filter_map(|year| {
        let (version, published) = match loads.get(&year.year())? {
            CalendarLoad::Published(version) => (version, true),
            CalendarLoad::Unchanged(version) | CalendarLoad::Differs(version) => (version, false),
        };
        Some(json!({
            "name": calendar_name(year.year(), *version),
            "working_days": year.working_days(),
            "published": published,
        }))
    });
    let columns: &[Column] = &[
        ("NAME", "/name"),
        ("WORKING DAYS", "/working_days"),
        ("PUBLISHED", "/published"),
    ];
    output.list(
        &json!({"calendars": told.collect::<Vec<_>>()}),
        "calendars",
        columns,
    );
    Ok(Exit::Ok)
}

async fn show(args: &ShowArgs, output: Output) -> Result<Exit, Problem> {
    let store = args.config.store().await?;
    let calendar = store.calendar().await;
    store.close().await;
    let calendar = calendar?;
    let year = calendar.year(args.year).ok_or_else(|| {
        Problem::usage(format_args!(
            "no working calendar of {} is loaded",
            args.year
        ))
    })?;
    let rows: Vec<_> = year.rows().iter().map(row_json).collect();
    output.list(
        &json!({"working_days": year.working_days(), "rows": rows}),
        "rows",
        COLUMNS,
    );
    Ok(Exit::Ok)
}

fn row_json(row: &CalendarRow) -> Value {
    json!({
        "kind": row.kind.as_str(),
        "from": row.from.to_string(),
        "to": row.to.to_string(),
        "weekday": row.weekday.map(|day| day.as_str()),
        "opens": row.hours.map(|(opens, _)| time_of_day(opens)),
        "closes": row.hours.map(|(_, closes)| time_of_day(closes)),
        "title": row.title,
    })
}

/// Reads the years of a file; every wrong line is named.
pub(crate) fn years(path: &Path) -> Result<Vec<CalendarYear>, Problem> {
    let unreadable = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => Problem::file(path, &error),
        _ => Problem::usage(format_args!("{}: is no CSV in UTF-8", path.display())),
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(unreadable)?;
    let headings = reader.headers().map_err(unreadable)?;
    if !headings.iter().eq(HEADINGS) {
        return Err(Problem::usage(format_args!(
            "{}: the columns must be {}",
            path.display(),
            HEADINGS.join(", ")
        )));
    }
    let mut rows: BTreeMap<i32, Vec<(u64, CalendarRow)>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (record, place) in reader.records().zip(2..) {
        let line = match &record {
            Ok(record) => record.position().map_or(place, csv::Position::line),
            Err(_) => place,
        };
        let at = format!("{}:{line}", path.display());
        let Ok(record) = record else {
            wrong.push(format!("{at}: has other cells than the heading"));
            continue;
        };
        let field = |place| record.get(place).unwrap_or_default();
        let fields = std::array::from_fn(field);
        match CalendarRow::parse(fields) {
            Ok(row) => rows.entry(row.from.year()).or_default().push((line, row)),
            Err(fields) => wrong.extend(
                fields
                    .iter()
                    .map(|field| format!("{at}: {} is wrong", field.0)),
            ),
        }
    }
    let mut years = Vec::new();
    for (year, rows) in rows {
        let (lines, rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let at = |place: usize| {
            let line = lines.get(place).copied().unwrap_or_default();
            format!("{}:{line}", path.display())
        };
        match CalendarYear::new(year, rows) {
            Ok(year) => years.push(year),
            Err(why) => wrong.extend(why.into_iter().map(|why| match why {
                WrongYear::OtherYear(place) => format!("{}: speaks of two years", at(place)),
                WrongYear::Twice(place) => {
                    format!("{}: says again what a line before it says", at(place))
                }
                WrongYear::NoHours(day) => {
                    format!("{}: no line says when people work on {day}", path.display())
                }
            })),
        }
    }
    if years.is_empty() && wrong.is_empty() {
        wrong.push(format!("{}: has no rows", path.display()));
    }
    match wrong.is_empty() {
        true => Ok(years),
        false => Err(Problem::Usage(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn told(text: &str) -> Result<Vec<(i32, usize)>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.csv");
        fs::write(&path, text).unwrap();
        match years(&path) {
            Ok(years) => Ok(years
                .iter()
                .map(|year| (year.year(), year.working_days()))
                .collect()),
            Err(Problem::Usage(wrong)) => {
                let before = path.display().to_string();
                Err(wrong
                    .iter()
                    .map(|text| text.replace(&before, "FILE"))
                    .collect())
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wrong_line_is_named_and_no_day_is_left_without_hours() {
        let heading = "kind,from,to,weekday,opens,closes,title\n";
        let hours = "HOURS,1405/01/01,1405/12/29,,07:30,14:30,\n";
        let friday = "WEEKEND,1405/01/01,1405/12/29,FRIDAY,,,\n";
        // 1405 has 365 days, of which 52 are Fridays.
        assert_eq!(
            told(&format!("{heading}{hours}{friday}")),
            Ok(vec![(1405, 313)])
        );
        assert_eq!(
            told(&format!(
                "{heading}{hours}HOLIDAY,1405/13/01,,,,,x\nWEEKEND,1405/01/01,,,,,\n{friday}{friday}"
            )),
            Err(vec![
                "FILE:3: from is wrong".to_owned(),
                "FILE:4: weekday is wrong".to_owned(),
                "FILE:6: says again what a line before it says".to_owned(),
            ])
        );
        let short = "HOURS,1405/01/01,1405/12/28,,07:30,14:30,\n";
        assert_eq!(
            told(&format!("{heading}{short}")),
            Err(vec![
                "FILE: no line says when people work on 1405/12/29".to_owned()
            ])
        );
        assert_eq!(told(heading), Err(vec!["FILE: has no rows".to_owned()]));
        assert_eq!(
            told("kind,from\n"),
            Err(vec![
                "FILE: the columns must be kind, from, to, weekday, opens, closes, title"
                    .to_owned()
            ])
        );
    }

    #[test]
    fn the_shipped_sample_is_good() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/calendar.sample.csv");
        let years: Vec<_> = years(&path)
            .unwrap()
            .iter()
            .map(CalendarYear::year)
            .collect();
        assert_eq!(years, [1404, 1405, 1406]);
    }
}
