//! What is refused, and how it is told.

use super::*;

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
        "  line 10: limit: unknown; the sections are listen, tls, store, objects, signing, audit, limits, telemetry, registry, cache, budgets, payment, runtime, sandbox"
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
    assert!(
        missing
            .to_string()
            .ends_with("none.toml cannot be read: No such file or directory (os error 2)")
    );
    let error = folder
        .load(&format!("{MINIMAL}\n[limits]\nmax_in_flight = = 3\n"))
        .unwrap_err();
    let [
        Problem {
            line: Some(17),
            text,
            ..
        },
    ] = &error.problems[..]
    else {
        panic!("{error}")
    };
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
        assert!(
            text.ends_with("none: No such file or directory (os error 2)"),
            "{text}"
        );
        let (found, text) = folder.problem(&replaced(from, "\".\""));
        assert_eq!(found, key);
        assert!(text.ends_with(" is not a file"), "{text}");
        let (found, _) = folder.problem(&replaced(from, "7"));
        assert_eq!(found, key);
    }
    assert!(
        folder
            .problem(&replaced("\"server.pem\"", "\"\""))
            .1
            .starts_with("must name the file")
    );
    assert!(
        folder
            .problem(&replaced("[\"client-ca.crl\"]", "[]"))
            .1
            .starts_with("must name the files")
    );
    let (_, text) = folder.problem(&replaced("[\"client-ca.crl\"]", "[\"client-ca.crl\", 7]"));
    assert_eq!(text, "must be a list of texts in quotation marks");
}

#[test]
fn secrets_that_others_could_read_are_refused() {
    let folder = Folder::new();
    let postgres = replaced(
        "engine = \"sqlite\"\npath = \"gavah.sqlite\"",
        "engine = \"postgres\"\nurl_file = \"database.url\"",
    );
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
            assert!(
                text.contains(&format!("(mode {mode:04o}); run chmod 600 ")),
                "{text}"
            );
        }
        fs::set_permissions(folder.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn a_secret_in_the_file_itself_is_refused_and_not_repeated() {
    let folder = Folder::new();
    let inline = replaced(
        "path = \"gavah.sqlite\"",
        "url = \"postgres://gavah:hidden@db/gavah\"",
    )
    .replace("\"sqlite\"", "\"postgres\"");
    let error = folder.load(&inline).unwrap_err().to_string();
    assert!(
        error.contains("store.url: unknown; secrets lie in files of their own, write url_file"),
        "{error}"
    );
    assert!(!error.contains("hidden"), "{error}");
    folder.file("database.url", "mysql://gavah:hidden@db/gavah", 0o600);
    let other = inline.replace(
        "url = \"postgres://gavah:hidden@db/gavah\"",
        "url_file = \"database.url\"",
    );
    let (key, text) = folder.problem(&other);
    assert_eq!(key, "store.url_file");
    assert!(
        text.ends_with("must hold one URL that begins with postgres://")
            && !text.contains("hidden"),
        "{text}"
    );
}

#[test]
fn each_engine_has_its_own_key() {
    let folder = Folder::new();
    let (key, _) = folder.problem(&with("store", "url_file = \"database.url\""));
    assert_eq!(key, "store.url_file");
    let problems = folder.problems(&replaced("\"sqlite\"", "\"postgres\""));
    let keys: Vec<_> = problems.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["store.path", "store.url_file"]);
    assert_eq!(
        folder.problem(&replaced("engine = \"sqlite\"\n", "")).0,
        "store.engine"
    );
    assert_eq!(
        folder.problem(&replaced("\"sqlite\"", "\"mysql\"")).1,
        "must be \"sqlite\" or \"postgres\""
    );
    let (_, text) = folder.problem(&replaced("\"gavah.sqlite\"", "\"none/gavah.sqlite\""));
    assert!(text.ends_with("none does not exist; make it"), "{text}");
    fs::create_dir(folder.path("data")).unwrap();
    let (_, text) = folder.problem(&replaced("\"gavah.sqlite\"", "\"data\""));
    assert!(text.ends_with("is a folder; name a file in it"), "{text}");
}

