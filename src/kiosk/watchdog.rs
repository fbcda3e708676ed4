//! Tells those who watch over this program that its loop still turns: systemd, and the Pi's own watchdog where
//! `kiosk.toml` names it. A loop that hangs is not fed, and they start the program, or the whole Pi, again.

use core::time::Duration;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use sd_notify::NotifyState;

use crate::kiosk::machine::instant::Instant;

/// Often enough for every watchdog, the Pi's own with its 15 s included.
const FEED_EVERY: Duration = Duration::from_secs(1);

/// Who is told that the loop turns.
#[derive(Debug)]
pub struct Watchdog {
    device: Option<File>,
    fed_at: Option<Instant>,
}

impl Watchdog {
    /// Opens the watchdog device, if there is one. From now on it must be fed.
    pub fn open(device: Option<&Path>) -> io::Result<Watchdog> {
        let open = |path: &Path| File::options().write(true).open(path);
        Ok(Watchdog {
            device: device.map(open).transpose()?,
            fed_at: None,
        })
    }

    /// The loop turns. The first time also says that the program is ready.
    pub fn feed(&mut self, now: Instant) {
        let told = match self.fed_at {
            None => sd_notify::notify(&[NotifyState::Ready, NotifyState::Watchdog]),
            Some(fed_at) if now - fed_at < FEED_EVERY => return,
            Some(_) => sd_notify::notify(&[NotifyState::Watchdog]),
        };
        self.fed_at = Some(now);
        let fed = self
            .device
            .as_mut()
            .map_or(Ok(()), |device| device.write_all(b"."));
        // Nothing else can be done: who is not reached will start us again.
        for error in [told, fed].into_iter().filter_map(Result::err) {
            tracing::warn!("the watchdog cannot be fed: {error}");
        }
    }

    /// The program ends because it was told to: nobody is to start it again for that.
    pub fn stop(mut self) {
        // `V` is how a watchdog device learns that its closing is no accident.
        let stopped = self
            .device
            .as_mut()
            .map_or(Ok(()), |device| device.write_all(b"V"));
        let told = sd_notify::notify(&[NotifyState::Stopping]);
        for error in [told, stopped].into_iter().filter_map(Result::err) {
            tracing::warn!("the watchdog cannot be stopped: {error}");
        }
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn it_is_fed_once_a_second_and_stopped_on_purpose_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let device = dir.path().join("watchdog");
        fs::write(&device, "").expect("written");
        let written = || fs::read_to_string(&device).expect("text");
        let mut watchdog = Watchdog::open(Some(&device)).expect("opened");
        for now in (0..=2500).step_by(100) {
            watchdog.feed(Instant::from_millis(now));
        }
        assert_eq!(written(), "...", "at 0, 1 and 2 s");
        drop(watchdog);
        assert_eq!(written(), "...", "an accident leaves it armed");
        Watchdog::open(Some(&device)).expect("opened").stop();
        assert!(written().starts_with('V'));
    }
}
