//! One good request for every method that writes, and one of another body.

use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_testkit::fixtures;
use gavah_testkit::world::{
    CENTRAL_BODY, CallerKind, INELIGIBLE, OTHER_UNIVERSITY, UNIVERSITY, World,
};

use super::Write;
use crate::code_stages;
use crate::documents;
use crate::messages::{apply, correct, date, instant, issue, record, request_id, upsert};
use crate::peer::Peer;
use crate::revocations::{approve, officer, propose, proposed, selection};
use crate::stages::{
    confirmed, drafted, handed_in, organization_decision, reviewed, under, university_decision,
    update,
};

pub(super) async fn of_codes(world: &World) -> Vec<Write> {
    use CallerKind::University;
    let university = Peer::of(world, University).await;
    let fresh = async || {
        let issued = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        issued.unwrap().validity_code.unwrap().name
    };
    let wrong = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    let wrong = wrong.unwrap().validity_code.unwrap();
    let suspend = |name: String| pb::SuspendValidityCodeRequest {
        request_id: request_id(),
        name,
        ..Default::default()
    };
    let suspended = fresh().await;
    university
        .suspend_validity_code(suspend(suspended.clone()))
        .await
        .unwrap();
    let reinstate = pb::ReinstateValidityCodeRequest {
        name: suspended,
        ..Default::default()
    };
    let revoke = pb::RevokeValidityCodeRequest {
        name: fresh().await,
        reason: pb::RevocationReason::CourtOrder.into(),
        legal_basis: "رأی آزمایشی".to_owned(),
        ..Default::default()
    };
    let service = "ValidityCodeService";
    vec![
        Write::new(
            &format!("{service}/IssueValidityCode"),
            University,
            issue(world, UNIVERSITY),
            |request| request.external_ref.push('2'),
        ),
        Write::new(
            &format!("{service}/BatchImportLegacyCodes"),
            CallerKind::Organization,
            pb::BatchImportLegacyCodesRequest {
                codes: (0..3).map(|_| crate::legacy::code(world)).collect(),
                ..Default::default()
            },
            |request| {
                for code in &mut request.codes {
                    code.external_ref.push('2');
                }
            },
        ),
        Write::new(
            &format!("{service}/CorrectValidityCode"),
            University,
            correct(&wrong, issue(world, UNIVERSITY)),
            |request| request.external_ref.push('2'),
        ),
        Write::new(
            &format!("{service}/SuspendValidityCode"),
            University,
            suspend(fresh().await),
            |request| request.remark = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/ReinstateValidityCode"),
            University,
            reinstate,
            |request| request.remark = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/RevokeValidityCode"),
            University,
            revoke,
            |request| request.reason = pb::RevocationReason::Fraud.into(),
        ),
    ]
}

pub(super) async fn of_certificates(world: &World) -> Vec<Write> {
    use CallerKind::{Organization, Window};
    let organization = Peer::of(world, Organization).await;
    let fresh = async || {
        let applied = crate::certificates::applied(world, &record(world, UNIVERSITY)).await;
        applied.enrollment_certificate.unwrap().name
    };
    let suspend = |name: String| pb::SuspendEnrollmentCertificateRequest {
        request_id: request_id(),
        name,
        ..Default::default()
    };
    let suspended = fresh().await;
    let answer = organization
        .suspend_enrollment_certificate(suspend(suspended.clone()))
        .await;
    answer.unwrap();
    let row = record(world, UNIVERSITY);
    let university = Peer::of(world, CallerKind::University).await;
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let revoke = pb::RevokeEnrollmentCertificateRequest {
        name: fresh().await,
        reason: pb::RevocationReason::CourtOrder.into(),
        legal_basis: "رأی آزمایشی".to_owned(),
        ..Default::default()
    };
    let reinstate = pb::ReinstateEnrollmentCertificateRequest {
        name: suspended,
        ..Default::default()
    };
    let service = "EnrollmentCertificateService";
    vec![
        Write::new(
            &format!("{service}/CreateEnrollmentCertificateApplication"),
            Window,
            apply(&row),
            |request| request.purpose = pb::Purpose::Court.into(),
        ),
        Write::new(
            &format!("{service}/SuspendEnrollmentCertificate"),
            Organization,
            suspend(fresh().await),
            |request| request.remark = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/ReinstateEnrollmentCertificate"),
            Organization,
            reinstate,
            |request| request.remark = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/RevokeEnrollmentCertificate"),
            Organization,
            revoke,
            |request| request.legal_basis = "دیگر".to_owned(),
        ),
    ]
}

