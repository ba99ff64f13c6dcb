//! The connection to a running service: flags, and calls made through them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gavah_client::{Channel, Client, ClientConfig, Reply};
use gavah_domain::{Clock, SystemClock, SystemEntropy, new_uuid};
use jiff::Timestamp;
use serde_json::{Value, json};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::exit::Exit;
use crate::message::{self, Named};
use crate::output::{Output, note};
use crate::problem::Problem;

/// How often a call is repeated after its first attempt.
const RETRIES: u32 = 3;

/// Where the service is and who calls.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// Address of the service: https://host:port
    #[arg(long, env = "GAVAH_ENDPOINT", value_name = "URL")]
    endpoint: String,
    /// PEM file of the authorities that may vouch for the server
    #[arg(long, env = "GAVAH_CA", value_name = "FILE")]
    ca: PathBuf,
    /// PEM file of the caller's certificate, leaf first
    #[arg(long, env = "GAVAH_CERT", value_name = "FILE")]
    cert: PathBuf,
    /// PEM file of the caller's private key
    #[arg(long, env = "GAVAH_KEY", value_name = "FILE")]
    key: PathBuf,
    /// Seconds for connecting, and for each call with its repetitions
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Ask on behalf of the agency with this national id; only the national hub
    #[arg(long, value_name = "DIGITS", requires = "under_agreement")]
    on_behalf_of: Option<String>,
    /// The agency's agreement: agreements/{id}
    #[arg(long, value_name = "NAME", requires = "on_behalf_of")]
    under_agreement: Option<String>,
}

impl Connection {
    pub(crate) async fn open(&self) -> Result<Session, Problem> {
        let client = Client::connect(&ClientConfig {
            endpoint: self.endpoint.clone(),
            server_ca: self.ca.clone(),
            certificate: self.cert.clone(),
            key: self.key.clone(),
            timeout: Duration::from_secs(self.timeout),
            retries: RETRIES,
        })
        .await?;
        let client = match (&self.on_behalf_of, &self.under_agreement) {
            (Some(agency), Some(agreement)) => client.on_behalf_of(agency, agreement)?,
            _ => client,
        };
        Ok(Session { client })
    }

    /// Makes a call that changes something, under `request_id`, and shows its answer.
    pub(crate) async fn write<Q, A, F>(
        &self,
        output: Output,
        request_id: Uuid,
        request: Q,
        attempt: impl Fn(Channel, Q) -> F,
    ) -> Result<Exit, Problem>
    where
        Q: Clone,
        A: Named,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let session = self.open().await?;
        output.show(&session.write(request_id, request, attempt).await?);
        Ok(Exit::Ok)
    }

    /// Makes a call that reads, and shows its answer.
    pub(crate) async fn read<Q, A, F>(
        &self,
        output: Output,
        request: Q,
        attempt: impl Fn(Channel, Q) -> F,
    ) -> Result<Exit, Problem>
    where
        Q: Clone,
        A: Named,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let session = self.open().await?;
        output.show(&answer(&session.read(request, attempt).await?)?);
        Ok(Exit::Ok)
    }
}

/// An open connection.
pub(crate) struct Session {
    client: Client,
}

impl Session {
    /// The client, for streams.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A call that reads.
    pub(crate) async fn read<Q, A, F>(
        &self,
        request: Q,
        attempt: impl Fn(Channel, Q) -> F,
    ) -> Result<Reply<A>, Problem>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let reply = self.client.call(request, attempt).await;
        reply.map_err(|failure| Problem::Failure {
            failure,
            request_id: None,
        })
    }

    /// A call that changes something, under `request_id`; the answer as JSON with the ids of the call.
    pub(crate) async fn write<Q, A, F>(
        &self,
        request_id: Uuid,
        request: Q,
        attempt: impl Fn(Channel, Q) -> F,
    ) -> Result<Value, Problem>
    where
        Q: Clone,
        A: Named,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let reply = self.client.call(request, attempt).await;
        let reply = reply.map_err(|failure| Problem::Failure {
            failure,
            request_id: Some(request_id),
        })?;
        let mut answer = answer(&reply)?;
        answer["request_id"] = json!(request_id.to_string());
        Ok(answer)
    }
}

/// An answer as JSON with the trace id of its call.
pub(crate) fn answer<A: Named>(reply: &Reply<A>) -> Result<Value, Problem> {
    let mut answer = message::to_json(reply.message())?;
    answer["trace_id"] = json!(reply.trace_id());
    Ok(answer)
}

/// Flags of every command that changes something.
#[derive(Debug, Clone, Args)]
pub(crate) struct Write {
    /// Retry key: the same id with the same content acts once and gives the same answer [default: a new one, told
    /// before the call]
    #[arg(long, value_name = "UUID")]
    pub(crate) request_id: Option<Uuid>,
    /// Check everything and change nothing
    #[arg(long)]
    pub(crate) validate_only: bool,
}

impl Write {
    /// The request id given, or a new one, told before the call so that it can be repeated whatever happens. `beside`
    /// are further flags that a repetition must give.
    pub(crate) fn request_id(&self, beside: &str) -> Result<Uuid, Problem> {
        if let Some(id) = self.request_id {
            return Ok(id);
        }
        let id = new_uuid(now(), &SystemEntropy)
            .map_err(|_| Problem::Internal("the operating system gave no randomness".to_owned()))?;
        if !self.validate_only {
            note(&format!(
                "to repeat this call safely: --request-id {id}{beside}"
            ));
        }
        Ok(id)
    }

    /// As [`Write::request_id`], when a request read from a file may bring its own.
    pub(crate) fn request_id_of(&self, in_file: &str, beside: &str) -> Result<Uuid, Problem> {
        match (self.request_id, in_file) {
            (None, given) if !given.is_empty() => given
                .parse()
                .map_err(|_| Problem::usage("request_id: must be a UUID")),
            _ => self.request_id(beside),
        }
    }

    /// The instant given, or now, as part of a request that must be repeatable: with a request id of an earlier call
    /// its instant must be given too.
    pub(crate) fn instant(
        &self,
        flag: &str,
        given: Option<Timestamp>,
    ) -> Result<Timestamp, Problem> {
        match (given, self.request_id) {
            (Some(given), _) => Ok(given),
            (None, None) => Ok(now()),
            (None, Some(_)) => Err(Problem::usage(format_args!(
                "--request-id needs {flag} beside it, as told by the first call: another instant is another request"
            ))),
        }
    }
}

/// The present instant.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}
