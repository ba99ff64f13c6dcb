//! What is asked of the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gavah_api::v1 as pb;
use gavah_client::{Client, ClientConfig, Failure};

use crate::people::{Ground, person_id, unknown_code};

/// Rows of a bulk call.
pub const BATCH: usize = 1_000;

/// One kind of call, made again and again.
#[derive(Debug)]
pub struct Work {
    kind: Kind,
    next: AtomicU64,
}

/// The kinds of calls.
#[derive(Debug)]
pub enum Kind {
    /// ValidateCode with codes that are good, each in turn.
    Validate(Arc<[String]>),
    /// ValidateCode with codes that nobody was given.
    Unknown,
    /// ValidateCode as callers ask: of ten codes seven good ones, one unknown, one mistyped, one of somebody else.
    Mixed(Arc<[String]>),
    /// BatchValidateCodes with 1,000 good codes.
    Batch(Arc<[String]>),
    /// StreamValidateCodes with 1,000 good codes in each stream.
    Stream(Arc<[String]>),
    /// IssueValidityCode, each for another person.
    Issue(Arc<Ground>),
    /// StreamIssueValidityCodes for 1,000 people in each stream.
    StreamIssue(Arc<Ground>),
    /// BatchUpsertEnrollmentRecords with 1,000 records of new students.
    Records(Arc<Ground>),
    /// CreateEnrollmentCertificateApplication for people whose record is there, each once.
    Certificate {
        /// Where requests come from.
        ground: Arc<Ground>,
        /// The first person's number.
        first: u64,
        /// How many there are.
        people: u64,
    },
    /// A new connection with one ValidateCode.
    Handshake {
        /// How to connect.
        config: Box<ClientConfig>,
        /// A good code.
        code: String,
    },
}

/// A call that did not get the answer it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, or the status code where there is none.
    pub reason: String,
    /// Whether the answer says when to come again.
    pub retry_told: bool,
}

impl Refusal {
    fn of(failure: &Failure) -> Self {
        Self {
            reason: failure
                .reason
                .clone()
                .unwrap_or_else(|| format!("{:?}", failure.code)),
            retry_told: failure.retry_after.is_some(),
        }
    }

    fn because(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            retry_told: false,
        }
    }
}

impl Work {
    /// Work that begins with its first call.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            next: AtomicU64::new(0),
        }
    }

    /// Makes the next call: how many rows were answered as they should be.
    ///
    /// # Errors
    /// [`Refusal`] when the call was refused or one of its answers is wrong.
    pub async fn call(&self, client: &Client) -> Result<u64, Refusal> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match &self.kind {
            Kind::Validate(codes) => validate(client, good(codes, number)?, None, REASON_OK).await,
            Kind::Unknown => {
                let reason = pb::VerdictReason::NotFound;
                validate(client, unknown_code(number), None, reason).await
            }
            Kind::Mixed(codes) => mixed(client, codes, number).await,
            Kind::Batch(codes) => batch(client, codes, number).await,
            Kind::Stream(codes) => stream(client, codes, number).await,
            Kind::Issue(ground) => issue(client, ground).await.map(|_| 1),
            Kind::StreamIssue(ground) => stream_issue(client, ground).await,
            Kind::Records(ground) => push_records(client, ground, ground.take(BATCH as u64)).await,
            Kind::Certificate {
                ground,
                first,
                people,
            } => match number < *people {
                true => certificate(client, ground, first + number).await,
                false => Err(Refusal::because("NO_STUDENT_LEFT")),
            },
            Kind::Handshake { config, code } => {
                let connected = Client::connect(config).await;
                let client = connected.map_err(|_| Refusal::because("NO_CONNECTION"))?;
                validate(&client, code.clone(), None, REASON_OK).await
            }
        }
    }
}

const REASON_OK: pb::VerdictReason = pb::VerdictReason::Ok;

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn refused(status: tonic::Status) -> Refusal {
    Refusal::of(&Failure::of(&status))
}

fn good(codes: &[String], number: u64) -> Result<String, Refusal> {
    let length = codes.len().max(1) as u64;
    let index = usize::try_from(number % length).unwrap_or_default();
    let code = codes.get(index).cloned();
    code.ok_or_else(|| Refusal::because("NO_CODES"))
}

async fn validate(
    client: &Client,
    code: String,
    subject_claim: Option<pb::PersonId>,
    expected: pb::VerdictReason,
) -> Result<u64, Refusal> {
    let request = pb::ValidateCodeRequest {
        purpose: 0,
        code,
        subject_claim,
    };
    let answer = client.validation().validate_code(request).await;
    let answer = answer.map_err(refused)?;
    match answer.into_inner().verdict {
        Some(verdict) if verdict.reason() == expected => Ok(1),
        _ => Err(Refusal::because("WRONG_ANSWER")),
    }
}

async fn mixed(client: &Client, codes: &[String], number: u64) -> Result<u64, Refusal> {
    use pb::VerdictReason as Reason;
    match number % 10 {
        7 => validate(client, unknown_code(number), None, Reason::NotFound).await,
        8 => {
            let mut code = unknown_code(number);
            let last = code
                .pop()
                .map_or('0', |digit| if digit == '9' { '0' } else { '9' });
            code.push(last);
            validate(client, code, None, Reason::CheckDigit).await
        }
        9 => {
            // Nobody was issued a code so far up.
            let stranger = Some(person_id(300_000_000 + number % 1_000));
            validate(
                client,
                good(codes, number)?,
                stranger,
                Reason::SubjectMismatch,
            )
            .await
        }
        _ => validate(client, good(codes, number)?, None, Reason::Ok).await,
    }
}

