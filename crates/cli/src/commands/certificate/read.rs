//! `gavah certificate get` and `list`

use std::path::PathBuf;

use clap::Args;
use gavah_api::v1 as pb;
use gavah_domain::certificate::ApplicationState;
use serde_json::json;

use super::{APPLICATIONS, CERTIFICATES};
use crate::commands::document::{Paging, StateFilter, resource};
use crate::commands::one_of;
use crate::commands::person::SubjectClaim;
use crate::connection::{Connection, Session, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output, note};
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Resource name enrollmentCertificates/{uuid} or enrollmentCertificateApplications/{uuid}, or a certificate's UUID
    /// alone
    #[arg(value_name = "NAME")]
    name: String,
    /// Write the signed certificate (COSE_Sign1) to this file
    #[arg(long, value_name = "FILE")]
    signed_out: Option<PathBuf>,
    #[command(flatten)]
    claim: SubjectClaim,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// List applications instead of certificates
    #[arg(long, conflicts_with = "state")]
    applications: bool,
    /// Only applications in this state
    #[arg(long, value_parser = one_of::<ApplicationState>(), ignore_case = true, requires = "applications")]
    application_state: Option<String>,
    #[command(flatten)]
    filter: StateFilter,
    #[command(flatten)]
    claim: SubjectClaim,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn get(args: &GetArgs, output: Output) -> Result<Exit, Problem> {
    let subject_claim = args.claim.read()?;
    let name = resource(CERTIFICATES, &args.name);
    if name.starts_with(&format!("{APPLICATIONS}/")) {
        if args.signed_out.is_some() {
            return Err(Problem::usage(
                "--signed-out: an application is not signed; name its certificate",
            ));
        }
        let request = pb::GetEnrollmentCertificateApplicationRequest {
            name,
            subject_claim,
        };
        let session = args.connection.open().await?;
        let reply = session
            .read(request, |channel, request| async move {
                let mut client = channel.certificates();
                client.get_enrollment_certificate_application(request).await
            })
            .await?;
        output.show(&answer(&reply)?);
        return Ok(Exit::Ok);
    }
    let request = pb::GetEnrollmentCertificateRequest {
        name,
        subject_claim,
    };
    let session = args.connection.open().await?;
    let reply = session
        .read(request, |channel, request| async move {
            channel
                .certificates()
                .get_enrollment_certificate(request)
                .await
        })
        .await?;
    if let (Some(path), Some(certificate)) =
        (&args.signed_out, &reply.message().enrollment_certificate)
    {
        std::fs::write(path, &certificate.signed_document)
            .map_err(|error| Problem::file(path, &error))?;
        note(&format!("signed certificate written to {}", path.display()));
    }
    output.show(&answer(&reply)?);
    Ok(Exit::Ok)
}

const CERTIFICATE_COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("SERIAL", "/serial"),
    ("CODE", "/code"),
    ("STATE", "/state"),
    ("INSTITUTION", "/program/institution_code"),
    ("PURPOSE", "/purpose"),
    ("ISSUED", "/issue_date"),
    ("VALID UNTIL", "/valid_until_date"),
];

const APPLICATION_COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("STATE", "/state"),
    ("INSTITUTION", "/institution_code"),
    ("PURPOSE", "/purpose"),
    ("WINDOW REFERENCE", "/window_reference"),
    ("CERTIFICATE", "/enrollment_certificate"),
    ("CREATED", "/create_time"),
];

pub(crate) async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let subject_claim = args.claim.read()?;
    match args.applications {
        true => applications(args, subject_claim, output).await,
        false => certificates(args, subject_claim, output).await,
    }
}

async fn certificates(
    args: &ListArgs,
    subject_claim: Option<pb::PersonId>,
    output: Output,
) -> Result<Exit, Problem> {
    let filter = json!({"institution_code": args.filter.institution, "state": args.filter.state});
    let request = pb::ListEnrollmentCertificatesRequest {
        subject_claim,
        ..message::request("the filters", &filter)?
    };
    let session: Session = args.connection.open().await?;
    let page = async |page_size, page_token| {
        let request = pb::ListEnrollmentCertificatesRequest {
            page_size,
            page_token,
            ..request.clone()
        };
        let reply = session
            .read(request, |channel, request| async move {
                channel
                    .certificates()
                    .list_enrollment_certificates(request)
                    .await
            })
            .await?;
        answer(&reply)
    };
    let found = args.paging.read("enrollment_certificates", page).await?;
    output.list(&found, "enrollment_certificates", CERTIFICATE_COLUMNS);
    Ok(Exit::Ok)
}

async fn applications(
    args: &ListArgs,
    subject_claim: Option<pb::PersonId>,
    output: Output,
) -> Result<Exit, Problem> {
    let filter = json!({
        "institution_code": args.filter.institution,
        "state": args.application_state,
    });
    let request = pb::ListEnrollmentCertificateApplicationsRequest {
        subject_claim,
        ..message::request("the filters", &filter)?
    };
    let session: Session = args.connection.open().await?;
    let page = async |page_size, page_token| {
        let request = pb::ListEnrollmentCertificateApplicationsRequest {
            page_size,
            page_token,
            ..request.clone()
        };
        let reply = session
            .read(request, |channel, request| async move {
                let mut client = channel.certificates();
                client
                    .list_enrollment_certificate_applications(request)
                    .await
            })
            .await?;
        answer(&reply)
    };
    let found = args.paging.read("applications", page).await?;
    output.list(&found, "applications", APPLICATION_COLUMNS);
    Ok(Exit::Ok)
}
