//! `merchant`: the merchant's server, and its books on the command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use selpay_kiosk::cli::{self, Failure, Log};
use selpay_kiosk::merchant::commands::{self, Backup, Books, Kiosk, Reconcile, Refunds, Reviews};

/// The merchant's server: registers sales, believes only signed notifications, keeps the books
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: Log,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server; prints `listening on ADDR` once it is ready
    Serve(ConfigFile),
    /// List the payments whose money must go back
    Refunds(Refunds),
    /// List the payments that need a person
    Reviews(Reviews),
    /// Show where every verified fen is; exit status 1 if the equation does not hold
    Balance(Books),
    /// Make, revoke and list the kiosks' tokens
    #[command(subcommand)]
    Kiosk(Kiosk),
    /// Hold the platform's bill against the books; exit status 1 if somebody's are wrong
    Reconcile(Reconcile),
    /// Copy the books into a new file while the server runs (SQLite)
    Backup(Backup),
    /// Read a captured message: its fields, what is signed, and whether the signature is right
    Verify {
        /// The message's body
        body: PathBuf,
        /// A file with the platform's key; may be given several times
        #[arg(long = "sign-key-file", value_name = "FILE", required = true)]
        sign_key_files: Vec<PathBuf>,
    },
}

#[derive(clap::Args)]
struct ConfigFile {
    /// merchant.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    cli::main(|arguments: Arguments| {
        arguments.log.init()?;
        let (text, good) = match arguments.command {
            Command::Serve(file) => return commands::serve(&file.config),
            Command::Refunds(arguments) => (commands::refunds(&arguments)?, true),
            Command::Reviews(arguments) => (commands::reviews(&arguments)?, true),
            Command::Balance(books) => commands::balance(&books)?,
            Command::Kiosk(command) => (commands::kiosk(&command)?, true),
            Command::Reconcile(arguments) => commands::reconcile(&arguments)?,
            Command::Backup(arguments) => (commands::backup(&arguments)?, true),
            Command::Verify {
                body,
                sign_key_files,
            } => commands::verify(&body, &sign_key_files)?,
        };
        writeln!(std::io::stdout(), "{text}")?;
        if good {
            Ok(())
        } else {
            Err(Failure::Failed(anyhow::anyhow!("the check failed")))
        }
    })
}
