//! What the glass shows is what was drawn, on modules as they are sold (`support/modules.rs`), for every board file and however
//! they hang; and how few bytes that takes.

#![cfg(feature = "kiosk")]

pub mod look;
mod mistakes;
mod renewal;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::glass::{self, Backlight, DataCommand, Reset, Spi, Waits, Wire};
use crate::support::modules::{self, MODULES, Module};
use embedded_graphics::pixelcolor::raw::ToBytes;
use embedded_hal::spi::MODE_0;
use look::{Look, codes, look, probe};
use selpay_kiosk::ids::{OrderNo, SaleCode, SaleId, ScanUrl};
use selpay_kiosk::kiosk::board::file::{BoardFile, PanelKind};
use selpay_kiosk::kiosk::board::mipi::{Bus, Lines, MipiPanel, Model, Mounting, Wiring, open};
use selpay_kiosk::kiosk::machine::amount::{Refusal, Typed};
use selpay_kiosk::kiosk::machine::screen::{Doing, Failure, Language, Leaving, Outage, Screen};
use selpay_kiosk::kiosk::ports::{Panel, Progress};
use selpay_kiosk::kiosk::ui::frame::Frame;
use selpay_kiosk::kiosk::ui::{self, Look as Words};
use selpay_kiosk::money::Fen;

const ADDRESS: &str = "https://up.selpay.cn/#/pages/rt/index?appKey=5f53481517b449b0a8c8dbe808d8bf5c&no=3fa91c027be44d109a55c0ffee123456";
const ROTATIONS: [u16; 4] = [0, 90, 180, 270];

/// What somebody buys for each board file.
fn bought(board: &str) -> Module {
    match board {
        "pi-st7789" | "pi-coin" => modules::ST7789_20,
        "pi-st7789-square" => modules::ST7789_13,
        "pi-ili9341" => modules::ILI9341,
        "pi-hat35" => modules::RPI_LCD_35,
        "pi-st7735s" => modules::ST7735_GREEN_TAB,
        other => panic!("what display is {other} for?"),
    }
}

/// The names and texts of the board files that have a display.
fn boards() -> Vec<(String, String)> {
    let boards = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/boards"));
    let files = fs::read_dir(boards).expect("a directory");
    let files = files.map(|entry| entry.expect("an entry").path());
    let named = files.map(|file| {
        let name = file.file_stem().expect("a name").to_string_lossy();
        (name.into_owned(), fs::read_to_string(&file).expect("text"))
    });
    named
        .filter(|(_, text)| text.contains("kind = \"mipi\""))
        .collect()
}

/// The display that this board file describes.
fn wiring(text: &str) -> Wiring {
    let board = BoardFile::parse(Path::new("board.toml"), text);
    match board.unwrap_or_else(|error| panic!("{error}")).panel {
        PanelKind::Mipi(wiring) => wiring,
        other => panic!("{other:?}"),
    }
}

/// The board file with another line for this key of its panel: in place of its own, or one more.
fn with(text: &str, line: &str) -> String {
    let (key, _) = line.split_once('=').expect("a key and a value");
    let (before, panel) = text.split_once("[panel]\n").expect("a panel");
    let (panel, after) = panel.split_once("\n[").expect("a section after it");
    let is_other = |there: &&str| !there.starts_with(key);
    let panel: Vec<&str> = panel.lines().filter(is_other).collect();
    format!("{before}[panel]\n{line}\n{}\n[{after}", panel.join("\n"))
}

/// This module on a controller of ours, described as its data sheet does.
fn mounted(module: &Module) -> Mounting {
    let model = match (module.memory, module.inverted, module.scan) {
        ((240, 320), true, _) => Model::St7789,
        ((240, 320), false, _) => Model::Ili9341,
        ((320, 480), _, Some(0x22)) => Model::Ili9486,
        ((320, 480), ..) => Model::St7796,
        _ => Model::St7735s,
    };
    let bus = match module.shift_registers {
        true => Bus::Shift16,
        false => Bus::Serial,
    };
    let (left, top) = module.starts[0];
    Mounting {
        model,
        bus,
        size: (module.size.0 as u16, module.size.1 as u16),
        offset: (left as u16, top as u16),
        rotate: 0,
        mirror: false,
        invert: module.inverted,
        bgr: module.address_modes[0] & 0x08 != 0,
    }
}

/// A module on a wire that is driven as a board file says.
fn wired(module: Module, wiring: &Wiring) -> (MipiPanel, Wire) {
    let wire = Wire::to(module);
    wire.passes(Duration::ZERO);
    let buffer = Box::leak(vec![0; glass::MAX_TRANSFER].into_boxed_slice());
    let lines = Lines {
        dc: DataCommand(wire.clone()),
        reset: Some(Reset(wire.clone())),
        backlight: Some(Backlight::new(&wire)),
    };
    let spi = Spi::new(&wire, wiring.spi_mode);
    let glass = open(
        spi,
        lines,
        &mut Waits(wire.clone()),
        &wiring.mounting,
        buffer,
    );
    let panel = MipiPanel::new(glass.expect("it wakes up"), wiring.picture_size());
    wire.count();
    (panel, wire)
}

