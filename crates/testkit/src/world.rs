//! A whole world for a test: PKI, keys, a migrated and seeded database, registered callers of every class, and the real
//! server in this process, configured from a real file and called over real mutual TLS.
//!
//! ```no_run
//! use gavah_testkit::world::{CallerKind, Engine, World};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut world = World::start(Engine::Sqlite).await;
//! let university = world.client(CallerKind::University).await;
//! let reply = university.registry().who_am_i(gavah_api::v1::WhoAmIRequest {}).await?;
//! println!("{:?}", reply.into_inner().callable_methods);
//! world.stop().await;
//! # Ok(()) }
//! ```
//!
//! Every world has its own folder, database, ports and clock, so any number of them live in one process. A world that
//! cannot be made is a failed test: everything here panics rather than returning an error.
#![expect(
    clippy::expect_used,
    reason = "a world that cannot be made is a failed test, and the message says what is missing"
)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gavah_client::{Client, ClientConfig};
use gavah_devpki::{Authority, Issued, Validity, write};
use gavah_domain::caller::{Caller, CallerClass, CallerState};
use gavah_domain::{Clock, JalaliDate, SystemClock, SystemEntropy};
use gavah_gateway::simulator::Simulator;
use gavah_server::Surroundings;
use gavah_server::config::Config;
use gavah_store::{ActContext, NewCaller, RegistryChange, Seed, Store, StoreConfig};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::fixtures;

mod builder;
mod cast;
mod clock;
mod node;
mod place;

pub use builder::WorldBuilder;
pub use cast::{
    AGENCY, AGENCY_AGREEMENT, CENTRAL_BODY, CERTIFICATE_CALL, CODE_CALL, CallerKind, EXPERT,
    HUB_AGREEMENT, INACTIVE_EXPERT, INELIGIBLE, OTHER_UNIVERSITY, UNIT, UNIVERSITY,
    UNIVERSITY_ALIAS, seed,
};
pub use clock::ShiftedClock;
pub use node::Node;
pub use place::Engine;

use place::Place;

/// Trust domain of a world's callers.
pub const TRUST_DOMAIN: &str = "tests.gavah.example";

/// How long the certificates of a world last unless a test asks for others.
const CERTIFICATE_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 800);

/// A client certificate in a file.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// SHA-256 of the certificate, 64 hexadecimal digits, as it is registered.
    pub fingerprint: String,
    /// Serial number, hexadecimal, as it is revoked.
    pub serial: String,
}

/// A world with everything running.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    authority: Authority,
    place: Place,
    store: Store,
    clock: Arc<ShiftedClock>,
    gateway: Option<Simulator>,
    seed: Seed,
    nodes: Vec<Node>,
}

impl World {
    /// A world with one server and everything as usual.
    ///
    /// # Panics
    /// When anything is missing.
    pub async fn start(engine: Engine) -> Self {
        Self::builder(engine).start().await
    }

    /// A world to be described.
    #[must_use]
    pub fn builder(engine: Engine) -> WorldBuilder {
        WorldBuilder::new(engine)
    }

