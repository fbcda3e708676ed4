//! Where the customer stands: everything that goes on while a call waits for its answer.

use core::time::Duration;
use std::collections::VecDeque;

use super::{Calls, Happening, Pace, Ports, Stop, Witness};
use crate::ids::{SaleId, ScanUrl};
use crate::kiosk::machine::effect::{Effect, Effects};
use crate::kiosk::machine::event::{Event, Key, NotAdded};
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::{Language, Screen};
use crate::kiosk::machine::{Machine, Random};
use crate::kiosk::ports::{
    Awake, Clock, Dispenser, Display, Keypad, Motion, Patience, Pressed, Progress, Signals, Socket,
};
use crate::kiosk::ready::{self, Ready};

/// The panel is set up again after so long without a key or another screen, whatever has happened to it meanwhile.
const RENEWED_WHEN_IDLE: Duration = Duration::from_secs(600);
/// And so long after a pulse: a controller that its spike has reset does not wake up sooner (data sheets: 120 ms).
const RENEWED_AFTER_PULSE: Duration = Duration::from_millis(150);

/// Keys, panel, dispenser, and the machine that they turn.
pub(super) struct Counter {
    pub(super) machine: Machine,
    pub(super) clock: Box<dyn Clock>,
    random: Box<dyn Random>,
    display: Box<dyn Display>,
    keypad: Box<dyn Keypad>,
    pub(super) dispenser: Box<dyn Dispenser>,
    signals: Box<dyn Signals>,
    /// When a sound ends, or the light changes.
    signals_at: Option<Instant>,
    pace: Pace,
    pub(super) stop: Stop,
    alive: Box<dyn FnMut(Instant)>,
    pub(super) witness: Witness,
    /// What the machine wants, in order, and has not got yet.
    pub(super) pending: VecDeque<Effect>,
    /// Whether the call that is under way changes nothing.
    pub(super) is_reading: bool,
    pub(super) pulsing: Option<SaleId>,
    dispenser_ready: Option<bool>,
    pub(super) keys_ended: bool,
    keypad_failed: bool,
    /// The key that was pressed last, and until when it is seen.
    pressed: Option<(Key, Instant)>,
    shown: Option<Shown>,
    display_failed: bool,
    renewal: Renewal,
}

/// When the panel is set up again, and how far that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Renewal {
    /// Nothing has happened: a while after the last key or screen.
    Idle(Instant),
    /// A pulse may have reset it.
    Due(Instant),
    /// It was woken up, and takes its registers then.
    Waking(Instant),
}

impl Renewal {
    fn idle(now: Instant) -> Renewal {
        Renewal::Idle(now + RENEWED_WHEN_IDLE)
    }

    fn at(self) -> Instant {
        let (Renewal::Idle(at) | Renewal::Due(at) | Renewal::Waking(at)) = self;
        at
    }
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
    /// The address, if a phone could read its code off the panel.
    pub(super) fn shown_as_code(&mut self, url: ScanUrl) -> Result<ScanUrl, NotAdded> {
        if self.display.can_show(&url) {
            return Ok(url);
        }
        let length = url.as_str().len();
        tracing::error!(
            "no phone could read a code of {length} characters on this panel: take a larger one; the platform's address is {}",
            url.as_str()
        );
        Err(NotAdded::Refused)
    }

