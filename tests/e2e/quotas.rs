//! How often an agreement may be used: calls a day and calls a second, told when they are left and when they are not.

use gavah_api::v1 as pb;
use gavah_testkit::world::{AGENCY_AGREEMENT, CallerKind, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::harness::soon;
use crate::messages::{issue, question};
use crate::peer::{Peer, refused};

cases! {
    a_days_calls_are_counted_and_refused_until_the_next_day,
    every_node_and_a_restarted_one_know_what_was_used,
}

cases_of_any_engine! {
    too_many_calls_in_a_second_are_refused_for_a_moment,
    a_batch_counts_as_many_calls_as_it_has_questions_or_not_at_all,
    what_is_left_is_told_in_trailers_and_by_who_am_i,
    the_quota_of_the_agency_counts_beside_the_hubs,
}

async fn bounded(world: &mut World, id: &str, daily_calls: Option<u32>, burst: Option<u32>) {
    world
        .reseed(|seed| {
            for agreement in &mut seed.agreement {
                if agreement.id == id {
                    (agreement.daily_calls, agreement.burst) = (daily_calls, burst);
                }
            }
        })
        .await;
    let kind = if id == AGENCY_AGREEMENT {
        CallerKind::Hub
    } else {
        CallerKind::University
    };
    let peer = Peer::of(world, kind).await;
    soon("the bounds", async || {
        let told = quota(&peer, id).await;
        let bounds = (told.daily_calls, told.burst);
        let expected = [daily_calls, burst].map(|it| i32::try_from(it.unwrap_or(0)).unwrap());
        (bounds == (expected[0], expected[1])).then_some(())
    })
    .await;
}

async fn quota(peer: &Peer, id: &str) -> pb::AgreementQuota {
    let told = peer.who_am_i(pb::WhoAmIRequest {}).await.unwrap();
    let mut quotas = told.agreement_quotas.into_iter();
    let prefix = format!("agreements/{id}/");
    quotas
        .find(|quota| quota.agreement.starts_with(&prefix))
        .unwrap()
}

async fn a_days_calls_are_counted_and_refused_until_the_next_day(world: &mut World) {
    bounded(world, "universities", Some(3), None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    issued.unwrap();
    for _ in 0..2 {
        university.validate_code(question("1")).await.unwrap();
    }
    let refusal = refused(
        university.validate_code(question("1")).await,
        Code::ResourceExhausted,
        "DAILY_QUOTA",
    );
    assert_eq!(refusal.metadata["limit"], "daily_calls");
    let agreement = format!("agreements/universities/institutions/{UNIVERSITY}");
    assert_eq!(refusal.metadata["agreement"], agreement);
    let wait = refusal.retry_after.unwrap();
    assert!(
        wait.as_secs() > 0 && wait.as_secs() <= 24 * 3600,
        "{wait:?}"
    );
    let answer = university.issue_validity_code(issue(world, UNIVERSITY));
    refused(answer.await, Code::ResourceExhausted, "DAILY_QUOTA");
    // Another university has an agreement of its own.
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    other.validate_code(question("1")).await.unwrap();
    let wait = SignedDuration::try_from(wait).unwrap();
    world.clock().advance(wait + SignedDuration::from_secs(1));
    university.validate_code(question("1")).await.unwrap();
}

async fn every_node_and_a_restarted_one_know_what_was_used(world: &mut World) {
    bounded(world, "universities", Some(4), None).await;
    let university = Peer::of(world, CallerKind::University).await;
    for _ in 0..4 {
        university.validate_code(question("1")).await.unwrap();
    }
    let second = world.add_node().await;
    let there = Peer::new(world.client_of(second, CallerKind::University).await);
    soon("word of the calls", async || {
        let refusal = there.validate_code(question("1")).await.err()?;
        (refusal.reason.as_deref() == Some("DAILY_QUOTA")).then_some(())
    })
    .await;
    world.node_mut(0).stop().await;
    let third = world.add_node().await;
    let restarted = Peer::new(world.client_of(third, CallerKind::University).await);
    let answer = restarted.validate_code(question("1")).await;
    refused(answer, Code::ResourceExhausted, "DAILY_QUOTA");
}

async fn too_many_calls_in_a_second_are_refused_for_a_moment(world: &mut World) {
    bounded(world, "universities", None, Some(1)).await;
    let university = Peer::of(world, CallerKind::University).await;
    let calls = crate::harness::together(20, |_| {
        let university = university.clone();
        async move { university.validate_code(question("1")).await }
    });
    let mut refusals = calls.await.into_iter().filter_map(Result::err);
    let refusal = refusals.next().unwrap();
    assert_eq!(refusal.code, Code::ResourceExhausted);
    assert_eq!(refusal.reason.as_deref(), Some("BURST"));
    assert_eq!(refusal.metadata["limit"], "burst");
    assert!(refusal.retry_after.unwrap().as_millis() <= 1000);
    soon("a moment", async || {
        university.validate_code(question("1")).await.ok()
    })
    .await;
}

async fn a_batch_counts_as_many_calls_as_it_has_questions_or_not_at_all(world: &mut World) {
    bounded(world, "universities", Some(10), None).await;
    let university = Peer::of(world, CallerKind::University).await;
    let batch = |size: usize| pb::BatchValidateCodesRequest {
        requests: vec![question("1"); size],
    };
    university.batch_validate_codes(batch(8)).await.unwrap();
    assert_eq!(quota(&university, "universities").await.remaining_calls, 2);
    let answer = university.batch_validate_codes(batch(3)).await;
    refused(answer, Code::ResourceExhausted, "DAILY_QUOTA");
    assert_eq!(quota(&university, "universities").await.remaining_calls, 2);
    university.batch_validate_codes(batch(2)).await.unwrap();
}

async fn what_is_left_is_told_in_trailers_and_by_who_am_i(world: &mut World) {
    bounded(world, "universities", Some(100), Some(50)).await;
    let university = Peer::of(world, CallerKind::University).await;
    let wire = crate::wire::Wire::of(world, CallerKind::University).await;
    for left in [99, 98] {
        let trailers = wire
            .trailers(
                "/gavah.v1.ValidationService/ValidateCode",
                &question("12345678901234567888"),
            )
            .await;
        let told = trailers.get("gavah-quota-remaining").unwrap();
        assert_eq!(told.to_str().unwrap(), left.to_string());
    }
    let told = quota(&university, "universities").await;
    assert_eq!(
        (told.daily_calls, told.burst, told.remaining_calls),
        (100, 50, 98)
    );
}

async fn the_quota_of_the_agency_counts_beside_the_hubs(world: &mut World) {
    bounded(world, AGENCY_AGREEMENT, Some(1), None).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    hub.validate_code(question("1")).await.unwrap();
    let refusal = refused(
        hub.validate_code(question("1")).await,
        Code::ResourceExhausted,
        "DAILY_QUOTA",
    );
    let agreement = gavah_testkit::world::agency_agreement();
    assert_eq!(refusal.metadata["agreement"], agreement);
}
