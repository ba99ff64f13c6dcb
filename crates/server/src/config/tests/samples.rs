//! The configurations shipped in `deploy/`.

use super::*;

const SAMPLES: [(&str, &str); 2] = [
    (
        "sqlite",
        include_str!("../../../../../deploy/gavah.sqlite.toml"),
    ),
    (
        "postgres",
        include_str!("../../../../../deploy/gavah.postgres.toml"),
    ),
];

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
                Some(key)
                    if key
                        .split_once(" = ")
                        .is_some_and(|(key, _)| !key.contains(' ')) =>
                {
                    format!("{key}\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        assert_ne!(spelled_out, text);
        let mut spelled_out = folder.load(&sample(&folder, &spelled_out)).unwrap();
        assert_eq!(
            spelled_out.telemetry.otlp_endpoint.take().as_deref(),
            Some("http://127.0.0.1:4317")
        );
        let payment = spelled_out.payment.take().unwrap();
        assert_eq!(payment.base_url, "https://payment.zarinpal.com");
        assert_eq!(
            payment.refund_url,
            "https://next.zarinpal.com/api/v4/graphql"
        );
        assert_eq!(
            (payment.connect_timeout, payment.timeout),
            (Duration::from_secs(3), Duration::from_secs(8))
        );
        assert_eq!(
            spelled_out, as_shipped,
            "{engine}: a default is not what the sample says"
        );
        assert_eq!(
            (as_shipped.limits, as_shipped.telemetry),
            (minimal.limits, minimal.telemetry.clone())
        );
        assert_eq!(as_shipped.store.limits(), minimal.store.limits());
        match (engine, as_shipped.store.store_config()) {
            ("sqlite", StoreConfig::Sqlite { path }) => {
                assert_eq!(path, folder.path("gavah.sqlite"))
            }
            ("postgres", StoreConfig::Postgres { url }) => assert!(url.starts_with("postgres://")),
            (engine, config) => panic!("{engine}: {config:?}"),
        }
    }
}

#[test]
fn the_shipped_samples_show_every_key() {
    let folder = Folder::new();
    for (engine, text) in SAMPLES {
        let other = if engine == "sqlite" {
            "store.url_file"
        } else {
            "store.path"
        };
        let mut section = "";
        let mut shown = vec![other.to_owned()];
        for line in text.lines() {
            // Further in stand the keys of an engine that the sample does not take.
            let line = line.strip_prefix("# ").unwrap_or(line).trim_start();
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'))
            {
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
