//! The checks of a board file's sections: each names the field and the fix.

use std::ops::RangeInclusive;
use std::time::Duration;

use embedded_hal::spi::{MODE_0, MODE_3};

use super::pins::Pins;
use super::raw::{Active, ColorOrder, RawMatrix, RawMipi, RawPulse, RawSignal};
use crate::kiosk::board::matrix::{KeyCap, MatrixWiring};
use crate::kiosk::board::mipi::{Bus, Model, Mounting, Wiring};
use crate::kiosk::board::pulse::{Count, PulseLine, SensorLine, Shape};
use crate::kiosk::board::signals::SignalLine;
use crate::kiosk::machine::event::Key;
use crate::money::Fen;

/// The lines of the two buses on the header: chip selects, MISO, MOSI, SCLK. Nothing is read from a panel: MISO is free.
const SPI0: RangeInclusive<u32> = 7..=11;
const SPI0_MISO: u32 = 9;
const SPI1: RangeInclusive<u32> = 16..=21;
const SPI1_MISO: u32 = 19;

/// The field and the fix, where a section cannot be.
pub type Wrong = (&'static str, String);

/// A display's section, checked.
pub fn check_mipi(
    raw: RawMipi,
    board_chip: Option<&String>,
    pins: &mut Pins,
) -> Result<Wiring, Wrong> {
    let (model, size) = (raw.model, (raw.size[0], raw.size[1]));
    if !model.sizes().contains(&size) {
        let known: Vec<String> = model
            .sizes()
            .iter()
            .map(|(width, height)| format!("[{width}, {height}]"))
            .collect();
        return Err((
            "panel.size",
            format!(
                "this model comes as {}, before it is turned",
                known.join(" or ")
            ),
        ));
    }
    if ![0, 90, 180, 270].contains(&raw.rotate) {
        return Err((
            "panel.rotate",
            format!("{} is not 0, 90, 180 or 270", raw.rotate),
        ));
    }
    if !(100_000..=model.max_spi_hz()).contains(&raw.spi_hz) {
        let fastest = model.max_spi_hz();
        return Err((
            "panel.spi-hz",
            format!(
                "{} is not within 100000 … {fastest} for this model",
                raw.spi_hz
            ),
        ));
    }
    let spi_mode = match raw.spi_mode {
        0 => MODE_0,
        3 => MODE_3,
        other => {
            let fix = format!("{other} is not 0, or 3 for a module without a CS pin");
            return Err(("panel.spi-mode", fix));
        }
    };
    let (bus, lines, miso) = match raw.spi.to_string_lossy() {
        spi if spi.starts_with("/dev/spidev0") => ("the SPI bus", SPI0, SPI0_MISO),
        spi if spi.starts_with("/dev/spidev1") => ("the second SPI bus", SPI1, SPI1_MISO),
        // Whatever bus that is, it is not on the header.
        _ => ("", RangeInclusive::new(1, 0), 0),
    };
    pins.reserve(bus, lines.clone().filter(|pin| *pin != miso));
    let gpio_chip = raw.gpio_chip.or_else(|| board_chip.cloned());
    for (field, pin) in [
        ("panel.dc", Some(raw.dc)),
        ("panel.reset", raw.reset),
        ("panel.backlight", raw.backlight),
    ] {
        pin.map_or(Ok(()), |pin| pins.take(field, gpio_chip.as_deref(), pin))?;
    }
    // Free for the panel only: a keypad or a relay there would feel the bus.
    pins.reserve(bus, lines.contains(&miso).then_some(miso));
    if raw.bus == Bus::Shift16 && model != Model::Ili9486 {
        return Err((
            "panel.bus",
            "shift16 is how ili9486 HATs are built; leave it out for this model".to_owned(),
        ));
    }
    let mounting = Mounting {
        model,
        bus: raw.bus,
        size,
        offset: (raw.offset[0], raw.offset[1]),
        rotate: raw.rotate,
        mirror: raw.mirror,
        invert: raw.invert,
        bgr: raw.color_order == ColorOrder::Bgr,
    };
    Ok(Wiring {
        mounting,
        spi: raw.spi,
        spi_hz: raw.spi_hz,
        spi_mode,
        dc: raw.dc,
        reset: raw.reset,
        backlight: raw.backlight,
        gpio_chip,
    })
}

/// A matrix keypad's section, checked.
pub fn check_matrix(
    raw: RawMatrix,
    board_chip: Option<&String>,
    pins: &mut Pins,
) -> Result<MatrixWiring, Wrong> {
    let (rows, columns) = (raw.rows.len(), raw.columns.len());
    if !(1..=8).contains(&rows) || !(1..=8).contains(&columns) || rows * columns > 32 {
        return Err((
            "keypad.rows",
            format!("{rows} rows × {columns} columns is not 1 … 8 of each and 32 keys at most"),
        ));
    }
    let caps = caps(&raw, rows, columns)?;
    for (key, why) in [(Key::Confirm, "confirm"), (Key::Cancel, "cancel")] {
        if !caps
            .iter()
            .any(|cap| cap.press == key || cap.hold == Some(key))
        {
            return Err((
                "keypad.keys",
                format!("there is no {} to {why} with", key.cap()),
            ));
        }
    }
    if !(1..=50).contains(&raw.debounce_ms) {
        return Err((
            "keypad.debounce-ms",
            format!("{} is not within 1 … 50", raw.debounce_ms),
        ));
    }
    let gpio_chip = raw.gpio_chip.or_else(|| board_chip.cloned());
    for (field, lines) in [("keypad.rows", &raw.rows), ("keypad.columns", &raw.columns)] {
        lines
            .iter()
            .try_for_each(|pin| pins.take(field, gpio_chip.as_deref(), *pin))?;
    }
    Ok(MatrixWiring {
        rows: raw.rows,
        columns: raw.columns,
        caps,
        debounce: Duration::from_millis(raw.debounce_ms),
        gpio_chip,
    })
}

/// The table of keys, and what is printed on each cap where that is something else.
fn caps(raw: &RawMatrix, rows: usize, columns: usize) -> Result<Vec<KeyCap>, Wrong> {
    let keys = table(&raw.keys, rows, columns).ok_or_else(|| {
        let like = match columns {
            3 => "\"123\", or \"7 8 9L\" where holding 9 down is L",
            _ => "\"123C\", or \"7 8 9L C\" where holding 9 down is L",
        };
        let fix = format!("write {rows} texts of {columns} caps, like {like}");
        ("keypad.keys", fix)
    })?;
    let prints = match &raw.caps {
        None => keys.clone(),
        Some(caps) => table(caps, rows, columns).ok_or_else(|| {
            let fix = format!("write what is printed: {rows} texts of {columns} characters");
            ("keypad.caps", fix)
        })?,
    };
    let read = |cap: char| {
        let unknown = || ("keypad.keys", format!("{cap} is no key: 0–9 . # C B R L"));
        Key::from_char(cap).ok_or_else(unknown)
    };
    let cap = |((press, hold), (print, _)): (&Two, &Two)| {
        Ok(KeyCap {
            print: *print,
            press: read(*press)?,
            hold: hold.map(read).transpose()?,
        })
    };
    keys.iter().zip(&prints).map(cap).collect()
}

/// One character, or two.
type Two = (char, Option<char>);

/// A table of that shape: a row's cells are its characters, or its words of one or two characters.
fn table(texts: &[String], rows: usize, columns: usize) -> Option<Vec<Two>> {
    let word = |word: &str| {
        let mut letters = word.chars();
        let two = (letters.next()?, letters.next());
        letters.next().is_none().then_some(two)
    };
    let row = |text: &String| -> Option<Vec<Two>> {
        let cells: Option<Vec<Two>> = match text.contains(' ') {
            true => text.split_whitespace().map(word).collect(),
            false => Some(text.chars().map(|letter| (letter, None)).collect()),
        };
        cells.filter(|cells| cells.len() == columns)
    };
    let table: Vec<Vec<Two>> = texts.iter().map(row).collect::<Option<_>>()?;
    (table.len() == rows).then(|| table.concat())
}

/// A pulse line's section, checked.
pub fn check_pulse(
    raw: RawPulse,
    board_chip: Option<&String>,
    pins: &mut Pins,
) -> Result<PulseLine, Wrong> {
    let gpio_chip = raw.gpio_chip.or_else(|| board_chip.cloned());
    pins.take("dispenser.pin", gpio_chip.as_deref(), raw.pin)?;
    let gap_ms = raw.gap_ms.unwrap_or(raw.ms);
    for (field, ms) in [("dispenser.ms", raw.ms), ("dispenser.gap-ms", gap_ms)] {
        if !(1..=10_000).contains(&ms) {
            return Err((field, format!("{ms} is not within 1 … 10000")));
        }
    }
    let count = match (raw.pulses, raw.fen_per_pulse) {
        (None, None) => Count::Pulses(1),
        (Some(pulses @ 1..=1000), None) => Count::Pulses(pulses),
        (Some(pulses), None) => {
            return Err((
                "dispenser.pulses",
                format!("{pulses} is not within 1 … 1000"),
            ));
        }
        (None, Some(fen)) => {
            let each = Fen::try_from(fen)
                .map_err(|error| ("dispenser.fen-per-pulse", error.to_string()))?;
            Count::PerFen(each)
        }
        (Some(_), Some(_)) => {
            return Err((
                "dispenser.fen-per-pulse",
                "a line has pulses or fen-per-pulse, not both".to_owned(),
            ));
        }
    };
    let sensor = match raw.drop_sensor {
        None => None,
        Some(sensor) => {
            pins.take(
                "dispenser.drop-sensor.pin",
                gpio_chip.as_deref(),
                sensor.pin,
            )?;
            if !(100..=30_000).contains(&sensor.grace_ms) {
                return Err((
                    "dispenser.drop-sensor.grace-ms",
                    format!("{} is not within 100 … 30000", sensor.grace_ms),
                ));
            }
            Some(SensorLine {
                pin: sensor.pin,
                active_low: sensor.active == Active::Low,
                grace: Duration::from_millis(sensor.grace_ms),
                gpio_chip: gpio_chip.clone(),
            })
        }
    };
    let shape = Shape {
        on: Duration::from_millis(raw.ms),
        off: Duration::from_millis(gap_ms),
        count,
    };
    Ok(PulseLine {
        pin: raw.pin,
        active_low: raw.active == Active::Low,
        shape,
        sensor,
        gpio_chip,
    })
}

/// The section of a buzzer or a light, checked.
pub fn check_signal(
    raw: Option<RawSignal>,
    field: &'static str,
    board_chip: Option<&String>,
    pins: &mut Pins,
) -> Result<Option<SignalLine>, Wrong> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    let gpio_chip = raw.gpio_chip.or_else(|| board_chip.cloned());
    pins.take(field, gpio_chip.as_deref(), raw.pin)?;
    Ok(Some(SignalLine {
        pin: raw.pin,
        active_low: raw.active == Active::Low,
        gpio_chip,
    }))
}

/// The screens are laid out for panels of these sizes, upright or on their side.
pub fn check_size([width, height]: [u32; 2]) -> Result<(u32, u32), String> {
    match (width.min(height), width.max(height)) {
        (128, 160) | (240, 240) | (240, 320) | (320, 480) => Ok((width, height)),
        _ => Err(format!(
            "{width} × {height} is not 128 × 160, 240 × 240, 240 × 320 or 320 × 480, upright or on its side"
        )),
    }
}
