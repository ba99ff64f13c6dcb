//! The life cycle: configuration → everything loaded and bound → serving → drained.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gavah_api::DESCRIPTOR_SET;
use gavah_domain::{Clock, Entropy, MovableClock, SystemClock, SystemEntropy, new_uuid};
use gavah_evidence::{FileSigner, KeyError, SubjectHasher};
use gavah_gateway::{Gateway, SecretError, Zarinpal};
use gavah_objects::{Objects, ObjectsError};
use gavah_store::{Store, StoreError};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::layer::util::{Identity, Stack};
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;

use crate::app::App;
use crate::app::budgets::Budgets;
use crate::app::feed::FeedEnd;
use crate::app::inquiries::Coverages;
use crate::app::quotas::Quotas;
use crate::app::remembered::Remembered;
use crate::config::Config;
use crate::jobs::work_through_jobs;
use crate::layers::{AuthLayer, DeadlineLayer, Deadlines, Draining, OuterLayer, Sampling};
use crate::probes::{Probes, Readiness};
use crate::registry_watch::Registry;
use crate::services::{Dispatch, Services};
use crate::shards::Shards;
use crate::tasks::{
    carry_out_revocations, forget_spending, sequence, settle_budgets, settle_certificates,
    settle_payments, state_coverage, stopped, sweep_attachments, watch_calendar,
};
use crate::transport::{Tls, TlsError, accept};

/// Names of the services in `grpc.health.v1`; the empty one is the server.
const SERVICES: [&str; 19] = [
    "",
    "gavah.v1.AgreementService",
    "gavah.v1.AttachmentService",
    "gavah.v1.AuditService",
    "gavah.v1.ChangeService",
    "gavah.v1.DisputeService",
    "gavah.v1.DocumentService",
    "gavah.v1.EnrollmentCertificateService",
    "gavah.v1.EnrollmentRecordService",
    "gavah.v1.IncidentService",
    "gavah.v1.InquiryService",
    "gavah.v1.IssuanceJobService",
    "gavah.v1.PaymentService",
    "gavah.v1.RegistryService",
    "gavah.v1.SandboxService",
    "gavah.v1.SlaService",
    "gavah.v1.TariffService",
    "gavah.v1.ValidationService",
    "gavah.v1.ValidityCodeService",
];

/// How often TLS files are looked at for changes.
const TLS_POLL: Duration = Duration::from_secs(1);

/// HTTP/2 limits that are not configured.
const HEADER_LIST_BYTES: u32 = 32 * 1024;
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_WAIT: Duration = Duration::from_secs(5);
/// A connection ends after this time, so that a changed trust bundle reaches it.
const CONNECTION_AGE: Duration = Duration::from_secs(3600);

/// What a call passes, outermost first.
type Layers = (
    OuterLayer,
    LoadShedLayer,
    GlobalConcurrencyLimitLayer,
    DeadlineLayer,
    AuthLayer,
);

/// Time and randomness of a server.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of codes and ids.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }
}

/// Why a server could not start, or did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS files.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The signing key or the audit's hash key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What the payment gateway knows us by.
    #[error(transparent)]
    Gateway(#[from] SecretError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store of files.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// An address that cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Entropy,
    /// A shard cannot be started.
    #[error("a thread for connections cannot be started: {0}")]
    Shard(std::io::Error),
    /// A shard ended without being told to.
    #[error("the gRPC server ended by itself")]
    Ended,
    /// The contract's descriptor cannot be served.
    #[error("reflection: {0}")]
    Reflection(String),
}

/// A server with everything loaded and both listeners bound, not serving yet.
pub struct Server {
    app: Arc<App>,
    tls: Arc<Tls>,
    config: Config,
    surroundings: Surroundings,
    listener: TcpListener,
    probes: Probes,
    address: SocketAddr,
    probes_address: SocketAddr,
}

