//! `gavah.v1.ValidationService`.

use std::sync::Arc;

use gavah_api::v1 as pb;
use gavah_api::v1::stream_validate_codes_response as stream_response;
use gavah_api::v1::validation_service_server::ValidationService;
use gavah_domain::PersonId;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::stream::{Begun, Rows};
use super::{Services, reply, split};
use crate::app::App;
use crate::app::quotas::Counted;
use crate::app::validate::{self, Answer, Found};
use crate::call::Call;
use crate::convert::sequence::Sequence;
use crate::convert::verdict::{self, Disclosure};
use crate::error::AppError;
use crate::status::row_status;

#[tonic::async_trait]
impl ValidationService for Services {
    type StreamValidateCodesStream = BoxStream<pb::StreamValidateCodesResponse>;

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
            let answers = {
                let questions = u32::try_from(inputs.len()).unwrap_or(u32::MAX);
                let counted = Counted::Call(questions);
                validate::batch_validate_codes(&self.app, &call, &inputs, counted).await?
            };
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

    async fn match_code(
        &self,
        request: Request<pb::MatchCodeRequest>,
    ) -> Result<Response<pb::MatchCodeResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = verdict::match_code(&message, &self.app.known(&call))?;
            let (answer, compared) =
                validate::match_code(&self.app, &call, &input.code, &input.claims).await?;
            // Whether a claim is right is all that is told of the document.
            let verdict = pb::Verdict {
                receipt: call.trace_id.to_string(),
                ..verdict::verdict_to_pb(&answer.verdict, None, answer.as_of)
            };
            Ok(pb::MatchCodeResponse {
                verdict: Some(verdict),
                fields: verdict::compared_to_pb(&compared),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn stream_validate_codes(
        &self,
        request: Request<Streaming<pb::StreamValidateCodesRequest>>,
    ) -> Result<Response<Self::StreamValidateCodesStream>, Status> {
        let (call, messages) = split(request)?;
        let questions = Questions {
            app: Arc::clone(&self.app),
            order: Sequence::new("sequence", i64::MIN..=i64::MAX),
        };
        self.streams.answer(call, messages, questions)
    }
}

/// The questions of a stream: those that have arrived are looked up together, and
/// while two lookups are under way the next ones gather.
struct Questions {
    app: Arc<App>,
    order: Sequence,
}

impl Rows for Questions {
    type Message = pb::StreamValidateCodesRequest;
    type Answer = pb::StreamValidateCodesResponse;

    const TOGETHER: usize = 500;
    const AT_WORK: usize = 2;

    fn begin(&mut self, call: Call, mut questions: Vec<Self::Message>) -> Begun<Self::Answer> {
        let wrong = questions.iter().enumerate().find_map(|(place, question)| {
            let violations = self.order.next(question.sequence).err()?;
            Some((place, violations))
        });
        let end = wrong.map(|(place, violations)| {
            questions.truncate(place);
            violations.into()
        });
        let app = Arc::clone(&self.app);
        Begun {
            work: Some(Box::pin(answers(app, call, questions))),
            end,
        }
    }
}

/// One answer for each question; none of them ends the stream.
async fn answers(
    app: Arc<App>,
    call: Call,
    questions: Vec<pb::StreamValidateCodesRequest>,
) -> Vec<Result<pb::StreamValidateCodesResponse, AppError>> {
    let read = questions.iter().map(verdict::stream_validate_codes);
    let (mut inputs, mut errors) = (Vec::new(), Vec::new());
    for input in read {
        errors.push(input.map(|input| inputs.push(input)).err());
    }
    let counted = Counted::Rows(u32::try_from(inputs.len()).unwrap_or(u32::MAX));
    let judged = match validate::batch_validate_codes(&app, &call, &inputs, counted).await {
        Ok(judged) => judged,
        // The budget is used up: what was asked before is answered, this is not.
        Err(error) => return vec![Err(error)],
    };
    let mut judged = judged.iter().zip(&inputs);
    let rows = questions.iter().zip(errors);
    let rows = rows.map(|(question, error)| {
        let sequence = question.sequence;
        let answer = match error {
            Some(error) => stream_response::Answer::Error(row_status(error, call.trace_id)),
            None => {
                let (answer, input) = judged
                    .next()
                    .ok_or(AppError::Internal("a question of a stream got lost"))?;
                let receipt = format!("{}/{sequence}", call.trace_id);
                let verdict = told(&call, answer, input.claim.as_ref(), receipt);
                stream_response::Answer::Verdict(verdict)
            }
        };
        Ok(pb::StreamValidateCodesResponse {
            sequence,
            answer: Some(answer),
        })
    });
    rows.collect()
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
        told: answer.told,
        claim,
    });
    pb::Verdict {
        receipt,
        ..verdict::verdict_to_pb(&answer.verdict, disclosure.as_ref(), answer.as_of)
    }
}
