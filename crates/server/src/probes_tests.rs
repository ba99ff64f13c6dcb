//! The probes over real sockets.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

struct Running {
    address: SocketAddr,
    readiness: Readiness,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn running() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let probes = Probes::new(listener, Readiness::new("starting"));
    let readiness = probes.readiness();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(probes.serve(async {
        let _ = stopped.await;
    }));
    Running {
        address,
        readiness,
        stop,
        serving,
    }
}

impl Running {
    /// Sends bytes and reads until the other side closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Status and body.
    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let answer = self
            .exchange(format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
            .await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

#[tokio::test]
async fn a_starting_service_lives_and_is_not_ready_a_stopping_one_has_started() {
    let running = running().await;
    let ask = async |path| running.ask("GET", path).await;
    let ok = || (200, "ok\n".to_owned());
    let starting = (503, "starting\n".to_owned());
    assert_eq!(ask("/livez").await, ok());
    assert_eq!(ask("/readyz").await, starting);
    assert_eq!(ask("/startupz").await, starting);
    running.readiness.set_ready();
    for path in ["/livez", "/readyz", "/startupz", "/readyz?verbose"] {
        assert_eq!(ask(path).await, ok(), "{path}");
    }
    running.readiness.set_not_ready("draining");
    assert_eq!(ask("/readyz").await, (503, "draining\n".to_owned()));
    assert_eq!(ask("/startupz").await, ok());
    assert_eq!(ask("/livez").await, ok());
}

#[tokio::test]
async fn nothing_else_is_answered() {
    let running = running().await;
    for path in ["/", "/metrics/", "/livez/x", "//livez", "/debug/pprof"] {
        assert_eq!(running.ask("GET", path).await.0, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        assert_eq!(running.ask(method, "/livez").await.0, 405, "{method}");
    }
    assert_eq!(running.ask("HEAD", "/livez").await, (200, String::new()));
    assert_eq!(running.ask("GET", "/metrics").await.0, 200);
}

#[tokio::test]
async fn a_connection_carries_one_request() {
    let running = running().await;
    let request = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let answer = running.exchange(request.repeat(3).as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_peer_that_does_not_finish_its_headers_is_closed() {
    let running = running().await;
    let begun = Instant::now();
    tokio::join!(
        running.exchange(b""),
        running.exchange(b"GET /livez HTTP/1.1\r\nhost: ")
    );
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(4) && took < Duration::from_secs(9),
        "{took:?}"
    );
}

#[tokio::test]
async fn silent_peers_take_turns_and_do_not_stop_the_listener() {
    let running = running().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    assert_eq!(running.ask("GET", "/livez").await.0, 200);
}

#[tokio::test]
async fn shutdown_closes_the_port() {
    let running = running().await;
    assert_eq!(running.ask("GET", "/livez").await.0, 200);
    running.stop.send(()).unwrap();
    running.serving.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}
