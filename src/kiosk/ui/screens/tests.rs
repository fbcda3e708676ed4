//! Every screen, in every size and language: it fits, and its code can be read.

use super::*;
use crate::kiosk::machine::screen::Language;
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::text::Style;
use crate::kiosk::ui::{self, Look};

const SIZES: [(u32, u32); 4] = [(240, 320), (320, 240), (320, 480), (480, 320)];
const REAL: &str = "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=0123456789abcdef0123456789abcdef";

fn fen(amount: u32) -> Fen {
    Fen::new(amount).expect("an amount")
}

fn typed(keys: &str) -> Typed {
    let mut typed = Typed::default();
    for key in keys.chars() {
        typed.push(key, Fen::MAX).expect("a possible amount");
    }
    typed
}

/// Every screen there is, at its fullest.
fn all() -> Vec<Screen> {
    let order = OrderNo::from_random(u128::MAX);
    let total = fen(100_000);
    let amount = |keys, refused| Screen::Amount {
        typed: typed(keys),
        refused,
    };
    let pay = |remark, seconds_left| Screen::Pay {
        total,
        url: ScanUrl::new(REAL).expect("an address"),
        order,
        seconds_left,
        seconds: 120,
        remark,
    };
    let mut all = vec![
        amount("", None),
        amount("3.5", None),
        amount("1000000.00", None),
    ];
    let refusals = [
        Refusal::ThirdDecimal,
        Refusal::SecondPoint,
        Refusal::TooMuch(total),
        Refusal::Zero,
    ];
    all.extend(refusals.map(|refusal| amount("3.50", Some(refusal))));
    let moments = [
        Doing::Starting,
        Doing::Placing,
        Doing::Closing,
        Doing::Claiming,
    ];
    all.extend(moments.map(|doing| Screen::OneMoment {
        doing,
        total: Some(total),
    }));
    all.extend([pay(None, 120), pay(None, 7)]);
    all.extend(
        [Remark::NoNewCode, Remark::TooManyCodes, Remark::Unconnected]
            .map(|remark| pay(Some(remark), 60)),
    );
    all.extend([Screen::Paid { total }, Screen::ThankYou { total }]);
    all.extend([Leaving::Cancelled, Leaving::TimedOut].map(|why| Screen::NotPaid { why }));
    all.extend(
        [Failure::NoAnswer, Failure::Refused].map(|what| Screen::CouldNot {
            what,
            total,
            reference: None,
        }),
    );
    let lost = [
        Failure::InDoubt,
        Failure::TooLate,
        Failure::NotDispensed,
        Failure::Unknown,
    ];
    all.extend(lost.map(|what| Screen::CouldNot {
        what,
        total,
        reference: Some(order),
    }));
    let outages = [
        Outage::NoMerchant,
        Outage::NotAdmitted,
        Outage::Dispenser,
        Outage::Journal,
        Outage::TooManyUnsettled,
    ];
    all.extend(outages.map(|why| Screen::OutOfService { why }));
    all
}

fn looks() -> [Look; 2] {
    let look = |language| Look {
        language,
        service_phone: Some("400-000-0000".to_owned()),
    };
    [look(Language::Zh), look(Language::En)]
}

#[test]
fn every_text_fits_on_every_panel_in_both_languages() {
    let mut spilled = Vec::new();
    for (width, height) in SIZES {
        for look in looks() {
            for screen in all() {
                let mut frame = Frame::new(width, height);
                let mut page = Page::new(&mut frame, &look);
                paint(&mut page, &screen);
                let language = look.language;
                spilled.extend(
                    page.spilled
                        .iter()
                        .map(|text| format!("{width} × {height} {language:?} {screen:?}: {text}")),
                );
            }
        }
    }
    assert!(spilled.is_empty(), "{}", spilled.join("\n"));
}

#[test]
fn the_fonts_have_every_character_that_is_ever_shown() {
    let style = Style::words(16, theme::INK);
    let source = include_str!("../words.rs");
    let missing: String = source
        .chars()
        .filter(|c| !c.is_control() && !style.has(*c))
        .collect();
    assert_eq!(missing.trim_matches('×'), "");
    let figures = Style::figures(58, theme::INK);
    assert!("0123456789.".chars().all(|c| figures.has(c)));
}

#[test]
fn a_decoder_reads_exactly_the_address_on_every_panel() {
    for (width, height) in SIZES {
        for look in looks() {
            for screen in all().iter().filter(|screen| screen.name() == "pay") {
                let mut frame = Frame::new(width, height);
                ui::draw(&mut frame, screen, &look);
                let gray = |x: usize, y: usize| frame.pixels()[y * width as usize + x].g() * 4;
                let mut picture = rqrr::PreparedImage::prepare_from_greyscale(
                    width as usize,
                    height as usize,
                    gray,
                );
                let codes: Vec<String> = picture
                    .detect_grids()
                    .iter()
                    .map(|grid| grid.decode().expect("a clean code").1)
                    .collect();
                assert_eq!(codes, [REAL], "{width} × {height}");
            }
        }
    }
}

#[test]
fn a_reference_can_be_read_out() {
    let number = "0123456789abcdef0123456789abcdef";
    assert_eq!(
        in_groups(number, true),
        ["0123 4567 89ab cdef", "0123 4567 89ab cdef"]
    );
    assert_eq!(in_groups("12345", false), ["1234 5"]);
}

/// For people: every screen as a picture, in the directory that SCREENS names.
#[test]
#[ignore = "needs SCREENS, a directory to write to"]
fn pictures_of_every_screen() {
    let dir =
        std::path::PathBuf::from(std::env::var("SCREENS").expect("SCREENS names a directory"));
    for (width, height) in SIZES {
        for look in looks() {
            for (number, screen) in all().iter().enumerate() {
                let mut frame = Frame::new(width, height);
                ui::draw(&mut frame, screen, &look);
                let language = format!("{:?}", look.language).to_lowercase();
                let name = format!(
                    "{width}x{height}-{language}-{number:02}-{}.png",
                    screen.name()
                );
                std::fs::write(dir.join(name), crate::kiosk::board::encode_png(&frame))
                    .expect("written");
            }
        }
    }
}
