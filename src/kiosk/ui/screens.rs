//! Each screen's layout.

#[cfg(test)]
mod tests;

use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

use crate::ids::{OrderNo, ScanUrl};
use crate::kiosk::machine::amount::{Refusal, Typed};
use crate::kiosk::machine::screen::{Doing, Failure, Leaving, Outage, Remark, Screen};
use crate::kiosk::ui::page::{Column, Page, Sign};
use crate::kiosk::ui::qr::Code;
use crate::kiosk::ui::text::Style;
use crate::kiosk::ui::{theme, words};
use crate::money::Fen;

/// Paints a screen over the whole page.
pub fn paint(page: &mut Page<'_>, screen: &Screen) {
    page.fill(theme::PAPER);
    match screen {
        Screen::Amount { typed, refused } => amount(page, typed, *refused),
        Screen::OneMoment { doing, total } => one_moment(page, *doing, *total),
        Screen::Pay {
            total,
            url,
            order,
            seconds_left,
            seconds,
            remark,
        } => {
            pay(page, *total, url, order, (*seconds_left, *seconds), *remark);
        }
        Screen::Paid { total } => paid(page, *total),
        Screen::ThankYou { total } => thank_you(page, *total),
        Screen::NotPaid { why } => not_paid(page, *why),
        Screen::CouldNot {
            what,
            total,
            reference,
        } => could_not(page, *what, *total, reference.as_ref()),
        Screen::OutOfService { why } => out_of_service(page, *why),
    }
}

/// A strip of colour across the top with a line of text; what is below it.
fn banner(page: &mut Page<'_>, text: &str) -> Column {
    let style = page.body(theme::ON_DARK);
    let height = style.line_height() + page.px(14);
    page.fill_area(
        Rectangle::new(Point::zero(), Size::new(page.width(), height)),
        theme::GREEN,
    );
    let mut column = Column {
        y: page.px(7) as i32,
        ..page.column()
    };
    page.line(&mut column, style, text);
    Column {
        y: height as i32,
        ..page.column()
    }
}

fn amount(page: &mut Page<'_>, typed: &Typed, refused: Option<Refusal>) {
    let mut column = banner(page, page.say(words::ENTER_AMOUNT));
    let keys = [
        ('#', words::CONFIRM),
        ('C', words::CLEAR),
        ('B', words::BACKSPACE),
        ('L', words::OTHER_LANGUAGE),
    ];
    let rows = if page.is_upright() { 2 } else { 1 };
    let digits = page.px(if page.is_upright() { 58 } else { 52 });
    let room = page.height() - column.y as u32 - page.keys_height(rows) - page.px(14);
    let block = digits * 11 / 10 + page.px(44);
    column.skip(room.saturating_sub(block) / 2);

    let (figures, color) = if typed.is_empty() {
        ("0.00", theme::LINE)
    } else {
        (typed.as_str(), theme::INK)
    };
    page.amount(&mut column, digits, figures, color);
    let underline = Rectangle::new(
        Point::new(column.left, column.y),
        Size::new(column.width, page.px(3)),
    );
    page.fill_area(
        underline,
        if refused.is_some() {
            theme::RED
        } else {
            theme::GREEN
        },
    );
    column.skip(page.px(13));
    match refused {
        Some(refusal) => sign(page, &mut column, refusal),
        None => page.line(
            &mut column,
            page.body(theme::SOFT),
            page.say(words::THEN_CONFIRM),
        ),
    }

    let mut foot = Column {
        y: (page.height() - page.keys_height(rows) - page.px(6)) as i32,
        ..page.column()
    };
    page.keys(&mut foot, &keys);
}

/// Why the key was refused, where it cannot be overlooked.
fn sign(page: &mut Page<'_>, column: &mut Column, refusal: Refusal) {
    let mut text = page.say(words::refusal(refusal)).to_owned();
    if let Refusal::TooMuch(max) = refusal {
        text.push_str(&format!(" {max}"));
    }
    let style = page.body(theme::INK);
    let pad = page.px(5);
    let area = Rectangle::new(
        Point::new(column.left, column.y - pad as i32),
        Size::new(column.width, style.line_height() + 2 * pad),
    );
    page.fill_area(area, theme::AMBER);
    page.line(column, style, &text);
}

fn one_moment(page: &mut Page<'_>, doing: Doing, total: Option<Fen>) {
    let mut column = page.column();
    let (what, means) = words::doing(doing);
    let side = page.px(72);
    column.y = (page.height() as i32 - (side + page.px(104)) as i32) / 2;
    page.disc(&mut column, side, theme::CAP, Sign::Dots, theme::GREEN);
    column.skip(page.px(12));
    page.headline(&mut column, what, theme::INK);
    page.lines(&mut column, page.body(theme::SOFT), page.say(means));
    if let Some(total) = total {
        column.skip(page.px(6));
        page.amount(&mut column, page.px(20), &total.to_string(), theme::INK);
    }
}

