//! The dispenser `pulse`: a relay, or a coin acceptor's line, on a GPIO pin.
//!
//! A pulse is a deadline in the kiosk's loop, not a sleep. The line is off from the moment it is opened until a pulse
//! begins, and off again when this is dropped: on exit, on a signal, on a panic. What a process cannot assure (its own
//! death by SIGKILL, a dead kernel) the hardware must: a pull resistor, and a monostable that ends any pulse.

mod train;

use std::io;

use embedded_hal::digital::OutputPin;
use linux_embedded_hal::CdevPin;

use crate::ids::SaleId;
use crate::kiosk::board::gpio;
use crate::kiosk::machine::instant::Instant;
use crate::kiosk::ports::Dispenser;
use crate::money::Fen;
use crate::sale::Outcome;

use train::Train;
pub use train::{Count, Shape};

/// A pulse line, as the board file describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PulseLine {
    /// The line, by BCM number.
    pub pin: u32,
    /// Whether the line is high while it is off.
    pub active_low: bool,
    /// What a sale's pulses look like.
    pub shape: Shape,
    /// The GPIO chip, by path or label; the header's, if none is named.
    pub gpio_chip: Option<String>,
}

impl PulseLine {
    /// Takes the line, off.
    pub fn open(&self) -> io::Result<PulseDispenser<CdevPin>> {
        let mut chip = gpio::find_chip(self.gpio_chip.as_deref())?;
        let line = gpio::output(&mut chip, self.pin, self.active_low)?;
        PulseDispenser::new(line, self.active_low, self.shape)
    }
}

/// A dispenser on an output line.
pub struct PulseDispenser<P: OutputPin> {
    line: P,
    active_low: bool,
    shape: Shape,
    train: Option<Train>,
    /// The line did not do what it was told: nobody knows what the relay does.
    broken: bool,
}

impl<P: OutputPin> PulseDispenser<P> {
    /// Switches the line off.
    pub fn new(line: P, active_low: bool, shape: Shape) -> io::Result<PulseDispenser<P>> {
        let mut dispenser = PulseDispenser {
            line,
            active_low,
            shape,
            train: None,
            broken: false,
        };
        dispenser.set(false)?;
        Ok(dispenser)
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
        self.set(true)?;
        self.train = Some(train);
        Ok(())
    }

    /// With a bare relay nobody knows better: the goods are out when the pulses are.
    fn poll(&mut self, now: Instant) -> Option<Outcome> {
        let train = self.train.as_mut()?;
        let (on, is_over) = (train.turn(now), train.is_over());
        if let Some(on) = on {
            if let Err(error) = self.set(on) {
                tracing::error!("{error}");
                self.train = None;
                return Some(Outcome::Unknown);
            }
        }
        if is_over {
            self.train = None;
            return Some(Outcome::Dispensed);
        }
        None
    }

    fn wake_at(&self) -> Option<Instant> {
        self.train.as_ref().map(Train::turns_at)
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
