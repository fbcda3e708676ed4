//! A page under way: where things go, how large they are, and whether they fitted.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{
    Circle, Line, PrimitiveStyle, PrimitiveStyleBuilder, Rectangle, RoundedRectangle,
};

use crate::kiosk::ui::Look;
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::text::Style;
use crate::kiosk::ui::theme;
use crate::kiosk::ui::words::Words;

/// A frame that is being filled, and the rules of its layout.
pub struct Page<'a> {
    pub frame: &'a mut Frame,
    pub look: &'a Look,
    /// Texts that did not fit where they were to stand.
    pub spilled: Vec<String>,
}

/// An upright strip of the page that is filled from its top.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub left: i32,
    pub width: u32,
    pub y: i32,
    pub bottom: i32,
}

impl<'a> Page<'a> {
    pub fn new(frame: &'a mut Frame, look: &'a Look) -> Page<'a> {
        Page {
            frame,
            look,
            spilled: Vec::new(),
        }
    }

    pub fn width(&self) -> u32 {
        self.frame.width()
    }

    pub fn height(&self) -> u32 {
        self.frame.height()
    }

    pub fn is_upright(&self) -> bool {
        self.height() >= self.width()
    }

    /// A length that was chosen for a panel of 240 pixels across its narrow side.
    pub fn px(&self, at_240: u32) -> u32 {
        at_240 * self.width().min(self.height()) / 240
    }

    /// Words in the page's three sizes.
    pub fn body(&self, color: Rgb565) -> Style {
        Style::words(if self.px(240) < 320 { 16 } else { 24 }, color)
    }

    pub fn lead(&self, color: Rgb565) -> Style {
        Style::words(if self.px(240) < 320 { 24 } else { 32 }, color)
    }

    pub fn title(&self, color: Rgb565) -> Style {
        Style::words(if self.px(240) < 320 { 36 } else { 48 }, color)
    }

    pub fn say(&self, words: Words) -> &'static str {
        words.in_language(self.look.language)
    }

    pub fn fill(&mut self, color: Rgb565) {
        let all = self.frame.bounding_box();
        self.fill_area(all, color);
    }

    pub fn fill_area(&mut self, area: Rectangle, color: Rgb565) {
        let Ok(()) = self.frame.fill_solid(&area, color);
    }

    /// The whole page but for a margin.
    pub fn column(&self) -> Column {
        let margin = self.px(12) as i32;
        let width = self.width() - 2 * margin as u32;
        Column {
            left: margin,
            width,
            y: margin,
            bottom: self.height() as i32 - margin,
        }
    }

    /// One line, centred in the column; moves on below it.
    pub fn line(&mut self, column: &mut Column, style: Style, text: &str) {
        let width = style.width(text);
        if width > column.width || column.y + style.line_height() as i32 > column.bottom {
            self.spilled.push(text.to_owned());
        }
        let left = column.left + (column.width as i32 - width as i32) / 2;
        style.draw(self.frame, text, Point::new(left, column.y));
        column.y += style.line_height() as i32;
    }

    /// Text in as many lines as it needs, centred; moves on below it.
    pub fn lines(&mut self, column: &mut Column, style: Style, text: &str) {
        for line in style.wrap(text, column.width) {
            self.line(column, style, &line);
        }
    }

    /// A title, in the largest of two sizes in which it fits one line.
    pub fn headline(&mut self, column: &mut Column, words: Words, color: Rgb565) {
        let text = self.say(words);
        let style = if self.title(color).width(text) <= column.width {
            self.title(color)
        } else {
            self.lead(color)
        };
        self.lines(column, style, text);
    }

    /// An amount in yuan, centred, as large as fits; moves on below it.
    pub fn amount(&mut self, column: &mut Column, digits_px: u32, figures: &str, color: Rgb565) {
        let width = self.amount_width(digits_px, figures);
        let digits_px = if width > column.width {
            digits_px * column.width / width
        } else {
            digits_px
        };
        let width = self.amount_width(digits_px, figures);
        let left = column.left + (column.width as i32 - width as i32) / 2;
        self.amount_at(Point::new(left, column.y), digits_px, figures, color);
        column.y += Style::figures(digits_px, color).line_height() as i32;
        if column.y > column.bottom {
            self.spilled.push(figures.to_owned());
        }
    }

    /// How wide an amount will be, its sign included.
    pub fn amount_width(&self, digits_px: u32, figures: &str) -> u32 {
        let color = theme::INK;
        yuan_px(digits_px) + digits_px / 6 + Style::figures(digits_px, color).width(figures)
    }

    /// An amount in yuan with its top left corner here. The font has no sign for yuan: it is a Y with two bars.
    pub fn amount_at(&mut self, at: Point, digits_px: u32, figures: &str, color: Rgb565) {
        let sign = yuan_px(digits_px);
        let ground = Style::figures(digits_px, color).baseline();
        let top = ground - sign as i32;
        let on = |x: u32, y: u32| {
            at + Point::new((x * sign / 100) as i32, top + (y * sign / 100) as i32)
        };
        let thick = (digits_px / 9).max(2);
        let arms = [
            ((10, 4), (50, 52)),
            ((90, 4), (50, 52)),
            ((50, 52), (50, 97)),
            ((18, 56), (82, 56)),
            ((18, 76), (82, 76)),
        ];
        for (from, to) in arms {
            let arm = Line::new(on(from.0, from.1), on(to.0, to.1));
            let Ok(()) = arm
                .into_styled(PrimitiveStyle::with_stroke(color, thick))
                .draw(self.frame);
        }
        let digits_at = at + Point::new((sign + digits_px / 6) as i32, 0);
        Style::figures(digits_px, color).draw(self.frame, figures, digits_at);
    }

    /// A row of keys with what they do, centred in the column; what does not fit goes into the next row.
    pub fn keys(&mut self, column: &mut Column, keys: &[(char, Words)]) {
        self.key_rows(column, keys, false);
    }

    /// The same, at the column's left.
    pub fn keys_aside(&mut self, column: &mut Column, keys: &[(char, Words)]) {
        self.key_rows(column, keys, true);
    }

    fn key_rows(&mut self, column: &mut Column, keys: &[(char, Words)], aside: bool) {
        let style = self.body(theme::INK);
        let (gap, inner) = (self.px(12) as i32, self.px(6) as i32);
        let cap = style.line_height() as i32 + self.px(4) as i32;
        let wide = |page: &Page<'_>, (_, words): &(char, Words)| {
            cap + inner + style.width(page.say(*words)) as i32
        };
        let mut rows: Vec<Vec<(char, Words)>> = vec![Vec::new()];
        let mut used = 0;
        for key in keys {
            let width = wide(self, key);
            let row = rows.last_mut().expect("there is always a row");
            if !row.is_empty() && used + gap + width > column.width as i32 {
                rows.push(vec![*key]);
                used = width;
            } else {
                used += width + if row.is_empty() { 0 } else { gap };
                row.push(*key);
            }
        }
        for row in rows {
            let total: i32 =
                row.iter().map(|key| wide(self, key)).sum::<i32>() + gap * (row.len() as i32 - 1);
            if total > column.width as i32 || column.y + cap > column.bottom + self.px(8) as i32 {
                self.spilled.push(row.iter().map(|(key, _)| *key).collect());
            }
            let mut x = column.left
                + if aside {
                    0
                } else {
                    (column.width as i32 - total) / 2
                };
            for key in row {
                self.key(Point::new(x, column.y), cap as u32, key.0);
                let text_at = Point::new(x + cap + inner, column.y + self.px(2) as i32);
                style.draw(self.frame, self.say(key.1), text_at);
                x += wide(self, &key) + gap;
            }
            column.y += cap + self.px(5) as i32;
        }
    }

    /// How high [`Page::keys`] will be for so many rows.
    pub fn keys_height(&self, rows: u32) -> u32 {
        rows * (self.body(theme::INK).line_height() + self.px(9))
    }

    /// A key cap as it looks on the pad.
    fn key(&mut self, at: Point, side: u32, cap: char) {
        let edge = PrimitiveStyleBuilder::new()
            .fill_color(theme::CAP)
            .stroke_color(theme::INK)
            .stroke_width(self.px(1).max(1));
        let area = Rectangle::new(at, Size::new_equal(side));
        let rounded = RoundedRectangle::with_equal_corners(area, Size::new_equal(side / 4));
        let Ok(()) = rounded.into_styled(edge.build()).draw(self.frame);
        let style = self.body(theme::INK);
        let text = cap.to_string();
        let left = (side as i32 - style.width(&text) as i32 + 1) / 2;
        style.draw(self.frame, &text, at + Point::new(left, self.px(2) as i32));
    }

    /// A bar, filled from the left by `part` of `whole`.
    pub fn bar(&mut self, column: &mut Column, part: u32, whole: u32, color: Rgb565) {
        let size = Size::new(column.width, self.px(6));
        let at = Point::new(column.left, column.y);
        let filled = Size::new(column.width * part.min(whole) / whole.max(1), size.height);
        for (size, color) in [(size, theme::LINE), (filled, color)] {
            let rounded = RoundedRectangle::with_equal_corners(
                Rectangle::new(at, size),
                Size::new_equal(size.height / 2),
            );
            let Ok(()) = rounded
                .into_styled(PrimitiveStyle::with_fill(color))
                .draw(self.frame);
        }
        column.y += size.height as i32;
    }

    /// A disc with a sign on it, centred; moves on below it.
    pub fn disc(
        &mut self,
        column: &mut Column,
        side: u32,
        ground: Rgb565,
        sign: Sign,
        color: Rgb565,
    ) {
        let at = Point::new(
            column.left + (column.width as i32 - side as i32) / 2,
            column.y,
        );
        let Ok(()) = Circle::new(at, side)
            .into_styled(PrimitiveStyle::with_fill(ground))
            .draw(self.frame);
        let on = |x: u32, y: u32| at + Point::new((x * side / 100) as i32, (y * side / 100) as i32);
        let strokes: &[(Point, Point)] = match sign {
            Sign::Tick => &[(on(28, 52), on(44, 68)), (on(44, 68), on(74, 34))],
            Sign::Down => &[
                (on(50, 26), on(50, 70)),
                (on(32, 54), on(50, 72)),
                (on(68, 54), on(50, 72)),
            ],
            Sign::Bar => &[(on(30, 50), on(70, 50))],
            Sign::Exclamation => &[(on(50, 26), on(50, 58)), (on(50, 73), on(50, 74))],
            Sign::Dots => &[
                (on(27, 50), on(28, 50)),
                (on(49, 50), on(50, 50)),
                (on(72, 50), on(73, 50)),
            ],
        };
        let thick = side / 10;
        for (from, to) in strokes {
            let style = PrimitiveStyle::with_stroke(color, thick);
            let Ok(()) = Line::new(*from, *to).into_styled(style).draw(self.frame);
            // Round ends: a thick line alone ends askew.
            for end in [from, to] {
                let Ok(()) = Circle::with_center(*end, thick)
                    .into_styled(PrimitiveStyle::with_fill(color))
                    .draw(self.frame);
            }
        }
        column.y += side as i32;
    }
}

/// The sign for yuan is smaller than the digits.
fn yuan_px(digits_px: u32) -> u32 {
    digits_px * 3 / 5
}

/// What can stand on a disc.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Done.
    Tick,
    /// The goods come out.
    Down,
    /// Nothing happened.
    Bar,
    /// Look here.
    Exclamation,
    /// Wait.
    Dots,
}

impl Column {
    /// Leaves some room.
    pub fn skip(&mut self, px: u32) {
        self.y += px as i32;
    }

    /// What is left of its height.
    pub fn left_over(&self) -> u32 {
        (self.bottom - self.y).max(0) as u32
    }
}
