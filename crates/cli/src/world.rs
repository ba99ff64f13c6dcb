//! A made-up world: keys, PKI, a database and reference data, all in one folder.
//! The demo plays in it, and load is measured in it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gavah_api::v1 as pb;
use gavah_client::{Client, ClientConfig};
use gavah_devpki::{Authority, Validity, write};
use gavah_domain::caller::{Caller, CallerClass, CallerId, CallerState};
use gavah_domain::institution::InstitutionType;
use gavah_domain::validity::DocumentKind;
use gavah_domain::working_calendar::{CalendarRow, CalendarYear};
use gavah_domain::{Clock, JalaliDate, SystemClock, SystemEntropy};
use gavah_evidence::{SubjectHasher, generate_key_file};
use gavah_server::config::Config;
use gavah_store::{
    ActContext, AgreementSeed, AgreementTextSeed, CallSeed, CodeRulesSeed, NewCaller,
    RegistryChange, Seed, Store, StoreLimits, TariffRowSeed, TariffSeed, TermSeed, WorkflowRules,
    WorkflowSeed,
};
use jiff::{SignedDuration, Timestamp};
use miette::{IntoDiagnostic, Result, miette};

/// File of the configuration.
pub(crate) const CONFIG: &str = "gavah.toml";
/// File of the URL of a PostgreSQL database.
const URL_FILE: &str = "database.url";

/// Trust domain of the callers.
const TRUST_DOMAIN: &str = "demo.gavah.example";

/// How long the certificates last.
const CERTIFICATE_DAYS: i64 = 7;

/// The Organization's own system: the first caller, registered offline.
pub(crate) const ORGANIZATION: &str = "demo-organization";
/// The system of the state university.
pub(crate) const UNIVERSITY: &str = "demo-university";
/// The system of a university that is known and not eligible.
pub(crate) const INELIGIBLE: &str = "demo-azad-university";
/// The single service window.
pub(crate) const WINDOW: &str = "demo-window";
/// The national information exchange hub.
pub(crate) const HUB: &str = "demo-hub";
/// Synthetic agencies that ask through the hub.
pub(crate) const AGENCY: &str = "14099999990";
/// One that may not ask often.
pub(crate) const SMALL_AGENCY: &str = "14099999986";

/// Institutions of all five eligible types and one ineligible: code, type, names.
pub(crate) const INSTITUTIONS: [(&str, &str, &str, &str); 6] = [
    (
        "90001",
        "STATE",
        "دانشگاه دولتی نمونه",
        "Sample State University",
    ),
    (
        "90002",
        "NON_PROFIT",
        "مؤسسه غیرانتفاعی نمونه",
        "Sample Non-Profit Institute",
    ),
    (
        "90003",
        "PAYAME_NOOR",
        "دانشگاه پیام نور نمونه",
        "Sample Payame Noor University",
    ),
    (
        "90004",
        "APPLIED_SCIENCE",
        "دانشگاه علمی کاربردی نمونه",
        "Sample Applied Science University",
    ),
    (
        "90005",
        "TECHNICAL_VOCATIONAL",
        "دانشگاه فنی و حرفه‌ای نمونه",
        "Sample Technical University",
    ),
    (
        "90006",
        "AZAD",
        "دانشگاه آزاد نمونه",
        "Sample Azad University",
    ),
];

/// The demo's folder with everything a server needs.
pub(crate) struct World {
    /// The folder.
    pub(crate) dir: PathBuf,
    /// When it was made.
    pub(crate) now: Timestamp,
    authority: Authority,
    /// The configuration's section on the database.
    store: String,
}

/// Where a world keeps its documents.
pub(crate) enum Database {
    /// A file in its folder.
    Sqlite,
    /// An empty database, as its owner.
    Postgres {
        /// Its URL.
        url: String,
    },
}

impl Database {
    fn section(&self) -> String {
        match self {
            Self::Sqlite => "[store]\nengine = \"sqlite\"\npath = \"gavah.sqlite\"\n".to_owned(),
            Self::Postgres { .. } => {
                format!("[store]\nengine = \"postgres\"\nurl_file = \"{URL_FILE}\"\n")
            }
        }
    }
}

/// A client certificate on disk.
pub(crate) struct Identity {
    /// The certificate.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// SHA-256 of the certificate, hex.
    pub(crate) fingerprint: String,
}

