//! `demo`: what `cargo run` starts.

use std::process::ExitCode;

use selpay_kiosk::{cli, demo};

fn main() -> ExitCode {
    cli::main(demo::run)
}