pub(super) async fn of_applications(world: &mut World) -> Vec<Write> {
    use CallerKind::{Organization, University, Window};
    let wrong = crate::certificates::applied(world, &record(world, UNIVERSITY)).await;
    let correct = pb::CorrectEnrollmentCertificateRequest {
        name: wrong.enrollment_certificate.unwrap().name,
        ..Default::default()
    };
    reviewed(world).await;
    let at_university = handed_in(world, UNIVERSITY).await;
    let at_organization = confirmed(world, UNIVERSITY).await;
    let (to_cancel, to_submit, to_update) = (
        handed_in(world, UNIVERSITY).await,
        drafted(world, UNIVERSITY).await,
        drafted(world, UNIVERSITY).await,
    );
    // What they began under they keep.
    under(world, "certificate-v1").await;
    let service = "EnrollmentCertificateService";
    let claim = |application: &pb::EnrollmentCertificateApplication| {
        application.subject.clone().unwrap().person_id
    };
    vec![
        Write::new(
            &format!("{service}/CorrectEnrollmentCertificate"),
            Organization,
            correct,
            |request| request.purpose = pb::Purpose::Court.into(),
        ),
        Write::new(
            &format!("{service}/RecordUniversityDecision"),
            University,
            university_decision(&at_university, pb::UniversityDecision::Reject),
            |request| request.reason = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/RecordOrganizationDecision"),
            Organization,
            organization_decision(&at_organization, pb::OrganizationDecision::Reject),
            |request| request.reason = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/CancelEnrollmentCertificateApplication"),
            Window,
            pb::CancelEnrollmentCertificateApplicationRequest {
                name: to_cancel.name.clone(),
                subject_claim: claim(&to_cancel),
                ..Default::default()
            },
            |request| request.reason = "دیگر".to_owned(),
        ),
        Write::new(
            &format!("{service}/SubmitEnrollmentCertificateApplication"),
            Window,
            pb::SubmitEnrollmentCertificateApplicationRequest {
                name: to_submit.name.clone(),
                subject_claim: claim(&to_submit),
                ..Default::default()
            },
            |request| request.etag = "1".to_owned(),
        ),
        Write::new(
            &format!("{service}/UpdateEnrollmentCertificateApplication"),
            Window,
            update(&to_update),
            |request| request.purpose = pb::Purpose::Court.into(),
        ),
    ]
}

pub(super) async fn of_records(world: &World) -> Vec<Write> {
    use CallerKind::University;
    let university = Peer::of(world, University).await;
    let row = record(world, UNIVERSITY);
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let event = pb::ReportEnrollmentEventRequest {
        institution_code: UNIVERSITY.to_owned(),
        student_number: row.program.unwrap().student_number,
        kind: pb::EnrollmentEventKind::OnLeave.into(),
        effective_date: Some(date(JalaliDate::of(world.now()))),
        as_of_time: Some(instant(world.now())),
        ..Default::default()
    };
    let batch = pb::BatchUpsertEnrollmentRecordsRequest {
        records: (0..3).map(|_| record(world, UNIVERSITY)).collect(),
        ..Default::default()
    };
    let service = "EnrollmentRecordService";
    vec![
        Write::new(
            &format!("{service}/UpsertEnrollmentRecord"),
            University,
            upsert(record(world, UNIVERSITY)),
            |request| request.record.as_mut().unwrap().registered_units = 3,
        ),
        Write::new(
            &format!("{service}/BatchUpsertEnrollmentRecords"),
            University,
            batch,
            |request| {
                for record in &mut request.records {
                    record.registered_units = 3;
                }
            },
        ),
        Write::new(
            &format!("{service}/ReportEnrollmentEvent"),
            University,
            event,
            |request| request.kind = pb::EnrollmentEventKind::Suspended.into(),
        ),
    ]
}

fn institution(code: &str) -> pb::Institution {
    pb::Institution {
        institution_code: code.to_owned(),
        r#type: pb::InstitutionType::NonProfit.into(),
        name_fa: "مؤسسه آزمایشی".to_owned(),
        name_en: "Synthetic institute".to_owned(),
        state: pb::InstitutionState::Active.into(),
        ..Default::default()
    }
}

fn expert(code: &str) -> pb::Expert {
    pb::Expert {
        institution_code: UNIVERSITY.to_owned(),
        expert_code: code.to_owned(),
        display_name_fa: "کارشناس آزمایشی".to_owned(),
        state: pb::ExpertState::Active.into(),
        ..Default::default()
    }
}

