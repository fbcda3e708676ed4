//! Counters for `/metrics`, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::DoorCounts;
use crate::merchant::alarms::Kind;
use crate::merchant::limits::Excess;
use crate::merchant::watch::Watched;

/// What can come of a notification; the label of its counter.
const VERDICTS: [&str; 15] = [
    "paid",
    "known",
    "refund",
    "foreign-currency",
    "review",
    "contradiction",
    "not-paid",
    "foreign",
    "unreadable",
    "signature-ambiguous",
    "unverified",
    "malformed",
    "oversized",
    "incomplete",
    "unavailable",
];

/// Counted since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    notifications: [AtomicU64; VERDICTS.len()],
    /// Calls of kiosks that asked too much, in the order of [`Excess::ALL`].
    too_many: [AtomicU64; Excess::ALL.len()],
    /// By the name of the key that signed them.
    signed: Mutex<BTreeMap<String, u64>>,
    misdirected_posts: AtomicU64,
}

impl Metrics {
    /// Counts one notification.
    pub fn notification(&self, verdict: &str) {
        let place = VERDICTS
            .iter()
            .position(|known| *known == verdict)
            .expect("every verdict has its counter");
        self.notifications[place].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one call of a kiosk that has too much of this.
    pub fn too_many(&self, of: Excess) {
        self.too_many[of as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one notification that was signed with this key: whether an old one may go.
    pub fn signed_with(&self, key: &str) {
        let mut signed = self
            .signed
            .lock()
            .expect("nobody panics while holding the lock");
        match signed.get_mut(key) {
            Some(count) => *count += 1,
            None => drop(signed.insert(key.to_owned(), 1)),
        }
    }

    /// Counts one POST to a path that takes none.
    pub fn misdirected_post(&self) {
        self.misdirected_posts.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what came to the door and no further.
    pub fn add_door(&self, page: &mut String, door: &DoorCounts) {
        let misdirected = self.misdirected_posts.load(Ordering::Relaxed);
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "# HELP selpay_misdirected_posts_total POSTs to paths that take none: is the notification address right?\n\
             # TYPE selpay_misdirected_posts_total counter\n\
             selpay_misdirected_posts_total {misdirected}\n\
             # HELP selpay_connections Connections that are open.\n\
             # TYPE selpay_connections gauge\n\
             selpay_connections {}\n\
             # HELP selpay_connections_closed_total Connections that the server closed, by reason.\n\
             # TYPE selpay_connections_closed_total counter\n",
            door.open
        );
        for (reason, count) in door.closed {
            let _ = writeln!(
                page,
                "selpay_connections_closed_total{{reason=\"{reason}\"}} {count}"
            );
        }
    }

    /// The page.
    pub fn page(&self, waiting: usize, wrong_tokens: u64, watched: &Watched) -> String {
        let Watched {
            figures,
            sales,
            counted: is_counted,
            alarms,
            ..
        } = watched;
        let balance = &figures.balance;
        let mut page = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, i64)]| {
            // Writing to a String cannot fail.
            let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(page, "{name}{labels} {value}");
            }
        };
        let counted: Vec<(String, i64)> = VERDICTS
            .iter()
            .zip(&self.notifications)
            .map(|(verdict, count)| {
                (
                    format!("{{verdict=\"{verdict}\"}}"),
                    count.load(Ordering::Relaxed) as i64,
                )
            })
            .collect();
        family(
            "selpay_notifications_total",
            "counter",
            "Notifications received, by what came of them.",
            &counted,
        );
        let signed = self
            .signed
            .lock()
            .expect("nobody panics while holding the lock");
        let by_key: Vec<(String, i64)> = signed
            .iter()
            .map(|(key, count)| (format!("{{key={key:?}}}"), *count as i64))
            .collect();
        family(
            "selpay_signed_notifications_total",
            "counter",
            "Notifications with a good signature, by the key's label.",
            &by_key,
        );
        let too_many: Vec<(String, i64)> = Excess::ALL
            .iter()
            .zip(&self.too_many)
            .map(|(of, count)| {
                let label = format!("{{limit=\"{}\"}}", of.as_str());
                (label, count.load(Ordering::Relaxed) as i64)
            })
            .collect();
        family(
            "selpay_kiosk_refusals_total",
            "counter",
            "Calls of kiosks that were refused for asking too much (429), by the key of [kiosk-limits].",
            &too_many,
        );
        family(
            "selpay_wrong_tokens_total",
            "counter",
            "Calls with a token that no kiosk has (401).",
            &[(String::new(), wrong_tokens as i64)],
        );
        family(
            "selpay_waiting_sales",
            "gauge",
            "Sales that kiosks wait for in long polls.",
            &[(String::new(), waiting as i64)],
        );
        let sales: Vec<(String, i64)> = sales
            .iter()
            .map(|(status, count)| (format!("{{status=\"{status}\"}}"), *count))
            .collect();
        // While older books are being counted, no sum is better than one that is too small.
        family(
            "selpay_books_counted",
            "gauge",
            "1 if the sums are those of all the books, 0 while older ones are being counted.",
            &[(String::new(), i64::from(*is_counted))],
        );
        if *is_counted {
            family(
                "selpay_sales",
                "gauge",
                "Sales in the books, by status.",
                &sales,
            );
        }
        let parts = [
            ("dispensed", balance.dispensed),
            ("refund-due", balance.refund_due),
            ("refunded", balance.refunded),
            ("review", balance.review),
            ("waiting", balance.waiting),
        ];
        let parts: Vec<(String, i64)> = parts
            .iter()
            .map(|(state, fen)| (format!("{{state=\"{state}\"}}"), *fen))
            .collect();
        if *is_counted {
            family(
                "selpay_money_fen",
                "gauge",
                "Verified money, by what has become of it, in fen.",
                &parts,
            );
        }
        family(
            "selpay_balance_holds",
            "gauge",
            "1 if every fen verified is accounted for.",
            &[(String::new(), i64::from(balance.holds))],
        );
        let standing: Vec<(String, i64)> = Kind::ALL
            .iter()
            .map(|kind| {
                let found = alarms.iter().find(|alarm| alarm.kind == *kind);
                let about = found.map_or(0, |alarm| alarm.subjects.len().max(1));
                (format!("{{alarm=\"{}\"}}", kind.as_str()), about as i64)
            })
            .collect();
        family(
            "selpay_alarm",
            "gauge",
            "What somebody must be woken for: of how many kiosks or sales, 0 if all is well.",
            &standing,
        );
        family(
            "selpay_kiosks",
            "gauge",
            "Kiosks with a token that were ever heard of.",
            &[(String::new(), figures.kiosks.len() as i64)],
        );
        family(
            "selpay_last_payment_timestamp_seconds",
            "gauge",
            "When the last sale of this week was paid, in seconds since 1970; 0 if none was.",
            &[(String::new(), figures.paid_at.map_or(0, |at| at.0 / 1000))],
        );
        let check = figures.database.map_or(0, |time| time.as_micros() as i64);
        family(
            "selpay_database_check_microseconds",
            "gauge",
            "How long the database took to read and to commit nothing.",
            &[(String::new(), check)],
        );
        page
    }
}
