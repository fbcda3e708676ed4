//! When a notification is sent, and sent again: the platform's ten attempts.
//!
//! It must never give an attempt less time than the document promises, nor an eleventh chance.

/// A moment: milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct UnixMs(pub u64);

/// How long the platform waits before each attempt, in seconds, as its document lists them.
pub const WAIT_SECONDS: [u32; 10] = [0, 15, 15, 30, 180, 1800, 1800, 1800, 1800, 3600];

/// The waits, perhaps shortened so that a test need not last three hours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
    speed: f64,
}

impl Schedule {
    /// All waits divided by `speed`; `None` unless it is a positive number.
    pub fn new(speed: f64) -> Option<Schedule> {
        (speed.is_finite() && speed > 0.0).then_some(Schedule { speed })
    }

    /// How long to wait in milliseconds before the next attempt, after `made` ones; `None` after the last.
    pub fn wait_ms(&self, made: usize) -> Option<u64> {
        let seconds = WAIT_SECONDS.get(made)?;
        // Float to integer saturates: a very slow platform waits for ever.
        Some((f64::from(*seconds) * 1000.0 / self.speed).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_attempts_take_three_hours_and_four_minutes() {
        let schedule = Schedule::new(1.0).expect("a speed");
        let waits: Vec<u64> = (0..).map_while(|made| schedule.wait_ms(made)).collect();
        assert_eq!(waits.len(), 10);
        assert_eq!(waits[0], 0);
        assert_eq!(waits.iter().sum::<u64>(), 11_040_000);
    }

    #[test]
    fn speed_divides_the_waits() {
        let schedule = Schedule::new(100.0).expect("a speed");
        assert_eq!(schedule.wait_ms(1), Some(150));
        assert_eq!(schedule.wait_ms(9), Some(36_000));
        assert_eq!(schedule.wait_ms(10), None);
    }

    #[test]
    fn a_speed_is_a_positive_number() {
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Schedule::new(speed), None, "{speed}");
        }
    }
}