#[test]
fn files_have_an_engine_of_their_own_with_its_own_keys() {
    let folder = Folder::new();
    let with = |lines: &str| folder.problems(&with("objects", lines));
    let keys = |problems: Vec<(String, String)>| {
        let keys: Vec<_> = problems.into_iter().map(|(key, _)| key).collect();
        keys.join(" ")
    };
    assert_eq!(keys(with("engine = \"nfs\"")), "objects.engine");
    assert_eq!(keys(with("bucket = \"gavah\"")), "objects.bucket");
    assert_eq!(keys(with("path = \"none/objects\"")), "objects.path");
    assert_eq!(keys(with("path = \"gavah.toml\"")), "objects.path");
    let s3 = "engine = \"s3\"\npath = \"objects\"\nendpoint = \"http://objects.example\"";
    assert_eq!(
        keys(with(s3)),
        "objects.path objects.endpoint objects.region objects.bucket objects.access_key_id \
         objects.secret_access_key_file"
    );
}

#[test]
fn values_out_of_bounds_are_refused() {
    let folder = Folder::new();
    let counts = [
        "max_connections",
        "max_connections_per_peer",
        "handshake_timeout_ms",
        "max_in_flight",
        "max_concurrent_streams",
        "concurrency_per_connection",
        "message_bytes",
        "bulk_message_bytes",
        "default_deadline_ms",
        "max_deadline_ms",
        "drain_grace_ms",
    ];
    for (section, keys) in [
        ("limits", &counts[..]),
        (
            "store",
            &[
                "connections",
                "acquire_timeout_ms",
                "statement_timeout_ms",
                "transaction_timeout_ms",
                "commit_timeout_ms",
            ],
        ),
        ("registry", &["poll_ms"]),
        (
            "budgets",
            &[
                "negative_lookups_per_day",
                "subjects_per_day",
                "hub_negative_lookups_per_day",
                "hub_subjects_per_day",
            ],
        ),
    ] {
        for key in keys {
            for value in [
                "0",
                "-1",
                "1.5",
                "\"9\"",
                "99999999999999999999",
                "4294967296",
            ] {
                let (found, text) = folder.problem(&with(section, &format!("{key} = {value}")));
                assert_eq!(found, format!("{section}.{key}"));
                assert!(text.starts_with("must be "), "{key} = {value}: {text}");
            }
        }
    }
    for (section, line, expected) in [
        ("registry", "poll_ms = 1001", "must be 1 to 1000"),
        ("runtime", "shards = 257", "must be 0 to 256"),
        (
            "limits",
            "bulk_message_bytes = 65535",
            "must not be less than limits.message_bytes",
        ),
        (
            "limits",
            "default_deadline_ms = 60001",
            "must not be more than limits.max_deadline_ms",
        ),
        (
            "limits",
            "max_deadline_ms = 9999",
            "must not be more than limits.max_deadline_ms",
        ),
        (
            "budgets",
            "hub_negative_lookups_per_day = 9999",
            "must not be less than budgets.negative_lookups_per_day",
        ),
        (
            "budgets",
            "subjects_per_day = 51\nhub_subjects_per_day = 50",
            "must not be less than budgets.subjects_per_day",
        ),
        ("telemetry", "sample_ratio = 1.01", "must be 0.0 to 1.0"),
        ("telemetry", "sample_ratio = nan", "must be 0.0 to 1.0"),
        (
            "telemetry",
            "log_format = \"xml\"",
            "must be \"json\" or \"text\"",
        ),
        (
            "telemetry",
            "log_level = \"sqlx=debug\"",
            "must be \"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\"",
        ),
        (
            "listen",
            "probes_address = \"127.0.0.1:7443\"",
            "is the same as listen.address; take another port",
        ),
        (
            "listen",
            "address = \"127.0.0.1\"",
            "must be an IP address with port, such as 127.0.0.1:7443 or [::]:7443",
        ),
    ] {
        assert_eq!(folder.problem(&with(section, line)).1, expected, "{line}");
    }
}

#[test]
fn traces_leave_for_this_machine_only() {
    let folder = Folder::new();
    let telemetry = |endpoint: &str| with("telemetry", &format!("otlp_endpoint = \"{endpoint}\""));
    for good in [
        "http://127.0.0.1:4317",
        "http://localhost:4317",
        "http://[::1]:4317/",
    ] {
        assert!(folder.load(&telemetry(good)).is_ok(), "{good}");
    }
    for bad in [
        "",
        "127.0.0.1:4317",
        "https://127.0.0.1:4317",
        "http://127.0.0.1",
        "http://collector:4317",
        "http://10.0.0.1:4317",
        "http://localhost:1/v1/traces",
    ] {
        assert_eq!(
            folder.problem(&telemetry(bad)).0,
            "telemetry.otlp_endpoint",
            "{bad}"
        );
    }
}

