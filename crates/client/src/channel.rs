//! The channel under the generated clients: adds the deadline and the trace context to every request.

use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::transport::channel::ResponseFuture;
use tower::Service;

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

use crate::trace::TRACEPARENT;

/// The header by which a client tells its deadline.
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Streams that last as long as both sides have something to say: the time of a call is none for them.
const LASTING: [&str; 5] = [
    "/gavah.v1.ChangeService/WatchChanges",
    "/gavah.v1.IssuanceJobService/DownloadIssuanceJobResult",
    "/gavah.v1.IssuanceJobService/SubmitIssuanceJob",
    "/gavah.v1.ValidationService/StreamValidateCodes",
    "/gavah.v1.ValidityCodeService/StreamIssueValidityCodes",
];

/// What the national hub asks for on behalf of agencies, and for what purpose.
const PURPOSES: [(&str, &str); 6] = [
    ("/gavah.v1.InquiryService/InquireEnrollment", "INQUIRE"),
    ("/gavah.v1.InquiryService/InquireValidityCodes", "INQUIRE"),
    ("/gavah.v1.ValidationService/BatchValidateCodes", "VALIDATE"),
    ("/gavah.v1.ValidationService/MatchCode", "MATCH"),
    (
        "/gavah.v1.ValidationService/StreamValidateCodes",
        "VALIDATE",
    ),
    ("/gavah.v1.ValidationService/ValidateCode", "VALIDATE"),
];

/// On whose behalf the national hub asks.
#[derive(Debug, Clone)]
pub(crate) struct OnBehalfOf {
    /// The agency's national id.
    pub(crate) agency: HeaderValue,
    /// The name of its agreement.
    pub(crate) agreement: HeaderValue,
}

/// A connection to the service as the generated clients use it. Cheap to clone; reconnects by itself. Streams have no
/// deadline but what the request itself states.
#[derive(Debug, Clone)]
pub struct Channel {
    inner: tonic::transport::Channel,
    deadline: Deadline,
    traceparent: Option<HeaderValue>,
    on_behalf_of: Option<OnBehalfOf>,
}

/// Until when an answer is of use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deadline {
    /// So long after each request is sent.
    After(Duration),
    /// At this instant, however many attempts there are.
    At(Instant),
}

impl Channel {
    pub(crate) fn new(
        inner: tonic::transport::Channel,
        deadline: Deadline,
        traceparent: Option<HeaderValue>,
        on_behalf_of: Option<OnBehalfOf>,
    ) -> Self {
        Self {
            inner,
            deadline,
            traceparent,
            on_behalf_of,
        }
    }

    /// Validity codes: issue, read, list, suspend, reinstate, revoke.
    pub fn validity_codes(&self) -> ValidityCodeServiceClient<Channel> {
        ValidityCodeServiceClient::new(self.clone())
    }

    /// Services, calls and agreements.
    pub fn agreements(&self) -> AgreementServiceClient<Channel> {
        AgreementServiceClient::new(self.clone())
    }

    /// Disputes: opened, negotiated, agreed, ruled.
    pub fn disputes(&self) -> DisputeServiceClient<Channel> {
        DisputeServiceClient::new(self.clone())
    }

    /// Inquiries by person.
    pub fn inquiries(&self) -> InquiryServiceClient<Channel> {
        InquiryServiceClient::new(self.clone())
    }

    /// Files that come with applications.
    pub fn attachments(&self) -> AttachmentServiceClient<Channel> {
        AttachmentServiceClient::new(self.clone())
    }

