//! A stand-in for selpay and the paying customer: for development, tests and the demo, never for money.
//!
//! A pure model of the [`platform`] (orders, payments, the retry schedule, faults on demand) and a shell around it:
//! HTTP in, notifications out, and a page that is the customer's phone. Written from the platform's document alone;
//! it must never share a codec with the code it tests.

mod codec;
mod courier;
pub mod notification;
mod page;
pub mod platform;
mod routes;
pub mod schedule;
pub mod variations;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::Uri;
use tokio::sync::{Notify, watch};

use crate::http;
use platform::{Account, Platform};
use schedule::{Schedule, UnixMs};
use variations::What;

/// What a platform must know.
#[derive(Clone)]
pub struct Config {
    /// Where the merchant takes notifications.
    pub notify_url: String,
    /// Signs the notifications.
    pub sign_key: String,
    /// The only `appKey` that may add orders; any, if there is none.
    pub app_key: Option<String>,
    /// What a `scanUrl` begins with; `http://` and the listener's address, if there is none.
    pub public_url: Option<String>,
    /// The merchant's number at the platform; 1 to 15 letters and digits.
    pub mch_id: String,
    /// Divides the waits between the attempts of a notification.
    pub speed: f64,
    /// AddOrderInfo is answered in another harmless spelling each time.
    pub varies: bool,
}

/// Why a configuration cannot be used, and what would be right.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum UnusableConfig {
    /// Nobody could be told.
    #[error(
        "notify-url {0:?}: write http:// or https:// and a host, like http://127.0.0.1:8080/notify"
    )]
    NotifyUrl(String),
    /// No phone could follow it.
    #[error("public-url {0:?}: write http:// or https:// and a host, like http://192.168.1.5:9000")]
    PublicUrl(String),
    /// It would not fit into a URL.
    #[error("app-key {0:?}: write 1 to 64 of A-Za-z0-9_-")]
    AppKey(String),
    /// It would not fit into a notification.
    #[error("mch-id {0:?}: write 1 to 15 letters and digits")]
    MchId(String),
    /// Not a divisor.
    #[error("speed {0}: write a positive number, like 1 or 1000")]
    Speed(f64),
}

impl Config {
    /// Whether a platform can run with it.
    pub fn check(&self) -> Result<(), UnusableConfig> {
        self.schedule().map(drop)
    }

    fn schedule(&self) -> Result<Schedule, UnusableConfig> {
        if !is_web_address(&self.notify_url) {
            return Err(UnusableConfig::NotifyUrl(self.notify_url.clone()));
        }
        if let Some(url) = self.public_url.as_ref().filter(|url| !is_web_address(url)) {
            return Err(UnusableConfig::PublicUrl(url.clone()));
        }
        if let Some(key) = self
            .app_key
            .as_ref()
            .filter(|key| !platform::is_word(key, 64))
        {
            return Err(UnusableConfig::AppKey(key.clone()));
        }
        let plain = self.mch_id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain || !(1..=15).contains(&self.mch_id.len()) {
            return Err(UnusableConfig::MchId(self.mch_id.clone()));
        }
        Schedule::new(self.speed).ok_or(UnusableConfig::Speed(self.speed))
    }
}

fn is_web_address(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// The platform while it runs, shared by all that serve it.
struct Simulation {
    platform: Mutex<Platform>,
    clock: Clock,
    /// Something may be due earlier than the courier knows.
    news: Notify,
    public_url: String,
    /// How many answers there were, where each is spelled in another way.
    varied: Option<AtomicUsize>,
    ended: watch::Receiver<bool>,
}

impl Simulation {
    fn platform(&self) -> MutexGuard<'_, Platform> {
        self.platform
            .lock()
            .expect("nobody panics while holding the lock")
    }

    /// How the next answer is spelled.
    fn spelling(&self) -> (&'static str, What) {
        let turn = self.varied.as_ref();
        let turn = turn.map_or(0, |count| count.fetch_add(1, Ordering::Relaxed));
        variations::ALL[turn % variations::ALL.len()]
    }
}

/// Unix time that never jumps: read once, then only counted on.
struct Clock {
    began: Instant,
    began_at: UnixMs,
}

impl Clock {
    fn start() -> Clock {
        // A machine whose clock stands before 1970 gets 1970.
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Clock {
            began: Instant::now(),
            began_at: UnixMs(whole_ms(since_1970)),
        }
    }

    fn now(&self) -> UnixMs {
        UnixMs(
            self.began_at
                .0
                .saturating_add(whole_ms(self.began.elapsed())),
        )
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Serves the platform on a bound listener until `shutdown`. Then it ends at once: stalled answers and notifications
/// that are still to be sent are dropped.
///
/// A configuration that fails [`Config::check`] is [`io::ErrorKind::InvalidInput`].
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let schedule = config
        .schedule()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let public_url = match config.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", listener.local_addr()?),
    };
    let account = Account {
        app_key: config.app_key,
        mch_id: config.mch_id,
        sign_key: config.sign_key,
    };
    let seed = crate::random::bits() as u64;
    let (end, ended) = watch::channel(false);
    let simulation = Arc::new(Simulation {
        platform: Mutex::new(Platform::new(account, schedule, seed)),
        clock: Clock::start(),
        news: Notify::new(),
        public_url,
        varied: config.varies.then(AtomicUsize::default),
        ended,
    });
    let router = routes::router(Arc::clone(&simulation));
    let shutdown = async move {
        shutdown.await;
        // Without any stalled answer nobody listens, and that is as good.
        let _ = end.send(true);
    };
    tokio::select! {
        served = http::serve(listener, router, shutdown) => served,
        never = courier::carry(simulation, config.notify_url) => match never {},
    }
}

#[cfg(test)]
mod tests;
