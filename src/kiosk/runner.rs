//! The loop: events go into the machine, its effects go to the adapters, the screen goes to the display.
//!
//! One thread. Effects run strictly in order, and none begins before the record in front of it is durable; if a record
//! cannot be made durable, the effects behind it never begin. It decides nothing.
//!
//! While a call waits for its answer the loop goes on turning in it (`counter.rs`): keys are heard, screens drawn, a
//! pulse ends in time. What the machine wants meanwhile comes after the call; a call that only reads gives way to it.

mod counter;

use core::time::Duration;

use crate::kiosk::machine::effect::{Effect, Effects};
use crate::kiosk::machine::event::{Event, Key};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::{Outage, Screen};
use crate::kiosk::machine::{Machine, Random};
use crate::kiosk::ports::{
    Clock, Dispenser, Display, Journal, Keypad, Merchant, Platform, Signals,
};
use crate::sale::Outcome;
use counter::Counter;

/// Everything outside the machine.
pub struct Ports {
    /// The clock.
    pub clock: Box<dyn Clock>,
    /// The dice.
    pub random: Box<dyn Random>,
    /// What shows the screens.
    pub display: Box<dyn Display>,
    /// The keypad.
    pub keypad: Box<dyn Keypad>,
    /// The dispenser.
    pub dispenser: Box<dyn Dispenser>,
    /// The buzzer and the light.
    pub signals: Box<dyn Signals>,
    /// The journal.
    pub journal: Box<dyn Journal>,
    /// The merchant's server.
    pub merchant: Box<dyn Merchant>,
    /// The platform.
    pub platform: Box<dyn Platform>,
    /// How often the loop turns.
    pub pace: Pace,
    /// Whether the kiosk is to end.
    pub stop: Stop,
    /// Who is told at every turn that the loop still turns.
    pub alive: Box<dyn FnMut(Instant)>,
    /// Who is told what happens, in order: logs, and the demo's story.
    pub witness: Witness,
}

/// Says that the kiosk is to end.
pub type Stop = Box<dyn Fn() -> bool>;

/// Is told what happens.
pub type Witness = Box<dyn FnMut(Instant, Happening<'_>)>;

/// One thing that happens.
#[derive(Debug)]
pub enum Happening<'a> {
    /// A key was pressed.
    Key(Key),
    /// An effect begins.
    Effect(&'a Effect),
    /// An effect has ended so.
    Reply(&'a Event),
    /// A screen shows.
    Screen(&'a Screen),
}

/// So often the merchant is told that the kiosk is there.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long a pulse may go on after the kiosk was told to end.
const LAST_PULSE: Duration = Duration::from_secs(5);

/// How often the loop turns though nothing happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// A signal, or a dispenser that is not ready any more, is noticed after so long at the latest.
    pub idle: Duration,
    /// While the countdown shows: its second must not jump.
    pub countdown: Duration,
    /// Between two beats of a screen that moves.
    pub beat: Duration,
    /// How long a pressed key is seen.
    pub echo: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            idle: Duration::from_secs(1),
            countdown: Duration::from_millis(200),
            beat: Duration::from_millis(400),
            echo: Duration::from_millis(200),
        }
    }
}

/// What is called, and waited for.
struct Calls {
    journal: Box<dyn Journal>,
    merchant: Box<dyn Merchant>,
    platform: Box<dyn Platform>,
}

/// The loop and what it holds.
pub struct Runner {
    counter: Counter,
    calls: Calls,
    /// What the merchant was told last of what keeps us from selling, and when.
    told: Option<(Instant, Option<Outage>)>,
}

impl Runner {
    /// A runner for a machine that wants these effects first.
    pub fn new(machine: Machine, first: Effects, ports: Ports) -> Runner {
        let (counter, calls) = Counter::new(machine, first, ports);
        Runner {
            counter,
            calls,
            told: None,
        }
    }

    /// Runs until it is to stop, or until the keys have ended and nothing is going on.
    ///
    /// A pulse that is under way when it is to stop is finished first, if it ends soon; a longer one is cut off, and
    /// the next start reports that nobody knows what it did.
    pub fn run(&mut self) {
        let mut stopped_at = None;
        loop {
            self.turn();
            self.tell();
            let counter = &mut self.counter;
            let now = counter.clock.now();
            if (counter.stop)() {
                let stopped_at = *stopped_at.get_or_insert(now);
                if counter.pulsing.is_none() || now - stopped_at >= LAST_PULSE {
                    return;
                }
            }
            if !counter.pending.is_empty() {
                continue;
            }
            let idle = counter.machine.is_idle();
            if counter.keys_ended && idle && counter.pulsing.is_none() {
                return;
            }
            counter.sleep(None, Duration::MAX);
        }
    }

