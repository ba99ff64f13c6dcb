//! `gavah dispute`

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_client::Channel;
use gavah_domain::dispute::{DisputeState, OrderedAct, RulingOutcome};
use serde_json::{Value, json};

use super::document::{Paging, resource};
use super::one_of;
use super::person::SubjectClaim;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output};
use crate::problem::Problem;

/// The collection of the resource names.
const COLLECTION: &str = "disputes";

#[derive(Debug, Subcommand)]
pub(crate) enum DisputeCommand {
    /// Open a dispute on an agreement, an application or a document: the month of negotiation begins
    Open(Box<OpenArgs>),
    /// List disputes, newest first: your own, or as the provider any
    List(ListArgs),
    /// Read a dispute
    Show(NamedArgs),
    /// Post a message, or list the messages when there is none to post
    Message(MessageArgs),
    /// Agree to terms; when both parties agree to the same text, the dispute has ended
    Agree(AgreeArgs),
    /// Consent to a ruling before the month is over
    Consent(StepArgs),
    /// Take back a dispute that your party opened
    Withdraw(StepArgs),
    /// Decide a dispute, as the provider, at or after its deadline or with both parties' consent
    Rule(Box<RuleArgs>),
    /// Close an action that a ruling ordered and that can no longer be done, as the provider
    CloseAction(CloseActionArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// What it is about: agreements/{id}, validityCodes/{uuid}, validityCodeApplications/{uuid},
    /// enrollmentCertificates/{uuid} or enrollmentCertificateApplications/{uuid}
    #[arg(value_name = "SUBJECT")]
    subject: String,
    /// What is disputed and why
    #[arg(long, value_name = "TEXT")]
    statement: String,
    #[command(flatten)]
    claim: SubjectClaim,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only in this state
    #[arg(long, value_parser = one_of::<DisputeState>(), ignore_case = true)]
    state: Option<String>,
    /// Only on this subject
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    subject: String,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// Resource name of the dispute, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct MessageArgs {
    /// Resource name of the dispute, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// The message to post; without one the messages are listed
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct AgreeArgs {
    /// Resource name of the dispute, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// The terms; to accept those of the other party, the same text
    #[arg(long, value_name = "TEXT")]
    terms: String,
    #[command(flatten)]
    seen: Seen,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// Resource name of the dispute, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    seen: Seen,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Seen {
    /// Only if the dispute is still as it was read: its etag
    #[arg(
        long,
        value_name = "ETAG",
        default_value = "",
        hide_default_value = true
    )]
    etag: String,
}

#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    /// Resource name of the dispute, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// The dispute as it was read: its etag
    #[arg(long, value_name = "ETAG")]
    etag: String,
    /// In whose favour: of who opened it
    #[arg(long, value_parser = one_of::<RulingOutcome>(), ignore_case = true)]
    outcome: String,
    /// The decision
    #[arg(long, value_name = "TEXT")]
    text: String,
    /// The legal basis
    #[arg(long, value_name = "TEXT")]
    legal_basis: String,
    /// Something it orders, in the order in which it is to be done: REVOKE=validityCodes/{uuid}; may be given
    /// several times
    #[arg(long = "order", value_name = "ACT=TARGET", value_parser = order)]
    orders: Vec<(String, String)>,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct CloseActionArgs {
    /// Resource name of the action: disputes/{uuid}/actions/{n}
    #[arg(value_name = "NAME")]
    name: String,
    /// Why it can no longer be done; told to the parties
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    seen: Seen,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

/// `REVOKE=validityCodes/{uuid}`.
fn order(given: &str) -> Result<(String, String), String> {
    let Some((act, target)) = given.split_once('=') else {
        return Err("not ACT=TARGET".to_owned());
    };
    let act: OrderedAct = act
        .to_ascii_uppercase()
        .parse()
        .map_err(|_| "the act is none of CORRECT, REISSUE, REVOKE, REFUND".to_owned())?;
    Ok((act.as_str().to_owned(), target.to_owned()))
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("SUBJECT", "/subject"),
    ("CONSUMER", "/consumer"),
    ("STATE", "/state"),
    ("DEADLINE", "/deadline"),
    ("ETAG", "/etag"),
];

const MESSAGES: &[Column] = &[
    ("NAME", "/name"),
    ("PARTY", "/party"),
    ("POSTED", "/create_time"),
    ("TEXT", "/text"),
];

pub(crate) async fn run(command: &DisputeCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        DisputeCommand::Open(args) => open(args, output).await,
        DisputeCommand::List(args) => list(args, output).await,
        DisputeCommand::Show(args) => {
            let name = resource(COLLECTION, &args.name);
            let request = pb::GetDisputeRequest { name };
            let attempt = |channel: Channel, request| async move {
                channel.disputes().get_dispute(request).await
            };
            args.connection.read(output, request, attempt).await
        }
        DisputeCommand::Message(args) => match &args.text {
            Some(text) => post(args, text, output).await,
            None => messages(args, output).await,
        },
        DisputeCommand::Agree(args) => agree(args, output).await,
        DisputeCommand::Consent(args) => consent(args, output).await,
        DisputeCommand::Withdraw(args) => withdraw(args, output).await,
        DisputeCommand::Rule(args) => rule(args, output).await,
        DisputeCommand::CloseAction(args) => close_action(args, output).await,
    }
}

