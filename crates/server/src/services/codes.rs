//! `gavah.v1.ValidityCodeService`.

use std::sync::Arc;

use gavah_api::v1 as pb;
use gavah_api::v1::validity_code_service_server::ValidityCodeService;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::run::Run;
use super::{Services, reply, split};
use crate::app::code_applications::{self, Decided};
use crate::app::{codes, disputes, legacy};
use crate::convert::names::Collection;
use crate::convert::{change, code, code_application, legacy as convert_legacy};
use crate::status::row_status;

#[tonic::async_trait]
impl ValidityCodeService for Services {
    type StreamIssueValidityCodesStream = BoxStream<pb::StreamIssueValidityCodesResponse>;

    async fn issue_validity_code(
        &self,
        request: Request<pb::IssueValidityCodeRequest>,
    ) -> Result<Response<pb::IssueValidityCodeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code::issue_code(message, &self.app.known(&call))?;
            let stored = codes::issue(&self.app, &call, input).await?;
            let validity_code = stored.as_ref().map(code::code_to_pb);
            Ok(pb::IssueValidityCodeResponse { validity_code })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn correct_validity_code(
        &self,
        request: Request<pb::CorrectValidityCodeRequest>,
    ) -> Result<Response<pb::CorrectValidityCodeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code::correct_code(message, &self.app.known(&call))?;
            let stored = codes::correct(&self.app, &call, input).await?;
            let validity_code = stored.as_ref().map(code::code_to_pb);
            Ok(pb::CorrectValidityCodeResponse { validity_code })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn stream_issue_validity_codes(
        &self,
        request: Request<Streaming<pb::StreamIssueValidityCodesRequest>>,
    ) -> Result<Response<Self::StreamIssueValidityCodesStream>, Status> {
        let (call, messages) = split(request)?;
        let run = Run::new(Arc::clone(&self.app));
        self.streams.answer(call, messages, run)
    }

