//! Whole files, good and bad.

mod refusals;
mod samples;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

const MINIMAL: &str = r#"
[tls]
certificate_file = "server.pem"
key_file = "server.key"
client_ca_file = "client-ca.pem"
crl_files = ["client-ca.crl"]
trust_domain = "gavah.test"
[store]
engine = "sqlite"
path = "gavah.sqlite"
[signing]
key_file = "signing.key"
[audit]
subject_hash_key_file = "subject-hash.key"
"#;

/// A folder with the files that the configurations name.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for name in ["server.pem", "client-ca.pem", "client-ca.crl"] {
            folder.file(name, "", 0o644);
        }
        for name in [
            "server.key",
            "signing.key",
            "subject-hash.key",
            "zarinpal.merchant",
            "zarinpal.token",
        ] {
            folder.file(name, "", 0o600);
        }
        folder.file(
            "database.url",
            "postgres://gavah:hidden@127.0.0.1/gavah\n",
            0o400,
        );
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str, mode: u32) {
        fs::write(self.path(name), content).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, text: &str) -> Result<Config, ConfigError> {
        self.file("gavah.toml", text, 0o644);
        Config::load(&self.path("gavah.toml"))
    }

    /// Keys and texts of all problems.
    fn problems(&self, text: &str) -> Vec<(String, String)> {
        let error = self.load(text).unwrap_err();
        error
            .problems
            .into_iter()
            .map(|problem| (problem.key, problem.text))
            .collect()
    }

    /// The only problem.
    fn problem(&self, text: &str) -> (String, String) {
        let mut problems = self.problems(text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }
}

/// The minimal configuration with a section more, or with keys more in a section it has.
fn with(section: &str, keys: &str) -> String {
    let header = format!("[{section}]\n");
    match MINIMAL.contains(&header) {
        true => MINIMAL.replace(&header, &format!("{header}{keys}\n")),
        false => format!("{MINIMAL}{header}{keys}\n"),
    }
}

/// The minimal configuration with another line for a key.
fn replaced(from: &str, to: &str) -> String {
    assert!(MINIMAL.contains(from));
    MINIMAL.replacen(from, to, 1)
}

#[test]
fn a_minimal_file_gives_the_defaults() {
    let folder = Folder::new();
    let config = folder.load(MINIMAL).unwrap();
    assert_eq!(config.listen.address, "127.0.0.1:7443".parse().unwrap());
    assert_eq!(
        config.listen.probes_address,
        "127.0.0.1:7480".parse().unwrap()
    );
    assert_eq!(config.tls.files().key, folder.path("server.key"));
    assert_eq!(config.tls.files().crls, [folder.path("client-ca.crl")]);
    assert_eq!(config.tls.trust_domain, "gavah.test");
    assert!(config.tls.forwarder_fingerprints.is_empty());
    assert!(!config.sandbox.movable_clock);
    assert_eq!(config.payment, None);
    assert_eq!(
        config.store.store_config(),
        StoreConfig::Sqlite {
            path: folder.path("gavah.sqlite")
        }
    );
    assert_eq!(config.store.limits(), StoreLimits::default());
    assert_eq!(config.signing.key_file, folder.path("signing.key"));
    assert_eq!(
        config.audit.subject_hash_key_file,
        folder.path("subject-hash.key")
    );
    let limits = config.limits;
    assert_eq!(limits.transport().handshake_timeout, Duration::from_secs(3));
    assert_eq!(
        (
            limits.max_concurrent_streams,
            limits.concurrency_per_connection
        ),
        (100, 64)
    );
    assert_eq!(
        (limits.message_bytes, limits.bulk_message_bytes),
        (65_536, 4_194_304)
    );
    assert_eq!(limits.default_deadline(), Duration::from_secs(10));
    assert_eq!(limits.max_deadline(), Duration::from_secs(60));
    assert_eq!(limits.drain_grace(), Duration::from_secs(10));
    assert_eq!(config.telemetry.otlp_endpoint, None);
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
    assert_eq!(config.registry.poll(), Duration::from_millis(500));
    assert_eq!(
        Some(config.runtime.shards()),
        available_parallelism().ok(),
        "one for each core"
    );
}

