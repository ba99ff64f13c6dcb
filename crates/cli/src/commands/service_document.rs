//! `gavah document`

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_api::v1::upload_service_document_request::Message;
use gavah_client::Failure;
use gavah_domain::service::ServiceKind;
use gavah_domain::service_document::ServiceDocumentKind;
use serde_json::json;
use tonic::Status;

use super::document::resource;
use super::one_of;
use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::{Column, Output};
use crate::problem::Problem;

/// The collection of the resource names.
const COLLECTION: &str = "serviceDocuments";

/// Bytes of one message.
const CHUNK_BYTES: usize = 32 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum DocumentCommand {
    /// Send the next version of a document; it is a draft until it is published
    Upload(UploadArgs),
    /// Put a draft in force, in place of the version before
    Publish(PublishArgs),
    /// List documents: those in force now, or as of a publication, or every version
    List(ListArgs),
    /// Get the file of a version
    Download(DownloadArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// The file: PDF up to 10 MB
    #[arg(value_name = "FILE.pdf")]
    file: PathBuf,
    /// What the document keeps through its versions: small letters, digits, dashes
    #[arg(long, value_name = "KEY")]
    document_key: String,
    /// What it is
    #[arg(long, value_parser = one_of::<ServiceDocumentKind>(), ignore_case = true)]
    kind: String,
    /// The service; without it the document is one of all services
    #[arg(long, value_parser = one_of::<ServiceKind>(), ignore_case = true)]
    service: Option<String>,
    /// Persian title
    #[arg(long, value_name = "TITLE")]
    title_fa: String,
    /// English title
    #[arg(long, value_name = "TITLE")]
    title_en: Option<String>,
    /// Resource name of the document it stands under
    #[arg(long, value_name = "NAME")]
    parent: Option<String>,
    /// Retry key: the same id with the same content acts once [default: a new one, told before the call]
    #[arg(long, value_name = "UUID")]
    request_id: Option<uuid::Uuid>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Resource name serviceDocuments/{uuid}, or the UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// The draft as it was read: its etag
    #[arg(long, value_name = "ETAG")]
    etag: String,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only of this service, with those of all services
    #[arg(long, value_parser = one_of::<ServiceKind>(), ignore_case = true)]
    service: Option<String>,
    /// Those that were in force as of this publication, as codes and applications name it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    as_of: Option<i64>,
    /// Every version, whatever its state
    #[arg(long, conflicts_with = "as_of")]
    all: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// Resource name serviceDocuments/{uuid}, or the UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// Where the file goes
    #[arg(long, value_name = "FILE.pdf")]
    out: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: &[Column] = &[
    ("NAME", "/name"),
    ("KEY", "/key"),
    ("VERSION", "/version"),
    ("KIND", "/kind"),
    ("SERVICE", "/service"),
    ("STATE", "/state"),
    ("PUBLICATION", "/publication"),
    ("TITLE", "/title_fa"),
];

pub(crate) async fn run(command: &DocumentCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        DocumentCommand::Upload(args) => upload(args, output).await,
        DocumentCommand::Publish(args) => publish(args, output).await,
        DocumentCommand::List(args) => list(args, output).await,
        DocumentCommand::Download(args) => download(args, output).await,
    }
}

async fn upload(args: &UploadArgs, output: Output) -> Result<Exit, Problem> {
    let file = fs::read(&args.file).map_err(|error| Problem::file(&args.file, &error))?;
    let asked = json!({
        "key": args.document_key,
        "kind": args.kind,
        "service": args.service,
        "title_fa": args.title_fa,
        "title_en": args.title_en,
        "parent": args.parent.as_ref().map(|name| resource(COLLECTION, name)),
    });
    let start: pb::ServiceDocumentStart = message::request("the arguments", &asked)?;
    let write = Write {
        request_id: args.request_id,
        validate_only: false,
    };
    let request_id = write.request_id("")?;
    let start = Message::Start(pb::ServiceDocumentStart {
        request_id: request_id.to_string(),
        ..start
    });
    let parts = file
        .chunks(CHUNK_BYTES)
        .map(|part| Message::Chunk(part.to_vec()));
    let messages = std::iter::once(start).chain(parts);
    let messages: Vec<_> = messages
        .map(|message| pb::UploadServiceDocumentRequest {
            message: Some(message),
        })
        .collect();
    args.connection
        .write(
            output,
            request_id,
            messages,
            |channel, messages| async move {
                let messages = tokio_stream::iter(messages);
                channel.documents().upload_service_document(messages).await
            },
        )
        .await
}

async fn publish(args: &PublishArgs, output: Output) -> Result<Exit, Problem> {
    let request_id = args.write.request_id("")?;
    let request = pb::PublishServiceDocumentRequest {
        request_id: request_id.to_string(),
        validate_only: args.write.validate_only,
        name: resource(COLLECTION, &args.name),
        etag: args.etag.clone(),
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.documents().publish_service_document(request).await
        })
        .await
}

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let asked = json!({"service": args.service});
    let request = pb::ListServiceDocumentsRequest {
        as_of_publication: args.as_of,
        all_versions: args.all,
        ..message::request("the arguments", &asked)?
    };
    let session = args.connection.open().await?;
    let reply = session
        .read(request, |channel, request| async move {
            channel.documents().list_service_documents(request).await
        })
        .await?;
    output.list(&answer(&reply)?, "documents", COLUMNS);
    Ok(Exit::Ok)
}

async fn download(args: &DownloadArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let failed = |status: Status| Problem::Failure {
        failure: Box::new(Failure::of(&status)),
        request_id: None,
    };
    let request = pb::DownloadServiceDocumentRequest {
        name: resource(COLLECTION, &args.name),
    };
    let mut client = session.client().documents();
    let parts = client.download_service_document(request).await;
    let mut parts = parts.map_err(failed)?.into_inner();
    let (mut document, mut file) = (None, Vec::new());
    while let Some(part) = parts.message().await.map_err(failed)? {
        document = document.or(part.document);
        file.extend(part.chunk);
    }
    fs::write(&args.out, file).map_err(|error| Problem::file(&args.out, &error))?;
    let mut told = message::to_json(&document.unwrap_or_default())?;
    told["file"] = json!(args.out.display().to_string());
    output.show(&told);
    Ok(Exit::Ok)
}
