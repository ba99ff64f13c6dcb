//! Match-only validation: claims are compared, and nothing of the document is told.

use std::collections::BTreeMap;

use gavah_api::v1 as pb;
use gavah_api::v1::MatchResult::{Match, NoMatch, NotCompared};
use gavah_testkit::world::{AGENCY_AGREEMENT, CallerKind, UNIVERSITY, UNIVERSITY_ALIAS, World};
use tonic::Code;

use crate::certificates::applied;
use crate::harness::soon;
use crate::messages::{FAMILY_NAME, FATHER_NAME, GIVEN_NAME, issue, national_code, person, record};
use crate::peer::{Peer, refused};

cases! {
    every_claim_on_a_validity_code_is_compared,
    a_certificate_is_about_no_paper,
}

cases_of_any_engine! {
    a_class_that_may_not_validate_may_not_compare,
    everything_that_is_wrong_with_the_claims_is_told_at_once,
    of_an_unknown_code_or_another_persons_nothing_is_compared,
    nothing_of_the_document_is_told_to_anybody,
    what_is_not_agreed_on_is_not_compared,
}

type Results = BTreeMap<String, pb::MatchResult>;

async fn compared(peer: &Peer, code: &str, claims: &pb::DocumentClaims) -> (pb::Verdict, Results) {
    let request = pb::MatchCodeRequest {
        code: code.to_owned(),
        claims: Some(claims.clone()),
    };
    let answer = peer.match_code(request).await.unwrap();
    let fields = answer.fields.into_iter();
    let fields = fields.map(|field| (field.field.clone(), field.result()));
    (answer.verdict.unwrap(), fields.collect())
}

/// All that a request says, as claims.
fn claims_of(subject: &pb::Subject, program: &pb::Program) -> pb::DocumentClaims {
    let name = subject.name.clone().unwrap();
    pb::DocumentClaims {
        person_id: subject.person_id.clone(),
        given_name_fa: name.given_name_fa,
        family_name_fa: name.family_name_fa,
        given_name_en: name.given_name_en,
        family_name_en: name.family_name_en,
        father_name_fa: subject.father_name_fa.clone(),
        birth_date: subject.birth_date,
        institution_code: UNIVERSITY_ALIAS.to_owned(),
        student_number: program.student_number.clone(),
        degree_level: program.degree_level,
        field_code: program.field_code.clone(),
        ..Default::default()
    }
}

async fn issued(world: &World) -> (pb::DocumentClaims, String) {
    let university = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let answer = university.issue_validity_code(request.clone()).await;
    let claims = pb::DocumentClaims {
        document_kind: request.document_kind,
        ..claims_of(
            request.subject.as_ref().unwrap(),
            request.program.as_ref().unwrap(),
        )
    };
    (claims, answer.unwrap().validity_code.unwrap().code)
}

async fn a_class_that_may_not_validate_may_not_compare(world: &mut World) {
    let monitor = Peer::of(world, CallerKind::Monitor).await;
    let answer = monitor.match_code(pb::MatchCodeRequest::default()).await;
    refused(
        answer,
        Code::PermissionDenied,
        "METHOD_NOT_ALLOWED_FOR_CLASS",
    );
}

async fn what_is_not_agreed_on_is_not_compared(world: &mut World) {
    let (claims, code) = issued(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    for (field, compared_then) in [
        (
            "NAME",
            &[
                "given_name_fa",
                "family_name_fa",
                "given_name_en",
                "family_name_en",
                "father_name_fa",
                "birth_date",
            ][..],
        ),
        ("INSTITUTION", &["institution_code"]),
        ("PROGRAM", &["student_number", "degree_level", "field_code"]),
        ("DOCUMENT", &["document_kind"]),
    ] {
        world
            .reseed(|seed| {
                let mut agreements = seed.agreement.iter_mut();
                let theirs = agreements.find(|it| it.id == AGENCY_AGREEMENT).unwrap();
                theirs.fields = vec![field.to_owned()];
            })
            .await;
        let expected: Vec<_> = std::iter::once("person_id")
            .chain(compared_then.iter().copied())
            .collect();
        soon("the agreement", async || {
            let (verdict, results) = compared(&hub, &code, &claims).await;
            assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
            let matched = results.iter().filter(|(_, result)| **result == Match);
            let matched: Vec<_> = matched.map(|(field, _)| field.as_str()).collect();
            (matched.len() == expected.len()
                && expected.iter().all(|field| matched.contains(field)))
            .then_some(())
        })
        .await;
    }
}

async fn everything_that_is_wrong_with_the_claims_is_told_at_once(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let answer = hub.match_code(pb::MatchCodeRequest::default()).await;
    let failure = refused(answer, Code::InvalidArgument, "FIELD_REQUIRED");
    assert_eq!(failure.violations[0].field, "claims");
    let wrong = pb::MatchCodeRequest {
        code: "x".repeat(129),
        claims: Some(pb::DocumentClaims {
            person_id: Some(person("1111111111")),
            given_name_fa: "ا".repeat(61),
            birth_date: Some(pb::JalaliDate {
                year: 1380,
                month: 12,
                day: 31,
            }),
            institution_code: "no/code".to_owned(),
            student_number: "12".to_owned(),
            degree_level: 99,
            field_code: "?".to_owned(),
            ..Default::default()
        }),
    };
    let failure = hub.match_code(wrong).await.unwrap_err();
    let found = failure.violations.iter();
    let mut found: Vec<_> = found
        .map(|it| (it.field.as_str(), it.reason.as_str()))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("claims.birth_date", "JALALI_DATE_INVALID"),
            ("claims.degree_level", "FIELD_FORMAT"),
            ("claims.field_code", "FIELD_FORMAT"),
            ("claims.given_name_fa", "FIELD_TOO_LONG"),
            ("claims.institution_code", "FIELD_FORMAT"),
            ("claims.person_id.national_code", "NATIONAL_CODE_ALL_SAME"),
            ("claims.student_number", "FIELD_FORMAT"),
            ("code", "FIELD_TOO_LONG"),
        ]
    );
}

