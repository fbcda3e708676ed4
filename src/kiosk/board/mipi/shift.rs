//! The bus of the common 3.5" HATs: shift registers that make 16 parallel lines of the serial ones.
//!
//! The controller behind them sees 16 bits at a time. So a command and each of its parameters is a word with nothing in
//! its upper byte, and a pixel is one word.

use embedded_hal::digital::OutputPin;
use embedded_hal::spi::SpiDevice;
use mipidsi::interface::{Interface, InterfaceKind, SpiError};

/// A controller behind shift registers. Words are gathered in a buffer; no transfer is larger than that.
pub struct ShiftInterface<'a, SPI, DC> {
    spi: SPI,
    dc: DC,
    buffer: &'a mut [u8],
}

impl<'a, SPI: SpiDevice, DC: OutputPin> ShiftInterface<'a, SPI, DC> {
    /// The buffer holds at least one word.
    pub fn new(spi: SPI, dc: DC, buffer: &'a mut [u8]) -> Self {
        ShiftInterface { spi, dc, buffer }
    }

    fn send(
        &mut self,
        words: impl IntoIterator<Item = u16>,
    ) -> Result<(), SpiError<SPI::Error, DC::Error>> {
        let mut words = words.into_iter().peekable();
        while words.peek().is_some() {
            let mut filled = 0;
            for (place, word) in self.buffer.chunks_exact_mut(2).zip(&mut words) {
                place.copy_from_slice(&word.to_be_bytes());
                filled += 2;
            }
            self.spi
                .write(&self.buffer[..filled])
                .map_err(SpiError::Spi)?;
        }
        Ok(())
    }
}

impl<SPI: SpiDevice, DC: OutputPin> Interface for ShiftInterface<'_, SPI, DC> {
    type Word = u16;
    type Error = SpiError<SPI::Error, DC::Error>;

    const KIND: InterfaceKind = InterfaceKind::Parallel16Bit;

    fn send_command(&mut self, command: u8, args: &[u8]) -> Result<(), Self::Error> {
        self.dc.set_low().map_err(SpiError::Dc)?;
        self.send([command.into()])?;
        self.dc.set_high().map_err(SpiError::Dc)?;
        self.send(args.iter().map(|byte| u16::from(*byte)))
    }

    fn send_pixels<const N: usize>(
        &mut self,
        pixels: impl IntoIterator<Item = [u16; N]>,
    ) -> Result<(), Self::Error> {
        self.send(pixels.into_iter().flatten())
    }

    fn send_repeated_pixel<const N: usize>(
        &mut self,
        pixel: [u16; N],
        count: u32,
    ) -> Result<(), Self::Error> {
        self.send((0..count).flat_map(|_| pixel))
    }
}
