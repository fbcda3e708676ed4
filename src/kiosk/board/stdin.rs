//! The keypad `stdin`: each known character is a key press, all others are ignored.

use core::time::Duration;
use std::io;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

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
        if self.ended {
            std::thread::sleep(patience);
            return Ok(Pressed::Ended);
        }
        let stdin = rustix::stdio::stdin();
        let timeout = Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: patience.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(Pressed::Nothing),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
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
