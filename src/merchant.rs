//! The merchant's server: holds the order numbers, believes only signed notifications, keeps the books.
//!
//! - [`ledger`]: the rules, pure. [`store`]: the books, in which they are applied.
//! - [`notify`]: what a notification's body is worth, pure. [`keys`]: who may sign it. [`http`]: the shell around all of it, without a decision.
//! - [`console`]: the pages for the merchant. [`commands`]: the books on the command line. [`presence`]: which kiosks were
//!   heard of. [`alarms`]: what somebody must be woken for. [`tls`]: for those without a proxy. [`password`]: the console's.
//!   [`reconcile`]: the platform's bill beside the books.
//!   [`tokens`]: what kiosks show who they are with. [`limits`]: how much one may ask. [`polls`]: which open sales are asked
//!   for. [`config`]: `merchant.toml`.

pub mod alarms;
mod client;
pub mod commands;
pub mod config;
pub mod console;
pub mod http;
pub mod keys;
pub mod ledger;
pub mod limits;
mod metrics;
pub mod notify;
pub mod password;
mod pem;
pub mod polls;
pub mod presence;
pub mod reconcile;
pub mod store;
pub mod tls;
pub mod tokens;
mod waiters;
mod watch;
mod wrong_tokens;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::TcpListener;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::http::{Door, Limits as DoorLimits, Plain, serve_behind};
use crate::ids::{KioskName, SaleId};
use crate::merchant::config::{Config, Kiosks};
use crate::merchant::console::Guesses;
use crate::merchant::keys::Keys;
use crate::merchant::ledger::Time;
use crate::merchant::limits::Limits;
use crate::merchant::metrics::Metrics;
use crate::merchant::polls::Polls;
use crate::merchant::presence::Presence;
use crate::merchant::store::{Asker, NotUsable, Store, kiosks};
use crate::merchant::tls::{Certified, Tls};
use crate::merchant::tokens::Tokens;
use crate::merchant::waiters::Waiters;
use crate::merchant::watch::Watch;
use crate::merchant::wrong_tokens::WrongTokens;

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
    wrong_tokens: WrongTokens,
    limits: Arc<Limits>,
    polls: Polls,
    presence: Presence,
    watch: Watch,
    tls: Option<Tls>,
    door: Arc<Door>,
}

impl Merchant {
    /// Opens the books. Speaks TLS if it has a certificate.
    pub fn open(config: Config, certified: Option<Certified>) -> Result<Arc<Merchant>, NotUsable> {
        let store = Store::open(&config.database, config.claim_time)?;
        let door_limits = DoorLimits {
            connections: config
                .connections
                .unwrap_or_else(DoorLimits::default_connections),
            per_address: config.connections_per_address,
        };
        let merchant = Arc::new(Merchant {
            sign_keys: RwLock::new(Arc::new(config.sign_keys.clone())),
            guesses: Guesses::new(config.console_password.clone(), config.console_hash_memory),
            tokens: Tokens::new(config.kiosks.clone()),
            wrong_tokens: WrongTokens::default(),
            limits: Limits::new(config.kiosk_limits),
            polls: Polls::new(now(), Instant::now()),
            config,
            store,
            waiters: Waiters::default(),
            metrics: Metrics::default(),
            presence: Presence::default(),
            watch: Watch::default(),
            tls: certified.map(Tls::new),
            door: Door::new(door_limits),
        });
        let hears = Arc::clone(&merchant);
        merchant.store.listen(move |changed| match changed {
            Some(sale) => hears.changed(sale),
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
            tokio::spawn(look_after_books(Arc::clone(&self))),
            tokio::spawn(count_on(Arc::clone(&self))),
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

    /// Takes these kiosks for all of `merchant.toml` from now on: a token that was taken out is good for nothing.
    pub fn take_kiosks(&self, kiosks: Kiosks) {
        self.tokens.configure(kiosks);
    }

    /// Takes this certificate for every connection from now on.
    pub fn take_certificate(&self, certified: Certified) {
        if let Some(tls) = &self.tls {
            tls.take(certified);
        }
    }

    /// Every kiosk that has a token.
    fn known_kiosks(&self) -> BTreeSet<KioskName> {
        self.tokens.names()
    }

    /// A sale is not what it was: whoever waits for it looks again.
    fn changed(&self, sale: SaleId) {
        self.polls.ended(sale);
        self.waiters.wake(sale);
    }

    fn sign_keys(&self) -> Arc<Keys> {
        let keys = self.sign_keys.read();
        Arc::clone(&keys.expect("nobody panics while holding the lock"))
    }

    /// Learns which tokens were made and revoked. While the books cannot be read, what was known stays known.
    async fn learn_tokens(&self) {
        // Not where people ask: their lists must not keep a token alive that was revoked.
        match self.store.read_for(Asker::Kiosk, tokens::all).await {
            Ok(all) => self.tokens.know(all),
            Err(error) => tracing::error!("{error}"),
        }
    }
}

/// Lets time pass in the books, tells those who wait, learns which tokens were made and revoked, and tells of wrong ones.
async fn sweep(merchant: Arc<Merchant>) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = now();
        merchant.polls.compare(now, Instant::now());
        let asked_at = |sale| merchant.polls.asked_at(sale);
        match merchant.store.sweep(now, asked_at).await {
            Ok(swept) => swept.into_iter().for_each(|sale| merchant.changed(sale)),
            Err(error) => tracing::error!("{error}"),
        }
        merchant.learn_tokens().await;
        if let Some(line) = merchant.wrong_tokens.line() {
            tracing::warn!("{line}");
        }
    }
}

/// Looks again and again whether what is committed stays.
async fn look_after_books(merchant: Arc<Merchant>) {
    const LOOK_EVERY: Duration = Duration::from_secs(3);
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // It has told the log, and refuses whatever is to be written.
        let _ = merchant.store.look().await;
    }
}

/// Counts books that were begun before sums were kept, a part at a time; others have their turn between two parts.
async fn count_on(merchant: Arc<Merchant>) {
    const BETWEEN: Duration = Duration::from_millis(20);
    const AGAIN: Duration = Duration::from_secs(5);
    let mut counts = false;
    loop {
        let pause = match merchant.store.count_on().await {
            Ok(true) => {
                if !counts {
                    tracing::info!(
                        "these books are counted from now on: sums are told once that is done"
                    );
                }
                counts = true;
                BETWEEN
            }
            Ok(false) => {
                if counts {
                    tracing::info!("these books are counted");
                }
                counts = false;
                AGAIN
            }
            Err(error) => {
                tracing::warn!("{error}");
                AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Writes down which kiosks were heard of, and which sales are asked for over a long time, many at once.
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
        let asked = merchant.polls.news(now());
        for some in asked.chunks(AT_ONCE) {
            if let Err(error) = merchant.store.note_asked(some.to_vec(), now()).await {
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
