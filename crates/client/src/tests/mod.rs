//! The client against a real listener with mutual TLS and a validation service that follows a script.

mod calls;
mod connecting;
mod server;

use std::path::Path;
use std::time::Duration;

use gavah_devpki::{Authority, Issued, Validity, write};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use server::{Server, Step};

use crate::{Client, ClientConfig, ClientError};

/// An authority with a server's certificate for `localhost` and `127.0.0.1` and a client's.
struct Pki {
    dir: TempDir,
    server: Issued,
}

impl Pki {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = now(dir.path());
        let validity = Validity::starting(now, SignedDuration::from_hours(1)).unwrap();
        let authority = Authority::create(dir.path(), now).unwrap();
        let server = authority
            .issue_server(&["localhost", "127.0.0.1"], validity)
            .unwrap();
        let window = authority
            .issue_caller("gavah.test", "window", validity)
            .unwrap();
        write(&window, dir.path(), "window").unwrap();
        Self { dir, server }
    }

    fn config(&self, endpoint: String) -> ClientConfig {
        let file = |name: &str| self.dir.path().join(name);
        ClientConfig {
            endpoint,
            server_ca: file("ca.pem"),
            certificate: file("window.pem"),
            key: file("window.key"),
            timeout: Duration::from_secs(10),
            retries: 3,
        }
    }
}

/// The present, as the file system tells it: the clock itself is not to be asked.
fn now(dir: &Path) -> Timestamp {
    let modified = std::fs::metadata(dir).unwrap().modified().unwrap();
    Timestamp::try_from(modified).unwrap()
}

/// A server with this script and a client connected to it.
async fn connected(script: impl IntoIterator<Item = Step>) -> (Server, Client) {
    let pki = Pki::new();
    let server = Server::start(&pki, script).await;
    let client = Client::connect(&pki.config(server.endpoint()))
        .await
        .unwrap();
    (server, client)
}
