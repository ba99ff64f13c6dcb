//! Whole files, good and bad.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

const SAMPLES: [(&str, &str); 2] = [
    ("sqlite", include_str!("../../../../deploy/gavah.sqlite.toml")),
    ("postgres", include_str!("../../../../deploy/gavah.postgres.toml")),
];

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
        for name in ["server.key", "signing.key", "subject-hash.key"] {
            folder.file(name, "", 0o600);
        }
        folder.file("database.url", "postgres://gavah:hidden@127.0.0.1/gavah\n", 0o400);
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
        error.problems.into_iter().map(|problem| (problem.key, problem.text)).collect()
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
    assert_eq!(config.listen.probes_address, "127.0.0.1:7480".parse().unwrap());
    assert_eq!(config.tls.files().key, folder.path("server.key"));
    assert_eq!(config.tls.files().crls, [folder.path("client-ca.crl")]);
    assert_eq!(config.tls.trust_domain, "gavah.test");
    assert_eq!(config.store.store_config(), StoreConfig::Sqlite { path: folder.path("gavah.sqlite") });
    assert_eq!(config.store.limits(), StoreLimits::default());
    assert_eq!(config.signing.key_file, folder.path("signing.key"));
    assert_eq!(config.audit.subject_hash_key_file, folder.path("subject-hash.key"));
    let limits = config.limits;
    assert_eq!(limits.transport().handshake_timeout, Duration::from_secs(3));
    assert_eq!((limits.max_concurrent_streams, limits.concurrency_per_connection), (100, 64));
    assert_eq!((limits.message_bytes, limits.bulk_message_bytes), (65_536, 4_194_304));
    assert_eq!(limits.default_deadline(), Duration::from_secs(10));
    assert_eq!(limits.max_deadline(), Duration::from_secs(60));
    assert_eq!(limits.drain_grace(), Duration::from_secs(10));
    assert_eq!(config.telemetry.otlp_endpoint, None);
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
    assert_eq!(config.registry.poll(), Duration::from_millis(500));
}

