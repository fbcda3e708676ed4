//! A panel emulator: an independent model of the MIPI display command set. It reads the bytes and the data/command
//! line as the controller would, and shows what a person would see.
//!
//! It knows the controllers' data sheets, a module of `modules.rs`, and nothing of our code: column and page address, memory
//! access control, memory write with window wrap, pixel format, inversion, sleep, reset. What a controller would not take is
//! noted as a fault, and not taken.

#![cfg(feature = "kiosk")]
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType as PinError, OutputPin};
use embedded_hal::spi::{
    ErrorType as SpiError, MODE_0, Mode, Operation, Phase, Polarity, SpiDevice,
};

use super::modules::Module;

/// The largest transfer that spidev takes by default.
pub const MAX_TRANSFER: usize = 4096;

/// Memory access control (MADCTL).
const MY: u8 = 0x80;
const MX: u8 = 0x40;
const MV: u8 = 0x20;
const BGR: u8 = 0x08;

/// Display function control (B6h), second parameter.
const SS: u8 = 0x20;
const GS: u8 = 0x40;

/// From the end of a reset until any command is taken (data sheets, Reset timing: 5 ms).
const RESET_TAKES: Duration = Duration::from_millis(5);
/// From a reset in Sleep Out mode until Sleep Out is taken again (120 ms).
const ASLEEP: Duration = Duration::from_millis(120);
/// From Sleep Out until the next command (5 ms).
const WAKING: Duration = Duration::from_millis(5);

/// A picture as a person sees it: width, height, and red, green and blue of each pixel in the upper bits of a byte.
pub type Picture = (usize, usize, Vec<[u8; 3]>);

/// The display, as it is.
pub struct Display {
    module: Module,
    /// What is stored, in the order in which it was sent; the upper bits of each byte count.
    pixels: Vec<[u8; 3]>,
    columns: (usize, usize),
    pages: (usize, usize),
    pointer: (usize, usize),
    /// MADCTL as it was sent.
    pub access: u8,
    scan: Option<u8>,
    inversion: bool,
    awake: bool,
    on: bool,
    pixel_format: u8,
    /// The time, where the test keeps it; then waits that are too short are faults.
    clock: Option<Duration>,
    reset_at: Option<Duration>,
    woken_at: Option<Duration>,
    /// Whether the backlight is on; it is where nothing switches it.
    pub lit: bool,
    /// The data/command line.
    pub data: bool,
    /// The first byte of a word, while the shift registers hold only that.
    upper: Option<u8>,
    command: u8,
    arguments: Vec<u8>,
    /// Every command, since they were last asked for.
    pub commands: Vec<u8>,
    /// What no controller would take.
    pub faults: Vec<String>,
    /// Bytes and transfers since they were last asked for.
    pub bytes: usize,
    pub transfers: usize,
}

/// A wire to the display.
#[derive(Clone)]
pub struct Wire(pub Rc<RefCell<Display>>);

impl Wire {
    pub fn to(module: Module) -> Wire {
        Wire(Rc::new(RefCell::new(Display::new(module))))
    }

    /// The bytes and transfers since the last time.
    pub fn count(&self) -> (usize, usize) {
        let mut display = self.0.borrow_mut();
        (
            std::mem::take(&mut display.bytes),
            std::mem::take(&mut display.transfers),
        )
    }

    /// Time passes.
    pub fn passes(&self, time: Duration) {
        let mut display = self.0.borrow_mut();
        let now = display.clock.unwrap_or_default();
        display.clock = Some(now + time);
    }

    /// What a person sees, with the head tilted by `turned` degrees clockwise. `None` while there is no picture, or no light.
    pub fn picture(&self, turned: u16) -> Option<Picture> {
        self.0.borrow().picture(turned)
    }

    /// The same of a display that shows something and was sent nothing that it cannot take.
    pub fn seen(&self, turned: u16) -> Picture {
        let display = self.0.borrow();
        assert_eq!(display.faults, [""; 0]);
        display
            .picture(turned)
            .expect("the display was never switched on")
    }
}

