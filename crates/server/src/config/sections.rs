//! The sections of the configuration file: their keys, defaults and bounds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use gavah_gateway::ZarinpalConfig;
use gavah_objects::ObjectsConfig;
use gavah_store::{StoreConfig, StoreLimits};
use http::Uri;
use tracing::Level;

use super::reader::{Found, Reader, Reported, Section};
use super::{
    AuditConfig, BudgetsConfig, CacheConfig, Config, GATEWAY_TIME_MS, LimitsConfig, ListenConfig,
    LogFormat, Problem, RegistryConfig, RuntimeConfig, SandboxConfig, SigningConfig, StoreSection,
    TelemetryConfig, TlsConfig,
};
use crate::transport::TlsFiles;

const SECTIONS: [&str; 14] = [
    "listen",
    "tls",
    "store",
    "objects",
    "signing",
    "audit",
    "limits",
    "telemetry",
    "registry",
    "cache",
    "budgets",
    "payment",
    "runtime",
    "sandbox",
];

const PORT: u16 = 7443;
const PROBES_PORT: u16 = 7480;

/// For how many agencies the hub's own budgets are enough unless they are stated.
const AGENCIES: usize = 20;

/// A caller that is paused or whose certificate is retired is refused within this time.
const LONGEST_POLL_MS: u64 = 1000;

/// More memory than any machine of a node has.
const MOST_REMEMBERED: u64 = 1 << 40;
/// More threads than this serve nobody faster.
const MOST_SHARDS: u64 = 256;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What became of a document.
pub(super) struct Outcome {
    /// The configuration, or at least one problem.
    pub(super) result: Result<Config, Vec<Problem>>,
    /// Every key there is, as `section.key`.
    #[cfg(test)]
    pub(super) keys: Vec<String>,
}

/// Reads a whole document; relative paths count from `folder`.
pub(super) fn read(text: &str, folder: &Path) -> Outcome {
    let mut reader = match Reader::new(text, folder) {
        Ok(reader) => reader,
        Err(problems) => {
            return Outcome {
                result: Err(problems),
                #[cfg(test)]
                keys: Vec::new(),
            };
        }
    };
    let listen = reader.section("listen", listen);
    let tls = reader.section("tls", tls);
    let store = reader.section("store", store);
    let objects = reader.section("objects", objects);
    let signing = reader.section("signing", signing);
    let audit = reader.section("audit", audit);
    let limits = reader.section("limits", limits);
    let telemetry = reader.section("telemetry", telemetry);
    let registry = reader.section("registry", registry);
    let cache = reader.section("cache", cache);
    let budgets = reader.section("budgets", budgets);
    let payment = reader.section("payment", payment);
    let runtime = reader.section("runtime", runtime);
    let production = runtime.as_ref().is_ok_and(|runtime| runtime.production);
    let remote = store.as_ref().is_ok_and(|store| store.config.is_remote());
    let sandbox = reader.section("sandbox", |section| sandbox(section, production, remote));
    reader.finish(&SECTIONS);
    let config = || {
        Ok::<_, Reported>(Config {
            listen: listen?,
            tls: tls?,
            store: store?,
            objects: objects?,
            signing: signing?,
            audit: audit?,
            limits: limits?,
            telemetry: telemetry?,
            registry: registry?,
            cache: cache?,
            budgets: budgets?,
            payment: payment?,
            runtime: runtime?,
            sandbox: sandbox?,
        })
    };
    Outcome {
        result: match config() {
            Ok(config) if reader.problems.is_empty() => Ok(config),
            _ => Err(reader.problems),
        },
        #[cfg(test)]
        keys: reader.keys,
    }
}

fn listen(section: &mut Section<'_, '_>) -> Result<ListenConfig, Reported> {
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let address = section.address("address", local(PORT));
    let span = section.span("probes_address");
    let probes_address = section.address("probes_address", local(PROBES_PORT));
    let listen = ListenConfig {
        address: address?,
        probes_address: probes_address?,
    };
    if listen.address == listen.probes_address && listen.address.port() != 0 {
        return Err(section.wrong(
            "probes_address",
            span,
            "is the same as listen.address; take another port",
        ));
    }
    Ok(listen)
}

