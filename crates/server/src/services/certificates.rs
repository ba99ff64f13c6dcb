//! `gavah.v1.EnrollmentCertificateService`.

use gavah_api::v1 as pb;
use gavah_api::v1::enrollment_certificate_service_server::EnrollmentCertificateService;
use gavah_domain::application::ApplicationAction;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::certificates::{self, Issued};
use crate::app::disputes;
use crate::convert::{application, certificate, change};

fn told(done: Option<&Issued>) -> Option<pb::EnrollmentCertificateApplication> {
    done.map(|done| certificate::application_to_pb(&done.application))
}

fn document(done: Option<&Issued>) -> Option<pb::EnrollmentCertificate> {
    let stored = done.and_then(|done| done.certificate.as_ref());
    stored.map(certificate::certificate_to_pb)
}

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
            Ok(pb::CreateEnrollmentCertificateApplicationResponse {
                enrollment_certificate: document(issued.as_ref()),
                application: told(issued.as_ref()),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn update_enrollment_certificate_application(
        &self,
        request: Request<pb::UpdateEnrollmentCertificateApplicationRequest>,
    ) -> Result<Response<pb::UpdateEnrollmentCertificateApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = application::update(message, &self.app.known(&call))?;
            let done = certificates::stages::update(&self.app, &call, input).await?;
            Ok(pb::UpdateEnrollmentCertificateApplicationResponse {
                application: told(done.as_ref()),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn submit_enrollment_certificate_application(
        &self,
        request: Request<pb::SubmitEnrollmentCertificateApplicationRequest>,
    ) -> Result<Response<pb::SubmitEnrollmentCertificateApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = application::submit(message)?;
            let action = ApplicationAction::Submit;
            let done = certificates::stages::by_window(&self.app, &call, action, input).await?;
            Ok(pb::SubmitEnrollmentCertificateApplicationResponse {
                application: told(done.as_ref()),
                enrollment_certificate: document(done.as_ref()),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn cancel_enrollment_certificate_application(
        &self,
        request: Request<pb::CancelEnrollmentCertificateApplicationRequest>,
    ) -> Result<Response<pb::CancelEnrollmentCertificateApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = application::cancel(message)?;
            let action = ApplicationAction::Cancel;
            let done = certificates::stages::by_window(&self.app, &call, action, input).await?;
            Ok(pb::CancelEnrollmentCertificateApplicationResponse {
                application: told(done.as_ref()),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn record_university_decision(
        &self,
        request: Request<pb::RecordUniversityDecisionRequest>,
    ) -> Result<Response<pb::RecordUniversityDecisionResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = application::university_decision(message, &self.app.known(&call))?;
            let done = certificates::stages::decide(&self.app, &call, input).await?;
            Ok(pb::RecordUniversityDecisionResponse {
                application: told(done.as_ref()),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn record_organization_decision(
        &self,
        request: Request<pb::RecordOrganizationDecisionRequest>,
    ) -> Result<Response<pb::RecordOrganizationDecisionResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = application::organization_decision(message)?;
            let done = certificates::stages::decide(&self.app, &call, input).await?;
            Ok(pb::RecordOrganizationDecisionResponse {
                application: told(done.as_ref()),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn correct_enrollment_certificate(
        &self,
        request: Request<pb::CorrectEnrollmentCertificateRequest>,
    ) -> Result<Response<pb::CorrectEnrollmentCertificateResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = application::correct(message)?;
            let done = certificates::correct::correct(&self.app, &call, input).await?;
            Ok(pb::CorrectEnrollmentCertificateResponse {
                application: told(done.as_ref()),
                enrollment_certificate: document(done.as_ref()),
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
            let told = certificate::application_to_pb(&stored);
            Ok(pb::GetEnrollmentCertificateApplicationResponse {
                dispute_actions: disputes::touching(&self.app, &call, &told.name).await?,
                application: Some(told),
            })
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
            let told = certificate::certificate_to_pb(&stored);
            Ok(pb::GetEnrollmentCertificateResponse {
                dispute_actions: disputes::touching(&self.app, &call, &told.name).await?,
                enrollment_certificate: Some(told),
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
