//! Tests of service calls and their guards.

use super::*;
use crate::agreement::AgreementState;
use crate::attachment::FileDigest;
use crate::certificate::Purpose;
use crate::institution::tests::institution;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn call(id: &str, service: ServiceKind) -> ServiceCall {
    ServiceCall {
        id: id.to_owned(),
        service,
        state: ServiceCallState::Open,
        open_time: at("2026-01-01T00:00:00Z"),
        close_time: Some(at("2027-01-01T00:00:00Z")),
        eligible_types: vec![InstitutionType::State, InstitutionType::Azad],
        document_kinds: vec![DocumentKind::Degree],
        workflow_version: "w1".to_owned(),
        run_off_days: 30,
        sla_targets: std::collections::BTreeMap::new(),
    }
}

fn agreement(call_id: &str, consumer: &str, state: AgreementState) -> Agreement {
    Agreement {
        id: format!("{call_id}-{consumer}"),
        consumer: consumer.to_owned(),
        through: None,
        call_id: call_id.to_owned(),
        state,
        end: None,
        purposes: vec![AgreementPurpose::Issue],
        fields: Vec::new(),
        daily_calls: None,
        burst: None,
    }
}

#[test]
fn a_call_is_open_only_in_state_open_and_between_its_instants() {
    use ServiceCallState as S;
    let (open, close) = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    for (state, now, close_time, expected) in [
        (S::Draft, open, Some(close), false),
        (S::Closed, open, Some(close), false),
        (S::Open, "2025-12-31T23:59:59.999999Z", Some(close), false),
        (S::Open, close, Some(close), false),
        (S::Open, open, Some(close), true),
        (S::Open, "2026-12-31T23:59:59.999999Z", Some(close), true),
        (S::Open, "2040-01-01T00:00:00Z", None, true),
    ] {
        let call = ServiceCall {
            state,
            close_time: close_time.map(at),
            ..call("c", ServiceKind::ValidityCode)
        };
        assert_eq!(call.is_open(at(now)), expected, "{state} {now}");
    }
}

/// What is tried, the calls, the agreements, and the id of the call found.
type Case<'a> = (
    &'a str,
    Vec<&'a ServiceCall>,
    Vec<Agreement>,
    Result<&'a str, Reason>,
);

#[test]
fn a_service_is_used_under_an_open_call_and_an_active_agreement_of_its_own() {
    use AgreementState as A;
    let service = ServiceKind::ValidityCode;
    let now = at("2026-06-01T00:00:00Z");
    let closed = ServiceCall {
        state: ServiceCallState::Closed,
        ..call("closed", service)
    };
    let other = call("other", ServiceKind::EnrollmentCertificate);
    let (first, second) = (call("first", service), call("second", service));
    let ut = "institutions/UT";
    let consumers = [ut.to_owned(), "callers/ut-main".to_owned()];
    let table: Vec<Case<'_>> = vec![
        ("no call", vec![], vec![], Err(Reason::CallNotOpen)),
        (
            "closed call",
            vec![&closed],
            vec![agreement("closed", ut, A::Active)],
            Err(Reason::CallNotOpen),
        ),
        (
            "call of another service",
            vec![&other],
            vec![agreement("other", ut, A::Active)],
            Err(Reason::CallNotOpen),
        ),
        (
            "no agreement",
            vec![&first],
            vec![],
            Err(Reason::AgreementNotActive),
        ),
        (
            "agreement requested",
            vec![&first],
            vec![agreement("first", ut, A::Requested)],
            Err(Reason::AgreementNotActive),
        ),
        (
            "agreement suspended",
            vec![&first],
            vec![agreement("first", ut, A::Suspended)],
            Err(Reason::AgreementNotActive),
        ),
        (
            "agreement terminated",
            vec![&first],
            vec![agreement("first", ut, A::Terminated)],
            Err(Reason::AgreementNotActive),
        ),
        (
            "agreement of somebody else",
            vec![&first],
            vec![agreement("first", "institutions/SUT", A::Active)],
            Err(Reason::AgreementNotActive),
        ),
        (
            "agreement under another call",
            vec![&first, &closed],
            vec![agreement("closed", ut, A::Active)],
            Err(Reason::AgreementNotActive),
        ),
        (
            "institution",
            vec![&first],
            vec![agreement("first", ut, A::Active)],
            Ok("first"),
        ),
        (
            "caller",
            vec![&first],
            vec![agreement("first", "callers/ut-main", A::Active)],
            Ok("first"),
        ),
        (
            "second call",
            vec![&closed, &other, &first, &second],
            vec![
                agreement("first", ut, A::Suspended),
                agreement("second", ut, A::Active),
            ],
            Ok("second"),
        ),
    ];
    for (case, calls, agreements, expected) in table {
        let calls: Vec<_> = calls.into_iter().cloned().collect();
        let found = |purpose| {
            let found = guard_call(&calls, &agreements, service, &consumers, purpose, now);
            found.map(|(call, agreement)| (call.id.as_str(), agreement.call_id.as_str()))
        };
        let both = expected.map(|id| (id, id));
        assert_eq!(found(AgreementPurpose::Issue), both, "{case}");
        let otherwise = expected.map_or_else(Err, |_| Err(Reason::PurposeNotInAgreement));
        assert_eq!(found(AgreementPurpose::Inquire), otherwise, "{case}");
    }
}

