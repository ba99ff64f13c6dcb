use gavah_domain::record::CLOCK_SKEW_MAX;
use gavah_domain::tariff::{Quote, QuoteBasis};
use gavah_domain::validity::CodeRules;
use gavah_store::{Attestation, CodeContent, StoredRevocation};

use super::*;
use crate::convert::fixtures::{self, CODE, ID, after, assert_violations, below, violations};
use crate::convert::time::jalali_of;
use crate::error::Refusal;

fn request() -> pb::IssueValidityCodeRequest {
    pb::IssueValidityCodeRequest {
        request_id: ID.to_owned(),
        validate_only: false,
        dispute_action: String::new(),
        subject: Some(fixtures::subject()),
        program: Some(fixtures::program()),
        document_kind: pb::DocumentKind::Degree.into(),
        document: Some(pb::Document {
            number: "۱۲-الف".to_owned(),
            issue_date: Some(fixtures::date(1405, 2, 23)),
            start_date: Some(fixtures::date(1400, 7, 1)),
            end_date: Some(fixtures::date(1404, 4, 1)),
            gpa_hundredths: Some(1850),
        }),
        prior_qualifications: vec![pb::PriorQualification {
            degree_level: pb::DegreeLevel::BachelorContinuous.into(),
            validity_code: "۱۲۳۴ 5678-9012 3456 7888".to_owned(),
            attachment: String::new(),
        }],
        double_major_declared: true,
        external_ref: " ref/1 ".to_owned(),
        attestation: Some(pb::Attestation {
            expert: Some(pb::ActorRef {
                expert: "institutions/1013/experts/E_1".to_owned(),
            }),
            statement_version: "v1".to_owned(),
            attest_time: after(0),
        }),
    }
}

fn issue(request: pb::IssueValidityCodeRequest) -> Result<IssueCodeInput, AppError> {
    let snapshot = fixtures::snapshot();
    issue_code(request, &fixtures::known(&snapshot))
}

#[test]
fn every_wrong_field_of_a_request_for_a_code_is_told_at_once() {
    let (subject, subject_wrong) = fixtures::broken_subject();
    let (program, program_wrong) = fixtures::broken_program();
    let prior = |degree_level, code: &str| pb::PriorQualification {
        degree_level,
        validity_code: code.to_owned(),
        attachment: String::new(),
    };
    let broken = pb::IssueValidityCodeRequest {
        request_id: "1".to_owned(),
        validate_only: true,
        dispute_action: String::new(),
        subject: Some(subject),
        program: Some(program),
        document_kind: 77,
        document: Some(pb::Document {
            number: "x".repeat(31),
            issue_date: Some(fixtures::date(1405, 2, 24)),
            start_date: Some(fixtures::date(1405, 13, 40)),
            end_date: Some(fixtures::date(1405, 7, 31)),
            gpa_hundredths: Some(2001),
        }),
        prior_qualifications: vec![prior(1, CODE), prior(0, "1"), prior(9, "")],
        double_major_declared: false,
        external_ref: "a\u{0}".to_owned(),
        attestation: Some(pb::Attestation {
            expert: Some(pb::ActorRef {
                expert: "experts/E_1".to_owned(),
            }),
            statement_version: " ".to_owned(),
            attest_time: after(301),
        }),
    };
    let mut expected = below(
        "",
        &[
            ("request_id", Reason::FieldFormat),
            ("document_kind", Reason::FieldFormat),
            ("document.number", Reason::FieldTooLong),
            ("document.issue_date", Reason::FieldFormat),
            ("document.start_date", Reason::JalaliDateInvalid),
            ("document.end_date", Reason::JalaliDateInvalid),
            ("document.gpa_hundredths", Reason::FieldFormat),
            (
                "prior_qualifications[1].degree_level",
                Reason::FieldRequired,
            ),
            ("prior_qualifications[1].validity_code", Reason::FieldFormat),
            ("prior_qualifications[2].degree_level", Reason::FieldFormat),
            (
                "prior_qualifications[2].validity_code",
                Reason::FieldRequired,
            ),
            ("external_ref", Reason::FieldFormat),
            ("attestation.expert.expert", Reason::FieldFormat),
            ("attestation.statement_version", Reason::FieldRequired),
            ("attestation.attest_time", Reason::FieldFormat),
        ],
    );
    expected.extend(below("subject.", &subject_wrong));
    expected.extend(below("program.", &program_wrong));
    assert_violations(issue(broken), expected);
}

