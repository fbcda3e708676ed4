//! A panel emulator: an independent model of the MIPI display command set. It reads the bytes and the data/command
//! line as the glass would, and shows what a person would see.
//!
//! It knows the controllers' data sheets and nothing of our code: column and page address, memory access control,
//! memory write with window wrap, pixel format, inversion, sleep.

#![cfg(feature = "kiosk")]
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType as PinError, OutputPin};
use embedded_hal::spi::{ErrorType as SpiError, Operation, SpiDevice};

/// The largest transfer that spidev takes by default.
pub const MAX_TRANSFER: usize = 4096;

/// How the glass is made: what no command can change.
#[derive(Clone, Copy, Debug)]
pub struct Make {
    /// The controller's memory, in pixels.
    pub memory: (usize, usize),
    /// The part of it that is glass: left, top, width, height.
    pub glass: (usize, usize, usize, usize),
    /// Whether every colour shows as its opposite.
    pub inverts: bool,
    /// Whether the sub-pixels are blue, green, red.
    pub bgr: bool,
    /// Whether shift registers make 16 parallel lines of the serial ones, as on the 3.5" HATs.
    pub shifted: bool,
}

/// The display, as it is.
pub struct Display {
    make: Make,
    /// What is stored, in the order in which it was sent; the upper bits of each byte count.
    pixels: Vec<[u8; 3]>,
    columns: (usize, usize),
    pages: (usize, usize),
    pointer: (usize, usize),
    access: u8,
    inversion: bool,
    awake: bool,
    on: bool,
    pixel_format: u8,
    /// The data/command line.
    pub data: bool,
    /// The first byte of a word, while the shift registers hold only that.
    upper: Option<u8>,
    command: u8,
    arguments: Vec<u8>,
    /// Bytes and transfers since they were last asked for.
    pub bytes: usize,
    pub transfers: usize,
}

/// A wire to the display.
#[derive(Clone)]
pub struct Wire(pub Rc<RefCell<Display>>);

impl Wire {
    pub fn to(make: Make) -> Wire {
        Wire(Rc::new(RefCell::new(Display::new(make))))
    }

    /// The bytes and transfers since the last time.
    pub fn count(&self) -> (usize, usize) {
        let mut display = self.0.borrow_mut();
        (
            std::mem::take(&mut display.bytes),
            std::mem::take(&mut display.transfers),
        )
    }

    /// What a person sees, with the head tilted by `turned` degrees clockwise: width, height, and red, green and blue of
    /// each pixel in the upper bits of a byte.
    pub fn seen(&self, turned: u16) -> (usize, usize, Vec<[u8; 3]>) {
        self.0.borrow().seen(turned)
    }
}

impl Display {
    /// A display that was just switched on.
    pub fn new(make: Make) -> Display {
        let (width, height) = make.memory;
        Display {
            make,
            // What is in its memory then: anything.
            pixels: (0..width * height)
                .map(|place| (place * 2_654_435_761).to_le_bytes())
                .map(|bytes| [bytes[0], bytes[1], bytes[2]])
                .collect(),
            columns: (0, width - 1),
            pages: (0, height - 1),
            pointer: (0, 0),
            access: 0,
            inversion: false,
            awake: false,
            on: false,
            pixel_format: 0,
            data: false,
            upper: None,
            command: 0,
            arguments: Vec::new(),
            bytes: 0,
            transfers: 0,
        }
    }

    /// Takes a byte off the bus.
    pub fn byte(&mut self, byte: u8) {
        if !self.make.shifted {
            return self.take(byte);
        }
        match self.upper.take() {
            None => self.upper = Some(byte),
            Some(upper) => {
                let is_pixel = self.data && self.command == 0x2c;
                assert!(
                    is_pixel || upper == 0,
                    "a command or parameter is the lower byte"
                );
                if is_pixel {
                    self.take(upper);
                }
                self.take(byte);
            }
        }
    }