async fn batch(client: &Client, codes: &[String], number: u64) -> Result<u64, Refusal> {
    let first = number.wrapping_mul(BATCH as u64);
    let question = |row: u64| {
        Ok(pb::ValidateCodeRequest {
            purpose: 0,
            code: good(codes, first.wrapping_add(row))?,
            subject_claim: None,
        })
    };
    let request = pb::BatchValidateCodesRequest {
        requests: (0..BATCH as u64)
            .map(question)
            .collect::<Result<_, Refusal>>()?,
    };
    let answer = client.validation().batch_validate_codes(request).await;
    let answer = answer.map_err(refused)?;
    let verdicts = answer.into_inner().verdicts;
    match verdicts.len() == BATCH && verdicts.iter().all(|verdict| verdict.reason() == REASON_OK) {
        true => Ok(BATCH as u64),
        false => Err(Refusal::because("WRONG_ANSWER")),
    }
}

/// Issues a code for the next person: the 20 digits.
///
/// # Errors
/// [`Refusal`].
pub async fn issue(client: &Client, ground: &Ground) -> Result<String, Refusal> {
    let request = ground.issue(ground.take(1));
    let answer = client.validity_codes().issue_validity_code(request).await;
    let answer = answer.map_err(refused)?;
    let code = answer.into_inner().validity_code;
    code.map(|code| code.code)
        .ok_or_else(|| Refusal::because("WRONG_ANSWER"))
}

async fn stream(client: &Client, codes: &Arc<[String]>, number: u64) -> Result<u64, Refusal> {
    let (codes, first) = (Arc::clone(codes), number.wrapping_mul(BATCH as u64));
    let question = move |row: i64| pb::StreamValidateCodesRequest {
        purpose: 0,
        sequence: row,
        // An empty code gets a wrong answer.
        code: good(&codes, first.wrapping_add(row.unsigned_abs())).unwrap_or_default(),
        subject_claim: None,
    };
    let questions = tokio_stream::iter((0..BATCH as i64).map(question));
    let answers = client.validation().stream_validate_codes(questions).await;
    let mut answers = answers.map_err(refused)?.into_inner();
    let mut rows = 0;
    while let Some(answer) = answers.message().await.map_err(refused)? {
        use pb::stream_validate_codes_response::Answer;
        match answer.answer {
            Some(Answer::Verdict(verdict)) if verdict.reason() == REASON_OK => rows += 1,
            _ => return Err(Refusal::because("WRONG_ANSWER")),
        }
    }
    match rows == BATCH as u64 {
        true => Ok(rows),
        false => Err(Refusal::because("WRONG_ANSWER")),
    }
}

async fn stream_issue(client: &Client, ground: &Arc<Ground>) -> Result<u64, Refusal> {
    let first = ground.take(BATCH as u64);
    let requests = Arc::clone(ground).run(first, BATCH as u64);
    let outcomes = client
        .validity_codes()
        .stream_issue_validity_codes(tokio_stream::iter(requests))
        .await;
    let mut outcomes = outcomes.map_err(refused)?.into_inner();
    let mut rows = 0;
    while let Some(outcome) = outcomes.message().await.map_err(refused)? {
        use pb::stream_issue_validity_codes_response::Outcome;
        match outcome.outcome {
            Some(Outcome::ValidityCode(_)) => rows += 1,
            _ => return Err(Refusal::because("WRONG_ANSWER")),
        }
    }
    match rows == BATCH as u64 {
        true => Ok(rows),
        false => Err(Refusal::because("WRONG_ANSWER")),
    }
}

/// Pushes the records of 1,000 people from `first` on: how many were stored, all of them.
///
/// # Errors
/// [`Refusal`], also when a single row is.
pub async fn push_records(client: &Client, ground: &Ground, first: u64) -> Result<u64, Refusal> {
    let people = first..first + BATCH as u64;
    let request = pb::BatchUpsertEnrollmentRecordsRequest {
        request_id: ground.request_id().to_string(),
        validate_only: false,
        records: people.map(|person| ground.record(person)).collect(),
    };
    let mut records = client.records();
    let answer = records.batch_upsert_enrollment_records(request);
    let answer = answer.await.map_err(refused)?;
    let rows = answer.into_inner().rows;
    let stored = |row: &pb::EnrollmentRecordRow| !row.name.is_empty();
    match rows.len() == BATCH && rows.iter().all(stored) {
        true => Ok(BATCH as u64),
        false => Err(Refusal::because("WRONG_ANSWER")),
    }
}

async fn certificate(client: &Client, ground: &Ground, person: u64) -> Result<u64, Refusal> {
    let request = ground.apply(person);
    let mut certificates = client.certificates();
    let answer = certificates.create_enrollment_certificate_application(request);
    let answer = answer.await.map_err(refused)?;
    match answer.into_inner().enrollment_certificate {
        Some(_) => Ok(1),
        None => Err(Refusal::because("WRONG_ANSWER")),
    }
}
