//! Between the loop, which tells a screen, and the panel, which shows a picture.

use core::time::Duration;
use std::io;

use crate::ids::ScanUrl;
use crate::kiosk::machine::screen::{Language, Screen};
use crate::kiosk::ports::{Display, Motion, Panel, Progress};
use crate::kiosk::ui::{self, Look, frame::Frame, scan};

/// Draws each screen and shows it on a panel.
pub struct Painter {
    panel: Box<dyn Panel>,
    frame: Frame,
    look: Look,
    /// The code that was read back last.
    read: Option<ScanUrl>,
}

impl Painter {
    /// Draws in the panel's size. The look's language and motion are told with each screen.
    pub fn new(panel: Box<dyn Panel>, look: Look) -> Painter {
        let (width, height) = panel.size();
        let frame = Frame::new(width, height);
        Painter {
            panel,
            frame,
            look,
            read: None,
        }
    }
}

impl Painter {
    /// In debug builds each new code is read off its own picture before anybody sees it.
    fn read_back(&mut self, screen: &Screen) {
        let Screen::Pay { url, .. } = screen else {
            return;
        };
        if cfg!(debug_assertions) && self.read != Some(*url) {
            self.read = Some(*url);
            if scan::read(&self.frame) != [url.as_str()] {
                tracing::error!(
                    "the code of {} cannot be read off its picture",
                    url.as_str()
                );
            }
        }
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
        self.read_back(screen);
        self.panel.show(screen.name(), &self.frame)
    }

    fn go_on(&mut self) -> io::Result<Progress> {
        self.panel.go_on()
    }

    fn can_show(&mut self, url: &ScanUrl) -> bool {
        ui::is_readable(&mut self.frame, url, &self.look)
    }

    fn wake(&mut self) -> io::Result<Option<Duration>> {
        self.panel.wake()
    }

    fn set_up(&mut self) -> io::Result<()> {
        self.panel.set_up()
    }
}