    fn take(&mut self, byte: u8) {
        if !self.data {
            self.command = byte;
            self.arguments.clear();
            match byte {
                0x11 => self.awake = true,
                0x10 => self.awake = false,
                0x20 => self.inversion = false,
                0x21 => self.inversion = true,
                0x28 => self.on = false,
                0x29 => self.on = true,
                0x2c => self.pointer = (self.columns.0, self.pages.0),
                _ => {}
            }
            return;
        }
        self.arguments.push(byte);
        match (self.command, self.arguments.as_slice()) {
            (0x2a, [a, b, c, d]) => self.columns = range(*a, *b, *c, *d),
            (0x2b, [a, b, c, d]) => self.pages = range(*a, *b, *c, *d),
            (0x36, [access]) => self.access = *access,
            (0x3a, [format]) => self.pixel_format = *format,
            // Two bytes a pixel: five bits, six, five.
            (0x2c, [high, low]) if self.pixel_format & 7 == 5 => {
                let color = u16::from_be_bytes([*high, *low]);
                self.arguments.clear();
                let [red, green] = [color >> 11 << 3, color >> 5 << 2];
                self.write([red as u8, green as u8, (color << 3) as u8]);
            }
            // Three bytes a pixel, the upper six bits of each.
            (0x2c, [red, green, blue]) if self.pixel_format & 7 == 6 => {
                let color = [*red, *green, *blue];
                self.arguments.clear();
                self.write(color);
            }
            _ => {}
        }
    }

    fn write(&mut self, color: [u8; 3]) {
        assert!(self.awake, "a display that sleeps takes no pixels");
        let (column, page) = self.pointer;
        // The data sheets' table: with MV the column address counts physical rows. MX and MY mirror the physical axes.
        let (mut x, mut y) = if self.access & 0x20 == 0 {
            (column, page)
        } else {
            (page, column)
        };
        let (width, height) = self.make.memory;
        assert!(
            x < width && y < height,
            "column {column}, page {page} is outside the memory"
        );
        if self.access & 0x40 != 0 {
            x = width - 1 - x;
        }
        if self.access & 0x80 != 0 {
            y = height - 1 - y;
        }
        self.pixels[y * width + x] = color;
        self.pointer = if column < self.columns.1 {
            (column + 1, page)
        } else if page < self.pages.1 {
            (self.columns.0, page + 1)
        } else {
            (self.columns.0, self.pages.0)
        };
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// See [`Wire::seen`].
    pub fn seen(&self, turned: u16) -> (usize, usize, Vec<[u8; 3]>) {
        assert!(self.on, "the display was never switched on");
        let (left, top, width, height) = self.make.glass;
        let at =
            |x: usize, y: usize| self.color(self.pixels[(top + y) * self.make.memory.0 + left + x]);
        let (seen_width, seen_height) = if turned % 180 == 0 {
            (width, height)
        } else {
            (height, width)
        };
        let mut picture = Vec::new();
        for y in 0..seen_height {
            for x in 0..seen_width {
                picture.push(match turned {
                    0 => at(x, y),
                    // What is up for the person is at the right of the glass.
                    90 => at(width - 1 - y, x),
                    180 => at(width - 1 - x, height - 1 - y),
                    270 => at(y, height - 1 - x),
                    _ => panic!("nobody tilts the head by {turned} degrees"),
                });
            }
        }
        (seen_width, seen_height, picture)
    }

    fn color(&self, stored: [u8; 3]) -> [u8; 3] {
        let [first, green, last] = match self.inversion != self.make.inverts {
            true => stored.map(|part| !part),
            false => stored,
        };
        match (self.access & 0x08 != 0) != self.make.bgr {
            true => [last, green, first],
            false => [first, green, last],
        }
    }
}

fn range(a: u8, b: u8, c: u8, d: u8) -> (usize, usize) {
    (
        u16::from_be_bytes([a, b]).into(),
        u16::from_be_bytes([c, d]).into(),
    )
}

/// The SPI side of the wire.
pub struct Spi(pub Wire);
/// The data/command line.
pub struct DataCommand(pub Wire);
/// The reset line: pulled low, the display forgets.
pub struct Reset;
/// Waiting takes no time here.
pub struct NoDelay;

impl SpiError for Spi {
    type Error = Infallible;
}

impl SpiDevice for Spi {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        let mut display = self.0.0.borrow_mut();
        for operation in operations {
            let Operation::Write(bytes) = operation else {
                panic!("nothing is read from this display")
            };
            assert!(
                bytes.len() <= MAX_TRANSFER,
                "spidev refuses a transfer of {} bytes",
                bytes.len()
            );
            display.bytes += bytes.len();
            display.transfers += usize::from(!bytes.is_empty());
            bytes.iter().for_each(|byte| display.byte(*byte));
        }
        assert_eq!(
            display.upper, None,
            "half a word in the shift registers is lost"
        );
        Ok(())
    }
}

impl PinError for DataCommand {
    type Error = Infallible;
}

impl OutputPin for DataCommand {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.0.borrow_mut().data = false;
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.0.borrow_mut().data = true;
        Ok(())
    }
}

impl PinError for Reset {
    type Error = Infallible;
}

impl OutputPin for Reset {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl DelayNs for NoDelay {
    fn delay_ns(&mut self, _ns: u32) {}
}
