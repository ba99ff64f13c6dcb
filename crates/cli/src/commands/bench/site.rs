//! A made-up site: a folder with PKI, keys, a filled database and callers, in which servers are started.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_bench::people::Ground;
use gavah_bench::target::connect;
use gavah_bench::work::{BATCH, issue, push_records};
use gavah_client::{Client, ClientConfig};
use gavah_domain::caller::{Caller, CallerClass, CallerId, CallerState, ExpertState};
use gavah_domain::institution::{Institution, InstitutionCode, InstitutionState, InstitutionType};
use gavah_store::{ActContext, NewCaller, RegistryChange, Store, StoredExpert};
use prost::Message;
use tokio::task::JoinSet;

use super::child::{Server, file};
use super::postgres::Postgres;
use super::remote::ground;
use crate::offline;
use crate::problem::Problem;
use crate::world::{Database, Identity, UNIVERSITY, WINDOW, World};

/// The institution that acts and its expert.
const INSTITUTION: &str = "90001";
const EXPERT: &str = "institutions/90001/experts/E-1";
/// Calls in flight while codes are issued for the measurements.
const SEEDING: usize = 64;
/// Connections over which they are spread.
const SEEDING_CONNECTIONS: usize = 4;
/// Time for one call. Longer than the server's own for any call: whoever is refused shall hear why.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A site and what is asked about in it.
pub(super) struct Site {
    world: World,
    /// Where requests come from.
    pub(super) ground: Arc<Ground>,
    /// Codes that were issued.
    pub(super) codes: Arc<[String]>,
    /// An answer of the service, for the echo.
    answer: PathBuf,
    /// The first process of that database.
    pub(super) database_pid: Option<u32>,
    /// Removed with everything in it at the end.
    _folder: tempfile::TempDir,
}

/// A server that a site can start.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Service {
    /// The bare echo as tonic comes.
    EchoStock,
    /// The bare echo with a runtime for each core.
    EchoTuned,
    /// The service.
    Gavah(Options),
}

/// How a service differs from the one that is measured by default: all layers on and every log line written, traces
/// begun for one call of a hundred.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    /// Bytes for verdicts that are kept; the service's own default when unset.
    pub(super) verdict_bytes: Option<u64>,
    /// Part of the calls that are traced.
    pub(super) sample_ratio: f64,
    /// Where traces go.
    pub(super) otlp_endpoint: Option<String>,
    /// Lines for `[limits]`.
    pub(super) limits: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            verdict_bytes: None,
            sample_ratio: 0.01,
            otlp_endpoint: None,
            limits: "",
        }
    }
}

impl Options {
    fn sections(&self) -> String {
        let mut text = format!("[telemetry]\nsample_ratio = {:?}\n", self.sample_ratio);
        if let Some(endpoint) = &self.otlp_endpoint {
            text.push_str(&format!("otlp_endpoint = \"{endpoint}\"\n"));
        }
        text.push_str(&format!("\n[limits]\n{}\n", self.limits));
        // What is measured guesses on purpose.
        text.push_str(
            "\n[budgets]\nnegative_lookups_per_day = 1000000000\nsubjects_per_day = 1000000000\n",
        );
        if let Some(bytes) = self.verdict_bytes {
            text.push_str(&format!("\n[cache]\nverdict_bytes = {bytes}\n"));
        }
        text
    }
}

impl Site {
    /// Makes a site with so many issued codes, in a PostgreSQL database or else in a file.
    pub(super) async fn create(postgres: Option<Postgres>, codes: u64) -> Result<Self, Problem> {
        let (mut database, mut database_pid) = (Database::Sqlite, None);
        if let Some(postgres) = &postgres {
            postgres.empty().await?;
            database_pid = postgres.first_process().await?;
            database = Database::Postgres {
                url: postgres.url.clone(),
            };
        }
        let folder = tempfile::Builder::new()
            .prefix("gavah-bench-")
            .tempdir()
            .map_err(|error| Problem::usage(format_args!("a temporary folder: {error}")))?;
        let place = folder.path().join("site");
        let world = World::create(&place, &database, false).await;
        let world = world.map_err(|error| told(&error))?;
        let (ground, _) = ground(INSTITUTION, EXPERT)?;
        let mut site = Self {
            answer: world.dir.join("answer.bin"),
            world,
            database_pid,
            ground: Arc::new(ground),
            codes: Arc::from([]),
            _folder: folder,
        };
        site.register().await?;
        site.seed(codes).await?;
        Ok(site)
    }

