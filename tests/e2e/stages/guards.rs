//! What stands between an application and its next state. Every refusal leaves nothing behind.

use gavah_api::v1 as pb;
use gavah_client::Failure;
use gavah_testkit::world::{
    CENTRAL_BODY, CERTIFICATE_CALL, CallerKind, INACTIVE_EXPERT, UNIVERSITY, World,
};
use jiff::SignedDuration;
use tonic::Code;

use super::*;
use crate::code_guards::close_institution;
use crate::messages::{GIVEN_NAME, subject};
use crate::peer::{Answer, refused};
use crate::raw::Raw;
use pb::ApplicationState as S;

cases! {
    the_record_must_allow_what_is_confirmed_and_approved,
    each_state_refuses_what_it_does_not_allow_and_says_what_it_does,
}

cases_of_any_engine! {
    everything_that_is_wrong_with_a_decision_is_told_at_once,
    nobody_decides_on_their_own_application_nor_for_both_bodies,
    an_expert_decides_for_their_own_institution_only,
    the_window_acts_for_the_subject_it_names_only,
    all_that_a_record_has_against_it_is_told_at_once,
    a_paper_comes_with_exactly_one_kind_of_application,
    what_needs_a_review_is_refused_where_there_is_none,
    a_pause_stops_confirming_and_approving,
    requests_in_flight_outlive_their_call_for_its_run_off_days,
    what_was_handed_in_under_a_suspended_agreement_is_not_decided,
    nothing_is_handed_in_again_for_an_institution_that_has_closed,
    a_workflow_version_that_is_published_never_changes,
}

fn fields(failure: &Failure) -> Vec<(&str, &str)> {
    let violations = failure.violations.iter();
    violations
        .map(|it| (it.field.as_str(), it.reason.as_str()))
        .collect()
}

async fn everything_that_is_wrong_with_a_decision_is_told_at_once(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let answer = university
        .record_university_decision(pb::RecordUniversityDecisionRequest {
            request_id: request_id(),
            name: "enrollmentCertificates/1".to_owned(),
            decision: pb::UniversityDecision::Return.into(),
            decider: Some(pb::Decider {
                actor: "E1".to_owned(),
                person_id: None,
            }),
            ..Default::default()
        })
        .await;
    let failure = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
    let mut found = fields(&failure);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("decider.actor", "FIELD_FORMAT"),
            ("decider.person_id", "FIELD_REQUIRED"),
            ("etag", "FIELD_REQUIRED"),
            ("name", "FIELD_FORMAT"),
            ("remarks", "FIELD_REQUIRED"),
        ]
    );
    reviewed(world).await;
    let confirmed = confirmed(world, UNIVERSITY).await;
    let decision = pb::RecordOrganizationDecisionRequest {
        remarks: vec![pb::Remark {
            field: "Subject".to_owned(),
            text: " ".to_owned(),
        }],
        reason: String::new(),
        ..organization_decision(&confirmed, pb::OrganizationDecision::Reject)
    };
    let answer = organization.record_organization_decision(decision).await;
    let failure = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
    let mut found = fields(&failure);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("reason", "FIELD_REQUIRED"),
            ("remarks", "FIELD_FORMAT"),
            ("remarks[0].field", "FIELD_FORMAT"),
            ("remarks[0].text", "FIELD_REQUIRED"),
        ]
    );
}

