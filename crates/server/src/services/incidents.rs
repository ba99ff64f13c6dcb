//! `gavah.v1.IncidentService`.

use gavah_api::v1 as pb;
use gavah_api::v1::incident_service_server::IncidentService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::{incidents as app, revocations};
use crate::convert::incident::{pause, pause_to_pb, resume};
use crate::convert::revocation;

#[tonic::async_trait]
impl IncidentService for Services {
    async fn pause_issuance(
        &self,
        request: Request<pb::PauseIssuanceRequest>,
    ) -> Result<Response<pb::PauseIssuanceResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = pause(message, &self.app.known(&call))?;
            let pause = app::pause(&self.app, &call, input).await?;
            let pause = pause.as_ref().map(pause_to_pb);
            Ok(pb::PauseIssuanceResponse { pause })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn resume_issuance(
        &self,
        request: Request<pb::ResumeIssuanceRequest>,
    ) -> Result<Response<pb::ResumeIssuanceResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = resume(message, &self.app.known(&call))?;
            let pause = app::resume(&self.app, &call, input).await?;
            let pause = pause.as_ref().map(pause_to_pb);
            Ok(pb::ResumeIssuanceResponse { pause })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_issuance_pauses(
        &self,
        request: Request<pb::ListIssuancePausesRequest>,
    ) -> Result<Response<pb::ListIssuancePausesResponse>, Status> {
        let (call, pb::ListIssuancePausesRequest {}) = split(request)?;
        let pauses = call.snapshot.pauses.iter().map(pause_to_pb).collect();
        reply(&call, Ok(pb::ListIssuancePausesResponse { pauses }))
    }

    async fn preview_revocation(
        &self,
        request: Request<pb::PreviewRevocationRequest>,
    ) -> Result<Response<pb::PreviewRevocationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let selection = revocation::preview(&message, &self.app.known(&call))?;
            let (count, documents) = revocations::preview(&self.app, &call, &selection).await?;
            Ok(pb::PreviewRevocationResponse { count, documents })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn propose_revocation(
        &self,
        request: Request<pb::ProposeRevocationRequest>,
    ) -> Result<Response<pb::ProposeRevocationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = revocation::propose(message, &self.app.known(&call))?;
            let stored = revocations::propose(&self.app, &call, input).await?;
            let incident = stored.as_ref().map(revocation::incident_to_pb);
            Ok(pb::ProposeRevocationResponse { incident })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn approve_revocation(
        &self,
        request: Request<pb::ApproveRevocationRequest>,
    ) -> Result<Response<pb::ApproveRevocationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = revocation::approve(message)?;
            let stored = revocations::decide(&self.app, &call, input).await?;
            let incident = stored.as_ref().map(revocation::incident_to_pb);
            Ok(pb::ApproveRevocationResponse { incident })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn withdraw_revocation(
        &self,
        request: Request<pb::WithdrawRevocationRequest>,
    ) -> Result<Response<pb::WithdrawRevocationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = revocation::withdraw(message)?;
            let stored = revocations::decide(&self.app, &call, input).await?;
            let incident = stored.as_ref().map(revocation::incident_to_pb);
            Ok(pb::WithdrawRevocationResponse { incident })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_incident(
        &self,
        request: Request<pb::GetIncidentRequest>,
    ) -> Result<Response<pb::GetIncidentResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let id = revocation::get(&message)?;
            let stored = revocations::get(&self.app, &call, id).await?;
            let incident = Some(revocation::incident_to_pb(&stored));
            Ok(pb::GetIncidentResponse { incident })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_incidents(
        &self,
        request: Request<pb::ListIncidentsRequest>,
    ) -> Result<Response<pb::ListIncidentsResponse>, Status> {
        let (call, pb::ListIncidentsRequest {}) = split(request)?;
        let act = async {
            let stored = revocations::list(&self.app, &call).await?;
            let incidents = stored.iter().map(revocation::incident_to_pb).collect();
            Ok(pb::ListIncidentsResponse { incidents })
        };
        let result = act.await;
        reply(&call, result)
    }
}
