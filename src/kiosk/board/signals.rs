//! A buzzer and a light, on GPIO lines: heard and seen where the panel is not.
//!
//! Sounds and blinking are deadlines in the kiosk's loop, not sleeps. A line that fails is told once and left alone: it
//! never stops a sale.

use core::fmt;
use core::mem::{self, Discriminant};
use core::time::Duration;
use std::io;

use embedded_hal::digital::OutputPin;

use crate::kiosk::board::gpio::GpioChip;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::machine::screen::Screen;
use crate::kiosk::ports::Signals;

/// Milliseconds on, off, on, …
type Pattern = &'static [u64];

const CLICK: Pattern = &[12];
const PAID: Pattern = &[80, 60, 160];
const FAILED: Pattern = &[400, 150, 400];

/// Somebody is to pay.
const WAITING: Pattern = &[500, 500];
/// Something is under way.
const BUSY: Pattern = &[100, 100];
/// Nothing can be sold.
const DOWN: Pattern = &[60, 1940];

/// The line of a buzzer or a light, as the board file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignalLine {
    /// The line, by BCM number.
    pub pin: u32,
    /// Whether the line is high while it is off.
    pub active_low: bool,
    /// The GPIO chip, by path or label; the header's, if none is named.
    pub gpio_chip: Option<String>,
}

impl SignalLine {
    /// Takes the line, off. `section` of the board file names it in errors.
    fn open(&self, section: &str) -> io::Result<Wave<linux_embedded_hal::CdevPin>> {
        let chip = GpioChip::find(self.gpio_chip.as_deref())?;
        let line = chip.output(&format!("{section}.pin"), self.pin, self.active_low)?;
        Ok(Wave::new(line, self.active_low))
    }
}

impl fmt::Display for SignalLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = if self.active_low { "low" } else { "high" };
        write!(f, "BCM {}, active {active}", self.pin)
    }
}

/// Opens what a board has of them.
pub fn open(
    buzzer: Option<&SignalLine>,
    light: Option<&SignalLine>,
) -> io::Result<Box<dyn Signals>> {
    Ok(Box::new(LineSignals::new(
        buzzer.map(|line| line.open("buzzer")).transpose()?,
        light.map(|line| line.open("light")).transpose()?,
    )))
}

/// The buzzer and the light that a board has.
pub struct LineSignals<P: OutputPin> {
    buzzer: Option<Wave<P>>,
    light: Option<Wave<P>>,
    /// Which screen they tell of, whatever changes on it.
    told: Option<Discriminant<Screen>>,
}

impl<P: OutputPin> LineSignals<P> {
    fn new(buzzer: Option<Wave<P>>, light: Option<Wave<P>>) -> LineSignals<P> {
        LineSignals {
            buzzer,
            light,
            told: None,
        }
    }
}

impl<P: OutputPin> Signals for LineSignals<P> {
    fn key(&mut self, now: Instant) {
        // A click must not cut off what says more.
        if let Some(buzzer) = self.buzzer.as_mut().filter(|buzzer| buzzer.is_over()) {
            buzzer.begin(CLICK, false, now);
        }
    }

    fn screen(&mut self, now: Instant, screen: &Screen) {
        // Another language, or another second of the countdown, is no news.
        let told = mem::discriminant(screen);
        if self.told.replace(told) == Some(told) {
            return;
        }
        let sound = match screen {
            Screen::Paid { .. } => Some(PAID),
            Screen::CouldNot { .. } => Some(FAILED),
            _ => None,
        };
        if let (Some(buzzer), Some(sound)) = (&mut self.buzzer, sound) {
            buzzer.begin(sound, false, now);
        }
        let Some(light) = &mut self.light else {
            return;
        };
        match screen {
            Screen::Amount { .. } | Screen::ThankYou { .. } | Screen::NotPaid { .. } => {
                light.hold(true);
            }
            Screen::Pay { .. } => light.begin(WAITING, true, now),
            Screen::OneMoment { .. } | Screen::Paid { .. } => light.begin(BUSY, true, now),
            Screen::CouldNot { .. } | Screen::OutOfService { .. } => light.begin(DOWN, true, now),
        }
    }

    fn go_on(&mut self, now: Instant) -> Option<Instant> {
        let waves = [&mut self.buzzer, &mut self.light];
        waves
            .into_iter()
            .flatten()
            .filter_map(|wave| wave.go_on(now))
            .min()
    }
}

/// A line that goes on and off in a pattern.
struct Wave<P: OutputPin> {
    line: P,
    active_low: bool,
    is_broken: bool,
    pattern: Pattern,
    place: usize,
    repeats: bool,
    turns_at: Option<Instant>,
}

impl<P: OutputPin> Wave<P> {
    fn new(line: P, active_low: bool) -> Wave<P> {
        let mut wave = Wave {
            line,
            active_low,
            is_broken: false,
            pattern: &[],
            place: 0,
            repeats: false,
            turns_at: None,
        };
        wave.set(false);
        wave
    }