async fn nobody_decides_on_their_own_application_nor_for_both_bodies(world: &mut World) {
    reviewed(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let handed_in = handed_in(world, UNIVERSITY).await;
    put_on_record(world, &record_of(world, &handed_in)).await;
    let confirm = university_decision(&handed_in, pb::UniversityDecision::Confirm);
    let mut own = confirm.clone();
    let student = handed_in.subject.clone().unwrap().person_id;
    own.decider.as_mut().unwrap().person_id = student;
    let answer = university.record_university_decision(own).await;
    refused(answer, Code::PermissionDenied, "SAME_PERSON_CANNOT_DECIDE");

    let confirmed = university.record_university_decision(confirm.clone()).await;
    let confirmed = confirmed.unwrap().application.unwrap();
    let mut same = organization_decision(&confirmed, pb::OrganizationDecision::Approve);
    let person = confirm.decider.unwrap().person_id;
    same.decider.as_mut().unwrap().person_id = person;
    let answer = organization.record_organization_decision(same).await;
    refused(answer, Code::PermissionDenied, "SAME_PERSON_CANNOT_DECIDE");
    assert_eq!(
        read(&organization, &confirmed).await.state(),
        S::OrganizationReview
    );
}

async fn an_expert_decides_for_their_own_institution_only(world: &mut World) {
    reviewed(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let handed_in = handed_in(world, UNIVERSITY).await;
    for actor in [
        format!("institutions/{UNIVERSITY}/experts/{INACTIVE_EXPERT}"),
        format!("institutions/{UNIVERSITY}/experts/unknown"),
        expert(CENTRAL_BODY),
    ] {
        let decision = pb::RecordUniversityDecisionRequest {
            decider: decider(actor),
            ..university_decision(&handed_in, pb::UniversityDecision::Reject)
        };
        let answer = university.record_university_decision(decision).await;
        refused(answer, Code::FailedPrecondition, "EXPERT_NOT_ACTIVE");
    }
    assert_eq!(
        read(&university, &handed_in).await.state(),
        S::UniversityReview
    );
}

async fn the_window_acts_for_the_subject_it_names_only(world: &mut World) {
    reviewed(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let draft = drafted(world, UNIVERSITY).await;
    let stranger = subject();
    let submit = pb::SubmitEnrollmentCertificateApplicationRequest {
        subject_claim: stranger.person_id.clone(),
        ..submit(&draft)
    };
    let answer = window
        .submit_enrollment_certificate_application(submit)
        .await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let cancel = pb::CancelEnrollmentCertificateApplicationRequest {
        subject_claim: stranger.person_id.clone(),
        ..cancel(&draft)
    };
    let answer = window
        .cancel_enrollment_certificate_application(cancel)
        .await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let update = pb::UpdateEnrollmentCertificateApplicationRequest {
        subject: Some(stranger),
        ..update(&draft)
    };
    let answer = window
        .update_enrollment_certificate_application(update)
        .await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
}

type Spoil = fn(&mut pb::EnrollmentRecord);

async fn the_record_must_allow_what_is_confirmed_and_approved(world: &mut World) {
    reviewed(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let handed_in = handed_in(world, UNIVERSITY).await;
    let confirm = || university_decision(&handed_in, pb::UniversityDecision::Confirm);
    let answer = university.record_university_decision(confirm()).await;
    refused(
        answer,
        Code::FailedPrecondition,
        "ENROLLMENT_RECORD_NOT_FOUND",
    );
    let good = record_of(world, &handed_in);
    let spoiled: [(&str, Spoil); 3] = [
        ("ENROLLMENT_NOT_ACTIVE", |row| {
            row.status = pb::EnrollmentStatus::OnLeave.into();
        }),
        ("RELEASE_BLOCKED", |row| {
            row.blocks = vec![pb::BlockKind::Financial.into()];
        }),
        ("SUBJECT_MISMATCH", |row| {
            let name = row.subject.as_mut().unwrap().name.as_mut().unwrap();
            name.given_name_fa = "دیگری".to_owned();
        }),
    ];
    for (reason, spoil) in spoiled {
        let mut row = good.clone();
        spoil(&mut row);
        put_on_record(world, &row).await;
        let mut raw = Raw::to(world).await;
        let before = raw.everything().await;
        let trial = pb::RecordUniversityDecisionRequest {
            validate_only: true,
            ..confirm()
        };
        let answer = university.record_university_decision(trial).await;
        refused(answer, Code::FailedPrecondition, reason);
        let answer = university.record_university_decision(confirm()).await;
        refused(answer, Code::FailedPrecondition, reason);
        assert_eq!(raw.everything().await, before, "{reason}");
    }
    put_on_record(world, &good).await;
    let confirmed = university.record_university_decision(confirm()).await;
    let confirmed = confirmed.unwrap().application.unwrap();
    // Blocked after the confirmation, it is not approved.
    let approve = || organization_decision(&confirmed, pb::OrganizationDecision::Approve);
    for (reason, spoil) in spoiled {
        let mut row = good.clone();
        spoil(&mut row);
        put_on_record(world, &row).await;
        let answer = organization.record_organization_decision(approve()).await;
        refused(answer, Code::FailedPrecondition, reason);
    }
    put_on_record(world, &good).await;
    let issued = organization.record_organization_decision(approve()).await;
    assert_eq!(issued.unwrap().application.unwrap().state(), S::Issued);
}

async fn all_that_a_record_has_against_it_is_told_at_once(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let row = pb::EnrollmentRecord {
        registered_units: 0,
        blocks: vec![pb::BlockKind::Legal.into()],
        ..record(world, UNIVERSITY)
    };
    put_on_record(world, &row).await;
    let mut request = apply(&row);
    request.validate_only = true;
    let name = request.subject.as_mut().unwrap().name.as_mut().unwrap();
    assert_eq!(name.given_name_fa, GIVEN_NAME);
    name.given_name_fa = "دیگری".to_owned();
    let answer = window
        .create_enrollment_certificate_application(request)
        .await;
    let failure = refused(answer, Code::FailedPrecondition, "ENROLLMENT_NOT_ACTIVE");
    assert_eq!(failure.metadata["also"], "RELEASE_BLOCKED,SUBJECT_MISMATCH");
}

#[track_caller]
fn refused_in<T>(answer: Answer<T>, state: &str, allowed: &str) {
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], state);
    assert_eq!(failure.metadata["allowed"], allowed);
}

async fn each_state_refuses_what_it_does_not_allow_and_says_what_it_does(world: &mut World) {
    reviewed(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let confirm = |it: &_| university_decision(it, pb::UniversityDecision::Confirm);
    let approve = |it: &_| organization_decision(it, pb::OrganizationDecision::Approve);

    let draft = drafted(world, UNIVERSITY).await;
    let allowed = "UPDATE,SUBMIT,CANCEL";
    let answer = university.record_university_decision(confirm(&draft)).await;
    refused_in(answer, "DRAFT", allowed);
    let answer = organization
        .record_organization_decision(approve(&draft))
        .await;
    refused_in(answer, "DRAFT", allowed);

    let handed_in = handed_in(world, UNIVERSITY).await;
    let allowed = "CANCEL,CONFIRM,RETURN,UNIVERSITY_REJECT";
    let answer = window
        .submit_enrollment_certificate_application(submit(&handed_in))
        .await;
    refused_in(answer, "UNIVERSITY_REVIEW", allowed);
    let answer = window
        .update_enrollment_certificate_application(update(&handed_in))
        .await;
    refused_in(answer, "UNIVERSITY_REVIEW", allowed);
    let answer = organization
        .record_organization_decision(approve(&handed_in))
        .await;
    refused_in(answer, "UNIVERSITY_REVIEW", allowed);

    let confirmed = confirmed(world, UNIVERSITY).await;
    let allowed = "CANCEL,APPROVE,RETURN_TO_UNIVERSITY,ORGANIZATION_REJECT";
    let answer = university
        .record_university_decision(confirm(&confirmed))
        .await;
    refused_in(answer, "ORGANIZATION_REVIEW", allowed);

    let mut stale = approve(&confirmed);
    stale.etag = "7".to_owned();
    let answer = organization.record_organization_decision(stale).await;
    refused(answer, Code::Aborted, "ETAG_MISMATCH");
    let issued = organization
        .record_organization_decision(approve(&confirmed))
        .await;
    let issued = issued.unwrap().application.unwrap();
    let answer = organization
        .record_organization_decision(approve(&issued))
        .await;
    refused_in(answer, "ISSUED", "");
    let answer = window
        .cancel_enrollment_certificate_application(cancel(&issued))
        .await;
    refused_in(answer, "ISSUED", "");
}

fn paper() -> Option<pb::ExistingDocument> {
    Some(pb::ExistingDocument {
        number: "P-17".to_owned(),
        issue_date: Some(pb::JalaliDate {
            year: 1404,
            month: 8,
            day: 12,
        }),
    })
}

async fn a_paper_comes_with_exactly_one_kind_of_application(world: &mut World) {
    reviewed(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    let confirming = pb::ApplicationType::ConfirmExisting.into();
    let violation = async |request| {
        let answer = window
            .create_enrollment_certificate_application(request)
            .await;
        answer.err().map(|failure| {
            let found = fields(&failure);
            assert_eq!(found.len(), 1, "{failure}");
            (found[0].0.to_owned(), found[0].1.to_owned())
        })
    };
    let told = |field: &str, reason: &str| Some((field.to_owned(), reason.to_owned()));
    for (request, expected) in [
        (
            pb::CreateEnrollmentCertificateApplicationRequest {
                existing_document: paper(),
                ..apply(&row)
            },
            told("existing_document", "FIELD_FORMAT"),
        ),
        (
            pb::CreateEnrollmentCertificateApplicationRequest {
                r#type: confirming,
                ..apply(&row)
            },
            told("existing_document", "FIELD_REQUIRED"),
        ),
        (
            pb::CreateEnrollmentCertificateApplicationRequest {
                replaces: "enrollmentCertificates/0198f5d2-ac96-774b-bcce-b302099a8057".to_owned(),
                ..apply(&row)
            },
            told("replaces", "FIELD_FORMAT"),
        ),
        (
            pb::CreateEnrollmentCertificateApplicationRequest {
                r#type: pb::ApplicationType::Extend.into(),
                ..apply(&row)
            },
            told("replaces", "FIELD_REQUIRED"),
        ),
        (
            pb::CreateEnrollmentCertificateApplicationRequest {
                r#type: confirming,
                existing_document: paper(),
                ..apply(&row)
            },
            None,
        ),
    ] {
        assert_eq!(violation(request).await, expected);
    }
    let draft = made(
        world,
        pb::CreateEnrollmentCertificateApplicationRequest {
            r#type: confirming,
            existing_document: paper(),
            draft: true,
            ..apply(&record(world, UNIVERSITY))
        },
    )
    .await;
    let without = pb::UpdateEnrollmentCertificateApplicationRequest {
        existing_document: None,
        ..update(&draft)
    };
    let answer = window
        .update_enrollment_certificate_application(without)
        .await;
    let failure = refused(answer, Code::InvalidArgument, "FIELD_REQUIRED");
    assert_eq!(fields(&failure), [("existing_document", "FIELD_REQUIRED")]);
}

async fn what_needs_a_review_is_refused_where_there_is_none(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    put_on_record(world, &row).await;
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        r#type: pb::ApplicationType::ConfirmExisting.into(),
        existing_document: paper(),
        ..apply(&row)
    };
    let answer = window
        .create_enrollment_certificate_application(request.clone())
        .await;
    refused(answer, Code::FailedPrecondition, "REVIEW_NOT_OFFERED");
    let draft = pb::CreateEnrollmentCertificateApplicationRequest {
        draft: true,
        ..request
    };
    let draft = made(world, draft).await;
    let answer = window
        .submit_enrollment_certificate_application(submit(&draft))
        .await;
    refused(answer, Code::FailedPrecondition, "REVIEW_NOT_OFFERED");
    assert_eq!(read(&window, &draft).await.state(), S::Draft);
}

async fn a_pause_stops_confirming_and_approving(world: &mut World) {
    reviewed(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let handed_in = handed_in(world, UNIVERSITY).await;
    put_on_record(world, &record_of(world, &handed_in)).await;
    let confirmed = confirmed(world, UNIVERSITY).await;
    organization
        .pause_issuance(pb::PauseIssuanceRequest {
            request_id: request_id(),
            service: pb::ServiceKind::EnrollmentCertificate.into(),
            reason: "آزمایش".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    crate::harness::soon("the pause", async || {
        let trial = pb::RecordUniversityDecisionRequest {
            validate_only: true,
            ..university_decision(&handed_in, pb::UniversityDecision::Confirm)
        };
        university.record_university_decision(trial).await.err()
    })
    .await;
    let confirm = university_decision(&handed_in, pb::UniversityDecision::Confirm);
    let answer = university.record_university_decision(confirm).await;
    refused(answer, Code::FailedPrecondition, "ISSUANCE_PAUSED");
    let approve = organization_decision(&confirmed, pb::OrganizationDecision::Approve);
    let answer = organization.record_organization_decision(approve).await;
    refused(answer, Code::FailedPrecondition, "ISSUANCE_PAUSED");
    // What issues nothing goes on.
    let reject = university_decision(&handed_in, pb::UniversityDecision::Reject);
    university.record_university_decision(reject).await.unwrap();
}

/// An application that the university gave back to the student.
async fn returned(world: &World) -> pb::EnrollmentCertificateApplication {
    let handed_in = handed_in(world, UNIVERSITY).await;
    let university = Peer::of(world, CallerKind::University).await;
    let give_back = university_decision(&handed_in, pb::UniversityDecision::Return);
    let returned = university.record_university_decision(give_back).await;
    returned.unwrap().application.unwrap()
}

async fn requests_in_flight_outlive_their_call_for_its_run_off_days(world: &mut World) {
    reviewed(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let early = handed_in(world, UNIVERSITY).await;
    let late = handed_in(world, UNIVERSITY).await;
    let returned = returned(world).await;
    let returned_for_long = self::returned(world).await;
    let approved_in_time = confirmed(world, UNIVERSITY).await;
    let close = pb::CloseServiceCallRequest {
        request_id: request_id(),
        name: format!("serviceCalls/{CERTIFICATE_CALL}"),
        ..Default::default()
    };
    organization.close_service_call(close).await.unwrap();
    // Nothing new is taken, and what is in flight goes on.
    let row = record(world, UNIVERSITY);
    let window = Peer::of(world, CallerKind::Window).await;
    let answer = window.create_enrollment_certificate_application(apply(&row));
    refused(answer.await, Code::FailedPrecondition, "CALL_NOT_OPEN");
    let approve = organization_decision(&approved_in_time, pb::OrganizationDecision::Approve);
    let answer = organization.record_organization_decision(approve).await;
    answer.unwrap();
    put_on_record(world, &record_of(world, &early)).await;
    let confirm = university_decision(&early, pb::UniversityDecision::Confirm);
    let answer = university.record_university_decision(confirm).await;
    answer.unwrap();
    let again = window.submit_enrollment_certificate_application(submit(&returned));
    let again = again.await.unwrap().application.unwrap();
    assert_eq!(again.quote, returned.quote);
    world
        .clock()
        .advance(SignedDuration::from_hours(24 * 30 + 1));
    put_on_record(world, &record_of(world, &late)).await;
    let confirm = university_decision(&late, pb::UniversityDecision::Confirm);
    let answer = university.record_university_decision(confirm).await;
    refused(answer, Code::FailedPrecondition, "CALL_NOT_OPEN");
    let again = window.submit_enrollment_certificate_application(submit(&returned_for_long));
    refused(again.await, Code::FailedPrecondition, "CALL_NOT_OPEN");
    // It can still be ended.
    let reject = university_decision(&late, pb::UniversityDecision::Reject);
    university.record_university_decision(reject).await.unwrap();
}

async fn nothing_is_handed_in_again_for_an_institution_that_has_closed(world: &mut World) {
    reviewed(world).await;
    let returned = returned(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    close_institution(world).await;
    crate::harness::soon("the end of the institution", async || {
        let again = submit(&returned);
        let answer = window
            .submit_enrollment_certificate_application(again)
            .await;
        let failure = answer.err()?;
        (failure.reason.as_deref() == Some("INSTITUTION_NOT_ACTIVE")).then_some(())
    })
    .await;
}

async fn what_was_handed_in_under_a_suspended_agreement_is_not_decided(world: &mut World) {
    reviewed(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let handed_in = handed_in(world, UNIVERSITY).await;
    put_on_record(world, &record_of(world, &handed_in)).await;
    let confirmed = confirmed(world, UNIVERSITY).await;
    let suspend = pb::SuspendAgreementRequest {
        request_id: request_id(),
        name: "agreements/window/callers/window".to_owned(),
        remark: "synthetic".to_owned(),
        ..Default::default()
    };
    organization.suspend_agreement(suspend).await.unwrap();
    let confirm = university_decision(&handed_in, pb::UniversityDecision::Confirm);
    let answer = university.record_university_decision(confirm).await;
    refused(answer, Code::FailedPrecondition, "AGREEMENT_NOT_ACTIVE");
    let approve = organization_decision(&confirmed, pb::OrganizationDecision::Approve);
    let answer = organization.record_organization_decision(approve).await;
    refused(answer, Code::FailedPrecondition, "AGREEMENT_NOT_ACTIVE");
}

async fn a_workflow_version_that_is_published_never_changes(world: &mut World) {
    let mut seed = world.seed().clone();
    seed.workflow[1].rules.freshness_hours = 48;
    let loaded = world.store().load_seed(&world.operator(), &seed).await;
    let told = loaded.unwrap_err().to_string();
    assert!(
        told.contains("workflow[1] is published with other rules"),
        "{told}"
    );
}
