//! The dispenser `pulse`: a relay, or a coin acceptor's line, on a GPIO pin.
//!
//! With a drop sensor it knows whether goods fell: the outcome is what the sensor saw. Without one, goods are believed to
//! be out when the pulses are.
//!
//! A pulse is a deadline in the kiosk's loop, not a sleep. The line is off from the moment it is opened until a pulse
//! begins, and off again when this is dropped: on exit, on a signal, on a panic. What a process cannot assure (its own
//! death by SIGKILL, a dead kernel) the hardware must: a pull resistor, and a monostable that ends any pulse.

mod sensor;
mod train;

use core::fmt;
use core::time::Duration;
use std::io;

use embedded_hal::digital::OutputPin;
use linux_embedded_hal::CdevPin;

use crate::ids::SaleId;
use crate::kiosk::board::gpio::GpioChip;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::ports::Dispenser;
use crate::money::Fen;
use crate::sale::Outcome;

pub use sensor::{DropSensor, SensorLine};
use train::Train;
pub use train::{Count, Shape};

/// Between two looks at the drop sensor.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A pulse line, as the board file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PulseLine {
    /// The line, by BCM number.
    pub pin: u32,
    /// Whether the line is high while it is off.
    pub active_low: bool,
    /// What a sale's pulses look like.
    pub shape: Shape,
    /// The drop sensor, where there is one.
    pub sensor: Option<SensorLine>,
    /// The GPIO chip, by path or label; the header's, if none is named.
    pub gpio_chip: Option<String>,
}

impl PulseLine {
    /// Takes the line, off.
    pub fn open(&self) -> io::Result<PulseDispenser<CdevPin>> {
        let chip = GpioChip::find(self.gpio_chip.as_deref())?;
        let line = chip.output("pin", self.pin, self.active_low)?;
        let dispenser = PulseDispenser::new(line, self.active_low, self.shape)?;
        match &self.sensor {
            Some(sensor) => Ok(dispenser.watched_by(Box::new(sensor.open()?), sensor.grace)),
            None => Ok(dispenser),
        }
    }
}

impl fmt::Display for PulseLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = if self.active_low { "low" } else { "high" };
        let ms = self.shape.on.as_millis();
        write!(f, "pulses of {ms} ms on BCM {}, active {active}", self.pin)?;
        match &self.sensor {
            Some(sensor) => write!(f, ", drop sensor on BCM {}", sensor.pin),
            None => Ok(()),
        }
    }
}

/// A dispenser on an output line.
pub struct PulseDispenser<P: OutputPin> {
    line: P,
    active_low: bool,
    shape: Shape,
    /// What sees the goods fall, and how long after the last pulse they may.
    watch: Option<(Box<dyn DropSensor>, Duration)>,
    phase: Phase,
    /// A line did not do what it was told: nobody knows what the relay does.
    broken: bool,
}

/// Where a sale's pulses are.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    /// Pulses are under way; so many goods have fallen.
    Pulsing {
        train: Train,
        drops: u32,
    },
    /// The pulses are over, and nothing has fallen yet.
    Waiting {
        until: Instant,
        look_at: Instant,
    },
}

impl<P: OutputPin> PulseDispenser<P> {
    /// Switches the line off.
    pub fn new(line: P, active_low: bool, shape: Shape) -> io::Result<PulseDispenser<P>> {
        let mut dispenser = PulseDispenser {
            line,
            active_low,
            shape,
            watch: None,
            phase: Phase::Idle,
            broken: false,
        };
        dispenser.set(false)?;
        Ok(dispenser)
    }

    /// The same with a sensor that sees the goods fall, at the latest so long after the last pulse.
    pub fn watched_by(mut self, sensor: Box<dyn DropSensor>, grace: Duration) -> Self {
        self.watch = Some((sensor, grace));
        self
    }

    /// How many goods have fallen since the last look.
    fn drops(&mut self) -> io::Result<u32> {
        let Some((sensor, _)) = &mut self.watch else {
            return Ok(0);
        };
        sensor.drops().inspect_err(|_| self.broken = true)
    }

    /// Carries the pulses on and looks whether goods fall; what came of the sale, once it is known.
    fn go_on(&mut self, now: Instant) -> io::Result<Option<Outcome>> {
        let fallen = match self.phase {
            Phase::Idle => return Ok(None),
            Phase::Pulsing { .. } | Phase::Waiting { .. } => self.drops()?,
        };
        match &mut self.phase {
            Phase::Idle => Ok(None),
            Phase::Pulsing { train, drops } => {
                *drops += fallen;
                let (turned, is_over, drops) = (train.turn(now), train.is_over(), *drops);
                if let Some(on) = turned {
                    self.set(on)?;
                }
                // With a bare relay nobody knows better: the goods are out when the pulses are.
                match &self.watch {
                    _ if !is_over => Ok(None),
                    Some((_, grace)) if drops == 0 => {
                        let (until, look_at) = (now + *grace, now + LOOK_EVERY);
                        self.phase = Phase::Waiting { until, look_at };
                        Ok(None)
                    }
                    _ => Ok(Some(Outcome::Dispensed)),
                }
            }
            Phase::Waiting { .. } if fallen > 0 => Ok(Some(Outcome::Dispensed)),
            Phase::Waiting { until, .. } if now >= *until => Ok(Some(Outcome::NotDispensed)),
            Phase::Waiting { look_at, .. } => {
                *look_at = now + LOOK_EVERY;
                Ok(None)
            }
        }
    }

