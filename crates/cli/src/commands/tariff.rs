//! `gavah tariff`

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_domain::certificate::RequestType;
use gavah_domain::service::ServiceKind;
use gavah_store::{TariffLoad, TariffRowSeed, TariffSeed};
use serde::Deserialize;
use serde_json::json;

use super::one_of;
use crate::connection::{Connection, answer};
use crate::exit::Exit;
use crate::message;
use crate::offline::{self, ConfigFlag};
use crate::output::{Column, Output};
use crate::problem::Problem;

/// Columns of the file, in the order in which a wrong one is told.
const HEADINGS: [&str; 7] = [
    "service",
    "request_type",
    "institution_type",
    "from_date",
    "amount",
    "unit",
    "legal_reference",
];

#[derive(Debug, Subcommand)]
pub(crate) enum TariffCommand {
    /// Publish a budget year's table from a file, without the service; published it never changes
    Load(LoadArgs),
    /// What a request would cost, and on what ground
    Quote(QuoteArgs),
    /// The rows of a year's table
    List(ListArgs),
}

#[derive(Debug, Args)]
#[command(after_help = COLUMNS_HELP)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    config: ConfigFlag,
    /// The Jalali budget year
    #[arg(value_name = "YEAR")]
    year: i32,
    /// The rows (CSV with a heading); a file without rows makes everything free
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// The law that the table is of
    #[arg(long, value_name = "TEXT")]
    legal_reference: String,
    /// Publish a correction of the year's newest version, which is this one
    #[arg(long, value_name = "VERSION")]
    supersedes: Option<i32>,
}

const COLUMNS_HELP: &str = "\
Columns:
  service           VALIDITY_CODE or ENROLLMENT_CERTIFICATE
  request_type      ISSUE for codes; ISSUE_FROM_RECORD, CONFIRM_EXISTING, EXTEND or DUPLICATE for certificates; empty for all
  institution_type  STATE, NON_PROFIT, PAYAME_NOOR, APPLIED_SCIENCE, TECHNICAL_VOCATIONAL; empty for all
  from_date         first Jalali day of the year on which the row holds; empty for the whole year
  amount            whole units, 0 for free by this row
  unit              IRR_CURRENT, or IRR_NEW: 10,000 current rials
  legal_reference   the row's place in the law
request_type, institution_type and from_date may be left out. Every wrong line is named, and nothing is loaded then.";

#[derive(Debug, Args)]
pub(crate) struct QuoteArgs {
    /// The service
    #[arg(value_name = "SERVICE", value_parser = one_of::<ServiceKind>(), ignore_case = true)]
    service: String,
    /// Code or alias of the institution
    #[arg(long, value_name = "CODE")]
    institution: String,
    /// Type of application, for enrollment certificates
    #[arg(long = "type", value_parser = one_of::<RequestType>(), ignore_case = true)]
    application_type: Option<String>,
    /// The Jalali day; today when left out
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The Jalali budget year
    #[arg(value_name = "YEAR")]
    year: i32,
    /// An earlier version of the table
    #[arg(
        long,
        value_name = "VERSION",
        default_value_t = 0,
        hide_default_value = true
    )]
    version: i32,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("SERVICE", "/service"),
    ("TYPE", "/application_type"),
    ("INSTITUTIONS", "/institution_type"),
    ("FROM", "/from_date"),
    ("AMOUNT", "/fee/amount"),
    ("UNIT", "/fee/unit"),
    ("LEGAL REFERENCE", "/legal_reference"),
];

pub(crate) async fn run(command: &TariffCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        TariffCommand::Load(args) => load(args, output).await,
        TariffCommand::Quote(args) => quote(args, output).await,
        TariffCommand::List(args) => list(args, output).await,
    }
}

async fn load(args: &LoadArgs, output: Output) -> Result<Exit, Problem> {
    let config = args.config.load()?;
    if JalaliDate::new(args.year, 1, 1).is_err() {
        let text = format!("{} is no budget year: a Jalali year, as 1405", args.year);
        return Err(Problem::usage(text));
    }
    let tariff = TariffSeed {
        year: args.year,
        legal_reference: args.legal_reference.clone(),
        supersedes: args.supersedes,
        row: rows(&args.file, args.year)?,
    };
    let store = offline::open(&config).await?;
    let loaded = async {
        let act = offline::act(&store).await?;
        store.publish_tariff(&act, &tariff).await
    };
    let loaded = loaded.await;
    store.close().await;
    let loaded = loaded?;
    let version = loaded
        .version()
        .map_err(|why| Problem::usage(format!("the table of {} {why}", args.year)))?;
    output.show(&json!({
        "name": format!("tariffs/{}/versions/{version}", args.year),
        "rows": tariff.row.len(),
        "published": matches!(loaded, TariffLoad::Published(_)),
    }));
    Ok(Exit::Ok)
}

