//! The client: connects, makes calls, repeats them.

use std::fmt;
use std::time::Duration;

use http::{HeaderValue, Uri};
use rustls::crypto::SecureRandom;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::transport::Endpoint;
use tonic::{Response, Status};

use gavah_api::v1::{
    agreement_service_client::AgreementServiceClient,
    attachment_service_client::AttachmentServiceClient, audit_service_client::AuditServiceClient,
    change_service_client::ChangeServiceClient, dispute_service_client::DisputeServiceClient,
    document_service_client::DocumentServiceClient,
    enrollment_certificate_service_client::EnrollmentCertificateServiceClient,
    enrollment_record_service_client::EnrollmentRecordServiceClient,
    incident_service_client::IncidentServiceClient, inquiry_service_client::InquiryServiceClient,
    issuance_job_service_client::IssuanceJobServiceClient,
    payment_service_client::PaymentServiceClient, registry_service_client::RegistryServiceClient,
    sandbox_service_client::SandboxServiceClient, sla_service_client::SlaServiceClient,
    tariff_service_client::TariffServiceClient, validation_service_client::ValidationServiceClient,
    validity_code_service_client::ValidityCodeServiceClient,
};

use crate::channel::{Channel, Deadline, OnBehalfOf};
use crate::retry::{Fault, is_worth_repeating, pause};
use crate::tls::{Connector, explain, provider};
use crate::trace::{is_traceparent, trace_id};
use crate::{ClientConfig, ClientError, Failure};

/// How often an idle connection under a waiting call is asked whether it still lives, and how long that may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the service as one caller. Cheap to clone, usable by many tasks at once; reconnects by itself.
#[derive(Clone)]
pub struct Client {
    channel: tonic::transport::Channel,
    timeout: Duration,
    retries: u32,
    traceparent: Option<HeaderValue>,
    on_behalf_of: Option<OnBehalfOf>,
    random: &'static dyn SecureRandom,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    message: T,
    trace_id: Option<String>,
}

impl<T> Reply<T> {
    /// The message.
    pub fn message(&self) -> &T {
        &self.message
    }

    /// The message, owned.
    pub fn into_message(self) -> T {
        self.message
    }

    /// Names the call in the service's logs: 32 hexadecimal digits.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }
}