async fn open(args: &OpenArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "subject": args.subject,
        "statement": args.statement,
    });
    let request = pb::OpenDisputeRequest {
        request_id: request_id.to_string(),
        subject_claim: args.claim.read()?,
        ..message::request("the arguments", &asked)?
    };
    let attempt =
        |channel: Channel, request| async move { channel.disputes().open_dispute(request).await };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let asked = json!({"state": args.state, "subject": args.subject});
    let asked: pb::ListDisputesRequest = message::request("the arguments", &asked)?;
    let session = &args.connection.open().await?;
    let page = |page_size, page_token| {
        let request = pb::ListDisputesRequest {
            page_size,
            page_token,
            ..asked.clone()
        };
        async move {
            let attempt = |channel: Channel, request| async move {
                channel.disputes().list_disputes(request).await
            };
            answer(&session.read(request, attempt).await?)
        }
    };
    let whole = args.paging.read("disputes", page).await?;
    output.list(&whole, "disputes", COLUMNS);
    Ok(Exit::Ok)
}

async fn post(args: &MessageArgs, text: &str, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::PostDisputeMessageRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        text: text.to_owned(),
    };
    let attempt = |channel: Channel, request| async move {
        channel.disputes().post_dispute_message(request).await
    };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn messages(args: &MessageArgs, output: Output) -> Result<Exit, Problem> {
    let session = &args.connection.open().await?;
    let page = |page_size, page_token| {
        let request = pb::ListDisputeMessagesRequest {
            page_size,
            page_token,
            name: resource(COLLECTION, &args.name),
        };
        async move {
            let attempt = |channel: Channel, request| async move {
                channel.disputes().list_dispute_messages(request).await
            };
            answer(&session.read(request, attempt).await?)
        }
    };
    let whole = args.paging.read("messages", page).await?;
    output.list(&whole, "messages", MESSAGES);
    Ok(Exit::Ok)
}

async fn agree(args: &AgreeArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::AgreeDisputeRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        terms: args.terms.clone(),
        etag: args.seen.etag.clone(),
    };
    let attempt =
        |channel: Channel, request| async move { channel.disputes().agree_dispute(request).await };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn consent(args: &StepArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::ConsentToRulingRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        etag: args.seen.etag.clone(),
    };
    let attempt = |channel: Channel, request| async move {
        channel.disputes().consent_to_ruling(request).await
    };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn withdraw(args: &StepArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::WithdrawDisputeRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        etag: args.seen.etag.clone(),
    };
    let attempt = |channel: Channel, request| async move {
        channel.disputes().withdraw_dispute(request).await
    };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn rule(args: &RuleArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let orders = args.orders.iter();
    let orders: Vec<Value> = orders
        .map(|(act, target)| json!({"act": act, "target": target}))
        .collect();
    let asked = json!({
        "validate_only": args.write.validate_only,
        "name": resource(COLLECTION, &args.name),
        "etag": args.etag,
        "outcome": args.outcome,
        "text": args.text,
        "legal_basis": args.legal_basis,
        "actions": orders,
    });
    let request = pb::RuleDisputeRequest {
        request_id: request_id.to_string(),
        ..message::request("the arguments", &asked)?
    };
    let attempt =
        |channel: Channel, request| async move { channel.disputes().rule_dispute(request).await };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}

async fn close_action(args: &CloseActionArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::CloseDisputeActionRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        etag: args.seen.etag.clone(),
        reason: args.reason.clone(),
    };
    let attempt = |channel: Channel, request| async move {
        channel.disputes().close_dispute_action(request).await
    };
    args.connection
        .write(output, request_id, request, attempt)
        .await
}
