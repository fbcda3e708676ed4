//! The kiosk's decisions, pure: an event goes in, effects come out, and nothing else happens.
//!
//! [`Machine::step`] takes the time, an event and a source of random numbers; the effects it returns run in order.
//! [`Machine::wake_at`] says when it wants `Event::Woke`. [`Machine::screen`] says what the customer is to see.
//! There is no I/O, no clock and no log in here, and there must never be: the same machine runs on the Pi and, with
//! its time and its disasters made up, in the simulation.
//!
//! ```text
//! Starting ─► Typing ─#─► Placing ─► Paying ─paid─► Claiming ─granted─► Vending ─► Telling ─► Typing
//!                            ▲          │ │C or countdown                             ▲
//!                            └────R─────┘ └──────► Leaving ─closed, or in doubt───────┤
//!                                                     └─too late: paid─► Claiming ────┘
//! ```
//!
//! What the merchant has not acknowledged when a sale is over (a close, an outcome) is *owed* and tried again while
//! the kiosk is idle. No reply is **unknown**, never "unpaid".

pub mod amount;
pub mod effect;
pub mod event;
pub mod instant;
mod owed;
mod recovery;
pub mod screen;
mod state;
#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::ids::{ClaimId, OrderNo, SaleId};
use crate::kiosk::machine::effect::{Effect, Effects, Fact, Record};
use crate::kiosk::machine::event::{Event, Key, NoReply, NotAdded};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::owed::{Backoff, Duty, Owed, OwedList};
use crate::kiosk::machine::screen::{Failure, Language, Leaving, Outage, Remark, Screen};
use crate::kiosk::machine::state::{
    Claiming, Paying, Placing, Sale, Starting, State, Telling, Typing,
};
use crate::money::Fen;
use crate::sale::{Outcome, SaleStatus};

/// A source of random numbers good enough for order numbers that nobody can guess.
pub trait Random {
    /// 128 random bits.
    fn draw(&mut self) -> u128;
}

impl<F: FnMut() -> u128> Random for F {
    fn draw(&mut self) -> u128 {
        self()
    }
}

/// What a merchant sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The most that one sale may cost.
    pub max_total: Fen,
    /// The countdown of a QR code.
    pub pay_time: Duration,
    /// The language to begin with.
    pub language: Language,
}

/// Between one "not paid yet" and the next question.
const POLL_EVERY: Duration = Duration::from_millis(300);
/// How long a customer who wanted to leave may be expected to still stand there.
const STILL_HERE: Duration = Duration::from_secs(30);
/// How long the screen waits for the merchant to confirm a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(8);
/// How long the kiosk tries to claim a paid sale while the customer waits.
const CLAIM_PATIENCE: Duration = Duration::from_secs(60);
/// How long the sign of a refused key shows.
const SIGN_TIME: Duration = Duration::from_millis(1800);
/// How long a remark beside the QR code shows.
const REMARK_TIME: Duration = Duration::from_secs(5);
/// A typed amount that nobody confirms goes away.
const TYPING_TIME: Duration = Duration::from_secs(60);
/// How long a good ending is shown.
const GLAD_TIME: Duration = Duration::from_secs(4);
/// How long bad news are shown: long enough to note the reference.
const SORRY_TIME: Duration = Duration::from_secs(60);

/// The kiosk's machine.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    language: Language,
    dispenser_ready: bool,
    owed: OwedList,
    state: State,
}

/// One step under way: the time, the dice, and the effects so far.
struct Turn<'a> {
    now: Instant,
    random: &'a mut dyn Random,
    effects: Effects,
}

impl Turn<'_> {
    fn emit(&mut self, effect: Effect) {
        self.effects
            .push(effect)
            .expect("no step has more effects than fit: the longest has four");
    }

    fn record(&mut self, sale: SaleId, fact: Fact) {
        self.emit(Effect::Record(Record { sale, fact }));
    }
}

impl Machine {
    /// What the customer is to see.
    pub fn screen(&self, now: Instant) -> Screen {
        match (&self.state, self.cannot_sell()) {
            (State::Typing(_), Some(why)) => Screen::OutOfService { why },
            (state, _) => state.screen(now, self.settings.pay_time),
        }
    }

    /// The language of the screens.
    pub fn language(&self) -> Language {
        self.language
    }

