//! Which open sales are asked for, and when that was last: a sale that nobody asks for ends by itself.
//!
//! Asking costs no write. What is known is kept in memory; only a sale that is asked for over a long time is noted in the books
//! now and then, so that no other server closes it. After a restart, and when the clock has jumped, the hour begins anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::ids::SaleId;
use crate::merchant::ledger::{Time, UNASKED};

/// A sale that is asked for is noted in the books so often.
const NOTE_AFTER: Duration = Duration::from_secs(600);
/// By so much the two clocks may differ, since they were compared last, before one of them has jumped.
const JUMP: Duration = Duration::from_secs(60);

/// The open sales that this server was asked for.
#[derive(Debug)]
pub struct Polls(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    sales: HashMap<SaleId, Asked>,
    /// Before this moment nothing is known.
    known_since: Time,
    /// When the clocks were compared last.
    compared: (Time, Instant),
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    last: Time,
    /// What the books, or the sale itself, know already.
    noted: Time,
}

impl Polls {
    /// Nothing is known before now.
    pub fn new(now: Time, monotonic: Instant) -> Polls {
        Polls(Mutex::new(Inner {
            sales: HashMap::new(),
            known_since: now,
            compared: (now, monotonic),
        }))
    }

    /// A kiosk has asked for this open sale, or has registered one more number for it.
    pub fn asked(&self, sale: SaleId, now: Time) {
        let mut inner = self.lock();
        let noted = now;
        let asked = inner.sales.entry(sale);
        asked.or_insert(Asked { last: now, noted }).last = now;
    }

    /// The sale is not open any more.
    pub fn ended(&self, sale: SaleId) {
        self.lock().sales.remove(&sale);
    }

    /// When the sale was asked for last, as far as this server can know.
    pub fn asked_at(&self, sale: SaleId) -> Time {
        let inner = self.lock();
        let asked = inner.sales.get(&sale);
        asked.map_or(inner.known_since, |asked| asked.last.max(inner.known_since))
    }

    /// Compares the clocks, before anything is said to be old: where one has jumped the hour begins anew.
    pub fn compare(&self, now: Time, monotonic: Instant) {
        let mut inner = self.lock();
        let (then, was) = inner.compared;
        let passed = monotonic.saturating_duration_since(was);
        let shown = then.after(passed);
        if now.0.abs_diff(shown.0) > JUMP.as_millis() as u64 {
            tracing::warn!("the clock has jumped: no sale is given up for an hour");
            inner.known_since = now;
            inner.sales.clear();
        }
        inner.compared = (now, monotonic);
    }

    /// What the books should know of; sales that nobody asks for any more are forgotten.
    pub fn news(&self, now: Time) -> Vec<(SaleId, Time)> {
        let old = now.before(UNASKED);
        let mut inner = self.lock();
        inner.sales.retain(|_, asked| asked.last > old);
        let sales = inner.sales.iter_mut();
        let news = sales.filter(|(_, asked)| asked.last >= asked.noted.after(NOTE_AFTER));
        news.map(|(sale, asked)| {
            asked.noted = asked.last;
            (*sale, asked.last)
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics while holding the lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn sale(number: u128) -> SaleId {
        SaleId::from_random(number)
    }

    #[test]
    fn a_sale_counts_as_asked_for_since_the_start_at_least() {
        let polls = Polls::new(Time(1000), Instant::now());
        assert_eq!(polls.asked_at(sale(1)), Time(1000));
        polls.asked(sale(1), Time(5000));
        assert_eq!(polls.asked_at(sale(1)), Time(5000));
        assert_eq!(polls.asked_at(sale(2)), Time(1000));
        polls.ended(sale(1));
        assert_eq!(polls.asked_at(sale(1)), Time(1000));
    }

    #[test]
    fn only_what_is_asked_for_over_a_long_time_is_noted_and_not_often() {
        let polls = Polls::new(Time(0), Instant::now());
        polls.asked(sale(1), Time(0));
        polls.asked(sale(1), Time(9 * MINUTE));
        assert_eq!(polls.news(Time(9 * MINUTE)), []);
        polls.asked(sale(1), Time(10 * MINUTE));
        let news = [(sale(1), Time(10 * MINUTE))];
        assert_eq!(polls.news(Time(10 * MINUTE)), news);
        assert_eq!(polls.news(Time(10 * MINUTE)), []);
        // An hour later nobody asks any more.
        assert_eq!(polls.news(Time(70 * MINUTE)), []);
        assert_eq!(polls.lock().sales.len(), 0);
    }

    #[test]
    fn a_clock_that_jumps_makes_no_sale_old() {
        let start = Instant::now();
        let polls = Polls::new(Time(0), start);
        let month = 30 * 24 * 60 * MINUTE;
        let after = |seconds| start + Duration::from_secs(seconds);
        polls.compare(Time(1000), after(1));
        assert_eq!(polls.asked_at(sale(1)), Time(0));
        polls.compare(Time(month), after(2));
        assert_eq!(polls.asked_at(sale(1)), Time(month));
        polls.compare(Time(month + 1000), after(3));
        assert_eq!(polls.asked_at(sale(1)), Time(month), "it jumped once");
        polls.compare(Time(4000), after(4));
        assert_eq!(polls.asked_at(sale(1)), Time(4000), "and back");
    }
}
