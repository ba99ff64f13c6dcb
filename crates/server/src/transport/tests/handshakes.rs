//! What is negotiated, and how the accept loop lives and ends.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use rustls::{HandshakeKind, NamedGroup};

use super::{
    super::accept::{Dealer, Sockets, run},
    *,
};

#[tokio::test]
async fn every_connection_is_a_new_one() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    // One configuration: its session store is shared, as in a client that would resume.
    let config = pki.client(Some(&pki.caller("again")));
    for _ in 0..3 {
        let mut stream = running.tls(&config).await.unwrap();
        assert_eq!(
            stream.get_ref().1.handshake_kind(),
            Some(HandshakeKind::Full)
        );
        stream
            .write_all(super::super::preface::PREFACE)
            .await
            .unwrap();
        // The server's SETTINGS: had there been tickets, they would have come before.
        stream.read_u8().await.unwrap();
        assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn the_post_quantum_hybrid_and_tls_1_3_are_negotiated() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    let stream = running
        .tls(&pki.client(Some(&pki.caller("new"))))
        .await
        .unwrap();
    let session = stream.get_ref().1;
    assert_eq!(
        session.negotiated_key_exchange_group().unwrap().name(),
        NamedGroup::X25519MLKEM768
    );
    assert_eq!(
        session.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    assert_eq!(session.alpn_protocol(), Some(b"h2".as_slice()));
}

#[tokio::test]
async fn a_client_without_the_hybrid_falls_back_to_x25519() {
    let pki = Pki::new();
    let running = Running::start(&pki.load(), ROOMY).await;
    let mut config = pki.client(Some(&pki.caller("classic")));
    let mut provider = (**config.crypto_provider()).clone();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let certificate = config.client_auth_cert_resolver.clone();
    let mut roots = RootCertStore::empty();
    roots.add(pki.trusted.clone()).unwrap();
    config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec()];
    running.call(&config).await.unwrap();
}

#[tokio::test]
async fn shutdown_ends_the_stream_and_closes_the_port_and_open_calls_finish() {
    let pki = Pki::new();
    let mut running = Running::start(&pki.load(), ROOMY).await;
    let config = pki.client(Some(&pki.caller("last")));
    let open = channel(running.address, &config);
    check(&open).await.unwrap();
    running.stop.take().unwrap().send(()).unwrap();
    // tonic returns once the stream has ended and its last connection is gone.
    check(&open).await.unwrap();
    drop(open);
    tokio::time::timeout(Duration::from_secs(10), &mut running.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        TcpStream::connect(running.address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn dropping_the_stream_ends_the_loop() {
    let pki = Pki::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(connections(
        listener,
        pki.load(),
        ROOMY,
        std::future::pending(),
    ));
    for _ in 0..500 {
        if TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still listening");
}

/// A listener whose first accepts fail as when descriptors run out.
struct Exhausted {
    listener: TcpListener,
    failures: AtomicUsize,
}

impl Sockets for Exhausted {
    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        const EMFILE: i32 = 24;
        let left = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(_) => Err(io::Error::from_raw_os_error(EMFILE)),
            Err(_) => self.listener.accept().await,
        }
    }
}

#[tokio::test]
async fn running_out_of_descriptors_pauses_the_loop_and_does_not_end_it() {
    let pki = Pki::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dealer, mut lanes) = Dealer::new(NonZero::<usize>::MIN);
    let mut connections = pin!(lanes.remove(0).connections(pki.load()));
    let sockets = Exhausted {
        listener,
        failures: AtomicUsize::new(4),
    };
    let begun = tokio::time::Instant::now();
    tokio::spawn(run(sockets, dealer, ROOMY, std::future::pending()));
    let config = pki.client(Some(&pki.caller("patient")));
    let mut stream = handshake_on(TcpStream::connect(address).await.unwrap(), &config)
        .await
        .unwrap();
    stream
        .write_all(super::super::preface::PREFACE)
        .await
        .unwrap();
    let connection = connections.next().await.unwrap().unwrap();
    assert_eq!(connection.peer().caller_id().unwrap().as_str(), "patient");
    // 10 + 20 + 40 + 80 ms.
    assert!(
        begun.elapsed() >= Duration::from_millis(150),
        "{:?}",
        begun.elapsed()
    );
}
