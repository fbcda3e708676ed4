//! The loop: events go into the machine, its effects go to the adapters, the screen goes to the display.
//!
//! One thread. Effects run strictly in order, and none begins before the record in front of it is durable; if a record
//! cannot be made durable, the effects behind it never begin. It decides nothing.

use core::time::Duration;
use std::collections::VecDeque;

use crate::ids::SaleId;
use crate::kiosk::machine::effect::{Effect, Effects};
use crate::kiosk::machine::event::{Event, Key};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::{Language, Screen};
use crate::kiosk::machine::{Machine, Random};
use crate::kiosk::ports::{
    Clock, Dispenser, Display, Journal, Keypad, Merchant, Patience, Platform, Pressed,
};
use crate::sale::Outcome;

/// Everything outside the machine.
pub struct Ports<'a> {
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The dice.
    pub random: &'a mut dyn Random,
    /// What shows the screens.
    pub display: &'a mut dyn Display,
    /// The keypad.
    pub keypad: &'a mut dyn Keypad,
    /// The dispenser.
    pub dispenser: &'a mut dyn Dispenser,
    /// The journal.
    pub journal: &'a mut dyn Journal,
    /// The merchant's server.
    pub merchant: &'a mut dyn Merchant,
    /// The platform.
    pub platform: &'a mut dyn Platform,
    /// How often the loop turns.
    pub pace: Pace,
    /// Who is told at every turn that the loop still turns.
    pub alive: &'a mut dyn FnMut(Instant),
    /// Who is told what happens, in order: logs, and the demo's story.
    pub witness: &'a mut dyn FnMut(Instant, Happening<'_>),
}

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

/// How long a pulse may go on after the kiosk was told to end.
const LAST_PULSE: Duration = Duration::from_secs(5);

/// How often the loop turns though nothing happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// A signal, or a dispenser that is not ready any more, is noticed after so long at the latest.
    pub idle: Duration,
    /// While the countdown shows: its second must not jump.
    pub countdown: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            idle: Duration::from_secs(1),
            countdown: Duration::from_millis(200),
        }
    }
}

/// The loop and what it holds.
pub struct Runner<'a> {
    machine: Machine,
    ports: Ports<'a>,
    pending: VecDeque<Effect>,
    pulsing: Option<SaleId>,
    dispenser_ready: Option<bool>,
    keys_ended: bool,
    shown: Option<(Screen, Language)>,
    display_failed: bool,
}

