//! How much one kiosk may ask: whoever has its token, or a program gone wrong in it, must not fill the books or keep the
//! others waiting.
//!
//! Counted here, in memory, for every call that shows a token. Only the number of open sales is the books' to say, and they are
//! asked only where it may have been reached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::ids::KioskName;
use crate::merchant::config::KioskLimits;

/// So many seconds of requests may come at once.
const BURST: u32 = 10;
/// A kiosk that holds too many open sales asks again so late: they end one by one.
const ENDS_SOME: Duration = Duration::from_secs(30);
/// When a call that waits for an answer may be over.
const ANSWERS_SOME: Duration = Duration::from_secs(1);

/// What a kiosk has too much of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Excess {
    /// Calls in a short time.
    Requests,
    /// Order numbers registered in a short time.
    Registrations,
    /// Calls that wait for their answer, long polls among them.
    AtOnce,
    /// Sales that have not ended.
    OpenSales,
}

impl Excess {
    /// All of them.
    pub const ALL: [Excess; 4] = [
        Excess::Requests,
        Excess::Registrations,
        Excess::AtOnce,
        Excess::OpenSales,
    ];

    /// Its name: the label of its counter, and the key of `[kiosk-limits]`.
    pub fn as_str(self) -> &'static str {
        match self {
            Excess::Requests => "requests-per-second",
            Excess::Registrations => "registrations-per-minute",
            Excess::AtOnce => "requests-at-once",
            Excess::OpenSales => "open-sales",
        }
    }
}

/// A call that is refused: it did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany {
    /// Of what.
    pub of: Excess,
    /// When the kiosk may ask again.
    pub again: Duration,
}

/// What every kiosk has asked.
#[derive(Debug)]
pub struct Limits {
    limits: KioskLimits,
    kiosks: Mutex<HashMap<KioskName, Use>>,
}

/// What one kiosk uses of its limits.
#[derive(Debug)]
struct Use {
    requests: Pace,
    registrations: Pace,
    at_once: u32,
    /// Its open sales are no more than these.
    open_at_most: usize,
}

/// A call that is let in. Dropped when it is answered, or when nobody waits for it any more.
#[derive(Debug)]
pub struct Admitted {
    limits: Arc<Limits>,
    kiosk: KioskName,
}

impl Limits {
    /// Nobody has asked anything yet.
    pub fn new(limits: KioskLimits) -> Arc<Limits> {
        Arc::new(Limits {
            limits,
            kiosks: Mutex::default(),
        })
    }