    fn set(&mut self, on: bool) -> io::Result<()> {
        let high = on != self.active_low;
        let told = if high {
            self.line.set_high()
        } else {
            self.line.set_low()
        };
        told.map_err(|error| {
            self.broken = true;
            io::Error::other(format!("the pulse line cannot be set: {error:?}"))
        })
    }
}

impl<P: OutputPin> Dispenser for PulseDispenser<P> {
    fn unit(&self) -> Option<Fen> {
        match self.shape.count {
            Count::Pulses(_) => None,
            Count::PerFen(each) => Some(each),
        }
    }

    fn is_ready(&mut self) -> bool {
        !self.broken
    }

    fn start(&mut self, now: Instant, _sale: SaleId, total: Fen) -> io::Result<()> {
        let train = Train::begin(self.shape, total, now).ok_or_else(|| {
            io::Error::other(format!("{total} yuan is not a whole number of pulses"))
        })?;
        // What fell before is not ours.
        self.drops()?;
        self.set(true).inspect_err(|_| {
            // Who knows what it did.
            let _ = self.set(false);
        })?;
        self.phase = Phase::Pulsing { train, drops: 0 };
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Option<Outcome> {
        let outcome = self.go_on(now).unwrap_or_else(|error| {
            tracing::error!("{error}; nobody knows what the machine has done");
            // It may still be on.
            let _ = self.set(false);
            Some(Outcome::Unknown)
        })?;
        self.phase = Phase::Idle;
        Some(outcome)
    }

    fn wake_at(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Pulsing { train, .. } => Some(train.turns_at()),
            Phase::Waiting { until, look_at } => Some((*look_at).min(*until)),
        }
    }
}

