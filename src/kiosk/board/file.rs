//! A board file: read as it is written, then checked field by field.

mod checks;
mod pins;
mod raw;

use std::fmt;
use std::path::{Path, PathBuf};
#[cfg(feature = "sim")]
use std::time::Duration;

use crate::files::{self, Unusable};
use crate::kiosk::board::evdev;
use crate::kiosk::board::matrix::MatrixWiring;
use crate::kiosk::board::mipi::Wiring;
use crate::kiosk::board::pulse::PulseLine;
use crate::kiosk::board::signals::SignalLine;
use crate::kiosk::legend::Legend;

use checks::{Wrong, check_matrix, check_mipi, check_pulse, check_signal, check_size};
use pins::Pins;
use raw::{Raw, RawDispenser, RawKeypad, RawPanel};

/// A checked board file. Its paths are absolute, or relative to the working directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoardFile {
    /// What shows the picture.
    pub panel: PanelKind,
    /// Where keys come from.
    pub keypad: KeypadKind,
    /// What lets the goods out.
    pub dispenser: DispenserKind,
    /// What is heard, if anything.
    pub buzzer: Option<SignalLine>,
    /// What is seen from afar, if anything.
    pub light: Option<SignalLine>,
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

impl PanelKind {
    /// Width and height of the picture in pixels.
    pub fn size(&self) -> (u32, u32) {
        match self {
            PanelKind::Png { size, .. } => *size,
            PanelKind::Mipi(wiring) => wiring.picture_size(),
            #[cfg(feature = "sim")]
            PanelKind::Desk { size } => *size,
        }
    }
}

/// A keypad, by its `kind`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeypadKind {
    /// Characters on standard input.
    Stdin,
    /// Rows and columns of contacts on GPIO lines.
    Matrix(MatrixWiring),
    /// A number pad on USB: this device file, or the first that is found.
    Evdev(Option<PathBuf>),
    /// A page in the browser.
    #[cfg(feature = "sim")]
    Desk,
}

impl KeypadKind {
    /// What is printed on its caps.
    pub fn legend(&self) -> Legend {
        match self {
            KeypadKind::Matrix(wiring) => wiring.legend(),
            KeypadKind::Evdev(_) => evdev::legend(),
            _ => Legend::default(),
        }
    }
}

/// A dispenser, by its `kind`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DispenserKind {
    /// A line in a file for each pulse.
    Log {
        /// Which file.
        file: PathBuf,
    },
    /// A relay or a coin acceptor's line on a GPIO pin.
    Pulse(PulseLine),
    /// A page in the browser.
    #[cfg(feature = "sim")]
    Desk {
        /// How long a pulse takes.
        ms: Duration,
    },
}

impl BoardFile {
    /// Reads and checks the file.
    pub fn load(file: &Path) -> Result<BoardFile, Unusable> {
        BoardFile::parse(file, &files::read_text(file)?)
    }

    /// Checks a board file's text; `file` is where its paths are relative to.
    pub fn parse(file: &Path, text: &str) -> Result<BoardFile, Unusable> {
        let raw: Raw = files::parse_toml(file, text)?;
        let mut pins = Pins::default();
        let wrong = |(field, fix): Wrong| Unusable::field(file, field, fix);
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
                RawPanel::Mipi(mipi) => PanelKind::Mipi(
                    check_mipi(mipi, raw.gpio_chip.as_ref(), &mut pins).map_err(wrong)?,
                ),
                #[cfg(feature = "sim")]
                RawPanel::Desk { size: wanted } => PanelKind::Desk {
                    size: size(wanted)?,
                },
            },
            keypad: match raw.keypad {
                RawKeypad::Stdin {} => KeypadKind::Stdin,
                RawKeypad::Matrix(matrix) => {
                    let wiring = check_matrix(matrix, raw.gpio_chip.as_ref(), &mut pins);
                    KeypadKind::Matrix(wiring.map_err(wrong)?)
                }
                RawKeypad::Evdev { device } => KeypadKind::Evdev(device),
                #[cfg(feature = "sim")]
                RawKeypad::Desk {} => KeypadKind::Desk,
            },
            dispenser: match raw.dispenser {
                RawDispenser::Log { file: log } => DispenserKind::Log {
                    file: files::beside(file, &log),
                },
                RawDispenser::Pulse(pulse) => DispenserKind::Pulse(
                    check_pulse(pulse, raw.gpio_chip.as_ref(), &mut pins).map_err(wrong)?,
                ),
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
            buzzer: check_signal(raw.buzzer, "buzzer.pin", raw.gpio_chip.as_ref(), &mut pins)
                .map_err(wrong)?,
            light: check_signal(raw.light, "light.pin", raw.gpio_chip.as_ref(), &mut pins)
                .map_err(wrong)?,
            #[cfg(feature = "sim")]
            desk_listen: raw
                .desk
                .map_or(std::net::SocketAddr::from(([127, 0, 0, 1], 0)), |desk| {
                    desk.listen
                }),
        })
    }
}

