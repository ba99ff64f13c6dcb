//! Reading the audit: every act once, filtered, and nobody's data.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, OTHER_UNIVERSITY, UNIVERSITY, UNIVERSITY_ALIAS, World};
use prost::Message;
use tonic::Code;

use crate::feed::settled;
use crate::messages::{FAMILY_NAME, GIVEN_NAME, instant, issue, national_code, person, request_id};
use crate::peer::{Peer, refused};
use crate::raw::Raw;

cases! {
    every_act_is_told_in_the_order_of_the_chain,
    entries_are_found_by_what_they_tell_and_by_whom_they_are_about,
}

cases_of_any_engine! {
    only_auditors_and_the_organization_read_the_audit,
    everything_that_is_wrong_with_the_filters_is_told_at_once,
    a_place_that_the_chain_does_not_reach_is_refused,
}

async fn all(peer: &Peer, filters: pb::ListAuditEntriesRequest) -> Vec<pb::AuditEntry> {
    let (mut entries, mut after_sequence) = (Vec::new(), 0);
    loop {
        let request = pb::ListAuditEntriesRequest {
            after_sequence,
            page_size: 3,
            ..filters.clone()
        };
        let answer = peer.list_audit_entries(request).await.unwrap();
        entries.extend(answer.entries);
        after_sequence = answer.next_sequence;
        if !answer.more {
            return entries;
        }
    }
}

async fn only_auditors_and_the_organization_read_the_audit(world: &mut World) {
    for kind in CallerKind::ONE_OF_EACH_CLASS {
        let peer = Peer::of(world, kind).await;
        let answer = peer
            .list_audit_entries(pb::ListAuditEntriesRequest::default())
            .await;
        match kind {
            CallerKind::Auditor | CallerKind::Organization => drop(answer.unwrap()),
            _ => drop(refused(
                answer,
                Code::PermissionDenied,
                "METHOD_NOT_ALLOWED_FOR_CLASS",
            )),
        }
    }
}

async fn everything_that_is_wrong_with_the_filters_is_told_at_once(world: &mut World) {
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let wrong = pb::ListAuditEntriesRequest {
        after_sequence: -1,
        page_size: 1001,
        actor: "x".repeat(129),
        institution_code: "no/code".to_owned(),
        subject: Some(person("1111111111")),
        trace_id: "x".to_owned(),
        acted_from: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        ..Default::default()
    };
    let failure = auditor.list_audit_entries(wrong).await.unwrap_err();
    let mut found: Vec<_> = failure
        .violations
        .iter()
        .map(|it| (it.field.as_str(), it.reason.as_str()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("acted_from", "FIELD_FORMAT"),
            ("actor", "FIELD_TOO_LONG"),
            ("after_sequence", "FIELD_FORMAT"),
            ("institution_code", "FIELD_FORMAT"),
            ("page_size", "FIELD_FORMAT"),
            ("subject.national_code", "NATIONAL_CODE_ALL_SAME"),
            ("trace_id", "FIELD_FORMAT"),
        ]
    );
}

async fn a_place_that_the_chain_does_not_reach_is_refused(world: &mut World) {
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let answer = auditor
        .list_audit_entries(pb::ListAuditEntriesRequest {
            after_sequence: 1_000_000,
            ..Default::default()
        })
        .await;
    let failure = answer.unwrap_err();
    assert_eq!(failure.violations[0].field, "after_sequence");
    assert_eq!(failure.violations[0].reason, "PAGE_TOKEN_INVALID");
}

