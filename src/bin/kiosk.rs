//! `kiosk`: the device.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::{Parser, Subcommand};
use selpay_kiosk::cli::{self, Failure, Log};
use selpay_kiosk::kiosk::board::Board;
use selpay_kiosk::kiosk::board::file::BoardFile;
use selpay_kiosk::kiosk::config::Config;
use selpay_kiosk::kiosk::{Kiosk, log_witness};
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
}

fn main() -> ExitCode {
    cli::main(|arguments: Arguments| {
        arguments.log.init()?;
        match arguments.command {
            Command::Run { config } => run(&Config::load(&config)?),
        }
    })
}

fn run(config: &Config) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let board = BoardFile::load(&config.board)?;
    let mut board = Board::open(&board).with_context(|| config.board.display().to_string())?;
    Kiosk::open(config, &board)?.run(
        &mut board,
        &|| stop.load(Ordering::Relaxed),
        &mut log_witness,
    );
    Ok(())
}
