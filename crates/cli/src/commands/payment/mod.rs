//! `gavah payment`

mod day_file;
mod simulator;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_domain::payment::{PaymentState, RefundMethod};
use serde_json::json;

use super::code::waiting_in;
use super::document::{Paging, resource};
use super::incident::Officer;
use super::one_of;
use super::person::SubjectClaim;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output};
use crate::problem::Problem;

/// The collection of the resource names.
const COLLECTION: &str = "payments";

#[derive(Debug, Subcommand)]
pub(crate) enum PaymentCommand {
    /// Open a payment for applications that wait for it, and learn where the payer is sent
    Start(StartArgs),
    /// Have the gateway asked about a payment, after the payer has come back
    Confirm(ConfirmArgs),
    /// Read a payment
    Get(GetArgs),
    /// List payments, newest first
    List(ListArgs),
    /// Pay back what is due, or record that it was paid back
    Refund(Box<RefundArgs>),
    /// Compare a day with the gateway's file of it
    Reconcile(ReconcileArgs),
    /// Run a payment gateway that moves no money, on this machine, until SIGINT or SIGTERM
    Simulator(simulator::SimulatorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Resource names of the applications: one of an enrollment certificate, or any of validity codes
    #[arg(value_name = "APPLICATION", required_unless_present = "unpaid")]
    applications: Vec<String>,
    /// Every application that waits by this file of outcomes, from `gavah code issue --file` or `gavah code job result`
    #[arg(long, value_name = "FILE.csv")]
    unpaid: Option<PathBuf>,
    /// Where the gateway sends the payer back to: an http or https address
    #[arg(long, value_name = "URL")]
    callback: String,
    #[command(flatten)]
    claim: SubjectClaim,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// Resource name of the payment, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    claim: SubjectClaim,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Resource name of the payment, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    claim: SubjectClaim,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only of this institution
    #[arg(long, value_name = "CODE")]
    institution: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = one_of::<PaymentState>(), ignore_case = true)]
    state: Option<String>,
    /// Only of this application, by its resource name
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    #[command(flatten)]
    claim: SubjectClaim,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct RefundArgs {
    /// Resource name of the payment, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// The payment as the officer saw it: its etag
    #[arg(long, value_name = "ETAG")]
    etag: String,
    /// How: the gateway is asked, it was paid back otherwise, or what the gateway was asked was not done
    #[arg(long, value_parser = one_of::<RefundMethod>(), ignore_case = true)]
    method: String,
    /// GATEWAY: the gateway's number of the session; RECORDED: the officer's reference
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reference: String,
    /// An application whose document is issued and whose fee is paid back nevertheless; may be repeated
    #[arg(long, value_name = "APPLICATION")]
    also: Vec<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The ruling's action that orders it: disputes/{uuid}/actions/{n}
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    dispute_action: String,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// The gateway's file as CSV with the columns authority, ref_id and amount (current rials), others beside them; of a
    /// column state only PAID and VERIFIED count
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// The Jalali day: 1405/09/07
    #[arg(long, value_name = "DATE")]
    day: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("STATE", "/state"),
    ("AMOUNT", "/amount/amount"),
    ("UNIT", "/amount/unit"),
    ("INSTITUTION", "/institution_code"),
    ("REFERENCE", "/reference"),
    ("REFUND DUE", "/refund_due/amount"),
    ("CREATED", "/create_time"),
];

pub(crate) async fn run(command: &PaymentCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        PaymentCommand::Start(args) => start(args, output).await,
        PaymentCommand::Confirm(args) => confirm(args, output).await,
        PaymentCommand::Get(args) => get(args, output).await,
        PaymentCommand::List(args) => list(args, output).await,
        PaymentCommand::Refund(args) => refund(args, output).await,
        PaymentCommand::Reconcile(args) => reconcile(args, output).await,
        PaymentCommand::Simulator(args) => simulator::run(args, output).await,
    }
}

async fn start(args: &StartArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let mut applications = args.applications.clone();
    if let Some(file) = &args.unpaid {
        applications.extend(waiting_in(file)?);
    }
    let request = pb::StartPaymentRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        applications,
        callback_url: args.callback.clone(),
        subject_claim: args.claim.read()?,
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.payments().start_payment(request).await
        })
        .await
}

async fn confirm(args: &ConfirmArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::ConfirmPaymentRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        subject_claim: args.claim.read()?,
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.payments().confirm_payment(request).await
        })
        .await
}

async fn get(args: &GetArgs, output: Output) -> Result<Exit, Problem> {
    let request = pb::GetPaymentRequest {
        name: resource(COLLECTION, &args.name),
        subject_claim: args.claim.read()?,
    };
    args.connection
        .read(output, request, |channel, request| async move {
            channel.payments().get_payment(request).await
        })
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let filter = json!({
        "institution_code": args.institution,
        "state": args.state,
        "application": args.application,
    });
    let request = pb::ListPaymentsRequest {
        subject_claim: args.claim.read()?,
        ..message::request("the filters", &filter)?
    };
    let session = args.connection.open().await?;
    let page = async |page_size, page_token| {
        let request = pb::ListPaymentsRequest {
            page_size,
            page_token,
            ..request.clone()
        };
        let reply = session
            .read(request, |channel, request| async move {
                channel.payments().list_payments(request).await
            })
            .await?;
        answer(&reply)
    };
    let found = args.paging.read("payments", page).await?;
    output.list(&found, "payments", COLUMNS);
    Ok(Exit::Ok)
}

async fn refund(args: &RefundArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "name": resource(COLLECTION, &args.name),
        "etag": args.etag,
        "method": args.method,
        "reference": args.reference,
        "also": args.also,
        "reason": args.reason,
        "dispute_action": args.dispute_action,
        "officer": args.officer.json(),
    });
    let request = pb::RefundPaymentRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &asked)?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.payments().refund_payment(request).await
        })
        .await
}

async fn reconcile(args: &ReconcileArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let rows = day_file::read(&args.file)?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "day": args.day,
    });
    let request = pb::ReconcilePaymentsRequest {
        request_id: request_id.to_string(),
        rows,
        ..message::request("the arguments", &asked)?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.payments().reconcile_payments(request).await
        })
        .await
}
