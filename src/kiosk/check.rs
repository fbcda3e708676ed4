//! `kiosk check`: what an installer runs first. Everything is looked at, nothing is sold, moved or changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::ids::{OrderNo, ScanUrl};
use crate::kiosk::board::file::{BoardFile, KeypadKind};
use crate::kiosk::board::gpio::GpioChip;
use crate::kiosk::board::{Devices, NotOpened};
use crate::kiosk::config::{self, Config};
use crate::kiosk::journal;
use crate::kiosk::machine::Machine;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::{Language, Screen};
use crate::kiosk::net::{MerchantClient, PlatformClient, Reached};
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::{self, Look, scan};
use crate::money::Fen;

/// A clock that is wrong by more than this many seconds will sooner or later refuse a good certificate.
const CLOCK_TOLERANCE: i64 = 120;

/// One thing that was looked at: what it is, and how it is or what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How it is; what is wrong and what to do.
    pub result: Result<String, String>,
}

/// Looks at everything, and goes on after each thing that is wrong. Tells each finding at once.
pub fn check(config: &Config, board: &BoardFile, tell: &mut dyn FnMut(Finding)) {
    let mut tell = |what, result| tell(Finding { what, result });
    for named in board.gpio_chips() {
        let chip = GpioChip::find(named.as_deref());
        tell("gpio chip", chip.map(|chip| chip.to_string()).map_err(told));
    }
    let unit = check_devices(board, &mut tell);
    tell("code", check_code(config, board));
    tell("journal", check_journal(config, unit));
    let merchant = MerchantClient::new(config).map_err(told);
    let merchant = merchant.and_then(|merchant| merchant.check());
    let platform = PlatformClient::new(config).check();
    let clock = [&merchant, &platform]
        .into_iter()
        .flatten()
        .find_map(|reached| reached.clock_ahead);
    tell(
        "merchant",
        merchant.and_then(|reached| check_merchant(config, &reached)),
    );
    tell(
        "platform",
        platform.map(|reached| format!("{} answers: {}", config.platform_url, reached.says)),
    );
    if let Some(ahead) = clock {
        tell("clock", check_clock(ahead));
    }
}

/// The device is named already.
fn cause(error: NotOpened) -> String {
    error.error.to_string()
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Opens each device and lets it go again; what the dispenser counts in, if it does.
fn check_devices(
    board: &BoardFile,
    tell: &mut dyn FnMut(&'static str, Result<String, String>),
) -> Option<Fen> {
    let mut devices = Devices::of(board);
    let panel = devices.panel().map_err(cause);
    tell("panel", panel.map(|_| board.panel.to_string()));
    let keypad = match &board.keypad {
        // It may be plugged in later, so opening it proves nothing.
        KeypadKind::Evdev(device) => devices.number_pad(device.clone()).map_err(cause),
        _ => devices
            .keypad()
            .map(|_| board.keypad.to_string())
            .map_err(cause),
    };
    tell("keypad", keypad);
    let dispenser = devices.dispenser().map_err(cause);
    let unit = dispenser
        .as_ref()
        .ok()
        .and_then(|dispenser| dispenser.unit());
    let ready = dispenser.and_then(|mut dispenser| match dispenser.is_ready() {
        true => Ok(board.dispenser.to_string()),
        false => Err(format!("{}: it is not ready", board.dispenser)),
    });
    tell("dispenser", ready);
    for (what, line) in [("buzzer", &board.buzzer), ("light", &board.light)] {
        if let Some(line) = line {
            tell(
                what,
                devices.signals().map(|_| line.to_string()).map_err(cause),
            );
        }
    }
    unit
}

/// Whether the codes of this configuration can be read off a panel of this size, in either language.
fn check_code(config: &Config, board: &BoardFile) -> Result<String, String> {
    let (width, height) = board.panel.size();
    let order = OrderNo::from_random(u128::MAX);
    let mut smallest = u32::MAX;
    for host in &config.scan_rules.hosts {
        let address = format!(
            "https://{host}/#/pages/rt/index?appKey={}&no={order}",
            config.app_key
        );
        let url = ScanUrl::new(&address).ok_or_else(|| format!("{address} is no address"))?;
        for language in [Language::Zh, Language::En] {
            let look = Look {
                language,
                legend: board.keypad.legend(),
                ..Look::default()
            };
            let pay = Screen::Pay {
                total: config.max_total,
                url,
                order,
                seconds_left: 1,
                seconds: 1,
                remark: None,
            };
            let mut frame = Frame::new(width, height);
            ui::draw(&mut frame, &pay, &look);
            let is_read = scan::read(&frame) == [address.as_str()];
            let module_px = ui::module_px(&mut frame, &url, &look).unwrap_or(0);
            if !is_read || !ui::is_readable(&mut frame, &url, &look) {
                let length = address.len();
                return Err(format!(
                    "a phone cannot read a code of {length} characters on {width} × {height}: take a larger panel"
                ));
            }
            smallest = smallest.min(module_px);
        }
    }
    Ok(format!(
        "can be read on {width} × {height}, {smallest} pixels a module"
    ))
}

/// Whether records can be written where the journal is, and whether those that are there make sense.
fn check_journal(config: &Config, unit: Option<Fen>) -> Result<String, String> {
    let path = &config.journal;
    let named = |error: io::Error| format!("{}: {error}; {}", path.display(), WHO_WRITES);
    if !path.exists() {
        write_beside(path).map_err(named)?;
        return Ok(format!(
            "{} can be written; there is none yet",
            path.display()
        ));
    }
    File::options().append(true).open(path).map_err(named)?;
    let records = journal::read(path).map_err(|error| format!("{}: {error:#}", path.display()))?;
    let count = records.len();
    let settings = config.settings(unit);
    Machine::resume(settings, Instant::default(), records)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(match count {
        0 => format!("{}: nothing is unsettled", path.display()),
        count => format!(
            "{}: {count} records of sales that are not settled yet",
            path.display()
        ),
    })
}

const WHO_WRITES: &str =
    "the directory must belong to the user that runs the kiosk (as which this check should run)";

/// A file beside the journal, written to the disk and removed again.
fn write_beside(journal: &Path) -> io::Result<()> {
    let probe = journal.with_extension("check");
    let mut file = File::create_new(&probe)?;
    let written = file.write_all(b"check").and_then(|()| file.sync_data());
    fs::remove_file(&probe)?;
    written
}

fn check_merchant(config: &Config, reached: &Reached) -> Result<String, String> {
    let url = &config.merchant_url;
    let aloud = match config::is_secret(url) {
        true => "",
        false => "; everybody on the way can read our token (allow-plain-http)",
    };
    Ok(format!(
        "{url} knows {}; {}{aloud}",
        config.kiosk, reached.says
    ))
}

fn check_clock(ahead: i64) -> Result<String, String> {
    match ahead.abs() {
        off if off > CLOCK_TOLERANCE => Err(format!(
            "{off} s {} the server's: set it (timedatectl set-ntp true), or good certificates are refused",
            if ahead > 0 { "behind" } else { "ahead of" }
        )),
        _ => Ok("agrees with the server's".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_off_is_told_with_its_direction() {
        assert!(check_clock(-119).is_ok());
        let behind = check_clock(86_400).expect_err("a day");
        assert!(
            behind.starts_with("86400 s behind the server's"),
            "{behind}"
        );
        let ahead = check_clock(-300).expect_err("five minutes");
        assert!(ahead.starts_with("300 s ahead of the server's"), "{ahead}");
    }
}
