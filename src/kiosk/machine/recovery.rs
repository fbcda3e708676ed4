//! Beginning again after a power cut: what the journal says, then what the merchant says (DESIGN.md, section 3).
//!
//! What is decided here never moves the relay: a sale that was under way is closed, a claim without a `Start` did not
//! dispense, a `Start` without a `Done` is unknown. The merchant then gives the money back or lets a person look.

use crate::kiosk::machine::backoff::Backoff;
use crate::kiosk::machine::effect::{Effect, Effects, Fact, Record};
use crate::kiosk::machine::event::{NoReply, Unsettled};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::owed::{Duty, Owed, OwedList};
use crate::kiosk::machine::screen::Outage;
use crate::kiosk::machine::state::{Starting, State};
use crate::kiosk::machine::{Machine, Settings, Turn};
use crate::sale::{Outcome, SaleStatus};

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

impl Machine {
    /// A kiosk that starts, and settles first what the journal says was under way.
    ///
    /// Nothing is sold before the merchant has answered and acknowledged all of it.
    pub fn resume(
        settings: Settings,
        now: Instant,
        journal: impl IntoIterator<Item = Record>,
    ) -> Result<(Machine, Effects), Contradiction> {
        let mut owed = OwedList::new();
        for record in journal {
            remember(&mut owed, record, now)?;
        }
        let mut effects = Effects::new();
        effects
            .push(Effect::AskUnsettled)
            .expect("the first effect fits");
        let starting = Starting {
            backoff: Backoff::under_way(),
            answered: false,
            trouble: None,
        };
        let state = State::Starting(starting);
        Ok((
            Machine {
                settings,
                language: settings.language,
                dispenser_ready: false,
                journal_failed: false,
                owed,
                state,
            },
            effects,
        ))
    }

    /// A kiosk whose journal cannot be trusted: it says so and sells nothing.
    pub fn halted(settings: Settings) -> Machine {
        let (owed, state) = (OwedList::new(), State::Halted);
        Machine {
            settings,
            language: settings.language,
            dispenser_ready: false,
            journal_failed: true,
            owed,
            state,
        }
    }

    /// The merchant's list is the second witness: it knows our sales even if the journal is lost.
    pub(super) fn take_stock(
        &mut self,
        mut starting: Starting,
        answer: Result<Unsettled, NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        match answer {
            Ok(unsettled) => {
                starting.answered = true;
                starting.trouble = None;
                for theirs in unsettled {
                    let duty = match (theirs.status, theirs.claim) {
                        (SaleStatus::Open, _) => Duty::Close,
                        (SaleStatus::Claimed, Some(claim)) => Duty::Report(claim, Outcome::Unknown),
                        // Paid and not claimed: the merchant gives the money back by itself.
                        _ => continue,
                    };
                    if !self.owed.iter().any(|owed| owed.sale == theirs.sale) {
                        // A full list is no loss: what does not fit is still unsettled there at the next start.
                        let _ = self.owed.push(Owed {
                            sale: theirs.sale,
                            duty,
                            backoff: Backoff::due(turn.now),
                        });
                    }
                }
                self.pay_debts(turn);
            }
            Err(why) => {
                starting.backoff.failed(turn.now, turn.random);
                starting.trouble = Some(match why {
                    NoReply::NotAdmitted => Outage::NotAdmitted,
                    NoReply::NoAnswer | NoReply::Refused(_) => Outage::NoMerchant,
                });
            }
        }
        State::Starting(starting)
    }
}

/// Takes one record into the list of what is owed.
fn remember(owed: &mut OwedList, record: Record, now: Instant) -> Result<(), Contradiction> {
    let place = owed.iter().position(|owed| owed.sale == record.sale);
    let known = place.map(|place| owed[place].duty);
    let duty = match (record.fact, known) {
        (Fact::Settled, _) => {
            if let Some(place) = place {
                owed.swap_remove(place);
            }
            return Ok(());
        }
        (Fact::Claim(claim), _) => Duty::Report(claim, Outcome::NotDispensed),
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
