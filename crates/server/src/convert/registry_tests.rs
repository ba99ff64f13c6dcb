use gavah_domain::caller::ExpertState;
use gavah_domain::institution::InstitutionState;

use super::*;
use crate::convert::fixtures::{self, ID, assert_violations, below, violations};
use crate::error::Refusal;

fn institution() -> pb::Institution {
    pb::Institution {
        institution_code: "sbu".to_owned(),
        aliases: vec!["۱۰۱۴".to_owned()],
        r#type: pb::InstitutionType::PayameNoor.into(),
        parent_code: "1013".to_owned(),
        name_fa: "دانشگاه نمونه دو".to_owned(),
        name_en: "Sample University Two".to_owned(),
        state: pb::InstitutionState::Active.into(),
        etag: "3".to_owned(),
        ..Default::default()
    }
}

fn create(institution: Option<pb::Institution>) -> Result<InstitutionInput, AppError> {
    let snapshot = fixtures::snapshot();
    let request = pb::CreateInstitutionRequest {
        request_id: ID.to_owned(),
        validate_only: false,
        institution,
    };
    create_institution(request, &fixtures::known(&snapshot))
}

#[test]
fn every_wrong_field_of_an_institution_is_told_at_once() {
    let broken = pb::Institution {
        institution_code: "S/U".to_owned(),
        aliases: vec![
            "A".to_owned(),
            "a".to_owned(),
            String::new(),
            "x y".to_owned(),
        ],
        r#type: 10,
        parent_code: "x".repeat(17),
        name_fa: " ".to_owned(),
        name_en: "x".repeat(121),
        state: 0,
        successor_code: "_".to_owned(),
        etag: "x".repeat(65),
        ..Default::default()
    };
    assert_violations(
        create(Some(broken)),
        below(
            "institution.",
            &[
                ("institution_code", Reason::FieldFormat),
                ("aliases[1]", Reason::FieldFormat),
                ("aliases[2]", Reason::FieldRequired),
                ("aliases[3]", Reason::FieldFormat),
                ("type", Reason::FieldFormat),
                ("parent_code", Reason::FieldTooLong),
                ("name_fa", Reason::FieldRequired),
                ("name_en", Reason::FieldTooLong),
                ("state", Reason::FieldRequired),
                ("successor_code", Reason::FieldFormat),
                ("etag", Reason::FieldTooLong),
            ],
        ),
    );
    assert_eq!(
        violations(create(None)),
        [("institution", Reason::FieldRequired)]
    );
}

#[test]
fn an_institution_is_not_its_own_alias_parent_or_successor() {
    let own = pb::Institution {
        aliases: vec!["SBU".to_owned()],
        parent_code: "SBU".to_owned(),
        successor_code: "sbu".to_owned(),
        ..institution()
    };
    assert_eq!(
        violations(create(Some(own))),
        [
            ("institution.aliases[0]", Reason::FieldFormat),
            ("institution.parent_code", Reason::FieldFormat),
            ("institution.successor_code", Reason::FieldFormat),
        ]
    );
}

#[test]
fn an_institution_becomes_domain_values() {
    let input = create(Some(institution())).unwrap();
    assert_eq!(input.etag, None, "an etag means nothing yet");
    assert_eq!(input.institution.code, fixtures::code("SBU"));
    assert_eq!(input.institution.aliases, ["1014"]);
    assert_eq!(input.institution.kind, InstitutionType::PayameNoor);
    assert_eq!(input.institution.parent, Some(fixtures::code("UT")));
    assert_eq!(input.institution.state, InstitutionState::Active);
    assert_eq!(input.institution.successor, None);
    assert_eq!(format!("{input:?}"), "InstitutionInput(…)");
}

#[test]
fn a_change_of_an_institution_is_bound_to_its_etag() {
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let update = |etag: &str| {
        let given = pb::Institution {
            etag: etag.to_owned(),
            ..institution()
        };
        let request = pb::UpdateInstitutionRequest {
            request_id: ID.to_owned(),
            validate_only: false,
            institution: Some(given),
        };
        update_institution(request, &known).map(|input| input.etag)
    };
    assert_eq!(update(""), Ok(None));
    assert_eq!(update("3"), Ok(Some(3)));
    let mismatch = AppError::Refused(Refusal::new(Reason::EtagMismatch));
    assert_eq!(update("three"), Err(mismatch));
    assert_eq!(
        violations(update_institution(Default::default(), &known)),
        [
            ("request_id", Reason::FieldRequired),
            ("institution", Reason::FieldRequired)
        ]
    );
}

