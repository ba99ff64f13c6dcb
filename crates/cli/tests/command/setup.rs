//! The registry of a running site, filled over the contract.

use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_client::{Client, ClientConfig};

use crate::site::{Serving, Site};

/// What the command line does not do: an institution with its expert, and the other callers, by the first one.
pub(crate) fn register(site: &Site, serving: &Serving<'_>) {
    let config = ClientConfig {
        endpoint: serving.endpoint.clone(),
        server_ca: site.path("pki/ca.pem"),
        certificate: site.path("organization.pem"),
        key: site.path("organization.key"),
        timeout: Duration::from_secs(30),
        retries: 3,
    };
    let callers = [
        ("university", pb::CallerClass::University, "90001"),
        ("window", pb::CallerClass::SingleWindow, ""),
        ("hub", pb::CallerClass::NationalHub, ""),
    ]
    .map(|(id, class, institution)| (id, class, institution, site.identity(id)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut registry = Client::connect(&config).await.unwrap().registry();
        let institution = pb::Institution {
            institution_code: "90001".to_owned(),
            r#type: pb::InstitutionType::State.into(),
            name_fa: "دانشگاه نمونه".to_owned(),
            name_en: "Sample University".to_owned(),
            state: pb::InstitutionState::Active.into(),
            ..pb::Institution::default()
        };
        let request = pb::CreateInstitutionRequest {
            request_id: uuid::Uuid::from_u128(1).to_string(),
            validate_only: false,
            institution: Some(institution),
        };
        registry.create_institution(request).await.unwrap();
        let expert = pb::Expert {
            institution_code: "90001".to_owned(),
            expert_code: "e1".to_owned(),
            display_name_fa: "کارشناس نمونه".to_owned(),
            state: pb::ExpertState::Active.into(),
            ..pb::Expert::default()
        };
        let request = pb::CreateExpertRequest {
            request_id: uuid::Uuid::from_u128(2).to_string(),
            validate_only: false,
            expert: Some(expert),
        };
        registry.create_expert(request).await.unwrap();
        for (number, (id, class, institution, fingerprint)) in (3..).zip(callers) {
            let caller = pb::Caller {
                caller_id: id.to_owned(),
                caller_class: class.into(),
                institution_code: institution.to_owned(),
                display_name: format!("Synthetic {id}"),
                state: pb::CallerState::Active.into(),
                ..pb::Caller::default()
            };
            let request = pb::CreateCallerRequest {
                request_id: uuid::Uuid::from_u128(number).to_string(),
                validate_only: false,
                caller: Some(caller),
                certificate_fingerprint: fingerprint,
            };
            registry.create_caller(request).await.unwrap();
        }
    });
    // The callers reach the service's own view of the registry within a second.
    for caller in ["university", "window", "hub"] {
        let known = (0..100).any(|_| serving.run(caller, "whoami").code == Some(0));
        assert!(known, "{caller}");
    }
}
