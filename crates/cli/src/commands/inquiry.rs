//! `gavah inquiry`

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_client::Channel;
use serde_json::{Value, json};

use super::person;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::message;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum InquiryCommand {
    /// List the validity codes on record of a person, without the codes themselves
    Codes(InquiryArgs),
    /// List the enrollments on record of a person
    Enrollment(InquiryArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InquiryArgs {
    #[command(flatten)]
    person: Person,
    #[command(flatten)]
    connection: Connection,
}

/// The person asked about: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Person {
    /// National code (کد ملی)
    #[arg(long, value_name = "DIGITS")]
    national_code: Option<String>,
    /// Code of a foreign subject: YEKTA:…, FARAGIR:… or FIDA:…
    #[arg(long, value_name = "KIND:DIGITS")]
    foreign_code: Option<String>,
    /// Passport: IRQ:A1234567
    #[arg(long, value_name = "COUNTRY:NUMBER")]
    passport: Option<String>,
}

impl Person {
    fn json(&self) -> Value {
        person::json(
            self.national_code.as_deref(),
            self.foreign_code.as_deref(),
            self.passport.as_deref(),
        )
    }
}

pub(crate) async fn run(command: &InquiryCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        InquiryCommand::Codes(args) => {
            let asked = json!({"person_id": args.person.json()});
            let request: pb::InquireValidityCodesRequest =
                message::request("the arguments", &asked)?;
            let attempt = |channel: Channel, request| async move {
                channel.inquiries().inquire_validity_codes(request).await
            };
            args.connection.read(output, request, attempt).await
        }
        InquiryCommand::Enrollment(args) => {
            let asked = json!({"person_id": args.person.json()});
            let request: pb::InquireEnrollmentRequest = message::request("the arguments", &asked)?;
            let attempt = |channel: Channel, request| async move {
                channel.inquiries().inquire_enrollment(request).await
            };
            args.connection.read(output, request, attempt).await
        }
    }
}
