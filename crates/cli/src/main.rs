//! The gavah command.

mod cli;
mod commands;
mod connection;
mod demo;
mod exit;
mod message;
mod offline;
mod output;
mod problem;
mod world;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::Problem;

/// Calls allocate small things by the dozen; this one gives them out cheaper than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    small_pages();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => {
            let problem = Problem::Internal(format!("no threads can be started: {error}"));
            cli.output.error(&problem);
            problem.exit().into()
        }
    }
}

/// Keeps memory in small pages. The allocator's many small pools lie far apart: in huge pages each would take two
/// megabytes to hold a few kilobytes, and validating is not faster by them.
fn small_pages() {
    // A kernel without huge pages refuses, and has none to keep away.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Help and version are answers; everything else is a wrong command line, told in the form asked for.
fn unparsed(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Whoever closed the output has read enough.
            let _ = error.print();
            Exit::Ok.into()
        }
        _ if wants_json(std::env::args()) => {
            let text = error.render().to_string();
            let text = text.trim().trim_start_matches("error: ");
            Output::Json.error(&Problem::usage(text));
            Exit::Usage.into()
        }
        _ => {
            let _ = error.print();
            Exit::Usage.into()
        }
    }
}

/// Whether a command line that cannot be parsed asks for JSON.
fn wants_json(arguments: impl Iterator<Item = String>) -> bool {
    let arguments: Vec<_> = arguments.collect();
    arguments.iter().any(|argument| argument == "--output=json")
        || arguments
            .windows(2)
            .any(|pair| pair == ["--output", "json"])
}
