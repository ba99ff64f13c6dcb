//! `gavah certificate`

mod apply;
mod read;

use clap::Subcommand;
use gavah_api::v1 as pb;

use super::document::{ChangeArgs, RevokeArgs, resource};
use crate::exit::Exit;
use crate::message;
use crate::output::Output;
use crate::problem::Problem;

/// The collections of the resource names.
const CERTIFICATES: &str = "enrollmentCertificates";
const APPLICATIONS: &str = "enrollmentCertificateApplications";

#[derive(Debug, Subcommand)]
pub(crate) enum CertificateCommand {
    /// Apply for a certificate from the student's record; issued at once or refused with the reason
    Apply(Box<apply::ApplyArgs>),
    /// Read a certificate or an application by its resource name
    Get(read::GetArgs),
    /// List certificates or applications, newest first
    List(read::ListArgs),
    /// Suspend a certificate: it stops validating at once
    Suspend(ChangeArgs),
    /// Reinstate a suspended certificate
    Reinstate(ChangeArgs),
    /// Revoke a certificate for good: it stops validating at once
    Revoke(RevokeArgs),
}

pub(crate) async fn run(command: &CertificateCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        CertificateCommand::Apply(args) => apply::run(args, output).await,
        CertificateCommand::Get(args) => read::get(args, output).await,
        CertificateCommand::List(args) => read::list(args, output).await,
        CertificateCommand::Suspend(args) => suspend(args, output).await,
        CertificateCommand::Reinstate(args) => reinstate(args, output).await,
        CertificateCommand::Revoke(args) => revoke(args, output).await,
    }
}

async fn suspend(args: &ChangeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::SuspendEnrollmentCertificateRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(CERTIFICATES, &args.name),
        remark: args.remark.clone(),
        etag: args.etag.clone(),
    };
    let session = args.connection.open().await?;
    let answer = session
        .write(request_id, request, |channel, request| async move {
            channel
                .certificates()
                .suspend_enrollment_certificate(request)
                .await
        })
        .await?;
    output.show(&answer);
    Ok(Exit::Ok)
}

async fn reinstate(args: &ChangeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::ReinstateEnrollmentCertificateRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(CERTIFICATES, &args.name),
        remark: args.remark.clone(),
        etag: args.etag.clone(),
    };
    let session = args.connection.open().await?;
    let answer = session
        .write(request_id, request, |channel, request| async move {
            channel
                .certificates()
                .reinstate_enrollment_certificate(request)
                .await
        })
        .await?;
    output.show(&answer);
    Ok(Exit::Ok)
}

async fn revoke(args: &RevokeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::RevokeEnrollmentCertificateRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &args.json(CERTIFICATES))?
    };
    let session = args.connection.open().await?;
    let answer = session
        .write(request_id, request, |channel, request| async move {
            channel
                .certificates()
                .revoke_enrollment_certificate(request)
                .await
        })
        .await?;
    output.show(&answer);
    Ok(Exit::Ok)
}
