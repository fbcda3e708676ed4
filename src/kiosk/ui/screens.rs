//! Each screen's rows, in the order in which a customer reads them.

pub mod pay;
#[cfg(test)]
mod tests;

use embedded_graphics::pixelcolor::Rgb565;

use crate::ids::SaleCode;
use crate::kiosk::machine::amount::{Refusal, Typed};
use crate::kiosk::machine::event::Key;
use crate::kiosk::machine::screen::{Doing, Failure, Leaving, Outage, Screen};
use crate::kiosk::ui::column::{Column, Part, Row};
use crate::kiosk::ui::input::Input;
use crate::kiosk::ui::keys::Keys;
use crate::kiosk::ui::page::Page;
use crate::kiosk::ui::sign::Sign;
use crate::kiosk::ui::text::{Align, Block, SMALLEST_PX, Style};
use crate::kiosk::ui::{keys, theme, words};
use crate::money::Fen;

/// Draws a screen over the whole page.
pub fn draw(page: &mut Page<'_>, screen: &Screen) {
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
        } => pay::draw(
            page,
            &pay::Payment {
                total: *total,
                url,
                order,
                seconds_left: *seconds_left,
                seconds: *seconds,
                remark: *remark,
            },
        ),
        Screen::Paid { total } => paid(page, *total),
        Screen::ThankYou { total } => thank_you(page, *total),
        Screen::NotPaid { why, reference } => not_paid(page, *why, *reference),
        Screen::CouldNot {
            what,
            total,
            reference,
        } => could_not(page, *what, *total, *reference),
        Screen::OutOfService { why } => out_of_service(page, *why),
    }
    keys::echo(page);
}

/// Centred text in at most so many lines.
fn text(column: &Column, text: &str, style: Style, lines: usize) -> Row {
    let block = Block::fitted(text, style, column.width(), lines);
    Row::of(Part::Text(block, Align::Center))
}

/// Centred text on a field of this colour.
fn on_field(page: &Page<'_>, column: &Column, text: &str, ground: Rgb565, lines: usize) -> Row {
    let style = page.text(18, theme::INK);
    let room = column.width().saturating_sub(page.px(12));
    Row::of(Part::Field {
        text: Block::fitted(text, style, room, lines),
        ground,
        pad: page.px(5),
    })
}

fn yuan(total: Fen) -> String {
    format!("¥{total}")
}

fn amount(page: &mut Page<'_>, typed: &Typed, refused: Option<Refusal>) {
    // A figure is seen where it was typed, or a sign tells why not.
    let is_figure = |key| matches!(key, Key::Digit(_) | Key::Point);
    page.has_echoed = page.look.motion.pressed.is_some_and(is_figure);
    let mut column = Column::new(page.inside());
    let title = page.say(words::ENTER_AMOUNT);
    column.add(
        text(&column, title, page.bold(24, theme::INK), 1)
            .spring(1)
            .rank(2),
    );

    let input = input(page, column.width(), typed, refused.is_some());
    column.add(Row::of(Part::Input(input)).gap(page.high(12)).spring(1));
    // The sign takes the place of the hint: nothing else moves.
    let (hint, ground) = match refused {
        Some(refusal) => (why_refused(page, refusal), theme::AMBER),
        None => (then_confirm(page), theme::PAPER),
    };
    let hint = on_field(page, &column, &hint, ground, 1);
    column.add(hint.gap(page.px(8)));

    let keys = [
        (Key::Confirm, words::CONFIRM),
        (Key::Backspace, words::BACKSPACE),
        (Key::Cancel, words::CLEAR),
        (Key::Language, words::OTHER_LANGUAGE),
    ];
    let keys = Keys::new(page, column.width(), &keys);
    column.add(Row::of(Part::Keys(keys)).gap(page.px(8)).spring(2).rank(1));
    column.draw(page);
}

/// Names the cap to confirm with.
fn then_confirm(page: &Page<'_>) -> String {
    let cap = page.look.legend.cap(Key::Confirm);
    let print = cap.map_or_else(|| Key::Confirm.cap().to_string(), |cap| cap.print);
    page.say(words::THEN_CONFIRM).replace('#', &print)
}

