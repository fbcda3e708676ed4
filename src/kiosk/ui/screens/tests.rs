//! Every screen on every panel in both languages: it fits, it has all its characters, and its code can be read.

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;

use super::*;
use crate::ids::{OrderNo, ScanUrl};
use crate::kiosk::legend::{Cap, Legend};
use crate::kiosk::machine::screen::{Language, Remark};
use crate::kiosk::ports::Motion;
use crate::kiosk::ui::frame::Frame;
use crate::kiosk::ui::{self, Look, samples, scan};

/// The panels on which nothing may be left out.
const FULL: [(u32, u32); 4] = [(240, 320), (320, 240), (320, 480), (480, 320)];
/// The panels that may leave out what matters least.
const SMALL: [(u32, u32); 3] = [(240, 240), (128, 160), (160, 128)];
/// As long as the platform's own.
const REAL: &str = "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=3fa91c027be44d109a55c0ffee123456";

fn fen(amount: u32) -> Fen {
    Fen::new(amount).expect("an amount")
}

fn pay(total: Fen, seconds_left: u32, remark: Option<Remark>) -> Screen {
    Screen::Pay {
        total,
        url: ScanUrl::new(REAL).expect("an address"),
        order: OrderNo::from_random(0xdbd8),
        seconds_left,
        seconds: 3600,
        remark,
    }
}

/// Every screen there is, for the smallest amount and the largest.
fn screens() -> Vec<Screen> {
    let mut screens = vec![pay(Fen::MAX, 3600, None), pay(fen(1), 0, None)];
    for total in [Fen::MIN, Fen::MAX] {
        screens.extend(samples::all(total).into_iter().map(|sample| sample.screen));
    }
    screens
}

fn looks() -> Vec<Look> {
    let look = |language, phone: &str, legend| Look {
        language,
        service_phone: Some(phone.to_owned()),
        legend,
        motion: Motion::default(),
    };
    let in_both = |legend: Legend| {
        [
            look(Language::Zh, "400-820-8820", legend.clone()),
            look(Language::En, "+86 (21) 5555-6666 #7777", legend),
        ]
    };
    [Legend::default(), few_caps(), long_caps()]
        .into_iter()
        .flat_map(in_both)
        .collect()
}

fn legend(caps: &[(Key, &str, bool)]) -> Legend {
    Legend::new(caps.iter().map(|(key, print, hold)| {
        let print = (*print).to_owned();
        (*key, Cap { print, hold: *hold })
    }))
}

/// A pad of twelve caps, some of which must be held.
fn few_caps() -> Legend {
    legend(&[
        (Key::Point, "*", false),
        (Key::Confirm, "#", false),
        (Key::Backspace, "0", true),
        (Key::Cancel, "*", true),
        (Key::Regenerate, "#", true),
        (Key::Language, "1", true),
    ])
}

/// A pad with a word on a cap.
fn long_caps() -> Legend {
    legend(&[
        (Key::Confirm, "Enter", false),
        (Key::Backspace, "+", false),
        (Key::Cancel, "-", false),
        (Key::Regenerate, "*", false),
        (Key::Language, "/", false),
    ])
}

/// The screens with a code.
fn codes() -> Vec<Screen> {
    let remark = Some(Remark::NoNewCode);
    vec![pay(fen(350), 118, None), pay(Fen::MAX, 9, remark)]
}

