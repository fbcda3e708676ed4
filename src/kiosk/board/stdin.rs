//! The keypad `stdin`: each known character is a key press, all others are ignored.

use core::time::Duration;
use std::io;

use rustix::io::Errno;

use super::device;
use crate::kiosk::machine::event::Key;
use crate::kiosk::ports::{Keypad, Pressed};

/// Keys typed on standard input.
#[derive(Debug, Default)]
pub struct StdinKeypad {
    ended: bool,
}

impl StdinKeypad {
    /// Reads nothing yet.
    pub fn new() -> StdinKeypad {
        StdinKeypad::default()
    }
}

impl Keypad for StdinKeypad {
    fn wait(&mut self, patience: Duration) -> io::Result<Pressed> {
        let stdin = rustix::stdio::stdin();
        let file = (!self.ended).then_some(stdin);
        if !device::wait_readable(file, patience)? {
            let nothing = if self.ended {
                Pressed::Ended
            } else {
                Pressed::Nothing
            };
            return Ok(nothing);
        }
        let mut byte = [0];
        match rustix::io::read(stdin, &mut byte) {
            Ok(0) | Err(Errno::IO | Errno::BADF) => {
                self.ended = true;
                Ok(Pressed::Ended)
            }
            Ok(_) => Ok(Key::from_char(char::from(byte[0])).map_or(Pressed::Nothing, Pressed::Key)),
            Err(Errno::INTR | Errno::AGAIN) => Ok(Pressed::Nothing),
            Err(error) => Err(error.into()),
        }
    }
}