fn caller(id: &str) -> pb::Caller {
    pb::Caller {
        caller_id: id.to_owned(),
        caller_class: pb::CallerClass::Monitor.into(),
        display_name: "Synthetic monitor".to_owned(),
        state: pb::CallerState::Active.into(),
        ..Default::default()
    }
}

pub(super) async fn of_registry(world: &World) -> Vec<Write> {
    use CallerKind::Organization;
    let organization = Peer::of(world, Organization).await;
    let create_institution = |code: &str| pb::CreateInstitutionRequest {
        request_id: request_id(),
        institution: Some(institution(code)),
        ..Default::default()
    };
    let create_expert = |code: &str| pb::CreateExpertRequest {
        request_id: request_id(),
        expert: Some(expert(code)),
        ..Default::default()
    };
    let create_caller = |id: &str| pb::CreateCallerRequest {
        request_id: request_id(),
        caller: Some(caller(id)),
        certificate_fingerprint: fixtures::fingerprint(),
        ..Default::default()
    };
    organization
        .create_institution(create_institution("7001"))
        .await
        .unwrap();
    organization
        .create_expert(create_expert("OLD"))
        .await
        .unwrap();
    organization
        .create_caller(create_caller("changed-monitor"))
        .await
        .unwrap();
    organization
        .create_caller(create_caller("growing-monitor"))
        .await
        .unwrap();
    let shrinking = create_caller("shrinking-monitor");
    let retired = shrinking.certificate_fingerprint.clone();
    organization.create_caller(shrinking).await.unwrap();
    let changed_institution = pb::UpdateInstitutionRequest {
        institution: Some(pb::Institution {
            name_en: "Changed institute".to_owned(),
            ..institution("7001")
        }),
        ..Default::default()
    };
    let changed_expert = pb::UpdateExpertRequest {
        expert: Some(pb::Expert {
            state: pb::ExpertState::Inactive.into(),
            ..expert("OLD")
        }),
        ..Default::default()
    };
    let changed_caller = pb::UpdateCallerRequest {
        caller: Some(pb::Caller {
            display_name: "Changed monitor".to_owned(),
            ..caller("changed-monitor")
        }),
        ..Default::default()
    };
    let added = pb::AddClientCertificateRequest {
        caller: "callers/growing-monitor".to_owned(),
        fingerprint: fixtures::fingerprint(),
        ..Default::default()
    };
    let retired = pb::RetireClientCertificateRequest {
        caller: "callers/shrinking-monitor".to_owned(),
        fingerprint: retired,
        ..Default::default()
    };
    let of = |method: &str| format!("RegistryService/{method}");
    vec![
        Write::new(
            &of("CreateInstitution"),
            Organization,
            create_institution("7002"),
            |request| request.institution.as_mut().unwrap().name_en.push('2'),
        ),
        Write::new(
            &of("UpdateInstitution"),
            Organization,
            changed_institution,
            |request| request.institution.as_mut().unwrap().name_en.push('2'),
        ),
        Write::new(
            &of("CreateExpert"),
            Organization,
            create_expert("NEW"),
            |request| {
                request.expert.as_mut().unwrap().state = pb::ExpertState::Inactive.into();
            },
        ),
        Write::new(
            &of("UpdateExpert"),
            Organization,
            changed_expert,
            |request| {
                request.expert.as_mut().unwrap().state = pb::ExpertState::Active.into();
            },
        ),
        Write::new(
            &of("CreateCaller"),
            Organization,
            create_caller("new-monitor"),
            |request| {
                request.caller.as_mut().unwrap().display_name.push('2');
            },
        ),
        Write::new(
            &of("UpdateCaller"),
            Organization,
            changed_caller,
            |request| {
                request.caller.as_mut().unwrap().display_name.push('2');
            },
        ),
        Write::new(
            &of("AddClientCertificate"),
            Organization,
            added,
            |request| {
                request.fingerprint = fixtures::fingerprint();
            },
        ),
        Write::new(
            &of("RetireClientCertificate"),
            Organization,
            retired,
            |request| {
                request.fingerprint = fixtures::fingerprint();
            },
        ),
    ]
}

