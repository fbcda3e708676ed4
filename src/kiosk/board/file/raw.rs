//! A board file as it is written, before anything is checked. Unknown keys are refused.

use std::path::PathBuf;

use serde::Deserialize;

use crate::kiosk::board::mipi::{Bus, Model};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Raw {
    pub gpio_chip: Option<String>,
    pub panel: RawPanel,
    pub keypad: RawKeypad,
    pub dispenser: RawDispenser,
    pub buzzer: Option<RawSignal>,
    pub light: Option<RawSignal>,
    #[cfg(feature = "sim")]
    pub desk: Option<RawDesk>,
}

#[derive(Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum RawPanel {
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
pub struct RawMipi {
    pub model: Model,
    pub size: [u16; 2],
    #[serde(default)]
    pub bus: Bus,
    #[serde(default)]
    pub offset: [u16; 2],
    #[serde(default)]
    pub rotate: u16,
    #[serde(default)]
    pub mirror: bool,
    #[serde(default)]
    pub invert: bool,
    #[serde(default)]
    pub color_order: ColorOrder,
    pub spi: PathBuf,
    pub spi_hz: u32,
    #[serde(default)]
    pub spi_mode: u8,
    pub dc: u32,
    pub reset: Option<u32>,
    pub backlight: Option<u32>,
    pub gpio_chip: Option<String>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum ColorOrder {
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
pub enum RawKeypad {
    Stdin {},
    Matrix(RawMatrix),
    Evdev {
        device: Option<PathBuf>,
    },
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
pub enum RawDispenser {
    Log {
        file: PathBuf,
    },
    Pulse(RawPulse),
    #[cfg(feature = "sim")]
    Desk {
        ms: u64,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawMatrix {
    pub rows: Vec<u32>,
    pub columns: Vec<u32>,
    pub keys: Vec<String>,
    pub caps: Option<Vec<String>>,
    pub debounce_ms: u64,
    pub gpio_chip: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawPulse {
    pub pin: u32,
    #[serde(default)]
    pub active: Active,
    pub ms: u64,
    pub gap_ms: Option<u64>,
    pub pulses: Option<u32>,
    pub fen_per_pulse: Option<u32>,
    pub drop_sensor: Option<RawSensor>,
    pub gpio_chip: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawSensor {
    pub pin: u32,
    #[serde(default)]
    pub active: Active,
    pub grace_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawSignal {
    pub pin: u32,
    #[serde(default)]
    pub active: Active,
    pub gpio_chip: Option<String>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Active {
    #[default]
    High,
    Low,
}

#[cfg(feature = "sim")]
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawDesk {
    pub listen: std::net::SocketAddr,
}
