//! The pulses of one sale over time: pure.

use core::time::Duration;

use crate::kiosk::machine::instant::Instant;
use crate::money::Fen;

/// What a sale's pulses look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// How long the line is on.
    pub on: Duration,
    /// How long it is off between two pulses.
    pub off: Duration,
    /// How many there are.
    pub count: Count,
}

/// How many pulses a sale has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Count {
    /// So many, whatever it costs.
    Pulses(u32),
    /// One for so many fen, as a coin acceptor counts.
    PerFen(Fen),
}

impl Count {
    /// How many pulses this amount is; `None` if it is no whole number of them.
    pub fn of(self, total: Fen) -> Option<u32> {
        match self {
            Count::Pulses(pulses) => Some(pulses),
            Count::PerFen(each) => {
                (total.get() % each.get() == 0).then_some(total.get() / each.get())
            }
        }
    }
}

/// A train of pulses under way. It begins with the line on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Train {
    shape: Shape,
    left: u32,
    on: bool,
    turns_at: Instant,
}

impl Train {
    /// A train for this amount, beginning now; `None` if the amount is no whole number of pulses.
    pub fn begin(shape: Shape, total: Fen, now: Instant) -> Option<Train> {
        let left = shape.count.of(total).filter(|pulses| *pulses > 0)?;
        Some(Train {
            shape,
            left,
            on: true,
            turns_at: now + shape.on,
        })
    }

    /// When the line is to change next.
    pub fn turns_at(&self) -> Instant {
        self.turns_at
    }

    /// Whether the last pulse has ended.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// What the line is to be from now on, if it is to change.
    ///
    /// A loop that comes late makes a pulse longer, never shorter, and never skips one: the next is timed from now.
    pub fn turn(&mut self, now: Instant) -> Option<bool> {
        if self.is_over() || now < self.turns_at {
            return None;
        }
        self.on = !self.on;
        if self.on {
            self.turns_at = now + self.shape.on;
        } else {
            self.left -= 1;
            self.turns_at = now + self.shape.off;
        }
        Some(self.on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fen(amount: u32) -> Fen {
        Fen::new(amount).expect("an amount")
    }

    fn shape(count: Count) -> Shape {
        Shape {
            on: Duration::from_millis(50),
            off: Duration::from_millis(100),
            count,
        }
    }

    /// The moments at which the line changes, when the loop looks every `step` milliseconds.
    fn changes(count: Count, total: Fen, step: usize) -> Vec<(u64, bool)> {
        let mut train = Train::begin(shape(count), total, Instant::from_millis(0))
            .expect("a whole number of pulses");
        let mut changes = vec![(0, true)];
        for now in (0..10_000).step_by(step) {
            changes.extend(train.turn(Instant::from_millis(now)).map(|on| (now, on)));
        }
        assert!(train.is_over());
        changes
    }

    #[test]
    fn pulses_have_their_length_and_their_gap() {
        let expected = [(0, true), (50, false), (150, true), (200, false)];
        assert_eq!(changes(Count::Pulses(2), fen(1), 1), expected);
    }

    #[test]
    fn a_coin_acceptors_line_counts_the_amount() {
        let ons = |total| {
            changes(Count::PerFen(fen(100)), fen(total), 1)
                .iter()
                .filter(|(_, on)| *on)
                .count()
        };
        assert_eq!(ons(100), 1);
        assert_eq!(ons(700), 7);
        assert_eq!(
            Count::PerFen(fen(100)).of(fen(350)),
            None,
            "half a coin is none"
        );
        assert_eq!(
            Train::begin(shape(Count::PerFen(fen(100))), fen(350), Instant::default()),
            None
        );
    }

    #[test]
    fn a_loop_that_comes_late_makes_longer_pulses_but_never_fewer() {
        let late = changes(Count::Pulses(5), fen(1), 70);
        assert_eq!(late.iter().filter(|(_, on)| *on).count(), 5);
        for pair in late.windows(2) {
            let least = if pair[0].1 { 50 } else { 100 };
            assert!(pair[1].0 - pair[0].0 >= least, "{late:?}");
        }
    }
}
