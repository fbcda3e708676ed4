//! How a panel looks that is not described as it is, and which line of its board file cures that.

use embedded_hal::spi::MODE_0;

use crate::kiosk::board::mipi::{Bus, Model, Wiring};

/// A look, and the line of `[panel]` that cures it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cure {
    /// What is seen.
    pub look: &'static str,
    /// What to write instead, as it stands in the file.
    pub line: String,
}

/// Every wrong look of a display that is described so.
pub fn cures(wiring: &Wiring) -> Vec<Cure> {
    let mounting = &wiring.mounting;
    let turned = |by: u16| format!("rotate = {}", (mounting.rotate + by) % 360);
    let order = if mounting.bgr { "rgb" } else { "bgr" };
    let cure = |look, line: String| Cure { look, line };
    vec![
        cure(
            "mirrored: FR is mirror writing",
            format!("mirror = {}", !mounting.mirror),
        ),
        cure("upside down: the arrow points down", turned(180)),
        cure("turned: the arrow points to the right", turned(270)),
        cure("turned: the arrow points to the left", turned(90)),
        cure(
            "shifted: a red line is missing, noise at an edge",
            offset(wiring),
        ),
        cure(
            "inverted: white letters on black",
            format!("invert = {}", !mounting.invert),
        ),
        cure(
            "red and blue exchanged: RED is blue",
            format!("color-order = \"{order}\""),
        ),
        cure("white or black, and lit", silent(wiring)),
        cure("noise: stripes, torn or doubled letters", noisy(wiring)),
    ]
}

/// The other place where glass of this size is found in the controller's memory.
fn offset(wiring: &Wiring) -> String {
    let mounting = &wiring.mounting;
    let other = match (mounting.model, mounting.size, mounting.offset) {
        (Model::St7735s, _, (0, 0)) => [2, 1],
        (Model::St7789, (240, 240), (0, 0)) => [0, 80],
        (Model::St7735s | Model::St7789, _, _) => [0, 0],
        _ => return "size, or offset = [columns, rows]".to_owned(),
    };
    format!("offset = {other:?}, or size")
}

/// Nothing that was sent has arrived.
fn silent(wiring: &Wiring) -> String {
    let mode = match wiring.spi_mode == MODE_0 {
        true => "spi-mode = 3 for a module without a CS pin",
        false => "spi-mode = 0 for a module with a CS pin",
    };
    let bus = bus(wiring).map_or(String::new(), |bus| format!("{bus}; "));
    format!("{bus}{mode}; else dc, reset, spi, model")
}

/// What was sent has not arrived as it was sent.
fn noisy(wiring: &Wiring) -> String {
    let slower = format!("spi-hz = {}", wiring.spi_hz / 2);
    let other = bus(wiring).unwrap_or("else model");
    format!("{slower}; {other}")
}

/// The other bus, where there is one.
fn bus(wiring: &Wiring) -> Option<&'static str> {
    match (wiring.mounting.model, wiring.mounting.bus) {
        (Model::Ili9486, Bus::Serial) => Some("bus = \"shift16\" for a HAT"),
        (Model::Ili9486, Bus::Shift16) => Some("no bus for a module that is no HAT"),
        _ => None,
    }
}