#[test]
fn an_empty_request_for_a_code_is_told_what_it_lacks() {
    assert_eq!(
        violations(issue(pb::IssueValidityCodeRequest::default())),
        [
            ("request_id", Reason::FieldRequired),
            ("subject", Reason::FieldRequired),
            ("program", Reason::FieldRequired),
            ("document_kind", Reason::FieldRequired),
            ("attestation", Reason::FieldRequired),
        ]
    );
    let hollow = pb::IssueValidityCodeRequest {
        subject: Some(pb::Subject::default()),
        program: Some(pb::Program {
            entry_term: Some(pb::Term::default()),
            ..Default::default()
        }),
        document: Some(pb::Document {
            issue_date: Some(pb::JalaliDate::default()),
            ..Default::default()
        }),
        attestation: Some(pb::Attestation {
            expert: Some(pb::ActorRef::default()),
            ..Default::default()
        }),
        ..request()
    };
    assert_violations(
        issue(hollow),
        below(
            "",
            &[
                ("subject.person_id", Reason::FieldRequired),
                ("subject.name", Reason::FieldRequired),
                ("program.institution_code", Reason::FieldRequired),
                ("program.student_number", Reason::FieldRequired),
                ("program.degree_level", Reason::FieldRequired),
                ("program.field_code", Reason::FieldRequired),
                ("program.field_title_fa", Reason::FieldRequired),
                ("program.study_mode", Reason::FieldRequired),
                ("program.entry_term.academic_year", Reason::FieldFormat),
                ("program.entry_term.kind", Reason::FieldRequired),
                ("document.issue_date", Reason::JalaliDateInvalid),
                ("attestation.expert.expert", Reason::FieldRequired),
                ("attestation.statement_version", Reason::FieldRequired),
                ("attestation.attest_time", Reason::FieldRequired),
            ],
        ),
    );
}

#[test]
fn more_than_ten_prior_qualifications_are_too_many() {
    let mut given = request();
    // They are not read, so that not even their codes are called wrong.
    let prior = pb::PriorQualification {
        degree_level: 1,
        validity_code: "1".to_owned(),
        attachment: String::new(),
    };
    given.prior_qualifications = vec![prior; 11];
    assert_eq!(
        violations(issue(given)),
        [("prior_qualifications", Reason::BatchTooLarge)]
    );
}

#[test]
fn studies_do_not_end_before_they_start() {
    let mut given = request();
    let document = given.document.as_mut().unwrap();
    std::mem::swap(&mut document.start_date, &mut document.end_date);
    assert_eq!(
        violations(issue(given)),
        [("document.end_date", Reason::FieldFormat)]
    );
}

#[test]
fn an_unknown_institution_looks_like_a_strangers_and_only_when_nothing_else_is_wrong() {
    let mut given = request();
    given.program.as_mut().unwrap().institution_code = "SBU".to_owned();
    let refused = Err(AppError::Refused(Refusal::new(Reason::InstitutionNotOwned)));
    assert_eq!(issue(given.clone()), refused);
    given.external_ref = "x".repeat(65);
    assert_eq!(
        violations(issue(given)),
        [("external_ref", Reason::FieldTooLong)]
    );
}

