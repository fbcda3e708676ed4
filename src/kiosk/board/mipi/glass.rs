//! A display behind one small door, whatever its controller: paint a rectangle, set it up again, light it.

use std::io;

use embedded_graphics::pixelcolor::{Rgb565, Rgb666};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_hal::spi::SpiDevice;
use mipidsi::interface::{Interface, InterfacePixelFormat, SpiInterface};
use mipidsi::models::{ILI9341Rgb565, Model as Controller, ST7735s, ST7789, ST7796};
use mipidsi::options::{ColorInversion, ColorOrder};
use mipidsi::{Builder, Display};

use super::link::Link;
use super::models::{Ili9486, Model, St7735sSmallMemory};
use super::shift::ShiftInterface;

/// A display that can be painted.
pub trait Glass {
    /// Paints a rectangle, row by row. It lies within the picture.
    fn fill(
        &mut self,
        area: &Rectangle,
        colors: &mut dyn Iterator<Item = Rgb565>,
    ) -> io::Result<()>;
    /// Ends the sleep of a controller that was reset. One that is awake shows nothing of it.
    fn wake(&mut self) -> io::Result<()>;
    /// Sends every register again, 120 ms after `wake` at the earliest. A controller that has kept them shows nothing of it.
    fn set_up(&mut self) -> io::Result<()>;
    /// Switches the display on, then the backlight.
    fn light(&mut self) -> io::Result<()>;
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
    /// Whether the glass is mounted the other way round than on most modules with this controller.
    pub mirror: bool,
    /// Whether the glass shows every colour as its opposite.
    pub invert: bool,
    /// Whether the glass has blue where the controller thinks red is.
    pub bgr: bool,
}

/// The lines beside the bus.
pub struct Lines<DC, RST, BL> {
    /// Data or command.
    pub dc: DC,
    /// Reset, where there is one.
    pub reset: Option<RST>,
    /// The backlight, where it can be switched. Off until there is a picture.
    pub backlight: Option<BL>,
}

/// A controller that mipidsi paints on.
struct Painted<DI, M, RST, BL>
where
    DI: Interface,
    M: Controller<ColorFormat: InterfacePixelFormat<DI::Word>>,
    RST: OutputPin,
{
    display: Display<Link<DI>, M, RST>,
    link: Link<DI>,
    backlight: Option<BL>,
}

impl<DI, M, RST, BL> Glass for Painted<DI, M, RST, BL>
where
    DI: Interface,
    M: Controller<ColorFormat: From<Rgb565> + InterfacePixelFormat<DI::Word>>,
    RST: OutputPin,
    BL: OutputPin,
{
    fn fill(
        &mut self,
        area: &Rectangle,
        colors: &mut dyn Iterator<Item = Rgb565>,
    ) -> io::Result<()> {
        let colors = colors.map(M::ColorFormat::from);
        self.display.fill_contiguous(area, colors).map_err(failed)
    }

    fn wake(&mut self) -> io::Result<()> {
        self.link.wake().map_err(failed)
    }

    fn set_up(&mut self) -> io::Result<()> {
        self.link.set_up().map_err(failed)
    }

    fn light(&mut self) -> io::Result<()> {
        self.link.switch_on().map_err(failed)?;
        self.backlight
            .as_mut()
            .map_or(Ok(()), |line| line.set_high().map_err(failed))
    }
}

fn failed(error: impl core::fmt::Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

/// Wakes a display up and sets it up; it stays dark. Pixels are gathered in `buffer`; no transfer is larger than that.
pub fn open<SPI, DC, RST, BL>(
    spi: SPI,
    lines: Lines<DC, RST, BL>,
    delay: &mut impl DelayNs,
    mounting: &Mounting,
    buffer: &'static mut [u8],
) -> io::Result<Box<dyn Glass>>
where
    SPI: SpiDevice<Error: core::fmt::Debug> + 'static,
    DC: OutputPin<Error: core::fmt::Debug> + 'static,
    RST: OutputPin + 'static,
    BL: OutputPin + 'static,
{
    let (dc, reset, backlight) = (lines.dc, lines.reset, lines.backlight);
    /// The same steps for each controller: only its type differs.
    macro_rules! painted {
        ($controller:expr, $interface:ident) => {{
            let link = Link::new($interface::new(spi, dc, buffer));
            painted($controller, link, reset, backlight, delay, mounting)
        }};
    }
    match (mounting.model, mounting.bus) {
        (Model::St7789, _) => painted!(ST7789, SpiInterface),
        (Model::Ili9341, _) => painted!(ILI9341Rgb565, SpiInterface),
        // Over its own serial lines this controller takes three bytes a pixel, no fewer.
        (Model::Ili9486, Bus::Serial) => painted!(Ili9486::<Rgb666>::new(), SpiInterface),
        (Model::Ili9486, Bus::Shift16) => painted!(Ili9486::<Rgb565>::new(), ShiftInterface),
        (Model::St7796, _) => painted!(ST7796, SpiInterface),
        (Model::St7735s, _) if mounting.offset == (0, 0) => {
            painted!(St7735sSmallMemory, SpiInterface)
        }
        (Model::St7735s, _) => painted!(ST7735s, SpiInterface),
    }
}

fn painted<DI, M, RST, BL>(
    controller: M,
    link: Link<DI>,
    reset: Option<RST>,
    backlight: Option<BL>,
    delay: &mut impl DelayNs,
    mounting: &Mounting,
) -> io::Result<Box<dyn Glass>>
where
    DI: Interface + 'static,
    M: Controller<ColorFormat: From<Rgb565> + InterfacePixelFormat<DI::Word>> + 'static,
    RST: OutputPin + 'static,
    BL: OutputPin + 'static,
{
    let Mounting {
        model,
        size,
        offset,
        rotate,
        mirror,
        ..
    } = *mounting;
    let orientation = model
        .orientation(rotate, mirror)
        .ok_or_else(|| io::Error::other(format!("{rotate} is not 0, 90, 180 or 270 degrees")))?;
    let builder = Builder::new(controller, link.clone())
        .display_size(size.0, size.1)
        .display_offset(offset.0, offset.1)
        .orientation(orientation)
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
    match reset {
        Some(reset) => awake(builder.reset_pin(reset), link, backlight, delay),
        None => awake(builder, link, backlight, delay),
    }
}

fn awake<DI, M, RST, BL>(
    builder: Builder<Link<DI>, M, RST>,
    link: Link<DI>,
    backlight: Option<BL>,
    delay: &mut impl DelayNs,
) -> io::Result<Box<dyn Glass>>
where
    DI: Interface + 'static,
    M: Controller<ColorFormat: From<Rgb565> + InterfacePixelFormat<DI::Word>> + 'static,
    RST: OutputPin + 'static,
    BL: OutputPin + 'static,
{
    let display = builder
        .init(delay)
        .map_err(|error| io::Error::other(format!("the display does not wake up: {error:?}")))?;
    link.is_set_up();
    Ok(Box::new(Painted {
        display,
        link,
        backlight,
    }))
}
