//! Applications for codes, jobs, imported codes, documents and guides, from the command line.

use gavah_domain::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::class::class_rows;
use crate::setup::register;
use crate::site::{Serving, Site, academic_year};

/// Synthetic national codes with their check digits: a student, who hands in, an expert, an officer.
const STUDENT: &str = "7730942860";
const REGISTRAR: &str = "0000000116";
const EXPERT: &str = "3974017844";
const OFFICER: &str = "0084575948";

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A site whose validity codes may be applied for in stages, and are reviewed by the Organization.
fn reviewed() -> Site {
    let site = Site::registered();
    let seed = site.read("seed.toml");
    let seed = seed.replace("workflow = \"w-VALIDITY_CODE\"", "workflow = \"reviews\"");
    let reviews = "[[workflow]]\nid = \"reviews\"\nservice = \"VALIDITY_CODE\"\n[workflow.rules]\n\
                   auto_confirm = true\nfreshness_hours = 24\nrequire_prior_qualification = true\n\
                   certificate_extra_days = 30\ncertificate_max_months = 6\nuniversity_review = true\n\
                   organization_review = true\npayment_position = \"BEFORE_ISSUE\"\n";
    site.write("reviews.toml", &format!("{reviews}{seed}"));
    site.run("seed --config gavah.toml reviews.toml").ended(0);
    site
}

#[test]
fn a_code_is_applied_for_confirmed_and_reviewed() {
    let site = reviewed();
    let serving = site.serve();
    register(&site, &serving);
    let code = json!({
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
        "document_kind": "DEGREE",
    });
    let submitter = json!({"actor": "registrar-1", "person_id": {"national_code": REGISTRAR}});
    let request = json!({"code": code, "submitter": submitter});
    site.write("create.json", &request.to_string());
    let create = "code application create --file create.json";
    serving
        .run("university", &format!("{create} --validate-only"))
        .ended(0);
    let made = serving.run("university", create).ended(0)["application"].clone();
    assert_eq!(made["state"], "VALIDATED");
    let name = text(&made["name"]);
    let decide = |who: &str, decision: &str, etag: &Value| {
        let (actor, code) = match who {
            "university" => ("institutions/90001/experts/e1", EXPERT),
            _ => ("o1", OFFICER),
        };
        let etag = text(etag);
        let line = format!(
            "code application decide {name} --decision {decision} --actor {actor} --actor-national-code {code} --etag {etag}"
        );
        serving.run(who, &line)
    };
    let wrong = decide("university", "approve", &made["etag"]).refused(2);
    assert!(wrong[0].contains("CONFIRM, RETURN, REJECT"), "{wrong:?}");
    let back = decide(
        "university",
        "return --remark document.number=نادرست",
        &made["etag"],
    );
    let back = back.ended(0)["application"].clone();
    assert_eq!(back["state"], "RETURNED");
    let resubmit = format!("code application resubmit {name} --file create.json");
    let again = serving.run("university", &resubmit).ended(0)["application"].clone();
    let confirmed = decide(
        "university",
        "confirm --statement-version 1",
        &again["etag"],
    );
    let confirmed = confirmed.ended(0)["application"].clone();
    assert_eq!(confirmed["state"], "ORGANIZATION_REVIEW");
    let listed = "code application list --state organization_review";
    let listed = serving.run("organization", listed).ended(0);
    assert_eq!(listed["applications"][0]["name"], json!(name));
    let issued = decide("organization", "approve", &confirmed["etag"]).ended(0);
    assert_eq!(issued["application"]["state"], "ISSUED");
    let read = serving
        .run("university", &format!("code application get {name}"))
        .ended(0);
    assert_eq!(
        read["application"]["validity_code"],
        issued["validity_code"]["name"]
    );
    let taken = serving
        .run("university", &format!("code application cancel {name}"))
        .ended(1);
    assert_eq!(taken["error"]["reason"], "STATE_TRANSITION_NOT_ALLOWED");
    let digits = text(&issued["validity_code"]["code"]);
    let asked = serving
        .run("hub", &format!("code validate {digits} --status-only"))
        .ended(0);
    assert_eq!(asked["verdict"]["outcome"], "VALID");
    assert_eq!(asked["verdict"]["document"].get("subject_name_fa"), None);
}

#[test]
fn a_class_is_handed_over_as_a_job_and_old_codes_are_imported() {
    let site = Site::registered();
    let serving = site.serve();
    register(&site, &serving);
    jobs(&site, &serving);
    imports(&site, &serving);
}

