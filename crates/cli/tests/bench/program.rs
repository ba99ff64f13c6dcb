//! Runs the program.

use std::process::{Command, Stdio};

use serde_json::Value;

/// The program under test.
pub(crate) const GAVAH: &str = env!("CARGO_BIN_EXE_gavah");

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

/// Runs `gavah bench …` to its end.
pub(crate) fn bench(arguments: &str) -> Ended {
    let output = Command::new(GAVAH)
        .args(["--output", "json", "bench"])
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("bench {arguments} printed no JSON: {error}\n{stderr}"));
    Ended {
        code: output.status.code(),
        json,
        stderr,
    }
}

/// The same of a measurement, which must succeed.
pub(crate) fn measured(arguments: &str) -> Value {
    let ended = bench(arguments);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.json, ended.stderr);
    ended.json
}

/// Asserts that a round made so many calls, that all were answered as they should be and that every figure is there.
pub(crate) fn assert_whole(name: &str, round: &Value, calls: u64) {
    assert_eq!(round["calls"], calls, "{name}: {round}");
    assert_eq!(round["good"], calls, "{name}: {round}");
    assert_eq!(round["refused"], serde_json::json!({}), "{name}");
    for figure in ["seconds", "good_per_second", "rows_per_second"] {
        assert!(round[figure].as_f64().unwrap() > 0.0, "{name}: {figure}");
    }
    for figure in ["cpu_us_per_call", "cpu_us_per_row"] {
        assert!(round[figure].is_number(), "{name}: {figure}");
    }
    assert!(round["peak_memory_kib"].as_u64().unwrap() > 0, "{name}");
    for percentile in ["p50_us", "p90_us", "p99_us", "p999_us", "max_us", "mean_us"] {
        assert!(
            round["latency"][percentile].is_number(),
            "{name}: {percentile}"
        );
    }
}
