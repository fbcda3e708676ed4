//! `paysim`: a stand-in for the payment platform and its customers. For development and tests; no money moves.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use selpay_kiosk::cli::{self, Failure, Log};
use selpay_kiosk::{files, http, paysim};

/// A stand-in for the payment platform and its customers; no money moves
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 is any free one, and is printed
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Where notifications go
    #[arg(long, value_name = "URL")]
    notify_url: String,
    /// The key they are signed with
    #[arg(long, value_name = "FILE")]
    sign_key_file: PathBuf,
    /// The only appKey that may add orders; any by default
    #[arg(long, value_name = "KEY")]
    app_key: Option<String>,
    /// How phones reach this server; its own address by default
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The merchant's number in notifications
    #[arg(long, value_name = "ID", default_value = "7551000001")]
    mch_id: String,
    /// Divides the waits between two notifications
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    #[command(flatten)]
    log: Log,
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|speed| (1e-3..=1e6).contains(speed))
        .ok_or_else(|| "write a number, like 100".to_owned())
}

fn main() -> ExitCode {
    cli::main(|arguments: Arguments| {
        arguments.log.init()?;
        let sign_key = files::read_secret(&arguments.sign_key_file)?;
        let bound = TcpListener::bind(arguments.listen)
            .with_context(|| format!("--listen {}", arguments.listen));
        serve(arguments, sign_key, bound?)
    })
}

fn serve(arguments: Arguments, sign_key: String, listener: TcpListener) -> Result<(), Failure> {
    let Arguments {
        notify_url,
        app_key,
        public_url,
        mch_id,
        speed,
        ..
    } = arguments;
    let config = paysim::Config {
        notify_url,
        sign_key,
        app_key,
        public_url,
        mch_id,
        speed,
    };
    println!("listening on {}", listener.local_addr()?);
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(paysim::serve(listener, config, http::asked_to_end()));
    // Notifications that are still under way are given up.
    runtime.shutdown_background();
    Ok(served?)
}
