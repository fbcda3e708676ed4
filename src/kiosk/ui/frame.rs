//! One picture in memory, in the panel's own colours (RGB565). Panels take it from here.

use core::convert::Infallible;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

/// A picture of the panel's size, row by row.
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

    /// All pixels as three bytes red, green, blue: widened so that full stays full.
    pub fn rgb888(&self) -> Vec<u8> {
        let wide = |value: u8, bits: u8| (value << (8 - bits)) | (value >> (2 * bits - 8));
        self.pixels
            .iter()
            .flat_map(|pixel| [wide(pixel.r(), 5), wide(pixel.g(), 6), wide(pixel.b(), 5)])
            .collect()
    }

    /// Mixes a colour over what is there; `cover` of 16 hides it. Outside the picture nothing happens.
    pub fn blend(&mut self, at: Point, color: Rgb565, cover: u16) {
        let Some(place) = self.place(at) else { return };
        let under = self.pixels[place];
        let mix = |over: u8, under: u8| {
            ((u16::from(over) * cover + u16::from(under) * (16 - cover) + 8) / 16) as u8
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

    fn fill_solid(&mut self, area: &Rectangle, color: Rgb565) -> Result<(), Infallible> {
        let area = area.intersection(&self.bounding_box());
        for y in area.rows() {
            let row = y as usize * self.size.width as usize;
            let columns = area.columns();
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
        frame
            .draw_iter(
                colors
                    .iter()
                    .zip(0..)
                    .map(|(color, x)| Pixel(Point::new(x, 0), *color)),
            )
            .expect("infallible");
        assert_eq!(frame.rgb888(), [255, 255, 255, 132, 0, 255, 0, 0, 0]);
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut frame = Frame::new(2, 2);
        frame
            .fill_solid(
                &Rectangle::new(Point::new(-1, 1), Size::new(9, 9)),
                Rgb565::WHITE,
            )
            .expect("infallible");
        frame.blend(Point::new(2, 0), Rgb565::WHITE, 16);
        frame.blend(Point::new(0, 0), Rgb565::WHITE, 8);
        assert_eq!(frame.pixels()[2..], [Rgb565::WHITE, Rgb565::WHITE]);
        assert_eq!(
            frame.pixels()[..2],
            [Rgb565::new(16, 32, 16), Rgb565::BLACK]
        );
    }
}
