//! Decisions that are sent again, and those that meet a server's end.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};

use super::*;
use crate::harness::together;
use pb::ApplicationState as S;

cases! {
    a_decision_sent_many_times_at_once_is_made_once,
    an_application_goes_on_where_it_was_on_another_node,
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
