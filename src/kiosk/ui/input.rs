//! The field in which an amount is typed, with its caret.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::text::{Align, Block};
use crate::kiosk::ui::{shapes, theme};

/// What is being typed, in its field, with a caret.
pub struct Input {
    /// The sign of the currency.
    pub sign: Block,
    /// The figures.
    pub figures: Block,
    /// Whether the caret stands behind the figures; otherwise before them.
    pub typed: bool,
    /// The height of the field.
    pub height: u32,
    /// The colour of its edge.
    pub edge: Rgb565,
}

impl Input {
    /// Draws it over its area.
    pub fn draw(&self, page: &mut Page<'_>, area: Rectangle) {
        shapes::rounded(page.frame, area, page.px(12), self.edge);
        let inner = area.offset(-(page.px(2) as i32));
        shapes::rounded(page.frame, inner, page.px(10), theme::FIELD);
        let gap = page.px(8) as i32;
        // At the left, not in the middle: a key adds a figure and moves none.
        let mut x = area.top_left.x + page.px(16) as i32;
        let top = area.top_left.y + (area.size.height as i32 - self.figures.height() as i32) / 2;
        let baseline = top + self.figures.baseline();
        page.put(
            &self.sign,
            x,
            baseline - self.sign.baseline(),
            self.sign.width(),
            Align::Left,
        );
        x += self.sign.width() as i32 + gap;
        page.put(&self.figures, x, top, self.figures.width(), Align::Left);
        let caret_x = match self.typed {
            true => x + self.figures.width() as i32 + page.px(2) as i32,
            false => x - (gap + page.px(3) as i32) / 2,
        };
        let caret = Rectangle::new(
            Point::new(caret_x, top - page.px(4) as i32),
            Size::new(page.px(3), self.figures.height() + page.px(8)),
        );
        shapes::rounded(page.frame, caret, page.px(2), theme::GREEN);
    }
}
