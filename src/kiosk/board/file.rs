//! A board file: read as it is written, then checked field by field.

use std::path::{Path, PathBuf};
#[cfg(feature = "sim")]
use std::time::Duration;

use serde::Deserialize;

use crate::files::{self, Unusable};

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
    #[cfg(feature = "sim")]
    Desk {
        size: [u32; 2],
    },
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