    async fn create_validity_code_application(
        &self,
        request: Request<pb::CreateValidityCodeApplicationRequest>,
    ) -> Result<Response<pb::CreateValidityCodeApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code_application::create(message, &self.app.known(&call))?;
            let done = code_applications::create(&self.app, &call, input).await?;
            let (application, _) = decided(done.as_ref());
            Ok(pb::CreateValidityCodeApplicationResponse { application })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn resubmit_validity_code_application(
        &self,
        request: Request<pb::ResubmitValidityCodeApplicationRequest>,
    ) -> Result<Response<pb::ResubmitValidityCodeApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code_application::resubmit(message, &self.app.known(&call))?;
            let done = code_applications::resubmit(&self.app, &call, input).await?;
            let (application, _) = decided(done.as_ref());
            Ok(pb::ResubmitValidityCodeApplicationResponse { application })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn cancel_validity_code_application(
        &self,
        request: Request<pb::CancelValidityCodeApplicationRequest>,
    ) -> Result<Response<pb::CancelValidityCodeApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code_application::cancel(message)?;
            let done = code_applications::cancel(&self.app, &call, input).await?;
            let (application, _) = decided(done.as_ref());
            Ok(pb::CancelValidityCodeApplicationResponse { application })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn record_expert_decision(
        &self,
        request: Request<pb::RecordExpertDecisionRequest>,
    ) -> Result<Response<pb::RecordExpertDecisionResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code_application::expert_decision(message, &self.app.known(&call))?;
            let done = code_applications::decide(&self.app, &call, input).await?;
            let (application, validity_code) = decided(done.as_ref());
            Ok(pb::RecordExpertDecisionResponse {
                application,
                validity_code,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn record_code_review(
        &self,
        request: Request<pb::RecordCodeReviewRequest>,
    ) -> Result<Response<pb::RecordCodeReviewResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code_application::review(message)?;
            let done = code_applications::decide(&self.app, &call, input).await?;
            let (application, validity_code) = decided(done.as_ref());
            Ok(pb::RecordCodeReviewResponse {
                application,
                validity_code,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_validity_code_application(
        &self,
        request: Request<pb::GetValidityCodeApplicationRequest>,
    ) -> Result<Response<pb::GetValidityCodeApplicationResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let id = code_application::get(&message)?;
            let stored = code_applications::get(&self.app, &call, id).await?;
            let told = code_application::application_to_pb(&stored);
            Ok(pb::GetValidityCodeApplicationResponse {
                dispute_actions: disputes::touching(&self.app, &call, &told.name).await?,
                application: Some(told),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_validity_code_applications(
        &self,
        request: Request<pb::ListValidityCodeApplicationsRequest>,
    ) -> Result<Response<pb::ListValidityCodeApplicationsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code_application::list(message, &self.app.known(&call))?;
            let rows = code_applications::list(&self.app, &call, &input).await?;
            let (rows, next_page_token) = input.page.cut(rows, code_application::application_place);
            let applications = rows
                .iter()
                .map(code_application::application_to_pb)
                .collect();
            Ok(pb::ListValidityCodeApplicationsResponse {
                applications,
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn batch_import_legacy_codes(
        &self,
        request: Request<pb::BatchImportLegacyCodesRequest>,
    ) -> Result<Response<pb::BatchImportLegacyCodesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = convert_legacy::import(message, &self.app.known(&call))?;
            let outcomes = legacy::import(&self.app, &call, input).await;
            let rows = outcomes.into_iter().map(|outcome| match outcome {
                Ok(stored) => pb::LegacyCodeRow {
                    status: Some(tonic_types::Status::default()),
                    name: stored
                        .map(|stored| Collection::ValidityCodes.name(stored.id))
                        .unwrap_or_default(),
                },
                Err(error) => pb::LegacyCodeRow {
                    status: Some(row_status(error, call.trace_id)),
                    name: String::new(),
                },
            });
            Ok(pb::BatchImportLegacyCodesResponse {
                rows: rows.collect(),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_validity_code(
        &self,
        request: Request<pb::GetValidityCodeRequest>,
    ) -> Result<Response<pb::GetValidityCodeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let stored = codes::get(&self.app, &call, code::get_code(&message)?).await?;
            let told = code::code_to_pb(&stored);
            Ok(pb::GetValidityCodeResponse {
                dispute_actions: disputes::touching(&self.app, &call, &told.name).await?,
                validity_code: Some(told),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_validity_codes(
        &self,
        request: Request<pb::ListValidityCodesRequest>,
    ) -> Result<Response<pb::ListValidityCodesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = code::list_codes(message, &self.app.known(&call))?;
            let rows = codes::list(&self.app, &call, &input).await?;
            let (rows, next_page_token) = input.page.cut(rows, code::code_place);
            let validity_codes = rows.iter().map(code::code_to_pb).collect();
            Ok(pb::ListValidityCodesResponse {
                validity_codes,
                next_page_token,
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn suspend_validity_code(
        &self,
        request: Request<pb::SuspendValidityCodeRequest>,
    ) -> Result<Response<pb::SuspendValidityCodeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = change::suspend_code(message)?;
            let stored = codes::change(&self.app, &call, input).await?;
            let validity_code = stored.as_ref().map(code::code_to_pb);
            Ok(pb::SuspendValidityCodeResponse { validity_code })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn reinstate_validity_code(
        &self,
        request: Request<pb::ReinstateValidityCodeRequest>,
    ) -> Result<Response<pb::ReinstateValidityCodeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = change::reinstate_code(message)?;
            let stored = codes::change(&self.app, &call, input).await?;
            let validity_code = stored.as_ref().map(code::code_to_pb);
            Ok(pb::ReinstateValidityCodeResponse { validity_code })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn revoke_validity_code(
        &self,
        request: Request<pb::RevokeValidityCodeRequest>,
    ) -> Result<Response<pb::RevokeValidityCodeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = change::revoke_code(message)?;
            let stored = codes::change(&self.app, &call, input).await?;
            let validity_code = stored.as_ref().map(code::code_to_pb);
            Ok(pb::RevokeValidityCodeResponse { validity_code })
        };
        let result = act.await;
        reply(&call, result)
    }
}

/// An application and its code, as far as they are there.
fn decided(
    done: Option<&Decided>,
) -> (
    Option<pb::ValidityCodeApplication>,
    Option<pb::ValidityCode>,
) {
    let application = done.map(|done| code_application::application_to_pb(&done.application));
    let issued = done.and_then(|done| done.code.as_ref());
    (application, issued.map(code::code_to_pb))
}
