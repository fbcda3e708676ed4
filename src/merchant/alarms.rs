//! What a merchant must be woken for: seen in the books every half minute, told to Prometheus and to `alarm-url`.
//!
//! [`look`] is pure. Of several servers on the same books one at a time tells.

mod call;

use std::time::Duration;

use crate::ids::KioskName;
use crate::merchant::ledger::{RETRIES_END, Time};
use crate::merchant::store::cases::{Case, Cases};
use crate::merchant::store::kiosks::Seen;
use crate::merchant::store::reports::Balance;

pub use call::{Caller, Told, Url};

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
/// So many wrong tokens in ten minutes are more than a slip: a kiosk that shows one all the time, or somebody who tries.
const TOKENS_TRIED: u64 = 30;
/// Significance level: so many unpaid sales in a row are less likely than this by chance alone.
const CHANCE: f64 = 0.001;
/// So many registered sales without any notification are no coincidence.
const NEVER_NOTIFIED: i64 = 5;
/// A time so far ahead was noted by a clock that was wrong.
const AHEAD: Duration = Duration::from_secs(600);

/// What there is to be seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Figures {
    /// When.
    pub now: Time,
    /// The equation M2.
    pub balance: Balance,
    /// Since when the oldest payment waits for its goods.
    pub waiting_since: Option<Time>,
    /// The payments that wait for their goods for longer than they may.
    pub waiting: Cases,
    /// How long one may: then it expires, or its claim goes to review.
    pub may_wait: Duration,
    /// The payments that must go back.
    pub refunds: Cases,
    /// The payments that need a person.
    pub reviews: Cases,
    /// Every kiosk that has a token, as it was heard of last.
    pub kiosks: Vec<(KioskName, Seen)>,
    /// Sales that are still open, with whose they are and when they began.
    pub open: Vec<(String, String, Time)>,
    /// How many notifications were refused, or of money that goes back, in the last ten minutes. Not counted is what anybody
    /// can send.
    pub refused: i64,
    /// How many sales have begun, if no notification was ever verified.
    pub never_notified: i64,
    /// How many calls had a token that no kiosk has, in the last ten minutes.
    pub wrong_tokens: u64,
    /// How many signed ones could be read in two ways.
    pub ambiguous: i64,
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
    /// Signed notifications were refused because they can be read in two ways.
    SignatureAmbiguous,
    /// No notification was verified for longer than usual.
    NoNotification,
    /// Numbers are registered, and no notification was ever verified.
    NeverNotified,
    /// The database is slow, or does not answer.
    DatabaseSlow,
    /// The equation M2 does not hold.
    BooksDoNotBalance,
    /// What is committed may be lost: the file, its disk, or the database's settings are not what they must be.
    BooksUnsafe,
    /// The platform will soon give up telling what was paid while we were cut off.
    RetryWindow,
    /// Many calls had a token that no kiosk has.
    WrongTokens,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 14] = [
        Kind::KioskSilent,
        Kind::KioskOutOfService,
        Kind::PaidNotDispensed,
        Kind::RefundDue,
        Kind::ReviewOpen,
        Kind::NotificationRefused,
        Kind::SignatureAmbiguous,
        Kind::NoNotification,
        Kind::NeverNotified,
        Kind::DatabaseSlow,
        Kind::BooksDoNotBalance,
        Kind::BooksUnsafe,
        Kind::RetryWindow,
        Kind::WrongTokens,
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
            Kind::SignatureAmbiguous => "signature-ambiguous",
            Kind::NoNotification => "no-notification",
            Kind::NeverNotified => "never-notified",
            Kind::DatabaseSlow => "database-slow",
            Kind::BooksDoNotBalance => "books-do-not-balance",
            Kind::BooksUnsafe => "books-unsafe",
            Kind::RetryWindow => "retry-window",
            Kind::WrongTokens => "wrong-tokens",
        }
    }
}

/// An alarm that stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// Which.
    pub kind: Kind,
    /// What it is about: kiosks, sales, transactions.
    pub subjects: Vec<String>,
    /// The payments among them.
    pub cases: Vec<Case>,
    /// Whether it is about nothing else.
    pub is_complete: bool,
    /// In a sentence.
    pub text: String,
}

impl Alarm {
    /// One that is about no payment, and lists all of its subjects.
    pub fn new(kind: Kind, subjects: Vec<String>, text: String) -> Alarm {
        Alarm {
            kind,
            subjects,
            cases: Vec::new(),
            is_complete: true,
            text,
        }
    }
}

/// The alarms that stand.
pub fn look(figures: &Figures) -> Vec<Alarm> {
    let now = figures.now;
    let mut alarms = Vec::new();
    let mut add =
        |kind, subjects: Vec<String>, text: String| alarms.push(Alarm::new(kind, subjects, text));
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
    if figures.refused > 0 {
        let text = format!(
            "notifications in ten minutes that no key of ours has signed, not ours, or of money that goes back: {}",
            figures.refused
        );
        add(Kind::NotificationRefused, Vec::new(), text);
    }
    if figures.ambiguous > 0 {
        let text = format!(
            "signed notifications in ten minutes that can be read in two ways, and were not believed: {} (merchant quarantine)",
            figures.ambiguous
        );
        add(Kind::SignatureAmbiguous, Vec::new(), text);
    }
    if figures.never_notified >= NEVER_NOTIFIED {
        let text = format!(
            "{} numbers were registered, and no notification has ever been verified: does the platform have our address, and we \
             its key?",
            figures.never_notified
        );
        add(Kind::NeverNotified, Vec::new(), text);
    } else if is_too_quiet(figures) {
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
    if figures.wrong_tokens >= TOKENS_TRIED {
        let text = format!(
            "calls in ten minutes with a token that no kiosk has: {}; was one revoked, or does somebody try?",
            figures.wrong_tokens
        );
        add(Kind::WrongTokens, Vec::new(), text);
    }
    alarms.extend(about_money(figures));
    alarms
}

/// Payments that somebody must see to.
fn about_money(figures: &Figures) -> impl Iterator<Item = Alarm> {
    let is_late = figures.waiting_since.filter(|since| {
        let waited = figures.now.seconds_since(*since);
        waited >= (figures.may_wait + GRACE).as_secs()
            || since.seconds_since(figures.now) >= AHEAD.as_secs()
    });
    let waiting = is_late.map(|since| {
        let minutes = figures.now.seconds_since(since) / 60;
        let text = format!("a payment has waited for its goods for {minutes} minutes");
        (Kind::PaidNotDispensed, &figures.waiting, text)
    });
    let listed = [
        (
            Kind::RefundDue,
            &figures.refunds,
            "payments that must go back",
        ),
        (
            Kind::ReviewOpen,
            &figures.reviews,
            "payments that need a person",
        ),
    ];
    let listed = listed
        .into_iter()
        .filter(|(_, cases, _)| cases.count > 0)
        .map(|(kind, cases, text)| (kind, cases, format!("{text}: {}", cases.count)));
    waiting
        .into_iter()
        .chain(listed)
        .map(|(kind, cases, text)| Alarm {
            kind,
            subjects: cases
                .newest
                .iter()
                .map(|case| case.transaction_id.clone())
                .collect(),
            cases: cases.newest.clone(),
            is_complete: cases.is_complete(),
            text,
        })
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