fn jobs(site: &Site, serving: &Serving<'_>) {
    let attested = "--expert e1 --statement-version 1";
    site.write("broken.csv", &class_rows("7730942861"));
    let refused = serving
        .run(
            "university",
            &format!("code job submit broken.csv {attested}"),
        )
        .refused(2);
    assert!(
        refused.iter().any(|line| line.contains("row 3")),
        "{refused:?}"
    );
    let whole = class_rows("7730942861").replace("DIPLOMA", "DEGREE");
    site.write("class.csv", &whole);
    let submit = format!("code job submit class.csv --label class {attested}");
    let job = serving.run("university", &submit).ended(0)["job"].clone();
    assert_eq!(
        (&job["total_rows"], &job["label"]),
        (&json!(3), &json!("class"))
    );
    let name = text(&job["name"]);
    let get = format!("code job get {name}");
    let done = (0..100).find_map(|_| {
        let job = serving.run("university", &get).ended(0)["job"].clone();
        std::thread::sleep(std::time::Duration::from_millis(100));
        (job["state"] == "DONE").then_some(job)
    });
    let done = done.unwrap();
    assert_eq!(
        (&done["issued_rows"], &done["failed_rows"]),
        (&json!(2), &json!(1))
    );
    let result = format!("code job result {name} --out outcomes.csv");
    for _ in 0..2 {
        let summary = serving.run("university", &result).ended(0);
        assert_eq!(summary["outcomes"], json!({"ISSUED": 2, "REFUSED": 1}));
        let outcomes = site.read("outcomes.csv");
        let lines: Vec<_> = outcomes.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines[2].starts_with("2,REFUSED,,,NATIONAL_CODE_CHECKSUM"),
            "{outcomes}"
        );
    }
    let listed = serving.run("university", "code job list").ended(0);
    assert_eq!(listed["jobs"][0]["name"], json!(name));
    let late = serving
        .run("university", &format!("code job cancel {name}"))
        .ended(1);
    assert_eq!(late["error"]["reason"], "STATE_TRANSITION_NOT_ALLOWED");
}

fn imports(site: &Site, serving: &Serving<'_>) {
    let year = academic_year() - 1;
    let row = |code: &str, national_code: &str, number: &str| {
        format!(
            "{code},{national_code},نمونه,آزمایشی,90001,{number},MASTER_CONTINUOUS,110,رشته نمونه,DAY,{year}-1,DEGREE,{}\n",
            SystemClock.now()
        )
    };
    let heading = "code,national_code,given_name_fa,family_name_fa,institution_code,student_number,degree_level,field_code,\
                   field_title_fa,study_mode,entry_term,document_kind,issue_time\n";
    let rows = [
        heading.to_owned(),
        row("11112222333344445555", STUDENT, "300000001"),
        row("11112222", EXPERT, "300000002"),
    ];
    site.write("old.csv", &rows.concat());
    let checked = serving
        .run("organization", "code import old.csv --validate-only")
        .ended(1);
    assert_eq!(checked["outcomes"], json!({"VALID": 1, "REFUSED": 1}));
    for _ in 0..2 {
        let imported = serving.run("organization", "code import old.csv").ended(1);
        assert_eq!(imported["outcomes"], json!({"IMPORTED": 1, "REFUSED": 1}));
        assert!(site.read("old.csv.result.csv").contains("FIELD_FORMAT"));
    }
    let asked = serving
        .run("hub", "code validate 11112222333344445555")
        .ended(0);
    assert_eq!(asked["verdict"]["outcome"], "VALID");
}

#[test]
fn documents_are_published_and_guides_read() {
    let site = Site::registered();
    let serving = site.serve();
    register(&site, &serving);
    site.write("one.pdf", "%PDF-1.7\n%1\n%%EOF\n");
    let upload = "document upload one.pdf --document-key directive-1 --kind directive --service validity_code --title-fa بخشنامه";
    let draft = serving.run("organization", upload).ended(0)["document"].clone();
    assert_eq!(
        (&draft["state"], &draft["version"]),
        (&json!("DRAFT"), &json!(1))
    );
    let name = text(&draft["name"]);
    let publish = format!("document publish {name} --etag {}", text(&draft["etag"]));
    let published = serving.run("organization", &publish).ended(0);
    assert_eq!(published["document"]["publication"], json!(1));
    let listed = serving
        .run("university", "document list --service validity_code")
        .ended(0);
    assert_eq!(listed["documents"][0]["key"], "directive-1");
    let then = serving
        .run("university", "document list --as-of 0")
        .ended(0);
    assert_eq!(then["documents"], json!([]));
    let download = format!("document download {name} --out back.pdf");
    serving.run("university", &download).ended(0);
    assert_eq!(site.read("back.pdf"), site.read("one.pdf"));
    let told = serving
        .run(
            "university",
            "guide validity_code --language en --out guide.md",
        )
        .ended(0);
    assert_eq!(text(&told["sha256"]).len(), 64);
    assert!(site.read("guide.md").contains("| `student_number` |"));
}
