//! Alarms as JSON to somebody's address, for those without Prometheus; the same messages are lines of the log.
//!
//! One message for each alarm: when it begins, when it is about something new, every four hours while it stands, and when it
//! is over. A message that is not taken is sent again at the next look. How long ago something was told is measured on a clock
//! that nobody sets: a wall clock that jumps silences nothing.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Alarm, Case, Kind};
use crate::merchant::ledger::Time;

/// How long an alarm stands before it is told again.
const AGAIN_AFTER: Duration = Duration::from_secs(4 * 3600);
/// How long the other side may take.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Where alarms go. It may hold a secret, and is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// An address of HTTP or HTTPS.
    pub fn read(text: &str) -> Option<Url> {
        let uri: axum::http::Uri = text.parse().ok()?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        (is_http && uri.host().is_some_and(|host| !host.is_empty())).then(|| Url(text.to_owned()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url(…)")
    }
}

/// What is sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Message {
    #[serde(skip)]
    kind: Kind,
    /// The alarm's name.
    pub alarm: &'static str,
    /// `firing` or `resolved`.
    pub state: &'static str,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    /// What it is about: kiosks, sales, transactions; all of them that are listed.
    pub subjects: Vec<String>,
    /// The payments among them that were not told before; at a repetition, all that are listed.
    pub cases: Vec<Case>,
    /// In a sentence.
    pub text: String,
}

impl fmt::Display for Message {
    /// As a line of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.alarm, self.text)?;
        for case in &self.cases {
            write!(f, "; {case}")?;
        }
        Ok(())
    }
}

/// What was told of each alarm that stands.
#[derive(Debug, Default)]
pub struct Told(HashMap<Kind, ToldOne>);

#[derive(Clone, Debug)]
struct ToldOne {
    subjects: HashSet<String>,
    since: Time,
    at: Instant,
}

impl Told {
    /// What must be told now. `now` is the wall clock, for people; `at` the clock that nobody sets.
    pub fn due(&mut self, (now, at): (Time, Instant), standing: &[Alarm]) -> Vec<Message> {
        let mut due = Vec::new();
        for alarm in standing {
            let told = self.0.get_mut(&alarm.kind);
            let is_again = told
                .as_ref()
                .is_none_or(|told| at.duration_since(told.at) >= AGAIN_AFTER);
            let is_new = |subject: &str| {
                told.as_ref()
                    .is_none_or(|told| !told.subjects.contains(subject))
            };
            let is_about_others = alarm.subjects.iter().any(|subject| is_new(subject));
            if is_again || is_about_others {
                let cases = alarm
                    .cases
                    .iter()
                    .filter(|case| is_again || is_new(&case.transaction_id));
                due.push(Message {
                    kind: alarm.kind,
                    alarm: alarm.kind.as_str(),
                    state: "firing",
                    since: told.as_ref().map_or(now, |told| told.since).0,
                    subjects: alarm.subjects.clone(),
                    cases: cases.cloned().collect(),
                    text: alarm.text.clone(),
                });
            }
            // What is over and begins again is new again. What only fell off a list that is cut is not over.
            if let Some(told) = told.filter(|_| alarm.is_complete) {
                told.subjects
                    .retain(|subject| alarm.subjects.contains(subject));
            }
        }
        for kind in Kind::ALL {
            let stands = standing.iter().any(|alarm| alarm.kind == kind);
            if let Some(told) = self.0.get(&kind).filter(|_| !stands) {
                let mut subjects: Vec<String> = told.subjects.iter().cloned().collect();
                subjects.sort();
                due.push(Message {
                    kind,
                    alarm: kind.as_str(),
                    state: "resolved",
                    since: told.since.0,
                    subjects,
                    cases: Vec::new(),
                    text: format!("{} is over", kind.as_str()),
                });
            }
        }
        due
    }

    /// This message has arrived.
    pub fn took(&mut self, message: &Message, at: Instant) {
        if message.state == "resolved" {
            self.0.remove(&message.kind);
            return;
        }
        let told = self.0.entry(message.kind).or_insert_with(|| ToldOne {
            subjects: HashSet::new(),
            since: Time(message.since),
            at,
        });
        told.at = at;
        told.subjects.extend(message.subjects.iter().cloned());
    }
}

/// Who calls, and what was told already.
#[derive(Debug)]
pub struct Caller {
    url: Url,
    told: Told,
}

impl Caller {
    /// Calls this address, and has told nothing yet.
    pub fn new(url: Url) -> Caller {
        Caller {
            url,
            told: Told::default(),
        }
    }

    /// Tells what must be told. What is not taken is due again; after the first that is not, the others wait for the next look.
    pub async fn tell(&mut self, now: Time, standing: &[Alarm]) {
        for message in self.told.due((now, Instant::now()), standing) {
            let (url, sent) = (self.url.clone(), message.clone());
            let posted = tokio::task::spawn_blocking(move || post(&url, &sent)).await;
            match posted {
                Ok(Ok(())) => self.told.took(&message, Instant::now()),
                Ok(Err(error)) => {
                    let alarm = message.alarm;
                    tracing::error!(
                        "alarm-url does not take the alarm {alarm}: {error}; it is sent again"
                    );
                    return;
                }
                Err(error) => return tracing::error!("{error}"),
            }
        }
    }
}

