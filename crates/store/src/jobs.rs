//! Jobs that issue validity codes from a file: received, queued, worked through a part at a time by any node, and read.

use std::collections::HashMap;

use gavah_domain::job::{JobState, OPEN_JOBS_MAX, too_many_failed};
use jiff::Timestamp;
use sea_orm::sea_query::{ArrayType, Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Set, UpdateMany,
};
use uuid::Uuid;

use crate::claim::{claim, resource_id};
use crate::codes::{APPLICATIONS, COLLECTION as CODES};
use crate::content::{instant, known};
use crate::entity::{issuance_job, issuance_job_row, request_claim};
use crate::rows::{self, Rows};
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError};

/// Collection of the resource names.
const COLLECTION: &str = "issuanceJobs";

/// State of a job whose rows are still coming: nobody sees it.
const RECEIVING: &str = "RECEIVING";

const PENDING: &str = "PENDING";
const DONE: &str = "DONE";
const NOT_BEGUN: &str = "NOT_BEGUN";

/// The method that a job is submitted by, and that its rows are claimed under.
pub const JOB_METHOD: &str = "/gavah.v1.IssuanceJobService/SubmitIssuanceJob";

/// Why the service ended a job of which too many rows failed.
pub const ERROR_RATE: &str = "ERROR_RATE";

/// A job to receive.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Resource id.
    pub id: Uuid,
    /// The caller that submits it.
    pub caller_id: String,
    /// The caller's institution.
    pub institution_code: String,
    /// The caller's own name for it.
    pub label: String,
    /// Above so many failed rows in a hundred it stops.
    pub max_error_percent: Option<u8>,
}

/// A job as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredJob {
    /// Resource id.
    pub id: Uuid,
    /// The caller that submitted it.
    pub caller_id: String,
    /// The caller's institution.
    pub institution_code: String,
    /// The caller's own name for it.
    pub label: String,
    /// State.
    pub state: JobState,
    /// Rows of the file.
    pub total: u32,
    /// Rows that got a code.
    pub issued: u32,
    /// Rows that were refused.
    pub failed: u32,
    /// Rows whose applications waited for their payment when they were done.
    pub unpaid: u32,
    /// Above so many failed rows in a hundred it stops.
    pub max_error_percent: Option<u8>,
    /// Why it was stopped; may be empty.
    pub stop_reason: String,
    /// When it was submitted.
    pub create_time: Timestamp,
    /// When it last went on.
    pub update_time: Timestamp,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// Counts its states.
    pub version: i64,
}

/// A row of a job that has come to its end.
#[derive(Clone, PartialEq, Eq)]
pub enum RowEnd {
    /// It got a code.
    Issued(Uuid),
    /// It got an application that waited for its payment.
    Unpaid(Uuid),
    /// It was refused, as the contract encodes that.
    Refused(Vec<u8>),
    /// The job ended before it was begun.
    NotBegun,
}

/// Prints what it is and no more.
impl std::fmt::Debug for RowEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Issued(_) => "RowEnd::Issued(…)",
            Self::Unpaid(_) => "RowEnd::Unpaid(…)",
            Self::Refused(_) => "RowEnd::Refused(…)",
            Self::NotBegun => "RowEnd::NotBegun",
        })
    }
}

/// What became of an act on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// The job after it.
    Done(Box<StoredJob>),
    /// An earlier call with this request_id did it: the job's id.
    Replayed(Uuid),
    /// The request_id stands for another request.
    RequestIdReused,
    /// Too many of the caller's jobs have not ended.
    TooMany,
    /// It has changed since it was read.
    Moved,
}

fn name(id: Uuid) -> String {
    format!("{COLLECTION}/{id}")
}