impl Server {
    /// Loads keys, TLS files, store and registry, then binds both listeners.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the file, address or schema that is wrong.
    pub async fn bind(config: Config, surroundings: Surroundings) -> Result<Self, StartError> {
        let now = surroundings.clock.now();
        let tls = Tls::load(config.tls.files(), config.tls.trust_domain.clone(), now)?;
        let signer = FileSigner::load(&config.signing.key_file)?;
        let hasher = SubjectHasher::load(&config.audit.subject_hash_key_file)?;
        let entropy = Arc::clone(&surroundings.entropy);
        let run = new_uuid(now, &*entropy).map_err(|_| StartError::Entropy)?;
        let store =
            Store::open(&config.store.store_config(), config.store.limits(), entropy).await?;
        let objects = Objects::open(&config.objects)?;
        let clock = config
            .sandbox
            .movable_clock
            .then(|| Arc::new(MovableClock::new(Arc::clone(&surroundings.clock))));
        if clock.is_some() {
            tracing::warn!(
                "SANDBOX: the clock of this service can be moved; nothing it issues is worth anything"
            );
        }
        let gateway = match &config.payment {
            None => None,
            Some(gateway) => Some(Arc::new(Zarinpal::new(gateway)?) as Arc<dyn Gateway>),
        };
        let registry = Registry::load(store.clone(), clock.clone()).await?;
        let (listener, address) = listen(config.listen.address).await?;
        let (probes_listener, probes_address) = listen(config.listen.probes_address).await?;
        let app = Arc::new(App {
            store,
            objects,
            clock: match clock {
                Some(clock) => clock,
                None => Arc::clone(&surroundings.clock),
            },
            entropy: Arc::clone(&surroundings.entropy),
            signer: Arc::new(signer),
            gateway,
            hasher,
            registry,
            remembered: Remembered::new(config.cache.verdict_bytes),
            budgets: Budgets::new(config.budgets),
            quotas: Quotas::default(),
            coverages: Coverages::default(),
            feed_end: FeedEnd::default(),
            run,
            home: Handle::current(),
        });
        // A restart is no new day.
        app.budgets.settle(&app).await?;
        app.quotas.settle(&app).await?;
        let probes = Probes::new(
            probes_listener,
            Readiness::new("starting").sandbox(config.sandbox.movable_clock),
        );
        Ok(Self {
            app,
            tls,
            config,
            surroundings,
            listener,
            probes,
            address,
            probes_address,
        })
    }

    /// Address of the gRPC listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address of the plain listener for probes and metrics.
    #[must_use]
    pub fn probes_address(&self) -> SocketAddr {
        self.probes_address
    }

    /// Serves until `signal`, then drains: NOT_SERVING first, no new connections
    /// and calls, calls in flight get the configured grace, and the store closes
    /// last.
    ///
    /// Connections live on threads of their own, one for each shard; everything
    /// else is done in the runtime this is called in.
    ///
    /// # Errors
    ///
    /// [`StartError::Reflection`] and [`StartError::Shard`] before anything is
    /// served, [`StartError::Ended`] when a shard ended by itself.
    pub async fn serve_until(self, signal: impl Future<Output = ()>) -> Result<(), StartError> {
        let (stop_serving, serving) = watch::channel(false);
        let (abort_calls, aborted) = watch::channel(false);
        let (stop_tasks, tasks_running) = watch::channel(false);
        let draining = Draining::default();
        let mut health = HealthReporter::new();
        tell(&health, ServingStatus::NotServing).await;
        let drain_grace = self.config.limits.drain_grace();
        let (grpc, services) = (self.grpc(&draining), self.services(&health)?);
        let lanes = accept(
            self.listener,
            self.config.limits.transport(),
            self.config.runtime.shards(),
            stopped(serving.clone()),
        );
        let mut shards = Shards::default();
        for lane in lanes {
            let (grpc, services) = (grpc.clone(), services.clone());
            let tls = Arc::clone(&self.tls);
            let (serving, aborted) = (stopped(serving.clone()), stopped(aborted.clone()));
            let store = self.app.store.clone();
            let work = async move {
                let _gathered = store.gather_lookups_here();
                let incoming = lane.connections(tls);
                tokio::select! {
                    _ = grpc.serve_with_incoming_shutdown(services, incoming, serving) => {}
                    () = aborted => {}
                }
            };
            shards.start(work).map_err(StartError::Shard)?;
        }

        let mut tasks = JoinSet::new();
        let poll = self.config.registry.poll();
        let registry = Arc::clone(&self.app.registry);
        tasks.spawn(registry.watch(poll, stopped(tasks_running.clone())));
        tasks.spawn(crate::transport::watch(
            Arc::clone(&self.tls),
            Arc::clone(&self.surroundings.clock),
            TLS_POLL,
            stopped(tasks_running.clone()),
        ));
        let store = self.app.store.clone();
        let running = tasks_running.clone();
        tasks.spawn(async move { store.watch_changes(stopped(running)).await });
        tasks.spawn(sequence(Arc::clone(&self.app), tasks_running.clone()));
        tasks.spawn(carry_out_revocations(
            Arc::clone(&self.app),
            tasks_running.clone(),
        ));
        tasks.spawn(settle_budgets(Arc::clone(&self.app), tasks_running.clone()));
        tasks.spawn(forget_spending(
            Arc::clone(&self.app),
            tasks_running.clone(),
        ));
        tasks.spawn(state_coverage(Arc::clone(&self.app), tasks_running.clone()));
        tasks.spawn(settle_certificates(
            Arc::clone(&self.app),
            tasks_running.clone(),
        ));
        tasks.spawn(settle_payments(
            Arc::clone(&self.app),
            tasks_running.clone(),
        ));
        tasks.spawn(sweep_attachments(
            Arc::clone(&self.app),
            tasks_running.clone(),
        ));
        tasks.spawn(work_through_jobs(
            Arc::clone(&self.app),
            tasks_running.clone(),
        ));
        let readiness = self.probes.readiness();
        tasks.spawn(watch_calendar(
            Arc::clone(&self.app),
            readiness.clone(),
            tasks_running.clone(),
        ));
        tasks.spawn(self.probes.serve(stopped(tasks_running)));

        tell(&health, ServingStatus::Serving).await;
        readiness.set_ready();
        tracing::info!(address = %self.address, probes = %self.probes_address, "serving");

        let ended_by_itself = tokio::select! {
            () = signal => false,
            () = shards.one_ended() => {
                tracing::error!("the gRPC server ended by itself");
                true
            }
        };
        readiness.set_not_ready("draining");
        tell(&health, ServingStatus::NotServing).await;
        draining.begin();
        tracing::info!("draining");
        // Nobody listens any more only when every shard has ended.
        let _ = stop_serving.send(true);
        // Those who watch have been told: now their streams end, which would else hold the drain to its last moment.
        for service in SERVICES {
            health.clear_service_status(service).await;
        }
        if tokio::time::timeout(drain_grace, shards.all_ended())
            .await
            .is_err()
        {
            tracing::warn!("calls were still in flight when the grace ended");
            let _ = abort_calls.send(true);
            shards.all_ended().await;
        }
        // What nobody waits for any more must not commit behind the last look of the audit.
        self.app.store.stop_work();
        let _ = stop_tasks.send(true);
        while tasks.join_next().await.is_some() {}
        self.app.store.close().await;
        tracing::info!("stopped");
        if ended_by_itself {
            return Err(StartError::Ended);
        }
        Ok(())
    }

