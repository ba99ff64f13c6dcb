//! `gavah sla`

use clap::{Args, Subcommand, ValueEnum};
use gavah_api::v1 as pb;
use gavah_domain::service::ServiceKind;
use serde_json::{Value, json};

use super::one_of;
use crate::connection::{Connection, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output, line};
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum SlaCommand {
    /// How promises of service levels were kept: average (the promised figure), percentiles, open, overdue, breached
    Report(ReportArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Type,
    Institution,
    Agreement,
    Month,
}

impl Part {
    const fn dimension(self) -> &'static str {
        match self {
            Self::Type => "REQUEST_TYPE",
            Self::Institution => "INSTITUTION",
            Self::Agreement => "AGREEMENT",
            Self::Month => "MONTH",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// First Jalali month: 1405/01
    #[arg(long, value_name = "MONTH", value_parser = month)]
    from: (i32, i32),
    /// Last Jalali month; the first when left out
    #[arg(long, value_name = "MONTH", value_parser = month)]
    to: Option<(i32, i32)>,
    /// Only this service
    #[arg(long, value_parser = one_of::<ServiceKind>(), ignore_case = true)]
    service: Option<String>,
    /// Only this type of request: ISSUE, or the type of application
    #[arg(
        long = "type",
        value_name = "TYPE",
        default_value = "",
        hide_default_value = true
    )]
    request_type: String,
    /// Only this institution
    #[arg(
        long,
        value_name = "CODE",
        default_value = "",
        hide_default_value = true
    )]
    institution: String,
    /// Only under this agreement
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    agreement: String,
    /// Divide the report, also by several with commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "month,type")]
    by: Vec<Part>,
    /// Print CSV instead of a table
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    connection: Connection,
}

fn month(text: &str) -> Result<(i32, i32), String> {
    let wrong = || "must be a Jalali month, as 1405/02".to_owned();
    let (year, month) = text.split_once('/').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<i32>().map_err(|_| wrong());
    let (year, month) = (number(year)?, number(month)?);
    match (1250..=1550).contains(&year) && (1..=12).contains(&month) {
        true => Ok((year, month)),
        false => Err(wrong()),
    }
}

const COLUMNS: &[Column] = &[
    ("SERVICE", "/service"),
    ("TYPE", "/request_type"),
    ("INSTITUTION", "/institution_code"),
    ("AGREEMENT", "/agreement"),
    ("MONTH", "/month_text"),
    ("SUBMITTED", "/submitted"),
    ("AVERAGE", "/average"),
    ("P50", "/p50"),
    ("P90", "/p90"),
    ("P99", "/p99"),
    ("OPEN", "/open"),
    ("OVERDUE", "/overdue"),
    ("BREACHED", "/breached"),
];

/// Columns of the CSV form; times are seconds of working time.
const CSV: [&str; 14] = [
    "service",
    "request_type",
    "institution_code",
    "agreement",
    "month",
    "submitted",
    "measured",
    "average_seconds",
    "p50_seconds",
    "p90_seconds",
    "p99_seconds",
    "open",
    "overdue",
    "breached",
];