    /// When to come back with `Event::Woke`, if nothing else happens before.
    pub fn wake_at(&self) -> Option<Instant> {
        let debts = self
            .pays_debts()
            .then(|| {
                self.owed
                    .iter()
                    .filter_map(|owed| owed.backoff.due_at)
                    .min()
            })
            .flatten();
        self.state.wake_at().into_iter().chain(debts).min()
    }

    /// Whether nothing is going on and nothing is owed.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Typing(_) | State::Halted) && self.owed.is_empty()
    }

    /// Takes in what happened at `now`; what is to be done about it.
    pub fn step(&mut self, now: Instant, event: Event, random: &mut dyn Random) -> Effects {
        let mut turn = Turn {
            now,
            random,
            effects: Effects::new(),
        };
        match event {
            Event::Key(Key::Language) => self.language = self.language.other(),
            Event::Dispenser { ready } => self.dispenser_ready = ready,
            Event::JournalFailed => self.state = State::Halted,
            Event::Reported { sale, result } => self.owed_answered(sale, result, &mut turn),
            Event::Closed { sale, result } if self.owes_close(sale) => {
                self.owed_answered(sale, result, &mut turn)
            }
            event => {
                let state = core::mem::replace(&mut self.state, State::Halted);
                self.state = self.next(state, event, &mut turn);
            }
        }
        if let State::Starting(Starting { answered: true, .. }) = self.state {
            if self.owed.is_empty() {
                self.state = State::typing(now);
            }
        }
        turn.effects
    }

    /// The heart: what each state makes of each event. The last arm is for what comes too late to mean anything.
    fn next(&mut self, state: State, event: Event, turn: &mut Turn<'_>) -> State {
        let now = turn.now;
        match (state, event) {
            (State::Starting(mut starting), Event::Woke) => {
                if starting.backoff.begin(now) {
                    turn.emit(Effect::AskUnsettled);
                }
                self.pay_debts(turn);
                State::Starting(starting)
            }
            (State::Starting(starting), Event::Unsettled(answer)) => {
                self.take_stock(starting, answer, turn)
            }

            (State::Typing(typing), Event::Key(key)) => self.key_typed(typing, key, turn),
            (State::Typing(typing), Event::Woke) => {
                self.pay_debts(turn);
                State::Typing(typing.at(now))
            }

            (State::Placing(placing), Event::Key(Key::Cancel)) => State::Placing(Placing {
                cancelled: true,
                ..placing
            }),
            (
                State::Placing(placing),
                Event::Registered {
                    order,
                    result: Ok(()),
                },
            ) if order == placing.order => {
                turn.emit(Effect::AddOrder {
                    order,
                    total: placing.sale.total,
                });
                State::Placing(placing)
            }
            (
                State::Placing(placing),
                Event::Registered {
                    order,
                    result: Err(why),
                },
            ) if order == placing.order => self.not_placed(placing, why, turn),
            (State::Placing(placing), Event::Added { order, result }) if order == placing.order => {
                match result {
                    Ok(_) if placing.cancelled => {
                        self.leave(placing.sale, Leaving::Cancelled, turn)
                    }
                    Ok(url) if self.dispenser_ready => {
                        let ends_at = now + self.settings.pay_time;
                        State::Paying(Paying {
                            sale: placing.sale,
                            order,
                            url,
                            ends_at,
                            poll: Backoff::due(now),
                            remark: None,
                        })
                    }
                    Ok(_) => self.not_placed(placing, NoReply::NoAnswer, turn),
                    Err(NotAdded::NoAnswer) => self.not_placed(placing, NoReply::NoAnswer, turn),
                    Err(NotAdded::Refused) => {
                        self.not_placed(placing, NoReply::Refused(None), turn)
                    }
                }
            }

            (State::Paying(paying), Event::Woke) if now >= paying.ends_at => {
                self.leave(paying.sale, Leaving::TimedOut, turn)
            }
            (State::Paying(mut paying), Event::Woke) => {
                paying.remark.take_if(|(_, until)| now >= *until);
                if paying.poll.begin(now) {
                    turn.emit(Effect::Poll {
                        order: paying.order,
                        sale: paying.sale.id,
                    });
                }
                State::Paying(paying)
            }
            (State::Paying(paying), Event::Key(Key::Cancel)) => {
                self.leave(paying.sale, Leaving::Cancelled, turn)
            }
            (State::Paying(paying), Event::Key(Key::Regenerate)) => self.regenerate(paying, turn),
            (State::Paying(paying), Event::Polled { sale, result }) if sale == paying.sale.id => {
                self.polled(paying, result, turn)
            }

            (State::Leaving(mut leaving), Event::Woke) => {
                if leaving.backoff.begin(now) {
                    turn.emit(Effect::Close {
                        sale: leaving.sale.id,
                    });
                }
                State::Leaving(leaving)
            }
            (State::Leaving(leaving), Event::Closed { sale, result })
                if sale == leaving.sale.id =>
            {
                self.closed(leaving, result, turn)
            }

            (State::Claiming(mut claiming), Event::Woke) => {
                if claiming.backoff.begin(now) {
                    turn.emit(Effect::Claim {
                        sale: claiming.sale.id,
                        claim: claiming.claim,
                    });
                }
                State::Claiming(claiming)
            }
            (State::Claiming(claiming), Event::Claimed { sale, result })
                if sale == claiming.sale.id =>
            {
                self.claimed(claiming, result, turn)
            }

            (
                State::Vending(sale, claim),
                Event::Vended {
                    sale: vended,
                    outcome,
                },
            ) if vended == sale.id => self.vended(sale, claim, outcome, turn),

            (State::Telling(telling), Event::Key(key)) => self.key_told(telling, key, turn),
            (State::Telling(telling), Event::Woke) => {
                self.pay_debts(turn);
                if now >= telling.until {
                    State::typing(now)
                } else {
                    State::Telling(telling)
                }
            }

            // A key that means nothing here, a wake-up that was not needed, a reply that comes too late.
            (state, event) => {
                if !matches!(event, Event::Key(_) | Event::Woke) {
                    turn.emit(Effect::Ignored(event.name()));
                }
                state
            }
        }
    }

    /// Why nothing can be sold, if that is so.
    fn cannot_sell(&self) -> Option<Outage> {
        if !self.dispenser_ready {
            Some(Outage::Dispenser)
        } else if self.owed.is_full() {
            Some(Outage::TooManyUnsettled)
        } else {
            None
        }
    }

    fn key_typed(&mut self, typing: Typing, key: Key, turn: &mut Turn<'_>) -> State {
        if self.cannot_sell().is_some() {
            return State::Typing(typing);
        }
        let mut typed = typing.typed;
        let result = match key {
            Key::Digit(digit) => typed.push(digit, self.settings.max_total),
            Key::Point => typed.push('.', self.settings.max_total),
            Key::Backspace => {
                typed.backspace();
                Ok(())
            }
            Key::Cancel => {
                typed = Default::default();
                Ok(())
            }
            Key::Confirm => match typed.total() {
                Ok(total) => return self.begin(total, turn),
                Err(refusal) => Err(refusal),
            },
            Key::Regenerate | Key::Language => Ok(()),
        };
        let refused = result.err().map(|refusal| (refusal, turn.now + SIGN_TIME));
        State::Typing(Typing {
            typed,
            refused,
            clear_at: turn.now + TYPING_TIME,
        })
    }

    /// A sale begins: it is written down, then the merchant is to hold it.
    fn begin(&mut self, total: Fen, turn: &mut Turn<'_>) -> State {
        let mut sale = Sale::new(SaleId::from_random(turn.random.draw()), total);
        let order = OrderNo::from_random(turn.random.draw());
        turn.record(sale.id, Fact::Sale(total));
        self.place(&mut sale, order, turn);
        State::Placing(Placing {
            sale,
            order,
            earlier: None,
            cancelled: false,
        })
    }

    /// A new number for the same sale. All earlier ones stay live at the merchant.
    fn regenerate(&mut self, mut paying: Paying, turn: &mut Turn<'_>) -> State {
        if paying.sale.orders.is_full() {
            paying.remark = Some((Remark::TooManyCodes, turn.now + REMARK_TIME));
            return State::Paying(paying);
        }
        let order = OrderNo::from_random(turn.random.draw());
        self.place(&mut paying.sale, order, turn);
        State::Placing(Placing {
            sale: paying.sale.clone(),
            order,
            earlier: Some(paying),
            cancelled: false,
        })
    }

    fn place(&mut self, sale: &mut Sale, order: OrderNo, turn: &mut Turn<'_>) {
        sale.orders
            .push(order)
            .expect("the caller looked whether there is room");
        turn.record(sale.id, Fact::Order(order));
        turn.emit(Effect::Register {
            order,
            sale: sale.id,
            total: sale.total,
        });
    }

    /// There will be no new code. The earlier one, if there is one, is still good.
    fn not_placed(&mut self, placing: Placing, why: NoReply, turn: &mut Turn<'_>) -> State {
        if placing.cancelled {
            return self.leave(placing.sale, Leaving::Cancelled, turn);
        }
        if let Some(earlier) = placing.earlier {
            // The merchant refuses a number for a sale that is no longer open: asking tells what it is now.
            let poll = Backoff::due(turn.now);
            let remark = Some((Remark::NoNewCode, turn.now + REMARK_TIME));
            return State::Paying(Paying {
                sale: placing.sale,
                poll,
                remark,
                ..earlier
            });
        }
        turn.record(placing.sale.id, Fact::Closing);
        self.owe(placing.sale.id, Duty::Close, turn);
        let what = match why {
            NoReply::NoAnswer => Failure::NoAnswer,
            NoReply::Refused(_) => Failure::Refused,
            NoReply::NotAdmitted => return State::starting(turn.now, Some(Outage::NotAdmitted)),
        };
        Telling::sorry(&placing.sale, what, turn.now)
    }

    fn polled(
        &mut self,
        mut paying: Paying,
        result: Result<SaleStatus, NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        match result {
            Ok(SaleStatus::Open) => {
                paying.poll = Backoff::due(turn.now + POLL_EVERY);
                paying
                    .remark
                    .take_if(|(remark, _)| *remark == Remark::Unconnected);
                State::Paying(paying)
            }
            Ok(SaleStatus::Paid) => self.claim(paying.sale, turn),
            Ok(status) => self.over(paying.sale, status, Leaving::TimedOut, turn),
            Err(_) => {
                paying.poll.failed(turn.now, turn.random);
                paying.remark = Some((Remark::Unconnected, paying.ends_at));
                State::Paying(paying)
            }
        }
    }

    /// The customer leaves: the merchant is asked to close, and may say that it is too late.
    fn leave(&mut self, sale: Sale, why: Leaving, turn: &mut Turn<'_>) -> State {
        turn.record(sale.id, Fact::Closing);
        turn.emit(Effect::Close { sale: sale.id });
        State::Leaving(state::Leaving {
            sale,
            why,
            since: turn.now,
            backoff: Backoff::under_way(),
        })
    }

    fn closed(
        &mut self,
        mut leaving: state::Leaving,
        result: Result<(), NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        let waited = turn.now - leaving.since;
        match result {
            Ok(()) => self.over(leaving.sale, SaleStatus::Closed, leaving.why, turn),
            // Too late to close: somebody paid. The customer gets the goods, if they can still be here.
            Err(NoReply::Refused(Some(SaleStatus::Paid))) if waited < STILL_HERE => {
                self.claim(leaving.sale, turn)
            }
            Err(NoReply::Refused(Some(status))) => {
                self.over(leaving.sale, status, leaving.why, turn)
            }
            Err(NoReply::Refused(None)) => {
                turn.record(leaving.sale.id, Fact::Settled);
                Telling::sorry(&leaving.sale, Failure::InDoubt, turn.now)
            }
            Err(NoReply::NoAnswer | NoReply::NotAdmitted) if waited < CLOSE_PATIENCE => {
                leaving.backoff.failed(turn.now, turn.random);
                State::Leaving(leaving)
            }
            Err(NoReply::NoAnswer | NoReply::NotAdmitted) => {
                self.owe(leaving.sale.id, Duty::Close, turn);
                Telling::sorry(&leaving.sale, Failure::InDoubt, turn.now)
            }
        }
    }

    /// The merchant says how the sale has ended; nothing more is to be done for it.
    fn over(&mut self, sale: Sale, status: SaleStatus, why: Leaving, turn: &mut Turn<'_>) -> State {
        turn.record(sale.id, Fact::Settled);
        match status {
            SaleStatus::Closed => Telling::glad(Screen::NotPaid { why }, turn.now),
            SaleStatus::Paid | SaleStatus::Expired => {
                Telling::sorry(&sale, Failure::TooLate, turn.now)
            }
            SaleStatus::NotDispensed => Telling::sorry(&sale, Failure::NotDispensed, turn.now),
            SaleStatus::Open
            | SaleStatus::Claimed
            | SaleStatus::Dispensed
            | SaleStatus::Unknown => Telling::sorry(&sale, Failure::Unknown, turn.now),
        }
    }

    fn claim(&mut self, sale: Sale, turn: &mut Turn<'_>) -> State {
        let claim = ClaimId::from_random(turn.random.draw());
        turn.record(sale.id, Fact::Claim(claim));
        turn.emit(Effect::Claim {
            sale: sale.id,
            claim,
        });
        State::Claiming(Claiming {
            sale,
            claim,
            since: turn.now,
            backoff: Backoff::under_way(),
        })
    }

    fn claimed(
        &mut self,
        mut claiming: Claiming,
        result: Result<(), NoReply>,
        turn: &mut Turn<'_>,
    ) -> State {
        let Claiming { claim, since, .. } = claiming;
        let in_time = turn.now - since < CLAIM_PATIENCE;
        match result {
            Ok(()) if in_time && self.dispenser_ready => {
                turn.record(claiming.sale.id, Fact::Start);
                turn.emit(Effect::Pulse {
                    sale: claiming.sale.id,
                    total: claiming.sale.total,
                });
                State::Vending(claiming.sale, claim)
            }
            // No pulse has begun, so it is sure that nothing came out.
            Ok(()) => self.vended(claiming.sale, claim, Outcome::NotDispensed, turn),
            Err(NoReply::Refused(status)) => self.over(
                claiming.sale,
                status.unwrap_or(SaleStatus::Expired),
                Leaving::TimedOut,
                turn,
            ),
            Err(NoReply::NoAnswer | NoReply::NotAdmitted) if in_time => {
                claiming.backoff.failed(turn.now, turn.random);
                State::Claiming(claiming)
            }
            Err(NoReply::NoAnswer | NoReply::NotAdmitted) => {
                self.vended(claiming.sale, claim, Outcome::NotDispensed, turn)
            }
        }
    }

    fn vended(
        &mut self,
        sale: Sale,
        claim: ClaimId,
        outcome: Outcome,
        turn: &mut Turn<'_>,
    ) -> State {
        turn.record(sale.id, Fact::Done(outcome));
        self.owe(sale.id, Duty::Report(claim, outcome), turn);
        match outcome {
            Outcome::Dispensed => Telling::glad(Screen::ThankYou { total: sale.total }, turn.now),
            Outcome::NotDispensed => Telling::sorry(&sale, Failure::NotDispensed, turn.now),
            Outcome::Unknown => Telling::sorry(&sale, Failure::Unknown, turn.now),
        }
    }

    /// Keys after the end of a sale: `#` tries again where that helps, a digit begins the next sale at once.
    fn key_told(&mut self, telling: Telling, key: Key, turn: &mut Turn<'_>) -> State {
        match key {
            Key::Confirm if self.cannot_sell().is_none() && telling.again.is_some() => {
                self.begin(telling.again.expect("just looked"), turn)
            }
            Key::Confirm | Key::Cancel => State::typing(turn.now),
            Key::Digit(_) | Key::Point if !telling.must_be_read() => {
                self.key_typed(Typing::empty(turn.now), key, turn)
            }
            _ => State::Telling(telling),
        }
    }
}

#[cfg(test)]
impl Machine {
    /// A machine that has started, owes nothing and waits for an amount.
    fn ready(settings: Settings) -> Machine {
        Machine {
            settings,
            language: settings.language,
            dispenser_ready: true,
            owed: OwedList::new(),
            state: State::typing(Instant::default()),
        }
    }
}

impl Machine {
    /// Whether now is a good time to try again what is owed: nobody waits for a sale.
    fn pays_debts(&self) -> bool {
        matches!(
            self.state,
            State::Starting(_) | State::Typing(_) | State::Telling(_)
        )
    }

    fn pay_debts(&mut self, turn: &mut Turn<'_>) {
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
    fn owe(&mut self, sale: SaleId, duty: Duty, turn: &mut Turn<'_>) {
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

    fn owes_close(&self, sale: SaleId) -> bool {
        self.owed
            .iter()
            .any(|owed| owed.sale == sale && owed.duty == Duty::Close)
    }

    /// The merchant answered, or did not. A refusal ends the debt too: the merchant knows better how the sale ended.
    fn owed_answered(&mut self, sale: SaleId, result: Result<(), NoReply>, turn: &mut Turn<'_>) {
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
