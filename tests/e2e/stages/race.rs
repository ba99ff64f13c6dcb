//! Officers, universities, the window and the hub at the same applications and certificates.

use std::collections::BTreeMap;

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, OTHER_UNIVERSITY, UNIVERSITY, World};
use tonic::Code;

use super::*;
use crate::harness::together;
use crate::messages::question;
use pb::ApplicationState as S;

cases! {
    of_decisions_on_one_application_one_wins_and_the_others_learn_why_not,
}

/// Applications that are raced for, of each university.
const ROUNDS: usize = 6;

async fn of_decisions_on_one_application_one_wins_and_the_others_learn_why_not(world: &mut World) {
    reviewed(world).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let mut universities = BTreeMap::new();
    for (code, kind) in [
        (UNIVERSITY, CallerKind::University),
        (OTHER_UNIVERSITY, CallerKind::OtherUniversity),
    ] {
        universities.insert(code, Peer::of(world, kind).await);
    }
    for round in 0..ROUNDS {
        for code in [UNIVERSITY, OTHER_UNIVERSITY] {
            let handed_in = handed_in(world, code).await;
            put_on_record(world, &record_of(world, &handed_in)).await;
            // Two experts, a stranger and the student at once.
            let outcomes = together(4, |who| {
                let (own, window) = (universities[code].clone(), window.clone());
                let strange = universities.values().next_back().cloned().unwrap();
                let strange = if code == OTHER_UNIVERSITY {
                    universities[UNIVERSITY].clone()
                } else {
                    strange
                };
                let it = handed_in.clone();
                async move {
                    use pb::UniversityDecision::{Confirm, Reject};
                    let decide = async |peer: Peer, decision, actor: &str| {
                        let mut request = university_decision(&it, decision);
                        request.decider = decider(expert(actor));
                        let answer = peer.record_university_decision(request).await;
                        answer.map(|answer| answer.application.unwrap())
                    };
                    let stranger = if code == UNIVERSITY {
                        OTHER_UNIVERSITY
                    } else {
                        UNIVERSITY
                    };
                    match who {
                        0 => decide(own, Confirm, code).await,
                        1 => decide(own, Reject, code).await,
                        2 => decide(strange, Reject, stranger).await,
                        _ => {
                            let answer = window
                                .cancel_enrollment_certificate_application(cancel(&it))
                                .await;
                            answer.map(|answer| answer.application.unwrap())
                        }
                    }
                }
            })
            .await;
            let stored = read(&organization, &handed_in).await;
            let mut won = Vec::new();
            for (who, outcome) in outcomes.into_iter().enumerate() {
                match outcome {
                    Ok(application) => won.push((who, application.state())),
                    Err(failure) if who == 2 => assert_eq!(failure.code, Code::NotFound),
                    Err(failure) => match failure.reason.as_deref().unwrap() {
                        "ETAG_MISMATCH" => assert_ne!(who, 3, "{failure}"),
                        "STATE_TRANSITION_NOT_ALLOWED" => {
                            assert!(failure.metadata.contains_key("allowed"), "{failure}");
                        }
                        other => panic!("{other}"),
                    },
                }
            }
            // A confirmed application may still be taken back: then two acted in turn.
            let order = [(0, S::OrganizationReview), (3, S::Cancelled)];
            assert!(won.len() == 1 || won == order, "round {round}: {won:?}");
            let last = won.last().unwrap().1;
            assert_eq!(stored.state(), last, "round {round}");
            if last == S::OrganizationReview {
                race_of_officers(&organization, &hub, &stored).await;
            }
        }
    }
}

/// Two officers decide in opposite ways while the hub validates.
async fn race_of_officers(
    organization: &Peer,
    hub: &Peer,
    confirmed: &pb::EnrollmentCertificateApplication,
) {
    use pb::OrganizationDecision::{Approve, Reject};
    let outcomes = together(3, |who| {
        let (organization, hub, it) = (organization.clone(), hub.clone(), confirmed.clone());
        async move {
            if who == 2 {
                // Whatever happens beside it, an unknown code stays unknown.
                let answer = hub.validate_code(question("10000000000000000000")).await;
                let told = answer.unwrap().verdict.unwrap();
                assert_eq!(told.outcome(), pb::Outcome::NotValid);
                return None;
            }
            let mut request = organization_decision(&it, [Approve, Reject][who]);
            request.decider = decider(format!("O-{who}"));
            Some(organization.record_organization_decision(request).await)
        }
    })
    .await;
    let mut won = Vec::new();
    for outcome in outcomes.into_iter().flatten() {
        match outcome {
            Ok(answer) => won.push(answer.application.unwrap()),
            Err(failure) => {
                assert_eq!(
                    failure.reason.as_deref(),
                    Some("ETAG_MISMATCH"),
                    "{failure}"
                );
            }
        }
    }
    assert_eq!(won.len(), 1);
    let stored = read(organization, confirmed).await;
    assert_eq!(stored.state(), won[0].state());
    let issued = stored.state() == S::Issued;
    assert_eq!(issued, !stored.enrollment_certificate.is_empty());
}