impl Store {
    /// Keeps rows of a job that is being received, and with the `first` of them the job itself; `false` when the
    /// caller has too many jobs for one more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the job was given up meanwhile; otherwise [`StoreError`].
    pub async fn receive_job_rows(
        &self,
        job: &NewJob,
        now: Timestamp,
        first: bool,
        rows: &[(i64, Vec<u8>)],
    ) -> Result<bool, StoreError> {
        self.run_tx("receive_job_rows", |tx, _| {
            Box::pin(async move {
                use issuance_job::Column;
                let now = now.as_microsecond();
                if first && too_many(tx, job.id, &job.caller_id).await? {
                    return Ok(Done::Abandon(false));
                }
                let model = issuance_job::ActiveModel {
                    id: Set(job.id),
                    caller_id: Set(job.caller_id.clone()),
                    institution_code: Set(job.institution_code.clone()),
                    label: Set(job.label.clone()),
                    state: Set(RECEIVING.to_owned()),
                    total: Set(0),
                    issued: Set(0),
                    failed: Set(0),
                    unpaid: Set(0),
                    max_error_percent: Set(job.max_error_percent.map(i32::from)),
                    stop_reason: Set(String::new()),
                    lease_until: Set(0),
                    create_time: Set(now),
                    update_time: Set(now),
                    end_time: Set(None),
                    version: Set(1),
                };
                if first {
                    issuance_job::Entity::insert(model)
                        .exec_without_returning(tx)
                        .await?;
                } else {
                    let coming = issuance_job::Entity::update_many()
                        .col_expr(Column::UpdateTime, Expr::value(now))
                        .filter(receiving(job.id))
                        .exec(tx)
                        .await?;
                    if coming.rows_affected == 0 {
                        return Err(StoreError::Conflict);
                    }
                }
                let rows = rows
                    .iter()
                    .map(|(sequence, request)| issuance_job_row::ActiveModel {
                        job_id: Set(job.id),
                        sequence: Set(*sequence),
                        state: Set(PENDING.to_owned()),
                        request: Set(request.clone()),
                        code_id: Set(None),
                        application_id: Set(None),
                        status: Set(None),
                    });
                for rows in rows.collect::<Vec<_>>().chunks(INSERTED_TOGETHER) {
                    issuance_job_row::Entity::insert_many(rows.to_vec())
                        .exec_without_returning(tx)
                        .await?;
                }
                Ok(Done::Commit(true))
            })
        })
        .await
    }

    /// Queues a job all of whose rows, `total`, were received. Where it is not queued, it is given up.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the job was given up meanwhile; otherwise [`StoreError`].
    pub async fn queue_job(
        &self,
        context: &ActContext,
        id: Uuid,
        total: u32,
    ) -> Result<JobOutcome, StoreError> {
        let outcome = self.run_tx("queue_job", |tx, _| {
            Box::pin(async move {
                use issuance_job::Column;
                match claim(tx, context, &name(id), "").await? {
                    Some(Claimed::Replay { resource, .. }) => {
                        let id = resource_id(&resource, COLLECTION)?;
                        return Ok(Done::Abandon(JobOutcome::Replayed(id)));
                    }
                    Some(Claimed::Reused) => {
                        return Ok(Done::Abandon(JobOutcome::RequestIdReused));
                    }
                    None => {}
                }
                let Some(caller_id) = received_from(tx, id).await? else {
                    return Err(StoreError::Conflict);
                };
                if too_many(tx, id, &caller_id).await? {
                    return Ok(Done::Abandon(JobOutcome::TooMany));
                }
                let total =
                    i32::try_from(total).map_err(|_| StoreError::Corrupt("issuance_job.total"))?;
                let queued = issuance_job::Entity::update_many()
                    .col_expr(Column::State, Expr::value(JobState::Queued.as_str()))
                    .col_expr(Column::Total, Expr::value(total))
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .filter(receiving(id))
                    .exec(tx)
                    .await?;
                if queued.rows_affected == 0 {
                    return Err(StoreError::Conflict);
                }
                let stored = get(tx, id).await?;
                self.append(tx, context, act(&stored, "SUBMIT", "")).await?;
                Ok(Done::Commit(JobOutcome::Done(Box::new(stored))))
            })
        });
        let outcome = outcome.await?;
        if !matches!(outcome, JobOutcome::Done(_)) {
            self.give_up_job(id).await?;
        }
        Ok(outcome)
    }

