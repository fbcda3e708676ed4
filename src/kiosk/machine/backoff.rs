//! How long to leave a call alone that got no answer.

use core::time::Duration;

use crate::kiosk::machine::Random;
use crate::kiosk::machine::event::NoReply;
use crate::kiosk::machine::instant::Instant;

/// When to try a call again: exponential, with jitter, so that a fleet does not come back in step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    attempts: u32,
    /// When the next attempt is due. `None` while one is under way.
    pub due_at: Option<Instant>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(8);
    /// A merchant that wants to be left alone for longer is asked all the same.
    const MOST_WANTED: Duration = Duration::from_secs(60);

    /// An attempt that is under way.
    pub fn under_way() -> Backoff {
        Backoff {
            attempts: 0,
            due_at: None,
        }
    }

    /// An attempt that is due now.
    pub fn due(now: Instant) -> Backoff {
        Backoff {
            attempts: 0,
            due_at: Some(now),
        }
    }

    /// Whether an attempt is due; if so, it counts as under way.
    pub fn begin(&mut self, now: Instant) -> bool {
        let is_due = self.due_at.is_some_and(|due_at| now >= due_at);
        if is_due {
            self.due_at = None;
        }
        is_due
    }

    /// Whether an attempt has failed.
    pub fn has_failed(&self) -> bool {
        self.attempts > 0
    }

    /// The attempt failed: the next comes later than the last one did.
    pub fn failed(&mut self, now: Instant, random: &mut dyn Random) {
        let delay = (Self::FIRST * (1 << self.attempts.min(6))).min(Self::LONGEST);
        let jitter = delay * (random.draw() % 256) as u32 / 1024;
        self.attempts += 1;
        self.due_at = Some(now + delay + jitter);
    }

    /// The attempt got this reply, which is none or comes to nothing: the next comes later, and not before the merchant wants
    /// it.
    pub fn unanswered(&mut self, why: NoReply, now: Instant, random: &mut dyn Random) {
        self.failed(now, random);
        if let NoReply::Later(after) = why {
            let wanted = now + after.min(Self::MOST_WANTED);
            self.due_at = self.due_at.max(Some(wanted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_waits_longer_up_to_a_bound() {
        let mut backoff = Backoff::under_way();
        let mut waits = Vec::new();
        for draw in [0, 255, 0, 255, 0, 255, 0, 255] {
            backoff.failed(Instant::default(), &mut move || draw);
            waits.push(backoff.due_at.expect("due some time").millis());
        }
        assert_eq!(waits, [250, 624, 1000, 2498, 4000, 9992, 8000, 9992]);
        let mut asked = Backoff::under_way();
        for (wanted, waits) in [(3, 3_000), (3600, 60_000), (0, 1_000)] {
            let why = NoReply::Later(Duration::from_secs(wanted));
            asked.unanswered(why, Instant::default(), &mut || 0);
            let due_at = asked.due_at.expect("due some time");
            assert_eq!(
                due_at.millis(),
                waits,
                "as the merchant wants, within reason"
            );
        }
        assert!(!backoff.begin(Instant::from_millis(9991)));
        assert!(backoff.begin(Instant::from_millis(9992)));
        assert!(
            !backoff.begin(Instant::from_millis(9992)),
            "it is under way"
        );
    }
}