/// Draws these screens on these panels in both languages.
fn on_each(sizes: &[(u32, u32)], screens: &[Screen], mut see: impl FnMut(&Screen, &Page<'_>)) {
    for (width, height) in sizes {
        for look in looks() {
            for screen in screens {
                let mut frame = Frame::new(*width, *height);
                let mut page = Page::new(&mut frame, &look);
                draw(&mut page, screen);
                see(screen, &page);
            }
        }
    }
}

#[test]
fn everything_fits_on_every_panel_in_both_languages() {
    let mut flaws = Vec::new();
    on_each(&FULL, &screens(), |screen, page| {
        for flaw in &page.flaws {
            let (panel, language) = (&page.frame, page.look.language);
            flaws.push(format!("{panel:?} {language:?} {screen:?}: {flaw}"));
        }
    });
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
}

#[test]
fn every_key_is_seen_on_every_screen_and_never_on_the_code() {
    for (width, height) in FULL {
        for sample in samples::all(fen(350)) {
            let drawn = |pressed| {
                let look = Look {
                    motion: Motion { pressed, beat: 0 },
                    ..Look::default()
                };
                let mut frame = Frame::new(width, height);
                ui::draw(&mut frame, &sample.screen, &look);
                frame
            };
            let still = drawn(None);
            let is_typed = matches!(sample.screen, Screen::Amount { .. });
            for cap in "07.#CBRL".chars() {
                let key = Key::from_char(cap).expect("a key");
                // A figure is seen where it was typed.
                if is_typed && matches!(key, Key::Digit(_) | Key::Point) {
                    continue;
                }
                let lit = drawn(Some(key));
                assert!(lit != still, "{width} × {height}, {}: {cap}", sample.name);
                if let Screen::Pay { url, .. } = &sample.screen {
                    assert_eq!(
                        scan::read(&lit),
                        [url.as_str()],
                        "{width} × {height}: {cap}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_waited_for_moves() {
    for sample in samples::all(fen(350)) {
        let drawn = |beat| {
            let look = Look {
                motion: Motion {
                    pressed: None,
                    beat,
                },
                ..Look::default()
            };
            let mut frame = Frame::new(240, 320);
            ui::draw(&mut frame, &sample.screen, &look);
            frame
        };
        let moves = matches!(sample.screen, Screen::OneMoment { .. });
        assert_eq!(drawn(0) != drawn(1), moves, "{}", sample.name);
    }
}

#[test]
fn small_panels_leave_out_rows_but_never_cut_the_rest() {
    on_each(&SMALL, &screens(), |screen, page| {
        let cut = page.flaws.iter().find(|flaw| !flaw.contains("too few"));
        assert_eq!(cut, None, "{:?} {screen:?}", page.frame);
    });
}

#[test]
fn no_panel_is_too_small_or_too_odd_to_be_drawn_on() {
    let odd = [(0, 0), (1, 1), (7, 300), (300, 7), (48, 48), (300, 64)];
    let mut drawn = 0;
    on_each(&odd, &screens(), |_, _| drawn += 1);
    assert!(drawn > 0);
}

#[test]
fn a_decoder_reads_exactly_the_address_on_every_panel() {
    let sizes = [FULL.as_slice(), SMALL.as_slice()].concat();
    on_each(&sizes, &codes(), |screen, page| {
        let Screen::Pay { url, .. } = screen else {
            return;
        };
        assert_eq!(scan::read(page.frame), [url.as_str()], "{:?}", page.frame);
    });
}

#[test]
fn nothing_stands_in_the_quiet_zone() {
    on_each(&FULL, &codes(), |screen, page| {
        let Screen::Pay { url, .. } = screen else {
            return;
        };
        let code = pay::code(page, url).expect("it fits");
        let (width, height) = (page.frame.width(), page.frame.height());
        let (side, quiet) = (code.side(), code.quiet());
        let (left, top) = match page.is_upright() {
            true => ((width - side) / 2, 0),
            false => (0, (height - side) / 2),
        };
        for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
            let inside = quiet..side - quiet;
            let pixel = page.frame.pixels()[((top + y) * width + left + x) as usize];
            assert!(
                (inside.contains(&x) && inside.contains(&y)) || pixel == Rgb565::WHITE,
                "{:?}: ({x}, {y})",
                page.frame
            );
        }
    });
}

#[test]
fn a_screen_covers_what_was_there_before() {
    let look = Look::default();
    let mut frame = Frame::new(240, 320);
    for screen in screens() {
        let mut fresh = Frame::new(240, 320);
        ui::draw(&mut fresh, &screen, &look);
        ui::draw(&mut frame, &screen, &look);
        assert!(frame == fresh, "{screen:?}");
    }
}
