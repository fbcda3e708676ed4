//! Deliberate mistakes: each is seen on the glass, and `kiosk try panel` names the line that cures it.

use std::path::Path;

use super::look::{Look, look, probe};
use super::{ROTATIONS, boards, bought, panel, wired, wiring, with};
use crate::support::glass::Wire;
use crate::support::modules::{self, MODULES, Module};
use selpay_kiosk::kiosk::board::file::PanelKind;
use selpay_kiosk::kiosk::ports::Panel;
use selpay_kiosk::kiosk::tryout::{self, cures};
use selpay_kiosk::kiosk::ui::{self, frame::Frame};

/// A display that hangs as its board file says, driven by one that says something else.
struct Mistake {
    module: Module,
    /// The board file as it must be.
    right: String,
}

/// What `kiosk try panel` calls it.
fn called(look: Look) -> &'static str {
    match look {
        Look::Right => "",
        Look::Mirrored => "mirrored",
        Look::UpsideDown => "upside down",
        Look::ToTheRight => "turned: the arrow points to the right",
        Look::ToTheLeft => "turned: the arrow points to the left",
        Look::Shifted => "shifted",
        Look::Inverted => "inverted",
        Look::RedAndBlueExchanged => "red and blue exchanged",
        Look::Blank => "white or black",
        Look::Noise => "noise",
    }
}

impl Mistake {
    /// On the module that is bought for this board.
    fn on(name: &str) -> Mistake {
        let (_, right) = boards()
            .into_iter()
            .find(|(board, _)| board == name)
            .expect("there is such a board");
        let module = bought(name);
        Mistake { module, right }
    }

    /// With this line instead, the probe looks so; and among the lines that are told for that look is the cure.
    fn looks(&self, line: &str, looks: Look, cure: &str) {
        let hangs = wiring(&self.right).mounting.rotate;
        let seen = |text: &str| {
            let (mut panel, wire) = wired(self.module, &wiring(text));
            let frame = probe(panel.size());
            panel.show_whole("probe", &frame).expect("sent");
            look(wire.picture(hangs), &frame)
        };
        let wrong = with(&self.right, line);
        assert_eq!(seen(&wrong), looks, "{line}");
        let cures = cures(&wiring(&wrong));
        let called = called(looks);
        let told = cures.iter().find(|told| told.look.starts_with(called));
        let told = &told.unwrap_or_else(|| panic!("{called}: {cures:?}")).line;
        assert!(told.contains(cure), "{line} looks {called}: {told}");
        assert_eq!(seen(&self.right), Look::Right, "the file as it is");
    }
}

#[test]
fn a_mirror_too_much() {
    Mistake::on("pi-ili9341").looks("mirror = true", Look::Mirrored, "mirror = false");
    Mistake::on("pi-st7735s").looks("mirror = true", Look::Mirrored, "mirror = false");
}

#[test]
fn a_module_that_is_mounted_the_other_way() {
    // Its source lines are bonded from the other side: MX of the usual ones is too much.
    let module = Module {
        address_modes: modules::ILI9341.address_modes.map(|mode| mode ^ 0x40),
        ..modules::ILI9341
    };
    let usual = Mistake::on("pi-ili9341");
    let odd = Mistake {
        module,
        right: with(&usual.right, "mirror = true"),
    };
    odd.looks("mirror = false", Look::Mirrored, "mirror = true");
}

#[test]
fn upside_down() {
    Mistake::on("pi-st7789").looks("rotate = 180", Look::UpsideDown, "rotate = 0");
    Mistake::on("pi-hat35").looks("rotate = 270", Look::UpsideDown, "rotate = 90");
}

#[test]
fn rows_and_columns_exchanged() {
    Mistake::on("pi-st7789").looks("rotate = 90", Look::ToTheRight, "rotate = 0");
    Mistake::on("pi-st7789").looks("rotate = 270", Look::ToTheLeft, "rotate = 0");
    Mistake::on("pi-ili9341").looks("rotate = 0", Look::ToTheLeft, "rotate = 90");
}

#[test]
fn another_order_of_colours() {
    let cure = "color-order = \"bgr\"";
    let rgb = "color-order = \"rgb\"";
    Mistake::on("pi-st7735s").looks(rgb, Look::RedAndBlueExchanged, cure);
    Mistake::on("pi-hat35").looks(rgb, Look::RedAndBlueExchanged, cure);
    Mistake::on("pi-st7789").looks(cure, Look::RedAndBlueExchanged, rgb);
}

#[test]
fn inverted_colours() {
    Mistake::on("pi-st7789").looks("invert = false", Look::Inverted, "invert = true");
    Mistake::on("pi-ili9341").looks("invert = true", Look::Inverted, "invert = false");
}

#[test]
fn no_offset_where_there_is_one() {
    Mistake::on("pi-st7735s").looks("offset = [0, 0]", Look::Shifted, "offset = [2, 1]");
}

#[test]
fn an_offset_where_there_is_none() {
    let square = Mistake::on("pi-st7789-square");
    square.looks("offset = [0, 80]", Look::Shifted, "offset = [0, 0]");
    let green = Mistake::on("pi-st7735s");
    let black = with(&green.right, "color-order = \"rgb\"");
    let black = Mistake {
        module: modules::ST7735_BLACK_TAB,
        right: with(&black, "offset = [0, 0]"),
    };
    black.looks("offset = [2, 1]", Look::Shifted, "offset = [0, 0]");
}

