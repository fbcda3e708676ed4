//! What the glass shows is what was drawn, for every controller and mounting; and how few bytes that takes.

#![cfg(feature = "kiosk")]

use std::fs;
use std::path::Path;

use crate::support::glass::{self, DataCommand, Make, NoDelay, Reset, Spi, Wire};
use selpay_kiosk::ids::{OrderNo, SaleCode, SaleId, ScanUrl};
use selpay_kiosk::kiosk::board::file::{BoardFile, PanelKind};
use selpay_kiosk::kiosk::board::mipi::{Bus, MipiPanel, Model, Mounting, open};
use selpay_kiosk::kiosk::machine::amount::{Refusal, Typed};
use selpay_kiosk::kiosk::machine::screen::{Doing, Failure, Language, Leaving, Outage, Screen};
use selpay_kiosk::kiosk::ports::{Panel, Progress};
use selpay_kiosk::kiosk::ui::frame::Frame;
use selpay_kiosk::kiosk::ui::{self, Look};
use selpay_kiosk::money::Fen;

const ADDRESS: &str = "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=3fa91c027be44d109a55c0ffee123456";

/// A display as its maker builds it, and how a board file mounts it.
fn mounted(model: Model, rotate: u16) -> (Make, Mounting) {
    let (memory, glass, inverts, bgr) = match model {
        Model::St7789 => ((240, 320), (0, 0, 240, 320), true, false),
        Model::Ili9341 => ((240, 320), (0, 0, 240, 320), false, true),
        Model::Ili9486 | Model::St7796 => ((320, 480), (0, 0, 320, 480), false, true),
        // The "green tab" modules: the glass begins at the third column and the second row of the memory.
        Model::St7735s => ((132, 162), (2, 1, 128, 160), false, false),
    };
    let (left, top, width, height) = glass;
    let mounting = Mounting {
        model,
        bus: Bus::Serial,
        size: (width as u16, height as u16),
        offset: (left as u16, top as u16),
        rotate,
        invert: inverts,
        bgr,
    };
    let make = Make {
        memory,
        glass,
        inverts,
        bgr,
        shifted: false,
    };
    (make, mounting)
}

/// What is in the shop for each board file: the display as its maker builds it, and how it hangs in the machine.
fn bought(board: &str) -> Option<(Make, u16)> {
    let (model, rotate) = match board {
        "pi-st7789" | "pi-coin" => (Model::St7789, 0),
        "pi-st7789-square" => (Model::St7789, 180),
        "pi-ili9341" => (Model::Ili9341, 90),
        "pi-hat35" => (Model::Ili9486, 90),
        "pi-st7735s" => (Model::St7735s, 0),
        _ => return None,
    };
    let (make, _) = mounted(model, rotate);
    Some(match board {
        "pi-st7789-square" => {
            let glass = (0, 0, 240, 240);
            (Make { glass, ..make }, rotate)
        }
        "pi-hat35" => {
            let shifted = true;
            (Make { shifted, ..make }, rotate)
        }
        _ => (make, rotate),
    })
}

/// A panel on a wire, woken up.
fn panel(make: Make, mounting: &Mounting) -> (MipiPanel, Wire) {
    let wire = Wire::to(make);
    let buffer = Box::leak(vec![0; glass::MAX_TRANSFER].into_boxed_slice());
    let display = open(
        Spi(wire.clone()),
        DataCommand(wire.clone()),
        Some(Reset),
        &mut NoDelay,
        mounting,
        buffer,
    );
    let (width, height) = mounting.size;
    let size = if mounting.rotate % 180 == 0 {
        (width, height)
    } else {
        (height, width)
    };
    let panel = MipiPanel::new(
        display.expect("it wakes up"),
        (size.0.into(), size.1.into()),
    );
    wire.count();
    (panel, wire)
}

fn typed(keys: &str) -> Typed {
    let mut typed = Typed::default();
    for key in keys.chars() {
        typed.push(key, Fen::MAX).expect("a possible amount");
    }
    typed
}

fn amount(keys: &str) -> Screen {
    Screen::Amount {
        typed: typed(keys),
        refused: None,
    }
}

fn pay(seconds_left: u32) -> Screen {
    let order = OrderNo::from_random(0x3fa91c02_7be4_4d10_9a55_c0ffee123456);
    let total = Fen::new(350).expect("an amount");
    let url = ScanUrl::new(ADDRESS).expect("an address");
    Screen::Pay {
        total,
        url,
        order,
        seconds_left,
        seconds: 120,
        remark: None,
    }
}

