//! Lines of text: measured, broken where the language allows, balanced, and made smaller where they must.

use embedded_graphics::pixelcolor::Rgb565;

use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::glyph::{self, Face, Glyph};

/// Where a line may best be broken; it is never drawn. Without it Chinese breaks anywhere.
const BREAK: char = '|';
/// Nothing is ever smaller.
pub const SMALLEST_PX: u32 = 12;

/// How text looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// The face.
    pub face: Face,
    /// The size, as the face counts it.
    pub px: u32,
    /// The colour.
    pub color: Rgb565,
}

/// Where lines stand in their area.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// At its left edge.
    Left,
    /// In its middle.
    Center,
}

impl Style {
    /// From the top of one line to the top of the next.
    pub fn line_height(&self) -> u32 {
        match self.face {
            Face::Figures => self.px,
            Face::Regular | Face::Bold => self.px * 5 / 4,
        }
    }

    /// Digits fill their height; characters leave a part of it free.
    fn is_smallest(&self) -> bool {
        match self.face {
            Face::Figures => self.px <= SMALLEST_PX * 3 / 4,
            Face::Regular | Face::Bold => self.px <= SMALLEST_PX,
        }
    }

    fn advances(&self, text: &str) -> Vec<(char, f32)> {
        let advance = |character| match character {
            BREAK => 0.0,
            _ => Glyph::new(character, self.face, self.px)
                .advance()
                .unwrap_or(0.0),
        };
        text.chars().map(|c| (c, advance(c))).collect()
    }
}

/// Text in lines, ready to be drawn.
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    style: Style,
    lines: Vec<String>,
    width: f32,
    /// Whether every line is within the width and all are within the number allowed.
    pub fits: bool,
}

impl Block {
    /// One line, however long.
    pub fn line(text: &str, style: Style) -> Block {
        Block::wrapped(&style.advances(text), style, f32::INFINITY, 1)
    }

    /// Each of these texts on a line of its own, however long.
    pub fn stacked(lines: &[&str], style: Style) -> Block {
        let width = |line: &&str| -> f32 { style.advances(line).iter().map(|(_, a)| a).sum() };
        Block {
            style,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            width: lines.iter().map(width).fold(0.0, f32::max),
            fits: true,
        }
    }

    /// Text in so many lines of this width. It is made smaller until it fits; text of the smallest size takes the lines
    /// it needs.
    pub fn fitted(text: &str, mut style: Style, width: u32, lines: usize) -> Block {
        loop {
            let advances = style.advances(text);
            let smallest = style.is_smallest();
            let most_lines = if smallest { usize::MAX } else { lines };
            let block = Block::wrapped(&advances, style, width as f32, most_lines);
            if block.fits {
                return block.balanced(&advances);
            }
            if smallest {
                return block;
            }
            style.px = (style.px * 15 / 16).min(style.px - 1);
        }
    }

    fn wrapped(advances: &[(char, f32)], style: Style, width: f32, most_lines: usize) -> Block {
        let mut block = Block {
            style,
            lines: Vec::new(),
            width: 0.0,
            fits: true,
        };
        let mut rest = advances;
        while !rest.is_empty() {
            let (length, line_width) = first_line(rest, width);
            let line: String = rest[..length].iter().map(|(c, _)| *c).collect();
            block.lines.push(line.replace(BREAK, "").trim().to_owned());
            block.width = block.width.max(line_width);
            rest = &rest[length..];
        }
        block.fits = block.width <= width && block.lines.len() <= most_lines;
        block
    }

    /// The same number of lines, about equally long.
    fn balanced(self, advances: &[(char, f32)]) -> Block {
        let total: f32 = advances.iter().map(|(_, advance)| advance).sum();
        let lines = self.lines.len();
        let mut width = total / lines as f32;
        while width < self.width {
            let narrower = Block::wrapped(advances, self.style, width, lines);
            if narrower.fits {
                return narrower;
            }
            width += self.style.px as f32 / 4.0;
        }
        self
    }

