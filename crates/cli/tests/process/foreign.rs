//! Clients that share no code with ours, against a real process.

use std::fs;

use gavah_evidence::FileSigner;
use serde_json::{Value, json};

use crate::receiver::Receiver;
use crate::site::{AGENCY, Connector, Engine, Site, agency_agreement, callers};
use crate::students::{EXPERT, Student, UNIVERSITY, issue_certificate, issue_code, push_records};
use crate::tools::{printed_by, script, tool};
use crate::traces::Sent;

/// What the older reflection lists: itself and not the newer one.
const SERVICES: [&str; 20] = [
    "gavah.v1.AgreementService",
    "gavah.v1.AttachmentService",
    "gavah.v1.AuditService",
    "gavah.v1.ChangeService",
    "gavah.v1.DisputeService",
    "gavah.v1.DocumentService",
    "gavah.v1.EnrollmentCertificateService",
    "gavah.v1.EnrollmentRecordService",
    "gavah.v1.IncidentService",
    "gavah.v1.InquiryService",
    "gavah.v1.IssuanceJobService",
    "gavah.v1.PaymentService",
    "gavah.v1.RegistryService",
    "gavah.v1.SandboxService",
    "gavah.v1.SlaService",
    "gavah.v1.TariffService",
    "gavah.v1.ValidationService",
    "gavah.v1.ValidityCodeService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_signed_certificate_is_verified_without_any_of_our_code() {
    let site = Site::new(Engine::Sqlite, "").await;
    let mut serving = site.serve().await;
    let student = Student::new();
    push_records(
        &serving.client(callers::UNIVERSITY).await,
        std::slice::from_ref(&student),
    )
    .await;
    let window = serving.client(callers::WINDOW).await;
    let certificate = issue_certificate(&window, student.certificate_request())
        .await
        .unwrap();
    serving.stop().await;

    let (message, key) = (site.path("certificate.cose"), site.path("public.pem"));
    let signer = FileSigner::load(&site.path("signing.key")).unwrap();
    fs::write(&key, signer.public_key_pem()).unwrap();
    let mut changed = certificate.signed_document.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&message, changed).unwrap();
    let refused = script("verify_cose.py")
        .arg(&message)
        .arg(&key)
        .output()
        .unwrap();
    assert!(!refused.status.success());

    fs::write(&message, &certificate.signed_document).unwrap();
    let mut verify = script("verify_cose.py");
    verify.arg(&message).arg(&key);
    let content: Value = serde_json::from_str(&printed_by(verify)).unwrap();
    assert_eq!(content["code"], certificate.code);
    assert_eq!(content["serial"], certificate.serial);
    assert_eq!(content["student_number"], student.student_number);
    assert_eq!(content["addressee_fa"], student.addressee_fa);
    assert_eq!(content["institution_code"], UNIVERSITY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn buf_curl_with_reflection_alone_validates_a_code() {
    let site = Site::new(Engine::Sqlite, "").await;
    let mut serving = site.serve().await;
    let university = serving.client(callers::UNIVERSITY).await;
    let issued = issue_code(&university, Student::new().code_request())
        .await
        .unwrap();
    let validate = |caller: Option<&str>, code: &str| {
        let connector = &serving.connector;
        let mut buf = tool("buf");
        buf.args([
            "curl",
            "--protocol",
            "grpc",
            "--http2-prior-knowledge",
            "--cacert",
        ]);
        buf.arg(connector.server_ca());
        if let Some(caller) = caller {
            let (certificate, key) = connector.identity(caller);
            buf.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        for (name, value) in on_behalf() {
            let value = value.as_str().unwrap();
            buf.arg("--header").arg(format!("{name}: {value}"));
        }
        buf.arg("--data").arg(json!({"code": code}).to_string());
        buf.arg(format!(
            "https://{}/gavah.v1.ValidationService/ValidateCode",
            connector.authority()
        ));
        buf.env("HOME", site.path("")).current_dir(site.path(""));
        buf
    };
    let refused = validate(None, &issued.code).output().unwrap();
    assert!(
        !refused.status.success(),
        "a client without a certificate was served"
    );

    for (code, outcome, reason) in [
        (issued.code.as_str(), "OUTCOME_VALID", "VERDICT_REASON_OK"),
        (
            "12345678901234567888",
            "OUTCOME_NOT_VALID",
            "VERDICT_REASON_NOT_FOUND",
        ),
        ("nonsense", "OUTCOME_NOT_VALID", "VERDICT_REASON_MALFORMED"),
    ] {
        let answer: Value =
            serde_json::from_str(&printed_by(validate(Some(callers::HUB), code))).unwrap();
        let verdict = &answer["verdict"];
        assert_eq!(
            (&verdict["outcome"], &verdict["reason"]),
            (&outcome.into(), &reason.into()),
            "{answer}"
        );
    }
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn grpcurl_lists_the_services_over_the_older_reflection() {
    let site = Site::new(Engine::Sqlite, "").await;
    let mut serving = site.serve().await;
    let (certificate, key) = serving.connector.identity(callers::HUB);
    let mut list = tool("grpcurl");
    list.arg("-cacert").arg(serving.connector.server_ca());
    list.arg("-cert").arg(certificate).arg("-key").arg(key);
    list.args([serving.connector.authority(), "list"]);
    let printed = printed_by(list);
    let mut services: Vec<_> = printed.lines().map(str::trim).collect();
    services.sort_unstable();
    assert_eq!(services, SERVICES);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_python_client_is_refused_and_served_under_its_own_trace() {
    let receiver = Receiver::start().await;
    let site = Site::new(Engine::Sqlite, &receiver.section("info")).await;
    let mut serving = site.serve().await;
    let names = ["mistaken", "wrong_class", "issued", "validated"];
    let sent: Vec<_> = names.into_iter().zip((1..).map(Sent::new)).collect();
    let told = python(&site, &serving.connector, &sent);

    assert_eq!(told["nobody"]["refused"]["code"], "UNAVAILABLE", "{told}");
    let mistaken = &told["mistaken"]["refused"];
    assert_eq!(mistaken["code"], "INVALID_ARGUMENT", "{told}");
    details_are_whole(mistaken, sent[0].1);
    let violations = mistaken["BadRequest"][0]["field_violations"]
        .as_array()
        .unwrap();
    let violations: Vec<_> = violations
        .iter()
        .map(|it| (&it["field"], &it["reason"]))
        .collect();
    for (field, reason) in [
        ("subject.person_id.national_code", "NATIONAL_CODE_ALL_SAME"),
        ("program.student_number", "FIELD_FORMAT"),
    ] {
        assert!(
            violations.contains(&(&field.into(), &reason.into())),
            "{violations:?}"
        );
    }
    let wrong_class = &told["wrong_class"]["refused"];
    assert_eq!(wrong_class["code"], "PERMISSION_DENIED", "{told}");
    assert_eq!(
        wrong_class["ErrorInfo"][0]["reason"],
        "METHOD_NOT_ALLOWED_FOR_CLASS"
    );
    details_are_whole(wrong_class, sent[1].1);

    assert_eq!(told["services"], json!(SERVICES));
    let verdict = &told["validated"]["answer"]["verdict"];
    assert_eq!(verdict["outcome"], "OUTCOME_VALID", "{told}");
    for (name, sent) in &sent[2..] {
        let answered = told[name]["traceparent"].as_str().unwrap();
        assert!(sent.is_answered_by(answered), "{answered}");
    }

    // The last spans go out when the process ends.
    serving.stop().await;
    let spans = receiver.spans();
    let issue = "gavah.v1.ValidityCodeService/IssueValidityCode";
    let path = |index: usize| sent[index].1.path(&spans);
    assert_eq!(path(0)[0], issue);
    assert_eq!(path(1)[0], issue);
    let issued = path(2);
    assert_eq!(
        (issued[0].as_str(), issued.last().unwrap().as_str()),
        (issue, "issue_code")
    );
    let validated = path(3);
    assert_eq!(validated[0], "gavah.v1.ValidationService/ValidateCode");
    assert!(validated.len() > 1, "{validated:?}");
}

/// What the hub says of the agency for which it validates.
fn on_behalf() -> serde_json::Map<String, Value> {
    [
        ("gavah-on-behalf-of", AGENCY.to_owned()),
        ("gavah-purpose", "VALIDATE".to_owned()),
        ("gavah-agreement", agency_agreement()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into_iter()
    .collect()
}

/// Runs the Python client for a new student.
fn python(site: &Site, connector: &Connector, sent: &[(&str, Sent)]) -> Value {
    let student = Student::new();
    let traceparents = sent
        .iter()
        .map(|(name, sent)| ((*name).to_owned(), sent.traceparent().into()));
    let plan = json!({
        "authority": connector.authority(),
        "server_ca": connector.server_ca(),
        "callers": {
            "university": connector.identity(callers::UNIVERSITY),
            "hub": connector.identity(callers::HUB),
        },
        "traceparents": Value::Object(traceparents.collect()),
        "on_behalf": on_behalf(),
        "student": {
            "national_code": student.national_code,
            "student_number": student.student_number,
            "institution_code": UNIVERSITY,
            "expert_code": EXPERT,
        },
    });
    let file = site.path("plan.json");
    fs::write(&file, plan.to_string()).unwrap();
    let mut client = script("client.py");
    client.arg(file);
    serde_json::from_str(&printed_by(client)).unwrap()
}

/// A refusal as Python's libraries decode it: one reason with the trace, and its text in both languages.
fn details_are_whole(refusal: &Value, sent: Sent) {
    let traceparent = refusal["traceparent"].as_str().unwrap();
    assert!(sent.is_answered_by(traceparent), "{refusal}");
    let info = &refusal["ErrorInfo"][0];
    assert_eq!(info["domain"], "gavah", "{refusal}");
    assert_eq!(
        info["metadata"]["trace_id"],
        traceparent[3..35],
        "{refusal}"
    );
    let texts = refusal["LocalizedMessage"].as_array().unwrap();
    let locales: Vec<_> = texts.iter().map(|text| &text["locale"]).collect();
    assert_eq!(locales, ["fa-IR", "en-US"]);
    assert!(
        texts
            .iter()
            .all(|text| !text["message"].as_str().unwrap().is_empty())
    );
}