/// The same for a module that is described as it is.
fn panel(module: Module, rotate: u16) -> (MipiPanel, Wire) {
    let mounting = Mounting {
        rotate,
        ..mounted(&module)
    };
    let any = wiring(include_str!("../boards/pi-st7789.toml"));
    let spi_mode = match module.has_chip_select {
        true => MODE_0,
        false => embedded_hal::spi::MODE_3,
    };
    wired(
        module,
        &Wiring {
            mounting,
            spi_mode,
            ..any
        },
    )
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
    let words = Words {
        language: Language::Zh,
        service_phone: Some("400-000-0000".to_owned()),
        ..Words::default()
    };
    ui::draw(&mut frame, screen, &words);
    frame
}

fn show(panel: &mut MipiPanel, screen: &Screen) -> Frame {
    let frame = drawn(panel, screen);
    panel.show_whole(screen.name(), &frame).expect("shown");
    frame
}

/// How the last picture looks to somebody whose head is tilted so; the wire has only carried what a controller takes.
fn looks(wire: &Wire, turned: u16, frame: &Frame) -> Look {
    look(Some(wire.seen(turned)), frame)
}

#[test]
fn every_board_file_shows_every_screen_upright_however_the_display_hangs() {
    let boards = boards();
    assert!(boards.len() >= 5, "{boards:?}");
    for (name, text) in boards {
        let as_it_is = wiring(&text).mounting.rotate;
        for rotate in ROTATIONS {
            let wiring = wiring(&with(&text, &format!("rotate = {rotate}")));
            let (mut panel, wire) = wired(bought(&name), &wiring);
            let frame = probe(panel.size());
            panel.show_whole("probe", &frame).expect("shown");
            assert_eq!(
                looks(&wire, rotate, &frame),
                Look::Right,
                "{name}, {rotate}"
            );
            // The code at least, where it is not as the file has it.
            let is_looked_at =
                |screen: &Screen| rotate == as_it_is || matches!(screen, Screen::Pay { .. });
            for (what, screen) in sale().iter().filter(|(_, screen)| is_looked_at(screen)) {
                let frame = show(&mut panel, screen);
                let seen = looks(&wire, rotate, &frame);
                assert_eq!(seen, Look::Right, "{name}, {rotate}: {what}");
                if matches!(screen, Screen::Pay { .. }) {
                    assert_eq!(codes(&wire.seen(rotate)), [ADDRESS], "{name}, {rotate}");
                }
            }
        }
    }
}

#[test]
fn every_module_shows_letters_upright_and_a_code_that_can_be_read() {
    for module in MODULES {
        for (place, rotate) in ROTATIONS.into_iter().enumerate() {
            let (mut panel, wire) = panel(module, rotate);
            let frame = probe(panel.size());
            panel.show_whole("probe", &frame).expect("shown");
            let name = module.name;
            assert_eq!(
                looks(&wire, rotate, &frame),
                Look::Right,
                "{name}, {rotate}"
            );
            let sent = wire.0.borrow().access;
            let told = module.address_modes[place];
            assert_eq!(sent, told, "{name}, {rotate}: {sent:02x}, not {told:02x}");
            show(&mut panel, &pay(120));
            assert_eq!(codes(&wire.seen(rotate)), [ADDRESS], "{name}, {rotate}");
        }
    }
}

/// The emulator itself: what a module's sources send stands upright on it, in all four directions. This driver knows
/// nothing but MIPI's commands and the table.
#[test]
fn the_emulated_glass_agrees_with_the_drivers_that_its_modules_are_known_from() {
    for module in MODULES {
        for (place, rotate) in ROTATIONS.into_iter().enumerate() {
            let mut display = glass::Display::new(module);
            let (width, height) = match rotate % 180 {
                0 => module.size,
                _ => (module.size.1, module.size.0),
            };
            let (left, top) = module.starts[place];
            let ends = |start: usize, length: usize| {
                let (first, last) = (start as u16, (start + length - 1) as u16);
                [first.to_be_bytes(), last.to_be_bytes()].concat()
            };
            let frame = probe((width as u32, height as u32));
            let mut send = |command: u8, parameters: &[u8]| {
                let is_pixels = command == 0x2c;
                let mut byte = |data, byte| {
                    display.data = data;
                    if module.shift_registers && !(data && is_pixels) {
                        display.byte(0);
                    }
                    display.byte(byte);
                };
                byte(false, command);
                parameters
                    .iter()
                    .for_each(|parameter| byte(true, *parameter));
            };
            send(0x11, &[]);
            send(if module.inverted { 0x21 } else { 0x20 }, &[]);
            send(0x3a, &[0x55]);
            send(0x36, &[module.address_modes[place]]);
            send(0x2a, &ends(left, width));
            send(0x2b, &ends(top, height));
            let pixels = frame.pixels().iter();
            let pixels: Vec<u8> = pixels.flat_map(|pixel| pixel.to_be_bytes()).collect();
            send(0x2c, &pixels);
            send(0x29, &[]);
            let seen = look(display.picture(rotate), &frame);
            assert_eq!(seen, Look::Right, "{}, {rotate}", module.name);
            assert_eq!(display.faults, [""; 0], "{}", module.name);
        }
    }
}

