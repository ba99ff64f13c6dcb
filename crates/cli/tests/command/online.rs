//! Commands that call a running service.

use gavah_domain::{Clock, SystemClock};
use serde_json::json;

use crate::class::class;
use crate::oversight::oversight;
use crate::promises::promises;
use crate::setup::register;
use crate::site::{Serving, Site, academic_year, today};

/// A synthetic national code with its check digit.
pub(crate) const STUDENT: &str = "7730942860";

#[test]
fn without_a_service_or_an_identity_nothing_is_called() {
    let site = Site::configured();
    site.identity("hub");
    let nobody = "--endpoint https://localhost:1 --ca pki/ca.pem --cert hub.pem --key hub.key";
    assert_eq!(
        site.run(&format!("whoami {nobody}")).ended(3)["error"]["code"],
        "UNAVAILABLE"
    );
    let without_key = nobody.replace("hub.key", "none.key");
    assert!(site.run(&format!("whoami {without_key}")).refused(2)[0].contains("none.key"));
    let plain = nobody.replace("https", "http");
    assert!(site.run(&format!("whoami {plain}")).refused(2)[0].contains("https"));
    site.run("whoami").refused(2);
    let twice = format!(
        "record event --institution 1 --student-number 2 --kind GRADUATED --effective-date 1405/01/01 \
                         --request-id 00000000-0000-4000-8000-000000000000 {nobody}"
    );
    assert!(site.run(&twice).refused(2)[0].contains("--as-of-time"));
}

#[test]
fn a_service_is_set_up_and_asked_from_the_command_line_alone() {
    let site = Site::registered();
    let serving = site.serve();
    let me = serving.run("organization", "whoami").ended(0);
    assert_eq!(me["caller"]["caller_class"], "ORGANIZATION");
    assert_eq!(me["trace_id"].as_str().unwrap().len(), 32);

    site.identity("stranger");
    let refused = serving.run("stranger", "whoami").ended(1);
    assert_eq!(refused["error"]["reason"], "CERTIFICATE_NOT_REGISTERED");
    let plain = site.run_plainly(&format!("whoami {}", serving.flags("stranger")));
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(1), ""));
    for part in [
        "UNAUTHENTICATED CERTIFICATE_NOT_REGISTERED",
        "گواهی",
        "trace_id: ",
    ] {
        assert!(plain.stderr.contains(part), "{}", plain.stderr);
    }

    assert_eq!(serving.stop(), Some(0));
    assert!(!site.path("ready.json").exists());
    let audit = site.run("audit verify --config gavah.toml").ended(0);
    assert_eq!(
        (audit["intact"].as_bool(), audit["links"].as_u64()),
        (Some(true), Some(4)),
        "{audit}"
    );
}

#[test]
fn records_are_pushed_and_documents_issued_read_listed_and_revoked() {
    let site = Site::registered();
    let serving = site.serve();
    register(&site, &serving);
    push_records(&site, &serving);
    validity_code(&site, &serving);
    class(&site, &serving);
    oversight(&site, &serving);
    enrollment_certificate(&site, &serving);
    promises(&serving);
    assert_eq!(serving.stop(), Some(0));
    assert_eq!(
        site.run("audit verify --config gavah.toml").ended(0)["intact"],
        true
    );
}

