//! Requests for validity codes.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use jiff::SignedDuration;

use super::{Row, check, day, told};
use crate::messages::{instant, issue, person};
use crate::peer::Peer;
use crate::raw::Raw;

cases_of_any_engine! {
    every_field_of_a_code_request_is_checked,
    everything_that_is_wrong_is_told_at_once,
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
                attachment: String::new(),
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
                attachment: String::new(),
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
                attachment: String::new(),
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