/// A line of the file, as texts: what is wrong with one is told with the others.
#[derive(Debug, Deserialize)]
struct Line {
    service: String,
    #[serde(default)]
    request_type: Option<String>,
    #[serde(default)]
    institution_type: Option<String>,
    #[serde(default)]
    from_date: Option<String>,
    amount: String,
    unit: String,
    legal_reference: String,
}

/// Reads the rows; every wrong line is named.
fn rows(path: &Path, year: i32) -> Result<Vec<TariffRowSeed>, Problem> {
    let file = File::open(path).map_err(|error| Problem::file(path, &error))?;
    let mut file = BufReader::new(file);
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
        .map_err(|error| Problem::usage(format_args!("{}: {error}", path.display())))?
        .clone();
    headed(path, &headings)?;
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    let mut seen = HashMap::new();
    let mut record = csv::StringRecord::new();
    loop {
        let place = reader.position().line() + 1;
        let read = reader.read_record(&mut record);
        let line = record.position().map_or(place, csv::Position::line);
        let at = format!("{}:{line}", path.display());
        match read {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                if let csv::ErrorKind::Io(error) = error.kind() {
                    return Err(Problem::file(path, error));
                }
                let at = match error.position() {
                    Some(position) => format!("{}:{}", path.display(), position.line()),
                    None => at,
                };
                wrong.push(format!(
                    "{at}: has other cells than the heading, or is not UTF-8"
                ));
                continue;
            }
        }
        let Ok(given) = record.deserialize::<Line>(Some(&headings)) else {
            wrong.push(format!("{at}: cannot be read"));
            continue;
        };
        let amount = given.amount.parse::<i64>().ok();
        let row = TariffRowSeed {
            service: given.service,
            request_type: given.request_type,
            institution_type: given.institution_type,
            from_date: given.from_date,
            // what is no number is told as any other wrong amount
            amount: amount.unwrap_or(-1),
            unit: given.unit,
            legal_reference: given.legal_reference,
        };
        let fields = row.wrong_fields(year);
        wrong.extend(
            fields
                .iter()
                .map(|field| format!("{at}: {field} {}", must(field))),
        );
        if let Some(first) = seen.insert(row.is_for(), line) {
            wrong.push(format!("{at}: is for the same as line {first}"));
        }
        rows.push(row);
    }
    if wrong.is_empty() {
        Ok(rows)
    } else {
        Err(Problem::Usage(wrong))
    }
}

fn headed(path: &Path, headings: &csv::StringRecord) -> Result<(), Problem> {
    let mut wrong = Vec::new();
    for (heading, number) in headings.iter().zip(1..) {
        if !HEADINGS.contains(&heading) {
            wrong.push(format!(
                "{}: column {number} is called {heading:?}; the columns are {}",
                path.display(),
                HEADINGS.join(", ")
            ));
        }
        if headings
            .iter()
            .take(number - 1)
            .any(|before| before == heading)
        {
            wrong.push(format!(
                "{}: column {heading} stands there twice",
                path.display()
            ));
        }
    }
    for heading in ["service", "amount", "unit", "legal_reference"] {
        if !headings.iter().any(|given| given == heading) {
            wrong.push(format!("{}: column {heading} is missing", path.display()));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Problem::Usage(wrong))
    }
}

fn must(field: &str) -> &'static str {
    match field {
        "service" => "must be VALIDITY_CODE or ENROLLMENT_CERTIFICATE",
        "request_type" => "is no type of request of this service",
        "institution_type" => "is no type of institution",
        "from_date" => "must be a Jalali day of the budget year",
        "amount" => "must be a whole number, 0 or more",
        "unit" => "must be IRR_CURRENT or IRR_NEW",
        _ => "must be a text of one line, at most 400 bytes",
    }
}

async fn quote(args: &QuoteArgs, output: Output) -> Result<Exit, Problem> {
    let asked = json!({
        "service": args.service,
        "application_type": args.application_type,
        "institution_code": args.institution,
        "date": args.date,
    });
    let request: pb::QuoteFeeRequest = message::request("the arguments", &asked)?;
    let session = args.connection.open().await?;
    let reply = session
        .read(request, |channel, request| async move {
            channel.tariffs().quote_fee(request).await
        })
        .await?;
    output.show(&answer(&reply)?);
    Ok(Exit::Ok)
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let request = pb::ListTariffRowsRequest {
        budget_year: args.year,
        version: args.version,
    };
    let session = args.connection.open().await?;
    let reply = session
        .read(request, |channel, request| async move {
            channel.tariffs().list_tariff_rows(request).await
        })
        .await?;
    output.list(&answer(&reply)?, "rows", COLUMNS);
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_can_be_loaded_as_it_is() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/tariff.sample.csv");
        let rows = rows(&path, 1405).unwrap();
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().any(|row| row.unit == "IRR_NEW"));
    }

    #[test]
    fn a_table_without_rows_can_be_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.csv");
        std::fs::write(&path, "service,amount,unit,legal_reference\n").unwrap();
        assert_eq!(rows(&path, 1405).unwrap(), []);
    }
}
