//! One character at any size with soft edges, from the few bitmap fonts there are. Knows no lines and no words.
//!
//! Latin text and figures come from large bitmaps and are averaged down. The largest Chinese bitmaps have 16 pixels:
//! they are enlarged by Scale2x, blurred a little and sharpened again, which turns their stairs into strokes.

use core::convert::Infallible;

use embedded_graphics::pixelcolor::{BinaryColor, Rgb565};
use embedded_graphics::prelude::*;
use u8g2_fonts::types::{FontColor, VerticalPosition};
use u8g2_fonts::{FontRenderer, fonts};

use crate::kiosk::ui::frame::Frame;

/// How letters look. The size of the first two is the side of a Chinese character, of figures the height of a digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Face {
    /// Text.
    Regular,
    /// Headlines, and what must not be overlooked.
    Bold,
    /// Amounts: narrow digits, and `¥`.
    Figures,
}

/// A bitmap font, and the height in its own pixels that a size is measured by.
struct Source {
    font: FontRenderer,
    height: f32,
}

const CHINESE: Source = Source {
    font: FontRenderer::new::<fonts::u8g2_font_wqy16_t_gb2312>(),
    height: CHINESE_PX,
};
const REGULAR: Source = Source {
    font: FontRenderer::new::<fonts::u8g2_font_fur42_tf>(),
    height: 42.0,
};
const BOLD: Source = Source {
    font: FontRenderer::new::<fonts::u8g2_font_fub42_tf>(),
    height: 42.0,
};
const FIGURES: Source = Source {
    font: FontRenderer::new::<fonts::u8g2_font_logisoso92_tn>(),
    height: 92.0,
};

const CHINESE_PX: f32 = 16.0;
/// How far Chinese characters reach above the baseline, in parts of their side.
const CHINESE_ASCENT: f32 = 14.0 / CHINESE_PX;
/// The height of a Latin capital beside Chinese characters, in parts of their side.
const CAPITAL: f32 = 0.72;
/// The height of `¥` beside figures, in parts of a digit.
const YUAN_SIGN: f32 = 0.6;
/// How often Chinese is doubled before it is blurred.
const DOUBLINGS: u32 = 2;

/// A character of a face, ready to be measured and drawn.
#[derive(Clone, Copy)]
pub struct Glyph {
    character: char,
    face: Face,
    source: &'static Source,
    /// Pixels of the picture per pixel of the font.
    scale: f32,
}

impl Glyph {
    /// The character at this size.
    pub fn new(character: char, face: Face, px: u32) -> Glyph {
        let latin = character.is_ascii() || character == '¥';
        // Whole pixels from the baseline to the top of the capitals: one soft edge less.
        let capital = (px as f32 * CAPITAL).round();
        let (source, height) = match face {
            Face::Figures if character == '¥' => (&BOLD, (px as f32 * YUAN_SIGN).round()),
            Face::Figures => (&FIGURES, px as f32),
            _ if !latin => (&CHINESE, px as f32),
            Face::Regular => (&REGULAR, capital),
            Face::Bold => (&BOLD, capital),
        };
        Glyph {
            character,
            face,
            source,
            scale: height / source.height,
        }
    }

    /// How far the next character stands from this one; `None` if the font has no such character.
    pub fn advance(&self) -> Option<f32> {
        let dimensions = self.source.font.get_rendered_dimensions(
            self.character,
            Point::zero(),
            VerticalPosition::Baseline,
        );
        Some(dimensions.ok()?.advance.x as f32 * self.scale)
    }

    /// Draws it; `x` is where the pen stands. A character that is not in the font is left out.
    pub fn draw(&self, frame: &mut Frame, x: f32, baseline: i32, color: Rgb565) {
        let Some(bitmap) = self.bitmap() else { return };
        if self.source.height != CHINESE_PX {
            let softness = (1.0 / self.scale, 0.5);
            Shades::of(&bitmap).paint(frame, (x, baseline), self.scale, softness, color);
        } else if self.scale == 1.0 {
            bitmap.paint(frame, (x.round() as i32, baseline), color);
        } else {
            let fine = (0..DOUBLINGS).fold(bitmap, |bitmap, _| bitmap.doubled());
            let cells = (1 << DOUBLINGS) as f32;
            // The blur is about a stroke wide. A lower threshold makes the stroke that comes out of it bolder.
            let threshold = if self.face == Face::Bold { 0.3 } else { 0.42 };
            let softness = (cells.max(cells / self.scale) * 1.2, threshold);
            let at = (x.round(), baseline);
            Shades::of(&fine).paint(frame, at, self.scale / cells, softness, color);
        }
    }

