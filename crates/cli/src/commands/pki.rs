//! `gavah pki`: the development PKI.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use gavah_devpki::{Authority, Error, Validity, write};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::connection::now;
use crate::exit::Exit;
use crate::output::{Output, note};
use crate::problem::Problem;

/// Said with every result.
const WARNING: &str = "development PKI: the authority's key lies unencrypted in its folder and nobody approves what it \
                       signs; never use it in production";

#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Make a development authority in a folder: ca.pem, ca.key, crl.pem, index.json. Not for production
    Init(InitArgs),
    /// Issue a server's or a caller's certificate with its key. Not for production
    Issue(IssueArgs),
    /// Revoke a certificate by its serial number and write a new CRL. Not for production
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The authority's folder; made when missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("kind").required(true).args(["server", "caller"])))]
pub(crate) struct IssueArgs {
    /// The authority's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// A server's certificate for these DNS names and IP addresses
    #[arg(long, value_name = "NAME", num_args = 1..)]
    server: Vec<String>,
    /// A caller's certificate for this caller id
    #[arg(long, value_name = "ID", requires = "trust_domain")]
    caller: Option<String>,
    /// The trust domain in which the caller is named, as in the service's configuration
    #[arg(long, value_name = "DOMAIN", conflicts_with = "server")]
    trust_domain: Option<String>,
    /// Where to write: STEM.pem and STEM.key (mode 0600); existing files are replaced
    #[arg(long, value_name = "STEM")]
    out: PathBuf,
    /// Days of validity
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The authority's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Serial number in hexadecimal, as told when the certificate was issued
    #[arg(value_name = "SERIAL")]
    serial: String,
}

pub(crate) fn run(command: &PkiCommand, output: Output) -> Result<Exit, Problem> {
    let result = match command {
        PkiCommand::Init(args) => init(args),
        PkiCommand::Issue(args) => issue(args),
        PkiCommand::Revoke(args) => revoke(args),
    };
    let mut result = result?;
    match output {
        Output::Json => result["warning"] = json!(WARNING),
        Output::Table => note(WARNING),
    }
    output.show(&result);
    Ok(Exit::Ok)
}

fn init(args: &InitArgs) -> Result<Value, Problem> {
    let authority = Authority::create(&args.dir, now()).map_err(problem)?;
    Ok(json!({
        "ca_file": authority.certificate_path().display().to_string(),
        "crl_file": authority.crl_path().display().to_string(),
    }))
}

fn issue(args: &IssueArgs) -> Result<Value, Problem> {
    let Some(stem) = args.out.file_name().and_then(|name| name.to_str()) else {
        return Err(Problem::usage(
            "--out must end in a file name without its ending, such as pki/window",
        ));
    };
    let folder = match args.out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let length = SignedDuration::from_hours(24 * i64::from(args.days));
    let validity = Validity::starting(now(), length).map_err(problem)?;
    let authority = Authority::open(&args.dir).map_err(problem)?;
    let issued = match (&args.caller, &args.trust_domain) {
        (Some(caller), Some(domain)) => authority.issue_caller(domain, caller, validity),
        _ => {
            let names: Vec<_> = args.server.iter().map(String::as_str).collect();
            authority.issue_server(&names, validity)
        }
    };
    let issued = issued.map_err(problem)?;
    let written = write(&issued, folder, stem).map_err(problem)?;
    let fingerprint: String = issued
        .fingerprint
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(json!({
        "certificate_file": written.certificate.display().to_string(),
        "key_file": written.key.display().to_string(),
        "serial": issued.serial,
        "fingerprint": fingerprint,
        "expire_time": issued.not_after.to_string(),
    }))
}

fn revoke(args: &RevokeArgs) -> Result<Value, Problem> {
    let authority = Authority::open(&args.dir).map_err(problem)?;
    authority.revoke(&args.serial, now()).map_err(problem)?;
    Ok(json!({
        "revoked_serial": args.serial,
        "crl_file": authority.crl_path().display().to_string(),
    }))
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Sign(_) => Problem::Internal(error.to_string()),
        Error::AlreadyExists { .. } | Error::UnknownSerial { .. } => {
            Problem::Refused(error.to_string())
        }
        other => Problem::usage(other),
    }
}