async fn every_claim_on_a_validity_code_is_compared(world: &mut World) {
    let (mut claims, code) = issued(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let (verdict, results) = compared(&hub, &code, &claims).await;
    assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
    assert_eq!(results.len(), 14);
    for (field, result) in &results {
        // A paper's number and date are not in the request.
        let expected = match field.as_str() {
            "document_number" | "document_issue_date" => NotCompared,
            _ => Match,
        };
        assert_eq!(*result, expected, "{field}");
    }
    claims.family_name_fa = GIVEN_NAME.to_owned();
    claims.father_name_fa = String::new();
    claims.document_kind = pb::DocumentKind::Transcript.into();
    let (verdict, results) = compared(&hub, &code, &claims).await;
    assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
    let differing: Vec<_> = results
        .iter()
        .filter(|(_, result)| **result == NoMatch)
        .map(|(field, _)| field.as_str())
        .collect();
    assert_eq!(differing, ["document_kind", "family_name_fa"]);
    assert_eq!(results["father_name_fa"], NotCompared);
}

async fn a_certificate_is_about_no_paper(world: &mut World) {
    let record = record(world, UNIVERSITY);
    let certificate = applied(world, &record).await.enrollment_certificate;
    let claims = pb::DocumentClaims {
        document_kind: pb::DocumentKind::Degree.into(),
        ..claims_of(
            record.subject.as_ref().unwrap(),
            record.program.as_ref().unwrap(),
        )
    };
    let hub = Peer::of(world, CallerKind::Hub).await;
    let (verdict, results) = compared(&hub, &certificate.unwrap().code, &claims).await;
    assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
    assert_eq!(results["student_number"], Match);
    assert_eq!(results["document_kind"], NotCompared);
}

async fn of_an_unknown_code_or_another_persons_nothing_is_compared(world: &mut World) {
    let (claims, code) = issued(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    for unknown in ["12345678901234567888", "no code"] {
        let (verdict, results) = compared(&hub, unknown, &claims).await;
        assert_eq!(verdict.outcome(), pb::Outcome::NotValid);
        assert!(results.values().all(|result| *result == NotCompared));
    }
    let others = pb::DocumentClaims {
        person_id: Some(person(&national_code())),
        ..claims
    };
    let (verdict, mut results) = compared(&hub, &code, &others).await;
    assert_eq!(verdict.reason(), pb::VerdictReason::SubjectMismatch);
    assert_eq!(results.remove("person_id"), Some(NoMatch));
    assert!(results.values().all(|result| *result == NotCompared));
}

async fn nothing_of_the_document_is_told_to_anybody(world: &mut World) {
    let (claims, code) = issued(world).await;
    for kind in CallerKind::ONE_OF_EACH_CLASS {
        if kind == CallerKind::Monitor {
            continue;
        }
        let peer = Peer::of(world, kind).await;
        let (verdict, _) = compared(&peer, &code, &claims).await;
        assert_eq!(verdict.document, None, "{}", kind.class());
        let told = format!("{} {}", verdict.superseded_by, verdict.receipt);
        for secret in [GIVEN_NAME, FAMILY_NAME, FATHER_NAME] {
            assert!(!told.contains(secret));
        }
    }
}
