//! Shapes with smooth edges, each told by how far a point lies from its edge. Panels have few pixels; stairs would show.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::ui::frame::Frame;

/// A point in pixels, parts of them counted.
pub type Spot = (f32, f32);

/// Paints every point of the area by its distance from the shape's edge: negative is inside.
fn paint(frame: &mut Frame, area: Rectangle, color: Rgb565, distance: impl Fn(Spot) -> f32) {
    for y in area.rows() {
        for x in area.columns() {
            let cover = 0.5 - distance((x as f32 + 0.5, y as f32 + 0.5));
            if cover > 0.0 {
                frame.blend(x, y, color, (cover.min(1.0) * 255.0) as u8);
            }
        }
    }
}

/// A rectangle with round corners.
pub fn rounded(frame: &mut Frame, area: Rectangle, radius: u32, color: Rgb565) {
    let half = (area.size.width as f32 / 2.0, area.size.height as f32 / 2.0);
    let radius = (radius as f32).min(half.0).min(half.1);
    let middle = (
        area.top_left.x as f32 + half.0,
        area.top_left.y as f32 + half.1,
    );
    paint(frame, area, color, |(x, y)| {
        let dx = (x - middle.0).abs() - half.0 + radius;
        let dy = (y - middle.1).abs() - half.1 + radius;
        dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
    });
}

/// A full circle.
pub fn disc(frame: &mut Frame, middle: Spot, radius: f32, color: Rgb565) {
    line(frame, middle, middle, 2.0 * radius, color);
}

/// A line with round ends.
pub fn line(frame: &mut Frame, from: Spot, to: Spot, width: f32, color: Rgb565) {
    let reach = width / 2.0 + 1.0;
    let corner = |of: fn(f32, f32) -> f32, reach: f32| {
        Point::new(
            (of(from.0, to.0) + reach) as i32,
            (of(from.1, to.1) + reach) as i32,
        )
    };
    let area = Rectangle::with_corners(corner(f32::min, -reach), corner(f32::max, reach));
    let (along_x, along_y) = (to.0 - from.0, to.1 - from.1);
    let square = (along_x * along_x + along_y * along_y).max(f32::MIN_POSITIVE);
    paint(frame, area, color, |(x, y)| {
        let (dx, dy) = (x - from.0, y - from.1);
        let part = ((dx * along_x + dy * along_y) / square).clamp(0.0, 1.0);
        (dx - part * along_x).hypot(dy - part * along_y) - width / 2.0
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(frame: &Frame) -> f32 {
        let shades = frame
            .pixels()
            .iter()
            .map(|pixel| f32::from(pixel.g()) / 63.0);
        shades.sum()
    }

    #[test]
    fn a_disc_has_the_area_of_a_circle() {
        let mut frame = Frame::new(60, 60);
        disc(&mut frame, (30.0, 30.0), 20.0, Rgb565::WHITE);
        let circle = core::f32::consts::PI * 400.0;
        assert!(
            (ink(&frame) - circle).abs() < circle / 100.0,
            "{}",
            ink(&frame)
        );
    }

    #[test]
    fn a_rounded_rectangle_fills_its_area_but_for_the_corners() {
        let mut frame = Frame::new(40, 30);
        let area = Rectangle::new(Point::new(4, 5), Size::new(30, 20));
        rounded(&mut frame, area, 6, Rgb565::WHITE);
        let corners = (4.0 - core::f32::consts::PI) * 36.0;
        assert!(
            (ink(&frame) - 600.0 + corners).abs() < 6.0,
            "{}",
            ink(&frame)
        );
    }
}
