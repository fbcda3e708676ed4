//! What the kiosk still owes the merchant: closes and outcomes that were not acknowledged yet.
//!
//! Retried while nothing else goes on, until the merchant has them. Bounded: a kiosk whose list is full sells nothing.

use crate::ids::{ClaimId, SaleId};
use crate::kiosk::machine::backoff::Backoff;
use crate::kiosk::machine::effect::{Effect, Fact};
use crate::kiosk::machine::event::NoReply;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::state::State;
use crate::kiosk::machine::{Machine, Turn};
use crate::planted::{self, Bug};
use crate::sale::{Outcome, SaleStatus};

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
    /// Whether now is a good time to try again what is owed: nobody waits for a sale, or types.
    pub(super) fn pays_debts(&self) -> bool {
        match &self.state {
            // The merchant's list comes first: a sale in it may go on.
            State::Starting(starting) => starting.answered,
            State::Telling(_) => true,
            State::Typing(typing) => typing.typed.is_empty(),
            _ => false,
        }
    }

    /// One at a time: a merchant that does not answer one will not answer the next. The state is the caller's.
    pub(super) fn pay_debts(&mut self, turn: &mut Turn<'_>) {
        if self.debts_due_at().is_none_or(|due_at| turn.now < due_at) {
            return;
        }
        let mut due = self.owed.iter_mut().filter_map(|owed| {
            let begins = owed.backoff.begin(turn.now);
            begins.then(|| owed.effect())
        });
        if let Some(effect) = due.next() {
            turn.emit(effect);
        }
    }

    /// When the next debt is to be tried, unless one is under way.
    pub(super) fn debts_due_at(&self) -> Option<Instant> {
        let due = self.owed.iter().map(|owed| owed.backoff.due_at);
        // No time at all is the least: one that is under way.
        due.min().flatten().filter(|_| !self.journal_failed)
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
        let is_report = matches!(self.owed[place].duty, Duty::Report(..));
        match result {
            // Our claim is still on its way to the merchant: it may be granted yet, and only we know what came of it.
            Err(NoReply::Refused(Some(SaleStatus::Paid))) if is_report => {
                self.owed[place].backoff.failed(turn.now, turn.random)
            }
            Ok(()) | Err(NoReply::Refused(_)) => {
                self.owed.swap_remove(place);
                turn.record(sale, Fact::Settled);
                // The merchant is there: the others need not wait any longer.
                for owed in &mut self.owed {
                    owed.backoff.due_at = owed.backoff.due_at.map(|at| at.min(turn.now));
                }
            }
            Err(NoReply::NoAnswer) if is_report && planted::has(Bug::ReportedOnce) => {
                self.owed.swap_remove(place);
                turn.record(sale, Fact::Settled);
            }
            Err(why @ (NoReply::NoAnswer | NoReply::NotAdmitted | NoReply::Later(_))) => {
                let backoff = &mut self.owed[place].backoff;
                backoff.unanswered(why, turn.now, turn.random);
                let next = self.owed[place].backoff.due_at;
                for owed in &mut self.owed {
                    owed.backoff.due_at = owed.backoff.due_at.max(next);
                }
            }
        }
    }
}