#[test]
fn another_size() {
    Mistake::on("pi-st7789").looks("size = [240, 240]", Look::Shifted, "size");
}

#[test]
fn the_wrong_mode_of_the_bus() {
    let with_cs = Mistake::on("pi-st7789-square");
    let without_cs = Mistake {
        module: modules::ST7789_13_WITHOUT_CS,
        right: with(&with_cs.right, "spi-mode = 3"),
    };
    without_cs.looks("spi-mode = 0", Look::Blank, "spi-mode = 3");
}

#[test]
fn no_shift_registers_where_there_are_some() {
    let hat = Mistake::on("pi-hat35");
    hat.looks("bus = \"serial\"", Look::Blank, "bus = \"shift16\"");
}

#[test]
fn shift_registers_where_there_are_none() {
    let hat = Mistake::on("pi-hat35");
    let module = Mistake {
        module: modules::ILI9486_SERIAL,
        right: with(&hat.right, "bus = \"serial\""),
    };
    module.looks("bus = \"shift16\"", Look::Noise, "no bus");
}

#[test]
fn another_controller() {
    let ili9341 = Mistake::on("pi-ili9341");
    ili9341.looks("model = \"st7789\"", Look::Mirrored, "mirror = true");
}

/// Sends one more register, as a driver with another value in it would.
fn sends(wire: &Wire, module: &Module, command: u8, parameters: &[u8]) {
    let mut display = wire.0.borrow_mut();
    for (data, byte) in [(false, &command)]
        .into_iter()
        .chain(parameters.iter().map(|byte| (true, byte)))
    {
        display.data = data;
        if module.shift_registers {
            display.byte(0);
        }
        display.byte(*byte);
    }
}

/// How the probe looks on a module whose driver sends that last.
fn tampered(module: Module, rotate: u16, command: u8, parameters: &dyn Fn(u8) -> Vec<u8>) -> Look {
    let (mut panel, wire) = panel(module, rotate);
    let access = wire.0.borrow().access;
    sends(&wire, &module, command, &parameters(access));
    let frame = probe(panel.size());
    panel.show_whole("probe", &frame).expect("sent");
    look(wire.picture(rotate), &frame)
}

#[test]
fn one_bit_of_any_address_mode() {
    for module in MODULES {
        for rotate in ROTATIONS {
            let flipped = |bit: u8| tampered(module, rotate, 0x36, &|access| vec![access ^ bit]);
            let name = module.name;
            for (bit, looks) in [(0, Look::Right), (0x08, Look::RedAndBlueExchanged)] {
                assert_eq!(flipped(bit), looks, "{name}, {rotate}, {bit:02x}");
            }
            // Rows, columns, both exchanged: of a glass that lies within its memory a part is seen.
            for bit in [0x80, 0x40, 0x20] {
                assert_ne!(flipped(bit), Look::Right, "{name}, {rotate}, {bit:02x}");
            }
        }
    }
}

#[test]
fn another_order_of_the_source_lines() {
    // What mipidsi's own set-up of the ILI9486 sends.
    let scan = |scan: u8| tampered(modules::RPI_LCD_35, 90, 0xb6, &|_| vec![0x02, scan, 0x3b]);
    assert_eq!(scan(0x22), Look::Right);
    assert_eq!(scan(0x02), Look::Mirrored);
    assert_eq!(scan(0x62), Look::Mirrored);
}

#[test]
fn a_register_that_is_missing() {
    for (command, parameters, looks) in [
        (0x20, &[][..], Look::Inverted),
        (0x3a, &[0x66], Look::Noise),
        (0x10, &[], Look::Blank),
    ] {
        let module = modules::ST7789_20;
        let seen = tampered(module, 0, command, &|_| parameters.to_vec());
        assert_eq!(seen, looks, "{command:02x}");
    }
}

#[test]
fn the_test_card_is_shown_with_the_cure_of_each_look() {
    let board = Mistake::on("pi-st7735s");
    let wiring = wiring(&board.right);
    let (mut panel, wire) = wired(board.module, &wiring);
    let mut card = Frame::new(128, 160);
    ui::draw_test_card(&mut card);
    let (file, mut told) = (Path::new("pi-st7735s.toml"), Vec::new());
    let kind = PanelKind::Mipi(wiring);
    tryout::panel(&mut panel, (file, &kind), &mut told, &|| true).expect("shown");
    assert_eq!(look(wire.picture(0), &card), Look::Right);
    let told = String::from_utf8(told).expect("text");
    println!("{told}");
    for (look, line) in [
        ("mirrored", "mirror = true"),
        ("upside down", "rotate = 180"),
        ("shifted", "offset = [0, 0], or size"),
        ("inverted", "invert = true"),
        ("red and blue exchanged", "color-order = \"rgb\""),
        ("white", "spi-mode = 3"),
        ("noise", "spi-hz = 7500000"),
    ] {
        let named = |told: &&str| told.trim_start().starts_with(look);
        let cure = told.lines().find(named);
        assert!(
            cure.is_some_and(|cure| cure.contains(line)),
            "{look}: {cure:?}"
        );
    }
}