fn pay(
    page: &mut Page<'_>,
    total: Fen,
    url: &ScanUrl,
    order: &OrderNo,
    countdown: (u32, u32),
    remark: Option<Remark>,
) {
    let narrow = page.width().min(page.height());
    let Some(code) = Code::largest(url.as_str(), narrow) else {
        // The loader refuses panels on which no code can be read; an address that long is refused before it is drawn.
        return could_not(page, Failure::Refused, total, None);
    };
    let side = code.side();
    if page.is_upright() {
        code.draw(
            page.frame,
            Point::new(((page.width() - side) / 2) as i32, 0),
        );
        let mut column = Column {
            y: side as i32,
            ..page.column()
        };
        column.bottom = page.height() as i32;
        let spare = column.left_over().saturating_sub(page.px(110));
        column.skip(spare / 3);
        pay_upright(page, &mut column, total, order, countdown, remark);
    } else {
        let margin = page.px(8) as i32;
        code.draw(
            page.frame,
            Point::new(0, ((page.height() - side) / 2) as i32),
        );
        let left = side as i32;
        let width = (page.width() as i32 - left - margin) as u32;
        let mut column = Column {
            left,
            width,
            y: page.px(12) as i32,
            bottom: page.height() as i32 - margin,
        };
        pay_beside(page, &mut column, total, order, countdown, remark);
    }
}

/// Below the code: amount and seconds, the bar, what to do, the keys.
fn pay_upright(
    page: &mut Page<'_>,
    column: &mut Column,
    total: Fen,
    order: &OrderNo,
    countdown: (u32, u32),
    remark: Option<Remark>,
) {
    let digits = page.px(26);
    page.amount_at(
        Point::new(column.left, column.y),
        digits,
        &total.to_string(),
        theme::INK,
    );
    let soft = page.body(theme::SOFT);
    let line = Style::figures(digits, theme::INK).line_height() as i32;
    let seconds = format!("{} {}", countdown.0, page.say(words::SECONDS));
    at_right(
        page,
        column,
        soft,
        &seconds,
        column.y + line - soft.line_height() as i32,
    );
    column.y += line + page.px(2) as i32;
    page.bar(column, countdown.0, countdown.1, bar_color(countdown));
    column.skip(page.px(5));
    what_to_do(page, column, remark);
    column.skip(page.px(3));
    let tail = format!("{}{}", page.say(words::ORDER_ENDS), order.last_four());
    at_right(page, column, soft, &tail, column.y + page.px(2) as i32);
    page.keys_aside(column, &[('R', words::NEW_CODE), ('C', words::CANCEL)]);
}

/// A short text at the column's right end.
fn at_right(page: &mut Page<'_>, column: &Column, style: Style, text: &str, y: i32) {
    let left = column.left + column.width as i32 - style.width(text) as i32;
    style.draw(page.frame, text, Point::new(left, y));
}

/// Beside the code: the same in a narrow column.
fn pay_beside(
    page: &mut Page<'_>,
    column: &mut Column,
    total: Fen,
    order: &OrderNo,
    countdown: (u32, u32),
    remark: Option<Remark>,
) {
    page.amount(column, page.px(30), &total.to_string(), theme::INK);
    column.skip(page.px(4));
    page.bar(column, countdown.0, countdown.1, bar_color(countdown));
    column.skip(page.px(3));
    let seconds = format!("{} {}", countdown.0, page.say(words::SECONDS));
    page.line(column, page.body(theme::SOFT), &seconds);
    column.skip(page.px(4));
    what_to_do(page, column, remark);
    let foot = column.bottom - (page.keys_height(2) + page.body(theme::SOFT).line_height()) as i32;
    column.y = column.y.max(foot);
    let tail = format!("{}{}", page.say(words::ORDER_ENDS), order.last_four());
    page.line(column, page.body(theme::SOFT), &tail);
    page.keys(column, &[('R', words::NEW_CODE), ('C', words::CANCEL)]);
}

fn what_to_do(page: &mut Page<'_>, column: &mut Column, remark: Option<Remark>) {
    match remark {
        Some(remark) => page.lines(
            column,
            page.body(theme::RED),
            page.say(words::remark(remark)),
        ),
        None => page.lines(column, page.body(theme::INK), page.say(words::SCAN)),
    }
}

/// The last quarter of the countdown hurries.
fn bar_color((left, whole): (u32, u32)) -> embedded_graphics::pixelcolor::Rgb565 {
    if left * 4 <= whole {
        theme::RED
    } else {
        theme::GREEN
    }
}

