//! A panel that keeps every screen it shows, from the first amount on: `01-amount.png`, `02-one-moment.png`, ….

use std::io;
use std::path::PathBuf;

use crate::files;
use crate::kiosk::board::encode_png;
use crate::kiosk::ports::{Panel, Progress};
use crate::kiosk::ui::frame::Frame;

/// A panel in front of which somebody stands with a camera.
pub struct Gallery {
    panel: Box<dyn Panel>,
    dir: PathBuf,
    number: u32,
    name: String,
}

impl Gallery {
    /// Keeps what `panel` shows in `dir`.
    pub fn new(panel: Box<dyn Panel>, dir: PathBuf) -> Gallery {
        Gallery {
            panel,
            dir,
            number: 0,
            name: String::new(),
        }
    }
}

impl Panel for Gallery {
    fn size(&self) -> (u32, u32) {
        self.panel.size()
    }

    /// A screen that only changes (another digit, the countdown) keeps its number.
    fn show(&mut self, name: &str, frame: &Frame) -> io::Result<Progress> {
        if self.number == 0 && name != "amount" {
            // The kiosk is still starting.
            return self.panel.show(name, frame);
        }
        if name != self.name {
            self.number += 1;
            name.clone_into(&mut self.name);
        }
        files::replace(
            &self.dir.join(format!("{:02}-{name}.png", self.number)),
            &encode_png(frame),
        )?;
        self.panel.show(name, frame)
    }

    fn go_on(&mut self) -> io::Result<Progress> {
        self.panel.go_on()
    }
}
