//! Jobs that issue validity codes from a file: taken, read, ended.

use std::collections::HashMap;
use std::sync::Arc;

use gavah_domain::Reason;
use gavah_domain::caller::{Caller, CallerClass, CallerState};
use gavah_domain::job::{JOB_BYTES_MAX, JOB_ROWS_MAX, JobState};
use gavah_store::{ActContext, JobOutcome, NewJob, RowEnd, Store, StoreError, StoredJob};
use jiff::SignedDuration;
use uuid::Uuid;

use super::codes::Row;
use super::{App, context};
use crate::call::Acting;
use crate::convert::Head;
use crate::convert::job::StartInput;
use crate::error::{AppError, Refusal};

/// For how long a job and its rows are kept after it has ended.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// After so long without another row a submission is given up.
const ABANDONED: SignedDuration = SignedDuration::from_hours(1);

/// Jobs of one list.
const LISTED: u64 = 100;

/// Jobs forgotten at a time.
const FORGOTTEN_TOGETHER: u64 = 20;

/// Rows kept at a time while a job comes in.
const RECEIVED_TOGETHER: usize = 500;

/// Bytes of rows from which they are kept, however few they are.
const RECEIVED_BYTES: usize = 256 * 1024;

/// A job while it comes in. One that is dropped before it was submitted is given up.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
    job: NewJob,
    rows: Vec<(i64, Vec<u8>)>,
    /// Of the rows that are not kept yet.
    bytes: usize,
    total: u32,
    total_bytes: usize,
    /// Something of it is in the store, and nobody has queued it.
    begun: bool,
}

impl Incoming {
    /// A job that begins to come in.
    ///
    /// # Errors
    ///
    /// [`AppError::Internal`] without randomness.
    pub fn new(app: &App, call: &Acting, start: &StartInput) -> Result<Self, AppError> {
        let institution = call.caller.institution.as_ref();
        Ok(Self {
            store: app.store.clone(),
            job: NewJob {
                id: app.new_id(app.clock.now())?,
                caller_id: call.caller.id.as_str().to_owned(),
                institution_code: institution
                    .map(|code| code.as_str().to_owned())
                    .unwrap_or_default(),
                label: start.label.clone(),
                max_error_percent: start.max_error_percent,
            },
            rows: Vec::new(),
            bytes: 0,
            total: 0,
            total_bytes: 0,
            begun: false,
        })
    }

    /// Takes the next row.
    ///
    /// # Errors
    ///
    /// BATCH_TOO_LARGE, TOO_MANY_JOBS; [`AppError::Store`].
    pub async fn take(&mut self, app: &App, row: (i64, Vec<u8>)) -> Result<(), AppError> {
        if self.total == JOB_ROWS_MAX {
            return Err(Refusal::new(Reason::BatchTooLarge)
                .with("max_rows", JOB_ROWS_MAX.to_string())
                .into());
        }
        self.total += 1;
        self.bytes += row.1.len();
        self.total_bytes += row.1.len();
        if self.total_bytes > JOB_BYTES_MAX {
            return Err(Refusal::new(Reason::BatchTooLarge)
                .with("max_bytes", JOB_BYTES_MAX.to_string())
                .into());
        }
        self.rows.push(row);
        if self.rows.len() == RECEIVED_TOGETHER || self.bytes >= RECEIVED_BYTES {
            self.keep(app).await?;
        }
        Ok(())
    }

    async fn keep(&mut self, app: &App) -> Result<(), AppError> {
        let first = !self.begun;
        // Also where the answer does not come.
        self.begun = true;
        let kept = self
            .store
            .receive_job_rows(&self.job, app.clock.now(), first, &self.rows)
            .await?;
        if !kept {
            return Err(Reason::TooManyJobs.into());
        }
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }

    /// Queues the job, all of whose rows are there.
    ///
    /// # Errors
    ///
    /// FIELD_REQUIRED for one without a row, TOO_MANY_JOBS, REQUEST_ID_REUSED, CONCURRENT_UPDATE
    /// when it was given up meanwhile;
    /// [`AppError::Store`].
    pub async fn submit(
        mut self,
        app: &App,
        call: &Acting,
        head: &Head,
    ) -> Result<StoredJob, AppError> {
        if self.total == 0 {
            let mut violations = gavah_domain::Violations::default();
            violations.push("row", Reason::FieldRequired);
            return Err(violations.into());
        }
        if !self.rows.is_empty() {
            self.keep(app).await?;
        }
        let context = context(call, head, None, app.clock.now());
        let queued = self
            .store
            .queue_job(&context, self.job.id, self.total)
            .await?;
        outcome(app, call, queued).await
    }
}

