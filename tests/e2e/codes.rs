//! The life of a validity code.

use gavah_api::v1 as pb;
use gavah_domain::JalaliDate;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use tonic::Code;

use crate::messages::{date, issue, question, request_id};
use crate::peer::{Answer, Peer, refused};
use crate::verdicts::verdict;

cases! {
    a_code_lives_from_issue_to_revocation_and_validates_accordingly,
    a_change_that_read_an_older_version_is_refused,
    codes_are_listed_page_by_page_newest_first,
}

fn suspend(name: &str, etag: &str) -> pb::SuspendValidityCodeRequest {
    pb::SuspendValidityCodeRequest {
        request_id: request_id(),
        validate_only: false,
        name: name.to_owned(),
        remark: "آزمایش".to_owned(),
        etag: etag.to_owned(),
    }
}

fn reinstate(name: &str) -> pb::ReinstateValidityCodeRequest {
    pb::ReinstateValidityCodeRequest {
        request_id: request_id(),
        validate_only: false,
        name: name.to_owned(),
        remark: String::new(),
        etag: String::new(),
    }
}

fn revoke(name: &str) -> pb::RevokeValidityCodeRequest {
    pb::RevokeValidityCodeRequest {
        dispute_action: String::new(),
        request_id: request_id(),
        validate_only: false,
        name: name.to_owned(),
        reason: pb::RevocationReason::DataError.into(),
        legal_basis: "ماده آزمایشی".to_owned(),
        etag: String::new(),
    }
}

async fn a_code_lives_from_issue_to_revocation_and_validates_accordingly(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let request = issue(world, UNIVERSITY);
    let issued = university
        .issue_validity_code(request.clone())
        .await
        .unwrap();
    let code = issued.validity_code.unwrap();
    assert_eq!(code.state(), pb::DocumentState::Active);
    assert!(code.code.starts_with('1') && code.code.len() == 20);
    assert_eq!(code.issue_date, Some(date(JalaliDate::of(world.now()))));
    assert_eq!(code.expire_time, None);
    assert_eq!(code.external_ref, request.external_ref);
    assert_eq!(code.document, request.document);
    let told = verdict(&hub, question(&code.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);

    let name = code.name.as_str();
    let state = |answer: pb::ValidityCode| (answer.state(), answer.etag);
    let suspended = university
        .suspend_validity_code(suspend(name, &code.etag))
        .await;
    let (now, etag) = state(suspended.unwrap().validity_code.unwrap());
    assert_eq!(now, pb::DocumentState::Suspended);
    assert_ne!(etag, code.etag);
    let told = verdict(&hub, question(&code.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Suspended);
    assert_eq!(told.status(), pb::Judgement::Invalid);
    assert!(told.document.is_some());
    refused_in(
        university.suspend_validity_code(suspend(name, "")).await,
        "SUSPENDED",
    );

    let reinstated = organization.reinstate_validity_code(reinstate(name)).await;
    let (now, _) = state(reinstated.unwrap().validity_code.unwrap());
    assert_eq!(now, pb::DocumentState::Active);
    let told = verdict(&hub, question(&code.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok);
    refused_in(
        university.reinstate_validity_code(reinstate(name)).await,
        "ACTIVE",
    );

    let revoked = organization
        .revoke_validity_code(revoke(name))
        .await
        .unwrap();
    let revoked = revoked.validity_code.unwrap();
    assert_eq!(revoked.state(), pb::DocumentState::Revoked);
    let revocation = revoked.revocation.unwrap();
    assert_eq!(revocation.reason(), pb::RevocationReason::DataError);
    assert_eq!(revocation.revoked_by, "callers/organization");
    assert_eq!(revocation.legal_basis, "ماده آزمایشی");
    let told = verdict(&hub, question(&code.code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Revoked);
    refused_in(
        university.reinstate_validity_code(reinstate(name)).await,
        "REVOKED",
    );
    refused_in(
        university.suspend_validity_code(suspend(name, "")).await,
        "REVOKED",
    );
    refused_in(
        university.revoke_validity_code(revoke(name)).await,
        "REVOKED",
    );

    let read = university
        .get_validity_code(pb::GetValidityCodeRequest {
            name: name.to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(
        read.validity_code.unwrap().state(),
        pb::DocumentState::Revoked
    );
}

#[track_caller]
fn refused_in<T>(answer: Answer<T>, state: &str) {
    let failure = refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(failure.metadata["state"], state);
}

async fn a_change_that_read_an_older_version_is_refused(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    let code = issued.unwrap().validity_code.unwrap();
    for etag in ["99", "not an etag"] {
        let answer = university
            .suspend_validity_code(suspend(&code.name, etag))
            .await;
        refused(answer, Code::Aborted, "ETAG_MISMATCH");
    }
    let answer = university
        .suspend_validity_code(suspend(&code.name, &code.etag))
        .await;
    answer.unwrap();
    let answer = university.revoke_validity_code(pb::RevokeValidityCodeRequest {
        etag: code.etag,
        ..revoke(&code.name)
    });
    refused(answer.await, Code::Aborted, "ETAG_MISMATCH");
}

async fn codes_are_listed_page_by_page_newest_first(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let mut names = Vec::new();
    for _ in 0..5 {
        let issued = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        names.insert(0, issued.unwrap().validity_code.unwrap().name);
    }
    let answer = university
        .suspend_validity_code(suspend(&names[1], ""))
        .await;
    answer.unwrap();
    let list = |page_token: &str| pb::ListValidityCodesRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = university.list_validity_codes(list(&token)).await.unwrap();
        assert!(page.validity_codes.len() <= 2);
        seen.extend(page.validity_codes.into_iter().map(|code| code.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, names);
    let first = university.list_validity_codes(list("")).await.unwrap();
    let other_filter = pb::ListValidityCodesRequest {
        state: pb::DocumentState::Suspended.into(),
        ..list(&first.next_page_token)
    };
    for wrong in [list("not a token"), other_filter] {
        let answer = university.list_validity_codes(wrong).await;
        refused(answer, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
    }
    let suspended = university
        .list_validity_codes(pb::ListValidityCodesRequest {
            state: pb::DocumentState::Suspended.into(),
            institution_code: UNIVERSITY.to_owned(),
            document_kind: pb::DocumentKind::Degree.into(),
            ..Default::default()
        })
        .await
        .unwrap();
    let found: Vec<_> = suspended
        .validity_codes
        .iter()
        .map(|code| &code.name)
        .collect();
    assert_eq!(found, [&names[1]]);
}
