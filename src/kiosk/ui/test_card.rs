//! The test card: what an installer looks at to see whether a panel is described as it is.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::text::{Align, Block};
use crate::kiosk::ui::{Look, shapes};

/// Red, green and blue as bright as they are, and a line on the outermost pixels.
pub fn draw(frame: &mut Frame) {
    let look = Look::default();
    let mut page = Page::new(frame, &look);
    let (width, height) = (page.frame.width(), page.frame.height());
    page.fill(Rgb565::RED);
    let inside = page.frame.bounding_box().offset(-1);
    let Ok(()) = page.frame.fill_solid(&inside, Rgb565::WHITE);
    arrow(&mut page, height / 10, width.min(height) / 4);
    let title = format!("{width} × {height}");
    let title = Block::line(&title, page.bold(24, Rgb565::BLACK));
    page.put(&title, 0, (height * 2 / 5) as i32, width, Align::Center);
    let bars = [
        ("R", Rgb565::RED),
        ("G", Rgb565::GREEN),
        ("B", Rgb565::BLUE),
    ];
    let bar = Size::new(width * 4 / 15, height * 3 / 10);
    for (place, (letter, color)) in bars.into_iter().enumerate() {
        let left = (width / 10 + place as u32 * bar.width) as i32;
        let corner = Point::new(left, (height * 3 / 5) as i32);
        let Ok(()) = page.frame.fill_solid(&Rectangle::new(corner, bar), color);
        let letter = Block::line(letter, page.bold(24, Rgb565::WHITE));
        let top = corner.y + (bar.height as i32 - letter.height() as i32) / 2;
        page.put(&letter, left, top, bar.width, Align::Center);
    }
}

/// An arrow that points up, in the middle.
fn arrow(page: &mut Page<'_>, top: u32, side: u32) {
    let middle = page.frame.width() / 2;
    for row in 0..side {
        // A head as wide as high, then a shaft.
        let half = if row < side / 2 { row } else { side / 6 };
        let corner = Point::new((middle - half) as i32, (top + row) as i32);
        let line = Rectangle::new(corner, Size::new(2 * half + 1, 1));
        shapes::rounded(page.frame, line, 0, Rgb565::BLACK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_red_line_is_on_the_outermost_pixels_of_every_panel() {
        for (width, height) in [(128, 160), (240, 240), (320, 240), (320, 480)] {
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
