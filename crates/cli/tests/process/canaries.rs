//! Nothing the process emits names a person or quotes a code: logs at the level that says most, spans, metrics, errors,
//! and the database's own log.

use std::fmt::Write as _;
use std::fs;

use gavah_api::v1 as pb;
use gavah_client::Failure;
use gavah_domain::{CodeScheme, SystemEntropy, ValidityCode};
use gavah_testkit::fixtures;
use gavah_testkit::postgres::Cluster;

use crate::receiver::Receiver;
use crate::site::{Engine, Serving, Site, callers};
use crate::students::{
    INELIGIBLE, Student, issue_certificate, issue_code, now, push_records, request_id,
};

/// Everything that came out of one run, by where it came out.
struct Emitted(Vec<(&'static str, String)>);

/// Values that must stay inside, each unlike anything else.
struct Canaries {
    student: Student,
    /// A national code with a wrong check digit, as a typing error has it.
    mistyped: String,
    remark: String,
    /// Codes of the run, as they are issued.
    codes: Vec<String>,
}

impl Canaries {
    fn new() -> Self {
        let mut student = Student::new();
        let national_code = fixtures::national_code(87_000_000 + fixtures::number());
        student.national_code = national_code.as_str().to_owned();
        student.student_number = format!("40498{:07}", fixtures::number());
        student.given_name_fa = "قناریانه".to_owned();
        student.family_name_fa = "قناریفرد".to_owned();
        student.father_name_fa = "قناریپدر".to_owned();
        student.given_name_en = "Canarina".to_owned();
        student.family_name_en = "Canaridou".to_owned();
        student.addressee_fa = "سفارت قناریستان".to_owned();
        student.addressee_en = "Embassy of Canaristan".to_owned();
        let (first_nine, check) = student.national_code.split_at(9);
        let wrong = (check.parse::<u8>().unwrap() + 5) % 10;
        Self {
            mistyped: format!("{first_nine}{wrong}"),
            student,
            remark: "قناریشرح".to_owned(),
            codes: Vec::new(),
        }
    }

    fn values(&self) -> Vec<&str> {
        let student = &self.student;
        let of_student = [
            &student.national_code,
            &student.student_number,
            &student.given_name_fa,
            &student.family_name_fa,
            &student.father_name_fa,
            &student.given_name_en,
            &student.family_name_en,
            &student.addressee_fa,
            &student.addressee_en,
        ];
        let others = [&self.mistyped, &self.remark]
            .into_iter()
            .chain(&self.codes);
        of_student
            .into_iter()
            .chain(others)
            .map(String::as_str)
            .collect()
    }
}

impl Emitted {
    /// Where a value came out, in whatever form.
    fn of(&self, value: &str) -> Vec<&'static str> {
        let places = self.0.iter().filter(|(_, text)| occurs(value, text));
        places.map(|(place, _)| *place).collect()
    }
}

/// Whether a value stands in a text: as it is, grouped as people write numbers, or escaped as logs and debuggers do.
fn occurs(value: &str, text: &str) -> bool {
    let squeeze = |text: &str| {
        text.replace([' ', '-', '\u{200c}', '\u{a0}'], "")
            .to_lowercase()
    };
    let json = value
        .encode_utf16()
        .fold(String::new(), |mut escaped, unit| {
            match u8::try_from(unit) {
                Ok(ascii) => escaped.push(ascii.into()),
                Err(_) => write!(escaped, "\\u{unit:04x}").unwrap(),
            }
            escaped
        });
    let bytes = value.as_bytes();
    let forms = [
        value.to_owned(),
        json,
        bytes.escape_ascii().to_string(),
        format!("{bytes:?}"),
    ];
    let text = squeeze(text);
    forms.iter().any(|form| text.contains(&squeeze(form)))
}

#[test]
fn a_planted_value_is_found_in_every_form() {
    for value in ["41234567890123456789", "قناریانه", "Canarina"] {
        for text in [
            format!("before {value} after"),
            format!("{{\"field\": {value:?}}}"),
            format!("{:?}", Some(value.as_bytes())),
            value.as_bytes().escape_ascii().to_string(),
            value.to_uppercase(),
        ] {
            let emitted = Emitted(vec![("clean", "nothing".to_owned()), ("planted", text)]);
            assert_eq!(emitted.of(value), ["planted"], "{}", emitted.0[1].1);
        }
    }
    assert!(occurs("41234567890123456789", "41234 56789 01234 56789"));
    assert!(occurs("قناری", "\\u0642\\u0646\\u0627\\u0631\\u06cc"));
    assert!(!occurs("قناری", "قنا"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_of_a_person_leaves_a_process_on_sqlite() {
    let (canaries, emitted) = run(Engine::Sqlite).await;
    nothing_leaks(&canaries, &emitted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_of_a_person_leaves_a_process_on_postgres() {
    let (canaries, mut emitted) = run(Engine::Postgres).await;
    let log = Cluster::shared().unwrap().folder().join("log");
    emitted
        .0
        .push(("log of the database", fs::read_to_string(log).unwrap()));
    // The database tells whoever broke a constraint which value it was, and logs no more than that it happened.
    assert_eq!(
        emitted.of("duplicate key value violates unique constraint"),
        [VIOLATION, "log of the database"]
    );
    let (_, violation) = emitted
        .0
        .iter()
        .find(|(place, _)| *place == VIOLATION)
        .unwrap();
    assert!(
        violation.contains("DETAIL") && occurs(&canaries.codes[0], violation),
        "{violation}"
    );
    emitted.0.retain(|(place, _)| *place != VIOLATION);
    nothing_leaks(&canaries, &emitted);
}

/// What the database told a client that broke a constraint.
const VIOLATION: &str = "answer of the database";

fn nothing_leaks(canaries: &Canaries, emitted: &Emitted) {
    // Each place says what it must say: it is neither empty nor unreadable to the search.
    for (known, places) in [
        (callers::UNIVERSITY, &["log", "spans"][..]),
        (
            "gavah.v1.ValidityCodeService/IssueValidityCode",
            &["log", "spans", "metrics"],
        ),
        ("issue_code", &["spans", "metrics"]),
        ("SUBJECT_MISMATCH", &["log", "spans", "errors"]),
        ("NATIONAL_CODE_CHECKSUM", &["errors"]),
        ("audit entries chained", &["log"]),
    ] {
        let found = emitted.of(known);
        for place in places {
            assert!(
                found.contains(place),
                "{known} is not in the {place}: nothing was kept of it"
            );
        }
    }
    for value in canaries.values() {
        let leaks = emitted.of(value);
        assert!(leaks.is_empty(), "{value} came out in the {leaks:?}");
    }
}

/// Issues, validates, refuses and records, all with canaries.
async fn run(engine: Engine) -> (Canaries, Emitted) {
    let receiver = Receiver::start().await;
    let site = Site::new(engine, &receiver.section("debug")).await;
    let mut serving = site.serve().await;
    let mut canaries = Canaries::new();
    let mut errors = String::new();
    let refused = |failure: Box<Failure>| {
        writeln!(errors, "{failure:?} {failure}").unwrap();
    };
    granted(&serving, &mut canaries).await;
    refusals(&serving, &canaries, refused).await;
    let metrics = serving.probe("/metrics").await.unwrap();
    let mut emitted = Emitted(Vec::new());
    if engine == Engine::Postgres {
        let twice = "INSERT INTO validity_code SELECT (jsonb_populate_record(v, \
                     jsonb_build_object('id', gen_random_uuid(), 'live_key', null))).* FROM validity_code v";
        let violation = Cluster::shared()
            .unwrap()
            .query(site.database(), twice)
            .unwrap_err();
        emitted.0.push((VIOLATION, violation.to_string()));
    }
    serving.stop().await;
    emitted.0.extend([
        (
            "log",
            format!("{}{}", serving.process.stderr(), serving.process.stdout()),
        ),
        ("spans", receiver.text()),
        ("metrics", metrics),
        ("errors", errors),
    ]);
    (canaries, emitted)
}

async fn granted(serving: &Serving, canaries: &mut Canaries) {
    let student = &canaries.student;
    let university = serving.client(callers::UNIVERSITY).await;
    let window = serving.client(callers::WINDOW).await;
    let hub = serving.client(callers::HUB).await;
    push_records(&university, std::slice::from_ref(student)).await;
    let code = issue_code(&university, student.code_request())
        .await
        .unwrap();
    let certificate = issue_certificate(&window, student.certificate_request())
        .await
        .unwrap();
    for code in [&code.code, &certificate.code] {
        for claim in [
            None,
            Some(student.person_id()),
            Some(Student::new().person_id()),
        ] {
            let request = pb::ValidateCodeRequest {
                purpose: 0,
                code: code.clone(),
                subject_claim: claim,
            };
            hub.call(request, |channel, request| async move {
                channel.validation().validate_code(request).await
            })
            .await
            .unwrap();
        }
    }
    let unknown = ValidityCode::draw(CodeScheme::ValidityCode, &SystemEntropy).unwrap();
    let codes = [
        unknown.as_str(),
        &student.given_name_en,
        &student.national_code,
        &ValidityCode::parse(&code.code).unwrap().grouped(),
    ];
    crate::students::validate(&hub, &codes.map(str::to_owned)).await;
    let suspend = pb::SuspendValidityCodeRequest {
        request_id: request_id(),
        name: code.name.clone(),
        remark: canaries.remark.clone(),
        ..pb::SuspendValidityCodeRequest::default()
    };
    university
        .call(suspend, |channel, request| async move {
            channel
                .validity_codes()
                .suspend_validity_code(request)
                .await
        })
        .await
        .unwrap();
    let event = pb::ReportEnrollmentEventRequest {
        request_id: request_id(),
        institution_code: crate::students::UNIVERSITY.to_owned(),
        student_number: student.student_number.clone(),
        kind: pb::EnrollmentEventKind::OnLeave.into(),
        effective_date: Some(pb::JalaliDate {
            year: 1404,
            month: 1,
            day: 15,
        }),
        as_of_time: now(),
        ..pb::ReportEnrollmentEventRequest::default()
    };
    university
        .call(event, |channel, request| async move {
            channel.records().report_enrollment_event(request).await
        })
        .await
        .unwrap();
    canaries.codes = vec![code.code, certificate.code, unknown.as_str().to_owned()];
}

async fn refusals(serving: &Serving, canaries: &Canaries, mut refused: impl FnMut(Box<Failure>)) {
    let student = &canaries.student;
    let university = serving.client(callers::UNIVERSITY).await;
    let ineligible = serving.client(callers::INELIGIBLE).await;
    let window = serving.client(callers::WINDOW).await;
    let hub = serving.client(callers::HUB).await;

    // The code exists already; the caller, the institution, the request_id are wrong.
    let request = student.code_request();
    refused(issue_code(&university, request.clone()).await.unwrap_err());
    refused(issue_code(&hub, request).await.unwrap_err());
    refused(
        issue_code(&ineligible, student.code_request_of(INELIGIBLE))
            .await
            .unwrap_err(),
    );
    refused(
        issue_code(&ineligible, student.code_request())
            .await
            .unwrap_err(),
    );
    let other = Student::new();
    let mut used = other.code_request();
    issue_code(&university, used.clone()).await.unwrap();
    used.subject = Some(student.subject());
    refused(issue_code(&university, used).await.unwrap_err());

    // Everything is wrong in a field of its own, and says what it should not have said.
    let mut mistaken = student.code_request();
    let mut subject = student.subject();
    subject.person_id = Some(pb::PersonId {
        id: Some(pb::person_id::Id::NationalCode(canaries.mistyped.clone())),
    });
    if let Some(name) = &mut subject.name {
        name.given_name_fa = student.given_name_en.clone();
        name.family_name_en = student.family_name_fa.clone();
    }
    subject.nationality = student.given_name_en[..3].to_owned();
    mistaken.subject = Some(subject);
    if let Some(program) = &mut mistaken.program {
        program.student_number = student.given_name_en.clone();
        program.field_code = student.family_name_fa.clone();
    }
    mistaken.prior_qualifications = vec![pb::PriorQualification {
        degree_level: pb::DegreeLevel::Associate.into(),
        validity_code: canaries.codes[0].repeat(2),
        attachment: String::new(),
    }];
    refused(issue_code(&university, mistaken).await.unwrap_err());

    // Names that are not on record, and nobody on record at all.
    let mut mismatched = student.clone();
    mismatched.family_name_fa = canaries.remark.clone();
    push_records(&university, std::slice::from_ref(student)).await;
    refused(
        issue_certificate(&window, mismatched.certificate_request())
            .await
            .unwrap_err(),
    );
    let mut stranger = student.clone();
    stranger.student_number = other.student_number;
    refused(
        issue_certificate(&window, stranger.certificate_request())
            .await
            .unwrap_err(),
    );
    let name = format!("validityCodes/{}", canaries.codes[0]);
    let get = hub.call(
        pb::GetValidityCodeRequest { name: name.clone() },
        |channel, request| async move { channel.validity_codes().get_validity_code(request).await },
    );
    refused(get.await.unwrap_err());
    let get = university.call(
        pb::GetValidityCodeRequest { name },
        |channel, request| async move { channel.validity_codes().get_validity_code(request).await },
    );
    refused(get.await.unwrap_err());
}