impl Client {
    /// Connects once, so that a wrong address, an untrusted server or an unusable file is known now. Whether the
    /// server accepts this client's certificate shows with the first call: TLS 1.3 lets the client finish first.
    ///
    /// # Errors
    ///
    /// [`ClientError`] naming the file or the endpoint.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let uri = endpoint_uri(&config.endpoint)?;
        let connector = Connector::new(config, &uri)?;
        // TLS happens in the connector; with an https address tonic would want to do it itself, should its own TLS
        // be compiled in. The requests still say https.
        let mut plain = uri.clone().into_parts();
        plain.scheme = Some(http::uri::Scheme::HTTP);
        let unusable = |_| ClientError::Endpoint {
            endpoint: config.endpoint.clone(),
            problem: "not an address",
        };
        let endpoint = Endpoint::from(Uri::from_parts(plain).map_err(unusable)?)
            .origin(uri)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        let connect = endpoint.connect_with_connector(tower::service_fn(move |_: Uri| {
            Box::pin(connector.clone().connect())
        }));
        let channel = connect.await.map_err(|error| explain(config, error))?;
        Ok(Self {
            channel,
            timeout: config.timeout,
            retries: config.retries,
            traceparent: None,
            on_behalf_of: None,
            random: provider().secure_random,
        })
    }

    /// This client with a trace context that goes with every call: `00-<trace id>-<span id>-<flags>`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Traceparent`] when it is not one.
    pub fn traced(&self, traceparent: &str) -> Result<Self, ClientError> {
        let header = HeaderValue::from_str(traceparent).map_err(|_| ClientError::Traceparent)?;
        match is_traceparent(traceparent) {
            true => Ok(Self {
                traceparent: Some(header),
                ..self.clone()
            }),
            false => Err(ClientError::Traceparent),
        }
    }

    /// This client asking on behalf of an agency, as only the national hub may: its national id of eleven digits, and
    /// the name of its agreement, `agreements/{id}`. For what it asks, the method says.
    ///
    /// # Errors
    ///
    /// [`ClientError::Metadata`] when they cannot be sent.
    pub fn on_behalf_of(&self, agency: &str, agreement: &str) -> Result<Self, ClientError> {
        let value = |text| HeaderValue::from_str(text).map_err(|_| ClientError::Metadata);
        Ok(Self {
            on_behalf_of: Some(OnBehalfOf {
                agency: value(agency)?,
                agreement: value(agreement)?,
            }),
            ..self.clone()
        })
    }

    /// This client with another time for each call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// Makes a call and repeats it while that is safe and of use: the service was unavailable, the connection was
    /// lost, or another act came between. `attempt` is run for each attempt with a copy of the one request, so that
    /// its `request_id` is the same each time. All attempts and pauses together take no longer than the client's
    /// timeout.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the last attempt.
    pub async fn call<Q, A, F>(
        &self,
        request: Q,
        attempt: impl Fn(Channel, Q) -> F,
    ) -> Result<Reply<A>, Box<Failure>>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let deadline = Instant::now() + self.timeout;
        let channel = self.channel(Deadline::At(deadline));
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (fault, mut failure) =
                match timeout_at(deadline, attempt(channel.clone(), request.clone())).await {
                    Ok(Ok(response)) => {
                        let trace_id = trace_id(response.metadata());
                        return Ok(Reply {
                            message: response.into_inner(),
                            trace_id,
                        });
                    }
                    Ok(Err(status)) => (Fault::of(&status), Failure::of(&status)),
                    Err(_) => (Fault::Time, Failure::out_of_time()),
                };
            failure.attempts = attempts;
            if attempts > self.retries || !is_worth_repeating(fault, &failure) {
                return Err(Box::new(failure));
            }
            let pause = pause(attempts, failure.retry_after, self.chance());
            // The pause alone would use up the time: the answer at hand says more than "too late".
            if pause >= deadline.saturating_duration_since(Instant::now()) {
                return Err(Box::new(failure));
            }
            sleep(pause).await;
        }
    }

    /// The audit, with deadline and trace context but without repetition.
    pub fn audit(&self) -> AuditServiceClient<Channel> {
        self.once().audit()
    }

    /// Files, with deadline and trace context but without repetition.
    pub fn attachments(&self) -> AttachmentServiceClient<Channel> {
        self.once().attachments()
    }

    /// Services, calls and agreements, with deadline and trace context but without repetition.
    pub fn agreements(&self) -> AgreementServiceClient<Channel> {
        self.once().agreements()
    }

    /// Disputes, with deadline and trace context but without repetition.
    pub fn disputes(&self) -> DisputeServiceClient<Channel> {
        self.once().disputes()
    }

    /// Inquiries by person, with deadline and trace context but without repetition.
    pub fn inquiries(&self) -> InquiryServiceClient<Channel> {
        self.once().inquiries()
    }

    /// Pauses of issuing, with deadline and trace context but without repetition.
    pub fn incidents(&self) -> IncidentServiceClient<Channel> {
        self.once().incidents()
    }

    /// Documents and guides, with deadline and trace context but without repetition.
    pub fn documents(&self) -> DocumentServiceClient<Channel> {
        self.once().documents()
    }

    /// Jobs, with deadline, but for what lasts, and trace context, but without repetition.
    pub fn jobs(&self) -> IssuanceJobServiceClient<Channel> {
        self.once().jobs()
    }

    /// Payments of fees, with deadline and trace context but without repetition.
    pub fn payments(&self) -> PaymentServiceClient<Channel> {
        self.once().payments()
    }

    /// How promises of service levels are kept, with deadline and trace context but without repetition.
    pub fn service_levels(&self) -> SlaServiceClient<Channel> {
        self.once().service_levels()
    }

    /// What the services cost, with deadline and trace context but without repetition.
    pub fn tariffs(&self) -> TariffServiceClient<Channel> {
        self.once().tariffs()
    }

    /// What only a sandbox can do, with deadline and trace context but without repetition.
    pub fn sandbox(&self) -> SandboxServiceClient<Channel> {
        self.once().sandbox()
    }

    /// The change feed, with trace context but without repetition; reading a part has a deadline.
    pub fn changes(&self) -> ChangeServiceClient<Channel> {
        self.once().changes()
    }

    /// Validity codes, with deadline and trace context but without repetition.
    pub fn validity_codes(&self) -> ValidityCodeServiceClient<Channel> {
        self.once().validity_codes()
    }

    /// Validation of codes, with deadline and trace context but without repetition.
    pub fn validation(&self) -> ValidationServiceClient<Channel> {
        self.once().validation()
    }

    /// Callers, institutions and experts, with deadline and trace context but without repetition.
    pub fn registry(&self) -> RegistryServiceClient<Channel> {
        self.once().registry()
    }

    /// Enrollment records, with deadline and trace context but without repetition.
    pub fn records(&self) -> EnrollmentRecordServiceClient<Channel> {
        self.once().records()
    }

    /// Enrollment certificates, with deadline and trace context but without repetition.
    pub fn certificates(&self) -> EnrollmentCertificateServiceClient<Channel> {
        self.once().certificates()
    }

    fn once(&self) -> Channel {
        self.channel(Deadline::After(self.timeout))
    }

    fn channel(&self, deadline: Deadline) -> Channel {
        Channel::new(
            self.channel.clone(),
            deadline,
            self.traceparent.clone(),
            self.on_behalf_of.clone(),
        )
    }

    /// A random byte; without one the pauses are merely not spread.
    fn chance(&self) -> u8 {
        let mut byte = [0];
        match self.random.fill(&mut byte) {
            Ok(()) => byte[0],
            Err(_) => 0,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

fn endpoint_uri(endpoint: &str) -> Result<Uri, ClientError> {
    let unusable = |problem| ClientError::Endpoint {
        endpoint: endpoint.to_owned(),
        problem,
    };
    let uri: Uri = endpoint.parse().map_err(|_| unusable("not an address"))?;
    match uri.scheme_str() {
        Some("https") => {}
        _ => return Err(unusable("does not begin with https")),
    }
    match uri.path_and_query().map(|path| path.as_str()) {
        None | Some("/") => Ok(uri),
        Some(_) => Err(unusable("has a path")),
    }
}
