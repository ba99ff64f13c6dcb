//! `gavah bench compare`

use std::fs;

use gavah_testkit::postgres::Cluster;
use serde_json::Value;

use crate::program::measured;

const FEW: &str = "--seconds 1 --warm-up 0 --connections 2 --codes 20 --rounds 2";

fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().find(|row| row["row"] == name).unwrap()
}

fn assert_goals(row: &Value, count: usize) {
    assert_eq!(row["cannot_run"], Value::Null, "{row}");
    let goals = row["goals"].as_array().unwrap();
    assert_eq!(goals.len(), count, "{row}");
    for goal in goals {
        assert!(!goal["measure"].as_str().unwrap().is_empty());
        assert!(goal["figure"]["median"].as_f64().unwrap() > 0.0, "{goal}");
        let stated = goal["goal"] == "stated";
        assert_eq!(goal["met"].is_boolean(), !stated, "{goal}");
    }
}

#[test]
fn a_row_that_cannot_be_measured_says_why_and_the_others_are_measured() {
    let report = measured(&format!(
        "compare --only floor --only issue --only scale {FEW}"
    ));
    for name in ["issue", "scale"] {
        let why = row(&report, name)["cannot_run"].as_str().unwrap();
        assert!(why.contains("--database-url-file"), "{why}");
    }
    assert_goals(row(&report, "floor"), 3);
    let sides = row(&report, "floor")["sides"].as_array().unwrap();
    assert_eq!(sides.len(), 4);
    assert!(
        sides
            .iter()
            .all(|side| side["rounds"].as_array().unwrap().len() == 2)
    );
}

#[test]
fn what_the_database_does_alone_is_measured_beside_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let database = Cluster::shared().unwrap().create_database().unwrap();
    fs::write(&file, &database.url).unwrap();
    let report = measured(&format!(
        "compare --only issue --only bulk-records --only bulk-codes --only scale --only memory --large 12000 --remembered 1000 {FEW} \
         --database-url-file {}",
        file.display()
    ));
    assert_goals(row(&report, "issue"), 1);
    let bare = &row(&report, "issue")["facts"]["bare_commits_per_second"];
    assert!(bare["median"].as_f64().unwrap() > 0.0);
    assert_goals(row(&report, "bulk-records"), 1);
    assert_goals(row(&report, "bulk-codes"), 1);
    assert_goals(row(&report, "scale"), 3);
    assert_goals(row(&report, "memory"), 2);
    // Every code of the copies was found: none was refused, or the row would say so.
    for side in row(&report, "scale")["sides"].as_array().unwrap() {
        for round in side["rounds"].as_array().unwrap() {
            assert_eq!(round["refused"], serde_json::json!({}), "{side}");
        }
    }
}