fn tls(section: &mut Section<'_, '_>) -> Result<TlsConfig, Reported> {
    let certificate = section.file("certificate_file", "the file of the server's certificate");
    let key = section.secret_file("key_file", "the file of the server's private key");
    let client_ca = section.file(
        "client_ca_file",
        "the file of the authorities whose clients are let in",
    );
    let crls = section.files(
        "crl_files",
        "the files of the revocation lists, one list for every authority",
    );
    let trust_domain = section.require::<String>(
        "trust_domain",
        "the trust domain of the callers' certificates",
    );
    let forwarders = section.take::<Vec<String>>("forwarder_fingerprints");
    let forwarder_fingerprints = match forwarders? {
        None => Vec::new(),
        Some(Found { value, span }) => {
            let digit = |byte: u8| matches!(byte, b'a'..=b'f' | b'0'..=b'9');
            let digest = |text: &String| text.len() == 64 && text.bytes().all(digit);
            if !value.iter().all(digest) {
                let text = "must hold SHA-256 fingerprints of certificates, 64 lower-case hexadecimal digits each";
                return Err(section.wrong("forwarder_fingerprints", span, text));
            }
            value
        }
    };
    let Found {
        value: trust_domain,
        span,
    } = trust_domain?;
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    if trust_domain.is_empty() || trust_domain.len() > 255 || !trust_domain.bytes().all(allowed) {
        let text = "must be of lower-case letters, digits, '.', '-' and '_', such as example.org";
        return Err(section.wrong("trust_domain", span, text));
    }
    Ok(TlsConfig {
        files: TlsFiles {
            certificate: certificate?,
            key: key?,
            client_ca: client_ca?,
            crls: crls?,
        },
        trust_domain,
        forwarder_fingerprints,
    })
}

#[derive(Clone, Copy)]
enum Engine {
    Sqlite,
    Postgres,
}

fn store(section: &mut Section<'_, '_>) -> Result<StoreSection, Reported> {
    let engines = [("sqlite", Engine::Sqlite), ("postgres", Engine::Postgres)];
    let config = match section.word("engine", &engines) {
        Ok(Some(Engine::Sqlite)) => {
            section.not_with("url_file", "is for engine \"postgres\" only; write path");
            let path = section.file_to_be("path", "the file of the database");
            path.map(|path| StoreConfig::Sqlite { path })
        }
        Ok(Some(Engine::Postgres)) => {
            section.not_with("path", "is for engine \"sqlite\" only; write url_file");
            let url = section.secret(
                "url_file",
                "the file that holds the URL of the database",
                postgres_url,
            );
            url.map(|url| StoreConfig::Postgres { url })
        }
        other => {
            // Without an engine nothing can be said about these.
            section.take_any("path");
            section.take_any("url_file");
            other.and_then(|_| {
                Err(section.missing("engine", "the database: \"sqlite\" or \"postgres\""))
            })
        }
    };
    let default = StoreLimits::default();
    let connections = section.count("connections", default.connections);
    let acquire = section.millis("acquire_timeout_ms", default.acquire);
    let statement = section.millis("statement_timeout_ms", default.statement);
    let transaction = section.millis("transaction_timeout_ms", default.transaction);
    let commit = section.millis("commit_timeout_ms", default.commit);
    let limits = StoreLimits {
        connections: connections?,
        acquire: acquire?,
        statement: statement?,
        transaction: transaction?,
        commit: commit?,
    };
    Ok(StoreSection {
        config: config?,
        limits,
    })
}

#[derive(Clone, Copy)]
enum Files {
    Local,
    S3,
}

fn objects(section: &mut Section<'_, '_>) -> Result<ObjectsConfig, Reported> {
    let of_s3 = [
        "endpoint",
        "region",
        "bucket",
        "access_key_id",
        "secret_access_key_file",
    ];
    match section.word("engine", &[("local", Files::Local), ("s3", Files::S3)]) {
        Ok(None | Some(Files::Local)) => {
            for key in of_s3 {
                section.not_with(key, "is for engine \"s3\" only; write path");
            }
            let path = section.folder_to_be("path", "objects")?;
            Ok(ObjectsConfig::Local { path })
        }
        Ok(Some(Files::S3)) => {
            section.not_with("path", "is for engine \"local\" only; write endpoint");
            let endpoint = objects_endpoint(section);
            let region = section.text("region", "the region of the bucket");
            let bucket = section.text("bucket", "the bucket");
            let id = section.text("access_key_id", "the id of the access key");
            let what = "the file that holds the access key";
            let secret = section.secret("secret_access_key_file", what, |key| match key {
                "" => Err("is empty"),
                _ => Ok(()),
            });
            Ok(ObjectsConfig::S3 {
                endpoint: endpoint?,
                region: region?,
                bucket: bucket?,
                access_key_id: id?,
                secret_access_key: secret?,
            })
        }
        Err(reported) => {
            // Without an engine nothing can be said about these.
            for key in of_s3.into_iter().chain(["path"]) {
                section.take_any(key);
            }
            Err(reported)
        }
    }
}

