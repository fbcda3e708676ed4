//! Things under each other: each row has its height, free room goes where springs are, and where there is too little
//! room the least important rows are left out.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::kiosk::ui::input::Input;
use crate::kiosk::ui::keys::Keys;
use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::sign::Sign;
use crate::kiosk::ui::text::{Align, Block};
use crate::kiosk::ui::{shapes, theme};

/// Rows that share an area.
pub struct Column {
    area: Rectangle,
    rows: Vec<Row>,
}

/// One row.
pub struct Row {
    part: Part,
    gap: u32,
    spring: u32,
    rank: u8,
}

/// What a row shows.
pub enum Part {
    /// Free room.
    Nothing,
    /// Text.
    Text(Block, Align),
    /// A large text at the left, small ones under each other at the right.
    Ends(Block, Vec<Block>),
    /// Text on a field of colour.
    Field {
        /// The text.
        text: Block,
        /// The colour under it.
        ground: Rgb565,
        /// The room above and below the text.
        pad: u32,
    },
    /// A number to be read out on a field, its label beside it or elsewhere, and the room above and below.
    Reference(Option<Block>, Block, u32),
    /// A sign on a disc: its diameter, the disc's colour, the sign's.
    Sign(Sign, u32, Rgb565, Rgb565),
    /// A small sign and a headline beside it.
    Heading(Sign, Block),
    /// A bar filled to this part, from 0.0 to 1.0, and its height.
    Bar(f32, u32, Rgb565),
    /// Keys and what they do, in a grid.
    Keys(Keys),
    /// What is being typed.
    Input(Input),
}

impl Row {
    /// A row that is always shown.
    pub fn of(part: Part) -> Row {
        Row {
            part,
            gap: 0,
            spring: 0,
            rank: u8::MAX,
        }
    }

    /// So many pixels above it.
    pub fn gap(mut self, gap: u32) -> Row {
        self.gap = gap;
        self
    }

    /// So many shares of the free room above it.
    pub fn spring(mut self, spring: u32) -> Row {
        self.spring = spring;
        self
    }

    /// Where there is too little room, the lowest rank goes first.
    pub fn rank(mut self, rank: u8) -> Row {
        self.rank = rank;
        self
    }

    fn height(&self, page: &Page<'_>) -> u32 {
        self.gap + self.part.height(page)
    }
}

impl Column {
    /// An empty column over this area.
    pub fn new(area: Rectangle) -> Column {
        Column {
            area,
            rows: Vec::new(),
        }
    }

    /// Its width in pixels.
    pub fn width(&self) -> u32 {
        self.area.size.width
    }

    /// Adds a row below the others.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Draws what there is room for.
    pub fn draw(mut self, page: &mut Page<'_>) {
        let room = self.area.size.height;
        let mut height: u32 = self.rows.iter().map(|row| row.height(page)).sum();
        while height > room {
            let least = (0..self.rows.len())
                .min_by_key(|place| self.rows[*place].rank)
                .filter(|place| self.rows[*place].rank < u8::MAX);
            let over = height - room;
            page.flaws
                .push(format!("{over} pixels too few for all rows"));
            let Some(least) = least else { break };
            height -= self.rows.remove(least).height(page);
        }
        let mut springs: u32 = self.rows.iter().map(|row| row.spring).sum();
        let mut free = room.saturating_sub(height);
        let mut y = self.area.top_left.y;
        for row in &self.rows {
            let share = free * row.spring / springs.max(1);
            free -= share;
            springs -= row.spring;
            y += (row.gap + share) as i32;
            let area = Rectangle::new(
                Point::new(self.area.top_left.x, y),
                Size::new(self.area.size.width, row.part.height(page)),
            );
            row.part.draw(page, area);
            y += area.size.height as i32;
        }
    }
}

