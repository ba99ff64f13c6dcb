//! `gavah.v1.EnrollmentRecordService`.

use gavah_api::v1 as pb;
use gavah_api::v1::enrollment_record_service_server::EnrollmentRecordService;
use gavah_store::RecordOutcome;
use tonic::{Request, Response, Status};

use super::{Services, reply, split};
use crate::app::records;
use crate::call::Call;
use crate::convert::names::Collection;
use crate::convert::record;
use crate::error::AppError;
use crate::status::row_status;

#[tonic::async_trait]
impl EnrollmentRecordService for Services {
    async fn upsert_enrollment_record(
        &self,
        request: Request<pb::UpsertEnrollmentRecordRequest>,
    ) -> Result<Response<pb::UpsertEnrollmentRecordResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = record::upsert_record(message, &self.app.known(&call))?;
            let Some(stored) = records::upsert(&self.app, &call, input).await? else {
                return Ok(pb::UpsertEnrollmentRecordResponse::default());
            };
            let (outcome, stored) = record::upsert_outcome(&stored)?;
            let record = Some(record::record_to_pb(stored));
            Ok(pb::UpsertEnrollmentRecordResponse {
                record,
                outcome: outcome.into(),
            })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn batch_upsert_enrollment_records(
        &self,
        request: Request<pb::BatchUpsertEnrollmentRecordsRequest>,
    ) -> Result<Response<pb::BatchUpsertEnrollmentRecordsResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = record::batch_upsert_records(message, &self.app.known(&call))?;
            let outcomes = records::batch_upsert(&self.app, &call, input).await;
            let rows = outcomes
                .into_iter()
                .map(|outcome| row(&call, outcome))
                .collect();
            Ok(pb::BatchUpsertEnrollmentRecordsResponse { rows })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn get_enrollment_record(
        &self,
        request: Request<pb::GetEnrollmentRecordRequest>,
    ) -> Result<Response<pb::GetEnrollmentRecordResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let stored = records::get(&self.app, &call, record::get_record(&message)?).await?;
            let record = Some(record::record_to_pb(&stored));
            Ok(pb::GetEnrollmentRecordResponse { record })
        };
        let result = act.await;
        reply(&call, result)
    }

    async fn report_enrollment_event(
        &self,
        request: Request<pb::ReportEnrollmentEventRequest>,
    ) -> Result<Response<pb::ReportEnrollmentEventResponse>, Status> {
        let (call, message) = split(request)?;
        let act = async {
            let input = record::report_event(message, &self.app.known(&call))?;
            let done = records::report_event(&self.app, &call, input).await?;
            let applied = done.as_ref().is_some_and(|(_, applied)| *applied);
            let record = done.map(|(stored, _)| record::record_to_pb(&stored));
            Ok(pb::ReportEnrollmentEventResponse { record, applied })
        };
        let result = act.await;
        reply(&call, result)
    }
}

fn row(call: &Call, outcome: Result<Option<RecordOutcome>, AppError>) -> pb::EnrollmentRecordRow {
    let told = outcome.and_then(|outcome| {
        let Some(outcome) = outcome else {
            return Ok(pb::EnrollmentRecordRow::default());
        };
        let (outcome, stored) = record::upsert_outcome(&outcome)?;
        Ok(pb::EnrollmentRecordRow {
            status: None,
            name: Collection::EnrollmentRecords.name(stored.id),
            outcome: outcome.into(),
        })
    });
    let (row, status) = match told {
        Ok(row) => (row, tonic_types::Status::default()),
        Err(error) => (
            pb::EnrollmentRecordRow::default(),
            row_status(error, call.trace_id),
        ),
    };
    pb::EnrollmentRecordRow {
        status: Some(status),
        ..row
    }
}
