//! The configuration as a value: read once from a TOML file, checked as a whole before anything is opened or bound.
//!
//! Relative paths count from the folder of the file. Secrets are never written into the file: the file names other
//! files (`…_file`), and those that hold secrets must be readable by their owner only. [`Config::load`] reports every
//! problem at once, unknown keys included.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use gavah_gateway::ZarinpalConfig;
use gavah_objects::ObjectsConfig;
use gavah_store::{StoreConfig, StoreLimits};

use crate::transport::{self, TlsFiles};

mod checks;
mod reader;
mod sections;
#[cfg(test)]
mod tests;

/// The longest that a payment gateway may be waited for, in milliseconds: an officer who says what became of a refund must
/// not be overtaken by the gateway's answer.
pub(crate) const GATEWAY_TIME_MS: u64 = 30_000;

/// Everything the service is told from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[listen]`
    pub listen: ListenConfig,
    /// `[tls]`
    pub tls: TlsConfig,
    /// `[store]`
    pub store: StoreSection,
    /// `[objects]`
    pub objects: ObjectsConfig,
    /// `[signing]`
    pub signing: SigningConfig,
    /// `[audit]`
    pub audit: AuditConfig,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
    /// `[registry]`
    pub registry: RegistryConfig,
    /// `[cache]`
    pub cache: CacheConfig,
    /// `[budgets]`
    pub budgets: BudgetsConfig,
    /// `[payment]`: the gateway; none where no payments are taken.
    pub payment: Option<ZarinpalConfig>,
    /// `[runtime]`
    pub runtime: RuntimeConfig,
    /// `[sandbox]`
    pub sandbox: SandboxConfig,
}

/// What a node remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheConfig {
    /// Memory for documents that were validated, in bytes; 0 remembers none.
    pub verdict_bytes: u64,
}

/// What each caller may look up in a day, from midnight to midnight in Tehran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetsConfig {
    /// Codes, and persons named with them, that were guessed wrong.
    pub negative_lookups_per_day: usize,
    /// Distinct persons named in questions.
    pub subjects_per_day: usize,
    /// As the first, of the national hub on behalf of all agencies together; each agency has what a caller has.
    pub hub_negative_lookups_per_day: usize,
    /// As the second, of the national hub on behalf of all agencies together.
    pub hub_subjects_per_day: usize,
}

/// Where the service listens. Port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenConfig {
    /// gRPC over mutual TLS.
    pub address: SocketAddr,
    /// Liveness, readiness and metrics over plain HTTP.
    pub probes_address: SocketAddr,
}

/// The TLS material and the trust domain in which callers are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    files: TlsFiles,
    /// `example.org` in `spiffe://example.org/caller/window`.
    pub trust_domain: String,
    /// SHA-256 of the certificates of the forwarders that may bring the certificates of others, in lower-case hexadecimal.
    pub forwarder_fingerprints: Vec<String>,
}

impl TlsConfig {
    /// The files, as the transport takes them.
    #[must_use]
    pub fn files(&self) -> TlsFiles {
        self.files.clone()
    }
}

/// The database, its pool and its time limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSection {
    config: StoreConfig,
    limits: StoreLimits,
}

impl StoreSection {
    /// Which database, as the store takes it.
    #[must_use]
    pub fn store_config(&self) -> StoreConfig {
        self.config.clone()
    }

    /// Pool and time limits, as the store takes them.
    #[must_use]
    pub const fn limits(&self) -> StoreLimits {
        self.limits
    }
}

/// The key that signs enrollment certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningConfig {
    /// Its file; nobody but the owner has access.
    pub key_file: PathBuf,
}

/// How persons are named in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// File of the key of the hash that stands for a person; nobody but the owner has access.
    pub subject_hash_key_file: PathBuf,
}

/// Bounds on what callers may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsConfig {
    max_connections: usize,
    max_connections_per_peer: usize,
    handshake_timeout: Duration,
    /// Calls of all connections that are worked on at the same time; beyond them a call is refused as overload.
    pub max_in_flight: usize,
    /// Calls which a connection may have open, as told to the client.
    pub max_concurrent_streams: u32,
    /// Calls of a connection that are worked on at the same time.
    pub concurrency_per_connection: usize,
    /// Largest request message, in bytes.
    pub message_bytes: usize,
    /// Largest request message of the bulk services, in bytes.
    pub bulk_message_bytes: usize,
    default_deadline: Duration,
    max_deadline: Duration,
    drain_grace: Duration,
}

impl LimitsConfig {
    /// The bounds of the accept loop.
    #[must_use]
    pub const fn transport(&self) -> transport::Limits {
        transport::Limits {
            max_connections: self.max_connections,
            max_connections_per_peer: self.max_connections_per_peer,
            handshake_timeout: self.handshake_timeout,
        }
    }

    /// Time for a call that states no deadline.
    #[must_use]
    pub const fn default_deadline(&self) -> Duration {
        self.default_deadline
    }

    /// Time for any call, whatever it states.
    #[must_use]
    pub const fn max_deadline(&self) -> Duration {
        self.max_deadline
    }

    /// Time for open calls to finish when the service stops.
    #[must_use]
    pub const fn drain_grace(&self) -> Duration {
        self.drain_grace
    }
}

/// How closely the registry of callers is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryConfig {
    poll: Duration,
}

impl RegistryConfig {
    /// How often the registry in memory is compared with the store; at most a second, because a caller that is paused
    /// must be refused within that time.
    #[must_use]
    pub const fn poll(&self) -> Duration {
        self.poll
    }
}

/// How the service uses the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// 0 for one for each core.
    shards: usize,
    /// Whether what is issued is meant.
    production: bool,
}

impl RuntimeConfig {
    /// Threads on which connections live; as many as the process has cores unless said otherwise.
    #[must_use]
    pub fn shards(&self) -> NonZero<usize> {
        NonZero::new(self.shards)
            .or_else(|| available_parallelism().ok())
            .unwrap_or(NonZero::<usize>::MIN)
    }
}

/// What only a sandbox may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Whether officers may move the time that the service goes by.
    pub movable_clock: bool,
}

/// What is told about the service's own doings, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetryConfig {
    /// `http://127.0.0.1:4317`: a collector of traces on this machine (OTLP over gRPC); without one no trace leaves
    /// the process.
    pub otlp_endpoint: Option<String>,
    /// The least severe level that is logged.
    pub log_level: tracing::Level,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which part of the traces that begin here is exported, 0 to 1. Traces that callers began follow the caller.
    pub sample_ratio: f64,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading at a terminal.
    Text,
}

/// Everything that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration file.
    pub file: PathBuf,
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; none for what is missing.
    pub line: Option<usize>,
    /// `limits.max_connections`; empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong; never quotes a value that could be a secret.
    pub text: String,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem found.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let failed = |problems| ConfigError {
            file: path.to_owned(),
            problems,
        };
        let unreadable = |error: std::io::Error| {
            failed(vec![Problem {
                line: None,
                key: String::new(),
                text: format!("cannot be read: {error}"),
            }])
        };
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let text = std::fs::read_to_string(&absolute).map_err(unreadable)?;
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        sections::read(&text, folder).result.map_err(failed)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match &self.problems[..] {
            [only] if only.key.is_empty() && only.line.is_none() => write!(f, " {}", only.text),
            problems => problems
                .iter()
                .try_for_each(|problem| write!(f, "\n  {problem}")),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for ConfigError {}
