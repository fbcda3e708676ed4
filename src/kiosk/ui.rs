//! The screens as pictures. What is on them comes from the machine; how it looks is decided here, and nothing else.
//!
//! Everything is drawn into one [`frame::Frame`] in memory. Layouts follow rules (sizes in steps, shares of the
//! panel), not tables per panel.

pub mod frame;
mod page;
mod qr;
mod screens;
mod text;
mod theme;
mod words;

use crate::kiosk::machine::screen::{Language, Screen};
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::page::Page;

/// What the merchant and the customer have chosen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// The language of the words.
    pub language: Language,
    /// Whom to call when something is wrong.
    pub service_phone: Option<String>,
}

/// Draws a screen over the whole frame.
pub fn draw(frame: &mut Frame, screen: &Screen, look: &Look) {
    screens::paint(&mut Page::new(frame, look), screen);
}