pub(crate) async fn run(command: &SlaCommand, output: Output) -> Result<Exit, Problem> {
    let SlaCommand::Report(args) = command;
    let month = |(year, month): (i32, i32)| json!({"year": year, "month": month});
    let by = args.by.iter().map(|part| part.dimension());
    let asked = json!({
        "service": args.service,
        "request_type": args.request_type,
        "institution_code": args.institution,
        "agreement": args.agreement,
        "from_month": month(args.from),
        "to_month": args.to.map(month),
        "group_by": by.collect::<Vec<_>>(),
    });
    let request: pb::GetSlaReportRequest = message::request("the arguments", &asked)?;
    let session = args.connection.open().await?;
    let reply = session
        .read(request, |channel, request| async move {
            channel.service_levels().get_sla_report(request).await
        })
        .await?;
    if args.csv {
        line(csv(&reply.message().rows)?.trim_end());
        return Ok(Exit::Ok);
    }
    let mut told = answer(&reply)?;
    if output == Output::Table
        && let Some(Value::Array(rows)) = told.get_mut("rows")
    {
        for (row, figures) in rows.iter_mut().zip(&reply.message().rows) {
            row["month_text"] = month_text(figures).into();
            for (name, seconds) in [
                ("average", figures.average_seconds),
                ("p50", figures.p50_seconds),
                ("p90", figures.p90_seconds),
                ("p99", figures.p99_seconds),
            ] {
                row[name] = working_time(seconds, figures.measured).into();
            }
        }
    }
    output.list(&told, "rows", COLUMNS);
    if output == Output::Table {
        let averages = reply.message().rows.iter();
        let averages: Vec<_> = averages.map(|row| row.average_seconds).collect();
        if averages.len() > 1 {
            line(&format!("average, row by row: {}", sparkline(&averages)));
        }
    }
    Ok(Exit::Ok)
}

fn month_text(row: &pb::SlaReportRow) -> String {
    row.month
        .map(|month| format!("{}/{:02}", month.year, month.month))
        .unwrap_or_default()
}

/// `12:30` hours of working time; nothing where nothing was measured.
fn working_time(seconds: i64, measured: i64) -> String {
    match measured {
        0 => String::new(),
        _ => format!("{}:{:02}", seconds / 3600, seconds % 3600 / 60),
    }
}

/// One bar for each value, the greatest the highest.
fn sparkline(values: &[i64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or_default().max(1);
    let bar = |value: &i64| {
        let height = (value.max(&0) * 7 + most / 2) / most;
        usize::try_from(height)
            .ok()
            .and_then(|height| BARS.get(height))
            .copied()
            .unwrap_or('▁')
    };
    values.iter().map(bar).collect()
}

fn csv(rows: &[pb::SlaReportRow]) -> Result<String, Problem> {
    let internal = |error: csv::Error| Problem::Internal(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(CSV).map_err(internal)?;
    for row in rows {
        let service = row.service().as_str_name();
        let numbers = [
            row.submitted,
            row.measured,
            row.average_seconds,
            row.p50_seconds,
            row.p90_seconds,
            row.p99_seconds,
            row.open,
            row.overdue,
            row.breached,
        ];
        let texts = [
            service.trim_start_matches("SERVICE_KIND_").to_owned(),
            row.request_type.clone(),
            row.institution_code.clone(),
            row.agreement.clone(),
            month_text(row),
        ];
        let numbers = numbers.iter().map(i64::to_string);
        writer
            .write_record(texts.into_iter().chain(numbers))
            .map_err(internal)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Problem::Internal(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Problem::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_has_a_bar_for_each_value() {
        assert_eq!(sparkline(&[0, 50, 100]), "▁▅█");
        assert_eq!(sparkline(&[0, 0]), "▁▁");
        assert_eq!(sparkline(&[i64::MAX / 8]), "█");
    }

    #[test]
    fn working_time_is_told_in_hours_where_something_was_measured() {
        assert_eq!(working_time(45_000, 3), "12:30");
        assert_eq!(working_time(0, 1), "0:00");
        assert_eq!(working_time(0, 0), "");
    }

    #[test]
    fn a_month_is_a_year_and_a_number() {
        assert_eq!(month("1405/02"), Ok((1405, 2)));
        for wrong in ["1405", "1405/13", "1405/0", "x/1", "2026-05"] {
            assert!(month(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn csv_has_every_figure() {
        let row = pb::SlaReportRow {
            service: pb::ServiceKind::ValidityCode.into(),
            request_type: "ISSUE".to_owned(),
            month: Some(pb::JalaliMonth {
                year: 1405,
                month: 2,
            }),
            submitted: 3,
            measured: 2,
            average_seconds: 60,
            ..Default::default()
        };
        let text = csv(&[row]).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], CSV.join(","));
        assert_eq!(lines[1], "VALIDITY_CODE,ISSUE,,,1405/02,3,2,60,0,0,0,0,0,0");
    }
}