/// The table as numbers, so that nobody changes it and the emulator together: what the sources have, letter by letter.
#[test]
fn the_address_modes_are_those_of_the_drivers() {
    for (module, numbers) in [
        // drivers/gpu/drm/tiny/ili9341.c and mi0283qt.c; TFT_eSPI ILI9341_Rotation.h; Adafruit_ILI9341.cpp.
        (modules::ILI9341, [0x48, 0x28, 0x88, 0xe8]),
        (modules::MI0283QT, [0x48, 0x28, 0x88, 0xe8]),
        // drivers/gpu/drm/tiny/ili9486.c; TFT_eSPI RPI_ILI9486_Rotation.h.
        (modules::RPI_LCD_35, [0x48, 0x28, 0x88, 0xe8]),
        // drivers/staging/fbtft/fb_ili9486.c.
        (modules::ILI9486_SERIAL, [0x48, 0x28, 0x88, 0xe8]),
        // TFT_eSPI ST7796_Rotation.h; Adafruit_ST7796S.cpp.
        (modules::ST7796S, [0x48, 0x28, 0x88, 0xe8]),
        // drivers/staging/fbtft/fb_st7789v.c; Adafruit_ST7789.cpp.
        (modules::ST7789_20, [0x00, 0x60, 0xc0, 0xa0]),
        (modules::ST7789_13, [0x00, 0x60, 0xc0, 0xa0]),
        (modules::ST7789_13_WITHOUT_CS, [0x00, 0x60, 0xc0, 0xa0]),
        // Adafruit_ST7735.cpp, green and black tab; drivers/gpu/drm/tiny/st7735r.c.
        (modules::ST7735_GREEN_TAB, [0xc8, 0xa8, 0x08, 0x68]),
        (modules::ST7735_BLACK_TAB, [0xc0, 0xa0, 0x00, 0x60]),
    ] {
        assert_eq!(module.address_modes, numbers, "{}", module.name);
        assert!(!module.sources.is_empty(), "{}", module.name);
    }
}

#[test]
fn the_display_and_its_light_come_on_with_the_first_whole_picture() {
    let (mut panel, wire) = panel(modules::ST7789_20, 0);
    let frame = drawn(&panel, &amount(""));
    let is_lit = |wire: &Wire| {
        let display = wire.0.borrow();
        (display.is_on(), display.lit)
    };
    assert_eq!(is_lit(&wire), (false, false), "set up, and dark");
    let mut progress = panel.show("first", &frame).expect("shown");
    while progress == Progress::Partly {
        assert_eq!(is_lit(&wire), (false, false), "not whole yet");
        progress = panel.go_on().expect("shown");
    }
    assert_eq!(is_lit(&wire), (true, true));
    assert_eq!(looks(&wire, 0, &frame), Look::Right);
}

#[test]
fn only_what_changed_is_sent() {
    for module in [modules::ST7789_20, modules::ST7796S] {
        let (mut panel, wire) = panel(module, 0);
        let mut before: Option<Frame> = None;
        println!(
            "{}: bytes sent, changed pixels × 2, ratio, transfers",
            module.name
        );
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
            if what.starts_with("the key") && module.size == (240, 320) {
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
    let (mut panel, wire) = panel(modules::ST7796S, 0);
    let first = drawn(&panel, &sale()[0].1);
    let (mut parts, mut progress) = (1, panel.show("first", &first).expect("shown"));
    let mut largest = wire.count().0;
    while progress == Progress::Partly {
        progress = panel.go_on().expect("shown");
        largest = largest.max(wire.count().0);
        parts += 1;
    }
    assert_eq!(looks(&wire, 0, &first), Look::Right, "all parts make it");
    assert!(parts > 30 && largest < 8300, "{parts} of {largest} bytes");

    // Another screen while one is on its way: what has arrived of the first is known.
    let second = drawn(&panel, &pay(120));
    assert_eq!(panel.show("pay", &second).ok(), Some(Progress::Partly));
    assert_eq!(panel.go_on().ok(), Some(Progress::Partly));
    panel.show_whole("first", &first).expect("shown");
    assert_eq!(looks(&wire, 0, &first), Look::Right);
    let sent = wire.count().0;
    assert!(sent < 50_000, "only what had arrived goes back: {sent}");
}
