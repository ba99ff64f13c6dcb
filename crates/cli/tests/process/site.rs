//! An installation made by the program's own commands: development PKI, keys, configuration, database, reference data,
//! callers. The first caller is registered offline and registers the others over the wire, as in production.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_client::{Client, ClientConfig, ClientError};
use gavah_domain::{Clock, JalaliDate, SystemClock};
use gavah_testkit::postgres::Cluster;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{Process, succeed, until};
use crate::students::{EXPERT, INELIGIBLE, UNIVERSITY, request_id};

/// Trust domain of the callers.
const TRUST_DOMAIN: &str = "process.gavah.example";

/// Ids of the callers.
pub(crate) mod callers {
    pub(crate) const ORGANIZATION: &str = "organization";
    pub(crate) const UNIVERSITY: &str = "university";
    pub(crate) const INELIGIBLE: &str = "ineligible-university";
    pub(crate) const WINDOW: &str = "window";
    pub(crate) const HUB: &str = "hub";
}

/// A synthetic agency for which the hub asks.
pub(crate) const AGENCY: &str = "14099999990";

/// Name of its agreement.
pub(crate) fn agency_agreement() -> String {
    format!("agreements/agency/agencies/{AGENCY}")
}

/// The database under an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A folder with everything a server needs.
pub(crate) struct Site {
    folder: TempDir,
    /// The PostgreSQL database; none on SQLite.
    database: Option<String>,
}

/// A server of the installation.
pub(crate) struct Serving {
    pub(crate) process: Process,
    pub(crate) connector: Connector,
    probes_address: SocketAddr,
}

/// Makes clients of a server.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) endpoint: String,
    pki: PathBuf,
}

impl Site {
    /// Makes an installation with all callers. `sections` is added to the configuration.
    pub(crate) async fn new(engine: Engine, sections: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("gavah-process-")
            .tempdir()
            .unwrap();
        let mut site = Self {
            folder,
            database: None,
        };
        let (owner, runtime, role) = match engine {
            Engine::Sqlite => {
                let store = "engine = \"sqlite\"\npath = \"gavah.sqlite\"";
                (store.to_owned(), store.to_owned(), None)
            }
            Engine::Postgres => {
                let database = Cluster::shared().unwrap();
                let database = database.create_database_with_runtime_role().unwrap();
                site.secret("owner.url", &database.owner_url);
                site.secret("runtime.url", &database.runtime_url);
                site.database = Some(database.name);
                let store = |file: &str| format!("engine = \"postgres\"\nurl_file = \"{file}\"");
                let role = Some(database.runtime_role);
                (store("owner.url"), store("runtime.url"), role)
            }
        };
        let _ = succeed(&["pki", "init", &site.text("pki")]);
        site.issue(&["--server", "localhost", "127.0.0.1"], "server");
        let (signing, subject_hash) = (site.text("signing.key"), site.text("subject-hash.key"));
        let _ = succeed(&[
            "keys",
            "init",
            "--signing",
            &signing,
            "--subject-hash",
            &subject_hash,
        ]);
        site.write("owner.toml", &config(&owner, ""));
        site.write("gavah.toml", &config(&runtime, sections));
        site.write("seed.toml", &seed());

        let mut migrate = vec!["migrate", "--config"];
        let owner = site.text("owner.toml");
        migrate.push(&owner);
        if let Some(role) = &role {
            migrate.extend(["--runtime-role", role]);
        }
        let _ = succeed(&migrate);
        let config = site.text("gavah.toml");
        let _ = succeed(&["seed", "--config", &config, &site.text("seed.toml")]);
        let first = callers::ORGANIZATION;
        site.identity(first);
        let certificate = site.text(&format!("pki/{first}.pem"));
        let class = [
            "--class",
            "ORGANIZATION",
            "--display-name",
            "Synthetic organization",
        ];
        let register = ["caller", "register", "--config", &config, "--id", first];
        let _ = succeed(&[&register[..], &class, &["--certificate", &certificate]].concat());

        let mut serving = site.serve().await;
        site.register(&serving.client(first).await).await;
        serving.stop().await;
        site
    }

