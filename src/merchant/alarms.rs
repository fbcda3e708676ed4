//! What a merchant must be woken for: seen in the books every half minute, told to Prometheus and to `alarm-url`.
//!
//! [`look`] is pure. Of several servers on the same books one at a time tells.

mod call;

use std::time::Duration;

use crate::ids::KioskName;
use crate::merchant::ledger::{RETRIES_END, Time};
use crate::merchant::store::kiosks::Seen;
use crate::merchant::store::reports::Balance;

pub use call::{Caller, Url};

/// Between two looks.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Every payment should have found its place by itself so long after it could.
const GRACE: Duration = Duration::from_secs(60);
/// A sale of a silent kiosk that is open for so long: the kiosk, or we, were cut off.
const OPEN_LONG: Duration = Duration::from_secs(10 * 60);
/// No countdown is longer.
const OPEN_TOO_LONG: Duration = Duration::from_secs(3900);
/// A database that answers slower than this loses the platform's patience soon.
const SLOW: Duration = Duration::from_secs(1);
/// What happens by chance less often than this is no chance.
const CHANCE: f64 = 0.001;

/// What there is to be seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Figures {
    /// When.
    pub now: Time,
    /// The equation M2.
    pub balance: Balance,
    /// Since when the oldest payment waits for its goods.
    pub waiting_since: Option<Time>,
    /// How long one may: then it expires, or its claim goes to review.
    pub may_wait: Duration,
    /// How many payments must go back.
    pub refunds: i64,
    /// How many need a person.
    pub reviews: i64,
    /// Every kiosk that has a token, as it was heard of last.
    pub kiosks: Vec<(KioskName, Seen)>,
    /// Sales that are still open, with whose they are and when they began.
    pub open: Vec<(String, String, Time)>,
    /// How many notifications were refused, or of money that goes back, in the last ten minutes.
    pub refused: i64,
    /// When the last payment came.
    pub paid_at: Option<Time>,
    /// How many sales had the time to be paid since then.
    pub unpaid: i64,
    /// How many sales a week has, and how many of them were paid.
    pub week: (i64, i64),
    /// How long the database takes to write, if it answers.
    pub database: Option<Duration>,
}

/// What somebody is woken for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A kiosk was heard of, and is not any more.
    KioskSilent,
    /// A kiosk says that it cannot sell.
    KioskOutOfService,
    /// A payment waits for its goods for too long.
    PaidNotDispensed,
    /// Money must go back.
    RefundDue,
    /// A payment needs a person.
    ReviewOpen,
    /// Notifications were refused: bad signature, unknown number, wrong amount.
    NotificationRefused,
    /// No notification was verified for longer than usual.
    NoNotification,
    /// The database is slow, or does not answer.
    DatabaseSlow,
    /// The equation M2 does not hold.
    BooksDoNotBalance,
    /// What is committed may be lost: the file, its disk, or the database's settings are not what they must be.
    BooksUnsafe,
    /// The platform will soon give up telling what was paid while we were cut off.
    RetryWindow,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 11] = [
        Kind::KioskSilent,
        Kind::KioskOutOfService,
        Kind::PaidNotDispensed,
        Kind::RefundDue,
        Kind::ReviewOpen,
        Kind::NotificationRefused,
        Kind::NoNotification,
        Kind::DatabaseSlow,
        Kind::BooksDoNotBalance,
        Kind::BooksUnsafe,
        Kind::RetryWindow,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::KioskSilent => "kiosk-silent",
            Kind::KioskOutOfService => "kiosk-out-of-service",
            Kind::PaidNotDispensed => "paid-not-dispensed",
            Kind::RefundDue => "refund-due",
            Kind::ReviewOpen => "review-open",
            Kind::NotificationRefused => "notification-refused",
            Kind::NoNotification => "no-notification",
            Kind::DatabaseSlow => "database-slow",
            Kind::BooksDoNotBalance => "books-do-not-balance",
            Kind::BooksUnsafe => "books-unsafe",
            Kind::RetryWindow => "retry-window",
        }
    }
}

/// An alarm that stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// Which.
    pub kind: Kind,
    /// What it is about: kiosks, sales.
    pub subjects: Vec<String>,
    /// In a sentence.
    pub text: String,
}

