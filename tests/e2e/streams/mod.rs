//! Streams of rows: questions about codes, and runs that issue them.

mod ends;
mod load;
mod questions;
mod runs;

use gavah_api::v1 as pb;
use gavah_api::v1::stream_issue_validity_codes_request::Message;
use gavah_api::v1::stream_issue_validity_codes_response::Outcome;
use gavah_client::Failure;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Streaming};

use crate::peer::{Answer, Peer};

/// Rows that a test may have said without the server having read them.
const UNREAD: usize = 4_000;

/// A stream under way.
pub(crate) struct Talk<Q, A> {
    say: Option<mpsc::Sender<Q>>,
    answers: Streaming<A>,
}

type Questions = Talk<pb::StreamValidateCodesRequest, pb::StreamValidateCodesResponse>;
pub(crate) type Run =
    Talk<pb::StreamIssueValidityCodesRequest, pb::StreamIssueValidityCodesResponse>;

impl<Q, A> Talk<Q, A> {
    pub(crate) async fn say(&self, message: Q) {
        self.say.as_ref().unwrap().send(message).await.unwrap();
    }

    /// Says that there is no more to come.
    pub(crate) fn finish(&mut self) {
        self.say = None;
    }

    /// The next answer, or how the stream ended.
    pub(crate) async fn answer(&mut self) -> Answer<Option<A>> {
        let answer = self.answers.message().await;
        answer.map_err(|status| Box::new(Failure::of(&status)))
    }

    /// Every answer that is still to come, and how the stream ended.
    async fn rest(&mut self) -> (Vec<A>, Answer<()>) {
        let mut answers = Vec::new();
        loop {
            match self.answer().await {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) => return (answers, Ok(())),
                Err(failure) => return (answers, Err(failure)),
            }
        }
    }
}

async fn ask(peer: &Peer) -> Answer<Questions> {
    let (say, said) = mpsc::channel(UNREAD);
    let said = ReceiverStream::new(said);
    let answers = peer.client().validation().stream_validate_codes(said).await;
    match answers {
        Ok(answers) => Ok(Talk {
            say: Some(say),
            answers: answers.into_inner(),
        }),
        Err(status) => Err(Box::new(Failure::of(&status))),
    }
}

async fn open(peer: &Peer) -> Answer<Run> {
    let (say, said) = mpsc::channel(UNREAD);
    let said = Request::new(ReceiverStream::new(said));
    let mut client = peer.client().validity_codes();
    match client.stream_issue_validity_codes(said).await {
        Ok(answers) => Ok(Talk {
            say: Some(say),
            answers: answers.into_inner(),
        }),
        Err(status) => Err(Box::new(Failure::of(&status))),
    }
}

/// A run that has been started.
pub(crate) async fn start(peer: &Peer, request_id: &str) -> Run {
    let run = open(peer).await.unwrap();
    run.say(the_start(request_id)).await;
    run
}

fn asked(sequence: i64, code: &str) -> pb::StreamValidateCodesRequest {
    pb::StreamValidateCodesRequest {
        purpose: 0,
        sequence,
        code: code.to_owned(),
        subject_claim: None,
    }
}

fn the_start(request_id: &str) -> pb::StreamIssueValidityCodesRequest {
    let request_id = request_id.to_owned();
    pb::StreamIssueValidityCodesRequest {
        message: Some(Message::Start(pb::StreamIssueValidityCodesStart {
            request_id,
        })),
    }
}

/// The row that asks for what a call of its own would.
pub(crate) fn row(
    sequence: i64,
    request: &pb::IssueValidityCodeRequest,
) -> pb::StreamIssueValidityCodesRequest {
    let request = request.clone();
    pb::StreamIssueValidityCodesRequest {
        message: Some(Message::Row(pb::StreamIssueValidityCodesRow {
            sequence,
            subject: request.subject,
            program: request.program,
            document_kind: request.document_kind,
            document: request.document,
            prior_qualifications: request.prior_qualifications,
            double_major_declared: request.double_major_declared,
            external_ref: request.external_ref,
            attestation: request.attestation,
        })),
    }
}

/// The code that a row was answered with.
#[track_caller]
pub(crate) fn issued(answer: &pb::StreamIssueValidityCodesResponse) -> pb::ValidityCode {
    match answer.outcome.clone().unwrap() {
        Outcome::ValidityCode(code) => code,
        Outcome::Application(application) => panic!("{}: {}", answer.sequence, application.name),
        Outcome::Error(status) => panic!("{}: {}", answer.sequence, failure(&status)),
    }
}

/// The refusal that a row was answered with.
#[track_caller]
pub(crate) fn row_refused(
    answer: &pb::StreamIssueValidityCodesResponse,
    code: Code,
    reason: &str,
) -> Failure {
    match answer.outcome.clone().unwrap() {
        Outcome::ValidityCode(_) | Outcome::Application(_) => {
            panic!("{}: not refused with {reason}", answer.sequence)
        }
        Outcome::Error(status) => {
            let failure = failure(&status);
            assert_eq!(
                (failure.code, failure.reason.as_deref()),
                (code, Some(reason)),
                "{failure}"
            );
            failure
        }
    }
}

/// A row's error, read as that of a call.
pub(crate) fn failure(status: &tonic_types::Status) -> Failure {
    let details = prost::Message::encode_to_vec(status).into();
    let code = Code::from_i32(status.code);
    Failure::of(&tonic::Status::with_details(
        code,
        status.message.clone(),
        details,
    ))
}

fn numbers(answers: &[pb::StreamIssueValidityCodesResponse]) -> Vec<i64> {
    answers.iter().map(|answer| answer.sequence).collect()
}