#[test]
fn every_key_can_be_set() {
    let folder = Folder::new();
    let text = "
        listen = { address = '[::]:443', probes_address = '10.0.0.1:0' }
        signing = { key_file = 'signing.key' }
        audit = { subject_hash_key_file = 'subject-hash.key' }
        registry = { poll_ms = 1000 }
        runtime = { shards = 256, environment = 'development' }
        sandbox = { movable_clock = true }
        [tls]
        certificate_file = 'server.pem'
        key_file = 'server.key'
        client_ca_file = 'client-ca.pem'
        crl_files = ['client-ca.crl', 'client-ca.pem']
        trust_domain = 'a-b_c.1'
        forwarder_fingerprints = ['0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef']
        [store]
        engine = 'postgres'
        url_file = 'database.url'
        connections = 1
        acquire_timeout_ms = 2
        statement_timeout_ms = 3
        transaction_timeout_ms = 4
        commit_timeout_ms = 5
        [limits]
        max_connections = 6
        max_connections_per_peer = 7
        handshake_timeout_ms = 8
        max_in_flight = 9
        max_concurrent_streams = 10
        concurrency_per_connection = 11
        message_bytes = 12
        bulk_message_bytes = 0x0d
        default_deadline_ms = 14
        max_deadline_ms = 15
        drain_grace_ms = 16
        [payment]
        merchant_id_file = 'zarinpal.merchant'
        base_url = 'http://127.0.0.1:1'
        refund_url = 'https://panel.example/api'
        connect_timeout_ms = 17
        timeout_ms = 18
        [telemetry]
        otlp_endpoint = 'http://[::1]:4317'
        log_level = 'debug'
        log_format = 'text'
        sample_ratio = 0
    ";
    let config = folder.load(text).unwrap();
    let ms = Duration::from_millis;
    let limits = StoreLimits {
        connections: 1,
        acquire: ms(2),
        statement: ms(3),
        transaction: ms(4),
        commit: ms(5),
    };
    assert_eq!(config.store.limits(), limits);
    let url = "postgres://gavah:hidden@127.0.0.1/gavah".to_owned();
    assert_eq!(config.store.store_config(), StoreConfig::Postgres { url });
    let transport = transport::Limits {
        max_connections: 6,
        max_connections_per_peer: 7,
        handshake_timeout: ms(8),
    };
    assert_eq!(config.limits.transport(), transport);
    let limits = LimitsConfig {
        max_connections: 6,
        max_connections_per_peer: 7,
        handshake_timeout: ms(8),
        max_in_flight: 9,
        max_concurrent_streams: 10,
        concurrency_per_connection: 11,
        message_bytes: 12,
        bulk_message_bytes: 13,
        default_deadline: ms(14),
        max_deadline: ms(15),
        drain_grace: ms(16),
    };
    assert_eq!(config.limits, limits);
    let payment = ZarinpalConfig {
        base_url: "http://127.0.0.1:1".to_owned(),
        refund_url: "https://panel.example/api".to_owned(),
        merchant_id_file: folder.path("zarinpal.merchant"),
        access_token_file: None,
        connect_timeout: ms(17),
        timeout: ms(18),
    };
    assert_eq!(config.payment, Some(payment));
    let telemetry = TelemetryConfig {
        otlp_endpoint: Some("http://[::1]:4317".to_owned()),
        log_level: tracing::Level::DEBUG,
        log_format: LogFormat::Text,
        sample_ratio: 0.0,
    };
    assert_eq!(config.telemetry, telemetry);
    assert_eq!(config.registry.poll(), ms(1000));
    assert_eq!(config.runtime.shards().get(), 256);
    assert!(
        !format!("{config:?}").contains("hidden"),
        "the URL is not printed"
    );
}

#[test]
fn relative_paths_count_from_the_folder_of_the_file() {
    let folder = Folder::new();
    fs::create_dir(folder.path("keys")).unwrap();
    fs::rename(folder.path("signing.key"), folder.path("keys/signing.key")).unwrap();
    let absolute = folder.path("subject-hash.key");
    let text = replaced("\"signing.key\"", "\"keys/signing.key\"")
        .replace("\"subject-hash.key\"", &format!("{absolute:?}"));
    let config = folder.load(&text).unwrap();
    assert_eq!(config.signing.key_file, folder.path("keys/signing.key"));
    assert_eq!(config.audit.subject_hash_key_file, absolute);
}
