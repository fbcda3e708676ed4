//! The keypad `evdev`: a number pad on USB.
//!
//! It may be pulled out and put in again at any time: until it is back the kiosk goes on without keys. It is taken for
//! this program alone, so that no key of it ever reaches a login prompt.

use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use evdev::raw_stream::RawDevice;
use evdev::{EventSummary, KeyCode};

use super::device;
use crate::kiosk::legend::{Cap, Legend};
use crate::kiosk::machine::event::Key;
use crate::kiosk::ports::{Keypad, Pressed, Socket};
use crate::kiosk::ready::{self, Ready};

/// Between two looks for a pad that is not there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The keys of a number pad that every one of them has, as they are printed, and what they mean here.
const PRINTED: [(&str, Key); 6] = [
    (".", Key::Point),
    ("Enter", Key::Confirm),
    ("-", Key::Cancel),
    ("+", Key::Backspace),
    ("*", Key::Regenerate),
    ("/", Key::Language),
];

/// A number pad, there or not.
#[derive(Debug)]
pub struct EvdevKeypad {
    device: Option<PathBuf>,
    pad: Option<RawDevice>,
    /// Keys that came together with one that was told; the first is the next.
    more: VecDeque<Key>,
    looked_at: Option<Instant>,
}

impl EvdevKeypad {
    /// The pad at this device file, or the first number pad that is found. It need not be there yet.
    pub fn new(device: Option<PathBuf>) -> EvdevKeypad {
        EvdevKeypad {
            device,
            pad: None,
            more: VecDeque::new(),
            looked_at: None,
        }
    }

    /// Opens the pad; its name. An error tells what is missing.
    pub fn connect(&mut self) -> io::Result<String> {
        let mut pad = match &self.device {
            Some(file) => open(file)?,
            None => find()?,
        };
        pad.grab().map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("another program has taken the pad for itself: {error}"),
            )
        })?;
        let name = pad.name().unwrap_or("a pad without a name").to_owned();
        self.pad = Some(pad);
        Ok(name)
    }

    /// Looks for the pad now and then.
    fn look(&mut self) {
        let now = Instant::now();
        let is_early = |before| now.saturating_duration_since(before) < LOOK_EVERY;
        if self.pad.is_some() || self.looked_at.is_some_and(is_early) {
            return;
        }
        let first = self.looked_at.replace(now).is_none();
        match self.connect() {
            Ok(name) => tracing::info!("the keypad is there: {name}"),
            Err(error) if first => tracing::warn!("waiting for the keypad: {error}"),
            Err(_) => {}
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let Some(pad) = &mut self.pad else {
            return Ok(());
        };
        let events = pad.fetch_events()?;
        self.more
            .extend(events.filter_map(|event| match event.destructure() {
                // 1 is a press; 0 its release, 2 the repetition of a key that is held.
                EventSummary::Key(_, code, 1) => meaning(code),
                _ => None,
            }));
        Ok(())
    }
}

/// What is printed on every number pad.
pub fn legend() -> Legend {
    let digits = ('0'..='9').map(|digit| (digit.to_string(), Key::Digit(digit)));
    let printed = PRINTED.map(|(print, key)| (print.to_owned(), key));
    Legend::new(
        digits
            .chain(printed)
            .map(|(print, key)| (key, Cap { print, hold: false })),
    )
}

impl Keypad for EvdevKeypad {
    fn legend(&self) -> Legend {
        legend()
    }

    fn wait(&mut self, patience: Duration, socket: Option<Socket<'_>>) -> io::Result<Pressed> {
        self.look();
        if let Some(key) = self.more.pop_front() {
            return Ok(Pressed::Key(key));
        }
        let patience = match self.pad {
            Some(_) => patience,
            None => patience.min(LOOK_EVERY),
        };
        let pad = self.pad.as_ref().map(AsFd::as_fd);
        if ready::wait(pad, socket, patience)? != Ready::File {
            return Ok(Pressed::Nothing);
        }
        if let Err(error) = self.read() {
            tracing::warn!("the keypad is gone: {error}; it may be put in again");
            self.pad = None;
        }
        Ok(self.more.pop_front().map_or(Pressed::Nothing, Pressed::Key))
    }
}

