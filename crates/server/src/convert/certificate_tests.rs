use gavah_domain::certificate::Serial;
use gavah_domain::tariff::{Quote, QuoteBasis};
use gavah_domain::{JalaliDate, TermId, ValidityCode};

use super::*;
use crate::convert::fixtures::{self, CODE, ID, after, assert_violations, below, violations};
use crate::convert::time::last_day_before;
use crate::error::Refusal;
use gavah_store::CertificateContent;

fn request() -> pb::CreateEnrollmentCertificateApplicationRequest {
    pb::CreateEnrollmentCertificateApplicationRequest {
        request_id: ID.to_owned(),
        validate_only: false,
        r#type: pb::ApplicationType::IssueFromRecord.into(),
        window_reference: " W-1 ".to_owned(),
        subject: Some(fixtures::subject()),
        institution_code: "1013".to_owned(),
        student_number: "810100001".to_owned(),
        purpose: pb::Purpose::Embassy.into(),
        addressee: Some(pb::Addressee {
            name_fa: "سفارت نمونه".to_owned(),
            name_en: "Sample Embassy".to_owned(),
        }),
        ..Default::default()
    }
}

fn create(
    request: pb::CreateEnrollmentCertificateApplicationRequest,
) -> Result<CreateApplicationInput, AppError> {
    let snapshot = fixtures::snapshot();
    create_application(request, &fixtures::known(&snapshot))
}

#[test]
fn every_wrong_field_of_an_application_is_told_at_once() {
    let (subject, subject_wrong) = fixtures::broken_subject();
    let broken = pb::CreateEnrollmentCertificateApplicationRequest {
        request_id: "1".to_owned(),
        validate_only: true,
        r#type: 5,
        window_reference: " ".to_owned(),
        subject: Some(subject),
        institution_code: "دانشگاه".to_owned(),
        student_number: "x".repeat(41),
        purpose: 10,
        addressee: Some(pb::Addressee {
            name_fa: "x".repeat(121),
            name_en: "a\tb".to_owned(),
        }),
        ..Default::default()
    };
    let mut expected = below(
        "",
        &[
            ("request_id", Reason::FieldFormat),
            ("type", Reason::FieldFormat),
            ("window_reference", Reason::FieldRequired),
            ("institution_code", Reason::FieldFormat),
            ("student_number", Reason::FieldTooLong),
            ("purpose", Reason::FieldFormat),
            ("addressee.name_fa", Reason::FieldTooLong),
            ("addressee.name_en", Reason::FieldFormat),
        ],
    );
    expected.extend(below("subject.", &subject_wrong));
    assert_violations(create(broken), expected);
    assert_eq!(
        violations(create(Default::default())),
        [
            ("request_id", Reason::FieldRequired),
            ("type", Reason::FieldRequired),
            ("window_reference", Reason::FieldRequired),
            ("subject", Reason::FieldRequired),
            ("institution_code", Reason::FieldRequired),
            ("student_number", Reason::FieldRequired),
            ("purpose", Reason::FieldRequired),
            ("addressee", Reason::FieldRequired),
        ]
    );
}

#[test]
fn an_application_at_an_unknown_institution_is_refused() {
    let given = pb::CreateEnrollmentCertificateApplicationRequest {
        institution_code: "SBU".to_owned(),
        ..request()
    };
    let refused = AppError::Refused(Refusal::new(Reason::InstitutionNotOwned));
    assert_eq!(create(given), Err(refused));
}

#[test]
fn an_application_becomes_domain_values() {
    let input = create(request()).unwrap();
    assert_eq!(input.request_type, RequestType::IssueFromRecord);
    assert_eq!(input.window_reference, "W-1");
    assert_eq!(input.institution, fixtures::code("UT"));
    assert_eq!(input.student_number.as_str(), "810100001");
    assert_eq!(input.purpose, Purpose::Embassy);
    assert_eq!(input.addressee_fa, "سفارت نمونه");
    assert_eq!(input.addressee_en.as_deref(), Some("Sample Embassy"));
    assert_eq!(format!("{input:?}"), "CreateApplicationInput(…)");
    let mut given = request();
    given.addressee.as_mut().unwrap().name_en = String::new();
    assert_eq!(create(given).unwrap().addressee_en, None);
}

#[test]
fn the_single_window_reads_only_for_somebody() {
    let class = CallerClass::SingleWindow;
    let both = [
        ("name", Reason::FieldFormat),
        ("subject_claim", Reason::FieldRequired),
    ];
    let request = pb::GetEnrollmentCertificateRequest {
        name: format!("enrollmentCertificateApplications/{ID}"),
        subject_claim: None,
    };
    assert_eq!(violations(get_certificate(&request, class)), both);
    let request = pb::GetEnrollmentCertificateApplicationRequest {
        name: format!("enrollmentCertificates/{ID}"),
        subject_claim: None,
    };
    assert_eq!(violations(get_application(&request, class)), both);
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let missing = [("subject_claim", Reason::FieldRequired)];
    assert_eq!(
        violations(list_applications(Default::default(), class, &known)),
        missing
    );
    assert_eq!(
        violations(list_certificates(Default::default(), class, &known)),
        missing
    );
}

