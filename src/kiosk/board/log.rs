//! The dispenser `log`: each pulse is a line `pulse <sale>` in a file.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::ids::SaleId;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::ports::Dispenser;
use crate::money::Fen;
use crate::sale::Outcome;

/// A dispenser that only writes down its pulses.
#[derive(Debug)]
pub struct LogDispenser {
    file: File,
    pulsed: bool,
}

impl LogDispenser {
    /// Opens the file; lines are added to it.
    pub fn open(path: &Path) -> io::Result<LogDispenser> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(LogDispenser {
            file,
            pulsed: false,
        })
    }
}

impl Dispenser for LogDispenser {
    fn is_ready(&mut self) -> bool {
        true
    }

    fn start(&mut self, _now: Instant, sale: SaleId, _total: Fen) -> io::Result<()> {
        self.file.write_all(format!("pulse {sale}\n").as_bytes())?;
        self.pulsed = true;
        Ok(())
    }

    fn poll(&mut self, _now: Instant) -> Option<Outcome> {
        std::mem::take(&mut self.pulsed).then_some(Outcome::Dispensed)
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}