impl<'a> Runner<'a> {
    /// A runner for a machine that wants these effects first.
    pub fn new(machine: Machine, first: Effects, ports: Ports<'a>) -> Runner<'a> {
        Runner {
            machine,
            pending: first.into_iter().collect(),
            pulsing: None,
            dispenser_ready: None,
            keys_ended: false,
            shown: None,
            display_failed: false,
            ports,
        }
    }

    /// Runs until `stop` says so, or until the keys have ended and nothing is going on.
    ///
    /// A pulse that is under way when `stop` comes is finished first, if it ends soon; a longer one is cut off, and
    /// the next start reports that nobody knows what it did.
    pub fn run(&mut self, stop: &dyn Fn() -> bool) {
        let mut stopped_at = None;
        loop {
            self.turn(stop);
            let now = self.ports.clock.now();
            if stop() {
                let stopped_at = *stopped_at.get_or_insert(now);
                if self.pulsing.is_none() || now - stopped_at >= LAST_PULSE {
                    return;
                }
            }
            let idle = self.machine.is_idle() && self.pending.is_empty();
            if self.keys_ended && idle && self.pulsing.is_none() {
                return;
            }
            self.sleep();
        }
    }

    /// Does what is to be done without waiting for a key. At most one thing that is due begins: keys come between.
    fn turn(&mut self, stop: &dyn Fn() -> bool) {
        let ready = self.ports.dispenser.is_ready();
        if self.dispenser_ready.replace(ready) != Some(ready) {
            self.step(Event::Dispenser { ready });
        }
        let now = self.ports.clock.now();
        let is_due = self.machine.wake_at().is_some_and(|wake_at| now >= wake_at);
        if is_due && self.pending.is_empty() {
            self.step(Event::Woke);
        }
        loop {
            (self.ports.alive)(self.ports.clock.now());
            self.carry_pulse();
            let Some(effect) = self.pending.pop_front() else {
                break;
            };
            // What was going to be asked is left to the next start; what has been done is still told.
            if stop() && !matches!(effect, Effect::Record(_) | Effect::Report { .. }) {
                self.pending.clear();
                break;
            }
            self.perform(effect);
        }
        self.refresh();
    }

    fn step(&mut self, event: Event) {
        let now = self.ports.clock.now();
        let effects = self.machine.step(now, event, self.ports.random);
        self.pending.extend(effects);
    }

    fn perform(&mut self, effect: Effect) {
        if !matches!(effect, Effect::Record(_)) {
            // A call may take seconds: what it is about must be on the panel before.
            self.refresh();
        }
        // Only now: a slow panel takes its time, and a pulse that began before it would be over at once.
        let now = self.ports.clock.now();
        (self.ports.witness)(now, Happening::Effect(&effect));
        if let Some(event) = self.call(effect, now) {
            (self.ports.witness)(self.ports.clock.now(), Happening::Reply(&event));
            self.step(event);
        }
    }

    fn call(&mut self, effect: Effect, now: Instant) -> Option<Event> {
        let Ports {
            journal,
            merchant,
            platform,
            dispenser,
            ..
        } = &mut self.ports;
        // Keys wait while a call is under way; what is pressed meanwhile is read after it.
        let idle = &mut || Patience::Wait;
        match effect {
            Effect::Record(record) => {
                let error = journal.append(&record).err()?;
                tracing::error!(
                    "the journal cannot be written: {error}; nothing is sold until that is mended"
                );
                self.pending.clear();
                Some(Event::JournalFailed)
            }
            Effect::AskUnsettled => Some(Event::Unsettled(merchant.unsettled(idle))),
            Effect::Register { order, sale, total } => Some(Event::Registered {
                order,
                result: merchant.register(order, sale, total, idle),
            }),
            Effect::AddOrder { order, total } => Some(Event::Added {
                order,
                result: platform.add_order(order, total, idle),
            }),
            Effect::Poll { order, sale } => Some(Event::Polled {
                sale,
                result: merchant.poll(order, idle),
            }),
            Effect::Claim { sale, claim } => Some(Event::Claimed {
                sale,
                result: merchant.claim(sale, claim, idle),
            }),
            Effect::Close { sale } => Some(Event::Closed {
                sale,
                result: merchant.close(sale, idle),
            }),
            Effect::Report {
                sale,
                claim,
                outcome,
            } => Some(Event::Reported {
                sale,
                result: merchant.report(sale, claim, outcome, idle),
            }),
            Effect::Pulse { sale, total } => match dispenser.start(now, sale, total) {
                Ok(()) => {
                    self.pulsing = Some(sale);
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

    /// A pulse is a deadline in this loop.
    fn carry_pulse(&mut self) {
        let now = self.ports.clock.now();
        if let Some(sale) = self.pulsing {
            if let Some(outcome) = self.ports.dispenser.poll(now) {
                self.pulsing = None;
                let event = Event::Vended { sale, outcome };
                (self.ports.witness)(now, Happening::Reply(&event));
                self.step(event);
            }
        }
    }

    /// Draws the screen, if it is another one than the panel shows.
    fn refresh(&mut self) {
        let now = self.ports.clock.now();
        let wanted = (self.machine.screen(now), self.machine.language());
        if self.shown.as_ref() == Some(&wanted) {
            return;
        }
        match self.ports.display.show(&wanted.0, wanted.1) {
            Ok(()) => {
                self.display_failed = false;
                (self.ports.witness)(now, Happening::Screen(&wanted.0));
                self.shown = Some(wanted);
            }
            Err(error) => {
                // It is shown again at the next turn. Told once, not every second.
                self.shown = None;
                if !core::mem::replace(&mut self.display_failed, true) {
                    let name = wanted.0.name();
                    tracing::error!("the panel does not show the screen {name}: {error}");
                }
            }
        }
    }

    /// Sleeps until a key, or until there is something to do.
    fn sleep(&mut self) {
        let now = self.ports.clock.now();
        let wake_at = [self.machine.wake_at(), self.ports.dispenser.wake_at()]
            .into_iter()
            .flatten()
            .min();
        let longest = match self.shown {
            Some((Screen::Pay { .. }, _)) => self.ports.pace.countdown,
            _ => self.ports.pace.idle,
        };
        let patience = wake_at.map_or(longest, |wake_at| (wake_at - now).min(longest));
        match self.ports.keypad.wait(patience) {
            Ok(Pressed::Key(key)) => {
                (self.ports.witness)(self.ports.clock.now(), Happening::Key(key));
                self.step(Event::Key(key));
            }
            Ok(Pressed::Nothing) => {}
            Ok(Pressed::Ended) => self.keys_ended = true,
            Err(error) => {
                tracing::error!("the keypad cannot be read: {error}");
                self.keys_ended = true;
            }
        }
    }
}

#[cfg(test)]
mod tests;
