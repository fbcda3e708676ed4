//! Beginning again after a power cut: what the journal says, then what the merchant says (docs/architecture.md, Journal and recovery).
//!
//! Of the sales that are left, only the last can have been under way. If it is young, it goes on: with a new code if
//! nobody has paid yet, with the claim if somebody has. Every other is closed, or reported: a claim without a `Start`
//! dispensed nothing, a `Start` without a `Done` is unknown, and never pulsed again.

use core::time::Duration;

use crate::ids::ClaimId;
use crate::kiosk::machine::backoff::Backoff;
use crate::kiosk::machine::effect::{Effect, Effects, Fact, Record};
use crate::kiosk::machine::event::{NoReply, Unsettled, UnsettledSale};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::owed::{Duty, Owed, OwedList};
use crate::kiosk::machine::screen::Outage;
use crate::kiosk::machine::state::{Sale, Starting, State};
use crate::kiosk::machine::{Machine, Settings, Turn};
use crate::planted::{self, Bug};
use crate::sale::{Outcome, SaleStatus};

/// A customer may still stand there for so long after the payment or the claim: the Pi itself takes half a minute to start.
const STILL_WAITING: Duration = Duration::from_secs(120);

/// The journal says something that no kiosk can have promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Contradiction {
    /// More sales under way than a kiosk lets happen.
    #[error("the journal holds more unsettled sales than this kiosk can have had")]
    TooManyUnsettled,
    /// A pulse that nobody claimed.
    #[error("the journal holds a pulse without a claim")]
    NeverClaimed,
}

/// The sale that was under way when the power went, as far as it can go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupted {
    sale: Sale,
    /// The claim that was about to be made, or was.
    claim: Option<ClaimId>,
    /// Whether it was being closed.
    closing: bool,
}

impl Machine {
    /// A kiosk that starts, and settles first what the journal says was under way.
    ///
    /// Nothing new is sold before the merchant has answered and acknowledged all of it.
    pub fn resume(
        settings: Settings,
        now: Instant,
        journal: impl IntoIterator<Item = Record>,
    ) -> Result<(Machine, Effects), Contradiction> {
        let mut owed = OwedList::new();
        let mut interrupted = None;
        for record in journal {
            remember(&mut owed, record, &settings, now)?;
            interrupted = interrupt(interrupted, record);
        }
        let mut effects = Effects::new();
        effects
            .push(Effect::AskUnsettled)
            .expect("the first effect fits");
        let state = State::Starting(Starting {
            backoff: Backoff::under_way(),
            answered: false,
            asks_again: false,
            trouble: None,
        });
        let machine = Machine {
            settings,
            language: settings.language,
            quiet_at: Instant::default(),
            deaf_until: Instant::default(),
            dispenser_ready: false,
            journal_failed: false,
            owed,
            interrupted,
            state,
        };
        Ok((machine, effects))
    }

    /// A kiosk whose journal cannot be trusted: it says so and sells nothing.
    pub fn halted(settings: Settings) -> Machine {
        Machine {
            settings,
            language: settings.language,
            quiet_at: Instant::default(),
            deaf_until: Instant::default(),
            dispenser_ready: false,
            journal_failed: true,
            owed: OwedList::new(),
            interrupted: None,
            state: State::Halted,
        }
    }

    /// The merchant's list is the second witness: it knows our sales even if the journal is lost.
    pub(super) fn take_stock(
        &mut self,
        mut starting: Starting,
        answer: Result<&Unsettled, &NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        let unsettled = match answer {
            Ok(unsettled) => unsettled,
            Err(why) => {
                starting.backoff.unanswered(*why, turn.now, turn.random);
                starting.trouble = Some(match why {
                    NoReply::NotAdmitted => Outage::NotAdmitted,
                    NoReply::NoAnswer | NoReply::Refused(_) | NoReply::Later(_) => {
                        Outage::NoMerchant
                    }
                });
                return State::Starting(starting);
            }
        };
        starting.answered = true;
        starting.trouble = None;
        let mut settles_some = false;
        for theirs in unsettled {
            let duty = match (theirs.status, theirs.claim) {
                (SaleStatus::Open, _) => Duty::Close,
                (SaleStatus::Claimed, Some(claim)) => Duty::Report(claim, Outcome::Unknown),
                // Paid and not claimed: the merchant gives the money back by itself.
                _ => continue,
            };
            settles_some = true;
            if !self.owed.iter().any(|owed| owed.sale == theirs.sale) {
                // A full list is no loss: what does not fit is asked for again when this is settled.
                let _ = self.owed.push(Owed {
                    sale: theirs.sale,
                    duty,
                    backoff: Backoff::due(turn.now),
                });
            }
        }
        // There may be more than this answer tells. What settles nothing need not be told again.
        starting.asks_again = unsettled.is_full() && settles_some;
        let goes_on = self
            .interrupted
            .take()
            .and_then(|interrupted| self.go_on(interrupted, unsettled, turn));
        goes_on.unwrap_or_else(|| {
            self.pay_debts(turn);
            State::Starting(starting)
        })
    }

