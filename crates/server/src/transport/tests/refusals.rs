//! Who is let in and who is not. Every refusal is followed by a good caller's call.

use super::*;

fn custom(pki: &Pki, uris: &[&str], usage: Usage, validity: Validity) -> Issued {
    let spec = LeafSpec {
        common_name: "custom".to_owned(),
        host_names: Vec::new(),
        uri_names: uris.iter().map(|uri| (*uri).to_owned()).collect(),
        usages: vec![usage],
        validity,
    };
    pki.authority.issue_custom(&spec).unwrap()
}

fn valid() -> Validity {
    Validity::starting(now(), HOUR).unwrap()
}

async fn refused_with(pki: &Pki, issued: Option<&Issued>) -> AlertDescription {
    let running = Running::start(&pki.load(), ROOMY).await;
    let config = pki.client(issued);
    assert!(running.call(&config).await.is_err(), "a call must fail too");
    let alert = running.alert(&config).await;
    running.still_serves(pki).await;
    alert
}

#[tokio::test]
async fn a_caller_with_a_good_certificate_is_served_and_known() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    let issued = pki.caller("window-1");
    running.call(&pki.client(Some(&issued))).await.unwrap();
    let peer = running.peers.lock().unwrap().pop().unwrap();
    assert_eq!(peer.fingerprint(), &issued.fingerprint);
    assert_eq!(peer.fingerprint_hex().len(), 64);
    assert_eq!(peer.uri_names(), ["spiffe://gavah.test/caller/window-1"]);
    assert_eq!(peer.caller_id().unwrap().as_str(), "window-1");
    assert_eq!(peer.not_after().as_second(), issued.not_after.as_second());
    assert!(peer.remote_addr().ip().is_loopback());
    assert!(!format!("{peer:?}").contains("window"), "{peer:?}");
}

#[tokio::test]
async fn a_certificate_that_names_no_single_caller_connects_without_a_caller_id() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    let good = "spiffe://gavah.test/caller/a";
    for uris in [
        &[][..],
        &[good, "spiffe://gavah.test/caller/b"],
        &["spiffe://elsewhere/caller/a"],
    ] {
        running
            .call(&pki.client(Some(&custom(&pki, uris, Usage::Client, valid()))))
            .await
            .unwrap();
        let peer = running.peers.lock().unwrap().pop().unwrap();
        assert_eq!(
            (peer.uri_names().len(), peer.caller_id()),
            (uris.len(), None)
        );
    }
}

#[tokio::test]
async fn no_certificate_is_refused() {
    assert_eq!(
        refused_with(&Pki::new(), None).await,
        AlertDescription::CertificateRequired
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let issued = Pki::new().caller("stranger");
    assert_eq!(
        refused_with(&Pki::new(), Some(&issued)).await,
        AlertDescription::UnknownCA
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let pki = Pki::new();
    let validity = Validity {
        not_before: now() - HOUR,
        not_after: now() - SignedDuration::from_mins(1),
    };
    let issued = custom(
        &pki,
        &["spiffe://gavah.test/caller/a"],
        Usage::Client,
        validity,
    );
    assert_eq!(
        refused_with(&pki, Some(&issued)).await,
        AlertDescription::CertificateExpired
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_yet_valid_is_refused() {
    let pki = Pki::new();
    let validity = Validity {
        not_before: now() + SignedDuration::from_mins(5),
        not_after: now() + HOUR,
    };
    let issued = custom(
        &pki,
        &["spiffe://gavah.test/caller/a"],
        Usage::Client,
        validity,
    );
    assert_eq!(
        refused_with(&pki, Some(&issued)).await,
        AlertDescription::CertificateExpired
    );
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let pki = Pki::new();
    let issued = pki.caller("revoked");
    pki.authority.revoke(&issued.serial, now()).unwrap();
    assert_eq!(
        refused_with(&pki, Some(&issued)).await,
        AlertDescription::CertificateRevoked
    );
}

#[tokio::test]
async fn a_server_certificate_is_refused_as_a_client_certificate() {
    let pki = Pki::new();
    let issued = custom(
        &pki,
        &["spiffe://gavah.test/caller/a"],
        Usage::Server,
        valid(),
    );
    assert_eq!(
        refused_with(&pki, Some(&issued)).await,
        AlertDescription::UnsupportedCertificate
    );
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    let issued = pki.caller("old");
    let old = client(&pki.trusted, Some(&issued), &[&rustls::version::TLS12]);
    assert_eq!(running.alert(&old).await, AlertDescription::ProtocolVersion);
    running.still_serves(&pki).await;
}

#[tokio::test]
async fn another_application_protocol_or_none_is_refused() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    let mut config = pki.client(Some(&pki.caller("web")));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    assert_eq!(
        running.alert(&config).await,
        AlertDescription::NoApplicationProtocol
    );
    config.alpn_protocols.clear();
    let mut stream = running.tls(&config).await.unwrap();
    let _ = stream.write_all(super::super::preface::PREFACE).await;
    assert!(
        !matches!(stream.read(&mut [0]).await, Ok(1)),
        "HTTP/2 was spoken without being agreed on"
    );
    running.still_serves(&pki).await;
}

#[tokio::test]
async fn a_refused_client_that_goes_on_writing_gets_an_orderly_end_and_no_reset() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    let issued = Pki::new().caller("stranger");
    let mut stream = running.tls(&pki.client(Some(&issued))).await.unwrap();
    // More than the server reads while it decides: closing at once would leave the rest unread, which resets the
    // connection, and a reset may overtake the alert.
    let (socket, _) = stream.get_mut();
    socket.write_all(&[0; 40 * 1024]).await.unwrap();
    let mut received = Vec::new();
    socket.read_to_end(&mut received).await.expect("reset");
    assert!(!received.is_empty(), "the alert");
}

#[tokio::test]
async fn every_outcome_is_counted_under_its_name() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let pki = Pki::new();
    let revoked = pki.caller("revoked");
    pki.authority.revoke(&revoked.serial, now()).unwrap();
    let running = Running::start(&pki.load(), ROOMY).await;
    running.alert(&pki.client(Some(&revoked))).await;
    running.alert(&pki.client(None)).await;
    running
        .alert(&pki.client(Some(&Pki::new().caller("stranger"))))
        .await;
    let mut plain = running.tcp().await;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    closed(&mut plain).await;
    running.still_serves(&pki).await;
    let text = handle.render();
    for outcome in [
        "certificate_revoked",
        "no_certificate",
        "unknown_issuer",
        "protocol",
        "ok",
    ] {
        assert!(
            text.contains(&format!(
                "{TLS_HANDSHAKES_TOTAL}{{outcome=\"{outcome}\"}} 1"
            )),
            "{outcome}\n{text}"
        );
    }
}
