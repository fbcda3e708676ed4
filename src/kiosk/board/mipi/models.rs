//! The display controllers: their limits, the way round that makers mount their glass, and how each is set up.
//!
//! What a data sheet leaves to the maker of the module is taken from drivers that run on such modules. Each value names
//! its source; the table of real modules in `tests/support/modules.rs` was written from the same sources, not from here.

use core::marker::PhantomData;

use embedded_graphics::pixelcolor::{Rgb565, RgbColor};
use embedded_hal::delay::DelayNs;
use mipidsi::dcs::{
    BitsPerPixel, EnterNormalMode, ExitSleepMode, InterfaceExt, PixelFormat, SetAddressMode,
    SetDisplayOn, SetInvertMode, SetPixelFormat,
};
use mipidsi::interface::Interface;
use mipidsi::models::{Model as Controller, ModelInitError, ST7735s};
use mipidsi::options::{ModelOptions, Orientation, Rotation};

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

/// MADCTL: rows from the bottom up.
const MY: u8 = 0x80;
/// MADCTL: columns from right to left.
const MX: u8 = 0x40;
/// MADCTL: rows and columns exchanged.
const MV: u8 = 0x20;

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

    /// MADCTL's directions for a picture that is turned by 0, 90, 180 and 270 degrees clockwise on an upright module.
    ///
    /// A glass whose source lines are bonded from the other side wants an odd number of MX, MY and MV; an even number
    /// shows mirror writing there.
    pub fn directions(self) -> [u8; 4] {
        match self {
            // Linux, drivers/staging/fbtft/fb_st7789v.c, set_var (its 90 turns counterclockwise); TFT_eSPI,
            // ST7789_Rotation.h.
            Model::St7789 => [0, MX | MV, MX | MY, MV | MY],
            // Linux, drivers/gpu/drm/tiny/ili9341.c, yx240qv29_enable, and mi0283qt.c (whose 0 is our 270); TFT_eSPI,
            // ILI9341_Rotation.h; Adafruit_ILI9341.cpp, setRotation.
            Model::Ili9341 => [MX, MV, MY, MX | MY | MV],
            // Linux, drivers/gpu/drm/tiny/ili9486.c, waveshare_enable (whose 0 is our 270), and
            // drivers/staging/fbtft/fb_ili9486.c, set_var; TFT_eSPI, RPI_ILI9486_Rotation.h.
            Model::Ili9486 => [MX, MV, MY, MX | MY | MV],
            // TFT_eSPI, ST7796_Rotation.h; Adafruit_ST7796S.cpp, setRotation.
            Model::St7796 => [MX, MV, MY, MX | MY | MV],
            // Linux, drivers/gpu/drm/tiny/st7735r.c, st7735r_pipe_enable, and drivers/staging/fbtft/fb_st7735r.c,
            // set_var; Adafruit_ST7735.cpp, setRotation; TFT_eSPI, ST7735_Rotation.h.
            Model::St7735s => [MX | MY, MY | MV, 0, MX | MV],
        }
    }

    /// The same as mipidsi counts it; `mirror` turns it round for a module that is built the other way. `None` for an
    /// angle other than 0, 90, 180 and 270.
    pub(super) fn orientation(self, rotate: u16, mirror: bool) -> Option<Orientation> {
        let place = [0, 90, 180, 270]
            .iter()
            .position(|angle| *angle == rotate)?;
        let directions = self.directions()[place];
        let (rows, exchanged) = (directions & MY != 0, directions & MV != 0);
        let rotation = match (rows, exchanged) {
            (false, false) => Rotation::Deg0,
            (false, true) => Rotation::Deg90,
            (true, false) => Rotation::Deg180,
            (true, true) => Rotation::Deg270,
        };
        // mipidsi reverses the columns of a picture turned by 90 or 180 degrees, unless it is mirrored.
        let reversed = matches!(rotation, Rotation::Deg90 | Rotation::Deg180);
        let mirrored = (directions & MX != 0) != reversed;
        Some(Orientation {
            rotation,
            mirrored: mirrored != mirror,
        })
    }
}

/// The ILI9486, set up as by Linux (drivers/gpu/drm/tiny/ili9486.c, waveshare_enable).
///
/// mipidsi's own writes Display Function Control (B6h) and there reverses the order of the source lines (SS), which is set
/// after a reset. None of the drivers above does: with it their directions would show mirror writing.
pub(super) struct Ili9486<C>(PhantomData<C>);

impl<C> Ili9486<C> {
    pub(super) fn new() -> Ili9486<C> {
        Ili9486(PhantomData)
    }
}

impl<C: RgbColor> Controller for Ili9486<C> {
    type ColorFormat = C;
    const FRAMEBUFFER_SIZE: (u16, u16) = (320, 480);

    fn init<DELAY: DelayNs, DI: Interface>(
        &mut self,
        link: &mut DI,
        delay: &mut DELAY,
        options: &ModelOptions,
    ) -> Result<SetAddressMode, ModelInitError<DI::Error>> {
        let directions = SetAddressMode::from(options);
        let format = PixelFormat::with_all(BitsPerPixel::from_rgb_color::<C>());
        // After a reset it takes no Sleep Out for so long, and after that no voltages.
        delay.delay_ms(120);
        link.write_raw(0xb0, &[0x00])?; // interface mode
        link.write_command(ExitSleepMode)?;
        delay.delay_ms(120);
        link.write_command(SetPixelFormat::new(format))?;
        link.write_raw(0xc2, &[0x44])?; // power control 3
        link.write_raw(0xc5, &[0x00, 0x00, 0x00, 0x00])?; // VCOM
        link.write_raw(0xe0, &GAMMA_POSITIVE)?;
        link.write_raw(0xe1, &GAMMA_NEGATIVE)?;
        link.write_raw(0xe2, &GAMMA_NEGATIVE)?; // digital gamma
        link.write_command(SetInvertMode::new(options.invert_colors))?;
        link.write_command(directions)?;
        link.write_command(EnterNormalMode)?;
        link.write_command(SetDisplayOn)?;
        Ok(directions)
    }
}

const GAMMA_POSITIVE: [u8; 15] = [
    0x0f, 0x1f, 0x1c, 0x0c, 0x0f, 0x08, 0x48, 0x98, 0x37, 0x0a, 0x13, 0x04, 0x11, 0x0d, 0x00,
];
const GAMMA_NEGATIVE: [u8; 15] = [
    0x0f, 0x32, 0x2e, 0x0b, 0x0d, 0x05, 0x47, 0x75, 0x37, 0x06, 0x10, 0x03, 0x24, 0x20, 0x00,
];

/// An ST7735S whose memory is as large as its glass, as its GM pins say on modules without an offset (Linux, st7735r.c,
/// `jd_t18003_t01_cfg`; Adafruit_ST7735.cpp, `INITR_BLACKTAB`): turned round, it has none either.
pub(super) struct St7735sSmallMemory;

impl Controller for St7735sSmallMemory {
    type ColorFormat = Rgb565;
    const FRAMEBUFFER_SIZE: (u16, u16) = (128, 160);

    fn init<DELAY: DelayNs, DI: Interface>(
        &mut self,
        link: &mut DI,
        delay: &mut DELAY,
        options: &ModelOptions,
    ) -> Result<SetAddressMode, ModelInitError<DI::Error>> {
        ST7735s.init(link, delay, options)
    }
}