fn input(page: &Page<'_>, width: u32, typed: &Typed, refused: bool) -> Input {
    let (figures, color) = match typed.is_empty() {
        true => ("0", theme::GHOST),
        false => (typed.as_str(), theme::INK),
    };
    let sign = Block::line("¥", page.bold(26, theme::SOFT));
    let room = width.saturating_sub(sign.width() + page.px(48));
    let style = page.figures(if page.is_upright() { 54 } else { 46 }, color);
    Input {
        sign,
        figures: Block::fitted(figures, style, room, 1),
        typed: !typed.is_empty(),
        height: page.high(92),
        edge: if refused { theme::AMBER } else { theme::GREEN },
    }
}

fn why_refused(page: &Page<'_>, refusal: Refusal) -> String {
    let (before, after) = words::refusal(refusal);
    let amount = match refusal {
        Refusal::TooMuch(amount) | Refusal::NotMultiple(amount) => amount.to_string(),
        Refusal::ThirdDecimal | Refusal::SecondPoint | Refusal::Zero => String::new(),
    };
    format!("{}{amount}{}", page.say(before), page.say(after))
}

fn one_moment(page: &mut Page<'_>, doing: Doing, total: Option<Fen>) {
    let (title, what) = words::doing(doing);
    let mut column = Column::new(page.inside());
    let sign = Sign::Dots((page.look.motion.beat + 1) % 3);
    let dots = Part::Sign(sign, page.high(64), theme::EDGE, theme::GREEN);
    column.add(Row::of(dots).spring(2).rank(1));
    let title = page.say(title);
    column.add(text(&column, title, page.bold(34, theme::INK), 1).gap(page.px(4)));
    let what = page.say(what);
    column.add(text(&column, what, page.text(18, theme::SOFT), 2).gap(page.px(8)));
    if let Some(total) = total {
        let style = page.figures(26, theme::INK);
        column.add(
            text(&column, &yuan(total), style, 1)
                .gap(page.px(20))
                .rank(2),
        );
    }
    column.add(Row::of(Part::Nothing).spring(3));
    if doing == Doing::Placing {
        let keys = Keys::new(page, column.width(), &[(Key::Cancel, words::CANCEL)]);
        column.add(Row::of(Part::Keys(keys)).rank(3));
    }
    column.draw(page);
}

/// The two glad screens: a sign, a large word, what to do, the amount.
fn glad(
    page: &mut Page<'_>,
    sign: Part,
    [title, hint]: [words::Words; 2],
    total: Fen,
    [strong, soft]: [Rgb565; 2],
) {
    let mut column = Column::new(page.inside());
    column.add(Row::of(sign).spring(1).rank(3));
    let title = page.say(title);
    column.add(text(&column, title, page.bold(40, strong), 1).gap(page.px(14)));
    let hint = page.say(hint);
    column.add(
        text(&column, hint, page.text(20, soft), 2)
            .gap(page.px(6))
            .rank(2),
    );
    let style = page.figures(28, strong);
    column.add(
        text(&column, &yuan(total), style, 1)
            .gap(page.px(16))
            .rank(1),
    );
    column.add(Row::of(Part::Nothing).spring(1));
    column.draw(page);
}

fn paid(page: &mut Page<'_>, total: Fen) {
    page.fill(theme::FIELD);
    let sign = Part::Sign(Sign::Down, page.high(100), theme::GREEN, theme::PAPER);
    let colors = [theme::GREEN, theme::INK];
    glad(page, sign, [words::PAID, words::COMING], total, colors);
}

fn thank_you(page: &mut Page<'_>, total: Fen) {
    page.fill(theme::GREEN);
    let sign = Part::Sign(Sign::Tick, page.high(100), theme::PAPER, theme::GREEN);
    let colors = [theme::PAPER, theme::MINT];
    glad(
        page,
        sign,
        [words::THANK_YOU, words::TAKE_GOODS],
        total,
        colors,
    );
}