#[test]
fn a_malformed_claim_is_refused_whoever_makes_it() {
    let request = pb::GetEnrollmentCertificateRequest {
        name: format!("enrollmentCertificates/{ID}"),
        subject_claim: Some(fixtures::national("1111111111")),
    };
    for class in CallerClass::ALL.iter().copied() {
        assert_eq!(
            violations(get_certificate(&request, class)),
            [("subject_claim.national_code", Reason::NationalCodeAllSame)]
        );
    }
}

#[test]
fn documents_are_read_by_name_and_for_a_person() {
    let request = pb::GetEnrollmentCertificateRequest {
        name: format!("enrollmentCertificates/{ID}"),
        subject_claim: Some(fixtures::national("7730942860")),
    };
    let input = get_certificate(&request, CallerClass::SingleWindow).unwrap();
    assert_eq!(input.id.to_string(), ID);
    assert_eq!(
        input.claim.as_ref().map(PersonId::key).as_deref(),
        Some("N:7730942860")
    );
    assert_eq!(format!("{input:?}"), "GetInput(…)");
    let request = pb::GetEnrollmentCertificateApplicationRequest {
        name: format!("enrollmentCertificateApplications/{ID}"),
        subject_claim: None,
    };
    assert_eq!(
        get_application(&request, CallerClass::Auditor)
            .unwrap()
            .claim,
        None
    );
}

#[test]
fn every_wrong_filter_of_a_list_is_told_at_once() {
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let wrong = [
        ("page_size", Reason::FieldFormat),
        ("state", Reason::FieldFormat),
        ("subject_claim.id", Reason::FieldRequired),
        ("page_token", Reason::PageTokenInvalid),
        ("institution_code", Reason::FieldFormat),
    ];
    let request = pb::ListEnrollmentCertificatesRequest {
        page_size: -1,
        page_token: "x".to_owned(),
        institution_code: "U/T".to_owned(),
        state: 17,
        subject_claim: Some(pb::PersonId { id: None }),
    };
    let class = CallerClass::SingleWindow;
    assert_eq!(violations(list_certificates(request, class, &known)), wrong);
    let request = pb::ListEnrollmentCertificateApplicationsRequest {
        page_size: -1,
        page_token: "x".to_owned(),
        institution_code: "U/T".to_owned(),
        state: 17,
        subject_claim: Some(pb::PersonId { id: None }),
    };
    assert_eq!(violations(list_applications(request, class, &known)), wrong);
}

#[test]
fn filters_of_lists_become_domain_values() {
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let request = pb::ListEnrollmentCertificatesRequest {
        page_size: 3,
        institution_code: "ut".to_owned(),
        state: pb::DocumentState::Revoked.into(),
        subject_claim: Some(fixtures::national("7730942860")),
        ..Default::default()
    };
    let input = list_certificates(request.clone(), CallerClass::University, &known).unwrap();
    assert_eq!(input.page.size, 3);
    assert_eq!(input.institution, Some(fixtures::code("UT")));
    assert_eq!(input.state, Some(DocumentState::Revoked));
    assert!(input.claim.is_some());
    assert_eq!(
        format!("{input:?}"),
        "ListInput { page: Page { size: 3, .. }, .. }"
    );
    let request = pb::ListEnrollmentCertificatesRequest {
        institution_code: "SBU".to_owned(),
        ..request
    };
    let refused = list_certificates(request, CallerClass::University, &known);
    assert_eq!(
        refused,
        Err(AppError::Refused(Refusal::new(Reason::InstitutionNotOwned)))
    );
    let request = pb::ListEnrollmentCertificateApplicationsRequest {
        state: pb::ApplicationState::Issued.into(),
        ..Default::default()
    };
    let input = list_applications(request, CallerClass::Organization, &known).unwrap();
    assert_eq!(input.state, Some(ApplicationState::Issued));
    assert_eq!((input.institution, input.claim), (None, None));
}

fn content() -> CertificateContent {
    let snapshot = fixtures::snapshot();
    let input = create(request()).unwrap();
    let program =
        crate::convert::program::program(&fixtures::program(), &fixtures::known(&snapshot));
    CertificateContent {
        request_type: input.request_type,
        window_reference: input.window_reference,
        subject: input.subject,
        program: program.unwrap().value,
        term: TermId::parse("1404-2").unwrap(),
        purpose: input.purpose,
        addressee_fa: input.addressee_fa,
        addressee_en: None,
        valid_until: JalaliDate::parse("1405/05/11").unwrap(),
        quote: Quote {
            basis: QuoteBasis::ZeroRow,
            fee: None,
            year: 1405,
            evidence: "budget law, table 7".to_owned(),
            ground: None,
        },
        workflow_version: "certificate-1".to_owned(),
        documents: 3,
        replaces: None,
        paper: None,
        attachments: Vec::new(),
    }
}

