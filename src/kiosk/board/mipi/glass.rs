//! The display controllers, behind one small door: fill a rectangle.

use std::io;

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_hal::spi::SpiDevice;
use mipidsi::interface::{InterfacePixelFormat, SpiInterface};
use mipidsi::models::{ILI9341Rgb565, ILI9486Rgb565, ILI9486Rgb666, ST7735s, ST7789, ST7796};
use mipidsi::options::{ColorInversion, ColorOrder, Orientation, Rotation};
use mipidsi::{Builder, Display};

use super::shift::ShiftInterface;

/// A display that can be painted, whatever its controller.
pub trait Glass {
    /// Paints a rectangle, row by row. It lies within the picture.
    fn fill(
        &mut self,
        area: &Rectangle,
        colors: &mut dyn Iterator<Item = Rgb565>,
    ) -> io::Result<()>;
}

/// A display controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// Sitronix ST7789: 240 × 320 and 240 × 240.
    St7789,
    /// Ilitek ILI9341: 240 × 320.
    Ili9341,
    /// Ilitek ILI9486: 320 × 480.
    Ili9486,
    /// Sitronix ST7796: 320 × 480.
    St7796,
    /// Sitronix ST7735S: 128 × 160.
    St7735s,
}

/// How a controller is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bus {
    /// To the serial lines themselves.
    #[default]
    Serial,
    /// Through shift registers that make 16 lines of them, as on the common 3.5" HATs.
    Shift16,
}

/// How a display is built in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mounting {
    /// Its controller.
    pub model: Model,
    /// How that is connected.
    pub bus: Bus,
    /// Width and height of the glass in pixels, as its maker counts them: before it is turned.
    pub size: (u16, u16),
    /// Where the glass begins in the controller's memory.
    pub offset: (u16, u16),
    /// By how many degrees the picture is turned clockwise on the glass: 0, 90, 180, 270.
    pub rotate: u16,
    /// Whether the glass shows every colour as its opposite.
    pub invert: bool,
    /// Whether the glass has blue where the controller thinks red is.
    pub bgr: bool,
}

impl<DI, M, RST> Glass for Display<DI, M, RST>
where
    DI: mipidsi::interface::Interface<Error: core::fmt::Debug>,
    M: mipidsi::models::Model<ColorFormat: From<Rgb565> + InterfacePixelFormat<DI::Word>>,
    RST: OutputPin,
{
    fn fill(
        &mut self,
        area: &Rectangle,
        colors: &mut dyn Iterator<Item = Rgb565>,
    ) -> io::Result<()> {
        self.fill_contiguous(area, colors.map(M::ColorFormat::from))
            .map_err(|error| io::Error::other(format!("{error:?}")))
    }
}

/// Wakes a display up. Pixels are gathered in `buffer`; no transfer is larger than that.
pub fn open<SPI, DC, RST>(
    spi: SPI,
    dc: DC,
    reset: Option<RST>,
    delay: &mut impl DelayNs,
    mounting: &Mounting,
    buffer: &'static mut [u8],
) -> io::Result<Box<dyn Glass>>
where
    SPI: SpiDevice<Error: core::fmt::Debug> + 'static,
    DC: OutputPin<Error: core::fmt::Debug> + 'static,
    RST: OutputPin + 'static,
{
    /// The same steps for each controller: only its type differs.
    macro_rules! awake {
        ($model:expr, $interface:ident) => {{
            let interface = $interface::new(spi, dc, buffer);
            let builder = Builder::new($model, interface)
                .display_size(mounting.size.0, mounting.size.1)
                .display_offset(mounting.offset.0, mounting.offset.1)
                .orientation(Orientation::new().rotate(rotation(mounting.rotate)?))
                .invert_colors(if mounting.invert {
                    ColorInversion::Inverted
                } else {
                    ColorInversion::Normal
                })
                .color_order(if mounting.bgr {
                    ColorOrder::Bgr
                } else {
                    ColorOrder::Rgb
                });
            let failed =
                |error: String| io::Error::other(format!("the display does not wake up: {error}"));
            match reset {
                Some(reset) => {
                    let display = builder
                        .reset_pin(reset)
                        .init(delay)
                        .map_err(|error| failed(format!("{error:?}")))?;
                    Ok(Box::new(display) as Box<dyn Glass>)
                }
                None => {
                    let display = builder
                        .init(delay)
                        .map_err(|error| failed(format!("{error:?}")))?;
                    Ok(Box::new(display) as Box<dyn Glass>)
                }
            }
        }};
    }
    match (mounting.model, mounting.bus) {
        (Model::St7789, _) => awake!(ST7789, SpiInterface),
        (Model::Ili9341, _) => awake!(ILI9341Rgb565, SpiInterface),
        // Over its own serial lines this controller takes three bytes a pixel, no fewer.
        (Model::Ili9486, Bus::Serial) => awake!(ILI9486Rgb666, SpiInterface),
        (Model::Ili9486, Bus::Shift16) => awake!(ILI9486Rgb565, ShiftInterface),
        (Model::St7796, _) => awake!(ST7796, SpiInterface),
        (Model::St7735s, _) => awake!(ST7735s, SpiInterface),
    }
}

fn rotation(degrees: u16) -> io::Result<Rotation> {
    Rotation::try_from_degree(degrees.into())
        .map_err(|_| io::Error::other(format!("{degrees} degrees is not 0, 90, 180 or 270")))
}
