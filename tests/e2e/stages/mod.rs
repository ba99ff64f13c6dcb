//! Applications that are decided in stages, and certificates that replace others.

mod decisions;
mod guards;
mod race;
mod replacing;
mod walk;

use gavah_api::v1 as pb;
use gavah_store::WorkflowSeed;
use gavah_testkit::world::{CallerKind, EXPERT, UNIVERSITY, World};

use crate::harness::soon;
use crate::messages::{apply, national_code, person, record, request_id, upsert};
use crate::peer::Peer;

/// From now on both bodies review what is handed in.
pub(crate) async fn reviewed(world: &mut World) {
    reviewed_by(world, true, true).await;
}

/// From now on these bodies review what is handed in.
pub(crate) async fn reviewed_by(world: &mut World, university: bool, organization: bool) {
    let id = format!("reviews-{university}-{organization}");
    world
        .reseed(|seed| {
            let plain = seed.workflow[1].clone();
            let mut rules = plain.rules.clone();
            rules.university_review = university;
            rules.organization_review = organization;
            if seed.workflow.iter().all(|workflow| workflow.id != id) {
                let id = id.clone();
                seed.workflow.push(WorkflowSeed { id, rules, ..plain });
            }
        })
        .await;
    under(world, &id).await;
}

/// From now on applications run under this version of the workflow, on every node.
pub(crate) async fn under(world: &mut World, workflow: &str) {
    world
        .reseed(|seed| workflow.clone_into(&mut seed.call[1].workflow))
        .await;
    soon("the new workflow", async || {
        let draft = drafted(world, UNIVERSITY).await;
        (draft.workflow_version == workflow).then_some(())
    })
    .await;
}

/// A fresh student's draft; nothing is on record.
pub(crate) async fn drafted(
    world: &World,
    institution: &str,
) -> pb::EnrollmentCertificateApplication {
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        draft: true,
        ..apply(&record(world, institution))
    };
    made(world, request).await
}

/// The application that a good request makes.
pub(crate) async fn made(
    world: &World,
    request: pb::CreateEnrollmentCertificateApplicationRequest,
) -> pb::EnrollmentCertificateApplication {
    let window = Peer::of(world, CallerKind::Window).await;
    let made = window
        .create_enrollment_certificate_application(request)
        .await;
    made.unwrap().application.unwrap()
}

/// A fresh student's application in the institution's review; nothing is on record.
pub(crate) async fn handed_in(
    world: &World,
    institution: &str,
) -> pb::EnrollmentCertificateApplication {
    let made = made(world, apply(&record(world, institution))).await;
    assert_eq!(made.state(), pb::ApplicationState::UniversityReview);
    made
}

/// A fresh student's application that the institution's record confirmed.
pub(crate) async fn confirmed(
    world: &World,
    institution: &str,
) -> pb::EnrollmentCertificateApplication {
    let row = record(world, institution);
    put_on_record(world, &row).await;
    let made = made(world, apply(&row)).await;
    assert_eq!(made.state(), pb::ApplicationState::OrganizationReview);
    made
}

/// Has the record stored by whoever may.
pub(crate) async fn put_on_record(world: &World, row: &pb::EnrollmentRecord) {
    let of = |kind: &CallerKind| {
        let code = &row.program.as_ref().unwrap().institution_code;
        kind.institution() == Some(code)
    };
    let kind = CallerKind::ALL.into_iter().find(of);
    let university = Peer::of(world, kind.unwrap_or(CallerKind::CentralBody)).await;
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
}

/// The record of an application's student, as the institution would have it.
pub(crate) fn record_of(
    world: &World,
    application: &pb::EnrollmentCertificateApplication,
) -> pb::EnrollmentRecord {
    let mut row = record(world, &application.institution_code);
    row.subject.clone_from(&application.subject);
    let program = row.program.as_mut().unwrap();
    program
        .student_number
        .clone_from(&application.student_number);
    row
}

