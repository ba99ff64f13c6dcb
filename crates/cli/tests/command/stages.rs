//! Applications that are reviewed, and corrections, from the command line.

use gavah_domain::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::setup::register;
use crate::site::{Serving, Site, academic_year};

/// Synthetic national codes with their check digits: a student, an expert, an officer.
const STUDENT: &str = "7730942860";
const EXPERT: &str = "3974017844";
const OFFICER: &str = "0000000116";

const APPLY: &str = "certificate apply --national-code 7730942860 --given-name-fa نمونه --family-name-fa آزمایشی \
                     --institution 90001 --student-number 400000001 --purpose embassy --addressee-fa نمونه \
                     --window-reference w1";

/// A site whose certificates are reviewed by both bodies.
fn reviewed() -> Site {
    let site = Site::registered();
    let seed = site.read("seed.toml");
    let seed = seed.replace(
        "workflow = \"w-ENROLLMENT_CERTIFICATE\"",
        "workflow = \"reviews\"",
    );
    let reviews = "[[workflow]]\nid = \"reviews\"\nservice = \"ENROLLMENT_CERTIFICATE\"\n[workflow.rules]\n\
                   auto_confirm = true\nfreshness_hours = 24\nrequire_prior_qualification = false\n\
                   certificate_extra_days = 30\ncertificate_max_months = 6\nuniversity_review = true\n\
                   organization_review = true\npayment_position = \"BEFORE_ISSUE\"\n";
    site.write("reviews.toml", &format!("{reviews}{seed}"));
    site.run("seed --config gavah.toml reviews.toml").ended(0);
    site
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn record(site: &Site, serving: &Serving<'_>) {
    let record = json!({
        "subject": {
            "person_id": {"national_code": STUDENT},
            "name": {"given_name_fa": "نمونه", "family_name_fa": "آزمایشی"},
        },
        "program": {
            "institution_code": "90001",
            "student_number": "400000001",
            "degree_level": "BACHELOR_CONTINUOUS",
            "field_code": "1234",
            "field_title_fa": "ریاضی",
            "study_mode": "DAY",
            "entry_term": {"academic_year": academic_year() - 1, "kind": "FIRST"},
        },
        "status": "STUDYING",
        "current_term": {"academic_year": academic_year(), "kind": "FIRST"},
        "registered_units": 12,
        "external_ref": "r1",
        "as_of_time": SystemClock.now().to_string(),
    });
    site.write("records.jsonl", &format!("{record}\n"));
    serving
        .run("university", "record push records.jsonl")
        .ended(0);
}

#[test]
fn an_application_goes_through_its_stages_and_its_certificate_is_corrected() {
    let site = reviewed();
    let serving = site.serve();
    register(&site, &serving);
    let pdf = "%PDF-1.7\n%%EOF\n";
    site.write("scan.png", pdf);
    site.write("note.pdf", "not a document");
    let wrong = serving.run("window", "attachment upload note.pdf").ended(1);
    assert_eq!(wrong["error"]["reason"], "ATTACHMENT_TYPE");
    let sent = serving.run("window", "attachment upload scan.png").ended(0);
    assert_eq!(sent["attachment"]["media_type"], "PDF");
    let file = text(&sent["attachment"]["name"]);
    let draft = format!("{APPLY} --draft --attach identity_document={file}");
    let draft = serving.run("window", &draft).ended(0)["application"].clone();
    assert_eq!(draft["state"], "DRAFT");
    assert_eq!(draft["attachments"][0]["name"], json!(file));
    let download = format!("attachment download {file} --out back.pdf");
    let got = serving.run("university", &download).ended(0);
    assert_eq!(got["size_bytes"], json!(pdf.len()));
    assert_eq!(site.read("back.pdf"), pdf);
    let again = serving.run("university", &download).refused(2);
    assert!(again[0].contains("back.pdf"), "{again:?}");
    let name = text(&draft["name"]);
    let claim = format!("--claim-national-code {STUDENT}");
    let listed = serving
        .run(
            "university",
            "certificate list --applications --application-state draft",
        )
        .ended(0);
    assert_eq!(listed["applications"][0]["name"], json!(name));

    let update = json!({
        "subject": draft["subject"],
        "purpose": "COURT",
        "addressee": {"name_fa": "دادگاه"},
    });
    site.write("update.json", &update.to_string());
    let updated = serving
        .run(
            "window",
            &format!("certificate update {name} --file update.json"),
        )
        .ended(0);
    assert_eq!(updated["application"]["purpose"], "COURT");
    let submitted = serving
        .run("window", &format!("certificate submit {name} {claim}"))
        .ended(0);
    let submitted = &submitted["application"];
    assert_eq!(submitted["state"], "UNIVERSITY_REVIEW");

    let decide = |who: &str, decision: &str, etag: &Value| {
        let (actor, code) = match who {
            "university" => ("institutions/90001/experts/e1", EXPERT),
            _ => ("o1", OFFICER),
        };
        let etag = text(etag);
        let line = format!(
            "certificate decide {name} --decision {decision} --actor {actor} --actor-national-code {code} --etag {etag}"
        );
        serving.run(who, &line)
    };
    let wrong = decide("university", "approve", &submitted["etag"]).refused(2);
    assert!(wrong[0].contains("CONFIRM, RETURN, REJECT"), "{wrong:?}");
    let remarked = "return --remark subject.name.given_name_fa=نادرست";
    let returned = decide("university", remarked, &submitted["etag"]).ended(0);
    let step = returned["application"]["history"].as_array().unwrap();
    let step = step.last().unwrap();
    assert_eq!(step["remarks"][0]["field"], "subject.name.given_name_fa");

    record(&site, &serving);
    let again = serving
        .run("window", &format!("certificate submit {name} {claim}"))
        .ended(0);
    assert_eq!(again["application"]["state"], "ORGANIZATION_REVIEW");
    let stale = decide("organization", "approve", &submitted["etag"]).ended(1);
    assert_eq!(stale["error"]["reason"], "ETAG_MISMATCH");
    let issued = decide("organization", "approve", &again["application"]["etag"]).ended(0);
    assert_eq!(issued["application"]["state"], "ISSUED");
    let cancelled = serving
        .run("window", &format!("certificate cancel {name} {claim}"))
        .ended(1);
    assert_eq!(cancelled["error"]["reason"], "STATE_TRANSITION_NOT_ALLOWED");

    let certificate = text(&issued["application"]["enrollment_certificate"]);
    let corrected = serving
        .run(
            "organization",
            &format!("certificate correct {certificate} --purpose translation"),
        )
        .ended(0);
    let corrected = &corrected["enrollment_certificate"];
    assert_eq!(corrected["supersedes"], json!(certificate));
    assert_eq!(corrected["purpose"], "TRANSLATION");
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn two_officers_revoke_what_was_issued_in_a_window_of_time() {
    let site = Site::registered();
    let serving = site.serve();
    register(&site, &serving);
    record(&site, &serving);
    let issued = serving.run("window", APPLY).ended(0)["enrollment_certificate"].clone();
    let select = format!(
        "ENROLLMENT_CERTIFICATE --institution 90001 --issued-from {}",
        text(&issued["issue_time"])
    );
    let found = serving
        .run("organization", &format!("incident preview {select}"))
        .ended(0);
    assert_eq!(found["documents"], json!([issued["name"]]));
    let everything = serving
        .run("organization", "incident preview ENROLLMENT_CERTIFICATE")
        .ended(1);
    assert_eq!(everything["error"]["reason"], "FIELD_REQUIRED");
    let proposed = serving
        .run(
            "organization",
            &format!(
                "incident propose {select} --reason fraud --officer o1 --officer-national-code {OFFICER}"
            ),
        )
        .ended(0)["incident"]
        .clone();
    let name = text(&proposed["name"]);
    let approve = |code: &str| {
        let etag = text(&proposed["etag"]);
        let line = format!(
            "incident approve {name} --etag {etag} --officer o2 --officer-national-code {code}"
        );
        serving.run("organization", &line)
    };
    let same = approve(OFFICER).ended(1);
    assert_eq!(same["error"]["reason"], "SAME_PERSON_CANNOT_DECIDE");
    approve(EXPERT).ended(0);
    let state = || {
        let read = serving
            .run("organization", &format!("incident get {name}"))
            .ended(0);
        (
            text(&read["incident"]["state"]),
            read["incident"]["revoked_count"].clone(),
        )
    };
    let mut told = state();
    for _ in 0..100 {
        if told.0 == "DONE" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        told = state();
    }
    assert_eq!(told.0, "DONE");
    let listed = serving.run("organization", "incident list").ended(0);
    assert_eq!(listed["incidents"][0]["name"], json!(name));
    let code = text(&issued["code"]);
    let verdict = serving
        .run("hub", &format!("code validate {code}"))
        .ended(1);
    assert_eq!(verdict["verdict"]["reason"], "REVOKED");
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn a_paper_is_confirmed_and_an_application_taken_back() {
    let site = reviewed();
    let serving = site.serve();
    register(&site, &serving);
    record(&site, &serving);
    let half = serving
        .run("window", &format!("{APPLY} --existing-number P-1"))
        .code;
    assert_eq!(half, Some(2));
    let paper = "--type confirm_existing --existing-number P-1 --existing-date 1404/08/12";
    let asked = serving.run("window", &format!("{APPLY} {paper}")).ended(0);
    let application = &asked["application"];
    assert_eq!(application["state"], "UNIVERSITY_REVIEW");
    assert_eq!(
        application["existing_document"],
        json!({"number": "P-1", "issue_date": "1404/08/12"})
    );
    let name = text(&application["name"]);
    let cancelled = serving
        .run(
            "window",
            &format!("certificate cancel {name} --claim-national-code {STUDENT} --reason منصرف"),
        )
        .ended(0);
    assert_eq!(cancelled["application"]["state"], "CANCELLED");
    assert_eq!(serving.stop(), Some(0));
}
