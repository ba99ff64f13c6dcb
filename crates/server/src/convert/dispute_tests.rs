use super::*;
use crate::convert::fixtures::{ID, violations};

fn action(act: pb::OrderedAct, target: &str) -> pb::OrderedAction {
    pb::OrderedAction {
        act: act.into(),
        target: target.to_owned(),
        ..Default::default()
    }
}

fn ruling(actions: Vec<pb::OrderedAction>) -> pb::RuleDisputeRequest {
    pb::RuleDisputeRequest {
        request_id: ID.to_owned(),
        name: format!("disputes/{ID}"),
        etag: "3".to_owned(),
        outcome: pb::RulingOutcome::Upheld.into(),
        text: "رأی".to_owned(),
        legal_basis: "ماده ۹".to_owned(),
        actions,
        ..Default::default()
    }
}

#[test]
fn every_wrong_field_of_a_ruling_is_told_at_once() {
    let request = pb::RuleDisputeRequest {
        name: format!("incidents/{ID}"),
        etag: String::new(),
        outcome: 0,
        text: String::new(),
        legal_basis: "x".repeat(501),
        ..ruling(vec![
            action(pb::OrderedAct::Refund, &format!("validityCodes/{ID}")),
            action(pb::OrderedAct::Revoke, &format!("payments/{ID}")),
            action(pb::OrderedAct::Unspecified, &format!("validityCodes/{ID}")),
            action(pb::OrderedAct::Correct, ""),
        ])
    };
    assert_eq!(
        violations(rule(request)),
        [
            ("etag", Reason::FieldRequired),
            ("outcome", Reason::FieldRequired),
            ("text", Reason::FieldRequired),
            ("legal_basis", Reason::FieldTooLong),
            ("actions[2].act", Reason::FieldRequired),
            ("actions[3].target", Reason::FieldRequired),
            ("name", Reason::FieldFormat),
            ("actions[0].target", Reason::FieldFormat),
            ("actions[1].target", Reason::FieldFormat),
        ]
    );
    let code = action(pb::OrderedAct::Revoke, &format!("validityCodes/{ID}"));
    let many = ruling(vec![code; 21]);
    assert_eq!(violations(rule(many)), [("actions", Reason::BatchTooLarge)]);
}

#[test]
fn a_ruling_keeps_the_order_of_what_it_orders() {
    let id: Uuid = ID.parse().unwrap();
    let input = rule(ruling(vec![
        action(
            pb::OrderedAct::Revoke,
            &format!("enrollmentCertificates/{ID}"),
        ),
        action(pb::OrderedAct::Refund, &format!("payments/{ID}")),
    ]))
    .unwrap();
    assert_eq!(
        input.targets,
        [Target::Certificate(id), Target::Payment(id)]
    );
    assert_eq!(input.etag, Some(3));
    let DisputeStep::Rule(ruling) = &input.step else {
        panic!("no ruling");
    };
    let acts: Vec<_> = ruling.actions.iter().map(|action| action.act).collect();
    assert_eq!(acts, [OrderedAct::Revoke, OrderedAct::Refund]);
    assert_eq!(format!("{input:?}"), "StepInput(…)");
}

#[test]
fn a_subject_is_one_of_five_kinds_and_reads_back() {
    for name in [
        "agreements/universities/institutions/1001".to_owned(),
        format!("validityCodeApplications/{ID}"),
        format!("enrollmentCertificateApplications/{ID}"),
        format!("validityCodes/{ID}"),
        format!("enrollmentCertificates/{ID}"),
    ] {
        assert_eq!(Subject::parse(&name).unwrap().name(), name);
    }
    for name in [
        "".to_owned(),
        "agreements/".to_owned(),
        format!("incidents/{ID}"),
        "validityCodes/12345678901234567888".to_owned(),
    ] {
        assert_eq!(Subject::parse(&name), Err(Reason::FieldFormat), "{name}");
    }
}

#[test]
fn the_single_window_says_whom_a_certificate_is_about() {
    let request = |subject: &str| pb::OpenDisputeRequest {
        request_id: ID.to_owned(),
        subject: subject.to_owned(),
        statement: "ادعا".to_owned(),
        ..Default::default()
    };
    let certificate = format!("enrollmentCertificates/{ID}");
    let window = open_dispute(request(&certificate), CallerClass::SingleWindow);
    assert_eq!(
        violations(window),
        [("subject_claim", Reason::FieldRequired)]
    );
    for (subject, class) in [
        (certificate.as_str(), CallerClass::University),
        ("agreements/a", CallerClass::SingleWindow),
    ] {
        assert!(open_dispute(request(subject), class).is_ok(), "{subject}");
    }
}

#[test]
fn everything_that_is_wrong_with_closing_an_action_is_told_at_once() {
    let request = |name: &str, reason: &str, etag: &str| pb::CloseDisputeActionRequest {
        request_id: ID.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    for strange in ["", "actions/0", "actions/01", "messages/1"] {
        let name = format!("disputes/{ID}/{strange}");
        let found = violations(close_action(request(&name, "", "")));
        let wrong = [
            ("reason", Reason::FieldRequired),
            ("name", Reason::FieldFormat),
        ];
        assert_eq!(found, wrong, "{name}");
    }
    let name = format!("disputes/{ID}/actions/2");
    let long = violations(close_action(request(&name, &"x".repeat(501), "")));
    assert_eq!(long, [("reason", Reason::FieldTooLong)]);
    let input = close_action(request(&name, " پایان  یافته ", "7")).unwrap();
    assert_eq!(input.action.name(), name);
    assert_eq!(
        (input.reason.as_str(), input.etag),
        ("پایان یافته", Some(7))
    );
    assert_eq!(format!("{input:?}"), "CloseInput(…)");
}
