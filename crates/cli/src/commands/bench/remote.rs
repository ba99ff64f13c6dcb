//! A server that runs already, somebody's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use gavah_api::v1 as pb;
use gavah_bench::people::Ground;
use gavah_bench::plan::Plan;
use gavah_bench::rounds::{Side, SideReport, interleave};
use gavah_bench::target::{admit, connect};
use gavah_bench::work::{Kind, Work};
use gavah_client::ClientConfig;
use gavah_domain::{Clock, Entropy, JalaliDate, SystemClock, SystemEntropy};

use super::run::told;
use super::scenario::Scenario;
use crate::problem::Problem;
use crate::world::current_term;

/// Time for one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A server that runs already.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "A server that runs already")]
pub(crate) struct RemoteFlags {
    /// Load this server instead of starting one: https://host:port
    #[arg(long, value_name = "URL", requires_all = ["ca", "certificate", "key"])]
    endpoint: Option<String>,
    /// PEM file of the authorities that may vouch for it
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    ca: Option<PathBuf>,
    /// PEM file of the caller's certificate
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    certificate: Option<PathBuf>,
    /// PEM file of its key
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    key: Option<PathBuf>,
    /// Its process, for what a call costs it
    #[arg(long, value_name = "PID", requires = "endpoint")]
    pid: Option<u32>,
    /// A good code to ask about; may be given several times
    #[arg(long = "code", value_name = "CODE", requires = "endpoint")]
    good_codes: Vec<String>,
    /// The expert for whom codes are issued: institutions/CODE/experts/CODE. The codes are real ones, for made-up people
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    expert: Option<String>,
    /// Load a server on another machine
    #[arg(long, requires = "endpoint")]
    allow_remote: bool,
}

/// A server that may be loaded.
pub(super) struct Remote {
    config: ClientConfig,
    pid: Option<u32>,
    codes: Arc<[String]>,
    expert: Option<String>,
}

impl RemoteFlags {
    /// The server, when one is named.
    ///
    /// # Errors
    /// [`Problem::Usage`] when it is not on this machine and that was not allowed.
    pub(super) fn remote(&self) -> Result<Option<Remote>, Problem> {
        let (Some(endpoint), Some(ca), Some(certificate), Some(key)) =
            (&self.endpoint, &self.ca, &self.certificate, &self.key)
        else {
            return Ok(None);
        };
        admit(endpoint, self.allow_remote).map_err(Problem::usage)?;
        Ok(Some(Remote {
            config: ClientConfig {
                endpoint: endpoint.clone(),
                server_ca: ca.clone(),
                certificate: certificate.clone(),
                key: key.clone(),
                timeout: CALL_TIMEOUT,
                retries: 0,
            },
            pid: self.pid,
            codes: self.good_codes.clone().into(),
            expert: self.expert.clone(),
        }))
    }
}

impl Remote {
    /// Measures scenarios in turns.
    pub(super) async fn measure(
        &self,
        scenarios: &[Scenario],
        plan: &Plan,
    ) -> Result<Vec<SideReport>, Problem> {
        if scenarios.is_empty() {
            return Err(Problem::usage("--endpoint needs the scenarios by name"));
        }
        for &scenario in scenarios {
            self.kind(scenario)?;
        }
        let names: Vec<String> = scenarios.iter().map(|scenario| scenario.name()).collect();
        let open = async |index: usize| -> Result<(Side, Plan, ()), Problem> {
            Ok((self.side(scenarios[index], plan).await?, *plan, ()))
        };
        interleave(&names, plan.rounds, open, told).await
    }

    /// Connects for one scenario.
    pub(super) async fn side(&self, scenario: Scenario, plan: &Plan) -> Result<Side, Problem> {
        let work = Arc::new(Work::new(self.kind(scenario)?));
        Ok(Side {
            clients: connect(&self.config, plan.connections).await?,
            work: scenario.at(&work, &self.config, &self.codes),
            pid: self.pid,
            database_pid: None,
        })
    }

    fn kind(&self, scenario: Scenario) -> Result<Kind, Problem> {
        let codes = || match self.codes.is_empty() {
            true => Err(Problem::usage("the scenario needs --code")),
            false => Ok(Arc::clone(&self.codes)),
        };
        match scenario {
            Scenario::ValidateHot | Scenario::ValidateWithoutAgreement | Scenario::Handshake => {
                Ok(Kind::Validate(codes()?))
            }
            Scenario::ValidateUnknown => Ok(Kind::Unknown),
            Scenario::ValidateMixed => Ok(Kind::Mixed(codes()?)),
            Scenario::Batch => Ok(Kind::Batch(codes()?)),
            Scenario::Stream => Ok(Kind::Stream(codes()?)),
            Scenario::StreamIssue => self.ground().map(Kind::StreamIssue),
            Scenario::Issue => self.ground().map(Kind::Issue),
            other => Err(Problem::usage(format_args!(
                "{} cannot be measured on a server that runs already",
                other.name()
            ))),
        }
    }

    fn ground(&self) -> Result<Arc<Ground>, Problem> {
        let expert = self.expert.as_deref();
        let institution =
            expert.and_then(|name| name.strip_prefix("institutions/")?.split('/').next());
        let (Some(expert), Some(institution)) = (expert, institution) else {
            return Err(Problem::usage(
                "issuing needs --expert institutions/CODE/experts/CODE",
            ));
        };
        let (ground, salt) = ground(institution, expert)?;
        // Some people may have been given codes by an earlier run: this one begins somewhere else.
        ground.take(salt % 300_000_000);
        Ok(Arc::new(ground))
    }
}

/// Where requests come from, beginning now, and the randomness that makes them its own.
pub(super) fn ground(institution: &str, expert: &str) -> Result<(Ground, u64), Problem> {
    let internal = |error: &dyn std::fmt::Display| Problem::Internal(error.to_string());
    let mut salt = [0; 8];
    SystemEntropy
        .fill(&mut salt)
        .map_err(|error| internal(&error))?;
    let salt = u64::from_ne_bytes(salt);
    let now = SystemClock.now();
    let epoch = Duration::try_from(now.duration_since(jiff::Timestamp::UNIX_EPOCH));
    let epoch = epoch.map_err(|error| internal(&error))?;
    let term: pb::Term = current_term(JalaliDate::of(now));
    Ok((Ground::new(institution, expert, term, epoch, salt), salt))
}
