//! How a display is wired to the Pi, and how it is switched on over that.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{CdevPin, Delay, SpidevDevice};

use super::{MipiPanel, Model, Mounting, open};
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
    /// The data/command line, by BCM number.
    pub dc: u32,
    /// The reset line, where there is one.
    pub reset: Option<u32>,
    /// The backlight, where it can be switched.
    pub backlight: Option<u32>,
    /// The GPIO chip, by path or label; the header's, if none is named.
    pub gpio_chip: Option<String>,
}

impl Model {
    /// The fastest bus that it is driven at for writing.
    pub fn max_spi_hz(self) -> u32 {
        match self {
            Model::St7789 => 62_500_000,
            // Its data sheet says 10 MHz; modules are commonly driven at 40. Not seen on hardware here.
            Model::Ili9341 => 40_000_000,
            // The HATs' shift registers; the controller alone is driven no faster.
            Model::Ili9486 => 32_000_000,
            Model::St7796 => 66_000_000,
            Model::St7735s => 15_000_000,
        }
    }

    /// Which sizes of glass it is built with.
    pub fn sizes(self) -> &'static [(u16, u16)] {
        match self {
            Model::St7789 => &[(240, 320), (240, 240)],
            Model::Ili9341 => &[(240, 320)],
            Model::Ili9486 | Model::St7796 => &[(320, 480)],
            Model::St7735s => &[(128, 160)],
        }
    }
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
            .mode(SpiModeFlags::SPI_MODE_0)
            .build();
        spi.configure(&options)?;
        let chip = GpioChip::find(self.gpio_chip.as_deref())?;
        let dc = chip.output("dc", self.dc, false)?;
        let reset: Option<CdevPin> = self
            .reset
            .map(|bcm| chip.output("reset", bcm, true))
            .transpose()?;
        // Lives as long as the process: there is one panel.
        let buffer = Box::leak(vec![0; transfer_size()].into_boxed_slice());
        let glass = open(spi, dc, reset, &mut Delay, &self.mounting, buffer)?;
        let backlight = self
            .backlight
            .map(|bcm| chip.output("backlight", bcm, true))
            .transpose()?;
        Ok(MipiPanel::new(glass, self.picture_size()).lit_by(backlight))
    }
}

/// The largest transfer that this kernel's spidev takes.
fn transfer_size() -> usize {
    let told = fs::read_to_string("/sys/module/spidev/parameters/bufsiz").ok();
    told.and_then(|text| text.trim().parse().ok())
        .filter(|size| (64..=1 << 20).contains(size))
        .unwrap_or(DEFAULT_BUFSIZ)
}
