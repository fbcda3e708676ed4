//! The panel `mipi`: a colour display on SPI that speaks the MIPI display command set.
//!
//! The panel keeps the last frame and sends only the rectangles that changed: a key press moves a few hundred bytes,
//! not the whole picture. A large change is sent in parts, between which keys are heard. No transfer is larger than the
//! buffer it is opened with.
//!
//! A controller that an interference has reset is blank and forgets everything. So now and then it is woken up, set up
//! again and sent the whole picture; a healthy one shows nothing of it.

mod changes;
mod glass;
mod link;
mod models;
mod shift;
mod wiring;

use core::time::Duration;
use std::collections::VecDeque;
use std::io;

use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::ports::{Panel, Progress};
use crate::kiosk::ui::frame::Frame;

pub use changes::{OVERHEAD, changes};
pub use glass::{Bus, Glass, Lines, Mounting, open};
pub use models::Model;
pub use wiring::Wiring;

/// What goes over the bus between two moments at which keys are heard, in bytes: 2 ms at 40 MHz, 4 ms at 16 MHz.
const PART: u32 = 8192;

/// From waking a controller up until its supplies are stable and it takes registers (data sheets: 5 to 120 ms).
const WAKING: Duration = Duration::from_millis(120);

/// A panel behind a bus, and what it shows.
pub struct MipiPanel {
    glass: Box<dyn Glass>,
    /// What has been sent, part by part.
    shown: Frame,
    /// Whether the glass shows just that. Not before the first picture is whole, nor after an error.
    is_known: bool,
    /// The picture that is on its way.
    coming: Frame,
    /// Where it has not arrived yet.
    left: VecDeque<Rectangle>,
    /// Whether the display may be off: it is switched on when the whole picture is there.
    is_dark: bool,
}

impl MipiPanel {
    /// A panel whose glass is dark.
    pub fn new(glass: Box<dyn Glass>, (width, height): (u32, u32)) -> MipiPanel {
        MipiPanel {
            glass,
            shown: Frame::new(width, height),
            is_known: false,
            coming: Frame::new(width, height),
            left: VecDeque::new(),
            is_dark: true,
        }
    }

    /// Sends as many rows of an area as there is room for, at least one; how many bytes that took.
    fn send(&mut self, area: Rectangle, room: u32) -> io::Result<u32> {
        let row_bytes = area.size.width * 2;
        let rows = (room / row_bytes).clamp(1, area.size.height);
        let part = Rectangle::new(area.top_left, Size::new(area.size.width, rows));
        if rows < area.size.height {
            let corner = area.top_left + Point::new(0, rows as i32);
            let rest = Size::new(area.size.width, area.size.height - rows);
            self.left.push_front(Rectangle::new(corner, rest));
        }
        self.glass.fill(&part, &mut pixels_of(&self.coming, part))?;
        let Ok(()) = self
            .shown
            .fill_contiguous(&part, pixels_of(&self.coming, part));
        Ok(rows * row_bytes + OVERHEAD)
    }
}

impl Panel for MipiPanel {
    fn size(&self) -> (u32, u32) {
        (self.coming.width(), self.coming.height())
    }

    fn show(&mut self, _name: &str, frame: &Frame) -> io::Result<Progress> {
        self.left = match self.is_known {
            // What has not arrived of the picture before differs as well.
            true => changes(self.shown.pixels(), frame.pixels(), frame.width()).into(),
            false => VecDeque::from([frame.bounding_box()]),
        };
        self.coming.clone_from(frame);
        self.go_on()
    }

    fn go_on(&mut self) -> io::Result<Progress> {
        let mut sent = 0;
        while let Some(area) = self.left.pop_front() {
            let room = PART.saturating_sub(sent);
            if sent > 0 && room < area.size.width * 2 {
                self.left.push_front(area);
                return Ok(Progress::Partly);
            }
            sent += self.send(area, room).inspect_err(|_| {
                // Nobody knows what the glass shows: the whole picture is sent again.
                self.is_known = false;
                self.left.clear();
            })?;
        }
        if core::mem::take(&mut self.is_dark) {
            self.glass.light().inspect_err(|_| {
                (self.is_known, self.is_dark) = (false, true);
            })?;
        }
        self.is_known = true;
        Ok(Progress::Whole)
    }

    fn wake(&mut self) -> io::Result<Option<Duration>> {
        self.glass.wake()?;
        Ok(Some(WAKING))
    }

    fn set_up(&mut self) -> io::Result<()> {
        (self.is_known, self.is_dark) = (false, true);
        self.left = VecDeque::from([self.coming.bounding_box()]);
        self.glass.set_up()
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
