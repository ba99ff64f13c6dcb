//! `gavah.v1.IssuanceJobService`.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{iter, try_unfold};
use gavah_api::v1 as pb;
use gavah_api::v1::issuance_job_service_server::IssuanceJobService;
use gavah_domain::Reason;
use tokio::sync::OwnedSemaphorePermit;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::{Services, reply, split};
use crate::app::App;
use crate::app::jobs::{self, Incoming};
use crate::call::Call;
use crate::convert::job::{self, Submission, job_to_pb, row_to_pb};
use crate::error::AppError;
use crate::status::to_status;

/// Rows of a result that are read at a time.
const READ_TOGETHER: u64 = 500;

#[tonic::async_trait]
impl IssuanceJobService for Services {
    type DownloadIssuanceJobResultStream = BoxStream<pb::DownloadIssuanceJobResultResponse>;

    async fn submit_issuance_job(
        &self,
        request: Request<Streaming<pb::SubmitIssuanceJobRequest>>,
    ) -> Result<Response<pb::SubmitIssuanceJobResponse>, Status> {
        let (call, mut messages) = split(request)?;
        let _place = self.streams.place(&call)?;
        let (mut submission, mut incoming) = (Submission::default(), None);
        let mut draining = std::pin::pin!(call.standing.draining());
        loop {
            let message = tokio::select! {
                () = &mut draining => {
                    return Err(to_status(Reason::Draining.into(), call.trace_id));
                }
                message = messages.next() => message,
            };
            let Some(message) = message else { break };
            let taken = receive(&self.app, &call, &mut submission, &mut incoming, message?).await;
            taken.map_err(|error| to_status(error, call.trace_id))?;
        }
        let act = async {
            // Who may no longer call does not get a job for what it began to send.
            let call = self.streams.part_of(&call)?;
            let head = submission.finish()?;
            let incoming = incoming.ok_or(AppError::Internal("a start without a job"))?;
            let stored = incoming.submit(&self.app, &call, &head).await?;
            Ok(pb::SubmitIssuanceJobResponse {
                job: Some(job_to_pb(&stored)),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_issuance_job(
        &self,
        request: Request<pb::GetIssuanceJobRequest>,
    ) -> Result<Response<pb::GetIssuanceJobResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let stored = jobs::get(&self.app, &call, job::get(&message)?).await?;
            let job = Some(job_to_pb(&stored));
            Ok(pb::GetIssuanceJobResponse { job })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn list_issuance_jobs(
        &self,
        request: Request<pb::ListIssuanceJobsRequest>,
    ) -> Result<Response<pb::ListIssuanceJobsResponse>, Status> {
        let (call, _) = split(request)?;
        let listed = jobs::list(&self.app, &call).await;
        let result = listed.map(|jobs| pb::ListIssuanceJobsResponse {
            jobs: jobs.iter().map(job_to_pb).collect(),
        });
        reply(&call, result)
    }

    async fn cancel_issuance_job(
        &self,
        request: Request<pb::CancelIssuanceJobRequest>,
    ) -> Result<Response<pb::CancelIssuanceJobResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let stored = jobs::cancel(&self.app, &call, job::cancel(message)?).await?;
            let job = stored.as_ref().map(job_to_pb);
            Ok(pb::CancelIssuanceJobResponse { job })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn download_issuance_job_result(
        &self,
        request: Request<pb::DownloadIssuanceJobResultRequest>,
    ) -> Result<Response<Self::DownloadIssuanceJobResultStream>, Status> {
        let (call, message) = split(request)?;
        let place = self.streams.place(&call)?;
        let refused = |error| to_status(error, call.trace_id);
        let (id, after) = job::download(&message).map_err(refused)?;
        // Refused before the stream begins, when there is nothing to read.
        jobs::result(&self.app, &call, id, after, 1)
            .await
            .map_err(refused)?;
        let reading = Reading {
            app: Arc::clone(&self.app),
            streams: self.streams.clone(),
            call,
            id,
            after: Some(after),
            _place: place,
        };
        let trace_id = reading.call.trace_id;
        let parts = try_unfold(reading, |mut reading| async move {
            let part = reading.next().await?;
            Ok(part.map(|part| (iter(part.into_iter().map(Ok)), reading)))
        });
        let rows = parts.flat_map(move |part| match part {
            Ok(rows) => rows.boxed(),
            Err(error) => iter([Err(to_status(error, trace_id))]).boxed(),
        });
        Ok(Response::new(Box::pin(rows)))
    }
}

async fn receive(
    app: &App,
    call: &Call,
    submission: &mut Submission,
    incoming: &mut Option<Incoming>,
    message: pb::SubmitIssuanceJobRequest,
) -> Result<(), AppError> {
    let row = submission.take(message)?;
    let incoming = match incoming {
        Some(incoming) => incoming,
        None => incoming.insert(Incoming::new(app, call, submission.start()?)?),
    };
    match row {
        Some(row) => incoming.take(app, row).await,
        None => Ok(()),
    }
}

/// A result that is read: all is driven by its reader.
struct Reading {
    app: Arc<App>,
    streams: super::stream::Streams,
    call: Call,
    id: Uuid,
    /// Everything up to here has been told; unset at the end.
    after: Option<i64>,
    _place: OwnedSemaphorePermit,
}

impl Reading {
    async fn next(
        &mut self,
    ) -> Result<Option<Vec<pb::DownloadIssuanceJobResultResponse>>, AppError> {
        let Some(after) = self.after else {
            return Ok(None);
        };
        let call = self.streams.part_of(&self.call)?;
        let rows = jobs::result(&self.app, &call, self.id, after, READ_TOGETHER).await?;
        self.after = rows.last().map(|(sequence, _)| *sequence);
        if rows.is_empty() {
            return Ok(None);
        }
        let rows = rows.into_iter();
        let rows = rows.map(|(sequence, row)| row_to_pb(sequence, row));
        rows.collect::<Result<_, _>>().map(Some)
    }
}
