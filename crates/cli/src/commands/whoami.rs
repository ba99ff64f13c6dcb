//! `gavah whoami`

use clap::Args;
use gavah_api::v1 as pb;

use crate::connection::{Connection, answer};
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: &WhoamiArgs, output: Output) -> Result<Exit, Problem> {
    let session = args.connection.open().await?;
    let reply = session
        .read(pb::WhoAmIRequest {}, |channel, request| async move {
            channel.registry().who_am_i(request).await
        })
        .await?;
    output.show(&answer(&reply)?);
    Ok(Exit::Ok)
}