impl Part {
    fn height(&self, page: &Page<'_>) -> u32 {
        match self {
            Part::Nothing => 0,
            Part::Text(text, _) => text.height(),
            Part::Ends(large, small) => stack_height(small).max(large.height()),
            Part::Field { text, pad, .. } => text.height() + 2 * pad,
            Part::Reference(_, number, pad) => number.height() + 2 * pad,
            Part::Sign(_, side, ..) => *side,
            Part::Heading(_, text) => text.height().max(page.high(42)),
            Part::Bar(_, height, _) => *height,
            Part::Keys(keys) => keys.height(page),
            Part::Input(input) => input.height,
        }
    }

    fn draw(&self, page: &mut Page<'_>, area: Rectangle) {
        let (Point { x, y }, width) = (area.top_left, area.size.width);
        match self {
            Part::Nothing => {}
            Part::Text(text, align) => page.put(text, x, y, width, *align),
            Part::Ends(large, small) => draw_ends(page, area, large, small),
            Part::Field { text, ground, pad } => {
                shapes::rounded(page.frame, area, page.px(8), *ground);
                page.put(text, x, y + *pad as i32, width, Align::Center);
            }
            Part::Reference(label, number, pad) => {
                shapes::rounded(page.frame, area, page.px(8), theme::FIELD);
                draw_reference(page, area.offset(-(*pad as i32)), label.as_ref(), number);
            }
            Part::Sign(sign, side, ground, color) => {
                let at = (x as f32 + (width as f32 - *side as f32) / 2.0, y as f32);
                sign.draw(page, at, *side as f32, *ground, *color);
            }
            Part::Heading(sign, text) => draw_heading(page, area, *sign, text),
            Part::Bar(part, height, color) => {
                shapes::rounded(page.frame, area, height / 2, theme::FIELD);
                let filled = ((width as f32 * part) as u32).max(*height).min(width);
                let filled = Rectangle::new(area.top_left, Size::new(filled, *height));
                shapes::rounded(page.frame, filled, height / 2, *color);
            }
            Part::Keys(keys) => keys.draw(page, area),
            Part::Input(input) => input.draw(page, area),
        }
    }
}

fn stack_height(blocks: &[Block]) -> u32 {
    blocks.iter().map(Block::height).sum()
}

/// Where something of this height begins to stand in the middle of an area.
fn middle(area: Rectangle, height: u32) -> i32 {
    area.top_left.y + (area.size.height as i32 - height as i32) / 2
}

fn draw_ends(page: &mut Page<'_>, area: Rectangle, large: &Block, small: &[Block]) {
    let (x, width) = (area.top_left.x, area.size.width);
    page.put(large, x, middle(area, large.height()), width, Align::Left);
    let mut top = middle(area, stack_height(small));
    let room = width.saturating_sub(large.width());
    for text in small {
        let left = x + width as i32 - text.width() as i32;
        page.put(text, left, top, room, Align::Left);
        top += text.height() as i32;
    }
}

fn draw_reference(page: &mut Page<'_>, area: Rectangle, label: Option<&Block>, number: &Block) {
    let width = area.size.width;
    let aside = label.map_or(0, |label| label.width() + page.px(12));
    let indent = width.saturating_sub(aside + number.width()) / 2;
    let left = area.top_left.x + indent as i32;
    if let Some(label) = label {
        let top = middle(area, label.height());
        page.put(label, left, top, label.width(), Align::Center);
    }
    let room = width.saturating_sub(aside + indent);
    let left = left + aside as i32;
    page.put(number, left, area.top_left.y, room, Align::Left);
}

fn draw_heading(page: &mut Page<'_>, area: Rectangle, sign: Sign, text: &Block) {
    let side = page.high(42);
    let aside = side + page.px(10);
    let room = area.size.width.saturating_sub(aside);
    let left = area.top_left.x + (room.saturating_sub(text.width()) / 2) as i32;
    let at = (left as f32, middle(area, side) as f32);
    sign.draw(page, at, side as f32, theme::AMBER, theme::INK);
    let top = middle(area, text.height());
    page.put(text, left + aside as i32, top, room, Align::Left);
}
