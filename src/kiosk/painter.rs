//! Between the loop, which tells a screen, and the panel, which shows a picture.

use std::io;

use crate::kiosk::machine::screen::{Language, Screen};
use crate::kiosk::ports::{Display, Motion, Panel, Progress};
use crate::kiosk::ui::{self, Look, frame::Frame};

/// Draws each screen and shows it on a panel.
pub struct Painter {
    panel: Box<dyn Panel>,
    frame: Frame,
    look: Look,
}

impl Painter {
    /// Draws in the panel's size. The look's language and motion are told with each screen.
    pub fn new(panel: Box<dyn Panel>, look: Look) -> Painter {
        let (width, height) = panel.size();
        let frame = Frame::new(width, height);
        Painter { panel, frame, look }
    }
}

impl Display for Painter {
    fn show(
        &mut self,
        screen: &Screen,
        language: Language,
        motion: Motion,
    ) -> io::Result<Progress> {
        self.look.language = language;
        self.look.motion = motion;
        ui::draw(&mut self.frame, screen, &self.look);
        self.panel.show(screen.name(), &self.frame)
    }

    fn go_on(&mut self) -> io::Result<Progress> {
        self.panel.go_on()
    }
}
