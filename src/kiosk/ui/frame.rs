//! One picture in memory, in the panels' own colours (RGB565). It knows pixels only, never what they mean.

use core::convert::Infallible;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

/// A picture of the panel's size, row by row from the top left.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    size: Size,
    pixels: Vec<Rgb565>,
}

impl Frame {
    /// A black picture of this many pixels.
    pub fn new(width: u32, height: u32) -> Frame {
        Frame {
            size: Size::new(width, height),
            pixels: vec![Rgb565::BLACK; (width * height) as usize],
        }
    }

    /// Its width in pixels.
    pub fn width(&self) -> u32 {
        self.size.width
    }

    /// Its height in pixels.
    pub fn height(&self) -> u32 {
        self.size.height
    }

    /// All pixels, row by row from the top left.
    pub fn pixels(&self) -> &[Rgb565] {
        &self.pixels
    }

    /// All pixels as three bytes red, green, blue, widened so that white stays white.
    pub fn rgb888(&self) -> Vec<u8> {
        let wide = |value: u8, bits: u8| (value << (8 - bits)) | (value >> (2 * bits - 8));
        self.pixels
            .iter()
            .flat_map(|pixel| [wide(pixel.r(), 5), wide(pixel.g(), 6), wide(pixel.b(), 5)])
            .collect()
    }

    /// Mixes a colour over what is there; `cover` 0 leaves it, 255 hides it. Outside the picture nothing happens.
    pub(in crate::kiosk::ui) fn blend(&mut self, x: i32, y: i32, color: Rgb565, cover: u8) {
        let Some(place) = self.place(Point::new(x, y)) else {
            return;
        };
        let under = self.pixels[place];
        let cover = u32::from(cover);
        let mix = |over: u8, under: u8| {
            ((u32::from(over) * cover + u32::from(under) * (255 - cover) + 127) / 255) as u8
        };
        self.pixels[place] = Rgb565::new(
            mix(color.r(), under.r()),
            mix(color.g(), under.g()),
            mix(color.b(), under.b()),
        );
    }

    fn place(&self, at: Point) -> Option<usize> {
        self.bounding_box()
            .contains(at)
            .then(|| at.y as usize * self.size.width as usize + at.x as usize)
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Frame({} × {})", self.size.width, self.size.height)
    }
}

impl OriginDimensions for Frame {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Frame {
    type Color = Rgb565;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb565>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        for Pixel(at, color) in pixels {
            if let Some(place) = self.place(at) {
                self.pixels[place] = color;
            }
        }
        Ok(())
    }

    fn fill_contiguous<I: IntoIterator<Item = Rgb565>>(
        &mut self,
        area: &Rectangle,
        colors: I,
    ) -> Result<(), Infallible> {
        self.draw_iter(
            area.points()
                .zip(colors)
                .map(|(at, color)| Pixel(at, color)),
        )
    }

    fn fill_solid(&mut self, area: &Rectangle, color: Rgb565) -> Result<(), Infallible> {
        let area = area.intersection(&self.bounding_box());
        let columns = area.columns();
        for y in area.rows() {
            let row = y as usize * self.size.width as usize;
            self.pixels[row + columns.start as usize..row + columns.end as usize].fill(color);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_keep_their_ends_when_widened() {
        let mut frame = Frame::new(3, 1);
        let colors = [Rgb565::WHITE, Rgb565::new(16, 0, 31), Rgb565::BLACK];
        let Ok(()) = frame.fill_contiguous(&frame.bounding_box(), colors);
        assert_eq!(frame.rgb888(), [255, 255, 255, 132, 0, 255, 0, 0, 0]);
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut frame = Frame::new(2, 2);
        let below = Rectangle::new(Point::new(-1, 1), Size::new(9, 9));
        let Ok(()) = frame.fill_solid(&below, Rgb565::WHITE);
        frame.blend(2, 0, Rgb565::WHITE, 255);
        frame.blend(0, -1, Rgb565::WHITE, 255);
        frame.blend(0, 0, Rgb565::WHITE, 128);
        let half = Rgb565::new(16, 32, 16);
        let expected = [half, Rgb565::BLACK, Rgb565::WHITE, Rgb565::WHITE];
        assert_eq!(frame.pixels(), expected);
    }
}
