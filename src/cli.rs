//! What all programs have in common: arguments, exit status, the one line that says what went wrong, logs.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::files::Unusable;
use crate::log::{self, Lines};

/// Why a program ends without having done its work.
#[derive(Debug)]
pub enum Failure {
    /// The arguments or the configuration cannot be used: exit status 2.
    Unusable(anyhow::Error),
    /// It failed while running: exit status 1.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Failed(error.into())
    }
}

impl From<Unusable> for Failure {
    fn from(error: Unusable) -> Failure {
        Failure::Unusable(error.into())
    }
}

/// Parses the arguments and runs the program. A failure is one line on stderr.
pub fn main<A: Parser>(run: impl FnOnce(A) -> Result<(), Failure>) -> ExitCode {
    let result = match A::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            // Nothing can be done for a user whose terminal is gone.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => Err(Failure::Unusable(anyhow::anyhow!(one_line(&error)))),
    };
    log::flush();
    let (status, error) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => (1, error),
        Err(Failure::Unusable(error)) => (2, error),
    };
    eprintln!("{error:#}");
    ExitCode::from(status)
}

/// Prints what was asked for. Whoever reads it may have seen enough: `| head` is no failure.
pub fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told,
    }
}

/// clap explains itself in paragraphs; scripts want a line.
fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing; --help lists them".to_owned();
    }
    let text = error.to_string();
    let told: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:"))
        .map(str::trim)
        .collect();
    let told = told
        .iter()
        .filter(|line| !line.is_empty() && !line.starts_with("For more"))
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    told.trim_start_matches("error: ").to_owned()
}

/// Sends logs to stderr. The filter is a level (`info`) or names parts (`kiosk=debug,merchant=warn`).
pub fn init_log(filter: &str) -> Result<(), Failure> {
    start_log(filter, Lines::on_a_thread()?)
}

fn start_log(filter: &str, to: Lines) -> Result<(), Failure> {
    let targets = full_names(filter).parse::<Targets>().map_err(|error| {
        Failure::Unusable(anyhow::anyhow!(
            "--log {filter}: {error}; write info or kiosk=debug"
        ))
    })?;
    // A second call (a test, an embedding program) keeps the first one's logger.
    let _ = tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .event_format(log::Plain)
                .with_writer(to)
                .with_ansi(false),
        )
        .with(targets)
        .try_init();
    Ok(())
}

/// `kiosk=debug` means our kiosk module: users need not know the crate's name.
fn full_names(filter: &str) -> String {
    let parts = ["kiosk", "merchant", "paysim", "demo", "selpay"];
    let full = |directive: &str| match directive.split_once('=') {
        Some((part, level)) if parts.contains(&part) => format!("selpay_kiosk::{part}={level}"),
        _ => directive.to_owned(),
    };
    filter
        .split(',')
        .map(|directive| full(directive.trim()))
        .collect::<Vec<_>>()
        .join(",")
}

/// The `--log` argument, the same for every program.
#[derive(clap::Args, Debug, Clone)]
pub struct Log {
    /// What to log on stderr: a level (info), or parts (kiosk=debug,merchant=warn)
    #[arg(
        long = "log",
        value_name = "FILTER",
        default_value = "info",
        global = true
    )]
    pub filter: String,
}

impl Log {
    /// Starts logging from a thread of its own: whoever reads stderr holds nobody up.
    pub fn init(&self) -> Result<(), Failure> {
        init_log(&self.filter)
    }

    /// Starts logging without one: what stderr does not take at once is dropped.
    pub fn init_without_thread(&self) -> Result<(), Failure> {
        start_log(&self.filter, Lines::at_once())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    struct Arguments {
        #[arg(long)]
        config: String,
    }

    #[test]
    fn unusable_arguments_are_one_line() {
        let error =
            Arguments::try_parse_from(["kiosk", "--confg", "x"]).expect_err("a typing mistake");
        let line = one_line(&error);
        assert!(
            line.starts_with("unexpected argument '--confg' found"),
            "{line}"
        );
        assert!(!line.contains('\n'));
        let line =
            one_line(&Arguments::try_parse_from(["kiosk"]).expect_err("an argument is missing"));
        assert!(line.contains("--config <CONFIG>"), "{line}");
    }

    #[test]
    fn a_log_filter_names_parts_as_users_know_them() {
        assert_eq!(full_names("info"), "info");
        assert_eq!(
            full_names("warn,kiosk=debug"),
            "warn,selpay_kiosk::kiosk=debug"
        );
    }
}
