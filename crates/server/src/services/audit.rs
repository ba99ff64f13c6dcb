//! `gavah.v1.AuditService`.

use gavah_api::v1 as pb;
use gavah_api::v1::audit_service_server::AuditService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::audit as app;
use crate::convert::audit::{entries_to_pb, list_entries};

#[tonic::async_trait]
impl AuditService for Services {
    async fn list_audit_entries(
        &self,
        request: Request<pb::ListAuditEntriesRequest>,
    ) -> Result<Response<pb::ListAuditEntriesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = list_entries(&message, &self.app.known(&call))?;
            let page = app::list(&self.app, &call, input).await?;
            Ok(entries_to_pb(&page))
        };
        let result = act.await;
        reply(&call, result)
    }
}
