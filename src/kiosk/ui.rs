//! The screens as pictures: what the machine wants told, drawn so that anybody understands it.
//!
//! Nothing is decided here and nothing is added: a picture says what its [`Screen`] says (G5). Sizes follow from the
//! panel's narrow side, so that a new panel needs no new layout.

mod column;
pub mod frame;
mod glyph;
mod input;
mod keys;
mod page;
mod qr;
pub mod samples;
pub mod scan;
mod screens;
mod shapes;
mod sign;
mod test_card;
mod text;
mod theme;
mod words;

use crate::ids::ScanUrl;
use crate::kiosk::legend::Legend;
use crate::kiosk::machine::screen::{Language, Screen};
use crate::kiosk::ports::Motion;
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::page::Page;

/// What does not come from the sale: the language, whom to call, the pad, and what moves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// The language of the words.
    pub language: Language,
    /// Whom to call when something is wrong.
    pub service_phone: Option<String>,
    /// What is printed on the pad.
    pub legend: Legend,
    /// What moves.
    pub motion: Motion,
}

/// Smaller modules than these, in pixels, are not read.
const LEAST_MODULE_PX: u32 = 2;

/// Draws a screen over the whole frame.
pub fn draw(frame: &mut Frame, screen: &Screen, look: &Look) {
    screens::draw(&mut Page::new(frame, look), screen);
}

/// How many pixels wide a module of this address's code is on the frame; `None` where no code can be drawn.
pub fn module_px(frame: &mut Frame, url: &ScanUrl, look: &Look) -> Option<u32> {
    let code = screens::pay::code(&Page::new(frame, look), url)?;
    Some(code.module_px())
}

/// Whether a phone can read this address's code off the frame: modules of one pixel hardly ever are (docs/measurements.md).
pub fn is_readable(frame: &mut Frame, url: &ScanUrl, look: &Look) -> bool {
    module_px(frame, url, look).is_some_and(|module_px| module_px >= LEAST_MODULE_PX)
}

/// Draws the test card over the whole frame, for `kiosk try panel`.
pub fn draw_test_card(frame: &mut Frame) {
    test_card::draw(frame);
}