    /// The interrupted sale goes on, if it is young and the merchant agrees.
    fn go_on(
        &mut self,
        interrupted: Interrupted,
        unsettled: &[UnsettledSale],
        turn: &mut Turn<'_>,
    ) -> Option<State> {
        let Interrupted {
            mut sale,
            claim,
            closing,
        } = interrupted;
        let theirs = unsettled.iter().find(|theirs| theirs.sale == sale.id)?;
        // A number that the merchant does not hold was never shown.
        sale.shown = theirs.newest.or(sale.shown);
        let still_waits = theirs.age < STILL_WAITING;
        let is_granted = theirs.claim == claim;
        let has_room = !sale.is_full();
        let place = self.owed.iter().position(|owed| owed.sale == sale.id)?;
        let state = match (theirs.status, claim) {
            (SaleStatus::Open, None)
                if !closing && has_room && theirs.age < self.settings.pay_time =>
            {
                self.place_again(sale, turn)
            }
            // Too late to close, or not closed at all: somebody has paid.
            (SaleStatus::Paid, None) if still_waits => self.claim(sale, turn),
            // No pulse can have been: its `Start` would be in the journal.
            (SaleStatus::Paid, Some(claim)) if still_waits && self.settings.resumes_claims => {
                self.claim_as(claim, sale, turn)
            }
            (SaleStatus::Claimed, Some(claim))
                if is_granted && still_waits && self.settings.resumes_claims =>
            {
                self.claim_as(claim, sale, turn)
            }
            _ => return None,
        };
        self.owed.swap_remove(place);
        Some(state)
    }
}

/// What the next record makes of the sale that is under way.
fn interrupt(before: Option<Interrupted>, record: Record) -> Option<Interrupted> {
    if let Fact::Sale(total) = record.fact {
        return Some(Interrupted {
            sale: Sale::new(record.sale, total),
            claim: None,
            closing: false,
        });
    }
    let mut interrupted = before?;
    if interrupted.sale.id != record.sale {
        return Some(interrupted);
    }
    match record.fact {
        Fact::Order(order) => {
            interrupted.sale.one_more()?;
            interrupted.sale.shown = Some(order);
        }
        Fact::Claim(claim) => interrupted.claim = Some(claim),
        // Given up on: its customer has gone, and another may stand there.
        Fact::Closing if interrupted.closing => return None,
        Fact::Closing => interrupted.closing = true,
        Fact::Start if planted::has(Bug::PulseAgain) => {}
        Fact::Sale(_) | Fact::Start | Fact::Done(_) | Fact::Settled => return None,
    }
    Some(interrupted)
}

/// Takes one record into the list of what is owed.
fn remember(
    owed: &mut OwedList,
    record: Record,
    settings: &Settings,
    now: Instant,
) -> Result<(), Contradiction> {
    let place = owed.iter().position(|owed| owed.sale == record.sale);
    let known = place.map(|place| owed[place].duty);
    // Where a `Start` may have been lost, nobody knows what a claim has come to.
    let of_claims = match settings.resumes_claims {
        true => Outcome::NotDispensed,
        false => Outcome::Unknown,
    };
    let duty = match (record.fact, known) {
        (Fact::Settled, _) => {
            if let Some(place) = place {
                owed.swap_remove(place);
            }
            return Ok(());
        }
        (Fact::Claim(claim), _) => Duty::Report(claim, of_claims),
        (Fact::Start, Some(Duty::Report(claim, _))) => Duty::Report(claim, Outcome::Unknown),
        (Fact::Done(outcome), Some(Duty::Report(claim, _))) => Duty::Report(claim, outcome),
        (Fact::Start | Fact::Done(_), _) => return Err(Contradiction::NeverClaimed),
        (Fact::Sale(_) | Fact::Order(_) | Fact::Closing, Some(duty)) => duty,
        (Fact::Sale(_) | Fact::Order(_) | Fact::Closing, None) => Duty::Close,
    };
    match place {
        Some(place) => owed[place].duty = duty,
        None => owed
            .push(Owed {
                sale: record.sale,
                duty,
                backoff: Backoff::due(now),
            })
            .map_err(|_| Contradiction::TooManyUnsettled)?,
    }
    Ok(())
}
