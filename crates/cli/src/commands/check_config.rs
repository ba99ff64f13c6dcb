//! `gavah check-config`

use clap::Args;
use gavah_evidence::{FileSigner, SubjectHasher};
use gavah_server::config::Config;
use gavah_server::transport::Tls;
use gavah_store::StoreError;
use serde_json::json;

use crate::connection::now;
use crate::exit::Exit;
use crate::offline::{self, ConfigFlag};
use crate::output::{Output, line, note};
use crate::problem::Problem;

#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    #[command(flatten)]
    config: ConfigFlag,
}

/// One thing that was checked.
struct Check {
    what: &'static str,
    problem: Option<String>,
}

pub(crate) async fn run(args: &CheckConfigArgs, output: Output) -> Result<Exit, Problem> {
    let config = args.config.load()?;
    let (store, callers) = store(&config).await;
    let checks = [
        check("configuration", Ok::<_, String>(())),
        check(
            "tls",
            Tls::load(config.tls.files(), config.tls.trust_domain.clone(), now()),
        ),
        check("signing key", FileSigner::load(&config.signing.key_file)),
        check(
            "subject hash key",
            SubjectHasher::load(&config.audit.subject_hash_key_file),
        ),
        store,
    ];
    let problems: Vec<_> = checks
        .iter()
        .filter_map(|check| {
            check
                .problem
                .as_ref()
                .map(|problem| format!("{}: {problem}", check.what))
        })
        .collect();
    if !problems.is_empty() {
        return Err(Problem::Usage(problems));
    }
    match output {
        Output::Json => {
            let checked: Vec<_> = checks.iter().map(|check| check.what).collect();
            output.show(&json!({"ok": true, "checked": checked, "callers": callers}));
        }
        Output::Table => {
            for check in &checks {
                line(&format!("{}: ok", check.what));
            }
            if callers == Some(0) {
                note("no caller is registered yet: gavah caller register --class ORGANIZATION");
            }
        }
    }
    Ok(Exit::Ok)
}

fn check<T, E: ToString>(what: &'static str, loaded: Result<T, E>) -> Check {
    Check {
        what,
        problem: loaded.err().map(|error| error.to_string()),
    }
}

/// Schema and content of the store, and how many callers there are.
async fn store(config: &Config) -> (Check, Option<usize>) {
    let counted = async {
        let store = offline::open(config).await?;
        let snapshot = store.snapshot().await.map_err(Problem::from);
        store.close().await;
        Ok::<_, Problem>(snapshot?.callers.len())
    };
    let (callers, problem) = match counted.await {
        Ok(callers) => (Some(callers), None),
        Err(Problem::Store(StoreError::Unavailable)) => {
            (None, Some("the database cannot be reached".to_owned()))
        }
        Err(problem) => (None, Some(problem.to_string())),
    };
    (
        Check {
            what: "store",
            problem,
        },
        callers,
    )
}
