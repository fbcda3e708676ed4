//! The panel `mipi`: a colour display on SPI that speaks the MIPI display command set.
//!
//! The panel keeps the last frame and sends only the rectangles that changed: a key press moves a few hundred bytes,
//! not the whole picture. No transfer is larger than the buffer it is opened with.

mod changes;
mod glass;
mod shift;
mod wiring;

use std::io;

use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use linux_embedded_hal::CdevPin;

use crate::kiosk::ports::Panel;
use crate::kiosk::ui::frame::Frame;

pub use changes::{OVERHEAD, changes};
pub use glass::{Bus, Glass, Model, Mounting, open};
pub use wiring::Wiring;

/// A panel behind a bus, and what it shows.
pub struct MipiPanel {
    glass: Box<dyn Glass>,
    size: (u32, u32),
    shown: Option<Frame>,
    // Held so that nobody switches it off.
    _backlight: Option<CdevPin>,
}

impl MipiPanel {
    /// A panel whose glass shows nothing that we know of.
    pub fn new(glass: Box<dyn Glass>, size: (u32, u32)) -> MipiPanel {
        MipiPanel {
            glass,
            size,
            shown: None,
            _backlight: None,
        }
    }

    /// The same with a backlight that stays on as long as the panel is there.
    pub fn lit_by(self, backlight: Option<CdevPin>) -> MipiPanel {
        MipiPanel {
            _backlight: backlight,
            ..self
        }
    }
}

impl Panel for MipiPanel {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn show(&mut self, _name: &str, frame: &Frame) -> io::Result<()> {
        let areas = match self.shown.take() {
            Some(shown) => changes(shown.pixels(), frame.pixels(), frame.width()),
            None => vec![frame.bounding_box()],
        };
        for area in areas {
            self.glass.fill(&area, &mut pixels_of(frame, area))?;
        }
        // Only now: after an error nobody knows what the glass shows, and the whole picture is sent again.
        self.shown = Some(frame.clone());
        Ok(())
    }
}

/// The colours of a part of the frame, row by row.
fn pixels_of(
    frame: &Frame,
    area: Rectangle,
) -> impl Iterator<Item = embedded_graphics::pixelcolor::Rgb565> + '_ {
    let width = frame.width() as usize;
    area.rows().flat_map(move |y| {
        let row = y as usize * width;
        let columns = area.columns();
        frame.pixels()[row + columns.start as usize..row + columns.end as usize]
            .iter()
            .copied()
    })
}
