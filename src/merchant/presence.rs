//! Which kiosks were heard of, and when: collected here, written to the books now and then, many at once.
//!
//! Every call of a kiosk's is a sign of life; when it has nothing to ask it tells how it is (`POST /v1/heartbeat`).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::api::Heartbeat;
use crate::ids::KioskName;
use crate::merchant::ledger::Time;
use crate::merchant::store::kiosks::Seen;

/// Between two writes to the books.
pub const NOTE_EVERY: Duration = Duration::from_secs(5);
/// The longest text that a kiosk may tell of itself, in bytes.
const LONGEST: usize = 40;

/// The kiosks that this server has heard of.
#[derive(Debug, Default)]
pub struct Presence(Mutex<HashMap<KioskName, Heard>>);

#[derive(Clone, Debug)]
struct Heard {
    seen: Seen,
    is_noted: bool,
}

impl Presence {
    /// What the books know, at the start.
    pub fn know(&self, seen: Vec<(KioskName, Seen)>) {
        let known = seen.into_iter().map(|(kiosk, seen)| {
            let is_noted = true;
            (kiosk, Heard { seen, is_noted })
        });
        self.lock().extend(known);
    }

    /// A kiosk has asked something; `version` is what its `User-Agent` says.
    pub fn heard(&self, kiosk: KioskName, now: Time, version: Option<&str>) {
        let mut all = self.lock();
        let heard = entry(&mut all, kiosk, now);
        heard.seen.at = now;
        heard.is_noted = false;
        if let Some(version) = version.filter(|version| *version != heard.seen.version) {
            heard.seen.version = short(version);
        }
    }

    /// A kiosk tells how it is.
    pub fn told(&self, kiosk: KioskName, now: Time, told: &Heartbeat) {
        let mut all = self.lock();
        let heard = entry(&mut all, kiosk, now);
        let (state, fault) = (
            short(&told.state),
            short(told.fault.as_deref().unwrap_or("")),
        );
        if (&state, &fault) != (&heard.seen.state, &heard.seen.fault) {
            (heard.seen.state, heard.seen.fault, heard.seen.since) = (state, fault, now);
        }
        heard.seen.told_at = now;
        heard.is_noted = false;
    }

    /// What was heard since this was asked last.
    pub fn news(&self) -> Vec<(KioskName, Seen)> {
        let mut all = self.lock();
        let news = all.iter_mut().filter(|(_, heard)| !heard.is_noted);
        news.map(|(kiosk, heard)| {
            heard.is_noted = true;
            (*kiosk, heard.seen.clone())
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KioskName, Heard>> {
        self.0.lock().expect("nobody panics while holding the lock")
    }
}

fn entry(all: &mut HashMap<KioskName, Heard>, kiosk: KioskName, now: Time) -> &mut Heard {
    all.entry(kiosk).or_insert_with(|| Heard {
        seen: Seen {
            at: now,
            version: String::new(),
            state: String::new(),
            fault: String::new(),
            since: now,
            told_at: Time(0),
        },
        is_noted: false,
    })
}

/// A kiosk's own words, no longer than they need be.
fn short(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic())
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kiosk() -> KioskName {
        KioskName::new("kiosk-1").expect("a name")
    }

    #[test]
    fn what_was_heard_is_told_once_and_a_state_keeps_its_beginning() {
        let presence = Presence::default();
        let told = |state: &str, fault: Option<&str>, now| {
            let told = Heartbeat {
                state: state.to_owned(),
                fault: fault.map(str::to_owned),
            };
            presence.heard(kiosk(), Time(now), Some("0.1.0"));
            presence.told(kiosk(), Time(now), &told);
        };
        told("ready", None, 1000);
        told("ready", None, 2000);
        let news = presence.news();
        let seen = &news[0].1;
        assert_eq!(
            (news.len(), seen.at, seen.since),
            (1, Time(2000), Time(1000))
        );
        assert_eq!(seen.version, "0.1.0");
        assert_eq!(presence.news(), []);
        told("out-of-service", Some("dispenser\n<b>"), 3000);
        let seen = presence.news().remove(0).1;
        assert_eq!(
            (seen.fault.as_str(), seen.since),
            ("dispenser<b>", Time(3000))
        );
    }
}
