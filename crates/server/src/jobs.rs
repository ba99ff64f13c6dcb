//! Works through jobs: a part of the one that has waited longest, then of the next, on any node.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gavah_api::v1 as pb;
use gavah_domain::job::JobState;
use gavah_store::{JOB_METHOD, JobOutcome, RowEnd, StoredJob};
use jiff::SignedDuration;
use prost::Message;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use crate::app::App;
use crate::app::codes::{self, Row};
use crate::app::jobs::{by_service, forget, passes, submitter, waits};
use crate::call::Acting;
use crate::convert::code::run_row;
use crate::error::AppError;
use crate::layers::CallerDirectory;
use crate::layers::CallerSlot;
use crate::policy;
use crate::status::row_status;
use crate::tasks::stopped;

/// How often jobs are looked for when there was none.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often old jobs are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// For how long a node has the part of a job that it took: then another takes it over.
const LEASE: SignedDuration = SignedDuration::from_secs(12);

/// Rows at work at a time: as many as one transaction takes together.
const PART: u64 = 256;

/// Longest time for the rows of a part, well within the lease.
const PART_TIME: Duration = Duration::from_secs(8);

/// Works through jobs until `stop`. A part that is cut off is done again by whoever has the job next, with the same
/// retry keys.
pub(crate) async fn work_through_jobs(app: Arc<App>, stop: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(stopped(stop));
    let mut forget_at = Instant::now();
    loop {
        let work = async {
            if Instant::now() >= forget_at {
                forget_at = Instant::now() + FORGET_EVERY;
                match forget(&app).await {
                    Ok(0) => {}
                    Ok(forgotten) => tracing::info!(forgotten, "old jobs forgotten"),
                    Err(error) => tracing::warn!(%error, "old jobs could not be forgotten"),
                }
            }
            match part(&app).await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(LOOK_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "a job could not be carried on");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = &mut stop => return,
        }
    }
}

/// Does a part of a job; whether there was one, and it need not wait.
async fn part(app: &Arc<App>) -> Result<bool, AppError> {
    let context = by_service(app);
    let until = context.now.checked_add(LEASE);
    let until = until.map_err(|_| AppError::Internal("the clock is past the calendar"))?;
    let Some(job) = app.store.take_job(&context, until).await? else {
        return Ok(false);
    };
    let span = tracing::info_span!("issuance_job.part", job = %job.id);
    do_part(app, &job).instrument(span).await
}

async fn do_part(app: &Arc<App>, job: &StoredJob) -> Result<bool, AppError> {
    let snapshot = app.registry.current()?;
    let (method, classes) =
        policy::allowed(JOB_METHOD).ok_or(AppError::Internal("nobody may submit jobs"))?;
    let caller = match submitter(&snapshot, job, classes) {
        Ok(caller) => caller,
        Err(reason) => {
            let context = by_service(app);
            let state = JobState::Stopped;
            let ended = app
                .store
                .end_job(&context, job.id, job.version, state, reason.as_str());
            return match ended.await? {
                JobOutcome::Done(_) | JobOutcome::Moved => Ok(true),
                _ => Err(AppError::Internal("a job without a claim was claimed")),
            };
        }
    };
    let acting = Acting {
        caller,
        method,
        deadline: Instant::now() + PART_TIME,
        trace_id: app.new_trace_id()?,
        snapshot,
        on_behalf: None,
        slot: CallerSlot::default(),
    };
    let rows = app.store.waiting_job_rows(job.id, PART).await?;
    if rows.is_empty() {
        // A node of the release before, which counts no unpaid rows, did the last of them.
        let context = by_service(app);
        let job = app.store.job_rows_done(&context, job.id, &[]).await?;
        return match job.state.has_ended() {
            true => Ok(true),
            false => Err(AppError::Internal("a job has fewer rows than it says")),
        };
    }
    let ends = rows.into_iter().map(|(sequence, request)| {
        let (app, acting, job) = (&**app, &acting, job);
        async move { (sequence, end(app, acting, job, &request).await) }
    });
    let ends = join_all(ends).await;
    let mut open = None;
    let done = ends.into_iter().filter_map(|(sequence, end)| match end {
        Ok(end) => Some((sequence, end)),
        Err(error) => {
            open = Some(error);
            None
        }
    });
    let done: Vec<_> = done.collect();
    app.store
        .job_rows_done(&by_service(app), job.id, &done)
        .await?;
    // The others wait for their turn.
    match open {
        None => Ok(true),
        Some(AppError::Refused(refusal)) if waits(refusal.reason) => Ok(false),
        Some(error) => Err(error),
    }
}

/// What comes of a row; an error is what leaves it open.
async fn end(
    app: &App,
    acting: &Acting,
    job: &StoredJob,
    request: &[u8],
) -> Result<RowEnd, AppError> {
    let issued = async {
        let row = pb::StreamIssueValidityCodesRow::decode(request)
            .map_err(|_| AppError::Internal("a job's row is corrupt"))?;
        // The job stands for the run: a row that was done before gives the same code.
        let input = run_row(job.id, row, &app.known(acting))?;
        codes::issue_row(app, acting, input).await
    };
    match issued.await {
        Ok(Row::Issued(stored)) => Ok(RowEnd::Issued(stored.id)),
        Ok(Row::Unpaid(application)) => Ok(RowEnd::Unpaid(application.id)),
        Err(error) if passes(&error) => Err(error),
        Err(error) => {
            let status = row_status(error, acting.trace_id);
            Ok(RowEnd::Refused(status.encode_to_vec()))
        }
    }
}