    /// Gives up a job that is still being received: it is forgotten.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn give_up_job(&self, id: Uuid) -> Result<(), StoreError> {
        let given_up = self.run_tx("give_up_job", |tx, _| {
            Box::pin(async move { Ok(Done::Commit(give_up(tx, receiving(id)).await?)) })
        });
        match given_up.await? {
            true => self.forget_job(id).await,
            false => Ok(()),
        }
    }

    /// Forgets a job that ended, with its rows.
    async fn forget_job(&self, id: Uuid) -> Result<(), StoreError> {
        self.run_tx("forget_job", |tx, _| {
            Box::pin(async move {
                issuance_job_row::Entity::delete_many()
                    .filter(issuance_job_row::Column::JobId.eq(id))
                    .exec(tx)
                    .await?;
                issuance_job::Entity::delete_by_id(id).exec(tx).await?;
                Ok(Done::Commit(()))
            })
        })
        .await
    }

    /// A job.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn job(&self, id: Uuid) -> Result<Option<StoredJob>, StoreError> {
        self.read("get_job", async {
            let row = issuance_job::Entity::find_by_id(id)
                .filter(issuance_job::Column::State.ne(RECEIVING))
                .one(&self.inner.db)
                .await?;
            row.map(read).transpose()
        })
        .await
    }

    /// Jobs submitted since `since`, of one caller or of all, newest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn jobs(
        &self,
        caller_id: Option<&str>,
        since: Timestamp,
        most: u64,
    ) -> Result<Vec<StoredJob>, StoreError> {
        use issuance_job::Column;
        self.read("list_jobs", async {
            let mut query = issuance_job::Entity::find()
                .filter(Column::CreateTime.gte(since.as_microsecond()))
                .filter(Column::State.ne(RECEIVING));
            if let Some(caller_id) = caller_id {
                query = query.filter(Column::CallerId.eq(caller_id));
            }
            let rows = query
                .order_by_desc(Column::CreateTime)
                .order_by_desc(Column::Id)
                .limit(most)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read).collect()
        })
        .await
    }

    /// Ends a job that was read in `version`; its rows that were not begun never are.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn end_job(
        &self,
        context: &ActContext,
        id: Uuid,
        version: i64,
        state: JobState,
        stop_reason: &str,
    ) -> Result<JobOutcome, StoreError> {
        self.run_tx("end_job", |tx, _| {
            Box::pin(async move {
                match claim(tx, context, &name(id), "").await? {
                    Some(Claimed::Replay { .. }) => {
                        return Ok(Done::Abandon(JobOutcome::Replayed(id)));
                    }
                    Some(Claimed::Reused) => {
                        return Ok(Done::Abandon(JobOutcome::RequestIdReused));
                    }
                    None => {}
                }
                let Some(before) = held(tx, id, version).await? else {
                    return Ok(Done::Abandon(JobOutcome::Moved));
                };
                end(tx, context, id, state, stop_reason).await?;
                let stored = get(tx, id).await?;
                let action = match state {
                    JobState::Cancelled => "CANCEL",
                    _ => "STOP",
                };
                self.append(tx, context, act(&stored, action, before.as_str()))
                    .await?;
                Ok(Done::Commit(JobOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// Takes the job that has waited longest and that no node works on, until `lease_until`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn take_job(
        &self,
        context: &ActContext,
        lease_until: Timestamp,
    ) -> Result<Option<StoredJob>, StoreError> {
        use issuance_job::Column;
        let open = [JobState::Queued, JobState::Running].map(JobState::as_str);
        let now = context.now.as_microsecond();
        let free = self.read("find_job", async {
            Ok(issuance_job::Entity::find()
                .filter(Column::EndTime.is_null())
                .filter(Column::State.is_in(open))
                .filter(Column::LeaseUntil.lte(now))
                .order_by_asc(Column::UpdateTime)
                .one(&self.inner.db)
                .await?)
        });
        let Some(free) = free.await? else {
            return Ok(None);
        };
        let free = &free;
        self.run_tx("take_job", |tx, _| {
            Box::pin(async move {
                let queued = free.state == JobState::Queued.as_str();
                let taken = issuance_job::Entity::update_many()
                    .col_expr(
                        Column::LeaseUntil,
                        Expr::value(lease_until.as_microsecond()),
                    )
                    .col_expr(Column::State, Expr::value(JobState::Running.as_str()))
                    .col_expr(
                        Column::Version,
                        Expr::value(free.version + i64::from(queued)),
                    )
                    .filter(Column::Id.eq(free.id))
                    .filter(Column::Version.eq(free.version))
                    .filter(Column::LeaseUntil.eq(free.lease_until))
                    .exec(tx)
                    .await?;
                if taken.rows_affected == 0 {
                    return Ok(Done::Abandon(None));
                }
                let stored = get(tx, free.id).await?;
                if queued {
                    self.append(tx, context, act(&stored, "BEGIN", &free.state))
                        .await?;
                }
                Ok(Done::Commit(Some(stored)))
            })
        })
        .await
    }

    /// The next rows of a job that wait, in order, each as it was received.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn waiting_job_rows(
        &self,
        id: Uuid,
        most: u64,
    ) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        use issuance_job_row::Column;
        self.read("find_job_rows", async {
            let rows = issuance_job_row::Entity::find()
                .filter(Column::JobId.eq(id))
                .filter(Column::State.eq(PENDING))
                .order_by_asc(Column::Sequence)
                .limit(most)
                .all(&self.inner.db)
                .await?;
            Ok(rows
                .into_iter()
                .map(|row| (row.sequence, row.request))
                .collect())
        })
        .await
    }

    /// Puts on record what came of rows, gives the job back, and ends it when none waits any more or too many failed.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn job_rows_done(
        &self,
        context: &ActContext,
        id: Uuid,
        ends: &[(i64, RowEnd)],
    ) -> Result<StoredJob, StoreError> {
        self.run_tx("job_rows_done", |tx, _| {
            Box::pin(async move {
                use issuance_job::Column;
                let mut counts = Counts::default();
                for (sequence, end) in ends {
                    // Where not: written by another node that had the job meanwhile, and counted there.
                    if put_end(tx, id, *sequence, end).await? {
                        counts.add(end);
                    }
                }
                counts
                    .added()
                    .col_expr(Column::LeaseUntil, Expr::value(0_i64))
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .filter(Column::Id.eq(id))
                    .exec(tx)
                    .await?;
                let stored = get(tx, id).await?;
                if stored.state.has_ended() {
                    return Ok(Done::Commit(stored));
                }
                let percent = stored.max_error_percent;
                let good = stored.issued + stored.unpaid;
                let (state, reason) = if good + stored.failed >= stored.total {
                    (JobState::Done, "")
                } else if too_many_failed(good, stored.failed, percent) {
                    (JobState::Stopped, ERROR_RATE)
                } else {
                    return Ok(Done::Commit(stored));
                };
                end(tx, context, id, state, reason).await?;
                let ended = get(tx, id).await?;
                let action = if reason.is_empty() { "FINISH" } else { "STOP" };
                let act = act(&ended, action, stored.state.as_str());
                self.append(tx, context, act).await?;
                Ok(Done::Commit(ended))
            })
        })
        .await
    }

    /// What came of the rows of a job behind a sequence, in order, up to the first that waits.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn job_result(
        &self,
        job: &StoredJob,
        after: i64,
        most: u64,
    ) -> Result<Vec<(i64, RowEnd)>, StoreError> {
        use issuance_job_row::Column;
        self.read("get_job_result", async {
            let db = &self.inner.db;
            let rows = || {
                issuance_job_row::Entity::find()
                    .filter(Column::JobId.eq(job.id))
                    .filter(Column::Sequence.gt(after))
                    .order_by_asc(Column::Sequence)
            };
            // One that waits may end after those behind it: whoever goes on from what was read must not miss it.
            let waits = rows().filter(Column::State.eq(PENDING)).one(db).await?;
            let mut ended = rows();
            if let Some(waits) = waits {
                ended = ended.filter(Column::Sequence.lt(waits.sequence));
            }
            let rows = ended.limit(most).all(db).await?;
            // One that was at work when its job ended may have got its code all the same.
            let late = rows.iter().find(|row| row.state == NOT_BEGUN);
            let late = match (late, rows.last()) {
                (Some(first), Some(last)) => {
                    claimed_rows(db, &job.caller_id, job.id, first.sequence, last.sequence).await?
                }
                _ => HashMap::new(),
            };
            let end = |row: issuance_job_row::Model| {
                let application = row.application_id;
                let end = match (row.state.as_str(), row.code_id, application, row.status) {
                    (DONE, Some(id), None, None) => RowEnd::Issued(id),
                    (DONE, None, Some(id), None) => RowEnd::Unpaid(id),
                    (DONE, None, None, Some(status)) => RowEnd::Refused(status),
                    (NOT_BEGUN, None, None, None) => {
                        let late = late.get(&row.sequence).cloned();
                        late.unwrap_or(RowEnd::NotBegun)
                    }
                    _ => return Err(StoreError::Corrupt("issuance_job_row")),
                };
                Ok((row.sequence, end))
            };
            rows.into_iter().map(end).collect()
        })
        .await
    }

    /// Forgets jobs that ended before `limit`, and those of which nothing has come in since before `abandoned`; how
    /// many, at most `most`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn forget_jobs(
        &self,
        limit: Timestamp,
        abandoned: Timestamp,
        most: u64,
    ) -> Result<usize, StoreError> {
        use issuance_job::Column;
        let old = self.run_tx("find_old_jobs", |tx, _| {
            Box::pin(async move {
                let silent = Column::State
                    .eq(RECEIVING)
                    .and(Column::EndTime.is_null())
                    .and(Column::UpdateTime.lt(abandoned.as_microsecond()));
                give_up(tx, silent).await?;
                let old = issuance_job::Entity::find()
                    .filter(Column::EndTime.lt(limit.as_microsecond()))
                    .order_by_asc(Column::EndTime)
                    .limit(most)
                    .all(tx)
                    .await?;
                Ok(Done::Commit(
                    old.into_iter().map(|job| job.id).collect::<Vec<_>>(),
                ))
            })
        });
        let old = old.await?;
        // One at a time: each may have many rows.
        for id in &old {
            self.forget_job(*id).await?;
        }
        Ok(old.len())
    }
}

