//! Who calls: asked on every call, of the connection's certificate and the registry.

use gavah_api::v1 as pb;
use gavah_testkit::world::{CallerKind, Identity, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::harness::soon;
use crate::messages::request_id;
use crate::peer::{Answer, Peer, refused};

cases! {
    a_paused_caller_is_refused_on_its_open_connection_until_it_is_active_again,
    a_retired_certificate_is_refused_on_its_open_connection,
    the_old_and_the_new_certificate_of_a_caller_work_and_a_third_is_not_registered,
}

cases_of_any_engine! {
    a_certificate_of_a_caller_that_nobody_registered_is_refused,
    a_certificate_that_nobody_registered_for_the_caller_is_refused,
    a_revoked_certificate_is_refused_on_its_open_connection,
    an_expired_certificate_is_refused_on_its_open_connection,
    a_caller_learns_who_it_is_and_what_it_may_call,
}

const LONG: SignedDuration = SignedDuration::from_hours(24);

async fn who_am_i(peer: &Peer) -> Answer<pb::WhoAmIResponse> {
    peer.who_am_i(pb::WhoAmIRequest {}).await
}

/// A good caller is served, on its open connection and on a new one.
async fn assert_others_are_served(world: &World, open: &Peer) {
    who_am_i(open).await.unwrap();
    who_am_i(&Peer::of(world, CallerKind::Hub).await)
        .await
        .unwrap();
}

async fn connect(world: &World, identity: &Identity) -> Peer {
    Peer::new(world.connect(0, identity).await)
}

async fn a_certificate_of_a_caller_that_nobody_registered_is_refused(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let nobody = world.issue_identity("nobody-at-all", "nobody-at-all", LONG);
    let nobody = connect(world, &nobody).await;
    refused(
        who_am_i(&nobody).await,
        Code::Unauthenticated,
        "CERTIFICATE_NOT_REGISTERED",
    );
    assert_others_are_served(world, &hub).await;
}

async fn a_certificate_that_nobody_registered_for_the_caller_is_refused(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let id = CallerKind::University.id();
    let second = world.issue_identity(id, "university-second", LONG);
    let second = connect(world, &second).await;
    refused(
        who_am_i(&second).await,
        Code::Unauthenticated,
        "CERTIFICATE_NOT_REGISTERED",
    );
    assert_others_are_served(world, &hub).await;
}

/// The caller with another state, as the Organization writes it.
async fn set_state(organization: &Peer, kind: CallerKind, state: pb::CallerState) {
    let name = format!("callers/{}", kind.id());
    let read = organization.get_caller(pb::GetCallerRequest { name }).await;
    let caller = pb::Caller {
        state: state.into(),
        ..read.unwrap().caller.unwrap()
    };
    let updated = organization
        .update_caller(pb::UpdateCallerRequest {
            request_id: request_id(),
            validate_only: false,
            caller: Some(caller),
        })
        .await
        .unwrap();
    assert_eq!(updated.caller.unwrap().state(), state);
}

async fn a_paused_caller_is_refused_on_its_open_connection_until_it_is_active_again(
    world: &mut World,
) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    who_am_i(&university).await.unwrap();
    // Paused and active again, then retired.
    for state in [pb::CallerState::Paused, pb::CallerState::Retired] {
        set_state(
            &organization,
            CallerKind::University,
            pb::CallerState::Active,
        )
        .await;
        who_am_i(&university).await.unwrap();
        set_state(&organization, CallerKind::University, state).await;
        // On the node that wrote it, from the next call on.
        refused(
            who_am_i(&university).await,
            Code::Unauthenticated,
            "CALLER_NOT_ACTIVE",
        );
        assert_others_are_served(world, &hub).await;
    }
    // Retired is for good.
    let name = format!("callers/{}", CallerKind::University.id());
    let read = organization.get_caller(pb::GetCallerRequest { name }).await;
    let revived = pb::UpdateCallerRequest {
        request_id: request_id(),
        validate_only: false,
        caller: Some(pb::Caller {
            state: pb::CallerState::Active.into(),
            ..read.unwrap().caller.unwrap()
        }),
    };
    refused(
        organization.update_caller(revived).await,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
}

async fn a_retired_certificate_is_refused_on_its_open_connection(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    who_am_i(&university).await.unwrap();
    let retired = organization
        .retire_client_certificate(pb::RetireClientCertificateRequest {
            request_id: request_id(),
            validate_only: false,
            caller: format!("callers/{}", CallerKind::University.id()),
            fingerprint: world.identity(CallerKind::University).fingerprint,
        })
        .await
        .unwrap();
    let certificate = &retired.caller.unwrap().client_certificates[0];
    assert_eq!(certificate.state(), pb::ClientCertificateState::Retired);
    assert!(certificate.retire_time.is_some());
    refused(
        who_am_i(&university).await,
        Code::Unauthenticated,
        "CERTIFICATE_NOT_REGISTERED",
    );
    assert_others_are_served(world, &hub).await;
}

async fn a_revoked_certificate_is_refused_on_its_open_connection(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let university = Peer::of(world, CallerKind::University).await;
    who_am_i(&university).await.unwrap();
    world.revoke_identity(&world.identity(CallerKind::University));
    let failure = soon("the new list in force", async || {
        who_am_i(&university).await.err()
    })
    .await;
    refused::<()>(Err(failure), Code::Unauthenticated, "CERTIFICATE_REVOKED");
    assert_others_are_served(world, &hub).await;
}

async fn an_expired_certificate_is_refused_on_its_open_connection(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let class = CallerKind::Monitor.class();
    let identity = world.register("short-lived", class, None, SignedDuration::from_hours(2));
    let identity = identity.await;
    let short_lived = connect(world, &identity).await;
    soon("the caller known", async || {
        who_am_i(&short_lived).await.ok()
    })
    .await;
    world.clock().advance(SignedDuration::from_hours(3));
    refused(
        who_am_i(&short_lived).await,
        Code::Unauthenticated,
        "CERTIFICATE_EXPIRED",
    );
    assert_others_are_served(world, &hub).await;
}

async fn the_old_and_the_new_certificate_of_a_caller_work_and_a_third_is_not_registered(
    world: &mut World,
) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let id = CallerKind::University.id();
    let add = async |identity: &Identity| {
        organization
            .add_client_certificate(pb::AddClientCertificateRequest {
                request_id: request_id(),
                validate_only: false,
                caller: format!("callers/{id}"),
                fingerprint: identity.fingerprint.clone(),
            })
            .await
    };
    let second = world.issue_identity(id, "university-second", LONG);
    let third = world.issue_identity(id, "university-third", LONG);
    let old = Peer::of(world, CallerKind::University).await;
    let new = connect(world, &second).await;
    let none = connect(world, &third).await;
    let added = add(&second).await.unwrap().caller.unwrap();
    assert_eq!(added.client_certificates.len(), 2);
    for peer in [&old, &new] {
        assert_eq!(who_am_i(peer).await.unwrap().caller.unwrap().caller_id, id);
    }
    refused(
        add(&third).await,
        Code::FailedPrecondition,
        "TOO_MANY_ACTIVE_CERTIFICATES",
    );
    refused(
        who_am_i(&none).await,
        Code::Unauthenticated,
        "CERTIFICATE_NOT_REGISTERED",
    );
}

async fn a_caller_learns_who_it_is_and_what_it_may_call(world: &mut World) {
    for kind in CallerKind::ALL {
        let peer = Peer::of(world, kind).await;
        let told = who_am_i(&peer).await.unwrap();
        let caller = told.caller.unwrap();
        assert_eq!(caller.caller_id, kind.id());
        assert_eq!(
            caller.institution_code,
            kind.institution().unwrap_or_default()
        );
        assert_eq!(
            told.institution.map(|own| own.institution_code),
            kind.institution().map(str::to_owned)
        );
        assert_eq!(
            told.certificate_fingerprint,
            world.identity(kind).fingerprint
        );
        assert!(told.certificate_days_to_expiry > 1);
        assert_eq!(
            told.callable_methods,
            gavah_server::policy::callable(kind.class())
        );
    }
}
