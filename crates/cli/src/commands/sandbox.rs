//! `gavah sandbox`

use clap::{Args, Subcommand};
use gavah_api::v1 as pb;
use serde_json::json;

use crate::connection::{Connection, Write, answer};
use crate::exit::Exit;
use crate::message;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// Show the time that the service goes by, or move it: forward, on all nodes, for good
    Clock(ClockArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ClockArgs {
    /// How far to move it: 72h, 3days, 1month, or several with + between them
    #[arg(long, value_name = "STEP", conflicts_with = "to", value_parser = step)]
    advance: Option<Step>,
    /// To the beginning of this Jalali day in Tehran
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
    #[command(flatten)]
    write: Write,
    #[command(flatten)]
    connection: Connection,
}

/// How far: Jalali months, and then seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Step {
    months: i32,
    seconds: i64,
}

/// Reads `1month+12h`.
fn step(text: &str) -> Result<Step, String> {
    let wrong =
        || "must be as 72h, 90min, 3days or 1month, or several with + between them".to_owned();
    let mut step = Step::default();
    for part in text.split('+') {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = part.split_at(digits);
        let number: u32 = number.parse().map_err(|_| wrong())?;
        let seconds = match unit {
            "month" | "months" => {
                let months = i32::try_from(number).map_err(|_| wrong())?;
                step.months = step.months.checked_add(months).ok_or_else(wrong)?;
                continue;
            }
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            "d" | "day" | "days" => 86_400,
            _ => return Err(wrong()),
        };
        step.seconds += i64::from(number) * seconds;
    }
    Ok(step)
}

pub(crate) async fn run(command: &SandboxCommand, output: Output) -> Result<Exit, Problem> {
    let SandboxCommand::Clock(args) = command;
    if args.advance.is_none() && args.to.is_none() {
        let session = args.connection.open().await?;
        let reply = session
            .read(pb::GetClockRequest {}, |channel, request| async move {
                channel.sandbox().get_clock(request).await
            })
            .await?;
        output.show(&answer(&reply)?);
        return Ok(Exit::Ok);
    }
    let step = args.advance.unwrap_or_default();
    let request_id = args.write.request_id("")?;
    let asked = json!({
        "validate_only": args.write.validate_only,
        "to_date": args.to,
    });
    let request = pb::MoveClockRequest {
        request_id: request_id.to_string(),
        advance_months: step.months,
        advance_seconds: step.seconds,
        ..message::request("the arguments", &asked)?
    };
    args.connection
        .write(output, request_id, request, |channel, request| async move {
            channel.sandbox().move_clock(request).await
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_names_its_units() {
        let of = |months, seconds| Ok(Step { months, seconds });
        for (text, expected) in [
            ("72h", of(0, 259_200)),
            ("90min", of(0, 5400)),
            ("1month", of(1, 0)),
            ("2months+1d+1s", of(2, 86_401)),
        ] {
            assert_eq!(step(text), expected, "{text}");
        }
        for text in ["", "72", "h", "-1h", "1year", "1h+", "99999999999s", "1 h"] {
            assert!(step(text).is_err(), "{text}");
        }
    }
}
