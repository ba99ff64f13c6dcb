//! Decisions that are sent again, and those that meet a server's end.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, EXPERT, UNIVERSITY, World};
use tonic::Code;

use super::*;
use crate::harness::together;
use crate::peer::refused;
use pb::ApplicationState as S;

cases! {
    a_decision_sent_many_times_at_once_is_made_once,
    an_application_goes_on_where_it_was_on_another_node,
}

cases_of_any_engine! {
    a_decision_is_answered_again_although_its_expert_has_left,
    what_the_organization_gave_back_it_reviews_again_whatever_the_lot,
}

async fn a_decision_sent_many_times_at_once_is_made_once(world: &mut World) {
    reviewed(world).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let confirmed = confirmed(world, UNIVERSITY).await;
    let decision = organization_decision(&confirmed, pb::OrganizationDecision::Approve);
    let answers = together(8, |_| {
        let (organization, decision) = (organization.clone(), decision.clone());
        async move { organization.record_organization_decision(decision).await }
    })
    .await;
    for answer in answers {
        let application = answer.unwrap().application.unwrap();
        assert_eq!(application.state(), S::Issued);
    }
    let history = states(&read(&organization, &confirmed).await);
    let issued = history.iter().filter(|state| **state == S::Issued);
    assert_eq!(issued.count(), 1);
}

async fn an_application_goes_on_where_it_was_on_another_node(world: &mut World) {
    reviewed_by(world, true, false).await;
    let handed_in = handed_in(world, UNIVERSITY).await;
    put_on_record(world, &record_of(world, &handed_in)).await;
    world.stop().await;
    let other = world.add_node().await;
    let university = Peer::new(world.client_of(other, CallerKind::University).await);
    let decision = university_decision(&handed_in, pb::UniversityDecision::Confirm);
    let issued = university.record_university_decision(decision).await;
    assert_eq!(issued.unwrap().application.unwrap().state(), S::Issued);
}

async fn a_decision_is_answered_again_although_its_expert_has_left(world: &mut World) {
    reviewed(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let handed_in = handed_in(world, UNIVERSITY).await;
    let decision = university_decision(&handed_in, pb::UniversityDecision::Reject);
    let first = university
        .record_university_decision(decision.clone())
        .await;
    let listed = organization
        .list_experts(pb::ListExpertsRequest {
            parent: format!("institutions/{UNIVERSITY}"),
            ..Default::default()
        })
        .await;
    let experts = listed.unwrap().experts;
    let leaving = experts.into_iter().find(|it| it.expert_code == EXPERT);
    organization
        .update_expert(pb::UpdateExpertRequest {
            request_id: request_id(),
            validate_only: false,
            expert: Some(pb::Expert {
                state: pb::ExpertState::Inactive.into(),
                ..leaving.unwrap()
            }),
        })
        .await
        .unwrap();
    let again = university.record_university_decision(decision).await;
    assert_eq!(again.unwrap(), first.unwrap());
    let another = university_decision(&handed_in, pb::UniversityDecision::Confirm);
    let answer = university.record_university_decision(another).await;
    refused(answer, Code::FailedPrecondition, "EXPERT_NOT_ACTIVE");
}

async fn what_the_organization_gave_back_it_reviews_again_whatever_the_lot(world: &mut World) {
    reviewed(world).await;
    let id = "reviews-of-half";
    world
        .reseed(|seed| {
            let mut workflow = seed.workflow.last().unwrap().clone();
            id.clone_into(&mut workflow.id);
            workflow.rules.organization_review_percent = 50;
            seed.workflow.push(workflow);
        })
        .await;
    under(world, id).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let (mut drawn, mut issued) = (None, 0);
    // Both come soon: of 60 in a row none is as rare as can be.
    for _ in 0..60 {
        let row = record(world, UNIVERSITY);
        put_on_record(world, &row).await;
        let made = made(world, apply(&row)).await;
        match made.state() {
            S::OrganizationReview => drawn = Some((row, made)),
            state => {
                assert_eq!(state, S::Issued);
                issued += 1;
            }
        }
        if drawn.is_some() && issued > 0 {
            break;
        }
    }
    assert!(issued > 0, "the lot spares some");
    let (row, mut application) = drawn.unwrap();
    for _ in 0..10 {
        let back = pb::OrganizationDecision::ReturnToUniversity;
        let decision = organization_decision(&application, back);
        let answer = organization.record_organization_decision(decision).await;
        application = answer.unwrap().application.unwrap();
        let confirm = university_decision(&application, pb::UniversityDecision::Confirm);
        let answer = university.record_university_decision(confirm).await;
        application = answer.unwrap().application.unwrap();
        assert_eq!(application.state(), S::OrganizationReview);
    }
    // Who withdraws it and comes again, to whomever the certificate is addressed, draws the same.
    let window = Peer::of(world, CallerKind::Window).await;
    window
        .cancel_enrollment_certificate_application(cancel(&application))
        .await
        .unwrap();
    let again = pb::CreateEnrollmentCertificateApplicationRequest {
        addressee: Some(pb::Addressee {
            name_fa: "سفارت دیگر".to_owned(),
            name_en: "Another synthetic embassy".to_owned(),
        }),
        ..apply(&row)
    };
    assert_eq!(made(world, again).await.state(), S::OrganizationReview);
}
