//! Is this code good? Negative answers are answers; how much is told depends on who asks.

use gavah_api::v1 as pb;
use gavah_domain::{CodeScheme, SystemEntropy, ValidityCode};
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use prost::Message;

use crate::messages::{FATHER_NAME, apply, issue, national_code, person, question, record, upsert};
use crate::peer::Peer;
use crate::raw::Raw;

cases! {
    a_batch_of_a_thousand_is_answered_in_order,
}

cases_of_any_engine! {
    a_code_that_is_none_is_answered_and_explained,
    a_code_is_found_however_it_is_written,
    who_asks_decides_how_much_of_a_validity_code_is_told,
    who_asks_decides_how_much_of_a_certificate_is_told,
    a_code_claimed_for_another_person_tells_nothing_of_its_own,
    what_replaced_a_document_is_told_to_its_owner_only,
}

/// Validates as the hub.
pub(crate) async fn verdict(peer: &Peer, question: pb::ValidateCodeRequest) -> pb::Verdict {
    peer.validate_code(question).await.unwrap().verdict.unwrap()
}

async fn reason(peer: &Peer, code: &str) -> pb::VerdictReason {
    let verdict = verdict(peer, question(code)).await;
    let expected = match verdict.reason() {
        pb::VerdictReason::Ok => pb::Outcome::Valid,
        _ => pb::Outcome::NotValid,
    };
    assert_eq!(verdict.outcome(), expected);
    assert!(!verdict.explanation_fa.is_empty() && !verdict.explanation_en.is_empty());
    assert!(verdict.status_as_of.is_some());
    assert!(
        verdict.receipt.len() >= 32,
        "a receipt names the call's trace"
    );
    verdict.reason()
}

async fn issued(world: &World) -> (pb::IssueValidityCodeRequest, pb::ValidityCode) {
    let university = Peer::of(world, CallerKind::University).await;
    let request = issue(world, UNIVERSITY);
    let answer = university.issue_validity_code(request.clone()).await;
    (request, answer.unwrap().validity_code.unwrap())
}

/// The code with one digit changed, so that its check digits are wrong.
fn typo(code: &str) -> String {
    let mut digits: Vec<char> = code.chars().collect();
    digits[7] = if digits[7] == '9' { '0' } else { '9' };
    digits.into_iter().collect()
}

fn unknown(scheme: CodeScheme) -> String {
    let code = ValidityCode::draw(scheme, &SystemEntropy).unwrap();
    code.as_str().to_owned()
}

