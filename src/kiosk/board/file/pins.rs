//! Which lines of the header are taken, by whom.

use std::ops::RangeInclusive;

/// The lines that a header has, by BCM number.
const HEADER: RangeInclusive<u32> = 0..=27;

/// The lines in use so far.
#[derive(Debug, Default)]
pub struct Pins(Vec<(&'static str, u32)>);

impl Pins {
    /// Keeps lines for a bus.
    pub fn reserve(&mut self, whose: &'static str, pins: impl IntoIterator<Item = u32>) {
        self.0.extend(pins.into_iter().map(|pin| (whose, pin)));
    }

    /// Takes a line for this field of the board file; why that cannot be.
    pub fn take(&mut self, field: &'static str, pin: u32) -> Result<(), String> {
        if !HEADER.contains(&pin) {
            return Err(format!("BCM {pin} is not on the header: 0 … 27"));
        }
        if let Some((whose, _)) = self.0.iter().find(|(_, taken)| *taken == pin) {
            return Err(format!("BCM {pin} is already {whose}"));
        }
        self.0.push((field, pin));
        Ok(())
    }
}
