//! What the keys of the pad do on a screen: caps in a grid, each with a word.

use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::text::{Align, Block};
use crate::kiosk::ui::words::Words;
use crate::kiosk::ui::{shapes, theme};

/// Keys and what they do, in a grid.
pub struct Keys {
    caps: Vec<(char, Block)>,
    /// The width of each column.
    cells: Vec<u32>,
}

impl Keys {
    /// A grid with as many columns as fit and come out even.
    pub fn new(page: &Page<'_>, width: u32, keys: &[(char, Words)]) -> Keys {
        let style = page.text(16, theme::INK);
        let aside = page.px(24) + page.px(7);
        let label =
            |words: &Words| Block::fitted(page.say(*words), style, width.saturating_sub(aside), 1);
        let caps: Vec<(char, Block)> = keys
            .iter()
            .map(|(cap, words)| (*cap, label(words)))
            .collect();
        let cells = |columns: usize| -> Vec<u32> {
            let cell = |column: usize| caps.iter().skip(column).step_by(columns);
            let widest = |column| cell(column).map(|(_, label)| label.width()).max();
            let widths = (0..columns).filter_map(widest);
            widths.map(|width| aside + width).collect()
        };
        let gaps = |columns: usize| (columns as u32 - 1) * page.px(8);
        let columns = (1..=caps.len())
            .rev()
            .filter(|columns| caps.len() % columns == 0)
            .find(|columns| cells(*columns).iter().sum::<u32>() + gaps(*columns) <= width);
        let cells = cells(columns.unwrap_or(1));
        Keys { caps, cells }
    }

    /// Its height in pixels.
    pub fn height(&self, page: &Page<'_>) -> u32 {
        let rows = self.caps.len().div_ceil(self.cells.len()) as u32;
        rows * page.px(24) + rows.saturating_sub(1) * page.px(8)
    }

    /// Draws it in the middle of an area of its height.
    pub fn draw(&self, page: &mut Page<'_>, area: Rectangle) {
        let side = page.px(24);
        let indent = side + page.px(7);
        let columns = self.cells.len();
        let free = area.size.width.saturating_sub(self.cells.iter().sum());
        // As much room between the columns as beside them, but they stay together.
        let gap = (free / (columns as u32 + 1)).clamp(page.px(8), page.px(28));
        let left = area.top_left.x + (free.saturating_sub(gap * (columns as u32 - 1)) / 2) as i32;
        for (row, keys) in self.caps.chunks(columns).enumerate() {
            let mut x = left;
            let y = area.top_left.y + row as i32 * (side + page.px(8)) as i32;
            for ((cap, label), cell) in keys.iter().zip(&self.cells) {
                key_cap(page, Point::new(x, y), side, *cap);
                let top = y + (side as i32 - label.height() as i32) / 2;
                page.put(label, x + indent as i32, top, cell - indent, Align::Left);
                x += (cell + gap) as i32;
            }
        }
    }
}

/// A key as it looks on the pad. Confirm is the one that stands out.
fn key_cap(page: &mut Page<'_>, at: Point, side: u32, cap: char) {
    let (edge, face, letter) = match cap {
        '#' => (theme::GREEN, theme::GREEN, theme::PAPER),
        _ => (theme::EDGE, theme::FIELD, theme::INK),
    };
    let area = Rectangle::new(at, Size::new_equal(side));
    shapes::rounded(page.frame, area, side / 4, edge);
    shapes::rounded(
        page.frame,
        area.offset(-(page.px(1) as i32)),
        (side / 4).saturating_sub(1),
        face,
    );
    let letter = Block::line(&cap.to_string(), page.bold(16, letter));
    let top = at.y + (side as i32 - letter.height() as i32) / 2;
    page.put(&letter, at.x, top, side, Align::Center);
}
