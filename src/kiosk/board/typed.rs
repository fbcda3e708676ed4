//! Keys as a stream of characters: the keypad `stdin`, and the desk's. Each known character is a key press, all others are
//! ignored.

use core::time::Duration;
use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::kiosk::machine::event::Key;
use crate::kiosk::ports::{Keypad, Pressed, Socket};
use crate::kiosk::ready::{self, Ready};

/// Keys typed into a stream.
#[derive(Debug)]
pub struct TypedKeypad<F> {
    stream: F,
    ended: bool,
}

impl<F: AsFd> TypedKeypad<F> {
    /// Reads nothing yet.
    pub fn new(stream: F) -> TypedKeypad<F> {
        TypedKeypad {
            stream,
            ended: false,
        }
    }
}

impl<F: AsFd> Keypad for TypedKeypad<F> {
    fn wait(&mut self, patience: Duration, socket: Option<Socket<'_>>) -> io::Result<Pressed> {
        let stream = (!self.ended).then(|| self.stream.as_fd());
        if ready::wait(stream, socket, patience)? != Ready::File {
            return Ok(match self.ended {
                true => Pressed::Ended,
                false => Pressed::Nothing,
            });
        }
        let mut byte = [0];
        match rustix::io::read(&self.stream, &mut byte) {
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
