//! `gavah certificate submit`, `cancel`, `update`, `decide` and `correct`

use std::path::PathBuf;

use clap::Args;
use gavah_api::v1 as pb;
use gavah_domain::certificate::Purpose;
use serde_json::{Value, json};

use super::{APPLICATIONS, CERTIFICATES};
use crate::commands::document::resource;
use crate::commands::one_of;
use crate::commands::person::SubjectClaim;
use crate::connection::{Connection, Write};
use crate::exit::Exit;
use crate::message;
use crate::offline;
use crate::output::Output;
use crate::problem::Problem;

/// Hands in or takes back an application.
#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    /// Resource name of the application, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    claim: SubjectClaim,
    /// With cancel: why
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// Only if the application is still as it was read: its etag
    #[arg(
        long,
        value_name = "ETAG",
        default_value = "",
        hide_default_value = true
    )]
    etag: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

/// Changes what an application says.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Resource name of the application, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// What it says from now on, as an UpdateEnrollmentCertificateApplicationRequest with the field names of the contract:
    /// subject, purpose, addressee, attachments and, to confirm a paper, existing_document
    #[arg(long, value_name = "REQUEST.json")]
    file: PathBuf,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

/// Decides on an application.
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// Resource name of the application, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// CONFIRM, RETURN or REJECT for an institution; APPROVE, RETURN_TO_UNIVERSITY or REJECT for the Organization
    #[arg(long, value_parser = ["CONFIRM", "RETURN", "APPROVE", "RETURN_TO_UNIVERSITY", "REJECT"], ignore_case = true)]
    decision: String,
    /// Who decides: institutions/{code}/experts/{code} of the institution, or the code of an officer of the Organization
    #[arg(long, value_name = "NAME")]
    actor: String,
    /// National code of who decides; kept as a keyed hash only
    #[arg(long, value_name = "DIGITS")]
    actor_national_code: String,
    /// The application as the decider saw it: its etag
    #[arg(long, value_name = "ETAG")]
    etag: String,
    /// What is to be mended, once for each field; needed to give it back
    #[arg(long, value_name = "FIELD=TEXT", value_parser = remark)]
    remark: Vec<(String, String)>,
    /// Why; needed to reject
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

/// Corrects a certificate.
#[derive(Debug, Args)]
pub(crate) struct CorrectArgs {
    /// Resource name of the wrong certificate, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// The right purpose
    #[arg(long, value_parser = one_of::<Purpose>(), ignore_case = true)]
    purpose: Option<String>,
    /// The right addressee, in Persian
    #[arg(long, value_name = "NAME")]
    addressee_fa: Option<String>,
    /// The right addressee, in English
    #[arg(long, value_name = "NAME", requires = "addressee_fa")]
    addressee_en: Option<String>,
    /// Only if the certificate is still as it was read: its etag
    #[arg(
        long,
        value_name = "ETAG",
        default_value = "",
        hide_default_value = true
    )]
    etag: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

fn remark(given: &str) -> Result<(String, String), String> {
    let parts = given.split_once('=');
    let parts = parts.filter(|(field, text)| !field.is_empty() && !text.is_empty());
    let (field, text) = parts.ok_or("must be the path of a field, =, and what is wrong with it")?;
    Ok((field.to_owned(), text.to_owned()))
}

pub(crate) async fn submit(args: &ActArgs, output: Output) -> Result<Exit, Problem> {
    if !args.reason.is_empty() {
        return Err(Problem::usage("--reason: only with cancel"));
    }
    let request_id = args.write.request_id("")?;
    let request = pb::SubmitEnrollmentCertificateApplicationRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(APPLICATIONS, &args.name),
        etag: args.etag.clone(),
        subject_claim: args.claim.read()?,
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            let mut client = channel.certificates();
            client
                .submit_enrollment_certificate_application(request)
                .await
        })
        .await
}