#[test]
fn a_request_for_a_code_becomes_domain_values() {
    let input = issue(request()).unwrap();
    assert_eq!(input.head.request_id.to_string(), ID);
    assert_eq!(input.facts.subject.person_id.key(), "N:7730942860");
    assert_eq!(input.facts.program.institution.as_str(), "UT");
    assert_eq!(input.facts.document.kind, DocumentKind::Degree);
    assert_eq!(input.facts.document.number.as_deref(), Some("12-الف"));
    assert_eq!(input.facts.document.gpa_hundredths, Some(1850));
    let [prior] = input.facts.priors[..] else {
        panic!("one prior qualification")
    };
    assert_eq!(
        (prior.level, prior.proof),
        (
            DegreeLevel::BachelorContinuous,
            Proof::Code(ValidityCode::parse(CODE).unwrap())
        )
    );
    assert!(input.facts.double_major_declared);
    assert_eq!(input.facts.external_ref, "ref/1");
    assert_eq!(input.expert.institution.as_str(), "UT");
    assert_eq!(input.expert.code.as_str(), "E_1");
    assert_eq!(input.statement_version, "v1");
    assert_eq!(input.attest_time, fixtures::now());
    assert_eq!(
        format!("{input:?} {prior:?}"),
        "IssueCodeInput(…) PriorClaim(…)"
    );
}

#[test]
fn a_document_and_proofs_may_be_left_out() {
    let given = pb::IssueValidityCodeRequest {
        document: None,
        prior_qualifications: Vec::new(),
        external_ref: String::new(),
        ..request()
    };
    let input = issue(given).unwrap();
    assert_eq!(
        (input.facts.document.number, input.facts.document.end_date),
        (None, None)
    );
    assert!(input.facts.priors.is_empty() && input.facts.external_ref.is_empty());
}

#[test]
fn an_attestation_may_be_ahead_by_the_skew_of_clocks() {
    let mut given = request();
    given.attestation.as_mut().unwrap().attest_time = after(CLOCK_SKEW_MAX.as_secs());
    assert!(issue(given).is_ok());
}

#[test]
fn the_same_content_has_the_same_digest() {
    let one = issue(request()).unwrap().head;
    let mut again = request();
    again.request_id = ID.replace("8057", "8058");
    again.validate_only = true;
    let again = issue(again).unwrap().head;
    assert_eq!(one.digest, again.digest);
    assert_ne!(one.request_id, again.request_id);
    let other = pb::IssueValidityCodeRequest {
        double_major_declared: false,
        ..request()
    };
    assert_ne!(one.digest, issue(other).unwrap().head.digest);
}

#[test]
fn a_code_is_read_by_its_resource_name_only() {
    for (name, reason) in [
        ("", Reason::FieldRequired),
        (CODE, Reason::FieldFormat),
        ("validityCodes/1", Reason::FieldFormat),
    ] {
        let request = pb::GetValidityCodeRequest {
            name: name.to_owned(),
        };
        assert_eq!(violations(get_code(&request)), [("name", reason)], "{name}");
    }
    let request = pb::GetValidityCodeRequest {
        name: format!("validityCodes/{ID}"),
    };
    assert_eq!(
        get_code(&request).map(|id| id.to_string()),
        Ok(ID.to_owned())
    );
}

#[test]
fn every_wrong_filter_is_told_at_once() {
    let snapshot = fixtures::snapshot();
    let instant = prost_types::Timestamp {
        seconds: 0,
        nanos: -1,
    };
    let request = pb::ListValidityCodesRequest {
        page_size: 1001,
        page_token: "x".to_owned(),
        institution_code: "U/T".to_owned(),
        state: 9,
        document_kind: -1,
        external_ref: "\n".repeat(65),
        issued_from: Some(instant),
        issued_before: Some(instant),
    };
    assert_eq!(
        violations(list_codes(request, &fixtures::known(&snapshot))),
        [
            ("page_size", Reason::FieldFormat),
            ("state", Reason::FieldFormat),
            ("document_kind", Reason::FieldFormat),
            ("external_ref", Reason::FieldTooLong),
            ("page_token", Reason::PageTokenInvalid),
            ("institution_code", Reason::FieldFormat),
            ("issued_from", Reason::FieldFormat),
            ("issued_before", Reason::FieldFormat),
        ]
    );
}

