//! A board file: read as it is written, then checked field by field.

use std::path::{Path, PathBuf};
#[cfg(feature = "sim")]
use std::time::Duration;

use serde::Deserialize;

use crate::files::{self, Unusable};
use crate::kiosk::board::mipi::{Model, Mounting, Wiring};

/// A checked board file. Its paths are absolute, or relative to the working directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardFile {
    /// What shows the picture.
    pub panel: PanelKind,
    /// Where keys come from.
    pub keypad: KeypadKind,
    /// What lets the goods out.
    pub dispenser: DispenserKind,
    /// Where the page of `desk` devices is.
    #[cfg(feature = "sim")]
    pub desk_listen: std::net::SocketAddr,
}

/// A panel, by its `kind`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PanelKind {
    /// The picture as a PNG file, replaced at each change.
    Png {
        /// Which file.
        file: PathBuf,
        /// Width and height in pixels.
        size: (u32, u32),
    },
    /// A display on SPI.
    Mipi(Wiring),
    /// A page in the browser.
    #[cfg(feature = "sim")]
    Desk {
        /// Width and height in pixels.
        size: (u32, u32),
    },
}

/// A keypad, by its `kind`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeypadKind {
    /// Characters on standard input.
    Stdin,
    /// A page in the browser.
    #[cfg(feature = "sim")]
    Desk,
}

/// A dispenser, by its `kind`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DispenserKind {
    /// A line in a file for each pulse.
    Log {
        /// Which file.
        file: PathBuf,
    },
    /// A page in the browser.
    #[cfg(feature = "sim")]
    Desk {
        /// How long a pulse takes.
        ms: Duration,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    gpio_chip: Option<String>,
    panel: RawPanel,
    keypad: RawKeypad,
    dispenser: RawDispenser,
    #[cfg(feature = "sim")]
    desk: Option<RawDesk>,
}

