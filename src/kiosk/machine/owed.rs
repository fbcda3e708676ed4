//! What the kiosk still owes the merchant: closes and outcomes that were not acknowledged yet.
//!
//! Retried while nothing else goes on, until the merchant has them. Bounded: a kiosk whose list is full sells nothing.

use core::time::Duration;

use crate::ids::{ClaimId, SaleId};
use crate::kiosk::machine::effect::{Effect, Fact};
use crate::kiosk::machine::event::NoReply;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::state::State;
use crate::kiosk::machine::{Machine, Random, Turn};
use crate::sale::Outcome;

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

    /// The attempt failed: the next comes later than the last one did.
    pub fn failed(&mut self, now: Instant, random: &mut dyn Random) {
        let delay = (Self::FIRST * (1 << self.attempts.min(6))).min(Self::LONGEST);
        let jitter = delay * (random.draw() % 256) as u32 / 1024;
        self.attempts += 1;
        self.due_at = Some(now + delay + jitter);
    }
}

/// One thing owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owed {
    /// The sale it is about.
    pub sale: SaleId,
    /// What is owed.
    pub duty: Duty,
    /// When to try again.
    pub backoff: Backoff,
}

/// What can be owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Duty {
    /// The close of a sale.
    Close,
    /// What came of a claim.
    Report(ClaimId, Outcome),
}

impl Owed {
    /// The call that pays the debt.
    pub fn effect(&self) -> Effect {
        match self.duty {
            Duty::Close => Effect::Close { sale: self.sale },
            Duty::Report(claim, outcome) => Effect::Report {
                sale: self.sale,
                claim,
                outcome,
            },
        }
    }
}

/// The bounded list.
pub type OwedList = heapless::Vec<Owed, 8>;

impl Machine {
    /// Whether now is a good time to try again what is owed: nobody waits for a sale.
    pub(super) fn pays_debts(&self) -> bool {
        matches!(
            self.state,
            State::Starting(_) | State::Typing(_) | State::Telling(_)
        )
    }

    pub(super) fn pay_debts(&mut self, turn: &mut Turn<'_>) {
        // One at a time: a merchant that does not answer one will not answer the next.
        if let Some(owed) = self
            .owed
            .iter_mut()
            .find(|owed| owed.backoff.due_at.is_some_and(|at| turn.now >= at))
        {
            owed.backoff.begin(turn.now);
            turn.emit(owed.effect());
        }
    }

    /// Owes this from now on, and tries it at once.
    pub(super) fn owe(&mut self, sale: SaleId, duty: Duty, turn: &mut Turn<'_>) {
        let owed = Owed {
            sale,
            duty,
            backoff: Backoff::under_way(),
        };
        turn.emit(owed.effect());
        self.owed
            .push(owed)
            .expect("no sale begins while the list is full");
    }

    pub(super) fn owes_close(&self, sale: SaleId) -> bool {
        self.owed
            .iter()
            .any(|owed| owed.sale == sale && owed.duty == Duty::Close)
    }

    /// The merchant answered, or did not. A refusal ends the debt too: the merchant knows better how the sale ended.
    pub(super) fn owed_answered(
        &mut self,
        sale: SaleId,
        result: Result<(), NoReply>,
        turn: &mut Turn<'_>,
    ) {
        let Some(place) = self.owed.iter().position(|owed| owed.sale == sale) else {
            turn.emit(Effect::Ignored("an answer about nothing owed"));
            return;
        };
        match result {
            Ok(()) | Err(NoReply::Refused(_)) => {
                self.owed.swap_remove(place);
                turn.record(sale, Fact::Settled);
            }
            Err(NoReply::NoAnswer | NoReply::NotAdmitted) => {
                self.owed[place].backoff.failed(turn.now, turn.random)
            }
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
        assert!(!backoff.begin(Instant::from_millis(9991)));
        assert!(backoff.begin(Instant::from_millis(9992)));
        assert!(
            !backoff.begin(Instant::from_millis(9992)),
            "it is under way"
        );
    }
}
