//! Whose data it is: institutions that are named, and resources that belong to somebody else.

use gavah_api::v1 as pb;
use gavah_testkit::fixtures;
use gavah_testkit::world::{
    CENTRAL_BODY, CallerKind, EXPERT, OTHER_UNIVERSITY, UNIT, UNIVERSITY, UNIVERSITY_ALIAS, World,
};
use prost::Message;
use tonic::{Code, Status};

use crate::messages::{apply, date, instant, issue, person, record, request_id, subject, upsert};
use crate::peer::{Peer, refused};
use crate::wire::Wire;

cases_of_any_engine! {
    an_institution_of_somebody_else_is_refused_wherever_a_message_names_it,
    a_resource_of_somebody_else_looks_exactly_like_one_that_does_not_exist,
    another_caller_and_its_institution_look_as_if_they_did_not_exist,
    a_window_reads_the_documents_of_the_subject_it_asks_for_and_of_nobody_else,
    a_central_body_acts_for_its_units_and_for_nobody_else,
    an_alias_stands_for_the_institution,
}

fn event(
    world: &World,
    institution: &str,
    student_number: &str,
) -> pb::ReportEnrollmentEventRequest {
    pb::ReportEnrollmentEventRequest {
        request_id: request_id(),
        validate_only: false,
        institution_code: institution.to_owned(),
        student_number: student_number.to_owned(),
        kind: pb::EnrollmentEventKind::OnLeave.into(),
        effective_date: Some(date(world.today())),
        as_of_time: Some(instant(world.now())),
    }
}

async fn an_institution_of_somebody_else_is_refused_wherever_a_message_names_it(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let not_owned = "INSTITUTION_NOT_OWNED";
    // One that nobody has registered looks the same.
    for institution in [OTHER_UNIVERSITY, UNIT, "9999"] {
        let answer = university
            .issue_validity_code(issue(world, institution))
            .await;
        refused(answer, Code::PermissionDenied, not_owned);
        let answer = university
            .upsert_enrollment_record(upsert(record(world, institution)))
            .await;
        refused(answer, Code::PermissionDenied, not_owned);
        let answer = university
            .report_enrollment_event(event(world, institution, "4040000001"))
            .await;
        refused(answer, Code::PermissionDenied, not_owned);
        let answer = university
            .list_validity_codes(pb::ListValidityCodesRequest {
                institution_code: institution.to_owned(),
                ..Default::default()
            })
            .await;
        refused(answer, Code::PermissionDenied, not_owned);
        let answer = university
            .list_enrollment_certificates(pb::ListEnrollmentCertificatesRequest {
                institution_code: institution.to_owned(),
                ..Default::default()
            })
            .await;
        refused(answer, Code::PermissionDenied, not_owned);
        let answer = university
            .list_enrollment_certificate_applications(
                pb::ListEnrollmentCertificateApplicationsRequest {
                    institution_code: institution.to_owned(),
                    ..Default::default()
                },
            )
            .await;
        refused(answer, Code::PermissionDenied, not_owned);
        let batch = university
            .batch_upsert_enrollment_records(pb::BatchUpsertEnrollmentRecordsRequest {
                request_id: request_id(),
                validate_only: false,
                records: vec![record(world, UNIVERSITY), record(world, institution)],
            })
            .await
            .unwrap();
        let codes: Vec<_> = batch
            .rows
            .iter()
            .map(|row| row.status.as_ref().unwrap().code)
            .collect();
        assert_eq!(codes, [0, Code::PermissionDenied as i32]);
    }
}

/// The status of a refusal without what differs in every call: its trace.
fn told(status: &Status) -> (Code, String, Vec<u8>, Vec<String>) {
    let trace_id = gavah_client::Failure::of(status).trace_id.unwrap();
    let mut details = status.details().to_vec();
    let places: Vec<_> = details
        .windows(trace_id.len())
        .enumerate()
        .filter(|(_, window)| *window == trace_id.as_bytes())
        .map(|(place, _)| place)
        .collect();
    assert_eq!(places.len(), 1);
    details[places[0]..places[0] + trace_id.len()].fill(b'0');
    let mut headers: Vec<_> = status
        .metadata()
        .keys()
        .map(|key| format!("{key:?}"))
        .collect();
    headers.sort();
    (status.code(), status.message().to_owned(), details, headers)
}