impl BoardFile {
    /// The GPIO chips that the board needs, each once: by path or label, `None` is the header's.
    pub fn gpio_chips(&self) -> Vec<Option<String>> {
        let panel = match &self.panel {
            PanelKind::Mipi(wiring) => Some(&wiring.gpio_chip),
            _ => None,
        };
        let keypad = match &self.keypad {
            KeypadKind::Matrix(wiring) => Some(&wiring.gpio_chip),
            _ => None,
        };
        let dispenser = match &self.dispenser {
            DispenserKind::Pulse(line) => Some(&line.gpio_chip),
            _ => None,
        };
        let [buzzer, light] =
            [&self.buzzer, &self.light].map(|line| line.as_ref().map(|line| &line.gpio_chip));
        let mut chips = Vec::new();
        for chip in [panel, keypad, dispenser, buzzer, light]
            .into_iter()
            .flatten()
        {
            if !chips.contains(chip) {
                chips.push(chip.clone());
            }
        }
        chips
    }
}

impl fmt::Display for PanelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PanelKind::Png { file, size } => {
                write!(f, "{} × {} in {}", size.0, size.1, file.display())
            }
            PanelKind::Mipi(wiring) => {
                let (width, height) = wiring.picture_size();
                let (model, spi) = (wiring.mounting.model, wiring.spi.display());
                let hz = wiring.spi_hz;
                write!(f, "{model:?}, {width} × {height}, on {spi} at {hz} Hz")
            }
            #[cfg(feature = "sim")]
            PanelKind::Desk { size } => write!(f, "{} × {} in the browser", size.0, size.1),
        }
    }
}

impl fmt::Display for KeypadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeypadKind::Stdin => write!(f, "standard input"),
            KeypadKind::Matrix(wiring) => {
                let (rows, columns) = (wiring.rows.len(), wiring.columns.len());
                write!(f, "matrix of {rows} rows and {columns} columns")
            }
            KeypadKind::Evdev(Some(device)) => write!(f, "number pad {}", device.display()),
            KeypadKind::Evdev(None) => write!(f, "the first number pad"),
            #[cfg(feature = "sim")]
            KeypadKind::Desk => write!(f, "in the browser"),
        }
    }
}

