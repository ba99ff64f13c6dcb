//! `gavah keys`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gavah_evidence::{KeyError, Signer, SubjectHasher, generate_key_file};
use serde_json::json;

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make the key that signs certificates and the key that hides persons in the audit log; never overwrites a file
    Init(InitArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// New file for the key that signs enrollment certificates (P-256, PKCS#8 PEM, mode 0600)
    #[arg(long, value_name = "FILE")]
    signing: PathBuf,
    /// New file for the key of the audit log's subject hashes (hexadecimal, mode 0600)
    #[arg(long, value_name = "FILE")]
    subject_hash: PathBuf,
}

pub(crate) fn run(command: &KeysCommand, output: Output) -> Result<Exit, Problem> {
    let KeysCommand::Init(args) = command;
    // Both are looked at before either is made: half a pair would be in the way of the next try.
    let taken: Vec<_> = [&args.signing, &args.subject_hash]
        .into_iter()
        .filter(|path| path.exists())
        .map(|path| {
            format!(
                "key file {} exists already and is not overwritten",
                path.display()
            )
        })
        .collect();
    if !taken.is_empty() {
        return Err(Problem::Usage(taken));
    }
    let signer = generate_key_file(&args.signing).map_err(|error| unmade(&error))?;
    SubjectHasher::generate_file(&args.subject_hash).map_err(|error| unmade(&error))?;
    output.show(&json!({
        "signing_key_file": shown(&args.signing),
        "signing_key_id": signer.key_id(),
        "subject_hash_key_file": shown(&args.subject_hash),
    }));
    Ok(Exit::Ok)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn unmade(error: &KeyError) -> Problem {
    match error {
        KeyError::Write { path, source } => Problem::file(path, source),
        other => Problem::usage(other),
    }
}
