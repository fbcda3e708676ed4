//! The way to a controller, which remembers what it was set up with, so that this can be sent again.

use core::cell::RefCell;
use std::rc::Rc;

use mipidsi::interface::{Interface, InterfaceKind};

const SOFTWARE_RESET: u8 = 0x01;
const SLEEP_OUT: u8 = 0x11;
const DISPLAY_ON: u8 = 0x29;

/// An interface that two hold: the driver that paints, and who sets the controller up again.
pub struct Link<DI>(Rc<RefCell<Kept<DI>>>);

struct Kept<DI> {
    interface: DI,
    /// Whether the driver still sets the controller up.
    is_setting_up: bool,
    /// Commands with their parameters, in order; without waking up and switching on.
    registers: Vec<(u8, Vec<u8>)>,
}

impl<DI> Clone for Link<DI> {
    fn clone(&self) -> Link<DI> {
        Link(Rc::clone(&self.0))
    }
}

impl<DI: Interface> Link<DI> {
    /// Keeps what is sent from now on. Nothing switches the display on: its memory holds noise yet.
    pub fn new(interface: DI) -> Link<DI> {
        Link(Rc::new(RefCell::new(Kept {
            interface,
            is_setting_up: true,
            registers: Vec::new(),
        })))
    }

    /// The controller is set up: what is sent from now on are pixels.
    pub fn is_set_up(&self) {
        self.0.borrow_mut().is_setting_up = false;
    }

    /// Ends the controller's sleep. One that is awake ignores it.
    pub fn wake(&self) -> Result<(), DI::Error> {
        self.0.borrow_mut().interface.send_command(SLEEP_OUT, &[])
    }

    /// Sends every register again.
    pub fn set_up(&self) -> Result<(), DI::Error> {
        let Kept {
            interface,
            registers,
            ..
        } = &mut *self.0.borrow_mut();
        registers
            .iter()
            .try_for_each(|(command, parameters)| interface.send_command(*command, parameters))
    }

    /// Switches the display on. One that is on ignores it.
    pub fn switch_on(&self) -> Result<(), DI::Error> {
        self.0.borrow_mut().interface.send_command(DISPLAY_ON, &[])
    }
}

impl<DI: Interface> Interface for Link<DI> {
    type Word = DI::Word;
    type Error = DI::Error;

    const KIND: InterfaceKind = DI::KIND;

    fn send_command(&mut self, command: u8, parameters: &[u8]) -> Result<(), DI::Error> {
        let mut kept = self.0.borrow_mut();
        if kept.is_setting_up {
            match command {
                DISPLAY_ON => return Ok(()),
                SOFTWARE_RESET | SLEEP_OUT => {}
                _ => kept.registers.push((command, parameters.to_vec())),
            }
        }
        kept.interface.send_command(command, parameters)
    }

    fn send_pixels<const N: usize>(
        &mut self,
        pixels: impl IntoIterator<Item = [DI::Word; N]>,
    ) -> Result<(), DI::Error> {
        self.0.borrow_mut().interface.send_pixels(pixels)
    }

    fn send_repeated_pixel<const N: usize>(
        &mut self,
        pixel: [DI::Word; N],
        count: u32,
    ) -> Result<(), DI::Error> {
        let mut kept = self.0.borrow_mut();
        kept.interface.send_repeated_pixel(pixel, count)
    }
}