async fn every_act_is_told_in_the_order_of_the_chain(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let request = issue(world, UNIVERSITY);
    let answer = university.issue_validity_code(request.clone()).await;
    let code = answer.unwrap().validity_code.unwrap();
    settled(world).await;
    let entries = all(&auditor, pb::ListAuditEntriesRequest::default()).await;
    let mut raw = Raw::to(world).await;
    let stored = raw.number("SELECT count(*) FROM audit_entry").await;
    assert_eq!(i64::try_from(entries.len()).unwrap(), stored);
    let sequences = entries.iter().map(|entry| entry.sequence);
    assert!(sequences.eq(1..=stored));
    let last = entries.last().unwrap();
    assert_eq!(last.hash, world.store().verify_chain().await.unwrap().head);
    assert_eq!(
        (last.action.as_str(), last.to_state.as_str()),
        ("ISSUE", "ACTIVE")
    );
    assert_eq!(last.resource, code.name);
    assert_eq!(
        last.actor,
        format!("callers/{}", CallerKind::University.id())
    );
    assert_eq!(last.request_id, request.request_id);
    assert_eq!(last.institution_code, UNIVERSITY);
    assert!(last.method.ends_with("/IssueValidityCode"));
    assert_eq!(last.trace_id.len(), 32);
    // Neither whom it is about nor the code.
    let person = request.subject.unwrap().person_id.unwrap();
    let Some(pb::person_id::Id::NationalCode(national_code)) = person.id else {
        panic!("another identity");
    };
    for entry in &entries {
        let told = String::from_utf8_lossy(&entry.encode_to_vec()).into_owned();
        for secret in [&national_code, &code.code, GIVEN_NAME, FAMILY_NAME] {
            assert!(!told.contains(secret));
        }
    }
}

async fn entries_are_found_by_what_they_tell_and_by_whom_they_are_about(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let other = Peer::of(world, CallerKind::OtherUniversity).await;
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let begin = world.now();
    let request = issue(world, UNIVERSITY);
    let subject = request.subject.clone().unwrap().person_id;
    let issued = university.issue_validity_code(request).await.unwrap();
    let code = issued.validity_code.unwrap();
    let strangers = other
        .issue_validity_code(issue(world, OTHER_UNIVERSITY))
        .await
        .unwrap();
    let strangers = strangers.validity_code.unwrap();
    university
        .revoke_validity_code(pb::RevokeValidityCodeRequest {
            request_id: request_id(),
            name: code.name.clone(),
            reason: pb::RevocationReason::Fraud.into(),
            legal_basis: "synthetic".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    settled(world).await;
    let told = async |filters: pb::ListAuditEntriesRequest| {
        let entries = all(&auditor, filters).await.into_iter();
        let told = entries.map(|entry| (entry.resource, entry.action));
        told.collect::<Vec<_>>()
    };
    let act = |code: &pb::ValidityCode, action: &str| (code.name.clone(), action.to_owned());
    let filters = pb::ListAuditEntriesRequest::default;
    let both = [act(&code, "ISSUE"), act(&code, "REVOKE")];
    for filters in [
        pb::ListAuditEntriesRequest {
            resource: code.name.clone(),
            ..filters()
        },
        pb::ListAuditEntriesRequest {
            subject,
            ..filters()
        },
        pb::ListAuditEntriesRequest {
            actor: format!("callers/{}", CallerKind::University.id()),
            ..filters()
        },
        pb::ListAuditEntriesRequest {
            institution_code: UNIVERSITY_ALIAS.to_owned(),
            acted_from: Some(instant(begin)),
            ..filters()
        },
    ] {
        assert_eq!(told(filters).await, both);
    }
    let revoked = told(pb::ListAuditEntriesRequest {
        action: "REVOKE".to_owned(),
        ..filters()
    })
    .await;
    assert_eq!(revoked, [act(&code, "REVOKE")]);
    let all_issued = told(pb::ListAuditEntriesRequest {
        action: "ISSUE".to_owned(),
        ..filters()
    })
    .await;
    assert_eq!(all_issued, [act(&code, "ISSUE"), act(&strangers, "ISSUE")]);
    let nobody = told(pb::ListAuditEntriesRequest {
        subject: Some(person(&national_code())),
        ..filters()
    });
    assert_eq!(nobody.await, []);
    let before = told(pb::ListAuditEntriesRequest {
        action: "ISSUE".to_owned(),
        acted_before: Some(instant(begin)),
        ..filters()
    });
    assert_eq!(before.await, []);
}