/// Pauses at institutions at which nothing else is written.
pub(super) async fn of_incidents(world: &World) -> Vec<Write> {
    use CallerKind::Organization;
    let organization = Peer::of(world, Organization).await;
    let pause = |institution: &str| pb::PauseIssuanceRequest {
        request_id: request_id(),
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: institution.to_owned(),
        reason: "synthetic".to_owned(),
        validate_only: false,
    };
    for institution in [OTHER_UNIVERSITY, CENTRAL_BODY] {
        let paused = organization.pause_issuance(pause(institution)).await;
        paused.unwrap();
    }
    let resume = pb::ResumeIssuanceRequest {
        service: pb::ServiceKind::ValidityCode.into(),
        institution_code: OTHER_UNIVERSITY.to_owned(),
        ..Default::default()
    };
    // Before there was anything.
    let nothing = selection("").map(|selection| pb::RevocationSelection {
        issued_before: Some(prost_types::Timestamp::default()),
        ..selection
    });
    let to_withdraw = proposed(&organization, nothing.clone()).await;
    let withdraw = pb::WithdrawRevocationRequest {
        name: to_withdraw.name,
        etag: to_withdraw.etag,
        officer: officer("O-2"),
        ..Default::default()
    };
    let service = "IncidentService";
    vec![
        Write::new(
            &format!("{service}/PauseIssuance"),
            Organization,
            pause(INELIGIBLE),
            |request| request.reason.push('2'),
        ),
        Write::new(
            &format!("{service}/ResumeIssuance"),
            Organization,
            resume,
            |request| request.institution_code = CENTRAL_BODY.to_owned(),
        ),
        Write::new(
            &format!("{service}/ProposeRevocation"),
            Organization,
            propose(nothing.clone()),
            |request| request.legal_basis.push('2'),
        ),
        Write::new(
            &format!("{service}/ApproveRevocation"),
            Organization,
            approve(&proposed(&organization, nothing.clone()).await),
            |request| request.officer.as_mut().unwrap().code.push('2'),
        ),
        Write::new(
            &format!("{service}/WithdrawRevocation"),
            Organization,
            withdraw,
            |request| request.officer.as_mut().unwrap().code.push('2'),
        ),
    ]
}

pub(super) async fn of_code_applications(world: &mut World) -> Vec<Write> {
    use CallerKind::{Organization, University};
    use code_stages::{by_expert, by_officer, cancel, confirmed, create, made, offered, resubmit};
    let university = Peer::of(world, University).await;
    let draft = documents::drafted(&Peer::of(world, Organization).await, "directive-1").await;
    offered(world, Some(100)).await;
    let reviewed = made(&university, create(world)).await;
    let reviewed = confirmed(&university, &reviewed).await.application.unwrap();
    offered(world, None).await;
    let fresh = async || made(&university, create(world)).await;
    let returned = by_expert(&fresh().await, pb::ExpertDecision::Return);
    let returned = university.record_expert_decision(returned).await;
    let returned = returned.unwrap().application.unwrap();
    let service = "ValidityCodeService";
    vec![
        Write::new(
            "DocumentService/PublishServiceDocument",
            Organization,
            documents::publish(&draft),
            // The same draft by another way of writing its name.
            |request| {
                request.name = request
                    .name
                    .to_uppercase()
                    .replace("SERVICEDOCUMENTS", "serviceDocuments")
            },
        ),
        Write::new(
            "IssuanceJobService/CancelIssuanceJob",
            University,
            pb::CancelIssuanceJobRequest {
                name: crate::jobs::at_work(world).await,
                ..Default::default()
            },
            |request| request.etag = "1".to_owned(),
        ),
        Write::new(
            &format!("{service}/CreateValidityCodeApplication"),
            University,
            create(world),
            |request| request.code.as_mut().unwrap().external_ref.push('2'),
        ),
        Write::new(
            &format!("{service}/ResubmitValidityCodeApplication"),
            University,
            resubmit(&returned, create(world).code.unwrap()),
            |request| request.code.as_mut().unwrap().external_ref.push('2'),
        ),
        Write::new(
            &format!("{service}/CancelValidityCodeApplication"),
            University,
            cancel(&fresh().await),
            |request| request.reason.push('2'),
        ),
        Write::new(
            &format!("{service}/RecordExpertDecision"),
            University,
            by_expert(&fresh().await, pb::ExpertDecision::Confirm),
            |request| request.statement_version.push('2'),
        ),
        Write::new(
            &format!("{service}/RecordCodeReview"),
            Organization,
            by_officer(&reviewed, pb::CodeReview::Approve),
            |request| request.reason.push('2'),
        ),
    ]
}
