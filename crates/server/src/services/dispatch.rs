//! From a path to its service.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use gavah_api::v1::agreement_service_server::AgreementServiceServer;
use gavah_api::v1::attachment_service_server::AttachmentServiceServer;
use gavah_api::v1::audit_service_server::AuditServiceServer;
use gavah_api::v1::change_service_server::ChangeServiceServer;
use gavah_api::v1::dispute_service_server::DisputeServiceServer;
use gavah_api::v1::document_service_server::DocumentServiceServer;
use gavah_api::v1::enrollment_certificate_service_server::EnrollmentCertificateServiceServer;
use gavah_api::v1::enrollment_record_service_server::EnrollmentRecordServiceServer;
use gavah_api::v1::incident_service_server::IncidentServiceServer;
use gavah_api::v1::inquiry_service_server::InquiryServiceServer;
use gavah_api::v1::issuance_job_service_server::IssuanceJobServiceServer;
use gavah_api::v1::payment_service_server::PaymentServiceServer;
use gavah_api::v1::registry_service_server::RegistryServiceServer;
use gavah_api::v1::sandbox_service_server::SandboxServiceServer;
use gavah_api::v1::sla_service_server::SlaServiceServer;
use gavah_api::v1::tariff_service_server::TariffServiceServer;
use gavah_api::v1::validation_service_server::ValidationServiceServer;
use gavah_api::v1::validity_code_service_server::ValidityCodeServiceServer;
use http::{Request, Response};
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;

use super::Services;

const AGREEMENTS: &str = AgreementServiceServer::<Services>::NAME;
const ATTACHMENTS: &str = AttachmentServiceServer::<Services>::NAME;
const AUDIT: &str = AuditServiceServer::<Services>::NAME;
const INCIDENTS: &str = IncidentServiceServer::<Services>::NAME;
const DISPUTES: &str = DisputeServiceServer::<Services>::NAME;
const DOCUMENTS: &str = DocumentServiceServer::<Services>::NAME;
const INQUIRIES: &str = InquiryServiceServer::<Services>::NAME;
const JOBS: &str = IssuanceJobServiceServer::<Services>::NAME;
const CHANGES: &str = ChangeServiceServer::<Services>::NAME;
const CERTIFICATES: &str = EnrollmentCertificateServiceServer::<Services>::NAME;
const RECORDS: &str = EnrollmentRecordServiceServer::<Services>::NAME;
const REGISTRY: &str = RegistryServiceServer::<Services>::NAME;
const SANDBOX: &str = SandboxServiceServer::<Services>::NAME;
const PAYMENTS: &str = PaymentServiceServer::<Services>::NAME;
const SERVICE_LEVELS: &str = SlaServiceServer::<Services>::NAME;
const TARIFFS: &str = TariffServiceServer::<Services>::NAME;
const VALIDATION: &str = ValidationServiceServer::<Services>::NAME;
const CODES: &str = ValidityCodeServiceServer::<Services>::NAME;

/// The services of the contract, each called as it is, without the search, the copies and the boxes of a general
/// router; that one has the rest.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Targets>);

struct Targets {
    agreements: AgreementServiceServer<Services>,
    inquiries: InquiryServiceServer<Services>,
    attachments: AttachmentServiceServer<Services>,
    incidents: IncidentServiceServer<Services>,
    audit: AuditServiceServer<Services>,
    changes: ChangeServiceServer<Services>,
    disputes: DisputeServiceServer<Services>,
    documents: DocumentServiceServer<Services>,
    jobs: IssuanceJobServiceServer<Services>,
    certificates: EnrollmentCertificateServiceServer<Services>,
    records: EnrollmentRecordServiceServer<Services>,
    registry: RegistryServiceServer<Services>,
    sandbox: SandboxServiceServer<Services>,
    payments: PaymentServiceServer<Services>,
    service_levels: SlaServiceServer<Services>,
    tariffs: TariffServiceServer<Services>,
    validation: ValidationServiceServer<Services>,
    codes: ValidityCodeServiceServer<Services>,
    rest: Routes,
}

impl Dispatch {
    /// The contract's services, which take messages of so many bytes, those of bulk more; and all others.
    pub(crate) fn new(services: &Services, small: usize, bulk: usize, rest: Routes) -> Self {
        macro_rules! server {
            ($server:ident, $bytes:expr) => {
                $server::new(services.clone()).max_decoding_message_size($bytes)
            };
        }
        Self(Arc::new(Targets {
            agreements: server!(AgreementServiceServer, small),
            inquiries: server!(InquiryServiceServer, small),
            attachments: server!(AttachmentServiceServer, small),
            incidents: server!(IncidentServiceServer, small),
            audit: server!(AuditServiceServer, small),
            disputes: server!(DisputeServiceServer, small),
            documents: server!(DocumentServiceServer, small),
            jobs: server!(IssuanceJobServiceServer, small),
            changes: server!(ChangeServiceServer, small),
            certificates: server!(EnrollmentCertificateServiceServer, small),
            records: server!(EnrollmentRecordServiceServer, bulk),
            registry: server!(RegistryServiceServer, small),
            sandbox: server!(SandboxServiceServer, small),
            payments: server!(PaymentServiceServer, bulk),
            service_levels: server!(SlaServiceServer, small),
            tariffs: server!(TariffServiceServer, small),
            validation: server!(ValidationServiceServer, bulk),
            codes: server!(ValidityCodeServiceServer, small),
            rest,
        }))
    }
}

impl Service<Request<Body>> for Dispatch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let targets = &*self.0;
        match service(request.uri().path()) {
            VALIDATION => targets.validation.clone().call(request),
            CODES => targets.codes.clone().call(request),
            RECORDS => targets.records.clone().call(request),
            CERTIFICATES => targets.certificates.clone().call(request),
            REGISTRY => targets.registry.clone().call(request),
            DOCUMENTS => targets.documents.clone().call(request),
            JOBS => targets.jobs.clone().call(request),
            CHANGES => targets.changes.clone().call(request),
            INCIDENTS => targets.incidents.clone().call(request),
            ATTACHMENTS => targets.attachments.clone().call(request),
            DISPUTES => targets.disputes.clone().call(request),
            AGREEMENTS => targets.agreements.clone().call(request),
            INQUIRIES => targets.inquiries.clone().call(request),
            SANDBOX => targets.sandbox.clone().call(request),
            PAYMENTS => targets.payments.clone().call(request),
            SERVICE_LEVELS => targets.service_levels.clone().call(request),
            TARIFFS => targets.tariffs.clone().call(request),
            AUDIT => targets.audit.clone().call(request),
            _ => Box::pin(targets.rest.clone().call(request)),
        }
    }
}

/// `gavah.v1.ValidationService` of `/gavah.v1.ValidationService/ValidateCode`.
fn service(path: &str) -> &str {
    path.strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .map_or("", |(service, _)| service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_of_a_path_is_what_stands_before_its_method() {
        for (path, name) in [
            ("/gavah.v1.ValidationService/ValidateCode", VALIDATION),
            ("/gavah.v1.ValidationService/", VALIDATION),
            ("gavah.v1.ValidationService/ValidateCode", ""),
            ("/gavah.v1.ValidationService", ""),
            ("/", ""),
            ("", ""),
        ] {
            assert_eq!(service(path), name, "{path}");
        }
    }
}
