//! What is closed after the handshake time limit, and what is not even begun.

use tokio::time::Instant;

use super::*;

fn within(
    max_connections: usize,
    max_connections_per_peer: usize,
    handshake_timeout: Duration,
) -> Limits {
    Limits {
        max_connections,
        max_connections_per_peer,
        handshake_timeout,
    }
}

async fn closed_after_the_limit(stream: &mut (impl AsyncReadExt + Unpin), begun: Instant) {
    closed(stream).await;
    assert!(
        begun.elapsed() >= SHORT,
        "closed after {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_silent_connection_is_closed_after_the_limit() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), within(9, 9, SHORT)).await;
    let begun = Instant::now();
    closed_after_the_limit(&mut running.tcp().await, begun).await;
}

#[tokio::test]
async fn half_a_client_hello_is_closed_after_the_limit() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), within(9, 9, SHORT)).await;
    let begun = Instant::now();
    let mut socket = running.tcp().await;
    // A handshake record of 512 bytes, of which a ClientHello's first few come.
    socket
        .write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
        .await
        .unwrap();
    closed_after_the_limit(&mut socket, begun).await;
}

#[tokio::test]
async fn tls_without_a_preface_is_closed_after_the_limit() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), within(9, 9, SHORT)).await;
    let begun = Instant::now();
    let mut stream = running
        .tls(&pki.client(Some(&pki.caller("slow"))))
        .await
        .unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    closed_after_the_limit(&mut stream, begun).await;
    assert!(running.peers.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_preface_is_closed_at_once() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    let mut stream = running
        .tls(&pki.client(Some(&pki.caller("web"))))
        .await
        .unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let begun = Instant::now();
    closed(&mut stream).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "after {:?}",
        begun.elapsed()
    );
    running.still_serves(&pki).await;
}

#[tokio::test]
async fn one_peer_cannot_hold_more_than_its_share() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let pki = Pki::new();
    let running = Running::start(&pki.load(), within(9, 2, Duration::from_secs(10))).await;
    let (first, _second) = (running.tcp().await, running.tcp().await);
    closed(&mut running.tcp().await).await;
    let text = handle.render();
    assert!(
        text.contains(&format!(
            "{CONNECTIONS_REFUSED_TOTAL}{{reason=\"per_peer\"}} 1"
        )),
        "{text}"
    );
    assert!(text.contains(&format!("{CONNECTIONS} 2")), "{text}");
    // Another peer is not concerned.
    let config = pki.client(Some(&pki.caller("other")));
    handshake_on(running.tcp_from([127, 0, 0, 2]).await, &config)
        .await
        .unwrap();
    drop(first);
    eventually(async || running.call(&config).await.is_ok()).await;
}

#[tokio::test]
async fn no_more_connections_are_held_than_the_cap_in_all() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), within(2, 2, SHORT)).await;
    let config = pki.client(Some(&pki.caller("a")));
    // Connections that tonic serves count as much as handshakes.
    let open = channel(running.address, &config);
    check(&open).await.unwrap();
    let _silent = running.tcp_from([127, 0, 0, 2]).await;
    closed(&mut running.tcp_from([127, 0, 0, 3]).await).await;
    // The silent one loses its place after the limit.
    eventually(async || running.call(&config).await.is_ok()).await;
    check(&open).await.unwrap();
    drop(open);
}

async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "never came true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
