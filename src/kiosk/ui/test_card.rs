//! The test card: what an installer looks at to see whether a panel is described as it is.

use embedded_graphics::geometry::AnchorPoint;
use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::ui::Look;
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::text::{Align, Block};

/// An arrow and letters that have no mirror image, red, green and blue under their names, and a line on the outermost
/// pixels.
pub fn draw(frame: &mut Frame) {
    draw_on(&mut Page::new(frame, &Look::default()));
}

fn draw_on(page: &mut Page<'_>) {
    page.fill(Rgb565::RED);
    let within_line = page.frame.bounding_box().offset(-1);
    let Ok(()) = page.frame.fill_solid(&within_line, Rgb565::WHITE);
    let area = page.inside();
    let half = match page.is_upright() {
        true => area.size.component_div(Size::new(1, 2)),
        false => area.size.component_div(Size::new(2, 1)),
    };
    let signs = area.resized(half, AnchorPoint::TopLeft);
    draw_signs(page, signs);
    draw_bars(page, area.resized(half, AnchorPoint::BottomRight));
}

/// The arrow, the letters, and the size below both.
fn draw_signs(page: &mut Page<'_>, area: Rectangle) {
    let (width, height) = (area.size.width, area.size.height);
    let Point { x: left, y: top } = area.top_left;
    let (panel_width, panel_height) = (page.frame.width(), page.frame.height());
    let size = format!("{panel_width} × {panel_height}");
    let size = Block::line(&size, page.text(18, Rgb565::BLACK));
    let room = height - size.height() - page.px(8);
    page.put(&size, left, top + room as i32, width, Align::Center);
    // Beside each other, or one below the other.
    let (cell, next) = match page.is_upright() {
        true => (Size::new(width / 2, room), Size::new(width / 2, 0)),
        false => (Size::new(width, room / 2), Size::new(0, room / 2)),
    };
    let letters = Block::fitted("FR", page.bold(60, Rgb565::BLACK), cell.width, 1);
    let side = letters.height().min(cell.height) * 4 / 5;
    let middle = (cell.height.saturating_sub(side) / 2) as i32;
    let tip = area.top_left + Point::new(cell.width as i32 / 2, middle);
    arrow(page, tip, side);
    let below = (cell.height.saturating_sub(letters.height()) / 2) as i32;
    let corner = area.top_left + next + Point::new(0, below);
    page.put(&letters, corner.x, corner.y, cell.width, Align::Center);
}

/// Three bars, one below the other.
fn draw_bars(page: &mut Page<'_>, area: Rectangle) {
    let height = area.size.height / 3;
    let names = [
        ("红 RED", Rgb565::RED, Rgb565::WHITE),
        ("绿 GREEN", Rgb565::GREEN, Rgb565::BLACK),
        ("蓝 BLUE", Rgb565::BLUE, Rgb565::WHITE),
    ];
    for (place, (name, color, ink)) in (0..).zip(names) {
        let corner = area.top_left + Point::new(0, place * height as i32);
        let bar = Rectangle::new(corner, Size::new(area.size.width, height));
        let Ok(()) = page.frame.fill_solid(&bar, color);
        let name = Block::line(name, page.bold(24, ink));
        let top = corner.y + height.saturating_sub(name.height()) as i32 / 2;
        page.put(&name, corner.x, top, bar.size.width, Align::Center);
    }
}

/// An arrow that points up, its tip there.
fn arrow(page: &mut Page<'_>, tip: Point, side: u32) {
    let side = side as i32;
    for row in 0..side {
        // A head as wide as high, then a shaft.
        let half = if row < side / 2 { row } else { side / 6 };
        let corner = tip + Point::new(-half, row);
        let line = Rectangle::new(corner, Size::new(2 * half as u32 + 1, 1));
        let Ok(()) = page.frame.fill_solid(&line, Rgb565::BLACK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [(u32, u32); 7] = [
        (128, 160),
        (160, 128),
        (240, 240),
        (240, 320),
        (320, 240),
        (320, 480),
        (480, 320),
    ];

    #[test]
    fn nothing_on_it_is_cut_off_or_without_a_letter() {
        let look = Look::default();
        for (width, height) in SIZES {
            let mut frame = Frame::new(width, height);
            let mut page = Page::new(&mut frame, &look);
            draw_on(&mut page);
            assert_eq!(page.flaws, [""; 0], "{width} × {height}");
        }
    }

    #[test]
    fn its_red_line_is_on_the_outermost_pixels_of_every_panel() {
        for (width, height) in SIZES {
            let mut frame = Frame::new(width, height);
            draw(&mut frame);
            for (place, pixel) in frame.pixels().iter().enumerate() {
                let (x, y) = (place as u32 % width, place as u32 / width);
                let is_edge = x == 0 || y == 0 || x == width - 1 || y == height - 1;
                assert!(!is_edge || *pixel == Rgb565::RED, "({x}, {y})");
            }
            assert_eq!(frame.pixels()[(width + 1) as usize], Rgb565::WHITE);
        }
    }
}