impl World {
    /// Makes the world in `dir`, which must not exist or be empty; universities review what a record does not confirm, or
    /// such applications are refused.
    pub(crate) async fn create(
        dir: &Path,
        database: &Database,
        university_review: bool,
    ) -> Result<Self> {
        fs::create_dir_all(dir).into_diagnostic()?;
        if fs::read_dir(dir).into_diagnostic()?.next().is_some() {
            return Err(miette!(
                "{} is not empty: a made-up world starts from nothing",
                dir.display()
            ));
        }
        let dir = dir.canonicalize().into_diagnostic()?;
        let now = SystemClock.now();
        let authority = Authority::create(&dir.join("pki"), now).into_diagnostic()?;
        generate_key_file(&dir.join("signing.key")).into_diagnostic()?;
        SubjectHasher::generate_file(&dir.join("subject-hash.key")).into_diagnostic()?;
        let world = Self {
            dir,
            now,
            authority,
            store: database.section(),
        };
        let server = world
            .authority
            .issue_server(&["localhost", "127.0.0.1"], world.validity()?)
            .into_diagnostic()?;
        write(&server, &world.dir.join("pki"), "server").into_diagnostic()?;
        if let Database::Postgres { url } = database {
            write_secret(&world.dir.join(URL_FILE), url)?;
        }
        world.write_config(CONFIG, "")?;
        world.fill_store(university_review).await?;
        Ok(world)
    }

    fn validity(&self) -> Result<Validity> {
        Validity::starting(self.now, SignedDuration::from_hours(24 * CERTIFICATE_DAYS))
            .into_diagnostic()
    }

    /// Issues a caller's certificate into the PKI folder.
    pub(crate) fn identity(&self, caller_id: &str) -> Result<Identity> {
        let issued = self
            .authority
            .issue_caller(TRUST_DOMAIN, caller_id, self.validity()?)
            .into_diagnostic()?;
        let written = write(&issued, &self.dir.join("pki"), caller_id).into_diagnostic()?;
        let fingerprint = issued
            .fingerprint
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Identity {
            certificate: written.certificate,
            key: written.key,
            fingerprint,
        })
    }

    /// The world's configuration, read the way any server reads its own.
    pub(crate) fn config(&self) -> Result<Config> {
        Config::load(&self.dir.join(CONFIG)).into_diagnostic()
    }

    /// How to connect to the server at `port`.
    pub(crate) fn client_config(&self, identity: &Identity, port: u16) -> ClientConfig {
        ClientConfig {
            endpoint: format!("https://localhost:{port}"),
            server_ca: self.authority.certificate_path(),
            certificate: identity.certificate.clone(),
            key: identity.key.clone(),
            timeout: std::time::Duration::from_secs(10),
            retries: 3,
        }
    }

    /// A client of the server at `port`.
    pub(crate) async fn client(&self, identity: &Identity, port: u16) -> Result<Client> {
        Client::connect(&self.client_config(identity, port))
            .await
            .into_diagnostic()
    }

    /// Writes a configuration of the world with more sections than it needs.
    pub(crate) fn write_config(&self, name: &str, more: &str) -> Result<PathBuf> {
        let store = &self.store;
        let config = format!(
            "# Written by the program itself: loopback only, development certificates.\n\
             [listen]\naddress = \"127.0.0.1:0\"\nprobes_address = \"127.0.0.1:0\"\n\n\
             [tls]\ncertificate_file = \"pki/server.pem\"\nkey_file = \"pki/server.key\"\n\
             client_ca_file = \"pki/ca.pem\"\ncrl_files = [\"pki/crl.pem\"]\n\
             trust_domain = \"{TRUST_DOMAIN}\"\n\n\
             {store}\n\
             [signing]\nkey_file = \"signing.key\"\n\n\
             [audit]\nsubject_hash_key_file = \"subject-hash.key\"\n\n\
             {more}"
        );
        let path = self.dir.join(name);
        fs::write(&path, config).into_diagnostic()?;
        Ok(path)
    }

    /// Migrates the database, loads the reference data and registers the first
    /// caller; everybody else is registered by it, over the wire.
    async fn fill_store(&self, university_review: bool) -> Result<()> {
        let config = self.config()?.store.store_config();
        Store::migrate(&config).await.into_diagnostic()?;
        let store = Store::open(&config, StoreLimits::default(), Arc::new(SystemEntropy))
            .await
            .into_diagnostic()?;
        let context = ActContext {
            actor: "operator/demo".to_owned(),
            now: self.now,
            trace_id: String::new(),
            claim: None,
        };
        store
            .load_seed(&context, &seed(JalaliDate::of(self.now), university_review))
            .await
            .into_diagnostic()?;
        let year = JalaliDate::of(self.now).year();
        let calendars: Vec<_> = (year - 1..=year + 1).filter_map(calendar).collect();
        store
            .publish_calendar(&context, &calendars, false)
            .await
            .into_diagnostic()?;
        let first = NewCaller {
            caller: Caller {
                id: CallerId::parse(ORGANIZATION).map_err(|reason| miette!("{reason}"))?,
                class: CallerClass::Organization,
                institution: None,
            },
            display_name: "سامانه سازمان (نمایشی)".to_owned(),
            state: CallerState::Active,
            fingerprint: self.identity(ORGANIZATION)?.fingerprint,
        };
        let registered = store
            .create_caller(&context, &first)
            .await
            .into_diagnostic()?;
        store.close().await;
        match registered {
            RegistryChange::Done => Ok(()),
            other => Err(miette!(
                "the first caller could not be registered: {other:?}"
            )),
        }
    }

    /// The identity of a caller whose certificate was issued before.
    pub(crate) fn first_identity(&self) -> Identity {
        let pki = self.dir.join("pki");
        Identity {
            certificate: pki.join(format!("{ORGANIZATION}.pem")),
            key: pki.join(format!("{ORGANIZATION}.key")),
            fingerprint: String::new(),
        }
    }
}