/// A decider that nobody else is.
pub(crate) fn decider(actor: String) -> Option<pb::Decider> {
    Some(pb::Decider {
        actor,
        person_id: Some(person(&national_code())),
    })
}

pub(crate) fn expert(institution: &str) -> String {
    format!("institutions/{institution}/experts/{EXPERT}")
}

pub(crate) fn remark() -> pb::Remark {
    pb::Remark {
        field: "subject.name.given_name_fa".to_owned(),
        text: "نام با شناسنامه مطابقت ندارد".to_owned(),
    }
}

/// A good decision of the institution on the application as it is.
pub(crate) fn university_decision(
    application: &pb::EnrollmentCertificateApplication,
    decision: pb::UniversityDecision,
) -> pb::RecordUniversityDecisionRequest {
    pb::RecordUniversityDecisionRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: application.etag.clone(),
        decision: decision.into(),
        decider: decider(expert(&application.institution_code)),
        remarks: match decision {
            pb::UniversityDecision::Return => vec![remark()],
            _ => Vec::new(),
        },
        reason: match decision {
            pb::UniversityDecision::Reject => "سابقه‌ای نیست".to_owned(),
            _ => String::new(),
        },
    }
}

/// A good decision of the Organization on the application as it is.
pub(crate) fn organization_decision(
    application: &pb::EnrollmentCertificateApplication,
    decision: pb::OrganizationDecision,
) -> pb::RecordOrganizationDecisionRequest {
    pb::RecordOrganizationDecisionRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: application.etag.clone(),
        decision: decision.into(),
        decider: decider("O-1".to_owned()),
        remarks: match decision {
            pb::OrganizationDecision::ReturnToUniversity => vec![remark()],
            _ => Vec::new(),
        },
        reason: match decision {
            pb::OrganizationDecision::Reject => "مشمول نیست".to_owned(),
            _ => String::new(),
        },
    }
}

/// A good change that leaves everything as it is.
pub(crate) fn update(
    application: &pb::EnrollmentCertificateApplication,
) -> pb::UpdateEnrollmentCertificateApplicationRequest {
    pb::UpdateEnrollmentCertificateApplicationRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: application.etag.clone(),
        subject: application.subject.clone(),
        purpose: application.purpose,
        addressee: application.addressee.clone(),
        existing_document: application.existing_document.clone(),
        attachments: application.attachments.clone(),
    }
}

pub(crate) fn submit(
    application: &pb::EnrollmentCertificateApplication,
) -> pb::SubmitEnrollmentCertificateApplicationRequest {
    pb::SubmitEnrollmentCertificateApplicationRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: String::new(),
        subject_claim: application.subject.clone().unwrap().person_id,
    }
}

pub(crate) fn cancel(
    application: &pb::EnrollmentCertificateApplication,
) -> pb::CancelEnrollmentCertificateApplicationRequest {
    pb::CancelEnrollmentCertificateApplicationRequest {
        request_id: request_id(),
        validate_only: false,
        name: application.name.clone(),
        etag: String::new(),
        subject_claim: application.subject.clone().unwrap().person_id,
        reason: "منصرف شد".to_owned(),
    }
}

/// The states of an application's history.
pub(crate) fn states(
    application: &pb::EnrollmentCertificateApplication,
) -> Vec<pb::ApplicationState> {
    let history = application.history.iter();
    history.map(pb::StateChange::state).collect()
}

/// The application as its institution reads it.
pub(crate) async fn read(
    peer: &Peer,
    application: &pb::EnrollmentCertificateApplication,
) -> pb::EnrollmentCertificateApplication {
    let request = pb::GetEnrollmentCertificateApplicationRequest {
        name: application.name.clone(),
        subject_claim: application.subject.clone().unwrap().person_id,
    };
    let read = peer.get_enrollment_certificate_application(request).await;
    read.unwrap().application.unwrap()
}
