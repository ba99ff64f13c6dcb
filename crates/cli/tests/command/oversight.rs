//! What officers see and stop: pauses of issuing, and the audit.

use serde_json::json;

use crate::class::class_rows;
use crate::online::{STUDENT, text};
use crate::site::{Serving, Site};

/// The change feed, the audit, and a pause of issuing.
pub(crate) fn oversight(site: &Site, serving: &Serving<'_>) {
    let feed = serving.run("university", "changes list --all").ended(0);
    let changes = feed["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| {
        change["action"] == "ISSUE" && text(&change["resource"]).starts_with("validityCodes/")
    }));
    assert!(
        changes
            .iter()
            .all(|change| change["institution_code"] == "90001")
    );
    assert_eq!(feed["more"], false);
    let first = changes[0]["sequence"].to_string();
    let first = first.trim_matches('"');
    let rest = serving
        .run(
            "university",
            &format!("changes list --after {first} --page-size 1"),
        )
        .ended(0);
    assert_eq!(rest["changes"][0], changes[1]);
    let beyond = serving
        .run("university", "changes watch --after 1000000")
        .ended(1);
    assert_eq!(beyond["error"]["reason"], "PAGE_TOKEN_INVALID");

    tariffs(serving);

    let pause = "issuance pause validity_code --institution 90001 --reason synthetic";
    let refused = serving.run("university", pause).ended(1);
    assert_eq!(refused["error"]["reason"], "METHOD_NOT_ALLOWED_FOR_CLASS");
    let paused = serving.run("organization", pause).ended(0);
    let name = text(&paused["pause"]["name"]);
    let list = serving.run("organization", "issuance list").ended(0);
    assert_eq!(list["pauses"][0]["name"], name);
    site.write("paused.csv", &class_rows("7730942860"));
    let stopped = serving
        .run(
            "university",
            "code issue --file paused.csv --expert e1 --statement-version 1",
        )
        .ended(1);
    assert_eq!(stopped["outcomes"], json!({"REFUSED": 2, "NOT_SENT": 1}));
    assert!(
        site.read("paused.csv.result.csv")
            .contains(",ISSUANCE_PAUSED,")
    );
    serving
        .run(
            "organization",
            "issuance resume VALIDITY_CODE --institution 90001",
        )
        .ended(0);

    // An act is in the audit's chain within a second.
    let in_the_audit = || {
        let audit = serving
            .run("organization", &format!("audit list --resource {name}"))
            .ended(0);
        let entries = audit["entries"].as_array().unwrap().clone();
        let acts = entries.iter().map(|entry| text(&entry["action"]));
        acts.collect::<Vec<_>>()
    };
    let mut acts = in_the_audit();
    for _ in 0..100 {
        if acts.len() == 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        acts = in_the_audit();
    }
    assert_eq!(acts, ["PAUSE", "RESUME"]);
    let of_student = serving
        .run(
            "organization",
            &format!("audit list --national-code {STUDENT} --action ISSUE"),
        )
        .ended(0);
    assert!(!of_student["entries"].as_array().unwrap().is_empty());
}

/// What things cost, and by which table.
fn tariffs(serving: &Serving<'_>) {
    let quoted = serving
        .run(
            "university",
            "tariff quote validity_code --institution 90001",
        )
        .ended(0);
    assert_eq!(quoted["quote"]["basis"], "FREE_NO_TARIFF_ROW");
    let year = quoted["quote"]["budget_year"].to_string();
    let table = serving
        .run("university", &format!("tariff list {year}"))
        .ended(0);
    assert_eq!(table["name"], format!("tariffs/{year}/versions/1"));
    assert_eq!(table["rows"], json!([]));
    let incomplete = serving
        .run(
            "university",
            "tariff quote ENROLLMENT_CERTIFICATE --institution 90001 --date 1390/01/01",
        )
        .ended(1);
    assert_eq!(
        incomplete["error"]["violations"][0]["field"],
        "application_type"
    );
}
