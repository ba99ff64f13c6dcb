//! Which server may be loaded.

use std::net::IpAddr;

use gavah_client::{Client, ClientConfig, ClientError};
use http::Uri;

/// A server that must not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{endpoint} is not on this machine: load is for one's own servers; say so with --allow-remote"
)]
pub struct NotLoopback {
    /// The endpoint as given.
    pub endpoint: String,
}

/// Passes endpoints on this machine, and others only when they are allowed.
///
/// # Errors
/// [`NotLoopback`].
pub fn admit(endpoint: &str, allow_remote: bool) -> Result<(), NotLoopback> {
    match allow_remote || is_loopback(endpoint) {
        true => Ok(()),
        false => Err(NotLoopback {
            endpoint: endpoint.to_owned(),
        }),
    }
}

/// `localhost` and addresses of this machine's own network. Other names are not looked up: they may change.
fn is_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Opens so many connections as one caller. One HTTP/2 connection would serialise its calls at both ends.
///
/// # Errors
/// [`ClientError`].
pub async fn connect(
    config: &ClientConfig,
    connections: usize,
) -> Result<Vec<Client>, ClientError> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::connect(config).await?);
    }
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loaded_unless_told_otherwise() {
        for near in [
            "https://localhost:7443",
            "https://127.0.0.1:7443",
            "https://127.8.9.1:1",
            "https://[::1]:7443",
        ] {
            assert_eq!(admit(near, false), Ok(()), "{near}");
        }
        for far in [
            "https://gavah.example:7443",
            "https://localhost.example:7443",
            "https://10.0.0.1:7443",
            "https://0.0.0.0:7443",
            "https://[2001:db8::1]:7443",
            "https://127.0.0.1.example:7443",
            "not an address",
            "",
        ] {
            assert!(admit(far, false).is_err(), "{far}");
            assert_eq!(admit(far, true), Ok(()), "{far}");
        }
    }
}
