//! A server in this process.

use std::net::SocketAddr;
use std::sync::Arc;

use gavah_server::config::Config;
use gavah_server::{Server, StartError, Surroundings};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A running server of a world.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    probes_address: SocketAddr,
    stop: Arc<Notify>,
    serving: Option<JoinHandle<Result<(), StartError>>>,
}

impl Node {
    pub(super) async fn start(config: Config, surroundings: Surroundings) -> Self {
        let server = Server::bind(config, surroundings)
            .await
            .expect("a bound server");
        let (address, probes_address) = (server.address(), server.probes_address());
        let stop = Arc::new(Notify::new());
        let signal = Arc::clone(&stop);
        let serving = tokio::spawn(server.serve_until(async move { signal.notified().await }));
        Self {
            address,
            probes_address,
            stop,
            serving: Some(serving),
        }
    }

    /// Where it takes calls.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers probes.
    #[must_use]
    pub fn probes_address(&self) -> SocketAddr {
        self.probes_address
    }

    /// Gives the signal to stop and does not wait: the server drains.
    pub fn begin_stop(&self) {
        self.stop.notify_one();
    }

    /// Stops the server and waits until it has drained.
    pub async fn stop(&mut self) {
        self.begin_stop();
        if let Some(serving) = self.serving.take() {
            serving.await.expect("no panic").expect("an orderly end");
        }
    }
}
