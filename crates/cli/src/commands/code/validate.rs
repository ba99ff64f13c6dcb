//! `gavah code validate`

use std::io::{self, BufRead};

use clap::Args;
use gavah_api::v1 as pb;
use gavah_domain::ValidityCode;
use serde_json::{Value, json};

use crate::commands::person::SubjectClaim;
use crate::connection::{Connection, Session};
use crate::exit::Exit;
use crate::message;
use crate::output::{Output, line};
use crate::problem::Problem;

/// Questions in one call, at most.
const BATCH: usize = 1000;

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Codes as they are printed: spaces, dashes and Persian digits are accepted. A dash alone stands for one code a
    /// line on standard input; codes given there do not show in the list of processes
    #[arg(value_name = "CODE", required = true)]
    codes: Vec<String>,
    /// Only ask whether the code is good; of the document no more is told than what it is and until when it holds
    #[arg(long)]
    status_only: bool,
    #[command(flatten)]
    claim: SubjectClaim,
    #[command(flatten)]
    connection: Connection,
}

/// A question with its answer.
struct Answered {
    code: String,
    verdict: pb::Verdict,
}

pub(crate) async fn run(args: &ValidateArgs, output: Output) -> Result<Exit, Problem> {
    let claim = args.claim.read()?;
    let purpose = match args.status_only {
        true => pb::AskingPurpose::StatusCheck,
        false => pb::AskingPurpose::DocumentCheck,
    };
    let reads_lines = args.codes.iter().any(|code| code == "-");
    let codes = all_codes(&args.codes)?;
    let session = args.connection.open().await?;
    let exit;
    match &codes[..] {
        [] => return Err(Problem::usage("standard input holds no code")),
        [code] if !reads_lines => {
            let (answered, trace_id) = one(&session, code, claim, purpose).await?;
            exit = of(&[&answered]);
            match output {
                Output::Json => {
                    let mut result = told(&answered)?;
                    result["trace_id"] = json!(trace_id);
                    output.show(&result);
                }
                Output::Table => show(&answered)?,
            }
        }
        codes => {
            let mut answers = Vec::with_capacity(codes.len());
            for batch in codes.chunks(BATCH) {
                answers.extend(many(&session, batch, claim.as_ref(), purpose).await?);
            }
            exit = of(&answers.iter().collect::<Vec<_>>());
            match output {
                Output::Json => {
                    let verdicts = answers.iter().map(told).collect::<Result<Vec<_>, _>>()?;
                    output.show(&json!({"verdicts": verdicts}));
                }
                Output::Table => answers.iter().try_for_each(show_line)?,
            }
        }
    }
    Ok(exit)
}

fn all_codes(given: &[String]) -> Result<Vec<String>, Problem> {
    let mut codes = Vec::new();
    for code in given {
        if code != "-" {
            codes.push(code.clone());
            continue;
        }
        for line in io::stdin().lock().lines() {
            let line =
                line.map_err(|error| Problem::usage(format_args!("standard input: {error}")))?;
            if !line.trim().is_empty() {
                codes.push(line);
            }
        }
    }
    Ok(codes)
}

async fn one(
    session: &Session,
    code: &str,
    claim: Option<pb::PersonId>,
    purpose: pb::AskingPurpose,
) -> Result<(Answered, Option<String>), Problem> {
    let request = pb::ValidateCodeRequest {
        purpose: purpose.into(),
        code: code.to_owned(),
        subject_claim: claim,
    };
    let reply = session
        .read(request, |channel, request| async move {
            channel.validation().validate_code(request).await
        })
        .await?;
    let trace_id = reply.trace_id().map(str::to_owned);
    let answered = Answered {
        code: code.to_owned(),
        verdict: reply.into_message().verdict.unwrap_or_default(),
    };
    Ok((answered, trace_id))
}

async fn many(
    session: &Session,
    codes: &[String],
    claim: Option<&pb::PersonId>,
    purpose: pb::AskingPurpose,
) -> Result<Vec<Answered>, Problem> {
    let requests = codes.iter().map(|code| pb::ValidateCodeRequest {
        purpose: purpose.into(),
        code: code.clone(),
        subject_claim: claim.cloned(),
    });
    let request = pb::BatchValidateCodesRequest {
        requests: requests.collect(),
    };
    let reply = session
        .read(request, |channel, request| async move {
            channel.validation().batch_validate_codes(request).await
        })
        .await?;
    let verdicts = reply.into_message().verdicts;
    if verdicts.len() != codes.len() {
        return Err(Problem::Internal(
            "the service did not answer every question".to_owned(),
        ));
    }
    let answered = |(code, verdict): (&String, pb::Verdict)| Answered {
        code: code.clone(),
        verdict,
    };
    Ok(codes.iter().zip(verdicts).map(answered).collect())
}

/// Not valid weighs more than not known.
fn of(answers: &[&Answered]) -> Exit {
    let any = |outcome| {
        answers
            .iter()
            .any(|answered| answered.verdict.outcome() == outcome)
    };
    if any(pb::Outcome::NotValid) || any(pb::Outcome::Unspecified) {
        Exit::Negative
    } else if any(pb::Outcome::Undetermined) {
        Exit::Unavailable
    } else {
        Exit::Ok
    }
}

fn told(answered: &Answered) -> Result<Value, Problem> {
    Ok(json!({
        "code": ValidityCode::parse(&answered.code)
            .map_or_else(|_| answered.code.clone(), |code| code.as_str().to_owned()),
        "verdict": message::to_json(&answered.verdict)?,
    }))
}

/// The code in five groups of four, or as it was typed.
fn grouped(code: &str) -> String {
    ValidityCode::parse(code).map_or_else(|_| code.trim().to_owned(), |code| code.grouped())
}

fn show(answered: &Answered) -> Result<(), Problem> {
    show_line(answered)?;
    line(&format!("  {}", answered.verdict.explanation_en));
    line(&format!("  {}", answered.verdict.explanation_fa));
    Output::Table.show(&message::to_json(&pb::Verdict {
        explanation_en: String::new(),
        explanation_fa: String::new(),
        ..answered.verdict.clone()
    })?);
    Ok(())
}

fn show_line(answered: &Answered) -> Result<(), Problem> {
    let verdict = message::to_json(&answered.verdict)?;
    let word = |name: &str| verdict[name].as_str().unwrap_or("?").to_owned();
    line(&format!(
        "{}  {} {}",
        grouped(&answered.code),
        word("outcome"),
        word("reason")
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(outcome: pb::Outcome) -> Answered {
        Answered {
            code: "12345678901234567888".to_owned(),
            verdict: pb::Verdict {
                outcome: outcome.into(),
                ..pb::Verdict::default()
            },
        }
    }

    #[test]
    fn one_code_that_is_not_valid_decides_the_exit_code() {
        let [valid, invalid, unknown] = [
            pb::Outcome::Valid,
            pb::Outcome::NotValid,
            pb::Outcome::Undetermined,
        ]
        .map(answered);
        assert_eq!(of(&[&valid, &valid]), Exit::Ok);
        assert_eq!(of(&[&valid, &unknown]), Exit::Unavailable);
        assert_eq!(of(&[&unknown, &invalid, &valid]), Exit::Negative);
    }

    #[test]
    fn a_code_is_shown_in_groups_and_rubbish_as_typed() {
        assert_eq!(grouped("۱۲۳۴۵۶۷۸۹۰۱۲۳۴۵۶۷۸۸۸"), "1234 5678 9012 3456 7888");
        assert_eq!(grouped(" 12-ab "), "12-ab");
    }
}
