//! Jobs that issue validity codes from a file.

use aws_lc_rs::digest::{Context, SHA256};
use gavah_api::v1 as pb;
use gavah_api::v1::submit_issuance_job_request::Message as Submitted;
use gavah_domain::record::parse_external_ref;
use gavah_domain::{Reason, Violations};
use gavah_store::StoredJob;
use prost::Message;
use uuid::Uuid;

use super::code::code_to_pb;
use super::code_application::application_to_pb;
use super::enums::to_pb;
use super::head::{Head, open};
use super::names::{self, Collection};
use super::sequence::Sequence;
use super::time::{self, instant_to_pb};
use super::{check_rules, settle};
use crate::app::codes::Row;
use crate::app::jobs::JobRow;
use crate::error::AppError;

/// The last number that a claim can hold.
const LAST: i64 = i32::MAX as i64;

/// How a job begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartInput {
    /// Retry key.
    pub request_id: Uuid,
    /// The caller's own name for it; may be empty.
    pub label: String,
    /// Above so many failed rows in a hundred it stops.
    pub max_error_percent: Option<u8>,
}

/// The messages of a submission, one after the other.
pub struct Submission {
    start: Option<StartInput>,
    order: Sequence,
    digest: Context,
}

impl Default for Submission {
    fn default() -> Self {
        Self {
            start: None,
            order: Sequence::new("row.sequence", 0..=LAST),
            digest: Context::new(&SHA256),
        }
    }
}

impl Submission {
    /// Takes the next message: a row with its sequence, as it is kept, or nothing for the start. What a row says is
    /// judged when its turn comes.
    ///
    /// # Errors
    ///
    /// Every violation of the start; FIELD_REQUIRED for a message out of place, FIELD_FORMAT for a sequence that does
    /// not increase.
    pub fn take(
        &mut self,
        message: pb::SubmitIssuanceJobRequest,
    ) -> Result<Option<(i64, Vec<u8>)>, AppError> {
        match (&self.start, message.message) {
            (None, Some(Submitted::Start(given))) => {
                self.start = Some(start(&given)?);
                // The rest of it belongs to what the retry key stands for.
                let said = pb::IssuanceJobStart {
                    request_id: String::new(),
                    ..given
                };
                self.add(&said.encode_to_vec());
                Ok(None)
            }
            (Some(_), Some(Submitted::Row(row))) => {
                self.order.next(row.sequence)?;
                let encoded = row.encode_to_vec();
                self.add(&encoded);
                Ok(Some((row.sequence, encoded)))
            }
            (None, _) => Err(missing("start")),
            (Some(_), _) => Err(missing("row")),
        }
    }

    /// Each message with its length, so that no two submissions read alike.
    fn add(&mut self, message: &[u8]) {
        self.digest.update(&(message.len() as u64).to_be_bytes());
        self.digest.update(message);
    }

    /// The start, once it is there.
    ///
    /// # Errors
    ///
    /// FIELD_REQUIRED.
    pub fn start(&self) -> Result<&StartInput, AppError> {
        self.start.as_ref().ok_or_else(|| missing("start"))
    }

    /// Retry key and digest of all of it.
    ///
    /// # Errors
    ///
    /// FIELD_REQUIRED without a start.
    pub fn finish(self) -> Result<Head, AppError> {
        let request_id = self.start()?.request_id;
        let mut digest = [0; 32];
        digest.copy_from_slice(self.digest.finish().as_ref());
        Ok(Head {
            request_id,
            validate_only: false,
            digest,
            ordered: None,
        })
    }
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Submission(…)")
    }
}

fn missing(field: &str) -> AppError {
    let mut violations = Violations::default();
    violations.push(field, Reason::FieldRequired);
    violations.into()
}