#[test]
fn requests_in_flight_run_off_for_so_many_days_after_the_close() {
    use ServiceCallState as S;
    let close = "2027-01-01T00:00:00Z";
    let before_the_end = "2027-01-30T23:59:59Z";
    for (state, now, close_time, expected) in [
        (S::Open, close, Some(close), true),
        (S::Open, before_the_end, Some(close), true),
        (S::Closed, before_the_end, Some(close), true),
        (S::Closed, "2027-01-31T00:00:00Z", Some(close), false),
        (S::Open, "2027-01-31T00:00:00Z", Some(close), false),
        (S::Open, "2040-01-01T00:00:00Z", None, true),
        (S::Draft, before_the_end, Some(close), false),
        (S::Closed, before_the_end, None, false),
    ] {
        let call = ServiceCall {
            state,
            close_time: close_time.map(at),
            ..call("c", ServiceKind::ValidityCode)
        };
        assert_eq!(call.runs_off(at(now)), expected, "{state} {now}");
    }
}

#[test]
fn only_open_institutions_of_an_eligible_kind_named_by_the_call_are_served() {
    let call = call("c", ServiceKind::ValidityCode);
    for kind in InstitutionType::ALL {
        let open = institution("I", *kind, None);
        // the call names AZAD too, which stays refused
        let expected = if *kind == InstitutionType::State {
            Ok(())
        } else {
            Err(Reason::InstitutionTypeNotEligible)
        };
        assert_eq!(guard_eligible(&call, &open), expected, "{kind}");
        let closed = Institution {
            state: InstitutionState::Closed,
            ..open
        };
        let refused = Err(Reason::InstitutionNotActive);
        assert_eq!(guard_eligible(&call, &closed), refused, "{kind}");
    }
}

#[test]
fn codes_are_issued_only_for_the_kinds_the_call_names() {
    let call = call("c", ServiceKind::ValidityCode);
    for kind in DocumentKind::ALL {
        let expected = if *kind == DocumentKind::Degree {
            Ok(())
        } else {
            Err(Reason::DocumentKindNotEnabled)
        };
        assert_eq!(guard_document_kind(&call, *kind), expected, "{kind}");
    }
}

#[test]
fn the_rules_of_a_workflow_decide() {
    let workflow = WorkflowVersion {
        id: "w1".to_owned(),
        service: ServiceKind::EnrollmentCertificate,
        auto_confirm: true,
        freshness_hours: 24,
        require_prior_qualification: true,
        certificate_extra_days: 30,
        certificate_max_months: 6,
        university_review: false,
        organization_review: true,
        organization_review_percent: 30,
        outlives_enrollment: vec![Purpose::Court],
        payment_position: PaymentPosition::BeforeIssue,
        required_attachments: vec![
            RequiredAttachment {
                kind: AttachmentKind::IdentityDocument,
                only_for: None,
            },
            RequiredAttachment {
                kind: AttachmentKind::ExistingDocument,
                only_for: Some("CONFIRM_EXISTING".to_owned()),
            },
        ],
        codes: CodeRules::default(),
    };
    let given = [Attachment {
        kind: AttachmentKind::ExistingDocument,
        file: FileDigest::new([0; 32]),
    }];
    let identity = AttachmentKind::IdentityDocument;
    for (asked_for, given, missing) in [
        ("EXTEND", &[][..], &[identity][..]),
        (
            "CONFIRM_EXISTING",
            &[],
            &[identity, AttachmentKind::ExistingDocument],
        ),
        ("CONFIRM_EXISTING", &given, &[identity]),
    ] {
        assert_eq!(
            workflow.missing_attachments(asked_for, given),
            missing,
            "{asked_for}"
        );
    }
    assert_eq!(workflow.max_record_age(), SignedDuration::from_hours(24));
    assert!(!workflow.decides_at_once());
    assert!(!workflow.ends_with_enrollment(Purpose::Court));
    assert!(workflow.ends_with_enrollment(Purpose::Embassy));
    let reviewed = (0..100).filter(|lot| workflow.is_reviewed(*lot));
    assert_eq!(reviewed.count(), 30);
    let without = WorkflowVersion {
        organization_review: false,
        ..workflow
    };
    assert!(without.decides_at_once() && !without.is_reviewed(0));
}

#[test]
fn each_service_has_its_own_name_and_one_provider() {
    let [a, b] = [
        ServiceKind::EnrollmentCertificate,
        ServiceKind::ValidityCode,
    ];
    assert_ne!(a.name_fa(), b.name_fa());
    assert_ne!(a.name_en(), b.name_en());
    assert_eq!(
        (a.provider_fa(), a.provider_en()),
        ("سازمان امور دانشجویان", "Organization of Student Affairs")
    );
    assert_eq!(
        (a.provider_fa(), a.provider_en()),
        (b.provider_fa(), b.provider_en())
    );
}