#[test]
fn every_wrong_field_of_an_expert_is_told_at_once() {
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let broken = pb::Expert {
        institution_code: "U T".to_owned(),
        expert_code: "a b".to_owned(),
        display_name_fa: "x".repeat(121),
        state: 3,
        ..Default::default()
    };
    let request = pb::CreateExpertRequest {
        expert: Some(broken),
        ..Default::default()
    };
    assert_eq!(
        violations(create_expert(request, &known)),
        [
            ("request_id", Reason::FieldRequired),
            ("expert.state", Reason::FieldFormat),
            ("expert.institution_code", Reason::FieldFormat),
            ("expert.expert_code", Reason::FieldFormat),
            ("expert.display_name_fa", Reason::FieldTooLong),
        ]
    );
    assert_eq!(
        violations(update_expert(Default::default(), &known)),
        [
            ("request_id", Reason::FieldRequired),
            ("expert", Reason::FieldRequired)
        ]
    );
}

#[test]
fn an_expert_becomes_domain_values_and_is_shown() {
    let snapshot = fixtures::snapshot();
    let known = fixtures::known(&snapshot);
    let given = pb::Expert {
        institution_code: "1013".to_owned(),
        expert_code: " E_۱ ".to_owned(),
        display_name_fa: "کارشناس نمونه".to_owned(),
        state: pb::ExpertState::Inactive.into(),
        etag: "2".to_owned(),
        ..Default::default()
    };
    let request_id = ID.to_owned();
    let expert = Some(given);
    let request = pb::UpdateExpertRequest {
        request_id,
        validate_only: true,
        expert,
    };
    let input = update_expert(request, &known).unwrap();
    assert_eq!((input.etag, input.head.validate_only), (Some(2), true));
    assert_eq!(format!("{input:?}"), "ExpertInput(…)");
    let expert = StoredExpert {
        version: 2,
        ..input.expert
    };
    assert_eq!(
        (
            expert.institution_code.as_str(),
            expert.expert_code.as_str()
        ),
        ("UT", "E_1")
    );
    assert_eq!(expert.state, ExpertState::Inactive);
    let shown = expert_to_pb(&expert);
    assert_eq!(shown.name, "institutions/UT/experts/E_1");
    assert_eq!(
        (shown.state(), shown.etag.as_str()),
        (pb::ExpertState::Inactive, "2")
    );
    assert_eq!(shown.display_name_fa, "کارشناس نمونه");
}

#[test]
fn reads_and_lists_of_the_registry_are_checked() {
    let request = pb::GetInstitutionRequest {
        name: "UT".to_owned(),
    };
    assert_eq!(
        violations(get_institution(&request)),
        [("name", Reason::FieldFormat)]
    );
    let request = pb::GetInstitutionRequest {
        name: "institutions/1013".to_owned(),
    };
    assert_eq!(get_institution(&request), Ok(fixtures::code("1013")));
    let request = pb::GetCallerRequest {
        name: String::new(),
    };
    assert_eq!(
        violations(get_caller(&request)),
        [("name", Reason::FieldRequired)]
    );
    let request = pb::GetCallerRequest {
        name: "callers/ut-main".to_owned(),
    };
    assert_eq!(
        get_caller(&request).map(|id| id.to_string()),
        Ok("ut-main".to_owned())
    );

    let request = pb::ListInstitutionsRequest {
        page_token: "x".to_owned(),
        r#type: 99,
        page_size: -1,
    };
    assert_eq!(
        violations(list_institutions(request)),
        [
            ("page_size", Reason::FieldFormat),
            ("type", Reason::FieldFormat),
            ("page_token", Reason::PageTokenInvalid),
        ]
    );
    let first = list_institutions(Default::default()).unwrap();
    assert_eq!((first.page.size, first.kind), (50, None));
    let page_token = first.page.token_after(&"UT".to_owned());
    let next = pb::ListInstitutionsRequest {
        page_token: page_token.clone(),
        ..Default::default()
    };
    assert_eq!(
        list_institutions(next).unwrap().page.after.as_deref(),
        Some("UT")
    );
    let other = pb::ListInstitutionsRequest {
        page_token,
        r#type: 1,
        page_size: 0,
    };
    let refused = violations(list_institutions(other));
    assert_eq!(refused, [("page_token", Reason::PageTokenInvalid)]);

    let request = pb::ListExpertsRequest {
        parent: "UT".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        violations(list_experts(request)),
        [("parent", Reason::FieldFormat)]
    );
    let request = pb::ListExpertsRequest {
        parent: "institutions/UT".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        list_experts(request).unwrap().institution,
        fixtures::code("UT")
    );
    assert_eq!(list_callers(Default::default()).unwrap().size, 50);
}
