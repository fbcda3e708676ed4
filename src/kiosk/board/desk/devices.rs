//! The desk's three devices, as the kiosk's loop knows them.

use core::time::Duration;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::{Desk, Page};
use crate::ids::SaleId;
use crate::kiosk::board::encode_png;
use crate::kiosk::board::typed::TypedKeypad;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::ports::{Dispenser, Panel, Progress};
use crate::kiosk::ui::frame::Frame;
use crate::money::Fen;
use crate::sale::Outcome;

/// The panel on the page.
#[derive(Debug)]
pub struct DeskPanel {
    page: Arc<Page>,
    size: (u32, u32),
}

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
    pub fn keypad(&self) -> io::Result<TypedKeypad<UnixStream>> {
        Ok(TypedKeypad::new(self.keys.try_clone()?))
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

    fn show(&mut self, name: &str, frame: &Frame) -> io::Result<Progress> {
        let png = encode_png(frame).into();
        self.page.show(|shown| {
            shown.screen = name.to_owned();
            shown.png = png;
        });
        Ok(Progress::Whole)
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