    /// Registers the institution, its expert and the callers, offline.
    async fn register(&self) -> Result<(), Problem> {
        let config = self.world.config().map_err(|error| told(&error))?;
        let store = offline::open(&config).await?;
        let registered = self.register_in(&store).await;
        store.close().await;
        registered
    }

    async fn register_in(&self, store: &Store) -> Result<(), Problem> {
        let act = ActContext {
            actor: "operator/bench".to_owned(),
            ..offline::act(store).await?
        };
        let code = InstitutionCode::parse(INSTITUTION);
        let code = code.map_err(|reason| Problem::Internal(reason.to_string()))?;
        let institution = Institution {
            code: code.clone(),
            aliases: Vec::new(),
            kind: InstitutionType::State,
            parent: None,
            name_fa: "دانشگاه دولتی نمونه".to_owned(),
            name_en: "Sample State University".to_owned(),
            state: InstitutionState::Active,
            successor: None,
        };
        done(store.create_institution(&act, &institution).await?)?;
        let expert = StoredExpert {
            institution_code: INSTITUTION.to_owned(),
            expert_code: "E-1".to_owned(),
            display_name_fa: "کارشناس نمایشی".to_owned(),
            state: ExpertState::Active,
            create_time: act.now,
            update_time: act.now,
            version: 1,
        };
        done(store.create_expert(&act, &expert).await?)?;
        let callers = [
            (UNIVERSITY, CallerClass::University, Some(code)),
            (WINDOW, CallerClass::SingleWindow, None),
        ];
        for (id, class, institution) in callers {
            let identity = self.world.identity(id).map_err(|error| told(&error))?;
            let caller = NewCaller {
                caller: Caller {
                    id: CallerId::parse(id)
                        .map_err(|reason| Problem::Internal(reason.to_string()))?,
                    class,
                    institution,
                },
                display_name: format!("{id} (synthetic)"),
                state: CallerState::Active,
                fingerprint: identity.fingerprint,
            };
            done(store.create_caller(&act, &caller).await?)?;
        }
        Ok(())
    }

