//! `merchant`: the merchant's server, and its books on the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use selpay_kiosk::cli::{self, Failure, Log};
use selpay_kiosk::merchant::commands::{
    self, Backup, Balance, ConfigFile, Console, Kiosk, Quarantine, Reconcile, Refunds, Restored,
    Reviews, Verify,
};

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
    Balance(Balance),
    /// Make, revoke and list the kiosks' tokens
    #[command(subcommand)]
    Kiosk(Kiosk),
    /// Make a way into the console for who sits at the machine
    #[command(subcommand)]
    Console(Console),
    /// Hold the platform's bill against the books; exit status 1 if somebody's are wrong
    Reconcile(Reconcile),
    /// List, show and judge again the notifications that were refused
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Copy the books into a new file while the server runs (SQLite)
    Backup(Backup),
    /// Note that the books were put back from a copy: what they cannot know goes to review
    Restored(Restored),
    /// Print what the console's password file should hold, for the password on standard input
    Password,
    /// Read a captured message: its fields, what is signed, and whether the signature is right
    Verify(Verify),
}

fn main() -> ExitCode {
    cli::main(|arguments: Arguments| {
        arguments.log.init()?;
        let (text, good) = match arguments.command {
            Command::Serve(file) => return commands::serve(&file.config),
            Command::Quarantine(command) => return commands::quarantine(&command),
            Command::Refunds(arguments) => (commands::refunds(&arguments)?, true),
            Command::Reviews(arguments) => (commands::reviews(&arguments)?, true),
            Command::Balance(arguments) => commands::balance(&arguments)?,
            Command::Kiosk(command) => (commands::kiosk(&command)?, true),
            Command::Console(command) => (commands::console(&command)?, true),
            Command::Reconcile(arguments) => commands::reconcile(&arguments)?,
            Command::Backup(arguments) => (commands::backup(&arguments)?, true),
            Command::Restored(arguments) => (commands::restored(&arguments)?, true),
            Command::Password => (commands::password()?, true),
            Command::Verify(arguments) => commands::verify(&arguments)?,
        };
        cli::print(&text)?;
        let failed = || Failure::Failed(anyhow::anyhow!("the check failed"));
        good.then_some(()).ok_or_else(failed)
    })
}
