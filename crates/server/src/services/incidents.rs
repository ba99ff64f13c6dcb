//! `gavah.v1.IncidentService`.

use gavah_api::v1 as pb;
use gavah_api::v1::incident_service_server::IncidentService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::incidents as app;
use crate::convert::incident::{pause, pause_to_pb, resume};

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
}
