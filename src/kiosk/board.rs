//! Boards: which panel, keypad and dispenser a kiosk has. A board is a file, not code.
//!
//! [`mod@file`] reads and checks it; the other modules are one device kind each, and none knows another.

#[cfg(feature = "sim")]
pub mod desk;
pub mod file;
mod gpio;
mod log;
pub mod matrix;
pub mod mipi;
mod png;
pub mod pulse;
mod stdin;

use std::io;

use crate::kiosk::board::file::{BoardFile, DispenserKind, KeypadKind, PanelKind};
use crate::kiosk::ports::{Dispenser, Keypad, Panel};

pub use self::png::encode as encode_png;

/// The opened devices of a kiosk.
pub struct Board {
    /// What shows the picture.
    pub panel: Box<dyn Panel>,
    /// Where keys come from.
    pub keypad: Box<dyn Keypad>,
    /// What lets the goods out.
    pub dispenser: Box<dyn Dispenser>,
    /// The page that stands for devices of kind `desk`, if there are any.
    #[cfg(feature = "sim")]
    pub desk: Option<desk::Desk>,
}

/// A device that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{device}: {error}")]
pub struct NotOpened {
    /// The section of the board file: `panel`, `keypad`, `dispenser`.
    pub device: &'static str,
    /// What the system says.
    pub error: io::Error,
}

impl Board {
    /// Opens the devices that the file names.
    pub fn open(file: &BoardFile) -> Result<Board, NotOpened> {
        #[cfg(feature = "sim")]
        let mut desk = DeskOnDemand {
            listen: file.desk_listen,
            desk: None,
        };
        let failed = |device| move |error| NotOpened { device, error };
        let panel: Box<dyn Panel> = match &file.panel {
            PanelKind::Png { file, size } => Box::new(png::PngPanel::new(file.clone(), *size)),
            PanelKind::Mipi(wiring) => Box::new(wiring.connect().map_err(failed("panel"))?),
            #[cfg(feature = "sim")]
            PanelKind::Desk { size } => Box::new(desk.get().map_err(failed("panel"))?.panel(*size)),
        };
        let keypad: Box<dyn Keypad> = match &file.keypad {
            KeypadKind::Stdin => Box::new(stdin::StdinKeypad::new()),
            KeypadKind::Matrix(wiring) => Box::new(wiring.open().map_err(failed("keypad"))?),
            #[cfg(feature = "sim")]
            KeypadKind::Desk => Box::new(desk.get().map_err(failed("keypad"))?.keypad()),
        };
        let dispenser: Box<dyn Dispenser> = match &file.dispenser {
            DispenserKind::Log { file } => {
                Box::new(log::LogDispenser::open(file).map_err(failed("dispenser"))?)
            }
            DispenserKind::Pulse(line) => Box::new(line.open().map_err(failed("dispenser"))?),
            #[cfg(feature = "sim")]
            DispenserKind::Desk { ms } => {
                Box::new(desk.get().map_err(failed("dispenser"))?.dispenser(*ms))
            }
        };
        Ok(Board {
            panel,
            keypad,
            dispenser,
            #[cfg(feature = "sim")]
            desk: desk.desk,
        })
    }
}

/// All desk devices of a board share one page, which is opened with the first of them.
#[cfg(feature = "sim")]
struct DeskOnDemand {
    listen: std::net::SocketAddr,
    desk: Option<desk::Desk>,
}

#[cfg(feature = "sim")]
impl DeskOnDemand {
    fn get(&mut self) -> io::Result<&mut desk::Desk> {
        match &mut self.desk {
            Some(desk) => Ok(desk),
            empty => Ok(empty.insert(desk::Desk::open(self.listen)?)),
        }
    }
}