/// Rows that may be at work when a job ends, the parts of several nodes among them.
const SETTLED: u64 = 1024;

/// Rows of one statement; SQLite bounds its parameters.
const INSERTED_TOGETHER: usize = 100;

/// The job, if it is still being received.
fn receiving(id: Uuid) -> SimpleExpr {
    use issuance_job::Column;
    Column::Id
        .eq(id)
        .and(Column::State.eq(RECEIVING))
        .and(Column::EndTime.is_null())
}

/// Ends what is not going to be queued, longer ago than anything is kept; whether there was any.
async fn give_up(tx: &DatabaseTransaction, which: SimpleExpr) -> Result<bool, StoreError> {
    let given_up = issuance_job::Entity::update_many()
        .col_expr(issuance_job::Column::EndTime, Expr::value(Some(0_i64)))
        .filter(which)
        .exec(tx)
        .await?;
    Ok(given_up.rows_affected > 0)
}

/// Whose job is being received.
async fn received_from(tx: &DatabaseTransaction, id: Uuid) -> Result<Option<String>, StoreError> {
    let found = issuance_job::Entity::find().filter(receiving(id));
    Ok(found.one(tx).await?.map(|job| job.caller_id))
}

/// Whether the caller has too many jobs that have not ended, or are being received, beside this one.
async fn too_many(tx: &DatabaseTransaction, id: Uuid, caller_id: &str) -> Result<bool, StoreError> {
    use issuance_job::Column;
    let open = issuance_job::Entity::find()
        .filter(Column::CallerId.eq(caller_id))
        .filter(Column::EndTime.is_null())
        .filter(Column::Id.ne(id))
        .count(tx)
        .await?;
    Ok(open >= OPEN_JOBS_MAX)
}