/// A file that only its owner may read.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .into_diagnostic()?;
    file.write_all(text.as_bytes()).into_diagnostic()
}

/// Terms around today, both services with an open call, agreements of the demo's
/// callers, and this budget year's table with one row alone: but for duplicates both services are free.
fn seed(today: JalaliDate, university_review: bool) -> Seed {
    let year = today.year();
    let rules = |require_prior_qualification, university_review| WorkflowRules {
        auto_confirm: true,
        freshness_hours: 24,
        require_prior_qualification,
        certificate_extra_days: 30,
        certificate_max_months: 6,
        university_review,
        organization_review: false,
        organization_review_percent: 100,
        outlives_enrollment: Vec::new(),
        payment_position: "BEFORE_ISSUE".to_owned(),
        required_attachments: Vec::new(),
        codes: CodeRulesSeed::default(),
    };
    let eligible: Vec<String> = InstitutionType::ALL
        .iter()
        .filter(|kind| kind.is_eligible())
        .map(|kind| kind.as_str().to_owned())
        .collect();
    let call = |id: &str, service: &str, kinds: Vec<String>, workflow: &str| CallSeed {
        id: id.to_owned(),
        service: service.to_owned(),
        state: "OPEN".to_owned(),
        opens: format!("{}/01/01", year - 1),
        closes: None,
        eligible_types: eligible.clone(),
        document_kinds: kinds,
        workflow: workflow.to_owned(),
        run_off_days: 30,
        sla_targets: std::collections::BTreeMap::new(),
    };
    let kinds = DocumentKind::ALL
        .iter()
        .map(|kind| kind.as_str().to_owned())
        .collect();
    let agreement = |id: &str, call: &str, consumers: Vec<String>| AgreementSeed {
        id: id.to_owned(),
        call: call.to_owned(),
        consumers,
        ..AgreementSeed::default()
    };
    let institutions = INSTITUTIONS
        .iter()
        .map(|(code, ..)| format!("institutions/{code}"))
        .collect();
    Seed {
        term: (year - 1..=year + 1).flat_map(terms).collect(),
        workflow: vec![
            WorkflowSeed {
                id: "validity-code-v1".to_owned(),
                service: "VALIDITY_CODE".to_owned(),
                rules: rules(true, false),
            },
            WorkflowSeed {
                id: "enrollment-certificate-v1".to_owned(),
                service: "ENROLLMENT_CERTIFICATE".to_owned(),
                rules: rules(false, university_review),
            },
        ],
        call: vec![
            call(
                "demo-validity-code",
                "VALIDITY_CODE",
                kinds,
                "validity-code-v1",
            ),
            CallSeed {
                sla_targets: ["ISSUE_FROM_RECORD", "CONFIRM_EXISTING", "DUPLICATE"]
                    .map(|kind| (kind.to_owned(), 35))
                    .into(),
                ..call(
                    "demo-enrollment-certificate",
                    "ENROLLMENT_CERTIFICATE",
                    Vec::new(),
                    "enrollment-certificate-v1",
                )
            },
        ],
        agreement: vec![
            // Bounds that nobody reaches: what counting costs is part of what is shown.
            AgreementSeed {
                daily_calls: Some(1_000_000_000),
                burst: Some(1_000_000),
                ..agreement("demo-universities", "demo-validity-code", institutions)
            },
            agreement(
                "demo-window",
                "demo-enrollment-certificate",
                vec![format!("callers/{WINDOW}")],
            ),
            AgreementSeed {
                purposes: hub_purposes(),
                fields: hub_fields(),
                ..agreement(
                    "demo-hub",
                    "demo-validity-code",
                    vec![format!("callers/{HUB}")],
                )
            },
            AgreementSeed {
                purposes: hub_purposes(),
                fields: hub_fields(),
                through: Some(HUB.to_owned()),
                ..agreement(
                    "demo-agency",
                    "demo-validity-code",
                    vec![format!("agencies/{AGENCY}")],
                )
            },
            // Of this one the story uses up the day.
            AgreementSeed {
                purposes: hub_purposes(),
                fields: vec!["DOCUMENT".to_owned()],
                through: Some(HUB.to_owned()),
                daily_calls: Some(2),
                ..agreement(
                    "demo-small-agency",
                    "demo-validity-code",
                    vec![format!("agencies/{SMALL_AGENCY}")],
                )
            },
        ],
        agreement_text: source_texts(),
        tariff: vec![TariffSeed {
            year,
            legal_reference: format!("جدول نمایشی سال {year}، تنها با ردیف المثنی"),
            supersedes: None,
            row: vec![TariffRowSeed {
                service: "ENROLLMENT_CERTIFICATE".to_owned(),
                request_type: Some("DUPLICATE".to_owned()),
                institution_type: None,
                from_date: None,
                amount: 250_000,
                unit: "IRR_CURRENT".to_owned(),
                legal_reference: "ردیف نمایشی ۱".to_owned(),
            }],
        }],
    }
}