fn push_records(site: &Site, serving: &Serving<'_>) {
    let year = academic_year();
    let now = SystemClock.now();
    let row = |national_code: &str, student_number: &str, units: &str| {
        format!(
            "{national_code},نمونه,آزمایشی,90001,{student_number},BACHELOR_CONTINUOUS,110,رشته نمونه,DAY,{}-1,studying,{year}-1,{units},{now}\n",
            year - 1
        )
    };
    let heading = "national_code,given_name_fa,family_name_fa,institution_code,student_number,degree_level,field_code,\
                   field_title_fa,study_mode,entry_term,status,current_term,registered_units,as_of_time\n";
    let rows = [
        row(STUDENT, "400000001", "12"),
        row("7730942861", "400000002", "12"),
        row("3974017844", "400000003", "many"),
    ];
    site.write("students.csv", &format!("{heading}{}", rows.concat()));

    let checked = serving
        .run("university", "record push students.csv --validate-only")
        .ended(1);
    assert_eq!(
        checked["outcomes"],
        json!({"VALID": 1, "REFUSED": 1, "NOT_SENT": 1})
    );
    for _ in 0..2 {
        let pushed = serving
            .run("university", "record push students.csv")
            .ended(1);
        assert_eq!(
            pushed["outcomes"],
            json!({"CREATED": 1, "REFUSED": 1, "NOT_SENT": 1})
        );
        assert_eq!(pushed["result_file"], "students.csv.result.csv");
    }
    let result = site.read("students.csv.result.csv");
    let lines: Vec<_> = result.lines().collect();
    assert_eq!(lines[..2], ["row,outcome,reason,fields", "1,CREATED,,"]);
    assert!(
        lines[2].starts_with("2,REFUSED,NATIONAL_CODE_CHECKSUM,"),
        "{result}"
    );
    assert!(
        lines[3].starts_with("3,NOT_SENT,FIELD_FORMAT,registered_units"),
        "{result}"
    );
    assert!(
        !result.contains(STUDENT) && !result.contains("773094286"),
        "{result}"
    );

    let wrong_caller = serving.run("window", "record push students.csv").ended(1);
    assert_eq!(
        wrong_caller["error"]["reason"],
        "METHOD_NOT_ALLOWED_FOR_CLASS"
    );

    let record = serving
        .run(
            "university",
            "record get institutions/90001/students/400000001",
        )
        .ended(0);
    assert_eq!(
        record["record"]["subject"]["person_id"]["national_code"],
        STUDENT
    );
    assert_eq!(record["record"]["status"], "STUDYING");
    let event = format!(
        "record event --institution 90001 --student-number 400000001 --kind on_leave --effective-date {}",
        today()
    );
    let checked = serving.run("university", &format!("{event} --validate-only"));
    checked.ended(0);
    assert!(
        !checked.stderr.contains("--request-id"),
        "nothing to repeat: {}",
        checked.stderr
    );
}

fn validity_code(site: &Site, serving: &Serving<'_>) {
    let issue = format!(
        "code issue --national-code {STUDENT} --given-name-fa نمونه --family-name-fa آزمایشی --institution 90001 \
         --student-number 400000001 --level bachelor_continuous --field-code 110 --field-title-fa نمونه --mode DAY \
         --entry-term {}-1 --kind DEGREE --expert e1 --statement-version 1",
        academic_year() - 1
    );
    let unknown_expert = serving
        .run("university", &issue.replace("--expert e1", "--expert e2"))
        .ended(1);
    assert_eq!(unknown_expert["error"]["reason"], "EXPERT_NOT_ACTIVE");
    assert!(
        serving
            .run("university", &format!("{issue} --validate-only"))
            .ended(0)["validity_code"]
            .is_null()
    );

    let issued = serving.run("university", &issue);
    let first = issued.ended(0);
    let (name, code) = (
        text(&first["validity_code"]["name"]),
        text(&first["validity_code"]["code"]),
    );
    let retry = issued
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("to repeat this call safely: "))
        .unwrap();
    let again = serving
        .run("university", &format!("{issue} {retry}"))
        .ended(0);
    assert_eq!(again["validity_code"], first["validity_code"]);
    let second = serving.run("university", &issue).ended(1);
    assert_eq!(second["error"]["reason"], "CODE_ALREADY_ISSUED");
    assert!(second["error"]["request_id"].is_string(), "{second}");

    // As JSON of the contract, printed and read back: another student number asks for the same code's key.
    site.write(
        "request.json",
        "{\"subject\": {\"birth_date\": \"1380/13/01\"}, \"colour\": 1}",
    );
    let wrong = serving
        .run("university", "code issue --file request.json")
        .refused(2);
    assert_eq!(wrong.len(), 2, "{wrong:?}");

    let valid = serving
        .run("hub", &format!("code validate {code}"))
        .ended(0);
    assert_eq!(
        (text(&valid["code"]), text(&valid["verdict"]["reason"])),
        (code.clone(), "OK".to_owned())
    );
    assert!(
        valid["verdict"]["document"]["issue_date"]
            .as_str()
            .unwrap()
            .contains('/')
    );
    let claim = serving
        .run(
            "hub",
            &format!("code validate {code} --claim-national-code 3974017844"),
        )
        .ended(1);
    assert_eq!(claim["verdict"]["reason"], "SUBJECT_MISMATCH");
    let plain = site.run_plainly(&format!("code validate {code} {}", serving.flags("hub")));
    let grouped: Vec<_> = code
        .as_bytes()
        .chunks(4)
        .map(|group| std::str::from_utf8(group).unwrap())
        .collect();
    assert_eq!(plain.code, Some(0));
    assert!(
        plain
            .stdout
            .starts_with(&format!("{}  VALID OK", grouped.join(" "))),
        "{}",
        plain.stdout
    );

    let many = site.run_with(
        &format!("code validate - {}", serving.flags("hub")),
        &format!("{code}\n\n123\n"),
    );
    let many = many.ended(1);
    let reasons: Vec<_> = many["verdicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["verdict"]["reason"]))
        .collect();
    assert_eq!(reasons, ["OK", "MALFORMED"]);

    let listed = serving
        .run("university", "code list --all --state active")
        .ended(0);
    assert_eq!(listed["validity_codes"].as_array().unwrap().len(), 1);
    assert_eq!(
        serving
            .run("university", "code list --kind TRANSCRIPT")
            .ended(0)["validity_codes"],
        json!([])
    );
    assert_eq!(
        text(
            &serving
                .run("university", &format!("code get {name}"))
                .ended(0)["validity_code"]["code"]
        ),
        code
    );

    let suspended = serving
        .run(
            "university",
            &format!("code suspend {name} --remark synthetic"),
        )
        .ended(0);
    assert_eq!(suspended["validity_code"]["state"], "SUSPENDED");
    assert_eq!(
        serving
            .run("hub", &format!("code validate {code}"))
            .ended(1)["verdict"]["reason"],
        "SUSPENDED"
    );
    let stale = serving
        .run("university", &format!("code reinstate {name} --etag 1"))
        .ended(1);
    assert_eq!(stale["error"]["reason"], "ETAG_MISMATCH");
    serving
        .run("university", &format!("code reinstate {name}"))
        .ended(0);
    let bare = name.rsplit('/').next().unwrap();
    let revoked = serving
        .run(
            "university",
            &format!("code revoke {bare} --reason data_error"),
        )
        .ended(0);
    assert_eq!(
        revoked["validity_code"]["revocation"]["reason"],
        "DATA_ERROR"
    );
    let gone = serving
        .run("university", &format!("code suspend {name}"))
        .ended(1);
    assert_eq!(gone["error"]["reason"], "STATE_TRANSITION_NOT_ALLOWED");
    assert_eq!(gone["error"]["metadata"]["state"], "REVOKED");
}

