//! GPIO lines by BCM number, on the chip of the Pi's header, wherever the kernel has put it.
//!
//! A chip is found by its label: the numbers of `/dev/gpiochipN` have moved between kernels, the labels have not.

use std::io;
use std::path::Path;

use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{self, Chip, LineRequestFlags};

/// The labels of the chip behind a Pi's header: Pi 1–3 and Zero, Pi 4, Pi 5.
pub const HEADER_LABELS: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];
/// What `gpioinfo` and a busy line's error show.
pub const CONSUMER: &str = "selpay-kiosk";

/// The chip that is named by a device path or a label; the header's, if none is named.
pub fn find_chip(named: Option<&str>) -> io::Result<Chip> {
    if let Some(path) = named.filter(|name| name.starts_with('/')) {
        return Chip::new(Path::new(path)).map_err(io::Error::other);
    }
    let mut seen = Vec::new();
    for chip in gpio_cdev::chips().map_err(io::Error::other)? {
        let chip = chip.map_err(io::Error::other)?;
        let wanted = match named {
            Some(label) => chip.label() == label,
            None => HEADER_LABELS.contains(&chip.label()),
        };
        if wanted {
            return Ok(chip);
        }
        seen.push(format!("{} ({})", chip.path().display(), chip.label()));
    }
    let wanted = named.map_or_else(|| HEADER_LABELS.join(" or "), str::to_owned);
    let there = if seen.is_empty() {
        "there is none at all".to_owned()
    } else {
        format!("there are {}", seen.join(", "))
    };
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no GPIO chip is labelled {wanted}; {there}"),
    ))
}

/// An output line with this level to begin with. A busy line is named with who holds it.
pub fn output(chip: &mut Chip, bcm: u32, high: bool) -> io::Result<CdevPin> {
    let busy = |error: gpio_cdev::Error, holder: Option<String>| {
        let held = holder
            .map(|holder| format!("; {holder} holds it"))
            .unwrap_or_default();
        io::Error::other(format!("BCM {bcm}: {error}{held}"))
    };
    let line = chip.get_line(bcm).map_err(|error| busy(error, None))?;
    let handle = line
        .request(LineRequestFlags::OUTPUT, u8::from(high), CONSUMER)
        .map_err(|error| {
            let info = line.info().ok().filter(gpio_cdev::LineInfo::is_used);
            busy(
                error,
                info.and_then(|info| info.consumer().map(str::to_owned)),
            )
        })?;
    CdevPin::new(handle).map_err(|error| busy(error, None))
}