    /// Issues codes through the service, and keeps one of its answers for the echo.
    async fn seed(&mut self, codes: u64) -> Result<(), Problem> {
        let server = self
            .start("seeding", &Service::Gavah(Options::default()))
            .await?;
        let config = self.client_config(UNIVERSITY, server.port)?;
        let clients = connect(&config, SEEDING_CONNECTIONS).await?;
        let left = Arc::new(std::sync::atomic::AtomicU64::new(codes));
        let mut tasks = JoinSet::new();
        for client in clients.iter().cycle().take(SEEDING) {
            let (client, ground, left) =
                (client.clone(), Arc::clone(&self.ground), Arc::clone(&left));
            tasks.spawn(async move {
                use std::sync::atomic::Ordering::Relaxed;
                let mut issued = Vec::new();
                let take = |left: u64| left.checked_sub(1);
                while left.fetch_update(Relaxed, Relaxed, take).is_ok() {
                    issued.push(issue(&client, &ground).await?);
                }
                Ok(issued)
            });
        }
        let mut issued = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let part = done.map_err(|error| Problem::Internal(error.to_string()))?;
            issued.extend(part.map_err(refused)?);
        }
        self.codes = issued.into();
        self.keep_answer(server.port).await
    }

    async fn keep_answer(&self, port: u16) -> Result<(), Problem> {
        let asker = Client::connect(&self.client_config(UNIVERSITY, port)?).await?;
        let request = pb::ValidateCodeRequest {
            purpose: 0,
            code: self.codes.first().cloned().unwrap_or_default(),
            subject_claim: None,
        };
        let answer = asker
            .call(request, |channel, request| async move {
                channel.validation().validate_code(request).await
            })
            .await
            .map_err(|failure| Problem::Failure {
                failure,
                request_id: None,
            })?;
        let bytes = answer.message().encode_to_vec();
        std::fs::write(&self.answer, bytes).map_err(|error| Problem::file(&self.answer, &error))
    }

    /// Pushes records of people that nobody has asked about; the first one's number.
    pub(super) async fn push_records(&self, people: u64) -> Result<u64, Problem> {
        let server = self
            .start("records", &Service::Gavah(Options::default()))
            .await?;
        let client = Client::connect(&self.client_config(UNIVERSITY, server.port)?).await?;
        let first = self.ground.take(people);
        for batch in (first..first + people).step_by(BATCH) {
            push_records(&client, &self.ground, batch)
                .await
                .map_err(refused)?;
        }
        Ok(first)
    }

    /// File of an encoded answer of the service.
    pub(super) fn answer(&self) -> &Path {
        &self.answer
    }

    /// The folder in which everything of it lies.
    pub(super) fn folder(&self) -> &Path {
        &self.world.dir
    }

    /// Starts a server; it ends when it is dropped.
    pub(super) async fn start(&self, name: &str, service: &Service) -> Result<Server, Problem> {
        let folder = &self.world.dir;
        let (ready, log) = (file(folder, name, "ready"), file(folder, name, "log"));
        let path = |name: &str| folder.join("pki").join(name).into_os_string();
        let kind = match service {
            Service::Gavah(options) => {
                let config = self.configure(name, options)?;
                let arguments = [
                    "serve".into(),
                    "--config".into(),
                    config.into_os_string(),
                    "--ready-file".into(),
                    ready.clone().into_os_string(),
                ];
                return Server::start::<std::ffi::OsString>(&arguments, &ready, &log).await;
            }
            Service::EchoStock => "stock",
            Service::EchoTuned => "tuned",
        };
        let arguments = [
            "bench".into(),
            "serve-echo".into(),
            "--kind".into(),
            kind.into(),
            "--certificate".into(),
            path("server.pem"),
            "--key".into(),
            path("server.key"),
            "--client-ca".into(),
            path("ca.pem"),
            "--answer".into(),
            self.answer.clone().into_os_string(),
            "--ready-file".into(),
            ready.clone().into_os_string(),
        ];
        Server::start::<std::ffi::OsString>(&arguments, &ready, &log).await
    }

    /// Writes a configuration of the site's service.
    fn configure(&self, name: &str, options: &Options) -> Result<PathBuf, Problem> {
        let written = self
            .world
            .write_config(&format!("{name}.toml"), &options.sections());
        written.map_err(|error| told(&error))
    }

    /// How a caller connects to a server of the site.
    pub(super) fn client_config(&self, caller: &str, port: u16) -> Result<ClientConfig, Problem> {
        let pki = self.world.dir.join("pki");
        let identity = Identity {
            certificate: file(&pki, caller, "pem"),
            key: file(&pki, caller, "key"),
            fingerprint: String::new(),
        };
        Ok(ClientConfig {
            timeout: CALL_TIMEOUT,
            retries: 0,
            ..self.world.client_config(&identity, port)
        })
    }
}

fn done(change: RegistryChange) -> Result<(), Problem> {
    match change {
        RegistryChange::Done => Ok(()),
        other => Err(Problem::Internal(format!("the site's registry: {other:?}"))),
    }
}

fn told(error: &miette::Report) -> Problem {
    Problem::Internal(format!("the site could not be made: {error}"))
}

fn refused(refusal: gavah_bench::work::Refusal) -> Problem {
    Problem::Internal(format!("the site could not be filled: {}", refusal.reason))
}