impl Display {
    /// A display that was just switched on.
    pub fn new(module: Module) -> Display {
        let mut display = Display {
            module,
            pixels: Vec::new(),
            columns: (0, 0),
            pages: (0, 0),
            pointer: (0, 0),
            access: 0,
            scan: None,
            inversion: false,
            awake: false,
            on: false,
            pixel_format: 0,
            clock: None,
            reset_at: None,
            woken_at: None,
            lit: true,
            data: false,
            upper: None,
            command: 0,
            arguments: Vec::new(),
            commands: Vec::new(),
            faults: Vec::new(),
            bytes: 0,
            transfers: 0,
        };
        display.forgets_everything();
        display
    }

    /// A reset, or an interference that is as good as one. What is in its memory then: anything.
    pub fn forgets_everything(&mut self) {
        let (width, height) = self.module.memory;
        self.pixels = (0..width * height)
            .map(|place| (place * 2_654_435_761).to_le_bytes())
            .map(|bytes| [bytes[0], bytes[1], bytes[2]])
            .collect();
        (self.columns, self.pages) = ((0, width - 1), (0, height - 1));
        (self.access, self.scan, self.pixel_format) = (0, self.module.scan, 6);
        (self.inversion, self.awake, self.on) = (false, false, false);
        (self.reset_at, self.woken_at) = (self.clock, None);
        self.command = 0;
        self.arguments.clear();
    }

    /// Takes a byte off the bus.
    pub fn byte(&mut self, byte: u8) {
        if !self.module.shift_registers {
            return self.take(byte);
        }
        match self.upper.take() {
            None => self.upper = Some(byte),
            Some(upper) => {
                if self.data && self.command == 0x2c {
                    self.take(upper);
                } else if upper != 0 {
                    let fault = format!("{upper:02x} above a command or parameter");
                    return self.fault(fault);
                }
                self.take(byte);
            }
        }
    }

    /// The chip select goes up: what is half done is lost.
    pub fn deselected(&mut self) {
        if self.upper.take().is_some() {
            self.fault("half a word in the shift registers".to_owned());
        }
    }

