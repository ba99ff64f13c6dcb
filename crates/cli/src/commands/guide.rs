//! `gavah guide`

use std::fs;
use std::path::PathBuf;

use clap::Args;
use gavah_api::v1 as pb;
use gavah_domain::service::ServiceKind;
use serde_json::json;

use super::one_of;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::message;
use crate::output::{Output, line};
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct GuideArgs {
    /// The service
    #[arg(value_name = "SERVICE", value_parser = one_of::<ServiceKind>(), ignore_case = true)]
    service: String,
    /// The language
    #[arg(long, value_parser = ["fa", "en"], default_value = "fa")]
    language: String,
    /// Write it to a file instead of printing it
    #[arg(long, value_name = "FILE.md")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: &GuideArgs, output: Output) -> Result<Exit, Problem> {
    let asked = json!({
        "service": args.service,
        "language": args.language.to_ascii_uppercase(),
    });
    let request: pb::GetServiceGuideRequest = message::request("the arguments", &asked)?;
    let session = args.connection.open().await?;
    let reply = session
        .read(request, |channel, request| async move {
            channel.documents().get_service_guide(request).await
        })
        .await?;
    let guide = reply.into_message();
    match (&args.out, output) {
        (Some(path), _) => {
            fs::write(path, &guide.markdown).map_err(|error| Problem::file(path, &error))?;
            output.show(&json!({"file": path.display().to_string(), "sha256": guide.sha256}));
        }
        (None, Output::Table) => line(&guide.markdown),
        (None, Output::Json) => {
            output.show(&json!({"markdown": guide.markdown, "sha256": guide.sha256}));
        }
    }
    Ok(Exit::Ok)
}
