//! The hub's proxy ends TLS: a pinned forwarder brings the hub's certificate in a header, and nobody else does.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gavah_api::v1 as pb;
use gavah_client::Failure;
use gavah_testkit::world::{AGENCY, CallerKind, Identity, World, agency_agreement};
use jiff::SignedDuration;
use prost::Message;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tonic::Code;

use crate::harness::soon;
use crate::messages::question;
use crate::peer::refused;
use crate::wire::Wire;

cases_of_any_engine! {
    the_pinned_forwarder_brings_the_hubs_certificate_and_nobody_else_does,
    what_the_forwarder_brings_is_verified_on_every_call,
    without_a_pinned_forwarder_the_header_is_untrusted,
}

const LONG: SignedDuration = SignedDuration::from_hours(24 * 30);
const HEADER: &str = "client-cert";
const UNTRUSTED: &str = "FORWARDED_IDENTITY_UNTRUSTED";

fn header(identity: &Identity) -> String {
    let der = CertificateDer::from_pem_file(&identity.certificate).unwrap();
    format!(":{}:", STANDARD.encode(&der))
}

/// A forwarder that is pinned, on a server of its own.
async fn pinned(world: &mut World) -> Identity {
    let forwarder = world.issue_identity("proxy", "proxy", LONG);
    let path = world.config_path();
    let config = fs::read_to_string(&path).unwrap();
    let pin = format!(
        "[tls]\nforwarder_fingerprints = [\"{}\"]\n",
        forwarder.fingerprint
    );
    fs::write(&path, config.replacen("[tls]\n", &pin, 1)).unwrap();
    world.node_mut(0).stop().await;
    world.restart_first().await;
    forwarder
}

async fn who(wire: &Wire, headers: &[(&'static str, &str)]) -> Result<String, Box<Failure>> {
    let path = "/gavah.v1.RegistryService/WhoAmI";
    let body = pb::WhoAmIRequest {}.encode_to_vec();
    let answer = wire.send_with(path, body, headers).await?;
    let answer = pb::WhoAmIResponse::decode(&answer[..]).unwrap();
    Ok(answer.caller.unwrap().caller_id)
}

async fn the_pinned_forwarder_brings_the_hubs_certificate_and_nobody_else_does(world: &mut World) {
    let forwarder = pinned(world).await;
    let hub = header(&world.identity(CallerKind::Hub));
    let wire = Wire::connect(world, &forwarder).await;
    assert_eq!(who(&wire, &[(HEADER, &hub)]).await.unwrap(), "hub");
    // Everything else of a call of the hub is as ever.
    let agreement = agency_agreement();
    let headers = [
        (HEADER, &hub[..]),
        ("gavah-on-behalf-of", AGENCY),
        ("gavah-purpose", "VALIDATE"),
        ("gavah-agreement", &agreement),
    ];
    let path = "/gavah.v1.ValidationService/ValidateCode";
    let body = question("1").encode_to_vec();
    wire.send_with(path, body, &headers).await.unwrap();

    let untrusted = |answer| refused(answer, Code::Unauthenticated, UNTRUSTED);
    // By itself it is nobody.
    untrusted(who(&wire, &[]).await);
    // Of others it brings nothing.
    for kind in [CallerKind::University, CallerKind::Organization] {
        let other = header(&world.identity(kind));
        untrusted(who(&wire, &[(HEADER, &other)]).await);
    }
    // Twice, malformed, or a chain without a leaf.
    untrusted(who(&wire, &[(HEADER, &hub), (HEADER, &hub)]).await);
    untrusted(who(&wire, &[(HEADER, "hub")]).await);
    untrusted(who(&wire, &[("client-cert-chain", &hub)]).await);
    // Anybody else who tries, the hub itself included.
    for kind in [CallerKind::Hub, CallerKind::Organization] {
        let wire = Wire::of(world, kind).await;
        untrusted(who(&wire, &[(HEADER, &hub)]).await);
        assert_eq!(who(&wire, &[]).await.unwrap(), kind.id());
    }
}

async fn what_the_forwarder_brings_is_verified_on_every_call(world: &mut World) {
    let forwarder = pinned(world).await;
    let wire = Wire::connect(world, &forwarder).await;
    // Vouched for, and not registered.
    let unregistered = world.issue_identity("hub", "hub-2", LONG);
    let answer = who(&wire, &[(HEADER, &header(&unregistered))]).await;
    refused(answer, Code::Unauthenticated, "CERTIFICATE_NOT_REGISTERED");
    // Of another authority.
    let elsewhere = World::builder(gavah_testkit::world::Engine::Sqlite)
        .nodes(0)
        .start()
        .await;
    let foreign = header(&elsewhere.identity(CallerKind::Hub));
    let answer = who(&wire, &[(HEADER, &foreign)]).await;
    refused(answer, Code::Unauthenticated, UNTRUSTED);
    elsewhere.store().close().await;

    let hub = world.identity(CallerKind::Hub);
    let brought = header(&hub);
    assert_eq!(who(&wire, &[(HEADER, &brought)]).await.unwrap(), "hub");
    world.revoke_identity(&hub);
    let refusal = soon("the revocation", async || {
        who(&wire, &[(HEADER, &brought)]).await.err()
    })
    .await;
    // Remembered or verified anew, it is refused.
    let reason = refusal.reason.as_deref().unwrap();
    assert!(
        [UNTRUSTED, "CERTIFICATE_REVOKED"].contains(&reason),
        "{reason}"
    );
}

async fn without_a_pinned_forwarder_the_header_is_untrusted(world: &mut World) {
    let hub = header(&world.identity(CallerKind::Hub));
    for kind in CallerKind::ONE_OF_EACH_CLASS {
        let wire = Wire::of(world, kind).await;
        let answer = who(&wire, &[(HEADER, &hub)]).await;
        refused(answer, Code::Unauthenticated, UNTRUSTED);
    }
}
