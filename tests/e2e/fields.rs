//! What a message may say: every violation by path and reason, all of them at once.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use jiff::SignedDuration;
use prost_types::Timestamp;
use tonic::Code;

use crate::messages::{apply, instant, issue, person, question, record, request_id, upsert};
use crate::peer::{Answer, Peer};
use crate::raw::Raw;

cases_of_any_engine! {
    every_field_of_a_code_request_is_checked,
    every_field_of_a_record_is_checked,
    every_field_of_an_application_is_checked,
    every_field_of_the_registry_is_checked,
    every_field_of_a_question_is_checked,
    everything_that_is_wrong_is_told_at_once,
}

/// Spoils a request, and what is then told: the path and the reason.
type Row<R> = (fn(&mut R), &'static str, &'static str);

#[track_caller]
fn told<T>(answer: Answer<T>) -> Vec<(String, String)> {
    let Err(failure) = answer else {
        return Vec::new();
    };
    assert_eq!(failure.code, Code::InvalidArgument, "{failure}");
    failure
        .violations
        .into_iter()
        .map(|violation| (violation.field, violation.reason))
        .collect()
}

/// Every row is told as it says and nothing else is.
async fn check<R: Clone, T>(good: &R, rows: &[Row<R>], call: impl AsyncFn(R) -> Answer<T>) {
    let mut wrong = Vec::new();
    for (spoil, path, reason) in rows {
        let mut request = good.clone();
        spoil(&mut request);
        let told = told(call(request).await);
        if told != [((*path).to_owned(), (*reason).to_owned())] {
            wrong.push(format!("{path} {reason}: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(told(call(good.clone()).await), []);
}

fn subject(request: &mut pb::IssueValidityCodeRequest) -> &mut pb::Subject {
    request.subject.as_mut().unwrap()
}

fn name(request: &mut pb::IssueValidityCodeRequest) -> &mut pb::PersonName {
    subject(request).name.as_mut().unwrap()
}

fn program(request: &mut pb::IssueValidityCodeRequest) -> &mut pb::Program {
    request.program.as_mut().unwrap()
}

fn document(request: &mut pb::IssueValidityCodeRequest) -> &mut pb::Document {
    request.document.as_mut().unwrap()
}

fn attestation(request: &mut pb::IssueValidityCodeRequest) -> &mut pb::Attestation {
    request.attestation.as_mut().unwrap()
}

fn foreign(kind: pb::ForeignCodeKind, value: &str) -> Option<pb::PersonId> {
    Some(pb::PersonId {
        id: Some(pb::person_id::Id::ForeignCode(pb::ForeignCode {
            kind: kind.into(),
            value: value.to_owned(),
        })),
    })
}

fn passport(number: &str, country: &str) -> Option<pb::PersonId> {
    Some(pb::PersonId {
        id: Some(pb::person_id::Id::Passport(pb::Passport {
            number: number.to_owned(),
            country: country.to_owned(),
        })),
    })
}

fn day(year: i32, month: i32, day: i32) -> Option<pb::JalaliDate> {
    Some(pb::JalaliDate { year, month, day })
}

const CODE_ROWS: &[Row<pb::IssueValidityCodeRequest>] = &[
    (|r| r.request_id.clear(), "request_id", "FIELD_REQUIRED"),
    (|r| r.request_id.push('0'), "request_id", "FIELD_FORMAT"),
    (|r| r.subject = None, "subject", "FIELD_REQUIRED"),
    (
        |r| subject(r).person_id = None,
        "subject.person_id",
        "FIELD_REQUIRED",
    ),
    (
        |r| subject(r).person_id = Some(pb::PersonId { id: None }),
        "subject.person_id.id",
        "FIELD_REQUIRED",
    ),
    (
        |r| subject(r).person_id = Some(person("")),
        "subject.person_id.national_code",
        "FIELD_REQUIRED",
    ),
    (
        |r| subject(r).person_id = Some(person("7730942861")),
        "subject.person_id.national_code",
        "NATIONAL_CODE_CHECKSUM",
    ),
    (
        |r| subject(r).person_id = Some(person("1111111111")),
        "subject.person_id.national_code",
        "NATIONAL_CODE_ALL_SAME",
    ),
    (
        |r| subject(r).person_id = Some(person("77309x2860")),
        "subject.person_id.national_code",
        "FIELD_FORMAT",
    ),
    (
        |r| subject(r).person_id = Some(person(&"7".repeat(41))),
        "subject.person_id.national_code",
        "FIELD_TOO_LONG",
    ),
    (
        |r| subject(r).person_id = foreign(pb::ForeignCodeKind::Unspecified, "12345678"),
        "subject.person_id.foreign_code.kind",
        "FIELD_REQUIRED",
    ),
    (
        |r| subject(r).person_id = foreign(pb::ForeignCodeKind::Fida, "1234567"),
        "subject.person_id.foreign_code.value",
        "FIELD_FORMAT",
    ),
    (
        |r| subject(r).person_id = passport("A1", "ZZZ"),
        "subject.person_id.passport.country",
        "FIELD_FORMAT",
    ),
    (
        |r| subject(r).person_id = passport("A-1%", "IRQ"),
        "subject.person_id.passport.number",
        "FIELD_FORMAT",
    ),
    (|r| subject(r).name = None, "subject.name", "FIELD_REQUIRED"),
    (
        |r| name(r).given_name_fa.clear(),
        "subject.name.given_name_fa",
        "FIELD_REQUIRED",
    ),
    (
        |r| name(r).given_name_fa = "Latin".to_owned(),
        "subject.name.given_name_fa",
        "NAME_SCRIPT",
    ),
    (
        |r| name(r).given_name_fa = "ن".repeat(61),
        "subject.name.given_name_fa",
        "FIELD_TOO_LONG",
    ),
    (
        |r| name(r).family_name_fa.clear(),
        "subject.name.family_name_fa",
        "FIELD_REQUIRED",
    ),
    (
        |r| name(r).given_name_en = "آزمایش".to_owned(),
        "subject.name.given_name_en",
        "NAME_SCRIPT",
    ),
    (
        |r| name(r).family_name_en = "n".repeat(121),
        "subject.name.family_name_en",
        "FIELD_TOO_LONG",
    ),
    (
        |r| subject(r).father_name_fa = "ن".repeat(121),
        "subject.father_name_fa",
        "FIELD_TOO_LONG",
    ),
    (
        |r| subject(r).birth_date = day(1383, 12, 31),
        "subject.birth_date",
        "JALALI_DATE_INVALID",
    ),
    (
        |r| subject(r).birth_date = day(1549, 1, 1),
        "subject.birth_date",
        "FIELD_FORMAT",
    ),
    (|r| subject(r).gender = 9, "subject.gender", "FIELD_FORMAT"),
    (
        |r| subject(r).nationality = "ZZZ".to_owned(),
        "subject.nationality",
        "FIELD_FORMAT",
    ),
    (|r| r.program = None, "program", "FIELD_REQUIRED"),
    (
        |r| program(r).institution_code.clear(),
        "program.institution_code",
        "FIELD_REQUIRED",
    ),
    (
        |r| program(r).institution_code = "دانشگاه".to_owned(),
        "program.institution_code",
        "FIELD_FORMAT",
    ),
    (
        |r| program(r).unit_name_fa = "ن".repeat(241),
        "program.unit_name_fa",
        "FIELD_TOO_LONG",
    ),
    (
        |r| program(r).student_number = "1234".to_owned(),
        "program.student_number",
        "FIELD_FORMAT",
    ),
    (
        |r| program(r).degree_level = 0,
        "program.degree_level",
        "FIELD_REQUIRED",
    ),
    (
        |r| program(r).degree_level = 99,
        "program.degree_level",
        "FIELD_FORMAT",
    ),
    (
        |r| program(r).field_code.clear(),
        "program.field_code",
        "FIELD_REQUIRED",
    ),
    (
        |r| program(r).field_title_fa.clear(),
        "program.field_title_fa",
        "FIELD_REQUIRED",
    ),
    (
        |r| program(r).field_title_en = "n".repeat(241),
        "program.field_title_en",
        "FIELD_TOO_LONG",
    ),
    (
        |r| program(r).study_mode = 0,
        "program.study_mode",
        "FIELD_REQUIRED",
    ),
    (
        |r| program(r).entry_term = None,
        "program.entry_term",
        "FIELD_REQUIRED",
    ),
    (
        |r| program(r).entry_term.as_mut().unwrap().kind = 0,
        "program.entry_term.kind",
        "FIELD_REQUIRED",
    ),
    (
        |r| program(r).entry_term.as_mut().unwrap().academic_year = 1540,
        "program.entry_term",
        "TERM_IN_FUTURE",
    ),
    (|r| r.document_kind = 0, "document_kind", "FIELD_REQUIRED"),
    (|r| r.document_kind = 99, "document_kind", "FIELD_FORMAT"),
    (
        |r| document(r).number = "ن".repeat(61),
        "document.number",
        "FIELD_TOO_LONG",
    ),
    (
        |r| document(r).issue_date = day(1400, 13, 1),
        "document.issue_date",
        "JALALI_DATE_INVALID",
    ),
    (
        |r| document(r).issue_date = day(1540, 1, 1),
        "document.issue_date",
        "FIELD_FORMAT",
    ),
    (
        |r| {
            document(r).start_date = day(1400, 2, 1);
            document(r).end_date = day(1400, 1, 1);
        },
        "document.end_date",
        "FIELD_FORMAT",
    ),
    (
        |r| document(r).gpa_hundredths = Some(2001),
        "document.gpa_hundredths",
        "FIELD_FORMAT",
    ),
    (
        |r| {
            r.prior_qualifications = vec![pb::PriorQualification {
                degree_level: pb::DegreeLevel::Associate.into(),
                validity_code: "123".to_owned(),
            }];
        },
        "prior_qualifications[0].validity_code",
        "FIELD_FORMAT",
    ),
    (
        |r| {
            r.prior_qualifications = vec![pb::PriorQualification {
                degree_level: 0,
                validity_code: "12345678901234567888".to_owned(),
            }];
        },
        "prior_qualifications[0].degree_level",
        "FIELD_REQUIRED",
    ),
    (
        |r| {
            let prior = pb::PriorQualification {
                degree_level: pb::DegreeLevel::Associate.into(),
                validity_code: "12345678901234567888".to_owned(),
            };
            r.prior_qualifications = vec![prior; 11];
        },
        "prior_qualifications",
        "BATCH_TOO_LARGE",
    ),
    (
        |r| r.external_ref = "x".repeat(65),
        "external_ref",
        "FIELD_TOO_LONG",
    ),
    (|r| r.attestation = None, "attestation", "FIELD_REQUIRED"),
    (
        |r| attestation(r).expert = None,
        "attestation.expert",
        "FIELD_REQUIRED",
    ),
    (
        |r| attestation(r).expert.as_mut().unwrap().expert = "experts/E1".to_owned(),
        "attestation.expert.expert",
        "FIELD_FORMAT",
    ),
    (
        |r| attestation(r).statement_version.clear(),
        "attestation.statement_version",
        "FIELD_REQUIRED",
    ),
    (
        |r| attestation(r).attest_time = None,
        "attestation.attest_time",
        "FIELD_REQUIRED",
    ),
    (
        |r| attestation(r).attest_time.as_mut().unwrap().seconds += 3600,
        "attestation.attest_time",
        "FIELD_FORMAT",
    ),
];

async fn every_field_of_a_code_request_is_checked(world: &mut World) {
    let peer = Peer::of(world, CallerKind::University).await;
    let good = issue(world, UNIVERSITY);
    check(&good, CODE_ROWS, async |request| {
        peer.issue_validity_code(request).await
    })
    .await;
}

fn row(request: &mut pb::UpsertEnrollmentRecordRequest) -> &mut pb::EnrollmentRecord {
    request.record.as_mut().unwrap()
}

const RECORD_ROWS: &[Row<pb::UpsertEnrollmentRecordRequest>] = &[
    (|r| r.record = None, "record", "FIELD_REQUIRED"),
    (
        |r| row(r).subject = None,
        "record.subject",
        "FIELD_REQUIRED",
    ),
    (
        |r| row(r).program = None,
        "record.program",
        "FIELD_REQUIRED",
    ),
    (|r| row(r).status = 0, "record.status", "FIELD_REQUIRED"),
    (|r| row(r).status = 99, "record.status", "FIELD_FORMAT"),
    (
        |r| row(r).current_term = None,
        "record.current_term",
        "FIELD_REQUIRED",
    ),
    (
        |r| row(r).registered_units = 31,
        "record.registered_units",
        "FIELD_FORMAT",
    ),
    (
        |r| row(r).registered_units = -1,
        "record.registered_units",
        "FIELD_FORMAT",
    ),
    (
        |r| row(r).status_effective_date = day(1404, 7, 31),
        "record.status_effective_date",
        "JALALI_DATE_INVALID",
    ),
    (
        |r| row(r).expected_graduation_date = day(1404, 0, 1),
        "record.expected_graduation_date",
        "JALALI_DATE_INVALID",
    ),
    (
        |r| row(r).blocks = vec![0],
        "record.blocks[0]",
        "FIELD_REQUIRED",
    ),
    (
        |r| row(r).blocks = vec![1, 2, 3, 4, 1],
        "record.blocks",
        "BATCH_TOO_LARGE",
    ),
    (
        |r| row(r).external_ref = "x".repeat(65),
        "record.external_ref",
        "FIELD_TOO_LONG",
    ),
    (
        |r| row(r).as_of_time = None,
        "record.as_of_time",
        "FIELD_REQUIRED",
    ),
    (
        |r| row(r).as_of_time.as_mut().unwrap().seconds += 3600,
        "record.as_of_time",
        "FIELD_FORMAT",
    ),
    (
        |r| {
            row(r).as_of_time = Some(Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            });
        },
        "record.as_of_time",
        "FIELD_FORMAT",
    ),
];

async fn every_field_of_a_record_is_checked(world: &mut World) {
    let peer = Peer::of(world, CallerKind::University).await;
    let good = upsert(record(world, UNIVERSITY));
    check(&good, RECORD_ROWS, async |request| {
        peer.upsert_enrollment_record(request).await
    })
    .await;
}

type Application = pb::CreateEnrollmentCertificateApplicationRequest;

const APPLICATION_ROWS: &[Row<Application>] = &[
    (|r| r.r#type = 0, "type", "FIELD_REQUIRED"),
    (|r| r.r#type = 2, "type", "FIELD_FORMAT"),
    (
        |r| r.window_reference.clear(),
        "window_reference",
        "FIELD_REQUIRED",
    ),
    (
        |r| r.window_reference = "x".repeat(65),
        "window_reference",
        "FIELD_TOO_LONG",
    ),
    (|r| r.subject = None, "subject", "FIELD_REQUIRED"),
    (
        |r| r.institution_code.clear(),
        "institution_code",
        "FIELD_REQUIRED",
    ),
    (
        |r| r.student_number = "12 34".to_owned(),
        "student_number",
        "FIELD_FORMAT",
    ),
    (
        |r| r.student_number = "1".repeat(41),
        "student_number",
        "FIELD_TOO_LONG",
    ),
    (|r| r.purpose = 0, "purpose", "FIELD_REQUIRED"),
    (|r| r.purpose = 77, "purpose", "FIELD_FORMAT"),
    (|r| r.addressee = None, "addressee", "FIELD_REQUIRED"),
    (
        |r| r.addressee.as_mut().unwrap().name_fa.clear(),
        "addressee.name_fa",
        "FIELD_REQUIRED",
    ),
    (
        |r| r.addressee.as_mut().unwrap().name_fa = "ن".repeat(121),
        "addressee.name_fa",
        "FIELD_TOO_LONG",
    ),
    (
        |r| r.addressee.as_mut().unwrap().name_en = "n".repeat(121),
        "addressee.name_en",
        "FIELD_TOO_LONG",
    ),
    (
        |r| r.addressee.as_mut().unwrap().name_en = "a\u{7}b".to_owned(),
        "addressee.name_en",
        "FIELD_FORMAT",
    ),
];

async fn every_field_of_an_application_is_checked(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    check(&apply(&row), APPLICATION_ROWS, async |request| {
        window
            .create_enrollment_certificate_application(request)
            .await
    })
    .await;
}

fn institution(request: &mut pb::CreateInstitutionRequest) -> &mut pb::Institution {
    request.institution.as_mut().unwrap()
}

fn caller(request: &mut pb::CreateCallerRequest) -> &mut pb::Caller {
    request.caller.as_mut().unwrap()
}

const INSTITUTION_ROWS: &[Row<pb::CreateInstitutionRequest>] = &[
    (|r| r.institution = None, "institution", "FIELD_REQUIRED"),
    (
        |r| institution(r).institution_code.clear(),
        "institution.institution_code",
        "FIELD_REQUIRED",
    ),
    (
        |r| institution(r).aliases = vec!["A".to_owned(), String::new()],
        "institution.aliases[1]",
        "FIELD_REQUIRED",
    ),
    (
        |r| institution(r).aliases = (0..11).map(|n| format!("A{n}")).collect(),
        "institution.aliases",
        "BATCH_TOO_LARGE",
    ),
    (
        |r| institution(r).r#type = 0,
        "institution.type",
        "FIELD_REQUIRED",
    ),
    (
        |r| institution(r).parent_code = "8001".to_owned(),
        "institution.parent_code",
        "FIELD_FORMAT",
    ),
    (
        |r| institution(r).name_fa.clear(),
        "institution.name_fa",
        "FIELD_REQUIRED",
    ),
    (
        |r| institution(r).name_en = "n".repeat(241),
        "institution.name_en",
        "FIELD_TOO_LONG",
    ),
    (
        |r| institution(r).state = 0,
        "institution.state",
        "FIELD_REQUIRED",
    ),
];

const CALLER_ROWS: &[Row<pb::CreateCallerRequest>] = &[
    (|r| r.caller = None, "caller", "FIELD_REQUIRED"),
    (
        |r| caller(r).caller_id.clear(),
        "caller.caller_id",
        "FIELD_REQUIRED",
    ),
    (
        |r| caller(r).caller_id = "Capital Letters".to_owned(),
        "caller.caller_id",
        "FIELD_FORMAT",
    ),
    (
        |r| caller(r).caller_class = 0,
        "caller.caller_class",
        "FIELD_REQUIRED",
    ),
    (
        |r| caller(r).institution_code.clear(),
        "caller.institution_code",
        "FIELD_REQUIRED",
    ),
    (
        |r| caller(r).display_name.clear(),
        "caller.display_name",
        "FIELD_REQUIRED",
    ),
    (|r| caller(r).state = 0, "caller.state", "FIELD_REQUIRED"),
    (
        |r| r.certificate_fingerprint.clear(),
        "certificate_fingerprint",
        "FIELD_REQUIRED",
    ),
    (
        |r| r.certificate_fingerprint = "ab".to_owned(),
        "certificate_fingerprint",
        "FIELD_FORMAT",
    ),
];

async fn every_field_of_the_registry_is_checked(world: &mut World) {
    let peer = Peer::of(world, CallerKind::Organization).await;
    let good = pb::CreateInstitutionRequest {
        request_id: request_id(),
        validate_only: false,
        institution: Some(pb::Institution {
            institution_code: "8001".to_owned(),
            r#type: pb::InstitutionType::State.into(),
            name_fa: "دانشگاه آزمایشی".to_owned(),
            name_en: "Synthetic university".to_owned(),
            state: pb::InstitutionState::Active.into(),
            ..Default::default()
        }),
    };
    check(&good, INSTITUTION_ROWS, async |request| {
        peer.create_institution(request).await
    })
    .await;
    let good = pb::CreateCallerRequest {
        request_id: request_id(),
        validate_only: false,
        caller: Some(pb::Caller {
            caller_id: "fresh-university".to_owned(),
            caller_class: pb::CallerClass::University.into(),
            institution_code: "8001".to_owned(),
            display_name: "Synthetic".to_owned(),
            state: pb::CallerState::Active.into(),
            ..Default::default()
        }),
        certificate_fingerprint: gavah_testkit::fixtures::fingerprint(),
    };
    check(&good, CALLER_ROWS, async |request| {
        peer.create_caller(request).await
    })
    .await;
}

async fn every_field_of_a_question_is_checked(world: &mut World) {
    let peer = Peer::of(world, CallerKind::Hub).await;
    let one: &[Row<pb::ValidateCodeRequest>] = &[
        (|r| r.code = "1".repeat(129), "code", "FIELD_TOO_LONG"),
        (
            |r| r.subject_claim = Some(pb::PersonId { id: None }),
            "subject_claim.id",
            "FIELD_REQUIRED",
        ),
        (
            |r| r.subject_claim = Some(person("1234567890")),
            "subject_claim.national_code",
            "NATIONAL_CODE_CHECKSUM",
        ),
    ];
    check(&question("1"), one, async |request| {
        peer.validate_code(request).await
    })
    .await;
    let many: &[Row<pb::BatchValidateCodesRequest>] = &[
        (|r| r.requests.clear(), "requests", "FIELD_REQUIRED"),
        (
            |r| r.requests = vec![question("1"); 1001],
            "requests",
            "BATCH_TOO_LARGE",
        ),
        (
            |r| r.requests[1].code = "1".repeat(129),
            "requests[1].code",
            "FIELD_TOO_LONG",
        ),
    ];
    let good = pb::BatchValidateCodesRequest {
        requests: vec![question("1"), question("2")],
    };
    check(&good, many, async |request| {
        peer.batch_validate_codes(request).await
    })
    .await;
    let university = Peer::of(world, CallerKind::University).await;
    let pages: &[Row<pb::ListValidityCodesRequest>] = &[
        (|r| r.page_size = -1, "page_size", "FIELD_FORMAT"),
        (|r| r.page_size = 1001, "page_size", "FIELD_FORMAT"),
        (
            |r| r.page_token = "x".repeat(513),
            "page_token",
            "FIELD_TOO_LONG",
        ),
        (
            |r| r.page_token = "x".to_owned(),
            "page_token",
            "PAGE_TOKEN_INVALID",
        ),
        (|r| r.state = 9, "state", "FIELD_FORMAT"),
    ];
    let good = pb::ListValidityCodesRequest::default();
    check(&good, pages, async |request| {
        university.list_validity_codes(request).await
    })
    .await;
}

async fn everything_that_is_wrong_is_told_at_once(world: &mut World) {
    let peer = Peer::of(world, CallerKind::University).await;
    let mut raw = Raw::to(world).await;
    let before = raw.everything().await;
    let expected = [
        ("program.study_mode", "FIELD_REQUIRED"),
        ("external_ref", "FIELD_TOO_LONG"),
        ("subject.person_id.national_code", "NATIONAL_CODE_CHECKSUM"),
        ("subject.name.given_name_fa", "NAME_SCRIPT"),
        ("document.issue_date", "JALALI_DATE_INVALID"),
        ("attestation.attest_time", "FIELD_FORMAT"),
    ];
    for validate_only in [true, false] {
        let mut request = issue(world, UNIVERSITY);
        request.validate_only = validate_only;
        subject(&mut request).person_id = Some(person("1234567890"));
        name(&mut request).given_name_fa = "Latin".to_owned();
        program(&mut request).study_mode = 0;
        document(&mut request).issue_date = day(1404, 12, 30);
        request.external_ref = "x".repeat(65);
        let later = world.now() + SignedDuration::from_hours(1);
        attestation(&mut request).attest_time = Some(instant(later));
        let mut told = told(peer.issue_validity_code(request).await);
        told.sort();
        let mut expected: Vec<_> = expected
            .iter()
            .map(|(path, reason)| ((*path).to_owned(), (*reason).to_owned()))
            .collect();
        expected.sort();
        assert_eq!(told, expected);
    }
    assert_eq!(raw.everything().await, before);
}
