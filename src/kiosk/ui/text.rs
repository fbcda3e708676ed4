//! Text from bitmap fonts, at any size.
//!
//! WenQuanYi at 16 pixels is the largest Chinese bitmap font there is. Larger text is enlarged by Scale2x, which keeps
//! strokes smooth, and averaged down to the size wanted; it comes out with soft edges.

use embedded_graphics::pixelcolor::{BinaryColor, Rgb565};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use u8g2_fonts::types::{FontColor, VerticalPosition};
use u8g2_fonts::{FontRenderer, fonts};

use crate::kiosk::ui::frame::Frame;

/// Chinese and Latin text; its size is the height of a Chinese character.
const WORDS: Font = Font {
    renderer: FontRenderer::new::<fonts::u8g2_font_wqy16_t_gb2312>(),
    native_px: 16,
    ascent: 14,
    height: 18,
};
/// Amounts; their size is the height of a digit.
const FIGURES: Font = Font {
    renderer: FontRenderer::new::<fonts::u8g2_font_logisoso58_tf>(),
    native_px: 58,
    ascent: 60,
    height: 64,
};

/// Sub-pixels across one pixel when text is averaged down.
const FINE: u32 = 4;

struct Font {
    renderer: FontRenderer,
    native_px: u32,
    ascent: i32,
    height: u32,
}

/// How text looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    face: Face,
    px: u32,
    color: Rgb565,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Face {
    Words,
    Figures,
}

impl Style {
    /// Words of this height in pixels: 16 and more.
    pub fn words(px: u32, color: Rgb565) -> Style {
        Style {
            face: Face::Words,
            px,
            color,
        }
    }

    /// An amount with digits of this height in pixels.
    pub fn figures(px: u32, color: Rgb565) -> Style {
        Style {
            face: Face::Figures,
            px,
            color,
        }
    }

    /// The height of a line in pixels.
    pub fn line_height(&self) -> u32 {
        self.scale(self.font().height)
    }

    /// Where the letters stand, below the top of the line.
    pub fn baseline(&self) -> i32 {
        self.scale(self.font().ascent as u32) as i32
    }

    /// The width of a text in pixels.
    pub fn width(&self, text: &str) -> u32 {
        self.scale(self.font().advance(text))
    }

    /// Whether the font has this character.
    #[cfg(test)]
    pub fn has(&self, c: char) -> bool {
        let dimensions = self.font().renderer.get_rendered_dimensions(
            c,
            Point::zero(),
            VerticalPosition::Baseline,
        );
        dimensions.is_ok()
    }

    /// Draws one line with its top left corner here.
    pub fn draw(&self, frame: &mut Frame, text: &str, at: Point) {
        let font = self.font();
        let native = font.mask(text);
        if self.px == font.native_px {
            return native.paint(frame, at, native.size, self.color);
        }
        let large = match self.face {
            Face::Words => native.doubled().doubled().thicker(),
            Face::Figures => native.doubled(),
        };
        let size = Size::new(
            self.scale(native.size.width),
            self.scale(native.size.height),
        );
        large.paint(frame, at, size, self.color);
    }

    /// Breaks a text into lines no wider than this: Chinese anywhere, Latin between words.
    pub fn wrap(&self, text: &str, width: u32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for piece in pieces(text) {
            if !line.is_empty() && self.width(&format!("{line}{}", piece.trim_end())) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(piece);
        }
        lines.push(line);
        lines
            .into_iter()
            .map(|line| line.trim().to_owned())
            .collect()
    }

    fn font(&self) -> &'static Font {
        match self.face {
            Face::Words => &WORDS,
            Face::Figures => &FIGURES,
        }
    }

    fn scale(&self, native: u32) -> u32 {
        (native * self.px).div_ceil(self.font().native_px)
    }
}