impl fmt::Display for DispenserKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DispenserKind::Log { file } => write!(f, "lines in {}", file.display()),
            DispenserKind::Pulse(line) => write!(f, "{line}"),
            #[cfg(feature = "sim")]
            DispenserKind::Desk { .. } => write!(f, "in the browser"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kiosk::board::pulse::Count;
    use crate::kiosk::machine::event::Key;
    use crate::money::Fen;

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

    #[cfg(feature = "sim")]
    #[test]
    fn every_board_in_the_house_can_be_loaded() {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/boards"));
        let files = std::fs::read_dir(dir)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path());
        let boards: Vec<PathBuf> = files
            .filter(|file| file.extension().is_some_and(|kind| kind == "toml"))
            .collect();
        assert!(boards.len() >= 5);
        for board in boards {
            let loaded = BoardFile::load(&board);
            assert!(loaded.is_ok(), "{}", loaded.expect_err("just looked"));
        }
    }

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
                "panel.dc: BCM 10 is already the SPI bus",
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
            (
                "rotate = 90",
                "bus = \"shift16\"",
                "panel.bus: shift16 is how ili9486 HATs are built; leave it out for this model",
            ),
            (
                "st7789",
                "st7788",
                "panel.model: must be one of \"st7789\", ",
            ),
            (
                "rotate = 90",
                "spi-mode = 1",
                "panel.spi-mode: 1 is not 0, or 3 for a module without a CS pin",
            ),
            ("invert", "invret", "unknown field `invret`"),
        ] {
            let error = parse(&MIPI.replace(from, to)).expect_err(to);
            assert!(
                error.starts_with("boards/x.toml: ") && error.contains(told),
                "{error}"
            );
        }
    }

    #[test]
    fn the_lines_of_the_bus_in_use_are_not_free() {
        let second = MIPI.replace("spidev0.0", "spidev1.0");
        let error = parse(&second.replace("reset = 27", "reset = 18")).expect_err("taken");
        assert!(
            error.ends_with("panel.reset: BCM 18 is already the second SPI bus"),
            "{error}"
        );
        let other_bus = parse(&second.replace("reset = 27", "reset = 9"));
        assert!(other_bus.is_ok(), "the first bus is off");
    }

    #[test]
    fn the_panel_may_use_the_line_that_would_be_read() {
        let on_miso = MIPI.replace("dc = 25", "dc = 9");
        let PanelKind::Mipi(wiring) = parse(&on_miso).expect("as Pimoroni wires it").panel else {
            panic!("a display")
        };
        assert_eq!(wiring.dc, 9);
        let light = |file: &str| parse(&format!("{file}[light]\npin = 9\n")).expect_err("taken");
        let error = light(&on_miso);
        assert!(
            error.ends_with("light.pin: BCM 9 is already panel.dc"),
            "{error}"
        );
        let error = light(MIPI);
        assert!(
            error.ends_with("light.pin: BCM 9 is already the SPI bus"),
            "{error}"
        );
    }

    #[test]
    fn a_module_is_mirrored_and_has_no_chip_select_where_the_file_says_so() {
        let mipi = |change: &str| match parse(&MIPI.replace("rotate = 90", change)) {
            Ok(BoardFile {
                panel: PanelKind::Mipi(wiring),
                ..
            }) => (wiring.mounting.mirror, wiring.spi_mode),
            other => panic!("{other:?}"),
        };
        assert_eq!(mipi(""), (false, embedded_hal::spi::MODE_0));
        assert_eq!(
            mipi("mirror = true\nspi-mode = 3"),
            (true, embedded_hal::spi::MODE_3)
        );
    }

    #[test]
    fn a_buzzer_and_a_light_take_lines_of_their_own() {
        let with = |more: &str| parse(&format!("{MIPI}{more}"));
        let board = with("[buzzer]\npin = 18\n[light]\npin = 23\nactive = \"low\"\n");
        let board = board.expect("good");
        let lines = [board.buzzer, board.light].map(|line| line.expect("there"));
        assert_eq!(
            lines.map(|line| (line.pin, line.active_low)),
            [(18, false), (23, true)]
        );
        let error = with("[light]\npin = 25\n").expect_err("taken");
        assert!(
            error.ends_with("light.pin: BCM 25 is already panel.dc"),
            "{error}"
        );
        assert!(
            with("[buzzer]\npin = 18\nhz = 440\n").is_err(),
            "no such field"
        );
    }

    const PULSE: &str = "[panel]\nkind = \"png\"\nfile = \"panel.png\"\nsize = [240, 320]\n[keypad]\nkind = \"stdin\"\n\
        [dispenser]\nkind = \"pulse\"\npin = 17\nactive = \"low\"\nms = 500\n";

    #[test]
    fn a_pulse_line_is_one_pulse_so_many_or_one_for_so_many_fen() {
        let count = |more: &str| match parse(&format!("{PULSE}{more}"))?.dispenser {
            DispenserKind::Pulse(line) => Ok((line.active_low, line.shape.count)),
            other => panic!("{other:?}"),
        };
        assert_eq!(count(""), Ok((true, Count::Pulses(1))));
        assert_eq!(count("pulses = 3"), Ok((true, Count::Pulses(3))));
        let yuan = Fen::new(100).expect("an amount");
        assert_eq!(
            count("fen-per-pulse = 100"),
            Ok((true, Count::PerFen(yuan)))
        );
        for (more, told) in [
            ("pulses = 0", "dispenser.pulses: 0 is not within 1 … 1000"),
            (
                "fen-per-pulse = 0",
                "dispenser.fen-per-pulse: zero is nothing to pay",
            ),
            (
                "pulses = 1\nfen-per-pulse = 1",
                "dispenser.fen-per-pulse: a line has pulses or fen-per-pulse, not both",
            ),
            ("gap-ms = 0", "dispenser.gap-ms: 0 is not within 1 … 10000"),
        ] {
            let error: String = count(more).expect_err(more);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_key_table_has_the_pads_shape() {
        let matrix = "kind = \"matrix\"\nrows = [5, 6]\ncolumns = [12, 13, 16]\nkeys = [\"12C\", \".0#\"]\ndebounce-ms = 10";
        let board = |change: (&str, &str)| {
            parse(&MIPI.replace("kind = \"stdin\"", &matrix.replace(change.0, change.1)))
        };
        let KeypadKind::Matrix(wiring) = board(("", "")).expect("good").keypad else {
            panic!("a matrix")
        };
        assert_eq!(
            wiring
                .caps
                .iter()
                .map(|cap| cap.press.cap())
                .collect::<String>(),
            "12C.0#"
        );
        for (change, told) in [
            (
                ("\"12C\"", "\"12\""),
                "keypad.keys: write 2 texts of 3 caps, like \"123\", or \"7 8 9L\" where holding 9 down is L",
            ),
            (("12C", "12X"), "keypad.keys: X is no key: 0–9 . # C B R L"),
            ((".0#", ".0B"), "keypad.keys: there is no # to confirm with"),
            (
                ("[5, 6]", "[5, 5]"),
                "keypad.rows: BCM 5 is already keypad.rows",
            ),
            (
                ("[12, 13, 16]", "[12, 13, 25]"),
                "keypad.columns: BCM 25 is already panel.dc",
            ),
            (
                ("debounce-ms = 10", "debounce-ms = 500"),
                "keypad.debounce-ms: 500 is not within 1 … 50",
            ),
        ] {
            let error = board(change).expect_err(told);
            assert!(error.ends_with(told), "{error}");
        }
    }

    #[test]
    fn a_pad_with_few_caps_has_two_keys_on_some() {
        let matrix = "kind = \"matrix\"\nrows = [5, 6]\ncolumns = [12, 13]\nkeys = [\"1 2L\", \".C #\"]\ncaps = [\"12\", \"*#\"]\ndebounce-ms = 10";
        let board = |change: (&str, &str)| {
            parse(&MIPI.replace("kind = \"stdin\"", &matrix.replace(change.0, change.1)))
        };
        let KeypadKind::Matrix(wiring) = board(("", "")).expect("good").keypad else {
            panic!("a matrix")
        };
        let cap = |key| wiring.legend().cap(key).map(|cap| (cap.print, cap.hold));
        assert_eq!(cap(Key::Cancel), Some(("*".to_owned(), true)));
        assert_eq!(cap(Key::Point), Some(("*".to_owned(), false)));
        assert_eq!(cap(Key::Language), Some(("2".to_owned(), true)));
        assert_eq!(cap(Key::Regenerate), None, "this pad has none");
        for (change, told) in [
            (
                ("\"12\"", "\"123\""),
                "keypad.caps: write what is printed: 2 texts of 2 characters",
            ),
            ((".C #", ".CB #"), "keypad.keys: write 2 texts of 2 caps"),
            ((".C #", ". #"), "keypad.keys: there is no C to cancel with"),
        ] {
            let error = board(change).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_drop_sensor_is_a_part_of_the_pulse() {
        let sensor = "[dispenser.drop-sensor]\npin = 22\nactive = \"low\"\ngrace-ms = 3000\n";
        let board =
            |change: (&str, &str)| parse(&format!("{PULSE}{sensor}").replace(change.0, change.1));
        let DispenserKind::Pulse(line) = board(("", "")).expect("good").dispenser else {
            panic!("a pulse")
        };
        let sensor = line.sensor.expect("a sensor");
        assert_eq!((sensor.pin, sensor.active_low), (22, true));
        assert_eq!(sensor.grace, std::time::Duration::from_secs(3));
        for (change, told) in [
            (
                ("pin = 22", "pin = 17"),
                "dispenser.drop-sensor.pin: BCM 17 is already dispenser.pin",
            ),
            (
                ("3000", "31000"),
                "dispenser.drop-sensor.grace-ms: 31000 is not within 100 … 30000",
            ),
        ] {
            let error = board(change).expect_err(told);
            assert!(error.ends_with(told), "{error}");
        }
    }

    #[test]
    fn a_number_pad_is_the_one_that_is_named_or_the_first_there_is() {
        let pad = |more: &str| {
            parse(&BENCH.replace("\"stdin\"", &format!("\"evdev\"{more}")))
                .map(|board| board.keypad)
        };
        assert_eq!(pad(""), Ok(KeypadKind::Evdev(None)));
        let named = PathBuf::from("/dev/input/event3");
        assert_eq!(
            pad("\ndevice = \"/dev/input/event3\""),
            Ok(KeypadKind::Evdev(Some(named)))
        );
    }

    #[test]
    fn a_pin_is_used_once_on_the_whole_board() {
        let dispenser = "kind = \"pulse\"\npin = 25\nms = 500";
        let error = parse(&MIPI.replace(
            "kind = \"log\"\n        file = \"dispenser.log\"",
            dispenser,
        ))
        .expect_err("taken");
        assert!(
            error.ends_with("dispenser.pin: BCM 25 is already panel.dc"),
            "{error}"
        );
    }

    #[test]
    fn a_line_of_another_chip_is_another_line() {
        let on = |chip: &str| {
            let pulse = format!("kind = \"pulse\"\npin = 25\nms = 500\ngpio-chip = \"{chip}\"");
            let log = "kind = \"log\"\n        file = \"dispenser.log\"";
            parse(&MIPI.replace(log, &pulse)).map(drop)
        };
        assert_eq!(on("mcp23017"), Ok(()), "an expander has its own numbers");
        let error = on("pinctrl-bcm2711").expect_err("the header by its name");
        assert!(
            error.ends_with("dispenser.pin: BCM 25 is already panel.dc"),
            "{error}"
        );
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
                "boards/x.toml: panel.size: 240 × 321 is not 128 × 160, 240 × 240, 240 × 320 or 320 × 480",
            ),
            ("\"png\"", "\"pgn\"", "panel.kind: must be one of \"png\", "),
            (
                "size =",
                "sice =",
                "unknown field `sice`; did you mean `size`?",
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