    fn take(&mut self, byte: u8) {
        if !self.data {
            self.command = byte;
            self.arguments.clear();
            self.commands.push(byte);
            self.checks_waits(byte);
            match byte {
                0x01 => self.forgets_everything(),
                0x11 => {
                    if !self.awake {
                        self.woken_at = self.clock;
                    }
                    self.awake = true;
                }
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
            (0xb6, [_, scan]) if self.scan.is_some() => self.scan = Some(*scan),
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

    /// Notes what it would not take, each once.
    fn fault(&mut self, fault: String) {
        if !self.faults.contains(&fault) && self.faults.len() < 20 {
            self.faults.push(fault);
        }
    }

    /// Whether a command comes too early.
    fn checks_waits(&mut self, command: u8) {
        let Some(now) = self.clock else { return };
        let since = |then: Option<Duration>| then.map_or(Duration::MAX, |then| now - then);
        let (reset, woken) = (since(self.reset_at), since(self.woken_at));
        let wakes = command == 0x11 && !self.awake;
        if reset < RESET_TAKES || woken < WAKING || wakes && reset < ASLEEP {
            let fault = format!("{command:02x} {reset:?} after a reset, {woken:?} after Sleep Out");
            self.fault(fault);
        }
    }

    fn write(&mut self, color: [u8; 3]) {
        let (column, page) = self.pointer;
        match self.place(self.access, (column, page)) {
            Some(place) if self.awake => self.pixels[place] = color,
            Some(_) => self.fault("a pixel for a display that sleeps".to_owned()),
            None => self.fault(format!(
                "column {column}, page {page} is outside the memory"
            )),
        }
        self.pointer = if column < self.columns.1 {
            (column + 1, page)
        } else if page < self.pages.1 {
            (self.columns.0, page + 1)
        } else {
            (self.columns.0, self.pages.0)
        };
    }

    /// Where a column and page are in the memory. The data sheets' table: with MV the column address counts physical rows;
    /// MX and MY mirror the physical axes.
    fn place(&self, access: u8, (column, page): (usize, usize)) -> Option<usize> {
        let (mut x, mut y) = match access & MV {
            0 => (column, page),
            _ => (page, column),
        };
        let (width, height) = self.module.memory;
        if x >= width || y >= height {
            return None;
        }
        if access & MX != 0 {
            x = width - 1 - x;
        }
        if access & MY != 0 {
            y = height - 1 - y;
        }
        Some(y * width + x)
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// See [`Wire::picture`].
    pub fn picture(&self, turned: u16) -> Option<Picture> {
        if !self.on || !self.awake || !self.lit {
            return None;
        }
        let (width, height) = self.module.size;
        let (seen_width, seen_height) = match turned % 180 {
            0 => (width, height),
            _ => (height, width),
        };
        let mut picture = Vec::new();
        for y in 0..seen_height {
            for x in 0..seen_width {
                picture.push(self.color(match turned {
                    0 => (x, y),
                    // What is up for the person is at the right of the glass.
                    90 => (width - 1 - y, x),
                    180 => (width - 1 - x, height - 1 - y),
                    270 => (y, height - 1 - x),
                    _ => panic!("nobody tilts the head by {turned} degrees"),
                }));
            }
        }
        Some((seen_width, seen_height, picture))
    }

    /// The colour of a point of the upright glass: the module's first address mode leads there.
    fn color(&self, (x, y): (usize, usize)) -> [u8; 3] {
        let upright = self.module.address_modes[0];
        let (left, top) = self.module.starts[0];
        let mut access = upright;
        if let (Some(scan), Some(usual)) = (self.scan, self.module.scan) {
            access ^= if (scan ^ usual) & SS != 0 { MX } else { 0 };
            access ^= if (scan ^ usual) & GS != 0 { MY } else { 0 };
        }
        let place = self.place(access, (left + x, top + y));
        let stored = self.pixels[place.expect("the glass is within the memory")];
        let [first, green, last] = match self.inversion != self.module.inverted {
            true => stored.map(|part| !part),
            false => stored,
        };
        match (self.access ^ upright) & BGR {
            0 => [first, green, last],
            _ => [last, green, first],
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
pub struct Spi {
    wire: Wire,
    mode: Mode,
    /// The last bit that was sent, where bits arrive one too late.
    late: u8,
}
/// The data/command line.
pub struct DataCommand(pub Wire);
/// The reset line: pulled low, the display forgets.
pub struct Reset(pub Wire);
/// The backlight's line.
pub struct Backlight(Wire);
/// Waiting takes no time here; it is noted.
pub struct Waits(pub Wire);

impl Spi {
    pub fn new(wire: &Wire, mode: Mode) -> Spi {
        let wire = wire.clone();
        let late = 0;
        Spi { wire, mode, late }
    }
}

impl Backlight {
    /// Low, as it was requested.
    pub fn new(wire: &Wire) -> Backlight {
        wire.0.borrow_mut().lit = false;
        Backlight(wire.clone())
    }
}

impl SpiError for Spi {
    type Error = Infallible;
}

impl SpiDevice for Spi {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        // Bits are taken at the clock's rising edge: modes 0 and 3.
        let is_rising = matches!(
            (self.mode.polarity, self.mode.phase),
            (Polarity::IdleLow, Phase::CaptureOnFirstTransition)
                | (Polarity::IdleHigh, Phase::CaptureOnSecondTransition)
        );
        assert!(is_rising, "{:?}", self.mode);
        let mut display = self.wire.0.borrow_mut();
        // Nothing tells a module that is always selected where a byte begins: in mode 0 its first edge is one too early.
        let is_late = !display.module.has_chip_select && self.mode == MODE_0;
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
            for byte in *bytes {
                let arrives = match is_late {
                    true => self.late << 7 | byte >> 1,
                    false => *byte,
                };
                self.late = *byte;
                display.byte(arrives);
            }
        }
        display.deselected();
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
        self.0.0.borrow_mut().forgets_everything();
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl PinError for Backlight {
    type Error = Infallible;
}

impl OutputPin for Backlight {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.0.borrow_mut().lit = false;
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.0.borrow_mut().lit = true;
        Ok(())
    }
}

impl DelayNs for Waits {
    fn delay_ns(&mut self, ns: u32) {
        self.0.passes(Duration::from_nanos(ns.into()));
    }
}