    /// The audit.
    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.clone())
    }

    /// What the organization does when something has gone wrong.
    pub fn incidents(&self) -> IncidentServiceClient<Channel> {
        IncidentServiceClient::new(self.clone())
    }

    /// Documents and guides of the services.
    pub fn documents(&self) -> DocumentServiceClient<Channel> {
        DocumentServiceClient::new(self.clone())
    }

    /// Jobs that issue validity codes from a file.
    pub fn jobs(&self) -> IssuanceJobServiceClient<Channel> {
        IssuanceJobServiceClient::new(self.clone())
    }

    /// Payments of fees.
    pub fn payments(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.clone())
    }

    /// How promises of service levels are kept.
    pub fn service_levels(&self) -> SlaServiceClient<Channel> {
        SlaServiceClient::new(self.clone())
    }

    /// What the services cost.
    pub fn tariffs(&self) -> TariffServiceClient<Channel> {
        TariffServiceClient::new(self.clone())
    }

    /// What only a sandbox can do.
    pub fn sandbox(&self) -> SandboxServiceClient<Channel> {
        SandboxServiceClient::new(self.clone())
    }

    /// The change feed.
    pub fn changes(&self) -> ChangeServiceClient<Channel> {
        ChangeServiceClient::new(self.clone())
    }

    /// Validation of codes.
    pub fn validation(&self) -> ValidationServiceClient<Channel> {
        ValidationServiceClient::new(self.clone())
    }

    /// Callers, institutions, experts.
    pub fn registry(&self) -> RegistryServiceClient<Channel> {
        RegistryServiceClient::new(self.clone())
    }

    /// Enrollment records.
    pub fn records(&self) -> EnrollmentRecordServiceClient<Channel> {
        EnrollmentRecordServiceClient::new(self.clone())
    }

    /// Enrollment certificates and their applications.
    pub fn certificates(&self) -> EnrollmentCertificateServiceClient<Channel> {
        EnrollmentCertificateServiceClient::new(self.clone())
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let lasting = LASTING.contains(&path);
        let purpose = PURPOSES.iter().find(|(method, _)| *method == path);
        let headers = request.headers_mut();
        let left = match self.deadline {
            Deadline::After(timeout) => timeout,
            Deadline::At(instant) => instant.saturating_duration_since(Instant::now()),
        };
        if !lasting {
            // A shorter time asked for in the request itself stands.
            headers
                .entry(GRPC_TIMEOUT)
                .or_insert_with(|| grpc_timeout(left));
        }
        if let Some(traceparent) = &self.traceparent {
            headers.insert(TRACEPARENT, traceparent.clone());
        }
        if let (Some(own), Some((_, purpose))) = (&self.on_behalf_of, purpose) {
            headers.insert("gavah-on-behalf-of", own.agency.clone());
            headers.insert("gavah-agreement", own.agreement.clone());
            headers.insert("gavah-purpose", HeaderValue::from_static(purpose));
        }
        self.inner.call(request)
    }
}

/// At most eight digits and a unit: milliseconds, or seconds when that would be too long. Never less than 1 ms, so
/// that the server answers with its own words.
fn grpc_timeout(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let (amount, unit) = match left.as_millis() {
        millis @ 0..=MOST => (millis.max(1), 'm'),
        _ => (u128::from(left.as_secs()).min(MOST), 'S'),
    };
    let text = format!("{amount}{unit}");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("1m"))
}

#[cfg(test)]
mod tests {
    use gavah_api::DESCRIPTOR_SET;
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Streams that carry one file: they take the time of a call.
    const TRANSFERS: [&str; 4] = [
        "/gavah.v1.AttachmentService/DownloadAttachment",
        "/gavah.v1.AttachmentService/UploadAttachment",
        "/gavah.v1.DocumentService/DownloadServiceDocument",
        "/gavah.v1.DocumentService/UploadServiceDocument",
    ];

    #[test]
    fn every_stream_of_the_contract_lasts_but_those_of_one_file() {
        let contract = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
        let mut streams = Vec::new();
        for file in contract.file {
            for service in &file.service {
                let methods = service.method.iter();
                let methods =
                    methods.filter(|method| method.client_streaming() || method.server_streaming());
                streams.extend(methods.map(|method| {
                    let (package, service) = (file.package(), service.name());
                    format!("/{package}.{service}/{}", method.name())
                }));
            }
        }
        streams.sort();
        let mut expected = [&LASTING[..], &TRANSFERS].concat();
        expected.sort_unstable();
        assert_eq!(streams, expected);
    }

    #[test]
    fn a_deadline_is_at_most_eight_digits_and_never_nothing() {
        for (millis, text) in [
            (0, "1m"),
            (1, "1m"),
            (10_000, "10000m"),
            (99_999_999, "99999999m"),
            (100_000_000, "100000S"),
            (u64::MAX, "99999999S"),
        ] {
            assert_eq!(grpc_timeout(Duration::from_millis(millis)), text);
        }
    }
}
