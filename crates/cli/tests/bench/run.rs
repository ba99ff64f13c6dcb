//! `gavah bench run`, `gavah bench show`.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gavah_bench::process::Stat;
use gavah_testkit::postgres::Cluster;
use serde_json::Value;

use crate::program::{GAVAH, assert_whole, bench, measured};

/// Few calls, and time enough for them on a slow machine.
const FEW: &str = "--seconds 60 --warm-up 0 --connections 2 --codes 20 --in-flight 8";
/// How long anything may take before the test is given up. Nothing is concluded from how long it took.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_scenario_makes_its_calls_and_tells_every_figure() {
    let report = measured(&format!("run {FEW} --rounds 1 --max-calls 12"));
    let names: BTreeSet<_> = report["sides"]
        .as_array()
        .unwrap()
        .iter()
        .map(|side| side["name"].as_str().unwrap())
        .collect();
    for name in [
        "echo-stock",
        "echo-tuned",
        "validate-hot",
        "validate-cold",
        "validate-unknown",
        "validate-mixed",
        "issue",
        "batch",
        "stream",
        "stream-issue",
        "records",
        "certificate",
        "handshake",
    ] {
        assert!(names.contains(name), "{name}");
    }
    for side in report["sides"].as_array().unwrap() {
        assert_whole(side["name"].as_str().unwrap(), &side["rounds"][0], 12);
    }
    let rows = |name: &str| {
        let sides = report["sides"].as_array().unwrap();
        let side = sides.iter().find(|side| side["name"] == name).unwrap();
        let round = &side["rounds"][0];
        (round["rows_per_second"].as_f64().unwrap() * round["seconds"].as_f64().unwrap()).round()
    };
    for bulk in ["batch", "stream", "stream-issue", "records"] {
        assert!((rows(bulk) - 12_000.0).abs() < 1.0, "{bulk}");
    }
    assert!((rows("issue") - 12.0).abs() < 1.0);
}

#[test]
fn sides_take_turns_and_every_second_round_goes_backwards() {
    let arguments = format!("run echo-stock validate-hot {FEW} --rounds 3 --max-calls 50");
    let ended = bench(&arguments);
    let told: Vec<_> = ended
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("round ")?.split(':').next())
        .collect();
    assert_eq!(
        told,
        [
            "1, echo-stock",
            "1, validate-hot",
            "2, validate-hot",
            "2, echo-stock",
            "3, echo-stock",
            "3, validate-hot",
        ]
    );
    for side in ended.json["sides"].as_array().unwrap() {
        assert_eq!(side["rounds"].as_array().unwrap().len(), 3);
        for round in side["rounds"].as_array().unwrap() {
            assert_whole(side["name"].as_str().unwrap(), round, 50);
        }
        for figure in [
            "good_per_second",
            "cpu_us_per_call",
            "p50_us",
            "p99_us",
            "peak_memory_kib",
        ] {
            let spread = &side["summary"][figure];
            let part = |name: &str| spread[name].as_f64().unwrap();
            assert!(part("lowest") <= part("median") && part("median") <= part("highest"));
        }
    }
    assert_eq!(ended.json["plan"]["pattern"]["closed"]["in_flight"], 8);
}