#[derive(Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
enum RawPanel {
    Png {
        file: PathBuf,
        size: [u32; 2],
    },
    Mipi(RawMipi),
    #[cfg(feature = "sim")]
    Desk {
        size: [u32; 2],
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawMipi {
    model: Model,
    size: [u16; 2],
    #[serde(default)]
    offset: [u16; 2],
    #[serde(default)]
    rotate: u16,
    #[serde(default)]
    invert: bool,
    #[serde(default)]
    color_order: ColorOrder,
    spi: PathBuf,
    spi_hz: u32,
    dc: u32,
    reset: Option<u32>,
    backlight: Option<u32>,
    gpio_chip: Option<String>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum ColorOrder {
    #[default]
    Rgb,
    Bgr,
}

#[derive(Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
enum RawKeypad {
    Stdin {},
    #[cfg(feature = "sim")]
    Desk {},
}

#[derive(Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
enum RawDispenser {
    Log {
        file: PathBuf,
    },
    #[cfg(feature = "sim")]
    Desk {
        ms: u64,
    },
}

#[cfg(feature = "sim")]
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawDesk {
    listen: std::net::SocketAddr,
}

impl BoardFile {
    /// Reads and checks the file.
    pub fn load(file: &Path) -> Result<BoardFile, Unusable> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Unusable::new(file, error.to_string()))?;
        BoardFile::parse(file, &text)
    }

    /// Checks a board file's text; `file` is where its paths are relative to.
    pub fn parse(file: &Path, text: &str) -> Result<BoardFile, Unusable> {
        let raw: Raw = files::parse_toml(file, text)?;
        let size = |size| check_size(size).map_err(|fix| Unusable::field(file, "panel.size", fix));
        Ok(BoardFile {
            panel: match raw.panel {
                RawPanel::Png {
                    file: png,
                    size: wanted,
                } => PanelKind::Png {
                    file: files::beside(file, &png),
                    size: size(wanted)?,
                },
                RawPanel::Mipi(mipi) => {
                    let wrong = |(field, fix): (&str, String)| {
                        Unusable::field(file, &format!("panel.{field}"), fix)
                    };
                    PanelKind::Mipi(check_mipi(mipi, raw.gpio_chip.as_ref()).map_err(wrong)?)
                }
                #[cfg(feature = "sim")]
                RawPanel::Desk { size: wanted } => PanelKind::Desk {
                    size: size(wanted)?,
                },
            },
            keypad: match raw.keypad {
                RawKeypad::Stdin {} => KeypadKind::Stdin,
                #[cfg(feature = "sim")]
                RawKeypad::Desk {} => KeypadKind::Desk,
            },
            dispenser: match raw.dispenser {
                RawDispenser::Log { file: log } => DispenserKind::Log {
                    file: files::beside(file, &log),
                },
                #[cfg(feature = "sim")]
                RawDispenser::Desk { ms } => match ms {
                    1..=10_000 => DispenserKind::Desk {
                        ms: Duration::from_millis(ms),
                    },
                    _ => {
                        return Err(Unusable::field(
                            file,
                            "dispenser.ms",
                            format!("{ms} is not within 1 … 10000"),
                        ));
                    }
                },
            },
            #[cfg(feature = "sim")]
            desk_listen: raw
                .desk
                .map_or(std::net::SocketAddr::from(([127, 0, 0, 1], 0)), |desk| {
                    desk.listen
                }),
        })
    }
}

/// The lines of SPI0 on the header: chip selects, MISO, MOSI, SCLK.
const SPI0_PINS: std::ops::RangeInclusive<u32> = 7..=11;
/// The lines that a header has.
const HEADER_PINS: std::ops::RangeInclusive<u32> = 0..=27;

/// A display's section, checked; the field and the fix where it cannot be.
fn check_mipi(raw: RawMipi, board_chip: Option<&String>) -> Result<Wiring, (&'static str, String)> {
    let (model, size) = (raw.model, (raw.size[0], raw.size[1]));
    if !model.sizes().contains(&size) {
        let known: Vec<String> = model
            .sizes()
            .iter()
            .map(|(width, height)| format!("[{width}, {height}]"))
            .collect();
        return Err((
            "size",
            format!(
                "this model comes as {}, before it is turned",
                known.join(" or ")
            ),
        ));
    }
    if ![0, 90, 180, 270].contains(&raw.rotate) {
        return Err(("rotate", format!("{} is not 0, 90, 180 or 270", raw.rotate)));
    }
    if !(100_000..=model.max_spi_hz()).contains(&raw.spi_hz) {
        return Err((
            "spi-hz",
            format!(
                "{} is not within 100000 … {} for this model",
                raw.spi_hz,
                model.max_spi_hz()
            ),
        ));
    }
    let on_spi0 = raw.spi.to_string_lossy().starts_with("/dev/spidev0");
    let mut used: Vec<(&'static str, u32)> = Vec::new();
    for (field, pin) in [
        ("dc", Some(raw.dc)),
        ("reset", raw.reset),
        ("backlight", raw.backlight),
    ] {
        let Some(pin) = pin else { continue };
        if !HEADER_PINS.contains(&pin) {
            return Err((field, format!("BCM {pin} is not on the header: 0 … 27")));
        }
        if on_spi0 && SPI0_PINS.contains(&pin) {
            return Err((
                field,
                format!("BCM {pin} belongs to the SPI bus; take another"),
            ));
        }
        if let Some((other, _)) = used.iter().find(|(_, taken)| *taken == pin) {
            return Err((field, format!("BCM {pin} is already panel.{other}")));
        }
        used.push((field, pin));
    }
    let mounting = Mounting {
        model,
        size,
        offset: (raw.offset[0], raw.offset[1]),
        rotate: raw.rotate,
        invert: raw.invert,
        bgr: raw.color_order == ColorOrder::Bgr,
    };
    Ok(Wiring {
        mounting,
        spi: raw.spi,
        spi_hz: raw.spi_hz,
        dc: raw.dc,
        reset: raw.reset,
        backlight: raw.backlight,
        gpio_chip: raw.gpio_chip.or_else(|| board_chip.cloned()),
    })
}

/// The screens are laid out for panels of these sizes, upright or on their side.
fn check_size([width, height]: [u32; 2]) -> Result<(u32, u32), String> {
    match (width.min(height), width.max(height)) {
        (240, 320) | (320, 480) => Ok((width, height)),
        _ => Err(format!(
            "{width} × {height} is not 240 × 320 or 320 × 480, upright or on its side"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BENCH: &str = include_str!("../../../boards/bench.toml");

    fn parse(text: &str) -> Result<BoardFile, String> {
        BoardFile::parse(Path::new("boards/x.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_bench_board_needs_no_hardware() {
        let board = parse(BENCH).expect("good");
        assert_eq!(
            board.panel,
            PanelKind::Png {
                file: PathBuf::from("boards/panel.png"),
                size: (240, 320)
            }
        );
        assert_eq!(board.keypad, KeypadKind::Stdin);
        assert_eq!(
            board.dispenser,
            DispenserKind::Log {
                file: PathBuf::from("boards/dispenser.log")
            }
        );
    }

    const MIPI: &str = r#"
        [panel]
        kind = "mipi"
        model = "st7789"
        size = [240, 320]
        rotate = 90
        invert = true
        spi = "/dev/spidev0.0"
        spi-hz = 40000000
        dc = 25
        reset = 27
        backlight = 24
        [keypad]
        kind = "stdin"
        [dispenser]
        kind = "log"
        file = "dispenser.log"
    "#;

    #[test]
    fn a_display_on_spi_is_described_by_its_wires() {
        let PanelKind::Mipi(wiring) = parse(MIPI).expect("good").panel else {
            panic!("a display")
        };
        assert_eq!(wiring.picture_size(), (320, 240), "turned");
        assert_eq!(
            (wiring.dc, wiring.reset, wiring.backlight),
            (25, Some(27), Some(24))
        );
        assert_eq!(wiring.gpio_chip, None, "the header's");
        let named = format!("gpio-chip = \"pinctrl-bcm2711\"\n{MIPI}");
        let PanelKind::Mipi(wiring) = parse(&named).expect("good").panel else {
            panic!("a display")
        };
        assert_eq!(wiring.gpio_chip.as_deref(), Some("pinctrl-bcm2711"));
    }

    #[test]
    fn a_wiring_that_cannot_work_is_named_with_its_fix() {
        for (from, to, told) in [
            (
                "reset = 27",
                "reset = 25",
                "panel.reset: BCM 25 is already panel.dc",
            ),
            (
                "dc = 25",
                "dc = 10",
                "panel.dc: BCM 10 belongs to the SPI bus; take another",
            ),
            (
                "dc = 25",
                "dc = 40",
                "panel.dc: BCM 40 is not on the header: 0 … 27",
            ),
            (
                "40000000",
                "80000000",
                "panel.spi-hz: 80000000 is not within 100000 … 62500000 for this model",
            ),
            (
                "[240, 320]",
                "[320, 480]",
                "panel.size: this model comes as [240, 320] or [240, 240], before it is turned",
            ),
            (
                "rotate = 90",
                "rotate = 45",
                "panel.rotate: 45 is not 0, 90, 180 or 270",
            ),
            ("st7789", "st7788", "unknown variant `st7788`"),
            ("invert", "invret", "unknown field `invret`"),
        ] {
            let error = parse(&MIPI.replace(from, to)).expect_err(to);
            assert!(
                error.starts_with("boards/x.toml: ") && error.contains(told),
                "{error}"
            );
        }
    }

    #[cfg(feature = "sim")]
    #[test]
    fn the_desk_board_is_a_page_for_all_three() {
        let board = parse(include_str!("../../../boards/desk.toml")).expect("good");
        assert!(matches!(board.panel, PanelKind::Desk { size: (240, 320) }));
        assert_eq!(board.keypad, KeypadKind::Desk);
        assert!(matches!(board.dispenser, DispenserKind::Desk { .. }));
    }

    #[test]
    fn a_mistake_is_named_with_file_field_and_fix() {
        for (from, to, told) in [
            (
                "[240, 320]",
                "[240, 321]",
                "boards/x.toml: panel.size: 240 × 321 is not 240 × 320 or 320 × 480",
            ),
            ("\"png\"", "\"pgn\"", "unknown variant `pgn`, expected"),
            (
                "size =",
                "sice =",
                "unknown field `sice`, expected `file` or `size`",
            ),
            ("[keypad]", "[kyepad]", "unknown field `kyepad`"),
            ("\"stdin\"", "\"stdin\"\npin = 3", "unknown field `pin`"),
        ] {
            let error = parse(&BENCH.replace(from, to)).expect_err(to);
            assert!(
                error.starts_with("boards/x.toml: ") && error.contains(told),
                "{error}"
            );
        }
    }
}