fn start(given: &pb::IssuanceJobStart) -> Result<StartInput, AppError> {
    let annotated = check_rules(given);
    let mut found = Violations::default();
    let request_id = names::uuid(&given.request_id);
    let request_id = found.take("request_id", request_id);
    let label = found.take("label", parse_external_ref(&given.label));
    let percent = given.max_error_percent.map(u8::try_from).transpose();
    let percent = found.take("max_error_percent", percent.or(Err(Reason::FieldFormat)));
    let input = (|| {
        Some(StartInput {
            request_id: request_id?,
            label: label?,
            max_error_percent: percent?,
        })
    })();
    settle(annotated.nest("start"), found.nest("start"), input)
}

/// The name of a job to read.
///
/// # Errors
///
/// The violation of `name`.
pub fn get(request: &pb::GetIssuanceJobRequest) -> Result<Uuid, AppError> {
    let mut found = Violations::default();
    let id = found.take("name", Collection::IssuanceJobs.parse(&request.name));
    settle(check_rules(request), found, id)
}

/// The job whose result is asked for, and behind which sequence.
///
/// # Errors
///
/// Every violation at once.
pub fn download(request: &pb::DownloadIssuanceJobResultRequest) -> Result<(Uuid, i64), AppError> {
    let mut found = Violations::default();
    let id = found.take("name", Collection::IssuanceJobs.parse(&request.name));
    let id = settle(check_rules(request), found, id)?;
    Ok((id, request.after_sequence.unwrap_or(-1)))
}

/// Retry key, job and etag of a cancellation.
///
/// # Errors
///
/// Every violation at once; then [`Reason::EtagMismatch`] for an etag no version has.
pub fn cancel(
    mut request: pb::CancelIssuanceJobRequest,
) -> Result<(Head, Uuid, Option<i64>), AppError> {
    let (annotated, head) = open(&mut request);
    let mut found = Violations::default();
    let id = found.take("name", Collection::IssuanceJobs.parse(&request.name));
    let (head, id) = settle(annotated, found, head.zip(id))?;
    Ok((head, id, time::etag(&request.etag)?))
}

/// The contract's form of a job.
#[must_use]
pub fn job_to_pb(stored: &StoredJob) -> pb::IssuanceJob {
    let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    pb::IssuanceJob {
        name: Collection::IssuanceJobs.name(stored.id),
        state: to_pb(stored.state),
        label: stored.label.clone(),
        submitted_by: format!("callers/{}", stored.caller_id),
        total_rows: count(stored.total),
        issued_rows: count(stored.issued),
        failed_rows: count(stored.failed),
        unpaid_rows: count(stored.unpaid),
        max_error_percent: stored.max_error_percent.map(i32::from),
        stop_reason: stored.stop_reason.clone(),
        create_time: Some(instant_to_pb(stored.create_time)),
        update_time: Some(instant_to_pb(stored.update_time)),
        end_time: stored.end_time.map(instant_to_pb),
        etag: stored.version.to_string(),
    }
}

/// The contract's form of what came of a row.
///
/// # Errors
///
/// [`AppError::Internal`] when its refusal cannot be read back.
pub fn row_to_pb(
    sequence: i64,
    row: JobRow,
) -> Result<pb::DownloadIssuanceJobResultResponse, AppError> {
    use pb::download_issuance_job_result_response::Outcome;
    let outcome = match row {
        JobRow::Done(Row::Issued(code)) => Outcome::ValidityCode(code_to_pb(&code)),
        JobRow::Done(Row::Unpaid(application)) => {
            Outcome::Application(application_to_pb(&application))
        }
        JobRow::Refused(status) => {
            let status = tonic_types::Status::decode(&*status);
            let status = status.map_err(|_| AppError::Internal("a job's refusal is corrupt"))?;
            Outcome::Error(status)
        }
        JobRow::NotBegun => Outcome::NotBegun(true),
    };
    Ok(pb::DownloadIssuanceJobResultResponse {
        sequence,
        outcome: Some(outcome),
    })
}
