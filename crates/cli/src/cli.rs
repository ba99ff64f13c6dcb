//! The command line: commands and global flags. Each command's own flags stand beside its code.

use clap::{Parser, Subcommand};

use crate::commands::{
    agreement, attachment, audit, bench, calendar, call, caller, certificate, changes,
    check_config, code, dispute, guide, incident, inquiry, issuance, keys, migrate, payment, pki,
    record, sandbox, seed, serve, service_document, sla, tariff, whoami,
};
use crate::demo::{self, DemoArgs};
use crate::exit::{EXIT_CODES, Exit};
use crate::output::Output;
use crate::problem::Problem;

/// Gavah (گواه): issues validity codes and enrollment certificates, and tells whether one is good.
#[derive(Debug, Parser)]
#[command(name = "gavah", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// How results are printed
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        help_heading = "Global options"
    )]
    pub(crate) output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole service at work on this machine, from nothing
    Demo(DemoArgs),
    #[command(flatten)]
    Task(Box<Task>),
}

/// Every command but the demo, which tells a story instead of giving a result.
#[derive(Debug, Subcommand)]
enum Task {
    /// Serve until SIGTERM or SIGINT, then drain
    Serve(serve::ServeArgs),
    /// Make the database, or bring its schema up to date
    Migrate(migrate::MigrateArgs),
    /// Load terms, workflows, calls, agreements and tariffs from a file
    Seed(seed::SeedArgs),
    /// Check a configuration and everything it names, without serving
    CheckConfig(check_config::CheckConfigArgs),
    /// Make the service's own key files
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Register and list callers without the service: the first caller has nobody else to register it
    #[command(subcommand)]
    Caller(caller::CallerCommand),
    /// Development PKI, never for production: an authority in a folder, its key unencrypted
    #[command(subcommand)]
    Pki(pki::PkiCommand),
    /// Ask the service who you are and what you may call
    Whoami(whoami::WhoamiArgs),
    /// Validity codes (کد صحت)
    #[command(subcommand)]
    Code(code::CodeCommand),
    /// Enrollment certificates (گواهی اشتغال به تحصیل)
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// Documents by which the services are provided
    #[command(subcommand)]
    Document(service_document::DocumentCommand),
    /// Read the guide of a service: its fields, their types, rules and meaning
    Guide(guide::GuideArgs),
    /// Files that come with applications
    #[command(subcommand)]
    Attachment(attachment::AttachmentCommand),
    /// Enrollment records
    #[command(subcommand)]
    Record(record::RecordCommand),
    /// What has happened to what you may see
    #[command(subcommand)]
    Changes(changes::ChangesCommand),
    /// Service calls (فراخوان): when, to whom and by which workflow a service is offered
    #[command(subcommand)]
    Call(call::CallCommand),
    /// Agreements (توافق‌نامه): who may use a service, for what and how often
    #[command(subcommand)]
    Agreement(agreement::AgreementCommand),
    /// Disputes: a month of negotiation, then the provider's ruling
    #[command(subcommand)]
    Dispute(dispute::DisputeCommand),
    /// What is on record of a person
    #[command(subcommand)]
    Inquiry(inquiry::InquiryCommand),
    /// What only a sandbox can do
    #[command(subcommand)]
    Sandbox(sandbox::SandboxCommand),
    /// Working calendars: weekends, holidays and hours by which service levels are measured
    #[command(subcommand)]
    Calendar(calendar::CalendarCommand),
    /// Service levels: how promises are kept
    #[command(subcommand)]
    Sla(sla::SlaCommand),
    /// What the services cost: tables of the budget years, and quotes
    #[command(subcommand)]
    Tariff(tariff::TariffCommand),
    /// Payments (پرداخت) of fees at the gateway
    #[command(subcommand)]
    Payment(payment::PaymentCommand),
    /// Pausing the issuing of documents
    #[command(subcommand)]
    Issuance(issuance::IssuanceCommand),
    /// Revoking many documents as one incident
    #[command(subcommand)]
    Incident(incident::IncidentCommand),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Measure what calls cost, against servers that do nothing but answer
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

impl Cli {
    /// Runs the command.
    pub(crate) async fn run(self) -> std::process::ExitCode {
        let output = self.output;
        let result = match self.command {
            Command::Demo(args) => return demo::run(&args, output).await,
            Command::Task(task) => task.run(output).await,
        };
        let exit = result.unwrap_or_else(|problem| {
            output.error(&problem);
            problem.exit()
        });
        exit.into()
    }
}

impl Task {
    async fn run(self, output: Output) -> Result<Exit, Problem> {
        match self {
            Self::Serve(args) => serve::run(&args).await,
            Self::Migrate(args) => migrate::run(&args, output).await,
            Self::Seed(args) => seed::run(&args, output).await,
            Self::CheckConfig(args) => check_config::run(&args, output).await,
            Self::Keys(command) => keys::run(&command, output),
            Self::Caller(command) => caller::run(&command, output).await,
            Self::Pki(command) => pki::run(&command, output),
            Self::Whoami(args) => whoami::run(&args, output).await,
            Self::Code(command) => code::run(&command, output).await,
            Self::Certificate(command) => certificate::run(&command, output).await,
            Self::Document(command) => service_document::run(&command, output).await,
            Self::Guide(args) => guide::run(&args, output).await,
            Self::Attachment(command) => attachment::run(&command, output).await,
            Self::Record(command) => record::run(&command, output).await,
            Self::Changes(command) => changes::run(&command, output).await,
            Self::Call(command) => call::run(&command, output).await,
            Self::Agreement(command) => agreement::run(&command, output).await,
            Self::Dispute(command) => dispute::run(&command, output).await,
            Self::Inquiry(command) => inquiry::run(&command, output).await,
            Self::Sandbox(command) => sandbox::run(&command, output).await,
            Self::Payment(command) => payment::run(&command, output).await,
            Self::Calendar(command) => calendar::run(&command, output).await,
            Self::Sla(command) => sla::run(&command, output).await,
            Self::Tariff(command) => tariff::run(&command, output).await,
            Self::Issuance(command) => issuance::run(&command, output).await,
            Self::Incident(command) => incident::run(&command, output).await,
            Self::Audit(command) => audit::run(&command, output).await,
            Self::Bench(command) => bench::run(&command, output).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_flag_has_a_help_text() {
        fn visit(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path}");
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{path}: {}",
                    argument.get_id()
                );
            }
            for command in command.get_subcommands() {
                visit(command, &path);
            }
        }
        visit(&Cli::command(), "");
    }

    #[test]
    fn the_exit_codes_stand_in_the_help() {
        let help = Cli::command().render_help().to_string();
        for code in [
            "0  done",
            "1  refused",
            "2  the command line",
            "3  nobody",
            "4  a fault",
        ] {
            assert!(help.contains(code), "{code}");
        }
    }
}