/// How many rows came to which end.
#[derive(Default)]
struct Counts {
    issued: i32,
    failed: i32,
    unpaid: i32,
}

impl Counts {
    fn add(&mut self, end: &RowEnd) {
        match end {
            RowEnd::Issued(_) => self.issued += 1,
            RowEnd::Unpaid(_) => self.unpaid += 1,
            RowEnd::Refused(_) => self.failed += 1,
            RowEnd::NotBegun => {}
        }
    }

    /// The update that adds them to a job's.
    fn added(&self) -> UpdateMany<issuance_job::Entity> {
        use issuance_job::Column;
        issuance_job::Entity::update_many()
            .col_expr(Column::Issued, Expr::col(Column::Issued).add(self.issued))
            .col_expr(Column::Failed, Expr::col(Column::Failed).add(self.failed))
            .col_expr(Column::Unpaid, Expr::col(Column::Unpaid).add(self.unpaid))
    }
}

/// What rows of a job came to, as their claims tell.
async fn claimed_rows(
    db: &impl ConnectionTrait,
    caller_id: &str,
    id: Uuid,
    first: i64,
    last: i64,
) -> Result<HashMap<i64, RowEnd>, StoreError> {
    use request_claim::Column;
    let found = request_claim::Entity::find()
        .filter(Column::CallerId.eq(caller_id))
        .filter(Column::Method.eq(JOB_METHOD))
        .filter(Column::RequestId.eq(id))
        .filter(Column::Row.between(first, last))
        .all(db)
        .await?;
    let end = |claim: request_claim::Model| {
        let end = match resource_id(&claim.resource, APPLICATIONS) {
            Ok(application) => RowEnd::Unpaid(application),
            Err(_) => RowEnd::Issued(resource_id(&claim.resource, CODES)?),
        };
        Ok((i64::from(claim.row), end))
    };
    found.into_iter().map(end).collect()
}

