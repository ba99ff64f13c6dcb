//! Records, applications, and what the registry holds.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use prost_types::Timestamp;

use super::{Row, check, day};
use crate::messages::{apply, record, request_id, upsert};
use crate::peer::Peer;

cases_of_any_engine! {
    every_field_of_a_record_is_checked,
    every_field_of_an_application_is_checked,
    every_field_of_the_registry_is_checked,
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
    (|r| r.r#type = 5, "type", "FIELD_FORMAT"),
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
