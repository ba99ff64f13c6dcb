//! The whole way of an application, and where it ends.

use gavah_api::v1 as pb;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CENTRAL_BODY, CallerKind, UNIT, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use super::*;
use crate::harness::soon;
use crate::messages::{instant, question};
use crate::peer::refused;
use crate::verdicts::verdict;
use pb::ApplicationState as S;

cases! {
    an_application_that_was_returned_is_corrected_reviewed_twice_and_issued,
    a_fresh_record_confirms_and_the_organization_approves,
    a_units_application_is_decided_by_its_central_body,
    an_application_that_is_refused_or_taken_back_makes_room_for_another,
    a_priced_application_waits_for_its_payment_and_ends_after_three_days,
    the_feed_tells_every_step,
}

async fn an_application_that_was_returned_is_corrected_reviewed_twice_and_issued(
    world: &mut World,
) {
    reviewed(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let draft = drafted(world, UNIVERSITY).await;
    assert_eq!((draft.state(), draft.quote.as_ref()), (S::Draft, None));

    let changed = pb::UpdateEnrollmentCertificateApplicationRequest {
        purpose: pb::Purpose::Court.into(),
        ..update(&draft)
    };
    let changed = window
        .update_enrollment_certificate_application(changed)
        .await;
    let changed = changed.unwrap().application.unwrap();
    assert_eq!(changed.purpose(), pb::Purpose::Court);
    assert_ne!(changed.etag, draft.etag);
    let submitted = window
        .submit_enrollment_certificate_application(submit(&changed))
        .await
        .unwrap();
    assert_eq!(submitted.enrollment_certificate, None);
    let submitted = submitted.application.unwrap();
    assert_eq!(submitted.state(), S::UniversityReview);
    let step = submitted.history.last().unwrap();
    assert_eq!(
        (step.actor.as_str(), step.reason.as_str()),
        ("", "ENROLLMENT_RECORD_NOT_FOUND")
    );
    let quote = submitted.quote.clone();
    assert!(quote.is_some());

    let decision = university_decision(&submitted, pb::UniversityDecision::Return);
    let returned = university.record_university_decision(decision).await;
    let returned = returned.unwrap().application.unwrap();
    assert_eq!(returned.state(), S::Returned);
    let step = read(&window, &returned).await.history.pop().unwrap();
    assert_eq!(step.remarks, [remark()]);
    assert_eq!(step.decider, expert(UNIVERSITY));
    assert_eq!(step.actor, "callers/university");

    let mut changed = update(&returned);
    let name = changed.subject.as_mut().unwrap().name.as_mut().unwrap();
    name.given_name_fa = "آزمایشی دیگر".to_owned();
    let changed = window
        .update_enrollment_certificate_application(changed)
        .await;
    let changed = changed.unwrap().application.unwrap();
    let again = window
        .submit_enrollment_certificate_application(submit(&changed))
        .await;
    let again = again.unwrap().application.unwrap();
    assert_eq!(again.state(), S::UniversityReview);
    assert_eq!(again.quote, quote, "the quote never changes");

    put_on_record(world, &record_of(world, &again)).await;
    let decision = university_decision(&again, pb::UniversityDecision::Confirm);
    let confirmed = university.record_university_decision(decision).await;
    let confirmed = confirmed.unwrap().application.unwrap();
    assert_eq!(confirmed.state(), S::OrganizationReview);
    let decision = organization_decision(&confirmed, pb::OrganizationDecision::ReturnToUniversity);
    let back = organization.record_organization_decision(decision).await;
    let back = back.unwrap().application.unwrap();
    assert_eq!(back.state(), S::ReturnedToUniversity);
    assert_eq!(back.history.last().unwrap().remarks, [remark()]);
    let decision = university_decision(&back, pb::UniversityDecision::Confirm);
    let confirmed = university.record_university_decision(decision).await;
    let confirmed = confirmed.unwrap().application.unwrap();
    let decision = organization_decision(&confirmed, pb::OrganizationDecision::Approve);
    let answer = organization
        .record_organization_decision(decision.clone())
        .await;
    let issued = answer.unwrap().application.unwrap();
    assert_eq!(
        states(&issued),
        [
            S::Draft,
            S::Submitted,
            S::UniversityReview,
            S::Returned,
            S::Submitted,
            S::UniversityReview,
            S::UniversityConfirmed,
            S::OrganizationReview,
            S::ReturnedToUniversity,
            S::UniversityReview,
            S::UniversityConfirmed,
            S::OrganizationReview,
            S::Approved,
            S::Issuing,
            S::Issued,
        ]
    );
    let replayed = organization.record_organization_decision(decision).await;
    assert_eq!(replayed.unwrap().application.unwrap(), issued);

    let certificate = window
        .get_enrollment_certificate(pb::GetEnrollmentCertificateRequest {
            name: issued.enrollment_certificate.clone(),
            subject_claim: issued.subject.clone().unwrap().person_id,
        })
        .await;
    let certificate = certificate.unwrap().enrollment_certificate.unwrap();
    assert_eq!(certificate.application, issued.name);
    assert_eq!(certificate.purpose(), pb::Purpose::Court);
    let hub = Peer::of(world, CallerKind::Hub).await;
    let told = verdict(&hub, question(&certificate.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);
}

async fn a_fresh_record_confirms_and_the_organization_approves(world: &mut World) {
    reviewed(world).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let confirmed = confirmed(world, UNIVERSITY).await;
    assert_eq!(
        states(&confirmed),
        [S::Submitted, S::UniversityConfirmed, S::OrganizationReview]
    );
    let decision = organization_decision(&confirmed, pb::OrganizationDecision::Approve);
    let issued = organization.record_organization_decision(decision).await;
    let issued = issued.unwrap().application.unwrap();
    assert_eq!(issued.state(), S::Issued);

    // Without the Organization's review it is issued in the call that asks.
    reviewed_by(world, true, false).await;
    let row = record(world, UNIVERSITY);
    put_on_record(world, &row).await;
    let at_once = made(world, apply(&row)).await;
    assert_eq!(
        states(&at_once),
        [
            S::Submitted,
            S::UniversityConfirmed,
            S::Approved,
            S::Issuing,
            S::Issued
        ]
    );
}

async fn a_units_application_is_decided_by_its_central_body(world: &mut World) {
    reviewed_by(world, true, false).await;
    let central = Peer::of(world, CallerKind::CentralBody).await;
    let handed_in = handed_in(world, UNIT).await;
    put_on_record(world, &record_of(world, &handed_in)).await;
    let mut decision = university_decision(&handed_in, pb::UniversityDecision::Confirm);
    decision.decider = decider(expert(CENTRAL_BODY));
    for stranger in [CallerKind::University, CallerKind::OtherUniversity] {
        let mut decision = decision.clone();
        decision.decider = decider(expert(stranger.institution().unwrap()));
        let peer = Peer::of(world, stranger).await;
        let answer = peer.record_university_decision(decision).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
    let issued = central.record_university_decision(decision).await;
    assert_eq!(issued.unwrap().application.unwrap().state(), S::Issued);
}

async fn an_application_that_is_refused_or_taken_back_makes_room_for_another(world: &mut World) {
    reviewed(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let row = record(world, UNIVERSITY);
    let again = async || {
        let open = made(world, apply(&row)).await;
        let second = window
            .create_enrollment_certificate_application(apply(&row))
            .await;
        let failure = refused(second, Code::AlreadyExists, "OPEN_APPLICATION_EXISTS");
        assert_eq!(failure.metadata["resource"], open.name);
        open
    };
    let cancelled = again().await;
    let answer = window
        .cancel_enrollment_certificate_application(cancel(&cancelled))
        .await;
    let cancelled = answer.unwrap().application.unwrap();
    assert_eq!(cancelled.state(), S::Cancelled);
    assert_eq!(cancelled.history.last().unwrap().reason, "منصرف شد");

    let rejected = again().await;
    let decision = university_decision(&rejected, pb::UniversityDecision::Reject);
    let answer = university.record_university_decision(decision).await;
    let rejected = answer.unwrap().application.unwrap();
    assert_eq!(rejected.state(), S::UniversityRejected);

    put_on_record(world, &row).await;
    let rejected = again().await;
    let decision = organization_decision(&rejected, pb::OrganizationDecision::Reject);
    let answer = organization.record_organization_decision(decision).await;
    let rejected = answer.unwrap().application.unwrap();
    assert_eq!(rejected.state(), S::OrganizationRejected);
    assert_eq!(rejected.enrollment_certificate, "");
    again().await;
}

async fn a_priced_application_waits_for_its_payment_and_ends_after_three_days(world: &mut World) {
    world
        .reseed(|seed| {
            let row = fixtures::tariff_row("ENROLLMENT_CERTIFICATE", 500_000);
            seed.tariff[0].row.push(row);
        })
        .await;
    reviewed_by(world, true, false).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    put_on_record(world, &row).await;
    let waiting = made(world, apply(&row)).await;
    assert_eq!(waiting.state(), S::AwaitingPayment);
    assert_eq!(waiting.enrollment_certificate, "");
    let three_days = SignedDuration::from_hours(72);
    assert_eq!(
        waiting.pay_until_time.map(|at| at.seconds),
        waiting
            .update_time
            .map(|at| at.seconds + three_days.as_secs())
    );
    world
        .clock()
        .advance(three_days - SignedDuration::from_mins(5));
    assert_eq!(read(&window, &waiting).await.state(), S::AwaitingPayment);
    world.clock().advance(SignedDuration::from_mins(10));
    soon("the end of the application", async || {
        let state = read(&window, &waiting).await.state();
        (state == S::PaymentExpired).then_some(())
    })
    .await;
    let ended = read(&window, &waiting).await;
    assert_eq!(ended.pay_until_time, None);
    assert_eq!(ended.history.last().unwrap().actor, "");
    // And there may be another.
    let row = pb::EnrollmentRecord {
        as_of_time: Some(instant(world.now())),
        ..row
    };
    put_on_record(world, &row).await;
    assert_eq!(made(world, apply(&row)).await.state(), S::AwaitingPayment);
}

async fn the_feed_tells_every_step(world: &mut World) {
    reviewed(world).await;
    let university = Peer::of(world, CallerKind::University).await;
    let handed_in = handed_in(world, UNIVERSITY).await;
    let decision = university_decision(&handed_in, pb::UniversityDecision::Return);
    university
        .record_university_decision(decision)
        .await
        .unwrap();
    let told = soon("the changes in the feed", async || {
        let request = pb::ListChangesRequest::default();
        let page = university.list_changes(request).await.unwrap();
        let of_it = page.changes.into_iter();
        let of_it: Vec<_> = of_it
            .filter(|change| change.resource == handed_in.name)
            .map(|change| (change.action, change.state))
            .collect();
        (of_it.len() == 3).then_some(of_it)
    })
    .await;
    let expected = [
        ("CREATE", "SUBMITTED"),
        ("ROUTE", "UNIVERSITY_REVIEW"),
        ("RETURN", "RETURNED"),
    ];
    let expected = expected.map(|(action, state)| (action.to_owned(), state.to_owned()));
    assert_eq!(told, expected);
}