impl<P: OutputPin> Drop for PulseDispenser<P> {
    fn drop(&mut self) {
        // The last chance: a line that refuses now is the hardware's to end.
        let _ = self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use embedded_hal::digital::{Error, ErrorKind, ErrorType};
    use std::cell::RefCell;
    use std::rc::Rc;

    /// A line that remembers its levels, and breaks when it is told to.
    #[derive(Clone, Default)]
    struct Line(Rc<RefCell<(Vec<bool>, bool)>>);

    #[derive(Debug)]
    struct Broken;

    impl Error for Broken {
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    impl ErrorType for Line {
        type Error = Broken;
    }

    impl OutputPin for Line {
        fn set_low(&mut self) -> Result<(), Broken> {
            self.set(false)
        }

        fn set_high(&mut self) -> Result<(), Broken> {
            self.set(true)
        }
    }

    impl Line {
        fn set(&self, level: bool) -> Result<(), Broken> {
            let mut line = self.0.borrow_mut();
            if line.1 {
                return Err(Broken);
            }
            line.0.push(level);
            Ok(())
        }

        fn levels(&self) -> Vec<bool> {
            self.0.borrow().0.clone()
        }
    }

    const SHAPE: Shape = Shape {
        on: Duration::from_millis(500),
        off: Duration::from_millis(100),
        count: Count::Pulses(2),
    };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn sale() -> (SaleId, Fen) {
        (SaleId::from_random(1), Fen::new(350).expect("an amount"))
    }

    fn dispenser(active_low: bool) -> (PulseDispenser<Line>, Line) {
        let line = Line::default();
        (
            PulseDispenser::new(line.clone(), active_low, SHAPE).expect("opened"),
            line,
        )
    }

    #[test]
    fn the_line_is_off_until_a_pulse_begins_and_after_it_ends() {
        let (mut dispenser, line) = dispenser(false);
        assert_eq!(line.levels(), [false], "off at once");
        let (id, total) = sale();
        dispenser.start(at(1000), id, total).expect("started");
        assert_eq!(dispenser.wake_at(), Some(at(1500)));
        assert_eq!(dispenser.poll(at(1499)), None);
        assert_eq!(dispenser.poll(at(1500)), None);
        assert_eq!(dispenser.poll(at(1600)), None);
        assert_eq!(dispenser.poll(at(2100)), Some(Outcome::Dispensed));
        assert_eq!(line.levels(), [false, true, false, true, false]);
        assert_eq!(dispenser.poll(at(9999)), None);
        assert_eq!(dispenser.wake_at(), None);
    }

    #[test]
    fn dropping_it_in_the_middle_of_a_pulse_switches_it_off() {
        for active_low in [false, true] {
            let (mut dispenser, line) = dispenser(active_low);
            let (id, total) = sale();
            dispenser.start(at(0), id, total).expect("started");
            assert_eq!(line.levels().last(), Some(&!active_low));
            drop(dispenser);
            assert_eq!(
                line.levels().last(),
                Some(&active_low),
                "off is high where active is low"
            );
        }
    }

    #[test]
    fn a_panic_in_the_middle_of_a_pulse_switches_it_off() {
        let line = Line::default();
        let on_the_way = std::panic::AssertUnwindSafe(line.clone());
        let panicked = std::panic::catch_unwind(move || {
            let mut dispenser =
                PulseDispenser::new(on_the_way.clone(), false, SHAPE).expect("opened");
            let (id, total) = sale();
            dispenser.start(at(0), id, total).expect("started");
            panic!("something else went wrong");
        });
        assert!(panicked.is_err());
        assert_eq!(line.levels(), [false, true, false]);
    }

    #[test]
    fn a_line_that_breaks_under_a_pulse_leaves_an_unknown_outcome_and_no_further_sale() {
        let (mut dispenser, line) = dispenser(false);
        let (id, total) = sale();
        dispenser.start(at(0), id, total).expect("started");
        line.0.borrow_mut().1 = true;
        assert_eq!(dispenser.poll(at(500)), Some(Outcome::Unknown));
        assert!(!dispenser.is_ready());
    }

    /// A sensor that sees goods fall when the test lets them.
    #[derive(Clone, Default)]
    struct Chute(Rc<RefCell<Option<u32>>>);

    impl DropSensor for Chute {
        fn drops(&mut self) -> io::Result<u32> {
            let seen = self.0.replace(Some(0));
            seen.ok_or_else(|| io::Error::other("the sensor is gone"))
        }
    }

    /// A dispenser with a sensor, 3 s of grace, and a sale under way since 1000; its last pulse ends at 2100.
    fn watched() -> (PulseDispenser<Line>, Chute) {
        let chute = Chute::default();
        // Somebody knocked on the machine before.
        chute.0.replace(Some(7));
        let (dispenser, _) = dispenser(false);
        let mut dispenser = dispenser.watched_by(Box::new(chute.clone()), Duration::from_secs(3));
        let (id, total) = sale();
        dispenser.start(at(1000), id, total).expect("started");
        (dispenser, chute)
    }

    /// Polls as the loop does, until there is an outcome.
    fn outcome(
        dispenser: &mut PulseDispenser<Line>,
        drop: Option<(u64, &Chute)>,
    ) -> (u64, Outcome) {
        for now in 1000..10_000 {
            if let Some((_, chute)) = drop.filter(|(when, _)| *when == now) {
                chute.0.replace(Some(1));
            }
            if dispenser
                .wake_at()
                .is_some_and(|wake_at| at(now) >= wake_at)
            {
                if let Some(outcome) = dispenser.poll(at(now)) {
                    return (now, outcome);
                }
            }
        }
        panic!("a sale must end")
    }

    #[test]
    fn goods_that_fall_during_the_pulses_are_out_when_the_pulses_are() {
        let (mut dispenser, chute) = watched();
        let (when, outcome) = outcome(&mut dispenser, Some((1200, &chute)));
        assert_eq!((when, outcome), (2100, Outcome::Dispensed));
    }

    #[test]
    fn goods_that_fall_a_little_later_end_the_waiting_at_once() {
        let (mut dispenser, chute) = watched();
        let (when, outcome) = outcome(&mut dispenser, Some((4000, &chute)));
        assert_eq!(outcome, Outcome::Dispensed);
        assert!((4000..=4020).contains(&when), "at {when}");
    }

    #[test]
    fn nothing_that_fell_in_time_is_not_dispensed() {
        let (mut dispenser, _) = watched();
        let (when, outcome) = outcome(&mut dispenser, None);
        assert_eq!((when, outcome), (5100, Outcome::NotDispensed));
        assert_eq!(dispenser.wake_at(), None);
    }

    #[test]
    fn a_sensor_that_breaks_leaves_an_unknown_outcome_and_no_further_sale() {
        let (mut dispenser, chute) = watched();
        chute.0.replace(None);
        assert_eq!(dispenser.poll(at(1100)), Some(Outcome::Unknown));
        assert!(!dispenser.is_ready());
    }

    #[test]
    fn a_line_that_does_not_begin_has_moved_nothing() {
        let (mut dispenser, line) = dispenser(false);
        line.0.borrow_mut().1 = true;
        let (id, total) = sale();
        assert!(dispenser.start(at(0), id, total).is_err());
        assert_eq!(dispenser.poll(at(9999)), None);
        assert!(!dispenser.is_ready());
    }
}