    /// A counter for a machine that wants these effects first, and what its calls go to.
    pub(super) fn new(machine: Machine, first: Effects, ports: Ports) -> (Counter, Calls) {
        let calls = Calls {
            journal: ports.journal,
            merchant: ports.merchant,
            platform: ports.platform,
        };
        let renewal = Renewal::idle(ports.clock.now());
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
            renewal,
        };
        (counter, calls)
    }

    /// Whether the call that is under way only keeps something from being done.
    fn gives_up(&self) -> bool {
        self.is_reading && (!self.pending.is_empty() || (self.stop)())
    }

    fn step(&mut self, event: &Event) {
        let now = self.clock.now();
        let effects = self.machine.step(now, event, &mut *self.random);
        self.pending.extend(&effects);
    }

    /// The machine hears what came of an effect.
    pub(super) fn replied(&mut self, event: &Event) {
        (self.witness)(self.clock.now(), Happening::Reply(event));
        self.step(event);
    }

    /// Looks after the watchdog, the dispenser, the buzzer and the light.
    pub(super) fn attend(&mut self) {
        let now = self.clock.now();
        (self.alive)(now);
        self.signals_at = self.signals.go_on(now);
        let ready = self.dispenser.is_ready();
        if self.dispenser_ready.replace(ready) != Some(ready) {
            self.step(&Event::Dispenser { ready });
        }
        // A pulse is a deadline in this loop.
        if let Some(sale) = self.pulsing {
            if let Some(outcome) = self.dispenser.poll(now) {
                self.pulsing = None;
                self.renewal = Renewal::Due(now + RENEWED_AFTER_PULSE);
                self.replied(&Event::Vended { sale, outcome });
            }
        }
    }

    /// Wakes the machine if something is due.
    pub(super) fn wake(&mut self) {
        let now = self.clock.now();
        if self.wakes_at().is_some_and(|wake_at| now >= wake_at) {
            self.step(&Event::Woke);
        }
    }

    /// When the machine is to be woken: not before what it wants already is under way.
    fn wakes_at(&self) -> Option<Instant> {
        self.machine.wake_at().filter(|_| self.pending.is_empty())
    }

    /// Draws the screen, if it is another one than the panel shows. Between the parts of a large picture keys are heard,
    /// and what they change is drawn at once.
    pub(super) fn refresh(&mut self) {
        self.renew();
        while self.draw() == Progress::Partly {
            self.listen(None, Duration::ZERO);
            self.attend();
        }
    }

    /// Sets the panel up again when it is time, and has the whole picture sent. Not in a pulse: sending takes its time.
    fn renew(&mut self) {
        let now = self.clock.now();
        if self.renews_at().is_none_or(|at| now < at) {
            return;
        }
        let renewed = match (self.renewal, &mut self.shown) {
            (Renewal::Waking(_), Some(shown)) => {
                // All of it is to be sent once more.
                shown.progress = Progress::Partly;
                self.display.set_up().map(|()| None)
            }
            _ => self.display.wake(),
        };
        self.renewal = match renewed {
            Ok(Some(wait)) => Renewal::Waking(now + wait),
            Ok(None) => Renewal::idle(now),
            Err(error) => {
                tracing::error!("the panel cannot be set up again: {error}");
                Renewal::idle(now)
            }
        };
    }

    /// When the panel is to be set up again, if that can be done.
    fn renews_at(&self) -> Option<Instant> {
        let can = self.shown.is_some() && self.pulsing.is_none();
        can.then(|| self.renewal.at())
    }

    /// A key, or another screen: what need not be renewed is not renewed under the customer's eyes.
    fn put_off(&mut self, now: Instant) {
        if let Renewal::Idle(_) = self.renewal {
            self.renewal = Renewal::idle(now);
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
            self.put_off(now);
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
    pub(super) fn sleep(&mut self, socket: Option<Socket<'_>>, at_most: Duration) {
        let now = self.clock.now();
        let wake_at = [
            self.wakes_at(),
            self.dispenser.wake_at(),
            self.signals_at,
            self.moves_at(),
            self.renews_at(),
        ];
        let wake_at = wake_at.iter().flatten().min();
        let longest = match self.shown.as_ref().map(|shown| &shown.screen) {
            Some(Screen::Pay { .. }) => self.pace.countdown.min(at_most),
            _ => self.pace.idle.min(at_most),
        };
        let patience = wake_at.map_or(longest, |wake_at| (*wake_at - now).min(longest));
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
                self.put_off(now);
                self.step(&Event::Key(key));
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
