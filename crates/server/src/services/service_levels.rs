//! `gavah.v1.SlaService`.

use gavah_api::v1 as pb;
use gavah_api::v1::sla_service_server::SlaService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::service_levels as app;
use crate::convert::service_level;

#[tonic::async_trait]
impl SlaService for Services {
    async fn get_sla_report(
        &self,
        request: Request<pb::GetSlaReportRequest>,
    ) -> Result<Response<pb::GetSlaReportResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let filter = service_level::report(&message, &self.app.known(&call))?;
            let rows = app::report(&self.app, &call, &filter).await?;
            Ok(pb::GetSlaReportResponse {
                rows: rows.iter().map(service_level::row_to_pb).collect(),
            })
        };
        let result = act.await;
        reply(&call, result)
    }
}