fn open(file: &Path) -> io::Result<RawDevice> {
    let absent = "plug the number pad in; ls /dev/input/by-id lists what is there";
    RawDevice::open(file).map_err(|error| device::explain(error, file, "input", absent))
}

/// The first input device that has all keys of a number pad.
fn find() -> io::Result<RawDevice> {
    let is_pad = |pad: &RawDevice| {
        let wanted = [KeyCode::KEY_KP0, KeyCode::KEY_KP9, KeyCode::KEY_KPENTER];
        pad.supported_keys()
            .is_some_and(|keys| wanted.into_iter().all(|key| keys.contains(key)))
    };
    let found = evdev::raw_stream::enumerate().find(|(_, pad)| is_pad(pad));
    found.map(|(_, pad)| pad).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "there is no number pad: plug it in; it needs the group input (sudo usermod -aG input USER)",
        )
    })
}

/// What a key of the pad means; `None` for those that mean nothing here.
fn meaning(code: KeyCode) -> Option<Key> {
    Some(match code {
        KeyCode::KEY_KP0 | KeyCode::KEY_0 => Key::Digit('0'),
        KeyCode::KEY_KP1 | KeyCode::KEY_1 => Key::Digit('1'),
        KeyCode::KEY_KP2 | KeyCode::KEY_2 => Key::Digit('2'),
        KeyCode::KEY_KP3 | KeyCode::KEY_3 => Key::Digit('3'),
        KeyCode::KEY_KP4 | KeyCode::KEY_4 => Key::Digit('4'),
        KeyCode::KEY_KP5 | KeyCode::KEY_5 => Key::Digit('5'),
        KeyCode::KEY_KP6 | KeyCode::KEY_6 => Key::Digit('6'),
        KeyCode::KEY_KP7 | KeyCode::KEY_7 => Key::Digit('7'),
        KeyCode::KEY_KP8 | KeyCode::KEY_8 => Key::Digit('8'),
        KeyCode::KEY_KP9 | KeyCode::KEY_9 => Key::Digit('9'),
        KeyCode::KEY_KPDOT | KeyCode::KEY_KPCOMMA | KeyCode::KEY_DOT => Key::Point,
        KeyCode::KEY_KPENTER | KeyCode::KEY_ENTER => Key::Confirm,
        KeyCode::KEY_KPMINUS | KeyCode::KEY_ESC => Key::Cancel,
        KeyCode::KEY_KPPLUS | KeyCode::KEY_BACKSPACE => Key::Backspace,
        KeyCode::KEY_KPASTERISK => Key::Regenerate,
        KeyCode::KEY_KPSLASH => Key::Language,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_kiosk_is_on_every_number_pad_and_named_as_it_is_printed() {
        let pad = EvdevKeypad::new(None);
        for (code, key, print) in [
            (KeyCode::KEY_KP7, Key::Digit('7'), "7"),
            (KeyCode::KEY_KPDOT, Key::Point, "."),
            (KeyCode::KEY_KPENTER, Key::Confirm, "Enter"),
            (KeyCode::KEY_KPMINUS, Key::Cancel, "-"),
            (KeyCode::KEY_KPPLUS, Key::Backspace, "+"),
            (KeyCode::KEY_KPASTERISK, Key::Regenerate, "*"),
            (KeyCode::KEY_KPSLASH, Key::Language, "/"),
        ] {
            assert_eq!(meaning(code), Some(key));
            let cap = pad.legend().cap(key).expect("on the pad");
            assert_eq!((cap.print.as_str(), cap.hold), (print, false));
        }
        assert_eq!(meaning(KeyCode::KEY_NUMLOCK), None);
    }

    #[test]
    fn a_pad_that_is_not_there_is_waited_for() {
        let mut pad = EvdevKeypad::new(Some(PathBuf::from("/dev/input/by-id/nothing")));
        let pressed = pad.wait(Duration::from_millis(1), None).expect("no error");
        assert_eq!(pressed, Pressed::Nothing);
        let error = pad.connect().expect_err("not there").to_string();
        assert!(error.contains("plug the number pad in"), "{error}");
    }
}