fn paid(page: &mut Page<'_>, total: Fen) {
    let mut column = page.column();
    let side = page.px(96);
    column.y = (page.height() as i32 - (side + page.px(118)) as i32) / 2;
    page.disc(&mut column, side, theme::GREEN, Sign::Down, theme::ON_DARK);
    column.skip(page.px(10));
    page.headline(&mut column, words::PAID, theme::GREEN);
    page.lines(&mut column, page.lead(theme::INK), page.say(words::COMING));
    column.skip(page.px(6));
    page.amount(&mut column, page.px(22), &total.to_string(), theme::INK);
}

fn thank_you(page: &mut Page<'_>, total: Fen) {
    page.fill(theme::GREEN);
    let mut column = page.column();
    let side = page.px(96);
    column.y = (page.height() as i32 - (side + page.px(118)) as i32) / 2;
    page.disc(&mut column, side, theme::ON_DARK, Sign::Tick, theme::GREEN);
    column.skip(page.px(10));
    page.headline(&mut column, words::THANK_YOU, theme::ON_DARK);
    page.lines(
        &mut column,
        page.lead(theme::SOFT_ON_GREEN),
        page.say(words::TAKE_GOODS),
    );
    column.skip(page.px(6));
    page.amount(&mut column, page.px(22), &total.to_string(), theme::ON_DARK);
}

fn not_paid(page: &mut Page<'_>, why: Leaving) {
    let mut column = page.column();
    let side = page.px(72);
    column.y = (page.height() as i32 - (side + page.px(122)) as i32) / 2;
    page.disc(&mut column, side, theme::CAP, Sign::Bar, theme::SOFT);
    column.skip(page.px(10));
    page.headline(&mut column, words::leaving(why), theme::INK);
    page.lines(
        &mut column,
        page.body(theme::INK),
        page.say(words::NOTHING_PAID),
    );
    column.skip(page.px(6));
    page.lines(
        &mut column,
        page.body(theme::RED),
        page.say(words::OLD_CODE),
    );
}

fn could_not(page: &mut Page<'_>, what: Failure, total: Fen, reference: Option<&OrderNo>) {
    let (title, means) = words::failure(what);
    let band = page.title(theme::ON_DARK).line_height() + page.px(20);
    page.fill_area(
        Rectangle::new(Point::zero(), Size::new(page.width(), band)),
        theme::RED,
    );
    let mut column = Column {
        y: page.px(10) as i32,
        ..page.column()
    };
    page.headline(&mut column, title, theme::ON_DARK);
    column.y = (band + page.px(10)) as i32;
    let style = if page.is_upright() {
        page.lead(theme::INK)
    } else {
        page.body(theme::INK)
    };
    page.lines(&mut column, style, page.say(means));
    column.skip(page.px(5));
    page.amount(&mut column, page.px(20), &total.to_string(), theme::INK);
    if let Some(reference) = reference {
        column.skip(page.px(4));
        page.line(
            &mut column,
            page.body(theme::SOFT),
            page.say(words::REFERENCE),
        );
        for line in in_groups(reference.as_str(), page.is_upright()) {
            page.line(&mut column, page.body(theme::INK), &line);
        }
    }
    phone(page, &mut column);
    let keys: &[_] = match reference {
        None => &[('#', words::TRY_AGAIN), ('C', words::BACK)],
        Some(_) => &[('C', words::BACK)],
    };
    let mut foot = Column {
        y: (page.height() - page.keys_height(1) - page.px(6)) as i32,
        ..page.column()
    };
    page.keys(&mut foot, keys);
}

/// A number in groups of four, to be read out.
fn in_groups(number: &str, upright: bool) -> Vec<String> {
    let groups: Vec<String> = number
        .as_bytes()
        .chunks(4)
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    groups
        .chunks(if upright { 4 } else { 8 })
        .map(|line| line.join(" "))
        .collect()
}

fn out_of_service(page: &mut Page<'_>, why: Outage) {
    let mut column = page.column();
    let side = page.px(80);
    column.y = (page.height() as i32 - (side + page.px(106)) as i32) / 2;
    page.disc(
        &mut column,
        side,
        theme::AMBER,
        Sign::Exclamation,
        theme::INK,
    );
    column.skip(page.px(10));
    page.headline(&mut column, words::OUT_OF_SERVICE, theme::INK);
    page.lines(
        &mut column,
        page.body(theme::SOFT),
        page.say(words::outage(why)),
    );
    column.skip(page.px(6));
    phone(page, &mut column);
}

fn phone(page: &mut Page<'_>, column: &mut Column) {
    if let Some(number) = page.look.service_phone.clone() {
        column.skip(page.px(3));
        let text = format!("{} {number}", page.say(words::PHONE));
        page.line(column, page.body(theme::INK), &text);
    }
}
