//! What the keys of the pad do on a screen: caps in a grid, each with a word. A key that the pad has not is not shown.

use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::machine::event::Key;
use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::text::{Align, Block};
use crate::kiosk::ui::words::{self, Words};
use crate::kiosk::ui::{shapes, theme};

/// Keys and what they do, in a grid.
pub struct Keys {
    keys: Vec<Drawn>,
    /// The width of each column.
    cells: Vec<u32>,
}

/// A key as it is drawn.
struct Drawn {
    key: Key,
    print: Block,
    /// The width of its cap: square, unless its print is longer.
    width: u32,
    label: Block,
    /// Whether it was pressed a moment ago.
    is_lit: bool,
}

impl Keys {
    /// A grid with as many columns as fit and come out even. The key that was pressed is lit; all are if it was one that
    /// does nothing here.
    pub fn new(page: &Page<'_>, width: u32, keys: &[(Key, Words)]) -> Keys {
        let pressed = page.look.motion.pressed.filter(|_| !page.has_echoed);
        let is_none = |pressed: &Key| keys.iter().all(|(key, _)| key != pressed);
        let all = pressed.as_ref().is_some_and(is_none);
        let keys: Vec<Drawn> = keys
            .iter()
            .filter_map(|(key, does)| {
                let is_lit = all || pressed == Some(*key);
                drawn(page, width, *key, *does, is_lit)
            })
            .collect();
        let cells = |columns: usize| -> Vec<u32> {
            let cell = |column: usize| keys.iter().skip(column).step_by(columns);
            let wide = |key: &Drawn| key.width + page.px(7) + key.label.width();
            let widest = |column| cell(column).map(wide).max();
            (0..columns).filter_map(widest).collect()
        };
        let gaps = |columns: usize| (columns as u32 - 1) * page.px(8);
        let columns = (1..=keys.len())
            .rev()
            .filter(|columns| keys.len() % columns == 0)
            .find(|columns| cells(*columns).iter().sum::<u32>() + gaps(*columns) <= width);
        let cells = cells(columns.unwrap_or(1));
        Keys { keys, cells }
    }

    /// Its height in pixels.
    pub fn height(&self, page: &Page<'_>) -> u32 {
        let rows = self.keys.len().div_ceil(self.cells.len().max(1)) as u32;
        rows * self.row_height(page) + rows.saturating_sub(1) * self.row_gap(page)
    }

    /// As high as a cap, or as the ink of the highest label where that is higher.
    fn row_height(&self, page: &Page<'_>) -> u32 {
        let labels = self.keys.iter().map(|key| key.label.height());
        let ink = labels.max().unwrap_or(0).saturating_sub(page.px(6));
        ink.max(page.px(24))
    }

    /// Labels of two lines part the caps well enough.
    fn row_gap(&self, page: &Page<'_>) -> u32 {
        (page.px(32).saturating_sub(self.row_height(page))).max(1)
    }

    /// Draws it in the middle of an area of its height.
    pub fn draw(&self, page: &mut Page<'_>, area: Rectangle) {
        page.has_echoed |= self.keys.iter().any(|key| key.is_lit);
        let side = page.px(24);
        let row_height = self.row_height(page);
        let pitch = row_height + self.row_gap(page);
        let columns = self.cells.len().max(1);
        let free = area.size.width.saturating_sub(self.cells.iter().sum());
        // As much room between the columns as beside them, but they stay together.
        let gap = (free / (columns as u32 + 1)).clamp(page.px(8), page.px(28));
        let left = area.top_left.x + (free.saturating_sub(gap * (columns as u32 - 1)) / 2) as i32;
        for (row, keys) in self.keys.chunks(columns).enumerate() {
            let mut x = left;
            let y = area.top_left.y + (row as u32 * pitch + (row_height - side) / 2) as i32;
            for (key, cell) in keys.iter().zip(&self.cells) {
                key_cap(
                    page,
                    Rectangle::new(Point::new(x, y), Size::new(key.width, side)),
                    key,
                );
                let top = y + (side as i32 - key.label.height() as i32) / 2;
                let indent = key.width + page.px(7);
                page.put(
                    &key.label,
                    x + indent as i32,
                    top,
                    cell - indent,
                    Align::Left,
                );
                x += (cell + gap) as i32;
            }
        }
    }
}

fn drawn(page: &Page<'_>, room: u32, key: Key, does: Words, is_lit: bool) -> Option<Drawn> {
    let cap = page.look.legend.cap(key)?;
    let letter = match key {
        Key::Confirm if !is_lit => theme::PAPER,
        _ => theme::INK,
    };
    let print = Block::line(&cap.print, page.bold(16, letter));
    let width = page.px(24).max(print.width() + page.px(10));
    let room = room.saturating_sub(width + page.px(7));
    let label = match cap.hold {
        true => Block::stacked(
            &[page.say(words::HOLD), page.say(does)],
            page.text(13, theme::INK),
        ),
        false => Block::fitted(page.say(does), page.text(16, theme::INK), room, 1),
    };
    Some(Drawn {
        key,
        print,
        width,
        label,
        is_lit,
    })
}

/// Shows that a key was heard which has no place on this page: its cap, in the corner.
pub fn echo(page: &mut Page<'_>) {
    let Some(key) = page.look.motion.pressed.filter(|_| !page.has_echoed) else {
        return;
    };
    let Some(cap) = page.look.legend.cap(key) else {
        return;
    };
    let print = Block::line(&cap.print, page.bold(16, theme::INK));
    let size = Size::new(page.px(24).max(print.width() + page.px(10)), page.px(24));
    let key = Drawn {
        key,
        print,
        width: size.width,
        label: Block::line("", page.text(16, theme::INK)),
        is_lit: true,
    };
    let corner = page.frame.size() - size - Size::new_equal(page.px(8));
    let corner = Point::new(corner.width as i32, corner.height as i32);
    key_cap(page, Rectangle::new(corner, size), &key);
}

/// A key as it looks on the pad. Confirm is the one that stands out, but for one that was just pressed.
fn key_cap(page: &mut Page<'_>, area: Rectangle, key: &Drawn) {
    let (edge, face) = match key.key {
        _ if key.is_lit => (theme::GREEN, theme::AMBER),
        Key::Confirm => (theme::GREEN, theme::GREEN),
        _ => (theme::EDGE, theme::FIELD),
    };
    let side = area.size.height;
    shapes::rounded(page.frame, area, side / 4, edge);
    shapes::rounded(
        page.frame,
        area.offset(-(page.px(1) as i32)),
        (side / 4).saturating_sub(1),
        face,
    );
    let at = area.top_left;
    let top = at.y + (side as i32 - key.print.height() as i32) / 2;
    page.put(&key.print, at.x, top, area.size.width, Align::Center);
}