async fn a_code_that_is_none_is_answered_and_explained(world: &mut World) {
    let (_, code) = issued(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    for (given, expected) in [
        (String::new(), pb::VerdictReason::Malformed),
        ("1234".to_owned(), pb::VerdictReason::Malformed),
        ("1".repeat(21), pb::VerdictReason::Malformed),
        ("x".repeat(20), pb::VerdictReason::Malformed),
        (typo(&code.code), pb::VerdictReason::CheckDigit),
        (
            unknown(CodeScheme::ValidityCode),
            pb::VerdictReason::NotFound,
        ),
        (
            unknown(CodeScheme::EnrollmentCertificate),
            pb::VerdictReason::NotFound,
        ),
    ] {
        assert_eq!(reason(&hub, &given).await, expected);
        let verdict = verdict(&hub, question(&given)).await;
        assert_eq!(verdict.document, None);
        assert_eq!(verdict.integrity(), pb::Judgement::Invalid);
        assert_eq!(verdict.status(), pb::Judgement::Skipped);
    }
}

async fn a_code_is_found_however_it_is_written(world: &mut World) {
    let (_, code) = issued(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let persian: String = code
        .code
        .chars()
        .map(|digit| char::from_u32(u32::from('۰') + digit.to_digit(10).unwrap()).unwrap())
        .collect();
    let groups: Vec<&str> = (0..4).map(|at| &code.code[at * 5..at * 5 + 5]).collect();
    for given in [
        code.code.clone(),
        persian,
        groups.join(" "),
        groups.join("-"),
        format!("\u{200f} {}\u{200c}", groups.join("\u{2011}")),
    ] {
        assert_eq!(reason(&hub, &given).await, pb::VerdictReason::Ok, "{given}");
    }
}

/// What may never be among an answer to anybody.
fn assert_no_secret(verdict: &pb::Verdict, subject: &pb::Subject, program: &pb::Program) {
    let encoded = verdict.encode_to_vec();
    let birth_date = subject.birth_date.unwrap().encode_to_vec();
    assert!(
        !encoded
            .windows(birth_date.len())
            .any(|part| part == birth_date),
        "the date of birth is told"
    );
    let told = String::from_utf8_lossy(&encoded).into_owned();
    let Some(pb::person_id::Id::NationalCode(national_code)) = subject
        .person_id
        .as_ref()
        .and_then(|person| person.id.clone())
    else {
        panic!("a national code");
    };
    for secret in [
        FATHER_NAME,
        &national_code,
        &program.student_number,
        "Sakhtegi",
    ] {
        assert!(!told.contains(secret), "{secret} is told");
    }
}

fn assert_disclosed(kind: CallerKind, document: &pb::DisclosedDocument, name: &str) {
    let whole = matches!(kind, CallerKind::University | CallerKind::Organization);
    if whole {
        assert_eq!(document.subject_name_fa, "آزمایشی ساختگی", "{kind:?}");
        assert!(!document.subject_name_masked, "{kind:?}");
        assert_eq!(document.name, name, "{kind:?}");
    } else {
        assert_eq!(document.subject_name_fa, "آ*** س***", "{kind:?}");
        assert!(document.subject_name_masked, "{kind:?}");
        assert_eq!(document.name, "", "{kind:?}");
    }
    assert_eq!(
        document.institution_name_en,
        format!("Synthetic University {UNIVERSITY}")
    );
    assert_eq!(document.degree_level(), pb::DegreeLevel::BachelorContinuous);
    assert_eq!(document.field_title_fa, "مهندسی آزمایشی");
    assert!(document.issue_time.is_some() && document.issue_date.is_some());
}

const ASKERS: [CallerKind; 7] = [
    CallerKind::Window,
    CallerKind::University,
    CallerKind::OtherUniversity,
    CallerKind::CentralBody,
    CallerKind::Hub,
    CallerKind::Organization,
    CallerKind::Auditor,
];

async fn who_asks_decides_how_much_of_a_validity_code_is_told(world: &mut World) {
    let (request, code) = issued(world).await;
    let (subject, program) = (request.subject.unwrap(), request.program.unwrap());
    for kind in ASKERS {
        let peer = Peer::of(world, kind).await;
        for claim in [None, subject.person_id.clone()] {
            let question = pb::ValidateCodeRequest {
                purpose: 0,
                code: code.code.clone(),
                subject_claim: claim,
            };
            let verdict = verdict(&peer, question).await;
            assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
            assert_eq!(verdict.issuer(), pb::Judgement::Valid);
            assert_no_secret(&verdict, &subject, &program);
            let document = verdict.document.unwrap();
            assert_eq!(document.document_type(), pb::DocumentType::ValidityCode);
            assert_eq!(document.document_kind(), pb::DocumentKind::Degree);
            assert_disclosed(kind, &document, &code.name);
            assert_eq!(verdict.superseded_by, "");
        }
        // Who only wants to know whether it is good learns that, whoever they are.
        let question = pb::ValidateCodeRequest {
            purpose: pb::AskingPurpose::StatusCheck.into(),
            ..question(&code.code)
        };
        let verdict = verdict(&peer, question).await;
        assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
        let only = pb::DisclosedDocument {
            document_type: pb::DocumentType::ValidityCode.into(),
            document_kind: pb::DocumentKind::Degree.into(),
            issue_time: code.issue_time,
            issue_date: code.issue_date,
            ..Default::default()
        };
        assert!(verdict.document.unwrap() == only, "{kind:?}");
    }
}

async fn who_asks_decides_how_much_of_a_certificate_is_told(world: &mut World) {
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let row = record(world, UNIVERSITY);
    university
        .upsert_enrollment_record(upsert(row.clone()))
        .await
        .unwrap();
    let applied = window
        .create_enrollment_certificate_application(apply(&row))
        .await
        .unwrap();
    let certificate = applied.enrollment_certificate.unwrap();
    let (subject, program) = (row.subject.unwrap(), row.program.unwrap());
    for kind in ASKERS {
        let peer = Peer::of(world, kind).await;
        let verdict = verdict(&peer, question(&certificate.code)).await;
        assert_eq!(verdict.reason(), pb::VerdictReason::Ok);
        assert_no_secret(&verdict, &subject, &program);
        let document = verdict.document.unwrap();
        assert_eq!(
            document.document_type(),
            pb::DocumentType::EnrollmentCertificate
        );
        assert!(document.expire_time.is_some());
        assert_disclosed(kind, &document, &certificate.name);
    }
}

async fn a_code_claimed_for_another_person_tells_nothing_of_its_own(world: &mut World) {
    let (_, code) = issued(world).await;
    for kind in ASKERS {
        let peer = Peer::of(world, kind).await;
        let question = pb::ValidateCodeRequest {
            purpose: 0,
            code: code.code.clone(),
            subject_claim: Some(person(&national_code())),
        };
        let verdict = verdict(&peer, question).await;
        assert_eq!(verdict.outcome(), pb::Outcome::NotValid);
        assert_eq!(verdict.reason(), pb::VerdictReason::SubjectMismatch);
        assert_eq!(verdict.document, None, "{kind:?}");
    }
}

async fn what_replaced_a_document_is_told_to_its_owner_only(world: &mut World) {
    let (_, old) = issued(world).await;
    let (_, new) = issued(world).await;
    // No method replaces a document yet.
    let mut raw = Raw::to(world).await;
    raw.run(&format!(
        "UPDATE validity_code SET state = 'SUPERSEDED', \
         superseded_by = (SELECT id FROM validity_code WHERE code = '{}') WHERE code = '{}'",
        new.code, old.code
    ))
    .await;
    for kind in ASKERS {
        let peer = Peer::of(world, kind).await;
        let verdict = verdict(&peer, question(&old.code)).await;
        assert_eq!(verdict.reason(), pb::VerdictReason::Superseded);
        let told = match kind {
            CallerKind::University => new.name.as_str(),
            _ => "",
        };
        assert_eq!(verdict.superseded_by, told, "{kind:?}");
    }
}

async fn a_batch_of_a_thousand_is_answered_in_order(world: &mut World) {
    let (_, code) = issued(world).await;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let (typo, nobody) = (typo(&code.code), unknown(CodeScheme::ValidityCode));
    let kinds = [
        (code.code.as_str(), pb::VerdictReason::Ok),
        ("12", pb::VerdictReason::Malformed),
        (typo.as_str(), pb::VerdictReason::CheckDigit),
        (nobody.as_str(), pb::VerdictReason::NotFound),
        (code.code.as_str(), pb::VerdictReason::SubjectMismatch),
    ];
    let of = |index: usize| kinds[index * 7 % kinds.len()];
    let requests = (0..1000)
        .map(of)
        .map(|(given, reason)| pb::ValidateCodeRequest {
            purpose: 0,
            code: given.to_owned(),
            subject_claim: (reason == pb::VerdictReason::SubjectMismatch)
                .then(|| person("7730942860")),
        });
    let batch = pb::BatchValidateCodesRequest {
        requests: requests.collect(),
    };
    let answers = hub.batch_validate_codes(batch).await.unwrap().verdicts;
    let reasons: Vec<_> = answers.iter().map(pb::Verdict::reason).collect();
    let expected: Vec<_> = (0..1000).map(|index| of(index).1).collect();
    assert_eq!(reasons, expected);
}
