//! `gavah code correct`

use std::path::PathBuf;

use clap::Args;
use gavah_api::v1 as pb;
use serde_json::Value;

use super::COLLECTION;
use crate::commands::document::resource;
use crate::connection::{Connection, Write};
use crate::exit::Exit;
use crate::message;
use crate::offline;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct CorrectArgs {
    /// Resource name of the wrong code, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// What the right code says, whole: a CorrectValidityCodeRequest with the field names of the contract
    #[arg(long, value_name = "REQUEST.json")]
    file: PathBuf,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: &CorrectArgs, output: Output) -> Result<Exit, Problem> {
    let source = args.file.display().to_string();
    let value: Value = serde_json::from_str(&offline::read(&args.file)?)
        .map_err(|error| Problem::usage(format_args!("{source}: {error}")))?;
    let mut request: pb::CorrectValidityCodeRequest = message::request(&source, &value)?;
    let request_id = args.write.request_id_of(&request.request_id, "")?;
    request.request_id = request_id.to_string();
    request.validate_only |= args.write.validate_only;
    request.name = resource(COLLECTION, &args.name);
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            let mut client = channel.validity_codes();
            client.correct_validity_code(request).await
        })
        .await
}
