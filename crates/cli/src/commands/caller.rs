//! `gavah caller`: the registry of callers without the service.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use clap::{ArgGroup, Args, Subcommand};
use gavah_domain::caller::{Caller, CallerClass, CallerId, CallerState};
use gavah_domain::institution::InstitutionCode;
use gavah_domain::{DisplayText, Reason};
use gavah_store::{NewCaller, RegistryChange, Store};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::one_of;
use crate::exit::Exit;
use crate::offline::{self, ConfigFlag};
use crate::output::{Column, Output};
use crate::problem::Problem;

/// Greatest length of a display name, in characters.
const DISPLAY_NAME_CHARS: usize = 120;

#[derive(Debug, Subcommand)]
pub(crate) enum CallerCommand {
    /// Register a caller straight in the store; audited like any other act, as done by operator/cli
    Register(RegisterArgs),
    /// List the callers in the store
    List(ListArgs),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("credential").required(true).args(["certificate", "fingerprint"])))]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    config: ConfigFlag,
    /// The id in the caller's certificate: 1 to 63 lower-case letters, digits and dashes
    #[arg(long)]
    id: String,
    /// Class: decides what the caller may call
    #[arg(long, value_parser = one_of::<CallerClass>(), ignore_case = true)]
    class: String,
    /// Code of the caller's institution; for UNIVERSITY and CENTRAL_BODY, and only for them
    #[arg(long, value_name = "CODE")]
    institution: Option<String>,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    display_name: String,
    /// The caller's certificate (PEM, leaf first); its name must be the caller's
    #[arg(long, value_name = "PEM")]
    certificate: Option<PathBuf>,
    /// SHA-256 of the caller's certificate in DER: 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    config: ConfigFlag,
}

pub(crate) async fn run(command: &CallerCommand, output: Output) -> Result<Exit, Problem> {
    match command {
        CallerCommand::Register(args) => register(args, output).await,
        CallerCommand::List(args) => list(args, output).await,
    }
}

async fn register(args: &RegisterArgs, output: Output) -> Result<Exit, Problem> {
    let config = args.config.load()?;
    let new = new_caller(args, &config.tls.trust_domain)?;
    let store = offline::open(&config).await?;
    let change = async {
        let act = offline::act(&store).await?;
        store.create_caller(&act, &new).await
    };
    let change = change.await;
    let refusal = match &change {
        Ok(change) => refusal(&store, &new, change).await,
        Err(_) => Ok(None),
    };
    store.close().await;
    change?;
    if let Some(text) = refusal? {
        return Err(Problem::Refused(text));
    }
    output.show(&json!({
        "name": format!("callers/{}", new.caller.id),
        "class": new.caller.class.as_str(),
        "institution_code": new.caller.institution.as_ref().map(InstitutionCode::as_str),
        "display_name": new.display_name,
        "fingerprint": new.fingerprint,
    }));
    Ok(Exit::Ok)
}

/// Why the store did not register the caller.
async fn refusal(
    store: &Store,
    new: &NewCaller,
    change: &RegistryChange,
) -> Result<Option<String>, Problem> {
    let id = &new.caller.id;
    Ok(match change {
        RegistryChange::Done => None,
        RegistryChange::Exists => {
            let snapshot = store.snapshot().await?;
            Some(match snapshot.caller(id) {
                Some(_) => format!(
                    "caller {id} is registered already; further certificates and changes are made by a caller of \
                     class ORGANIZATION"
                ),
                None => "this certificate is registered already, for another caller".to_owned(),
            })
        }
        RegistryChange::UnknownInstitution => {
            let code = new
                .caller
                .institution
                .as_ref()
                .map_or("", InstitutionCode::as_str);
            Some(format!(
                "institution {code} is not registered; a caller of class ORGANIZATION registers institutions, so \
                 register that one first"
            ))
        }
        other => Some(format!("the store refuses the caller: {other:?}")),
    })
}

