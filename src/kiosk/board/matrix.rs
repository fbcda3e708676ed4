//! The keypad `matrix`: rows and columns of contacts on GPIO lines.
//!
//! Idle, all rows are driven and the loop sleeps until a column's edge: nothing spins. Once a contact closes, the rows
//! are driven one by one and the columns read, until all keys are up again. A row that is not driven floats (open
//! drain), so that two keys in one column never short two outputs.

mod scan;

use core::time::Duration;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant as SystemInstant;

use gpiocdev::Request;
use gpiocdev::line::{Bias, Drive, EdgeDetection, Value, Values};

use crate::kiosk::board::gpio::{self, GpioChip};
use crate::kiosk::legend::{Cap, Legend};
use crate::kiosk::machine::event::Key;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::ports::{Keypad, Pressed, Socket};
use crate::kiosk::ready::{self, Ready};

pub use scan::{HOLD, Scanner, Stroke};

/// Between two scans while a key is down.
const SCAN_EVERY: Duration = Duration::from_millis(2);
/// The time a line takes to follow, with the Pi's pull-ups of about 50 kΩ and a metre of wire.
const SETTLE: Duration = Duration::from_micros(20);

/// A matrix keypad, as the board file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MatrixWiring {
    /// The lines of the rows, by BCM number.
    pub rows: Vec<u32>,
    /// The lines of the columns.
    pub columns: Vec<u32>,
    /// What each cap means, row by row.
    pub caps: Vec<KeyCap>,
    /// How long a contact may bounce.
    pub debounce: Duration,
    /// The GPIO chip, by path or label; the header's, if none is named.
    pub gpio_chip: Option<String>,
}

/// A cap of the pad.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyCap {
    /// What is printed on it.
    pub print: char,
    /// The key that it is.
    pub press: Key,
    /// The key that it is when it is held down, if it is two.
    pub hold: Option<Key>,
}

impl MatrixWiring {
    /// What is printed on the pad.
    pub fn legend(&self) -> Legend {
        Legend::new(self.caps.iter().flat_map(|cap| {
            let named = |key, hold| {
                let print = cap.print.to_string();
                (key, Cap { print, hold })
            };
            let held = cap.hold.map(|key| named(key, true));
            [named(cap.press, false)].into_iter().chain(held)
        }))
    }

    /// Takes the lines.
    pub fn open(&self) -> io::Result<MatrixKeypad> {
        let chip = GpioChip::find(self.gpio_chip.as_deref())?;
        let rows = Request::builder()
            .on_chip(chip.path())
            .with_consumer(gpio::CONSUMER)
            .with_lines(&self.rows)
            .as_output(Value::Inactive)
            .with_drive(Drive::OpenDrain)
            .request()
            .map_err(|error| chip.refused("rows", &self.rows, error))?;
        let columns = Request::builder()
            .on_chip(chip.path())
            .with_consumer(gpio::CONSUMER)
            .with_lines(&self.columns)
            .as_input()
            .with_bias(Bias::PullUp)
            .with_edge_detection(EdgeDetection::BothEdges)
            .request()
            .map_err(|error| chip.refused("columns", &self.columns, error))?;
        let doubles = self
            .caps
            .iter()
            .enumerate()
            .fold(0, |doubles, (place, cap)| {
                doubles | u32::from(cap.hold.is_some()) << place
            });
        let scanner = Scanner::new(self.columns.len(), self.debounce, doubles);
        Ok(MatrixKeypad {
            wiring: self.clone(),
            rows,
            columns,
            scanner,
            began: SystemInstant::now(),
        })
    }
}

/// A matrix keypad on its lines.
#[derive(Debug)]
pub struct MatrixKeypad {
    wiring: MatrixWiring,
    rows: Request,
    columns: Request,
    scanner: Scanner,
    began: SystemInstant,
}

impl MatrixKeypad {
    /// Reads every contact; bit `row × columns + column` is set where it is closed.
    fn scan(&self) -> io::Result<u32> {
        let mut closed = 0;
        for (row, line) in self.wiring.rows.iter().enumerate() {
            self.drive(|other| other == *line)?;
            std::thread::sleep(SETTLE);
            for (column, line) in self.wiring.columns.iter().enumerate() {
                let level = self.columns.value(*line).map_err(io::Error::other)?;
                if level == Value::Inactive {
                    closed |= 1 << (row * self.wiring.columns.len() + column);
                }
            }
        }
        self.drive(|_| true)?;
        Ok(closed)
    }

    /// Whether any contact is closed, while all rows are driven.
    fn is_touched(&self) -> io::Result<bool> {
        let mut levels = Values::from_offsets(&self.wiring.columns);
        self.columns.values(&mut levels).map_err(io::Error::other)?;
        Ok(levels.iter().any(|level| level.value == Value::Inactive))
    }

    fn key(&self, stroke: Stroke) -> Option<Key> {
        match stroke {
            Stroke::Press(place) => Some(self.wiring.caps.get(place)?.press),
            Stroke::Hold(place) => self.wiring.caps.get(place)?.hold,
        }
    }

    /// Pulls these rows low; the others float.
    fn drive(&self, is_driven: impl Fn(u32) -> bool) -> io::Result<()> {
        let mut levels = Values::default();
        for line in &self.wiring.rows {
            levels.set(
                *line,
                if is_driven(*line) {
                    Value::Inactive
                } else {
                    Value::Active
                },
            );
        }
        self.rows.set_values(&levels).map_err(io::Error::other)
    }
}

impl Keypad for MatrixKeypad {
    fn legend(&self) -> Legend {
        self.wiring.legend()
    }

    fn wait(&mut self, patience: Duration, socket: Option<Socket<'_>>) -> io::Result<Pressed> {
        let deadline = SystemInstant::now() + patience;
        loop {
            // Scanning itself makes edges: what came before this look is in it.
            while self.columns.has_edge_event().map_err(io::Error::other)? {
                self.columns.read_edge_event().map_err(io::Error::other)?;
            }
            if !self.scanner.is_idle() || self.is_touched()? {
                let now = Instant::from_millis(self.began.elapsed().as_millis() as u64);
                let stroke = self.scanner.see(now, self.scan()?);
                if let Some(key) = stroke.and_then(|stroke| self.key(stroke)) {
                    return Ok(Pressed::Key(key));
                }
            }
            let left = deadline.saturating_duration_since(SystemInstant::now());
            if left.is_zero() {
                return Ok(Pressed::Nothing);
            }
            let sleep = match self.scanner.is_idle() {
                true => left,
                false => left.min(SCAN_EVERY),
            };
            if ready::wait(Some(self.columns.as_fd()), socket, sleep)? == Ready::Socket {
                return Ok(Pressed::Nothing);
            }
        }
    }
}