    fn bitmap(&self) -> Option<Bitmap> {
        let pen = (Point::zero(), VerticalPosition::Baseline);
        let font = &self.source.font;
        let dimensions = font.get_rendered_dimensions(self.character, pen.0, pen.1);
        let inked = dimensions.ok()?.bounding_box?;
        // Room on all sides for strokes that grow.
        let mut bitmap = Bitmap::new(
            inked.top_left - Point::new(1, 1),
            inked.size + Size::new(2, 2),
        );
        let ink = FontColor::Transparent(BinaryColor::On);
        font.render(self.character, pen.0, pen.1, ink, &mut bitmap)
            .ok()?;
        Some(bitmap)
    }
}

/// Where the baseline of a line lies below its top.
pub fn ascent(face: Face, px: u32) -> i32 {
    match face {
        Face::Figures => px as i32,
        Face::Regular | Face::Bold => (px as f32 * CHINESE_ASCENT).round() as i32,
    }
}

/// A character in one bit per pixel. `top_left` is where it lies from the pen.
struct Bitmap {
    top_left: Point,
    size: Size,
    ink: Vec<bool>,
}

impl Bitmap {
    fn new(top_left: Point, size: Size) -> Bitmap {
        Bitmap {
            top_left,
            size,
            ink: vec![false; (size.width * size.height) as usize],
        }
    }

    fn get(&self, x: i32, y: i32) -> bool {
        let (width, height) = (self.size.width as i32, self.size.height as i32);
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        inside && self.ink[(y * width + x) as usize]
    }

    /// Twice as large by the rule of Scale2x: a corner pixel goes with its two neighbours where they agree.
    fn doubled(&self) -> Bitmap {
        let mut large = Bitmap::new(self.top_left * 2, self.size * 2);
        let width = large.size.width as usize;
        for y in 0..self.size.height as i32 {
            for x in 0..self.size.width as i32 {
                let (above, below) = (self.get(x, y - 1), self.get(x, y + 1));
                let (left, right) = (self.get(x - 1, y), self.get(x + 1, y));
                let here = self.get(x, y);
                let smooth = above != below && left != right;
                let corner = |one, other| if smooth && one == other { one } else { here };
                let place = 2 * (y as usize * width + x as usize);
                large.ink[place] = corner(above, left);
                large.ink[place + 1] = corner(above, right);
                large.ink[place + width] = corner(below, left);
                large.ink[place + width + 1] = corner(below, right);
            }
        }
        large
    }

    /// Paints it as it is.
    fn paint(&self, frame: &mut Frame, (x, baseline): (i32, i32), color: Rgb565) {
        for (place, _) in self.ink.iter().enumerate().filter(|(_, ink)| **ink) {
            let at = Point::new(
                (place % self.size.width as usize) as i32,
                (place / self.size.width as usize) as i32,
            ) + self.top_left;
            frame.blend(x + at.x, baseline + at.y, color, 255);
        }
    }
}

impl OriginDimensions for Bitmap {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Bitmap {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        for Pixel(at, color) in pixels {
            let at = at - self.top_left;
            if self.bounding_box().contains(at) {
                self.ink[(at.y * self.size.width as i32 + at.x) as usize] = color.is_on();
            }
        }
        Ok(())
    }
}

/// A bitmap as sums of its ink above and left of each corner: the ink of any rectangle is four of them.
struct Shades {
    top_left: Point,
    size: Size,
    sums: Vec<u16>,
}

impl Shades {
    fn of(bitmap: &Bitmap) -> Shades {
        let (width, height) = (bitmap.size.width as usize, bitmap.size.height as usize);
        let mut sums = vec![0; (width + 1) * (height + 1)];
        for y in 0..height {
            let mut row = 0;
            for x in 0..width {
                row += u16::from(bitmap.ink[y * width + x]);
                sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
            }
        }
        Shades {
            top_left: bitmap.top_left,
            size: bitmap.size,
            sums,
        }
    }

    /// The ink between two heights, summed from the left: up to each corner between two columns.
    fn ink_between(&self, upper: Edge, lower: Edge) -> impl Iterator<Item = f32> {
        let stride = self.size.width as usize + 1;
        let row = move |y| {
            self.sums[y * stride..][..stride]
                .iter()
                .map(|sum| f32::from(*sum))
        };
        let at = move |edge: Edge| {
            let rows = row(edge.cell).zip(row(edge.cell + 1));
            rows.map(move |(before, after)| edge.between(before, after))
        };
        at(lower).zip(at(upper)).map(|(lower, upper)| lower - upper)
    }

