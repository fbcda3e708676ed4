//! Tokens that no kiosk has: counted, and told in one line a second at most, however many come.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// So long they count for the alarm.
const WINDOW: Duration = Duration::from_secs(600);
/// The window in parts: each is forgotten as a whole.
const PARTS: u64 = 10;

/// Requests with a wrong token.
#[derive(Debug)]
pub struct WrongTokens {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    total: u64,
    /// Since the last line, and where the last of them came from.
    untold: Option<(u64, IpAddr)>,
    /// How many came in each part of the window, with the part's number.
    parts: [(u64, u64); PARTS as usize],
}

impl Default for WrongTokens {
    fn default() -> WrongTokens {
        WrongTokens {
            began: Instant::now(),
            inner: Mutex::default(),
        }
    }
}

impl WrongTokens {
    /// One more, from this client.
    pub fn count(&self, from: IpAddr, now: Instant) {
        let part = self.part(now);
        let mut inner = self.lock();
        inner.total += 1;
        let untold = inner.untold.map_or(0, |(count, _)| count);
        inner.untold = Some((untold + 1, from));
        let (number, count) = &mut inner.parts[(part % PARTS) as usize];
        if *number != part {
            (*number, *count) = (part, 0);
        }
        *count += 1;
    }

    /// How many there were since the start.
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// How many there were in the last ten minutes.
    pub fn lately(&self, now: Instant) -> u64 {
        let part = self.part(now);
        let inner = self.lock();
        let lately = inner.parts.iter();
        let lately = lately.filter(|(number, _)| number + PARTS > part);
        lately.map(|(_, count)| count).sum()
    }

    /// The line for the log, if there were any since the last one.
    pub fn line(&self) -> Option<String> {
        let (count, from) = self.lock().untold.take()?;
        Some(format!(
            "requests with a token that no kiosk has: {count}, the last from {from}"
        ))
    }

    fn part(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began);
        since.as_secs() / (WINDOW.as_secs() / PARTS)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nobody panics while holding the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_come_one_line_tells_of_them_and_ten_minutes_later_they_are_no_alarm() {
        let wrong = WrongTokens::default();
        let from = IpAddr::from([192, 0, 2, 7]);
        assert_eq!((wrong.line(), wrong.lately(wrong.began)), (None, 0));
        for _ in 0..3000 {
            wrong.count(from, wrong.began);
        }
        let line = wrong.line().expect("a line");
        assert!(
            line.ends_with("has: 3000, the last from 192.0.2.7"),
            "{line}"
        );
        assert_eq!(wrong.line(), None, "told once");
        let after = |seconds| wrong.began + Duration::from_secs(seconds);
        assert_eq!(wrong.lately(after(599)), 3000);
        wrong.count(from, after(599));
        assert_eq!(wrong.lately(after(600)), 1);
        assert_eq!(wrong.lately(after(1200)), 0);
        assert_eq!(wrong.total(), 3001);
    }
}
