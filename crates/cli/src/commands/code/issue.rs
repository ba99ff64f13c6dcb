//! `gavah code issue`

use std::path::{Path, PathBuf};

use clap::Args;
use gavah_api::v1 as pb;
use gavah_domain::program::{DegreeLevel, StudyMode};
use gavah_domain::validity::DocumentKind;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::class::{self, Attested, Class};
use crate::commands::one_of;
use crate::commands::person::{Identity, Name, subject};
use crate::commands::table;
use crate::connection::{Connection, Write};
use crate::exit::Exit;
use crate::message;
use crate::offline;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Args)]
#[command(after_long_help = format!(
    "A whole class: --file class.csv issues a code for each row in one run. Its columns, each at most once, in any order: \
     {}. A line of a .jsonl file is an IssueValidityCodeRequest with the field names of the contract. --expert, \
     --statement-version and --attest-time hold for the rows that do not say it themselves.\n\nThe outcome of each row \
     goes to the result file, which holds the codes and is for its owner only. When the run is cut off, by whatever, the \
     same command goes on where it was: FILE.run.json, beside the file, is what makes it the same run. Rows that were \
     refused are asked for again.", class::column_names()
))]
pub(crate) struct IssueArgs {
    /// The whole request as JSON, with the field names of the contract, instead of the flags below; or a class, .csv with
    /// a heading (see --help) or .jsonl
    #[arg(long, value_name = "REQUEST.json|CLASS.csv")]
    file: Option<PathBuf>,
    /// With a class: where the outcome of each row goes [default: FILE.result.csv]
    #[arg(long, value_name = "FILE", requires = "file")]
    result: Option<PathBuf>,
    #[command(flatten)]
    identity: Identity,
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    program: Program,
    #[command(flatten)]
    document: Document,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Programme")]
struct Program {
    /// Institution code
    #[arg(
        long,
        value_name = "CODE",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    institution: Option<String>,
    /// Student number at that institution
    #[arg(
        long,
        value_name = "DIGITS",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    student_number: Option<String>,
    /// Degree level
    #[arg(long, value_parser = one_of::<DegreeLevel>(), ignore_case = true, required_unless_present = "file", conflicts_with = "file")]
    level: Option<String>,
    /// Code of the field of study
    #[arg(
        long,
        value_name = "CODE",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    field_code: Option<String>,
    /// Persian title of the field of study
    #[arg(
        long,
        value_name = "TITLE",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    field_title_fa: Option<String>,
    /// English title of the field of study
    #[arg(long, value_name = "TITLE", conflicts_with = "file")]
    field_title_en: Option<String>,
    /// Study mode
    #[arg(long, value_parser = one_of::<StudyMode>(), ignore_case = true, required_unless_present = "file", conflicts_with = "file")]
    mode: Option<String>,
    /// Term of entry: academic year and 1 (first), 2 (second) or 3 (summer)
    #[arg(
        long,
        value_name = "1404-1",
        required_unless_present = "file",
        conflicts_with = "file"
    )]
    entry_term: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Document and attestation")]
struct Document {
    /// Kind of document
    #[arg(long, value_parser = one_of::<DocumentKind>(), ignore_case = true, required_unless_present = "file", conflicts_with = "file")]
    kind: Option<String>,
    /// Number of the document on paper
    #[arg(long, value_name = "NUMBER", conflicts_with = "file")]
    document_number: Option<String>,
    /// Proof of a previous level by its own validity code; may be repeated
    #[arg(long, value_name = "LEVEL:CODE", conflicts_with = "file")]
    prior: Vec<String>,
    /// A second major of the same level is declared
    #[arg(long, conflicts_with = "file")]
    double_major: bool,
    /// The caller's own reference
    #[arg(long, value_name = "REF", conflicts_with = "file")]
    external_ref: Option<String>,
    /// The expert who attests: code at the institution, or resource name
    #[arg(long, value_name = "EXPERT", required_unless_present = "file")]
    expert: Option<String>,
    /// Version of the statement the expert agreed to
    #[arg(long, value_name = "VERSION", required_unless_present = "file")]
    statement_version: Option<String>,
    /// When the expert made the statement [default: now]
    #[arg(long, value_name = "INSTANT")]
    attest_time: Option<Timestamp>,
}

