//! Reports as tables, from the JSON that they also are: a report can be printed again from its file.

use std::path::PathBuf;

use clap::Args;
use gavah_bench::figures::Spread;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::offline::read;
use crate::output::{Column, Output, line};
use crate::problem::Problem;

const SIDES: [Column; 8] = [
    ("side", "/side"),
    ("answers/s", "/rate"),
    ("CPU µs/call", "/cpu"),
    ("DB CPU µs/call", "/database"),
    ("p50 ms", "/p50"),
    ("p99 ms", "/p99"),
    ("peak MiB", "/memory"),
    ("refused", "/refused"),
];

const POINTS: [Column; 7] = [
    ("offered/s", "/offered"),
    ("answers/s", "/rate"),
    ("p50 ms", "/p50"),
    ("p90 ms", "/p90"),
    ("p99 ms", "/p99"),
    ("p99.9 ms", "/p999"),
    ("max ms", "/max"),
];

const GOALS: [Column; 5] = [
    ("row", "/row"),
    ("measure", "/measure"),
    ("median (all rounds)", "/figure"),
    ("goal", "/goal"),
    ("", "/met"),
];

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// File of a report, as `--output json` printed it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Prints the report of an earlier run.
pub(super) fn show(args: &ShowArgs, output: Output) -> Result<Exit, Problem> {
    let text = read(&args.file)?;
    let report = serde_json::from_str(&text)
        .map_err(|error| Problem::usage(format_args!("{}: {error}", args.file.display())))?;
    self::report(output, &report);
    Ok(Exit::Ok)
}

/// Prints a report: as it is, or what it has of sides, points and goals as tables.
pub(super) fn report(output: Output, report: &Value) {
    if output == Output::Json {
        return line(&report.to_string());
    }
    table(output, items(&report["sides"]).map(side), &SIDES);
    table(output, items(&report["points"]).map(point), &POINTS);
    for row in items(&report["rows"]).filter(|row| items(&row["sides"]).next().is_some()) {
        line(row["row"].as_str().unwrap_or_default());
        table(output, items(&row["sides"]).map(side), &SIDES);
    }
    table(output, items(&report["rows"]).flat_map(goals), &GOALS);
}

fn table(output: Output, rows: impl Iterator<Item = Value>, columns: &[Column]) {
    let rows: Vec<Value> = rows.collect();
    if !rows.is_empty() {
        output.list(&json!({"rows": rows}), "rows", columns);
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn side(side: &Value) -> Value {
    let summary = &side["summary"];
    let counts = |round: &Value| -> u64 {
        let refused = round["refused"].as_object();
        refused.map_or(0, |refused| {
            refused.values().filter_map(Value::as_u64).sum()
        })
    };
    let refused: u64 = items(&side["rounds"]).map(counts).sum();
    json!({
        "side": side["name"],
        "rate": figure(&summary["good_per_second"], 1.0, 0),
        "cpu": figure(&summary["cpu_us_per_call"], 1.0, 1),
        "database": figure(&summary["database_cpu_us_per_call"], 1.0, 1),
        "p50": figure(&summary["p50_us"], 1e-3, 2),
        "p99": figure(&summary["p99_us"], 1e-3, 2),
        "memory": figure(&summary["peak_memory_kib"], 1.0 / 1024.0, 1),
        "refused": refused.to_string(),
    })
}

fn point(point: &Value) -> Value {
    let whole = |name: &str| format!("{:.0}", point[name].as_f64().unwrap_or_default());
    let millis = |name: &str| {
        let micros = point["latency"][name].as_f64();
        micros.map_or_else(String::new, |micros| format!("{:.2}", micros / 1e3))
    };
    json!({
        "offered": whole("offered_per_second"),
        "rate": whole("good_per_second"),
        "p50": millis("p50_us"),
        "p90": millis("p90_us"),
        "p99": millis("p99_us"),
        "p999": millis("p999_us"),
        "max": millis("max_us"),
    })
}

fn goals(row: &Value) -> Vec<Value> {
    if let Some(why) = row["cannot_run"].as_str() {
        let first = why.lines().next().unwrap_or_default();
        return vec![json!({"row": row["row"], "measure": first, "met": "could not be measured"})];
    }
    let goals = items(&row["goals"]).map(|goal| {
        let met = match goal["met"].as_bool() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        json!({
            "row": row["row"],
            "measure": goal["measure"],
            "figure": figure(&goal["figure"], 1.0, 3),
            "goal": goal["goal"],
            "met": met,
        })
    });
    goals.collect()
}

/// `12.3 (11.9–14.0)`: the median and between which two all rounds lie.
fn figure(value: &Value, factor: f64, digits: usize) -> String {
    let part = |name: &str| value[name].as_f64();
    let (Some(median), Some(lowest), Some(highest)) =
        (part("median"), part("lowest"), part("highest"))
    else {
        return String::new();
    };
    let Spread {
        median,
        lowest,
        highest,
    } = Spread {
        median: median * factor,
        lowest: lowest * factor,
        highest: highest * factor,
    };
    match lowest.total_cmp(&highest).is_eq() {
        true => format!("{median:.digits$}"),
        false => format!("{median:.digits$} ({lowest:.digits$}–{highest:.digits$})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_told_with_its_spread() {
        let spread = |values: &[f64]| serde_json::to_value(Spread::of(values)).unwrap();
        assert_eq!(figure(&Value::Null, 1.0, 1), "");
        assert_eq!(figure(&spread(&[2.0]), 1.0, 1), "2.0");
        assert_eq!(figure(&spread(&[1.0, 2.0, 4.0]), 10.0, 0), "20 (10–40)");
    }

    #[test]
    fn every_goal_has_a_line_and_a_row_that_could_not_be_measured_says_why() {
        let met = json!({"row": "floor", "cannot_run": null, "goals": [
            {"measure": "a", "figure": {"median": 0.5, "lowest": 0.5, "highest": 0.5}, "goal": "≤ 0.8", "met": true},
            {"measure": "b", "figure": null, "goal": "≤ 0.8", "met": null},
        ]});
        let lines = goals(&met);
        assert_eq!(
            (&lines[0]["figure"], &lines[0]["met"]),
            (&json!("0.500"), &json!("met"))
        );
        assert_eq!(
            (&lines[1]["figure"], &lines[1]["met"]),
            (&json!(""), &json!(""))
        );
        let impossible = json!({"row": "issue", "cannot_run": "there is no pgbench", "goals": []});
        assert_eq!(goals(&impossible)[0]["measure"], "there is no pgbench");
    }
}