/// The state of an open job in `version`, whose row is held from here on.
async fn held(
    tx: &DatabaseTransaction,
    id: Uuid,
    version: i64,
) -> Result<Option<JobState>, StoreError> {
    use issuance_job::Column;
    let held = issuance_job::Entity::update_many()
        .col_expr(Column::Version, Expr::value(version + 1))
        .filter(Column::Id.eq(id))
        .filter(Column::Version.eq(version))
        .filter(Column::EndTime.is_null())
        .exec(tx)
        .await?;
    match held.rows_affected {
        0 => Ok(None),
        _ => Ok(Some(get(tx, id).await?.state)),
    }
}

/// Ends a job: what waits is never begun, and forgotten.
async fn end(
    tx: &DatabaseTransaction,
    context: &ActContext,
    id: Uuid,
    state: JobState,
    stop_reason: &str,
) -> Result<(), StoreError> {
    use issuance_job::Column;
    use issuance_job_row::Column as Row;
    let now = context.now.as_microsecond();
    issuance_job::Entity::update_many()
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::StopReason, Expr::value(stop_reason))
        .col_expr(Column::EndTime, Expr::value(now))
        .col_expr(Column::UpdateTime, Expr::value(now))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    // What was issued and whose answer did not come is known by its claim.
    let waiting = issuance_job_row::Entity::find()
        .select_only()
        .column(Row::Sequence)
        .filter(Row::JobId.eq(id))
        .filter(Row::State.eq(PENDING))
        .order_by_asc(Row::Sequence)
        .limit(SETTLED)
        .into_tuple::<i64>()
        .all(tx)
        .await?;
    if let (Some(first), Some(last)) = (waiting.first(), waiting.last()) {
        let caller_id = get(tx, id).await?.caller_id;
        let mut claimed = claimed_rows(tx, &caller_id, id, *first, *last).await?;
        let mut counts = Counts::default();
        for sequence in waiting {
            if let Some(end) = claimed.remove(&sequence)
                && put_end(tx, id, sequence, &end).await?
            {
                counts.add(&end);
            }
        }
        counts.added().filter(Column::Id.eq(id)).exec(tx).await?;
    }
    issuance_job_row::Entity::update_many()
        .col_expr(Row::State, Expr::value(NOT_BEGUN))
        .col_expr(Row::Request, Expr::value(Vec::<u8>::new()))
        .filter(Row::JobId.eq(id))
        .filter(Row::State.eq(PENDING))
        .exec(tx)
        .await?;
    Ok(())
}

