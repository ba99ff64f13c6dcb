//! The Organization registers institutions, experts and callers.

use gavah_api::v1 as pb;
use gavah_client::Client;
use miette::{IntoDiagnostic, Result};
use serde_json::json;

use super::{Callers, Tell, fields, must_grant, request_id};
use crate::demo::step::{Asked, Step};
use crate::world::{
    AGENCY, HUB, INELIGIBLE, INSTITUTIONS, ORGANIZATION, UNIVERSITY, WINDOW, World,
};

/// The Organization registers institutions, experts and callers.
pub(super) async fn register(world: &World, port: u16, tell: Tell<'_>) -> Result<Callers> {
    let organization = world.client(&world.first_identity(), port).await?;
    let asked = Asked {
        title: "the Organization's system asks who it is",
        caller: ORGANIZATION,
        rpc: "RegistryService/WhoAmI",
    };
    let called = organization
        .call(pb::WhoAmIRequest {}, |channel, request| async move {
            channel.registry().who_am_i(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let me = reply.message();
    let class = me
        .caller
        .as_ref()
        .map(|caller| caller.caller_class().as_str_name());
    tell(&asked.answered(
        &reply,
        fields(json!({
            "class": class.unwrap_or_default().trim_start_matches("CALLER_CLASS_"),
            "certificate_days_to_expiry": me.certificate_days_to_expiry,
            "callable_methods": me.callable_methods.len(),
        })),
    ))?;
    register_institutions(&organization, tell).await?;
    let university = register_caller(
        world,
        port,
        &organization,
        UNIVERSITY,
        "UNIVERSITY",
        "90001",
    );
    let university = university.await?;
    let ineligible = register_caller(
        world,
        port,
        &organization,
        INELIGIBLE,
        "UNIVERSITY",
        "90006",
    );
    let ineligible = ineligible.await?;
    let window = register_caller(world, port, &organization, WINDOW, "SINGLE_WINDOW", "").await?;
    let hub = register_caller(world, port, &organization, HUB, "NATIONAL_HUB", "").await?;
    let on_behalf = hub
        .0
        .on_behalf_of(AGENCY, &agreement("demo-agency", AGENCY));
    for (_, step) in [&university, &ineligible, &window, &hub] {
        tell(step)?;
    }
    Ok(Callers {
        organization,
        university: university.0,
        ineligible: ineligible.0,
        window: window.0,
        hub: on_behalf.into_diagnostic()?,
        bare_hub: hub.0,
    })
}

async fn register_institutions(organization: &Client, tell: Tell<'_>) -> Result<()> {
    for (code, kind, name_fa, name_en) in INSTITUTIONS {
        let asked = Asked {
            title: "the Organization registers an institution",
            caller: ORGANIZATION,
            rpc: "RegistryService/CreateInstitution",
        };
        let kind_number = pb::InstitutionType::from_str_name(&format!("INSTITUTION_TYPE_{kind}"));
        let request = pb::CreateInstitutionRequest {
            request_id: request_id()?,
            validate_only: false,
            institution: Some(pb::Institution {
                institution_code: code.to_owned(),
                r#type: kind_number.unwrap_or_default().into(),
                name_fa: name_fa.to_owned(),
                name_en: name_en.to_owned(),
                state: pb::InstitutionState::Active.into(),
                ..pb::Institution::default()
            }),
        };
        let called = organization
            .call(request, |channel, request| async move {
                channel.registry().create_institution(request).await
            })
            .await;
        let reply = must_grant(asked, called)?;
        let made =
            json!({"name": format!("institutions/{code}"), "type": kind, "name_fa": name_fa});
        tell(&asked.answered(&reply, fields(made)))?;
    }
    for code in ["90001", "90006"] {
        let asked = Asked {
            title: "the Organization registers an expert of the institution",
            caller: ORGANIZATION,
            rpc: "RegistryService/CreateExpert",
        };
        let request = pb::CreateExpertRequest {
            request_id: request_id()?,
            validate_only: false,
            expert: Some(pb::Expert {
                institution_code: code.to_owned(),
                expert_code: "E-1".to_owned(),
                display_name_fa: "کارشناس نمایشی".to_owned(),
                state: pb::ExpertState::Active.into(),
                ..pb::Expert::default()
            }),
        };
        let called = organization
            .call(request, |channel, request| async move {
                channel.registry().create_expert(request).await
            })
            .await;
        let reply = must_grant(asked, called)?;
        let made = json!({"name": format!("institutions/{code}/experts/E-1")});
        tell(&asked.answered(&reply, fields(made)))?;
    }
    Ok(())
}

/// Name of an agency's agreement.
pub(super) fn agreement(id: &str, agency: &str) -> String {
    format!("agreements/{id}/agencies/{agency}")
}

async fn register_caller(
    world: &World,
    port: u16,
    organization: &Client,
    id: &'static str,
    class: &'static str,
    institution: &str,
) -> Result<(Client, Step)> {
    let asked = Asked {
        title: "the Organization registers a caller with its client certificate",
        caller: ORGANIZATION,
        rpc: "RegistryService/CreateCaller",
    };
    let identity = world.identity(id)?;
    let class_number = pb::CallerClass::from_str_name(&format!("CALLER_CLASS_{class}"));
    let request = pb::CreateCallerRequest {
        request_id: request_id()?,
        validate_only: false,
        caller: Some(pb::Caller {
            caller_id: id.to_owned(),
            caller_class: class_number.unwrap_or_default().into(),
            institution_code: institution.to_owned(),
            display_name: format!("{id} (synthetic)"),
            state: pb::CallerState::Active.into(),
            ..pb::Caller::default()
        }),
        certificate_fingerprint: identity.fingerprint.clone(),
    };
    let called = organization
        .call(request, |channel, request| async move {
            channel.registry().create_caller(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let made =
        json!({"name": format!("callers/{id}"), "class": class, "institution_code": institution});
    let step = asked.answered(&reply, fields(made));
    Ok((world.client(&identity, port).await?, step))
}