    /// Does what is to be done without waiting for a key. At most one thing that is due begins: keys come between.
    fn turn(&mut self) {
        self.counter.wake();
        loop {
            self.work_off();
            self.counter.refresh();
            // Keys are heard, and pulses end, while a large picture is on its way: what they want must not wait.
            if self.counter.pending.is_empty() {
                return;
            }
        }
    }

    /// Tells the merchant now and then that we are there, and at once when something keeps us from selling, or does no
    /// more. A sale tells by itself.
    fn tell(&mut self) {
        let counter = &mut self.counter;
        let now = counter.clock.now();
        let outage = match counter.machine.screen(now) {
            Screen::Amount { .. } => None,
            Screen::OutOfService { why } => Some(why),
            _ => return,
        };
        let is_told = self
            .told
            .is_some_and(|(at, told)| told == outage && now - at < HEARTBEAT);
        if is_told || !counter.pending.is_empty() || (counter.stop)() {
            return;
        }
        self.told = Some((now, outage));
        counter.is_reading = true;
        self.calls.merchant.heartbeat(outage, counter);
    }

    /// Performs what is pending, in order.
    fn work_off(&mut self) {
        loop {
            self.counter.attend();
            let Some(effect) = self.counter.pending.pop_front() else {
                break;
            };
            // What was going to be asked is left to the next start. What is promised is done, and what was done is told.
            let is_promised = matches!(
                effect,
                Effect::Record(_) | Effect::Pulse { .. } | Effect::Report { .. }
            );
            if (self.counter.stop)() && !is_promised {
                self.counter.pending.clear();
                break;
            }
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        // What is asked about, or comes out, must be on the panel before. Where a customer waits for the answer the call
        // is made at once: its picture is drawn while the other side works.
        let is_urgent = matches!(
            effect,
            Effect::Register { .. } | Effect::AddOrder { .. } | Effect::Claim { .. }
        );
        if !is_urgent && !matches!(effect, Effect::Record(_)) {
            self.counter.refresh();
        }
        // Only now: a slow panel takes its time, and a pulse that began before it would be over at once.
        let now = self.counter.clock.now();
        (self.counter.witness)(now, Happening::Effect(&effect));
        if let Some(event) = &self.call(effect, now) {
            if is_urgent {
                // However quick the answer: each screen is seen.
                self.counter.refresh();
            }
            self.counter.replied(event);
        }
    }

    fn call(&mut self, effect: Effect, now: Instant) -> Option<Event> {
        let Runner { counter, calls, .. } = self;
        let Calls {
            journal,
            merchant,
            platform,
        } = calls;
        counter.is_reading = matches!(effect, Effect::AskUnsettled | Effect::Poll { .. });
        match effect {
            Effect::Record(record) => {
                let error = journal.append(&record).err()?;
                tracing::error!(
                    "the journal cannot be written: {error}; nothing is sold until that is mended"
                );
                counter.pending.clear();
                Some(Event::JournalFailed)
            }
            Effect::AskUnsettled => Some(Event::Unsettled(merchant.unsettled(counter))),
            Effect::Register { order, sale, total } => Some(Event::Registered {
                order,
                result: merchant.register(order, sale, total, counter),
            }),
            Effect::AddOrder { order, total } => Some(Event::Added {
                order,
                result: platform
                    .add_order(order, total, counter)
                    .and_then(|url| counter.shown_as_code(url)),
            }),
            Effect::Poll { order, sale } => Some(Event::Polled {
                sale,
                result: merchant.poll(order, counter),
            }),
            Effect::Claim { sale, claim } => Some(Event::Claimed {
                sale,
                result: merchant.claim(sale, claim, counter),
            }),
            Effect::Close { sale } => Some(Event::Closed {
                sale,
                result: merchant.close(sale, counter),
            }),
            Effect::Report {
                sale,
                claim,
                outcome,
            } => Some(Event::Reported {
                sale,
                result: merchant.report(sale, claim, outcome, counter),
            }),
            Effect::Pulse { sale, total } => match counter.dispenser.start(now, sale, total) {
                Ok(()) => {
                    counter.pulsing = Some(sale);
                    None
                }
                Err(error) => {
                    tracing::error!("the dispenser did not start: {error}");
                    Some(Event::Vended {
                        sale,
                        outcome: Outcome::NotDispensed,
                    })
                }
            },
            Effect::Ignored(what) => {
                tracing::info!("ignored: {what}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