fn step(state: ApplicationState, actor: &str, seconds: i64) -> StoredStep {
    StoredStep {
        state,
        change_time: fixtures::now() + jiff::SignedDuration::from_secs(seconds),
        actor: actor.to_owned(),
        decider: String::new(),
        decider_hash: "never told".to_owned(),
        reason: String::new(),
        remarks: Vec::new(),
    }
}

#[test]
fn a_step_names_the_caller_that_took_it_and_nobody_else() {
    for (actor, named) in [
        ("callers/window", "callers/window"),
        ("service/recovery", ""),
        ("operator/somebody", ""),
    ] {
        let step = step(ApplicationState::Issued, actor, 0);
        assert_eq!(step_to_pb(&step).actor, named);
    }
}

#[test]
fn an_application_names_its_certificate_once_issued() {
    let step = |state, seconds| step(state, "callers/window", seconds);
    let mut stored = StoredApplication {
        id: ID.parse().unwrap(),
        state: ApplicationState::Issuing,
        content: (&content()).into(),
        certificate_id: ID.replace("8057", "8058").parse().unwrap(),
        history: vec![
            step(ApplicationState::Issuing, 0),
            step(ApplicationState::Issued, 1),
        ],
        create_time: fixtures::now(),
        update_time: fixtures::now(),
        pay_until: None,
        version: 7,
    };
    let shown = application_to_pb(&stored);
    assert_eq!(shown.enrollment_certificate, "");
    assert_eq!(shown.etag, "7");
    assert_eq!(shown.state(), pb::ApplicationState::Issuing);
    stored.state = ApplicationState::Issued;
    let shown = application_to_pb(&stored);
    assert_eq!(
        shown.name,
        format!("enrollmentCertificateApplications/{ID}")
    );
    let certificate = format!("enrollmentCertificates/{}", stored.certificate_id);
    assert_eq!(shown.enrollment_certificate, certificate);
    assert_eq!(shown.r#type(), pb::ApplicationType::IssueFromRecord);
    assert_eq!(shown.subject, Some(fixtures::subject()));
    assert_eq!(
        (
            shown.institution_code.as_str(),
            shown.student_number.as_str()
        ),
        ("UT", "810100001")
    );
    assert_eq!(shown.purpose(), pb::Purpose::Embassy);
    assert_eq!(shown.quote.unwrap().basis(), pb::QuoteBasis::ZeroRow);
    let states: Vec<_> = shown.history.iter().map(pb::StateChange::state).collect();
    assert_eq!(
        states,
        [pb::ApplicationState::Issuing, pb::ApplicationState::Issued]
    );
    assert_eq!(shown.history[1].change_time, after(1));
    assert_eq!(
        application_place(&stored).micros,
        fixtures::now().as_microsecond()
    );
}

#[test]
fn a_certificate_carries_its_signed_document_and_its_last_day() {
    let content = content();
    let stored = StoredCertificate {
        id: ID.parse().unwrap(),
        code: ValidityCode::parse(CODE).unwrap(),
        serial: Serial::new(1405, 12).unwrap(),
        application_id: ID.parse().unwrap(),
        state: DocumentState::Active,
        key_id: "key-1".to_owned(),
        signed_document: Some(vec![1, 2, 3]),
        issue_time: fixtures::now(),
        expire_time: content.valid_until.end_exclusive(),
        revocation: None,
        superseded_by: None,
        supersedes: None,
        update_time: fixtures::now(),
        version: 2,
        content,
    };
    let shown = certificate_to_pb(&stored);
    assert_eq!(shown.name, format!("enrollmentCertificates/{ID}"));
    assert_eq!(
        shown.application,
        format!("enrollmentCertificateApplications/{ID}")
    );
    assert_eq!(
        (shown.code.as_str(), shown.serial.as_str()),
        (CODE, "1405-00000012")
    );
    assert_eq!(shown.term, Some(fixtures::term(1404, pb::TermKind::Second)));
    assert_eq!(
        shown.addressee.map(|to| (to.name_fa, to.name_en)),
        Some(("سفارت نمونه".to_owned(), String::new()))
    );
    assert_eq!(shown.issue_date, Some(fixtures::date(1405, 2, 23)));
    assert_eq!(shown.valid_until_date, Some(fixtures::date(1405, 5, 11)));
    assert_eq!(
        shown.valid_until_date,
        Some(last_day_before(stored.expire_time))
    );
    assert_eq!(&shown.signed_document[..], [1, 2, 3]);
    assert_eq!((shown.key_id.as_str(), shown.etag.as_str()), ("key-1", "2"));
    assert_eq!(shown.revocation, None);
    assert_eq!(certificate_place(&stored).id, stored.id);
}
