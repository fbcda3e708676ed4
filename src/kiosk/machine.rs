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
mod backoff;
pub mod effect;
pub mod event;
pub mod instant;
mod owed;
mod recovery;
pub mod screen;
mod state;
mod steps;
#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::ids::SaleId;
use crate::kiosk::machine::amount::Refusal;
use crate::kiosk::machine::backoff::Backoff;
use crate::kiosk::machine::effect::{Effect, Effects, Fact, Record};
use crate::kiosk::machine::event::{Event, Key, NoReply, NotAdded};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::owed::OwedList;
use crate::kiosk::machine::recovery::Interrupted;
use crate::kiosk::machine::screen::{Language, Leaving, Outage, Screen};
use crate::kiosk::machine::state::{Paying, Sale, State, Telling, Typing};
use crate::money::Fen;

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
    /// What every amount must be a whole number of, if the dispenser counts.
    pub unit: Option<Fen>,
    /// The countdown of a QR code.
    pub pay_time: Duration,
    /// The language to begin with.
    pub language: Language,
    /// Whether a claim without a `Start` in the journal may dispense after a power cut. Not on a disk that says it has
    /// flushed when it has not: there the `Start` may be lost, and the goods out.
    pub resumes_claims: bool,
}

/// Between one question and the next, where the merchant answers "not paid yet" at once.
const POLL_EVERY: Duration = Duration::from_millis(300);
/// Between one question and the next about a sale that is over.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How long a customer who wanted to leave may be expected to still stand there.
const STILL_HERE: Duration = Duration::from_secs(30);
/// A registration is tried once more if that is so soon: the customer stands there.
const REGISTER_PATIENCE: Duration = Duration::from_secs(5);
/// How long the screen waits for the merchant to confirm a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(8);
/// How long the kiosk tries to claim a paid sale while the customer waits.
const CLAIM_PATIENCE: Duration = Duration::from_secs(60);
/// How long the sign of a refused key shows.
const SIGN_TIME: Duration = Duration::from_millis(1800);
/// How long a remark beside the QR code shows.
const REMARK_TIME: Duration = Duration::from_secs(5);
/// How long no key is pressed between what was typed before an amount could be, and an amount.
const DEAF_TIME: Duration = Duration::from_secs(1);
/// How long a chosen language stays while nobody presses a key at the amount.
const LANGUAGE_TIME: Duration = Duration::from_secs(30);
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
    /// When nobody is taken to stand there any more who has chosen the language.
    quiet_at: Instant,
    /// Until when keys are the rest of what was typed before an amount could be.
    deaf_until: Instant,
    dispenser_ready: bool,
    /// A record could not be written: nothing is begun any more.
    journal_failed: bool,
    owed: OwedList,
    /// The sale that the power cut interrupted, until the merchant says where it stands.
    interrupted: Option<Interrupted>,
    state: State,
}