/// What may not be broken: a Latin word with its blank, or one Chinese character with the sign that closes it.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((_, c)) = chars.next() {
        let Some((next_at, next)) = chars.peek().copied() else {
            break;
        };
        let may_break = c == ' ' || !c.is_ascii() || !next.is_ascii();
        let closes = matches!(next, '，' | '。' | '、' | '：' | '！' | '；' | '）' | ' ');
        if may_break && !closes {
            pieces.push(&text[begin..next_at]);
            begin = next_at;
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

impl Font {
    fn advance(&self, text: &str) -> u32 {
        let dimensions =
            self.renderer
                .get_rendered_dimensions(text, Point::zero(), VerticalPosition::Baseline);
        dimensions.map_or(0, |dimensions| dimensions.advance.x.max(0) as u32)
    }

    /// The text in its native size, one bit a pixel.
    fn mask(&self, text: &str) -> Mask {
        let mut mask = Mask::new(Size::new(self.advance(text), self.height));
        let baseline = Point::new(0, self.ascent);
        let renderer = self.renderer.clone().with_ignore_unknown_chars(true);
        // What the font lacks is left out; a test checks that it lacks nothing that we say.
        let _ = renderer.render(
            text,
            baseline,
            VerticalPosition::Baseline,
            FontColor::Transparent(BinaryColor::On),
            &mut mask,
        );
        mask
    }
}

/// A picture of one bit a pixel.
struct Mask {
    size: Size,
    bits: Vec<bool>,
}

impl Mask {
    fn new(size: Size) -> Mask {
        Mask {
            size,
            bits: vec![false; (size.width * size.height) as usize],
        }
    }

    fn get(&self, x: i32, y: i32) -> bool {
        let inside = Rectangle::new(Point::zero(), self.size).contains(Point::new(x, y));
        inside && self.bits[y as usize * self.size.width as usize + x as usize]
    }

    /// Twice as large by Scale2x: a corner is filled where both its neighbours are, so that slopes stay slopes.
    fn doubled(&self) -> Mask {
        let mut large = Mask::new(self.size * 2);
        for y in 0..self.size.height as i32 {
            for x in 0..self.size.width as i32 {
                let here = self.get(x, y);
                let (up, down) = (self.get(x, y - 1), self.get(x, y + 1));
                let (left, right) = (self.get(x - 1, y), self.get(x + 1, y));
                let corner = |a: bool, b: bool, c: bool, d: bool| {
                    if a == b && a != c && b != d { a } else { here }
                };
                let corners = [
                    corner(left, up, down, right),
                    corner(up, right, left, down),
                    corner(down, left, right, up),
                    corner(right, down, up, left),
                ];
                for (bit, (dx, dy)) in corners.into_iter().zip([(0, 0), (1, 0), (0, 1), (1, 1)]) {
                    large.bits[(2 * y + dy) as usize * large.size.width as usize
                        + (2 * x + dx) as usize] = bit;
                }
            }
        }
        large
    }

    /// Strokes two pixels wider: a stroke of one native pixel would be too thin for its new size.
    fn thicker(&self) -> Mask {
        let mut thick = Mask::new(self.size);
        let columns = self.size.width as usize;
        for (place, bit) in thick.bits.iter_mut().enumerate() {
            let (x, y) = ((place % columns) as i32, (place / columns) as i32);
            *bit = self.get(x, y) || self.get(x - 1, y) || self.get(x + 1, y) || self.get(x, y - 1);
        }
        thick
    }

    /// Paints it in this size; where a pixel is partly covered, the colour is mixed with what is there.
    fn paint(&self, frame: &mut Frame, at: Point, size: Size, color: Rgb565) {
        for y in 0..size.height {
            for x in 0..size.width {
                let mut cover = 0;
                for fine in 0..FINE * FINE {
                    let (fine_x, fine_y) = (x * FINE + fine % FINE, y * FINE + fine / FINE);
                    let source_x = fine_x * self.size.width / (size.width * FINE);
                    let source_y = fine_y * self.size.height / (size.height * FINE);
                    cover += u16::from(self.get(source_x as i32, source_y as i32));
                }
                if cover > 0 {
                    frame.blend(at + Point::new(x as i32, y as i32), color, cover);
                }
            }
        }
    }
}

impl OriginDimensions for Mask {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Mask {
    type Color = BinaryColor;
    type Error = core::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Self::Error> {
        for Pixel(at, color) in pixels {
            if self.bounding_box().contains(at) {
                self.bits[at.y as usize * self.size.width as usize + at.x as usize] = color.is_on();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(px: u32) -> Style {
        Style::words(px, Rgb565::BLACK)
    }

    #[test]
    fn a_chinese_character_is_as_wide_as_it_is_high() {
        assert_eq!(style(16).width("谢谢"), 32);
        assert_eq!(style(32).width("谢谢"), 64);
    }

    #[test]
    fn lines_break_where_the_language_allows() {
        assert_eq!(
            style(16).wrap("请用微信或支付宝扫码", 96),
            ["请用微信或支", "付宝扫码"]
        );
        assert_eq!(
            style(16).wrap("没有付款，订单已关闭", 64),
            ["没有付", "款，订单", "已关闭"]
        );
        let english = style(16).wrap("Scan with WeChat or Alipay", 100);
        assert!(
            english
                .iter()
                .all(|line| !line.starts_with(' ') && !line.ends_with(' ')),
            "{english:?}"
        );
        assert_eq!(english.join(" "), "Scan with WeChat or Alipay");
    }

    #[test]
    fn enlarged_text_has_soft_edges_and_a_full_core() {
        let mut frame = Frame::new(80, 80);
        style(40).draw(&mut frame, "国", Point::zero());
        let mut frame_white = Frame::new(80, 80);
        Style::words(40, Rgb565::WHITE).draw(&mut frame_white, "国", Point::zero());
        assert!(
            frame.pixels().iter().all(|pixel| *pixel == Rgb565::BLACK),
            "black on black"
        );
        let shades: std::collections::HashSet<u8> =
            frame_white.pixels().iter().map(|pixel| pixel.g()).collect();
        assert!(
            shades.contains(&63) && shades.contains(&0) && shades.len() > 3,
            "{shades:?}"
        );
    }
}
