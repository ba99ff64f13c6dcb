use gavah_domain::caller::CallerState;
use gavah_store::{CertificateEntry, StoredCaller};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::convert::fixtures::{self, ID, after, violations};
use crate::convert::registry::{PresentedCertificate, caller_to_pb, institution_to_pb, who_am_i};

fn hex() -> String {
    "0f".repeat(32)
}

fn caller() -> pb::Caller {
    pb::Caller {
        caller_id: "ut-main".to_owned(),
        caller_class: pb::CallerClass::University.into(),
        institution_code: "1013".to_owned(),
        display_name: "UT".to_owned(),
        state: pb::CallerState::Active.into(),
        ..Default::default()
    }
}

fn register(caller: Option<pb::Caller>, fingerprint: &str) -> Result<CallerInput, AppError> {
    let snapshot = fixtures::snapshot();
    let request = pb::CreateCallerRequest {
        request_id: ID.to_owned(),
        validate_only: false,
        caller,
        certificate_fingerprint: fingerprint.to_owned(),
    };
    create_caller(request, &fixtures::known(&snapshot))
}

#[test]
fn every_wrong_field_of_a_caller_is_told_at_once() {
    let broken = pb::Caller {
        caller_id: "UT".to_owned(),
        caller_class: 8,
        institution_code: "U T".to_owned(),
        display_name: "\u{7}".to_owned(),
        state: 0,
        ..Default::default()
    };
    assert_eq!(
        violations(register(Some(broken), "ab")),
        [
            ("caller.caller_class", Reason::FieldFormat),
            ("caller.state", Reason::FieldRequired),
            ("caller.caller_id", Reason::FieldFormat),
            ("caller.institution_code", Reason::FieldFormat),
            ("caller.display_name", Reason::FieldFormat),
            ("certificate_fingerprint", Reason::FieldFormat),
        ]
    );
    assert_eq!(
        violations(register(None, "")),
        [
            ("caller", Reason::FieldRequired),
            ("certificate_fingerprint", Reason::FieldRequired),
        ]
    );
}

#[test]
fn exactly_the_institutional_classes_name_an_institution() {
    for class in CallerClass::ALL.iter().copied() {
        let of_class = |institution_code: &str| pb::Caller {
            caller_class: crate::convert::enums::to_pb(class),
            institution_code: institution_code.to_owned(),
            ..caller()
        };
        let (wrong, right, reason) = if class.needs_institution() {
            ("", "UT", Reason::FieldRequired)
        } else {
            ("UT", "", Reason::FieldFormat)
        };
        let refused = register(Some(of_class(wrong)), &hex());
        assert_eq!(
            violations(refused),
            [("caller.institution_code", reason)],
            "{class}"
        );
        let input = register(Some(of_class(right)), &hex()).unwrap();
        assert_eq!(input.caller.caller.class, class);
    }
}

#[test]
fn fingerprints_are_read_as_tools_print_them() {
    let with_colons = vec!["0F"; 32].join(":");
    for given in [
        hex(),
        with_colons,
        hex().to_uppercase(),
        format!(" {} \n", hex()),
    ] {
        assert_eq!(fingerprint(&given), Ok(hex()), "{given:?}");
    }
    for given in [
        "0f".repeat(31),
        "0g".repeat(32),
        format!("{}0", hex()),
        "é".repeat(32),
    ] {
        assert_eq!(fingerprint(&given), Err(Reason::FieldFormat), "{given:?}");
    }
}

#[test]
fn a_caller_becomes_domain_values() {
    let input = register(Some(caller()), &hex()).unwrap();
    assert_eq!(input.caller.caller.id.as_str(), "ut-main");
    assert_eq!(input.caller.caller.institution, Some(fixtures::code("UT")));
    assert_eq!(
        (input.caller.state, input.caller.fingerprint),
        (CallerState::Active, hex())
    );
    let snapshot = fixtures::snapshot();
    let request = pb::UpdateCallerRequest {
        request_id: ID.to_owned(),
        validate_only: false,
        caller: Some(pb::Caller {
            etag: "5".to_owned(),
            ..caller()
        }),
    };
    let input = update_caller(request, &fixtures::known(&snapshot)).unwrap();
    assert_eq!(
        (input.etag, input.caller.fingerprint.as_str()),
        (Some(5), "")
    );
    assert_eq!(format!("{input:?}"), "CallerInput(…)");
}