async fn a_resource_of_somebody_else_looks_exactly_like_one_that_does_not_exist(world: &mut World) {
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let code = other
        .issue_validity_code(issue(world, OTHER_UNIVERSITY))
        .await;
    let code = code.unwrap().validity_code.unwrap().name;
    let row = record(world, OTHER_UNIVERSITY);
    let stored = other.upsert_enrollment_record(upsert(row.clone())).await;
    let stored = stored.unwrap().record.unwrap().name;
    let applied = window
        .create_enrollment_certificate_application(apply(&row))
        .await
        .unwrap();
    let application = applied.application.unwrap().name;
    let certificate = applied.enrollment_certificate.unwrap().name;
    let student = format!(
        "institutions/{OTHER_UNIVERSITY}/students/{}",
        row.program.as_ref().unwrap().student_number
    );
    let no_student = format!("institutions/{OTHER_UNIVERSITY}/students/40499999999");

    let wire = Wire::of(world, CallerKind::University).await;
    let name = |name: &str| pb::GetValidityCodeRequest {
        name: name.to_owned(),
    };
    let suspend = |name: &str| pb::SuspendValidityCodeRequest {
        request_id: request_id(),
        name: name.to_owned(),
        ..Default::default()
    };
    let revoke = |name: &str| pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: name.to_owned(),
        reason: pb::RevocationReason::DataError.into(),
        ..Default::default()
    };
    let absent = |collection: &str| format!("{collection}/{}", fixtures::id());
    // All these messages have the name in the same field as the first.
    for (path, theirs, nothing) in [
        (
            "ValidityCodeService/GetValidityCode",
            &code,
            absent("validityCodes"),
        ),
        (
            "EnrollmentRecordService/GetEnrollmentRecord",
            &stored,
            absent("enrollmentRecords"),
        ),
        (
            "EnrollmentRecordService/GetEnrollmentRecord",
            &student,
            no_student,
        ),
        (
            "EnrollmentCertificateService/GetEnrollmentCertificate",
            &certificate,
            absent("enrollmentCertificates"),
        ),
        (
            "EnrollmentCertificateService/GetEnrollmentCertificateApplication",
            &application,
            absent("enrollmentCertificateApplications"),
        ),
    ] {
        let path = format!("/gavah.v1.{path}");
        let ask = async |at: &str| {
            let answer = wire.exchange(&path, name(at).encode_to_vec(), &[]).await;
            told(&answer.unwrap_err())
        };
        let stranger = ask(theirs).await;
        assert_eq!(stranger.0, Code::NotFound, "{path}");
        assert_eq!(stranger, ask(&nothing).await, "{path}");
    }
    let nothing = absent("validityCodes");
    for (method, theirs, nothing) in [
        (
            "Suspend",
            suspend(&code).encode_to_vec(),
            suspend(&nothing).encode_to_vec(),
        ),
        (
            "Reinstate",
            suspend(&code).encode_to_vec(),
            suspend(&nothing).encode_to_vec(),
        ),
        (
            "Revoke",
            revoke(&code).encode_to_vec(),
            revoke(&nothing).encode_to_vec(),
        ),
    ] {
        let path = format!("/gavah.v1.ValidityCodeService/{method}ValidityCode");
        let theirs = told(&wire.exchange(&path, theirs, &[]).await.unwrap_err());
        let nothing = told(&wire.exchange(&path, nothing, &[]).await.unwrap_err());
        assert_eq!(theirs.0, Code::NotFound, "{path}");
        assert_eq!(theirs, nothing, "{path}");
    }

    let university = Peer::of(world, CallerKind::University).await;
    let listed = university
        .list_validity_codes(pb::ListValidityCodesRequest::default())
        .await;
    assert_eq!(listed.unwrap().validity_codes, []);
    let listed = university
        .list_enrollment_certificates(pb::ListEnrollmentCertificatesRequest::default())
        .await;
    assert_eq!(listed.unwrap().enrollment_certificates, []);
    let kept = other.get_validity_code(name(&code)).await.unwrap();
    assert_eq!(
        kept.validity_code.unwrap().state(),
        pb::DocumentState::Active
    );
}