    fn begin(&mut self, pattern: Pattern, repeats: bool, now: Instant) {
        (self.pattern, self.place, self.repeats) = (pattern, 0, repeats);
        self.set(true);
        self.turns_at = pattern.first().map(|ms| now + Duration::from_millis(*ms));
    }

    fn hold(&mut self, on: bool) {
        self.turns_at = None;
        self.set(on);
    }

    fn is_over(&self) -> bool {
        self.turns_at.is_none()
    }

    /// Turns the line if it is time; when it turns next.
    fn go_on(&mut self, now: Instant) -> Option<Instant> {
        if self.turns_at.is_some_and(|turns_at| now >= turns_at) {
            self.place += 1;
            if self.repeats {
                self.place %= self.pattern.len();
            }
            match self.pattern.get(self.place) {
                // From now: a loop that was held up must not catch up in a rattle.
                Some(ms) => {
                    self.set(self.place % 2 == 0);
                    self.turns_at = Some(now + Duration::from_millis(*ms));
                }
                None => self.hold(false),
            }
        }
        self.turns_at
    }

    fn set(&mut self, on: bool) {
        let told = match on != self.active_low {
            true => self.line.set_high(),
            false => self.line.set_low(),
        };
        if let (Err(error), false) = (told, self.is_broken) {
            tracing::error!("the line of the buzzer or the light cannot be set: {error:?}");
            self.is_broken = true;
        }
    }
}

impl<P: OutputPin> Drop for Wave<P> {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kiosk::machine::screen::{Failure, Outage};
    use crate::money::Fen;
    use core::cell::RefCell;
    use core::convert::Infallible;
    use embedded_hal::digital::ErrorType;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Line(Rc<RefCell<Vec<bool>>>);

    impl ErrorType for Line {
        type Error = Infallible;
    }

    impl OutputPin for Line {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0.borrow_mut().push(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0.borrow_mut().push(true);
            Ok(())
        }
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn signals() -> (LineSignals<Line>, Line, Line) {
        let (buzzer, light) = (Line::default(), Line::default());
        let waves = [&buzzer, &light].map(|line| Some(Wave::new(line.clone(), false)));
        let [of_buzzer, of_light] = waves;
        (LineSignals::new(of_buzzer, of_light), buzzer, light)
    }

    /// Turns the loop only when it was asked to; the line's edges with their times.
    fn edges(signals: &mut LineSignals<Line>, line: &Line, until: u64) -> Vec<(u64, bool)> {
        let mut seen = Vec::new();
        let mut now = 0;
        while now <= until {
            let next = signals.go_on(at(now));
            seen.extend(line.0.take().into_iter().map(|on| (now, on)));
            let Some(next) = next else { break };
            now = (next - at(0)).as_millis() as u64;
        }
        seen
    }

    fn total() -> Fen {
        Fen::new(350).expect("an amount")
    }

    #[test]
    fn a_key_clicks_and_the_click_ends() {
        let (mut signals, buzzer, _) = signals();
        assert_eq!(buzzer.0.take(), [false], "off at once");
        signals.key(at(0));
        assert_eq!(
            edges(&mut signals, &buzzer, 10_000),
            [(0, true), (12, false)]
        );
    }

    #[test]
    fn paid_and_failed_sound_unlike_and_no_key_cuts_them_off() {
        let (mut signals, buzzer, _) = signals();
        buzzer.0.take();
        signals.screen(at(0), &Screen::Paid { total: total() });
        signals.key(at(0));
        let paid = edges(&mut signals, &buzzer, 1000);
        assert_eq!(paid, [(0, true), (80, false), (140, true), (300, false)]);
        signals.screen(at(0), &Screen::Paid { total: total() });
        assert_eq!(
            edges(&mut signals, &buzzer, 1000),
            [],
            "in another language"
        );
        let failed = Screen::CouldNot {
            what: Failure::Unknown,
            total: total(),
            reference: None,
        };
        signals.screen(at(0), &failed);
        let failed = edges(&mut signals, &buzzer, 1000);
        assert_eq!(failed, [(0, true), (400, false), (550, true), (950, false)]);
    }

    #[test]
    fn the_light_is_steady_while_anything_can_be_bought_and_flashes_while_nothing_can() {
        let (mut signals, _, light) = signals();
        let ready = Screen::Amount {
            typed: Default::default(),
            refused: None,
        };
        signals.screen(at(0), &ready);
        assert_eq!(light.0.take(), [false, true]);
        assert_eq!(signals.go_on(at(0)), None, "nothing wakes an idle kiosk");
        let down = Screen::OutOfService {
            why: Outage::NoMerchant,
        };
        signals.screen(at(0), &down);
        let flashes = edges(&mut signals, &light, 2100);
        assert_eq!(
            flashes,
            [(0, true), (60, false), (2000, true), (2060, false)]
        );
    }

    #[test]
    fn both_are_off_when_the_kiosk_is_gone() {
        let (mut signals, buzzer, light) = signals();
        signals.screen(at(0), &Screen::Paid { total: total() });
        drop(signals);
        assert_eq!(buzzer.0.borrow().last(), Some(&false));
        assert_eq!(light.0.borrow().last(), Some(&false));
    }
}