    /// Paints it `scale` times as large. Each pixel sees the ink of a window of so many bitmap pixels, sharpened
    /// around the threshold until an edge is one pixel wide.
    fn paint(
        &self,
        frame: &mut Frame,
        (pen, baseline): (f32, i32),
        scale: f32,
        (window, threshold): (f32, f32),
        color: Rgb565,
    ) {
        // At least so sharp that where there is no ink, nothing is painted.
        let sharpness = (window * scale).max(0.5 / threshold);
        let (left, top) = (self.top_left.x as f32, self.top_left.y as f32);
        let first_x = (pen + left * scale).floor() as i32;
        let last_x = (pen + (left + self.size.width as f32) * scale).ceil() as i32;
        let first_y = (top * scale).floor() as i32;
        let last_y = ((top + self.size.height as f32) * scale).ceil() as i32;
        let (width, height) = (self.size.width, self.size.height);
        let edges = |center, size| [-0.5, 0.5].map(|side| Edge::at(center + side * window, size));
        let columns =
            (first_x..last_x).map(|x| edges((x as f32 + 0.5 - pen) / scale - left, width));
        let columns: Vec<[Edge; 2]> = columns.collect();
        let mut sums = Vec::with_capacity(width as usize + 1);
        for y in first_y..last_y {
            let [upper, lower] = edges((y as f32 + 0.5) / scale - top, height);
            sums.clear();
            sums.extend(self.ink_between(upper, lower));
            for (x, edges) in (first_x..).zip(&columns) {
                let [left, right] =
                    edges.map(|edge| edge.between(sums[edge.cell], sums[edge.cell + 1]));
                let ink = right - left;
                let cover = (ink / (window * window) - threshold) * sharpness + 0.5;
                if cover > 0.0 {
                    frame.blend(x, baseline + y, color, (cover.min(1.0) * 255.0) as u8);
                }
            }
        }
    }
}

/// A place along a bitmap: in this pixel, so far into it.
#[derive(Clone, Copy)]
struct Edge {
    cell: usize,
    part: f32,
}

impl Edge {
    /// The place; its end, if it lies outside.
    fn at(place: f32, size: u32) -> Edge {
        let place = place.clamp(0.0, size as f32);
        let cell = (place as usize).min(size as usize - 1);
        Edge {
            cell,
            part: place - cell as f32,
        }
    }

    /// What is there, from what is at its pixel's two ends.
    fn between(self, before: f32, after: f32) -> f32 {
        before + (after - before) * self.part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_face_has_what_it_is_for() {
        for (face, characters) in [
            (Face::Figures, "¥0123456789."),
            (Face::Regular, "Aa#¥(请，。"),
            (Face::Bold, "Aa#¥(请，。"),
        ] {
            for character in characters.chars() {
                let glyph = Glyph::new(character, face, 32);
                assert!(glyph.advance().is_some(), "{character}");
            }
        }
        assert_eq!(Glyph::new('🙂', Face::Regular, 32).advance(), None);
    }

    #[test]
    fn a_chinese_character_is_as_wide_as_its_size() {
        for px in [12, 16, 24, 37] {
            let advance = Glyph::new('谢', Face::Regular, px).advance();
            assert_eq!(advance, Some(px as f32));
        }
    }

    #[test]
    fn enlarged_strokes_have_a_full_core_and_soft_edges() {
        let mut frame = Frame::new(48, 48);
        Glyph::new('国', Face::Regular, 40).draw(&mut frame, 0.0, 40, Rgb565::WHITE);
        let shades: std::collections::HashSet<u8> =
            frame.pixels().iter().map(|pixel| pixel.g()).collect();
        assert!(shades.contains(&63) && shades.contains(&0), "{shades:?}");
        assert!(shades.len() > 8, "{shades:?}");
    }

    #[test]
    fn bold_is_darker_than_regular() {
        let ink = |face, character| {
            let mut frame = Frame::new(48, 48);
            Glyph::new(character, face, 32).draw(&mut frame, 4.0, 40, Rgb565::WHITE);
            let shades = frame.pixels().iter().map(|pixel| u32::from(pixel.g()));
            shades.sum::<u32>()
        };
        for character in ['谢', 'R'] {
            assert!(ink(Face::Bold, character) * 5 > ink(Face::Regular, character) * 6);
        }
    }
}
