use std::{convert::Infallible, time::Duration};

use jiff::SignedDuration;
use tokio::time::Instant;
use tonic::Code;
use tower::service_fn;

use gavah_domain::{SystemClock, caller::CallerClass};

use super::*;
use crate::layers::testing::{
    CHECK, TRACE, World, fingerprint, good, registered, request, snapshot, told,
};

const VALIDATE: &str = "/gavah.v1.ValidationService/ValidateCode";
const CREATE_CALLER: &str = "/gavah.v1.RegistryService/CreateCaller";

impl World {
    async fn send(
        &self,
        directory: Result<Arc<Snapshot>, StoreError>,
        request: Request<Body>,
    ) -> (Code, String) {
        let layer = self.layer(directory);
        let handler = service_fn(async |request: Request<Body>| {
            let call: &Call = request.extensions().get().unwrap();
            assert_eq!(call.method, request.uri().path());
            assert_eq!(
                (call.caller.id.as_str(), call.trace_id.to_string().as_str()),
                ("window-1", TRACE)
            );
            assert_eq!(call.caller.id, *call.peer.caller_id().unwrap());
            assert!(call.deadline > Instant::now());
            assert_eq!(call.snapshot.callers.len(), 1);
            Ok::<_, Infallible>(good())
        });
        told(layer.layer(handler).oneshot(request).await.unwrap()).await
    }
}

fn from(path: &str, peer: &Arc<Peer>) -> Request<Body> {
    let mut request = request(path);
    let deadline = Deadline(Instant::now() + Duration::from_secs(10));
    request.extensions_mut().insert(Arc::clone(peer));
    request.extensions_mut().insert(deadline);
    request.extensions_mut().insert(CallerSlot::default());
    request
}

fn refused(code: Code, reason: Reason) -> (Code, String) {
    (code, reason.as_str().to_owned())
}

fn unauthenticated(reason: Reason) -> (Code, String) {
    refused(Code::Unauthenticated, reason)
}

const PASSED: (Code, String) = (Code::Ok, String::new());

#[tokio::test]
async fn a_registered_caller_may_call_what_is_for_its_class_and_nothing_else() {
    let world = World::new();
    let leaf = world.caller_leaf();
    let peer = world.peer(&leaf).await;
    for class in CallerClass::ALL.iter().copied() {
        for (path, classes) in policy::POLICY {
            let expected = match classes.contains(&class) {
                true => PASSED,
                false => refused(Code::PermissionDenied, Reason::MethodNotAllowedForClass),
            };
            let answer = world
                .send(registered(&leaf, class), from(path, &peer))
                .await;
            assert_eq!(answer, expected, "{class} {path}");
        }
    }
    let unknown = refused(Code::Unimplemented, Reason::MethodUnknown);
    for path in [
        "/",
        "/gavah.v1.RegistryService/DropAll",
        "/gavah.v1.registryservice/WhoAmI",
    ] {
        let registry = registered(&leaf, CallerClass::Organization);
        assert_eq!(
            world.send(registry, from(path, &peer)).await,
            unknown,
            "{path}"
        );
    }
}

#[tokio::test]
async fn only_the_registered_certificates_of_the_named_caller_are_taken() {
    let world = World::new();
    let (leaf, other) = (world.caller_leaf(), world.caller_leaf());
    let peer = world.peer(&leaf).await;
    let not_registered = unauthenticated(Reason::CertificateNotRegistered);
    let own = |active| (fingerprint(&leaf), active);
    let foreign = |active| (fingerprint(&other), active);
    for (entries, expected) in [
        (vec![own(true)], &PASSED),
        (vec![foreign(true), own(true)], &PASSED),
        (vec![], &not_registered),
        (vec![foreign(true)], &not_registered),
        (vec![own(false)], &not_registered),
        (vec![foreign(true), own(false)], &not_registered),
    ] {
        let registry = snapshot(CallerClass::SingleWindow, CallerState::Active, &entries);
        assert_eq!(
            world.send(Ok(registry), from(VALIDATE, &peer)).await,
            *expected
        );
    }
    let empty = Arc::new(Snapshot::default());
    assert_eq!(
        world.send(Ok(empty), from(VALIDATE, &peer)).await,
        not_registered
    );
}

