//! `gavah.v1.AgreementService`.

use gavah_api::v1 as pb;
use gavah_api::v1::agreement_service_server::AgreementService;
use gavah_store::StoredAgreement;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::App;
use crate::app::agreements as app;
use crate::call::Call;
use crate::convert::agreement;
use crate::error::AppError;

#[tonic::async_trait]
impl AgreementService for Services {
    async fn list_services(
        &self,
        request: Request<pb::ListServicesRequest>,
    ) -> Result<Response<pb::ListServicesResponse>, Status> {
        let (call, pb::ListServicesRequest {}) = split(request)?;
        let services = agreement::services_to_pb(&call.snapshot.texts);
        reply(&call, Ok(pb::ListServicesResponse { services }))
    }

    async fn get_agreement_text(
        &self,
        request: Request<pb::GetAgreementTextRequest>,
    ) -> Result<Response<pb::GetAgreementTextResponse>, Status> {
        let (call, message) = split(request)?;
        let act = || {
            let text = app::text(&call, agreement::get_text(&message)?)?;
            let agreement_text = Some(agreement::text_to_pb(text));
            Ok(pb::GetAgreementTextResponse { agreement_text })
        };
        let result = act();
        reply(&call, result)
    }

    async fn create_service_call(
        &self,
        request: Request<pb::CreateServiceCallRequest>,
    ) -> Result<Response<pb::CreateServiceCallResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = agreement::create_call(message)?;
            let stored = app::create_call(&self.app, &call, input).await?;
            let service_call = stored.as_ref().map(agreement::call_to_pb);
            Ok(pb::CreateServiceCallResponse { service_call })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn open_service_call(
        &self,
        request: Request<pb::OpenServiceCallRequest>,
    ) -> Result<Response<pb::OpenServiceCallResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = agreement::open_call(message)?;
            let stored = app::move_call(&self.app, &call, input).await?;
            let service_call = stored.as_ref().map(agreement::call_to_pb);
            Ok(pb::OpenServiceCallResponse { service_call })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn close_service_call(
        &self,
        request: Request<pb::CloseServiceCallRequest>,
    ) -> Result<Response<pb::CloseServiceCallResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = agreement::close_call(message)?;
            let stored = app::move_call(&self.app, &call, input).await?;
            let service_call = stored.as_ref().map(agreement::call_to_pb);
            Ok(pb::CloseServiceCallResponse { service_call })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_service_call(
        &self,
        request: Request<pb::GetServiceCallRequest>,
    ) -> Result<Response<pb::GetServiceCallResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let id = agreement::get_call(&message)?;
            let stored = app::service_call(&self.app, &call, &id).await?;
            let service_call = Some(agreement::call_to_pb(&stored));
            Ok(pb::GetServiceCallResponse { service_call })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_service_calls(
        &self,
        request: Request<pb::ListServiceCallsRequest>,
    ) -> Result<Response<pb::ListServiceCallsResponse>, Status> {
        let (call, pb::ListServiceCallsRequest {}) = split(request)?;
        let act = async {
            let stored = app::service_calls(&self.app, &call).await?;
            let service_calls = stored.iter().map(agreement::call_to_pb).collect();
            Ok(pb::ListServiceCallsResponse { service_calls })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn request_agreement(
        &self,
        request: Request<pb::RequestAgreementRequest>,
    ) -> Result<Response<pb::RequestAgreementResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = agreement::request_agreement(message)?;
            let stored = app::request(&self.app, &call, input).await?;
            let agreement = match stored {
                Some(stored) => Some(told(&self.app, &call, &stored).await?),
                None => None,
            };
            Ok(pb::RequestAgreementResponse { agreement })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn approve_agreement(
        &self,
        request: Request<pb::ApproveAgreementRequest>,
    ) -> Result<Response<pb::ApproveAgreementResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = agreement::approve(message)?;
            let stored = app::change(&self.app, &call, input).await?;
            let agreement = match stored {
                Some(stored) => Some(told(&self.app, &call, &stored).await?),
                None => None,
            };
            Ok(pb::ApproveAgreementResponse { agreement })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn suspend_agreement(
        &self,
        request: Request<pb::SuspendAgreementRequest>,
    ) -> Result<Response<pb::SuspendAgreementResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = agreement::suspend(message)?;
            let stored = app::change(&self.app, &call, input).await?;
            let agreement = match stored {
                Some(stored) => Some(told(&self.app, &call, &stored).await?),
                None => None,
            };
            Ok(pb::SuspendAgreementResponse { agreement })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn reinstate_agreement(
        &self,
        request: Request<pb::ReinstateAgreementRequest>,
    ) -> Result<Response<pb::ReinstateAgreementResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = agreement::reinstate(message)?;
            let stored = app::change(&self.app, &call, input).await?;
            let agreement = match stored {
                Some(stored) => Some(told(&self.app, &call, &stored).await?),
                None => None,
            };
            Ok(pb::ReinstateAgreementResponse { agreement })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn terminate_agreement(
        &self,
        request: Request<pb::TerminateAgreementRequest>,
    ) -> Result<Response<pb::TerminateAgreementResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = agreement::terminate(message, app::side(&call))?;
            let stored = app::change(&self.app, &call, input).await?;
            let agreement = match stored {
                Some(stored) => Some(told(&self.app, &call, &stored).await?),
                None => None,
            };
            Ok(pb::TerminateAgreementResponse { agreement })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_agreement(
        &self,
        request: Request<pb::GetAgreementRequest>,
    ) -> Result<Response<pb::GetAgreementResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let id = agreement::get_agreement(&message)?;
            let stored = app::find(&self.app, &call, &id).await?;
            let agreement = Some(told(&self.app, &call, &stored).await?);
            Ok(pb::GetAgreementResponse { agreement })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_agreements(
        &self,
        request: Request<pb::ListAgreementsRequest>,
    ) -> Result<Response<pb::ListAgreementsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let filter = agreement::list_agreements(&message)?;
            let stored = app::list(&self.app, &call, filter).await?;
            let mut agreements = Vec::with_capacity(stored.len());
            for stored in &stored {
                agreements.push(told(&self.app, &call, stored).await?);
            }
            Ok(pb::ListAgreementsResponse { agreements })
        };
        let result = act.await;
        reply(&call, result)
    }
}

async fn told(app: &App, call: &Call, stored: &StoredAgreement) -> Result<pb::Agreement, AppError> {
    let service = app::service_of(app, call, stored).await?;
    Ok(agreement::agreement_to_pb(stored, service))
}