    /// Starts a server and waits until it serves.
    pub(crate) async fn serve(&self) -> Serving {
        let ready = self.path("ready.json");
        // A server that was killed could not remove it.
        let _ = fs::remove_file(&ready);
        let (config, ready_file) = (self.text("gavah.toml"), self.text("ready.json"));
        let arguments = ["serve", "--config", &config, "--ready-file", &ready_file];
        let mut process = Process::start(self.folder.path(), "serve", &arguments);
        let bound = until("the server is ready", async || {
            assert_eq!(process.ended(), None, "{}", process.stderr());
            fs::read(&ready).ok()
        });
        let bound: Value = serde_json::from_slice(&bound.await).unwrap();
        let address = |name: &str| bound[name].as_str().unwrap().parse::<SocketAddr>().unwrap();
        let serving = Serving {
            process,
            connector: Connector {
                endpoint: format!("https://localhost:{}", address("address").port()),
                pki: self.path("pki"),
            },
            probes_address: address("probes_address"),
        };
        until("the server takes calls", async || {
            serving
                .probe("/readyz")
                .await
                .filter(|answer| answer.contains("200 OK"))
        })
        .await;
        serving
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same, for a command line.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The PostgreSQL database under it.
    pub(crate) fn database(&self) -> &str {
        self.database.as_deref().unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    /// Issues a certificate into the folder of the PKI.
    fn issue(&self, whom: &[&str], stem: &str) -> Value {
        let (pki, out) = (self.text("pki"), self.text(&format!("pki/{stem}")));
        succeed(&[&["pki", "issue", &pki, "--out", &out][..], whom].concat())
    }

    /// Issues a caller's certificate and returns its fingerprint.
    fn identity(&self, caller: &str) -> String {
        let issued = self.issue(
            &["--trust-domain", TRUST_DOMAIN, "--caller", caller],
            caller,
        );
        issued["fingerprint"].as_str().unwrap().to_owned()
    }

    /// Registers universities, their expert and the other callers.
    async fn register(&self, organization: &Client) {
        for (code, kind) in [
            (UNIVERSITY, pb::InstitutionType::State),
            (INELIGIBLE, pb::InstitutionType::Azad),
        ] {
            let request = pb::CreateInstitutionRequest {
                request_id: request_id(),
                validate_only: false,
                institution: Some(pb::Institution {
                    institution_code: code.to_owned(),
                    r#type: kind.into(),
                    name_fa: "دانشگاه ساختگی".to_owned(),
                    name_en: "Synthetic University".to_owned(),
                    state: pb::InstitutionState::Active.into(),
                    ..pb::Institution::default()
                }),
            };
            organization
                .call(request, |channel, request| async move {
                    channel.registry().create_institution(request).await
                })
                .await
                .unwrap();
            let request = pb::CreateExpertRequest {
                request_id: request_id(),
                validate_only: false,
                expert: Some(pb::Expert {
                    institution_code: code.to_owned(),
                    expert_code: EXPERT.to_owned(),
                    display_name_fa: "کارشناس ساختگی".to_owned(),
                    state: pb::ExpertState::Active.into(),
                    ..pb::Expert::default()
                }),
            };
            organization
                .call(request, |channel, request| async move {
                    channel.registry().create_expert(request).await
                })
                .await
                .unwrap();
        }
        for (id, class, institution) in [
            (callers::UNIVERSITY, pb::CallerClass::University, UNIVERSITY),
            (callers::INELIGIBLE, pb::CallerClass::University, INELIGIBLE),
            (callers::WINDOW, pb::CallerClass::SingleWindow, ""),
            (callers::HUB, pb::CallerClass::NationalHub, ""),
        ] {
            let request = pb::CreateCallerRequest {
                request_id: request_id(),
                validate_only: false,
                caller: Some(pb::Caller {
                    caller_id: id.to_owned(),
                    caller_class: class.into(),
                    institution_code: institution.to_owned(),
                    display_name: format!("Synthetic {id}"),
                    state: pb::CallerState::Active.into(),
                    ..pb::Caller::default()
                }),
                certificate_fingerprint: self.identity(id),
            };
            organization
                .call(request, |channel, request| async move {
                    channel.registry().create_caller(request).await
                })
                .await
                .unwrap();
        }
    }
}

impl Connector {
    /// A client with the identity of a caller that trusts the authorities in `server_ca` and repeats a call at most
    /// `retries` times.
    pub(crate) async fn connect(
        &self,
        caller: &str,
        server_ca: &Path,
        retries: u32,
    ) -> Result<Client, ClientError> {
        let (certificate, key) = self.identity(caller);
        let client = Client::connect(&ClientConfig {
            endpoint: self.endpoint.clone(),
            server_ca: server_ca.to_owned(),
            certificate,
            key,
            timeout: Duration::from_secs(50),
            retries,
        })
        .await?;
        match caller {
            callers::HUB => client.on_behalf_of(AGENCY, &agency_agreement()),
            _ => Ok(client),
        }
    }

    /// `localhost:PORT`
    pub(crate) fn authority(&self) -> &str {
        self.endpoint.trim_start_matches("https://")
    }

    /// The authority that vouches for the server.
    pub(crate) fn server_ca(&self) -> PathBuf {
        self.pki.join("ca.pem")
    }

    /// Files of a caller's certificate and key.
    pub(crate) fn identity(&self, caller: &str) -> (PathBuf, PathBuf) {
        let file = |ending: &str| self.pki.join(format!("{caller}.{ending}"));
        (file("pem"), file("key"))
    }
}

impl Serving {
    /// A client with the identity of a caller.
    pub(crate) async fn client(&self, caller: &str) -> Client {
        self.client_with(caller, 5).await
    }

    /// A client that repeats nothing.
    pub(crate) async fn impatient_client(&self, caller: &str) -> Client {
        self.client_with(caller, 0).await
    }

    async fn client_with(&self, caller: &str, retries: u32) -> Client {
        let server_ca = self.connector.server_ca();
        let client = self.connector.connect(caller, &server_ca, retries);
        client.await.unwrap()
    }

    /// What the plain listener answers to a GET, head and body; none when nobody listens.
    pub(crate) async fn probe(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(self.probes_address).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// Tells it to stop and waits until it has, in order.
    pub(crate) async fn stop(&mut self) {
        self.process.signal("TERM");
        assert_eq!(self.process.exit_code().await, Some(0));
    }
}

fn config(store: &str, sections: &str) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\nprobes_address = \"127.0.0.1:0\"\n\n\
         [tls]\ncertificate_file = \"pki/server.pem\"\nkey_file = \"pki/server.key\"\n\
         client_ca_file = \"pki/ca.pem\"\ncrl_files = [\"pki/crl.pem\"]\ntrust_domain = \"{TRUST_DOMAIN}\"\n\n\
         [store]\n{store}\nstatement_timeout_ms = 50000\ntransaction_timeout_ms = 50000\n\n\
         [signing]\nkey_file = \"signing.key\"\n\n\
         [audit]\nsubject_hash_key_file = \"subject-hash.key\"\n\n{sections}"
    )
}

/// Reference data: terms back to back around today, both services open, this budget year without a priced row.
fn seed() -> String {
    let year = JalaliDate::of(SystemClock.now()).year();
    let mut seed = String::new();
    for next in year - 1..=year + 1 {
        let this = next - 1;
        for (kind, start, end) in [
            ("FIRST", format!("{this}/07/01"), format!("{this}/11/15")),
            ("SECOND", format!("{this}/11/16"), format!("{next}/04/15")),
            ("SUMMER", format!("{next}/04/16"), format!("{next}/06/31")),
        ] {
            let times = format!("start = \"{start}\"\nend = \"{end}\"");
            writeln!(
                seed,
                "[[term]]\nacademic_year = {this}\nkind = \"{kind}\"\n{times}"
            )
            .unwrap();
        }
    }
    for (service, kinds, consumers) in [
        (
            "VALIDITY_CODE",
            r#"["DEGREE", "TRANSCRIPT"]"#,
            format!("[\"institutions/{UNIVERSITY}\", \"institutions/{INELIGIBLE}\"]"),
        ),
        (
            "ENROLLMENT_CERTIFICATE",
            "[]",
            format!("[\"callers/{}\"]", callers::WINDOW),
        ),
    ] {
        let id = service.to_ascii_lowercase().replace('_', "-");
        writeln!(
            seed,
            "[[workflow]]\nid = \"{id}-v1\"\nservice = \"{service}\"\n\
             [workflow.rules]\nauto_confirm = true\nfreshness_hours = 24\nrequire_prior_qualification = true\n\
             certificate_extra_days = 30\ncertificate_max_months = 6\norganization_review = false\n\
             payment_position = \"BEFORE_ISSUE\"\n\
             [[call]]\nid = \"{id}\"\nservice = \"{service}\"\nstate = \"OPEN\"\nopens = \"{}/01/01\"\n\
             eligible_types = [\"STATE\"]\ndocument_kinds = {kinds}\nworkflow = \"{id}-v1\"\nrun_off_days = 30\n\
             [[agreement]]\nid = \"{id}\"\ncall = \"{id}\"\nconsumers = {consumers}\nstate = \"ACTIVE\"",
            year - 1,
        )
        .unwrap();
    }
    for (id, consumer, through) in [
        ("hub", format!("callers/{}", callers::HUB), String::new()),
        (
            "agency",
            format!("agencies/{AGENCY}"),
            format!("through = \"{}\"", callers::HUB),
        ),
    ] {
        writeln!(
            seed,
            "[[agreement]]\nid = \"{id}\"\ncall = \"validity-code\"\nconsumers = [\"{consumer}\"]\n{through}\n\
             state = \"ACTIVE\"",
        )
        .unwrap();
    }
    writeln!(
        seed,
        "[[tariff]]\nyear = {year}\nlegal_reference = \"synthetic law\""
    )
    .unwrap();
    seed
}
