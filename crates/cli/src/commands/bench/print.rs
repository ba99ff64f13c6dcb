//! Reports as tables.

use gavah_bench::figures::Spread;
use gavah_bench::plan::{Pattern, Plan};
use gavah_bench::rounds::{Round, SideReport};
use serde_json::{Value, json};

use crate::output::{Column, Output, line};

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

/// Prints a report: as it is, or the figures of its sides as a table.
pub(super) fn sides(output: Output, report: &Value, sides: &[SideReport]) {
    match output {
        Output::Json => line(&report.to_string()),
        Output::Table => {
            let rows: Vec<Value> = sides.iter().map(row).collect();
            output.list(&json!({"sides": rows}), "sides", &SIDES);
        }
    }
}

const POINTS: [Column; 6] = [
    ("offered/s", "/offered"),
    ("answers/s", "/rate"),
    ("CPU µs/call", "/cpu"),
    ("p50 ms", "/p50"),
    ("p99 ms", "/p99"),
    ("refused", "/refused"),
];

/// Prints a sweep: as it is, or a line for each rate.
pub(super) fn points(output: Output, report: &Value, rounds: &[Round], plans: &[Plan]) {
    let rows: Vec<Value> = rounds
        .iter()
        .zip(plans)
        .map(|(round, plan)| {
            let offered = match plan.pattern {
                Pattern::Open { rate } => format!("{rate}"),
                Pattern::Closed { .. } => String::new(),
            };
            let side = row(&SideReport::new("", vec![round.clone()]));
            json!({
                "offered": offered,
                "rate": side["rate"],
                "cpu": side["cpu"],
                "p50": side["p50"],
                "p99": side["p99"],
                "refused": side["refused"],
            })
        })
        .collect();
    match output {
        Output::Json => line(&report.to_string()),
        Output::Table => output.list(&json!({"points": rows}), "points", &POINTS),
    }
}

fn row(side: &SideReport) -> Value {
    let summary = &side.summary;
    let refused: u64 = side
        .rounds
        .iter()
        .flat_map(|round| round.refused.values())
        .sum();
    json!({
        "side": side.name,
        "rate": figure(summary.good_per_second, 1.0, 0),
        "cpu": figure(summary.cpu_us_per_call, 1.0, 1),
        "database": figure(summary.database_cpu_us_per_call, 1.0, 1),
        "p50": figure(summary.p50_us, 1e-3, 2),
        "p99": figure(summary.p99_us, 1e-3, 2),
        "memory": figure(summary.peak_memory_kib, 1.0 / 1024.0, 1),
        "refused": refused.to_string(),
    })
}

/// `12.3 (11.9–14.0)`: the median and between which two all rounds lie.
pub(super) fn figure(spread: Option<Spread>, factor: f64, digits: usize) -> String {
    let Some(spread) = spread else {
        return String::new();
    };
    let [median, lowest, highest] =
        [spread.median, spread.lowest, spread.highest].map(|value| value * factor);
    match spread.lowest.total_cmp(&spread.highest).is_eq() {
        true => format!("{median:.digits$}"),
        false => format!("{median:.digits$} ({lowest:.digits$}–{highest:.digits$})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_told_with_its_spread() {
        assert_eq!(figure(None, 1.0, 1), "");
        assert_eq!(figure(Spread::of(&[2.0]), 1.0, 1), "2.0");
        assert_eq!(figure(Spread::of(&[1.0, 2.0, 4.0]), 10.0, 0), "20 (10–40)");
    }
}
