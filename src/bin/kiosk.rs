//! `kiosk`: the device.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, atomic};

use clap::{Parser, Subcommand};
use selpay_kiosk::cli::{self, Failure, Log};
use selpay_kiosk::kiosk::commands::{self, Trial};
use signal_hook::consts::{SIGINT, SIGTERM};

/// A vending kiosk that takes WeChat and Alipay payments through selpay
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
    /// Run the kiosk until SIGTERM or SIGINT
    Run {
        /// kiosk.toml
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Look at configuration, board, devices and network; say what is wrong and how to mend it
    Check {
        /// kiosk.toml
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Write every screen of a board as a PNG file
    Screens {
        /// The board file
        #[arg(long, value_name = "FILE")]
        board: PathBuf,
        /// Where to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Try one thing: a test picture, an echo of the keys, one pulse, one order at the platform
    Try(Trial),
}

fn main() -> ExitCode {
    cli::main(|arguments: Arguments| {
        arguments.log.init_without_thread()?;
        let stop = Arc::new(atomic::AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        run(arguments.command, move || {
            stop.load(atomic::Ordering::Relaxed)
        })
    })
}

fn run(command: Command, stop: impl Fn() -> bool + 'static) -> Result<(), Failure> {
    match command {
        Command::Run { config } => commands::run(&config, Box::new(stop)),
        Command::Check { config } => commands::check(&config),
        Command::Screens { board, out } => commands::screens(&board, &out),
        Command::Try(trial) => commands::try_out(&trial, &stop),
    }
}