#[test]
fn every_key_can_be_set() {
    let folder = Folder::new();
    let text = "
        listen = { address = '[::]:443', probes_address = '10.0.0.1:0' }
        signing = { key_file = 'signing.key' }
        audit = { subject_hash_key_file = 'subject-hash.key' }
        registry = { poll_ms = 1000 }
        [tls]
        certificate_file = 'server.pem'
        key_file = 'server.key'
        client_ca_file = 'client-ca.pem'
        crl_files = ['client-ca.crl', 'client-ca.pem']
        trust_domain = 'a-b_c.1'
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
        [telemetry]
        otlp_endpoint = 'http://[::1]:4317'
        log_level = 'debug'
        log_format = 'text'
        sample_ratio = 0
    ";
    let config = folder.load(text).unwrap();
    let ms = Duration::from_millis;
    let limits = StoreLimits { connections: 1, acquire: ms(2), statement: ms(3), transaction: ms(4), commit: ms(5) };
    assert_eq!(config.store.limits(), limits);
    let url = "postgres://gavah:hidden@127.0.0.1/gavah".to_owned();
    assert_eq!(config.store.store_config(), StoreConfig::Postgres { url });
    let transport = transport::Limits { max_connections: 6, max_connections_per_peer: 7, handshake_timeout: ms(8) };
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
    let telemetry = TelemetryConfig {
        otlp_endpoint: Some("http://[::1]:4317".to_owned()),
        log_level: tracing::Level::DEBUG,
        log_format: LogFormat::Text,
        sample_ratio: 0.0,
    };
    assert_eq!(config.telemetry, telemetry);
    assert_eq!(config.registry.poll(), ms(1000));
    assert!(!format!("{config:?}").contains("hidden"), "the URL is not printed");
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

#[test]
fn all_problems_are_told_at_once_with_line_key_and_remedy() {
    let folder = Folder::new();
    folder.file("signing.key", "", 0o640);
    let text = "[listen]\naddress = \"localhost:7443\"\nport = 1\n[store]\nengine = \"sqlite\"\n\
                [signing]\nkey_file = \"signing.key\"\n[limits]\nmax_in_flight = 0\n[limit]\n";
    let error = folder.load(text).unwrap_err();
    let path = folder.path("gavah.toml");
    let key = folder.path("signing.key");
    let expected = [
        format!("{}", path.display()),
        "  line 2: listen.address: must be an IP address with port, such as 127.0.0.1:7443 or [::]:7443".to_owned(),
        "  line 3: listen.port: unknown; the keys of [listen] are address, probes_address".to_owned(),
        format!(
            "  line 7: signing.key_file: {key} holds a secret and is open to others (mode 0640); run chmod 600 {key}",
            key = key.display()
        ),
        "  line 9: limits.max_in_flight: must be 1 to 4294967295".to_owned(),
        "  line 10: limit: unknown; the sections are listen, tls, store, signing, audit, limits, telemetry, registry"
            .to_owned(),
        "  tls.certificate_file: missing; it must name the file of the server's certificate".to_owned(),
        "  tls.key_file: missing; it must name the file of the server's private key".to_owned(),
        "  tls.client_ca_file: missing; it must name the file of the authorities whose clients are let in".to_owned(),
        "  tls.crl_files: missing; it must name the files of the revocation lists, one list for every authority"
            .to_owned(),
        "  tls.trust_domain: missing; it must name the trust domain of the callers' certificates".to_owned(),
        "  store.path: missing; it must name the file of the database".to_owned(),
        "  audit.subject_hash_key_file: missing; it must name the file of the key that hides persons in the audit log"
            .to_owned(),
    ];
    let told = error.to_string();
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_told_as_such() {
    let folder = Folder::new();
    let missing = Config::load(&folder.path("none.toml")).unwrap_err();
    assert!(missing.to_string().ends_with("none.toml cannot be read: No such file or directory (os error 2)"));
    let error = folder.load(&format!("{MINIMAL}\n[limits]\nmax_in_flight = = 3\n")).unwrap_err();
    let [Problem { line: Some(17), text, .. }] = &error.problems[..] else { panic!("{error}") };
    assert!(text.starts_with("not TOML: "), "{text}");
    folder.file("gavah.toml", "", 0o644);
    fs::write(folder.path("gavah.toml"), [0xff]).unwrap();
    assert!(Config::load(&folder.path("gavah.toml")).is_err());
}

#[test]
fn files_must_be_there_and_be_files() {
    let folder = Folder::new();
    for (from, key) in [
        ("\"server.pem\"", "tls.certificate_file"),
        ("\"server.key\"", "tls.key_file"),
        ("\"client-ca.pem\"", "tls.client_ca_file"),
        ("\"client-ca.crl\"", "tls.crl_files"),
        ("\"signing.key\"", "signing.key_file"),
        ("\"subject-hash.key\"", "audit.subject_hash_key_file"),
    ] {
        let (found, text) = folder.problem(&replaced(from, "\"none\""));
        assert_eq!(found, key);
        assert!(text.ends_with("none: No such file or directory (os error 2)"), "{text}");
        let (found, text) = folder.problem(&replaced(from, "\".\""));
        assert_eq!(found, key);
        assert!(text.ends_with(" is not a file"), "{text}");
        let (found, _) = folder.problem(&replaced(from, "7"));
        assert_eq!(found, key);
    }
    assert!(folder.problem(&replaced("\"server.pem\"", "\"\"")).1.starts_with("must name the file"));
    assert!(folder.problem(&replaced("[\"client-ca.crl\"]", "[]")).1.starts_with("must name the files"));
    let (_, text) = folder.problem(&replaced("[\"client-ca.crl\"]", "[\"client-ca.crl\", 7]"));
    assert_eq!(text, "must be a list of texts in quotation marks");
}

#[test]
fn secrets_that_others_could_read_are_refused() {
    let folder = Folder::new();
    let postgres = replaced("engine = \"sqlite\"\npath = \"gavah.sqlite\"", "engine = \"postgres\"\nurl_file = \"database.url\"");
    assert!(folder.load(&postgres).is_ok());
    for (name, key) in [
        ("server.key", "tls.key_file"),
        ("signing.key", "signing.key_file"),
        ("subject-hash.key", "audit.subject_hash_key_file"),
        ("database.url", "store.url_file"),
    ] {
        for mode in [0o604, 0o640, 0o660, 0o601] {
            fs::set_permissions(folder.path(name), fs::Permissions::from_mode(mode)).unwrap();
            let (found, text) = folder.problem(&postgres);
            assert_eq!(found, key);
            assert!(text.contains(&format!("(mode {mode:04o}); run chmod 600 ")), "{text}");
        }
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_secret_in_the_file_itself_is_refused_and_not_repeated() {
    let folder = Folder::new();
    let inline = replaced("path = \"gavah.sqlite\"", "url = \"postgres://gavah:hidden@db/gavah\"")
        .replace("\"sqlite\"", "\"postgres\"");
    let error = folder.load(&inline).unwrap_err().to_string();
    assert!(error.contains("store.url: unknown; secrets lie in files of their own, write url_file"), "{error}");
    assert!(!error.contains("hidden"), "{error}");
    folder.file("database.url", "mysql://gavah:hidden@db/gavah", 0o600);
    let other = inline.replace("url = \"postgres://gavah:hidden@db/gavah\"", "url_file = \"database.url\"");
    let (key, text) = folder.problem(&other);
    assert_eq!(key, "store.url_file");
    assert!(text.ends_with("must hold one URL that begins with postgres://") && !text.contains("hidden"), "{text}");
}

#[test]
fn each_engine_has_its_own_key() {
    let folder = Folder::new();
    let (key, _) = folder.problem(&with("store", "url_file = \"database.url\""));
    assert_eq!(key, "store.url_file");
    let problems = folder.problems(&replaced("\"sqlite\"", "\"postgres\""));
    let keys: Vec<_> = problems.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["store.path", "store.url_file"]);
    assert_eq!(folder.problem(&replaced("engine = \"sqlite\"\n", "")).0, "store.engine");
    assert_eq!(folder.problem(&replaced("\"sqlite\"", "\"mysql\"")).1, "must be \"sqlite\" or \"postgres\"");
    let (_, text) = folder.problem(&replaced("\"gavah.sqlite\"", "\"none/gavah.sqlite\""));
    assert!(text.ends_with("none does not exist; make it"), "{text}");
    fs::create_dir(folder.path("data")).unwrap();
    let (_, text) = folder.problem(&replaced("\"gavah.sqlite\"", "\"data\""));
    assert!(text.ends_with("is a folder; name a file in it"), "{text}");
}

#[test]
fn values_out_of_bounds_are_refused() {
    let folder = Folder::new();
    let counts = [
        "max_connections", "max_connections_per_peer", "handshake_timeout_ms", "max_in_flight", "max_concurrent_streams",
        "concurrency_per_connection", "message_bytes", "bulk_message_bytes", "default_deadline_ms", "max_deadline_ms",
        "drain_grace_ms",
    ];
    for (section, keys) in [
        ("limits", &counts[..]),
        ("store", &["connections", "acquire_timeout_ms", "statement_timeout_ms", "transaction_timeout_ms", "commit_timeout_ms"]),
        ("registry", &["poll_ms"]),
    ] {
        for key in keys {
            for value in ["0", "-1", "1.5", "\"9\"", "99999999999999999999", "4294967296"] {
                let (found, text) = folder.problem(&with(section, &format!("{key} = {value}")));
                assert_eq!(found, format!("{section}.{key}"));
                assert!(text.starts_with("must be "), "{key} = {value}: {text}");
            }
        }
    }
    for (section, line, expected) in [
        ("registry", "poll_ms = 1001", "must be 1 to 1000"),
        ("limits", "bulk_message_bytes = 65535", "must not be less than limits.message_bytes"),
        ("limits", "default_deadline_ms = 60001", "must not be more than limits.max_deadline_ms"),
        ("limits", "max_deadline_ms = 9999", "must not be more than limits.max_deadline_ms"),
        ("telemetry", "sample_ratio = 1.01", "must be 0.0 to 1.0"),
        ("telemetry", "sample_ratio = nan", "must be 0.0 to 1.0"),
        ("telemetry", "log_format = \"xml\"", "must be \"json\" or \"text\""),
        ("telemetry", "log_level = \"sqlx=debug\"", "must be \"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\""),
        ("listen", "probes_address = \"127.0.0.1:7443\"", "is the same as listen.address; take another port"),
        ("listen", "address = \"127.0.0.1\"", "must be an IP address with port, such as 127.0.0.1:7443 or [::]:7443"),
    ] {
        assert_eq!(folder.problem(&with(section, line)).1, expected, "{line}");
    }
}

#[test]
fn traces_leave_for_this_machine_only() {
    let folder = Folder::new();
    let telemetry = |endpoint: &str| with("telemetry", &format!("otlp_endpoint = \"{endpoint}\""));
    for good in ["http://127.0.0.1:4317", "http://localhost:4317", "http://[::1]:4317/"] {
        assert!(folder.load(&telemetry(good)).is_ok(), "{good}");
    }
    for bad in ["", "127.0.0.1:4317", "https://127.0.0.1:4317", "http://127.0.0.1", "http://collector:4317", "http://10.0.0.1:4317", "http://localhost:1/v1/traces"] {
        assert_eq!(folder.problem(&telemetry(bad)).0, "telemetry.otlp_endpoint", "{bad}");
    }
}

#[test]
fn trust_domains_are_lower_case_names() {
    let folder = Folder::new();
    for bad in ["", "Gavah.test", "gavah.test/caller", "spiffe://gavah.test", "گواه", &"a".repeat(256)] {
        let (key, _) = folder.problem(&replaced("gavah.test", bad));
        assert_eq!(key, "tls.trust_domain", "{bad}");
    }
}

/// The shipped sample with its state in `folder`.
fn sample(folder: &Folder, text: &str) -> String {
    text.replace("/var/lib/gavah", folder.0.path().to_str().unwrap())
}

#[test]
fn the_shipped_samples_are_good_and_state_the_defaults() {
    let folder = Folder::new();
    let minimal = folder.load(MINIMAL).unwrap();
    for (engine, text) in SAMPLES {
        let as_shipped = folder.load(&sample(&folder, text)).unwrap();
        // Every optional key, as the sample shows it.
        let spelled_out: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_ne!(spelled_out, text);
        let mut spelled_out = folder.load(&sample(&folder, &spelled_out)).unwrap();
        assert_eq!(spelled_out.telemetry.otlp_endpoint.take().as_deref(), Some("http://127.0.0.1:4317"));
        assert_eq!(spelled_out, as_shipped, "{engine}: a default is not what the sample says");
        assert_eq!((as_shipped.limits, as_shipped.telemetry), (minimal.limits, minimal.telemetry.clone()));
        assert_eq!(as_shipped.store.limits(), minimal.store.limits());
        match (engine, as_shipped.store.store_config()) {
            ("sqlite", StoreConfig::Sqlite { path }) => assert_eq!(path, folder.path("gavah.sqlite")),
            ("postgres", StoreConfig::Postgres { url }) => assert!(url.starts_with("postgres://")),
            (engine, config) => panic!("{engine}: {config:?}"),
        }
    }
}

#[test]
fn the_shipped_samples_show_every_key() {
    let folder = Folder::new();
    for (engine, text) in SAMPLES {
        let other = if engine == "sqlite" { "store.url_file" } else { "store.path" };
        let mut section = "";
        let mut shown = vec![other.to_owned()];
        for line in text.lines() {
            let line = line.strip_prefix("# ").unwrap_or(line);
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
            } else if let Some((key, _)) = line.split_once(" = ") {
                shown.push(format!("{section}.{key}"));
            }
        }
        let mut keys = sections::read(&sample(&folder, text), folder.0.path()).keys;
        keys.sort();
        shown.sort();
        assert_eq!(shown, keys, "{engine}");
    }
}
