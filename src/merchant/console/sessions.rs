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
    /// Passwords are tried one after the other: who sends many at once gains nothing.
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicU32,
}

/// So many may wait for their turn to try a password.
const MOST_WAITING: u32 = 16;

impl Sessions {
    /// Tries a password when its turn has come and the patience is over. `None`: too many wait already.
    pub async fn tries(&self, is_right: impl FnOnce() -> bool) -> Option<bool> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let waiting = Waiting(&self.waiting);
        let turn = self.turn.lock().await;
        tokio::time::sleep(self.patience()).await;
        let is_right = is_right();
        if !is_right {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        drop((turn, waiting));
        Some(is_right)
    }

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

    /// How long the next attempt must wait.
    fn patience(&self) -> Duration {
        match self.failures.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            failures => (Duration::from_millis(125) * (1 << failures.min(8))).min(LONGEST_PATIENCE),
        }
    }
}

/// Somebody who waits for a turn, or has gone away meanwhile.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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

    #[tokio::test(start_paused = true)]
    async fn whoever_guesses_waits_longer_each_time_up_to_a_bound() {
        let sessions = Sessions::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            let began = tokio::time::Instant::now();
            assert_eq!(sessions.tries(|| false).await, Some(false));
            waits.push(began.elapsed().as_millis());
        }
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        sessions.begin();
        assert_eq!(sessions.patience(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_many_guesses_at_once_gains_nothing() {
        let sessions = std::sync::Arc::new(Sessions::default());
        let began = tokio::time::Instant::now();
        let guesses: Vec<_> = (0..100)
            .map(|_| {
                let sessions = std::sync::Arc::clone(&sessions);
                tokio::spawn(async move { sessions.tries(|| false).await })
            })
            .collect();
        let mut tried = 0;
        for guess in guesses {
            tried += u32::from(guess.await.expect("no panic").is_some());
        }
        // The first waited for nobody. 0 + 0.25 + 0.5 + 1 + 2, then 4 seconds for each.
        assert_eq!(tried, MOST_WAITING + 1);
        assert_eq!(began.elapsed().as_millis(), 3750 + 12 * 4000);
    }
}