    /// The folder: `gavah.toml`, `pki`, keys, and the database when it is a file.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration file of all servers.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.dir().join("gavah.toml")
    }

    /// The authority of all certificates.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The store, with the same rights as a server.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The database for somebody who may do everything.
    #[must_use]
    pub fn superuser(&self) -> StoreConfig {
        self.place.superuser()
    }

    /// The clock of all servers.
    #[must_use]
    pub fn clock(&self) -> &ShiftedClock {
        &self.clock
    }

    /// The simulated payment gateway.
    ///
    /// # Panics
    /// When the world takes no payments.
    #[must_use]
    pub fn gateway(&self) -> &Simulator {
        self.gateway.as_ref().expect("a world with payments")
    }

    /// The servers' time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The date in Tehran, by the servers' time.
    #[must_use]
    pub fn today(&self) -> JalaliDate {
        JalaliDate::of(self.now())
    }

    /// The reference data as loaded.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Loads changed reference data. Servers learn of it with their next look at the registry.
    ///
    /// # Panics
    /// When the data is not usable.
    pub async fn reseed(&mut self, change: impl FnOnce(&mut Seed)) {
        let before = self.seed.tariff.clone();
        change(&mut self.seed);
        // what is published never changes: another table is a correction
        for tariff in &mut self.seed.tariff {
            let published = before.iter().find(|known| known.year == tariff.year);
            if let Some(published) = published.filter(|published| *published != tariff) {
                tariff.supersedes = Some(published.supersedes.unwrap_or_default() + 1);
            }
        }
        self.store
            .load_seed(&self.operator(), &self.seed)
            .await
            .expect("good reference data");
    }

    /// The context of an act that no call asked for, now.
    #[must_use]
    pub fn operator(&self) -> ActContext {
        fixtures::operator(self.now())
    }

    /// A server; the first is 0.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn node(&self, index: usize) -> &Node {
        self.nodes.get(index).expect("a server")
    }

    /// A server, to stop it; the first is 0.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn node_mut(&mut self, index: usize) -> &mut Node {
        self.nodes.get_mut(index).expect("a server")
    }

    /// Starts one more server on the same database and says which it is.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn add_node(&mut self) -> usize {
        let config = Config::load(&self.config_path()).expect("a good configuration");
        let surroundings = Surroundings {
            clock: Arc::clone(&self.clock) as Arc<_>,
            entropy: Arc::new(SystemEntropy),
        };
        self.nodes.push(Node::start(config, surroundings).await);
        self.nodes.len() - 1
    }

    /// Starts a server in the place of the first, which was stopped, with the configuration as it is by now.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart_first(&mut self) {
        let new = self.add_node().await;
        self.nodes.swap(0, new);
    }

    /// Where the first server takes calls.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.node(0).address()
    }

    /// Where the first server answers probes.
    #[must_use]
    pub fn probes_address(&self) -> SocketAddr {
        self.node(0).probes_address()
    }

    /// `https://localhost:PORT` of the first server.
    #[must_use]
    pub fn endpoint(&self) -> String {
        endpoint(self.address())
    }

    /// The registered identity of a caller.
    #[must_use]
    pub fn identity(&self, kind: CallerKind) -> Identity {
        read_identity(&self.authority.dir().join(kind.id()))
    }

    /// Issues a certificate that nobody has registered. `stem` names its files, `<stem>.pem` and `<stem>.key`.
    ///
    /// # Panics
    /// When the authority does not issue it.
    #[must_use]
    pub fn issue_identity(
        &self,
        caller_id: &str,
        stem: &str,
        lifetime: SignedDuration,
    ) -> Identity {
        let issued = self
            .authority
            .issue_caller(TRUST_DOMAIN, caller_id, lasting(lifetime))
            .expect("a certificate");
        self.write_identity(&issued, stem)
    }

    /// Writes a certificate of any form beside the others.
    ///
    /// # Panics
    /// When the files cannot be written.
    #[must_use]
    pub fn write_identity(&self, issued: &Issued, stem: &str) -> Identity {
        let base = self.authority.dir().join(stem);
        write(issued, self.authority.dir(), stem).expect("the certificate's files");
        let noted = format!("{}\n{}\n", hex(&issued.fingerprint), issued.serial);
        fs::write(base.with_extension("id"), noted).expect("a file");
        read_identity(&base)
    }

    /// Revokes a certificate in the authority's list. Servers learn of it with their next look at the file.
    ///
    /// # Panics
    /// When the list cannot be written.
    pub fn revoke_identity(&self, identity: &Identity) {
        self.authority
            .revoke(&identity.serial, SystemClock.now())
            .expect("a new list");
    }

    /// Registers a caller past the server and gives its certificate. Servers learn of it with their next look.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn register(
        &self,
        caller_id: &str,
        class: CallerClass,
        institution: Option<&str>,
        lifetime: SignedDuration,
    ) -> Identity {
        let identity = self.issue_identity(caller_id, caller_id, lifetime);
        let new = NewCaller {
            caller: Caller {
                id: fixtures::caller_id(caller_id),
                class,
                institution: institution.map(fixtures::institution_code),
            },
            display_name: format!("Synthetic caller {caller_id}"),
            state: CallerState::Active,
            fingerprint: identity.fingerprint.clone(),
        };
        let registered = self.store.create_caller(&self.operator(), &new).await;
        assert_eq!(registered, Ok(RegistryChange::Done), "{caller_id}");
        identity
    }

    /// What a client needs to know to call a server as this identity. It does not repeat calls.
    #[must_use]
    pub fn client_config(&self, identity: &Identity, address: SocketAddr) -> ClientConfig {
        ClientConfig {
            endpoint: endpoint(address),
            server_ca: self.authority.certificate_path(),
            certificate: identity.certificate.clone(),
            key: identity.key.clone(),
            timeout: Duration::from_secs(30),
            retries: 0,
        }
    }

    /// A new connection to the first server; the hub's is on behalf of [`AGENCY`].
    ///
    /// # Panics
    /// When there is none.
    pub async fn client(&self, kind: CallerKind) -> Client {
        self.client_of(0, kind).await
    }

    /// A new connection to a server.
    ///
    /// # Panics
    /// When there is none.
    pub async fn client_of(&self, node: usize, kind: CallerKind) -> Client {
        let client = self.connect(node, &self.identity(kind)).await;
        match kind {
            CallerKind::Hub => client
                .on_behalf_of(AGENCY, &agency_agreement())
                .expect("metadata"),
            _ => client,
        }
    }

    /// A new connection to a server as anybody.
    ///
    /// # Panics
    /// When there is none.
    pub async fn connect(&self, node: usize, identity: &Identity) -> Client {
        let config = self.client_config(identity, self.node(node).address());
        Client::connect(&config).await.expect("a connection")
    }

    /// Stops all servers in order. The database stays.
    ///
    /// # Panics
    /// When a server does not end in order.
    pub async fn stop(&mut self) {
        for node in &mut self.nodes {
            node.stop().await;
        }
    }

    async fn fill(&mut self) {
        let context = self.operator();
        for institution in cast::institutions() {
            let created = self.store.create_institution(&context, &institution).await;
            assert_eq!(created, Ok(RegistryChange::Done));
        }
        for expert in cast::experts() {
            let created = self.store.create_expert(&context, &expert).await;
            assert_eq!(created, Ok(RegistryChange::Done));
        }
        for kind in CallerKind::ALL {
            self.register(
                kind.id(),
                kind.class(),
                kind.institution(),
                CERTIFICATE_LIFETIME,
            )
            .await;
        }
        self.reseed(|_| {}).await;
    }
}

/// Name of the agreement of [`AGENCY`].
#[must_use]
pub fn agency_agreement() -> String {
    format!("agreements/{AGENCY_AGREEMENT}/agencies/{AGENCY}")
}

fn lasting(lifetime: SignedDuration) -> Validity {
    Validity::starting(SystemClock.now(), lifetime).expect("a validity")
}

fn endpoint(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}

/// The identity in `<base>.pem` and `<base>.key`, with the fingerprint and serial noted in `<base>.id`.
fn read_identity(base: &Path) -> Identity {
    let noted = fs::read_to_string(base.with_extension("id")).expect("a note of the identity");
    let mut lines = noted.lines().map(str::to_owned);
    Identity {
        certificate: base.with_extension("pem"),
        key: base.with_extension("key"),
        fingerprint: lines.next().unwrap_or_default(),
        serial: lines.next().unwrap_or_default(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
