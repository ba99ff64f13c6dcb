//! Validity codes that are corrected: the right one supersedes the wrong one.

use gavah_api::v1 as pb;
use gavah_testkit::fixtures;
use gavah_testkit::world::{CENTRAL_BODY, CallerKind, UNIVERSITY, World};
use tonic::Code;

use crate::harness::together;
use crate::messages::{correct, issue, question, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::verdicts::verdict;

cases! {
    what_cannot_be_corrected_is_refused_without_a_trace,
    a_corrected_code_supersedes_the_wrong_one,
    a_correction_under_another_key_leaves_the_old_key_free,
    a_code_is_corrected_once_however_many_do_it_at_once,
    a_correction_costs_nothing_more,
}

/// A fresh student's code, and the request it came of.
async fn issued(university: &Peer, request: &pb::IssueValidityCodeRequest) -> pb::ValidityCode {
    let issued = university.issue_validity_code(request.clone()).await;
    issued.unwrap().validity_code.unwrap()
}

async fn what_cannot_be_corrected_is_refused_without_a_trace(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let request = issue(world, UNIVERSITY);
    let wrong = issued(&university, &request).await;
    // Its key would be another live code's.
    let taken = issue(world, UNIVERSITY);
    let holder = issued(&university, &taken).await;
    let unknown = pb::ValidityCode {
        name: format!("validityCodes/{}", fixtures::id()),
        etag: String::new(),
        ..wrong.clone()
    };
    let mut raw = Raw::to(world).await;
    let before = raw.everything().await;
    let stale = pb::CorrectValidityCodeRequest {
        etag: "9".to_owned(),
        ..correct(&wrong, request.clone())
    };
    let mut inactive = correct(&wrong, request.clone());
    let attestation = inactive.attestation.as_mut().unwrap();
    attestation.expert.as_mut().unwrap().expert =
        format!("institutions/{UNIVERSITY}/experts/unknown");
    for (request, code, reason) in [
        (stale, Code::Aborted, "ETAG_MISMATCH"),
        (
            correct(&unknown, request.clone()),
            Code::NotFound,
            "RESOURCE_NOT_FOUND",
        ),
        (
            correct(&wrong, taken.clone()),
            Code::AlreadyExists,
            "CODE_ALREADY_ISSUED",
        ),
        (inactive, Code::FailedPrecondition, "EXPERT_NOT_ACTIVE"),
        (
            correct(&wrong, issue(world, CENTRAL_BODY)),
            Code::PermissionDenied,
            "INSTITUTION_NOT_OWNED",
        ),
    ] {
        for validate_only in [true, false] {
            let request = pb::CorrectValidityCodeRequest {
                validate_only,
                ..request.clone()
            };
            let failure = refused(
                university.correct_validity_code(request).await,
                code,
                reason,
            );
            if reason == "CODE_ALREADY_ISSUED" {
                assert_eq!(failure.metadata["resource"], holder.name);
            }
        }
    }
    let answer = other
        .correct_validity_code(correct(&wrong, request.clone()))
        .await;
    refused(answer, Code::PermissionDenied, "INSTITUTION_NOT_OWNED");
    assert_eq!(raw.everything().await, before);
    let suspend = pb::SuspendValidityCodeRequest {
        request_id: request_id(),
        name: wrong.name.clone(),
        ..Default::default()
    };
    university.suspend_validity_code(suspend).await.unwrap();
    let answer = university
        .correct_validity_code(pb::CorrectValidityCodeRequest {
            etag: String::new(),
            ..correct(&wrong, request)
        })
        .await;
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], "SUSPENDED");
}

async fn a_corrected_code_supersedes_the_wrong_one(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let mut request = issue(world, UNIVERSITY);
    let wrong = issued(&university, &request).await;
    request.document.as_mut().unwrap().gpa_hundredths = Some(1888);
    let correction = correct(&wrong, request);
    let trial = pb::CorrectValidityCodeRequest {
        validate_only: true,
        ..correction.clone()
    };
    let trial = university.correct_validity_code(trial).await.unwrap();
    assert_eq!(trial.validity_code, None);
    let answer = university.correct_validity_code(correction.clone()).await;
    let right = answer.unwrap().validity_code.unwrap();
    assert_eq!(right.document.as_ref().unwrap().gpa_hundredths, Some(1888));
    assert_ne!(right.code, wrong.code);
    let read = university
        .get_validity_code(pb::GetValidityCodeRequest {
            name: wrong.name.clone(),
        })
        .await;
    let read = read.unwrap().validity_code.unwrap();
    assert_eq!(read.state(), pb::DocumentState::Superseded);
    assert_eq!(read.superseded_by, right.name);
    let told = verdict(&hub, question(&wrong.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Superseded);
    assert_eq!(told.superseded_by, "", "told to the owner only");
    let told = verdict(&university, question(&wrong.code)).await;
    assert_eq!(told.superseded_by, right.name);
    let told = verdict(&hub, question(&right.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);
    let again = university.correct_validity_code(correction).await;
    assert_eq!(again.unwrap().validity_code, Some(right));
}

async fn a_correction_under_another_key_leaves_the_old_key_free(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let wrong = issued(&university, &request).await;
    let mut other = request.clone();
    other.document_kind = pb::DocumentKind::Transcript.into();
    university
        .correct_validity_code(correct(&wrong, other))
        .await
        .unwrap();
    let anew = pb::IssueValidityCodeRequest {
        request_id: request_id(),
        ..request
    };
    issued(&university, &anew).await;
}

async fn a_code_is_corrected_once_however_many_do_it_at_once(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let wrong = issued(&university, &request).await;
    // Half of them are one request.
    let same = correct(&wrong, request.clone());
    let answers = together(8, |who| {
        let university = university.clone();
        let request = if who % 2 == 0 {
            same.clone()
        } else {
            correct(&wrong, request.clone())
        };
        async move { university.correct_validity_code(request).await }
    })
    .await;
    let mut right = Vec::new();
    for answer in answers {
        match answer {
            Ok(answer) => right.push(answer.validity_code.unwrap().name),
            Err(failure) => {
                assert_eq!(
                    failure.reason.as_deref(),
                    Some("ETAG_MISMATCH"),
                    "{failure}"
                );
            }
        }
    }
    right.dedup();
    assert_eq!(right.len(), 1);
    let mut raw = Raw::to(world).await;
    let codes = raw.number("SELECT count(*) FROM validity_code").await;
    assert_eq!(codes, 2);
}

async fn a_correction_costs_nothing_more(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let wrong = issued(&university, &request).await;
    world
        .reseed(|seed| {
            let row = fixtures::tariff_row("VALIDITY_CODE", 500_000);
            seed.tariff[0].row.push(row);
        })
        .await;
    crate::harness::soon("the new tariff", async || {
        let trial = pb::IssueValidityCodeRequest {
            validate_only: true,
            ..issue(world, UNIVERSITY)
        };
        university.issue_validity_code(trial).await.err()
    })
    .await;
    let answer = university
        .correct_validity_code(correct(&wrong, request))
        .await;
    let right = answer.unwrap().validity_code.unwrap();
    assert_eq!(right.quote, wrong.quote);
}
