//! The screen to pay on: the code first, everything else in what it leaves.

use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::ids::{OrderNo, ScanUrl};
use crate::kiosk::machine::event::Key;
use crate::kiosk::machine::screen::Remark;
use crate::kiosk::ui::column::{Column, Part, Row};
use crate::kiosk::ui::keys::Keys;
use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::screens::{text, yuan};
use crate::kiosk::ui::text::{Align, Block};
use crate::kiosk::ui::{qr, theme, words};
use crate::money::Fen;

/// What the screen tells.
pub struct Payment<'a> {
    pub total: Fen,
    pub url: &'a ScanUrl,
    pub order: &'a OrderNo,
    pub seconds_left: u32,
    pub seconds: u32,
    pub remark: Option<Remark>,
}

/// Draws the code at the top of an upright page or at the left of a wide one, and the rest below or beside it.
pub fn draw(page: &mut Page<'_>, payment: &Payment<'_>) {
    let size = page.frame.size();
    let inset = page.px(14);
    let code = code(page, payment.url);
    // A panel on which no code can be drawn at all still tells the rest.
    let side = code.as_ref().map_or(0, qr::Placed::side);
    let free = size - Size::new_equal(side);
    if page.is_upright() {
        if let Some(code) = &code {
            code.draw(page.frame, Point::new(free.width as i32 / 2, 0));
        }
        let room = Size::new(
            size.width.saturating_sub(2 * inset),
            free.height.saturating_sub(page.px(7)),
        );
        let corner = Point::new(inset as i32, side as i32);
        below(page, payment, Rectangle::new(corner, room));
    } else {
        if let Some(code) = &code {
            code.draw(page.frame, Point::new(0, free.height as i32 / 2));
        }
        let room = Size::new(
            free.width.saturating_sub(page.px(4)),
            size.height.saturating_sub(2 * page.px(8)),
        );
        let corner = Point::new(side as i32, page.px(8) as i32);
        beside(page, payment, Rectangle::new(corner, room));
    }
}

/// The code, with room for the rest where that does not cost it the size of its modules.
pub fn code(page: &Page<'_>, url: &ScanUrl) -> Option<qr::Placed> {
    let size = page.frame.size();
    let rest = page.px(105);
    let liked = match page.is_upright() {
        true => Size::new(size.width, size.height.saturating_sub(rest)),
        false => Size::new(size.width.saturating_sub(rest), size.height),
    };
    qr::largest(url.as_str(), size, liked)
}

fn below(page: &mut Page<'_>, payment: &Payment<'_>, area: Rectangle) {
    let mut column = Column::new(area);
    let seconds = Block::line(&seconds(page, payment), page.text(15, theme::SOFT));
    let order = Block::line(&ends_in(page, payment), page.text(13, theme::SOFT));
    let total = |aside: u32| {
        let room = column.width().saturating_sub(aside + page.px(10));
        Block::fitted(&yuan(payment.total), page.figures(30, theme::INK), room, 1)
    };
    let row = match total(seconds.width().max(order.width())) {
        total if total.fits && area.size.height > page.px(60) => {
            Part::Ends(total, vec![seconds, order])
        }
        _ => Part::Ends(total(seconds.width()), vec![seconds]),
    };
    column.add(Row::of(row));
    column.add(
        Row::of(bar(page, payment))
            .gap(page.px(4))
            .spring(1)
            .rank(4),
    );
    column.add(
        what_to_do(page, payment, &column, 1)
            .gap(page.px(5))
            .spring(1)
            .rank(3),
    );
    let keys = Keys::new(page, column.width(), &KEYS);
    column.add(Row::of(Part::Keys(keys)).gap(page.px(4)).spring(1).rank(2));
    column.draw(page);
}

fn beside(page: &mut Page<'_>, payment: &Payment<'_>, area: Rectangle) {
    let mut column = Column::new(area);
    let total = page.figures(34, theme::INK);
    column.add(text(&column, &yuan(payment.total), total, 1));
    column.add(
        what_to_do(page, payment, &column, 4)
            .gap(page.px(5))
            .spring(1)
            .rank(4),
    );
    column.add(
        Row::of(bar(page, payment))
            .gap(page.px(5))
            .spring(1)
            .rank(5),
    );
    let seconds = seconds(page, payment);
    column.add(
        text(&column, &seconds, page.text(16, theme::SOFT), 1)
            .gap(page.px(2))
            .rank(3),
    );
    let order = ends_in(page, payment);
    column.add(
        text(&column, &order, page.text(14, theme::SOFT), 1)
            .rank(1)
            .spring(1),
    );
    let keys = Keys::new(page, column.width(), &KEYS);
    column.add(Row::of(Part::Keys(keys)).gap(page.px(5)).rank(2));
    column.draw(page);
}

const KEYS: [(Key, words::Words); 2] = [
    (Key::Regenerate, words::NEW_CODE),
    (Key::Cancel, words::CANCEL),
];

fn seconds(page: &Page<'_>, payment: &Payment<'_>) -> String {
    format!("{} {}", payment.seconds_left, page.say(words::SECONDS))
}

fn ends_in(page: &Page<'_>, payment: &Payment<'_>) -> String {
    format!(
        "{} {}",
        page.say(words::ORDER_ENDS),
        payment.order.last_four()
    )
}

/// The countdown; its end hurries.
fn bar(page: &Page<'_>, payment: &Payment<'_>) -> Part {
    let part = payment.seconds_left as f32 / payment.seconds.max(1) as f32;
    let color = if payment.seconds_left <= 15 {
        theme::AMBER
    } else {
        theme::GREEN
    };
    Part::Bar(part.min(1.0), page.px(6), color)
}

/// The one line that matters; a remark takes its place for as long as it is told.
fn what_to_do(page: &Page<'_>, payment: &Payment<'_>, column: &Column, lines: usize) -> Row {
    let style = page.text(16, theme::INK);
    match payment.remark {
        Some(remark) => Row::of(Part::Field {
            text: Block::fitted(
                page.say(words::remark(remark)),
                style,
                column.width().saturating_sub(page.px(8)),
                lines,
            ),
            ground: theme::AMBER,
            pad: page.px(1),
        }),
        None => {
            let block = Block::fitted(page.say(words::SCAN), style, column.width(), lines);
            Row::of(Part::Text(block, Align::Center))
        }
    }
}
