//! Who takes part: institutions, experts and callers, as the Organization keeps them.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CENTRAL_BODY, CallerKind, UNIT, UNIVERSITY, UNIVERSITY_ALIAS, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::messages::{issue, request_id};
use crate::peer::{Peer, refused};

cases! {
    a_university_registered_over_the_wire_issues_at_once,
    what_is_there_already_and_what_is_not_there_is_refused,
    a_change_that_read_an_older_version_is_refused,
}

cases_of_any_engine! {
    lists_go_page_by_page_in_order,
}

fn institution(code: &str) -> pb::Institution {
    pb::Institution {
        institution_code: code.to_owned(),
        r#type: pb::InstitutionType::NonProfit.into(),
        name_fa: "مؤسسه آزمایشی".to_owned(),
        name_en: "Synthetic institute".to_owned(),
        state: pb::InstitutionState::Active.into(),
        ..Default::default()
    }
}

fn create(institution: pb::Institution) -> pb::CreateInstitutionRequest {
    pb::CreateInstitutionRequest {
        request_id: request_id(),
        validate_only: false,
        institution: Some(institution),
    }
}

fn expert(institution: &str, code: &str) -> pb::CreateExpertRequest {
    pb::CreateExpertRequest {
        request_id: request_id(),
        validate_only: false,
        expert: Some(pb::Expert {
            institution_code: institution.to_owned(),
            expert_code: code.to_owned(),
            display_name_fa: "کارشناس آزمایشی".to_owned(),
            state: pb::ExpertState::Active.into(),
            ..Default::default()
        }),
    }
}

fn caller(id: &str, institution: &str, fingerprint: &str) -> pb::CreateCallerRequest {
    pb::CreateCallerRequest {
        request_id: request_id(),
        validate_only: false,
        caller: Some(pb::Caller {
            caller_id: id.to_owned(),
            caller_class: pb::CallerClass::University.into(),
            institution_code: institution.to_owned(),
            display_name: "Synthetic".to_owned(),
            state: pb::CallerState::Active.into(),
            ..Default::default()
        }),
        certificate_fingerprint: fingerprint.to_owned(),
    }
}

async fn a_university_registered_over_the_wire_issues_at_once(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let created = organization
        .create_institution(create(institution("7001")))
        .await;
    let created = created.unwrap().institution.unwrap();
    assert_eq!(created.name, "institutions/7001");
    assert!(created.create_time.is_some() && !created.etag.is_empty());
    let created = organization.create_expert(expert("7001", "E1")).await;
    assert_eq!(
        created.unwrap().expert.unwrap().name,
        "institutions/7001/experts/E1"
    );
    let day = SignedDuration::from_hours(24);
    let identity = world.issue_identity("institute", "institute", day);
    let created = organization
        .create_caller(caller(
            "institute",
            "7001",
            &identity.fingerprint.to_uppercase(),
        ))
        .await;
    let created = created.unwrap().caller.unwrap();
    assert_eq!(created.name, "callers/institute");
    let certificate = &created.client_certificates[0];
    assert_eq!(certificate.fingerprint, identity.fingerprint);

    let peer = Peer::new(world.connect(0, &identity).await);
    peer.who_am_i(pb::WhoAmIRequest {}).await.unwrap();
    // There is no agreement with it yet.
    let answer = peer.issue_validity_code(issue(world, "7001")).await;
    refused(answer, Code::FailedPrecondition, "AGREEMENT_NOT_ACTIVE");
    world
        .reseed(|seed| {
            let consumers = seed
                .agreement
                .iter_mut()
                .filter(|agreement| agreement.through.is_none())
                .map(|agreement| &mut agreement.consumers);
            consumers.for_each(|consumers| consumers.push("institutions/7001".to_owned()));
        })
        .await;
    crate::harness::soon("the agreement", async || {
        peer.issue_validity_code(issue(world, "7001")).await.ok()
    })
    .await;
}

