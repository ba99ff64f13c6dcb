//! What service levels, payments and disputes print.

use std::path::Path;

use gavah_domain::JalaliDate;
use serde_json::json;

use crate::online::text;
use crate::site::{Serving, Site, today};

/// A report of this month, payments where none are taken, and a dispute from its beginning to its ruling.
pub(crate) fn promises(serving: &Serving<'_>) {
    let month = format!("{}/{:02}", today().year(), today().month());
    let report = format!("sla report --from {month} --by type,month");
    let told = serving.run("organization", &report).ended(0);
    let rows = told["rows"].as_array().unwrap();
    assert!(
        rows.iter().any(|row| row["request_type"] == "ISSUE"),
        "{told}"
    );
    let refused = serving.run("university", &report).ended(1);
    assert_eq!(refused["error"]["reason"], "METHOD_NOT_ALLOWED_FOR_CLASS");
    let csv = serving.run("organization", &format!("{report} --csv"));
    assert_eq!(csv.code, Some(0), "{}", csv.stderr);
    assert!(
        csv.stdout.starts_with("service,request_type,"),
        "{}",
        csv.stdout
    );
    assert_eq!(csv.stdout.lines().count(), rows.len() + 1);

    let payments = serving
        .run("organization", "payment list --state refund_due")
        .ended(0);
    assert_eq!(payments["payments"], json!([]));
    let none = "payment start validityCodeApplications/019a2bb6-0000-7000-8000-000000000000 --callback https://a.example/";
    let refused = serving.run("university", none).ended(1);
    assert_eq!(refused["error"]["reason"], "PAYMENT_NOT_OFFERED");

    let codes = serving.run("university", "code list").ended(0);
    let code = text(&codes["validity_codes"][0]["name"]);
    let open = format!("dispute open {code} --statement synthetic");
    let opened = serving.run("university", &open).ended(0);
    let dispute = &opened["dispute"];
    let name = text(&dispute["name"]);
    assert_eq!(dispute["state"], "OPEN");
    serving
        .run(
            "organization",
            &format!("dispute message {name} --text answer"),
        )
        .ended(0);
    let messages = serving
        .run("university", &format!("dispute message {name}"))
        .ended(0);
    assert_eq!(messages["messages"][0]["text"], "answer", "{messages}");
    let shown = serving
        .run("organization", &format!("dispute show {name}"))
        .ended(0);
    assert_eq!(shown["dispute"]["state"], "NEGOTIATION");
    let rule = |etag: &str| {
        format!(
            "dispute rule {name} --etag {etag} --outcome upheld --text decision --legal-basis law \
             --order revoke={code}"
        )
    };
    let etag = text(&shown["dispute"]["etag"]);
    let early = serving.run("organization", &rule(&etag)).ended(1);
    assert_eq!(early["error"]["reason"], "NEGOTIATION_PERIOD_NOT_OVER");
    for party in ["university", "organization"] {
        serving
            .run(party, &format!("dispute consent {name}"))
            .ended(0);
    }
    let shown = serving
        .run("organization", &format!("dispute show {name}"))
        .ended(0);
    let etag = text(&shown["dispute"]["etag"]);
    let ruled = serving.run("organization", &rule(&etag)).ended(0);
    assert_eq!(ruled["dispute"]["state"], "RULED");
    let close = format!("dispute close-action {name}/actions/1 --reason impossible");
    let closed = serving.run("organization", &close).ended(0);
    let action = &closed["dispute"]["ruling"]["actions"][0];
    assert_eq!(action["state"], "CLOSED", "{closed}");
    assert_eq!(action["close_reason"], "impossible");
    let listed = serving.run("university", "dispute list").ended(0);
    assert_eq!(listed["disputes"][0]["name"], name);
}

#[test]
fn a_working_calendar_is_published_whole_and_replaced_only_when_asked() {
    let site = Site::registered();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/calendar.sample.csv");
    let sample = std::fs::read_to_string(sample).unwrap();
    site.write("days.csv", &sample);
    let load = "calendar load --config gavah.toml days.csv";
    let loaded = site.run(load).ended(0);
    assert_eq!(
        loaded["calendars"][0]["name"],
        "workingCalendars/1404/versions/1"
    );
    let again = site.run(load).ended(0);
    assert_eq!(again["calendars"][2]["published"], false);
    let shown = site.run("calendar show --config gavah.toml 1405").ended(0);
    assert_eq!(shown["rows"][0]["opens"], "07:30");
    site.write("days.csv", &sample.replace("07:30", "08:00"));
    let refused = site.run(load).refused(2).join("\n");
    assert!(
        refused.contains("--replace publishes another version"),
        "{refused}"
    );
    let replaced = site.run(&format!("{load} --replace")).ended(0);
    assert_eq!(
        replaced["calendars"][1]["name"],
        "workingCalendars/1405/versions/2"
    );
    let missing = site
        .run("calendar show --config gavah.toml 1420")
        .refused(2);
    assert_eq!(missing, ["no working calendar of 1420 is loaded"]);
    site.write(
        "days.csv",
        "kind,from,to,weekday,opens,closes,title\nHOLIDAY,1405/13/01,,,,,x\n",
    );
    assert_eq!(site.run(load).refused(2), ["days.csv:2: from is wrong"]);
    assert!(
        JalaliDate::new(1405, 12, 30).is_err(),
        "the sample ends its years on the 29th"
    );
}
