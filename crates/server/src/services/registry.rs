//! `gavah.v1.RegistryService`.

use gavah_api::v1 as pb;
use gavah_api::v1::registry_service_server::RegistryService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::mandate::quotas_left;
use crate::app::registry as app;
use crate::convert::registry::{self, PresentedCertificate};
use crate::error::AppError;
use crate::policy;

#[tonic::async_trait]
impl RegistryService for Services {
    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::WhoAmIResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let pb::WhoAmIRequest {} = message;
            let caller = app::get_caller(&call, &call.caller.id)?;
            let own = call.caller.institution.as_ref();
            let institution = own.and_then(|code| call.snapshot.institution(code.as_str()));
            let certificate = PresentedCertificate {
                fingerprint: call.peer.fingerprint_hex(),
                not_after: call.peer.not_after(),
            };
            let methods = policy::callable(call.caller.class);
            let now = self.app.clock.now();
            Ok(pb::WhoAmIResponse {
                agreement_quotas: {
                    let left = quotas_left(&self.app, &call, now);
                    left.into_iter().map(registry::quota_to_pb).collect()
                },
                ..registry::who_am_i(&caller, institution, certificate, methods, now)
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn create_institution(
        &self,
        request: Request<pb::CreateInstitutionRequest>,
    ) -> Result<Response<pb::CreateInstitutionResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::create_institution(message, &self.app.known(&call))?;
            let stored = app::create_institution(&self.app, &call, input).await?;
            let institution = stored.as_ref().map(registry::institution_to_pb);
            Ok(pb::CreateInstitutionResponse { institution })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn update_institution(
        &self,
        request: Request<pb::UpdateInstitutionRequest>,
    ) -> Result<Response<pb::UpdateInstitutionResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::update_institution(message, &self.app.known(&call))?;
            let stored = app::update_institution(&self.app, &call, input).await?;
            let institution = stored.as_ref().map(registry::institution_to_pb);
            Ok(pb::UpdateInstitutionResponse { institution })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_institution(
        &self,
        request: Request<pb::GetInstitutionRequest>,
    ) -> Result<Response<pb::GetInstitutionResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let stored = app::get_institution(&call, &registry::get_institution(&message)?)?;
            let institution = Some(registry::institution_to_pb(&stored));
            Ok::<_, AppError>(pb::GetInstitutionResponse { institution })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_institutions(
        &self,
        request: Request<pb::ListInstitutionsRequest>,
    ) -> Result<Response<pb::ListInstitutionsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::list_institutions(message)?;
            let rows = app::list_institutions(&call, &input);
            let (rows, next_page_token) = input
                .page
                .cut(rows, |stored| stored.institution.code.as_str().to_owned());
            let institutions = rows.iter().map(registry::institution_to_pb).collect();
            Ok::<_, AppError>(pb::ListInstitutionsResponse {
                institutions,
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn create_expert(
        &self,
        request: Request<pb::CreateExpertRequest>,
    ) -> Result<Response<pb::CreateExpertResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::create_expert(message, &self.app.known(&call))?;
            let stored = app::create_expert(&self.app, &call, input).await?;
            let expert = stored.as_ref().map(registry::expert_to_pb);
            Ok(pb::CreateExpertResponse { expert })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn update_expert(
        &self,
        request: Request<pb::UpdateExpertRequest>,
    ) -> Result<Response<pb::UpdateExpertResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::update_expert(message, &self.app.known(&call))?;
            let stored = app::update_expert(&self.app, &call, input).await?;
            let expert = stored.as_ref().map(registry::expert_to_pb);
            Ok(pb::UpdateExpertResponse { expert })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_experts(
        &self,
        request: Request<pb::ListExpertsRequest>,
    ) -> Result<Response<pb::ListExpertsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::list_experts(message)?;
            let rows = app::list_experts(&self.app, &call, &input).await?;
            let (rows, next_page_token) = input.page.cut(rows, |stored| stored.expert_code.clone());
            let experts = rows.iter().map(registry::expert_to_pb).collect();
            Ok(pb::ListExpertsResponse {
                experts,
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn create_caller(
        &self,
        request: Request<pb::CreateCallerRequest>,
    ) -> Result<Response<pb::CreateCallerResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::create_caller(message, &self.app.known(&call))?;
            let stored = app::create_caller(&self.app, &call, input).await?;
            let caller = stored.as_ref().map(registry::caller_to_pb);
            Ok(pb::CreateCallerResponse { caller })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn update_caller(
        &self,
        request: Request<pb::UpdateCallerRequest>,
    ) -> Result<Response<pb::UpdateCallerResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::update_caller(message, &self.app.known(&call))?;
            let stored = app::update_caller(&self.app, &call, input).await?;
            let caller = stored.as_ref().map(registry::caller_to_pb);
            Ok(pb::UpdateCallerResponse { caller })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_caller(
        &self,
        request: Request<pb::GetCallerRequest>,
    ) -> Result<Response<pb::GetCallerResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let stored = app::get_caller(&call, &registry::get_caller(&message)?)?;
            let caller = Some(registry::caller_to_pb(&stored));
            Ok::<_, AppError>(pb::GetCallerResponse { caller })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_callers(
        &self,
        request: Request<pb::ListCallersRequest>,
    ) -> Result<Response<pb::ListCallersResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let page = registry::list_callers(message)?;
            let rows = app::list_callers(&call, &page);
            let (rows, next_page_token) =
                page.cut(rows, |stored| stored.caller.id.as_str().to_owned());
            let callers = rows.iter().map(registry::caller_to_pb).collect();
            Ok::<_, AppError>(pb::ListCallersResponse {
                callers,
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn add_client_certificate(
        &self,
        request: Request<pb::AddClientCertificateRequest>,
    ) -> Result<Response<pb::AddClientCertificateResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::add_certificate(message)?;
            let stored = app::add_certificate(&self.app, &call, input).await?;
            let caller = stored.as_ref().map(registry::caller_to_pb);
            Ok(pb::AddClientCertificateResponse { caller })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn retire_client_certificate(
        &self,
        request: Request<pb::RetireClientCertificateRequest>,
    ) -> Result<Response<pb::RetireClientCertificateResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = registry::retire_certificate(message)?;
            let stored = app::retire_certificate(&self.app, &call, input).await?;
            let caller = stored.as_ref().map(registry::caller_to_pb);
            Ok(pb::RetireClientCertificateResponse { caller })
        };
        let result = act.await;
        reply(&call, result)
    }
}