/// A made-up working calendar: seven hours a day, without Thursdays and Fridays and without holidays.
fn calendar(year: i32) -> Option<CalendarYear> {
    let (first, last) = (
        JalaliDate::new(year, 1, 1).ok()?,
        JalaliDate::new(year + 1, 1, 1).ok()?.plus_days(-1),
    );
    let row = |kind, weekday, opens, closes| {
        let (first, last) = (first.to_string(), last.to_string());
        CalendarRow::parse([kind, &first, &last, weekday, opens, closes, "نمایشی"]).ok()
    };
    let rows = vec![
        row("HOURS", "", "07:30", "14:30")?,
        row("WEEKEND", "THURSDAY", "", "")?,
        row("WEEKEND", "FRIDAY", "", "")?,
    ];
    CalendarYear::new(year, rows).ok()
}

/// The three terms of the academic year before `year`, back to back, so that
/// every day of the demo lies in one.
fn terms(year: i32) -> Vec<TermSeed> {
    let term = |kind: &str, start: String, end: String| TermSeed {
        academic_year: year - 1,
        kind: kind.to_owned(),
        start,
        end,
    };
    vec![
        term(
            "FIRST",
            format!("{}/07/01", year - 1),
            format!("{}/11/15", year - 1),
        ),
        term(
            "SECOND",
            format!("{}/11/16", year - 1),
            format!("{year}/04/15"),
        ),
        term("SUMMER", format!("{year}/04/16"), format!("{year}/06/31")),
    ]
}

/// The term of this reference data in which a day lies.
pub(crate) fn current_term(today: JalaliDate) -> pb::Term {
    let (year, day) = (today.year(), today.as_i32() % 10_000);
    let (academic_year, kind) = match day {
        ..=415 => (year - 1, pb::TermKind::Second),
        416..=631 => (year - 1, pb::TermKind::Summer),
        632..=1115 => (year, pb::TermKind::First),
        _ => (year, pb::TermKind::Second),
    };
    pb::Term {
        academic_year,
        kind: kind.into(),
    }
}

fn hub_purposes() -> Vec<String> {
    let purposes = ["VALIDATE", "MATCH", "INQUIRE"];
    purposes.map(str::to_owned).to_vec()
}

fn hub_fields() -> Vec<String> {
    let fields = ["DOCUMENT", "INSTITUTION", "PROGRAM", "NAME", "ENROLLMENT"];
    fields.map(str::to_owned).to_vec()
}

/// The texts of the two service-level agreements, as shipped.
fn source_texts() -> Vec<AgreementTextSeed> {
    let shipped = include_str!("../../../deploy/agreement-texts.toml");
    // A test reads the shipped file.
    toml::from_str::<Seed>(shipped).map_or_else(|_| Vec::new(), |seed| seed.agreement_text)
}