fn enrollment_certificate(site: &Site, serving: &Serving<'_>) {
    let apply = format!(
        "certificate apply --national-code {STUDENT} --given-name-fa نمونه --family-name-fa آزمایشی --institution 90001 \
         --student-number 400000001 --purpose embassy --addressee-fa نمونه --window-reference w1"
    );
    let mismatch = serving
        .run("window", &apply.replace("آزمایشی", "دیگری"))
        .ended(1);
    assert_eq!(mismatch["error"]["reason"], "SUBJECT_MISMATCH");
    let issued = serving.run("window", &apply).ended(0);
    assert_eq!(issued["application"]["state"], "ISSUED");
    let name = text(&issued["enrollment_certificate"]["name"]);
    let application = text(&issued["application"]["name"]);
    let code = text(&issued["enrollment_certificate"]["code"]);
    serving
        .run("hub", &format!("code validate {code}"))
        .ended(0);

    let claim = format!("--claim-national-code {STUDENT}");
    let read = serving
        .run(
            "window",
            &format!("certificate get {name} --signed-out signed.cose {claim}"),
        )
        .ended(0);
    assert_eq!(text(&read["enrollment_certificate"]["code"]), code);
    // COSE_Sign1 is CBOR tag 18.
    assert_eq!(std::fs::read(site.path("signed.cose")).unwrap()[0], 0xd2);
    let read = serving
        .run("window", &format!("certificate get {application} {claim}"))
        .ended(0);
    assert_eq!(read["application"]["enrollment_certificate"], json!(name));
    let listed = serving
        .run("window", &format!("certificate list {claim}"))
        .ended(0);
    assert_eq!(
        listed["enrollment_certificates"].as_array().unwrap().len(),
        1
    );
    let listed = serving
        .run(
            "window",
            &format!("certificate list --applications {claim}"),
        )
        .ended(0);
    assert_eq!(listed["applications"].as_array().unwrap().len(), 1);

    serving
        .run("organization", &format!("certificate suspend {name}"))
        .ended(0);
    serving
        .run("organization", &format!("certificate reinstate {name}"))
        .ended(0);
    serving
        .run(
            "organization",
            &format!("certificate revoke {name} --reason FRAUD"),
        )
        .ended(0);
    assert_eq!(
        serving
            .run("hub", &format!("code validate {code}"))
            .ended(1)["verdict"]["reason"],
        "REVOKED"
    );
}

pub(crate) fn text(value: &serde_json::Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}