async fn what_is_there_already_and_what_is_not_there_is_refused(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    for validate_only in [true, false] {
        for (code, aliases) in [
            (UNIVERSITY, vec![]),
            (UNIVERSITY_ALIAS, vec![]),
            ("7002", vec![UNIVERSITY.to_owned()]),
            ("7002", vec![UNIVERSITY_ALIAS.to_owned()]),
        ] {
            let mut request = create(pb::Institution {
                aliases,
                ..institution(code)
            });
            request.validate_only = validate_only;
            let answer = organization.create_institution(request).await;
            refused(answer, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
        }
        let mut request = create(pb::Institution {
            parent_code: "9999".to_owned(),
            ..institution("7002")
        });
        request.validate_only = validate_only;
        let answer = organization.create_institution(request).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        let request = pb::UpdateInstitutionRequest {
            request_id: request_id(),
            validate_only,
            institution: Some(institution("9999")),
        };
        let answer = organization.update_institution(request).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");

        let mut request = expert(UNIVERSITY, "E1");
        request.validate_only = validate_only;
        let answer = organization.create_expert(request).await;
        refused(answer, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
        let mut request = expert("9999", "E1");
        request.validate_only = validate_only;
        let answer = organization.create_expert(request).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        let request = pb::UpdateExpertRequest {
            request_id: request_id(),
            validate_only,
            expert: expert(UNIVERSITY, "E9").expert,
        };
        let answer = organization.update_expert(request).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");

        let fresh = gavah_testkit::fixtures::fingerprint();
        let taken = world.identity(CallerKind::Hub).fingerprint;
        for (id, institution, fingerprint, code, reason) in [
            (
                "hub",
                UNIVERSITY,
                &fresh,
                Code::AlreadyExists,
                "RESOURCE_ALREADY_EXISTS",
            ),
            (
                "fresh",
                UNIVERSITY,
                &taken,
                Code::AlreadyExists,
                "RESOURCE_ALREADY_EXISTS",
            ),
            (
                "fresh",
                "9999",
                &fresh,
                Code::NotFound,
                "RESOURCE_NOT_FOUND",
            ),
        ] {
            let mut request = caller(id, institution, fingerprint);
            request.validate_only = validate_only;
            refused(organization.create_caller(request).await, code, reason);
        }
        let request = pb::UpdateCallerRequest {
            request_id: request_id(),
            validate_only,
            caller: caller("nobody", UNIVERSITY, &fresh).caller,
        };
        let answer = organization.update_caller(request).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
        let request = pb::AddClientCertificateRequest {
            request_id: request_id(),
            validate_only,
            caller: "callers/university".to_owned(),
            fingerprint: taken,
        };
        let answer = organization.add_client_certificate(request).await;
        refused(answer, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
        let request = pb::RetireClientCertificateRequest {
            request_id: request_id(),
            validate_only,
            caller: "callers/university".to_owned(),
            fingerprint: fresh,
        };
        let answer = organization.retire_client_certificate(request).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
}

async fn a_change_that_read_an_older_version_is_refused(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let name = format!("institutions/{UNIVERSITY}");
    let read = organization
        .get_institution(pb::GetInstitutionRequest { name })
        .await;
    let read = read.unwrap().institution.unwrap();
    let update = |validate_only, etag: &str| pb::UpdateInstitutionRequest {
        request_id: request_id(),
        validate_only,
        institution: Some(pb::Institution {
            name_en: "Changed university".to_owned(),
            etag: etag.to_owned(),
            ..read.clone()
        }),
    };
    let changed = organization
        .update_institution(update(false, &read.etag))
        .await
        .unwrap();
    let changed = changed.institution.unwrap();
    assert_eq!(changed.name_en, "Changed university");
    assert_eq!(changed.aliases, [UNIVERSITY_ALIAS]);
    assert_ne!(changed.etag, read.etag);
    for validate_only in [true, false] {
        for etag in [read.etag.as_str(), "77", "no etag"] {
            let answer = organization
                .update_institution(update(validate_only, etag))
                .await;
            refused(answer, Code::Aborted, "ETAG_MISMATCH");
        }
    }
    organization
        .update_institution(update(false, &changed.etag))
        .await
        .unwrap();
}

async fn lists_go_page_by_page_in_order(world: &mut World) {
    let auditor = Peer::of(world, CallerKind::Auditor).await;
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = auditor
            .list_callers(pb::ListCallersRequest {
                page_size: 4,
                page_token: token,
            })
            .await
            .unwrap();
        seen.extend(page.callers.into_iter().map(|caller| caller.caller_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let mut expected = CallerKind::ALL.map(CallerKind::id);
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let payame_noor = auditor
        .list_institutions(pb::ListInstitutionsRequest {
            r#type: pb::InstitutionType::PayameNoor.into(),
            ..Default::default()
        })
        .await
        .unwrap();
    let found: Vec<_> = payame_noor
        .institutions
        .iter()
        .map(|own| (own.institution_code.as_str(), own.parent_code.as_str()))
        .collect();
    assert_eq!(found, [(CENTRAL_BODY, ""), (UNIT, CENTRAL_BODY)]);
}