pub(crate) async fn run(args: &IssueArgs, output: Output) -> Result<Exit, Problem> {
    if let Some(file) = args.file.as_deref() {
        if table::is_table(file) {
            return issue_class(args, file, output).await;
        }
        only_with_a_class(args)?;
    }
    let (mut request, attest_time) = match &args.file {
        Some(path) => {
            let source = path.display().to_string();
            let value: Value = serde_json::from_str(&offline::read(path)?)
                .map_err(|error| Problem::usage(format_args!("{source}: {error}")))?;
            (
                message::request::<pb::IssueValidityCodeRequest>(&source, &value)?,
                None,
            )
        }
        None => {
            let attest_time = args
                .write
                .instant("--attest-time", args.document.attest_time)?;
            (
                message::request("the arguments", &from_flags(args, attest_time))?,
                Some(attest_time),
            )
        }
    };
    let beside = attest_time.map(|instant| format!(" --attest-time {instant}"));
    let request_id = args
        .write
        .request_id_of(&request.request_id, &beside.unwrap_or_default())?;
    request.request_id = request_id.to_string();
    request.validate_only |= args.write.validate_only;
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.validity_codes().issue_validity_code(request).await
        })
        .await
}

async fn issue_class(args: &IssueArgs, file: &Path, output: Output) -> Result<Exit, Problem> {
    let mut wrong = Vec::new();
    if args.write.request_id.is_some() {
        wrong.push("--request-id: a class has its own, kept beside the file".to_owned());
    }
    if args.write.validate_only {
        wrong.push(
            "--validate-only: a class is not only checked; each row has its own outcome".to_owned(),
        );
    }
    if !wrong.is_empty() {
        return Err(Problem::Usage(wrong));
    }
    let class = Class {
        file,
        result: args.result.as_ref(),
        attested: Attested {
            expert: args.document.expert.clone(),
            statement_version: args.document.statement_version.clone(),
            attest_time: args.document.attest_time.map(|instant| instant.to_string()),
        },
    };
    let session = args.connection.open().await?;
    class.issue(session.client(), output).await
}

/// A request in JSON says everything itself.
fn only_with_a_class(args: &IssueArgs) -> Result<(), Problem> {
    let given = [
        ("--result", args.result.is_some()),
        ("--expert", args.document.expert.is_some()),
        (
            "--statement-version",
            args.document.statement_version.is_some(),
        ),
        ("--attest-time", args.document.attest_time.is_some()),
    ];
    let wrong: Vec<_> = given
        .iter()
        .filter(|(_, given)| *given)
        .map(|(flag, _)| {
            format!("{flag}: not with a request in JSON, only with a class in .csv or .jsonl")
        })
        .collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Problem::Usage(wrong)),
    }
}

fn from_flags(args: &IssueArgs, attest_time: Timestamp) -> Value {
    let Program {
        institution,
        student_number,
        level,
        ..
    } = &args.program;
    let code = institution.as_deref().unwrap_or_default();
    let expert = args
        .document
        .expert
        .as_deref()
        .map(|expert| match expert.contains('/') {
            true => expert.to_owned(),
            false => format!("institutions/{code}/experts/{expert}"),
        });
    let priors: Vec<_> = args
        .document
        .prior
        .iter()
        .map(|prior| {
            let (level, code) = prior.split_once(':').unwrap_or((prior, ""));
            json!({"degree_level": level, "validity_code": code})
        })
        .collect();
    json!({
        "subject": subject(&args.identity, &args.name),
        "program": {
            "institution_code": institution,
            "student_number": student_number,
            "degree_level": level,
            "field_code": args.program.field_code,
            "field_title_fa": args.program.field_title_fa,
            "field_title_en": args.program.field_title_en,
            "study_mode": args.program.mode,
            "entry_term": args.program.entry_term,
        },
        "document_kind": args.document.kind,
        "document": args.document.document_number.as_ref().map(|number| json!({"number": number})),
        "prior_qualifications": priors,
        "double_major_declared": args.document.double_major,
        "external_ref": args.document.external_ref,
        "attestation": {
            "expert": {"expert": expert},
            "statement_version": args.document.statement_version,
            "attest_time": attest_time.to_string(),
        },
    })
}
