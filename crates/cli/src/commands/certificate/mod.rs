//! `gavah certificate`

mod apply;
mod read;
mod stages;

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
    /// Apply for a certificate: issued at once from the record, reviewed, or refused with the reason, as the workflow has it
    Apply(Box<apply::ApplyArgs>),
    /// Change what a draft or a returned application says
    Update(stages::UpdateArgs),
    /// Hand in a draft, or a returned application again
    Submit(stages::ActArgs),
    /// Take an application back that is not issued yet
    Cancel(stages::ActArgs),
    /// Decide on an application, for an institution or for the Organization
    Decide(Box<stages::DecideArgs>),
    /// Issue a corrected certificate; the wrong one is superseded
    Correct(stages::CorrectArgs),
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
        CertificateCommand::Update(args) => stages::update(args, output).await,
        CertificateCommand::Submit(args) => stages::submit(args, output).await,
        CertificateCommand::Cancel(args) => stages::cancel(args, output).await,
        CertificateCommand::Decide(args) => stages::decide(args, output).await,
        CertificateCommand::Correct(args) => stages::correct(args, output).await,
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
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel
                .certificates()
                .suspend_enrollment_certificate(request)
                .await
        })
        .await
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
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel
                .certificates()
                .reinstate_enrollment_certificate(request)
                .await
        })
        .await
}

async fn revoke(args: &RevokeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::RevokeEnrollmentCertificateRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &args.json(CERTIFICATES))?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel
                .certificates()
                .revoke_enrollment_certificate(request)
                .await
        })
        .await
}