    /// The width of the longest line.
    pub fn width(&self) -> u32 {
        self.width.ceil() as u32
    }

    /// The height of all lines.
    pub fn height(&self) -> u32 {
        self.lines.len() as u32 * self.style.line_height()
    }

    /// How far below its top the first baseline lies.
    pub fn baseline(&self) -> i32 {
        let leading = (self.style.line_height() - self.style.px) as i32 / 2;
        leading + glyph::ascent(self.style.face, self.style.px)
    }

    /// Draws it into an area that begins at `left`, `top`; says which characters no font has.
    pub fn draw(&self, frame: &mut Frame, left: i32, top: i32, width: u32, align: Align) -> String {
        let mut missing = String::new();
        let mut baseline = top + self.baseline();
        for line in &self.lines {
            let advances = self.style.advances(line);
            let line_width: f32 = advances.iter().map(|(_, advance)| advance).sum();
            let mut x = left as f32;
            if align == Align::Center {
                x += ((width as f32 - line_width) / 2.0).round();
            }
            for (character, advance) in advances {
                let glyph = Glyph::new(character, self.style.face, self.style.px);
                if glyph.advance().is_none() {
                    missing.push(character);
                }
                glyph.draw(frame, x, baseline, self.style.color);
                x += advance;
            }
            baseline += self.style.line_height() as i32;
        }
        missing
    }
}

/// How many characters go into the first line, and how wide they are without the blanks at its end.
fn first_line(text: &[(char, f32)], width: f32) -> (usize, f32) {
    let mut pen = 0.0;
    let mut inked = 0.0;
    let (mut best, mut possible) = (None, None);
    for (place, (character, advance)) in text.iter().enumerate() {
        if place > 0 {
            let before = text[place - 1].0;
            if matches!(before, ' ' | BREAK) {
                best = Some((place, inked));
            } else if breaks_between(before, *character) {
                possible = Some((place, inked));
            }
        }
        pen += advance;
        if *character != ' ' {
            inked = pen;
        }
        if inked > width {
            return best.or(possible).unwrap_or((text.len(), inked));
        }
    }
    (text.len(), inked)
}

/// Chinese breaks between any two characters, but no line begins with a closing mark.
fn breaks_between(before: char, after: char) -> bool {
    let chinese = |c: char| c as u32 >= 0x2e80;
    chinese(before) && chinese(after) && !"，。！？：；、）".contains(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::prelude::RgbColor;

    fn style(px: u32) -> Style {
        Style {
            face: Face::Regular,
            px,
            color: Rgb565::BLACK,
        }
    }

    fn lines(text: &str, width: u32) -> Vec<String> {
        Block::fitted(text, style(16), width, 9).lines
    }

    #[test]
    fn lines_break_where_the_language_allows() {
        assert_eq!(
            lines("请用微信|或支付宝|扫码支付", 160),
            ["请用微信或支付宝", "扫码支付"]
        );
        assert_eq!(
            lines("没有付款，订单已关闭", 64),
            ["没有付", "款，订单", "已关闭"]
        );
        assert_eq!(
            lines("Scan with WeChat or Alipay", 140),
            ["Scan with", "WeChat or Alipay"]
        );
    }

    #[test]
    fn lines_are_about_equally_long() {
        assert_eq!(lines("一二三四五六七八九", 128), ["一二三四五", "六七八九"]);
    }

    #[test]
    fn text_that_is_too_long_gets_smaller_then_longer_and_then_says_so() {
        let block = Block::fitted("一二三四五六", style(20), 96, 1);
        assert!(block.fits && block.style.px == 16, "{block:?}");
        let block = Block::fitted("一二三四五六", style(20), 60, 1);
        assert!(block.fits && block.lines.len() == 2, "{block:?}");
        let block = Block::fitted("400-820-8820", style(20), 60, 1);
        assert!(!block.fits && block.style.px == SMALLEST_PX, "{block:?}");
    }
}
