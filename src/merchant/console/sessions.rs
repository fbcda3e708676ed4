//! Who is logged in: random cookies, kept in memory. A restart logs everybody out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};

use crate::random;

/// How long a login lasts.
const SESSION_TIME: Duration = Duration::from_secs(12 * 3600);
/// The longest wait after wrong passwords.
const LONGEST_PATIENCE: Duration = Duration::from_secs(4);
const COOKIE: &str = "session";

#[derive(Debug)]
struct Session {
    until: Instant,
    /// In every form of this session's pages: no other site knows it.
    form_token: String,
}

/// Everybody who is logged in.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: Mutex<HashMap<String, Session>>,
    failures: AtomicU32,
}

impl Sessions {
    /// Whether the request comes from somebody who is logged in.
    pub fn knows(&self, headers: &HeaderMap) -> bool {
        self.form_token(headers).is_some()
    }

    /// What a form of this session carries, if there is one.
    pub fn form_token(&self, headers: &HeaderMap) -> Option<String> {
        let sessions = self.lock();
        let session = sessions.get(cookie(headers)?)?;
        (Instant::now() < session.until).then(|| session.form_token.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        let locked = self.sessions.lock();
        locked.expect("nobody panics while holding the lock")
    }

    /// Logs somebody in; the cookie to set.
    pub fn begin(&self) -> String {
        self.failures.store(0, Ordering::Relaxed);
        let token = format!("{:032x}", random::bits());
        let form_token = format!("{:032x}", random::bits());
        let mut sessions = self.lock();
        let now = Instant::now();
        sessions.retain(|_, session| now < session.until);
        let until = now + SESSION_TIME;
        sessions.insert(token.clone(), Session { until, form_token });
        format!(
            "{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}",
            SESSION_TIME.as_secs()
        )
    }

    /// Logs somebody out; the cookie to set.
    pub fn end(&self, headers: &HeaderMap) -> String {
        if let Some(token) = cookie(headers) {
            self.lock().remove(token);
        }
        format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    /// Notes a wrong password.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How long the next attempt must wait.
    pub fn patience(&self) -> Duration {
        match self.failures.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            failures => (Duration::from_millis(125) * (1 << failures.min(8))).min(LONGEST_PATIENCE),
        }
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies
        .split(';')
        .find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, cookie.parse().expect("a header"))])
    }

    #[test]
    fn only_the_cookie_that_was_given_is_known_and_only_until_logout() {
        let sessions = Sessions::default();
        let given = sessions.begin();
        assert!(given.contains("HttpOnly; SameSite=Strict"));
        let sent = format!(
            "theme=dark; {}",
            given.split(';').next().expect("the value")
        );
        assert!(sessions.knows(&headers(&sent)));
        assert!(!sessions.knows(&headers("session=00000000000000000000000000000000")));
        assert!(!sessions.knows(&HeaderMap::new()));
        sessions.end(&headers(&sent));
        assert!(!sessions.knows(&headers(&sent)));
    }

    #[test]
    fn whoever_guesses_waits_longer_each_time_up_to_a_bound() {
        let sessions = Sessions::default();
        let mut waits = vec![sessions.patience().as_millis()];
        for _ in 0..7 {
            sessions.failed();
            waits.push(sessions.patience().as_millis());
        }
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        sessions.begin();
        assert_eq!(sessions.patience(), Duration::ZERO);
    }
}
