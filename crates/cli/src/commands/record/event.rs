//! `gavah record event`

use clap::Args;
use gavah_api::v1 as pb;
use gavah_domain::record::EnrollmentEventKind;
use jiff::Timestamp;
use serde_json::json;

use crate::commands::one_of;
use crate::connection::{Connection, Write};
use crate::exit::Exit;
use crate::message;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    /// Institution code
    #[arg(long, value_name = "CODE")]
    institution: String,
    /// Student number at that institution
    #[arg(long, value_name = "DIGITS")]
    student_number: String,
    /// What happened
    #[arg(long, value_parser = one_of::<EnrollmentEventKind>(), ignore_case = true)]
    kind: String,
    /// Since when it holds: 1405/02/23
    #[arg(long, value_name = "JALALI DATE")]
    effective_date: String,
    /// The instant for which this was true in the university's system [default: now]
    #[arg(long, value_name = "INSTANT")]
    as_of_time: Option<Timestamp>,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: &EventArgs, output: Output) -> Result<Exit, Problem> {
    let as_of_time = args.write.instant("--as-of-time", args.as_of_time)?;
    let event = json!({
        "validate_only": args.write.validate_only,
        "institution_code": args.institution,
        "student_number": args.student_number,
        "kind": args.kind,
        "effective_date": args.effective_date,
        "as_of_time": as_of_time.to_string(),
    });
    let mut request: pb::ReportEnrollmentEventRequest = message::request("the arguments", &event)?;
    let request_id = args
        .write
        .request_id(&format!(" --as-of-time {as_of_time}"))?;
    request.request_id = request_id.to_string();
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.records().report_enrollment_event(request).await
        })
        .await
}
