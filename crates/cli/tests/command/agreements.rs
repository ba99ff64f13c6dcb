//! Calls, agreements and inquiries, as officers and consumers use them.

use serde_json::json;

use crate::online::{STUDENT, text};
use crate::setup::register;
use crate::site::Site;

const CODES_TEXT: &str = "agreementTexts/VALIDITY_CODE/versions/1";

#[test]
fn a_call_is_opened_and_an_agreement_under_it_lives_and_ends() {
    let site = Site::registered();
    let serving = site.serve();
    register(&site, &serving);
    let services = serving.run("university", "agreement services").ended(0);
    assert_eq!(
        services["services"][1]["agreement_texts"],
        json!([CODES_TEXT])
    );
    let read = serving
        .run("university", &format!("agreement text {CODES_TEXT}"))
        .ended(0);
    let clauses = read["agreement_text"]["clauses"].as_array().unwrap();
    assert_eq!(clauses.len(), 9);

    let create = "call create serviceCalls/next --service VALIDITY_CODE --opens 2026-01-01T00:00:00Z \
                  --institution-type STATE --document-kind DEGREE --workflow w-VALIDITY_CODE";
    let refused = serving.run("university", create).ended(1);
    assert_eq!(refused["error"]["reason"], "METHOD_NOT_ALLOWED_FOR_CLASS");
    let call = serving.run("organization", create).ended(0);
    assert_eq!(call["service_call"]["state"], "DRAFT");
    let opened = serving
        .run("organization", "call open serviceCalls/next")
        .ended(0);
    assert_eq!(opened["service_call"]["state"], "OPEN");

    let ask = format!(
        "agreement request serviceCalls/next --accept {CODES_TEXT} --purpose ISSUE --purpose VALIDATE \
         --field DOCUMENT --daily-calls 100"
    );
    let asked = serving.run("university", &ask).ended(0)["agreement"].clone();
    assert_eq!(asked["state"], "REQUESTED");
    assert_eq!(asked["consumer"], "institutions/90001");
    let (name, etag) = (text(&asked["name"]), text(&asked["etag"]));
    let approved = serving
        .run(
            "organization",
            &format!("agreement approve {name} --etag {etag} --daily-calls 50 --burst 5"),
        )
        .ended(0);
    assert_eq!(approved["agreement"]["state"], "ACTIVE");
    assert_eq!(approved["agreement"]["daily_calls"], 50);
    let told = serving.run("university", "whoami").ended(0);
    let quotas = told["agreement_quotas"].as_array().unwrap();
    let own = quotas.iter().find(|quota| quota["agreement"] == name);
    assert_eq!(own.unwrap()["remaining_calls"], 50);
    for (line, state) in [
        ("agreement suspend", "SUSPENDED"),
        ("agreement reinstate", "ACTIVE"),
        ("agreement terminate", "TERMINATED"),
    ] {
        let line = format!("{line} {name} --remark synthetic");
        let changed = serving.run("organization", &line).ended(0);
        assert_eq!(changed["agreement"]["state"], state, "{line}");
    }
    let listed = serving
        .run(
            "university",
            "agreement list --service-call serviceCalls/next --state terminated",
        )
        .ended(0);
    assert_eq!(listed["agreements"][0]["end"], "BY_PROVIDER");
    let closed = serving
        .run("organization", "call close serviceCalls/next")
        .ended(0);
    assert_eq!(closed["service_call"]["state"], "CLOSED");
    let calls = serving.run("organization", "call list").ended(0);
    assert_eq!(calls["service_calls"].as_array().unwrap().len(), 3);
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn an_inquiry_is_made_on_behalf_of_an_agency_and_says_what_it_can_know_of() {
    let site = Site::registered();
    let serving = site.serve();
    register(&site, &serving);
    for what in ["codes", "enrollment"] {
        let line = format!("inquiry {what} --national-code {STUDENT}");
        let answer = serving.run("hub", &line).ended(0);
        let statement = text(&answer["coverage"]["statement_en"]);
        assert!(statement.contains("does not mean"), "{statement}");
        let refused = serving.run("university", &line).ended(1);
        assert_eq!(refused["error"]["reason"], "METHOD_NOT_ALLOWED_FOR_CLASS");
    }
    let half = serving.run("hub", "inquiry codes");
    assert_eq!(half.code, Some(2), "{}", half.stderr);
    assert_eq!(serving.stop(), Some(0));
}