/// What is queued is not given up: the store tells them apart.
impl Drop for Incoming {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.begun {
            let (store, id) = (self.store.clone(), self.job.id);
            runtime.spawn(async move {
                // Where this fails, silence gives it up.
                if let Err(error) = store.give_up_job(id).await {
                    tracing::warn!(%error, "a submission could not be given up");
                }
            });
        }
    }
}

async fn outcome(app: &App, call: &Acting, outcome: JobOutcome) -> Result<StoredJob, AppError> {
    match outcome {
        JobOutcome::Done(stored) => Ok(*stored),
        JobOutcome::Replayed(id) => get(app, call, id).await,
        JobOutcome::RequestIdReused => Err(Reason::RequestIdReused.into()),
        JobOutcome::TooMany => Err(Reason::TooManyJobs.into()),
        JobOutcome::Moved => Err(Reason::ConcurrentUpdate.into()),
    }
}

/// Reads a job the caller may see: its own, and to the Organization and auditors all.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND; [`AppError::Store`].
pub async fn get(app: &App, call: &Acting, id: Uuid) -> Result<StoredJob, AppError> {
    let stored = app.store_for(call).job(id).await?;
    stored
        .filter(|stored| sees_all(call) || is_own(call, stored))
        .ok_or_else(|| Reason::ResourceNotFound.into())
}

fn is_own(call: &Acting, stored: &StoredJob) -> bool {
    stored.caller_id == call.caller.id.as_str()
}

fn sees_all(call: &Acting) -> bool {
    matches!(
        call.caller.class,
        CallerClass::Organization | CallerClass::Auditor
    )
}

/// Lists jobs the caller may see, newest first.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn list(app: &App, call: &Acting) -> Result<Vec<StoredJob>, AppError> {
    let since = app.clock.now().checked_sub(KEPT);
    let since = since.map_err(|_| AppError::Internal("the clock is before the calendar"))?;
    let own = (!sees_all(call)).then(|| call.caller.id.as_str());
    Ok(app.store_for(call).jobs(own, since, LISTED).await?)
}

/// Ends a job of the caller's; `None` when only checking.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND, ETAG_MISMATCH, STATE_TRANSITION_NOT_ALLOWED, REQUEST_ID_REUSED;
/// [`AppError::Store`].
pub async fn cancel(
    app: &App,
    call: &Acting,
    (head, id, etag): (Head, Uuid, Option<i64>),
) -> Result<Option<StoredJob>, AppError> {
    let context = context(call, &head, None, app.clock.now());
    let stored = get(app, call, id).await?;
    let checked = if !is_own(call, &stored) {
        Err(Reason::ResourceNotFound.into())
    } else if etag.is_some_and(|etag| etag != stored.version) {
        Err(Reason::EtagMismatch.into())
    } else if stored.state.has_ended() {
        Err(Refusal::new(Reason::StateTransitionNotAllowed)
            .with("state", stored.state.as_str())
            .with("allowed", "")
            .into())
    } else {
        Ok(())
    };
    match checked {
        Ok(()) if head.validate_only => return Ok(None),
        Ok(()) => {}
        Err(refused) if head.validate_only => return Err(refused),
        Err(refused) => {
            super::earlier(app, call, &context, refused).await?;
            return Ok(Some(stored));
        }
    }
    let store = app.store_for(call);
    let ended = store
        .end_job(&context, id, stored.version, JobState::Cancelled, "")
        .await?;
    outcome(app, call, ended).await.map(Some)
}

