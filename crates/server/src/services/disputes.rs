//! `gavah.v1.DisputeService`.

use gavah_api::v1 as pb;
use gavah_api::v1::dispute_service_server::DisputeService;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::disputes as app;
use crate::convert::dispute;

#[tonic::async_trait]
impl DisputeService for Services {
    async fn open_dispute(
        &self,
        request: Request<pb::OpenDisputeRequest>,
    ) -> Result<Response<pb::OpenDisputeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::open_dispute(message, call.caller.class)?;
            let stored = app::open(&self.app, &call, input).await?;
            let dispute = stored.as_ref().map(dispute::dispute_to_pb);
            Ok(pb::OpenDisputeResponse { dispute })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn post_dispute_message(
        &self,
        request: Request<pb::PostDisputeMessageRequest>,
    ) -> Result<Response<pb::PostDisputeMessageResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::post_message(message)?;
            let stored = app::post_message(&self.app, &call, input).await?;
            let message = stored.as_ref().map(dispute::message_to_pb);
            Ok(pb::PostDisputeMessageResponse { message })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_dispute_messages(
        &self,
        request: Request<pb::ListDisputeMessagesRequest>,
    ) -> Result<Response<pb::ListDisputeMessagesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::list_messages(message)?;
            let rows = app::messages(&self.app, &call, &input).await?;
            let (rows, next_page_token) = input.page.cut(rows, |row| row.number.to_string());
            Ok(pb::ListDisputeMessagesResponse {
                messages: rows.iter().map(dispute::message_to_pb).collect(),
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn agree_dispute(
        &self,
        request: Request<pb::AgreeDisputeRequest>,
    ) -> Result<Response<pb::AgreeDisputeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::agree(message)?;
            let stored = app::step(&self.app, &call, input).await?;
            let dispute = stored.as_ref().map(dispute::dispute_to_pb);
            Ok(pb::AgreeDisputeResponse { dispute })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn consent_to_ruling(
        &self,
        request: Request<pb::ConsentToRulingRequest>,
    ) -> Result<Response<pb::ConsentToRulingResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::consent(message)?;
            let stored = app::step(&self.app, &call, input).await?;
            let dispute = stored.as_ref().map(dispute::dispute_to_pb);
            Ok(pb::ConsentToRulingResponse { dispute })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn withdraw_dispute(
        &self,
        request: Request<pb::WithdrawDisputeRequest>,
    ) -> Result<Response<pb::WithdrawDisputeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::withdraw(message)?;
            let stored = app::step(&self.app, &call, input).await?;
            let dispute = stored.as_ref().map(dispute::dispute_to_pb);
            Ok(pb::WithdrawDisputeResponse { dispute })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn rule_dispute(
        &self,
        request: Request<pb::RuleDisputeRequest>,
    ) -> Result<Response<pb::RuleDisputeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::rule(message)?;
            let stored = app::step(&self.app, &call, input).await?;
            let dispute = stored.as_ref().map(dispute::dispute_to_pb);
            Ok(pb::RuleDisputeResponse { dispute })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn close_dispute_action(
        &self,
        request: Request<pb::CloseDisputeActionRequest>,
    ) -> Result<Response<pb::CloseDisputeActionResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::close_action(message)?;
            let stored = app::close_action(&self.app, &call, input).await?;
            let dispute = stored.as_ref().map(dispute::dispute_to_pb);
            Ok(pb::CloseDisputeActionResponse { dispute })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_dispute(
        &self,
        request: Request<pb::GetDisputeRequest>,
    ) -> Result<Response<pb::GetDisputeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let id = dispute::get(&message)?;
            let stored = app::find(&self.app, &call, id).await?;
            let dispute = Some(dispute::dispute_to_pb(&stored));
            Ok(pb::GetDisputeResponse { dispute })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_disputes(
        &self,
        request: Request<pb::ListDisputesRequest>,
    ) -> Result<Response<pb::ListDisputesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = dispute::list(message)?;
            let rows = app::list(&self.app, &call, &input).await?;
            let (rows, next_page_token) = input.page.cut(rows, dispute::place);
            Ok(pb::ListDisputesResponse {
                disputes: rows.iter().map(dispute::dispute_to_pb).collect(),
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }
}