/// The alarms that stand.
pub fn look(figures: &Figures) -> Vec<Alarm> {
    let now = figures.now;
    let is_older = |then: Time, than: Duration| now.seconds_since(then) >= than.as_secs();
    let mut alarms = Vec::new();
    let mut add = |kind, subjects: Vec<String>, text: String| {
        alarms.push(Alarm {
            kind,
            subjects,
            text,
        });
    };
    if !figures.balance.holds {
        let text = "a verified payment has no place in the books: keep the database as it is";
        add(Kind::BooksDoNotBalance, Vec::new(), text.to_owned());
    }
    match figures.database {
        None => add(
            Kind::DatabaseSlow,
            Vec::new(),
            "the database does not answer".to_owned(),
        ),
        Some(time) if time >= SLOW => {
            let text = format!("the database took {} ms to write nothing", time.as_millis());
            add(Kind::DatabaseSlow, Vec::new(), text);
        }
        Some(_) => {}
    }
    let (silent, heard): (Vec<_>, Vec<_>) = figures
        .kiosks
        .iter()
        .partition(|(_, seen)| seen.is_silent(now));
    let names = |kiosks: &[&(KioskName, Seen)]| -> Vec<String> {
        kiosks.iter().map(|(name, _)| name.to_string()).collect()
    };
    if !silent.is_empty() {
        let text = match heard.is_empty() && silent.len() > 1 {
            true => "no kiosk is heard of any more: are we cut off?".to_owned(),
            false => format!("kiosks that are silent: {}", silent.len()),
        };
        add(Kind::KioskSilent, names(&silent), text);
    }
    let down: Vec<_> = heard
        .into_iter()
        .filter(|(_, seen)| seen.is_out_of_service())
        .collect();
    if !down.is_empty() {
        let faults: Vec<_> = down
            .iter()
            .map(|(name, seen)| format!("{name}: {}", seen.fault))
            .collect();
        let text = format!("out of service: {}", faults.join(", "));
        add(Kind::KioskOutOfService, names(&down), text);
    }
    if let Some(since) = figures
        .waiting_since
        .filter(|since| is_older(*since, figures.may_wait + GRACE))
    {
        let minutes = now.seconds_since(since) / 60;
        let text = format!("a payment has waited for its goods for {minutes} minutes");
        add(Kind::PaidNotDispensed, Vec::new(), text);
    }
    if figures.refunds > 0 {
        let text = format!("payments that must go back: {}", figures.refunds);
        add(Kind::RefundDue, Vec::new(), text);
    }
    if figures.reviews > 0 {
        let text = format!("payments that need a person: {}", figures.reviews);
        add(Kind::ReviewOpen, Vec::new(), text);
    }
    if figures.refused > 0 {
        let text = format!(
            "notifications in ten minutes that are not signed, not ours, or of money that goes back: {}",
            figures.refused
        );
        add(Kind::NotificationRefused, Vec::new(), text);
    }
    if is_too_quiet(figures) {
        let since = figures.paid_at.map_or("ever".to_owned(), |at| {
            format!("{} minutes", now.seconds_since(at) / 60)
        });
        let text = format!(
            "none of {} sales was paid, no notification was verified for {since}: do they reach us?",
            figures.unpaid
        );
        add(Kind::NoNotification, Vec::new(), text);
    }
    let stale: Vec<_> = stale(figures).collect();
    if let Some(closes) = stale.iter().map(|(_, _, began)| closes(*began)).min() {
        let minutes = closes.seconds_since(now) / 60;
        let text = format!(
            "{} sales are open and nobody asks for them. If they were paid, the platform gives up telling us in {minutes} \
             minutes for the first: it must reach our notification address before then",
            stale.len()
        );
        let sales = stale.iter().map(|(sale, ..)| sale.clone()).collect();
        add(Kind::RetryWindow, sales, text);
    }
    alarms
}

/// Open sales that nobody asks for, and of which the platform may still tell.
fn stale(figures: &Figures) -> impl Iterator<Item = &(String, String, Time)> {
    let now = figures.now;
    let is_silent = move |kiosk: &str| {
        let mut heard = figures.kiosks.iter();
        let heard = heard.find(|(name, _)| name.as_str() == kiosk);
        heard.is_none_or(|(_, seen)| seen.is_silent(now))
    };
    figures.open.iter().filter(move |(_, kiosk, began)| {
        let open_for = now.seconds_since(*began);
        let is_left = open_for >= OPEN_TOO_LONG.as_secs()
            || open_for >= OPEN_LONG.as_secs() && is_silent(kiosk);
        is_left && now < closes(*began)
    })
}

/// When the platform gives up telling of a sale that was paid as soon as it began.
fn closes(began: Time) -> Time {
    began.after(RETRIES_END)
}

/// Whether so many unpaid sales in a row are no chance any more, for sales that are paid as often as last week's.
fn is_too_quiet(figures: &Figures) -> bool {
    let (sales, paid) = figures.week;
    // One more of each: a shop that has just opened has no usual.
    let unpaid = 1.0 - (paid as f64 + 1.0) / (sales as f64 + 2.0);
    figures.unpaid > 0 && unpaid.powf(figures.unpaid as f64) < CHANCE
}

#[cfg(test)]
mod tests;
