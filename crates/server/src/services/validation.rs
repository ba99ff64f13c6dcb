//! `gavah.v1.ValidationService`.

use gavah_api::v1 as pb;
use gavah_api::v1::validation_service_server::ValidationService;
use gavah_domain::PersonId;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::validate::{self, Answer, Found};
use crate::call::Call;
use crate::convert::verdict::{self, Disclosure};

#[tonic::async_trait]
impl ValidationService for Services {
    async fn validate_code(
        &self,
        request: Request<pb::ValidateCodeRequest>,
    ) -> Result<Response<pb::ValidateCodeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = verdict::validate_code(&message)?;
            let answer = validate::validate_code(&self.app, &call, &input).await?;
            let receipt = call.trace_id.to_string();
            let verdict = Some(told(&call, &answer, input.claim.as_ref(), receipt));
            Ok(pb::ValidateCodeResponse { verdict })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn batch_validate_codes(
        &self,
        request: Request<pb::BatchValidateCodesRequest>,
    ) -> Result<Response<pb::BatchValidateCodesResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let inputs = verdict::batch_validate_codes(&message)?;
            let answers = validate::batch_validate_codes(&self.app, &call, &inputs).await;
            let rows = answers.iter().zip(&inputs).enumerate();
            let verdicts = rows.map(|(place, (answer, input))| {
                let receipt = format!("{}/{place}", call.trace_id);
                told(&call, answer, input.claim.as_ref(), receipt)
            });
            Ok(pb::BatchValidateCodesResponse {
                verdicts: verdicts.collect(),
            })
        };
        let result = act.await;
        reply(&call, result)
    }
}

/// The verdict with what this caller may be told.
fn told(call: &Call, answer: &Answer, claim: Option<&PersonId>, receipt: String) -> pb::Verdict {
    let found = answer.found.as_deref().map(|found| match found {
        Found::Code(code) => verdict::Found::Code(code),
        Found::Certificate(certificate) => verdict::Found::Certificate(certificate),
    });
    let disclosure = found.map(|found| Disclosure {
        found,
        institution: call
            .snapshot
            .institution(found.program().institution.as_str())
            .map(|stored| &stored.institution),
        audience: answer.audience,
        claim,
    });
    pb::Verdict {
        receipt,
        ..verdict::verdict_to_pb(&answer.verdict, disclosure.as_ref(), answer.as_of)
    }
}