/// Files are about persons: they leave this machine over TLS only.
fn objects_endpoint(section: &mut Section<'_, '_>) -> Result<String, Reported> {
    let found = section.require::<String>("endpoint", "the URL of the store")?;
    https_or_here(section, "endpoint", found)
}

/// An address that is reached over TLS only, unless it is on this machine.
fn https_or_here(
    section: &mut Section<'_, '_>,
    key: &'static str,
    Found { value, span }: Found<String>,
) -> Result<String, Reported> {
    let uri = value.parse::<Uri>().ok();
    let good = uri.is_some_and(|uri| match uri.scheme_str() {
        Some("https") => uri.host().is_some(),
        Some("http") => is_loopback(&uri),
        _ => false,
    });
    match good {
        true => Ok(value),
        false => {
            let text = "must begin with https://, or be on this machine";
            Err(section.wrong(key, span, text))
        }
    }
}

/// Without the merchant's id no payment is taken.
fn payment(section: &mut Section<'_, '_>) -> Result<Option<ZarinpalConfig>, Reported> {
    let merchant = section.optional_secret_file("merchant_id_file");
    let token = section.optional_secret_file("access_token_file");
    let mut address = |key, default: &str| match section.take::<String>(key)? {
        Some(found) => https_or_here(section, key, found),
        None => Ok(default.to_owned()),
    };
    let base_url = address("base_url", "https://payment.zarinpal.com");
    let refund_url = address("refund_url", "https://next.zarinpal.com/api/v4/graphql");
    let connect_timeout = section.number("connect_timeout_ms", 3_000, 1..=GATEWAY_TIME_MS);
    let timeout = section.number("timeout_ms", 8_000, 1..=GATEWAY_TIME_MS);
    let (token, base_url, refund_url) = (token?, base_url?, refund_url?);
    let (connect_timeout, timeout) = (connect_timeout?, timeout?);
    Ok(merchant?.map(|merchant_id_file| ZarinpalConfig {
        base_url,
        refund_url,
        merchant_id_file,
        access_token_file: token,
        connect_timeout: ms(connect_timeout),
        timeout: ms(timeout),
    }))
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn signing(section: &mut Section<'_, '_>) -> Result<SigningConfig, Reported> {
    let key_file =
        section.secret_file("key_file", "the file of the key that signs certificates")?;
    Ok(SigningConfig { key_file })
}

fn audit(section: &mut Section<'_, '_>) -> Result<AuditConfig, Reported> {
    let what = "the file of the key that hides persons in the audit log";
    let subject_hash_key_file = section.secret_file("subject_hash_key_file", what)?;
    Ok(AuditConfig {
        subject_hash_key_file,
    })
}

fn registry(section: &mut Section<'_, '_>) -> Result<RegistryConfig, Reported> {
    let poll = section
        .number("poll_ms", 500, 1..=LONGEST_POLL_MS)
        .map(ms)?;
    Ok(RegistryConfig { poll })
}

fn cache(section: &mut Section<'_, '_>) -> Result<CacheConfig, Reported> {
    let verdict_bytes = section.number("verdict_bytes", 64 * 1024 * 1024, 0..=MOST_REMEMBERED)?;
    Ok(CacheConfig { verdict_bytes })
}

fn budgets(section: &mut Section<'_, '_>) -> Result<BudgetsConfig, Reported> {
    let negatives = section.count("negative_lookups_per_day", 10_000);
    let subjects = section.count("subjects_per_day", 100_000);
    let of_negatives = at_least(
        section,
        "hub_negative_lookups_per_day",
        negatives.as_ref().ok(),
        "must not be less than budgets.negative_lookups_per_day",
    );
    let of_subjects = at_least(
        section,
        "hub_subjects_per_day",
        subjects.as_ref().ok(),
        "must not be less than budgets.subjects_per_day",
    );
    Ok(BudgetsConfig {
        negative_lookups_per_day: negatives?,
        subjects_per_day: subjects?,
        hub_negative_lookups_per_day: of_negatives?,
        hub_subjects_per_day: of_subjects?,
    })
}

/// What the hub may spend for all agencies together: no less than `one` of them, and by default as much as a score of them.
fn at_least(
    section: &mut Section<'_, '_>,
    key: &'static str,
    one: Option<&usize>,
    why: &'static str,
) -> Result<usize, Reported> {
    let one = one.copied().unwrap_or_default();
    let span = section.span(key);
    let all = section.count(key, one.saturating_mul(AGENCIES))?;
    if all < one {
        return Err(section.wrong(key, span, why));
    }
    Ok(all)
}

fn runtime(section: &mut Section<'_, '_>) -> Result<RuntimeConfig, Reported> {
    let shards = section.number("shards", 0, 0..=MOST_SHARDS)?;
    let environments = [("production", true), ("development", false)];
    let production = section.word("environment", &environments)?;
    Ok(RuntimeConfig {
        shards,
        production: production.unwrap_or_default(),
    })
}

/// A clock that can be moved has nothing to do with documents that are meant.
fn sandbox(
    section: &mut Section<'_, '_>,
    production: bool,
    remote: bool,
) -> Result<SandboxConfig, Reported> {
    let Some(Found { value, span }) = section.take::<bool>("movable_clock")? else {
        return Ok(SandboxConfig {
            movable_clock: false,
        });
    };
    let why = match (production, remote) {
        (true, _) => "must not be true with runtime.environment = \"production\"",
        (_, true) => "must not be true with a database on another machine, which marks production",
        _ => {
            return Ok(SandboxConfig {
                movable_clock: value,
            });
        }
    };
    match value {
        true => Err(section.wrong("movable_clock", span, why)),
        false => Ok(SandboxConfig {
            movable_clock: false,
        }),
    }
}

fn postgres_url(url: &str) -> Result<(), &'static str> {
    match url.starts_with("postgres://") || url.starts_with("postgresql://") {
        true => Ok(()),
        false => Err("must hold one URL that begins with postgres://"),
    }
}