/// A part of what came of a job's rows, each as it is by now.
///
/// # Errors
///
/// RESOURCE_NOT_FOUND unless the job is the caller's own; [`AppError::Store`].
pub async fn result(
    app: &App,
    call: &Acting,
    id: Uuid,
    after: i64,
    most: u64,
) -> Result<Vec<(i64, JobRow)>, AppError> {
    let stored = get(app, call, id).await?;
    if !is_own(call, &stored) {
        return Err(Reason::ResourceNotFound.into());
    }
    let store = app.store_for(call);
    let ends = store.job_result(&stored, after, most).await?;
    let of = |wanted: fn(&RowEnd) -> Option<Uuid>| {
        let ids = ends.iter().filter_map(|(_, end)| wanted(end));
        ids.collect::<Vec<_>>()
    };
    let mut issued = of(|end| match end {
        RowEnd::Issued(id) => Some(*id),
        _ => None,
    });
    let applications = of(|end| match end {
        RowEnd::Unpaid(id) => Some(*id),
        _ => None,
    });
    let applications = store.code_applications_by_id(&applications).await?;
    issued.extend(applications.iter().filter_map(|it| it.code_id));
    let mut applications: HashMap<_, _> = applications.into_iter().map(|it| (it.id, it)).collect();
    let codes = store.codes_by_id(&issued).await?;
    let mut codes: HashMap<_, _> = codes.into_iter().map(|code| (code.id, code)).collect();
    let mut code = |id: Uuid| {
        let code = codes.remove(&id);
        let code = code.ok_or(AppError::Internal("a job's code is missing"))?;
        Ok::<_, AppError>(JobRow::Done(Row::Issued(Box::new(code))))
    };
    let rows = ends.into_iter().map(|(sequence, end)| {
        let row = match end {
            RowEnd::Issued(id) => code(id)?,
            RowEnd::Unpaid(id) => match applications.remove(&id) {
                Some(application) => match application.code_id {
                    Some(id) => code(id)?,
                    None => JobRow::Done(Row::Unpaid(Box::new(application))),
                },
                None => return Err(AppError::Internal("a job's application is missing")),
            },
            RowEnd::Refused(status) => JobRow::Refused(status),
            RowEnd::NotBegun => JobRow::NotBegun,
        };
        Ok((sequence, row))
    });
    rows.collect()
}

/// What came of a row of a job.
#[derive(Debug)]
pub enum JobRow {
    /// It was done.
    Done(Row),
    /// It was refused, as the contract encodes that.
    Refused(Vec<u8>),
    /// The job ended before it was begun.
    NotBegun,
}

/// The caller for which a job goes on, as the registry has it now, if it may still issue.
///
/// # Errors
///
/// CERTIFICATE_NOT_REGISTERED, CALLER_NOT_ACTIVE, METHOD_NOT_ALLOWED_FOR_CLASS;
/// [`AppError::Store`] when the registry is too old to decide by.
pub fn submitter(
    snapshot: &gavah_store::Snapshot,
    job: &StoredJob,
    classes: &[CallerClass],
) -> Result<Arc<Caller>, Reason> {
    let stored = snapshot.callers.get(&job.caller_id);
    let stored = stored.ok_or(Reason::CertificateNotRegistered)?;
    if stored.state != CallerState::Active {
        return Err(Reason::CallerNotActive);
    }
    if !classes.contains(&stored.caller.class) {
        return Err(Reason::MethodNotAllowedForClass);
    }
    Ok(Arc::clone(&stored.caller))
}

/// The context of what the service does to jobs by itself.
pub fn by_service(app: &App) -> ActContext {
    ActContext {
        actor: "service/jobs".to_owned(),
        now: app.clock.now(),
        trace_id: String::new(),
        claim: None,
    }
}

/// Whether nothing can be said of a row, and of those after it nothing better is to be
/// expected: the store gave no answer, or none in time.
pub fn leaves_open(error: &AppError) -> bool {
    match error {
        AppError::Store(error) => match error {
            StoreError::Unavailable | StoreError::Timeout | StoreError::CommitUnknown => true,
            StoreError::Conflict
            | StoreError::Constraint(_)
            | StoreError::Database { .. }
            | StoreError::NotOrdered(_)
            | StoreError::Corrupt(_)
            | StoreError::Schema(_)
            | StoreError::Config(_) => false,
        },
        AppError::Invalid(_) | AppError::Refused(_) | AppError::Internal(_) => false,
    }
}

/// Whether a job tries a row again, as the client of a stream may: nothing can be said of it, others were in the way, or it is
/// to [`wait`](waits).
pub fn passes(error: &AppError) -> bool {
    match error {
        AppError::Store(StoreError::Conflict) => true,
        AppError::Refused(refusal) => {
            refusal.reason == Reason::ConcurrentUpdate || waits(refusal.reason)
        }
        error => leaves_open(error),
    }
}

/// Whether a job waits for what this refusal says: the end of a pause, or the next day, with calls of its agreement or lookups
/// of its caller left.
#[must_use]
pub const fn waits(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::IssuancePaused | Reason::DailyQuota | Reason::NegativeLookups
    )
}

/// Forgets jobs that ended long ago, and submissions that were given up; returns how many.
///
/// # Errors
///
/// [`AppError::Store`].
pub async fn forget(app: &App) -> Result<usize, AppError> {
    let now = app.clock.now();
    let before = |time: SignedDuration| {
        let before = now.checked_sub(time);
        before.map_err(|_| AppError::Internal("the clock is before the calendar"))
    };
    let (old, abandoned) = (before(KEPT)?, before(ABANDONED)?);
    Ok(app
        .store
        .forget_jobs(old, abandoned, FORGOTTEN_TOGETHER)
        .await?)
}
