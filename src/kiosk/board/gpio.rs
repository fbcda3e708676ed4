//! GPIO lines by BCM number, on the chip of the Pi's header, wherever the kernel has put it.
//!
//! A chip is found by its label: the numbers of `/dev/gpiochipN` have moved between kernels, the labels have not.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use gpiocdev::chip::Chip;
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{self, LineRequestFlags};

use super::device;

/// The labels of the chip behind a Pi's header: Pi 1–3 and Zero, Pi 4, Pi 5.
pub const HEADER_LABELS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];
/// What `gpioinfo` and a busy line's error show.
pub const CONSUMER: &str = "selpay-kiosk";

/// A GPIO chip that was found.
#[derive(Debug)]
pub struct GpioChip {
    chip: Chip,
    label: String,
}

impl GpioChip {
    /// The chip that is named by a device path or a label; the header's, if none is named.
    pub fn find(named: Option<&str>) -> io::Result<GpioChip> {
        if let Some(path) = named.filter(|name| name.starts_with('/')) {
            return GpioChip::open(Path::new(path));
        }
        let is_wanted = |label: &str| match named {
            Some(wanted) => label == wanted,
            None => HEADER_LABELS.contains(&label),
        };
        let (mut seen, mut closed) = (Vec::new(), None);
        for path in gpiocdev::chip::chips().unwrap_or_default() {
            match GpioChip::open(&path) {
                Ok(chip) if is_wanted(&chip.label) => return Ok(chip),
                Ok(chip) => seen.push(chip.to_string()),
                Err(error) => closed = Some(error),
            }
        }
        // What cannot be opened may be the one that is wanted.
        if let Some(error) = closed {
            return Err(error);
        }
        let wanted = named.map_or_else(|| HEADER_LABELS.join(" or "), str::to_owned);
        let there = match seen.as_slice() {
            [] => "there is none at all".to_owned(),
            seen => format!("there are {}; name one in gpio-chip", seen.join(", ")),
        };
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no GPIO chip is labelled {wanted}; {there}"),
        ))
    }

    fn open(path: &Path) -> io::Result<GpioChip> {
        let explain = |error| device::explain(error, path, "gpio", "there is no such GPIO chip");
        File::open(path).map_err(explain)?;
        let no_chip = |error| io::Error::other(format!("{}: {error}", path.display()));
        let chip = Chip::from_path(path).map_err(no_chip)?;
        let label = chip.info().map_err(no_chip)?.label;
        Ok(GpioChip { chip, label })
    }

    /// Its device file.
    pub fn path(&self) -> PathBuf {
        self.chip.path().to_owned()
    }

    /// Takes an output line with this level to begin with; `field` of the board file names it in errors.
    pub fn output(&self, field: &str, bcm: u32, high: bool) -> io::Result<CdevPin> {
        let request = || {
            let line = gpio_cdev::Chip::new(self.path())?.get_line(bcm)?;
            CdevPin::new(line.request(LineRequestFlags::OUTPUT, u8::from(high), CONSUMER)?)
        };
        request().map_err(|error| self.refused(field, &[bcm], error))
    }

    /// Why these lines could not be had: who holds them, if somebody does.
    pub fn refused(&self, field: &str, lines: &[u32], error: impl fmt::Display) -> io::Error {
        let held = |bcm: &u32| {
            let info = self.chip.line_info(*bcm).ok().filter(|info| info.used)?;
            let holder = match info.consumer.as_str() {
                "" => "a driver of the kernel".to_owned(),
                CONSUMER => "another selpay-kiosk (systemctl stop selpay-kiosk)".to_owned(),
                other => other.to_owned(),
            };
            Some(format!("BCM {bcm} is held by {holder}"))
        };
        let told = lines.iter().find_map(held).unwrap_or_else(|| {
            let lines: Vec<String> = lines.iter().map(|bcm| format!("BCM {bcm}")).collect();
            format!("{} on {self}: {error}", lines.join(", "))
        });
        io::Error::other(format!("{field}: {told}"))
    }
}

impl fmt::Display for GpioChip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.chip.path().display(), self.label)
    }
}
