//! How a display is wired to the Pi, and how it is switched on over that.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use embedded_hal::spi::{MODE_3, Mode};
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{CdevPin, Delay, SpidevDevice};

use super::{Lines, MipiPanel, Mounting, open};
use crate::kiosk::board::device;
use crate::kiosk::board::gpio::GpioChip;

/// What spidev takes in one transfer unless it was told otherwise, in bytes.
const DEFAULT_BUFSIZ: usize = 4096;

/// Why there may be no SPI device.
const SPI_IS_OFF: &str = "SPI is off; run sudo raspi-config nonint do_spi 0, or put dtparam=spi=on into /boot/firmware/config.txt, and start the Pi again";

/// A display on its wires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wiring {
    /// How it is built in.
    pub mounting: Mounting,
    /// The SPI device: `/dev/spidev0.0`.
    pub spi: PathBuf,
    /// The bus' speed.
    pub spi_hz: u32,
    /// The clock's level between transfers: mode 0, or 3 for modules without a chip select.
    pub spi_mode: Mode,
    /// The data/command line, by BCM number.
    pub dc: u32,
    /// The reset line, where there is one.
    pub reset: Option<u32>,
    /// The backlight, where it can be switched.
    pub backlight: Option<u32>,
    /// The GPIO chip, by path or label; the header's, if none is named.
    pub gpio_chip: Option<String>,
}

impl Wiring {
    /// Width and height of the picture: turned as the display is.
    pub fn picture_size(&self) -> (u32, u32) {
        let (width, height) = (self.mounting.size.0.into(), self.mounting.size.1.into());
        if self.mounting.rotate % 180 == 0 {
            (width, height)
        } else {
            (height, width)
        }
    }

    /// Opens the bus and the lines and wakes the display up.
    pub fn connect(&self) -> io::Result<MipiPanel> {
        // Opened once before for its error's kind, which the bus' own error hides.
        File::open(&self.spi)
            .map_err(|error| device::explain(error, &self.spi, "spi", SPI_IS_OFF))?;
        let mut spi = SpidevDevice::open(&self.spi)
            .map_err(|error| io::Error::other(format!("{}: {error:?}", self.spi.display())))?;
        let options = SpidevOptions::new()
            .bits_per_word(8)
            .max_speed_hz(self.spi_hz)
            .mode(match self.spi_mode {
                MODE_3 => SpiModeFlags::SPI_MODE_3,
                _ => SpiModeFlags::SPI_MODE_0,
            })
            .build();
        spi.configure(&options)?;
        let chip = GpioChip::find(self.gpio_chip.as_deref())?;
        let line = |field: &str, bcm: Option<u32>, high| -> io::Result<Option<CdevPin>> {
            bcm.map(|bcm| chip.output(field, bcm, high)).transpose()
        };
        let lines = Lines {
            dc: chip.output("dc", self.dc, false)?,
            reset: line("reset", self.reset, true)?,
            backlight: line("backlight", self.backlight, false)?,
        };
        // Lives as long as the process: there is one panel.
        let buffer = Box::leak(vec![0; transfer_size()].into_boxed_slice());
        let glass = open(spi, lines, &mut Delay, &self.mounting, buffer)?;
        Ok(MipiPanel::new(glass, self.picture_size()))
    }
}

/// The largest transfer that this kernel's spidev takes.
fn transfer_size() -> usize {
    let told = fs::read_to_string("/sys/module/spidev/parameters/bufsiz").ok();
    told.and_then(|text| text.trim().parse().ok())
        .filter(|size| (64..=1 << 20).contains(size))
        .unwrap_or(DEFAULT_BUFSIZ)
}