fn limits(section: &mut Section<'_, '_>) -> Result<LimitsConfig, Reported> {
    let max_connections = section.count("max_connections", 4096);
    let max_connections_per_peer = section.count("max_connections_per_peer", 256);
    let handshake_timeout = section.millis("handshake_timeout_ms", ms(3_000));
    let max_in_flight = section.count("max_in_flight", 1024);
    let max_concurrent_streams = section.count("max_concurrent_streams", 100);
    let concurrency_per_connection = section.count("concurrency_per_connection", 64);
    let message_bytes = section.count("message_bytes", 64 * 1024);
    let bulk_span = section.span("bulk_message_bytes");
    let bulk_message_bytes = section.count("bulk_message_bytes", 4 * 1024 * 1024);
    let default_span = section.span("default_deadline_ms");
    let default_deadline = section.millis("default_deadline_ms", ms(10_000));
    let max_deadline = section.millis("max_deadline_ms", ms(60_000));
    let drain_grace = section.millis("drain_grace_ms", ms(10_000));
    let limits = LimitsConfig {
        max_connections: max_connections?,
        max_connections_per_peer: max_connections_per_peer?,
        handshake_timeout: handshake_timeout?,
        max_in_flight: max_in_flight?,
        max_concurrent_streams: max_concurrent_streams?,
        concurrency_per_connection: concurrency_per_connection?,
        message_bytes: message_bytes?,
        bulk_message_bytes: bulk_message_bytes?,
        default_deadline: default_deadline?,
        max_deadline: max_deadline?,
        drain_grace: drain_grace?,
    };
    let mut good = Ok(limits);
    if limits.bulk_message_bytes < limits.message_bytes {
        good = Err(section.wrong(
            "bulk_message_bytes",
            bulk_span,
            "must not be less than limits.message_bytes",
        ));
    }
    if limits.default_deadline > limits.max_deadline {
        good = Err(section.wrong(
            "default_deadline_ms",
            default_span,
            "must not be more than limits.max_deadline_ms",
        ));
    }
    good
}

fn telemetry(section: &mut Section<'_, '_>) -> Result<TelemetryConfig, Reported> {
    let otlp_endpoint = otlp_endpoint(section);
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let log_level = section.word("log_level", &levels);
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let log_format = section.word("log_format", &formats);
    let sample_ratio = section.ratio("sample_ratio", 1.0);
    Ok(TelemetryConfig {
        otlp_endpoint: otlp_endpoint?,
        log_level: log_level?.unwrap_or(Level::INFO),
        log_format: log_format?.unwrap_or(LogFormat::Json),
        sample_ratio: sample_ratio?,
    })
}

/// Traces name callers and methods and go out unencrypted, hence only to this machine.
fn otlp_endpoint(section: &mut Section<'_, '_>) -> Result<Option<String>, Reported> {
    let Some(Found { value, span }) = section.take::<String>("otlp_endpoint")? else {
        return Ok(None);
    };
    let local = value.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http")
            && is_loopback(&uri)
            && uri.port_u16().is_some()
            && uri.path() == "/"
    });
    match local {
        true => Ok(Some(value)),
        false => {
            let text = "must be a collector on this machine, such as http://127.0.0.1:4317";
            Err(section.wrong("otlp_endpoint", span, text))
        }
    }
}
