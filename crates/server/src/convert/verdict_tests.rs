use gavah_domain::Reason;
use gavah_domain::caller::CallerClass;
use gavah_domain::disclosure::disclosed;
use gavah_domain::document::DocumentState;
use gavah_domain::program::DegreeLevel;
use gavah_domain::tariff::{Quote, QuoteBasis};
use gavah_domain::validity::{DocumentFacts, DocumentKind};
use gavah_domain::verdict::{Judgement, Outcome};
use gavah_store::{Attestation, CodeContent};

use super::*;
use crate::convert::fixtures::{self, CODE, ID, after, violations};
use crate::convert::identity;

const NEWER: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

#[test]
fn a_malformed_code_is_a_question_and_a_malformed_claim_is_not() {
    for code in ["", "12", "کد", "1234567890123456788x"] {
        let request = pb::ValidateCodeRequest {
            purpose: 0,
            code: code.to_owned(),
            subject_claim: None,
        };
        assert_eq!(
            validate_code(&request).unwrap().code,
            Err(MalformedCode),
            "{code}"
        );
    }
    let request = pb::ValidateCodeRequest {
        purpose: 0,
        code: "1".repeat(129),
        subject_claim: Some(fixtures::national("7730942861")),
    };
    assert_eq!(
        violations(validate_code(&request)),
        [
            ("code", Reason::FieldTooLong),
            ("subject_claim.national_code", Reason::NationalCodeChecksum),
        ]
    );
}

#[test]
fn a_question_becomes_domain_values() {
    let request = pb::ValidateCodeRequest {
        purpose: 0,
        code: "۱۲۳۴-5678 9012 3456 7888".to_owned(),
        subject_claim: Some(fixtures::national("7730942860")),
    };
    let input = validate_code(&request).unwrap();
    assert_eq!(
        input.code.map(|code| code.as_str().to_owned()),
        Ok(CODE.to_owned())
    );
    assert_eq!(
        input.claim.as_ref().map(PersonId::key).as_deref(),
        Some("N:7730942860")
    );
    assert_eq!(format!("{input:?}"), "ValidateInput(…)");
}

#[test]
fn a_batch_is_refused_with_everything_wrong_in_it() {
    let question = |code: &str, claim| pb::ValidateCodeRequest {
        purpose: 0,
        code: code.to_owned(),
        subject_claim: claim,
    };
    let request = pb::BatchValidateCodesRequest {
        requests: vec![
            question(CODE, None),
            question("x", Some(fixtures::national("12"))),
            question(&"1".repeat(129), Some(pb::PersonId { id: None })),
        ],
    };
    assert_eq!(
        violations(batch_validate_codes(&request)),
        [
            ("requests[2].code", Reason::FieldTooLong),
            ("requests[2].subject_claim.id", Reason::FieldRequired),
            (
                "requests[1].subject_claim.national_code",
                Reason::FieldFormat
            ),
        ]
    );
    let empty = batch_validate_codes(&pb::BatchValidateCodesRequest::default());
    assert_eq!(violations(empty), [("requests", Reason::FieldRequired)]);
    let request = pb::BatchValidateCodesRequest {
        requests: vec![question(CODE, None); 1001],
    };
    assert_eq!(
        violations(batch_validate_codes(&request)),
        [("requests", Reason::BatchTooLarge)]
    );
    let request = pb::BatchValidateCodesRequest {
        requests: vec![question("x", None), question(CODE, None)],
    };
    let questions = batch_validate_codes(&request).unwrap();
    let well_formed: Vec<_> = questions
        .iter()
        .map(|question| question.code.is_ok())
        .collect();
    assert_eq!(well_formed, [false, true]);
}

fn stored() -> StoredCode {
    let snapshot = fixtures::snapshot();
    let program =
        crate::convert::program::program(&fixtures::program(), &fixtures::known(&snapshot));
    StoredCode {
        id: ID.parse().unwrap(),
        code: ValidityCode::parse(CODE).unwrap(),
        content: CodeContent {
            subject: identity::subject(&fixtures::subject(), fixtures::today()).unwrap(),
            program: program.unwrap().value,
            document: DocumentFacts {
                kind: DocumentKind::Transcript,
                number: None,
                issue_date: None,
                start_date: None,
                end_date: None,
                gpa_hundredths: None,
            },
            double_major_declared: false,
            external_ref: String::new(),
            attestation: Attestation {
                expert_code: "E_1".to_owned(),
                statement_version: "v1".to_owned(),
                attest_micros: 0,
            },
            priors: Vec::new(),
            quote: Quote {
                basis: QuoteBasis::Exempt,
                fee: None,
                year: 1405,
                evidence: "directive 3".to_owned(),
                ground: None,
            },
            workflow_version: "code-1".to_owned(),
            documents: 0,
        },
        state: DocumentState::Superseded,
        issue_time: fixtures::now(),
        expire_time: None,
        revocation: None,
        legacy: false,
        superseded_by: Some(NEWER.parse().unwrap()),
        update_time: fixtures::now(),
        version: 1,
    }
}

