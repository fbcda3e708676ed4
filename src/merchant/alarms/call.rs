//! Alarms as JSON to somebody's address, for those without Prometheus.
//!
//! One message for each alarm, however many kiosks or sales it is about: when it begins, when it is about others, every
//! four hours while it stands, and when it is over. A message that is not taken is sent again at the next look.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Alarm, Kind};
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
    /// The alarm's name.
    pub alarm: &'static str,
    /// `firing` or `resolved`.
    pub state: &'static str,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    /// Kiosks or sales.
    pub subjects: Vec<String>,
    /// In a sentence.
    pub text: String,
}

/// Who calls, and what was told already.
#[derive(Debug)]
pub struct Caller {
    url: Url,
    told: HashMap<Kind, Told>,
}

#[derive(Clone, Debug)]
struct Told {
    subjects: Vec<String>,
    since: Time,
    at: Time,
}

impl Caller {
    /// Calls this address, and has told nothing yet.
    pub fn new(url: Url) -> Caller {
        Caller {
            url,
            told: HashMap::new(),
        }
    }

    /// Tells what must be told. What is not taken is due again.
    pub async fn tell(&mut self, now: Time, standing: &[Alarm]) {
        for (kind, message) in self.due(now, standing) {
            let (url, sent) = (self.url.clone(), message.clone());
            let posted = tokio::task::spawn_blocking(move || post(&url, &sent)).await;
            match posted {
                Ok(Ok(())) => self.took(kind, &message, now),
                Ok(Err(error)) => {
                    let alarm = message.alarm;
                    tracing::error!(
                        "alarm-url does not take the alarm {alarm}: {error}; it is sent again"
                    );
                }
                Err(error) => tracing::error!("{error}"),
            }
        }
    }

    fn due(&self, now: Time, standing: &[Alarm]) -> Vec<(Kind, Message)> {
        let mut due = Vec::new();
        for alarm in standing {
            let told = self.told.get(&alarm.kind);
            let is_told = told.is_some_and(|told| {
                told.subjects == alarm.subjects
                    && now.seconds_since(told.at) < AGAIN_AFTER.as_secs()
            });
            if !is_told {
                let message = Message {
                    alarm: alarm.kind.as_str(),
                    state: "firing",
                    since: told.map_or(now, |told| told.since).0,
                    subjects: alarm.subjects.clone(),
                    text: alarm.text.clone(),
                };
                due.push((alarm.kind, message));
            }
        }
        for kind in Kind::ALL {
            let stands = standing.iter().any(|alarm| alarm.kind == kind);
            if let Some(told) = self.told.get(&kind).filter(|_| !stands) {
                let message = Message {
                    alarm: kind.as_str(),
                    state: "resolved",
                    since: told.since.0,
                    subjects: told.subjects.clone(),
                    text: format!("{} is over", kind.as_str()),
                };
                due.push((kind, message));
            }
        }
        due
    }

    fn took(&mut self, kind: Kind, message: &Message, now: Time) {
        if message.state == "resolved" {
            self.told.remove(&kind);
            return;
        }
        let told = Told {
            subjects: message.subjects.clone(),
            since: Time(message.since),
            at: now,
        };
        self.told.insert(kind, told);
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
            text: String::new(),
        }
    }

    #[test]
    fn an_alarm_is_told_when_it_begins_changes_lasts_and_ends() {
        let url = Url::read("https://alarm.example/?token=secret").expect("an address");
        assert_eq!(format!("{url:?}"), "Url(…)");
        let mut caller = Caller::new(url);
        let mut told = |seconds: i64, standing: &[Alarm], is_taken: bool| {
            let now = Time(seconds * 1000);
            let due = caller.due(now, standing);
            for (kind, message) in due.iter().filter(|_| is_taken) {
                caller.took(*kind, message, now);
            }
            let told = due
                .iter()
                .map(|(_, message)| (message.state, message.since, message.subjects.len()));
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
        assert_eq!(told(91 + 4 * 3600 - 1, &two, true), []);
        assert_eq!(told(91 + 4 * 3600, &two, true), [("firing", 31_000, 2)]);
        assert_eq!(told(20_000, &[], false), [("resolved", 31_000, 2)]);
        assert_eq!(told(20_030, &[], true), [("resolved", 31_000, 2)]);
        assert_eq!(told(20_060, &[], true), []);
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