fn post(url: &Url, message: &Message) -> Result<(), String> {
    let config = ureq::Agent::config_builder().timeout_global(Some(ANSWER_TIME));
    let agent: ureq::Agent = config.build().into();
    // The error may name the address, and that may hold a secret.
    let told = agent.post(&url.0).send_json(message);
    told.map(drop)
        .map_err(|error| error.to_string().replace(&url.0, "the address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(subjects: &[&str]) -> Alarm {
        Alarm {
            kind: Kind::KioskSilent,
            subjects: subjects
                .iter()
                .map(|subject| (*subject).to_owned())
                .collect(),
            cases: Vec::new(),
            is_complete: true,
            text: String::new(),
        }
    }

    fn refunds(transactions: &[&str], is_complete: bool) -> [Alarm; 1] {
        let case = |transaction: &&str| Case {
            transaction_id: (*transaction).to_owned(),
            order_no: "N".to_owned(),
            sale: None,
            kiosk: None,
            amount: 350,
            reason: "late".to_owned(),
        };
        [Alarm {
            kind: Kind::RefundDue,
            cases: transactions.iter().map(case).collect(),
            is_complete,
            ..alarm(transactions)
        }]
    }

    /// The clocks so many seconds after a beginning.
    fn clocks(began: Instant, seconds: u64) -> (Time, Instant) {
        let now = Time(seconds as i64 * 1000);
        (now, began + Duration::from_secs(seconds))
    }

    #[test]
    fn an_alarm_is_told_when_it_begins_is_about_others_lasts_and_ends() {
        let began = Instant::now();
        let mut all = Told::default();
        let mut told = |seconds: u64, standing: &[Alarm], is_taken: bool| {
            let clocks = clocks(began, seconds);
            let due = all.due(clocks, standing);
            for message in due.iter().filter(|_| is_taken) {
                all.took(message, clocks.1);
            }
            let told = due
                .iter()
                .map(|message| (message.state, message.since, message.subjects.len()));
            told.collect::<Vec<_>>()
        };
        let (one, two) = ([alarm(&["a"])], [alarm(&["a", "b"])]);
        assert_eq!(told(1, &one, false), [("firing", 1000, 1)]);
        assert_eq!(
            told(31, &one, true),
            [("firing", 31_000, 1)],
            "it was not taken"
        );
        assert_eq!(told(61, &one, true), []);
        assert_eq!(told(91, &two, true), [("firing", 31_000, 2)]);
        assert_eq!(told(121, &one, true), [], "one less is no news");
        assert_eq!(
            told(151, &two, true),
            [("firing", 31_000, 2)],
            "it is silent again"
        );
        assert_eq!(told(151 + 4 * 3600 - 1, &two, true), []);
        assert_eq!(told(151 + 4 * 3600, &two, true), [("firing", 31_000, 2)]);
        assert_eq!(told(20_000, &[], false), [("resolved", 31_000, 2)]);
        assert_eq!(told(20_030, &[], true), [("resolved", 31_000, 2)]);
        assert_eq!(told(20_060, &[], true), []);
    }

    #[test]
    fn each_refund_is_told_at_once_and_once_while_others_stand() {
        let began = Instant::now();
        let mut all = Told::default();
        let mut told = |seconds: u64, standing: &[Alarm]| {
            let clocks = clocks(began, seconds);
            let due = all.due(clocks, standing);
            due.iter().for_each(|message| all.took(message, clocks.1));
            let cases = due.iter().flat_map(|message| &message.cases);
            cases
                .map(|case| case.transaction_id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(0, &refunds(&["T1"], true)), ["T1"]);
        assert_eq!(told(30, &refunds(&["T2", "T1"], true)), ["T2"]);
        // So many that the list is cut: what falls off it, and comes back, was told.
        assert_eq!(told(60, &refunds(&["T3", "T2"], false)), ["T3"]);
        assert!(told(90, &refunds(&["T2", "T1"], true)).is_empty());
        assert_eq!(told(5 * 3600, &refunds(&["T2", "T1"], true)), ["T2", "T1"]);
    }

    #[test]
    fn a_wall_clock_that_jumps_a_month_and_back_silences_nothing() {
        const MONTH: i64 = 30 * 24 * 3_600_000;
        let began = Instant::now();
        let mut all = Told::default();
        for (seconds, wall) in [(0, MONTH), (30, 0)] {
            let at = began + Duration::from_secs(seconds);
            for message in all.due((Time(wall), at), &refunds(&["T1"], true)) {
                all.took(&message, at);
            }
        }
        let clocks = (Time(60_000), began + Duration::from_secs(60));
        assert_eq!(all.due(clocks, &refunds(&["T2", "T1"], true)).len(), 1);
        let clocks = (Time(0), began + AGAIN_AFTER);
        assert_eq!(all.due(clocks, &refunds(&["T1"], true)).len(), 1);
    }

    #[test]
    fn only_an_address_of_http_is_called() {
        for good in ["http://127.0.0.1:9/x", "https://alarm.example"] {
            assert!(Url::read(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "alarm.example",
            "ftp://alarm.example",
            "https://",
            "mailto:a@b",
        ] {
            assert!(Url::read(bad).is_none(), "{bad}");
        }
    }
}