#[tokio::test]
async fn a_certificate_that_names_no_caller_is_nobody_whatever_the_headers_say() {
    let world = World::new();
    for uris in [
        &[][..],
        &["spiffe://elsewhere/caller/window-1"],
        &["spiffe://gavah.test/caller/window-2"],
    ] {
        let leaf = world.leaf(uris);
        let peer = world.peer(&leaf).await;
        let mut request = from(VALIDATE, &peer);
        for header in [
            "x-caller-id",
            "x-forwarded-client-cert",
            "authorization",
            "caller",
        ] {
            request
                .headers_mut()
                .insert(header, "window-1".parse().unwrap());
        }
        let answer = world
            .send(registered(&leaf, CallerClass::Organization), request)
            .await;
        assert_eq!(
            answer,
            unauthenticated(Reason::CertificateNotRegistered),
            "{uris:?}"
        );
    }
    let mut request = request(VALIDATE);
    request
        .headers_mut()
        .insert("x-caller-id", "window-1".parse().unwrap());
    let registry = snapshot(CallerClass::Organization, CallerState::Active, &[]);
    let answer = world.send(Ok(registry), request).await;
    assert_eq!(answer, unauthenticated(Reason::CertificateNotRegistered));
}

#[tokio::test]
async fn an_open_connection_is_refused_once_its_certificate_expires() {
    let world = World::new();
    let leaf = world.caller_leaf();
    let peer = world.peer(&leaf).await;
    let registry = || registered(&leaf, CallerClass::SingleWindow);
    world.clock.set(leaf.not_after);
    assert_eq!(world.send(registry(), from(VALIDATE, &peer)).await, PASSED);
    world.clock.advance(SignedDuration::from_secs(1));
    let answer = world.send(registry(), from(VALIDATE, &peer)).await;
    assert_eq!(answer, unauthenticated(Reason::CertificateExpired));
}

#[tokio::test]
async fn an_open_connection_is_refused_once_its_certificate_is_revoked() {
    let world = World::new();
    let leaf = world.caller_leaf();
    let peer = world.peer(&leaf).await;
    let registry = || registered(&leaf, CallerClass::SingleWindow);
    assert_eq!(world.send(registry(), from(VALIDATE, &peer)).await, PASSED);
    world
        .authority
        .revoke(&leaf.serial, world.clock.now())
        .unwrap();
    world.tls.reload(SystemClock.now()).unwrap();
    let answer = world.send(registry(), from(CHECK, &peer)).await;
    assert_eq!(answer, unauthenticated(Reason::CertificateRevoked));
}

#[tokio::test]
async fn a_caller_that_is_not_active_is_refused_before_its_class_is_asked() {
    let world = World::new();
    let leaf = world.caller_leaf();
    let peer = world.peer(&leaf).await;
    for state in [CallerState::Paused, CallerState::Retired] {
        for path in [VALIDATE, CREATE_CALLER, CHECK, "/unknown"] {
            let registry = snapshot(
                CallerClass::SingleWindow,
                state,
                &[(fingerprint(&leaf), true)],
            );
            let request = from(path, &peer);
            let slot = request.extensions().get::<CallerSlot>().unwrap().clone();
            let answer = world.send(Ok(registry), request).await;
            assert_eq!(answer, unauthenticated(Reason::CallerNotActive));
            // The log names who was refused.
            assert_eq!(slot.id(), Some("window-1"));
        }
    }
}

#[tokio::test]
async fn nobody_is_let_in_on_a_registry_that_is_too_old() {
    let world = World::new();
    let peer = world.peer(&world.caller_leaf()).await;
    let answer = world
        .send(Err(StoreError::Unavailable), from(VALIDATE, &peer))
        .await;
    assert_eq!(answer, refused(Code::Unavailable, Reason::StoreUnavailable));
}

#[tokio::test]
async fn a_draining_server_answers_health_only() {
    let world = World::new();
    let leaf = world.caller_leaf();
    let peer = world.peer(&leaf).await;
    world.draining.begin();
    let registry = || registered(&leaf, CallerClass::SingleWindow);
    let draining = refused(Code::Unavailable, Reason::Draining);
    for path in [VALIDATE, "/gavah.v1.RegistryService/WhoAmI", "/unknown"] {
        assert_eq!(
            world.send(registry(), from(path, &peer)).await,
            draining,
            "{path}"
        );
    }
    assert_eq!(world.send(registry(), from(CHECK, &peer)).await, PASSED);
}
