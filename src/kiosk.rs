//! The device: a pure machine, and the adapters through which its effects happen.
//!
//! - [`machine`]: all decisions, pure. [`ports`]: the doors to the world. [`runner`]: the loop between them.
//! - [`net`]: the merchant and the platform over HTTP. [`journal`]: what survives a power cut.
//! - [`ui`]: screens as pictures. [`board`]: panels, keypads and dispensers, chosen by a board file.
//! - `ready`: waiting for a keypad and a socket at once.
//! - [`watchdog`]: who starts us again when the loop hangs. [`check`] and [`tryout`]: what an installer runs first.
//! - [`commands`]: what the program does. [`config`]: the configuration file, `kiosk.toml`.
//!
//! The adapters do not know each other; they meet in [`Kiosk::open`].

pub mod board;
pub mod check;
pub mod commands;
pub mod config;
pub mod journal;
pub mod legend;
pub mod machine;
pub mod net;
mod painter;
pub mod ports;
mod ready;
pub mod runner;
pub mod tryout;
pub mod ui;
pub mod watchdog;

use std::cell::RefCell;
use std::rc::Rc;
use std::time;

use anyhow::Context;

use crate::cli::Failure;
use crate::kiosk::board::Board;
use crate::kiosk::config::Config;
use crate::kiosk::journal::FileJournal;
use crate::kiosk::machine::Machine;
use crate::kiosk::machine::effect::Effects;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::net::{MerchantClient, PlatformClient};
use crate::kiosk::painter::Painter;
use crate::kiosk::ports::Clock;
use crate::kiosk::runner::{Happening, Pace, Ports, Runner, Stop, Witness};
use crate::kiosk::ui::Look;
use crate::kiosk::watchdog::Watchdog;
use crate::random;

/// Everything a kiosk needs, opened and checked.
pub struct Kiosk {
    machine: Machine,
    first: Effects,
    journal: FileJournal,
    merchant: MerchantClient,
    platform: PlatformClient,
    service_phone: Option<String>,
    watchdog: Watchdog,
    clock: SystemClock,
}

impl Kiosk {
    /// Opens the journal and prepares the network. Moves nothing, calls nobody.
    ///
    /// A journal that cannot be trusted does not stop the kiosk from starting: it shows that it is out of service.
    pub fn open(config: &Config, board: &Board) -> Result<Kiosk, Failure> {
        for url in [&config.merchant_url, &config.platform_url] {
            if !config::is_secret(url) {
                tracing::warn!(
                    "{url}: whoever sits between reads and forges what goes there (allow-plain-http)"
                );
            }
        }
        let clock = SystemClock::default();
        let settings = config.settings(board.dispenser.unit());
        let (journal, records) = FileJournal::at(&config.journal, config.kiosk.as_str())
            .with_context(|| format!("journal = {}", config.journal.display()))?;
        let resumed = records
            .map_err(anyhow::Error::from)
            .and_then(|records| Ok(Machine::resume(settings, clock.now(), records)?));
        let (machine, first) = match resumed {
            Ok(resumed) => resumed,
            Err(error) => {
                tracing::error!(
                    "{}: {error}; nothing is sold until a person has looked at it",
                    config.journal.display()
                );
                (Machine::halted(settings), Effects::new())
            }
        };
        Ok(Kiosk {
            machine,
            first,
            journal,
            merchant: MerchantClient::new(config)?,
            platform: PlatformClient::new(config),
            service_phone: config.service_phone.clone(),
            // Last: from here on it must be fed.
            watchdog: Watchdog::open(config.watchdog.as_deref())
                .context("watchdog in kiosk.toml")?,
            clock,
        })
    }

    /// Runs the loop on this thread until `stop` says so, or until the keys have ended.
    pub fn run(self, board: Board, stop: Stop, witness: Witness) {
        let look = Look {
            service_phone: self.service_phone,
            legend: board.keypad.legend(),
            ..Look::default()
        };
        let watchdog = Rc::new(RefCell::new(self.watchdog));
        let fed = Rc::clone(&watchdog);
        let ports = Ports {
            clock: Box::new(self.clock),
            random: Box::new(random::bits),
            display: Box::new(Painter::new(board.panel, look)),
            keypad: board.keypad,
            dispenser: board.dispenser,
            signals: board.signals,
            journal: Box::new(self.journal),
            merchant: Box::new(self.merchant),
            platform: Box::new(self.platform),
            pace: Pace::default(),
            stop,
            alive: Box::new(move |now| fed.borrow_mut().feed(now)),
            witness,
        };
        Runner::new(self.machine, self.first, ports).run();
        // The loop and all it held are gone.
        if let Some(watchdog) = Rc::into_inner(watchdog) {
            watchdog.into_inner().stop();
        }
    }
}

/// The operating system's monotonic clock.
#[derive(Debug)]
struct SystemClock(time::Instant);

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock(time::Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.elapsed().as_millis() as u64)
    }
}

/// Tells the log what happens, each thing once.
pub fn log_witness(_now: Instant, happening: Happening<'_>) {
    match happening {
        Happening::Key(key) => tracing::debug!("key {}", key.cap()),
        Happening::Effect(effect) => tracing::debug!("{effect:?}"),
        Happening::Reply(event) => tracing::debug!("{event:?}"),
        Happening::Screen(screen) => tracing::debug!("screen {}", screen.name()),
    }
}
