//! The demo as README shows it: one command from nothing.

use std::collections::HashSet;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{GAVAH, Process, until};
use crate::tools::{folder, printed_by, tool};

#[test]
fn the_demo_does_not_start_in_a_folder_that_holds_something() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("mine"), "").unwrap();
    let output = Command::new(GAVAH)
        .args(["demo", "--once", "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_demos_story_as_json_has_every_answer_it_promises() {
    let folder = TempDir::new().unwrap();
    let output = Command::new(GAVAH)
        .args(["demo", "--once", "--output", "json"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    let steps: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    for (step, number) in steps.iter().zip(1..) {
        assert_eq!(step["step"], number, "{step}");
        for field in ["caller", "rpc", "outcome", "reason", "trace_id"] {
            assert!(step[field].is_string(), "{field} is missing in {step}");
        }
        let trace_id = step["trace_id"].as_str().unwrap();
        assert!(
            trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{step}"
        );
    }
    let of = |field: &str| {
        steps
            .iter()
            .map(|step| step[field].as_str().unwrap())
            .collect::<HashSet<_>>()
    };
    let reasons = of("reason");
    for reason in [
        "CHECK_DIGIT",
        "NOT_FOUND",
        "REVOKED",
        "INSTITUTION_TYPE_NOT_ELIGIBLE",
        "PRIOR_QUALIFICATION_MISSING",
        "METHOD_NOT_ALLOWED_FOR_CLASS",
        "NEGOTIATION_PERIOD_NOT_OVER",
    ] {
        assert!(reasons.contains(reason), "{reason} is not in {reasons:?}");
    }
    assert!(of("outcome").contains("VALID"));
    assert_eq!(
        of("trace_id").len(),
        steps.len(),
        "each call has a trace of its own"
    );
    for rpc in [
        "EnrollmentRecordService/BatchUpsertEnrollmentRecords",
        "TariffService/QuoteFee",
        "ValidityCodeService/IssueValidityCode",
        "EnrollmentCertificateService/CreateEnrollmentCertificateApplication",
        "EnrollmentCertificateService/RecordUniversityDecision",
        "EnrollmentCertificateService/UpdateEnrollmentCertificateApplication",
        "EnrollmentCertificateService/SubmitEnrollmentCertificateApplication",
        "PaymentService/StartPayment",
        "SlaService/GetSlaReport",
        "DisputeService/OpenDispute",
        "SandboxService/MoveClock",
        "DisputeService/RuleDispute",
        "PaymentService/ConfirmPayment",
        "ValidationService/ValidateCode",
        "ValidityCodeService/StreamIssueValidityCodes",
        "ChangeService/WatchChanges",
    ] {
        assert!(of("rpc").contains(rpc), "{rpc}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "the demo left something behind"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_last_line_pasted_into_a_shell_validates_its_code() {
    // The tool is looked for first: without it there is nothing to wait for.
    drop(tool("buf"));
    let folder_of_demo = TempDir::new().unwrap();
    let mut demo = Process::start(folder_of_demo.path(), "demo", &["demo"]);
    let line = until("the demo says how to go on", async || {
        assert_eq!(demo.ended(), None, "{}{}", demo.stdout(), demo.stderr());
        let stdout = demo.stdout();
        let line = stdout
            .split_inclusive('\n')
            .find(|line| line.trim_start().starts_with("buf curl"));
        line.and_then(|line| line.strip_suffix('\n'))
            .map(str::to_owned)
    })
    .await;

    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &line])
        .env("PATH", format!("{}:{path}", folder().display()))
        .env("HOME", folder_of_demo.path())
        .current_dir(folder_of_demo.path())
        .stdin(Stdio::null());
    let printed = printed_by(shell);
    let answer: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(answer["verdict"]["outcome"], "OUTCOME_VALID", "{printed}");

    demo.signal("INT");
    assert_eq!(demo.exit_code().await, Some(0), "{}", demo.stderr());
    let left = std::fs::read_dir(folder_of_demo.path()).unwrap();
    let mut names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.any(|name| name.starts_with("gavah-demo-")));
}
