//! `gavah certificate apply`

use std::path::PathBuf;

use clap::Args;
use gavah_api::v1 as pb;
use gavah_domain::certificate::{Purpose, RequestType};
use serde_json::{Value, json};

use crate::commands::one_of;
use crate::commands::person::{Identity, Name, subject};
use crate::connection::{Connection, Write};
use crate::exit::Exit;
use crate::message;
use crate::offline;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The whole request as JSON, with the field names of the contract, instead of the flags below
    #[arg(long, value_name = "REQUEST.json")]
    file: Option<PathBuf>,
    #[command(flatten)]
    identity: Identity,
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    application: Application,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Application")]
struct Application {
    /// Institution code
    #[arg(
        long,
        value_name = "CODE",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    institution: Option<String>,
    /// Student number at that institution
    #[arg(
        long,
        value_name = "DIGITS",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    student_number: Option<String>,
    /// What the certificate is for
    #[arg(long, value_parser = one_of::<Purpose>(), ignore_case = true, required_unless_present = "file", conflicts_with = "file")]
    purpose: Option<String>,
    /// To whom the certificate is addressed, in Persian
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    addressee_fa: Option<String>,
    /// To whom the certificate is addressed, in English
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    addressee_en: Option<String>,
    /// The window's own reference
    #[arg(
        long,
        value_name = "REF",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    window_reference: Option<String>,
    /// What is asked for
    #[arg(long = "type", value_parser = one_of::<RequestType>(), ignore_case = true, default_value = "ISSUE_FROM_RECORD", conflicts_with = "file")]
    request_type: String,
    /// Only make a draft, which submit hands in
    #[arg(long, conflicts_with = "file")]
    draft: bool,
    /// To confirm a paper: its number
    #[arg(
        long,
        value_name = "TEXT",
        requires = "existing_date",
        conflicts_with = "file"
    )]
    existing_number: Option<String>,
    /// To confirm a paper: the Jalali date of its issue
    #[arg(
        long,
        value_name = "1404/08/12",
        requires = "existing_number",
        conflicts_with = "file"
    )]
    existing_date: Option<String>,
    /// A file that comes with it, as `gavah attachment upload` told it; may be given again
    #[arg(long = "attach", value_name = "KIND=attachments/SHA256", value_parser = attachment, conflicts_with = "file")]
    attachments: Vec<(String, String)>,
    /// To extend or duplicate a certificate: its resource name
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    replaces: Option<String>,
}

pub(crate) async fn run(args: &ApplyArgs, output: Output) -> Result<Exit, Problem> {
    let (source, value) = match &args.file {
        Some(path) => {
            let source = path.display().to_string();
            let value: Value = serde_json::from_str(&offline::read(path)?)
                .map_err(|error| Problem::usage(format_args!("{source}: {error}")))?;
            (source, value)
        }
        None => ("the arguments".to_owned(), from_flags(args)),
    };
    let mut request: pb::CreateEnrollmentCertificateApplicationRequest =
        message::request(&source, &value)?;
    let request_id = args.write.request_id_of(&request.request_id, "")?;
    request.request_id = request_id.to_string();
    request.validate_only |= args.write.validate_only;
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            let mut client = channel.certificates();
            client
                .create_enrollment_certificate_application(request)
                .await
        })
        .await
}

/// `PHOTO=attachments/…`
fn attachment(text: &str) -> Result<(String, String), &'static str> {
    let (kind, name) = text
        .split_once('=')
        .ok_or("must be KIND=attachments/SHA256")?;
    Ok((kind.to_ascii_uppercase(), name.to_owned()))
}

fn from_flags(args: &ApplyArgs) -> Value {
    let application = &args.application;
    json!({
        "type": application.request_type,
        "draft": application.draft,
        "replaces": application.replaces,
        "attachments": application.attachments.iter().map(|(kind, name)| json!({
            "kind": kind,
            "name": name,
        })).collect::<Vec<_>>(),
        "existing_document": application.existing_number.as_ref().map(|number| json!({
            "number": number,
            "issue_date": application.existing_date,
        })),
        "window_reference": application.window_reference,
        "subject": subject(&args.identity, &args.name),
        "institution_code": application.institution,
        "student_number": application.student_number,
        "purpose": application.purpose,
        "addressee": {
            "name_fa": application.addressee_fa,
            "name_en": application.addressee_en,
        },
    })
}