#[test]
fn a_sweep_is_an_open_loop_at_every_rate_and_a_plot() {
    let folder = tempfile::tempdir().unwrap();
    let (plot, report) = (
        folder.path().join("plot.svg"),
        folder.path().join("report.json"),
    );
    let printed = measured(&format!(
        "run validate-hot --sweep 40,80 --seconds 1 --warm-up 0 --connections 2 --codes 5 --plot {}",
        plot.display()
    ));
    let offered: Vec<_> = printed["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["offered_per_second"].as_f64().unwrap())
        .collect();
    assert_eq!(offered, [40.0, 80.0]);
    assert_whole("40/s", &printed["rounds"][0], 40);
    assert_whole("80/s", &printed["rounds"][1], 80);
    let svg = fs::read_to_string(&plot).unwrap();
    assert!(svg.contains("<svg") && svg.contains("p99.9"));

    fs::write(&report, printed.to_string()).unwrap();
    let shown = Command::new(GAVAH)
        .args(["bench", "show"])
        .arg(&report)
        .output()
        .unwrap();
    let table = String::from_utf8(shown.stdout).unwrap();
    assert!(
        table.contains("offered/s") && table.contains(" 80 "),
        "{table}"
    );
}

#[test]
fn on_postgresql_the_database_is_told_separately() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let database = Cluster::shared().unwrap().create_database().unwrap();
    fs::write(&file, &database.url).unwrap();
    let flags = format!("--engine postgres --database-url-file {}", file.display());
    // The second time it finds what the first one left.
    for _ in 0..2 {
        let report = measured(&format!(
            "run echo-stock validate-cold issue {FEW} --rounds 1 --max-calls 50 {flags}"
        ));
        for side in report["sides"].as_array().unwrap() {
            let name = side["name"].as_str().unwrap();
            assert_whole(name, &side["rounds"][0], 50);
            let told = side["rounds"][0]["database_cpu_us_per_call"].is_number();
            assert_eq!(told, name != "echo-stock", "{name}");
        }
    }
    // Somebody's tables, and no mark of the bench: not to be touched.
    let other = Cluster::shared().unwrap().create_database().unwrap();
    let cluster = Cluster::shared().unwrap();
    cluster
        .query(&other.name, "CREATE TABLE theirs ()")
        .unwrap();
    fs::write(&file, &other.url).unwrap();
    let refused = bench(&format!("run issue {FEW} {flags}"));
    assert_eq!(refused.code, Some(1), "{}", refused.json);
    assert_eq!(
        cluster
            .query(&other.name, "SELECT count(*) FROM theirs")
            .unwrap(),
        "0"
    );
}

#[test]
fn a_signal_ends_the_measurement_and_every_server_it_started() {
    let mut running = Command::new(GAVAH)
        .args("bench run echo-stock --seconds 600 --warm-up 0 --codes 5".split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The echo is there when the service that issued the codes is gone: wait for a child that is the echo.
    let echo = wait_for(|| children(running.id()).into_iter().find(|pid| is_echo(*pid)));
    let signalled = Command::new("sh")
        .args(["-c", "kill -s TERM \"$0\"", &running.id().to_string()])
        .status();
    assert!(signalled.unwrap().success());
    let status = wait_for(|| running.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    assert!(!is_echo(echo), "{echo} still runs");
}

#[test]
fn a_server_that_runs_already_can_be_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let stdout = folder.path().join("out");
    let demo = Command::new(GAVAH)
        .args(["--output", "json", "demo", "--dir"])
        .arg(&dir)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&stdout).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let demo = Killed(demo);
    let tried = wait_for(|| {
        let text = fs::read_to_string(&stdout).unwrap();
        let last: Value = serde_json::from_str(text.lines().last()?).ok()?;
        last["try"].as_str().map(str::to_owned)
    });
    let after = |mark: &str| {
        tried
            .split(mark)
            .nth(1)
            .unwrap()
            .split(['"', '/'])
            .next()
            .unwrap()
            .to_owned()
    };
    let (code, port) = (after("\"code\": \""), after("https://localhost:"));
    let pki = dir.join("pki");
    let pki = pki.display();
    let report = measured(&format!(
        "run validate-hot validate-unknown handshake {FEW} --rounds 1 --max-calls 20 \
         --endpoint https://localhost:{port} --ca {pki}/ca.pem --certificate {pki}/demo-university.pem --key {pki}/demo-university.key \
         --pid {} --code {code}",
        demo.0.id()
    )
    .replace("--codes 20", ""));
    for side in report["sides"].as_array().unwrap() {
        assert_whole(side["name"].as_str().unwrap(), &side["rounds"][0], 20);
    }
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let step = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if let Some(seen) = look() {
            return seen;
        }
        std::thread::sleep(step);
    }
    panic!("waited in vain")
}

fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| Stat::of(pid).is_ok_and(|stat| stat.parent == parent))
        .collect()
}

fn is_echo(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains("serve-echo")
}