#[test]
fn filters_become_domain_values() {
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let all = list_codes(pb::ListValidityCodesRequest::default(), &known).unwrap();
    assert_eq!(
        (all.page.size, all.institution, all.external_ref),
        (50, None, None)
    );
    assert_eq!(
        (all.state, all.document_kind, all.issued_from),
        (None, None, None)
    );
    let request = pb::ListValidityCodesRequest {
        page_size: 5,
        institution_code: "1013".to_owned(),
        state: pb::DocumentState::Suspended.into(),
        document_kind: pb::DocumentKind::Transcript.into(),
        external_ref: "ref/1".to_owned(),
        issued_from: after(-60),
        issued_before: after(0),
        ..Default::default()
    };
    let some = list_codes(request, &known).unwrap();
    assert_eq!(some.page.size, 5);
    assert_eq!(some.institution, Some(fixtures::code("UT")));
    assert_eq!(some.state, Some(DocumentState::Suspended));
    assert_eq!(some.document_kind, Some(DocumentKind::Transcript));
    assert_eq!(some.external_ref.as_deref(), Some("ref/1"));
    assert_eq!(some.issued_before, Some(fixtures::now()));
    assert!(some.issued_from < some.issued_before);
    let unknown = pb::ListValidityCodesRequest {
        institution_code: "SBU".to_owned(),
        ..Default::default()
    };
    let refused = Err(AppError::Refused(Refusal::new(Reason::InstitutionNotOwned)));
    assert_eq!(list_codes(unknown, &known), refused);
}

#[test]
fn a_stored_code_is_shown_as_it_was_asked_for() {
    let input = issue(request()).unwrap();
    let issue_time = fixtures::now();
    let revocation = StoredRevocation {
        reason: gavah_domain::document::RevocationReason::CourtOrder,
        legal_basis: "دادنامه ۱۲".to_owned(),
        revoke_time: issue_time,
        revoked_by: "callers/org".to_owned(),
    };
    let quote = Quote {
        basis: QuoteBasis::FreeNoTariffRow,
        fee: None,
        year: 1405,
        evidence: "no row in table of year 1405".to_owned(),
        ground: None,
    };
    let stored = StoredCode {
        id: ID.parse().unwrap(),
        code: ValidityCode::parse(CODE).unwrap(),
        content: CodeContent {
            subject: input.facts.subject,
            program: input.facts.program,
            document: input.facts.document,
            double_major_declared: true,
            external_ref: input.facts.external_ref,
            attestation: Attestation {
                expert_code: "E_1".to_owned(),
                statement_version: "v1".to_owned(),
                attest_micros: issue_time.as_microsecond(),
            },
            priors: Vec::new(),
            quote,
            workflow_version: "code-1".to_owned(),
            documents: 3,
        },
        state: DocumentState::Revoked,
        issue_time,
        expire_time: CodeRules::default().expiry(DocumentKind::ForeignValuation, issue_time),
        revocation: Some(revocation),
        legacy: false,
        superseded_by: None,
        update_time: issue_time,
        version: 7,
    };
    let shown = code_to_pb(&stored);
    assert_eq!(shown.name, format!("validityCodes/{ID}"));
    assert_eq!(shown.code, CODE);
    assert_eq!(shown.state(), pb::DocumentState::Revoked);
    assert_eq!(shown.subject, Some(fixtures::subject()));
    assert_eq!(shown.program, Some(fixtures::program()));
    let document = pb::Document {
        number: "12-الف".to_owned(),
        ..request().document.unwrap()
    };
    assert_eq!(shown.document, Some(document));
    assert_eq!(shown.attested_by, "institutions/UT/experts/E_1");
    assert_eq!(shown.issue_date, Some(fixtures::date(1405, 2, 23)));
    // Midnight at the end of 1406/02/23 belongs to the next day.
    assert_eq!(shown.expire_date, Some(fixtures::date(1406, 2, 24)));
    assert_eq!(shown.expire_date, stored.expire_time.map(jalali_of));
    let revocation = shown.revocation.as_ref().unwrap();
    assert_eq!(revocation.reason(), pb::RevocationReason::CourtOrder);
    assert_eq!(revocation.revoked_by, "callers/org");
    assert_eq!(
        shown.quote.as_ref().map(|quote| quote.fee.is_none()),
        Some(true)
    );
    assert_eq!(
        (shown.etag.as_str(), shown.workflow_version.as_str()),
        ("7", "code-1")
    );
    assert_eq!(code_place(&stored).id, stored.id);
}