    /// A kiosk makes a call; `registers` if it is to hold a new order number.
    pub fn admit(
        self: &Arc<Self>,
        kiosk: KioskName,
        registers: bool,
        now: Instant,
    ) -> Result<Admitted, TooMany> {
        let limits = self.limits;
        let too_many = |of| move |again| TooMany { of, again };
        let mut kiosks = self.lock();
        let used = kiosks.entry(kiosk).or_insert_with(|| Use {
            requests: Pace(now),
            registrations: Pace(now),
            at_once: 0,
            // Nothing is known of it before the books were asked.
            open_at_most: limits.open_sales,
        });
        if used.at_once >= limits.requests_at_once {
            return Err(too_many(Excess::AtOnce)(ANSWERS_SOME));
        }
        let per_second = (limits.requests_per_second, Duration::from_secs(1));
        let burst = limits.requests_per_second.saturating_mul(BURST);
        let paced = used.requests.take(per_second, burst, now);
        paced.map_err(too_many(Excess::Requests))?;
        if registers {
            let per_minute = (limits.registrations_per_minute, Duration::from_secs(60));
            let burst = limits.registrations_per_minute;
            let paced = used.registrations.take(per_minute, burst, now);
            paced.map_err(too_many(Excess::Registrations))?;
        }
        used.at_once += 1;
        Ok(Admitted {
            limits: Arc::clone(self),
            kiosk,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KioskName, Use>> {
        self.kiosks
            .lock()
            .expect("nobody panics while holding the lock")
    }
}

impl Admitted {
    /// The call may begin one more sale. `Some`: only if the books hold fewer open ones of this kiosk than that.
    pub fn begins(&self) -> Option<usize> {
        let most = self.limits.limits.open_sales;
        self.with(|used| {
            used.open_at_most += 1;
            used.open_at_most > most
        })
        .then_some(most)
    }

    /// The books hold so many; whether one more may begin.
    pub fn holds(&self, open: usize) -> Result<(), TooMany> {
        let most = self.limits.limits.open_sales;
        self.with(|used| used.open_at_most = open.min(most) + 1);
        match open < most {
            true => Ok(()),
            false => Err(TooMany {
                of: Excess::OpenSales,
                again: ENDS_SOME,
            }),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Use) -> T) -> T {
        let mut kiosks = self.limits.lock();
        change(kiosks.get_mut(&self.kiosk).expect("it was let in"))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.with(|used| used.at_once -= 1);
    }
}

/// A pace that is kept on the long run: the moment up to which it is used up.
#[derive(Clone, Copy, Debug)]
struct Pace(Instant);

impl Pace {
    /// One more; so many in this time, and so many at once. Otherwise how long to wait for the next.
    fn take(
        &mut self,
        (count, time): (u32, Duration),
        at_once: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let each = time / count;
        let used_up = self.0.max(now) + each;
        let ahead = used_up.saturating_duration_since(now + each * at_once);
        if !ahead.is_zero() {
            return Err(ahead);
        }
        self.0 = used_up;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: KioskLimits = KioskLimits {
        requests_per_second: 10,
        requests_at_once: 3,
        registrations_per_minute: 6,
        open_sales: 2,
    };

    fn kiosk(name: &str) -> KioskName {
        KioskName::new(name).expect("a name")
    }

    #[test]
    fn a_kiosk_that_asks_too_fast_waits_and_no_other_does() {
        let (limits, start) = (Limits::new(LIMITS), Instant::now());
        let asks = |name: &str, now| limits.admit(kiosk(name), false, now).map(drop);
        for _ in 0..100 {
            assert_eq!(asks("a", start), Ok(()), "ten seconds' worth at once");
        }
        let again = Duration::from_millis(100);
        let of = Excess::Requests;
        assert_eq!(asks("a", start), Err(TooMany { of, again }));
        assert_eq!(asks("b", start), Ok(()));
        assert_eq!(asks("a", start + again), Ok(()));
        assert!(asks("a", start + again).is_err());
    }

    #[test]
    fn registrations_have_a_pace_of_their_own() {
        let (limits, start) = (Limits::new(LIMITS), Instant::now());
        let registers = |registers| limits.admit(kiosk("a"), registers, start).map(drop);
        for _ in 0..6 {
            assert_eq!(registers(true), Ok(()));
        }
        let again = Duration::from_secs(10);
        let of = Excess::Registrations;
        assert_eq!(registers(true), Err(TooMany { of, again }));
        assert_eq!(registers(false), Ok(()), "it may still settle");
    }

    #[test]
    fn only_so_many_calls_wait_at_once_however_they_end() {
        let (limits, start) = (Limits::new(LIMITS), Instant::now());
        let asks = || limits.admit(kiosk("a"), false, start);
        let waiting: Vec<_> = (0..3).map(|_| asks().expect("let in")).collect();
        assert_eq!(
            asks().map(drop).expect_err("one too many").of,
            Excess::AtOnce
        );
        drop(waiting);
        assert!(asks().is_ok());
    }

    #[test]
    fn the_books_are_asked_only_where_there_may_be_too_many_open_sales() {
        let limits = Limits::new(LIMITS);
        let call = limits.admit(kiosk("a"), true, Instant::now());
        let call = call.expect("let in");
        assert_eq!(call.begins(), Some(2), "nothing is known yet");
        assert_eq!(call.holds(0), Ok(()));
        assert_eq!(call.begins(), None);
        assert_eq!(call.begins(), Some(2), "these may be too many");
        let told = call.holds(2).expect_err("two are open");
        assert_eq!(told.of, Excess::OpenSales);
        assert_eq!(call.begins(), Some(2));
        assert_eq!(call.holds(1), Ok(()), "one has ended");
    }
}
