//! A small HTTP client that keeps its connection: thousands of it fit into one process. A server that says "not now" is asked
//! again, as a kiosk would.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Nothing is asked for longer.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two attempts where the server does not say when.
const PAUSE: Duration = Duration::from_millis(500);

/// An answer: its status, when to ask again if it says so, its body.
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

/// What servers have refused for now, and calls that had no answer.
#[derive(Default)]
pub struct Refusals {
    unavailable: AtomicU64,
    too_many: AtomicU64,
    unanswered: AtomicU64,
}

impl Refusals {
    fn note(&self, status: Option<u16>) {
        let counter = match status {
            Some(429) => &self.too_many,
            Some(_) => &self.unavailable,
            None => &self.unanswered,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Nothing, if there were none.
impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, counter) in [
            ("answered 503", &self.unavailable),
            ("answered 429", &self.too_many),
            ("not answered", &self.unanswered),
        ] {
            let count = counter.load(Ordering::Relaxed);
            if count > 0 {
                write!(f, "; {count} {what} and asked again")?;
            }
        }
        Ok(())
    }
}

pub struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: &str) -> Client {
        Client {
            address: address.to_owned(),
            connection: None,
        }
    }

    /// One call. A connection that was closed meanwhile is made again, once.
    pub async fn call(&mut self, method: &str, path: &str, token: &str, body: &[u8]) -> Answer {
        if let Some(answer) = self.try_call(method, path, token, body).await {
            return answer;
        }
        self.connection = None;
        let answer = self.try_call(method, path, token, body).await;
        answer.unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    /// The same until the server does it: a refusal for now, or no answer, is noted and the call made again, when it says.
    pub async fn call_until_done(
        &mut self,
        (method, path): (&str, &str),
        token: &str,
        body: &[u8],
        refusals: &Refusals,
    ) -> Answer {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.try_call(method, path, token, body).await;
            let refused = match answer {
                Some(answer) if !matches!(answer.status, 429 | 503) => return answer,
                refused => refused,
            };
            refusals.note(refused.as_ref().map(|answer| answer.status));
            assert!(
                Instant::now() < until,
                "{method} {path}: refused for {PATIENCE:?}{refusals}"
            );
            if refused.is_none() {
                self.connection = None;
            }
            let again = refused.and_then(|answer| answer.retry_after);
            tokio::time::sleep(again.unwrap_or(PAUSE)).await;
        }
    }

    async fn try_call(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Option<Answer> {
        if self.connection.is_none() {
            let stream = TcpStream::connect(&self.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            self.connection = Some(BufReader::with_capacity(1024, stream));
        }
        let connection = self.connection.as_mut()?;
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: merchant\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        connection.get_mut().write_all(&request).await.ok()?;
        let (mut status, mut length, mut retry_after) = (0, 0, None);
        let mut line = String::new();
        while connection.read_line(&mut line).await.ok()? > 2 {
            line.make_ascii_lowercase();
            if status == 0 {
                status = line.split(' ').nth(1)?.parse().ok()?;
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            } else if let Some(value) = line.strip_prefix("retry-after:") {
                retry_after = value.trim().parse().ok().map(Duration::from_secs);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.ok()?;
        (status > 0).then_some(Answer {
            status,
            retry_after,
            body,
        })
    }
}
