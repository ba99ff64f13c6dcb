//! `gavah.v1.EnrollmentCertificateService`.

use gavah_api::v1 as pb;
use gavah_api::v1::enrollment_certificate_service_server::EnrollmentCertificateService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::certificates;
use crate::convert::{certificate, change};

#[tonic::async_trait]
impl EnrollmentCertificateService for Services {
    async fn create_enrollment_certificate_application(
        &self,
        request: Request<pb::CreateEnrollmentCertificateApplicationRequest>,
    ) -> Result<Response<pb::CreateEnrollmentCertificateApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = certificate::create_application(message, &self.app.known(&call))?;
            let issued = certificates::apply(&self.app, &call, input).await?;
            let stored = issued
                .as_ref()
                .and_then(|issued| issued.certificate.as_ref());
            Ok(pb::CreateEnrollmentCertificateApplicationResponse {
                enrollment_certificate: stored.map(certificate::certificate_to_pb),
                application: issued
                    .as_ref()
                    .map(|issued| certificate::application_to_pb(&issued.application)),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_enrollment_certificate_application(
        &self,
        request: Request<pb::GetEnrollmentCertificateApplicationRequest>,
    ) -> Result<Response<pb::GetEnrollmentCertificateApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = certificate::get_application(&message, call.caller.class)?;
            let stored = certificates::read::get_application(&self.app, &call, &input).await?;
            let application = Some(certificate::application_to_pb(&stored));
            Ok(pb::GetEnrollmentCertificateApplicationResponse { application })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_enrollment_certificate_applications(
        &self,
        request: Request<pb::ListEnrollmentCertificateApplicationsRequest>,
    ) -> Result<Response<pb::ListEnrollmentCertificateApplicationsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let known = self.app.known(&call);
            let input = certificate::list_applications(message, call.caller.class, &known)?;
            let rows = certificates::read::list_applications(&self.app, &call, &input).await?;
            let (rows, next_page_token) = input.page.cut(rows, certificate::application_place);
            let applications = rows.iter().map(certificate::application_to_pb).collect();
            Ok(pb::ListEnrollmentCertificateApplicationsResponse {
                applications,
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_enrollment_certificate(
        &self,
        request: Request<pb::GetEnrollmentCertificateRequest>,
    ) -> Result<Response<pb::GetEnrollmentCertificateResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = certificate::get_certificate(&message, call.caller.class)?;
            let stored = certificates::read::get_certificate(&self.app, &call, &input).await?;
            let enrollment_certificate = Some(certificate::certificate_to_pb(&stored));
            Ok(pb::GetEnrollmentCertificateResponse {
                enrollment_certificate,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_enrollment_certificates(
        &self,
        request: Request<pb::ListEnrollmentCertificatesRequest>,
    ) -> Result<Response<pb::ListEnrollmentCertificatesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let known = self.app.known(&call);
            let input = certificate::list_certificates(message, call.caller.class, &known)?;
            let rows = certificates::read::list_certificates(&self.app, &call, &input).await?;
            let (rows, next_page_token) = input.page.cut(rows, certificate::certificate_place);
            let enrollment_certificates = rows.iter().map(certificate::certificate_to_pb).collect();
            Ok(pb::ListEnrollmentCertificatesResponse {
                enrollment_certificates,
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn suspend_enrollment_certificate(
        &self,
        request: Request<pb::SuspendEnrollmentCertificateRequest>,
    ) -> Result<Response<pb::SuspendEnrollmentCertificateResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = change::suspend_certificate(message)?;
            let stored = certificates::read::change(&self.app, &call, input).await?;
            let enrollment_certificate = stored.as_ref().map(certificate::certificate_to_pb);
            Ok(pb::SuspendEnrollmentCertificateResponse {
                enrollment_certificate,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn reinstate_enrollment_certificate(
        &self,
        request: Request<pb::ReinstateEnrollmentCertificateRequest>,
    ) -> Result<Response<pb::ReinstateEnrollmentCertificateResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = change::reinstate_certificate(message)?;
            let stored = certificates::read::change(&self.app, &call, input).await?;
            let enrollment_certificate = stored.as_ref().map(certificate::certificate_to_pb);
            Ok(pb::ReinstateEnrollmentCertificateResponse {
                enrollment_certificate,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn revoke_enrollment_certificate(
        &self,
        request: Request<pb::RevokeEnrollmentCertificateRequest>,
    ) -> Result<Response<pb::RevokeEnrollmentCertificateResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = change::revoke_certificate(message)?;
            let stored = certificates::read::change(&self.app, &call, input).await?;
            let enrollment_certificate = stored.as_ref().map(certificate::certificate_to_pb);
            Ok(pb::RevokeEnrollmentCertificateResponse {
                enrollment_certificate,
            })
        };
        let result = act.await;
        reply(&call, result)
    }
}
