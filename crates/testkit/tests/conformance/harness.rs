//! A store of its own for each case, and what must hold after each.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gavah_domain::SystemEntropy;
use gavah_store::{RegistryChange, Store, StoreConfig, StoreError, StoreLimits};
use gavah_testkit::fixtures;
use gavah_testkit::postgres::{Cluster, DatabaseWithRuntimeRole, Options};
use tempfile::TempDir;
use tokio::sync::{Barrier, Mutex, OnceCell};
use tokio::task::JoinSet;

use crate::raw::Raw;

/// The institution every case starts with.
pub(crate) const HOME: &str = "SYN-1";
/// Its active expert.
pub(crate) const EXPERT: &str = "E1";
/// Another institution, without experts.
pub(crate) const OTHER: &str = "SYN-2";

/// Few connections, so that many acts at once must share them, and generous times: a busy machine is no failure.
pub(crate) const LIMITS: StoreLimits = StoreLimits {
    connections: 4,
    acquire: Duration::from_secs(30),
    statement: Duration::from_secs(30),
    transaction: Duration::from_secs(40),
    commit: Duration::from_secs(30),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

enum Home {
    Sqlite(TempDir),
    Postgres(DatabaseWithRuntimeRole),
}

/// What cannot be removed goes with the cluster.
impl Drop for Home {
    fn drop(&mut self) {
        if let Self::Postgres(database) = self {
            let _ = cluster().drop_database(&database.name);
        }
    }
}

/// The cluster of this test binary. No case takes the power away, so nothing waits for the disk.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(Options { fsync: false }).unwrap())
}

/// A place for a database: on SQLite a folder, on PostgreSQL an empty database with an owner and a runtime role.
#[derive(Clone)]
pub(crate) struct Place(Arc<Home>);

impl Place {
    pub(crate) fn new(engine: Engine) -> Self {
        Self(Arc::new(match engine {
            Engine::Sqlite => Home::Sqlite(tempfile::tempdir().unwrap()),
            Engine::Postgres => {
                Home::Postgres(cluster().create_database_with_runtime_role().unwrap())
            }
        }))
    }

    /// A place with this binary's schema, made by the owner, and the runtime role's grants.
    async fn migrated(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            let place = Self::new(engine);
            Store::migrate(&place.owner()).await.unwrap();
            return place;
        }
        // Migrated once and copied for each case: the same two roles, a database of its own.
        static TEMPLATE: OnceCell<Place> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(template).await;
        let Home::Postgres(template) = &*template.0 else {
            unreachable!("made for the other engine")
        };
        let name = format!("case_{}", fixtures::number());
        let copy = format!(
            "CREATE DATABASE {name} TEMPLATE {0} OWNER {0}_owner",
            template.name
        );
        cluster().query("postgres", &copy).unwrap();
        let at_copy = |url: &str| format!("{}{name}", url.strip_suffix(&template.name).unwrap());
        Self(Arc::new(Home::Postgres(DatabaseWithRuntimeRole {
            owner_url: at_copy(&template.owner_url),
            runtime_url: at_copy(&template.runtime_url),
            runtime_role: template.runtime_role.clone(),
            name,
        })))
    }

    pub(crate) fn engine(&self) -> Engine {
        match &*self.0 {
            Home::Sqlite(_) => Engine::Sqlite,
            Home::Postgres(_) => Engine::Postgres,
        }
    }

    /// As the one who may change the schema.
    pub(crate) fn owner(&self) -> StoreConfig {
        match &*self.0 {
            Home::Sqlite(folder) => StoreConfig::Sqlite {
                path: folder.path().join("gavah.db"),
            },
            Home::Postgres(database) => StoreConfig::Postgres {
                url: database.owner_url.clone(),
            },
        }
    }

    /// As a running server.
    pub(crate) fn runtime(&self) -> StoreConfig {
        match &*self.0 {
            Home::Sqlite(_) => self.owner(),
            Home::Postgres(database) => StoreConfig::Postgres {
                url: database.runtime_url.clone(),
            },
        }
    }

    pub(crate) async fn grant(&self) {
        if let Home::Postgres(database) = &*self.0 {
            Store::grant_runtime_role(&self.owner(), &database.runtime_role)
                .await
                .unwrap();
        }
    }

    pub(crate) async fn open(&self) -> Result<Store, StoreError> {
        Store::open(&self.runtime(), LIMITS, Arc::new(SystemEntropy)).await
    }

    /// A connection as the owner.
    pub(crate) async fn raw(&self) -> Raw {
        connect(&self.owner()).await
    }

    /// A connection with the running server's rights.
    pub(crate) async fn raw_runtime(&self) -> Raw {
        connect(&self.runtime()).await
    }

    /// A connection as PostgreSQL's superuser.
    pub(crate) async fn superuser(&self) -> Raw {
        match &*self.0 {
            Home::Sqlite(_) => self.raw().await,
            Home::Postgres(database) => {
                let url = cluster().superuser_url(&database.name);
                Raw::postgres(&url).await
            }
        }
    }
}

