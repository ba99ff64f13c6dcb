//! How a world is described and made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gavah_devpki::{Authority, write};
use gavah_domain::{Clock, JalaliDate, SystemClock, SystemEntropy};
use gavah_evidence::{SubjectHasher, generate_key_file};
use gavah_gateway::simulator::{Simulator, SimulatorConfig};
use gavah_server::config::Config;
use gavah_store::{Seed, Store, StoreLimits};

use super::place::Place;
use super::{CERTIFICATE_LIFETIME, Engine, ShiftedClock, TRUST_DOMAIN, World, lasting, seed};

/// Few connections: many worlds share one PostgreSQL cluster.
const STORE_LIMITS: StoreLimits = StoreLimits {
    connections: 4,
    acquire: Duration::from_secs(30),
    statement: Duration::from_secs(30),
    transaction: Duration::from_secs(30),
    commit: Duration::from_secs(30),
};

/// A world still being described.
#[derive(Debug)]
pub struct WorldBuilder {
    engine: Engine,
    config: toml::Table,
    seed: Seed,
    nodes: usize,
    payments: bool,
}

/// What the simulated gateway knows its merchant by.
const MERCHANT: &str = "00000000-0000-4000-8000-000000000000";

impl WorldBuilder {
    pub(super) fn new(engine: Engine) -> Self {
        let mut config = toml::Table::new();
        for key in ["address", "probes_address"] {
            put(&mut config, "listen", key, "127.0.0.1:0");
        }
        // Changes of the registry are waited for in many tests.
        put(&mut config, "registry", "poll_ms", 50);
        // The log of a test that passes says nothing.
        put(&mut config, "telemetry", "log_level", "error");
        // A busy machine is no failure.
        for (section, key) in [
            ("limits", "default_deadline_ms"),
            ("store", "acquire_timeout_ms"),
            ("store", "statement_timeout_ms"),
            ("store", "transaction_timeout_ms"),
            ("store", "commit_timeout_ms"),
        ] {
            put(&mut config, section, key, 30_000);
        }
        Self {
            engine,
            config,
            seed: seed(JalaliDate::of(SystemClock.now())),
            nodes: 1,
            payments: false,
        }
    }

    /// Lets the servers take payments, at a simulated gateway over real HTTP.
    #[must_use]
    pub fn payments(mut self) -> Self {
        self.payments = true;
        self
    }

    /// Sets a key of the configuration file: `set("limits.message_bytes", 2048)`.
    ///
    /// # Panics
    /// When the key is not `section.key`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        let (section, key) = key.split_once('.').expect("section.key");
        put(&mut self.config, section, key, value);
        self
    }

    /// Changes the reference data before it is loaded.
    #[must_use]
    pub fn seed(mut self, change: impl FnOnce(&mut Seed)) -> Self {
        change(&mut self.seed);
        self
    }

    /// How many servers are started: one unless said otherwise. A world without a server is everything that one needs, for
    /// a test that starts the program itself.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count;
        self
    }

    /// Makes the world and starts its servers.
    ///
    /// # Panics
    /// When anything is missing.
    pub async fn start(mut self) -> World {
        let dir = tempfile::tempdir().expect("a folder");
        let now = SystemClock.now();
        let authority = Authority::create(&dir.path().join("pki"), now).expect("an authority");
        generate_key_file(&dir.path().join("signing.key")).expect("a signing key");
        SubjectHasher::generate_file(&dir.path().join("subject-hash.key")).expect("a hash key");
        let server = authority
            .issue_server(&["localhost", "127.0.0.1"], lasting(CERTIFICATE_LIFETIME))
            .expect("a server's certificate");
        write(&server, authority.dir(), "server").expect("the certificate's files");
        let place = Place::make(self.engine, dir.path()).await;
        place.migrate().await;
        let clock = Arc::<ShiftedClock>::default();
        let gateway = match self.payments {
            true => Some(gateway(dir.path(), &mut self.config, &clock).await),
            false => None,
        };
        write_config(dir.path(), &place, self.config);
        let config = Config::load(&dir.path().join("gavah.toml")).expect("a good configuration");
        let store = Store::open(
            &config.store.store_config(),
            STORE_LIMITS,
            Arc::new(SystemEntropy),
        )
        .await
        .expect("a store");
        let mut world = World {
            dir,
            authority,
            place,
            store,
            clock,
            gateway,
            seed: self.seed,
            nodes: Vec::new(),
        };
        world.fill().await;
        for _ in 0..self.nodes {
            world.add_node().await;
        }
        world
    }
}

/// A simulated gateway, and the configuration that leads there.
async fn gateway(dir: &Path, config: &mut toml::Table, clock: &Arc<ShiftedClock>) -> Simulator {
    let clock = Arc::clone(clock);
    let simulator = SimulatorConfig {
        merchant_id: MERCHANT.to_owned(),
        access_token: "synthetic-token".to_owned(),
        capacity: 10_000,
        now: Arc::new(move || clock.now()),
    };
    let simulator = Simulator::start(simulator, 0).await.expect("a simulator");
    for (key, file, secret) in [
        ("merchant_id_file", "merchant", MERCHANT),
        ("access_token_file", "token", "synthetic-token"),
    ] {
        let path = dir.join(file);
        fs::write(&path, secret).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        put(config, "payment", key, file);
    }
    put(config, "payment", "base_url", simulator.base_url());
    put(config, "payment", "refund_url", simulator.refund_url());
    put(config, "payment", "timeout_ms", 2_000);
    simulator
}

fn put(config: &mut toml::Table, section: &str, key: &str, value: impl Into<toml::Value>) {
    let empty = || toml::Value::Table(toml::Table::new());
    if let toml::Value::Table(table) = config.entry(section).or_insert_with(empty) {
        table.insert(key.to_owned(), value.into());
    }
}

/// Writes the configuration: what every world needs, and what this one asks for.
fn write_config(dir: &Path, place: &Place, mut config: toml::Table) {
    for (section, key, value) in [
        ("tls", "certificate_file", "pki/server.pem"),
        ("tls", "key_file", "pki/server.key"),
        ("tls", "client_ca_file", "pki/ca.pem"),
        ("tls", "trust_domain", TRUST_DOMAIN),
        ("signing", "key_file", "signing.key"),
        ("audit", "subject_hash_key_file", "subject-hash.key"),
    ] {
        put(&mut config, section, key, value);
    }
    put(&mut config, "tls", "crl_files", vec!["pki/crl.pem"]);
    match place.runtime_url() {
        None => {
            put(&mut config, "store", "engine", "sqlite");
            put(&mut config, "store", "path", "gavah.sqlite");
        }
        Some(url) => {
            let file = dir.join("database.url");
            fs::write(&file, url).expect("a file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
            put(&mut config, "store", "engine", "postgres");
            put(&mut config, "store", "url_file", "database.url");
        }
    }
    fs::write(dir.join("gavah.toml"), config.to_string()).expect("a file");
}