pub(crate) async fn cancel(args: &ActArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::CancelEnrollmentCertificateApplicationRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(APPLICATIONS, &args.name),
        etag: args.etag.clone(),
        subject_claim: args.claim.read()?,
        reason: args.reason.clone(),
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            let mut client = channel.certificates();
            client
                .cancel_enrollment_certificate_application(request)
                .await
        })
        .await
}

pub(crate) async fn update(args: &UpdateArgs, output: Output) -> Result<Exit, Problem> {
    let source = args.file.display().to_string();
    let value: Value = serde_json::from_str(&offline::read(&args.file)?)
        .map_err(|error| Problem::usage(format_args!("{source}: {error}")))?;
    let mut request: pb::UpdateEnrollmentCertificateApplicationRequest =
        message::request(&source, &value)?;
    let request_id = args.write.request_id_of(&request.request_id, "")?;
    request.request_id = request_id.to_string();
    request.validate_only |= args.write.validate_only;
    request.name = resource(APPLICATIONS, &args.name);
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            let mut client = channel.certificates();
            client
                .update_enrollment_certificate_application(request)
                .await
        })
        .await
}

pub(crate) async fn decide(args: &DecideArgs, output: Output) -> Result<Exit, Problem> {
    let of_institution = args.actor.starts_with("institutions/");
    let decisions: &[&str] = if of_institution {
        &["CONFIRM", "RETURN", "REJECT"]
    } else {
        &["APPROVE", "RETURN_TO_UNIVERSITY", "REJECT"]
    };
    let decision = args.decision.to_ascii_uppercase();
    if !decisions.contains(&decision.as_str()) {
        return Err(Problem::usage(format_args!(
            "--decision: this actor decides {}",
            decisions.join(", ")
        )));
    }
    let remarks = args.remark.iter();
    let request_id = args.write.request_id("")?;
    let value = json!({
        "request_id": request_id.to_string(),
        "validate_only": args.write.validate_only,
        "name": resource(APPLICATIONS, &args.name),
        "etag": args.etag,
        "decision": decision,
        "decider": {
            "actor": args.actor,
            "person_id": {"national_code": args.actor_national_code},
        },
        "remarks": remarks
            .map(|(field, text)| json!({"field": field, "text": text}))
            .collect::<Vec<_>>(),
        "reason": args.reason,
    });
    let answer = if of_institution {
        let request: pb::RecordUniversityDecisionRequest =
            message::request("the arguments", &value)?;
        let session = args.connection.open().await?;
        session
            .write(request_id, request, |channel, request| async move {
                channel
                    .certificates()
                    .record_university_decision(request)
                    .await
            })
            .await?
    } else {
        let request: pb::RecordOrganizationDecisionRequest =
            message::request("the arguments", &value)?;
        let session = args.connection.open().await?;
        session
            .write(request_id, request, |channel, request| async move {
                channel
                    .certificates()
                    .record_organization_decision(request)
                    .await
            })
            .await?
    };
    output.show(&answer);
    Ok(Exit::Ok)
}

pub(crate) async fn correct(args: &CorrectArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let addressee = args
        .addressee_fa
        .as_ref()
        .map(|fa| json!({"name_fa": fa, "name_en": args.addressee_en}));
    let value = json!({
        "request_id": request_id.to_string(),
        "validate_only": args.write.validate_only,
        "name": resource(CERTIFICATES, &args.name),
        "etag": args.etag,
        "purpose": args.purpose,
        "addressee": addressee,
    });
    let request: pb::CorrectEnrollmentCertificateRequest =
        message::request("the arguments", &value)?;
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel
                .certificates()
                .correct_enrollment_certificate(request)
                .await
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_a_field_and_what_is_wrong_with_it() {
        let told = ("subject.name".to_owned(), "a = b".to_owned());
        assert_eq!(remark("subject.name=a = b"), Ok(told));
        for wrong in ["", "=", "subject", "subject=", "=text"] {
            assert!(remark(wrong).is_err(), "{wrong}");
        }
    }
}