async fn template() -> Place {
    let place = Place::new(Engine::Postgres);
    Store::migrate(&place.owner()).await.unwrap();
    place.grant().await;
    place
}

async fn connect(config: &StoreConfig) -> Raw {
    match config {
        StoreConfig::Sqlite { path } => Raw::sqlite(path).await,
        StoreConfig::Postgres { url } => Raw::postgres(url).await,
    }
}

/// A migrated store with two institutions and an expert, and the way past it.
#[derive(Clone)]
pub(crate) struct TestStore {
    store: Store,
    pub(crate) place: Place,
    /// The owner's connection that counts: connecting takes longer than counting.
    counting: Arc<Mutex<Raw>>,
    left: Arc<AtomicBool>,
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl TestStore {
    async fn new(engine: Engine) -> Self {
        let place = Place::migrated(engine).await;
        let store = place.open().await.unwrap();
        let context = fixtures::operator(fixtures::now());
        for code in [HOME, OTHER] {
            let created = store
                .create_institution(&context, &fixtures::institution(code))
                .await;
            assert_eq!(created, Ok(RegistryChange::Done));
        }
        let expert = fixtures::expert(HOME, EXPERT);
        let created = store.create_expert(&context, &expert).await;
        assert_eq!(created, Ok(RegistryChange::Done));
        Self {
            store,
            counting: Arc::new(Mutex::new(place.raw().await)),
            place,
            left: Arc::new(AtomicBool::new(false)),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.place.engine() == Engine::Postgres
    }

    /// Rows of a table, or of a table and a condition.
    pub(crate) async fn count(&self, of: &str) -> i64 {
        let mut raw = self.counting.lock().await;
        raw.number(&format!("SELECT count(*) FROM {of}")).await
    }

    /// A statement of the owner's past the store; rows touched.
    pub(crate) async fn run(&self, sql: &str) -> u64 {
        self.counting.lock().await.run(sql).await.unwrap()
    }

    /// What the owner sees in the one column of a query.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        self.counting.lock().await.texts(sql).await
    }

    /// Waits until so many of the store's connections to PostgreSQL wait for a lock; the process id of one.
    pub(crate) async fn waiting(&self, connections: i64) -> i64 {
        let mut raw = self.place.superuser().await;
        let waiting = "pg_stat_activity WHERE datname = current_database() \
                       AND application_name = 'gavah' AND wait_event_type = 'Lock'";
        while raw.number(&format!("SELECT count(*) FROM {waiting}")).await < connections {
            tokio::task::yield_now().await;
        }
        raw.number(&format!("SELECT max(pid)::bigint FROM {waiting}"))
            .await
    }

    /// Acts on record.
    pub(crate) async fn acts(&self) -> i64 {
        self.count("audit_entry").await
    }

    /// Chains whatever waits to be chained.
    pub(crate) async fn settle(&self) {
        while self.chain_pending().await.unwrap() > 0 {}
    }

    /// Says that this case closes its store or breaks its audit on purpose: nothing is checked after it.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Every act has one entry and one event and is chained once, and the chain holds.
    async fn assert_audit(&self) {
        self.settle().await;
        let entries = self.count("audit_entry").await;
        assert_eq!(self.count("change_event").await, entries);
        assert_eq!(self.count("audit_chain").await, entries);
        assert_eq!(self.count("audit_pending").await, 0);
        let report = self.verify_chain().await.unwrap();
        assert_eq!(report.difference, None);
        assert_eq!(i64::try_from(report.links).unwrap(), entries);
        assert_eq!(report.pending, 0);
    }
}

/// Runs one case on a fresh store.
pub(crate) fn run<F: Future<Output = ()>>(engine: Engine, case: impl FnOnce(TestStore) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = TestStore::new(engine).await;
        case(store.clone()).await;
        if !store.left.load(Ordering::Relaxed) {
            store.assert_audit().await;
        }
        store.close().await;
    });
}

/// Runs `count` tasks that start at the same moment; their answers in order.
pub(crate) async fn together<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    task: impl Fn(usize) -> F,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for index in 0..count {
        let start = Arc::clone(&start);
        let work = task(index);
        tasks.spawn(async move {
            start.wait().await;
            (index, work.await)
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// An error says what kind of thing went wrong and never which code, person or key it was about.
pub(crate) fn assert_tells_nothing(error: &StoreError, secrets: &[&str]) {
    for text in [error.to_string(), format!("{error:?}")] {
        for secret in secrets {
            assert!(
                !secret.is_empty() && !text.contains(secret),
                "the error tells a secret"
            );
        }
    }
}
