//! The hub asks on behalf of agencies: under an agreement, without one, and more often than agreed.

use gavah_api::v1 as pb;
use gavah_client::Client;
use miette::{IntoDiagnostic, Result};
use serde_json::json;

use super::ask::validate;
use super::register::agreement;
use super::{Callers, Tell, fields, must_grant, must_refuse};
use crate::demo::step::Asked;
use crate::world::{HUB, SMALL_AGENCY};

pub(super) async fn under_agreements(callers: &Callers, code: &str, tell: Tell<'_>) -> Result<()> {
    let asked = Asked {
        title: "the hub asks what it may use, and how much of it is left",
        caller: HUB,
        rpc: "RegistryService/WhoAmI",
    };
    let called = callers
        .hub
        .call(pb::WhoAmIRequest {}, |channel, request| async move {
            channel.registry().who_am_i(request).await
        })
        .await;
    let reply = must_grant(asked, called)?;
    let quotas = reply.message().agreement_quotas.iter();
    let quotas: Vec<_> = quotas
        .map(|quota| json!({"agreement": quota.agreement, "daily_calls": quota.daily_calls}))
        .collect();
    tell(&asked.answered(&reply, fields(json!({"agreements": quotas}))))?;

    let bare = &callers.bare_hub;
    let asked = Asked {
        title: "the hub asks without saying on whose behalf",
        caller: HUB,
        rpc: "ValidationService/ValidateCode",
    };
    tell(&must_refuse(
        asked,
        question(bare, code).await,
        "FIELD_REQUIRED",
    )?)?;

    let name = agreement("demo-agency", SMALL_AGENCY);
    let stranger = bare.on_behalf_of(SMALL_AGENCY, &name).into_diagnostic()?;
    let asked = Asked {
        title: "the hub names an agreement that does not name the agency",
        ..asked
    };
    let called = question(&stranger, code).await;
    tell(&must_refuse(asked, called, "AGREEMENT_NOT_ACTIVE")?)?;

    let name = agreement("demo-small-agency", SMALL_AGENCY);
    let small = bare.on_behalf_of(SMALL_AGENCY, &name).into_diagnostic()?;
    for title in [
        "an agency that may be told the document alone, twice a day",
        "its second question",
    ] {
        validate(&small, title, code, "OK", tell).await?;
    }
    let asked = Asked {
        title: "the day's calls of its agreement are used up",
        ..asked
    };
    tell(&must_refuse(
        asked,
        question(&small, code).await,
        "DAILY_QUOTA",
    )?)
}

async fn question(client: &Client, code: &str) -> super::Called<pb::ValidateCodeResponse> {
    let request = pb::ValidateCodeRequest {
        code: code.to_owned(),
        ..Default::default()
    };
    client
        .call(request, |channel, request| async move {
            channel.validation().validate_code(request).await
        })
        .await
}
