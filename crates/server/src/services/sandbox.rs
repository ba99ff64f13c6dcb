//! `gavah.v1.SandboxService`.

use gavah_api::v1 as pb;
use gavah_api::v1::sandbox_service_server::SandboxService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::sandbox as app;
use crate::convert::sandbox::{clock_to_pb, seconds, step};

#[tonic::async_trait]
impl SandboxService for Services {
    async fn get_clock(
        &self,
        request: Request<pb::GetClockRequest>,
    ) -> Result<Response<pb::GetClockResponse>, Status> {
        let (call, pb::GetClockRequest {}) = split(request)?;
        let result = app::clock(&self.app).map(clock_to_pb);
        reply(&call, result)
    }

    async fn move_clock(
        &self,
        request: Request<pb::MoveClockRequest>,
    ) -> Result<Response<pb::MoveClockResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = step(message)?;
            let ahead = app::move_clock(&self.app, &call, &input).await?;
            Ok(pb::MoveClockResponse {
                ahead_seconds: ahead.map_or(0, seconds),
            })
        };
        let result = act.await;
        reply(&call, result)
    }
}