/// Writes what came of a row; `false` when that was known, or nothing came of it.
async fn put_end(
    tx: &DatabaseTransaction,
    job: Uuid,
    sequence: i64,
    end: &RowEnd,
) -> Result<bool, StoreError> {
    use issuance_job_row::Column;
    let (code_id, application_id, status) = match end {
        RowEnd::Issued(id) => (Some(*id), None, None),
        RowEnd::Unpaid(id) => (None, Some(*id), None),
        RowEnd::Refused(status) => (None, None, Some(status.clone())),
        RowEnd::NotBegun => return Ok(false),
    };
    let updated = issuance_job_row::Entity::update_many()
        .col_expr(Column::State, Expr::value(DONE))
        .col_expr(Column::Request, Expr::value(Vec::<u8>::new()))
        .col_expr(Column::CodeId, Expr::value(code_id))
        .col_expr(Column::ApplicationId, Expr::value(application_id))
        .col_expr(Column::Status, Expr::value(status))
        .filter(Column::JobId.eq(job))
        .filter(Column::Sequence.eq(sequence))
        // One that was at work when the job ended has its end all the same.
        .filter(Column::State.ne(DONE))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

async fn get(db: &impl ConnectionTrait, id: Uuid) -> Result<StoredJob, StoreError> {
    let row = issuance_job::Entity::find_by_id(id).one(db).await?;
    read(row.ok_or(StoreError::Corrupt("issuance_job is missing"))?)
}

fn act(job: &StoredJob, action: &'static str, from: &str) -> Act {
    Act {
        resource: name(job.id),
        action,
        from: from.to_owned(),
        to: job.state.as_str().to_owned(),
        reason: job.stop_reason.clone(),
        institution_code: job.institution_code.clone(),
        ..Act::default()
    }
}

fn read(row: issuance_job::Model) -> Result<StoredJob, StoreError> {
    let count =
        |count: i32| u32::try_from(count).map_err(|_| StoreError::Corrupt("issuance_job counts"));
    let percent = row.max_error_percent.map(u8::try_from).transpose();
    Ok(StoredJob {
        id: row.id,
        caller_id: row.caller_id,
        institution_code: row.institution_code,
        label: row.label,
        state: known(&row.state, "issuance_job.state")?,
        total: count(row.total)?,
        issued: count(row.issued)?,
        failed: count(row.failed)?,
        unpaid: count(row.unpaid)?,
        max_error_percent: percent
            .map_err(|_| StoreError::Corrupt("issuance_job.max_error_percent"))?,
        stop_reason: row.stop_reason,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        end_time: row.end_time.map(instant).transpose()?,
        version: row.version,
    })
}

impl Store {
    /// Validity codes by their resource ids, in no order; those there are.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn codes_by_id(&self, ids: &[Uuid]) -> Result<Vec<crate::StoredCode>, StoreError> {
        let mut keys = Rows::new(&[("id", ArrayType::Uuid)]);
        for id in ids {
            keys.push([(*id).into()]);
        }
        self.read("find_codes_by_id", async {
            let found =
                rows::find::<crate::entity::validity_code::Entity>(&self.inner.db, keys, false);
            found
                .await?
                .into_iter()
                .map(crate::codes::read_row)
                .collect()
        })
        .await
    }
}