fn not_paid(page: &mut Page<'_>, why: Leaving, reference: SaleCode) {
    let mut column = Column::new(page.inside());
    let width = column.width().saturating_sub(page.px(52));
    let title = page.say(words::leaving(why));
    let title = Block::fitted(title, page.bold(28, theme::INK), width, 1);
    column.add(Row::of(Part::Heading(Sign::Cross, title)).spring(1));
    let not_received = page.say(words::NOT_RECEIVED);
    let style = page.text(17, theme::INK);
    column.add(text(&column, not_received, style, 2).gap(page.px(6)));
    add_reference(page, &mut column, reference);
    add_phone(page, &mut column);
    let warning = page.say(words::OLD_CODE);
    let warning = on_field(page, &column, warning, theme::AMBER, 2);
    column.add(warning.gap(page.px(8)).spring(1).rank(2));
    column.draw(page);
}

fn could_not(page: &mut Page<'_>, what: Failure, total: Fen, reference: Option<SaleCode>) {
    let (title, means) = words::failure(what);
    let mut column = Column::new(page.inside());
    let width = column.width().saturating_sub(page.px(52));
    let title = Block::fitted(page.say(title), page.bold(28, theme::INK), width, 1);
    column.add(Row::of(Part::Heading(Sign::Alert, title)).spring(1));
    let has_room = page.is_upright() || reference.is_none();
    let lines = if has_room { 2 } else { 1 };
    let means = page.say(means);
    column.add(
        text(&column, means, page.text(17, theme::INK), lines)
            .gap(page.px(6))
            .spring(1),
    );
    column.add(
        text(&column, &yuan(total), page.figures(22, theme::INK), 1)
            .gap(page.px(6))
            .rank(1),
    );
    if let Some(reference) = reference {
        add_reference(page, &mut column, reference);
    }
    add_phone(page, &mut column);
    let keys: &[_] = match what {
        Failure::NoAnswer | Failure::Refused => {
            &[(Key::Confirm, words::TRY_AGAIN), (Key::Cancel, words::BACK)]
        }
        _ => &[(Key::Cancel, words::BACK)],
    };
    let keys = Keys::new(page, column.width(), keys);
    column.add(Row::of(Part::Keys(keys)).gap(page.px(6)).spring(2).rank(3));
    column.draw(page);
}

/// The code to name when asking, large enough to be read out. A wide page has its label beside it.
fn add_reference(page: &Page<'_>, column: &mut Column, reference: SaleCode) {
    let label = page.say(words::REFERENCE);
    let label_style = page.text(16, theme::SOFT);
    let mut width = column.width().saturating_sub(page.px(16));
    let mut beside = None;
    if page.is_upright() {
        let row = text(column, label, label_style, 1);
        column.add(row.gap(page.px(6)).spring(1).rank(2));
    } else {
        // Three characters of the smallest size, whatever the page; a label that needs more is left out.
        let room = page.px(60).max(3 * SMALLEST_PX);
        beside = Some(Block::fitted(label, label_style, room, 2)).filter(|label| label.fits);
        let aside = beside
            .as_ref()
            .map_or(0, |label| label.width() + page.px(12));
        width = width.saturating_sub(aside);
    }
    let number = reference.to_string();
    let number = Block::fitted(&number, page.bold(30, theme::INK), width, 1);
    let pad = page.px(3);
    let row = Row::of(Part::Reference(beside, number, pad));
    column.add(row.gap(page.px(4)).spring(u32::from(!page.is_upright())));
}

fn out_of_service(page: &mut Page<'_>, why: Outage) {
    let mut column = Column::new(page.inside());
    let sign = Part::Sign(Sign::Alert, page.high(84), theme::AMBER, theme::INK);
    column.add(Row::of(sign).spring(1).rank(1));
    let title = page.say(words::OUT_OF_SERVICE);
    column.add(text(&column, title, page.bold(36, theme::INK), 1).gap(page.px(16)));
    let why = page.say(words::outage(why));
    column.add(text(&column, why, page.text(18, theme::SOFT), 2).gap(page.px(8)));
    add_phone(page, &mut column);
    column.add(Row::of(Part::Nothing).spring(1));
    column.draw(page);
}

/// Whom to call, if anybody.
fn add_phone(page: &Page<'_>, column: &mut Column) {
    if let Some(number) = &page.look.service_phone {
        let line = format!("{} |{number}", page.say(words::PHONE));
        let style = page.text(18, theme::INK);
        column.add(
            text(column, &line, style, 2)
                .gap(page.high(10))
                .spring(1)
                .rank(4),
        );
    }
}