#[test]
fn client_certificates_are_named_by_caller_and_fingerprint() {
    let wrong = [
        ("request_id", Reason::FieldRequired),
        ("caller", Reason::FieldRequired),
        ("fingerprint", Reason::FieldRequired),
    ];
    assert_eq!(violations(add_certificate(Default::default())), wrong);
    assert_eq!(violations(retire_certificate(Default::default())), wrong);
    let request = pb::AddClientCertificateRequest {
        request_id: ID.to_owned(),
        validate_only: false,
        caller: "ut-main".to_owned(),
        fingerprint: "0x".to_owned(),
    };
    assert_eq!(
        violations(add_certificate(request.clone())),
        [
            ("caller", Reason::FieldFormat),
            ("fingerprint", Reason::FieldFormat)
        ]
    );
    let request = pb::AddClientCertificateRequest {
        caller: "callers/ut-main".to_owned(),
        fingerprint: hex().to_uppercase(),
        ..request
    };
    let input = add_certificate(request).unwrap();
    assert_eq!(
        (input.caller.as_str(), input.fingerprint),
        ("ut-main", hex())
    );
}

fn stored_caller() -> StoredCaller {
    let new = register(Some(caller()), &hex()).unwrap().caller;
    let entry = |retire_time| CertificateEntry {
        fingerprint: hex(),
        create_time: fixtures::now(),
        retire_time,
    };
    StoredCaller {
        caller: new.caller.into(),
        display_name: new.display_name,
        state: new.state,
        certificates: vec![entry(None), entry(Some(fixtures::now()))],
        create_time: fixtures::now(),
        update_time: fixtures::now(),
        version: 9,
    }
}

#[test]
fn the_registry_is_shown_as_stored() {
    let shown = institution_to_pb(&fixtures::institution());
    assert_eq!(shown.name, "institutions/UT");
    assert_eq!(shown.aliases, ["1013"]);
    assert_eq!(
        (shown.r#type(), shown.state()),
        (pb::InstitutionType::State, pb::InstitutionState::Active)
    );
    assert_eq!((shown.parent_code.as_str(), shown.etag.as_str()), ("", "4"));
    assert_eq!(shown.create_time, after(0));
    let shown = caller_to_pb(&stored_caller());
    assert_eq!(
        (shown.name.as_str(), shown.etag.as_str()),
        ("callers/ut-main", "9")
    );
    assert_eq!(shown.caller_class(), pb::CallerClass::University);
    let states: Vec<_> = shown
        .client_certificates
        .iter()
        .map(|c| (c.state(), c.retire_time))
        .collect();
    assert_eq!(
        states,
        [
            (pb::ClientCertificateState::Active, None),
            (pb::ClientCertificateState::Retired, after(0)),
        ]
    );
}

#[test]
fn a_caller_is_told_the_whole_days_its_certificate_has_left() {
    let told = |not_after: Timestamp| {
        let certificate = PresentedCertificate {
            fingerprint: "0f",
            not_after,
        };
        let methods = vec!["/gavah.v1.RegistryService/WhoAmI".to_owned()];
        who_am_i(
            &stored_caller(),
            Some(&fixtures::institution()),
            certificate,
            methods,
            fixtures::now(),
        )
    };
    let now = fixtures::now();
    for (left, days) in [
        (0, 0),
        (86_399, 0),
        (86_400, 1),
        (30 * 86_400, 30),
        (-1, -1),
    ] {
        let reply = told(now + SignedDuration::from_secs(left));
        assert_eq!(reply.certificate_days_to_expiry, days, "{left}");
    }
    let reply = told(now);
    assert_eq!(reply.certificate_expire_time, after(0));
    assert_eq!(reply.certificate_fingerprint, "0f");
    assert_eq!(
        reply.institution.map(|own| own.name).as_deref(),
        Some("institutions/UT")
    );
    assert_eq!(reply.callable_methods.len(), 1);
}
