//! What the kiosk still owes the merchant: closes and outcomes that were not acknowledged yet.
//!
//! Retried while nothing else goes on, until the merchant has them. Bounded: a kiosk whose list is full sells nothing.

use crate::ids::{ClaimId, SaleId};
use crate::kiosk::machine::backoff::Backoff;
use crate::kiosk::machine::effect::{Effect, Fact};
use crate::kiosk::machine::event::NoReply;
use crate::kiosk::machine::state::State;
use crate::kiosk::machine::{Machine, Turn};
use crate::sale::Outcome;

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
