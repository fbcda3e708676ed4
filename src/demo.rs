//! The demo: the platform's stand-in, the merchant's server and a kiosk, all on loopback, with nothing made up between
//! them: real HTTP, real signed notifications, a real database.
//!
//! It opens a small [`World`] and lets a person play in it, or plays one sale by itself ([`unattended`]).

mod gallery;
pub mod unattended;
mod world;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Parser;

use crate::cli::{self, Failure};
use crate::http;
use crate::money::Fen;

pub use world::World;

/// A whole vending sale on this machine: kiosk, merchant's server, and a stand-in for the payment platform
#[derive(Parser, Clone, Debug)]
#[command(version)]
pub struct Arguments {
    /// The address to listen on; with one of your network's a real phone can scan the code and press Pay
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub listen: IpAddr,
    /// Where to keep the data; a temporary directory by default
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Play one sale of this amount in yuan by itself, and end
    #[arg(long, value_name = "YUAN")]
    pub sale: Option<String>,
    /// With --sale: write each screen as DIR/NN-name.png
    #[arg(long, value_name = "DIR", requires = "sale")]
    pub screens: Option<PathBuf>,
    /// With --sale: press the regenerate key once before paying
    #[arg(long, requires = "sale")]
    pub regenerate: bool,
    /// With --sale: do not pay; the countdown ends and nothing comes out
    #[arg(long, requires = "sale")]
    pub never_pay: bool,
    /// How long a code can be paid, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub expire: u64,
    /// What to log on stderr: a level (info), or parts (kiosk=debug,merchant=warn)
    #[arg(long = "log", value_name = "FILTER", default_value = "error")]
    pub log: String,
}

/// Runs the demo.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    cli::init_log(&arguments.log)?;
    if arguments.listen.is_unspecified() {
        let why = anyhow::anyhow!(
            "--listen {}: name one address of this machine, so that a phone can find it",
            arguments.listen
        );
        return Err(Failure::Unusable(why));
    }
    let sale = arguments.sale.as_deref().map(|text| {
        Fen::from_yuan(text)
            .map_err(|error| Failure::Unusable(anyhow::anyhow!("--sale {text}: {error}")))
    });
    match sale.transpose()? {
        None => attended(&arguments),
        Some(total) => unattended::run(&arguments, total),
    }
}

/// A person plays.
fn attended(arguments: &Arguments) -> Result<(), Failure> {
    let world = World::open(arguments, None)?;
    println!(
        "A whole sale on your desk. Open the kiosk, type 3.50 and #, open the phone, pay.\n\n  \
         kiosk    {}\n  phone    {}\n  console  {}  (password {})\n\nCtrl-C ends it.",
        world.kiosk_url(),
        world.phone_url(),
        world.console_url(),
        world.password()
    );
    world.run(Box::new(crate::kiosk::log_witness), http::asked_to_end())?;
    Ok(())
}
