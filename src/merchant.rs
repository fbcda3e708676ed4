//! The merchant's server: holds the order numbers, believes only signed notifications, keeps the books.
//!
//! - [`ledger`]: the rules, pure. [`store`]: the books, in which they are applied.
//! - [`notify`]: what a notification's body is worth, pure. [`keys`]: who may sign it. [`http`]: the shell around all of it, without a decision.
//! - [`console`]: the pages for the merchant. [`commands`]: the books on the command line. [`presence`]: which kiosks were
//!   heard of. [`alarms`]: what somebody must be woken for. [`tls`]: for those without a proxy. [`password`]: the console's.
//!   [`reconcile`]: the platform's bill beside the books.
//!   [`tokens`]: what kiosks show who they are with. [`config`]: `merchant.toml`.

pub mod alarms;
mod client;
pub mod commands;
pub mod config;
pub mod console;
pub mod http;
pub mod keys;
pub mod ledger;
mod metrics;
pub mod notify;
pub mod password;
mod pem;
pub mod presence;
pub mod reconcile;
pub mod store;
pub mod tls;
pub mod tokens;
mod waiters;
mod watch;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::TcpListener;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::{Door, Limits, Plain, serve_behind};
use crate::ids::KioskName;
use crate::merchant::config::Config;
use crate::merchant::console::Guesses;
use crate::merchant::keys::Keys;
use crate::merchant::ledger::Time;
use crate::merchant::metrics::Metrics;
use crate::merchant::presence::Presence;
use crate::merchant::store::{NotUsable, Store, kiosks};
use crate::merchant::tls::{Certified, Tls};
use crate::merchant::tokens::Tokens;
use crate::merchant::waiters::Waiters;
use crate::merchant::watch::Watch;

/// Between two looks for claims that were not made and outcomes that were not told.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A merchant's server: its configuration, its books, and who waits for them.
#[derive(Debug)]
pub struct Merchant {
    config: Config,
    /// Any of them may sign. They are read again without a restart.
    sign_keys: RwLock<Arc<Keys>>,
    store: Store,
    waiters: Waiters,
    metrics: Metrics,
    guesses: Guesses,
    tokens: Tokens,
    presence: Presence,
    watch: Watch,
    tls: Option<Tls>,
    door: Arc<Door>,
}

impl Merchant {
    /// Opens the books. Speaks TLS if it has a certificate.
    pub fn open(config: Config, certified: Option<Certified>) -> Result<Arc<Merchant>, NotUsable> {
        let store = Store::open(&config.database, config.claim_time)?;
        let limits = Limits {
            connections: config
                .connections
                .unwrap_or_else(Limits::default_connections),
            per_address: config.connections_per_address,
        };
        let merchant = Arc::new(Merchant {
            sign_keys: RwLock::new(Arc::new(config.sign_keys.clone())),
            config,
            store,
            waiters: Waiters::default(),
            metrics: Metrics::default(),
            guesses: Guesses::default(),
            tokens: Tokens::default(),
            presence: Presence::default(),
            watch: Watch::default(),
            tls: certified.map(Tls::new),
            door: Door::new(limits),
        });
        let hears = Arc::clone(&merchant);
        merchant.store.listen(move |changed| match changed {
            Some(sale) => hears.waiters.wake(sale),
            None => hears.waiters.wake_all(),
        })?;
        Ok(merchant)
    }

    /// Serves until `shutdown`. The listener is bound by the caller, to any port.
    pub async fn serve(
        self: Arc<Merchant>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        // Before anybody is served: a kiosk must not be turned away for a moment.
        self.learn_tokens().await;
        match self.store.read(kiosks::all).await {
            Ok(seen) => self.presence.know(seen),
            Err(error) => tracing::error!("{error}"),
        }
        let background = [
            tokio::spawn(sweep(Arc::clone(&self))),
            tokio::spawn(note_kiosks(Arc::clone(&self))),
            tokio::spawn(watch::watch(Arc::clone(&self))),
        ];
        let (door, tls) = (Arc::clone(&self.door), self.tls.clone());
        let (requests, router) = (http::Requests::of(Arc::clone(&self)), http::router(self));
        let served = match tls {
            Some(tls) => serve_behind(door, requests, listener, tls, router, shutdown).await,
            None => serve_behind(door, requests, listener, Plain, router, shutdown).await,
        };
        background.iter().for_each(|task| task.abort());
        served
    }

    /// Takes these keys for the platform's from now on.
    pub fn take_keys(&self, keys: Keys) {
        *self
            .sign_keys
            .write()
            .expect("nobody panics while holding the lock") = Arc::new(keys);
    }

    /// Takes this certificate for every connection from now on.
    pub fn take_certificate(&self, certified: Certified) {
        if let Some(tls) = &self.tls {
            tls.take(certified);
        }
    }

    /// Every kiosk that has a token.
    fn known_kiosks(&self) -> BTreeSet<KioskName> {
        let mut known = self.config.kiosks.names();
        known.extend(self.tokens.names());
        known
    }

    fn sign_keys(&self) -> Arc<Keys> {
        let keys = self.sign_keys.read();
        Arc::clone(&keys.expect("nobody panics while holding the lock"))
    }

    /// Learns which tokens were made and revoked. While the books cannot be read, what was known stays known.
    async fn learn_tokens(&self) {
        match self.store.read(tokens::all).await {
            Ok(all) => self.tokens.know(all),
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// Lets time pass in the books, tells those who wait, and learns which tokens were made and revoked.
async fn sweep(merchant: Arc<Merchant>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match merchant.store.sweep(now()).await {
            Ok(swept) => swept
                .into_iter()
                .for_each(|sale| merchant.waiters.wake(sale)),
            Err(error) => tracing::error!("{error}"),
        }
        merchant.learn_tokens().await;
    }
}

/// Writes down which kiosks were heard of, many at once.
async fn note_kiosks(merchant: Arc<Merchant>) {
    /// So many in one transaction: notifications must not wait behind more.
    const AT_ONCE: usize = 500;
    let mut ticks = tokio::time::interval(presence::NOTE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for some in merchant.presence.news().chunks(AT_ONCE) {
            if let Err(error) = merchant.store.note_kiosks(some.to_vec()).await {
                tracing::warn!("{error}");
            }
        }
    }
}

/// The wall clock.
fn now() -> Time {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time(since_1970.as_millis() as i64)
}