/// A sale as the panel sees it.
fn sale() -> Vec<(&'static str, Screen)> {
    let total = Fen::new(350).expect("an amount");
    let reference = SaleCode::of(SaleId::from_random(7 << 100));
    vec![
        ("the first picture", amount("")),
        ("the key 3", amount("3")),
        ("the key .", amount("3.")),
        ("the key 5", amount("3.5")),
        ("the key 0", amount("3.50")),
        (
            "a refused key",
            Screen::Amount {
                typed: typed("3.50"),
                refused: Some(Refusal::ThirdDecimal),
            },
        ),
        (
            "confirm",
            Screen::OneMoment {
                doing: Doing::Placing,
                total: Some(total),
            },
        ),
        ("the code", pay(120)),
        ("a second of the countdown", pay(119)),
        ("paid", Screen::Paid { total }),
        ("thank you", Screen::ThankYou { total }),
        ("the next customer", amount("")),
        (
            "something went wrong",
            Screen::CouldNot {
                what: Failure::Unknown,
                total,
                reference: Some(reference),
            },
        ),
        ("the one after that", amount("")),
        (
            "cancelled",
            Screen::NotPaid {
                why: Leaving::Cancelled,
                reference,
            },
        ),
        (
            "out of service",
            Screen::OutOfService {
                why: Outage::NoMerchant,
            },
        ),
    ]
}

fn drawn(panel: &MipiPanel, screen: &Screen) -> Frame {
    let (width, height) = panel.size();
    let mut frame = Frame::new(width, height);
    let look = Look {
        language: Language::Zh,
        service_phone: Some("400-000-0000".to_owned()),
        ..Look::default()
    };
    ui::draw(&mut frame, screen, &look);
    frame
}

fn show(panel: &mut MipiPanel, screen: &Screen) -> Frame {
    let frame = drawn(panel, screen);
    panel.show_whole(screen.name(), &frame).expect("shown");
    frame
}

/// Whether a person sees exactly the frame.
fn is_seen(wire: &Wire, rotate: u16, frame: &Frame) -> bool {
    use embedded_graphics::prelude::RgbColor;
    let (width, height, seen) = wire.seen(rotate);
    let drawn = frame
        .pixels()
        .iter()
        .map(|pixel| [pixel.r() << 3, pixel.g() << 2, pixel.b() << 3]);
    // The least bits differ where a colour was sent with more of them.
    let seen = seen
        .into_iter()
        .map(|[r, g, b]| [r & 0xf8, g & 0xfc, b & 0xf8]);
    (width as u32, height as u32) == (frame.width(), frame.height()) && seen.eq(drawn)
}

const MODELS: [Model; 5] = [
    Model::St7789,
    Model::Ili9341,
    Model::Ili9486,
    Model::St7796,
    Model::St7735s,
];

#[test]
fn every_board_file_shows_every_screen_on_the_display_it_was_written_for() {
    let boards = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/boards"));
    let mut seen = Vec::new();
    for entry in fs::read_dir(boards).expect("a directory") {
        let file = entry.expect("an entry").path();
        let name = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let board = BoardFile::load(&file).expect("a good board");
        let PanelKind::Mipi(wiring) = board.panel else {
            continue;
        };
        let (make, hangs) = bought(&name).unwrap_or_else(|| panic!("what display is {name} for?"));
        let (mut panel, wire) = panel(make, &wiring.mounting);
        assert_eq!(panel.size(), wiring.picture_size());
        for (what, screen) in sale() {
            let frame = show(&mut panel, &screen);
            assert!(is_seen(&wire, hangs, &frame), "{name}: {what}");
            if matches!(screen, Screen::Pay { .. }) {
                assert_eq!(codes(&wire, hangs), [ADDRESS], "{name}: {what}");
            }
        }
        seen.push(name);
    }
    assert!(seen.len() >= 5, "{seen:?}");
}

#[test]
fn the_glass_shows_what_was_drawn_on_every_model_however_it_is_turned() {
    for model in MODELS {
        for rotate in [0, 90, 180, 270] {
            let (make, mounting) = mounted(model, rotate);
            let (mut panel, wire) = panel(make, &mounting);
            for (what, screen) in sale() {
                let frame = show(&mut panel, &screen);
                assert!(
                    is_seen(&wire, rotate, &frame),
                    "{model:?} turned by {rotate}: {what}"
                );
            }
        }
    }
}

