//! Boards: which panel, keypad and dispenser a kiosk has. A board is a file, not code.
//!
//! [`mod@file`] reads and checks it; the other modules are one device kind each, and none knows another.

#[cfg(feature = "sim")]
pub mod desk;
mod device;
pub mod evdev;
pub mod file;
pub mod gpio;
mod log;
pub mod matrix;
pub mod mipi;
mod png;
pub mod pulse;
pub mod signals;
mod typed;

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use crate::kiosk::board::file::{BoardFile, DispenserKind, KeypadKind, PanelKind};
use crate::kiosk::board::typed::TypedKeypad;
use crate::kiosk::ports::{Dispenser, Keypad, Panel, Signals};

pub use self::png::encode as encode_png;

/// A keypad whose keys are characters in this stream.
pub fn typed_keypad(stream: impl AsFd + 'static) -> Box<dyn Keypad> {
    Box::new(TypedKeypad::new(stream))
}

/// The opened devices of a kiosk.
pub struct Board {
    /// What shows the picture.
    pub panel: Box<dyn Panel>,
    /// Where keys come from.
    pub keypad: Box<dyn Keypad>,
    /// What lets the goods out.
    pub dispenser: Box<dyn Dispenser>,
    /// What is heard and seen beside.
    pub signals: Box<dyn Signals>,
    /// The page that stands for devices of kind `desk`, if there are any.
    #[cfg(feature = "sim")]
    pub desk: Option<desk::Desk>,
}

/// A device that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{device}: {error}")]
pub struct NotOpened {
    /// What it is: `panel`, `keypad`, `dispenser`, `signals` (buzzer and light).
    pub device: &'static str,
    /// What the system says.
    pub error: io::Error,
}

impl Board {
    /// Opens the devices that the file names.
    pub fn open(file: &BoardFile) -> Result<Board, NotOpened> {
        let mut devices = Devices::of(file);
        Ok(Board {
            panel: devices.panel()?,
            keypad: devices.keypad()?,
            dispenser: devices.dispenser()?,
            signals: devices.signals()?,
            #[cfg(feature = "sim")]
            desk: devices.desk,
        })
    }
}

/// The devices of a board, to be opened one by one.
pub struct Devices<'a> {
    file: &'a BoardFile,
    /// All desk devices of a board share one page, which is opened with the first of them.
    #[cfg(feature = "sim")]
    desk: Option<desk::Desk>,
}

impl<'a> Devices<'a> {
    /// Opens none yet.
    pub fn of(file: &'a BoardFile) -> Devices<'a> {
        Devices {
            file,
            #[cfg(feature = "sim")]
            desk: None,
        }
    }

    /// Opens the panel.
    pub fn panel(&mut self) -> Result<Box<dyn Panel>, NotOpened> {
        let failed = failed("panel");
        Ok(match &self.file.panel {
            PanelKind::Png { file, size } => Box::new(png::PngPanel::new(file.clone(), *size)),
            PanelKind::Mipi(wiring) => Box::new(wiring.connect().map_err(failed)?),
            #[cfg(feature = "sim")]
            PanelKind::Desk { size } => Box::new(self.desk().map_err(failed)?.panel(*size)),
        })
    }

    /// Opens the keypad.
    pub fn keypad(&mut self) -> Result<Box<dyn Keypad>, NotOpened> {
        let failed = failed("keypad");
        Ok(match &self.file.keypad {
            KeypadKind::Stdin => typed_keypad(io::stdin()),
            KeypadKind::Matrix(wiring) => Box::new(wiring.open().map_err(failed)?),
            KeypadKind::Evdev(device) => Box::new(evdev::EvdevKeypad::new(device.clone())),
            #[cfg(feature = "sim")]
            KeypadKind::Desk => {
                Box::new(self.desk().and_then(|desk| desk.keypad()).map_err(failed)?)
            }
        })
    }

    /// Whether the number pad is plugged in now: its name. A kiosk that runs waits for it instead.
    pub fn number_pad(&mut self, device: Option<PathBuf>) -> Result<String, NotOpened> {
        let connected = evdev::EvdevKeypad::new(device).connect();
        connected.map_err(failed("keypad"))
    }

    /// Opens the dispenser. Nothing moves.
    pub fn dispenser(&mut self) -> Result<Box<dyn Dispenser>, NotOpened> {
        let failed = failed("dispenser");
        Ok(match &self.file.dispenser {
            DispenserKind::Log { file } => Box::new(log::LogDispenser::open(file).map_err(failed)?),
            DispenserKind::Pulse(line) => Box::new(line.open().map_err(failed)?),
            #[cfg(feature = "sim")]
            DispenserKind::Desk { ms } => Box::new(self.desk().map_err(failed)?.dispenser(*ms)),
        })
    }

    /// Opens the buzzer and the light, where the board has them.
    pub fn signals(&mut self) -> Result<Box<dyn Signals>, NotOpened> {
        let (buzzer, light) = (self.file.buzzer.as_ref(), self.file.light.as_ref());
        signals::open(buzzer, light).map_err(failed("signals"))
    }

    #[cfg(feature = "sim")]
    fn desk(&mut self) -> io::Result<&mut desk::Desk> {
        match &mut self.desk {
            Some(desk) => Ok(desk),
            empty => Ok(empty.insert(desk::Desk::open(self.file.desk_listen)?)),
        }
    }
}

fn failed(device: &'static str) -> impl Fn(io::Error) -> NotOpened {
    move |error| NotOpened { device, error }
}
