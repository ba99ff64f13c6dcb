//! `gavah migrate`

use clap::Args;
use gavah_store::Store;
use serde_json::json;

use crate::exit::Exit;
use crate::offline::ConfigFlag;
use crate::output::{Output, line};
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    config: ConfigFlag,
    /// PostgreSQL role under which the service runs: gets what the service needs and no more, so neither DDL nor
    /// changing audit entries
    #[arg(long, value_name = "NAME")]
    runtime_role: Option<String>,
}

pub(crate) async fn run(args: &MigrateArgs, output: Output) -> Result<Exit, Problem> {
    let config = args.config.load()?;
    let config = config.store.store_config();
    let ran = Store::migrate(&config).await?;
    if let Some(role) = &args.runtime_role {
        Store::grant_runtime_role(&config, role).await?;
    }
    match output {
        Output::Json => {
            output.show(&json!({"migrations_run": ran, "runtime_role": args.runtime_role}))
        }
        Output::Table => {
            match ran {
                0 => line("the schema was up to date"),
                1 => line("1 migration ran"),
                ran => line(&format!("{ran} migrations ran")),
            }
            if let Some(role) = &args.runtime_role {
                line(&format!("role {role} has what the service needs"));
            }
        }
    }
    Ok(Exit::Ok)
}
