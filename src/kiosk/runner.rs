//! The loop: events go into the machine, its effects go to the adapters, the screen goes to the display.
//!
//! One thread. Effects run strictly in order, and none begins before the record in front of it is durable; if a record
//! cannot be made durable, the effects behind it never begin. It decides nothing.
//!
//! While a call waits for its answer the loop goes on turning in it ([`Awake`]): keys are heard, screens drawn, a pulse
//! ends in time. What the machine wants meanwhile comes after the call; a call that only reads gives way to it.

use core::time::Duration;
use std::collections::VecDeque;

use crate::ids::SaleId;
use crate::kiosk::machine::effect::{Effect, Effects};
use crate::kiosk::machine::event::{Event, Key};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::{Language, Outage, Screen};
use crate::kiosk::machine::{Machine, Random};
use crate::kiosk::ports::{
    Awake, Clock, Dispenser, Display, Journal, Keypad, Merchant, Motion, Patience, Platform,
    Pressed, Progress, Signals, Socket,
};
use crate::kiosk::ready::{self, Ready};
use crate::sale::Outcome;

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

/// The loop and what it holds.
pub struct Runner {
    counter: Counter,
    journal: Box<dyn Journal>,
    merchant: Box<dyn Merchant>,
    platform: Box<dyn Platform>,
    /// What the merchant was told last of what keeps us from selling, and when.
    told: Option<(Instant, Option<Outage>)>,
}

/// Where the customer stands: everything that goes on while a call waits for its answer.
struct Counter {
    machine: Machine,
    clock: Box<dyn Clock>,
    random: Box<dyn Random>,
    display: Box<dyn Display>,
    keypad: Box<dyn Keypad>,
    dispenser: Box<dyn Dispenser>,
    signals: Box<dyn Signals>,
    /// When a sound ends, or the light changes.
    signals_at: Option<Instant>,
    pace: Pace,
    stop: Stop,
    alive: Box<dyn FnMut(Instant)>,
    witness: Witness,
    /// What the machine wants, in order, and has not got yet.
    pending: VecDeque<Effect>,
    /// Whether the call that is under way changes nothing.
    is_reading: bool,
    pulsing: Option<SaleId>,
    dispenser_ready: Option<bool>,
    keys_ended: bool,
    keypad_failed: bool,
    /// The key that was pressed last, and until when it is seen.
    pressed: Option<(Key, Instant)>,
    shown: Option<Shown>,
    display_failed: bool,
}

/// What the panel shows.
struct Shown {
    screen: Screen,
    language: Language,
    motion: Motion,
    /// Since when it is this screen, whatever moves on it.
    since: Instant,
    /// Whether nobody was told of it yet: it has not been whole.
    is_new: bool,
    progress: Progress,
}