    /// What every shard serves with; the limits and states inside are shared by all clones.
    fn grpc(&self, draining: &Draining) -> tonic::transport::Server<Stack<Layers, Identity>> {
        let limits = &self.config.limits;
        let layers: Layers = (
            OuterLayer::new(Sampling::of(&self.config.telemetry)),
            LoadShedLayer::new(),
            GlobalConcurrencyLimitLayer::new(limits.max_in_flight),
            DeadlineLayer::new(Deadlines {
                default: limits.default_deadline(),
                max: limits.max_deadline(),
            }),
            AuthLayer::new(
                Arc::clone(&self.app.registry) as Arc<_>,
                Arc::clone(&self.tls),
                Arc::clone(&self.surroundings.clock),
                draining.clone(),
            )
            .trusting(self.config.tls.forwarder_fingerprints.clone()),
        );
        tonic::transport::Server::builder()
            .max_concurrent_streams(limits.max_concurrent_streams)
            .concurrency_limit_per_connection(limits.concurrency_per_connection)
            .http2_max_header_list_size(HEADER_LIST_BYTES)
            .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
            .http2_keepalive_timeout(Some(KEEPALIVE_WAIT))
            // Its calls may finish: with a grace, tonic would cut them off without a word to the client.
            .max_connection_age(CONNECTION_AGE)
            .layer(layers)
    }

    fn services(&self, health: &HealthReporter) -> Result<Dispatch, StartError> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let failed =
            |error: tonic_reflection::server::Error| StartError::Reflection(error.to_string());
        let limits = &self.config.limits;
        let mut rest = Routes::builder();
        rest.add_service(tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health.clone()),
        ))
        .add_service(reflection().build_v1().map_err(failed)?)
        .add_service(reflection().build_v1alpha().map_err(failed)?);
        let services = Services::new(Arc::clone(&self.app), limits.default_deadline());
        let (small, bulk) = (limits.message_bytes, limits.bulk_message_bytes);
        Ok(Dispatch::new(
            &services,
            small,
            bulk,
            rest.routes().prepare(),
        ))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let wrap = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(wrap)?;
    let bound = listener.local_addr().map_err(wrap)?;
    Ok((listener, bound))
}

async fn tell(health: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        health.set_service_status(service, status).await;
    }
}
