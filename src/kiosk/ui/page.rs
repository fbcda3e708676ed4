//! A page under way: its sizes, its styles, and what could not be shown as it should.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::ui::Look;
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::glyph::Face;
use crate::kiosk::ui::text::{Align, Block, SMALLEST_PX, Style};
use crate::kiosk::ui::words::Words;

/// A frame that is being filled.
pub struct Page<'a> {
    /// The picture.
    pub frame: &'a mut Frame,
    /// Language and phone.
    pub look: &'a Look,
    /// Whether it is seen on the page that a key was heard.
    pub has_echoed: bool,
    /// What did not fit, or which characters no font has. Small panels have some of the former; tests look here.
    pub flaws: Vec<String>,
}

impl<'a> Page<'a> {
    /// A page on this frame.
    pub fn new(frame: &'a mut Frame, look: &'a Look) -> Page<'a> {
        Page {
            frame,
            look,
            has_echoed: false,
            flaws: Vec::new(),
        }
    }

    /// Whether it is at least as high as wide.
    pub fn is_upright(&self) -> bool {
        self.frame.height() >= self.frame.width()
    }

    /// A length that was chosen on a panel of 240 pixels across its narrow side. Never nothing.
    pub fn px(&self, at_240: u32) -> u32 {
        let narrow = self.frame.width().min(self.frame.height());
        ((at_240 * narrow + 120) / 240).max(1)
    }

    /// A height chosen on an upright panel of 240 pixels across. A wide page has a quarter less of it.
    pub fn high(&self, at_240: u32) -> u32 {
        self.px(if self.is_upright() {
            at_240
        } else {
            at_240 * 3 / 4
        })
    }

    /// Text of this size on a panel of 240 pixels.
    pub fn text(&self, at_240: u32, color: Rgb565) -> Style {
        self.style(Face::Regular, at_240, color)
    }

    /// Bold text of this size on a panel of 240 pixels.
    pub fn bold(&self, at_240: u32, color: Rgb565) -> Style {
        self.style(Face::Bold, at_240, color)
    }

    /// Figures whose digits are so high on a panel of 240 pixels.
    pub fn figures(&self, at_240: u32, color: Rgb565) -> Style {
        self.style(Face::Figures, at_240, color)
    }

    fn style(&self, face: Face, at_240: u32, color: Rgb565) -> Style {
        let px = self.px(at_240).max(SMALLEST_PX);
        Style { face, px, color }
    }

    /// The words in the customer's language.
    pub fn say(&self, words: Words) -> &'static str {
        words.in_language(self.look.language)
    }

    /// Covers the page with one colour.
    pub fn fill(&mut self, color: Rgb565) {
        let all = self.frame.bounding_box();
        let Ok(()) = self.frame.fill_solid(&all, color);
    }

    /// The page but for a margin.
    pub fn inside(&self) -> Rectangle {
        self.frame.bounding_box().offset(-(self.px(12) as i32))
    }

    /// Puts text into an area that begins here, and notes what is wrong with it.
    pub fn put(&mut self, block: &Block, left: i32, top: i32, width: u32, align: Align) {
        let missing = block.draw(self.frame, left, top, width, align);
        if !missing.is_empty() {
            self.flaws.push(format!("no font has {missing}"));
        }
        if !block.fits || block.width() > width {
            self.flaws.push(format!("wider than {width}: {block:?}"));
        }
    }
}