impl Runner {
    /// A runner for a machine that wants these effects first.
    pub fn new(machine: Machine, first: Effects, ports: Ports) -> Runner {
        let Ports {
            journal,
            merchant,
            platform,
            ..
        } = ports;
        let counter = Counter {
            machine,
            clock: ports.clock,
            random: ports.random,
            display: ports.display,
            keypad: ports.keypad,
            dispenser: ports.dispenser,
            signals: ports.signals,
            signals_at: None,
            pace: ports.pace,
            stop: ports.stop,
            alive: ports.alive,
            witness: ports.witness,
            pending: first.into_iter().collect(),
            is_reading: false,
            pulsing: None,
            dispenser_ready: None,
            keys_ended: false,
            keypad_failed: false,
            pressed: None,
            shown: None,
            display_failed: false,
        };
        Runner {
            counter,
            journal,
            merchant,
            platform,
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
        self.merchant.heartbeat(outage, counter);
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
        if let Some(event) = self.call(effect, now) {
            if is_urgent {
                // However quick the answer: each screen is seen.
                self.counter.refresh();
            }
            self.counter.replied(event);
        }
    }

    fn call(&mut self, effect: Effect, now: Instant) -> Option<Event> {
        let Runner {
            counter,
            journal,
            merchant,
            platform,
            ..
        } = self;
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
                result: platform.add_order(order, total, counter),
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

impl Awake for Counter {
    fn wait(&mut self, socket: Option<Socket<'_>>, at_most: Duration) -> Patience {
        // An answer that is there already does not wait for a picture.
        let is_there = socket.is_some()
            && matches!(ready::wait(None, socket, Duration::ZERO), Ok(Ready::Socket));
        if is_there {
            self.listen(None, Duration::ZERO);
        } else {
            self.refresh();
            if !self.gives_up() {
                self.sleep(socket, at_most);
            }
        }
        self.attend();
        self.wake();
        match self.gives_up() {
            true => {
                self.refresh();
                Patience::Abandon
            }
            false => Patience::Wait,
        }
    }
}

impl Counter {
    /// Whether the call that is under way only keeps something from being done.
    fn gives_up(&self) -> bool {
        self.is_reading && (!self.pending.is_empty() || (self.stop)())
    }

    fn step(&mut self, event: Event) {
        let now = self.clock.now();
        let effects = self.machine.step(now, event, &mut *self.random);
        self.pending.extend(effects);
    }

    /// The machine hears what came of an effect.
    fn replied(&mut self, event: Event) {
        (self.witness)(self.clock.now(), Happening::Reply(&event));
        self.step(event);
    }

    /// Looks after the watchdog, the dispenser, the buzzer and the light.
    fn attend(&mut self) {
        let now = self.clock.now();
        (self.alive)(now);
        self.signals_at = self.signals.go_on(now);
        let ready = self.dispenser.is_ready();
        if self.dispenser_ready.replace(ready) != Some(ready) {
            self.step(Event::Dispenser { ready });
        }
        // A pulse is a deadline in this loop.
        if let Some(sale) = self.pulsing {
            if let Some(outcome) = self.dispenser.poll(now) {
                self.pulsing = None;
                self.replied(Event::Vended { sale, outcome });
            }
        }
    }

    /// Wakes the machine if something is due.
    fn wake(&mut self) {
        let now = self.clock.now();
        if self.wakes_at().is_some_and(|wake_at| now >= wake_at) {
            self.step(Event::Woke);
        }
    }

    /// When the machine is to be woken: not before what it wants already is under way.
    fn wakes_at(&self) -> Option<Instant> {
        self.machine.wake_at().filter(|_| self.pending.is_empty())
    }

    /// Draws the screen, if it is another one than the panel shows. Between the parts of a large picture keys are heard,
    /// and what they change is drawn at once.
    fn refresh(&mut self) {
        while self.draw() == Progress::Partly {
            self.listen(None, Duration::ZERO);
            self.attend();
        }
    }

    /// Begins to show the screen as it is now, or goes on with it.
    fn draw(&mut self) -> Progress {
        let now = self.clock.now();
        let (screen, language) = (self.machine.screen(now), self.machine.language());
        let same = self
            .shown
            .as_ref()
            .filter(|shown| (&shown.screen, shown.language) == (&screen, language));
        let since = same.map_or(now, |shown| shown.since);
        let is_new = same.is_none_or(|shown| shown.is_new);
        self.pressed.take_if(|(_, until)| now >= *until);
        let motion = match same {
            // Drawing takes its time, and a pulse must not.
            Some(shown) if self.pulsing.is_some() => shown.motion,
            _ => Motion {
                pressed: self.pressed.map(|(key, _)| key),
                beat: match same {
                    // A panel slower than the beat must get its picture whole.
                    Some(shown) if shown.progress == Progress::Partly => shown.motion.beat,
                    _ if moves(&screen) => {
                        ((now - since).as_millis() / self.pace.beat.as_millis()) as u32
                    }
                    _ => 0,
                },
            },
        };
        let is_drawn = same.is_some_and(|shown| shown.motion == motion);
        let progress = match &self.shown {
            Some(shown) if is_drawn && shown.progress == Progress::Whole => return Progress::Whole,
            Some(_) if is_drawn => self.display.go_on(),
            _ => self.display.show(&screen, language, motion),
        };
        let progress = match progress {
            Ok(progress) => progress,
            Err(error) => {
                // It is shown again at the next turn. Told once, not every second.
                self.shown = None;
                if !core::mem::replace(&mut self.display_failed, true) {
                    let name = screen.name();
                    tracing::error!("the panel does not show the screen {name}: {error}");
                }
                return Progress::Whole;
            }
        };
        let is_told = is_new && progress == Progress::Whole;
        if is_told {
            self.display_failed = false;
            (self.witness)(now, Happening::Screen(&screen));
            self.signals.screen(now, &screen);
            self.signals_at = Some(now);
        }
        self.shown = Some(Shown {
            screen,
            language,
            motion,
            since,
            is_new: is_new && !is_told,
            progress,
        });
        progress
    }

    /// When what is shown wants to move.
    fn moves_at(&self) -> Option<Instant> {
        let shown = self.shown.as_ref().filter(|_| self.pulsing.is_none())?;
        let next = shown.since + self.pace.beat * (shown.motion.beat + 1);
        let beat = moves(&shown.screen).then_some(next);
        let pressed = self.pressed.map(|(_, until)| until);
        beat.into_iter().chain(pressed).min()
    }

    /// Sleeps until a key, until the socket is ready, or until there is something to do.
    fn sleep(&mut self, socket: Option<Socket<'_>>, at_most: Duration) {
        let now = self.clock.now();
        let wake_at = [
            self.wakes_at(),
            self.dispenser.wake_at(),
            self.signals_at,
            self.moves_at(),
        ];
        let wake_at = wake_at.into_iter().flatten().min();
        let longest = match self.shown.as_ref().map(|shown| &shown.screen) {
            Some(Screen::Pay { .. }) => self.pace.countdown.min(at_most),
            _ => self.pace.idle.min(at_most),
        };
        let patience = wake_at.map_or(longest, |wake_at| (wake_at - now).min(longest));
        self.listen(socket, patience);
    }

    /// Waits for a key or the socket, for so long at most.
    fn listen(&mut self, socket: Option<Socket<'_>>, patience: Duration) {
        if self.keypad_failed {
            // An error would come again at once, from the socket itself.
            let _ = ready::wait(None, socket, patience);
            return;
        }
        match self.keypad.wait(patience, socket) {
            Ok(Pressed::Key(key)) => {
                let now = self.clock.now();
                (self.witness)(now, Happening::Key(key));
                self.pressed = Some((key, now + self.pace.echo));
                self.signals.key(now);
                self.signals_at = Some(now);
                self.step(Event::Key(key));
            }
            Ok(Pressed::Nothing) => {}
            Ok(Pressed::Ended) => self.keys_ended = true,
            Err(error) => {
                tracing::error!("the keypad cannot be read: {error}");
                (self.keys_ended, self.keypad_failed) = (true, true);
            }
        }
    }
}

/// Whether something moves on this screen for as long as it shows.
fn moves(screen: &Screen) -> bool {
    matches!(screen, Screen::OneMoment { .. })
}

#[cfg(test)]
mod tests;