async fn another_caller_and_its_institution_look_as_if_they_did_not_exist(world: &mut World) {
    let peer = Peer::of(world, CallerKind::University).await;
    for name in ["callers/window", "callers/nobody-at-all"] {
        let answer = peer
            .get_caller(pb::GetCallerRequest {
                name: name.to_owned(),
            })
            .await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
    for code in [OTHER_UNIVERSITY, "9999"] {
        let name = format!("institutions/{code}");
        let answer = peer
            .get_institution(pb::GetInstitutionRequest { name: name.clone() })
            .await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        let answer = peer
            .list_experts(pb::ListExpertsRequest {
                parent: name,
                ..Default::default()
            })
            .await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
    let name = "callers/university".to_owned();
    let own = peer
        .get_caller(pb::GetCallerRequest { name })
        .await
        .unwrap();
    assert_eq!(own.caller.unwrap().institution_code, UNIVERSITY);
    let name = format!("institutions/{UNIVERSITY}");
    let own = peer
        .get_institution(pb::GetInstitutionRequest { name: name.clone() })
        .await;
    assert_eq!(
        own.unwrap().institution.unwrap().institution_code,
        UNIVERSITY
    );
    let experts = peer
        .list_experts(pb::ListExpertsRequest {
            parent: name,
            ..Default::default()
        })
        .await;
    assert_eq!(experts.unwrap().experts.len(), 2);
}

async fn a_window_reads_the_documents_of_the_subject_it_asks_for_and_of_nobody_else(
    world: &mut World,
) {
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let applied = window
        .create_enrollment_certificate_application(apply(&row))
        .await
        .unwrap();
    let name = applied.enrollment_certificate.unwrap().name;
    let student = row.subject.unwrap().person_id;
    let somebody = subject().person_id;
    let get = |subject_claim: &Option<pb::PersonId>| pb::GetEnrollmentCertificateRequest {
        name: name.clone(),
        subject_claim: subject_claim.clone(),
    };
    let failure = refused(
        window.get_enrollment_certificate(get(&None)).await,
        Code::InvalidArgument,
        "FIELD_REQUIRED",
    );
    assert_eq!(failure.violations[0].field, "subject_claim");
    let answer = window.get_enrollment_certificate(get(&somebody)).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let answer = window
        .get_enrollment_certificate(get(&student))
        .await
        .unwrap();
    assert_eq!(answer.enrollment_certificate.unwrap().name, name);

    let list = |subject_claim: &Option<pb::PersonId>| pb::ListEnrollmentCertificatesRequest {
        subject_claim: subject_claim.clone(),
        ..Default::default()
    };
    let answer = window.list_enrollment_certificates(list(&None)).await;
    refused(answer, Code::InvalidArgument, "FIELD_REQUIRED");
    for (claim, count) in [(&somebody, 0), (&student, 1)] {
        let listed = window
            .list_enrollment_certificates(list(claim))
            .await
            .unwrap();
        assert_eq!(listed.enrollment_certificates.len(), count);
    }
    // The university reads its own, whoever asks, and not under another's name.
    for (claim, found) in [(&None, true), (&student, true), (&somebody, false)] {
        let answer = university.get_enrollment_certificate(get(claim)).await;
        assert_eq!(answer.is_ok(), found);
        let listed = university
            .list_enrollment_certificates(list(claim))
            .await
            .unwrap();
        assert_eq!(listed.enrollment_certificates.len(), usize::from(found));
    }
    for (institution, found) in [(UNIVERSITY, 1), (OTHER_UNIVERSITY, 0)] {
        let narrowed = pb::ListEnrollmentCertificatesRequest {
            institution_code: institution.to_owned(),
            ..list(&student)
        };
        let listed = window.list_enrollment_certificates(narrowed).await.unwrap();
        assert_eq!(listed.enrollment_certificates.len(), found, "{institution}");
    }
    let organization = Peer::of(world, CallerKind::Organization).await;
    for (claim, found) in [(&None, 1), (&student, 1), (&somebody, 0)] {
        let listed = organization
            .list_enrollment_certificates(list(claim))
            .await
            .unwrap();
        assert_eq!(listed.enrollment_certificates.len(), found);
    }
}

async fn a_central_body_acts_for_its_units_and_for_nobody_else(world: &mut World) {
    let body = Peer::of(world, CallerKind::CentralBody).await;
    for institution in [UNIT, CENTRAL_BODY] {
        let issued = body
            .issue_validity_code(issue(world, institution))
            .await
            .unwrap();
        let code = issued.validity_code.unwrap();
        assert_eq!(
            code.attested_by,
            format!("institutions/{institution}/experts/{EXPERT}")
        );
        let name = code.name;
        let suspended = body
            .suspend_validity_code(pb::SuspendValidityCodeRequest {
                request_id: request_id(),
                name,
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!(
            suspended.validity_code.unwrap().state(),
            pb::DocumentState::Suspended
        );
        let row = record(world, institution);
        body.upsert_enrollment_record(upsert(row)).await.unwrap();
    }
    let listed = body
        .list_validity_codes(pb::ListValidityCodesRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.validity_codes.len(), 2);
    let answer = body.issue_validity_code(issue(world, UNIVERSITY)).await;
    refused(answer, Code::PermissionDenied, "INSTITUTION_NOT_OWNED");
}

async fn an_alias_stands_for_the_institution(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut request = issue(world, UNIVERSITY_ALIAS);
    request.program.as_mut().unwrap().institution_code = UNIVERSITY_ALIAS.to_lowercase();
    let issued = university.issue_validity_code(request).await.unwrap();
    let code = issued.validity_code.unwrap();
    assert_eq!(code.program.unwrap().institution_code, UNIVERSITY);
    assert_eq!(
        code.attested_by,
        format!("institutions/{UNIVERSITY}/experts/{EXPERT}")
    );
    let row = record(world, UNIVERSITY_ALIAS);
    let number = row.program.as_ref().unwrap().student_number.clone();
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let found = university
        .get_enrollment_record(pb::GetEnrollmentRecordRequest {
            name: format!("institutions/{UNIVERSITY_ALIAS}/students/{number}"),
        })
        .await
        .unwrap();
    assert_eq!(
        found.record.unwrap().program.unwrap().institution_code,
        UNIVERSITY
    );
    let window = Peer::of(world, CallerKind::Window).await;
    let applied = window
        .create_enrollment_certificate_application(apply(&row))
        .await
        .unwrap();
    assert_eq!(applied.application.unwrap().institution_code, UNIVERSITY);
    let claim = row.subject.unwrap().person_id;
    assert_ne!(claim, Some(person("7730942860")));
}
