//! How long things took.

#![allow(dead_code, reason = "each bench uses its part of it")]

use std::time::Duration;

/// Times in milliseconds, sorted.
pub struct Times(Vec<f64>);

impl Times {
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Times {
        let mut times: Vec<f64> = times
            .into_iter()
            .map(|time| time.as_secs_f64() * 1e3)
            .collect();
        times.sort_by(f64::total_cmp);
        Times(times)
    }

    pub fn part(&self, part: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get((last as f64 * part).round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// A row of the table.
    pub fn print(&self, what: &str, beside: &str) {
        let (half, most, all) = (self.part(0.5), self.part(0.99), self.part(1.0));
        let count = self.0.len();
        println!("| {what} ({count} ×) | {half:.2} ms | {most:.2} ms | {all:.2} ms | {beside} |");
    }
}