#[test]
fn trust_domains_are_lower_case_names() {
    let folder = Folder::new();
    for bad in [
        "",
        "Gavah.test",
        "gavah.test/caller",
        "spiffe://gavah.test",
        "گواه",
        &"a".repeat(256),
    ] {
        let (key, _) = folder.problem(&replaced("gavah.test", bad));
        assert_eq!(key, "tls.trust_domain", "{bad}");
    }
}

#[test]
fn a_clock_is_movable_only_where_nothing_marks_production() {
    let folder = Folder::new();
    let movable = "[sandbox]\nmovable_clock = true\n";
    assert!(folder.load(&format!("{MINIMAL}{movable}")).is_ok());
    let production = format!("{MINIMAL}[runtime]\nenvironment = \"production\"\n");
    assert!(folder.load(&production).is_ok());
    let (key, text) = folder.problem(&format!("{production}{movable}"));
    assert_eq!(key, "sandbox.movable_clock");
    assert!(text.contains("runtime.environment"), "{text}");

    let url = "postgres://gavah:hidden@db.example/gavah?sslmode=verify-full\n";
    folder.file("remote.url", url, 0o400);
    let remote = replaced(
        "engine = \"sqlite\"\npath = \"gavah.sqlite\"",
        "engine = \"postgres\"\nurl_file = \"remote.url\"",
    );
    assert!(folder.load(&remote).is_ok());
    let (key, text) = folder.problem(&format!("{remote}{movable}"));
    assert_eq!(key, "sandbox.movable_clock");
    assert!(text.contains("database on another machine"), "{text}");
    let still = movable.replace("true", "false");
    assert!(folder.load(&format!("{production}{still}")).is_ok());
    let (key, _) = folder.problem(&format!("{MINIMAL}[runtime]\nenvironment = \"prod\"\n"));
    assert_eq!(key, "runtime.environment");
}

#[test]
fn a_gateway_is_reached_over_tls_and_its_secrets_are_its_owners() {
    let folder = Folder::new();
    let merchant = "[payment]\nmerchant_id_file = \"zarinpal.merchant\"\n";
    assert!(folder.load(&format!("{MINIMAL}{merchant}")).is_ok());
    for (line, key) in [
        ("base_url = \"http://gateway.example\"", "payment.base_url"),
        ("refund_url = \"ftp://127.0.0.1\"", "payment.refund_url"),
        (
            "access_token_file = \"missing\"",
            "payment.access_token_file",
        ),
        ("timeout_ms = 0", "payment.timeout_ms"),
        ("timeout_ms = 30001", "payment.timeout_ms"),
        ("connect_timeout_ms = 30001", "payment.connect_timeout_ms"),
    ] {
        let (found, _) = folder.problem(&format!("{MINIMAL}{merchant}{line}\n"));
        assert_eq!(found, key);
    }
    folder.file("zarinpal.merchant", "", 0o640);
    let (key, _) = folder.problem(&format!("{MINIMAL}{merchant}"));
    assert_eq!(key, "payment.merchant_id_file");
}

#[test]
fn forwarders_are_named_by_whole_fingerprints() {
    let folder = Folder::new();
    let digest = "0123456789abcdef".repeat(4);
    let pinned = |list: &str| {
        let line = format!("trust_domain = \"gavah.test\"\nforwarder_fingerprints = {list}");
        replaced("trust_domain = \"gavah.test\"", &line)
    };
    let config = folder.load(&pinned(&format!("[\"{digest}\"]"))).unwrap();
    assert_eq!(config.tls.forwarder_fingerprints, [digest.as_str()]);
    for wrong in [
        format!("[\"{}\"]", &digest[1..]),
        format!("[\"{}\"]", digest.to_uppercase()),
        format!("\"{digest}\""),
    ] {
        let (key, _) = folder.problem(&pinned(&wrong));
        assert_eq!(key, "tls.forwarder_fingerprints", "{wrong}");
    }
}