fn verdict_of(reason: VerdictReason) -> Verdict {
    Verdict {
        outcome: reason.outcome(),
        reason,
        integrity: Judgement::Valid,
        status: Judgement::Valid,
        issuer: Judgement::Invalid,
    }
}

#[test]
fn nothing_is_told_of_an_unknown_document_or_of_another_persons() {
    let stored = stored();
    let other = PersonId::from_key("N:3974017844").unwrap();
    let own = stored.content.subject.person_id.clone();
    let silent = [
        VerdictReason::Malformed,
        VerdictReason::CheckDigit,
        VerdictReason::NotFound,
        VerdictReason::SubjectMismatch,
        VerdictReason::NotCovered,
        VerdictReason::StatusUnavailable,
    ];
    for reason in VerdictReason::ALL.iter().copied() {
        for (claim, matches) in [(None, true), (Some(&own), true), (Some(&other), false)] {
            let disclosure = Disclosure {
                found: Found::Code(&stored),
                institution: None,
                told: disclosed(CallerClass::University, true, AskingPurpose::DocumentCheck),
                claim,
            };
            let shown = verdict_to_pb(&verdict_of(reason), Some(&disclosure), fixtures::now());
            let told = matches && !silent.contains(&reason);
            assert_eq!(shown.document.is_some(), told, "{reason}");
            assert_eq!(!shown.superseded_by.is_empty(), told, "{reason}");
        }
        let shown = verdict_to_pb(&verdict_of(reason), None, fixtures::now());
        assert_eq!(
            (shown.document, shown.superseded_by.as_str()),
            (None, ""),
            "{reason}"
        );
    }
}

/// The whole matrix: every class, of its own documents and others', for every purpose.
#[test]
fn how_much_is_told_depends_on_who_asks_and_for_what() {
    let stored = stored();
    let institution = fixtures::institution().institution;
    let name = format!("validityCodes/{ID}");
    let newer = format!("validityCodes/{NEWER}");
    let (whole, masked) = ("علی رضایی نمونه", "ع*** ر*** ن***");
    for class in CallerClass::ALL.iter().copied() {
        for owns in [true, false] {
            for purpose in AskingPurpose::ALL.iter().copied() {
                let cell = format!("{class} {owns} {purpose}");
                let disclosure = Disclosure {
                    found: Found::Code(&stored),
                    institution: Some(&institution),
                    told: disclosed(class, owns, purpose),
                    claim: None,
                };
                let verdict = verdict_of(VerdictReason::Superseded);
                let shown = verdict_to_pb(&verdict, Some(&disclosure), fixtures::now());
                if class == CallerClass::Monitor {
                    assert_eq!((shown.document, shown.superseded_by.as_str()), (None, ""));
                    continue;
                }
                let check = purpose == AskingPurpose::DocumentCheck;
                let owner = owns
                    && matches!(
                        class,
                        CallerClass::SingleWindow
                            | CallerClass::University
                            | CallerClass::CentralBody
                    );
                let close = check && (owner || class == CallerClass::Organization);
                let only =
                    |may: bool, text: &str| if may { text.to_owned() } else { String::new() };
                assert_eq!(shown.superseded_by, only(check && owner, &newer), "{cell}");
                let expected = pb::DisclosedDocument {
                    document_type: pb::DocumentType::ValidityCode.into(),
                    document_kind: pb::DocumentKind::Transcript.into(),
                    institution_name_fa: only(check, "دانشگاه نمونه"),
                    institution_name_en: only(check, "Sample University"),
                    degree_level: if check {
                        to_pb(DegreeLevel::MasterDiscontinuous)
                    } else {
                        0
                    },
                    field_title_fa: only(check, "مهندسی عمران"),
                    subject_name_fa: only(check, if close { whole } else { masked }),
                    subject_name_masked: check && !close,
                    issue_time: after(0),
                    issue_date: Some(fixtures::date(1405, 2, 23)),
                    expire_time: None,
                    expire_date: None,
                    name: only(close, &name),
                };
                assert!(shown.document.unwrap() == expected, "{cell}");
            }
        }
    }
}

#[test]
fn a_verdict_is_shown_with_its_three_judgements_and_its_texts() {
    let shown = verdict_to_pb(&verdict_of(VerdictReason::Ok), None, fixtures::now());
    assert_eq!(shown.outcome(), pb::Outcome::Valid);
    assert_eq!(shown.reason(), pb::VerdictReason::Ok);
    assert_eq!(
        (shown.integrity(), shown.issuer()),
        (pb::Judgement::Valid, pb::Judgement::Invalid)
    );
    assert_eq!(shown.explanation_en, VerdictReason::Ok.explanation_en());
    assert_eq!(shown.explanation_fa, VerdictReason::Ok.explanation_fa());
    assert_eq!(shown.status_as_of, after(0));
    let shown = verdict_to_pb(&Verdict::undetermined(), None, fixtures::now());
    assert_eq!(shown.outcome(), pb::Outcome::Undetermined);
    assert_eq!(Verdict::undetermined().outcome, Outcome::Undetermined);
    assert_eq!(shown.status_as_of, None);
}
