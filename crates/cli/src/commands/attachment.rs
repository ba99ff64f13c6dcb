//! `gavah attachment`

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use gavah_client::Failure;
use serde_json::json;
use tokio_stream::StreamExt;
use tonic::Status;

use crate::connection::{Connection, Session, answer};
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

/// Bytes of one message.
const CHUNK_BYTES: usize = 32 * 1024;
/// No file is larger; one that is was not meant.
const MOST_BYTES: u64 = 2_000_000;

#[derive(Debug, Subcommand)]
pub(crate) enum AttachmentCommand {
    /// Send a JPEG picture or a PDF document; its name is what applications attach
    Upload(UploadArgs),
    /// Get a file back
    Download(DownloadArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UploadArgs {
    /// The file: JPEG up to 300 kB, PDF up to 2 MB
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// Resource name attachments/{sha256}, or the SHA-256 alone
    #[arg(value_name = "NAME")]
    name: String,
    /// Where the file goes; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(command: &AttachmentCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        AttachmentCommand::Upload(args) => upload(args, output).await,
        AttachmentCommand::Download(args) => download(args, output).await,
    }
}

async fn upload(args: &UploadArgs, output: Output) -> Result<Exit, Problem> {
    let file = read(&args.file)?;
    let session = args.connection.open().await?;
    let reply = session
        .read(file, |channel, file| async move {
            let parts: Vec<_> = file
                .chunks(CHUNK_BYTES)
                .map(|part| pb::UploadAttachmentRequest {
                    chunk: part.to_vec(),
                })
                .collect();
            let parts = tokio_stream::iter(parts);
            channel.attachments().upload_attachment(parts).await
        })
        .await?;
    output.show(&answer(&reply)?);
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let cannot =
        |error: std::io::Error| Problem::usage(format_args!("{}: {error}", path.display()));
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    // One byte more tells that there is more; the service says how much is allowed of what.
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    Ok(bytes)
}

async fn download(args: &DownloadArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let (attachment, bytes) = receive(&session, &args.name).await?;
    let cannot =
        |error: std::io::Error| Problem::usage(format_args!("{}: {error}", args.out.display()));
    // It may be the scan of an identity card.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.out);
    let mut file = file.map_err(cannot)?;
    file.write_all(&bytes).map_err(cannot)?;
    let mut told = crate::message::to_json(&attachment)?;
    told["file"] = json!(args.out.display().to_string());
    output.show(&told);
    Ok(Exit::Ok)
}

async fn receive(session: &Session, name: &str) -> Result<(pb::Attachment, Vec<u8>), Problem> {
    let request = pb::DownloadAttachmentRequest {
        name: match name.contains('/') {
            true => name.to_owned(),
            false => format!("attachments/{name}"),
        },
    };
    let failed = |status: Status| Problem::Failure {
        failure: Box::new(Failure::of(&status)),
        request_id: None,
    };
    let parts = session
        .client()
        .attachments()
        .download_attachment(request)
        .await;
    let mut parts = parts.map_err(failed)?.into_inner();
    let (mut attachment, mut bytes) = (None, Vec::new());
    while let Some(part) = parts.next().await {
        let part = part.map_err(failed)?;
        attachment = attachment.or(part.attachment);
        bytes.extend(part.chunk);
    }
    let attachment: pb::Attachment =
        attachment.ok_or_else(|| Problem::Internal("the service sent no file".to_owned()))?;
    Ok((attachment, bytes))
}