/// What a phone reads off the glass.
fn codes(wire: &Wire, rotate: u16) -> Vec<String> {
    let (width, height, seen) = wire.seen(rotate);
    // Twice as large, as a camera sees it from near.
    let gray = |x: usize, y: usize| seen[(y / 2) * width + x / 2][1];
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(2 * width, 2 * height, gray);
    let grids = picture.detect_grids();
    grids
        .iter()
        .filter_map(|grid| Some(grid.decode().ok()?.1))
        .collect()
}

#[test]
fn a_phone_reads_the_code_off_the_glass() {
    for model in MODELS {
        for rotate in [0, 90] {
            let (make, mounting) = mounted(model, rotate);
            let (mut panel, wire) = panel(make, &mounting);
            show(&mut panel, &pay(120));
            assert_eq!(
                codes(&wire, rotate),
                [ADDRESS],
                "{model:?} turned by {rotate}"
            );
        }
    }
}

#[test]
fn a_wrong_offset_rotation_colour_order_or_inversion_would_be_seen() {
    let (make, right) = mounted(Model::St7735s, 0);
    let wrong = [
        Mounting {
            offset: (0, 0),
            ..right
        },
        Mounting {
            rotate: 180,
            ..right
        },
        Mounting {
            bgr: !right.bgr,
            ..right
        },
        Mounting {
            invert: !right.invert,
            ..right
        },
    ];
    for mounting in wrong {
        let (mut panel, wire) = panel(make, &mounting);
        let frame = show(
            &mut panel,
            &Screen::ThankYou {
                total: Fen::new(1).expect("an amount"),
            },
        );
        assert!(!is_seen(&wire, right.rotate, &frame), "{mounting:?}");
    }
}

#[test]
fn only_what_changed_is_sent() {
    for model in [Model::St7789, Model::St7796] {
        let (make, mounting) = mounted(model, 0);
        let (mut panel, wire) = panel(make, &mounting);
        let mut before: Option<Frame> = None;
        println!("{model:?}: bytes sent, changed pixels × 2, ratio, transfers");
        for (what, screen) in sale() {
            let frame = show(&mut panel, &screen);
            let (sent, transfers) = wire.count();
            let all = (frame.width() * frame.height()) as usize;
            let changed = before.as_ref().map_or(all, |before| {
                before
                    .pixels()
                    .iter()
                    .zip(frame.pixels())
                    .filter(|(a, b)| a != b)
                    .count()
            });
            println!(
                "{what:>28} {sent:>7} {:>7} {:>5.2} {transfers:>4}",
                changed * 2,
                sent as f64 / (changed * 2) as f64
            );
            assert!(
                sent <= all * 2 + 11 * (all * 2).div_ceil(7000),
                "{what}: never more than the whole picture, in parts"
            );
            // Scattered modules of three pixels cannot be told in fewer bytes; all other pictures can.
            let bound = if what == "the code" { 1.25 } else { 1.15 };
            let is_large = changed * 8 > all;
            assert!(
                !is_large || (sent as f64) <= bound * (changed * 2) as f64 + 64.0,
                "{what}: {sent} bytes for {changed} pixels"
            );
            if what.starts_with("the key") && model == Model::St7789 {
                assert!(sent < 4096, "{what}: {sent} bytes for one key");
            }
            before = Some(frame);
        }
        let again = before.expect("something was shown");
        panel.show_whole("again", &again).expect("shown");
        assert_eq!(wire.count(), (0, 0), "nothing changed, nothing sent");
    }
}

#[test]
fn a_large_picture_comes_in_parts_and_another_may_come_in_between() {
    let (make, mounting) = mounted(Model::St7796, 0);
    let (mut panel, wire) = panel(make, &mounting);
    let first = drawn(&panel, &sale()[0].1);
    let (mut parts, mut progress) = (1, panel.show("first", &first).expect("shown"));
    let mut largest = wire.count().0;
    while progress == Progress::Partly {
        progress = panel.go_on().expect("shown");
        largest = largest.max(wire.count().0);
        parts += 1;
    }
    assert!(is_seen(&wire, 0, &first), "all parts make the picture");
    assert!(parts > 30 && largest < 8300, "{parts} of {largest} bytes");

    // Another screen while one is on its way: what has arrived of the first is known.
    let second = drawn(&panel, &pay(120));
    assert_eq!(panel.show("pay", &second).ok(), Some(Progress::Partly));
    assert_eq!(panel.go_on().ok(), Some(Progress::Partly));
    panel.show_whole("first", &first).expect("shown");
    assert!(is_seen(&wire, 0, &first));
    let sent = wire.count().0;
    assert!(sent < 50_000, "only what had arrived goes back: {sent}");
}
