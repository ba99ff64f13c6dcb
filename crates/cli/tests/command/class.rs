//! The codes of a whole class.

use serde_json::json;

use crate::online::STUDENT;
use crate::site::{Serving, Site, academic_year};

/// Rows of a class: one good, one whose number is wrong, and one that cannot be read.
pub(crate) fn class_rows(second: &str) -> String {
    let year = academic_year() - 1;
    let row = |national_code: &str, student_number: &str, kind: &str| {
        format!(
            "{national_code},نمونه,آزمایشی,90001,{student_number},BACHELOR_CONTINUOUS,110,رشته نمونه,DAY,{year}-1,{kind}\n"
        )
    };
    let heading = "national_code,given_name_fa,family_name_fa,institution_code,student_number,degree_level,field_code,\
                   field_title_fa,study_mode,entry_term,document_kind\n";
    [
        heading.to_owned(),
        row("3974017844", "400000003", "DEGREE"),
        row(second, "400000004", "DEGREE"),
        row(STUDENT, "400000001", "DIPLOMA"),
    ]
    .concat()
}

pub(crate) fn class(site: &Site, serving: &Serving<'_>) {
    site.write("class.csv", &class_rows("7730942861"));
    let issue = "code issue --file class.csv --expert e1 --statement-version 1";
    for (flags, flag) in [
        ("--validate-only", "--validate-only"),
        (
            "--request-id 01890a5d-ac96-774b-bcce-b302099a8057",
            "--request-id",
        ),
    ] {
        let refused = serving
            .run("university", &format!("{issue} {flags}"))
            .refused(2);
        assert!(
            refused.iter().any(|line| line.contains(flag)),
            "{refused:?}"
        );
    }
    let json = serving.run("university", "code issue --file request.json --expert e1");
    assert!(json.refused(2).iter().any(|line| line.contains("--expert")));
    let first = serving.run("university", issue).ended(1);
    assert_eq!(
        first["outcomes"],
        json!({"ISSUED": 1, "REFUSED": 1, "NOT_SENT": 1})
    );
    assert_eq!(first["result_file"], "class.csv.result.csv");
    let result = site.read("class.csv.result.csv");
    let lines: Vec<_> = result.lines().collect();
    assert_eq!(lines[0], "row,outcome,validity_code,name,reason,fields");
    let issued: Vec<_> = lines[1].split(',').collect();
    assert_eq!(issued[..2], ["1", "ISSUED"]);
    assert!(
        lines[2].starts_with("2,REFUSED,,,NATIONAL_CODE_CHECKSUM,row.subject.person_id"),
        "{result}"
    );
    assert!(
        lines[3].starts_with("3,NOT_SENT,,,FIELD_FORMAT,\"document_kind"),
        "{result}"
    );
    assert!(!result.contains(STUDENT) && !result.contains("773094286"));
    let good = serving
        .run("university", &format!("code validate {}", issued[2]))
        .ended(0);
    assert_eq!(good["verdict"]["outcome"], "VALID", "{good}");

    // The same command again: the same run, the same code.
    let again = serving.run("university", issue).ended(1);
    assert_eq!(again["request_id"], first["request_id"]);
    assert_eq!(site.read("class.csv.result.csv"), result);
    // Without what is known of it, the codes are asked for again, and are the same.
    std::fs::remove_file(site.path("class.csv.result.csv")).unwrap();
    serving.run("university", issue).ended(1);
    assert_eq!(site.read("class.csv.result.csv"), result);

    site.write("class.csv", &class_rows("7730942860"));
    let changed = serving.run("university", issue).refused(2);
    assert!(
        changed
            .iter()
            .any(|line| line.contains("class.csv.run.json")),
        "{changed:?}"
    );
    std::fs::remove_file(site.path("class.csv.run.json")).unwrap();
    let other = serving
        .run("university", &format!("{issue} --result other.csv"))
        .ended(1);
    assert_eq!(
        other["outcomes"],
        json!({"ISSUED": 1, "REFUSED": 1, "NOT_SENT": 1})
    );
    assert!(site.read("other.csv").contains("1,REFUSED,,validityCodes/"));
    let wrong_caller = serving
        .run("window", &format!("{issue} --result third.csv"))
        .ended(1);
    assert_eq!(
        wrong_caller["error"]["reason"],
        "METHOD_NOT_ALLOWED_FOR_CLASS"
    );
}
