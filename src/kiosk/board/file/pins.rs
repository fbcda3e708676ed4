//! Which GPIO lines are taken, by whom.

use std::ops::RangeInclusive;

use crate::kiosk::board::gpio::HEADER_LABELS;

/// The lines that a header has, by BCM number.
const HEADER: RangeInclusive<u32> = 0..=27;

/// The lines in use so far.
#[derive(Debug, Default)]
pub struct Pins(Vec<Taken>);

#[derive(Debug)]
struct Taken {
    whose: &'static str,
    chip: Option<String>,
    pin: u32,
}

/// A chip as a board file names it; `None` is the header's, however it is named.
fn chip_of(named: Option<&str>) -> Option<String> {
    named
        .filter(|name| !HEADER_LABELS.contains(name))
        .map(str::to_owned)
}

impl Pins {
    /// Keeps lines of the header for a bus.
    pub fn reserve(&mut self, whose: &'static str, pins: impl IntoIterator<Item = u32>) {
        let taken = |pin| Taken {
            whose,
            chip: None,
            pin,
        };
        self.0.extend(pins.into_iter().map(taken));
    }

    /// Takes a line of the chip for this field of the board file; why that cannot be.
    pub fn take(
        &mut self,
        field: &'static str,
        chip: Option<&str>,
        pin: u32,
    ) -> Result<(), (&'static str, String)> {
        let chip = chip_of(chip);
        if chip.is_none() && !HEADER.contains(&pin) {
            return Err((field, format!("BCM {pin} is not on the header: 0 … 27")));
        }
        let is_same = |taken: &&Taken| taken.pin == pin && taken.chip == chip;
        if let Some(taken) = self.0.iter().find(is_same) {
            return Err((field, format!("BCM {pin} is already {}", taken.whose)));
        }
        let whose = field;
        self.0.push(Taken { whose, chip, pin });
        Ok(())
    }
}
