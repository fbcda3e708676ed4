//! `paysim`: the platform's stand-in, for development and tests. No money moves.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use selpay_kiosk::cli::{self, Failure, Log};
use selpay_kiosk::paysim::{self, Config};
use selpay_kiosk::{files, http};

/// A stand-in for selpay and the paying customer; no money moves
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 is any free one. Prints `listening on ADDR` once it is ready
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Where the merchant takes notifications
    #[arg(long, value_name = "URL")]
    notify_url: String,
    /// A file with the key that signs the notifications
    #[arg(long, value_name = "FILE")]
    sign_key_file: PathBuf,
    /// The only appKey that may add orders; by default any
    #[arg(long, value_name = "KEY")]
    app_key: Option<String>,
    /// What a scanUrl begins with; by default http:// and the address
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The merchant's number in the notifications
    #[arg(long, value_name = "ID", default_value = "7551000001")]
    mch_id: String,
    /// Divides the waits between the attempts of a notification
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    speed: f64,
    /// Answer AddOrderInfo in another harmless spelling each time
    #[arg(long)]
    variations: bool,
    #[command(flatten)]
    log: Log,
}

fn main() -> ExitCode {
    cli::main(|arguments: Arguments| arguments.log.init().and_then(|()| run(arguments)))
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let config = Config {
        sign_key: files::read_secret(&arguments.sign_key_file)?,
        notify_url: arguments.notify_url,
        app_key: arguments.app_key,
        public_url: arguments.public_url,
        mch_id: arguments.mch_id,
        speed: arguments.speed,
        varies: arguments.variations,
    };
    let unusable = |error| Failure::Unusable(anyhow::anyhow!("--{error}"));
    config.check().map_err(unusable)?;
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen).with_context(|| format!("--listen {listen}"))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(async {
        let mut ended = Box::pin(http::asked_to_end());
        // Its first poll listens for signals: only then may anybody hear of us.
        tokio::select! {
            biased;
            () = &mut ended => return Ok(()),
            announced = async { cli::print(&format!("listening on {}", listener.local_addr()?)) } => announced?,
        }
        paysim::serve(listener, config, ended).await
    });
    // A merchant who has not answered yet must not hold us.
    runtime.shutdown_background();
    Ok(served?)
}
