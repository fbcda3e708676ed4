//! The desk's three devices, as the kiosk's loop knows them.

use core::time::Duration;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};

use super::{Desk, Page};
use crate::ids::SaleId;
use crate::kiosk::board::encode_png;
use crate::kiosk::machine::event::Key;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::ports::{Dispenser, Keypad, Panel, Pressed};
use crate::kiosk::ui::frame::Frame;
use crate::money::Fen;
use crate::sale::Outcome;

/// The panel on the page.
#[derive(Debug)]
pub struct DeskPanel {
    page: Arc<Page>,
    size: (u32, u32),
}

/// The keypad on the page.
#[derive(Debug)]
pub struct DeskKeypad(Arc<Mutex<Receiver<Key>>>);

/// The goods on the page: they always come out, after a moment.
#[derive(Debug)]
pub struct DeskDispenser {
    page: Arc<Page>,
    takes: Duration,
    out_at: Option<Instant>,
}

impl Desk {
    /// The page's panel.
    pub fn panel(&self, size: (u32, u32)) -> DeskPanel {
        DeskPanel {
            page: Arc::clone(&self.page),
            size,
        }
    }

    /// The page's keypad.
    pub fn keypad(&self) -> DeskKeypad {
        DeskKeypad(Arc::clone(&self.keys))
    }

    /// The page's dispenser; a pulse takes so long.
    pub fn dispenser(&self, takes: Duration) -> DeskDispenser {
        DeskDispenser {
            page: Arc::clone(&self.page),
            takes,
            out_at: None,
        }
    }
}

impl Panel for DeskPanel {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn show(&mut self, name: &str, frame: &Frame) -> io::Result<()> {
        let png = encode_png(frame).into();
        self.page.show(|shown| {
            shown.screen = name.to_owned();
            shown.png = png;
        });
        Ok(())
    }
}

impl Keypad for DeskKeypad {
    fn wait(&mut self, patience: Duration) -> io::Result<Pressed> {
        let keys = self.0.lock().expect("only one loop reads the keys");
        match keys.recv_timeout(patience) {
            Ok(key) => Ok(Pressed::Key(key)),
            Err(RecvTimeoutError::Timeout) => Ok(Pressed::Nothing),
            Err(RecvTimeoutError::Disconnected) => Ok(Pressed::Ended),
        }
    }
}

impl Dispenser for DeskDispenser {
    fn is_ready(&mut self) -> bool {
        true
    }

    fn start(&mut self, now: Instant, _sale: SaleId, _total: Fen) -> io::Result<()> {
        self.out_at = Some(now + self.takes);
        self.page.show(|shown| {
            shown.pulses += 1;
            shown.dispensing = true;
        });
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Option<Outcome> {
        self.out_at.take_if(|out_at| now >= *out_at)?;
        self.page.show(|shown| shown.dispensing = false);
        Some(Outcome::Dispensed)
    }

    fn wake_at(&self) -> Option<Instant> {
        self.out_at
    }
}
