//! What goes wrong before the first call.

use super::*;

async fn refusal(config: &ClientConfig) -> String {
    Client::connect(config).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let (pki, other) = (Pki::new(), Pki::new());
    let server = Server::start(&pki, []).await;
    let mut config = pki.config(server.endpoint());
    config.server_ca = other.dir.path().join("ca.pem");
    let text = refusal(&config).await;
    assert!(
        text.contains("no authority in") && text.contains("ca.pem"),
        "{text}"
    );
    assert!(text.starts_with(&server.endpoint()), "{text}");
}

#[tokio::test]
async fn a_client_of_another_authority_is_refused_with_its_first_call_and_does_not_try_again() {
    let (pki, other) = (Pki::new(), Pki::new());
    let server = Server::start(&pki, []).await;
    let mut config = other.config(server.endpoint());
    config.server_ca = pki.dir.path().join("ca.pem");
    let text = match Client::connect(&config).await {
        Err(error) => error.to_string(),
        Ok(client) => {
            let request = gavah_api::v1::WhoAmIRequest {};
            let call = client.call(request, |channel, request| async move {
                channel.registry().who_am_i(request).await
            });
            let failure = call.await.unwrap_err();
            assert_eq!(failure.attempts, 1, "{failure}");
            failure.to_string()
        }
    };
    assert!(text.contains("certificate"), "{text}");
}

#[tokio::test]
async fn the_certificate_must_be_for_the_name_in_the_endpoint() {
    let pki = Pki::new();
    let server = Server::start(&pki, []).await;
    let by_name = server.endpoint().replace("127.0.0.1", "localhost");
    assert!(Client::connect(&pki.config(by_name)).await.is_ok());
    let elsewhere = server.endpoint().replace("127.0.0.1", "127.0.0.2");
    let port = elsewhere.rsplit(':').next().unwrap();
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.2:{port}"))
        .await
        .unwrap();
    let target = server.endpoint().replace("https://", "");
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut onward = tokio::net::TcpStream::connect(target).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut socket, &mut onward).await;
    });
    let text = refusal(&pki.config(elsewhere)).await;
    assert!(text.contains("127.0.0.2"), "{text}");
    assert!(
        text.to_lowercase()
            .contains("certificate not valid for name"),
        "{text}"
    );
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told_apart() {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = pki.config(format!("https://{}", listener.local_addr().unwrap()));
    config.timeout = Duration::from_millis(100);
    assert!(
        refusal(&config)
            .await
            .ends_with("gave no connection within 100ms")
    );
    drop(listener);
    assert!(refusal(&config).await.contains("cannot be reached: "));
}

#[tokio::test]
async fn files_that_are_missing_or_something_else_are_named() {
    let pki = Pki::new();
    let good = pki.config("https://localhost:1".to_owned());
    for (config, expected) in [
        (
            ClientConfig {
                server_ca: "none.pem".into(),
                ..good.clone()
            },
            "none.pem: No such file",
        ),
        (
            ClientConfig {
                server_ca: good.key.clone(),
                ..good.clone()
            },
            "holds no usable certificate",
        ),
        (
            ClientConfig {
                key: good.certificate.clone(),
                ..good.clone()
            },
            "holds no usable private key",
        ),
        (
            ClientConfig {
                key: pki.dir.path().join("ca.key"),
                ..good.clone()
            },
            "cannot be used together",
        ),
    ] {
        let text = refusal(&config).await;
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn endpoints_are_https_with_host_and_port_and_no_more() {
    let pki = Pki::new();
    for bad in [
        "",
        "localhost:7443",
        "http://localhost:7443",
        "https://localhost",
        "https://a:1/b",
        "https://a b:1",
    ] {
        let error = Client::connect(&pki.config(bad.to_owned()))
            .await
            .unwrap_err();
        assert!(
            matches!(error, ClientError::Endpoint { .. }),
            "{bad}: {error}"
        );
    }
    let ipv6 = Client::connect(&pki.config("https://[::1]:1".to_owned()))
        .await
        .unwrap_err();
    assert!(matches!(ipv6, ClientError::Unreachable { .. }), "{ipv6}");
}