/// Parses everything and reports everything that is wrong.
fn new_caller(args: &RegisterArgs, trust_domain: &str) -> Result<NewCaller, Problem> {
    let mut problems = Vec::new();
    let id = keep(
        &mut problems,
        "--id",
        CallerId::parse(&args.id).map_err(explain),
    );
    let class = args.class.to_ascii_uppercase().parse::<CallerClass>();
    let class = keep(&mut problems, "--class", class.map_err(explain));
    let name = DisplayText::parse(&args.display_name, DISPLAY_NAME_CHARS).map_err(explain);
    let name = keep(&mut problems, "--display-name", name);
    let institution = args
        .institution
        .as_deref()
        .map(InstitutionCode::parse)
        .transpose();
    let institution = keep(&mut problems, "--institution", institution.map_err(explain));
    if let (Some(class), Some(institution)) = (class, &institution)
        && class.needs_institution() != institution.is_some()
    {
        problems.push(match institution {
            None => format!("--institution: a caller of class {class} needs one"),
            Some(_) => format!("--institution: a caller of class {class} has none"),
        });
    }
    let fingerprint = match (&args.certificate, &args.fingerprint) {
        (Some(path), _) => of_certificate(path, trust_domain, &args.id),
        (None, text) => of_text(text.as_deref().unwrap_or_default()),
    };
    let flag = if args.certificate.is_some() {
        "--certificate"
    } else {
        "--fingerprint"
    };
    let fingerprint = keep(&mut problems, flag, fingerprint);
    match (id, class, institution, name, fingerprint) {
        (Some(id), Some(class), Some(institution), Some(name), Some(fingerprint))
            if problems.is_empty() =>
        {
            Ok(NewCaller {
                caller: Caller {
                    id,
                    class,
                    institution,
                },
                display_name: name.as_str().to_owned(),
                state: CallerState::Active,
                fingerprint,
            })
        }
        _ => Err(Problem::Usage(problems)),
    }
}

fn keep<T>(problems: &mut Vec<String>, flag: &str, parsed: Result<T, String>) -> Option<T> {
    parsed
        .map_err(|text| problems.push(format!("{flag}: {text}")))
        .ok()
}

fn explain(reason: Reason) -> String {
    reason.message_en().to_owned()
}

fn of_text(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    match digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(digits.to_ascii_lowercase()),
        false => Err("must be 64 hexadecimal digits".to_owned()),
    }
}

/// The fingerprint of a certificate that names the caller: with another name the service would never let it in.
fn of_certificate(path: &Path, trust_domain: &str, id: &str) -> Result<String, String> {
    let at = path.display();
    let der = CertificateDer::from_pem_file(path)
        .map_err(|_| format!("{at} holds no certificate in PEM that can be read"))?;
    let certificate =
        Certificate::from_der(&der).map_err(|_| format!("{at} holds no certificate"))?;
    let names = match certificate.tbs_certificate.get::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0,
        _ => Vec::new(),
    };
    let uris: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
            _ => None,
        })
        .collect();
    let expected = format!("spiffe://{trust_domain}/caller/{id}");
    if uris != [expected.as_str()] {
        let found = if uris.is_empty() {
            "nobody".to_owned()
        } else {
            uris.join(", ")
        };
        return Err(format!(
            "{at} names {found}; it must name exactly {expected}"
        ));
    }
    let fingerprint = digest(&SHA256, &der);
    Ok(fingerprint
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

const COLUMNS: &[Column] = &[
    ("ID", "/caller_id"),
    ("CLASS", "/class"),
    ("STATE", "/state"),
    ("INSTITUTION", "/institution_code"),
    ("NAME", "/display_name"),
    ("ACTIVE CERTIFICATES", "/active_fingerprints"),
];

async fn list(args: &ListArgs, output: Output) -> Result<Exit, Problem> {
    let store = args.config.store().await?;
    let snapshot = store.snapshot().await;
    store.close().await;
    let snapshot = snapshot?;
    let mut callers: Vec<_> = snapshot.callers.values().collect();
    callers.sort_by(|a, b| a.caller.id.cmp(&b.caller.id));
    let callers: Vec<Value> = callers
        .iter()
        .map(|stored| {
            let active = stored
                .certificates
                .iter()
                .filter(|entry| entry.retire_time.is_none());
            let active: Vec<_> = active.map(|entry| entry.fingerprint.as_str()).collect();
            json!({
                "caller_id": stored.caller.id.as_str(),
                "class": stored.caller.class.as_str(),
                "state": stored.state.as_str(),
                "institution_code": stored.caller.institution.as_ref().map(InstitutionCode::as_str),
                "display_name": stored.display_name,
                "active_fingerprints": active,
                "create_time": stored.create_time.to_string(),
            })
        })
        .collect();
    output.list(&json!({"callers": callers}), "callers", COLUMNS);
    Ok(Exit::Ok)
}
