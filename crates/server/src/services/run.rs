//! A run of rows that ask for validity codes.

use std::sync::Arc;

use gavah_api::v1 as pb;
use gavah_api::v1::stream_issue_validity_codes_request::Message;
use gavah_api::v1::stream_issue_validity_codes_response::Outcome;
use gavah_domain::{Reason, Violations};
use uuid::Uuid;

use super::stream::{Begun, Rows};
use crate::app::App;
use crate::app::codes::{self, Row};
use crate::app::jobs::leaves_open;
use crate::call::Call;
use crate::convert::code;
use crate::convert::code_application::application_to_pb;
use crate::convert::sequence::Sequence;
use crate::error::AppError;
use crate::status::row_status;

/// The last number that a claim can hold.
const LAST: i64 = i32::MAX as i64;

/// A run: its start, then its rows, each a work of its own.
pub(super) struct Run {
    app: Arc<App>,
    /// Unset before the start.
    request_id: Option<Uuid>,
    order: Sequence,
}

impl Run {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self {
            app,
            request_id: None,
            order: Sequence::new("row.sequence", 0..=LAST),
        }
    }

    /// The row with its run, or nothing when the message is the start.
    fn take(
        &mut self,
        message: pb::StreamIssueValidityCodesRequest,
    ) -> Result<Option<(Uuid, pb::StreamIssueValidityCodesRow)>, AppError> {
        match (self.request_id, message.message) {
            (None, Some(Message::Start(start))) => {
                self.request_id = Some(code::start_run(start)?);
                Ok(None)
            }
            (Some(request_id), Some(Message::Row(row))) => {
                self.order.next(row.sequence)?;
                Ok(Some((request_id, row)))
            }
            (None, None | Some(Message::Row(_))) => Err(missing("start")),
            (Some(_), None | Some(Message::Start(_))) => Err(missing("row")),
        }
    }
}

fn missing(field: &str) -> AppError {
    let mut violations = Violations::default();
    violations.push(field, Reason::FieldRequired);
    violations.into()
}

impl Rows for Run {
    type Message = pb::StreamIssueValidityCodesRequest;
    type Answer = pb::StreamIssueValidityCodesResponse;

    const TOGETHER: usize = 1;
    const AT_WORK: usize = 256;

    fn begin(&mut self, call: Call, messages: Vec<Self::Message>) -> Begun<Self::Answer> {
        let mut begun = Begun {
            work: None,
            end: None,
        };
        for message in messages {
            match self.take(message) {
                Ok(None) => {}
                Ok(Some((request_id, row))) => {
                    let app = Arc::clone(&self.app);
                    let call = call.clone();
                    begun.work = Some(Box::pin(async move {
                        vec![outcome(&app, &call, request_id, row).await]
                    }));
                }
                Err(error) => begun.end = Some(error),
            }
        }
        begun
    }

    fn complete(&self) -> Result<(), AppError> {
        self.request_id.map(|_| ()).ok_or_else(|| missing("start"))
    }
}

/// What came of a row; an error is what makes further rows pointless.
async fn outcome(
    app: &App,
    call: &Call,
    request_id: Uuid,
    row: pb::StreamIssueValidityCodesRow,
) -> Result<pb::StreamIssueValidityCodesResponse, AppError> {
    let sequence = row.sequence;
    let outcome = match issue(app, call, request_id, row).await {
        Ok(Row::Issued(stored)) => Outcome::ValidityCode(code::code_to_pb(&stored)),
        Ok(Row::Unpaid(application)) => Outcome::Application(application_to_pb(&application)),
        Err(error) if leaves_open(&error) => return Err(error),
        Err(error) => Outcome::Error(row_status(error, call.trace_id)),
    };
    Ok(pb::StreamIssueValidityCodesResponse {
        sequence,
        outcome: Some(outcome),
    })
}

async fn issue(
    app: &App,
    call: &Call,
    request_id: Uuid,
    row: pb::StreamIssueValidityCodesRow,
) -> Result<Row, AppError> {
    let input = code::run_row(request_id, row, &app.known(call))?;
    codes::issue_row(app, call, input).await
}