/// One step under way: the time, the dice, and the effects so far.
struct Turn<'a> {
    now: Instant,
    random: &'a mut dyn Random,
    effects: &'a mut Effects,
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
        let debts = self.debts_due_at().filter(|_| self.pays_debts());
        let is_chosen = self.language != self.settings.language;
        let is_quiet = is_chosen && matches!(self.state, State::Typing(_));
        let quiet = is_quiet.then_some(self.quiet_at);
        let wishes = [self.state.wake_at(), debts, quiet];
        wishes.into_iter().flatten().min()
    }

    /// Whether nothing is going on and nothing is owed.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Typing(_) | State::Halted) && self.owed.is_empty()
    }

    /// Takes in what happened at `now`; what is to be done about it.
    pub fn step(&mut self, now: Instant, event: &Event, random: &mut dyn Random) -> Effects {
        let mut effects = Effects::new();
        let mut turn = Turn {
            now,
            random,
            effects: &mut effects,
        };
        let was_told = matches!(self.state, State::Telling(_));
        if matches!(event, Event::Key(_)) {
            self.quiet_at = now + LANGUAGE_TIME;
        }
        match event {
            Event::Key(Key::Language) => self.language = self.language.other(),
            // Half an amount is none: `3.50` whose `3.` came too early must not become 50.
            Event::Key(_) if self.is_too_early(now) => self.deaf_until = now + DEAF_TIME,
            Event::JournalFailed => {
                self.journal_failed = true;
                let state = core::mem::replace(&mut self.state, State::Halted);
                // The number to ask by must not be lost with the journal: it is told already, or a code was shown.
                self.state = match (state.shown_sale(), &state) {
                    (_, State::Telling(_)) => state,
                    (Some((sale, what)), _) => Telling::sorry(sale, what, now),
                    (None, _) => State::Halted,
                };
            }
            Event::Reported { sale, result } => self.owed_answered(*sale, *result, &mut turn),
            Event::Closed { sale, result } if self.owes_close(*sale) => {
                self.owed_answered(*sale, *result, &mut turn)
            }
            event => {
                if let Event::Dispenser { ready } = event {
                    self.dispenser_ready = *ready;
                }
                let state = core::mem::replace(&mut self.state, State::Halted);
                self.state = self.next((state, event), &mut turn);
            }
        }
        // The next customer did not choose it.
        if matches!(self.state, State::Typing(_)) && (was_told || now >= self.quiet_at) {
            self.language = self.settings.language;
        }
        if let State::Starting(starting) = &mut self.state {
            if starting.answered && self.owed.is_empty() {
                self.state = match starting.asks_again {
                    true => State::starting(now, None),
                    false => State::typing(now),
                };
            }
        }
        effects
    }

    /// The heart: what each state makes of each event. The last arm is for what comes too late to mean anything.
    ///
    /// The two come as one, so that the state, which is large, is moved once less.
    fn next(&mut self, at: (State, &Event), turn: &mut Turn<'_>) -> State {
        let now = turn.now;
        match at {
            (State::Starting(mut starting), Event::Woke) => {
                if starting.backoff.begin(now) {
                    turn.emit(Effect::AskUnsettled);
                }
                if starting.answered {
                    self.pay_debts(turn);
                }
                State::Starting(starting)
            }
            (State::Starting(starting), Event::Unsettled(answer)) => {
                self.take_stock(starting, answer.as_ref(), turn)
            }

            (State::Typing(typing), Event::Key(key)) => self.key_typed(typing, *key, turn),
            (State::Typing(typing), Event::Woke) => {
                if typing.typed.is_empty() {
                    self.pay_debts(turn);
                }
                State::Typing(typing.at(now))
            }

            (State::Placing(placing), Event::Key(Key::Cancel)) => {
                self.leave_unplaced(placing.sale, turn)
            }
            (State::Placing(placing), Event::Registered { order, result })
                if *order == placing.order =>
            {
                match result {
                    Ok(()) => {
                        turn.emit(Effect::AddOrder {
                            order: placing.order,
                            total: placing.sale.total,
                        });
                        State::Placing(placing)
                    }
                    Err(why) => self.not_registered(placing, *why, turn),
                }
            }
            (State::Placing(mut placing), Event::Woke) => {
                if placing.register.begin(now) {
                    turn.emit(steps::register(&placing.sale, placing.order));
                }
                State::Placing(placing)
            }
            (State::Placing(placing), Event::Added { order, result })
                if *order == placing.order =>
            {
                match result {
                    Ok(url) if self.dispenser_ready => {
                        let ends_at = now + self.settings.pay_time;
                        let sale = Sale {
                            shown: Some(*order),
                            ..placing.sale
                        };
                        State::Paying(Paying {
                            sale,
                            order: *order,
                            url: *url,
                            ends_at,
                            poll: Backoff::due(now),
                            asked_at: now,
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
                    paying.asked_at = now;
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
            // No code may show that cannot be honoured.
            (State::Paying(paying), Event::Dispenser { ready: false }) => {
                self.leave(paying.sale, Leaving::Withdrawn, turn)
            }
            (State::Paying(paying), Event::Key(Key::Regenerate)) => self.regenerate(paying, turn),
            (State::Paying(paying), Event::Polled { sale, result }) if *sale == paying.sale.id => {
                self.polled(paying, *result, turn)
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
                if *sale == leaving.sale.id =>
            {
                self.closed(leaving, *result, turn)
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
                if *sale == claiming.sale.id =>
            {
                self.claimed(claiming, *result, turn)
            }

            (
                State::Vending(sale, claim),
                Event::Vended {
                    sale: vended,
                    outcome,
                },
            ) if *vended == sale.id => self.vended(sale, claim, *outcome, turn),

            (State::Telling(telling), Event::Key(key)) => self.key_told(telling, *key, turn),
            (
                State::Telling(mut telling),
                Event::Polled {
                    sale: polled,
                    result,
                },
            ) if telling.watches(*polled) => {
                let watch = telling.watch.take().expect("just looked");
                self.watched(telling, watch, *result, turn)
            }
            (State::Telling(mut telling), Event::Woke) => {
                self.pay_debts(turn);
                if let Some(watch) = &mut telling.watch {
                    if now < watch.until && watch.poll.begin(now) {
                        turn.emit(Effect::Poll {
                            order: watch.order,
                            sale: watch.sale.id,
                        });
                    }
                }
                if now >= telling.until {
                    State::typing(now)
                } else {
                    State::Telling(telling)
                }
            }

            // A key that means nothing here, a wake-up that was not needed, a reply that comes too late.
            (state, event) => {
                if !matches!(event, Event::Key(_) | Event::Woke | Event::Dispenser { .. }) {
                    turn.emit(Effect::Ignored(event.name()));
                }
                state
            }
        }
    }

    /// Whether a key was typed while the kiosk still started, or goes on with one that was.
    fn is_too_early(&self, now: Instant) -> bool {
        match &self.state {
            State::Starting(_) => true,
            State::Typing(typing) => typing.typed.is_empty() && now < self.deaf_until,
            _ => false,
        }
    }

    /// Why nothing can be sold, if that is so.
    fn cannot_sell(&self) -> Option<Outage> {
        if self.journal_failed {
            Some(Outage::Journal)
        } else if !self.dispenser_ready {
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
            Key::Confirm => match (typed.total(), self.settings.unit) {
                // What cannot be dispensed must not be paid.
                (Ok(total), Some(unit)) if total.get() % unit.get() != 0 => {
                    Err(Refusal::NotMultiple(unit))
                }
                (Ok(total), _) => return self.begin(total, turn),
                (Err(refusal), _) => Err(refusal),
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
            quiet_at: Instant::default(),
            deaf_until: Instant::default(),
            dispenser_ready: true,
            journal_failed: false,
            interrupted: None,
            owed: OwedList::new(),
            state: State::typing(Instant::default()),
        }
    }
}
